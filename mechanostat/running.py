"""A remodeling study from a study file to results: what `mechanostat run` does."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from fem.conjugate_gradients import Status
from mechanostat.console import Reporter
from mechanostat.devices import Device
from mechanostat.doctor import versions
from mechanostat.files import (
    LOAD_CASE_PICTURE,
    RESULT_FILE,
    claim_folder,
    fingerprint,
    write_bytes,
    write_record,
)
from mechanostat.memory import device_peak_memory, peak_memory
from mechanostat.modelling import (
    Subject,
    model_of,
    person_of,
    protocol_of,
    read_subject,
    strength_test,
)
from mechanostat.pictures import load_case_figure, png
from mechanostat.results import Outcomes, RunResult, RunSolve
from mechanostat.results import Status as StatusName
from mechanostat.solving import (
    PRECONDITIONER,
    Analysis,
    forecast,
    input_record,
    status_name,
)
from mechanostat.study import Study
from mechanostat.systemic import Systemic, systemic
from meshes.vtkhdf import append_step, create_series, read_cells, truncate_series
from remodel.checkpoint import load_checkpoint, save_checkpoint, state_digest
from remodel.loop import present, young_modulus
from remodel.mineral import MINERAL_DENSITY
from remodel.model import Ends, Model, State
from remodel.remarks import remarks
from remodel.simulation import Report, last_day, reports

SERIES = "fields.vtkhdf"
"""Fields over time, for ParaView."""

CHECKPOINTS = "checkpoints"
"""Folder of the states that an interrupted study goes on from."""

CELL_FIELDS = ("volume_fraction", "mineral_density", "modulus", "effective_strain")
"""Element fields of the series: [-], [mg HA/cm³], [MPa], and [-] under the strength test."""


class Course(NamedTuple):
    """A finished study and what its pictures need."""

    study: Study
    subject: Subject
    result: RunResult
    first: Mapping[str, Float[np.ndarray, " elements"]]
    """Fields of day 0; none of a study that did not converge."""
    last: Mapping[str, Float[np.ndarray, " elements"]]
    """Fields of the last day."""


def foresee(study: Study, folder: Path, out: Path, reporter: Reporter) -> None:
    """Tell what a study would take and draw its strength test, without simulating.

    Args:
        study: The study.
        folder: What its paths are relative to.
        out: Where the picture goes.
        reporter: Who is told.
    """
    subject = read_subject(study, folder)
    axis = "xyz".index(study.strength.axis)
    analysis = Analysis(
        study.strength.case, axis, None, study.mechanics.poisson_ratio, study.mechanics.tolerance,
        study.mechanics.precision,
    )  # fmt: skip
    forecast(subject.bone, analysis, out, reporter)
    steps = last_day(study.time.years, study.time.step_days) // study.time.step_days
    count = len(study.loads)
    reporter.say(
        f"the study solves {count} habitual loads {steps} times; started from the step before, such a solve "
        "takes about a fifth of the first one"
    )


def run_study(
    study: Study, folder: Path, out: Path, *, resume: bool, device: Device, reporter: Reporter
) -> Course:
    """Simulate a study and write its results, without pictures and report.

    Args:
        study: The study.
        folder: What its paths are relative to.
        out: Where results go.
        resume: Whether to go on with an interrupted run.
        device: What computes.
        reporter: Who is told.
    """
    clock = _Clock()
    subject = read_subject(study, folder)
    mark = fingerprint({"study": study.model_dump(mode="json"), "scan": subject.image.sha256})
    clock.lap("read")
    claim_folder(out, mark=mark, resume=resume)
    if not resume:
        _forget_last_run(out)
    reporter.table("Bone", ("step", "outcome"), subject.bone.steps)
    test = strength_test(study, subject.bone.mesh)
    title = f"Strength test {test.name} along {study.strength.axis}"
    write_bytes(out / LOAD_CASE_PICTURE, png(load_case_figure(subject.bone.mesh, test, title=title)))
    reporter.say("preparing: history of the tissue, first solve of every load")
    model, state = jax.block_until_ready(model_of(study, subject.bone))
    clock.lap("setup")
    rows: list[dict[str, Any]] = []
    days = last_day(study.time.years, study.time.step_days)
    if resume and (found := load_checkpoint(out / CHECKPOINTS, model, state, mark=mark)) is not None:
        model, state, rows = found
        reporter.say(f"going on from day {int(state.day)}")
    series = out / SERIES if study.output.fields else out / CHECKPOINTS / SERIES
    _open_series(series, subject, days=days, report_days=study.time.report_days, kept=len(rows))
    with reporter.stage("remodeling", days // study.time.step_days) as stage:
        stage.advance(int(state.day) // study.time.step_days)
        for report in reports(model, state, days=days, report_days=study.time.report_days):
            stage.advance(
                (int(report.state.day) - int(state.day)) // study.time.step_days,
                residual=_worst_residual(report),
            )
            state = report.state
            rows.append(outcome_row(model, report))
            if report.converged:
                append_step(
                    series, time=float(state.day), point_fields={}, cell_fields=fields_of(model, report)
                )
                if int(state.day) > 0:  # day 0 is what every start makes anew, and reports first
                    save_checkpoint(out / CHECKPOINTS, model, state, rows, mark=mark)
    clock.lap("simulate")
    result = run_result(study, subject, model, state, rows, mark, device=device, seconds=clock.seconds)
    write_bytes(out / "outcomes.csv", outcomes_csv(result))
    write_record(out / RESULT_FILE, result)
    names = CELL_FIELDS if result.status == "converged" else ()
    first, last = ({name: read_cells(series, step=step, name=name) for name in names} for step in (0, -1))
    return Course(study, subject, result, first, last)


def outcome_row(model: Model, report: Report) -> dict[str, Any]:
    """Return what a report says, as numbers and texts that JSON keeps exactly."""
    seen = jax.tree.map(np.asarray, report.observation)
    usable = report.converged
    return {
        "day": int(seen.day),
        "bone_volume": float(seen.bone_volume),
        "bone_mineral_density": _by_name(model.region_names, seen.mineral_density),
        "bone_volume_fraction": _by_name(model.region_names, seen.bone_volume_fraction),
        "stiffness": _by_name(model.test_names, seen.stiffness, usable=usable),
        "failure_load": _by_name(model.test_names, seen.failure_load, usable=usable),
        "resorption": float(seen.resorption),
        "formation": float(seen.formation),
        "solves": [
            *_solves(model.load_names, report.loads),
            *_solves(model.test_names, report.observation.tests),
        ],
    }


def fields_of(model: Model, report: Report) -> dict[str, Float[np.ndarray, " elements"]]:
    """Return the element fields of a report."""
    tissue, fill = report.state.tissue, report.state.fill
    return {
        "volume_fraction": np.asarray(present(model, tissue.volume_fraction, fill)),
        "mineral_density": np.asarray(1000.0 * MINERAL_DENSITY * present(model, tissue.mineral, fill)),
        "modulus": np.asarray(young_modulus(model, tissue, fill)),
        "effective_strain": np.asarray(report.observation.effective_strain[0]),
    }


def run_result(
    study: Study,
    subject: Subject,
    model: Model,
    state: State,
    rows: Sequence[Mapping[str, Any]],
    mark: str,
    *,
    device: Device,
    seconds: dict[str, float],
) -> RunResult:
    """Return the record of a study."""
    mesh = subject.bone.mesh
    solves = [RunSolve(time_days=row["day"], **solve) for row in rows for solve in row["solves"]]
    bad: list[StatusName] = [solve.status for solve in solves if solve.status != "converged"]
    return RunResult(
        status=bad[0] if bad else "converged",
        title=study.title,
        times_days=[row["day"] for row in rows],
        outcomes=outcomes_of(rows, systemic(model, [row["day"] for row in rows])),
        validated=dict.fromkeys(Outcomes.model_fields, False),
        remarks=list(remarks(protocol_of(study), person_of(study))),
        solves=solves,
        elements=mesh.elements,
        nodes=mesh.nodes,
        unknowns=3 * mesh.nodes,
        islands_removed=subject.bone.islands,
        seconds=seconds,
        peak_memory_bytes=peak_memory(),
        device_peak_memory_bytes=device_peak_memory(),
        device=device.name,
        precision=model.settings.precision,
        preconditioner=PRECONDITIONER,
        versions=versions(),
        study_sha256=mark,
        final_state_sha256=state_digest(state),
        input=input_record(subject.image),
    )


def outcomes_of(rows: Sequence[Mapping[str, Any]], person: Systemic) -> Outcomes:
    """Return the rows of a study as columns; turnover is told relative to the first row."""
    first = rows[0]
    local = {name: [row[name] / first[name] for row in rows] for name in ("resorption", "formation")}
    return Outcomes(
        bone_volume=[row["bone_volume"] for row in rows],
        bone_volume_fraction=_columns(rows, "bone_volume_fraction"),
        bone_mineral_density=_columns(rows, "bone_mineral_density"),
        stiffness=_columns(rows, "stiffness"),
        failure_load=_columns(rows, "failure_load"),
        levels=person.levels,
        markers=local | person.markers,
        without_space=person.without_space,
    )


def outcomes_csv(result: RunResult) -> bytes:
    """Return the outcomes as CSV: one row per time, one column per outcome."""
    columns = {"time_days": result.times_days} | result.outcomes.columns()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


class _Clock:
    """Adds up where the time goes."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Book the time since the last lap."""
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def _forget_last_run(out: Path) -> None:
    """Remove what an earlier run of the same study left: a run that is killed must not look finished."""
    for path in (out / RESULT_FILE, *(out / CHECKPOINTS).glob("day-*.h5")):
        path.unlink(missing_ok=True)


def _open_series(path: Path, subject: Subject, *, days: int, report_days: int, kept: int) -> None:
    """Make the file of fields over time, or cut it back to the reports that a checkpoint knows."""
    if kept and path.exists():
        truncate_series(path, steps=kept)
        return
    path.parent.mkdir(exist_ok=True)
    room = 1 + -(-days // report_days)
    create_series(
        path, subject.bone.mesh, steps=room, point_fields={}, cell_fields=dict.fromkeys(CELL_FIELDS, 1)
    )


def _by_name(names: Sequence[str], values: np.ndarray, *, usable: bool = True) -> dict[str, float | None]:
    return {name: float(value) if usable else None for name, value in zip(names, values, strict=True)}


def _columns(rows: Sequence[Mapping[str, Any]], group: str) -> dict[str, list]:
    return {name: [row[group][name] for row in rows] for name in rows[0][group]}


def _solves(names: Sequence[str], ends: Ends) -> list[dict[str, Any]]:
    columns = zip(names, ends.status.tolist(), ends.iterations.tolist(), ends.residual.tolist(), strict=True)
    return [
        {"case": name, "status": status_name(Status(status)), "iterations": iterations, "residual": residual}
        for name, status, iterations, residual in columns
    ]


def _worst_residual(report: Report) -> float:
    return max(float(np.max(ends.residual)) for ends in (report.loads, report.observation.tests))
