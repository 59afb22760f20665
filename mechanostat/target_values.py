"""The model's number for each target, in the unit of the target: one pure function of the law's numbers."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fem.strength import COMPRESSIVE_LIMIT, TENSILE_LIMIT
from mechanostat.target_courses import Courses, Place, follow, prepare_courses
from mechanostat.target_quantities import relative_course
from mechanostat.targets import Reading, Target, read_readings, read_targets, read_trials
from meshes.material_laws import law_named, moduli
from remodel.parameters import Parameters

Quantity = tuple[str, str, str]
"""Quantity, site and instrument."""


class Recipe(NamedTuple):
    """How a target's number is taken from the courses."""

    reading: Reading
    arm: Place | None
    """None for what no trial moves."""
    against: Place | None


class ValidationPlan(eqx.Module):
    """All targets that the model can say something about, and what to compute for them."""

    courses: Courses
    recipes: tuple[Recipe, ...] = eqx.field(static=True)
    """One per covered target, in the order of the targets."""
    targets: tuple[Target, ...] = eqx.field(static=True)
    """The covered targets."""
    persons: int = eqx.field(static=True)
    """Persons in every trial."""


def prepare_validation() -> ValidationPlan:
    """Return what to compute for all targets that ship with the package.

    Raises:
        ValueError: If trials differ in their number of persons.
    """
    targets = {target.id: target for target in read_targets()}
    covered = [reading for reading in read_readings() if reading.covered]
    months: dict[str, int] = {}
    for reading in covered:
        if reading.trial:
            last = math.ceil(max(reading.months))
            months[reading.trial] = max(months.get(reading.trial, 0), last)
    trials = {name: trial for name, trial in read_trials().items() if name in months}
    counts = {trial.population.persons for trial in trials.values()}
    if len(counts) != 1:
        raise ValueError(f"all trials of the targets need as many persons, got {sorted(counts)}.")
    courses, places = prepare_courses(trials, months)
    recipes = tuple(
        Recipe(r, places.get((r.trial, r.arm)), places.get((r.trial, r.against))) for r in covered
    )
    return ValidationPlan(courses, recipes, tuple(targets[r.id] for r in covered), counts.pop())


def model_values(plan: ValidationPlan, parameters: Parameters) -> Float[Array, " targets"]:
    """Return the model's number for each covered target, the mean of its persons, in the target's unit.

    Pure, so that it can be compiled and differentiated with respect to the law's numbers.

    Args:
        plan: By `prepare_validation`.
        parameters: The law's numbers.
    """
    return jnp.mean(person_values(plan, parameters), axis=1)


def person_values(plan: ValidationPlan, parameters: Parameters) -> Float[Array, "targets persons"]:
    """Return the same for each person of the target's trial, in the target's unit.

    Args:
        plan: By `prepare_validation`.
        parameters: The law's numbers.
    """
    followed = follow(plan.courses, parameters)
    wanted: dict[tuple[int, Quantity], None] = {}
    for recipe in plan.recipes:
        for place in (recipe.arm, recipe.against):
            if place is not None:
                wanted[place.batch, _quantity(recipe.reading)] = None
    series = {
        (batch, quantity): jax.vmap(
            lambda person, course, quantity=quantity: relative_course(course, person, quantity, parameters)
        )(*followed[batch])
        for batch, quantity in wanted
    }
    return jnp.stack([_number(recipe, series, plan.persons) for recipe in plan.recipes])


def _number(
    recipe: Recipe, series: dict[tuple[int, Quantity], Float[Array, "lanes times"]], persons: int
) -> Float[Array, " persons"]:
    """Return the number of a target for each person."""
    reading, arm, against = recipe.reading, recipe.arm, recipe.against
    if arm is None:
        return jnp.full(persons, constant(reading))
    quantity = _quantity(reading)

    def rows(place: Place) -> Float[Array, "persons times"]:
        return series[place.batch, quantity][place.first : place.first + place.persons]

    own = [_at(rows(arm), month) for month in reading.months]
    first, last = reading.months[0], reading.months[-1]
    if against is None:
        return _alone(reading, own)
    other = [_at(rows(against), month) for month in reading.months]
    match reading.form:
        case "ratio of arms":
            return 100.0 * (own[0] / other[0] - 1.0)
        case "relative hazard":
            return _summed(rows(arm), first, last) / _summed(rows(against), first, last)
    difference = _change(own[0], own[1]) - _change(other[0], other[1])
    return 0.1 * difference if reading.form == "slope per 10" else difference


def _alone(reading: Reading, own: Sequence[Float[Array, " persons"]]) -> Float[Array, " persons"]:
    """Return the number of a target that one arm answers."""
    if reading.form == "ratio":
        return own[1] / own[0]
    if reading.form == "share":
        return 100.0 * (own[1] - own[0]) / (own[3] - own[2])
    change, months = _change(own[0], own[1]), reading.months[1] - reading.months[0]
    match reading.form:
        case "yearly rate":
            return 12.0 * change / months
        case "monthly rate":
            return change / months
    return change


def constant(reading: Reading) -> float:
    """Return a number that the engine takes in, in the unit of its target.

    Args:
        reading: With the form `constant`.

    Raises:
        ValueError: If the quantity is not known.
    """
    if reading.quantity.startswith("modulus at "):
        density = np.asarray([float(reading.quantity.split()[2])])
        return float(moduli(density, law_named(reading.site), floor=1e-3).modulus[0])
    known = {
        "tissue modulus": law_named("bone-fraction").factor / 1000.0,
        "compressive yield strain": 100.0 * COMPRESSIVE_LIMIT,
        "tensile yield strain": 100.0 * TENSILE_LIMIT,
    }
    if reading.quantity not in known:
        raise ValueError(f"`{reading.id}` asks for {reading.quantity!r}; known are {', '.join(known)}.")
    return known[reading.quantity]


def _quantity(reading: Reading) -> Quantity:
    return reading.quantity, reading.site, reading.instrument


def _change(first: Float[Array, " persons"], last: Float[Array, " persons"]) -> Float[Array, " persons"]:
    """Return a change [%]."""
    return 100.0 * (last / first - 1.0)


def _at(rows: Float[Array, "persons times"], month: float) -> Float[Array, " persons"]:
    """Return the value at a month, on the line between the samples beside it."""
    whole = min(math.floor(month), rows.shape[1] - 2)
    return rows[:, whole] + (month - whole) * (rows[:, whole + 1] - rows[:, whole])


def _summed(rows: Float[Array, "persons times"], first: float, last: float) -> Float[Array, " persons"]:
    """Return the trapezoidal sum between two months."""
    part = rows[:, int(first) : int(last) + 1]
    return jnp.sum(0.5 * (part[:, 1:] + part[:, :-1]), axis=1)
