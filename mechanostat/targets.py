"""What the clinic found, and which arm, site and month of which virtual trial speaks for it.

Three kinds of files in `mechanostat/data`: `clinical_targets.csv`, the results with their bands;
`target_trials.csv`, for each result what of the model answers it, or why nothing does; `trials/*.toml`, the
trials themselves.
"""

import csv
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, NamedTuple

from mechanostat.trial_file import parse_trial
from mechanostat.trial_tables import Trial

DATA = resources.files("mechanostat").joinpath("data")

Gate = Literal["gate", "order", "secondary", "report-only"]

FORMS = (
    "change",
    "yearly rate",
    "monthly rate",
    "ratio",
    "share",
    "difference",
    "slope per 10",
    "ratio of arms",
    "relative hazard",
    "constant",
)
"""How a number is made of an arm's course, see `Reading`."""

AGAINST = ("difference", "slope per 10", "ratio of arms", "relative hazard")
"""Forms that need a second arm."""


class Target(NamedTuple):
    """A result of the clinic; a row of `clinical_targets.csv`."""

    id: str
    population: str
    intervention: str
    comparator: str
    site: str
    method: str
    months: str
    """When, or nothing [month]."""
    outcome: str
    mean: float
    """In `unit`."""
    low: float
    """Lower end of the band, in `unit`."""
    high: float
    """Upper end of it."""
    mechanism: str
    unit: str
    gate: Gate
    """`gate`: counts by its band; `order`: counts by its direction; the others are printed and never counted."""
    citation: str
    confidence: str
    """Of the number: how it is known."""


class Reading(NamedTuple):
    """What of the model speaks for a target; a row of `target_trials.csv`.

    With q the quantity relative to day 0, m the months, and q' that of the second arm:

    * `change`: `100 (q(m2) / q(m1) - 1)`; per year or month as `yearly rate` and `monthly rate`
    * `ratio`: `q(m2) / q(m1)`
    * `share`: `100 (q(m2) - q(m1)) / (q(m4) - q(m3))`
    * `difference`: of the changes of two arms; `slope per 10`: a tenth of it
    * `ratio of arms`: `100 (q(m1) / q'(m1) - 1)`
    * `relative hazard`: of the hazards of two arms, each summed from m1 to m2
    * `constant`: a number that the engine takes in and no trial moves
    """

    id: str
    covered: bool
    trial: str
    """Name of its file, without the ending."""
    arm: str
    against: str
    """The second arm."""
    quantity: str
    site: str
    instrument: str
    form: str
    months: tuple[float, ...]
    surrogate: str
    """What stands for the measured thing where the model has no such thing."""
    reason: str
    """Why nothing of the model speaks for it."""


def read_targets() -> tuple[Target, ...]:
    """Return all results of the clinic, in the order of their table."""
    return tuple(
        Target(
            row["id"],
            row["population"],
            row["intervention"],
            row["comparator"],
            row["site"],
            row["method"],
            row["months"],
            row["outcome"],
            float(row["mean_pct"]),
            float(row["band_low"]),
            float(row["band_high"]),
            row["mechanism"],
            row["unit"],
            row["gate"],  # pyright: ignore[reportArgumentType]
            row["citation"],
            row["confidence"],
        )
        for row in _rows("clinical_targets.csv")
    )


def read_readings() -> tuple[Reading, ...]:
    """Return what of the model speaks for each target, in the order of the targets."""
    return tuple(
        Reading(
            **{name: row[name] for name in Reading._fields if name not in ("covered", "months")},
            covered=row["covered"] == "yes",
            months=tuple(float(month) for month in row["months"].split()),
        )
        for row in _rows("target_trials.csv")
    )


def trial_files() -> Mapping[str, Traversable]:
    """Return the files of the trials by their names."""
    folder = DATA.joinpath("trials")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda f: f.name)
    return {file.name.removesuffix(".toml"): file for file in files}


def read_trials() -> dict[str, Trial]:
    """Return the trials by the names of their files.

    Raises:
        ValueError: With all errors of a trial, one line each.
    """
    return {
        name: parse_trial(tomllib.loads(file.read_text(encoding="utf-8")), name=file.name)
        for name, file in trial_files().items()
    }


def _rows(name: str) -> list[dict[str, str]]:
    with DATA.joinpath(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
