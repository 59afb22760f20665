"""What a virtual trial measures of a person: density, strength, markers, levels in serum.

Density, strength and markers are told as change since day 0 in percent; levels as they are.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
from jaxtyping import Array, Float

from remodel.parameters import Parameters
from remodel.skeleton import SITES, PersonCourse, areal_density, strength

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


class Measure(NamedTuple):
    """How a quantity of a site is got from a course."""

    about: str
    values: Callable[[PersonCourse, str, Parameters], Float[Array, " times"]]
    """Relative to a healthy person of 30 [-]."""


MEASURES = {
    "areal density": Measure(
        "Mineral per projected area, as DXA has it, of a bone of constant size", areal_density
    ),
    "volumetric density": Measure("Mineral per volume, of a bone of constant size", areal_density),
    "strength": Measure("Strength by the moduli of the site's compartments, a surrogate", strength),
}
"""Quantities that need a site."""

QUANTITIES = (*MEASURES, *MARKERS, *LEVELS)
"""Everything that can be an outcome."""


class Outcome(eqx.Module):
    """One thing that a trial measures."""

    quantity: str = eqx.field(static=True)
    """One of `QUANTITIES`."""
    site: str | None = eqx.field(static=True, default=None)
    """One of `SITES` for the quantities of `MEASURES`, nothing for those of serum."""

    def __check_init__(self):
        if self.quantity not in QUANTITIES:
            raise ValueError(f"`quantity` is none of {', '.join(QUANTITIES)}; got {self.quantity!r}.")
        if self.quantity in MEASURES:
            if self.site not in SITES:
                raise ValueError(
                    f"`site` of {self.quantity} is one of {', '.join(SITES)}; got {self.site!r}."
                )
        elif self.site is not None:
            raise ValueError(f"`site` has no meaning for {self.quantity}, which is of serum; leave it out.")


def outcome_name(outcome: Outcome) -> str:
    """Return what an outcome is called, such as `lumbar spine areal density`."""
    return outcome.quantity if outcome.site is None else f"{outcome.site} {outcome.quantity}"


def outcome_unit(outcome: Outcome) -> str:
    """Return the unit of an outcome: percent of change, or that of a level."""
    return LEVELS.get(outcome.quantity, "%")


def outcome_values(course: PersonCourse, outcome: Outcome, parameters: Parameters) -> Float[Array, " times"]:
    """Return an outcome at each time of a course, in its unit; a change is since the first time.

    Args:
        course: Of one person, from day 0 on.
        outcome: What is measured.
        parameters: The law's numbers, which hold the shares of the sites.
    """
    if outcome.quantity in LEVELS:
        return getattr(course.brought.signals, outcome.quantity)
    if outcome.quantity in MARKERS:
        values = getattr(course, MARKERS[outcome.quantity])
    else:
        values = MEASURES[outcome.quantity].values(course, outcome.site or "", parameters)
    return 100.0 * (values - values[0]) / values[0]
