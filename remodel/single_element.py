"""The model without space: single elements under constant stress, forty years in milliseconds.

Stress is given, so strain follows the element's own stiffness: what softens is strained more and recovers.
The parameters were fitted with this model; it starts the history of a person (`history.py`) and is the
systemic skeleton that serum markers come from (`observation.py`).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.activity import ActivityPlan, cycle_weights, habitual_cycle_weights, load_at_age
from remodel.hormones import hormone_signals
from remodel.mineral import modulus_ratio
from remodel.parameters import Parameters, Scalar
from remodel.person import Person, age_on
from remodel.tissue import Tissue, advance_with_turnover
from remodel.treatment import Protocol


class Course(eqx.Module):
    """Single elements at sample times."""

    day: Float[Array, " times"]
    """Day of the study [day]."""
    tissue: Tissue
    """State, with a leading axis of times."""
    resorption: Float[Array, "times elements"]
    """Resorption in the last step before each time [1/day]."""
    formation: Float[Array, "times elements"]
    """Formation in the last step before each time [1/day]."""


def stress_controlled_log_ratio(
    tissue: Tissue, reference: Tissue, parameters: Parameters
) -> Float[Array, " elements"]:
    """Return ln(S / S_ref) of elements under constant stress: minus that of their modulus [-].

    Args:
        tissue: Present state.
        reference: State in which the stimulus was the reference.
        parameters: Exponents of the modulus.
    """
    return -jnp.log(modulus_ratio(tissue.matrix, reference.matrix, parameters))


def activity_ratio(plan: ActivityPlan, day: Scalar, parameters: Parameters) -> Float[Array, ""]:
    """Return the daily stimulus relative to habitual life, for equal strain in all load cases [-]."""
    today = jnp.sum(cycle_weights(plan, day, parameters))
    habitual = jnp.sum(habitual_cycle_weights(plan, parameters))
    return (today / habitual) ** (1.0 / parameters.strain_exponent)


def simulate(
    tissue: Tissue,
    reference: Tissue,
    person: Person,
    therapy: Protocol,
    plan: ActivityPlan,
    parameters: Parameters,
    *,
    start_day: Scalar,
    stop_day: Scalar,
    steps: int,
) -> tuple[Tissue, Float[Array, " elements"], Float[Array, " elements"]]:
    """Return single elements after a time, and the resorption and formation of the last step [1/day].

    Args:
        tissue: State at `start_day`.
        reference: State in which the stimulus was the reference, as a rule that at 30.
        person: Whose hormones and age.
        therapy: What is given.
        plan: Activities; strain counts as equal in all load cases.
        parameters: The law's numbers.
        start_day: First day, counted from day 0 of the study, may be negative [day].
        stop_day: Last day [day].
        steps: Number of equal steps; keep them at 4 days or less.
    """
    start = jnp.asarray(start_day, dtype=float)
    time_step = (jnp.asarray(stop_day, dtype=float) - start) / steps

    def step(carry, index):
        tissue, _, _ = carry
        day = start + (index.astype(start.dtype) + 0.5) * time_step
        age = age_on(person, day)
        return advance_with_turnover(
            tissue,
            stress_controlled_log_ratio(tissue, reference, parameters),
            hormone_signals(person, therapy, day, parameters),
            load_at_age(age, parameters) * activity_ratio(plan, day, parameters),
            age,
            time_step,
            parameters,
        ), None

    none = jnp.zeros_like(tissue.volume_fraction)
    after, _ = jax.lax.scan(step, (tissue, none, none), jnp.arange(steps))
    return after


def course(
    tissue: Tissue,
    reference: Tissue,
    person: Person,
    therapy: Protocol,
    plan: ActivityPlan,
    parameters: Parameters,
    *,
    start_day: Scalar,
    interval: Scalar,
    samples: int,
    steps: int,
) -> Course:
    """Return single elements at the ends of equal intervals.

    Args:
        tissue: State at `start_day`.
        reference: State in which the stimulus was the reference.
        person: Whose hormones and age.
        therapy: What is given.
        plan: Activities.
        parameters: The law's numbers.
        start_day: First day, counted from day 0 of the study, may be negative [day].
        interval: Time between samples [day].
        samples: Number of intervals.
        steps: Steps in each interval.
    """
    start, length = jnp.asarray(start_day, dtype=float), jnp.asarray(interval, dtype=float)

    def next_sample(tissue, index):
        day = start + index.astype(start.dtype) * length
        after, resorption, formation = simulate(
            tissue,
            reference,
            person,
            therapy,
            plan,
            parameters,
            start_day=day,
            stop_day=day + length,
            steps=steps,
        )
        return after, (day + length, after, resorption, formation)

    _, sampled = jax.lax.scan(next_sample, tissue, jnp.arange(samples))
    return Course(*sampled)
