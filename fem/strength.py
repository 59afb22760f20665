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
    effective_strain: Float[Array, " elements"], *, critical_volume: float = CRITICAL_VOLUME
) -> Float[Array, ""]:
    """Return the effective strain that a share of equal elements exceeds [-].

    Between two elements of the ranking the strain is interpolated.
    """
    return jnp.quantile(effective_strain, 1.0 - critical_volume)


def failure_factor(
    effective_strain: Float[Array, " elements"],
    *,
    critical_volume: float = CRITICAL_VOLUME,
    critical_strain: float = CRITICAL_STRAIN,
) -> Float[Array, ""]:
    """Return by what the load of a linear solve must be multiplied for the bone to fail [-].

    The bone fails when `critical_volume` of its volume exceeds `critical_strain`.

    Source:
        Pistoia et al. 2002, Bone 30:842-848, doi:10.1016/S8756-3282(02)00736-6.
    """
    return critical_strain / exceeded_strain(effective_strain, critical_volume=critical_volume)


def failure_table(effective_strain: Float[Array, " elements"], reaction: float) -> FailureTable:
    """Return the failure load over the table's critical volumes and strains.

    Args:
        effective_strain: Under the load of the solve [-].
        reaction: Of the loaded plane under the same load [N].
    """
    volumes, strains = np.asarray(TABLE_VOLUMES), np.asarray(TABLE_STRAINS)
    exceeded = np.quantile(np.asarray(effective_strain, dtype=np.float64), 1.0 - volumes)
    return FailureTable(volumes, strains, exceeded, reaction * strains[None, :] / exceeded[:, None])
