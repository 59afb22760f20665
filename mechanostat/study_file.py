"""Reading a study file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mechanostat.study import Study
from mechanostat.table_file import checked, read_toml


def read_study(path: str | Path) -> Study:
    """Return the study in a TOML file, its paths resolved against the file's folder.

    Args:
        path: The study file.

    Raises:
        FileNotFoundError: Where there is no such file.
        ValueError: Where it is no TOML, or with all errors of the study, one line each.
    """
    path = Path(path)
    data = read_toml(path, kind="study file", page="docs/study.md")
    return parse_study(data, folder=path.parent, name=path.name)


def parse_study(data: Mapping[str, Any], *, folder: Path, name: str = "study") -> Study:
    """Return the study that a mapping describes.

    Args:
        data: Tables and fields, as in a study file.
        folder: What relative paths are relative to; the scan must be there.
        name: What the message calls the study.

    Raises:
        ValueError: With all errors of the study, one line each.
    """
    return checked(Study, data, name=name, context={"folder": folder.resolve()})
