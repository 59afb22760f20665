"""The record of `result.json` that `trial` writes, and the tables made from it."""

import csv
import io
from typing import Literal, Self

from pydantic import Field, model_validator

from mechanostat.files import harmless
from mechanostat.results import Record


class OutcomeResult(Record):
    """One outcome in one arm: one number per visit in each list."""

    name: str
    """What people call it, such as `lumbar spine areal density by DXA`."""
    quantity: str
    site: str | None
    instrument: str
    unit: str
    """`%` of change since day 0, or the unit of a level or a risk."""
    mean: list[float]
    mean_low: list[float]
    """Lower end of the 95 % interval of the mean, normal."""
    mean_high: list[float]
    sd: list[float]
    """Standard deviation of persons."""
    low: list[float]
    """2.5th percentile of persons."""
    high: list[float]
    """97.5th percentile of persons."""
    difference: list[float]
    """Mean of the differences within pairs to the first arm: percentage points, or the unit of the level or risk."""
    difference_low: list[float]
    """Lower end of the 95 % interval of that mean."""
    difference_high: list[float]

    def columns(self) -> dict[str, list[float]]:
        """Return every list of numbers by name."""
        return {name: value for name, value in self.model_dump().items() if isinstance(value, list)}


class ArmResult(Record):
    """What became of the persons of an arm."""

    name: str
    exposure: float
    """What the arm multiplies falls and heavy lifts by."""
    remarks: list[str]
    """What must be said about its treatments for a middling person of the population."""
    outcomes: list[OutcomeResult]


class HypothesisResult(Record):
    """Means under one hypothesis, by arm, name of the outcome and visit."""

    name: str
    about: str
    mean: dict[str, dict[str, list[float]]]
    difference: dict[str, dict[str, list[float]]]
    """Mean of the differences within pairs to the first arm."""


class TrialResult(Record):
    """A virtual trial, schema `mechanostat.trial/1`."""

    schema_name: Literal["mechanostat.trial/1"] = Field(default="mechanostat.trial/1", alias="schema")
    title: str
    citation: str
    persons: int
    seed: int
    parameters: Literal["default", "posterior"]
    visits_months: list[int]
    """Day 0 and the visits."""
    population: dict[str, dict[str, float]]
    """Of each number of the persons as drawn: mean, sd, min, max."""
    arms: list[ArmResult]
    hypotheses: list[HypothesisResult] = Field(default_factory=list)
    """What the same persons come to under other answers to what estradiol does; empty where not asked for."""
    validated: bool
    """Whether all outcomes lie inside what is validated; false carries the banner."""
    seconds: dict[str, float]
    peak_memory_bytes: int
    device: str
    versions: dict[str, str]
    trial_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _columns_are_complete(self) -> Self:
        wrong = [
            f"{arm.name}: {outcome.name}.{column}"
            for arm in self.arms
            for outcome in arm.outcomes
            for column, values in outcome.columns().items()
            if len(values) != len(self.visits_months)
        ]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: need {len(self.visits_months)} values, one per visit.")
        return self


OUTCOME_COLUMNS = (
    "arm", "quantity", "site", "instrument", "unit", "month", "persons", "mean", "mean_low", "mean_high", "sd",
    "low", "high", "difference", "difference_low", "difference_high",
)  # fmt: skip
"""Columns of `outcomes.csv`: one row per arm, outcome and visit."""

HYPOTHESIS_COLUMNS = ("arm", "outcome", "unit", "hypothesis", "month", "mean", "difference")
"""Columns of `hypotheses.csv`: one row per arm, outcome, hypothesis and visit."""

LEVEL_COLUMNS = ("arm", "level", "unit", "month", "mean", "sd", "low", "high")
"""Columns of `levels.csv`: one row per arm, level and month."""


def outcomes_csv(result: TrialResult) -> bytes:
    """Return `outcomes.csv`."""
    rows = []
    for arm in result.arms:
        for outcome in arm.outcomes:
            facts = (arm.name, outcome.quantity, outcome.site or "", outcome.instrument, outcome.unit)
            columns = outcome.columns()
            numbers = zip(*(columns[name] for name in OUTCOME_COLUMNS[7:]), strict=True)
            for month, row in zip(result.visits_months, numbers, strict=True):
                rows.append((*facts, month, result.persons, *row))
    return csv_table(OUTCOME_COLUMNS, rows)


def hypotheses_csv(result: TrialResult) -> bytes:
    """Return `hypotheses.csv`, the fitted law first."""
    fitted = {arm.name: {outcome.name: outcome for outcome in arm.outcomes} for arm in result.arms}
    rows = []
    for arm, outcomes in fitted.items():
        for name, outcome in outcomes.items():
            lines = [("fitted", outcome.mean, outcome.difference)]
            lines += [(h.name, h.mean[arm][name], h.difference[arm][name]) for h in result.hypotheses]
            rows += [
                (arm, name, outcome.unit, hypothesis, month, mean, difference)
                for hypothesis, means, differences in lines
                for month, mean, difference in zip(result.visits_months, means, differences, strict=True)
            ]
    return csv_table(HYPOTHESIS_COLUMNS, rows)


def csv_table(heading: tuple[str, ...], rows: list[tuple]) -> bytes:
    """Return a CSV table in UTF-8, in which no text is run by a spreadsheet as a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()
