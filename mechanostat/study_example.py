"""The annotated example of a study file and its reference, both made from the tables themselves."""

import json
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from mechanostat.study import Study
from mechanostat.study_fields import Table, table_within

_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def example_study() -> str:
    """Return a complete study file in which every field stands with its meaning, unit and limits.

    Fields that can be left out and have no default are commented out.
    """
    lines = [f"title = {_toml('A first study')}  # {_note(Study.model_fields['title'])}"]
    for name, field in Study.model_fields.items():
        table = table_within(field.annotation)
        if table is not None:
            header = f"[[{name}]]" if _is_list(field) else f"[{name}]"
            lines += ["", f"{header}  # {field.description}", *_example_fields(table, name)]
    return "\n".join(lines) + "\n"


def reference(root: type[Table]) -> str:
    """Return the reference of a file in Markdown: one table of fields per table.

    Args:
        root: The table of the whole file.
    """
    sections = ["### Top of the file", "", *_reference_rows(root, nested=False)]
    for name, field in root.model_fields.items():
        sections += _reference_sections(field, name)
    return "\n".join(sections) + "\n"


def _example_fields(table: type[Table], path: str) -> list[str]:
    """Return the lines of one table, the tables inside it last, as TOML wants."""
    lines, nested = [], []
    for name, field in table.model_fields.items():
        inner = table_within(field.annotation)
        if inner is not None:
            nested += ["", f"# [{path}.{name}]  # {field.description}"]
            nested += [f"# {line.removeprefix('# ')}" for line in _example_fields(inner, f"{path}.{name}")]
        elif get_origin(field.annotation) is dict:
            nested += ["", f"# [{path}.{name}]  # {field.description}", "# cortical = [1]"]
        else:
            value, used = _example_value(field)
            lines.append(f"{'' if used else '# '}{name} = {_toml(value)}  # {_note(field)}")
    return lines + nested


def _example_value(field: FieldInfo) -> tuple[object, bool]:
    """Return the value that the example shows, and whether it is in force or commented out."""
    extra = _extra(field)
    if field.is_required() or extra["chosen"]:
        return extra["example"], True
    if field.default is None:
        return extra["example"], False
    return field.default, True


def _reference_sections(field: FieldInfo, path: str) -> list[str]:
    """Return the sections of the table in a field and of the tables inside it; none where it holds none."""
    table = table_within(field.annotation)
    if table is None:
        return []
    header = f"[[{path}]]" if _is_list(field) else f"[{path}]"
    summary = (table.__doc__ or "").split("\n")[0]
    sections = ["", f"### `{header}`", "", summary, "", *_reference_rows(table, nested=True)]
    for name, inner in table.model_fields.items():
        sections += _reference_sections(inner, f"{path}.{name}")
    return sections


def _reference_rows(table: type[Table], *, nested: bool) -> list[str]:
    """Return one row per field; those that are tables themselves only where told so."""
    rows = ["| field | unit | default | allowed | meaning |", "|---|---|---|---|---|"]
    for name, field in table.model_fields.items():
        if not nested and table_within(field.annotation) is not None:
            continue
        default = "**required**" if field.is_required() else "none" if field.default is None else None
        default = default or f"`{_toml(field.default)}`"
        unit = _extra(field)["unit"].removeprefix("-")
        rows.append(f"| `{name}` | {unit} | {default} | {_allowed(field)} | {field.description} |")
    return rows


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError(
            f"`{field.description}` was not made by `quantity`, so it has no unit; use `quantity`."
        )
    return extra


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _note(field: FieldInfo) -> str:
    """Return meaning, unit and limits of a field as one comment."""
    unit = _extra(field)["unit"]
    allowed = _allowed(field)
    return f"{field.description}{'' if unit == '-' else f' [{unit}]'}{f'; {allowed}' if allowed else ''}"


def _allowed(field: FieldInfo) -> str:
    """Return what a field accepts, as far as its type says it: choices, or limits."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    limits = ((name, getattr(entry, name, None)) for entry in field.metadata for name in _SIGNS)
    return " and ".join(f"{_SIGNS[name]} {limit:g}" for name, limit in limits if limit is not None)


def _toml(value: object) -> str:
    """Return a value as TOML, of which JSON's strings, numbers, booleans and arrays are a part."""
    return json.dumps(value, ensure_ascii=False)
