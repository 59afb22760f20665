"""What a virtual trial measures of a person: density, strength, shape, markers, fractures, levels in serum.

Density, strength, shape and markers are told as change since day 0 in percent; risks and levels as they are.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.fracture import fracture_probability
from remodel.instruments import InstrumentParameters, lumbar_drift, marrow_fat, single_energy_density
from remodel.mineral import MINERAL_DENSITY
from remodel.neck import SECTION, neck_section
from remodel.parameters import Parameters, Scalar
from remodel.person import Person, age_on
from remodel.risk import BREAKS, hazard
from remodel.skeleton import SITES, PersonCourse, areal_density, site_shares, strength, young_skeleton

FRACTURES = {f"{name} fracture risk": name for name in BREAKS}
"""Probabilities of a first fracture since day 0 that can be an outcome."""

RISK_UNIT = "in 100 persons"

LEVELS = {
    "estradiol": "pg/ml",
    "testosterone": "ng/dl",
    "progesterone": "ng/ml",
    "igf1": "ng/ml",
    "pth": "pM",
    "glucocorticoid": "mg/day of prednisone",
    "denosumab": "ng/ml",
    "romosozumab": "µg/ml",
    "teriparatide": "times 20 µg/day",
}
"""Levels that can be an outcome, by the names of `Signals`, with their units. Of what is injected a visit sees the day
before, which as a rule is the lowest of its interval."""

MARKERS = {"CTX": "resorption_marker", "P1NP": "formation_marker"}
"""Turnover markers, and where a course keeps them."""


INSTRUMENTS = ("true", "DXA", "QCT", "HR-pQCT")
"""What may read a density: nothing that errs, DXA with its lumbar drift, single-energy QCT that takes marrow fat for
missing mineral, HR-pQCT, whose mean densities are true."""

READ_BY = {
    "areal density": ("true", "DXA"),
    "volumetric density": ("true", "QCT", "HR-pQCT"),
    "strength": ("true",),
    **dict.fromkeys(SECTION, ("true",)),
}
"""Quantities of a site, and the instruments that read them; those of a section are of the femoral neck alone."""

QUANTITIES = (*READ_BY, *MARKERS, *FRACTURES, *LEVELS)
"""Everything that can be an outcome."""


class Outcome(eqx.Module):
    """One thing that a trial measures."""

    quantity: str = eqx.field(static=True)
    """One of `QUANTITIES`."""
    site: str | None = eqx.field(static=True, default=None)
    """One of `SITES` for the quantities of `READ_BY`, the femoral neck for those of a section; nothing for those of
    serum and for risks."""

    instrument: str = eqx.field(static=True, default="true")
    """One of those in `READ_BY`; `"true"` for everything in serum and for risks."""

    def __check_init__(self):
        if self.quantity not in QUANTITIES:
            raise ValueError(f"`quantity` is none of {', '.join(QUANTITIES)}; got {self.quantity!r}.")
        if self.quantity in READ_BY and self.site not in SITES:
            raise ValueError(f"`site` of {self.quantity} is one of {', '.join(SITES)}; got {self.site!r}.")
        if self.quantity in SECTION and self.site != "femoral neck":
            raise ValueError(f"`site` of {self.quantity} is femoral neck; got {self.site!r}.")
        if self.quantity not in READ_BY and self.site is not None:
            whose = "the person" if self.quantity in FRACTURES else "serum"
            raise ValueError(f"`site` has no meaning for {self.quantity}, which is of {whose}; leave it out.")
        allowed = READ_BY.get(self.quantity, ("true",))
        if self.instrument not in allowed:
            raise ValueError(
                f"`instrument` of {self.quantity} is one of {', '.join(allowed)}; got {self.instrument!r}."
            )


def outcome_name(outcome: Outcome) -> str:
    """Return what an outcome is called, such as `lumbar spine areal density by DXA`."""
    what = outcome.quantity if outcome.site is None else f"{outcome.site} {outcome.quantity}"
    return what if outcome.instrument == "true" else f"{what} by {outcome.instrument}"


def outcome_unit(outcome: Outcome) -> str:
    """Return the unit of an outcome: percent of change, that of a level, or that of a risk."""
    return RISK_UNIT if outcome.quantity in FRACTURES else LEVELS.get(outcome.quantity, "%")


def is_change(outcome: Outcome) -> bool:
    """Return whether an outcome is told as change since day 0, or as it is."""
    return outcome.quantity not in (*FRACTURES, *LEVELS)


def outcome_readings(
    course: PersonCourse,
    outcome: Outcome,
    person: Person,
    parameters: Parameters,
    *,
    exposure: Scalar = 1.0,
) -> Float[Array, " times"]:
    """Return what is read at each time of a course: levels and risks in their unit, else what only ratios count of.

    Args:
        course: Of one person, from day 0 on.
        outcome: What is measured.
        person: The person.
        parameters: The law's numbers, which hold the shares of the sites.
        exposure: What multiplies falls and lifts [-].
    """
    if outcome.quantity in FRACTURES:
        rate = hazard(course, person, FRACTURES[outcome.quantity], parameters, exposure=exposure)
        return 100.0 * fracture_probability(course.day, rate)
    if outcome.quantity in SECTION:
        return SECTION[outcome.quantity](neck_section(course, parameters))
    if outcome.quantity in LEVELS:
        return getattr(course.brought.signals, outcome.quantity)
    if outcome.quantity in MARKERS:
        return getattr(course, MARKERS[outcome.quantity])
    site = outcome.site or ""
    if outcome.quantity == "strength":
        return strength(course, site, parameters)
    if outcome.instrument == "QCT":
        return quantitative_tomography(course, site, person, parameters)
    # A bone of constant size: mineral per area and mineral per volume change alike.
    density = areal_density(course, site, parameters)
    if outcome.instrument == "DXA" and site == "lumbar spine":
        return density * lumbar_drift(age_on(person, course.day), InstrumentParameters())
    return density


def quantitative_tomography(
    course: PersonCourse, site: str, person: Person, parameters: Parameters
) -> Float[Array, " times"]:
    """Return what single-energy QCT reads of a site, whose marrow turns to fat [mg HA/cm³].

    Args:
        course: Of one person.
        site: One of `SITES`; `"trabecular bone"` for the inside of a vertebra.
        person: The person.
        parameters: The law's numbers.
    """
    young = young_skeleton(parameters)
    volumes = site_shares(site, parameters) / young.mineral
    volumes = volumes / jnp.sum(volumes)
    density = 1000.0 * MINERAL_DENSITY * (course.mineral * young.mineral[None]) @ volumes
    signals, numbers = course.brought.signals, InstrumentParameters()
    fat = marrow_fat(
        age_on(person, course.day), person.sex, signals.estrogen_deficit, signals.androgen_deficit, numbers
    )
    region = jnp.ones(1, dtype=bool)  # the whole site is one element of its mean density

    def read(
        density: Float[Array, ""], fraction: Float[Array, ""], fat: Float[Array, ""]
    ) -> Float[Array, ""]:
        return single_energy_density(density[None], fraction[None], region, fat, numbers)

    return jax.vmap(read)(density, course.volume_fraction @ volumes, fat)
