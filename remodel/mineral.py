"""How osteoid becomes matrix, matrix takes up mineral, and mineral makes it stiff.

Mineral lies in a fast and a slow pool. Their first moments are exact whatever the ages of the matrix, because
resorption takes matrix of any age alike and uptake is linear in what is missing.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Parameters, Scalar

MINERAL_DENSITY = 3.2
"""Density of bone mineral [g/cm³]. Source: Martínez-Reina & Pivonka 2019, Math. Biosci. Eng. 16:2063-2089."""
ORGANIC_DENSITY = 1.1 * 3.0 / 7.0
"""Organic mass per volume of matrix [g/cm³]. Source: as `MINERAL_DENSITY`."""


class Matrix(eqx.Module):
    """Bone volumes and mineral volumes of each element, per total volume [-]."""

    osteoid: Float[Array, " elements"]
    """Matrix that is not yet mineralised, V_o."""
    mineralised: Float[Array, " elements"]
    """Matrix that is, V_m."""
    mineral_fast: Float[Array, " elements"]
    """Mineral in the fast pool, M_1; primary mineralisation goes here."""
    mineral_slow: Float[Array, " elements"]
    """Mineral in the slow pool, M_2."""


def steady_matrix(
    volume_fraction: Float[Array, " elements"], turnover: Float[Array, " elements"], parameters: Parameters
) -> Matrix:
    """Return the matrix that a constant turnover keeps [-].

    Args:
        volume_fraction: Bone volume fraction [-].
        turnover: Resorption, equal to formation [1/day].
        parameters: Rates of mineralisation.
    """
    osteoid = turnover * parameters.osteoid_time
    mineralised = volume_fraction - osteoid
    renewal = turnover / mineralised
    fast_rate, slow_rate = parameters.fast_mineral_rate, parameters.slow_mineral_rate
    fast = (parameters.primary_mineral * renewal + fast_rate * parameters.fast_mineral_limit) / (
        fast_rate + renewal
    )
    slow = slow_rate * parameters.slow_mineral_limit / (slow_rate + renewal)
    return Matrix(osteoid, mineralised, fast * mineralised, slow * mineralised)


def advance_matrix(
    matrix: Matrix,
    resorption: Float[Array, " elements"],
    formation: Float[Array, " elements"],
    time_step: Scalar,
    parameters: Parameters,
    *,
    osteoid_delay: Scalar = 1.0,
    mineral_supply: Scalar = 1.0,
) -> Matrix:
    """Return the matrix after a step of constant rates [-].

    `dV_o/dt = F - V_o / tau_o`, `dV_m/dt = V_o / tau_o - R`, and per pool `dM/dt = source + kappa (v V_m - M)
    - (R / V_m) M`. Osteoid is integrated exactly and what leaves it enters the mineralised volume, so the
    volume changes by `(F - R) dt` to rounding; each pool is relaxed by an exponential with the mean of the
    mineralised volume over the step.

    Args:
        matrix: Before the step.
        resorption: R [1/day].
        formation: F [1/day].
        time_step: Length of the step [day].
        parameters: Rates and limits.
        osteoid_delay: Time of osteoid relative to the reference: longer without vitamin D [-].
        mineral_supply: Primary mineral relative to the reference: less without vitamin D [-].

    Source:
        Martínez-Reina & Pivonka 2019, Math. Biosci. Eng. 16:2063-2089 (fast pool, lag); Ruffoni et al. 2007,
        doi:10.1016/j.bone.2006.11.012 (slow pool); closure by two moments derived here.
    """
    time = parameters.osteoid_time * osteoid_delay
    ripening = (matrix.osteoid - formation * time) * -jnp.expm1(-time_step / time)
    mineralising = ripening + formation * time_step
    mineralised = matrix.mineralised + (mineralising - resorption * time_step)
    half_way = 0.5 * (matrix.mineralised + mineralised)
    renewal = resorption / half_way * time_step
    fast_rate = parameters.fast_mineral_rate * time_step
    slow_rate = parameters.slow_mineral_rate * time_step
    gain_fast = (
        parameters.primary_mineral * mineral_supply * mineralising
        + fast_rate * parameters.fast_mineral_limit * half_way
    )
    gain_slow = slow_rate * parameters.slow_mineral_limit * half_way
    return Matrix(
        matrix.osteoid - ripening,
        mineralised,
        _relaxed(matrix.mineral_fast, gain_fast, fast_rate + renewal),
        _relaxed(matrix.mineral_slow, gain_slow, slow_rate + renewal),
    )


def ash_fraction(matrix: Matrix) -> Float[Array, " elements"]:
    """Return mineral mass per mass of mineral and organic matter in the mineralised matrix [-].

    `rho_m v / (rho_m v + rho_o v_o)` with v the mineral volume per volume of mineralised matrix; water is
    left out.

    Args:
        matrix: Volumes.

    Source:
        Martínez-Reina & Pivonka 2019, Math. Biosci. Eng. 16:2063-2089.
    """
    mineral = MINERAL_DENSITY * (matrix.mineral_fast + matrix.mineral_slow) / matrix.mineralised
    return mineral / (mineral + ORGANIC_DENSITY)


def modulus_ratio(matrix: Matrix, reference: Matrix, parameters: Parameters) -> Float[Array, " elements"]:
    """Return Young's modulus relative to that of the reference matrix [-].

    `(f / f_0)^b (alpha / alpha_0)^2.74`, with alpha the ash fraction. A ratio, because the published law
    gives 30 GPa and more in solid bone: the scan's own density law sets the level.

    Args:
        matrix: Present volumes.
        reference: Volumes at the time that the modulus is known for.
        parameters: Exponents.

    Source:
        Hernandez et al. 2001, Bone 29:74-78, doi:10.1016/S8756-3282(01)00467-7.
    """
    volume = (matrix.osteoid + matrix.mineralised) / (reference.osteoid + reference.mineralised)
    ash = ash_fraction(matrix) / ash_fraction(reference)
    return volume**parameters.modulus_exponent * ash**parameters.ash_exponent


def _relaxed(
    pool: Float[Array, " elements"], gain: Float[Array, " elements"], decay: Float[Array, " elements"]
) -> Float[Array, " elements"]:
    """Return the pool after a step; gain and rate of decay are constant and given times the step [-].

    The exact solution of `dM/dt = gain - decay M` over unit time, as a change so that a steady pool stays
    steady.
    """
    safe = jnp.where(decay == 0.0, 1.0, decay)
    weight = jnp.where(decay == 0.0, 1.0, -jnp.expm1(-safe) / safe)
    return pool + weight * (gain - decay * pool)
