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
from remodel.tissue import Circumstances, Tissue, advance_with_turnover
from remodel.treatment import Protocol


class Course(eqx.Module):
    """Single elements at sample times, and what these times brought."""

    day: Float[Array, " times"]
    """Day of the study [day]."""
    tissue: Tissue
    """State, with a leading axis of times."""
    resorption: Float[Array, "times elements"]
    """Resorption in the last step before each time [1/day]."""
    formation: Float[Array, "times elements"]
    """Formation in the last step before each time [1/day]."""
    brought: Circumstances
    """Hormones, drugs, load and age in that step."""


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


def circumstances(
    person: Person,
    protocol: Protocol,
    plan: ActivityPlan,
    days: Float[Array, " times"],
    parameters: Parameters,
) -> Circumstances:
    """Return what some days bring to bone whose strain comes from a given stress.

    Args:
        person: Whose hormones and age.
        protocol: Treatments.
        plan: Activities; strain counts as equal in all load cases.
        days: Days of the study, rising [day].
        parameters: The law's numbers.
    """
    age = age_on(person, days)
    activity = jax.vmap(lambda day: activity_ratio(plan, day, parameters))(days)
    return Circumstances(
        hormone_signals(person, protocol, days, parameters),
        load_at_age(age, parameters) * activity,
        age,
    )


def simulate(
    tissue: Tissue,
    reference: Tissue,
    days: Circumstances,
    time_step: Scalar,
    parameters: Parameters,
) -> tuple[Tissue, Float[Array, " elements"], Float[Array, " elements"]]:
    """Return single elements after some steps, and the resorption and formation of the last one [1/day].

    Args:
        tissue: State before the first step.
        reference: State in which the stimulus was the reference, as a rule that at 30.
        days: What the middle of each step brings, with a leading axis of steps.
        time_step: Length of each step [day]; keep it at 4 days or less.
        parameters: The law's numbers.
    """

    def step(carry, now):
        tissue, _, _ = carry
        ratio = stress_controlled_log_ratio(tissue, reference, parameters)
        return advance_with_turnover(tissue, ratio, now, time_step, parameters), None

    none = jnp.zeros_like(tissue.volume_fraction)
    after, _ = jax.lax.scan(step, (tissue, none, none), days)
    return after


def course(
    tissue: Tissue,
    reference: Tissue,
    person: Person,
    protocol: Protocol,
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
        protocol: Treatments.
        plan: Activities; strain counts as equal in all load cases.
        parameters: The law's numbers.
        start_day: First day, counted from day 0 of the study, may be negative [day].
        interval: Time between samples [day].
        samples: Number of intervals.
        steps: Steps in each interval.
    """
    start, length = jnp.asarray(start_day, dtype=float), jnp.asarray(interval, dtype=float)
    time_step = length / steps
    middles = start + (jnp.arange(samples * steps, dtype=float) + 0.5) * time_step
    brought = circumstances(person, protocol, plan, middles, parameters)
    by_sample = jax.tree.map(lambda row: row.reshape(samples, steps), brought)

    def next_sample(tissue, days):
        after, resorption, formation = simulate(tissue, reference, days, time_step, parameters)
        return after, (after, resorption, formation)

    _, (sampled, resorption, formation) = jax.lax.scan(next_sample, tissue, by_sample)
    ends = start + (jnp.arange(samples, dtype=float) + 1.0) * length
    last = jax.tree.map(lambda row: row[:, -1], by_sample)
    return Course(ends, sampled, resorption, formation, last)
