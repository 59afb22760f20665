"""The person whose bone it is: sex, age, menopause, surgery."""

import math
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Scalar

DAYS_PER_YEAR = 365.25
NEVER = math.inf


class Person(eqx.Module):
    """A person at the start of the study, the day of the scan.

    Day 0 of a study is that day; days before it are negative. Numbers are leaves: a cohort of one sex is a
    map.
    """

    sex: Literal["female", "male"] = eqx.field(static=True)
    """Sex, which selects the hormone curves."""
    age: Scalar
    """Age on day 0 [year]."""
    final_menstrual_period: Scalar = 51.0
    """Age at the final menstrual period, past or to come; without meaning in men [year]."""
    oophorectomy: Scalar = NEVER
    """Age at removal of both ovaries, `NEVER` without [year]."""

    def __check_init__(self):
        if self.sex not in ("female", "male"):
            raise ValueError(f"`sex` selects the hormone curves, got {self.sex!r}; give 'female' or 'male'.")
        _check_range("age", self.age, 18.0, 110.0, "children and their growth plates are outside the model")
        _check_range(
            "final_menstrual_period",
            self.final_menstrual_period,
            30.0,
            65.0,
            "give the age, past or expected",
        )
        if isinstance(self.oophorectomy, int | float) and self.oophorectomy != NEVER:
            if self.sex == "male":
                raise ValueError(
                    "`oophorectomy` is the age at removal of the ovaries, "
                    f"got {self.oophorectomy} for a man; leave it out."
                )
            _check_range("oophorectomy", self.oophorectomy, 18.0, 110.0, "leave it out without surgery")


def age_on(person: Person, day: Scalar | Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the age on a day of the study [year].

    Computed from the day count each time, never accumulated, in the widest float that JAX has switched on: in
    float32 an age of 60 years is then good to a few minutes.

    Args:
        person: Whose age.
        day: Days since the start of the study, negative before it [day].
    """
    return jnp.asarray(day, dtype=float) / DAYS_PER_YEAR + jnp.asarray(person.age, dtype=float)


def _check_range(name: str, value: Scalar, low: float, high: float, advice: str) -> None:
    """Refuse a Python number outside [low, high]; arrays may be traced and are let through."""
    if isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(f"`{name}` must be between {low:g} and {high:g} years, got {value}; {advice}.")
