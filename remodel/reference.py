"""What stimulus each place of the bone is used to: the reference field."""

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from remodel.parameters import Scalar

TRABECULAR_REFERENCE = 796e-6
"""Effective strain that trabecular bone is used to [-]: 0.003 J/g at 18 GPa and 1.9 g/cm³."""
CORTICAL_REFERENCE = 1300e-6
"""Effective strain that cortical bone is used to [-]: 0.008 J/g at 18 GPa and 1.9 g/cm³."""


def local_reference(
    habitual_stimulus: Float[Array, " elements"], *, habitual_ratio: Float[Array, " elements"]
) -> Float[Array, " elements"]:
    """Return the reference that makes habitual life mean what the person's history says, a strain [-].

    `S_ref = S / r`, with r the ratio S / S_ref that single elements of this density reached over the years
    (`remodel.history`). With r = 1 everywhere the scanned bone would count as adapted to its load at 30,
    which is right at 30 only. Errors of load and of calibration cancel to first order. What this reference
    cannot do is predict anatomy.

    Written with u = load r / H, the stimulus relative to the set point, this is `S_ref = load S / (H u)`;
    load and set point cancel, so neither is asked for.

    Args:
        habitual_stimulus: Smoothed stimulus S on the scanned bone under habitual loading [-].
        habitual_ratio: r, by `remodel.history.initial_tissue` [-].
    """
    return habitual_stimulus / habitual_ratio


def global_reference(cortical: Bool[Array, " elements"], *, dtype: DTypeLike) -> Float[Array, " elements"]:
    """Return one reference per kind of tissue, a strain [-]: for studies of form from scratch only.

    On a scanned bone it rewrites the architecture whatever the hormones do.

    Args:
        cortical: Which elements are cortical bone.
        dtype: Floating-point type of the result.

    Source:
        0.003 and 0.008 J/g: Henys 2026, manuscript on smoothly coupled remodeling; converted to strain here.
    """
    return jnp.where(cortical, CORTICAL_REFERENCE, TRABECULAR_REFERENCE).astype(dtype)


def blended_reference(
    local: Float[Array, " elements"], overall: Float[Array, " elements"], *, share: Scalar
) -> Float[Array, " elements"]:
    """Return the geometric mean of the local and the global reference, a strain [-].

    Args:
        local: By `local_reference` [-].
        overall: By `global_reference` [-].
        share: Weight of the global one, assumed range 0 to 0.3 [-].
    """
    return jnp.exp((1.0 - share) * jnp.log(local) + share * jnp.log(overall))
