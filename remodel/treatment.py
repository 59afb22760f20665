"""What a person is given: one treatment, and the protocol that several make.

A dose is a mass. "Units" and volumes are refused: the units that popular sources give for testosterone are
marks on a syringe, whose content depends on the vial (10 units of 200 mg/ml are 20 mg, a man's weekly dose).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.agent_levels import Recipient
from remodel.agents import AGENTS
from remodel.parameters import Parameters, Scalar
from remodel.person import NEVER, Person, body_weight
from remodel.pharmacokinetics import Dosing, denosumab_level

PER_MICROGRAM = {"mg": 1e-3, "µg": 1.0}
"""Micrograms in a unit of dose, inverted: what a microgram is in it."""


class Treatment(eqx.Module):
    """An agent at one dose over one stretch of time; usually made by `treatment`."""

    agent: str = eqx.field(static=True)
    """Name in `AGENTS`."""
    dose: Scalar
    """Each dose, in the agent's own unit [mg or µg]; a patch: per day."""
    interval_days: Scalar
    """Time between doses [day]."""
    start_day: Scalar = 0.0
    """Day of the first dose, counted from day 0 of the study, may be negative [day]."""
    stop_day: Scalar = NEVER
    """Day from which on no dose is given [day]."""
    adherence: Scalar = 1.0
    """Share of the doses that is taken; counts as that share of each dose [-]."""

    def __check_init__(self):
        if self.agent not in AGENTS:
            raise ValueError(f"`agent` is unknown: {self.agent!r}; give one of {', '.join(AGENTS)}.")
        known = AGENTS[self.agent]
        low, high = known.intervals
        _refuse(
            self.dose,
            0.0,
            known.highest,
            f"`dose` of {self.agent} must be between 0 and {known.highest:g} {known.unit} each, "
            f"every {known.interval:g} days as a rule",
        )
        _refuse(
            self.interval_days,
            low,
            high,
            f"`interval_days` of {self.agent} must be between {low:g} and {high:g} days",
        )
        _refuse(self.adherence, 0.0, 1.0, "`adherence` is the share of doses taken, between 0 and 1")
        start, stop = self.start_day, self.stop_day
        if isinstance(start, int | float) and isinstance(stop, int | float) and not start < stop:
            raise ValueError(
                f"`stop_day` must come after `start_day`, got {stop} and {start}; "
                "leave `stop_day` out to go on."
            )


Protocol = tuple[Treatment, ...]
"""Any number of treatments in any order; the same agent twice adds up."""


def treatment(
    agent: str,
    dose: Scalar,
    unit: str | None = None,
    *,
    interval_days: Scalar | None = None,
    start_day: Scalar = 0.0,
    stop_day: Scalar = NEVER,
    adherence: Scalar = 1.0,
) -> Treatment:
    """Return a treatment, its dose taken into the agent's own unit and its interval the usual one.

    Args:
        agent: Name in `AGENTS`.
        dose: Each dose; of a patch, what it delivers in a day.
        unit: `"mg"` or `"µg"` (also `"ug"`, `"mcg"`); the agent's own if absent.
        interval_days: Time between doses; the agent's usual one if absent [day].
        start_day: Day of the first dose, counted from day 0 of the study [day].
        stop_day: Day from which on none is given [day].
        adherence: Share of the doses that is taken [-].

    Raises:
        ValueError: For an unknown agent, a unit that is no mass, a number outside the agent's range, or an
            end before the start.
    """
    if agent not in AGENTS:
        raise ValueError(f"`agent` is unknown: {agent!r}; give one of {', '.join(AGENTS)}.")
    known = AGENTS[agent]
    given = _mass_unit(agent, unit) if unit is not None else known.unit
    if given != known.unit:
        dose = dose * (PER_MICROGRAM[known.unit] / PER_MICROGRAM[given])
    interval = known.interval if interval_days is None else interval_days
    return Treatment(agent, dose, interval, start_day, stop_day, adherence)


def given_level(
    protocol: Protocol,
    level: str,
    person: Person,
    now: Float[Array, "*times"],
    parameters: Parameters,
) -> Float[Array, "*times"]:
    """Return what all treatments together add to a level, in its unit.

    Args:
        protocol: What is given.
        level: Name in `LEVELS`.
        person: Who gets it.
        now: Days asked; for denosumab rising [day].
        parameters: Gains from dose to level.
    """
    recipient = Recipient(person.sex, body_weight(person), parameters)
    if level == "denosumab":
        return denosumab_level(dosings(protocol, level), recipient.weight, now)
    total = jnp.zeros_like(now)
    for part in protocol:
        law = AGENTS[part.agent].levels.get(level)
        if law is not None:
            total = total + law(dosing_of(part), now, recipient)
    return total


def dosings(protocol: Protocol, level: str) -> list[Dosing]:
    """Return the series of doses of all treatments that add to a level."""
    return [dosing_of(part) for part in protocol if level in AGENTS[part.agent].levels]


def dosing_of(part: Treatment) -> Dosing:
    """Return the doses of a treatment that are taken."""
    return Dosing(part.dose * part.adherence, part.interval_days, part.start_day, part.stop_day)


def _mass_unit(agent: str, unit: str) -> str:
    """Return a unit of mass, spelled as in `AGENTS`."""
    mass = {"mg": "mg", "µg": "µg", "μg": "µg", "ug": "µg", "mcg": "µg"}.get(unit.strip().lower())
    if mass is not None:
        return mass
    message = f"`unit` of {agent} must be mg or µg, got {unit!r}. "
    if unit.strip().lower() in ("units", "unit", "u", "ml"):
        message += (
            "Units on a syringe are hundredths of a millilitre, a volume: multiply it by the strength of the vial "
            "(10 units of 200 mg/ml are 0.1 ml, 20 mg)."
        )
    elif unit.strip().lower() == "iu":
        message += (
            "International units differ by substance: 40 IU of vitamin D are 1 µg, 3 IU of somatropin 1 mg."
        )
    else:
        message += f"Its own unit is {AGENTS[agent].unit}, each dose."
    raise ValueError(message)


def _refuse(value: Scalar, low: float, high: float, rule: str) -> None:
    """Refuse a Python number outside [low, high]; arrays may be traced and are let through."""
    if isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(f"{rule}, got {value:g}.")
