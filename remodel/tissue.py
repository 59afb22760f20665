"""One element of bone through time: cells, volume and mineral under strain and hormones.

This is the law that every element of a mesh obeys, and alone it is the model without space
(`single_element.py`).
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.cells import (
    Cells,
    advance_bisphosphonate,
    advance_cells,
    coupled_formation,
    uncoupled_formation,
    young_cells,
)
from remodel.hormones import Signals
from remodel.mechanostat_curve import formation_factor, gain, resorption_factor, response, set_point
from remodel.mineral import Matrix, advance_matrix, steady_matrix
from remodel.overload import advance_damage, damage_call, woven_formation
from remodel.parameters import Parameters, Scalar
from remodel.turnover import LARGEST_FRACTION, SMALLEST_FRACTION, active_surface, turnover_rates


class Circumstances(eqx.Module):
    """What one day, or each of several, brings to all bone alike."""

    signals: Signals
    """Hormones and drugs."""
    load: Float[Array, "*times"]
    """Habitual load relative to that at 30 [-]; what the strain of the elements does not say."""
    age: Float[Array, "*times"]
    """[year]"""


class Tissue(eqx.Module):
    """The state of each element that changes with time."""

    matrix: Matrix
    """Volumes of osteoid, mineralised matrix and mineral."""
    cells: Cells
    """Activities of the cells."""

    @property
    def volume_fraction(self) -> Float[Array, "*times elements"]:
        """Bone volume, osteoid included, per total volume, BV/TV [-]."""
        return self.matrix.osteoid + self.matrix.mineralised

    @property
    def mineral(self) -> Float[Array, "*times elements"]:
        """Mineral volume per total volume [-]."""
        return self.matrix.mineral_fast + self.matrix.mineral_slow


def reference_tissue(volume_fraction: Float[Array, " elements"], parameters: Parameters) -> Tissue:
    """Return the tissue of a healthy person of 30: adapted, balanced, mineralised to steadiness.

    Args:
        volume_fraction: Bone volume fraction [-]; held within the limits of the law, 0.02 to 0.985.
        parameters: Rates.
    """
    fraction = jnp.clip(volume_fraction, SMALLEST_FRACTION, LARGEST_FRACTION)
    turnover = active_surface(fraction, parameters) * parameters.resorption_rate
    return Tissue(steady_matrix(fraction, turnover, parameters), young_cells(fraction))


def log_stimulus_ratio(
    mechanical_log_ratio: Float[Array, " elements"], now: Circumstances, parameters: Parameters
) -> Float[Array, " elements"]:
    """Return `ln u`, with `u = load S / (S_ref H)` the stimulus relative to the set point [-].

    Args:
        mechanical_log_ratio: ln(S / S_ref), from mechanics [-].
        now: Hormones, which shift the set point H; load; age.
        parameters: Shifts of the set point.
    """
    return mechanical_log_ratio + jnp.log(now.load) - jnp.log(set_point(now.signals, now.age, parameters))


def advance_with_turnover(
    tissue: Tissue,
    mechanical_log_ratio: Float[Array, " elements"],
    now: Circumstances,
    time_step: Scalar,
    parameters: Parameters,
) -> tuple[Tissue, Float[Array, " elements"], Float[Array, " elements"]]:
    """Return the tissue after one step, and its resorption and formation over the step [1/day].

    Strain and hormones are held over the step. Exponential updates make any step stable; for accuracy keep it
    at 2 days and not above 8. What the day brings may come in a wider float than the tissue: it is taken at
    full precision by the caller and rounded here.

    Args:
        tissue: Before the step.
        mechanical_log_ratio: ln(S / S_ref), from mechanics [-].
        now: What the middle of the step brings.
        time_step: Length of the step [day].
        parameters: The law's numbers.
    """
    dtype = tissue.matrix.mineralised.dtype
    now = jax.tree.map(lambda level: jnp.asarray(level, dtype), now)
    parameters = jax.tree.map(lambda number: jnp.asarray(number, dtype), parameters)
    time_step, signals = jnp.asarray(time_step, dtype), now.signals
    ratio = log_stimulus_ratio(mechanical_log_ratio, now, parameters)
    strain_ratio = now.load * jnp.exp(mechanical_log_ratio)
    answer = response(ratio, gain(signals, parameters), parameters)
    build = formation_factor(answer, parameters)
    cells, mean_cells = advance_cells(
        tissue.cells,
        signals,
        jnp.maximum(-jnp.expm1(ratio), 0.0),
        resorption_factor(answer, parameters) * damage_call(tissue.cells.damage, parameters),
        time_step,
        parameters,
    )
    resorption, formation = turnover_rates(
        tissue.volume_fraction,
        mean_cells,
        coupled_formation(signals, now.age, build, parameters),
        uncoupled_formation(signals, mean_cells.lining, build, parameters)
        + woven_formation(strain_ratio, parameters),
        parameters,
    )
    renewal = resorption / tissue.matrix.mineralised
    drug = advance_bisphosphonate(
        cells.bisphosphonate, signals.bisphosphonate_uptake, renewal, time_step, parameters
    )
    fraction = tissue.volume_fraction
    damage = advance_damage(
        cells.damage,
        strain_ratio,
        active_surface(fraction, parameters) * parameters.resorption_rate / fraction,
        resorption / fraction,
        time_step,
        parameters,
    )
    matrix = advance_matrix(
        tissue.matrix,
        resorption,
        formation,
        time_step,
        parameters,
        osteoid_delay=signals.osteoid_delay,
        mineral_supply=signals.mineral_supply,
    )
    return Tissue(matrix, replace(cells, bisphosphonate=drug, damage=damage)), resorption, formation
