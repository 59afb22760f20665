"""Reading a study file: every error at once, each with its place, what came and what is allowed."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mechanostat.study import Study
from mechanostat.study_fields import Table, table_within

SIZE_LIMIT_BYTES = 1_000_000
"""A study file is text that people write; anything larger is something else."""


def read_study(path: str | Path) -> Study:
    """Return the study in a TOML file, its paths resolved against the file's folder.

    Args:
        path: The study file.

    Raises:
        FileNotFoundError: Where there is no such file.
        ValueError: Where it is no TOML, or with all errors of the study, one line each.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`{path}` is no file; give a study file, see docs/study.md.")
    size = path.stat().st_size
    if size > SIZE_LIMIT_BYTES:
        raise ValueError(f"`{path}` has {size} bytes; a study file has at most {SIZE_LIMIT_BYTES}.")
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{path}` is no TOML in UTF-8: {error}") from None
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
    try:
        return Study.model_validate(dict(data), context={"folder": folder.resolve()})
    except ValidationError as error:
        lines = sorted(_line(detail) for detail in error.errors(include_url=False))
    count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    raise ValueError("\n  ".join([f"`{name}` has {count}:", *lines]))


def _line(detail: Mapping[str, Any]) -> str:
    """Return one error as `path: what came; what is wanted`."""
    place, kind, came = detail["loc"], detail["type"], _shown(detail["input"])
    if kind == "extra_forbidden":
        return f"{_path(place)}: unknown. {_known_names(place)}"
    if kind == "missing":
        return f"{_path(place)}: is missing. {_meaning(place)}"
    if kind == "table":
        return f"{_path(place[:-1])}: {detail['msg']}."
    if kind == "value_error":
        arrived = "is missing" if detail["input"] is None else f"got {came}"
        return f"{_path(place)}: {arrived}; {detail['ctx']['error']}."
    if kind == "literal_error":
        return f"{_path(place)}: got {came}; allowed: {_choices(detail)}. {_meaning(place)}"
    return f"{_path(place)}: got {came}; {_wanted(detail['msg'])}. {_meaning(place)}"


def _path(place: Sequence[str | int]) -> str:
    """Return a place as people write it: `loads[1].axis`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.lstrip(".") or "study"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wanted(message: str) -> str:
    return message.replace("Input should", "should").replace("tuple", "array")


def _choices(detail: Mapping[str, Any]) -> str:
    expected = detail["ctx"]["expected"].replace(" or ", ", ")
    names = [name.strip("'") for name in expected.split(", ")]
    near = difflib.get_close_matches(str(detail["input"]), names, n=1)
    return expected + (f"; the nearest is '{near[0]}'" if near else "")


def _table_at(place: Sequence[str | int]) -> type[Table] | None:
    """Return the table that the fields under a place belong to."""
    table: type[Table] | None = Study
    for step in place:
        if isinstance(step, int):
            continue
        field = table.model_fields.get(step) if table is not None else None
        table = table_within(field.annotation) if field is not None else None
    return table


def _known_names(place: Sequence[str | int]) -> str:
    table = _table_at(place[:-1])
    names = list(table.model_fields) if table is not None else []
    near = difflib.get_close_matches(str(place[-1]), names, n=1, cutoff=0.6)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    return f"{hint}Allowed here: {', '.join(names)}."


def _meaning(place: Sequence[str | int]) -> str:
    """Return what the field at a place means, with its unit; nothing where no field is there."""
    steps = [step for step in place if not isinstance(step, int)]
    table = _table_at(steps[:-1])
    field = table.model_fields.get(steps[-1]) if table is not None and steps else None
    if field is None or not isinstance(field.json_schema_extra, dict):
        return ""
    unit = field.json_schema_extra["unit"]
    return f"({field.description}{'' if unit == '-' else f' [{unit}]'})"
