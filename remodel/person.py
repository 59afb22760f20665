"""The person whose bone it is: sex, age, menopause, surgery, laboratory values, diet."""

import math
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Scalar

DAYS_PER_YEAR = 365.25
NEVER = math.inf
WEIGHT = {"female": 60.0, "male": 80.0}
"""Body weight where none is given [kg]. Women: that of the denosumab model, Martínez-Reina & Pivonka 2019, Math.
Biosci. Eng. 16:2063-2089. Men: assumed."""


class Person(eqx.Module):
    """A person at the start of the study, the day of the scan.

    Day 0 of a study is that day; days before it are negative. Numbers are leaves: a cohort of one sex is a
    map. A laboratory value is that of day 0 without treatment; the natural curve of its hormone is scaled to
    pass through it, for all ages alike.
    """

    sex: Literal["female", "male"] = eqx.field(static=True)
    """Sex, which selects the hormone curves."""
    age: Scalar
    """Age on day 0 [year]."""
    final_menstrual_period: Scalar = 51.0
    """Age at the final menstrual period, past or to come; without meaning in men [year]."""
    oophorectomy: Scalar = NEVER
    """Age at removal of both ovaries, `NEVER` without [year]."""
    orchiectomy: Scalar = NEVER
    """Age at removal of both testes, `NEVER` without [year]."""
    weight: Scalar | None = None
    """Body weight; that of `WEIGHT` if absent [kg]."""
    perimenopause_years: Scalar = 2.0
    """Width of the fall of estradiol around the final menstrual period, four times the scale of its logistic
    [year]. The default is that of the curve fitted to bone loss (`remodel/natural_history.py`)."""
    estradiol: Scalar | None = None
    """Estradiol, laboratory value [pg/ml, mass spectrometry]; immunoassays read 5 to 10 too high in men and
    after menopause."""
    testosterone: Scalar | None = None
    """Testosterone, laboratory value [ng/dl]."""
    igf1: Scalar | None = None
    """IGF-1, laboratory value [ng/ml]."""
    vitamin_d: Scalar = 30.0
    """25-hydroxyvitamin D [ng/ml]. Default: replete, the reference of the model."""
    calcium_mg_per_day: Scalar = 1000.0
    """Calcium in the diet [mg/day]. Default: recommended intake, the reference of the model."""
    hypogonadism: Scalar = 0.0
    """Share of the natural testosterone that is lost, at all ages [-]."""
    growth_hormone_deficiency: Scalar = 0.0
    """Share of the natural IGF-1 that is lost, at all ages [-]."""
    nutrition: Scalar = 1.0
    """What protein, magnesium, zinc and vitamin K multiply bone balance by [-]. Not validated."""

    def __check_init__(self):
        if self.sex not in WEIGHT:
            raise ValueError(f"`sex` selects the hormone curves, got {self.sex!r}; give 'female' or 'male'.")
        for name, (low, high, unit, advice) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high, unit, advice)
        _check_surgery("oophorectomy", self.oophorectomy, "ovaries", "female", self.sex)
        _check_surgery("orchiectomy", self.orchiectomy, "testes", "male", self.sex)


def age_on(person: Person, day: Scalar | Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the age on days of the study [year].

    Computed from the day count each time, never accumulated, in the widest float that JAX has switched on: in
    float32 an age of 60 years is then good to a few minutes.

    Args:
        person: Whose age.
        day: Days since the start of the study, negative before it [day].
    """
    return jnp.asarray(day, dtype=float) / DAYS_PER_YEAR + jnp.asarray(person.age, dtype=float)


def years_since_menopause(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the time since the final menstrual period or the removal of the ovaries, the earlier one [year].

    Negative before it; infinite in men.

    Args:
        person: Whose.
        age: Age at which it is asked [year].
    """
    if person.sex == "male":
        return jnp.full_like(age, jnp.inf)
    end = jnp.minimum(
        jnp.asarray(person.final_menstrual_period, age.dtype), jnp.asarray(person.oophorectomy, age.dtype)
    )
    return age - end


def body_weight(person: Person) -> Scalar:
    """Return the body weight, the usual one of the sex if it was not given [kg]."""
    return WEIGHT[person.sex] if person.weight is None else person.weight


_RANGES = {
    "age": (18.0, 110.0, "years", "children and their growth plates are outside the model"),
    "final_menstrual_period": (30.0, 65.0, "years", "give the age, past or expected"),
    "weight": (30.0, 250.0, "kg", "doses per body weight are not known outside"),
    "perimenopause_years": (0.2, 12.0, "years", "the usual curve has 2"),
    "estradiol": (1.0, 500.0, "pg/ml", "divide a value in pmol/l by 3.671"),
    "testosterone": (1.0, 1500.0, "ng/dl", "divide a value in nmol/l by 0.03467"),
    "igf1": (10.0, 1000.0, "ng/ml", "multiply a value in nmol/l by 7.65"),
    "vitamin_d": (3.0, 150.0, "ng/ml", "divide a value in nmol/l by 2.496"),
    "calcium_mg_per_day": (100.0, 5000.0, "mg/day", "give the intake with food"),
    "hypogonadism": (0.0, 0.99, "as a share", "0 is none, 0.5 is half of the testosterone lost"),
    "growth_hormone_deficiency": (0.0, 0.95, "as a share", "0 is none, 0.6 is usual in adults without"),
    "nutrition": (0.5, 1.2, "as a factor", "1 is the reference; nothing else is validated"),
}
"""Lowest and highest value of each number, its unit, and what to do beyond."""


def _check_range(name: str, value: Scalar | None, low: float, high: float, unit: str, advice: str) -> None:
    """Refuse a Python number outside [low, high]; arrays may be traced and are let through."""
    if isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(f"`{name}` must be between {low:g} and {high:g} {unit}, got {value}; {advice}.")


def _check_surgery(name: str, age: Scalar, organs: str, owner: str, sex: str) -> None:
    if not isinstance(age, int | float) or age == NEVER:
        return
    if sex != owner:
        raise ValueError(
            f"`{name}` is the age at removal of the {organs}, got {age} for a {sex} person; leave it out."
        )
    _check_range(name, age, 18.0, 110.0, "years", "leave it out without surgery")
