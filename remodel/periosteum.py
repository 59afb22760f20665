"""The outer surface of bone: how fast it moves outwards, and what that does to a cross-section.

Bone grows stronger by width with little bone. The surface moves outwards all through life, faster for some
years after menopause; inner surfaces obey the cells' law and move into the cortex. `Tube` is a cross-section
in the model without space; for a voxel mesh see `remodel/surface_layer.py`.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Scalar
from remodel.person import DAYS_PER_YEAR


class PeriostealParameters(eqx.Module):
    """How fast surfaces of the cortex move; leaves, as in `remodel/parameters.py`."""

    steady_um_per_year: Scalar = 14.0
    """Outward velocity in adult life, v_p0 [µm/year]. Range 0 to 15. Fitted by hand to +15 % of cross-sectional area
    from 20 to 90 years in both sexes. Source: Riggs et al. 2004, J. Bone Miner. Res. 19:1945-1954,
    doi:10.1359/JBMR.040916; cross-sectional, so that differences between generations are in it."""
    menopausal_um_per_year: Scalar = 26.0
    """Rise of that velocity at full loss of estradiol, just after menopause, v_pE [µm/year]. Range 0 to 60.
    Menopause leaves a deficit of 0.65, so 17 are reached, and fade. Source of the course: Ahlborg et al. 2003, N.
    Engl. J. Med. 349:327-334, doi:10.1056/NEJMoa022464 (radius)."""
    menopausal_decay_years: Scalar = 8.0
    """Time in which that rise fades [year]. Range 5 to 12. Source: as `menopausal_um_per_year`, periosteum
    grows for about 8 years and then no more."""
    igf_exponent: Scalar = 0.5
    """Exponent of IGF-1 over its reference, b_I [-]. Range 0 to 1.5. Assumed: from rats; in adult people growth
    hormone acted on the inner surface more than on the outer one."""
    androgen_gain: Scalar = 0.2
    """Rise of velocity per androgen effect above the reference, a_pT [-]. Assumed, range 0 to 0.5."""
    mechanical_share: Scalar = 0.5
    """Response to strain relative to that of formation on inner surfaces [-]. Assumed. Source of the direction:
    Birkhold et al. 2016, Sci. Rep. 6:23480, doi:10.1038/srep23480."""
    endocortical_factor: Scalar = 3.0
    """Velocity of the endocortical surface relative to that of trabecular and haversian surfaces, A [-].
    Assumed, range 1 to 5."""


class Tube(eqx.Module):
    """A round cross-section of cortex; several at once have a leading axis."""

    outer_radius: Float[Array, "*times"]
    """Of the periosteal surface [mm]."""
    inner_radius: Float[Array, "*times"]
    """Of the endocortical surface [mm]."""


class Section(eqx.Module):
    """What a cross-section bears with, pores taken off where a density was given."""

    outer_diameter: Float[Array, "*times"]
    """[mm]"""
    total_area: Float[Array, "*times"]
    """Inside the periosteal surface [mm²]."""
    area: Float[Array, "*times"]
    """Of bone, the cross-sectional area CSA of hip structure analysis [mm²]."""
    second_moment: Float[Array, "*times"]
    """About a diameter, I [mm⁴]."""
    section_modulus: Float[Array, "*times"]
    """I over the outer radius, Z [mm³]."""


def periosteal_velocity(
    estrogen_deficit: Float[Array, "..."],
    years_since_menopause: Float[Array, "..."],
    igf1_ratio: Float[Array, "..."],
    androgen_excess: Float[Array, "..."],
    response: Float[Array, "..."],
    parameters: PeriostealParameters,
    *,
    formation_gain: Scalar,
) -> Float[Array, "..."]:
    """Return how fast the outer surface moves outwards, never inwards [mm/day].

    `[v_p0 + v_pE dE exp(-t / 8)] iota^b_I (1 + a_pT dT+) exp(s g_f v)`. The menopausal term does not decay
    before the final menstrual period.

    Args:
        estrogen_deficit: Loss of the effect of estradiol; below 0 counts as 0 [-].
        years_since_menopause: Time since the final menstrual period, negative before, infinite in men [year].
        igf1_ratio: IGF-1 over that of youth [-].
        androgen_excess: Androgen effect above the reference, 0 below it [-].
        response: Answer of the cells at the surface to strain, v [-].
        parameters: Velocities and exponents.
        formation_gain: Response of formation on inner surfaces, g_f [-].

    Source:
        Form and combination assumed; each term as in `PeriostealParameters`.
    """
    # Infinite in men: a bound that is as good as forever keeps derivatives numbers.
    years = jnp.clip(years_since_menopause, 0.0, 1e3)
    fading = jnp.exp(-years / parameters.menopausal_decay_years)
    menopausal = parameters.menopausal_um_per_year * jnp.maximum(estrogen_deficit, 0.0) * fading
    hormonal = (parameters.steady_um_per_year + menopausal) * igf1_ratio**parameters.igf_exponent
    androgenic = 1.0 + parameters.androgen_gain * jnp.maximum(androgen_excess, 0.0)
    mechanical = jnp.exp(parameters.mechanical_share * formation_gain * response)
    return hormonal * androgenic * mechanical / (1000.0 * DAYS_PER_YEAR)


def endocortical_velocity(
    resorption: Float[Array, "..."],
    formation: Float[Array, "..."],
    surface: Float[Array, "..."],
    parameters: PeriostealParameters,
) -> Float[Array, "..."]:
    """Return how fast the endocortical surface moves, positive where bone is added [mm/day].

    `A (F - R) / S = A R_0 (k_B b_2 + mu - c)`: the net formation per surface of the endocortical compartment.

    Args:
        resorption: Of that compartment, R [1/day].
        formation: Of that compartment, F [1/day].
        surface: Its active surface per volume, S, as of `turnover.active_surface` [mm²/mm³].
        parameters: Factor A.
    """
    return parameters.endocortical_factor * (formation - resorption) / surface


def advance_tube(
    tube: Tube,
    periosteal: Float[Array, "..."],
    endocortical: Float[Array, "..."],
    time_step: Scalar,
) -> Tube:
    """Return a cross-section after a step; the cavity neither vanishes below nothing nor breaks through [mm].

    Args:
        tube: Before.
        periosteal: Velocity of the outer surface, outwards [mm/day].
        endocortical: Velocity of the inner surface, positive where bone is added [mm/day].
        time_step: Length of the step [day].
    """
    outer = tube.outer_radius + periosteal * time_step
    inner = jnp.clip(tube.inner_radius - endocortical * time_step, 0.0, outer)
    return Tube(outer, inner)


def tube_course(
    tube: Tube,
    day: Float[Array, " times"],
    periosteal: Float[Array, " times"],
    endocortical: Float[Array, " times"],
) -> Tube:
    """Return a cross-section at each time, by the trapezoidal rule over the velocities [mm].

    Args:
        tube: At the first time.
        day: Times, rising [day].
        periosteal: Velocity of the outer surface at each time [mm/day].
        endocortical: Velocity of the inner surface, positive where bone is added [mm/day].
    """

    def travelled(velocity):
        pieces = 0.5 * (velocity[1:] + velocity[:-1]) * jnp.diff(day)
        return jnp.concatenate([jnp.zeros_like(velocity[:1]), jnp.cumsum(pieces)])

    return advance_tube(tube, travelled(periosteal), travelled(endocortical), 1.0)


def section(tube: Tube, relative_density: Float[Array, "..."] | float = 1.0) -> Section:
    """Return the properties of a cross-section.

    Args:
        tube: Its surfaces.
        relative_density: Mineral per volume of cortex relative to that of the start [-]. Hip structure analysis
            takes mineral for bone of constant density, so that porosity lowers its area and moments; 1 gives
            those of the outline.
    """
    outer, inner = tube.outer_radius, tube.inner_radius
    second = 0.25 * jnp.pi * (outer**4 - inner**4) * relative_density
    return Section(
        outer_diameter=2.0 * outer,
        total_area=jnp.pi * outer**2,
        area=jnp.pi * (outer**2 - inner**2) * relative_density,
        second_moment=second,
        section_modulus=second / outer,
    )
