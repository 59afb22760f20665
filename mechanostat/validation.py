"""The model measured against the clinic: every target, the model's number, inside its band or not, and why not."""

import csv
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mechanostat.target_values import ValidationPlan, person_values, prepare_validation
from mechanostat.targets import DATA, Reading, Target, read_readings, read_targets
from remodel.parameters import Parameters


class Judgement(NamedTuple):
    """A target and what the model says about it."""

    target: Target
    reading: Reading
    value: float | None
    """The model's mean over persons, in the target's unit; None where nothing of the model speaks for it."""
    low: float | None
    """2.5th percentile of persons."""
    high: float | None
    """97.5th percentile of persons."""
    inside: bool | None
    """Whether the number is inside the band, or has the direction of an `order` row; None without a number."""

    @property
    def counts(self) -> bool:
        """Whether it is part of the totals."""
        return self.target.gate in ("gate", "order")


class Total(NamedTuple):
    """How many targets of a kind are met."""

    inside: int
    covered: int
    """Targets with a number of the model."""
    all: int
    """Targets, covered or not."""


def measure(parameters: Parameters | None = None, plan: ValidationPlan | None = None) -> list[Judgement]:
    """Return what the model says about every target, in the order of their table.

    Args:
        parameters: The law's numbers; the defaults if absent.
        plan: By `prepare_validation`, to be used again; made if absent.
    """
    plan = prepare_validation() if plan is None else plan
    law = jax.tree.map(
        lambda number: jnp.asarray(number, dtype=float), Parameters() if parameters is None else parameters
    )
    persons = np.asarray(jax.jit(person_values)(plan, law))
    covered = {target.id: values for target, values in zip(plan.targets, persons, strict=True)}
    judged = []
    for target, reading in zip(read_targets(), read_readings(), strict=True):
        if target.id not in covered:
            judged.append(Judgement(target, reading, None, None, None, None))
            continue
        values = covered[target.id]
        low, high = np.quantile(values, (0.025, 0.975))
        mean = float(values.mean())
        judged.append(Judgement(target, reading, mean, float(low), float(high), is_met(target, mean)))
    return judged


def is_met(target: Target, value: float) -> bool:
    """Return whether a number meets a target: inside the band, or for an `order` row of the same sign.

    An `order` row whose result is zero has no sign and is judged by its band.

    Args:
        target: The target.
        value: The model's number, in its unit.
    """
    if target.gate == "order" and target.mean != 0.0:
        return value * target.mean > 0.0
    return target.low <= value <= target.high


def total(judged: Iterable[Judgement]) -> Total:
    """Return how many of those that count are met."""
    counted = [one for one in judged if one.counts]
    return Total(
        sum(one.inside is True for one in counted),
        sum(one.value is not None for one in counted),
        len(counted),
    )


def by_mechanism(judged: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    """Return the judgements by mechanism, in the order of the targets."""
    groups: dict[str, list[Judgement]] = {}
    for one in judged:
        groups.setdefault(one.target.mechanism, []).append(one)
    return groups


def miss_reasons() -> dict[str, str]:
    """Return reasons for misses by target, beginning of its name, or mechanism."""
    with DATA.joinpath("miss_reasons.csv").open(encoding="utf-8", newline="") as file:
        return {row["applies_to"]: row["reason"] for row in csv.DictReader(file)}


def reason_of(one: Judgement, reasons: dict[str, str]) -> str:
    """Return why a target is missed or not covered, or nothing where it is met.

    Args:
        one: The judgement.
        reasons: By `miss_reasons`; that for the longest beginning of the target's name goes first, then
            that of its mechanism.
    """
    if one.value is None:
        return one.reading.reason
    if one.inside:
        return ""
    beginnings = [key for key in reasons if one.target.id == key or one.target.id.startswith(f"{key}-")]
    return reasons.get(max(beginnings, key=len, default=one.target.mechanism), "Not understood.")
