"""A person without space: the skeleton as three compartments, from 30 to any day of a study.

Trabecular, compact and endocortical bone are single elements under constant stress. They are what serum markers
come from, and what a site of the skeleton is made of in the model without space. One person takes milliseconds;
many are a map.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.activity import ActivityPlan, habitual_life
from remodel.history import YOUNG_AGE
from remodel.mineral import modulus_ratio
from remodel.parameters import Parameters
from remodel.person import DAYS_PER_YEAR, Person
from remodel.single_element import circumstances, course, simulate
from remodel.tissue import Circumstances, Tissue, reference_tissue
from remodel.treatment import Protocol
from remodel.turnover import active_surface

DAYS_PER_MONTH = DAYS_PER_YEAR / 12.0

FRACTIONS = (0.15, 0.95, 0.75)
"""Bone volume fraction at 30 of trabecular, compact and endocortical bone, the compartments [-]."""
SHARES = (0.20, 0.65, 0.15)
"""Share of the skeleton's bone volume in each compartment [-]. Assumed; cortical bone is about 80 % of it."""

HISTORY_STEPS = 1500
"""Steps from 30 to day 0: 10 days long at 71, where the state is off by less than 0.1 %."""
STEPS_PER_MONTH = 10
"""Steps of the tissue law in a month: 3 days long."""


ASSUMED_SITES = {
    "trochanter": (0.50, 0.30, 0.20),
    "distal radius": (0.30, 0.50, 0.20),
    "distal tibia": (0.35, 0.45, 0.20),
    "calcaneus": (0.85, 0.05, 0.10),
    "total body": (0.20, 0.65, 0.15),
    "trabecular bone": (1.0, 0.0, 0.0),
    "compact bone": (0.0, 1.0, 0.0),
    "endocortical bone": (0.0, 0.0, 1.0),
}
"""Share of the mineral at 30 in trabecular, compact and endocortical bone [-]. Assumed, after the usual share of
trabecular bone at each place; the last three are the compartments themselves."""

FITTED_SITES = ("lumbar spine", "total hip", "femoral neck")
"""Sites whose shares are numbers of the law, fitted with it."""

SITES = (*FITTED_SITES, *ASSUMED_SITES)
"""Places of the skeleton in the model without space."""


class DayZero(eqx.Module):
    """A skeleton on day 0, which its years from 30 left."""

    tissue: Tissue
    """The three compartments."""
    resorption: Float[Array, " 3"]
    """Their resorption in the last step before day 0 [1/day]."""
    formation: Float[Array, " 3"]
    """Their formation in that step [1/day]."""
    brought: Circumstances
    """Hormones, drugs, load and age in that step."""


class PersonCourse(eqx.Module):
    """A person from day 0 on, at the ends of months; all relative to a healthy person of 30 unless said."""

    day: Float[Array, " times"]
    """[day]"""
    mineral: Float[Array, "times 3"]
    """Mineral of trabecular, compact and endocortical bone [-]."""
    modulus: Float[Array, "times 3"]
    """Young's modulus of the same [-]."""
    volume_fraction: Float[Array, "times 3"]
    """Bone volume fraction of the same, absolute [-]."""
    resorption_marker: Float[Array, " times"]
    """Serum CTX [-]."""
    formation_marker: Float[Array, " times"]
    """Serum P1NP [-]."""
    brought: Circumstances
    """Hormones, drugs, load and age."""


def site_shares(site: str, parameters: Parameters) -> Float[Array, " 3"]:
    """Return the share of a site's mineral at 30 in trabecular, compact and endocortical bone [-].

    Args:
        site: One of `SITES`.
        parameters: The law's numbers, which hold the fitted shares.

    Raises:
        ValueError: If the site is not known.
    """
    if site in ASSUMED_SITES:
        return jnp.asarray(ASSUMED_SITES[site], dtype=float)
    fitted = {
        "lumbar spine": (parameters.spine_trabecular, parameters.spine_endocortical),
        "total hip": (parameters.hip_trabecular, parameters.hip_endocortical),
        "femoral neck": (parameters.neck_trabecular, parameters.neck_endocortical),
    }
    if site not in fitted:
        raise ValueError(f"`site` is none of {', '.join(SITES)}; got {site!r}.")
    trabecular, endocortical = (jnp.asarray(share, dtype=float) for share in fitted[site])
    # A fit may leave nothing for compact bone; then the two others share the site.
    shares = jnp.stack([trabecular, jnp.maximum(1.0 - trabecular - endocortical, 0.0), endocortical])
    return shares / jnp.sum(shares)


def young_skeleton(parameters: Parameters) -> Tissue:
    """Return the three compartments of a healthy person of 30."""
    return reference_tissue(jnp.asarray(FRACTIONS, dtype=float), parameters)


def follow_person(
    person: Person,
    before: Protocol,
    protocol: Protocol,
    plan: ActivityPlan,
    parameters: Parameters,
    *,
    months: int,
) -> PersonCourse:
    """Return a person on day 0 and at the end of each month of a study.

    Args:
        person: Whose skeleton.
        before: Treatments that may have begun before day 0, and may go on.
        protocol: Treatments of the study.
        plan: Activities.
        parameters: The law's numbers.
        months: Length of the study.
    """
    start = day_zero(person, before, parameters)
    return follow_from(start, person, (*before, *protocol), plan, parameters, months=months)


def follow_from(
    start: DayZero,
    person: Person,
    protocol: Protocol,
    plan: ActivityPlan,
    parameters: Parameters,
    *,
    months: int,
) -> PersonCourse:
    """Return a person whose day 0 is known, then and at the end of each month of a study.

    Args:
        start: By `day_zero`; the same for all arms of a trial.
        person: Whose skeleton.
        protocol: All treatments, also those that began before day 0.
        plan: Activities.
        parameters: The law's numbers.
        months: Length of the study.
    """
    young = young_skeleton(parameters)
    after = course(
        start.tissue,
        young,
        person,
        protocol,
        plan,
        parameters,
        start_day=0.0,
        interval=DAYS_PER_MONTH,
        samples=months,
        steps=STEPS_PER_MONTH,
    )
    first = (jnp.zeros((), dtype=float), start.tissue, start.resorption, start.formation, start.brought)
    later = (after.day, after.tissue, after.resorption, after.formation, after.brought)
    day, tissue, resorption, formation, brought = jax.tree.map(
        lambda one, many: jnp.concatenate([one[None], many]), first, later
    )
    rate = _skeletal_sum(active_surface(young.volume_fraction, parameters) * parameters.resorption_rate)
    return PersonCourse(
        day,
        tissue.mineral / young.mineral[None],
        jax.vmap(lambda matrix: modulus_ratio(matrix, young.matrix, parameters))(tissue.matrix),
        tissue.volume_fraction,
        (_skeletal_sum(resorption) / rate) ** parameters.resorption_marker_exponent,
        (_skeletal_sum(formation) / rate) ** parameters.formation_marker_exponent,
        brought,
    )


def day_zero(person: Person, before: Protocol, parameters: Parameters) -> DayZero:
    """Return where a person's years from 30 ended, in the last step before day 0.

    Args:
        person: Whose years; before 30 nothing has changed.
        before: Treatments; those that began before day 0 count.
        parameters: The law's numbers.
    """
    years = jnp.maximum(jnp.asarray(person.age, dtype=float) - YOUNG_AGE, 0.0)
    time_step = years * DAYS_PER_YEAR / HISTORY_STEPS
    middles = (jnp.arange(HISTORY_STEPS, dtype=float) + 0.5 - HISTORY_STEPS) * time_step
    days = circumstances(person, before, habitual_life(1), middles, parameters)
    young = young_skeleton(parameters)
    tissue, resorption, formation = simulate(young, young, days, time_step, parameters)
    return DayZero(tissue, resorption, formation, jax.tree.map(lambda row: row[-1], days))


def areal_density(course: PersonCourse, site: str, parameters: Parameters) -> Float[Array, " times"]:
    """Return the areal density of a site relative to a healthy person of 30 [-]; its change is what counts.

    Size is taken as constant.

    Args:
        course: By `follow_person`.
        site: One of `SITES`.
        parameters: The law's numbers, which hold the fitted shares.
    """
    return course.mineral @ site_shares(site, parameters)


def strength(course: PersonCourse, site: str, parameters: Parameters) -> Float[Array, " times"]:
    """Return the strength of a site relative to a healthy person of 30 [-], a surrogate without mechanics.

    The mean of the compartments' moduli, weighted by their share of mineral: strength follows stiffness where
    failure comes at a strain. Assumed; where the shape of a bone counts, only finite elements tell.

    Args:
        course: By `follow_person`.
        site: One of `SITES`.
        parameters: The law's numbers, which hold the fitted shares.
    """
    return course.modulus @ site_shares(site, parameters)


def _skeletal_sum(rate: Float[Array, "*times 3"]) -> Float[Array, "*times"]:
    """Return a rate per total volume summed over the skeleton [1/day].

    A compartment's total volume is its bone over its fraction.
    """
    return rate @ (jnp.asarray(SHARES, rate.dtype) / jnp.asarray(FRACTIONS, rate.dtype))
