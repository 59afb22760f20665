"""Writing results: whole files or none, one folder per study, text that no spreadsheet runs."""

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel

FINGERPRINT_FILE = "fingerprint.json"
LOAD_CASE_PICTURE = "load-case.png"
"""The one file that a dry run writes; the run itself may follow in the same folder."""
RESULT_FILE = "result.json"

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also when the machine stops midway."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_record(path: Path, record: BaseModel) -> None:
    """Write a record as JSON; what is not finite becomes null."""
    write_bytes(path, record.model_dump_json(indent=2, by_alias=True).encode() + b"\n")


def write_row(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as a CSV table of one row, for spreadsheets and data frames.

    Nested fields become columns with dots (`input.name`). Text that a spreadsheet would run as a
    formula gets an apostrophe in front.
    """
    flat = _flattened(record)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([harmless(name) for name in flat])
    writer.writerow([harmless(value) for value in flat.values()])
    write_bytes(path, text.getvalue().encode())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder with their names, as 64 hex digits."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(entry for entry in path.iterdir() if entry.is_file()):
        digest.update(f"{file.name}\0{sha256_of(file)}\0".encode())
    return digest.hexdigest()


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return one SHA-256 for all that decides a result: options or study, and the scan's own hash."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def claim_folder(folder: Path, *, mark: str, resume: bool = False) -> None:
    """Make a folder for results, or take one that belongs to the same study.

    Args:
        folder: The folder; made with its parents if it is not there.
        mark: Fingerprint of the study.
        resume: Whether an unfinished study may be carried on.

    Raises:
        FileExistsError: Where the folder holds anything else, or an unfinished study without `resume`.
        FileNotFoundError: Where there is nothing to resume.
    """
    owner = folder / FINGERPRINT_FILE
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"`{folder}` is a file; give a folder for the results.")
    if resume and not owner.exists():
        raise FileNotFoundError(f"`{folder}` holds no study to resume; leave out `--resume`.")
    if owner.exists():
        _check_owner(folder, owner, mark=mark, resume=resume)
        return
    if folder.is_dir() and any(entry.name != LOAD_CASE_PICTURE for entry in folder.iterdir()):
        raise FileExistsError(f"`{folder}` holds other files, which could be lost; give an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(owner, json.dumps({"fingerprint": mark}).encode() + b"\n")


def output_path(folder: Path, name: str) -> Path:
    """Return the path of an output inside a folder.

    Refuses on every system what leaves the folder on any: absolute paths, `..`, drive letters,
    backslashes, reserved names, NUL, links that point outside.

    Raises:
        ValueError: Where the name is not one of a file inside the folder.
    """
    parts = PurePosixPath(name).parts
    hostile = (
        not parts or name.startswith(("/", "~")) or ".." in parts or any(sign in name for sign in "\\:\0")
    )
    hostile = hostile or any(_RESERVED.fullmatch(part) for part in parts)
    path = folder if hostile else folder / name
    if hostile or not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"`{name!r}` is not a file inside the folder of results; use letters, digits, - and _."
        )
    return path


def _check_owner(folder: Path, owner: Path, *, mark: str, resume: bool) -> None:
    try:
        found = json.loads(owner.read_bytes())["fingerprint"]
    except (ValueError, KeyError, TypeError):
        found = None
    if found != mark:
        raise FileExistsError(
            f"`{folder}` holds the results of another study or other options; give another `--out`, "
            "or delete the folder yourself."
        )
    if not resume and not (folder / RESULT_FILE).exists() and len(list(folder.iterdir())) > 1:
        raise FileExistsError(
            f"`{folder}` holds this study unfinished; add `--resume`, or give another `--out`."
        )


def _flattened(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            flat |= _flattened({str(k): entry for k, entry in enumerate(value)}, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def harmless(value: object) -> object:
    """Return a cell of a CSV table; text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
