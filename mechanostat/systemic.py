"""The person around the bone: hormone and drug levels, serum markers, and the same bone without space."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from remodel.cells import rankl_to_osteoprotegerin
from remodel.mechanostat_curve import gain, set_point
from remodel.model import Model
from remodel.person import age_on
from remodel.skeleton import DAYS_PER_MONTH, PersonCourse, follow_person
from remodel.tissue import Circumstances
from remodel.without_space import course_without_space

LEVELS = {
    "estradiol_pg_per_ml": "estradiol",
    "testosterone_ng_per_dl": "testosterone",
    "progesterone_ng_per_ml": "progesterone",
    "igf1_ng_per_ml": "igf1",
    "pth_pmol_per_l": "pth",
    "glucocorticoid_mg_per_day": "glucocorticoid",
    "denosumab_ng_per_ml": "denosumab",
    "romosozumab_ug_per_ml": "romosozumab",
    "teriparatide_per_20_ug_per_day": "teriparatide",
}
"""Levels that results tell, by the field of `Signals` that holds them."""

CELL_STEP_DAYS = 3.0
"""Step of the tissue law in the bone without space [day]."""


class Systemic(NamedTuple):
    """What a study's person and treatments do, at the times of its reports."""

    levels: dict[str, list[float]]
    """Hormones and drugs, set point and gain; each name ends in its unit."""
    markers: dict[str, list[float]]
    """Serum markers of the whole skeleton relative to day 0, and relative to the person without treatment [-]."""
    without_space: dict[str, list[float]]
    """Bone volume, mineral and stiffness of the same bone relative to day 0, each element alone [-]."""


def systemic(model: Model, days: Sequence[int]) -> Systemic:
    """Return what a study's person and treatments do at some days.

    Args:
        model: The study's model.
        days: Days of the study, rising, the first one 0.
    """
    months = max(1, math.ceil(days[-1] / DAYS_PER_MONTH))
    treated, untreated = _follow(model, months), _follow(eqx.tree_at(_treatments, model, ()), months)
    at = jnp.asarray(days, dtype=float)

    def on_days(values: Float[Array, " months"]) -> list[float]:
        return np.interp(days, np.asarray(treated.day), np.asarray(values)).tolist()

    levels = {name: on_days(values) for name, values in _levels(model, treated.brought).items()}
    levels["age_years"] = age_on(model.person, at).tolist()
    markers = {}
    for name, marker in (("ctx", "resorption_marker"), ("p1np", "formation_marker")):
        own, twin = getattr(treated, marker), getattr(untreated, marker)
        markers[name] = on_days(own / own[0])
        markers[f"{name}_per_untreated"] = on_days(own / twin)
    return Systemic(levels, markers, _without_space(model, days))


def _treatments(model: Model):
    return model.protocol


@eqx.filter_jit
def _follow(model: Model, months: int) -> PersonCourse:
    return follow_person(model.person, (), model.protocol, model.activity, model.parameters, months=months)


@eqx.filter_jit
def _levels(model: Model, brought: Circumstances) -> dict[str, Float[Array, " times"]]:
    signals = brought.signals
    found = {name: getattr(signals, field) for name, field in LEVELS.items()}
    return found | {
        "set_point": set_point(signals, brought.age, model.parameters),
        "gain": gain(signals, model.parameters),
        "rankl_to_osteoprotegerin": rankl_to_osteoprotegerin(signals, model.parameters),
    }


def _without_space(model: Model, days: Sequence[int]) -> dict[str, list[float]]:
    """Return the same bone without space at some days; days are multiples of the study's step."""
    step, last = model.settings.step_days, max(days[-1], model.settings.step_days)
    living = np.asarray(model.living)
    fraction, modulus = (
        jnp.asarray(np.asarray(field)[living], dtype=float)
        for field in (model.baseline.volume_fraction, model.modulus)
    )
    found = course_without_space(
        model.person,
        model.protocol,
        model.activity,
        model.parameters,
        fraction,
        modulus,
        interval=float(step),
        samples=last // step,
        steps=max(1, math.ceil(step / CELL_STEP_DAYS)),
    )
    where = np.asarray(found.day)
    columns = {"bone_volume": found.volume, "mineral": found.mineral, "stiffness": found.stiffness}
    return {name: np.interp(days, where, np.asarray(values)).tolist() for name, values in columns.items()}
