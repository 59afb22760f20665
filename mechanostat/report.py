"""The report: one HTML file that needs no network, for people who were not there."""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from mechanostat import __version__
from mechanostat.console import spoken
from mechanostat.files import write_bytes
from mechanostat.pictures import BANNER


class Headline(NamedTuple):
    """One number that sums the study up."""

    label: str
    value: str
    note: str = ""


class Picture(NamedTuple):
    """A picture with the sentence that explains it."""

    caption: str
    png: bytes
    small: bool = False
    """Whether half the width of the page is enough for it."""


class DataTable(NamedTuple):
    """A table of results; the first column names the rows."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


class Claim(NamedTuple):
    """One thing that the result rests on, and how well it is known."""

    subject: str
    status: str
    """`validated`, `fitted` or `assumed`."""
    text: str
    source: str = ""


class Report(NamedTuple):
    """All that a report tells; every text is plain text and is escaped."""

    title: str
    summary: str
    headlines: Sequence[Headline]
    bone: Sequence[tuple[str, str]]
    """What was done to the bone: name and value, in order."""
    pictures: Sequence[Picture]
    curves: Sequence[Picture]
    tables: Sequence[DataTable]
    solves: DataTable | None
    claims: Sequence[Claim]
    sources: Sequence[str]
    credit: str
    licence: str
    provenance: Sequence[tuple[str, str]]
    """Device, precision, versions, hashes: name and value."""
    predicts: bool
    """Whether it holds predictions, which carry the banner."""
    banner: str = BANNER
    subject: str = "The bone, and what was done to it"
    """Heading above `bone`."""
    method: str = "The solves"
    """Heading above `solves` and `provenance`."""


def write_report(path: Path, report: Report, *, made_at: datetime | None = None) -> None:
    """Write a report as one HTML file with all its pictures inside.

    Args:
        path: The file.
        report: What it tells.
        made_at: Time to print; none is printed if absent, so that the same result gives the same file.
    """
    write_bytes(path, report_html(report, made_at=made_at).encode("utf-8"))


def report_html(report: Report, *, made_at: datetime | None = None) -> str:
    """Return a report as HTML; every text in it is escaped, nothing in it asks a network.

    Args:
        report: What it tells.
        made_at: Time to print.
    """
    environment = Environment(
        loader=PackageLoader("mechanostat", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["spoken"] = spoken
    environment.filters["inlined"] = _inlined
    return environment.get_template("report.html.j2").render(
        report=report,
        made_at="" if made_at is None else made_at.strftime("%Y-%m-%d %H:%M"),
        version=__version__,
    )


def _inlined(png: bytes) -> str:
    """Return a picture as text that stands in the page itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
