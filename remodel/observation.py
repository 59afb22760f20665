"""What is measured on a region of a mesh: means of volumes and of mineral density.

No scanner is imitated here (`remodel/instruments.py` does): density is the true mineral density of the region.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from remodel.mineral import MINERAL_DENSITY


def mean_over(values: Float[Array, " elements"], region: Bool[Array, " elements"]) -> Float[Array, ""]:
    """Return the mean of a field over the elements of a region, which all have the same volume.

    Args:
        values: Such as the bone volume fraction, osteoid included [-].
        region: Elements that count.
    """
    weights = region.astype(values.dtype)
    return jnp.sum(weights * values) / jnp.sum(weights)


def mineral_density(mineral: Float[Array, " elements"], region: Bool[Array, " elements"]) -> Float[Array, ""]:
    """Return the mean mineral density of the elements of a region [mg HA/cm³].

    Args:
        mineral: Mineral volume per total volume [-].
        region: Elements that count; all have the same volume.
    """
    return 1000.0 * MINERAL_DENSITY * mean_over(mineral, region)
