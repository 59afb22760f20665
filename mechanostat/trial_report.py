"""The figure and the report of a virtual trial."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import remodel.trial as virtual
from mechanostat.curves import ARM_COLOURS, LINE_STYLES
from mechanostat.files import write_bytes
from mechanostat.pictures import INK, QUIET, blank_figure, png
from mechanostat.report import Claim, DataTable, Headline, Picture, Report, write_report
from mechanostat.trial_results import TrialResult
from mechanostat.trial_running import FinishedTrial, points, spoken_value, with_interval
from remodel.agents import AGENTS
from remodel.neck import SECTION
from remodel.outcomes import FRACTURES, outcome_name, outcome_unit

BANNER = "Virtual persons, a prediction of the model: not validated, no measurement, no medical advice"
"""Stands on every figure and report of a trial."""

CLAIMS = (
    Claim(
        "Change of bone under hormones, drugs and load",
        "fitted",
        "Fitted to clinical trials with this model, some of which it misses; a trial that was not in the fit is a "
        "prediction.",
        "docs/calibration.md, docs/limits.md",
    ),
    Claim(
        "Differences between persons",
        "assumed",
        "Persons differ in what the trial file gives, and with `posterior` in the numbers of the law; real persons "
        "differ in more, so real spread is wider. Noise of instruments, drop-out and missed visits are left out.",
        "remodel/population.py",
    ),
    Claim(
        "Differences between arms",
        "assumed",
        "Every person is in every arm, which no real trial can do: the interval of a difference tells how much persons "
        "differ in their response, not how sure the model is.",
        "remodel/trial.py",
    ),
    Claim(
        "Strength",
        "assumed",
        "The moduli of a site's compartments by their share, a surrogate without mechanics.",
        "remodel/skeleton.py",
    ),
)
"""What every trial rests on."""


def write_trial_report(out: Path, finished: FinishedTrial) -> None:
    """Write `outcomes.png` and `report.html`.

    Args:
        out: Folder of the results.
        finished: The trial.
    """
    picture = png(trial_figure(finished.found, finished.hypotheses, title=finished.trial.title))
    write_bytes(out / "outcomes.png", picture)
    write_report(out / "report.html", report_of(finished, picture))


def trial_figure(
    found: virtual.TrialResult, hypotheses: Mapping[str, virtual.TrialResult], *, title: str
) -> Figure:
    """Return one panel per outcome: the mean of each arm and the band that holds 95 % of its persons.

    Args:
        found: The trial.
        hypotheses: The same under hypotheses; thin lines tell the lowest and highest mean of all.
        title: Title of the figure.
    """
    columns = 1 if len(found.outcomes) == 1 else 2
    rows = -(-len(found.outcomes) // columns)
    height = 2.9 * rows + 1.9
    figure = blank_figure(5.6 * columns + 0.6, height, title, BANNER)
    grid = figure.add_gridspec(
        rows, columns, left=0.075 if columns == 2 else 0.12, right=0.98, top=1 - 1.25 / height,
        bottom=0.85 / height, hspace=0.42, wspace=0.2,
    )  # fmt: skip
    for number in range(len(found.outcomes)):
        axes = figure.add_subplot(grid[number // columns, number % columns])
        _draw(axes, found, hypotheses, number)
        if number >= len(found.outcomes) - columns:
            axes.set_xlabel("months")
    handles = [
        figure.axes[0].plot([], [], LINE_STYLES[k % 4], color=ARM_COLOURS[k % 6], lw=2, label=arm.name)[0]
        for k, arm in enumerate(found.arms)
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.06, 1 - 0.42 / height), ncols=4, frameon=False,
        fontsize=10,
    )  # fmt: skip
    return figure


def _draw(
    axes: Axes, found: virtual.TrialResult, hypotheses: Mapping[str, virtual.TrialResult], number: int
) -> None:
    """Draw one outcome, months from left to right, visits as dots."""
    visits = list(found.visits)
    for place, arm in enumerate(found.arms):
        colour, style = ARM_COLOURS[place % len(ARM_COLOURS)], LINE_STYLES[place % len(LINE_STYLES)]
        seen = arm.outcomes
        axes.fill_between(
            found.months, seen.low[:, number], seen.high[:, number], color=colour, alpha=0.15, lw=0
        )
        axes.plot(found.months, seen.mean[:, number], style, color=colour, lw=2.0)
        axes.plot(visits, seen.mean[visits, number], "o", color=colour, ms=3.5)
        means = [course.arms[place].outcomes.mean[:, number] for course in hypotheses.values()]
        for edge in (np.min, np.max) if means else ():
            axes.plot(found.months, edge([seen.mean[:, number], *means], axis=0), ":", color=colour, lw=1.2)
    outcome = found.outcomes[number]
    unit = "change in %" if outcome_unit(outcome) == "%" else outcome_unit(outcome)
    axes.set_title(f"{outcome_name(outcome)} [{unit}]", loc="left", fontsize=10.5, color=INK)
    axes.axhline(0.0, color=QUIET, lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dfe3e8", lw=0.7)
    axes.margins(x=0.02, y=0.08)
    axes.tick_params(labelsize=9)


def report_of(finished: FinishedTrial, picture: bytes) -> Report:
    """Return the report of a trial."""
    trial, result = finished.trial, finished.result
    last = result.visits_months[-1]
    return Report(
        title=trial.title,
        summary=(
            f"{result.persons} virtual {'women' if trial.population.sex == 'female' else 'men'} in each of "
            f"{len(result.arms)} arms, the same persons in all of them, over {last} months."
        ),
        headlines=_headlines(finished),
        bone=_persons(finished),
        pictures=[],
        curves=[
            Picture(
                "Mean of the persons of each arm (line; dots at the visits) and the band that holds 95 % of them."
                + (
                    " Dotted: the lowest and highest mean over the hypotheses." if finished.hypotheses else ""
                ),
                picture,
            )
        ],
        tables=[
            *(_table(finished, number) for number in range(len(finished.found.outcomes))),
            *([_envelope(finished.result)] if finished.hypotheses else []),
        ],
        solves=None,
        claims=[*_arm_claims(finished), *CLAIMS, *_outcome_claims(finished)],
        sources=[*([trial.citation] if trial.citation else []), *_sources(finished)],
        credit="",
        licence="",
        provenance=[
            ("device", result.device),
            ("seed", str(result.seed)),
            ("law's numbers", result.parameters),
            ("trial, SHA-256", result.trial_sha256),
            *result.versions.items(),
        ],
        predicts=True,
        banner=BANNER,
        subject="The persons and what they were given",
        method="Where this was computed",
    )


def _headlines(finished: FinishedTrial) -> list[Headline]:
    """Return the first outcome of each arm at the last visit."""
    arms, months = finished.result.arms, finished.result.visits_months[-1]
    unit = arms[0].outcomes[0].unit
    cards = []
    for arm in arms:
        seen = arm.outcomes[0]
        value = with_interval(seen.mean[-1], seen.mean_low[-1], seen.mean_high[-1], unit).split(" (")[0]
        cards.append(Headline(arm.name, value, f"{seen.name}, {months} months"))
    return cards


def _persons(finished: FinishedTrial) -> list[tuple[str, str]]:
    rows = []
    for name, told in finished.result.population.items():
        spread = f"mean {told['mean']:.4g}, sd {told['sd']:.3g}, {told['min']:.4g} to {told['max']:.4g}"
        same = told["min"] == told["max"]
        rows.append((name.replace("_", " "), f"{told['mean']:.4g}" if same else spread))
    rows += [("before, everybody", _medication(table)) for table in finished.trial.population.before]
    for arm in finished.trial.arms:
        given = [_medication(table) for table in arm.protocol]
        done = [
            f"{table.kind.replace('_', ' ')} from month {table.start_months:g}"
            + ("" if table.stop_months is None else f" to {table.stop_months:g}")
            for table in arm.activity
        ]
        falls = [] if arm.exposure == 1.0 else [f"falls and heavy lifts times {arm.exposure:g}"]
        rows.append((arm.name, "; ".join([*given, *done, *falls]) or "nothing"))
    return rows


def _medication(table) -> str:
    interval = table.interval_days or AGENTS[table.agent].interval
    stop = "" if table.stop_months is None else f" to {table.stop_months:g}"
    share = "" if table.adherence == 1.0 else f", {100 * table.adherence:.0f} % of doses taken"
    return (
        f"{table.agent} {table.dose} every {interval:.4g} days from month {table.start_months:g}{stop}{share}"
    )


def _table(finished: FinishedTrial, number: int) -> DataTable:
    """Return one outcome: arms down, visits across, mean with its interval and difference to the first arm."""
    result = finished.result
    first = result.arms[0].outcomes[number]
    rows: list[Sequence[object]] = []
    for arm in result.arms:
        seen = arm.outcomes[number]
        rows.append((arm.name, *_spoken(seen.mean, seen.mean_low, seen.mean_high, seen.unit)))
        if arm is not result.arms[0]:
            unit = points(seen.unit)
            cells = _spoken(seen.difference, seen.difference_low, seen.difference_high, unit)
            rows.append((f"{arm.name}, difference to {result.arms[0].name}", *cells))
    return DataTable(
        first.name,
        ("arm", *(f"month {month}" for month in result.visits_months[1:])),
        rows,
        "Mean and its 95 % interval. Digits for reading; outcomes.csv has all of them, and the spread of persons.",
    )


def _envelope(result: TrialResult) -> DataTable:
    """Return each outcome at the last visit under the fitted law and each hypothesis, and the ends of the envelope."""
    rows: list[Sequence[object]] = []
    for arm in result.arms:
        for outcome in arm.outcomes:
            means = [outcome.mean[-1], *(h.mean[arm.name][outcome.name][-1] for h in result.hypotheses)]
            told = [spoken_value(value, outcome.unit) for value in (*means, min(means), max(means))]
            rows.append((arm.name, outcome.name, *told))
    about = "; ".join(f"{h.name}: {h.about}" for h in result.hypotheses)
    return DataTable(
        f"What estradiol does: the envelope over hypotheses, month {result.visits_months[-1]}",
        ("arm", "outcome", "fitted", *(h.name for h in result.hypotheses), "lowest", "highest"),
        rows,
        f"{about}. Their sizes are assumed. hypotheses.csv has all visits.",
    )


def _spoken(mean: list[float], low: list[float], high: list[float], unit: str) -> list[str]:
    return [with_interval(*numbers, unit) for numbers in zip(mean[1:], low[1:], high[1:], strict=True)]


def _arm_claims(finished: FinishedTrial) -> list[Claim]:
    """Return what must be said about the treatments of each arm."""
    return [Claim(arm.name, "assumed", text) for arm in finished.result.arms for text in arm.remarks]


def _outcome_claims(finished: FinishedTrial) -> list[Claim]:
    """Return what must be said about outcomes that not every trial has."""
    measured = {outcome.quantity for outcome in finished.found.outcomes}
    claims = []
    if measured & set(FRACTURES):
        claims.append(
            Claim(
                "Fracture risk",
                "assumed",
                "A surrogate of strength against assumed rates and forces of falls and lifts: for comparing arms, not "
                "for a person's risk. Exposure changes only where an arm says so.",
                "remodel/risk.py, remodel/fracture.py",
            )
        )
    if measured & set(SECTION):
        claims.append(
            Claim(
                "Shape of the femoral neck",
                "assumed",
                "A round tube whose outer surface moves as in adults and whose inner one follows endocortical bone.",
                "remodel/neck.py",
            )
        )
    return claims


def _agents(finished: FinishedTrial) -> list[str]:
    tables = [
        *finished.trial.population.before,
        *(table for arm in finished.trial.arms for table in arm.protocol),
    ]
    return list(dict.fromkeys(table.agent for table in tables))


def _sources(finished: FinishedTrial) -> list[str]:
    return [f"{agent}: {AGENTS[agent].source} ({AGENTS[agent].status})" for agent in _agents(finished)]
