"""Reading a file of tables: every error at once, each with its place, what came and what is allowed."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mechanostat.study_fields import Table, table_within

SIZE_LIMIT_BYTES = 1_000_000
"""Such a file is text that people write; anything larger is something else."""

Root = TypeVar("Root", bound=Table)


def read_toml(path: Path, *, kind: str, page: str) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Args:
        path: The file.
        kind: What it is called, such as `study file`.
        page: Where its fields are told.

    Raises:
        FileNotFoundError: Where there is no such file.
        ValueError: Where it is no TOML.
    """
    if not path.is_file():
        raise FileNotFoundError(f"`{path}` is no file; give a {kind}, see {page}.")
    size = path.stat().st_size
    if size > SIZE_LIMIT_BYTES:
        raise ValueError(f"`{path}` has {size} bytes; a {kind} has at most {SIZE_LIMIT_BYTES}.")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{path}` is no TOML in UTF-8: {error}") from None


def checked(root: type[Root], data: Mapping[str, Any], *, name: str, context: Mapping[str, Any]) -> Root:
    """Return what a mapping describes.

    Args:
        root: The table of the whole file.
        data: Tables and fields.
        name: What the message calls the file.
        context: What checks need to know beside it.

    Raises:
        ValueError: With all errors, one line each.
    """
    try:
        return root.model_validate(dict(data), context=dict(context))
    except ValidationError as error:
        lines = sorted(_line(detail, root) for detail in error.errors(include_url=False))
    count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    raise ValueError("\n  ".join([f"`{name}` has {count}:", *lines]))


def _line(detail: Mapping[str, Any], root: type[Table]) -> str:
    """Return one error as `path: what came; what is wanted`."""
    place, kind, came = detail["loc"], detail["type"], _shown(detail["input"])
    if kind == "extra_forbidden":
        return f"{_path(place)}: unknown. {_known_names(place, root)}"
    if kind == "missing":
        return f"{_path(place)}: is missing. {_meaning(place, root)}"
    if kind == "table":
        return f"{_path(place[:-1])}: {detail['msg']}."
    if kind == "value_error":
        arrived = "is missing" if detail["input"] is None else f"got {came}"
        return f"{_path(place)}: {arrived}; {detail['ctx']['error']}."
    if kind == "literal_error":
        return f"{_path(place)}: got {came}; allowed: {_choices(detail)}. {_meaning(place, root)}"
    return f"{_path(place)}: got {came}; {_wanted(detail['msg'])}. {_meaning(place, root)}"


def _path(place: Sequence[str | int]) -> str:
    """Return a place as people write it: `loads[1].axis`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.lstrip(".") or "file"


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


def _table_at(place: Sequence[str | int], root: type[Table]) -> type[Table] | None:
    """Return the table that the fields under a place belong to."""
    table: type[Table] | None = root
    for step in place:
        if isinstance(step, int):
            continue
        field = table.model_fields.get(step) if table is not None else None
        table = table_within(field.annotation) if field is not None else None
    return table


def _known_names(place: Sequence[str | int], root: type[Table]) -> str:
    table = _table_at(place[:-1], root)
    names = list(table.model_fields) if table is not None else []
    near = difflib.get_close_matches(str(place[-1]), names, n=1, cutoff=0.6)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    return f"{hint}Allowed here: {', '.join(names)}."


def _meaning(place: Sequence[str | int], root: type[Table]) -> str:
    """Return what the field at a place means, with its unit; nothing where no field is there."""
    steps = [step for step in place if not isinstance(step, int)]
    table = _table_at(steps[:-1], root)
    field = table.model_fields.get(steps[-1]) if table is not None and steps else None
    if field is None or not isinstance(field.json_schema_extra, dict):
        return ""
    unit = field.json_schema_extra["unit"]
    return f"({field.description}{'' if unit == '-' else f' [{unit}]'})"
