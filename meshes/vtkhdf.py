"""Fields over time on a voxel mesh, as VTKHDF files, which ParaView opens.

A series is laid out in full when it is created: the mesh once, and room for the fields of every
step. Appending a step then only fills its place and, last, its time and the number of steps. So a
file is valid after each step, a run that is killed in the middle of one loses that step alone,
and a run that is resumed ends in the same bytes as one that was not interrupted. Never more than one
step is in memory.

Source:
    VTKHDF File Format, version 2.0,
    https://docs.vtk.org/en/latest/vtk_file_formats/vtkhdf_file_format/vtkhdf_specifications.html.
"""

import itertools
import math
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from meshes.voxel import VoxelMesh, node_coordinates

FORMAT_VERSION = (2, 0)
"""The first version of the format that knows time steps."""

HEXAHEDRON = 12
"""VTK's number for an 8-node hexahedron (vtkCellType.h)."""

HEXAHEDRON_CORNERS = (0, 4, 6, 2, 1, 5, 7, 3)
"""Our corner (4 a + 2 b + c at offset (a, b, c)) at each place of VTK's hexahedron: round the bottom
face, then round the top face."""

BLOCK = 1 << 20
"""Rows of a compressed block."""

POINTS, CELLS = "PointData", "CellData"

COMPRESSED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
"""How data that never change are stored."""


def create_series(
    path: Path | str,
    mesh: VoxelMesh,
    *,
    steps: int,
    point_fields: Mapping[str, int],
    cell_fields: Mapping[str, int],
) -> None:
    """Write a file with the mesh and room for a number of steps, and no step in it.

    Fields are stored in single precision. The room costs no disk space until it is filled, on file
    systems that know sparse files.

    Args:
        path: The file, by custom `*.vtkhdf`; an older one is replaced.
        mesh: The mesh, the same at every step.
        steps: The most steps that will be appended.
        point_fields: Components of each nodal field, by its name: 1 scalar, 3 vector,
            6 symmetric tensor (xx, yy, zz, xy, yz, xz, as VTK has them).
        cell_fields: Components of each element field, by its name.

    Raises:
        ValueError: If there is no room for a step, or a field has no component or no usable name.
    """
    if steps < 1:
        raise ValueError(f"`steps` is the room of the series and must be at least 1, got {steps}.")
    kinds = ((POINTS, point_fields, mesh.nodes), (CELLS, cell_fields, mesh.elements))
    for name, components in itertools.chain(point_fields.items(), cell_fields.items()):
        if components < 1:
            raise ValueError(f"Field `{name}` must have at least one component, got {components}.")
        check_field_name(name)
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    with h5py.File(unfinished, "w", locking=False) as file:
        root = root_group(file, "UnstructuredGrid")
        _write_mesh(root, mesh)
        times = root.create_group("Steps")
        times.attrs.create("NSteps", np.int64(0))
        # VTK 9.7 overruns its memory where there are more times than steps, so these have no spare room.
        times.create_dataset("Values", (0,), np.float64, maxshape=(steps,), chunks=(steps,))
        for name in ("PartOffsets", "PointOffsets"):
            times[name] = np.zeros(steps, dtype=np.int64)
        for name in ("CellOffsets", "ConnectivityIdOffsets"):
            times[name] = np.zeros((steps, 1), dtype=np.int64)
        times["NumberOfParts"] = np.ones(steps, dtype=np.int64)
        for kind, fields, rows in kinds:
            data, offsets = root.create_group(kind), times.create_group(kind + "Offsets")
            for name, components in fields.items():
                axes = () if components == 1 else (components,)
                _preallocate(data, name, (steps * rows, *axes))
                offsets[name] = rows * np.arange(steps, dtype=np.int64)
    os.replace(unfinished, path)


def append_step(
    path: Path | str,
    *,
    time: float,
    point_fields: Mapping[str, Num[np.ndarray, "nodes ..."]],
    cell_fields: Mapping[str, Num[np.ndarray, "elements ..."]],
) -> None:
    """Write the fields of one more step; the file is valid and on disk when this returns.

    Does not lock the file: a viewer that has it open must not stop a run.

    Args:
        path: A file from `create_series`.
        time: The time of the step, after that of the step before [day].
        point_fields: The nodal fields that the series was created with, all of them.
        cell_fields: The element fields that the series was created with, all of them.

    Raises:
        ValueError: If the room is used up, time does not go on, or a field is missing, unknown, of
            another size, or not finite; the file is then as before.
    """
    with h5py.File(path, "r+", locking=False) as file:
        root, times, values = _series(file, path)
        step, room = _steps(times, values), len(np.asarray(times["PartOffsets"]))
        _check_step(path, step, room, time, values[:step])
        places = _places(root, POINTS, point_fields, room) + _places(root, CELLS, cell_fields, room)
        for dataset, field in places:
            dataset[step * len(field) : (step + 1) * len(field)] = field
        _to_disk(file)
        values.resize((step + 1,))
        values[step] = time
        times.attrs.modify("NSteps", np.int64(step + 1))
        _to_disk(file)


def step_times(path: Path | str) -> Float[np.ndarray, " steps"]:
    """Return the times of the steps in a series [day]."""
    with h5py.File(path, "r", locking=False) as file:
        _, times, values = _series(file, path)
        return values[: _steps(times, values)]


def read_cells(path: Path | str, *, step: int, name: str) -> Float[np.ndarray, "elements ..."]:
    """Return an element field of one step of a series, in single precision as it is stored.

    Args:
        path: A file from `create_series`.
        step: Which step; -1 is the last.
        name: Name of the field.

    Raises:
        ValueError: If there is no such step or field.
    """
    with h5py.File(path, "r", locking=False) as file:
        root, times, values = _series(file, path)
        count, room = _steps(times, values), len(np.asarray(times["PartOffsets"]))
        dataset = root.get(f"{CELLS}/{name}")
        if not -count <= step < count or not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"`{path}` has no field `{name}` at step {step}; it has {count} steps.")
        rows = len(dataset) // room
        first = (step % count) * rows
        return np.asarray(dataset[first : first + rows])


def truncate_series(path: Path | str, *, steps: int) -> None:
    """Forget every step after the first `steps`, so that a run can go on from there.

    Raises:
        ValueError: If the series has fewer steps.
    """
    with h5py.File(path, "r+", locking=False) as file:
        _, times, values = _series(file, path)
        present = _steps(times, values)
        if not 0 <= steps <= present:
            raise ValueError(f"`steps` must lie between 0 and the {present} steps in `{path}`, got {steps}.")
        times.attrs.modify("NSteps", np.int64(steps))
        values.resize((steps,))
        _to_disk(file)


def root_group(file: h5py.File, kind: str) -> h5py.Group:
    """Return the new group that holds a data set of VTK, `UnstructuredGrid` or `ImageData`."""
    root = file.create_group("VTKHDF")
    root.attrs["Version"] = np.array(FORMAT_VERSION, dtype=np.int64)
    root.attrs.create("Type", kind.encode(), dtype=h5py.string_dtype("ascii", len(kind)))
    return root


def check_field_name(name: str) -> None:
    """Refuse the name of a field that HDF5 or XML cannot keep.

    Raises:
        ValueError: With the name.
    """
    if not name or name in (".", "..") or not name.isprintable() or set(name) & set("/<>&\"'"):
        raise ValueError(f"A field needs a printable name without / < > & and quotes, got {name!r}.")


def check_finite(name: str, values: Shaped[np.ndarray, "..."]) -> None:
    """Refuse a field with a NaN or an infinity in it, which viewers show as if it were a value.

    Raises:
        ValueError: With the name of the field and the number of bad values.
    """
    if not np.issubdtype(values.dtype, np.inexact):
        return
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise ValueError(f"Field `{name}` has {bad} of {values.size} values that are not finite.")


def _series(file: h5py.File, path: Path | str) -> tuple[h5py.Group, h5py.Group, h5py.Dataset]:
    """Return the root, the group of the steps and the times of a file from `create_series`."""
    root = file.get("VTKHDF")
    times = root.get("Steps") if isinstance(root, h5py.Group) else None
    values = times.get("Values") if isinstance(times, h5py.Group) else None
    if not (
        isinstance(root, h5py.Group) and isinstance(times, h5py.Group) and isinstance(values, h5py.Dataset)
    ):
        raise ValueError(f"`{path}` is not a series; make it with `create_series`.")
    return root, times, values


def _steps(times: h5py.Group, values: h5py.Dataset) -> int:
    """Return the number of whole steps; a kill between two writes can leave a time without its count."""
    return min(int(np.asarray(times.attrs["NSteps"])), len(values))


def _write_mesh(root: h5py.Group, mesh: VoxelMesh) -> None:
    root["NumberOfPoints"] = np.array([mesh.nodes], dtype=np.int64)
    root["NumberOfCells"] = np.array([mesh.elements], dtype=np.int64)
    root["NumberOfConnectivityIds"] = np.array([8 * mesh.elements], dtype=np.int64)
    root.create_dataset("Points", data=node_coordinates(mesh), **COMPRESSED)
    root.create_dataset("Types", data=np.full(mesh.elements, HEXAHEDRON, dtype=np.uint8), **COMPRESSED)
    offsets = np.arange(0, 8 * mesh.elements + 1, 8, dtype=np.int64)
    root.create_dataset("Offsets", data=offsets, **COMPRESSED)
    chunk = min(BLOCK, 8 * mesh.elements)
    ids = root.create_dataset("Connectivity", (8 * mesh.elements,), np.int64, chunks=(chunk,), **COMPRESSED)
    for first in range(0, mesh.elements, BLOCK):
        block = hexahedra(mesh.connectivity[first : first + BLOCK])
        ids[8 * first : 8 * (first + len(block))] = block.reshape(-1)


def hexahedra(connectivity: Int[np.ndarray, "elements 8"]) -> Int[np.ndarray, "elements 8"]:
    """Return the nodes of each element in the order of VTK's hexahedron."""
    return connectivity[:, HEXAHEDRON_CORNERS]


def _preallocate(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    """Make a single-precision dataset whose place is settled at once: to write it moves nothing else."""
    settled = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settled.set_layout(h5py.h5d.CONTIGUOUS)
    settled.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settled.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    settled.set_obj_track_times(False)  # the same fields make the same bytes
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, settled)


def _check_step(
    path: Path | str, step: int, room: int, time: float, earlier: Float[np.ndarray, " steps"]
) -> None:
    if step == room:
        raise ValueError(
            f"`{path}` has room for {room} steps and holds them all; create it with more `steps`."
        )
    if not math.isfinite(time) or (step > 0 and time <= earlier[-1]):
        last = f"{earlier[-1]}" if step > 0 else "none"
        raise ValueError(f"`time` must be finite and after the last step's ({last}) [day], got {time}.")


def _places(
    root: h5py.Group, kind: str, fields: Mapping[str, Num[np.ndarray, "rows ..."]], room: int
) -> list[tuple[h5py.Dataset, np.ndarray]]:
    """Return the dataset of each field beside its values, all of which fit."""
    datasets = dict(root[kind].items())
    if set(fields) != set(datasets):
        raise ValueError(f"{kind} of the series are {sorted(datasets)}, got {sorted(fields)}.")
    places = []
    for name, values in fields.items():
        dataset = datasets[name]
        wanted = (dataset.shape[0] // room, *dataset.shape[1:])
        if values.shape != wanted:
            raise ValueError(f"Field `{name}` must have shape {wanted}, got {values.shape}.")
        check_finite(name, values)
        places.append((dataset, values))
    return places


def _to_disk(file: h5py.File) -> None:
    file.flush()
    os.fsync(file.id.get_vfd_handle())
