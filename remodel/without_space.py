"""What the law says of a bone without space: each element alone under constant stress.

The curve beside that of a run in three dimensions. Where they part, neighbours have taken load from each other
or given it, or the bone's own geometry has changed how strain follows density.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.activity import ActivityPlan
from remodel.history import single_elements
from remodel.mineral import modulus_ratio
from remodel.parameters import Parameters, Scalar
from remodel.person import Person
from remodel.single_element import course
from remodel.treatment import Protocol


class WithoutSpace(eqx.Module):
    """Means over a bone whose elements know nothing of each other, relative to day 0."""

    day: Float[Array, " times"]
    """[day]"""
    volume: Float[Array, " times"]
    """Bone volume [-]."""
    mineral: Float[Array, " times"]
    """Mineral [-]."""
    stiffness: Float[Array, " times"]
    """Stiffness of the elements side by side, all under the same strain: what strength follows without mechanics
    [-]."""


@eqx.filter_jit
def course_without_space(
    person: Person,
    protocol: Protocol,
    plan: ActivityPlan,
    parameters: Parameters,
    volume_fraction: Float[Array, " elements"],
    modulus: Float[Array, " elements"],
    *,
    interval: Scalar,
    samples: int,
    steps: int,
) -> WithoutSpace:
    """Return how a bone would change if each of its elements lived alone under constant stress.

    Single elements of many densities are followed; the bone's own densities look up in them what became of theirs.

    Args:
        person: Whose bone.
        protocol: Treatments.
        plan: Activities.
        parameters: The law's numbers.
        volume_fraction: Of the bone on day 0 [-].
        modulus: Young's modulus of the bone on day 0; its unit has no meaning here.
        interval: Time between samples [day].
        samples: Number of intervals.
        steps: Steps of the law in each.
    """
    young, today = single_elements(person, protocol, parameters)
    after = course(
        today,
        young,
        person,
        protocol,
        plan,
        parameters,
        start_day=0.0,
        interval=interval,
        samples=samples,
        steps=steps,
    )

    def course_of(
        share: Float[Array, " elements"], start: Float[Array, " nodes"], rows: Float[Array, "later nodes"]
    ) -> Float[Array, " later+1"]:
        def total(column: Float[Array, " nodes"]) -> Float[Array, ""]:
            return jnp.sum(share * jnp.interp(volume_fraction, today.volume_fraction, column))

        totals = jax.vmap(total)(jnp.concatenate([start[None], rows]))
        return totals / totals[0]

    stiffer = jax.vmap(lambda matrix: modulus_ratio(matrix, today.matrix, parameters))(after.tissue.matrix)
    every = jnp.ones_like(volume_fraction)
    return WithoutSpace(
        jnp.concatenate([jnp.zeros(1, dtype=float), after.day]),
        course_of(every, today.volume_fraction, after.tissue.volume_fraction),
        course_of(every, today.mineral, after.tissue.mineral),
        course_of(modulus, jnp.ones_like(today.volume_fraction), stiffer),
    )
