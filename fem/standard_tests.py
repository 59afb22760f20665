"""The seven standard tests of a bone specimen, under FAIM's names and conventions.

The test frame follows the axis by cyclic permutation: its third direction is the axis; for x they are
(y, z, x), for y (z, x, y). "Bottom" and "top" are the planes of nodes with the smallest and the largest
coordinate.

Source: FAIM 10 manual, chapter on n88modelgenerator; header documentation of vtkbone's test generators.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from fem.loads import Hold, LoadCase, load_case
from meshes.voxel import (
    VoxelMesh,
    element_centroids,
    end_plane,
    extent,
    grid_coordinates,
    lattice_coordinates,
    node_coordinates,
)

NORMAL_STRAIN = -0.01
"""Default apparent strain of the compression tests [-]. Source: FAIM 10 manual."""

SHEAR_STRAIN = 0.01
"""Default engineering shear strain of the shear tests [-]. Source: FAIM 10 manual."""

ANGLE = np.pi / 180.0
"""Default angle of bending and torsion, one degree [rad]. Source: FAIM 10 manual."""


def axial(mesh: VoxelMesh, *, axis: int = 2, strain: float = NORMAL_STRAIN) -> LoadCase:
    """Return compression between rough platens: both end planes held, the top one moved along the axis."""
    first, second, third = _frame(axis)
    bottom, top = _ends(mesh, axis)
    motion = strain * extent(mesh, axis=axis)
    holds = [Hold(plane, side) for plane in (bottom, top) for side in (first, second)]
    holds += [Hold(bottom, third), Hold(top, third, motion)]
    return load_case(mesh, holds=holds, loaded=top, name="axial", axis=axis, motion=motion, strain=strain)


def uniaxial(mesh: VoxelMesh, *, axis: int = 2, strain: float = NORMAL_STRAIN) -> LoadCase:
    """Return compression between smooth platens: the end planes slide, the sides are free.

    The element nearest the middle of the section is pinned against sliding and turning, which takes
    up no force and makes the displacement unique.
    """
    first, second, third = _frame(axis)
    bottom, top = _ends(mesh, axis)
    motion = strain * extent(mesh, axis=axis)
    start, along_first = _pin(mesh, axis)
    holds = [Hold(bottom, third), Hold(top, third, motion)]
    holds += [Hold(start, first), Hold(start, second), Hold(along_first, second)]
    return load_case(mesh, holds=holds, loaded=top, name="uniaxial", axis=axis, motion=motion, strain=strain)


def confined(mesh: VoxelMesh, *, axis: int = 2, strain: float = NORMAL_STRAIN) -> LoadCase:
    """Return compression in a smooth box: no side plane moves along its normal."""
    first, second, third = _frame(axis)
    bottom, top = _ends(mesh, axis)
    motion = strain * extent(mesh, axis=axis)
    holds = [Hold(plane, side) for side in (first, second) for plane in _ends(mesh, side)]
    holds += [Hold(bottom, third), Hold(top, third, motion)]
    return load_case(mesh, holds=holds, loaded=top, name="confined", axis=axis, motion=motion, strain=strain)


def symmetric_shear(mesh: VoxelMesh, *, axis: int = 2, strain: float = SHEAR_STRAIN) -> LoadCase:
    """Return shear in the plane across the axis: the four side planes tilt, none moves along the axis."""
    first, second, third = _frame(axis)
    points = node_coordinates(mesh)
    half = 0.5 * strain
    low = points.min(axis=0)
    holds = []
    for side in (first, second):
        for plane in _ends(mesh, side):
            holds.append(Hold(plane, first, half * (points[plane, second] - low[second])))
            holds.append(Hold(plane, second, half * (points[plane, first] - low[first])))
            holds.append(Hold(plane, third))
    holds += [Hold(plane, third) for plane in _ends(mesh, third)]
    return load_case(
        mesh,
        holds=holds,
        loaded=_ends(mesh, second)[1],
        name="symshear",
        axis=axis,
        response=first,
        motion=half * extent(mesh, axis=second),
        strain=strain,
    )


def directional_shear(
    mesh: VoxelMesh, *, axis: int = 2, strain: float = SHEAR_STRAIN, direction: int | None = None
) -> LoadCase:
    """Return shear between rough platens: the top plane is displaced sideways, neither end plane tilts.

    Args:
        mesh: The mesh.
        axis: Axis of the test, 0, 1, 2 for x, y, z.
        strain: Displacement of the top plane over the height [-].
        direction: Where the top plane goes; by default the first direction of the test frame.
    """
    first, second, third = _frame(axis)
    direction = first if direction is None else direction
    if direction == axis:
        raise ValueError(f"`direction` of a shear must differ from its axis {'xyz'[axis]}.")
    bottom, top = _ends(mesh, axis)
    motion = strain * extent(mesh, axis=axis)
    holds = [Hold(bottom, side) for side in range(3)]
    holds += [Hold(top, side, motion if side == direction else 0.0) for side in (first, second, third)]
    return load_case(
        mesh,
        holds=holds,
        loaded=top,
        name="dshear",
        axis=axis,
        response=direction,
        motion=motion,
        strain=strain,
    )


def bending(mesh: VoxelMesh, *, axis: int = 2, strain: float = ANGLE) -> LoadCase:
    """Return bending: the end planes tilt against each other about the second direction of the test frame.

    The neutral axis goes through the centre of mass; each plane tilts by half the angle. A positive angle
    raises the top plane towards positive coordinates, as in FAIM: a left-handed turn, so the imposed
    motion about the axis is minus the angle.

    Args:
        mesh: The mesh.
        axis: Axis of the test, 0, 1, 2 for x, y, z.
        strain: The angle between the end planes [rad].
    """
    first, second, third = _frame(axis)
    bottom, top = _ends(mesh, axis)
    center = element_centroids(mesh).mean(axis=0)
    arm = node_coordinates(mesh)[:, first] - center[first]
    slope = np.tan(0.5 * strain)
    holds = [Hold(plane, side) for plane in (bottom, top) for side in (first, second)]
    holds += [Hold(bottom, third, -slope * arm[bottom]), Hold(top, third, slope * arm[top])]
    return load_case(
        mesh,
        holds=holds,
        loaded=top,
        name="bending",
        axis=axis,
        response=3 + second,
        motion=-strain,
        strain=strain,
        center=center,
    )


def torsion(mesh: VoxelMesh, *, axis: int = 2, strain: float = ANGLE) -> LoadCase:
    """Return torsion: the bottom plane is held, the top plane turns about the centre of mass.

    Args:
        mesh: The mesh.
        axis: Axis of the test, 0, 1, 2 for x, y, z.
        strain: The angle of twist [rad].
    """
    first, second, third = _frame(axis)
    bottom, top = _ends(mesh, axis)
    center = element_centroids(mesh).mean(axis=0)
    arm = node_coordinates(mesh)[top] - center
    cosine, sine = np.cos(strain) - 1.0, np.sin(strain)
    holds = [Hold(bottom, side) for side in range(3)]
    holds.append(Hold(top, first, cosine * arm[:, first] - sine * arm[:, second]))
    holds.append(Hold(top, second, sine * arm[:, first] + cosine * arm[:, second]))
    holds.append(Hold(top, third))
    return load_case(
        mesh,
        holds=holds,
        loaded=top,
        name="torsion",
        axis=axis,
        response=3 + third,
        motion=strain,
        strain=strain,
        center=center,
    )


STANDARD_TESTS: dict[str, Callable[..., LoadCase]] = {
    "axial": axial,
    "uniaxial": uniaxial,
    "confined": confined,
    "symshear": symmetric_shear,
    "dshear": directional_shear,
    "bending": bending,
    "torsion": torsion,
}
"""The tests under the names that FAIM gives them."""


def _frame(axis: int) -> tuple[int, int, int]:
    if axis not in (0, 1, 2):
        raise ValueError(f"`axis` is 0, 1 or 2 for x, y or z, got {axis!r}.")
    return (axis + 1) % 3, (axis + 2) % 3, axis


def _ends(mesh: VoxelMesh, axis: int) -> tuple[Int[np.ndarray, " bottom"], Int[np.ndarray, " top"]]:
    return end_plane(mesh, axis=axis, top=False), end_plane(mesh, axis=axis, top=True)


def _pin(mesh: VoxelMesh, axis: int) -> tuple[Int[np.ndarray, "1"], Int[np.ndarray, "1"]]:
    """Return two nodes of the element nearest the middle of the section: a corner and its neighbour."""
    first, second, third = _frame(axis)
    level = lattice_coordinates(mesh)
    middle: Float[np.ndarray, " 3"] = 0.5 * (level.min(axis=0) + level.max(axis=0))
    offset = (grid_coordinates(mesh) + 0.5 - middle) * np.asarray(mesh.spacing)
    distance = offset[:, first] ** 2 + offset[:, second] ** 2
    nearest = np.lexsort((offset[:, third], distance))[0]
    corners = mesh.connectivity[nearest]
    weight = (4, 2, 1)
    return corners[[0]].astype(np.int64), corners[[weight[first]]].astype(np.int64)
