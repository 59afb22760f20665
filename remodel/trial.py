"""Virtual trials: the same persons in every arm, followed month by month, and what the arms differ in.

The persons of one arm are twins of those of another, so that a difference between arms is the mean of
differences within pairs: no chance of allocation is in it. What varies is the persons, not their reading: noise
of instruments and drop-out are left out.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from remodel.activity import ActivityPlan, habitual_life
from remodel.outcomes import LEVELS, Outcome, is_change, outcome_readings
from remodel.parameters import Parameters, Scalar
from remodel.person import Person
from remodel.population import Population, draw_parameters, draw_persons
from remodel.skeleton import DayZero, day_zero, follow_from
from remodel.treatment import Protocol

BATCH = 512
"""Persons that are followed at once by one processor: 10 000 persons over ten years then need about as much memory
for their results as for their course."""

DEVIATIONS = float(stats.norm.ppf(0.975))
"""Half-width of a 95 % interval of the normal distribution [standard deviations]."""

Values = Float[np.ndarray, "persons times outcomes"]


class Arm(eqx.Module):
    """What some persons of a trial are given and do."""

    name: str = eqx.field(static=True)
    protocol: Protocol = ()
    """Treatments of the arm, beside those that began before day 0."""
    plan: ActivityPlan = eqx.field(default_factory=lambda: habitual_life(1))
    """Activities."""
    exposure: Scalar = 1.0
    """What the arm multiplies falls and lifts by [-]."""


class Trial(eqx.Module):
    """A virtual trial."""

    population: Population
    arms: tuple[Arm, ...]
    """Arms; differences are to the first."""
    visits: tuple[int, ...] = eqx.field(static=True)
    """Months after day 0 at which outcomes count, rising; day 0 is always one."""
    outcomes: tuple[Outcome, ...]
    """What is measured."""

    def __check_init__(self):
        if not self.arms or not self.outcomes:
            raise ValueError("a trial needs at least one arm and one outcome.")
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"each arm needs a name of its own, got {names}.")
        if not self.visits or self.visits[0] < 1 or any(np.diff(self.visits) < 1):
            raise ValueError(
                f"`visits` are months after day 0, rising, got {self.visits}; day 0 is always one."
            )


class Statistics(eqx.Module):
    """How persons are spread, at each month and for each outcome, in the unit of the outcome."""

    mean: Float[np.ndarray, "times outcomes"]
    mean_low: Float[np.ndarray, "times outcomes"]
    """Lower end of the 95 % interval of the mean, normal."""
    mean_high: Float[np.ndarray, "times outcomes"]
    """Upper end of it."""
    sd: Float[np.ndarray, "times outcomes"]
    """Standard deviation of persons."""
    low: Float[np.ndarray, "times outcomes"]
    """2.5th percentile of persons."""
    high: Float[np.ndarray, "times outcomes"]
    """97.5th percentile of persons."""


class ArmResult(eqx.Module):
    """What became of the persons of an arm."""

    name: str = eqx.field(static=True)
    outcomes: Statistics
    """By month from day 0 on, and outcome."""
    difference: Statistics
    """Of the differences within pairs to the first arm, which are zero in the first arm itself."""
    levels: Statistics
    """Hormones and drugs in serum by month and, in place of the outcome, by name of `LEVELS`."""
    values: Values
    """Outcomes of each person at day 0 and the visits."""


class TrialResult(eqx.Module):
    """A finished trial."""

    months: tuple[int, ...] = eqx.field(static=True)
    """Months of the statistics: 0, 1, 2 and so on."""
    visits: tuple[int, ...] = eqx.field(static=True)
    """Day 0 and the visits, as months; also their places in the statistics."""
    outcomes: tuple[Outcome, ...]
    persons: Person
    """The persons, their numbers with an axis of persons."""
    arms: tuple[ArmResult, ...]


def run_trial(
    trial: Trial, parameters: Parameters | None = None, *, told: Callable[[int], None] = lambda persons: None
) -> TrialResult:
    """Return what becomes of the persons of a trial in each of its arms.

    Years from 30 to day 0 are the same in all arms and computed once. Batches of persons run side by side on the
    processors.

    Args:
        trial: The trial.
        parameters: The law's numbers; the defaults if absent. The draws of a population go before them.
        told: Called with the number of persons that have been followed since the last call, once for day 0 and
            once for each arm.
    """
    population = trial.population
    persons, drawn = draw_persons(population), draw_parameters(population)
    law = _numbers(Parameters() if parameters is None else parameters) if drawn is None else drawn
    before, months = _numbers(population.before), trial.visits[-1]
    size = min(BATCH, -(-population.persons // _processors()))
    axis = None if drawn is None else 0

    def batch(start: int) -> tuple[Person, Parameters]:
        # The last batch is filled up with its last person: all batches are one compiled program.
        rows = np.minimum(np.arange(start, start + size), population.persons - 1)
        chosen = jax.tree.map(lambda leaf: leaf[rows], (persons, law) if axis == 0 else (persons, ()))
        return chosen if axis == 0 else (chosen[0], law)

    def begin(start: int) -> DayZero:
        return jax.block_until_ready(_begin(*batch(start), before, axis=axis))

    def follow(arm: Arm, start: int) -> tuple[np.ndarray, np.ndarray]:
        found = _follow(starts[start], *batch(start), before, arm, trial.outcomes, months=months, axis=axis)
        return jax.tree.map(np.asarray, found)

    def side_by_side(work: Callable) -> list:
        done = []
        for start, result in zip(places, _side_by_side(work, places), strict=True):
            told(min(size, population.persons - start))
            done.append(result)
        return done

    places = range(0, population.persons, size)
    starts = dict(zip(places, side_by_side(begin), strict=True))
    visits, arms, first = (0, *trial.visits), [], None
    for arm in trial.arms:
        pieces = side_by_side(partial(follow, _numbers(arm)))
        outcomes, levels = (
            np.concatenate(column)[: population.persons] for column in zip(*pieces, strict=True)
        )
        outcomes = _told(outcomes, trial.outcomes)
        first = outcomes if first is None else first
        arms.append(
            ArmResult(
                arm.name,
                statistics(outcomes),
                statistics(outcomes - first),
                statistics(levels),
                outcomes[:, list(visits)],
            )
        )
    return TrialResult(tuple(range(months + 1)), visits, trial.outcomes, persons, tuple(arms))


def statistics(values: Values) -> Statistics:
    """Return how values are spread over persons.

    The interval of the mean is `mean ± 1.96 sd / sqrt(n)`, as of independent persons. A Sobol sequence knows the mean
    of its population better than that; the interval is what as many real persons would leave open.

    Args:
        values: Of at least two persons.
    """
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
    half = DEVIATIONS * sd / np.sqrt(values.shape[0])
    low, high = np.quantile(values, (0.025, 0.975), axis=0)
    return Statistics(mean, mean - half, mean + half, sd, low, high)


@partial(jax.jit, static_argnames="axis")
def _begin(persons: Person, parameters: Parameters, before: Protocol, *, axis: int | None) -> DayZero:
    return jax.vmap(day_zero, (0, None, axis))(persons, before, parameters)


@partial(jax.jit, static_argnames=("months", "axis"))
def _follow(
    starts: DayZero,
    persons: Person,
    parameters: Parameters,
    before: Protocol,
    arm: Arm,
    outcomes: tuple[Outcome, ...],
    *,
    months: int,
    axis: int | None,
) -> tuple[Float[Array, "persons times outcomes"], Float[Array, "persons times levels"]]:
    """Return outcomes and levels of some persons from day 0 on, month by month."""

    def one(start: DayZero, person: Person, parameters: Parameters) -> tuple[Array, Array]:
        protocol = (*before, *arm.protocol)
        course = follow_from(start, person, protocol, arm.plan, parameters, months=months)
        columns = [
            outcome_readings(course, outcome, person, parameters, exposure=arm.exposure)
            for outcome in outcomes
        ]
        levels = [getattr(course.brought.signals, name) for name in LEVELS]
        return jnp.stack(columns, axis=-1), jnp.stack(levels, axis=-1)

    return jax.vmap(one, (0, 0, axis))(starts, persons, parameters)


def _told(readings: Values, outcomes: tuple[Outcome, ...]) -> Values:
    """Return levels and risks as they are, all else as change since day 0 in percent, there exactly 0."""
    relative = np.array([is_change(outcome) for outcome in outcomes])
    start = readings[:, :1]
    return np.where(relative, 100.0 * (readings - start) / np.where(relative, start, 1.0), readings)


def _side_by_side(work: Callable, places: Iterable[int]) -> Iterator[Any]:
    """Yield what work makes of each place, in order; the first alone, because it compiles, the others in threads."""
    first, *others = places
    yield work(first)
    with ThreadPoolExecutor(_processors()) as pool:
        yield from pool.map(work, others)


def _processors() -> int:
    return os.cpu_count() or 1


def _numbers(record: Any) -> Any:
    """Return a record whose numbers are arrays, so that other numbers need no other program."""
    return jax.tree.map(lambda number: jnp.asarray(number, dtype=float), record)
