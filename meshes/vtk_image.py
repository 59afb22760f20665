"""Fields on the voxels of a grid, as the image files of VTK: VTKHDF and VTI.

A value belongs to a whole voxel (VTK's cell data), so that what a viewer paints is what was computed,
with no half voxel to shift. VTKHDF is compressed and holds any size; VTI is the older format that
more programs open.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Shaped
from pyevtk.hl import imageToVTK

from meshes.vtkhdf import CELLS, COMPRESSED, check_field_name, check_finite, root_group

PLANES = 16
"""Planes of an image that are turned over and written at a time."""


def write_vtkhdf(
    path: Path | str,
    fields: Mapping[str, Shaped[np.ndarray, "nx ny nz ..."]],
    *,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> None:
    """Write fields on the voxels of a grid as a VTKHDF file.

    Args:
        path: The file, by custom `*.vtkhdf`; an older one is replaced.
        fields: (x, y, z) arrays of one shape by name; a fourth axis holds components. Masks become 0 and 1.
        spacing: Edges of a voxel [mm].
        origin: Corner of the grid with the smallest coordinates [mm].

    Raises:
        ValueError: If there is no field, or the fields differ in shape or are not finite.
    """
    shape = _shape(fields)
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    with h5py.File(unfinished, "w", locking=False) as file:
        root = root_group(file, "ImageData")
        root.attrs["WholeExtent"] = np.array([0, shape[0], 0, shape[1], 0, shape[2]], dtype=np.int64)
        root.attrs["Origin"] = np.asarray(origin, dtype=np.float64)
        root.attrs["Spacing"] = np.asarray(spacing, dtype=np.float64)
        root.attrs["Direction"] = np.eye(3).reshape(-1)
        cells = root.create_group(CELLS)
        for name, values in fields.items():
            numbers = _numbers(values)
            turned = numbers.transpose(2, 1, 0, *range(3, numbers.ndim))
            chunks = (1, *turned.shape[1:])
            dataset = cells.create_dataset(name, turned.shape, turned.dtype, chunks=chunks, **COMPRESSED)
            for first in range(0, shape[2], PLANES):
                dataset[first : first + PLANES] = turned[first : first + PLANES]
    os.replace(unfinished, path)


def write_vti(
    path: Path | str,
    fields: Mapping[str, Shaped[np.ndarray, "nx ny nz"]],
    *,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> None:
    """Write scalar fields on the voxels of a grid as a VTI file.

    Args:
        path: The file, which must end in `.vti`; an older one is replaced.
        fields: (x, y, z) arrays of one shape by name. Masks become 0 and 1.
        spacing: Edges of a voxel [mm].
        origin: Corner of the grid with the smallest coordinates [mm].

    Raises:
        ValueError: If the name does not end in `.vti`, there is no field, or the fields differ in
            shape or are not finite.
    """
    path = Path(path)
    if path.suffix != ".vti":
        raise ValueError(f"`path` must end in `.vti`, got `{path}`.")
    _shape(fields)
    unfinished = path.with_name(path.stem + ".part")
    # The library stores arrays as Fortran orders them, and copies those that are not so already.
    columns = {name: np.asfortranarray(_numbers(values)) for name, values in fields.items()}
    written = imageToVTK(str(unfinished), origin=origin, spacing=spacing, cellData=columns)
    os.replace(written, path)


def _shape(fields: Mapping[str, Shaped[np.ndarray, "nx ny nz ..."]]) -> tuple[int, int, int]:
    shapes = {values.shape[:3] for values in fields.values()}
    if len(shapes) != 1:
        raise ValueError(
            f"`fields` must hold at least one array, all of one (x, y, z) shape, got {sorted(shapes)}."
        )
    for name, values in fields.items():
        check_field_name(name)
        check_finite(name, values)
    nx, ny, nz = shapes.pop()
    return nx, ny, nz


def _numbers(values: Shaped[np.ndarray, "nx ny nz ..."]) -> Shaped[np.ndarray, "nx ny nz ..."]:
    return values.view(np.uint8) if values.dtype == np.bool_ else values
