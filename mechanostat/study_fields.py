"""The parts that all tables of a study file share: a field with its unit, names, axes, lists."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

Axis = Literal["x", "y", "z"]
Case = Literal["axial", "uniaxial", "confined", "symshear", "dshear", "bending", "torsion"]


def _as_name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) is None:
        raise ValueError("a name has 1 to 64 letters, digits, `-` and `_`")
    return name


Name = Annotated[str, AfterValidator(_as_name)]
"""A name that may become part of a file name: letters, digits, `-` and `_`."""


def quantity(
    default: Any = ...,
    *,
    unit: str,
    text: str,
    example: object = None,
    chosen: bool = False,
    **limits: Any,
) -> Any:
    """Return a field of a table with its unit, its meaning and its limits.

    Args:
        default: The value where the study says nothing; `...` where it must say something.
        unit: Unit, or `-` for none.
        text: What it means, one sentence without a full stop.
        example: Value for the annotated example where there is no default.
        chosen: Whether the annotated example sets it although it could be left out.
        **limits: `gt`, `ge`, `lt`, `le`, `min_length` as in pydantic.
    """
    extra: dict[str, Any] = {"unit": unit, "example": example, "chosen": chosen}
    return Field(default, description=text, json_schema_extra=extra, validate_default=True, **limits)


class Table(BaseModel):
    """What all tables share: unknown fields are errors, and so are NaN, infinity and wrong types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def as_tuple(value: object) -> object:
    """Return a TOML array as a tuple, and anything else as it came."""
    return tuple(value) if isinstance(value, list) else value


def as_triple(value: object) -> object:
    """Return one number as the same number for the three axes, and anything else as it came."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value, value, value)
    return as_tuple(value)


ArrayOfTables = BeforeValidator(as_tuple)


def table_error(message: str) -> PydanticCustomError:
    """Return an error that belongs to a whole table, not to the field whose check found it."""
    return PydanticCustomError("table", "{message}", {"message": message})


def table_within(annotation: object) -> type[Table] | None:
    """Return the table that a field's type holds (itself, in a list or optionally), or None."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    inner = (table_within(part) for part in get_args(annotation))
    return next((table for table in inner if table is not None), None)
