"""What study files and trial files share about persons and treatments: fields of a person, doses as masses."""

import difflib
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator

from mechanostat.study_fields import Table, quantity
from remodel.agents import AGENTS
from remodel.treatment import treatment

PERSON_FIELDS = {
    "age": "age",
    "menopause_age": "final_menstrual_period",
    "oophorectomy_age": "oophorectomy",
    "orchiectomy_age": "orchiectomy",
    "weight": "weight",
    "perimenopause_years": "perimenopause_years",
    "estradiol": "estradiol",
    "testosterone": "testosterone",
    "igf1": "igf1",
    "vitamin_d": "vitamin_d",
    "calcium_mg_per_day": "calcium_mg_per_day",
    "hypogonadism": "hypogonadism",
    "growth_hormone_deficiency": "growth_hormone_deficiency",
    "nutrition": "nutrition",
}
"""Fields of `[population]` that are numbers of a person, and their names in `remodel.person.Person`."""

_DOSE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(\S+(?: \S+)*)")


def dose_of(text: str) -> tuple[float, str]:
    """Return the number and the unit of a dose such as `60 mg`.

    Raises:
        ValueError: Where it is no number with a unit.
    """
    parts = _DOSE.fullmatch(text.strip())
    if parts is None:
        raise ValueError('give a number and its unit, mg or µg (or ug), such as "60 mg"')
    return float(parts.group(1)), parts.group(2)


def one_of(names: Sequence[str]) -> AfterValidator:
    """Return a check that a name is one of some, with the nearest one in its message."""

    def check(name: str) -> str:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; the nearest is '{near[0]}'" if near else ""
            raise ValueError(f"allowed: {', '.join(names)}{hint}")
        return name

    return AfterValidator(check)


def rule_of(error: ValueError, field: str = "") -> ValueError:
    """Return an error of a record of ours as the rest of a line that already names field and value."""
    text = str(error).rstrip(".")
    known = PERSON_FIELDS.get(field)
    return ValueError(text.replace(f"`{known}`", f"`{field}`") if known else text)


class Medication(Table):
    """A treatment, whenever it is given.

    Source:
        Doses, intervals and kinetics of each agent: `remodel/agents.py`.
    """

    agent: Annotated[str, one_of(tuple(AGENTS))] = quantity(
        unit="-", text="Hormone or drug", example="denosumab"
    )
    dose: str = quantity(
        unit="-", text="Each dose as a mass, mg or µg (or ug); a patch: what a day delivers", example="60 mg"
    )
    interval_days: float | None = quantity(
        None, unit="days", text="Time between doses; the agent's usual one if absent", gt=0, example=182.625
    )
    adherence: float = quantity(1.0, unit="-", text="Share of the doses that is taken", ge=0, le=1)

    @field_validator("dose")
    @classmethod
    def _is_a_mass_that_people_take(cls, dose: str, info: ValidationInfo) -> str:
        number, unit = dose_of(dose)
        if "agent" in info.data:
            try:
                treatment(info.data["agent"], number, unit)
            except ValueError as error:
                raise rule_of(error) from None
        return dose

    @field_validator("interval_days")
    @classmethod
    def _is_an_interval_that_people_keep(cls, interval: float | None, info: ValidationInfo) -> float | None:
        if interval is not None and "agent" in info.data:
            try:
                treatment(info.data["agent"], 0.0, interval_days=interval)
            except ValueError as error:
                raise rule_of(error) from None
        return interval
