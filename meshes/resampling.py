"""The same picture on another grid: block means, interpolation, nearest labels."""

import math

import numpy as np
from jaxtyping import Bool, Float, Integer, Num, Shaped
from scipy import ndimage


def bone_fraction(
    solid: Bool[np.ndarray, "nx ny nz"], factors: tuple[int, int, int]
) -> Float[np.ndarray, "mx my mz"]:
    """Return the fraction of bone in blocks of voxels [-]: the exact way to coarsen a mask.

    A last block that hangs over the border counts what is missing as void, so that the bone volume
    is kept exactly. The spacing of the result is `spacing * factors`.

    Args:
        solid: Which voxels are bone.
        factors: Voxels of a block along x, y, z.
    """
    return _block_sums(solid, factors) / np.float32(math.prod(factors))


def block_mean(
    values: Num[np.ndarray, "nx ny nz"], factors: tuple[int, int, int]
) -> Float[np.ndarray, "mx my mz"]:
    """Return the mean grey value or density of blocks of voxels.

    A last block that hangs over the border is the mean of the voxels that it has. The spacing of
    the result is `spacing * factors`.

    Args:
        values: Grey values or densities.
        factors: Voxels of a block along x, y, z.
    """
    means = _block_sums(values, factors)
    for axis, (size, factor) in enumerate(zip(values.shape, factors, strict=True)):
        starts = np.arange(0, size, factor)
        counts = np.minimum(factor, size - starts).astype(means.dtype)
        means /= counts.reshape([-1 if other == axis else 1 for other in range(3)])
    return means


def resample(
    values: Num[np.ndarray, "nx ny nz"],
    *,
    spacing: tuple[float, float, float],
    new_spacing: tuple[float, float, float],
) -> tuple[Float[np.ndarray, "mx my mz"], tuple[float, float, float]]:
    """Return the values on a grid of about another spacing, and its exact spacing [mm].

    Both grids cover the same box, so the new edges are the box divided by a whole number. Linear
    interpolation between voxel centres; along an axis that becomes coarser, a Gaussian of
    (ratio - 1) / 2 old voxels goes first, so that fine structure is averaged instead of aliased.
    Prefer `block_mean` and `bone_fraction` where the ratio is a whole number.

    Args:
        values: Grey values or densities.
        spacing: Edges of a voxel [mm].
        new_spacing: Edges that are wanted [mm].

    Source:
        The width of the Gaussian is the default of scikit-image, `skimage.transform.resize`.
    """
    shape, exact = _new_grid(values.shape, spacing, new_spacing)
    dtype = values.dtype if np.issubdtype(values.dtype, np.floating) else np.float32
    sigma = [max(0.0, (old / new - 1.0) / 2.0) for old, new in zip(values.shape, shape, strict=True)]
    smooth = ndimage.gaussian_filter(values, sigma, output=dtype, mode="nearest")
    return _zoom(smooth, shape, order=1), exact


def resample_labels(
    labels: Integer[np.ndarray, "nx ny nz"] | Bool[np.ndarray, "nx ny nz"],
    *,
    spacing: tuple[float, float, float],
    new_spacing: tuple[float, float, float],
) -> tuple[Shaped[np.ndarray, "mx my mz"], tuple[float, float, float]]:
    """Return the label nearest to each voxel of another grid, and its exact spacing [mm].

    Labels are names: they are never averaged. Both grids cover the same box.

    Args:
        labels: Label codes, or a mask.
        spacing: Edges of a voxel [mm].
        new_spacing: Edges that are wanted [mm].
    """
    shape, exact = _new_grid(labels.shape, spacing, new_spacing)
    codes = labels.view(np.uint8) if labels.dtype == np.bool_ else labels
    return _zoom(codes, shape, order=0).astype(labels.dtype, copy=False), exact


def _block_sums(
    values: Shaped[np.ndarray, "nx ny nz"], factors: tuple[int, int, int]
) -> Float[np.ndarray, "mx my mz"]:
    """Return the sums over blocks, one axis at a time, first the axis whose sums lie together."""
    if not all(factor >= 1 for factor in factors):
        raise ValueError(f"`factors` must be whole numbers of at least 1 along every axis, got {factors}.")
    dtype = np.float64 if values.dtype == np.float64 else np.float32
    sums = values
    for axis, factor in enumerate(factors):
        starts = np.arange(0, values.shape[axis], factor)
        sums = np.add.reduceat(sums, starts, axis=axis, dtype=dtype)
    return sums


def _new_grid(
    shape: tuple[int, ...], spacing: tuple[float, float, float], new_spacing: tuple[float, float, float]
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    if not all(math.isfinite(edge) and edge > 0.0 for edge in new_spacing):
        raise ValueError(
            f"`new_spacing` holds the edges of a voxel [mm], finite and positive, got {new_spacing}."
        )
    box = [size * edge for size, edge in zip(shape, spacing, strict=True)]
    counts = [max(1, round(side / edge)) for side, edge in zip(box, new_spacing, strict=True)]
    exact = [side / count for side, count in zip(box, counts, strict=True)]
    return (counts[0], counts[1], counts[2]), (exact[0], exact[1], exact[2])


def _zoom(
    values: Shaped[np.ndarray, "nx ny nz"], shape: tuple[int, int, int], *, order: int
) -> Shaped[np.ndarray, "mx my mz"]:
    zoom = [new / old for old, new in zip(values.shape, shape, strict=True)]
    return np.asarray(ndimage.zoom(values, zoom, order=order, mode="nearest", grid_mode=True))
