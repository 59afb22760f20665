"""How much surface there is to work on, and what the cells resorb and form on it in a day."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.cells import Cells
from remodel.parameters import Parameters

SMALLEST_FRACTION = 0.02
"""Bone volume fraction below which no element falls [-]."""
LARGEST_FRACTION = 0.985
"""Bone volume fraction above which no element rises [-]."""
MARGIN = 0.01
"""Distance from either limit over which the approach is slowed down [-]."""


def specific_surface(porosity: Float[Array, " elements"]) -> Float[Array, " elements"]:
    """Return bone surface per volume [mm²/mm³].

    `32.3 p - 93.9 p² + 134 p³ - 101 p⁴ + 28.8 p⁵` of the *porosity* p, not of the volume fraction: the
    surface must vanish in solid bone.

    Args:
        porosity: Void volume per total volume, 0 to 1 [-].

    Source:
        Martin 1984, Crit. Rev. Biomed. Eng. 10:179-222.
    """
    p = porosity
    return p * (32.3 + p * (-93.9 + p * (134.0 + p * (-101.0 + p * 28.8))))


def active_surface(
    volume_fraction: Float[Array, " elements"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return the surface that can remodel, `S_v(1 - f) f / (f + f_perforation)` [mm²/mm³].

    Martin's polynomial leaves 0.2 mm²/mm³ in a void, where there is nothing to build on; the second factor
    takes it away, so that a lost strut does not come back.

    Args:
        volume_fraction: Bone volume fraction f [-].
        parameters: Fraction of perforation.

    Source:
        Factor: assumed.
    """
    return (
        specific_surface(1.0 - volume_fraction)
        * volume_fraction
        / (volume_fraction + parameters.perforation_fraction)
    )


def turnover_rates(
    volume_fraction: Float[Array, " elements"],
    cells: Cells,
    coupled: Float[Array, " elements"],
    uncoupled: Float[Array, " elements"],
    parameters: Parameters,
) -> tuple[Float[Array, " elements"], Float[Array, " elements"]]:
    """Return resorption and formation, volume of bone per total volume and day [1/day].

    `R = S R_0 c` and `F = S R_0 (k_B b_2 + mu)`. Near the limits of the volume fraction the *net* rate is
    slowed:
    `F - R` where it would lead above the upper one, by lowering F, and below the lower one, by lowering R.
    The rates themselves change, before volume and mineral are updated with them, so mass stays balanced, and
    an element in balance stays so at any density.

    Args:
        volume_fraction: Bone volume fraction [-].
        cells: Activities.
        coupled: Formation per earlier resorption, k_B [-].
        uncoupled: Formation without resorption, mu [-].
        parameters: Rate per surface.

    Source:
        Rates per surface: Martin 1984; one rate for trabecular and cortical bone, fitted.
    """
    scale = active_surface(volume_fraction, parameters) * parameters.resorption_rate
    resorption = scale * cells.osteoclasts
    formation = scale * (coupled * cells.osteoblasts + uncoupled)
    net = formation - resorption
    above = 1.0 - _smooth_step((LARGEST_FRACTION - volume_fraction) / MARGIN)
    below = 1.0 - _smooth_step((volume_fraction - SMALLEST_FRACTION) / MARGIN)
    return (
        resorption - below * jnp.maximum(-net, 0.0),
        formation - above * jnp.maximum(net, 0.0),
    )


def _smooth_step(x: Float[Array, " elements"]) -> Float[Array, " elements"]:
    """Return 0 below 0, 1 above 1 and `3 x² - 2 x³` between [-]."""
    x = jnp.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
