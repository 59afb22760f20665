"""DICOM series: the slices of one scan in a folder. Names, dates and identifiers stay where they are."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from meshes.failures import ReadError, reading
from meshes.isolation import read_isolated
from meshes.scan import GREY, HOUNSFIELD, Limits, Scan, check_claim

TAG_BYTES = 2**20
"""What the tags of a slice may cost the child in memory and time, in bytes of voxels."""

UNEVENNESS = 0.01
"""Relative difference of slice distances that passes for rounding: positions are decimal text."""


class Slice(NamedTuple):
    """What one file says of itself."""

    file: Path
    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    hounsfield: bool


def is_dicom(path: Path) -> bool:
    """Return whether a file carries the mark of DICOM, after its preamble of 128 bytes."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom_folder(files: list[Path], *, limits: Limits) -> Scan:
    """Return the slices of one DICOM series, in the order of their positions.

    Raises:
        ReadError: Where slices are missing, doubled, damaged or of several series.
    """
    folder = files[0].parent
    with reading(folder):
        _, header = read_isolated(folder, kind="dicom tags", files=files, claimed=TAG_BYTES * len(files))
        series = {tags.get("series", "") for tags in header["slices"]}
        if len(series) != 1:
            raise ReadError(
                folder,
                f"it holds {len(series)} DICOM series",
                "Keep one series in a folder, or convert it to NIfTI.",
            )
        slices = [_slice(file, tags) for file, tags in zip(files, header["slices"], strict=True)]
        ordered, spacing = _by_position(folder, slices)
        shape = (*ordered[0].shape, len(ordered))
        claimed = check_claim(folder, shape=shape, itemsize=2, stored=None, limits=limits)
        in_order = [item.file for item in ordered]
        values, grid = read_isolated(
            folder, kind="simpleitk", files=in_order, claimed=claimed, reader="GDCMImageIO"
        )
        x, y, z = grid["origin"]
        quantity = HOUNSFIELD if ordered[0].hounsfield else GREY
        return Scan(values, spacing, (x, y, z), tuple(grid["direction"]), quantity)


def _slice(file: Path, tags: dict[str, Any]) -> Slice:
    shape = tuple(tags["shape"])
    missing = [name for name in ("position", "orientation", "spacing") if name not in tags]
    if missing or len(shape) != 3 or shape[2] != 1 or tags["components"] != 1:
        raise ReadError(
            file,
            f"it is no grey slice with its place in space: {shape} pixels, without {missing}",
            "Export the series as one file per slice, with positions, or convert it to NIfTI.",
        )
    position, orientation, spacing = (_numbers(tags[name]) for name in ("position", "orientation", "spacing"))
    sizes = (len(position), len(orientation), len(spacing))
    if sizes != (3, 6, 2) or not np.isfinite([*position, *orientation, *spacing]).all():
        raise ReadError(file, "its position, orientation or spacing is damaged", "Export the series again.")
    hounsfield = tags.get("modality") == "CT" and tags.get("rescale_type", "HU") in ("HU", "")
    return Slice(file, (shape[0], shape[1]), position, orientation, spacing, hounsfield)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split("\\"))


def _by_position(folder: Path, slices: list[Slice]) -> tuple[list[Slice], tuple[float, float, float]]:
    """Return the slices along their common normal, and the edges of a voxel [mm]."""
    first = slices[0]
    same = all(
        item.shape == first.shape
        and np.allclose(item.orientation, first.orientation, atol=1e-4)
        and np.allclose(item.spacing, first.spacing, rtol=1e-3)
        for item in slices
    )
    if not same or len(slices) < 2:
        raise ReadError(
            folder,
            f"its {len(slices)} slices do not make one volume",
            "Keep the slices of one scan in a folder.",
        )
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    heights = np.array([np.dot(item.position, normal) for item in slices])
    order = np.argsort(heights)
    steps = np.diff(heights[order])
    step = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - step) > UNEVENNESS * abs(step))
    if step <= 0.0 or uneven.size:
        place = slices[order[uneven[0] + 1]].file.name if uneven.size else first.file.name
        raise ReadError(
            folder,
            f"its slices are not evenly spaced: {steps.min():.6g} to {steps.max():.6g} mm; "
            f"look before `{place}`",
            "A slice is missing or doubled; restore it.",
        )
    # DICOM gives the distance between rows (along y) first.
    edges = (float(first.spacing[1]), float(first.spacing[0]), float(steps.mean()))
    return [slices[index] for index in order], edges
