"""What a person's past left in the bone: the state of the tissue on the day of the scan.

A scan shows how dense each element is, not whether it is being lost. To call the scanned bone balanced would
be wrong for anyone past 30. Instead single elements of many densities live through the person's years from 30
on; where they end up is tabulated against their density then, and each scanned element is started from the
table.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.activity import habitual_life
from remodel.cells import Cells
from remodel.mineral import Matrix
from remodel.parameters import Parameters
from remodel.person import DAYS_PER_YEAR, Person
from remodel.single_element import simulate, stress_controlled_log_ratio
from remodel.tissue import Tissue, reference_tissue
from remodel.treatment import Protocol

YOUNG_AGE = 30.0
"""Age at which bone counts as adapted, balanced and steady [year]."""


class History(eqx.Module):
    """State on day 0 of elements that began at 30 with different densities, tabulated against density."""

    volume_fraction: Float[Array, " nodes"]
    """Bone volume fraction on day 0, rising [-]."""
    log_ratio: Float[Array, " nodes"]
    """Logarithm of the stimulus relative to its reference, ln(S / S_ref) [-]."""
    cells: Cells
    """Activities [-]."""
    matrix: Matrix
    """Volumes relative to those of the young reference of the same density [-]: 1 at 30 whatever the
    density."""


@eqx.filter_jit
def live_through(
    person: Person,
    therapy: Protocol,
    parameters: Parameters,
    *,
    nodes: int = 48,
    steps: int = 8000,
) -> History:
    """Return what the years from 30 to day 0 leave in bone of any density.

    The past is habitual life under constant stress, with the load of each age and the person's own hormones;
    therapy counts from its start, which may lie before day 0. Younger than 30, the table is the reference.
    The number of steps is fixed and their length follows the age, so that persons of all ages share one
    compiled program.

    Args:
        person: Whose years.
        therapy: What is given.
        parameters: The law's numbers.
        nodes: Number of densities.
        steps: Number of steps; the default makes them 2 days long at 74.
    """
    # Even in the logit, because the state changes fastest with density near the two ends.
    fractions = jax.nn.sigmoid(jnp.linspace(-3.5, 4.0, nodes, dtype=float))
    start = reference_tissue(fractions, parameters)
    years = jnp.maximum(jnp.asarray(person.age, dtype=float) - YOUNG_AGE, 0.0)
    end, _, _ = simulate(
        start,
        start,
        person,
        therapy,
        habitual_life(1),
        parameters,
        start_day=-years * DAYS_PER_YEAR,
        stop_day=0.0,
        steps=steps,
    )
    ratio = stress_controlled_log_ratio(end, start, parameters)
    young = reference_tissue(end.volume_fraction, parameters)
    relative = jax.tree.map(jnp.divide, end.matrix, young.matrix)
    return History(end.volume_fraction, ratio, end.cells, relative)


def initial_tissue(
    history: History, volume_fraction: Float[Array, " elements"], parameters: Parameters
) -> tuple[Tissue, Float[Array, " elements"]]:
    """Return the tissue on day 0, and the ratio S / S_ref that it lives under [-].

    Linear between the nodes of the table, constant beyond its ends. The volume fraction of the result is the
    one given, within the limits of the law. At 30 the result is the young reference and the ratio is 1, to
    rounding.

    Args:
        history: By `live_through`.
        volume_fraction: Bone volume fraction of the scan [-].
        parameters: The law's numbers.
    """
    dtype = volume_fraction.dtype
    history = jax.tree.map(lambda column: column.astype(dtype), history)
    young = reference_tissue(volume_fraction, parameters)
    fraction = young.volume_fraction

    def look_up(column: Float[Array, " nodes"]) -> Float[Array, " elements"]:
        return jnp.interp(fraction, history.volume_fraction, column)

    relative = jax.tree.map(look_up, history.matrix)
    osteoid = relative.osteoid * young.matrix.osteoid
    mineralised = young.matrix.mineralised - (osteoid - young.matrix.osteoid)
    per_matrix = mineralised / (relative.mineralised * young.matrix.mineralised)
    matrix = Matrix(
        osteoid,
        mineralised,
        relative.mineral_fast * young.matrix.mineral_fast * per_matrix,
        relative.mineral_slow * young.matrix.mineral_slow * per_matrix,
    )
    return Tissue(matrix, jax.tree.map(look_up, history.cells)), jnp.exp(look_up(history.log_ratio))
