"""Reading a trial file, and turning its tables into the records that are computed with."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import remodel.trial as virtual
from mechanostat.medication import PERSON_FIELDS, dose_of
from mechanostat.modelling import with_activity
from mechanostat.table_file import checked, read_toml
from mechanostat.trial_tables import Arm as ArmTable
from mechanostat.trial_tables import EarlierTreatment, Treatment, Trial, distribution_of
from mechanostat.trial_tables import Population as PopulationTable
from remodel.activity import habitual_life
from remodel.outcomes import Outcome
from remodel.person import NEVER
from remodel.population import Population, draw_persons
from remodel.posterior import posterior_draws
from remodel.skeleton import DAYS_PER_MONTH
from remodel.treatment import Protocol, treatment


def read_trial(path: str | Path) -> Trial:
    """Return the trial in a TOML file.

    Args:
        path: The trial file.

    Raises:
        FileNotFoundError: Where there is no such file.
        ValueError: Where it is no TOML, or with all errors of the trial, one line each.
    """
    path = Path(path)
    return parse_trial(read_toml(path, kind="trial file", page="docs/trials.md"), name=path.name)


def parse_trial(data: Mapping[str, Any], *, name: str = "trial") -> Trial:
    """Return the trial that a mapping describes.

    Args:
        data: Tables and fields, as in a trial file.
        name: What the message calls the trial.

    Raises:
        ValueError: With all errors of the trial, one line each.
    """
    trial = checked(Trial, data, name=name, context={})
    try:
        draw_persons(population_of(trial.population))
    except ValueError as error:
        raise ValueError(f"`{name}` has 1 error:\n  population: {error}") from None
    return trial


def trial_of(trial: Trial) -> virtual.Trial:
    """Return the record of a trial, which needs no file."""
    return virtual.Trial(
        population_of(trial.population),
        tuple(arm_of(arm) for arm in trial.arms),
        trial.visits.months,
        tuple(Outcome(table.quantity, table.site, table.instrument) for table in trial.outcomes),
    )


def population_of(table: PopulationTable) -> Population:
    """Return who takes part in a trial."""
    given = {name: getattr(table, field) for field, name in PERSON_FIELDS.items()}
    years = table.years_since_menopause
    return Population(
        table.persons,
        table.sex,
        {name: distribution_of(value) for name, value in given.items() if value is not None},
        None if years is None else distribution_of(years),
        before=protocol_of(table.before),
        draws=posterior_draws() if table.parameters == "posterior" else None,
        seed=table.seed,
    )


def arm_of(table: ArmTable) -> virtual.Arm:
    """Return what the persons of an arm are given and do."""
    plan = habitual_life(1)
    for activity in table.activity:
        start, stop = _days(activity.start_months, activity.stop_months)
        plan = with_activity(plan, activity, start_day=start, stop_day=stop)
    return virtual.Arm(table.name, protocol_of(table.protocol), plan, table.exposure)


def protocol_of(tables: Iterable[Treatment | EarlierTreatment]) -> Protocol:
    """Return the treatments of some tables."""
    parts = []
    for table in tables:
        start, stop = _days(table.start_months, table.stop_months)
        number, unit = dose_of(table.dose)
        parts.append(
            treatment(
                table.agent,
                number,
                unit,
                interval_days=table.interval_days,
                start_day=start,
                stop_day=stop,
                adherence=table.adherence,
            )
        )
    return tuple(parts)


def _days(start_months: float, stop_months: float | None) -> tuple[float, float]:
    stop = NEVER if stop_months is None else stop_months * DAYS_PER_MONTH
    return start_months * DAYS_PER_MONTH, stop
