"""What the cells of one element sense in a day: from strain to the daily stimulus.

What they sense of a load case is the effective apparent strain `sqrt(2 U / E)`, with E the present modulus of
the element and not that of its tissue (`fem.fields.effective_strain` gives it). In an element among stiffer
and softer neighbours this strain does not rise with the element's own density, so no checkerboard grows.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Parameters, Scalar

SMALLEST_STRAIN = 1e-9
"""Strain below which an element counts as unloaded [-]; keeps logarithms and gradients finite."""


def tissue_energy_strain(
    strain_energy_density: Float[Array, "cases elements"],
    volume_fraction: Float[Array, " elements"],
    *,
    tissue_modulus: Scalar | Float[Array, " elements"],
) -> Float[Array, "cases elements"]:
    """Return the strain of the tissue's mean energy `sqrt(2 U / (f E_t))` [-], the unstable alternative.

    It rises as `f^((b-1)/2)` at given apparent strain: an element denser than its neighbours senses more and
    grows. Kept as the negative control of the stability tests.

    Args:
        strain_energy_density: Mean over the element, per load case [MPa].
        volume_fraction: Bone volume fraction [-].
        tissue_modulus: Young's modulus of solid bone [MPa].

    Source:
        Weinans et al. 1992, J. Biomech. 25:1425-1441, doi:10.1016/0021-9290(92)90056-7.
    """
    squared = 2.0 * strain_energy_density / (volume_fraction * tissue_modulus)[None, :]
    return jnp.sqrt(jnp.maximum(squared, SMALLEST_STRAIN**2))


def daily_stimulus(
    strain: Float[Array, "cases elements"], cycle_weights: Float[Array, " cases"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return the daily stimulus `(sum_i w_i strain_i^m / N_ref)^(1/m)`, a strain [-].

    It is a sum over load cases, not a mean: more cycles are more stimulus. The largest strain is taken out of
    the powers, because strain to the eighth power underflows in float32.

    Args:
        strain: Effective strain per load case [-].
        cycle_weights: Effective cycles a day of each load case, by `remodel.activity` [1/day].
        parameters: Exponent and reference number of cycles.

    Source:
        Beaupré et al. 1990, J. Orthop. Res. 8:651-661, doi:10.1002/jor.1100080506.
    """
    strain = jnp.maximum(strain, SMALLEST_STRAIN)
    largest = jax.lax.stop_gradient(jnp.max(strain, axis=0))
    shares = cycle_weights.astype(strain.dtype) / jnp.asarray(parameters.reference_cycles, strain.dtype)
    exponent = jnp.asarray(parameters.strain_exponent, strain.dtype)
    total = jnp.einsum("c,ce->e", shares, (strain / largest[None, :]) ** exponent)
    return largest * total ** (1.0 / exponent)
