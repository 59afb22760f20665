"""What a clinic would measure of the model: bone density and turnover markers.

No scanner is imitated here: density is the true mineral density of the region.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from remodel.mineral import MINERAL_DENSITY
from remodel.parameters import Parameters
from remodel.single_element import Course
from remodel.tissue import Tissue

SKELETON_FRACTIONS = (0.15, 0.95, 0.75)
"""Bone volume fraction at 30 of trabecular, compact and endocortical bone, the compartments of the skeleton
[-]."""
SKELETON_SHARES = (0.20, 0.65, 0.15)
"""Share of bone volume in each compartment [-]. Assumed; cortical bone is about 80 % of the skeleton."""
SPINE_WEIGHTS = (0.7560000308053649, 0.0911606979607687, 0.15283927123386637)
"""Weight of each compartment in areal density of the lumbar spine [-]. Fit."""
HIP_WEIGHTS = (0.24360036491393722, 0.5643743928800797, 0.19202524220598302)
"""Weight of each compartment in areal density of the total hip [-]. Fit."""


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


def areal_density_change(
    start: Tissue, now: Tissue, weights: tuple[float, float, float]
) -> Float[Array, "..."]:
    """Return the change of areal density of a site in the model without space, as a fraction [-].

    Args:
        start: The three compartments of the skeleton at the start.
        now: The same later; leading axes, such as times, are kept.
        weights: `SPINE_WEIGHTS` or `HIP_WEIGHTS`.
    """
    initial = jnp.expand_dims(start.mineral, tuple(range(now.mineral.ndim - start.mineral.ndim)))
    return (now.mineral / initial - 1.0) @ jnp.asarray(weights, now.mineral.dtype)


def resorption_marker(course: Course, untreated: Course, parameters: Parameters) -> Float[Array, " times"]:
    """Return serum CTX of the skeleton relative to an untreated twin of the same age [-].

    `(sum R / sum R_0)^1.13`. The twin, because markers change with age and menopause too.

    Args:
        course: The three compartments of the skeleton, by `single_element.course`.
        untreated: The same person without what is studied, at the same times.
        parameters: Exponent, fitted.
    """
    ratio = _skeletal_sum(course.resorption) / _skeletal_sum(untreated.resorption)
    return ratio**parameters.resorption_marker_exponent


def formation_marker(course: Course, untreated: Course, parameters: Parameters) -> Float[Array, " times"]:
    """Return serum P1NP of the skeleton relative to an untreated twin of the same age [-].

    `(sum F / sum F_0)^1.19`.

    Args:
        course: The three compartments of the skeleton, by `single_element.course`.
        untreated: The same person without what is studied, at the same times.
        parameters: Exponent, fitted.
    """
    ratio = _skeletal_sum(course.formation) / _skeletal_sum(untreated.formation)
    return ratio**parameters.formation_marker_exponent


def _mean(values: Float[Array, " elements"], region: Bool[Array, " elements"]) -> Float[Array, ""]:
    """Return the mean over the elements of a region."""
    weights = region.astype(values.dtype)
    return jnp.sum(weights * values) / jnp.sum(weights)


def _skeletal_sum(rate: Float[Array, "times elements"]) -> Float[Array, " times"]:
    """Return a rate summed over the skeleton; a compartment's tissue volume is its bone over its fraction."""
    volumes = jnp.asarray(SKELETON_SHARES, rate.dtype) / jnp.asarray(SKELETON_FRACTIONS, rate.dtype)
    return rate @ volumes
