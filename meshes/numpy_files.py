"""NumPy arrays from .npy and .npz files, never unpickled and never believed beyond their size."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from meshes.failures import ReadError, reading
from meshes.scan import GREY, LABEL, Limits, Scan, check_claim, from_zyx, three_axes

HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Versions of the format that hold plain arrays; 3.0 is for named fields alone."""


def read_npy(path: Path, *, axes: str, limits: Limits) -> Scan:
    """Return the array of an .npy file; it has no spacing.

    Args:
        path: The file.
        axes: Order of the axes in the file, "xyz" or "zyx".
        limits: How much the file may claim.

    Raises:
        ReadError: Where the file is damaged or pickled, or claims more than it holds.
    """
    with reading(path), path.open("rb") as stream:
        values = _array(path, stream, size=path.stat().st_size, stored=None, limits=limits)
        return _scan(path, values, axes)


def read_npz(path: Path, *, array: str | None, axes: str, limits: Limits) -> Scan:
    """Return one array of an .npz file; it has no spacing.

    Args:
        path: The file.
        array: Name of the array; None where the file holds exactly one.
        axes: Order of the axes in the file, "xyz" or "zyx".
        limits: How much the file may claim.

    Raises:
        ReadError: Where the array is not there, damaged, pickled or a bomb.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        member = _member(path, archive, array)
        with archive.open(member) as stream:
            values = _array(path, stream, size=member.file_size, stored=member.compress_size, limits=limits)
            if stream.read(1):
                raise ReadError(path, f"`{member.filename}` does not end with its array", "Save it again.")
        return _scan(path, values, axes)


def _member(path: Path, archive: zipfile.ZipFile, array: str | None) -> zipfile.ZipInfo:
    members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
    if array is None and len(members) == 1:
        return next(iter(members.values()))
    if array not in members:
        wanted = "which of them is not said" if array is None else f"not `{array}`"
        raise ReadError(
            path, f"it holds the arrays {sorted(members)[:10]}, {wanted}", "Name one of them: `array=...`."
        )
    return members[array]


def _array(
    path: Path, stream: Any, *, size: int, stored: int | None, limits: Limits
) -> Shaped[np.ndarray, "..."]:
    """Return the array of a stream, after its header is held against the bytes that are there."""
    version = np.lib.format.read_magic(stream)
    if version not in HEADER_READERS:
        raise ReadError(path, f"it is of the NumPy format {version}", "Save a plain array.")
    shape, fortran, dtype = HEADER_READERS[version](stream)
    if dtype.hasobject:
        raise ReadError(
            path, "it holds pickled objects, which are never loaded", "Save a plain array of numbers."
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ReadError(
            path, f"it holds values of type `{dtype}`", "Save booleans, integers or real numbers."
        )
    shape = tuple(int(length) for length in shape)
    claimed = check_claim(path, shape=shape, itemsize=dtype.itemsize, stored=stored, limits=limits)
    present = size - stream.tell()
    if claimed != present:
        raise ReadError(
            path,
            f"its header claims {shape} values, {claimed} bytes, and {present} are there",
            "Save it again.",
        )
    values = np.empty(math.prod(shape), dtype=dtype)
    filled = values.view(np.uint8)
    at = 0
    while at < claimed:
        block = stream.read(min(claimed - at, 4 * 2**20))
        if not block:
            raise ReadError(path, f"it is truncated: {at} of {claimed} bytes are there", "Save it again.")
        filled[at : at + len(block)] = np.frombuffer(block, np.uint8)
        at += len(block)
    return values.reshape(shape, order="F" if fortran else "C")


def _scan(path: Path, values: Shaped[np.ndarray, "..."], axes: str) -> Scan:
    values = values.reshape(three_axes(path, values.shape))
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    values = from_zyx(values) if axes == "zyx" else np.ascontiguousarray(values)
    return Scan(values, None, quantity=LABEL if values.dtype == bool else GREY)
