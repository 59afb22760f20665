"""What strain far above habit does: microdamage that calls for repair, and woven bone. Both off by default.

Strain is told by the stimulus relative to its reference, which stands for habitual strain: 900 microstrain, were it the
same everywhere. So both act alike on single elements and in a mesh, and neither needs the absolute strain of a bone,
which a local reference does not know. Assumed throughout.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Parameters, Scalar

LARGEST_STRAIN_RATIO = 4.0
"""Strain relative to habitual strain above which damage grows no faster: bone yields there [-]. Assumed."""


def damage_call(damage: Float[Array, " elements"], parameters: Parameters) -> Float[Array, " elements"]:
    """Return what microdamage multiplies resorption by, `1 + a_D (D - 1)` and not below 0 [-].

    Args:
        damage: Microdamage D relative to the reference [-].
        parameters: Size, 0 by default.
    """
    return jnp.maximum(1.0 + parameters.damage_resorption * (damage - 1.0), 0.0)


def advance_damage(
    damage: Float[Array, " elements"],
    strain_ratio: Float[Array, " elements"],
    habitual_renewal: Float[Array, " elements"],
    renewal: Float[Array, " elements"],
    time_step: Scalar,
    parameters: Parameters,
) -> Float[Array, " elements"]:
    """Return microdamage after a step, relative to the reference [-].

    `dD/dt = r_0 s^q - D r`: loading makes it, resorption takes it away with the bone. In the reference one is the
    other.

    Args:
        damage: Before the step [-].
        strain_ratio: Daily stimulus relative to the reference, s [-].
        habitual_renewal: Resorption per bone volume in the reference, at the element's density, r_0 [1/day].
        renewal: Resorption per bone volume, r [1/day].
        time_step: Length of the step [day].
        parameters: Exponent q of strain.

    Source:
        Form and exponent: fatigue of bone grows with the 8th to 10th power of strain, Martin 2003, J. Biomech.
        36:1173-1182 (from memory); balance of creation and repair: Prendergast & Taylor 1994, J. Biomech. 27:1067-1076.
    """
    made = habitual_renewal * jnp.minimum(strain_ratio, LARGEST_STRAIN_RATIO) ** parameters.damage_exponent
    kept = jnp.exp(-time_step * renewal)
    # Exact over the step; the mean of what is left of what was made in it is (1 - kept) / renewal.
    share = jnp.where(
        renewal > 0.0, -jnp.expm1(-time_step * renewal) / jnp.where(renewal > 0.0, renewal, 1.0), time_step
    )
    return damage * kept + made * share


def woven_formation(
    strain_ratio: Float[Array, " elements"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return the formation of woven bone, in units of formation in the reference [-].

    `(mu_w / R_0) sigmoid((s - s_w) / w)`: a surface lays down mu_w a day where strain is far above habit.

    Args:
        strain_ratio: Daily stimulus relative to the reference, s [-].
        parameters: Rate mu_w, 0 by default; onset s_w and width w.

    Source:
        Onset at 3000 to 4000 microstrain: Frost 1987, Anat. Rec. 219:1-9 (from memory).
    """
    rate = parameters.woven_rate / parameters.resorption_rate
    return rate * jax.nn.sigmoid((strain_ratio - parameters.woven_onset) / parameters.woven_width)
