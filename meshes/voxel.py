"""The bone voxels of a regular grid, as a mesh of 8-node hexahedra."""

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

CORNER_OFFSETS = np.array([(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
"""Lattice offset of each corner of a voxel: corner 4 a + 2 b + c stands at (a, b, c)."""

DEVICE_INDEX_LIMIT = 2**31
"""Indices on a device are 32-bit integers, so every index must stay below this."""


class VoxelMesh(eqx.Module):
    """The bone voxels of a regular grid, as 8-node hexahedra.

    Elements stand in C order of the grid (z fastest). Nodes are the used points of the lattice of
    voxel corners, in C order of the lattice. Everything is NumPy on the host; a solver puts on the
    device what it needs.
    """

    voxels: Int[np.ndarray, " elements"]
    """Flat C-order index of each element's voxel in the grid."""
    connectivity: Int[np.ndarray, "elements 8"]
    """The node at each corner of each element; corners as in `CORNER_OFFSETS`."""
    lattice: Int[np.ndarray, " nodes"]
    """Flat C-order index of each node in the lattice of (nx + 1, ny + 1, nz + 1) points."""
    shape: tuple[int, int, int] = eqx.field(static=True)
    """Voxels of the grid along x, y, z, void included."""
    spacing: tuple[float, float, float] = eqx.field(static=True)
    """Edges of a voxel along x, y, z [mm]."""
    origin: tuple[float, float, float] = eqx.field(static=True, default=(0.0, 0.0, 0.0))
    """Corner of the grid with the smallest coordinates [mm]."""

    def __check_init__(self):
        if not all(np.isfinite(edge) and edge > 0.0 for edge in self.spacing):
            raise ValueError(
                f"`spacing` holds the edges of a voxel [mm], finite and positive, got {self.spacing}."
            )

    @property
    def elements(self) -> int:
        """Number of elements."""
        return self.voxels.shape[0]

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.lattice.shape[0]


def voxel_mesh(
    solid: Bool[np.ndarray, "nx ny nz"],
    spacing: tuple[float, float, float],
    *,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> VoxelMesh:
    """Return the mesh of the voxels that are bone.

    Works on whole planes of the grid and holds 4 bytes per lattice point besides the result, so
    that 10^8 elements fit on a workstation.

    Args:
        solid: Which voxels are bone.
        spacing: Edges of a voxel along x, y, z [mm].
        origin: Corner of the grid with the smallest coordinates [mm].

    Raises:
        ValueError: Without a single bone voxel, or where the indices would overflow on a device.
    """
    voxels = np.flatnonzero(solid)
    if voxels.size == 0:
        raise ValueError(
            f"`solid` has no bone voxel among {solid.size}; lower the threshold or check the labels."
        )
    used = _used_lattice_points(solid)
    lattice = np.flatnonzero(used)
    check_device_indices(elements=voxels.size, nodes=lattice.size)
    number = np.cumsum(used.reshape(-1), dtype=np.int32).reshape(used.shape)
    number -= 1
    cell = np.unravel_index(voxels, solid.shape)
    connectivity = np.empty((voxels.size, 8), dtype=np.int32)
    for corner, (a, b, c) in enumerate(CORNER_OFFSETS):
        connectivity[:, corner] = number[cell[0] + a, cell[1] + b, cell[2] + c]
    nx, ny, nz = solid.shape
    return VoxelMesh(voxels, connectivity, lattice, (nx, ny, nz), spacing, origin)


def check_device_indices(*, elements: int, nodes: int) -> None:
    """Refuse a mesh whose indices overflow the 32 bits that a device has for them.

    Raises:
        ValueError: With the counts, the limit and the ways out.
    """
    largest = max(3 * nodes, 8 * elements)
    if largest >= DEVICE_INDEX_LIMIT:
        raise ValueError(
            f"The mesh has {elements} elements and {nodes} nodes: 3 x nodes = {3 * nodes} and 8 x elements = "
            f"{8 * elements}, but device indices must stay below {DEVICE_INDEX_LIMIT}. "
            "Coarsen the image by 2 (an eighth of the elements) or crop it."
        )


def node_coordinates(mesh: VoxelMesh) -> Float[np.ndarray, "nodes 3"]:
    """Return the position of every node [mm]."""
    return _positions(mesh, lattice_coordinates(mesh), offset=0.0)


def element_centroids(mesh: VoxelMesh) -> Float[np.ndarray, "elements 3"]:
    """Return the centroid of every element [mm]."""
    return _positions(mesh, grid_coordinates(mesh), offset=0.5)


def lattice_coordinates(mesh: VoxelMesh) -> Int[np.ndarray, "nodes 3"]:
    """Return the integer lattice coordinates (x, y, z) of every node."""
    points = tuple(n + 1 for n in mesh.shape)
    return np.stack(np.unravel_index(mesh.lattice, points), axis=1)


def grid_coordinates(mesh: VoxelMesh) -> Int[np.ndarray, "elements 3"]:
    """Return the integer grid coordinates (x, y, z) of every element's voxel."""
    return np.stack(np.unravel_index(mesh.voxels, mesh.shape), axis=1)


def end_plane(mesh: VoxelMesh, *, axis: int, top: bool) -> Int[np.ndarray, " plane"]:
    """Return the nodes with the smallest (or, at the top, largest) coordinate along an axis.

    Args:
        mesh: The mesh.
        axis: 0, 1, 2 for x, y, z.
        top: Whether the plane with the largest coordinate is wanted.
    """
    level = _lattice_level(mesh, axis)
    return np.flatnonzero(level == (level.max() if top else level.min()))


def extent(mesh: VoxelMesh, *, axis: int) -> float:
    """Return the distance between the two end planes of the bone along an axis [mm]."""
    level = _lattice_level(mesh, axis)
    return float(level.max() - level.min()) * mesh.spacing[axis]


def gross_section(mesh: VoxelMesh, *, axis: int) -> float:
    """Return the area of the grid across an axis, void included [mm²]."""
    first, second = (other for other in range(3) if other != axis)
    return mesh.shape[first] * mesh.spacing[first] * mesh.shape[second] * mesh.spacing[second]


def element_volume(mesh: VoxelMesh) -> float:
    """Return the volume of one voxel [mm³]."""
    return float(np.prod(mesh.spacing))


def on_grid(
    mesh: VoxelMesh, field: Shaped[np.ndarray, "elements ..."], *, fill: float | int
) -> Shaped[np.ndarray, "nx ny nz ..."]:
    """Return an element field as an image of the whole grid, `fill` where there is no bone."""
    field = np.asarray(field)
    image = np.full((int(np.prod(mesh.shape)), *field.shape[1:]), fill, dtype=field.dtype)
    image[mesh.voxels] = field
    return image.reshape(*mesh.shape, *field.shape[1:])


def face_neighbours(mesh: VoxelMesh) -> Int[np.ndarray, "elements 6"]:
    """Return the element across each face, in the order -x, +x, -y, +y, -z, +z; -1 where none is."""
    number = np.full(tuple(n + 2 for n in mesh.shape), -1, dtype=np.int32)
    x, y, z = (grid_coordinates(mesh) + 1).T
    number[x, y, z] = np.arange(mesh.elements, dtype=np.int32)
    steps = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
    return np.stack([number[x + i, y + j, z + k] for i, j, k in steps], axis=1)


def _lattice_level(mesh: VoxelMesh, axis: int) -> Int[np.ndarray, " nodes"]:
    """Return one lattice coordinate of every node, without the other two."""
    _, py, pz = (n + 1 for n in mesh.shape)
    stride = (py * pz, pz, 1)[axis]
    return (mesh.lattice // stride) % (mesh.shape[axis] + 1)


def _used_lattice_points(solid: Bool[np.ndarray, "nx ny nz"]) -> Bool[np.ndarray, "px py pz"]:
    used = np.zeros(tuple(n + 1 for n in solid.shape), dtype=bool)
    nx, ny, nz = solid.shape
    for a, b, c in CORNER_OFFSETS:
        used[a : a + nx, b : b + ny, c : c + nz] |= solid
    return used


def _positions(
    mesh: VoxelMesh, indices: Int[np.ndarray, "points 3"], *, offset: float
) -> Float[np.ndarray, "points 3"]:
    return np.asarray(mesh.origin) + (indices + offset) * np.asarray(mesh.spacing)
