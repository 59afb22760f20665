"""The page, the table and the figure of the model measured against the clinic."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mechanostat.files import write_bytes
from mechanostat.pictures import INK, QUIET, blank_figure, png
from mechanostat.validation import Judgement, by_mechanism, miss_reasons, reason_of, total

PAGE, TABLE, PICTURE = "validation.md", "validation.csv", "validation.png"
"""Names of the three files."""

HIT, MISS = "#1b5e9c", "#c8501e"
FARTHEST = 6.0
"""Where points of the figure end [half widths of the band]."""

INTRODUCTION = """\
# Validation against the clinic

Written by `mechanostat validate --out docs`; do not edit. Each row is a result of a clinical study and the band that a
simulated cohort has to reach. The model without space (three compartments under constant stress, `remodel/skeleton.py`)
follows the persons of the study, few and drawn evenly, with the law's default numbers. Most of these studies, or their
like, are among those the defaults were fitted to: this is a measure of fit, not a forecast.

* Bands: `mechanostat/data/clinical_targets.csv`. What of the model answers each row, and what stands for things it does
  not have: `mechanostat/data/target_trials.csv`. The trials: `mechanostat/data/trials`, each of which
  `mechanostat trial` runs.
* `gate` rows count by their band, `order` rows by direction. `secondary` and `report-only` rows are shown and never
  counted. Reasons for misses are probable ones, not proven.
* The interval holds 95 % of the persons. It says nothing of the uncertainty of the law's numbers.
* Rows of `fe-material` compare laws that the engine takes in with their sources: a check of entries, not a prediction.
"""


def write_validation(out: Path, judged: Sequence[Judgement]) -> None:
    """Write page, table and figure into a folder, over earlier ones.

    Args:
        out: The folder; made if it is not there.
        judged: By `validation.measure`.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(out / PAGE, page(judged).encode())
    write_bytes(out / TABLE, table(judged).encode())
    write_bytes(out / PICTURE, png(figure(judged)))


def page(judged: Sequence[Judgement]) -> str:
    """Return the page, Markdown."""
    reasons, lines = (
        miss_reasons(),
        [INTRODUCTION, *_totals(judged), f"\n![Model against targets]({PICTURE})\n"],
    )
    for mechanism, rows in by_mechanism(judged).items():
        covered = [one for one in rows if one.value is not None]
        if not covered:
            continue
        lines += [
            f"## {mechanism}\n",
            "| target | study | what | result | band | model | 95 % of persons | | remark |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_row(one, reasons) for one in covered),
            "",
        ]
    lines += ["## Not covered\n", "| target | study | what | gate | why |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.target.id} | {_study(one)} | {_what(one)} | {one.target.gate} | {one.reading.reason} |"
        for one in judged
        if one.value is None
    ]
    return "\n".join(lines) + "\n"


def table(judged: Sequence[Judgement]) -> str:
    """Return all rows as CSV text."""
    reasons, text = miss_reasons(), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "id",
            "mechanism",
            "gate",
            "study",
            "site",
            "method",
            "unit",
            "result",
            "band_low",
            "band_high",
            "model",
            "persons_low",
            "persons_high",
            "verdict",
            "trial",
            "arm",
            "against",
            "quantity",
            "form",
            "months",
            "surrogate",
            "reason",
        ]
    )
    for one in judged:
        t, r = one.target, one.reading
        numbers = ["" if x is None else f"{x:.4g}" for x in (one.value, one.low, one.high)]
        writer.writerow(
            [t.id, t.mechanism, t.gate, t.citation, t.site, t.method, t.unit, t.mean, t.low, t.high, *numbers]
            + [
                verdict(one),
                r.trial,
                r.arm,
                r.against,
                r.quantity,
                r.form,
                " ".join(f"{m:g}" for m in r.months),
            ]
            + [r.surrogate, reason_of(one, reasons)]
        )
    return text.getvalue()


def verdict(one: Judgement) -> str:
    """Return `pass`, `miss` or `not covered`; in brackets where the row is never counted."""
    word = "not covered" if one.inside is None else "pass" if one.inside else "miss"
    return word if one.counts else f"({word})"


def figure(judged: Sequence[Judgement]) -> Figure:
    """Return where each number lies relative to its band, by mechanism: 0 its middle, ±1 its ends."""
    groups = {
        name: [one for one in rows if one.value is not None] for name, rows in by_mechanism(judged).items()
    }
    groups = {name: rows for name, rows in groups.items() if rows}
    drawn = blank_figure(11.0, 2.0 + 0.3 * len(groups), "The model in the bands of clinical results", "")
    axes = drawn.add_axes((0.26, 0.09, 0.7, 0.83))
    axes.axvspan(-1.0, 1.0, color="#dfe9f3", lw=0)
    for height, (name, rows) in enumerate(groups.items()):
        spread = np.linspace(-0.22, 0.22, len(rows)) if len(rows) > 1 else [0.0]
        for one, shift in zip(rows, spread, strict=True):
            place = float(np.clip(_place(one), -FARTHEST, FARTHEST))
            axes.plot(
                place, height + shift, marker="o" if one.counts else "D", ms=4, lw=0,
                color=HIT if one.inside else MISS, fillstyle="full" if one.counts else "none",
            )  # fmt: skip
        axes.text(
            -FARTHEST - 0.4, height, f"{name}  {total(rows).inside}/{total(rows).covered}", ha="right",
            va="center", fontsize=9, color=INK,
        )  # fmt: skip
    axes.set(xlim=(-FARTHEST - 0.2, FARTHEST + 0.2), ylim=(len(groups) - 0.4, -0.6), yticks=[])
    axes.set_xlabel(
        "distance from the middle of the band [half widths]; farther ones at the edge; open: not counted",
        color=QUIET,
    )
    return drawn


def _place(one: Judgement) -> float:
    """Return where a number lies relative to its band [half widths]."""
    middle, half = 0.5 * (one.target.high + one.target.low), 0.5 * (one.target.high - one.target.low)
    return ((one.value or 0.0) - middle) / half


def _totals(judged: Sequence[Judgement]) -> list[str]:
    whole = total(judged)
    predicted = total([one for one in judged if one.reading.form != "constant"])
    lines = [
        f"**{_share(whole.inside, whole.covered)} of the rows that count and are covered are met.** "
        f"Without entries of the engine itself {_share(predicted.inside, predicted.covered)}; "
        f"of all rows that count, covered or not, {_share(whole.inside, whole.all)}.\n",
        "| mechanism | met | covered | rows that count | share of covered |",
        "|---|---|---|---|---|",
    ]
    for name, rows in by_mechanism(judged).items():
        part = total(rows)
        if part.all:
            share = f"{100 * part.inside / part.covered:.0f} %" if part.covered else "-"
            lines.append(f"| {name} | {part.inside} | {part.covered} | {part.all} | {share} |")
    return [*lines, f"| **all** | {whole.inside} | {whole.covered} | {whole.all} | "
            f"{100 * whole.inside / whole.covered:.0f} % |"]  # fmt: skip


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)"


def _row(one: Judgement, reasons: dict[str, str]) -> str:
    t = one.target
    reason, surrogate = reason_of(one, reasons), one.reading.surrogate
    remark = " ".join(part for part in (reason, f"Surrogate: {surrogate}." if surrogate else "") if part)
    band = f"{t.low:.3g} to {t.high:.3g}"
    persons = f"{one.low:.3g} to {one.high:.3g}"
    return (
        f"| {t.id} | {_study(one)} | {_what(one)} | {t.mean:.3g} | {band} | {one.value:.3g} | {persons} "
        f"| {verdict(one)} | {remark} |"
    )


def _study(one: Judgement) -> str:
    """Return the first author and the year of a citation."""
    author = one.target.citation.split(",")[0].split(" ")
    years = [part[:4] for part in one.target.citation.replace(";", " ").split() if part[:2] in ("19", "20")]
    name = one.target.citation.split(" et al")[0].split(",")[0] if author[0].startswith("(") else author[0]
    return _plain(f"{name} {next((year for year in years if year.isdigit()), '')}".strip())


def _what(one: Judgement) -> str:
    t = one.target
    against = "" if t.comparator in ("baseline", "own baseline", "-", "") else f" vs {t.comparator}"
    return _plain(f"{t.intervention}{against}, {t.site}: {t.outcome}")


def _plain(text: str) -> str:
    """Return text that no cell of a table breaks on."""
    return text.replace("|", "/").replace("\n", " ")
