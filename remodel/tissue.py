"""One element of bone through time: cells, volume and mineral under strain and hormones.

This is the law that every element of a mesh obeys, and alone it is the model without space
(`single_element.py`).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.cells import Cells, advance_cells, coupled_formation, uncoupled_formation
from remodel.hormones import Signals
from remodel.mechanostat_curve import formation_factor, gain, resorption_factor, response, set_point
from remodel.mineral import Matrix, advance_matrix, steady_matrix
from remodel.parameters import Parameters, Scalar
from remodel.turnover import LARGEST_FRACTION, SMALLEST_FRACTION, active_surface, turnover_rates


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
    ones = jnp.ones_like(fraction)
    return Tissue(steady_matrix(fraction, turnover, parameters), Cells(ones, ones, ones, ones))


def log_stimulus_ratio(
    mechanical_log_ratio: Float[Array, " elements"],
    signals: Signals,
    load: Scalar,
    age: Scalar,
    parameters: Parameters,
) -> Float[Array, " elements"]:
    """Return `ln u`, with `u = load S / (S_ref H)` the stimulus relative to the set point [-].

    Args:
        mechanical_log_ratio: ln(S / S_ref), from mechanics [-].
        signals: Hormones, which shift the set point H.
        load: Habitual load at this age relative to 30 [-].
        age: Age [year].
        parameters: Shifts of the set point.
    """
    dtype = mechanical_log_ratio.dtype
    shift = jnp.log(jnp.asarray(load, dtype)) - jnp.log(set_point(signals, age, parameters)).astype(dtype)
    return mechanical_log_ratio + shift


def advance_with_turnover(
    tissue: Tissue,
    mechanical_log_ratio: Float[Array, " elements"],
    signals: Signals,
    load: Scalar,
    age: Scalar,
    time_step: Scalar,
    parameters: Parameters,
) -> tuple[Tissue, Float[Array, " elements"], Float[Array, " elements"]]:
    """Return the tissue after one step, and its resorption and formation over the step [1/day].

    Strain and hormones are held over the step. Exponential updates make any step stable; for accuracy keep it
    at 2 days and not above 8. Hormones, age and load may come in a wider float than the tissue: they are
    taken at full precision by the caller and rounded here.

    Args:
        tissue: Before the step.
        mechanical_log_ratio: ln(S / S_ref), from mechanics [-].
        signals: Hormones in the middle of the step.
        load: Habitual load at this age relative to 30 [-].
        age: Age in the middle of the step [year].
        time_step: Length of the step [day].
        parameters: The law's numbers.
    """
    dtype = tissue.matrix.mineralised.dtype
    signals = jax.tree.map(lambda level: jnp.asarray(level, dtype), signals)
    load, age, time_step = (jnp.asarray(number, dtype) for number in (load, age, time_step))
    ratio = log_stimulus_ratio(mechanical_log_ratio, signals, load, age, parameters)
    answer = response(ratio, gain(signals, parameters), parameters)
    build = formation_factor(answer, parameters)
    cells, mean_cells = advance_cells(
        tissue.cells, signals, resorption_factor(answer, parameters), time_step, parameters
    )
    resorption, formation = turnover_rates(
        tissue.volume_fraction,
        mean_cells,
        coupled_formation(signals, age, build, parameters),
        uncoupled_formation(build, parameters),
        parameters,
    )
    matrix = advance_matrix(tissue.matrix, resorption, formation, time_step, parameters)
    return Tissue(matrix, cells), resorption, formation
