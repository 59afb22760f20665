"""How far osteocytes hear: the stimulus smoothed over the bone, with a length in millimetres.

The signal S of a stimulus xi in bone of volume fraction f obeys the screened Poisson equation

    f S - div(f l^2 grad S) = f xi,    no flux through the surface of the bone.

On voxels this is a sum over face neighbours. It leaves a constant as it is, conserves `sum f xi`, and stays
between the smallest and the largest stimulus.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

OSTEOCYTE_LENGTH = 0.1
"""Length over which osteocytes pass their signal on [mm]. Source: Mullender & Huiskes 1995, J. Orthop. Res.
13:503-512, doi:10.1002/jor.1100130405."""


def sensing_length(spacing: tuple[float, float, float]) -> float:
    """Return the length of the kernel on a mesh [mm].

    That of osteocytes, but not below the largest edge of a voxel, or the mesh could not carry it. When meshes
    are compared, use the length of the coarsest on all: the result depends on the length, not on the mesh.

    Args:
        spacing: Edges of a voxel [mm].
    """
    return max(OSTEOCYTE_LENGTH, *spacing)


def smoothed_stimulus(
    stimulus: Float[Array, " elements"],
    volume_fraction: Float[Array, " elements"],
    neighbours: Int[Array, "elements 6"],
    *,
    spacing: tuple[float, float, float],
    length: float,
    tolerance: float = 1e-6,
) -> Float[Array, " elements"]:
    """Return the stimulus as it arrives, S in the equation at the head of this file, in the unit that came.

    Solved for the correction S - xi, which is exactly zero for a constant, by a number of Chebyshev steps
    known in advance: the work is the same in every element and step, so results repeat bit for bit, and it
    runs under `grad`. Chebyshev rather than conjugate gradients because the bounds of the spectrum are known
    and no sums over the bone are needed. The result is held between the extremes of the stimulus, where the
    exact one lies.

    Args:
        stimulus: What each element senses, xi, positive [any unit].
        volume_fraction: Bone volume fraction, positive [-].
        neighbours: Elements behind the faces -x, +x, -y, +y, -z, +z (or + before -); -1 where there is none.
        spacing: Edges of a voxel [mm].
        length: Length of the kernel, l [mm]; zero leaves the stimulus as it is.
        tolerance: Error relative to that of S = xi, in the norm of the equation [-].
    """
    if length == 0.0:
        return stimulus
    behind = jnp.where(
        neighbours < 0, jnp.arange(stimulus.shape[0], dtype=neighbours.dtype)[:, None], neighbours
    )
    couplings = _couplings(volume_fraction, behind, spacing, length)

    def spread(values: Float[Array, " elements"]) -> Float[Array, " elements"]:
        return jnp.sum(couplings * (values[:, None] - values[behind]), axis=1)

    def step(carry, factors):
        correction, residual, direction = carry
        correction = correction + direction
        residual = residual - direction - spread(direction) / volume_fraction
        return (correction, residual, factors[0] * direction + factors[1] * residual), None

    smallest, largest = _spectrum(spacing, length)
    residual = -spread(stimulus) / volume_fraction
    start = (jnp.zeros_like(stimulus), residual, residual / (0.5 * (smallest + largest)))
    factors = jnp.asarray(_chebyshev_factors(smallest, largest, tolerance), stimulus.dtype)
    (correction, _, _), _ = jax.lax.scan(step, start, factors)
    return jnp.clip(stimulus + correction, jnp.min(stimulus), jnp.max(stimulus))


def _couplings(
    volume_fraction: Float[Array, " elements"],
    behind: Int[Array, "elements 6"],
    spacing: tuple[float, float, float],
    length: float,
) -> Float[Array, "elements 6"]:
    """Return the conductance of each face per volume [-].

    It is `l^2 / h^2` times the harmonic mean of both fractions: half of the way to the neighbour leads
    through each of two resistances in series. It never exceeds twice the smaller fraction, which bounds the
    spectrum whatever the densities; the arithmetic mean would let a nearly empty voxel make the system as
    stiff as its emptiness.
    """
    along_axes = np.repeat((length / np.asarray(spacing)) ** 2, 2)
    own, other = volume_fraction[:, None], volume_fraction[behind]
    return jnp.asarray(along_axes, volume_fraction.dtype)[None, :] * (2.0 * own * other / (own + other))


def _spectrum(spacing: tuple[float, float, float], length: float) -> tuple[float, float]:
    """Return bounds of the eigenvalues of the equation divided by f: 1 (constants), and Gershgorin's."""
    return 1.0, 1.0 + 8.0 * sum((length / edge) ** 2 for edge in spacing)


def _chebyshev_factors(smallest: float, largest: float, tolerance: float) -> np.ndarray:
    """Return the two factors of each Chebyshev step; their number reaches the tolerance.

    Source:
        Saad 2003, Iterative Methods for Sparse Linear Systems, 2nd ed., algorithm 12.1: the error falls below
        `2 ((sqrt(k) - 1) / (sqrt(k) + 1))^n` for a condition number k after n steps.
    """
    root = math.sqrt(largest / smallest)
    steps = math.ceil(math.log(tolerance / 2.0) / math.log((root - 1.0) / (root + 1.0)))
    half_width = 0.5 * (largest - smallest)
    centre = 0.5 * (largest + smallest) / half_width
    factors, previous = [], 1.0 / centre
    for _ in range(steps):
        following = 1.0 / (2.0 * centre - previous)
        factors.append((following * previous, 2.0 * following / half_width))
        previous = following
    return np.array(factors)
