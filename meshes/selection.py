"""Sets of nodes: by plane, by box, by label, for loads that are not one of the standard tests."""

import numpy as np
from jaxtyping import Int

from meshes.voxel import VoxelMesh, node_coordinates


def nodes_on_plane(mesh: VoxelMesh, *, axis: int, position: float) -> Int[np.ndarray, " chosen"]:
    """Return the nodes on a plane across an axis.

    Args:
        mesh: The mesh.
        axis: 0, 1, 2 for x, y, z.
        position: Coordinate of the plane [mm]; a node within half a voxel of it counts.

    Raises:
        ValueError: If no node lies there.
    """
    distance = np.abs(node_coordinates(mesh)[:, axis] - position)
    return _not_empty(
        np.flatnonzero(distance < 0.5 * mesh.spacing[axis]), f"plane {'xyz'[axis]} = {position} mm"
    )


def nodes_in_box(
    mesh: VoxelMesh, low: tuple[float, float, float], high: tuple[float, float, float]
) -> Int[np.ndarray, " chosen"]:
    """Return the nodes inside a box, its faces included [mm].

    Raises:
        ValueError: If no node lies there.
    """
    points = node_coordinates(mesh)
    inside = np.all((points >= np.asarray(low)) & (points <= np.asarray(high)), axis=1)
    return _not_empty(np.flatnonzero(inside), f"box from {low} to {high} mm")


def nodes_of_label(
    mesh: VoxelMesh, labels: Int[np.ndarray, "nx ny nz"], label: int
) -> Int[np.ndarray, " chosen"]:
    """Return the nodes of the elements that carry a label.

    Raises:
        ValueError: If the label image has another shape than the grid, or no element carries the label.
    """
    if labels.shape != mesh.shape:
        raise ValueError(f"`labels` has the shape {labels.shape}, the grid of the mesh has {mesh.shape}.")
    chosen = labels.reshape(-1)[mesh.voxels] == label
    return _not_empty(np.unique(mesh.connectivity[chosen]), f"label {label}")


def _not_empty(nodes: Int[np.ndarray, " chosen"], place: str) -> Int[np.ndarray, " chosen"]:
    if nodes.size == 0:
        raise ValueError(f"No node of the bone lies at the {place}; look at the mesh's extent and labels.")
    return nodes
