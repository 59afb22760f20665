"""The persons of a virtual trial: distributions of age, menopause, weight and laboratory values, drawn evenly.

The draw is a scrambled Sobol sequence, which fills all distributions at once more evenly than random numbers do.
Each number of a person has its own axis of it, so that a trial which gives one more distribution, or draws the
law's numbers, too, keeps what else its persons have.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.stats import qmc

from remodel.parameters import Parameters
from remodel.person import Person
from remodel.treatment import Protocol

MENOPAUSE_AGES = (30.0, 65.0)
"""Ages at the final menstrual period that `Person` accepts [year]."""

QUANTITIES = tuple(field.name for field in fields(Person) if field.name != "sex")
"""The numbers of a person that can have a distribution."""


class Fixed(eqx.Module):
    """The same value in everybody."""

    value: float = eqx.field(static=True)


class TruncatedNormal(eqx.Module):
    """A normal distribution of which only a range is kept."""

    mean: float = eqx.field(static=True)
    """Mean before the cut."""
    sd: float = eqx.field(static=True)
    """Standard deviation before the cut."""
    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)

    def __check_init__(self):
        if not self.sd > 0.0:
            raise ValueError(
                f"`sd` must be positive, got {self.sd:g}; give a number alone for a fixed value."
            )
        if not self.low < self.high:
            raise ValueError(f"`low` must be below `high`, got {self.low:g} and {self.high:g}.")
        if not self.low <= self.mean <= self.high:
            raise ValueError(
                f"`mean` must lie between `low` and `high`, got {self.mean:g} outside "
                f"{self.low:g} to {self.high:g}."
            )


class Uniform(eqx.Module):
    """Every value of a range alike."""

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)

    def __check_init__(self):
        if not self.low < self.high:
            raise ValueError(f"`low` must be below `high`, got {self.low:g} and {self.high:g}.")


Distribution = Fixed | TruncatedNormal | Uniform


class Population(eqx.Module):
    """Who takes part in a trial."""

    persons: int = eqx.field(static=True)
    """How many."""
    sex: Literal["female", "male"] = eqx.field(static=True)
    """Sex of all."""
    quantities: Mapping[str, Distribution]
    """Distributions by fields of `Person`, `age` among them; the others stay at the defaults of `Person`."""
    years_since_menopause: Distribution | None = None
    """Time since the final menstrual period on day 0, in place of the age at it [year]."""
    before: Protocol = ()
    """Treatments of everybody that began before day 0."""
    draws: Parameters | None = None
    """Draws of the law's numbers, every leaf with an axis of draws; each person gets one. The defaults, the same
    for all, if absent."""
    seed: int = eqx.field(static=True, default=1)
    """What the scrambling of the sequence starts from; the same seed gives the same persons."""

    def __check_init__(self):
        if self.persons < 2:
            raise ValueError(f"`persons` must be at least 2, so that they have a spread, got {self.persons}.")
        unknown = sorted(self.quantities.keys() - set(QUANTITIES))
        if unknown:
            raise ValueError(f"`quantities` are fields of `Person`: {', '.join(QUANTITIES)}; got {unknown}.")
        if "age" not in self.quantities:
            raise ValueError("`quantities` need `age`, in years.")
        if self.years_since_menopause is not None:
            if self.sex == "male":
                raise ValueError("`years_since_menopause` is for women; leave it out.")
            if "final_menstrual_period" in self.quantities:
                raise ValueError(
                    "give one of `years_since_menopause` and `final_menstrual_period`, not both."
                )
        for name, distribution in self.quantities.items():
            check_quantity(name, distribution, self.sex)


def ends(distribution: Distribution) -> tuple[float, float]:
    """Return the lowest and the highest value of a distribution, in its unit."""
    if isinstance(distribution, Fixed):
        return distribution.value, distribution.value
    return distribution.low, distribution.high


def check_quantity(name: str, distribution: Distribution, sex: Literal["female", "male"]) -> None:
    """Refuse a distribution that reaches beyond what `Person` accepts.

    Args:
        name: Field of `Person`.
        distribution: Its distribution.
        sex: Of the persons.

    Raises:
        ValueError: With the words of `Person`.
    """
    for value in ends(distribution):
        Person(sex, **({"age": 50.0} | {name: value}))


def quantile(
    distribution: Distribution, share: Float[np.ndarray, " persons"]
) -> Float[np.ndarray, " persons"]:
    """Return the values below which shares of a distribution lie, in its unit.

    Args:
        distribution: Which.
        share: Shares, between 0 and 1 [-].
    """
    if isinstance(distribution, Fixed):
        return np.full_like(share, distribution.value)
    frozen = _frozen(distribution)
    return np.clip(frozen.ppf(share), distribution.low, distribution.high)


def draw_persons(population: Population) -> Person:
    """Return the persons of a population as one record, its numbers arrays with an axis of persons.

    Args:
        population: Who they are.

    Raises:
        ValueError: Where no age at menopause fits an age and the years since.
    """
    shares = dict(zip(QUANTITIES, _shares(population).T[1:], strict=True))
    drawn = {name: quantile(dist, shares[name]) for name, dist in population.quantities.items()}
    if population.years_since_menopause is not None:
        drawn["final_menstrual_period"] = drawn["age"] - _years_since(
            population.years_since_menopause, drawn["age"], shares["final_menstrual_period"]
        )
    others = Person(population.sex, 50.0)
    numbers = {name: getattr(others, name) for name in QUANTITIES} | drawn
    stacked = {
        name: None
        if number is None
        else jnp.broadcast_to(jnp.asarray(number, dtype=float), (population.persons,))
        for name, number in numbers.items()
    }
    return jax.vmap(lambda person: Person(sex=population.sex, **person))(stacked)


def draw_parameters(population: Population) -> Parameters | None:
    """Return a draw of the law's numbers for each person, or nothing where all have the defaults.

    Args:
        population: Who they are.
    """
    if population.draws is None:
        return None
    count = jax.tree.leaves(population.draws)[0].shape[0]
    chosen = np.minimum((_shares(population)[:, 0] * count).astype(int), count - 1)
    return jax.tree.map(lambda leaf: leaf[chosen], population.draws)


def _shares(population: Population) -> Float[np.ndarray, "persons axes"]:
    """Return the points of the sequence: an axis for the draw of the law's numbers, then one per quantity.

    The draw has an axis of its own: taken in turn it would go with age, because neighbours in a Sobol
    sequence lie apart by design.
    """
    generator = np.random.default_rng(population.seed)
    axes = 1 + len(QUANTITIES)
    # `rng` in its place would need scipy 1.15.
    sequence = qmc.Sobol(axes, scramble=True, seed=generator)  # pyright: ignore[reportCallIssue]
    # Made as a power of two, for which the sequence is even; its beginning is the sequence for fewer persons.
    return sequence.random_base2(math.ceil(math.log2(population.persons)))[: population.persons]


def _years_since(
    distribution: Distribution, age: Float[np.ndarray, " persons"], share: Float[np.ndarray, " persons"]
) -> Float[np.ndarray, " persons"]:
    """Return the years since menopause, given that it came between 30 and 65 [year]."""
    first, last = age - MENOPAUSE_AGES[1], age - MENOPAUSE_AGES[0]
    if isinstance(distribution, Fixed):
        years, fits = (
            quantile(distribution, share),
            (first <= distribution.value) & (distribution.value <= last),
        )
    else:
        frozen = _frozen(distribution)
        below = frozen.cdf(first)
        inside = frozen.cdf(last) - below
        fits = inside > 0.0
        years = np.clip(frozen.ppf(below + share * inside), first, last)
    if not np.all(fits):
        worst = float(age[np.flatnonzero(~fits)[0]])
        raise ValueError(
            f"`years_since_menopause` leaves no age at menopause between 30 and 65 for a woman of {worst:.1f}; "
            "change it, or the range of `age`."
        )
    return years


def _frozen(distribution: TruncatedNormal | Uniform):
    """Return a distribution of scipy's."""
    low, high = distribution.low, distribution.high
    if isinstance(distribution, Uniform):
        return stats.uniform(low, high - low)
    mean, sd = distribution.mean, distribution.sd
    return stats.truncnorm((low - mean) / sd, (high - mean) / sd, loc=mean, scale=sd)
