"""How bone answers to more or less strain than it is used to, and how hormones shift that answer."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.hormones import Signals
from remodel.parameters import Parameters, Scalar


def set_point(
    signals: Signals, age: Scalar | Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return the set point H relative to a healthy person of 30: above 1 the bone needs more strain [-].

    `1 + a_E dE + a_T dT + a_A max(age - 30, 0)`. That estradiol acts here is the founding thesis of set-point
    theory and is not identified by clinical data; the default is small.

    Args:
        signals: Deficits of estradiol and testosterone.
        age: Age [year].
        parameters: Size of each shift.

    Source:
        Frost 1987, Anat. Rec. 219:1-9, doi:10.1002/ar.1092190104, for the idea; sizes fitted or assumed.
    """
    years = jnp.maximum(jnp.asarray(age, signals.estrogen_deficit.dtype) - 30.0, 0.0)
    return (
        1.0
        + parameters.set_point_estrogen * signals.estrogen_deficit
        + parameters.set_point_androgen * signals.androgen_deficit
        + parameters.set_point_age * years
    )


def gain(signals: Signals, parameters: Parameters) -> Float[Array, "..."]:
    """Return how strongly bone answers, 1 for healthy and at least 0.05 for numb [-].

    `1 - a_E dE - a_T dT` with the deficits taken as zero where negative, rather than the gain cut off at 1:
    the derivative with respect to a_E then holds at its default of zero as well.

    Args:
        signals: Deficits of estradiol and testosterone.
        parameters: Size of each loss; zero by default, a hypothesis to be switched on.

    Source:
        Against numbness: Järvinen et al. 2003, J. Bone Miner. Res. 18:1921-1931,
        doi:10.1359/jbmr.2003.18.11.1921.
    """
    numbness = parameters.numbness_estrogen * jnp.maximum(signals.estrogen_deficit, 0.0)
    numbness = numbness + parameters.numbness_androgen * jnp.maximum(signals.androgen_deficit, 0.0)
    return jnp.maximum(1.0 - numbness, 0.05)


def response(
    log_ratio: Float[Array, " elements"], gain: Scalar, parameters: Parameters
) -> Float[Array, " elements"]:
    """Return the response v to the logarithm z of the stimulus relative to the set point [-].

    `v = gain v_max tanh(DZ(z) / v_max)`: odd, smooth, zero at z = 0, saturating; DZ is the `lazy_zone`.

    Args:
        log_ratio: z = ln u [-].
        gain: How strongly bone answers [-].
        parameters: Limit, width and rounding.

    Source:
        Shape chosen here; that human bone has no lazy zone: Christen et al. 2014, doi:10.1038/ncomms5855.
    """
    limit = parameters.response_limit
    beyond = lazy_zone(log_ratio, width=parameters.lazy_zone_width, smoothing=parameters.lazy_zone_smoothing)
    return gain * limit * jnp.tanh(beyond / limit)


def lazy_zone(
    log_ratio: Float[Array, " elements"], *, width: Scalar, smoothing: Scalar
) -> Float[Array, " elements"]:
    """Return how far z lies outside [-width, width], with round corners; z itself for no width [-].

    `s (softplus((z - w) / s) - softplus((-z - w) / s))`. Its derivative is nowhere zero, so optimisers do not
    stall.

    Args:
        log_ratio: z [-].
        width: Half-width w [-].
        smoothing: Rounding s [-].
    """
    above = jax.nn.softplus((log_ratio - width) / smoothing)
    below = jax.nn.softplus((-log_ratio - width) / smoothing)
    return smoothing * (above - below)


def resorption_factor(
    response: Float[Array, " elements"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return what mechanics multiplies resorption by, `exp(-g_r v)` [-]."""
    return jnp.exp(-parameters.resorption_gain * response)


def formation_factor(
    response: Float[Array, " elements"], parameters: Parameters
) -> Float[Array, " elements"]:
    """Return what mechanics multiplies formation by, `exp(g_f v)` [-]."""
    return jnp.exp(parameters.formation_gain * response)
