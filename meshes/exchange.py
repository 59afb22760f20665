"""Mesh files of other programs, through meshio: VTU out, a dozen formats in.

meshio leaves Python by `sys.exit` on a broken file, believes any node number, and inflates whatever it
is given, so a file is read by a child process whose memory is bounded by the size of the file, and what
comes back is checked before anyone sees it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.parsers import expat

import equinox as eqx
import meshio
import numpy as np
from jaxtyping import Float, Int, Num

from meshes.failures import BROKEN, ReadError, reading
from meshes.voxel import VoxelMesh, node_coordinates
from meshes.vtkhdf import check_finite, hexahedra

CHILD = Path(__file__).with_name("exchange_child.py")

FORMATS = {
    ".bdf": "nastran",
    ".inp": "abaqus",
    ".mesh": "medit",
    ".msh": "gmsh",
    ".nas": "nastran",
    ".obj": "obj",
    ".off": "off",
    ".ply": "ply",
    ".stl": "stl",
    ".vtk": "vtk",
    ".vtu": "vtu",
}
"""meshio's name of each format that is read. Left out are those that point to other files (XDMF, TetGen)
and those that need further libraries."""

INFLATION = 200
"""Bytes of memory that a byte of the file may cost: text costs 10, compressed values up to 100."""

CHILD_MEMORY = 256 * 2**20
"""Memory that the reader may use for any file, however small [bytes]."""

CHILD_SECONDS, SLOWEST = 60, 2**20
"""Time for the start of the child [s], and the slowest rate of reading [bytes/s]."""

CORNERS = {
    "tetra": ((0, 1, 2, 3),),
    "tetra10": ((0, 1, 2, 3),),
    "hexahedron": (
        (0, 1, 3, 4), (1, 2, 0, 5), (2, 3, 1, 6), (3, 0, 2, 7),
        (4, 7, 5, 0), (5, 4, 6, 1), (6, 5, 7, 2), (7, 6, 4, 3),
    ),
    "wedge": ((0, 1, 2, 3), (1, 2, 0, 4), (2, 0, 1, 5), (3, 5, 4, 0), (4, 3, 5, 1), (5, 4, 3, 2)),
    "pyramid": ((0, 1, 3, 4), (1, 2, 0, 4), (2, 3, 1, 4), (3, 0, 2, 4)),
}  # fmt: skip
"""A corner of each solid cell and its three neighbours, right-handed where the cell is as it should be."""


class FileMesh(eqx.Module):
    """The mesh in a file, as it came, with every node number and coordinate checked."""

    points: Float[np.ndarray, "points 3"]
    """Coordinates, in the unit of the file."""
    cells: dict[str, Int[np.ndarray, "cells corners"]]
    """The nodes of the cells, by meshio's name of their type (`tetra`, `hexahedron`, `triangle`)."""
    point_fields: dict[str, Num[np.ndarray, "points ..."]]
    """Nodal fields by name."""
    cell_fields: dict[str, dict[str, Num[np.ndarray, "cells ..."]]]
    """Cell fields by name, then by type of cell."""


def write_vtu(
    path: Path | str,
    mesh: VoxelMesh,
    point_fields: Mapping[str, Num[np.ndarray, "nodes ..."]],
    cell_fields: Mapping[str, Num[np.ndarray, "elements ..."]],
) -> None:
    """Write a voxel mesh with its fields as a VTU file, hexahedra in the order of VTK.

    Args:
        path: The file; an older one is replaced.
        mesh: The mesh.
        point_fields: Nodal fields by name.
        cell_fields: Element fields by name.

    Raises:
        ValueError: If a field has another size than the mesh, or is not finite.
    """
    path = Path(path)
    for fields, rows, what in ((point_fields, mesh.nodes, "nodes"), (cell_fields, mesh.elements, "elements")):
        for name, values in fields.items():
            if len(values) != rows:
                raise ValueError(
                    f"Field `{name}` must have one value for each of {rows} {what}, got {len(values)}."
                )
            check_finite(name, values)
    unfinished = path.with_name(path.name + ".part")
    meshio.Mesh(
        node_coordinates(mesh),
        [("hexahedron", hexahedra(mesh.connectivity))],
        point_data=dict(point_fields),
        cell_data={name: [values] for name, values in cell_fields.items()},
    ).write(unfinished, file_format="vtu")
    os.replace(unfinished, path)


def read_mesh(path: Path | str) -> FileMesh:
    """Return the mesh in a file, once it is safe to compute with.

    Node numbers lie within the points, coordinates are finite, and every tetrahedron, hexahedron, wedge
    and pyramid has a positive volume at each of its corners.

    Raises:
        FileNotFoundError: If there is no file.
        ReadError: If the file is not a sound mesh of a known format, or costs too much to read.
    """
    path = Path(path)
    with reading(path):
        _check_before_reading(path)
        mesh = _read_isolated(path)
        _check_cells(path, mesh)
    return mesh


def _check_before_reading(path: Path) -> None:
    """Refuse what no reader should touch: unknown formats, entities, references to other files."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ReadError(
            path, f"`{suffix}` is no mesh format that is read", f"Convert it to one of {', '.join(FORMATS)}."
        )
    if path.stat().st_size == 0:
        raise ReadError(path, "it is empty", BROKEN)
    if suffix == ".vtu":
        _check_prolog(path)
    if suffix == ".inp":
        with path.open("rb") as lines:
            if any(line.lstrip(b" \t").upper().replace(b" ", b"").startswith(b"*INCLUDE") for line in lines):
                raise ReadError(path, "it includes another file", "Write the model into one file.")


def _check_prolog(path: Path) -> None:
    """Refuse an XML file that declares a document type: only there can entities be defined."""

    def refuse(*_: object) -> None:
        raise ReadError(path, "it declares a document type, as no mesh file does", BROKEN)

    def stop(*_: object) -> None:
        raise StopIteration

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        with path.open("rb") as stream:
            while block := stream.read(65536):
                parser.Parse(block, False)
    except StopIteration:
        return
    except expat.ExpatError as error:
        raise ReadError(path, f"it is no XML ({error})", BROKEN) from error
    raise ReadError(path, "it has no XML element", BROKEN)


def _read_isolated(path: Path) -> FileMesh:
    """Return the arrays that a child process reads, with the memory and time that the file's size allows."""
    size = path.stat().st_size
    memory, seconds = CHILD_MEMORY + INFLATION * size, CHILD_SECONDS + size // SLOWEST
    with tempfile.TemporaryDirectory(prefix="mechanostat-") as folder:
        target = Path(folder) / "mesh.npz"
        # -P keeps this folder out of the child's path: its modules must not hide another's.
        command = [sys.executable, "-P", str(CHILD), FORMATS[path.suffix.lower()]]
        try:
            ended = subprocess.run(
                [*command, str(path.resolve()), str(target), str(memory), str(seconds)],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=2 * seconds,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ReadError(path, f"its reader did not end within {2 * seconds} s", BROKEN) from error
        if ended.returncode < 0:
            raise ReadError(
                path, f"it makes the reader crash ({signal.Signals(-ended.returncode).name})", BROKEN
            )
        if ended.returncode:
            _raise_from_child(path, ended.stderr.decode("utf-8", "replace"), memory)
        with np.load(target, allow_pickle=False) as arrays:
            return _assembled(path, dict(arrays))


def _raise_from_child(path: Path, said: str, memory: int) -> None:
    if "MemoryError" in said:
        allowed = f"more than {memory // 2**20} MB for a file of {path.stat().st_size} bytes"
        raise ReadError(path, f"it takes {allowed} to read", "It is a bomb, or store it uncompressed.")
    lines = said.strip().splitlines() or ["no reason given"]
    raise ReadError(path, f"its reader says: {lines[-1].rstrip('.')}", BROKEN)


def _assembled(path: Path, arrays: dict[str, np.ndarray]) -> FileMesh:
    """Return the mesh with the blocks of one type of cell put together, in the order of the file."""
    names = json.loads(str(arrays["names"]))
    blocks: dict[str, list[int]] = {}
    for index, kind in enumerate(names["cells"]):
        blocks.setdefault(kind, []).append(index)
    for name, values in arrays.items():
        if name != "names" and values.dtype.kind not in "iuf":
            raise ReadError(path, f"`{name}` holds {values.dtype} instead of numbers", BROKEN)
    points = np.asarray(arrays["points"], dtype=np.float64)
    if points.size == 0:
        raise ReadError(path, "it has no point", BROKEN)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise ReadError(path, f"its points have shape {points.shape}", BROKEN)
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    return FileMesh(
        points,
        {
            kind: np.concatenate([arrays[f"cells_{index}"] for index in of_kind]).astype(np.int64)
            for kind, of_kind in blocks.items()
        },
        {name: arrays[f"point_{field}"] for field, name in enumerate(names["point_fields"])},
        {
            name: {
                kind: np.concatenate([arrays[f"cell_{field}_{index}"] for index in of_kind])
                for kind, of_kind in blocks.items()
            }
            for field, name in enumerate(names["cell_fields"])
        },
    )


def _check_cells(path: Path, mesh: FileMesh) -> None:
    if not np.isfinite(mesh.points).all():
        bad = int(np.count_nonzero(~np.isfinite(mesh.points).all(axis=1)))
        raise ReadError(path, f"{bad} of {len(mesh.points)} points are not finite", BROKEN)
    if not any(nodes.size for nodes in mesh.cells.values()):
        raise ReadError(path, "it has no cell", BROKEN)
    for kind, nodes in mesh.cells.items():
        outside = (nodes < 0) | (nodes >= len(mesh.points))
        if outside.any():
            raise ReadError(
                path,
                f"a {kind} names node {nodes[outside][0]}, and the nodes are 0 to {len(mesh.points) - 1}",
                BROKEN,
            )
        flat = _flat_cells(mesh.points, nodes, CORNERS.get(kind, ()))
        if flat:
            raise ReadError(
                path,
                f"{flat} of {len(nodes)} cells of type {kind} have no positive volume",
                "Mesh it again; where all are inside out, swap two nodes of each.",
            )


def _flat_cells(
    points: Float[np.ndarray, "points 3"],
    nodes: Int[np.ndarray, "cells corners"],
    corners: tuple[tuple[int, int, int, int], ...],
) -> int:
    """Return how many cells have a corner whose three edges span no positive volume."""
    flat = np.zeros(len(nodes), dtype=bool)
    for corner in corners:
        origin, *ends = (points[nodes[:, place]] for place in corner)
        first, second, third = (end - origin for end in ends)
        flat |= ~(np.einsum("ci,ci->c", np.cross(first, second), third) > 0.0)
    return int(np.count_nonzero(flat))
