"""The femoral neck of a person without space, as a tube whose outer and inner surfaces move."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.mechanostat_curve import gain, response
from remodel.parameters import Parameters
from remodel.periosteum import PeriostealParameters, Section, Tube, periosteal_velocity, section
from remodel.skeleton import PersonCourse
from remodel.tissue import Circumstances, log_stimulus_ratio
from remodel.turnover import active_surface

NECK_OUTER, NECK_INNER = 16.0, 13.5
"""Radii of the femoral neck as a tube at the start of a trial [mm]. Assumed: a thin tube of the width of the neck."""

COMPACT, ENDOCORTICAL = 1, 2
"""Places of the compartments in a course."""

SECTION = {
    "outer diameter": lambda s: s.outer_diameter,
    "total area": lambda s: s.total_area,
    "cross-sectional area": lambda s: s.area,
    "section modulus": lambda s: s.section_modulus,
    "areal density of the section": lambda s: s.area / s.outer_diameter,
}
"""Quantities of the femoral neck as a tube."""


def neck_section(course: PersonCourse, parameters: Parameters) -> Section:
    """Return the cross-section of the femoral neck at each time, a round tube of compact bone.

    Its outer surface moves by `periosteal_velocity` under the strain of compact bone, its inner one by
    what the endocortical compartment gains: `A df / S`, as in `periosteum.endocortical_velocity`.

    Args:
        course: Of one person, from day 0 on.
        parameters: The law's numbers.

    Returns:
        Lengths, areas and moduli in mm, mm² and mm³, weighted by mineral relative to day 0, at each time.
    """
    numbers = PeriostealParameters()
    outward = _between(_periosteal(course, parameters, numbers)) * jnp.diff(course.day)
    fraction = course.volume_fraction[:, ENDOCORTICAL]
    inward = numbers.endocortical_factor * jnp.diff(fraction) / _between(active_surface(fraction, parameters))
    outer = NECK_OUTER + _total(outward)
    tube = Tube(outer, jnp.clip(NECK_INNER - _total(inward), 0.0, outer))
    return section(tube, course.mineral[:, COMPACT] / course.mineral[0, COMPACT])


def _periosteal(
    course: PersonCourse, parameters: Parameters, numbers: PeriostealParameters
) -> Float[Array, " times"]:
    """Return the velocity of the outer surface [mm/day]."""
    brought = course.brought
    signals = brought.signals

    def answer(modulus: Float[Array, ""], now: Circumstances) -> Float[Array, ""]:
        strained = log_stimulus_ratio(-jnp.log(modulus[None]), now, parameters)
        return response(strained, gain(now.signals, parameters), parameters)[0]

    return periosteal_velocity(
        signals.estrogen_deficit,
        signals.years_since_menopause,
        signals.igf1_ratio,
        -signals.androgen_deficit,
        jax.vmap(answer)(course.modulus[:, COMPACT], brought),
        numbers,
        formation_gain=parameters.formation_gain,
    )


def _between(values: Float[Array, " times"]) -> Float[Array, " intervals"]:
    return 0.5 * (values[1:] + values[:-1])


def _total(pieces: Float[Array, " intervals"]) -> Float[Array, " times"]:
    return jnp.concatenate([jnp.zeros_like(pieces[:1]), jnp.cumsum(pieces)])
