"""Failure load of a bone from one linear solve: the criterion of Pistoia, and an asymmetric yield criterion."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

CRITICAL_VOLUME = 0.02
"""Share of the bone volume that must exceed the critical strain [-].

Source: Pistoia et al. 2002, Bone 30:842-848, doi:10.1016/S8756-3282(02)00736-6; tuned on
distal radii at 165 µm, a relative index elsewhere.
"""

CRITICAL_STRAIN = 0.007
"""Critical effective strain [-]. Source: as `CRITICAL_VOLUME`."""

SMOOTHING_STRAIN = 2e-4
"""Width over which `smooth_failure_factor` rounds the critical strain [-]. Chosen: a thirtieth of it."""

TENSILE_LIMIT = 0.0041
"""Elastic limit of bone tissue in tension [-].

Source: Bayraktar et al. 2004, J. Biomech. 37:27-35, doi:10.1016/S0021-9290(03)00257-4: yield at 0.2 % offset
0.62 % (trabecular) and 0.73 % (cortical), less the offset. The trabecular value serves both.
"""

COMPRESSIVE_LIMIT = 0.0083
"""Elastic limit of bone tissue in compression, positive [-]. Source: as `TENSILE_LIMIT`, 1.04 % less the
offset."""

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


def smooth_failure_factor(
    effective_strain: Float[Array, " elements"],
    *,
    critical_volume: float = CRITICAL_VOLUME,
    critical_strain: float = CRITICAL_STRAIN,
    smoothing: float = SMOOTHING_STRAIN,
    bone_volume: Float[Array, " elements"] | None = None,
) -> Float[Array, ""]:
    """Return a failure factor that depends smoothly on every element, for gradients [-].

    The root F of `sum_e w_e sigmoid((F eps_e - eps_crit) / smoothing) = V_crit`, w the share of the bone
    volume. `failure_factor` has the derivative of one or two elements and jumps when they change rank. Where
    strains spread widely, as in trabecular bone, both agree within 0.5 %; of a uniform bone the smooth one is
    `3.9 smoothing / eps_crit`, 11 %, lower, because the tail of the sigmoid alone makes up the 2 %. The
    derivative is that of the root, not of the search; second derivatives are wrong.

    Args:
        effective_strain: At the centroids under the load of the solve [-].
        critical_volume: Share of the bone volume that is critical [-].
        critical_strain: Critical strain [-].
        smoothing: Width of the step at the critical strain [-].
        bone_volume: As in `exceeded_strain`.
    """
    volume = jnp.ones_like(effective_strain) if bone_volume is None else bone_volume
    share = volume / jnp.sum(volume)

    def excess(factor, strain, share):
        critical = jax.nn.sigmoid((factor * strain - critical_strain) / smoothing)
        return jnp.sum(share * critical) - critical_volume

    fixed_strain, fixed_share = lax.stop_gradient((effective_strain, share))
    start = failure_factor(
        fixed_strain,
        critical_volume=critical_volume,
        critical_strain=critical_strain,
        bone_volume=lax.stop_gradient(volume),
    )

    def halve(_, ends):
        low, high = ends
        middle = jnp.sqrt(low * high)
        over = excess(middle, fixed_strain, fixed_share) > 0
        return jnp.where(over, low, middle), jnp.where(over, middle, high)

    low, high = lax.fori_loop(0, 40, halve, (start / 4, start * 4))
    root = lax.stop_gradient(jnp.sqrt(low * high))
    slope = lax.stop_gradient(jax.grad(excess)(root, fixed_strain, fixed_share))
    # One step of Newton: nothing is left to correct, but its derivative is that of the implicit function.
    return root - excess(root, effective_strain, share) / slope


def principal_strains(strain: Float[Array, "elements 6"]) -> Float[Array, "elements 3"]:
    """Return the principal strains, largest first [-].

    In closed form, exact to rounding relative to the largest strain.

    Args:
        strain: (xx, yy, zz, yz, xz, xy) with engineering shear [-].

    Source:
        Smith 1961, Commun. ACM 4:168, doi:10.1145/355578.366316.
    """
    mean = jnp.mean(strain[:, :3], axis=1)
    direct = strain[:, :3] - mean[:, None]
    shear = 0.5 * strain[:, 3:]
    (xx, yy, zz), (yz, xz, xy) = direct.T, shear.T
    size = jnp.sqrt((jnp.sum(direct**2, axis=1) + 2 * jnp.sum(shear**2, axis=1)) / 6)
    determinant = xx * (yy * zz - yz**2) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    cube = jnp.where(size > 0, size, 1) ** 3
    angle = jnp.arccos(jnp.clip(determinant / (2 * cube), -1, 1)) / 3
    turns = jnp.asarray([0.0, -2.0, 2.0], strain.dtype) * (jnp.pi / 3)
    return mean[:, None] + 2 * size[:, None] * jnp.cos(angle[:, None] + turns[None, :])


def yield_factor(
    strain: Float[Array, "elements 6"],
    *,
    critical_volume: float = CRITICAL_VOLUME,
    tension: float | Float[Array, " elements"] = TENSILE_LIMIT,
    compression: float | Float[Array, " elements"] = COMPRESSIVE_LIMIT,
    bone_volume: Float[Array, " elements"] | None = None,
) -> Float[Array, ""]:
    """Return by what the load of a linear solve must be multiplied for a share of the bone to leave elasticity [-].

    An element does when its largest principal strain reaches the limit in tension or its smallest that in
    compression: bone is weaker in tension, which effective strain cannot tell. The solve stays linear and is
    scaled, so no load moves to what still holds: this is an index, not a plastic analysis, and in general
    below the ultimate load.

    Args:
        strain: (xx, yy, zz, yz, xz, xy) with engineering shear, under the load of the solve [-].
        critical_volume: The share [-].
        tension: Elastic limit in tension [-].
        compression: Elastic limit in compression, positive [-].
        bone_volume: As in `exceeded_strain`.

    Source:
        Limits: Bayraktar et al. 2004. Share: that of Pistoia et al. 2002; for this criterion assumed.
    """
    principal = principal_strains(strain)
    use = jnp.maximum(principal[:, 0] / tension, -principal[:, 2] / compression)
    return 1.0 / exceeded_strain(use, critical_volume=critical_volume, bone_volume=bone_volume)


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
