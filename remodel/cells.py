"""Osteoclasts and osteoblasts: from hormones and strain to activity per bone surface.

All quantities are relative to the healthy young reference, where each is 1. Signals are quasi-steady algebra,
activities follow with delays. This file is the one place where an agent touches a cell:

* expression of RANKL and of osteoprotegerin: `rankl_expression`, `decoy_expression` (estradiol, testosterone,
  PTH, IGF-1, glucocorticoids, teriparatide, the Wnt tone, disuse);
* the Wnt tone that sclerostin holds down: `wnt_tone` (romosozumab);
* further decoys of RANKL: `free_rankl` (denosumab);
* osteoclasts on the surface: the target in `advance_cells` (bisphosphonates);
* balance of a remodeling site and formation apart from resorption: `coupled_formation`,
  `uncoupled_formation` (all hormones; lining cells woken by teriparatide and romosozumab).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.hormones import Signals
from remodel.parameters import Parameters, Scalar


class Cells(eqx.Module):
    """What the cells of each element do, are used to and have before them, relative to the reference [-]."""

    osteoclasts: Float[Array, " elements"]
    """Osteoclast activity, c."""
    precursors: Float[Array, " elements"]
    """Pool of osteoclast precursors, P; fills while RANK stays empty."""
    reversal: Float[Array, " elements"]
    """First stage of the delay from resorption to formation, b_1."""
    osteoblasts: Float[Array, " elements"]
    """Osteoblast teams called by earlier resorption, b_2."""
    lining: Float[Array, " elements"]
    """Reserve of bone-lining cells that can be woken to form bone, X; why anabolics fade."""
    bisphosphonate: Float[Array, " elements"]
    """Bisphosphonate on surfaces, B_s: 1 halves osteoclast activity."""
    used_to_disuse: Float[Array, " elements"]
    """Loss of stimulus that the osteocytes are used to."""
    damage: Float[Array, " elements"]
    """Microdamage of the matrix, which calls osteoclasts where `Parameters.damage_resorption` says so."""


def young_cells(like: Float[Array, " elements"]) -> Cells:
    """Return the cells of the young reference [-]: all activities and damage 1, no drug, no disuse.

    Args:
        like: Gives the number of elements and the dtype.
    """
    one, none = jnp.ones_like(like), jnp.zeros_like(like)
    return Cells(one, one, one, one, lining=one, bisphosphonate=none, used_to_disuse=none, damage=one)


def wnt_tone(signals: Signals, parameters: Parameters) -> Float[Array, "..."]:
    """Return the canonical Wnt tone, `(1 + A_S) / (1 + A_S / (1 + romo / K))`: 1 to 1 + A_S [-].

    Sclerostin holds it down; what romosozumab binds is out of its way.

    Source:
        Binding chosen here; size fitted to P1NP, CTX and BMD under romosozumab (Cosman et al. 2016, N. Engl. J.
        Med. 375:1532-1543, doi:10.1056/NEJMoa1607948).
    """
    reserve = parameters.wnt_reserve
    return (1.0 + reserve) / (1.0 + reserve / (1.0 + signals.romosozumab / parameters.romosozumab_half))


def rankl_expression(
    signals: Signals, disuse: Scalar | Float[Array, " elements"], parameters: Parameters
) -> Float[Array, "..."]:
    """Return the expression of RANKL, of each element or at each time [-].

    `(1 + a_E dE + a_T dT + a_PTH ln(PTH / PTH_0) + a_GC (g - g_used) + a_P teriparatide + a_D disuse)
    iota^a_I W^-a_W`, with iota the ratio of IGF-1 and W the Wnt tone. The bracket stays above 0.05.

    Args:
        signals: Hormones and drugs.
        disuse: Loss of stimulus that the osteocytes are not yet used to [-].
        parameters: Sizes.

    Source:
        Estradiol: Eghbali-Fatourechi et al. 2003, J. Clin. Invest. 111:1221-1230, doi:10.1172/JCI17215; size
        fitted to turnover markers after menopause (CTX x 1.85, P1NP x 1.5). The others: `Parameters`.
    """
    raised = (
        1.0
        + parameters.rankl_estrogen * signals.estrogen_deficit
        + parameters.rankl_androgen * signals.androgen_deficit
        + parameters.rankl_pth * jnp.log(signals.pth_ratio)
        + parameters.rankl_glucocorticoid * signals.glucocorticoid_transient
        + parameters.rankl_teriparatide * signals.teriparatide
        + parameters.disuse_burst * disuse
    )
    scale = signals.igf1_ratio**parameters.rankl_igf * wnt_tone(signals, parameters) ** -parameters.rankl_wnt
    return jnp.maximum(raised, 0.05) * scale


def decoy_expression(signals: Signals, parameters: Parameters) -> Float[Array, "..."]:
    """Return the expression of osteoprotegerin, `1 - a_O dE` [-]. Assumed; data do not part it from RANKL."""
    return 1.0 - parameters.decoy_estrogen * signals.estrogen_deficit


def free_rankl(
    rankl: Scalar | Float[Array, " elements"],
    decoy: Scalar,
    denosumab: Scalar,
    parameters: Parameters,
) -> Float[Array, "*elements"]:
    """Return free RANKL, `L (1 + A_O + A_R) / (1 + A_O w + A_R + D / K_D)` [-].

    Quasi-steady binding to osteoprotegerin and RANK, and to denosumab as one more decoy.

    Args:
        rankl: Expression of RANKL, L [-].
        decoy: Expression of osteoprotegerin, w [-].
        denosumab: Denosumab in serum, D [ng/ml].
        parameters: Strengths of binding.

    Source:
        Pivonka et al. 2008, Bone 43:249-263, doi:10.1016/j.bone.2008.03.025; strengths from Martínez-Reina &
        Pivonka 2019.
    """
    decoys, receptors = parameters.decoy_strength, parameters.receptor_strength
    bound = denosumab / parameters.denosumab_dissociation
    return jnp.asarray(rankl * (1.0 + decoys + receptors) / (1.0 + decoys * decoy + receptors + bound))


def rankl_to_osteoprotegerin(signals: Signals, parameters: Parameters) -> Float[Array, "..."]:
    """Return the expression of RANKL over that of osteoprotegerin relative to the reference [-].

    What hormones and drugs do to expression in a bone without disuse; what denosumab binds is not in it.
    """
    return rankl_expression(signals, 0.0, parameters) / decoy_expression(signals, parameters)


def receptor_occupancy(
    rankl: Scalar | Float[Array, " elements"], parameters: Parameters
) -> Float[Array, "*elements"]:
    """Return the occupancy of RANK, `L (1 + k) / (1 + k L)` of free RANKL L [-]."""
    saturation = parameters.receptor_saturation
    return jnp.asarray(rankl * (1.0 + saturation) / (1.0 + saturation * rankl))


def coupled_formation(
    signals: Signals, age: Scalar, formation_factor: Float[Array, " elements"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return what an osteoblast team lays down relative to what was resorbed, k_B [-].

    In the reference it is `1 - mu_0`, for the rest is not called by resorption.

    `(1 - mu_0) (1 - k max(age - 30, 0)) (1 - a_E dE) (1 - a_T dT) (1 - a_GC g) (1 + a_P P4) iota^a_I W^a_W
    (1 + a_PTH teriparatide) nutrition phi_f`

    Args:
        signals: Hormones and drugs.
        age: Age [year].
        formation_factor: What mechanics multiplies formation by, phi_f [-].
        parameters: Sizes.

    Source:
        Fall with age: wall thickness of iliac crest, Lips et al. 1978, Calcif. Tissue Res. 26:13-17,
        doi:10.1007/BF02013227, as an upper bound; sizes fitted, barely informed. The others: `Parameters`.
    """
    years = jnp.maximum(age - 30.0, 0.0)
    return (
        (1.0 - parameters.uncoupled_formation)
        * (1.0 - parameters.balance_age * years)
        * (1.0 - parameters.balance_estrogen * signals.estrogen_deficit)
        * (1.0 - parameters.balance_androgen * signals.androgen_deficit)
        * (1.0 - parameters.balance_glucocorticoid * signals.glucocorticoid_effect)
        * (1.0 + parameters.balance_progesterone * signals.progesterone_effect)
        * signals.igf1_ratio**parameters.balance_igf
        * wnt_tone(signals, parameters) ** parameters.balance_wnt
        * (1.0 + parameters.balance_teriparatide * signals.teriparatide)
        * signals.nutrition
        * formation_factor
    )


def uncoupled_formation(
    signals: Signals,
    lining: Float[Array, " elements"],
    formation_factor: Float[Array, " elements"],
    parameters: Parameters,
) -> Float[Array, " elements"]:
    """Return formation that no resorption precedes, mu [-].

    `mu_0 (1 - a_GC g) iota^m_I phi_f + X (m_W (W - 1) / A_S + m_P teriparatide)`: the part that goes on all life
    long, and what the reserve of lining cells X forms when it is woken.

    Args:
        signals: Hormones and drugs.
        lining: Reserve of lining cells, X [-].
        formation_factor: What mechanics multiplies formation by, phi_f [-].
        parameters: Sizes.

    Source:
        mu_0 fitted to BMD under denosumab, the others to P1NP and BMD under romosozumab and teriparatide; that
        both wake lining cells: Kim et al. 2012, J. Bone Miner. Res. 27:2075-2084, doi:10.1002/jbmr.1665 (PTH);
        Kim et al. 2017, J. Bone Miner. Res. 32:892-901, doi:10.1002/jbmr.3038 (anti-sclerostin).
    """
    lasting = (
        parameters.uncoupled_formation
        * (1.0 - parameters.balance_glucocorticoid * signals.glucocorticoid_effect)
        * signals.igf1_ratio**parameters.uncoupled_igf
    )
    tone = (wnt_tone(signals, parameters) - 1.0) / parameters.wnt_reserve
    woken = parameters.uncoupled_wnt * tone + parameters.uncoupled_teriparatide * signals.teriparatide
    return lasting * formation_factor + lining * woken


def advance_cells(
    cells: Cells,
    signals: Signals,
    disuse: Float[Array, " elements"],
    resorption_factor: Float[Array, " elements"],
    time_step: Scalar,
    parameters: Parameters,
) -> tuple[Cells, Cells]:
    """Return the cells after a step, and their mean over it [-].

    `dP/dt = k_l (1 + beta - (1 + beta g) P)`, `dc/dt = (theta P phi_r / (1 + B_s) - c) / tau_c`, `db_1/dt = (c -
    b_1) / tau_1`, `db_2/dt = (b_1 - b_2) / tau_2`, with theta the occupancy of RANK and `g = (1 - exp(-theta)) /
    (1 - exp(-1))`; `dX/dt = (1 - X) / tau_X - X (k_W (W - 1) / A_S + k_P teriparatide)`; what osteocytes are used
    to follows the loss of stimulus within months. Bisphosphonate is `advance_bisphosphonate`'s, damage that of
    `overload.advance_damage`.

    Each is relaxed by an exponential towards a target held for the step, so any step is stable, also above
    twice the osteoclast time where an explicit step diverges; the mean that is handed on makes the chain
    second order.

    Args:
        cells: Before the step.
        signals: Hormones and drugs in the middle of the step.
        disuse: Loss of stimulus relative to the set point, at least 0 [-].
        resorption_factor: What mechanics and microdamage multiply resorption by, phi_r [-].
        time_step: Length of the step [day].
        parameters: Times and sizes.

    Source:
        Lag chain, precursor pool and lining reserve chosen here; occupancy as in Pivonka et al. 2008. Times
        fitted.
    """
    unused = jnp.maximum(disuse - cells.used_to_disuse, 0.0)
    rankl = free_rankl(
        rankl_expression(signals, unused, parameters),
        decoy_expression(signals, parameters),
        signals.denosumab,
        parameters,
    )
    occupancy = receptor_occupancy(rankl, parameters)
    recruited = jnp.expm1(-occupancy) / math.expm1(-1.0)
    drain = 1.0 + parameters.precursor_gain * recruited
    supply = (1.0 + parameters.precursor_gain) / drain

    precursors = _relax(cells.precursors, supply, time_step * parameters.precursor_rate * drain)
    able = resorption_factor / (1.0 + cells.bisphosphonate)
    target = occupancy * _mean(cells.precursors, precursors) * able
    osteoclasts = _relax(cells.osteoclasts, target, time_step / parameters.osteoclast_time)
    active = _mean(cells.osteoclasts, osteoclasts)
    reversal = _relax(cells.reversal, active, time_step / parameters.reversal_time)
    reversing = _mean(cells.reversal, reversal)
    osteoblasts = _relax(cells.osteoblasts, reversing, time_step / parameters.formation_time)

    tone = (wnt_tone(signals, parameters) - 1.0) / parameters.wnt_reserve
    woken = parameters.lining_use_wnt * tone + parameters.lining_use_teriparatide * signals.teriparatide
    renewal = 1.0 / parameters.lining_time
    lining = _relax(cells.lining, renewal / (renewal + woken), time_step * (renewal + woken))
    used = _relax(cells.used_to_disuse, disuse, time_step / parameters.disuse_burst_time)
    after = Cells(
        osteoclasts, precursors, reversal, osteoblasts, lining, cells.bisphosphonate, used, cells.damage
    )
    mean = jax.tree.map(_mean, cells, after)
    return after, eqx.tree_at(lambda c: (c.osteoclasts, c.reversal), mean, (active, reversing))


def advance_bisphosphonate(
    bisphosphonate: Float[Array, " elements"],
    uptake: Scalar,
    renewal: Float[Array, " elements"],
    time_step: Scalar,
    parameters: Parameters,
) -> Float[Array, " elements"]:
    """Return bisphosphonate on surfaces after a step [-].

    `dB/dt = uptake (1 - B / B_max) - k B R / V_m - B / tau`: mineral binds what its free surface can hold, so that
    doses add up to no more than the capacity.

    Args:
        bisphosphonate: Before the step [-].
        uptake: From the blood [1/day].
        renewal: Resorption per mineralised volume, R / V_m [1/day].
        time_step: Length of the step [day].
        parameters: Capacity, release and time.

    Source:
        Binding to a limited surface: Nancollas et al. 2006, Bone 38:617-627, doi:10.1016/j.bone.2005.05.003. Sizes
        fitted to one dose and to yearly doses of zoledronate, and to alendronate and its end.
    """
    loss = (
        1.0 / parameters.bisphosphonate_time
        + parameters.bisphosphonate_release * renewal
        + uptake / parameters.bisphosphonate_capacity
    )
    return _relax(bisphosphonate, uptake / loss, time_step * loss)


def _relax(
    value: Float[Array, " elements"],
    target: Scalar | Float[Array, " elements"],
    steps: Scalar | Float[Array, " elements"],
) -> Float[Array, " elements"]:
    """Return the value after relaxing to its target for so many time constants [-]."""
    return value + (target - value) * -jnp.expm1(-steps)


def _mean(before: Float[Array, " elements"], after: Float[Array, " elements"]) -> Float[Array, " elements"]:
    """Return the mean over a step by the trapezoidal rule [-]."""
    return 0.5 * (before + after)
