"""Quantities of a course that targets are told in: those of trials, cross-sections, porosity, hazards."""

from jaxtyping import Array, Float

from remodel.neck import COMPACT, SECTION, neck_section
from remodel.outcomes import FRACTURES, READ_BY, Outcome, outcome_readings
from remodel.outcomes import QUANTITIES as TRIAL_QUANTITIES
from remodel.parameters import Parameters
from remodel.person import Person
from remodel.risk import BREAKS, hazard
from remodel.skeleton import PersonCourse

TRABECULAR = 0
"""Place of trabecular bone in a course."""

HAZARDS = {f"{fracture} fracture hazard": fracture for fracture in BREAKS}

QUANTITIES = (*TRIAL_QUANTITIES, "resorption", "bone volume fraction", "porosity", *HAZARDS)
"""Everything that a target can be told in by a course."""


def relative_course(
    course: PersonCourse, person: Person, quantity: tuple[str, str, str], parameters: Parameters
) -> Float[Array, " times"]:
    """Return a quantity at each time of a course relative to day 0 [-]; hazards and risks as they are.

    Hazards come in 1/year, risks in 100 persons.

    Args:
        course: Of one person, from day 0 on.
        person: The person.
        quantity: One of `QUANTITIES`, its site and instrument; empty where they have no meaning.
        parameters: The law's numbers.
    """
    name, site, instrument = quantity
    if name in SECTION:
        values = SECTION[name](neck_section(course, parameters))
    elif name in TRIAL_QUANTITIES:
        outcome = Outcome(name, site if name in READ_BY else None, instrument or "true")
        values = outcome_readings(course, outcome, person, parameters)
        if name in FRACTURES:
            return values
    elif name in HAZARDS:
        return hazard(course, person, HAZARDS[name], parameters)
    elif name == "resorption":
        values = course.resorption_marker ** (1.0 / parameters.resorption_marker_exponent)
    else:
        fraction = course.volume_fraction[:, COMPACT if site == "compact bone" else TRABECULAR]
        values = 1.0 - fraction if name == "porosity" else fraction
    return values / values[0]
