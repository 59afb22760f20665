"""Curves over time: bone, strength, hormones and set point, several arms in one figure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanostat.pictures import INK, QUIET, blank_figure

DAYS_PER_YEAR = 365.25
ARM_COLOURS = ("#1b5e9c", "#c8501e", "#2a7f4f", "#7b3f98", "#8a6d00", "#4d4d4d")
"""Told apart by most colour-blind people, and by their brightness in print."""

LINE_STYLES = ("-", "--", "-.", ":")
WINDOW_COLOURS = ("#f3c98b", "#b7d3ea", "#c9e3c5", "#e3cfe9")


class Panel(NamedTuple):
    """One set of axes: a quantity over time, in each arm."""

    title: str
    unit: str
    """Unit, or nothing."""
    arms: Mapping[str, Sequence[float | None]]
    """Values by arm, one per time; None where there is none."""
    relative: bool = False
    """Whether to show the change from the first value in percent."""


class Span(NamedTuple):
    """A stretch of time that is marked: a treatment, training, bed rest."""

    label: str
    start_years: float
    stop_years: float


def curves_figure(
    times_days: Float[np.ndarray, " times"] | Sequence[float],
    panels: Sequence[Panel],
    *,
    title: str,
    age: float | None = None,
    menopause_age: float | None = None,
    spans: Sequence[Span] = (),
    banner: str = "",
) -> Figure:
    """Return the panels below each other in two columns, time in years, with what happened marked.

    Args:
        times_days: Times of the values, from the start of the study [day].
        panels: What is shown.
        title: Title of the figure.
        age: Age at the start [year]; with it the age stands on top.
        menopause_age: Age at the final menstrual period [year]; marked where it falls in the study.
        spans: Treatments and activities.
        banner: What limits the picture; `pictures.BANNER` for predictions.
    """
    rows = (len(panels) + 1) // 2
    height = 2.6 * rows + 1.8
    figure = blank_figure(11.0, height, title, banner)
    grid = figure.add_gridspec(
        rows, 2, left=0.075, right=0.98, top=1 - 1.45 / height, bottom=0.75 / height, hspace=0.42, wspace=0.2
    )
    years = np.asarray(times_days, dtype=float) / DAYS_PER_YEAR
    menopause = None if age is None or menopause_age is None else menopause_age - age
    names = list(dict.fromkeys(name for panel in panels for name in panel.arms))
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(grid[number // 2, number % 2])
        _draw(axes, years, panel, names)
        _mark(axes, years, menopause, spans)
        if age is not None and number < 2:
            above = axes.secondary_xaxis("top", functions=(partial(np.add, age), partial(np.add, -age)))
            above.set_xlabel("age [years]", fontsize=8, color=QUIET)
            above.tick_params(labelsize=8, colors=QUIET)
        if number >= len(panels) - 2:
            axes.set_xlabel("years from the start")
    _legend(figure, height, names, menopause is not None and years[0] <= menopause <= years[-1], spans)
    return figure


def _draw(axes: Axes, years: np.ndarray, panel: Panel, names: Sequence[str]) -> None:
    """Draw one quantity, its arms in the colours that they have in every panel."""
    for name, values in panel.arms.items():
        numbers = np.asarray([np.nan if value is None else value for value in values], dtype=float)
        if panel.relative:
            numbers = 100.0 * (numbers / numbers[0] - 1.0)
        place = names.index(name)
        colour, style = ARM_COLOURS[place % len(ARM_COLOURS)], LINE_STYLES[place % len(LINE_STYLES)]
        axes.plot(years, numbers, style, color=colour, lw=2.0, marker="o", ms=3.0)
    unit = "change in %" if panel.relative else panel.unit
    axes.set_title(f"{panel.title}{f' [{unit}]' if unit else ''}", loc="left", fontsize=10.5, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dfe3e8", lw=0.7)
    axes.margins(y=0.12)
    edge = 0.01 * (years[-1] - years[0])
    axes.set_xlim(years[0] - edge, years[-1] + edge)
    axes.tick_params(labelsize=9)
    axes.ticklabel_format(axis="y", useOffset=False)


def _mark(axes: Axes, years: np.ndarray, menopause: float | None, spans: Sequence[Span]) -> None:
    for place, span in enumerate(spans):
        colour = WINDOW_COLOURS[place % len(WINDOW_COLOURS)]
        axes.axvspan(
            max(span.start_years, years[0]), min(span.stop_years, years[-1]), color=colour, alpha=0.4, lw=0
        )
    if menopause is not None and years[0] <= menopause <= years[-1]:
        axes.axvline(menopause, color=INK, lw=1.2, ls=(0, (2, 2)))


def _legend(
    figure: Figure, height: float, names: Sequence[str], menopause: bool, spans: Sequence[Span]
) -> None:
    """Explain arms and marks once, below the title."""
    canvas = figure.add_axes((0.0, 0.0, 1.0, 1.0), frameon=False, zorder=-1)
    canvas.set_axis_off()
    handles = [
        canvas.plot([], [], LINE_STYLES[k % 4], color=ARM_COLOURS[k % 6], lw=2, marker="o", ms=3, label=name)[
            0
        ]
        for k, name in enumerate(names)
    ]
    if menopause:
        handles += canvas.plot([], [], color=INK, lw=1.2, ls=(0, (2, 2)), label="menopause")
    handles += [
        canvas.fill_between([], [], color=WINDOW_COLOURS[k % 4], alpha=0.4, lw=0, label=span.label)
        for k, span in enumerate(spans)
    ]
    place = (0.06, 1 - 0.42 / height)
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=place, ncols=5, frameon=False, fontsize=10
    )
