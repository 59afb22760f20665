"""NIfTI, MetaImage and NRRD volumes, read by SimpleITK once their headers are held against the file."""

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from meshes.failures import BROKEN, ReadError, reading
from meshes.headers import Header, metaimage, nifti, nrrd
from meshes.isolation import read_isolated
from meshes.scan import Limits, Scan, check_claim, three_axes

HEADERS = {
    ".nii": (nifti, "NiftiImageIO"),
    ".nii.gz": (nifti, "NiftiImageIO"),
    ".mha": (metaimage, "MetaImageIO"),
    ".mhd": (metaimage, "MetaImageIO"),
    ".nrrd": (nrrd, "NrrdImageIO"),
    ".nhdr": (nrrd, "NrrdImageIO"),
}
"""Who reads the header and who reads the values, by suffix."""

SPACING_TOLERANCE = 1e-3
"""Relative difference up to which two statements of a spacing agree: headers hold float32 or few digits."""

Triple = tuple[float, float, float]

CHUNK = 4 * 2**20
"""Bytes that are decompressed at a time."""


def read_volume(path: Path, *, suffix: str, limits: Limits) -> Scan:
    """Return the content of a NIfTI, MetaImage or NRRD file.

    Raises:
        ReadError: Where the file is damaged, truncated, absurd or not a volume.
    """
    claims, reader_name = HEADERS[suffix]
    with reading(path):
        header = claims(path)
        shape = three_axes(path, header.shape)
        stored = header.data.stat().st_size
        claimed = check_claim(
            path,
            shape=shape,
            itemsize=header.itemsize,
            stored=stored if header.compressed else None,
            limits=limits,
        )
        check_complete(path, header)
        values, grid = read_isolated(
            path, kind="simpleitk", files=[path], claimed=claimed, reader=reader_name
        )
        if values.shape != shape:
            raise ReadError(
                path, f"its header can be read in two ways, as {shape} and {values.shape} voxels", BROKEN
            )
        origin = triple(grid["origin"], unit=header.millimetres)
        return Scan(values, _spacing(path, header, grid), origin, tuple(grid["direction"]))


def check_complete(path: Path, header: Header) -> None:
    """Check that a file holds all the values that its header claims.

    Raises:
        ReadError: With the bytes that are there and those that should be.
    """
    wanted = header.skip + header.itemsize * int(np.prod(header.shape, dtype=object))
    if header.compressed:
        found = decompressed_size(header.data, start=header.start, enough=wanted)
    else:
        found = header.data.stat().st_size - header.start
    if found < wanted:
        raise ReadError(
            path,
            f"it is truncated: {max(found, 0)} of {wanted} bytes are there",
            "Copy or export the file again.",
        )


def decompressed_size(path: Path, *, start: int, enough: int) -> int:
    """Return how many bytes a gzip or zlib stream holds, counting no further than is enough.

    The stream is read to its end, so that its checksum is checked too; the memory stays at some
    megabytes.
    """
    total = 0
    decoder = zlib.decompressobj(47)  # 32 + 15: gzip or zlib, whichever the stream begins with
    with path.open("rb") as stream:
        stream.seek(start)
        while waiting := stream.read(CHUNK):
            while waiting:
                total += len(decoder.decompress(waiting, CHUNK))
                waiting = decoder.unconsumed_tail
                if decoder.eof:
                    if total >= enough:
                        return total
                    waiting, decoder = decoder.unused_data, zlib.decompressobj(47)
                elif total > enough + CHUNK:
                    return total
    return total if total < enough else enough - 1  # a stream without its end is not whole


def triple(numbers: Iterable[float], *, unit: float = 1.0) -> Triple:
    """Return three numbers in another unit."""
    x, y, z = (float(number) * unit for number in numbers)
    return x, y, z


def _spacing(path: Path, header: Header, grid: dict[str, Any]) -> Triple | None:
    """Return the spacing [mm], and None where the header has none and SimpleITK makes one up."""
    if header.spacing is None:
        return None
    assumed = triple(grid["spacing"], unit=header.millimetres)
    if not np.allclose(assumed, header.spacing, rtol=SPACING_TOLERANCE, atol=0.0):
        raise ReadError(
            path,
            f"its header gives two spacings, {header.spacing} and {assumed} mm",
            "Export it with one spacing.",
        )
    return assumed
