"""What a person sees while it runs: a progress bar where a terminal watches, log lines where none does."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from mechanostat.interruption import check_interruption

LINES_PER_STAGE = 20
"""Where no terminal watches, a stage of many steps writes about this many lines."""


class Reporter:
    """Tells people how far the work is, on standard error; machines read the files."""

    def __init__(self, *, device: str = "", quiet: bool = False, stream: TextIO | None = None):
        """Make a reporter.

        Args:
            device: The device that computes, shown beside the progress.
            quiet: Whether to tell nothing but warnings.
            stream: Where to; standard error if absent.
        """
        self.console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self.device = device
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Tell one line."""
        if not self.quiet:
            self._line(text, style=None)

    def warn(self, text: str) -> None:
        """Tell one line that needs a decision, also where quiet."""
        self._line(f"warning: {text}", style="yellow")

    def fail(self, text: str) -> None:
        """Tell why the work ended."""
        self._line(f"error: {text}", style="bold red")

    @contextmanager
    def stage(self, title: str, steps: int) -> Iterator["Stage"]:
        """Tell the progress of a stage while its body runs.

        Args:
            title: What is done, such as `remodeling`.
            steps: How many steps it has.
        """
        if self.quiet or not self.console.is_terminal:
            yield Stage(self, title, steps, progress=None)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.console, transient=False) as progress:
            yield Stage(self, title, steps, progress=progress)

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Tell a table: numbers keep five digits and stand to the right, text to the left."""
        if self.quiet:
            return
        table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
        for place, heading in enumerate(headings):
            numbers = place > 0 and all(isinstance(row[place], int | float | None) for row in rows)
            table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*(spoken(cell) for cell in row))
        self.console.print(table)

    def _line(self, text: str, *, style: str | None) -> None:
        prefix = "" if self.console.is_terminal else time.strftime("%Y-%m-%dT%H:%M:%S ")
        self.console.print(prefix + text, style=style, markup=False)


class Stage:
    """The progress of one stage."""

    def __init__(self, reporter: Reporter, title: str, steps: int, *, progress: Progress | None):
        """Begin a stage; made by `Reporter.stage`."""
        self._reporter, self._title, self._steps, self._progress = reporter, title, max(steps, 1), progress
        self._done, self._told = 0, 0
        self._begun: tuple[float, int] | None = None
        self._task = progress.add_task(title, total=self._steps, note="") if progress is not None else None

    def advance(self, steps: int = 1, *, residual: float | None = None, note: str = "") -> None:
        """Tell that steps are done.

        Args:
            steps: How many since the last call.
            residual: True relative residual of the latest solve [-].
            note: Anything else, in a few words.

        Raises:
            KeyboardInterrupt: If Ctrl-C was pressed and a library swallowed it.
        """
        check_interruption()
        self._done += steps
        if self._begun is None and self._done > 0:
            self._begun = time.monotonic(), self._done
        parts = [note, "" if residual is None else f"residual {residual:.1e}", self._reporter.device]
        text = "  ".join(part for part in parts if part)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self._done, note=text)
        elif self._done - self._told >= self._steps / LINES_PER_STAGE or self._done >= self._steps:
            self._told = self._done
            self._reporter.say(
                f"{self._title} {self._done}/{self._steps}, time left {self._left()}  {text}".rstrip()
            )

    def _left(self) -> str:
        """Return the time left, from the pace since the first steps were done: those also compiled."""
        if self._begun is None or self._done == self._begun[1]:
            return "unknown"
        begun, done = self._begun
        pace = (time.monotonic() - begun) / (self._done - done)
        return str(timedelta(seconds=round(pace * max(self._steps - self._done, 0))))


def spoken(value: object) -> str:
    """Return a value as people read it: five digits, also in a list, and an en dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if 1e5 <= abs(value) < 1e9 else f"{value:.5g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {spoken(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(spoken, value))
    return str(value)


def print_json(record: Mapping[str, object]) -> None:
    """Print a record on standard output, for a program that reads it (`--json`)."""
    json.dump(record, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
