"""What is measured on a region of a mesh: bone volume fraction and mineral density.

No scanner is imitated here: density is the true mineral density of the region.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from remodel.mineral import MINERAL_DENSITY
from remodel.tissue import Tissue


def bone_volume_fraction(tissue: Tissue, region: Bool[Array, " elements"]) -> Float[Array, ""]:
    """Return the mean bone volume fraction of the elements of a region, osteoid included [-].

    Args:
        tissue: State.
        region: Elements that count; all have the same volume.
    """
    return _mean(tissue.volume_fraction, region)


def volumetric_density(tissue: Tissue, region: Bool[Array, " elements"]) -> Float[Array, ""]:
    """Return the mean mineral density of the elements of a region [mg HA/cm³].

    Args:
        tissue: State.
        region: Elements that count; all have the same volume.
    """
    return 1000.0 * MINERAL_DENSITY * _mean(tissue.mineral, region)


def _mean(values: Float[Array, " elements"], region: Bool[Array, " elements"]) -> Float[Array, ""]:
    """Return the mean over the elements of a region."""
    weights = region.astype(values.dtype)
    return jnp.sum(weights * values) / jnp.sum(weights)
