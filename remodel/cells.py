"""Osteoclasts and osteoblasts: from hormones and strain to activity per bone surface.

All quantities are relative to the healthy young reference, where each is 1. Signals are quasi-steady algebra,
activities follow with delays. This file is the one place where an agent touches a cell:

* expression of RANKL and of osteoprotegerin: `rankl_expression`, `decoy_expression`;
* further decoys of RANKL: `free_rankl`;
* osteoclasts on the surface: the target in `advance_cells`;
* balance of a remodeling site and formation apart from resorption: `coupled_formation`,
  `uncoupled_formation`.
"""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.hormones import Signals
from remodel.parameters import Parameters, Scalar


class Cells(eqx.Module):
    """Activity of the cells of each element relative to the reference [-]."""

    osteoclasts: Float[Array, " elements"]
    """Osteoclast activity, c."""
    precursors: Float[Array, " elements"]
    """Pool of osteoclast precursors, P; fills while RANK stays empty."""
    reversal: Float[Array, " elements"]
    """First stage of the delay from resorption to formation, b_1."""
    osteoblasts: Float[Array, " elements"]
    """Osteoblast teams called by earlier resorption, b_2."""


def rankl_expression(signals: Signals, parameters: Parameters) -> Float[Array, ""]:
    """Return the expression of RANKL, `1 + a_E dE + a_T dT` [-].

    Source:
        Eghbali-Fatourechi et al. 2003, J. Clin. Invest. 111:1221-1230, doi:10.1172/JCI17215; size fitted to
        turnover markers after menopause (CTX x 1.85, P1NP x 1.5).
    """
    return (
        1.0
        + parameters.rankl_estrogen * signals.estrogen_deficit
        + parameters.rankl_androgen * signals.androgen_deficit
    )


def decoy_expression(signals: Signals, parameters: Parameters) -> Float[Array, ""]:
    """Return the expression of osteoprotegerin, `1 - a_O dE` [-]. Assumed; data do not part it from RANKL."""
    return 1.0 - parameters.decoy_estrogen * signals.estrogen_deficit


def free_rankl(rankl: Scalar, decoy: Scalar, parameters: Parameters) -> Float[Array, ""]:
    """Return free RANKL, `L (1 + A_O + A_R) / (1 + A_O w + A_R)` [-].

    Quasi-steady binding to osteoprotegerin and RANK. A further decoy adds to the denominator.

    Args:
        rankl: Expression of RANKL, L [-].
        decoy: Expression of osteoprotegerin, w [-].
        parameters: Strengths of binding.

    Source:
        Pivonka et al. 2008, Bone 43:249-263, doi:10.1016/j.bone.2008.03.025; strengths from Martínez-Reina &
        Pivonka 2019.
    """
    decoys, receptors = parameters.decoy_strength, parameters.receptor_strength
    return jnp.asarray(rankl * (1.0 + decoys + receptors) / (1.0 + decoys * decoy + receptors))


def receptor_occupancy(rankl: Scalar, parameters: Parameters) -> Float[Array, ""]:
    """Return the occupancy of RANK, `L (1 + k) / (1 + k L)` of free RANKL L [-]."""
    saturation = parameters.receptor_saturation
    return jnp.asarray(rankl * (1.0 + saturation) / (1.0 + saturation * rankl))


def coupled_formation(
    signals: Signals, age: Scalar, formation_factor: Float[Array, " elements"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return what an osteoblast team lays down relative to what was resorbed, k_B [-].

    In the reference it is `1 - mu_0`, for the rest is not called by resorption.

    `(1 - mu_0) (1 - k max(age - 30, 0)) (1 - a_E dE) (1 - a_T dT) phi_f`

    Args:
        signals: Deficits of estradiol and testosterone.
        age: Age [year].
        formation_factor: What mechanics multiplies formation by, phi_f [-].
        parameters: Sizes.

    Source:
        Fall with age: wall thickness of iliac crest, Lips et al. 1978, Calcif. Tissue Res. 26:13-17,
        doi:10.1007/BF02013227, as an upper bound; sizes fitted, barely informed.
    """
    years = jnp.maximum(age - 30.0, 0.0)
    return (
        (1.0 - parameters.uncoupled_formation)
        * (1.0 - parameters.balance_age * years)
        * (1.0 - parameters.balance_estrogen * signals.estrogen_deficit)
        * (1.0 - parameters.balance_androgen * signals.androgen_deficit)
        * formation_factor
    )


def uncoupled_formation(
    formation_factor: Float[Array, " elements"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return formation that no resorption precedes, `mu = mu_0 phi_f` [-]. Fitted to BMD under denosumab."""
    return parameters.uncoupled_formation * formation_factor


def advance_cells(
    cells: Cells,
    signals: Signals,
    resorption_factor: Float[Array, " elements"],
    time_step: Scalar,
    parameters: Parameters,
) -> tuple[Cells, Cells]:
    """Return the cells after a step, and their mean over it [-].

    `dP/dt = k_l (1 + beta - (1 + beta g) P)`, `dc/dt = (theta P phi_r - c) / tau_c`, `db_1/dt = (c - b_1) /
    tau_1`, `db_2/dt = (b_1 - b_2) / tau_2`, with theta the occupancy of RANK and `g = (1 - exp(-theta)) / (1
    - exp(-1))`.

    Each is relaxed by an exponential towards a target held for the step, so any step is stable, also above
    twice the osteoclast time where an explicit step diverges; the mean that is handed on makes the chain
    second order.

    Args:
        cells: Before the step.
        signals: Hormones in the middle of the step.
        resorption_factor: What mechanics multiplies resorption by, phi_r [-].
        time_step: Length of the step [day].
        parameters: Times and sizes.

    Source:
        Lag chain and precursor pool chosen here; occupancy as in Pivonka et al. 2008. Times fitted.
    """
    rankl = free_rankl(
        rankl_expression(signals, parameters), decoy_expression(signals, parameters), parameters
    )
    occupancy = receptor_occupancy(rankl, parameters)
    recruited = jnp.expm1(-occupancy) / math.expm1(-1.0)
    drain = 1.0 + parameters.precursor_gain * recruited
    supply = (1.0 + parameters.precursor_gain) / drain

    precursors = _relax(cells.precursors, supply, time_step * parameters.precursor_rate * drain)
    target = occupancy * _mean(cells.precursors, precursors) * resorption_factor
    osteoclasts = _relax(cells.osteoclasts, target, time_step / parameters.osteoclast_time)
    active = _mean(cells.osteoclasts, osteoclasts)
    reversal = _relax(cells.reversal, active, time_step / parameters.reversal_time)
    reversing = _mean(cells.reversal, reversal)
    osteoblasts = _relax(cells.osteoblasts, reversing, time_step / parameters.formation_time)
    after = Cells(osteoclasts, precursors, reversal, osteoblasts)
    mean = Cells(
        active, _mean(cells.precursors, precursors), reversing, _mean(cells.osteoblasts, osteoblasts)
    )
    return after, mean


def _relax(
    value: Float[Array, " elements"], target: Float[Array, "*elements"], steps: Scalar
) -> Float[Array, " elements"]:
    """Return the value after relaxing to its target for so many time constants [-]."""
    return value + (target - value) * -jnp.expm1(-steps)


def _mean(before: Float[Array, " elements"], after: Float[Array, " elements"]) -> Float[Array, " elements"]:
    """Return the mean over a step by the trapezoidal rule [-]."""
    return 0.5 * (before + after)
