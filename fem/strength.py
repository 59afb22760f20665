"""Failure load of a bone from one linear solve, by the criterion of Pistoia."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

CRITICAL_VOLUME = 0.02
"""Share of the bone volume that must exceed the critical strain [-].

Source: Pistoia et al. 2002, Bone 30:842-848, doi:10.1016/S8756-3282(02)00736-6; tuned on
distal radii at 165 µm, a relative index elsewhere.
"""

CRITICAL_STRAIN = 0.007
"""Critical effective strain [-]. Source: as `CRITICAL_VOLUME`."""

TABLE_VOLUMES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
"""Critical volumes of the table [-]. Source: n88tools, n88pistoia."""

TABLE_STRAINS = (0.005, 0.006, 0.007, 0.008, 0.009)
"""Critical strains of the table [-]. Source: n88tools, n88pistoia."""


class FailureTable(eqx.Module):
    """Failure loads over a range of critical volumes and strains."""

    volumes: Float[np.ndarray, " volumes"]
    """Critical share of the bone volume [-]."""
    strains: Float[np.ndarray, " strains"]
    """Critical effective strain [-]."""
    strain_exceeded: Float[np.ndarray, " volumes"]
    """Effective strain that each share of the volume exceeds under the load of the solve [-]."""
    load: Float[np.ndarray, "volumes strains"]
    """Failure load [N], or moment [N mm] where the reaction given was one."""


def exceeded_strain(
    effective_strain: Float[Array, " elements"],
    *,
    critical_volume: float = CRITICAL_VOLUME,
    bone_volume: Float[Array, " elements"] | None = None,
) -> Float[Array, ""]:
    """Return the effective strain that a share of the bone volume exceeds [-].

    Elements are ranked by strain, each standing at the middle of its own volume; between two of them the
    strain is interpolated. For equal volumes this is the usual linear quantile.

    Args:
        effective_strain: At the centroids [-].
        critical_volume: The share [-].
        bone_volume: Bone in each element, in any unit; equal for all by default. With elements that are bone
            in part it must be given, or a sliver of bone would count like a full voxel.
    """
    volume = jnp.ones_like(effective_strain) if bone_volume is None else bone_volume
    order = jnp.argsort(effective_strain)
    ranked = volume[order]
    place = jnp.cumsum(ranked) - 0.5 * ranked - 0.5 * ranked[0]
    whole = jnp.maximum(place[-1], jnp.finfo(place.dtype).tiny)
    return jnp.interp(1.0 - critical_volume, place / whole, effective_strain[order])


def failure_factor(
    effective_strain: Float[Array, " elements"],
    *,
    critical_volume: float = CRITICAL_VOLUME,
    critical_strain: float = CRITICAL_STRAIN,
    bone_volume: Float[Array, " elements"] | None = None,
) -> Float[Array, ""]:
    """Return by what the load of a linear solve must be multiplied for the bone to fail [-].

    The bone fails when `critical_volume` of its volume exceeds `critical_strain`. Arguments as in
    `exceeded_strain`.

    Source:
        Pistoia et al. 2002, Bone 30:842-848, doi:10.1016/S8756-3282(02)00736-6.
    """
    return critical_strain / exceeded_strain(
        effective_strain, critical_volume=critical_volume, bone_volume=bone_volume
    )


def failure_table(
    effective_strain: Float[Array, " elements"],
    reaction: float,
    *,
    bone_volume: Float[Array, " elements"] | None = None,
) -> FailureTable:
    """Return the failure load over the table's critical volumes and strains.

    Args:
        effective_strain: Under the load of the solve [-].
        reaction: Of the loaded plane under the same load [N].
        bone_volume: As in `exceeded_strain`.
    """
    volumes, strains = np.asarray(TABLE_VOLUMES), np.asarray(TABLE_STRAINS)
    exceeded = np.array(
        [
            exceeded_strain(effective_strain, critical_volume=volume, bone_volume=bone_volume)
            for volume in TABLE_VOLUMES
        ],
        dtype=np.float64,
    )
    return FailureTable(volumes, strains, exceeded, reaction * strains[None, :] / exceeded[:, None])
