"""Scanco AIM and ISQ files, read by py_aimio in a process of its own once their headers are checked."""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from meshes.failures import BROKEN, ReadError, reading
from meshes.isolation import read_isolated
from meshes.scan import GREY, LABEL, Calibration, Limits, Scan, check_claim

AIM_BYTES = {0x00010001: 1, 0x00020002: 2, 0x001A0003: 4}
"""Bytes of a voxel by AIM type, for the uncompressed ones; the others pack voxels into fewer bytes."""


def read_aim(path: Path, *, limits: Limits) -> Scan:
    """Return the content of an AIM file (version 2 or 3), with the calibration of its log.

    Raises:
        ReadError: Where the header does not fit the file, or the reader fails or crashes.
    """
    with reading(path):
        claimed = check_aim(path, limits)
        return _scan(
            path, *read_isolated(path, kind="aim", files=[path], claimed=claimed), source="AIM header"
        )


def read_isq(path: Path, *, limits: Limits) -> Scan:
    """Return the content of an ISQ file, with the calibration of its header.

    Raises:
        ReadError: Where the header does not fit the file, or the reader fails or crashes.
    """
    with reading(path):
        claimed = check_isq(path, limits)
        return _scan(
            path, *read_isolated(path, kind="isq", files=[path], claimed=claimed), source="ISQ header"
        )


def check_aim(path: Path, limits: Limits) -> int:
    """Return the bytes of the voxels that an AIM header claims, once they fit into the file.

    The layout was read from files of both versions: three block lengths, then a block that begins
    with version, type, position and dimensions, in words of 4 (version 2) or 8 bytes (version 3).
    """
    with path.open("rb") as stream:
        raw = stream.read(256)
    wide = raw.startswith(b"AIMDATA_V030")
    base, word = (16, "q") if wide else (0, "i")
    if len(raw) < 160:
        raise ReadError(path, f"it ends after {len(raw)} bytes", BROKEN)
    blocks = struct.unpack_from(f"<4{word}", raw, base)
    start = base + blocks[0]
    kind_at, dims_at = (12, 40) if wide else (20, 36)
    kind = struct.unpack_from("<i", raw, start + kind_at)[0] if 0 < blocks[0] < 128 else None
    dims = struct.unpack_from(f"<3{word}", raw, start + dims_at) if kind is not None else (0, 0, 0)
    size = path.stat().st_size
    if min(blocks) < 0 or base + sum(blocks) > size:
        raise ReadError(
            path,
            f"its header claims {base + sum(blocks)} bytes and {size} are there: damaged or truncated",
            BROKEN,
        )
    plain = kind in AIM_BYTES
    itemsize = AIM_BYTES.get(kind, 1) if kind is not None else 1
    claimed = check_claim(path, shape=dims, itemsize=itemsize, stored=None if plain else size, limits=limits)
    if plain and claimed > blocks[3]:
        raise ReadError(
            path, f"its header claims {dims} voxels, {claimed} bytes, in a block of {blocks[3]}", BROKEN
        )
    return claimed


def check_isq(path: Path, limits: Limits) -> int:
    """Return the bytes of the voxels that an ISQ header claims, once they are in the file.

    The layout was read from files: dimensions at byte 44, offset of the values in blocks of 512
    bytes, less one, at byte 508; voxels are 16-bit integers.
    """
    with path.open("rb") as stream:
        raw = stream.read(512)
    if len(raw) < 512 or not raw.startswith(b"CTDATA-HEADER_V1"):
        raise ReadError(path, "it does not begin with an ISQ header", BROKEN)
    dims = struct.unpack_from("<3i", raw, 44)
    start = 512 * (struct.unpack_from("<i", raw, 508)[0] + 1)
    claimed = check_claim(path, shape=dims, itemsize=2, stored=None, limits=limits)
    size = path.stat().st_size
    if start < 512 or start + claimed > size:
        raise ReadError(
            path, f"its header claims {dims} voxels from byte {start}, and the file ends at {size}", BROKEN
        )
    return claimed


def _scan(path: Path, values: Shaped[np.ndarray, "nx ny nz"], header: dict[str, Any], *, source: str) -> Scan:
    spacing = _three(header["spacing"])
    positive = all(math.isfinite(edge) and edge > 0.0 for edge in spacing)
    # Scanco keeps grey values in 16 bits and segmentations in 8; the calibration is of the grey values.
    mask = values.dtype.itemsize == 1
    return Scan(
        values,
        spacing if positive else None,
        origin=_three(header["origin"]),
        quantity=LABEL if mask else GREY,
        calibration=None if mask else _calibration(path, header, source),
    )


def _calibration(path: Path, header: dict[str, Any], source: str) -> Calibration | None:
    """Return the line to mg HA/cm3, or None where the header has none.

    density = slope * (grey / mu_scaling) + intercept, for both kinds of file: the grey value over
    `mu_scaling` is the attenuation [1/cm] that the scanner's slope belongs to. py_aimio leaves the
    division out for ISQ; the readers of VTK-DICOM and ITK (ScancoImageIO) do it.
    """
    names = ("density_slope", "density_intercept", "mu_scaling")
    slope, intercept, scaling = (header[name] for name in names)
    if not header["hydroxyapatite"] or slope is None or intercept is None or scaling is None:
        return None
    if not (scaling > 0.0 and slope > 0.0):
        raise ReadError(path, f"its calibration is damaged: slope {slope}, scaling {scaling}", BROKEN)
    return Calibration(slope / scaling, intercept, "mg HA/cm3", source)


def _three(numbers: list[float]) -> tuple[float, float, float]:
    x, y, z = np.asarray(numbers, dtype=float).tolist()
    return x, y, z
