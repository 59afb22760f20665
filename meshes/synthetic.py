"""Bones made from formulas: blocks, shafts, and trabeculae of a chosen bone volume fraction.

All return the bone voxels of an (x, y, z) grid; a voxel is bone where its centre is. For partial
volumes build the bone on a finer grid and hand it to `meshes.resampling.bone_fraction`. The random
ones take a seed: the same seed gives the same bone on the same machine and library versions.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import fft

BANDWIDTH = 0.1
"""Width of the band of wave numbers of random trabeculae, relative to its centre [-]: narrow enough for
one spacing to be seen, wide enough for no lattice to be."""


def cube(n: int) -> Bool[np.ndarray, "n n n"]:
    """Return a solid cube of n voxels along each edge."""
    return np.ones((n, n, n), dtype=bool)


def beam(
    *, length: float, width: float, height: float, spacing: tuple[float, float, float]
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return a solid beam along x: length x width x height [mm], y and z being its cross-section.

    Raises:
        ValueError: If a side is not a whole number of voxels: the beam would have other dimensions.
    """
    sides = {"length": length, "width": width, "height": height}
    shape = []
    for (name, side), edge in zip(sides.items(), spacing, strict=True):
        count = round(side / edge)
        if count < 1 or not math.isclose(count * edge, side, rel_tol=1e-6):
            raise ValueError(
                f"`{name}` must be a whole number of voxels of {edge} mm, got {side} mm; "
                f"{max(1, count)} voxels are {max(1, count) * edge} mm."
            )
        shape.append(count)
    return np.ones(shape, dtype=bool)


def hollow_shaft(
    *, outer_radius: float, inner_radius: float, length: float, spacing: tuple[float, float, float]
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return a cortical tube along z, in the middle of a grid that just holds it.

    Args:
        outer_radius: Radius of the periosteal surface [mm].
        inner_radius: Radius of the endosteal surface [mm]; 0 makes a rod.
        length: Length, rounded to whole voxels [mm].
        spacing: Edges of a voxel [mm].

    Raises:
        ValueError: If the radii or the length do not describe a tube.
    """
    if not 0.0 <= inner_radius < outer_radius:
        raise ValueError(
            "`inner_radius` must be at least 0 and below `outer_radius`, "
            f"got {inner_radius} and {outer_radius} mm."
        )
    radius, slices = _shaft_grid(outer_radius, length, spacing)
    ring = (radius <= outer_radius) & (radius >= inner_radius)
    return np.repeat(ring[:, :, None], slices, axis=2)


def filled_shaft(
    *,
    outer_radius: float,
    cortical_thickness: float,
    length: float,
    spacing: tuple[float, float, float],
    period: float,
    volume_fraction: float,
    seed: int,
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return a cortical tube along z whose cavity is filled with random trabeculae.

    The bone volume fraction holds in the cavity, not in the whole grid.

    Args:
        outer_radius: Radius of the periosteal surface [mm].
        cortical_thickness: Thickness of the cortex [mm].
        length: Length, rounded to whole voxels [mm].
        spacing: Edges of a voxel [mm].
        period: Wave length of the trabeculae, see `random_trabeculae` [mm].
        volume_fraction: Bone volume in the cavity over the volume of the cavity [-].
        seed: Seed of the random numbers.

    Raises:
        ValueError: If the cortex leaves no cavity, or the fraction is not between 0 and 1.
    """
    inner_radius = outer_radius - cortical_thickness
    shaft = hollow_shaft(outer_radius=outer_radius, inner_radius=inner_radius, length=length, spacing=spacing)
    radius, slices = _shaft_grid(outer_radius, length, spacing)
    cavity = np.repeat((radius < inner_radius)[:, :, None], slices, axis=2)
    if not cavity.any():
        raise ValueError(f"`cortical_thickness` of {cortical_thickness} mm leaves no cavity to fill.")
    depth = _strut_depth(shaft.shape, spacing, period, (1.0, 1.0, 1.0), seed)
    shaft[cavity] = _lowest(depth[cavity], volume_fraction)
    return shaft


def gyroid(
    *,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    period: float,
    volume_fraction: float,
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return the network on one side of a gyroid: one connected, cubic, rod-like lattice.

    Bone is where sin X cos Y + sin Y cos Z + sin Z cos X is lowest, X = 2 pi x / period. Below a
    bone volume fraction of about 0.06 the network falls apart. Where the grid cuts the lattice,
    stubs can come loose; `meshes.segmentation.largest_component` removes them.

    Args:
        shape: Voxels along x, y, z.
        spacing: Edges of a voxel [mm].
        period: Edge of the lattice's unit cell [mm].
        volume_fraction: Bone volume over total volume, met to the voxel up to ties [-].

    Source:
        The level surface: Wohlgemuth et al. 2001, Macromolecules 34:6083-6089, doi:10.1021/ma0019499.
    """
    phase = [
        (2.0 * np.pi / period * edge * (np.arange(size) + 0.5)).astype(np.float32)
        for size, edge in zip(shape, spacing, strict=True)
    ]
    x, y, z = np.ix_(*phase)
    level = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    return _lowest(level, volume_fraction)


def random_trabeculae(
    *,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    period: float,
    volume_fraction: float,
    seed: int,
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Bool[np.ndarray, "nx ny nz"]:
    """Return trabeculae from two Gaussian random fields: bone where both are close to zero.

    The open-cell model: the zero surfaces of a random field of one wave length are plates half a
    period apart; two such fields cross in struts, which hang together down to a bone volume
    fraction of about 0.08 (one field cut at one level falls apart below 0.2). The fields are
    periodic, so opposite faces of the grid match.

    Args:
        shape: Voxels along x, y, z.
        spacing: Edges of a voxel [mm].
        period: Wave length of the fields [mm].
        volume_fraction: Bone volume over total volume, met to the voxel [-].
        seed: Seed of the random numbers.
        stretch: Wave length along x, y, z over `period` [-]: more along z makes struts along z.

    Source:
        Roberts and Garboczi 2002, Proc. R. Soc. Lond. A 458:1033-1054, doi:10.1098/rspa.2001.0900.
    """
    return _lowest(_strut_depth(shape, spacing, period, stretch, seed), volume_fraction)


def _shaft_grid(
    outer_radius: float, length: float, spacing: tuple[float, float, float]
) -> tuple[Float[np.ndarray, "nx ny"], int]:
    """Return the distance of every column of the grid from the axis [mm], and the slices."""
    slices = round(length / spacing[2])
    if slices < 1:
        raise ValueError(f"`length` must be at least one voxel of {spacing[2]} mm, got {length} mm.")
    centres = []
    for edge in spacing[:2]:
        count = math.ceil(2.0 * outer_radius / edge - 1e-9)
        centres.append(edge * (np.arange(count) + 0.5 - count / 2.0))
    x, y = np.ix_(*centres)
    return np.hypot(x, y), slices


def _strut_depth(
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    period: float,
    stretch: tuple[float, float, float],
    seed: int,
) -> Float[np.ndarray, "nx ny nz"]:
    """Return the larger distance from zero of two random fields: smallest in the middle of a strut."""
    generator = np.random.default_rng(seed)
    first = np.abs(_random_field(generator, shape, spacing, period, stretch))
    second = np.abs(_random_field(generator, shape, spacing, period, stretch))
    return np.maximum(first, second, out=first)


def _random_field(
    generator: np.random.Generator,
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    period: float,
    stretch: tuple[float, float, float],
) -> Float[np.ndarray, "nx ny nz"]:
    """Return white noise, filtered to wave numbers around 1 / period; its scale has no meaning."""
    spectrum = fft.rfftn(generator.standard_normal(shape, dtype=np.float32))
    frequencies = (fft.fftfreq, fft.fftfreq, fft.rfftfreq)
    along = [
        (period * factor * frequency(size, edge)).astype(np.float32)
        for frequency, size, edge, factor in zip(frequencies, shape, spacing, stretch, strict=True)
    ]
    x, y, z = np.ix_(*along)
    wave_number = np.sqrt(x**2 + y**2 + z**2)
    spectrum *= np.exp(-0.5 * ((wave_number - 1.0) / BANDWIDTH) ** 2)
    return np.asarray(fft.irfftn(spectrum, s=shape, overwrite_x=True))


def _lowest(values: Float[np.ndarray, "..."], fraction: float) -> Bool[np.ndarray, "..."]:
    """Return which values are among the lowest fraction of all."""
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"`volume_fraction` must lie between 0 and 1, got {fraction}.")
    last = max(1, round(fraction * values.size)) - 1
    return values <= np.partition(values, last, axis=None)[last]
