"""Quantities of a course that targets are told in: those of trials, cross-sections, porosity, hazards."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.fracture import ExposureParameters, Site, fracture_hazard, hip, vertebra, wrist
from remodel.mechanostat_curve import gain, response
from remodel.outcomes import QUANTITIES as TRIAL_QUANTITIES
from remodel.outcomes import READ_BY, Outcome, outcome_readings
from remodel.parameters import Parameters
from remodel.periosteum import PeriostealParameters, Section, Tube, periosteal_velocity, section
from remodel.person import DAYS_PER_YEAR, Person, age_on
from remodel.skeleton import PersonCourse, strength
from remodel.tissue import Circumstances, log_stimulus_ratio
from remodel.turnover import active_surface

NECK_OUTER, NECK_INNER = 16.0, 13.5
"""Radii of the femoral neck as a tube at the start of a trial [mm]. Assumed: a thin tube of the width of the neck."""
TRABECULAR, COMPACT, ENDOCORTICAL = 0, 1, 2
"""Places of the compartments in a course."""

HAZARDS: dict[str, tuple[Site, str, float]] = {
    "hip fracture hazard": (hip(), "total hip", 4500.0),
    "vertebral fracture hazard": (vertebra(), "lumbar spine", 7000.0),
    "wrist fracture hazard": (wrist(), "distal radius", 3300.0),
}
"""What breaks, the site whose strength counts, and its failure load at 30 [N]. The loads are assumed, so that an old
skeleton comes to the loads that `remodel/fracture.py` was set by."""

SECTION = {
    "outer diameter": lambda s: s.outer_diameter,
    "total area": lambda s: s.total_area,
    "cross-sectional area": lambda s: s.area,
    "section modulus": lambda s: s.section_modulus,
    "areal density of the section": lambda s: s.area / s.outer_diameter,
}
"""Quantities of the femoral neck as a tube."""

QUANTITIES = (*TRIAL_QUANTITIES, "resorption", "bone volume fraction", "porosity", *SECTION, *HAZARDS)
"""Everything that a target can be told in by a course."""


def relative_course(
    course: PersonCourse, person: Person, quantity: tuple[str, str, str], parameters: Parameters
) -> Float[Array, " times"]:
    """Return a quantity at each time of a course relative to day 0 [-]; a hazard as it is [1/year].

    Args:
        course: Of one person, from day 0 on.
        person: The person.
        quantity: One of `QUANTITIES`, its site and instrument; empty where they have no meaning.
        parameters: The law's numbers.
    """
    name, site, instrument = quantity
    if name in TRIAL_QUANTITIES:
        outcome = Outcome(name, site if name in READ_BY else None, instrument or "true")
        values = outcome_readings(course, outcome, person, parameters)
    elif name in HAZARDS:
        return hazard(course, person, name, parameters)
    elif name in SECTION:
        values = SECTION[name](neck_section(course, person, parameters))
    elif name == "resorption":
        values = course.resorption_marker ** (1.0 / parameters.resorption_marker_exponent)
    else:
        fraction = course.volume_fraction[:, COMPACT if site == "compact bone" else TRABECULAR]
        values = 1.0 - fraction if name == "porosity" else fraction
    return values / values[0]


def hazard(course: PersonCourse, person: Person, name: str, parameters: Parameters) -> Float[Array, " times"]:
    """Return a hazard of `HAZARDS` by the strength surrogate, exposure unchanged [1/year]."""
    site, place, young = HAZARDS[name]
    newtons = young * strength(course, place, parameters)
    age = age_on(person, course.day)
    return fracture_hazard(site, newtons, age, person.sex, jnp.ones_like(age), ExposureParameters())


def neck_section(course: PersonCourse, person: Person, parameters: Parameters) -> Section:
    """Return the cross-section of the femoral neck at each time, a round tube of compact bone.

    Its outer surface moves by `periosteal_velocity` under the strain of compact bone, its inner one by
    what the endocortical compartment gains: `A df / S`, as in `periosteum.endocortical_velocity`.
    """
    numbers = PeriostealParameters()
    outward = _between(_periosteal(course, person, parameters, numbers)) * jnp.diff(course.day)
    fraction = course.volume_fraction[:, ENDOCORTICAL]
    inward = numbers.endocortical_factor * jnp.diff(fraction) / _between(active_surface(fraction, parameters))
    outer = NECK_OUTER + _total(outward)
    tube = Tube(outer, jnp.clip(NECK_INNER - _total(inward), 0.0, outer))
    return section(tube, course.mineral[:, COMPACT] / course.mineral[0, COMPACT])


def _periosteal(
    course: PersonCourse, person: Person, parameters: Parameters, numbers: PeriostealParameters
) -> Float[Array, " times"]:
    """Return the velocity of the outer surface [mm/day]."""
    brought = course.brought
    signals = brought.signals

    def answer(modulus: Float[Array, ""], now: Circumstances) -> Float[Array, ""]:
        strained = log_stimulus_ratio(-jnp.log(modulus[None]), now, parameters)
        return response(strained, gain(now.signals, parameters), parameters)[0]

    since = age_on(person, course.day) - person.final_menstrual_period
    return periosteal_velocity(
        signals.estrogen_deficit,
        since if person.sex == "female" else jnp.full_like(since, 1e3 * DAYS_PER_YEAR),
        signals.igf1_ratio,
        -signals.androgen_deficit,
        jax.vmap(answer)(course.modulus[:, COMPACT], brought),
        numbers,
        formation_gain=parameters.formation_gain,
    )


def _between(values: Float[Array, " times"]) -> Float[Array, " intervals"]:
    return 0.5 * (values[1:] + values[:-1])


def _total(pieces: Float[Array, " intervals"]) -> Float[Array, " times"]:
    return jnp.concatenate([jnp.zeros_like(pieces[:1]), jnp.cumsum(pieces)])
