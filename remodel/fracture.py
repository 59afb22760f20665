"""From strength to fractures: how often a bone is hit, how hard, and whether it holds.

A hazard is exposure times the chance that a load exceeds the strength. Strength and risk are two outcomes
and may move apart: a drug that strengthens bone and sends people out on ladders can raise fractures.
"""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float

from remodel.parameters import Scalar
from remodel.person import DAYS_PER_YEAR

Event = Literal["fall", "lift"]
"""What may break a bone: a fall, or a heavy lift or forward bend."""


class Site(eqx.Module):
    """Where a bone may break, and what loads it there."""

    name: str = eqx.field(static=True)
    event: Event = eqx.field(static=True)
    """What loads the site."""
    force: Scalar
    """Median of the force of an event that hits the site, log-normal [N]."""
    force_spread: Scalar
    """Standard deviation of the logarithm of that force [-]."""
    attenuation: Scalar
    """Share of the force that reaches bone [-]."""
    hit: Scalar
    """Probability that an event loads the site with such a force [-]."""
    strength_error: Scalar = 0.10
    """Standard deviation of the logarithm of a computed strength [-]. Assumed."""


class ExposureParameters(eqx.Module):
    """How often people fall and lift; leaves, as in `remodel/parameters.py`."""

    falls_at_75: Scalar = 0.6
    """Falls of a person of 75 [1/year]. Source: one third of people over 65 fall each year, some of them
    again, Tinetti 2003, N. Engl. J. Med. 348:42-49, doi:10.1056/NEJMcp020719."""
    falls_with_age: Scalar = 0.07
    """Yearly rise of the logarithm of the rate of falls [1/year]. Range 0.05 to 0.085. Source: 0.47 falls a
    year at 70 to 74 and 1.21 at 80 and over, Campbell et al. 1990, Age Ageing 19:136-141."""
    falls_of_men: Scalar = 1.0
    """Rate of falls of men relative to women of the same age [-]. Range 0.8 to 1.1. Source: no difference,
    Campbell et al. 1990."""
    heavy_lifts: Scalar = 12.0
    """Lifts and bends that load the spine near its strength [1/year]. Assumed: once a month."""
    therapy_rise: Scalar = 0.5
    """Final rise of exposure of older men under testosterone, x_inf [-]. Assumed, range 0 to 0.75; 0 switches
    the hypothesis off. Chosen to meet the hazard ratio of 1.43 of TRAVERSE, Snyder et al. 2024, N. Engl. J.
    Med. 390:203-211, doi:10.1056/NEJMoa2308836. Chance is the rival reading, and so is a passing fragility,
    which is expressed by a lower strength."""
    therapy_time: Scalar = 60.0
    """Time in which that rise comes [day]. Assumed, from the early excess of fractures in TRAVERSE."""


def fall_force(mass: Scalar, *, speed: Scalar = 2.8, stiffness: Scalar = 71.0) -> Float[Array, ""]:
    """Return the peak force on the hip in a sideways fall, `v sqrt(k m / 2)` [N].

    Half of the body takes part in the impact; 65 kg gives 4.2 kN.

    Args:
        mass: Of the body [kg].
        speed: At impact, v [m/s].
        stiffness: Of the body at the hip, k [N/mm].

    Source:
        Robinovitch et al. 1991, J. Biomech. Eng. 113:366-374, doi:10.1115/1.2895414 (stiffness and effective
        mass); van den Kroonenberg et al. 1995, J. Biomech. Eng. 117:309-318, doi:10.1115/1.2794186 (speed).
    """
    return speed * jnp.sqrt(1000.0 * stiffness * 0.5 * jnp.asarray(mass, dtype=float))


def lognormal(mean: Scalar, deviation: Scalar) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return median and logarithmic standard deviation of a log-normal variable of given mean and deviation.

    The first in the unit of the mean, the second without unit.
    """
    ratio = jnp.asarray(deviation, dtype=float) / mean
    spread = jnp.sqrt(jnp.log1p(ratio**2))
    return mean * jnp.exp(-0.5 * spread**2), spread


def hip() -> Site:
    """Return the hip in a sideways fall.

    Force: mean 4.0 kN and deviation 1.7 kN of falls to the ground. Attenuation by soft tissue, 0.6, and the
    probability of a hit, 0.043, are assumed; the latter makes a hip of 3000 N break in 1 % of falls.

    Source:
        Lim & Choi 2020 (force of falls from standing); Tinetti 2003, N. Engl. J. Med. 348:42-49
        (1 % of falls break the hip of white women).
    """
    return Site("hip", "fall", force=3681.0, force_spread=0.4075, attenuation=0.6, hit=0.043)


def vertebra() -> Site:
    """Return a vertebra of the lower spine in a heavy lift.

    Assumed throughout: a load of 2 to 3 kN; the probability of a hit makes a vertebra of 4500 N break at
    1 % a year, the incidence of vertebral fractures in women of 50 to 79.

    Source:
        European Prospective Osteoporosis Study 2002, J. Bone Miner. Res. 17:716-724,
        doi:10.1359/jbmr.2002.17.4.716 (incidence).
    """
    return Site("vertebra", "lift", force=2500.0, force_spread=0.25, attenuation=1.0, hit=0.057)


def wrist() -> Site:
    """Return the distal radius in a fall on the hand; its strength is that of an isolated radius.

    Assumed throughout: the force gives an elasticity between -1.5 and -3 at the 2274 N of isolated radii;
    the probability of a hit makes such a wrist break in 1 % of falls.
    """
    return Site("wrist", "fall", force=2000.0, force_spread=0.41, attenuation=1.0, hit=0.026)


def fracture_given_hit(site: Site, strength: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the probability that an event which hits the site breaks it [-].

    `Phi([ln(a F) - ln S] / sqrt(sigma_F² + sigma_S²))`: the load is log-normal, and so is the error of the
    strength.

    Args:
        site: What loads it.
        strength: Failure load S [N].
    """
    return jnp.exp(log_ndtr(_excess(site, strength)))


def strength_elasticity(site: Site, strength: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the relative change of that probability per relative change of strength, d ln P / d ln S [-].

    Args:
        site: What loads it.
        strength: Failure load S [N].
    """
    excess = _excess(site, strength)
    log_density = -0.5 * excess**2 - 0.5 * jnp.log(2.0 * jnp.pi)
    return -jnp.exp(log_density - log_ndtr(excess)) / _spread(site)


def event_rate(
    event: Event,
    age: Float[Array, "..."],
    sex: Literal["female", "male"],
    parameters: ExposureParameters,
) -> Float[Array, "..."]:
    """Return how often an event happens to a person [1/year].

    Falls rise exponentially with age; heavy lifts are the same at any age.

    Args:
        event: Fall or lift.
        age: Age [year].
        sex: Of the person.
        parameters: Rates.
    """
    if event == "lift":
        return jnp.full_like(age, parameters.heavy_lifts)
    share = parameters.falls_of_men if sex == "male" else 1.0
    return share * parameters.falls_at_75 * jnp.exp(parameters.falls_with_age * (age - 75.0))


def therapy_exposure(
    days_on_testosterone: Float[Array, "..."], parameters: ExposureParameters
) -> Float[Array, "..."]:
    """Return what testosterone multiplies the exposure of an older man by, `1 + x (1 - exp(-t / tau))` [-].

    An assumption, see `ExposureParameters.therapy_rise`: no diary of falls or activity stands behind it.

    Args:
        days_on_testosterone: Time since the first dose; 1 comes back before it [day].
        parameters: Rise and time.
    """
    time = jnp.maximum(days_on_testosterone, 0.0)
    return 1.0 - parameters.therapy_rise * jnp.expm1(-time / parameters.therapy_time)


def fracture_hazard(
    site: Site,
    strength: Float[Array, "*times"],
    age: Float[Array, "*times"],
    sex: Literal["female", "male"],
    exposure: Float[Array, "*times"],
    parameters: ExposureParameters,
) -> Float[Array, "*times"]:
    """Return the rate of first fractures at a site [1/year].

    Args:
        site: Where.
        strength: Failure load at each time [N].
        age: Age at each time [year].
        sex: Of the person.
        exposure: What therapy, sedatives, vision or weakness multiply the events by; 1 without [-].
        parameters: Rates of events.
    """
    rate = event_rate(site.event, age, sex, parameters) * exposure
    return rate * site.hit * fracture_given_hit(site, strength)


def fracture_probability(
    day: Float[Array, " times"], hazard: Float[Array, " times"]
) -> Float[Array, " times"]:
    """Return the probability of at least one fracture up to each time, `1 - exp(-integral of the hazard)` [-].

    By the trapezoidal rule; ten years are the last of eleven yearly times. Death is no rival here, so in old
    age the number is above that of calculators that count it.

    Args:
        day: Times, rising; the first is where counting starts [day].
        hazard: At each time [1/year].
    """
    return -jnp.expm1(-_cumulative(day, hazard))


def relative_hazard(
    day: Float[Array, " times"], treated: Float[Array, " times"], control: Float[Array, " times"]
) -> Float[Array, ""]:
    """Return the hazard of one arm of a trial relative to another's, both summed over the trial [-].

    What a proportional-hazards model estimates where fractures are rare.

    Args:
        day: Times, rising [day].
        treated: Hazard of the treated arm [1/year].
        control: Hazard of the other [1/year].
    """
    return _cumulative(day, treated)[-1] / _cumulative(day, control)[-1]


def _spread(site: Site) -> Float[Array, ""]:
    """Return the deviation of the logarithm of load over strength [-]."""
    return jnp.hypot(jnp.asarray(site.force_spread, dtype=float), site.strength_error)


def _excess(site: Site, strength: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the logarithm of load over strength, in its deviations [-]."""
    return (jnp.log(jnp.asarray(site.attenuation * site.force, dtype=float)) - jnp.log(strength)) / _spread(
        site
    )


def _cumulative(day: Float[Array, " times"], hazard: Float[Array, " times"]) -> Float[Array, " times"]:
    """Return the integral of a hazard from the first time to each [-]."""
    years = jnp.diff(day) / DAYS_PER_YEAR
    pieces = 0.5 * (hazard[1:] + hazard[:-1]) * years
    return jnp.concatenate([jnp.zeros_like(hazard[:1]), jnp.cumsum(pieces)])
