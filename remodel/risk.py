"""Fractures of a person without space: what breaks, and at what rate."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.fracture import (
    ExposureParameters,
    Site,
    fracture_hazard,
    hip,
    vertebra,
    wrist,
)
from remodel.parameters import Parameters, Scalar
from remodel.person import Person, age_on
from remodel.skeleton import PersonCourse, strength

BREAKS: dict[str, tuple[Site, str, float]] = {
    "hip": (hip(), "total hip", 4500.0),
    "vertebral": (vertebra(), "lumbar spine", 7000.0),
    "wrist": (wrist(), "distal radius", 3300.0),
}
"""What breaks, the site whose strength counts, and its failure load at 30 [N]. The loads are assumed, so that an old
skeleton comes to the loads that `remodel/fracture.py` was set by."""


def hazard(
    course: PersonCourse, person: Person, fracture: str, parameters: Parameters, *, exposure: Scalar = 1.0
) -> Float[Array, " times"]:
    """Return the rate of first fractures by the strength surrogate [1/year].

    Args:
        course: Of one person, from day 0 on.
        person: The person.
        fracture: One of `BREAKS`.
        parameters: The law's numbers.
        exposure: What multiplies falls and lifts [-].
    """
    site, place, young = BREAKS[fracture]
    newtons = young * strength(course, place, parameters)
    age = age_on(person, course.day)
    events = jnp.broadcast_to(jnp.asarray(exposure, dtype=float), age.shape)
    return fracture_hazard(site, newtons, age, person.sex, events, ExposureParameters())
