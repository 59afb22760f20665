"""A virtual trial from a trial file to results: what `mechanostat trial` does."""

import time
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np

import remodel.trial as virtual
from mechanostat.console import Reporter, spoken
from mechanostat.devices import Device
from mechanostat.doctor import versions
from mechanostat.files import RESULT_FILE, claim_folder, fingerprint, write_bytes, write_record
from mechanostat.solving import peak_memory
from mechanostat.trial_file import trial_of
from mechanostat.trial_results import (
    LEVEL_COLUMNS,
    ArmResult,
    HypothesisResult,
    OutcomeResult,
    TrialResult,
    csv_table,
    hypotheses_csv,
    outcomes_csv,
)
from mechanostat.trial_tables import Trial
from remodel.hypotheses import HYPOTHESES, run_under_hypotheses
from remodel.outcomes import LEVELS, outcome_name, outcome_unit
from remodel.person import Person
from remodel.population import QUANTITIES
from remodel.remarks import remarks


class FinishedTrial(NamedTuple):
    """A finished trial and what its pictures need."""

    trial: Trial
    record: virtual.Trial
    found: virtual.TrialResult
    hypotheses: dict[str, virtual.TrialResult]
    """The same under each hypothesis; empty where not asked for."""
    result: TrialResult


def run_trial_file(trial: Trial, out: Path, *, device: Device, reporter: Reporter) -> FinishedTrial:
    """Run a trial and write `result.json`, `outcomes.csv` and `levels.csv`; `hypotheses.csv` where asked for.

    Args:
        trial: The trial.
        out: Folder for the results.
        device: What computes.
        reporter: Who is told.

    Raises:
        FileExistsError: Where the folder holds anything else.
        RuntimeError: Where a person ended in numbers that are not finite.
    """
    begun = time.perf_counter()
    mark = fingerprint({"trial": trial.model_dump(mode="json")})
    claim_folder(out, mark=mark)
    record = trial_of(trial)
    count = trial.population.persons
    rounds = 1 + (len(HYPOTHESES) if trial.hypotheses else 0)
    with reporter.stage("following persons", rounds * count * (1 + len(record.arms))) as stage:
        found = virtual.run_trial(record, told=stage.advance)
        hypotheses = run_under_hypotheses(record, told=stage.advance) if trial.hypotheses else {}
    ended = [arm for course in (found, *hypotheses.values()) for arm in course.arms]
    lost = dict.fromkeys(arm.name for arm in ended if not np.all(np.isfinite(arm.outcomes.mean)))
    if lost:
        raise RuntimeError(f"persons of {', '.join(lost)} ended in numbers that are not finite.")
    seconds = {"total": time.perf_counter() - begun}
    result = TrialResult(
        title=trial.title,
        citation=trial.citation,
        persons=count,
        seed=trial.population.seed,
        parameters=trial.population.parameters,
        visits_months=list(found.visits),
        population=drawn_population(found.persons),
        arms=[arm_result(record, found, place) for place in range(len(found.arms))],
        hypotheses=[hypothesis_result(name, course) for name, course in hypotheses.items()],
        validated=False,
        seconds=seconds,
        peak_memory_bytes=peak_memory(),
        device=device.name,
        versions=versions(),
        trial_sha256=mark,
    )
    write_bytes(out / "outcomes.csv", outcomes_csv(result))
    write_bytes(out / "levels.csv", levels_csv(found))
    if hypotheses:
        write_bytes(out / "hypotheses.csv", hypotheses_csv(result))
    write_record(out / RESULT_FILE, result)
    return FinishedTrial(trial, record, found, hypotheses, result)


def drawn_population(persons: Person) -> dict[str, dict[str, float]]:
    """Return mean, sd, min and max of each number of the persons that is finite, by its name in `Person`."""
    told = {}
    for name in QUANTITIES:
        values = getattr(persons, name)
        if values is not None and np.all(np.isfinite(values)):
            column = np.asarray(values, dtype=float)
            told[name] = {
                "mean": float(column.mean()),
                "sd": float(column.std(ddof=1)),
                "min": float(column.min()),
                "max": float(column.max()),
            }
    return told


def arm_result(record: virtual.Trial, found: virtual.TrialResult, place: int) -> ArmResult:
    """Return the record of one arm."""
    arm, seen = record.arms[place], found.arms[place]
    visits = list(found.visits)
    outcomes = []
    for column, outcome in enumerate(found.outcomes):

        def at_visits(values: np.ndarray, column: int = column) -> list[float]:
            return values[visits, column].tolist()

        spread, pairs = seen.outcomes, seen.difference
        outcomes.append(
            OutcomeResult(
                name=outcome_name(outcome),
                quantity=outcome.quantity,
                site=outcome.site,
                instrument=outcome.instrument,
                unit=outcome_unit(outcome),
                mean=at_visits(spread.mean),
                mean_low=at_visits(spread.mean_low),
                mean_high=at_visits(spread.mean_high),
                sd=at_visits(spread.sd),
                low=at_visits(spread.low),
                high=at_visits(spread.high),
                difference=at_visits(pairs.mean),
                difference_low=at_visits(pairs.mean_low),
                difference_high=at_visits(pairs.mean_high),
            )
        )
    protocol = (*record.population.before, *arm.protocol)
    return ArmResult(
        name=seen.name,
        exposure=float(arm.exposure),
        remarks=list(remarks(protocol, middling(found.persons))),
        outcomes=outcomes,
    )


def hypothesis_result(name: str, found: virtual.TrialResult) -> HypothesisResult:
    """Return the record of one hypothesis."""
    visits = list(found.visits)

    def means(which: str) -> dict[str, dict[str, list[float]]]:
        return {
            arm.name: {
                outcome_name(outcome): getattr(arm, which).mean[visits, column].tolist()
                for column, outcome in enumerate(found.outcomes)
            }
            for arm in found.arms
        }

    return HypothesisResult(
        name=name, about=HYPOTHESES[name].about, mean=means("outcomes"), difference=means("difference")
    )


def middling(persons: Person) -> Person:
    """Return a person whose every number is the median of the population's."""
    numbers, sex = eqx.partition(persons, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda leaf: float(np.median(leaf)), numbers), sex)


def levels_csv(found: virtual.TrialResult) -> bytes:
    """Return `levels.csv`: hormones and drugs in serum, month by month."""
    rows = []
    for arm in found.arms:
        spread = (arm.levels.mean, arm.levels.sd, arm.levels.low, arm.levels.high)
        for number, (level, unit) in enumerate(LEVELS.items()):
            for place, month in enumerate(found.months):
                facts = (arm.name, level, unit, month)
                rows.append((*facts, *(float(column[place, number]) for column in spread)))
    return csv_table(LEVEL_COLUMNS, rows)


def spoken_outcomes(result: TrialResult) -> list[tuple[str, str, str, str]]:
    """Return outcome, arm, mean with its interval, difference with its interval, at the last visit, for people."""
    rows = []
    for number, outcome in enumerate(result.arms[0].outcomes):
        for arm in result.arms:
            seen = arm.outcomes[number]
            rows.append(
                (
                    outcome.name,
                    arm.name,
                    with_interval(seen.mean[-1], seen.mean_low[-1], seen.mean_high[-1], seen.unit),
                    "–"
                    if arm is result.arms[0]
                    else with_interval(
                        seen.difference[-1],
                        seen.difference_low[-1],
                        seen.difference_high[-1],
                        points(seen.unit),
                    ),
                )
            )
    return rows


def points(unit: str) -> str:
    """Return the unit of a difference: between two percentages it is percentage points."""
    return "pp" if unit == "%" else unit


def with_interval(mean: float, low: float, high: float, unit: str) -> str:
    """Return a mean with its interval, such as `+1.2 % (1.1 to 1.3)`."""
    ends = [spoken_value(end, unit).removesuffix(f" {unit}") for end in (low, high)]
    return f"{spoken_value(mean, unit)} ({ends[0]} to {ends[1]})"


def spoken_value(value: float, unit: str) -> str:
    """Return a number with its unit: changes with their sign, such as `+1.20 %`."""
    return f"{value:+.2f} {unit}".replace("-", "−") if unit in ("%", "pp") else f"{spoken(value)} {unit}"
