"""Room for bone to grow outwards in a voxel mesh: one layer of nearly empty elements on the periosteum.

The mesh does not change during a run. So the voxels into which the outer surface can move are elements from
the start, filled to `SMALLEST_FILL`, and fill as the surface moves. Growth ends when the layer is full.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy import ndimage

from meshes.voxel import VoxelMesh, face_neighbours
from remodel.parameters import Scalar

SMALLEST_FILL = 0.02
"""Share of an empty voxel of the layer that counts as bone, so that the law has something to work on [-]."""
SMALLEST_STIFFNESS = 1e-4
"""Modulus of an empty voxel of the layer relative to the bone beside it [-]."""
NORMAL_SMOOTHING = 1.5
"""Width of the filter that finds the normal of a stair-cased surface [voxels]."""


class GridLayer(eqx.Module):
    """The voxels just outside the periosteum."""

    voxels: Bool[np.ndarray, "nx ny nz"]
    """Voxels that may become bone."""
    thickness: Float[np.ndarray, "nx ny nz"]
    """How far the surface moves while such a voxel fills [mm]; 1 elsewhere."""


class SurfaceLayer(eqx.Module):
    """The same as elements of a mesh that holds them."""

    waiting: Bool[Array, " elements"]
    """Elements of the layer."""
    host: Int[Array, " elements"]
    """Bone element that an element of the layer grows from; any other element is its own."""
    thickness: Float[Array, " elements"]
    """How far the surface moves while an element fills [mm]; 1 outside the layer."""


def grid_layer(
    solid: Bool[np.ndarray, "nx ny nz"],
    periosteal: Bool[np.ndarray, "nx ny nz"],
    *,
    spacing: tuple[float, float, float],
    cut: tuple[int, ...] = (),
) -> GridLayer:
    """Return the void voxels that share a face with bone and lie outside its periosteal surface.

    Marrow and pores are inside that surface, and beyond a cut the bone goes on: neither counts. The layer of
    a plane surface with the normal n is `max |n_i| h_i` thick, exactly; that is the way the surface moves to
    fill it, whatever its direction, so the volume added is right on stairs too.

    Args:
        solid: Which voxels are bone.
        periosteal: Everything inside the outer surface, of `meshes.regions`.
        spacing: Edges of a voxel, h [mm].
        cut: Axes across which the bone is cut at both ends.

    Raises:
        ValueError: If the bone touches the border of the grid where it is not cut: the layer has no room.
    """
    bone = solid & periosteal
    part = tuple(_extent(bone, axis) if axis in cut else slice(None) for axis in range(3))
    _check_room(bone[part], cut)
    voxels = np.zeros_like(bone)
    voxels[part] = ndimage.binary_dilation(bone[part]) & ~periosteal[part] & ~solid[part]
    thickness = np.ones(bone.shape)
    thickness[part] = np.where(voxels[part], _thickness(periosteal[part], spacing), 1.0)
    return GridLayer(voxels, thickness)


def surface_layer(layer: GridLayer, mesh: VoxelMesh) -> SurfaceLayer:
    """Return a layer as elements of the mesh of bone and layer together.

    Args:
        layer: On the grid.
        mesh: Of `solid | layer.voxels`.

    Raises:
        ValueError: If the mesh lacks voxels of the layer, or one of them has no bone beside it.
    """
    waiting = layer.voxels.reshape(-1)[mesh.voxels]
    if np.count_nonzero(waiting) != np.count_nonzero(layer.voxels):
        raise ValueError(
            f"`mesh` holds {np.count_nonzero(waiting)} of the {np.count_nonzero(layer.voxels)} voxels of "
            "`layer`; build it of the bone and the layer together, `voxel_mesh(solid | layer.voxels, ...)`."
        )
    beside = face_neighbours(mesh)
    is_bone = (beside >= 0) & ~waiting[beside]
    if not is_bone[waiting].any(axis=1).all():
        raise ValueError("`mesh` lacks the bone beside a voxel of `layer`; build both from the same solid.")
    first = np.argmax(is_bone, axis=1)
    own = np.arange(mesh.elements)
    host = np.where(waiting, beside[own, first], own)
    return SurfaceLayer(
        jnp.asarray(waiting),
        jnp.asarray(host.astype(np.int32)),
        jnp.asarray(layer.thickness.reshape(-1)[mesh.voxels]),
    )


def empty_fill(layer: SurfaceLayer) -> Float[Array, " elements"]:
    """Return the fill of every element on day 0: `SMALLEST_FILL` in the layer, 1 elsewhere [-]."""
    return jnp.where(layer.waiting, jnp.asarray(SMALLEST_FILL, layer.thickness.dtype), 1)


def advance_fill(
    fill: Float[Array, " elements"],
    velocity: Float[Array, " elements"],
    layer: SurfaceLayer,
    time_step: Scalar,
) -> Float[Array, " elements"]:
    """Return the fill of every element after a step, at most 1 [-].

    An element fills as the surface of its host moves: `phi' = V / thickness`, times the share that is empty
    on day 0.

    Args:
        fill: Before the step.
        velocity: Of the periosteal surface at every element, outwards [mm/day].
        layer: The layer.
        time_step: Length of the step [day].
    """
    gain = (1.0 - SMALLEST_FILL) * velocity[layer.host] * time_step / layer.thickness
    return jnp.where(layer.waiting, jnp.minimum(fill + gain, 1.0), fill)


def layer_fraction(
    fill: Float[Array, " elements"], volume_fraction: Float[Array, " elements"], layer: SurfaceLayer
) -> Float[Array, " elements"]:
    """Return the bone volume fraction of every element: that of the host times the fill in the layer [-].

    Args:
        fill: Of every element.
        volume_fraction: Of every element; that of the layer is not read.
        layer: The layer.
    """
    return fill * volume_fraction[layer.host]


def filled_share(fill: Float[Array, " elements"], layer: SurfaceLayer) -> Float[Array, " elements"]:
    """Return how much of every element is filled since day 0: 0 to 1 in the layer, 1 elsewhere [-]."""
    share = jnp.clip((fill - SMALLEST_FILL) / (1.0 - SMALLEST_FILL), 0.0, 1.0)
    return jnp.where(layer.waiting, share, 1)


def layer_modulus(
    fill: Float[Array, " elements"], modulus: Float[Array, " elements"], layer: SurfaceLayer
) -> Float[Array, " elements"]:
    """Return Young's modulus of every element [MPa]: in the layer that of the host times what is filled.

    A sheet on the surface bears in parallel with the bone, so its modulus is linear in the fill and not a
    power of it; empty it is `SMALLEST_STIFFNESS`.

    Args:
        fill: Of every element.
        modulus: Of every element; that of the layer is not read [MPa].
        layer: The layer.
    """
    share = SMALLEST_STIFFNESS + (1.0 - SMALLEST_STIFFNESS) * filled_share(fill, layer)
    return jnp.where(layer.waiting, share * modulus[layer.host], modulus)


def _extent(bone: Bool[np.ndarray, "nx ny nz"], axis: int) -> slice:
    """Return the planes along an axis that the bone reaches."""
    planes = np.flatnonzero(bone.any(axis=tuple(other for other in range(3) if other != axis)))
    return slice(planes[0], planes[-1] + 1) if planes.size else slice(None)


def _check_room(bone: Bool[np.ndarray, "nx ny nz"], cut: tuple[int, ...]) -> None:
    for axis in range(3):
        if axis not in cut and (np.take(bone, 0, axis).any() or np.take(bone, -1, axis).any()):
            raise ValueError(
                f"`solid` touches the border of the grid along axis {axis}, so the layer outside it has no room; "
                "pad the grid by a voxel, or name the axis in `cut` if the bone is cut there."
            )


def _thickness(
    periosteal: Bool[np.ndarray, "nx ny nz"], spacing: tuple[float, float, float]
) -> Float[np.ndarray, "nx ny nz"]:
    """Return `max |n_i| h_i` with n the normal of the smoothed surface [mm]; across a cut it goes on as is."""
    smooth = ndimage.gaussian_filter(periosteal.astype(np.float64), NORMAL_SMOOTHING, mode="nearest")
    slope = np.stack(
        [
            np.gradient(smooth, edge, axis=axis) if smooth.shape[axis] > 1 else np.zeros_like(smooth)
            for axis, edge in enumerate(spacing)
        ]
    )
    length = np.linalg.norm(slope, axis=0)
    edges = np.asarray(spacing).reshape(3, 1, 1, 1)
    along = np.max(np.abs(slope) * edges, axis=0)
    return np.where(length > 0.0, along / np.where(length > 0.0, length, 1.0), min(spacing))
