"""A shaded picture of a bone's surface, cast ray by ray on the processor; needs no graphics card."""

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

BONE_COLOUR = (0.93, 0.88, 0.78)
"""Colour of unpainted bone, red green blue of 1."""


class View(eqx.Module):
    """From where a bone is looked at; the projection is parallel, so lengths compare anywhere."""

    azimuth: float = eqx.field(static=True, default=-55.0)
    """Turn about the z axis [°]."""
    elevation: float = eqx.field(static=True, default=22.0)
    """Height of the eye above the x-y plane [°]."""
    pixels: int = eqx.field(static=True, default=560)
    """Edge of the square picture."""


class Hits(eqx.Module):
    """Where the rays of a picture meet the surface."""

    seen: Bool[np.ndarray, "rows columns"]
    """Which rays meet it."""
    points: Float[np.ndarray, "hits 3"]
    """Where, in voxels of the grid."""
    millimetres_per_pixel: float = eqx.field(static=True)


def axes_of(view: View) -> Float[np.ndarray, "3 3"]:
    """Return the directions right, up and towards the eye, as rows of (x, y, z)."""
    turn, height = np.radians(view.azimuth), np.radians(view.elevation)
    towards = np.array([np.cos(height) * np.cos(turn), np.cos(height) * np.sin(turn), np.sin(height)])
    right = np.array([-np.sin(turn), np.cos(turn), 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def cast(
    fraction: Float[np.ndarray, "nx ny nz"],
    spacing: tuple[float, float, float],
    *,
    level: float,
    view: View,
    samples: int = 2,
) -> Hits:
    """Return where parallel rays first meet the surface on which a field has a level.

    Rays advance by half a voxel; the last step is bisected linearly.

    Args:
        fraction: The field, 0 outside bone; its border layer should be 0 so that cut faces are closed.
        spacing: Edges of a voxel [mm].
        level: Value of the field on the surface [-].
        view: From where.
        samples: Rays per pixel and axis, averaged later against jagged edges.
    """
    edges = np.asarray(spacing)
    size = (np.asarray(fraction.shape) - 1) * edges
    right, up, towards = axes_of(view)
    radius = np.linalg.norm(size) / 2
    count = view.pixels * samples
    ticks = ((np.arange(count) + 0.5) / count * 2 - 1) * radius
    start = size / 2 + radius * towards
    origins = start + ticks[None, :, None] * right + ticks[::-1, None, None] * up
    points = _march(
        fraction, (origins / edges).reshape(-1, 3), towards / edges, edges.min() / 2, 2 * radius, level
    )
    seen = np.isfinite(points[:, 0])
    return Hits(seen.reshape(count, count), points[seen], float(2 * radius / view.pixels))


def shade(
    fraction: Float[np.ndarray, "nx ny nz"],
    spacing: tuple[float, float, float],
    hits: Hits,
    colours: Float[np.ndarray, "hits 3"],
    *,
    view: View,
) -> UInt8[np.ndarray, "pixels pixels 4"]:
    """Return the picture: colours in the light of two lamps, darker where bone is near all around.

    Args:
        fraction: The field that was cast.
        spacing: Edges of a voxel [mm].
        hits: What `cast` returned.
        colours: Colour of each hit, red green blue of 1.
        view: As given to `cast`.
    """
    normals = _normals(fraction, spacing, hits.points)
    right, up, towards = axes_of(view)
    key = _unit(-0.55 * right + 0.75 * up + 0.65 * towards)
    fill = _unit(0.9 * right + 0.1 * up + 0.5 * towards)
    diffuse = 0.78 * np.clip(normals @ key, 0, 1) + 0.22 * np.clip(normals @ fill, 0, 1)
    gloss = np.clip(normals @ _unit(key + towards), 0, 1) ** 24
    light = _openness(fraction, hits.points, normals) * (0.46 + 0.86 * diffuse)
    lit = np.clip(colours * light[:, None] + 0.10 * gloss[:, None], 0, 1)
    picture = np.zeros((*hits.seen.shape, 4))
    picture[hits.seen] = np.concatenate([lit, np.ones((len(lit), 1))], axis=1)
    return _averaged(picture, view.pixels)


def sampled(
    field: Float[np.ndarray, "nx ny nz"], points: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, " points"]:
    """Return a field between its grid points, linearly; 0 outside the grid."""
    return ndimage.map_coordinates(field, points.T, order=1, mode="constant", cval=0.0, prefilter=False)


def _march(field, origins, direction, step, length, level) -> Float[np.ndarray, "rays 3"]:
    """Return the first point of each ray at which the field reaches the level; NaN where none does."""
    found = np.full(origins.shape, np.nan)
    near, far = _inside(origins, direction, np.asarray(field.shape), length)
    rays = np.flatnonzero(near < far)
    depth, before = near[rays].copy(), np.zeros(len(rays))
    while rays.size:
        value = sampled(field, origins[rays] - depth[:, None] * direction)
        hit = value >= level
        back = step * (value[hit] - level) / np.maximum(value[hit] - before[hit], 1e-12)
        found[rays[hit]] = origins[rays[hit]] - (depth[hit] - np.clip(back, 0, step))[:, None] * direction
        depth += step
        keep = ~hit & (depth < far[rays])
        rays, depth, before = rays[keep], depth[keep], value[keep]
    return found


def _inside(origins, direction, shape, length) -> tuple[np.ndarray, np.ndarray]:
    """Return between which depths each ray runs inside the grid."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first = origins / direction
        last = (origins - (shape - 1)) / direction
    near = np.nanmax(np.minimum(first, last), axis=1)
    far = np.nanmin(np.maximum(first, last), axis=1)
    return np.maximum(near, 0.0), np.minimum(far, length)


def _normals(fraction, spacing, points) -> Float[np.ndarray, "hits 3"]:
    """Return the outward direction of the surface: down the slope of the slightly smoothed field."""
    smooth = ndimage.gaussian_filter(fraction, 0.8)
    slope = np.stack([sampled(np.gradient(smooth, axis=axis), points) for axis in range(3)], axis=1)
    return _unit(-slope / np.asarray(spacing))


def _openness(fraction, points, normals) -> Float[np.ndarray, " hits"]:
    """Return how freely light reaches each point, from how much bone lies before it, near and far."""
    open_sky = np.ones(len(points))
    for reach, weight in ((2.0, 0.45), (5.0, 0.80)):
        crowd = ndimage.gaussian_filter(fraction, reach)
        open_sky -= weight * np.clip(sampled(crowd, points + 1.2 * reach * normals), 0, 0.6)
    return np.clip(open_sky, 0.25, 1.0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _averaged(picture: np.ndarray, pixels: int) -> UInt8[np.ndarray, "pixels pixels 4"]:
    """Return the mean over the rays of each pixel, colours weighted by what they cover."""
    samples = picture.shape[0] // pixels
    blocks = picture.reshape(pixels, samples, pixels, samples, 4)
    cover = blocks[..., 3].mean(axis=(1, 3))
    colour = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3)) / np.maximum(cover, 1e-9)[..., None]
    return np.round(255 * np.concatenate([colour, cover[..., None]], axis=2)).astype(np.uint8)
