"""From grey values to the voxels that are bone: thresholds, filters, grids, pieces.

Everything here is NumPy and SciPy on (x, y, z) arrays. Temporaries stay small enough for 10^8
voxels: what needs a distance works on slabs, what counts works on blocks of planes.
"""

import math
from typing import cast

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Integer, Num, Shaped
from scipy import ndimage

SLAB = 64
"""Planes of a slab in the operations that work slab by slab."""

FACES = ndimage.generate_binary_structure(3, 1)
"""Two voxels are connected where they share a face: an edge or a corner carries no load."""


class Component(eqx.Module):
    """The largest piece of a bone, and what was taken away to get it."""

    solid: Bool[np.ndarray, "nx ny nz"]
    """Which voxels belong to the largest piece."""
    removed_voxels: int = eqx.field(static=True)
    """Bone voxels outside the largest piece."""
    islands: int = eqx.field(static=True)
    """Pieces that were removed."""


def threshold(
    values: Num[np.ndarray, "nx ny nz"], *, lower: float, upper: float = math.inf
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return which voxels have `lower <= value <= upper`; a NaN is never bone.

    Args:
        values: Grey values, or densities.
        lower: Smallest value of bone, in the unit of the values.
        upper: Largest value of bone, in the unit of the values.

    Raises:
        ValueError: If the range is empty.
    """
    if not lower <= upper:
        raise ValueError(f"`lower` must not exceed `upper`, got {lower} and {upper}.")
    solid = values >= lower
    if upper < math.inf:
        solid &= values <= upper
    return solid


def label_mask(
    labels: Integer[np.ndarray, "nx ny nz"], codes: tuple[int, ...]
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return which voxels carry one of the label codes.

    Raises:
        ValueError: If no code is given, or one does not occur.
    """
    if not codes:
        raise ValueError("`codes` is empty; name at least one label of bone.")
    solid = np.zeros(labels.shape, dtype=bool)
    for code in codes:
        chosen = labels == code
        if not chosen.any():
            found = ", ".join(str(value) for value in np.unique(labels)[:20])
            raise ValueError(f"`codes` names label {code}, which no voxel has; the labels are {found}.")
        solid |= chosen
    return solid


def smooth(
    values: Shaped[np.ndarray, "nx ny nz"], *, sigma: float, spacing: tuple[float, float, float]
) -> Float[np.ndarray, "nx ny nz"]:
    """Return the values convolved with a Gaussian of one width in mm along every axis.

    The values beyond the border are those at the border. Integers and booleans become float32.

    Args:
        values: Grey values, densities, or a mask.
        sigma: Standard deviation of the Gaussian [mm].
        spacing: Edges of a voxel [mm].
    """
    return _gaussian(values, tuple(sigma / edge for edge in spacing))


def smooth_voxels(
    values: Shaped[np.ndarray, "nx ny nz"], *, sigma_voxels: float
) -> Float[np.ndarray, "nx ny nz"]:
    """Return the values convolved with a Gaussian of one width in voxels along every axis.

    This is how scanner software states its filters; on voxels that are not cubic it smooths more
    millimetres along the longer edge. See `smooth` for a width in mm.

    Args:
        values: Grey values, densities, or a mask.
        sigma_voxels: Standard deviation of the Gaussian [voxels].
    """
    return _gaussian(values, (sigma_voxels,) * 3)


def connected_pieces(
    solid: Bool[np.ndarray, "nx ny nz"],
) -> tuple[Integer[np.ndarray, "nx ny nz"], int]:
    """Return the number of each voxel's piece, from 1 and 0 for void, and how many pieces there are.

    Voxels of a piece hang together by faces. Pieces are numbered in C order of their first voxel.
    """
    return cast(tuple[np.ndarray, int], ndimage.label(solid, structure=FACES))


def largest_component(solid: Bool[np.ndarray, "nx ny nz"]) -> Component:
    """Return the largest piece of bone whose voxels hang together by faces.

    Of two pieces of the same size the first in C order stays. Costs 4 bytes per voxel.

    Raises:
        ValueError: If there is no bone.
    """
    pieces, count = connected_pieces(solid)
    if count == 0:
        raise ValueError(f"`solid` has no bone voxel among {solid.size}; lower the threshold.")
    if count == 1:
        return Component(solid.copy(), 0, 0)
    sizes = np.zeros(count + 1, dtype=np.int64)
    for block in np.array_split(pieces, max(1, len(pieces) // SLAB)):
        sizes += np.bincount(block.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    largest = int(np.argmax(sizes))
    removed = int(sizes.sum() - sizes[largest])
    return Component(pieces == largest, removed, count - 1)


def bounding_box(
    solid: Bool[np.ndarray, "nx ny nz"], *, margin: int = 0
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return the corners `lower`, `upper` of the smallest box of voxels around the bone.

    Voxels with `lower <= index < upper` are inside, as `crop` takes them. With the spacing,
    `lower * spacing` is how far the origin of the cropped grid moves.

    Args:
        solid: Which voxels are bone.
        margin: Voxels to keep on every side, as far as the grid goes [voxels].

    Raises:
        ValueError: If there is no bone.
    """
    lower, upper = [], []
    for axis, size in enumerate(solid.shape):
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(solid.any(axis=others))
        if occupied.size == 0:
            raise ValueError(f"`solid` has no bone voxel among {solid.size}; there is no box around it.")
        lower.append(max(0, int(occupied[0]) - margin))
        upper.append(min(size, int(occupied[-1]) + 1 + margin))
    return (lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2])


def crop(
    values: Shaped[np.ndarray, "nx ny nz"], lower: tuple[int, int, int], upper: tuple[int, int, int]
) -> Shaped[np.ndarray, "mx my mz"]:
    """Return a copy of the voxels with `lower <= index < upper`.

    Raises:
        ValueError: If the box is empty or leaves the grid.
    """
    inside = zip(lower, upper, values.shape, strict=True)
    if not all(0 <= first < last <= size for first, last, size in inside):
        raise ValueError(
            f"`lower` and `upper` must satisfy 0 <= lower < upper <= {values.shape} along every axis, "
            f"got {lower} and {upper}."
        )
    box = tuple(slice(first, last) for first, last in zip(lower, upper, strict=True))
    return values[box].copy()


def closing(
    solid: Bool[np.ndarray, "nx ny nz"], *, radius: float, spacing: tuple[float, float, float]
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return the bone with every gap filled that a ball cannot enter.

    The ball is a true ball in mm, whatever the spacing. The space beyond the grid is void, so bone
    that touches the border is not rounded off there.

    Args:
        solid: Which voxels are bone.
        radius: Radius of the ball [mm].
        spacing: Edges of a voxel [mm].
    """
    halo = [(_reach(radius, edge),) * 2 for edge in spacing]
    grown = _within(np.pad(solid, halo), radius, spacing)
    kept = ~_within(~grown, radius, spacing)
    return kept[tuple(slice(width, -width or None) for width, _ in halo)]


def opening(
    solid: Bool[np.ndarray, "nx ny nz"], *, radius: float, spacing: tuple[float, float, float]
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return the part of the mask that a ball inside it can sweep.

    The space beyond the grid counts as inside, so a mask that was cut by the border is not worn
    down there.

    Args:
        solid: Which voxels are in the mask.
        radius: Radius of the ball [mm].
        spacing: Edges of a voxel [mm].
    """
    return ~closing(~solid, radius=radius, spacing=spacing)


def _gaussian(
    values: Shaped[np.ndarray, "nx ny nz"], sigma: tuple[float, ...]
) -> Float[np.ndarray, "nx ny nz"]:
    if not all(math.isfinite(width) and width >= 0.0 for width in sigma):
        raise ValueError(f"The width of the Gaussian must be finite and not negative, got {sigma} voxels.")
    dtype = values.dtype if np.issubdtype(values.dtype, np.floating) else np.float32
    return ndimage.gaussian_filter(values, sigma, output=dtype, mode="nearest")


def _reach(radius: float, edge: float) -> int:
    """Return how many voxels a distance can span."""
    return math.floor(radius / edge * (1.0 + 1e-9))


def _within(
    solid: Bool[np.ndarray, "nx ny nz"], radius: float, spacing: tuple[float, float, float]
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return which voxels have bone within a radius, slab by slab.

    A slab with a halo of the radius on both sides knows every distance up to the radius, so the
    result is that of the whole grid and a distance transform never holds more than a slab.
    """
    halo = _reach(radius, spacing[0]) + 1
    step = max(SLAB, 2 * halo)
    result = np.empty_like(solid)
    for start in range(0, len(solid), step):
        first = max(0, start - halo)
        slab = solid[first : start + step + halo]
        kept = slice(start - first, start - first + step)
        if not slab.any():
            result[start : start + step] = False
            continue
        distance = np.asarray(ndimage.distance_transform_edt(~slab, sampling=spacing))
        result[start : start + step] = distance[kept] <= radius * (1.0 + 1e-9)
    return result
