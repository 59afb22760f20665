"""What a trial file may say as a whole: persons, visits, arms, outcomes."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator

from mechanostat.medication import PERSON_FIELDS, Medication, one_of, rule_of
from mechanostat.study_fields import ArrayOfTables, Table, as_tuple, quantity, table_error
from mechanostat.study_life import AnyActivity
from remodel.outcomes import INSTRUMENTS, QUANTITIES, Outcome
from remodel.population import Distribution, Fixed, TruncatedNormal, Uniform, check_quantity
from remodel.skeleton import SITES


def distribution_of(value: object) -> Distribution:
    """Return the distribution that a field gives: a number, `{mean, sd, low, high}` or `{low, high}`.

    Raises:
        ValueError: Where it is none of them.
    """
    if _is_number(value):
        return Fixed(float(value))  # pyright: ignore[reportArgumentType]
    numbers = value if isinstance(value, dict) else {}
    if not all(map(_is_number, numbers.values())) or numbers.keys() not in (
        {"mean", "sd", "low", "high"},
        {"low", "high"},
    ):
        raise ValueError(
            "give a number, `{mean, sd, low, high}` (truncated normal) or `{low, high}` (uniform)"
        )
    floats = {name: float(number) for name, number in numbers.items()}
    return TruncatedNormal(**floats) if "mean" in floats else Uniform(**floats)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_distribution(value: Any) -> Any:
    """Refuse what is no distribution; nothing is what a field that was left out has."""
    if value is not None:
        distribution_of(value)
    return value


def _is_not_empty(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    if not tables:
        raise ValueError("give at least one")
    return tables


Amount = Annotated[Any, AfterValidator(_is_distribution)]
"""A number of a person, or its distribution."""


def _after_the_start(stop: float | None, info: ValidationInfo) -> float | None:
    start = info.data.get("start_months")
    if stop is not None and start is not None and stop <= start:
        raise ValueError(f"must be later than `start_months` = {start:g}")
    return stop


Start = Annotated[float, quantity(unit="months", text="Start, months after day 0", ge=0, le=600)]
Stop = Annotated[
    float | None,
    quantity(
        unit="months",
        text="Stop, in the same count; the end of the trial if absent",
        gt=0,
        le=600,
        example=24.0,
    ),
]


class Treatment(Medication):
    """A treatment of an arm."""

    start_months: Start = 0.0
    stop_months: Stop = None

    _ordered = field_validator("stop_months")(_after_the_start)


class EarlierTreatment(Medication):
    """A treatment that everybody began before day 0, and may go on with."""

    start_months: float = quantity(
        unit="months", text="Start, months before day 0 as a negative number", ge=-600, lt=0, example=-60.0
    )
    stop_months: float | None = quantity(
        None,
        unit="months",
        text="Stop, in the same count: 0 is day 0; it goes on in every arm if absent",
        ge=-600,
        le=600,
        example=0.0,
    )

    _ordered = field_validator("stop_months")(_after_the_start)


class TrialActivity(AnyActivity):
    """Training on top of habitual life, or bed rest in place of it."""

    start_months: Start = 0.0
    stop_months: Stop = None

    _ordered = field_validator("stop_months")(_after_the_start)


class Population(Table):
    """Who takes part.

    A number of a person is a value, `{mean, sd, low, high}` (normal, cut at `low` and `high`) or `{low, high}`
    (uniform).

    Source:
        What is usual without a value: `remodel/person.py`.
    """

    persons: int = quantity(unit="-", text="How many, the same in every arm", ge=2, le=100_000, example=256)
    seed: int = quantity(1, unit="-", text="The same seed draws the same persons", ge=0, le=2**31)
    sex: Literal["female", "male"] = quantity(unit="-", text="Sex of all", example="female")
    age: Amount = quantity(
        unit="years", text="Age on day 0", example={"mean": 72.3, "sd": 5.2, "low": 60.0, "high": 90.0}
    )
    menopause_age: Amount = quantity(
        None, unit="years", text="Age at the final menstrual period; 51 if absent", example=51.0
    )
    years_since_menopause: Amount = quantity(
        None,
        unit="years",
        text="Time since the final menstrual period, instead; drawn so that it came between 30 and 65",
        example={"low": 5.0, "high": 25.0},
    )
    oophorectomy_age: Amount = quantity(
        None, unit="years", text="Age at removal of both ovaries", example=45.0
    )
    orchiectomy_age: Amount = quantity(None, unit="years", text="Age at removal of both testes", example=60.0)
    weight: Amount = quantity(
        None, unit="kg", text="Body weight; 60 of women and 80 of men if absent", example=64.0
    )
    perimenopause_years: Amount = quantity(
        None, unit="years", text="Width of the fall of estradiol around menopause; 2 if absent", example=2.0
    )
    estradiol: Amount = quantity(
        None, unit="pg/ml", text="Estradiol on day 0 without treatment, mass spectrometry", example=5.0
    )
    testosterone: Amount = quantity(
        None, unit="ng/dl", text="Testosterone on day 0 without treatment", example=350.0
    )
    igf1: Amount = quantity(None, unit="ng/ml", text="IGF-1 on day 0 without treatment", example=120.0)
    vitamin_d: Amount = quantity(None, unit="ng/ml", text="25-hydroxyvitamin D; 30 if absent", example=30.0)
    calcium_mg_per_day: Amount = quantity(
        None, unit="mg/day", text="Calcium in the diet; 1000 if absent", example=1000.0
    )
    hypogonadism: Amount = quantity(
        None, unit="-", text="Share of the natural testosterone that is lost; 0 if absent", example=0.5
    )
    growth_hormone_deficiency: Amount = quantity(
        None, unit="-", text="Share of the natural IGF-1 that is lost; 0 if absent", example=0.4
    )
    nutrition: Amount = quantity(
        None,
        unit="-",
        text="What protein and trace elements multiply bone balance by; 1 if absent; not validated",
        example=1.0,
    )
    parameters: Literal["default", "posterior"] = quantity(
        "default",
        unit="-",
        text="The law's numbers: the same for all, or one draw of the fit for each person",
    )
    before: Annotated[tuple[EarlierTreatment, ...], ArrayOfTables] = quantity(
        (), unit="-", text="Treatments that began before day 0, one table each"
    )

    @field_validator(*PERSON_FIELDS, "years_since_menopause", mode="after")
    @classmethod
    def _fits_a_person(cls, value: Any, info: ValidationInfo) -> Any:
        name, sex = info.field_name or "", info.data.get("sex")
        if value is None or sex is None:
            return value
        if sex == "male" and name in ("menopause_age", "years_since_menopause", "perimenopause_years"):
            raise ValueError('only for `sex = "female"`; leave it out')
        if name in PERSON_FIELDS:
            try:
                check_quantity(PERSON_FIELDS[name], distribution_of(value), sex)
            except ValueError as error:
                raise rule_of(error, name) from None
        return value

    @field_validator("years_since_menopause")
    @classmethod
    def _instead_of_the_age_at_it(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("menopause_age") is not None:
            raise table_error("give one of `menopause_age` and `years_since_menopause`, not both")
        return value


class Visits(Table):
    """When outcomes count."""

    months: Annotated[tuple[int, ...], BeforeValidator(as_tuple)] = quantity(
        unit="months", text="Months after day 0, rising; day 0 is always a visit", example=[12, 24, 36]
    )

    @field_validator("months")
    @classmethod
    def _rise(cls, months: tuple[int, ...]) -> tuple[int, ...]:
        if not months or any(b <= a for a, b in zip((0, *months), months, strict=False)) or months[-1] > 600:
            raise ValueError("whole months from 1 to 600, each later than the one before")
        return months


class Arm(Table):
    """What some persons are given and do; nothing without more tables."""

    name: str = quantity(
        unit="-", text="Name of the arm; the first arm is what others are compared with", min_length=1,
        max_length=60, example="denosumab",
    )  # fmt: skip
    protocol: Annotated[tuple[Treatment, ...], ArrayOfTables] = quantity(
        (), unit="-", text="Treatments, one table each"
    )
    activity: Annotated[tuple[TrialActivity, ...], ArrayOfTables] = quantity(
        (), unit="-", text="Training and bed rest, one table each"
    )
    exposure: float = quantity(
        1.0, unit="-", text="What the arm multiplies falls and heavy lifts by, for risks", gt=0, le=10
    )


described = quantity
"""The same function: the table below has a field of that name."""


class OutcomeTable(Table):
    """What is measured.

    Source:
        `remodel/outcomes.py`.
    """

    quantity: Annotated[str, one_of(QUANTITIES)] = described(unit="-", text="What", example="areal density")
    site: Annotated[str, one_of(SITES)] | None = described(
        None, unit="-", text="Where; not for levels, markers and risks", example="lumbar spine"
    )
    instrument: Annotated[str, one_of(INSTRUMENTS)] = described(
        "true", unit="-", text="What reads it; `true` has no fault"
    )

    @field_validator("instrument")
    @classmethod
    def _belongs_together(cls, instrument: str, info: ValidationInfo) -> str:
        if {"quantity", "site"} <= info.data.keys():
            try:
                Outcome(info.data["quantity"], info.data["site"], instrument)
            except ValueError as error:
                raise table_error(str(error).rstrip(".")) from None
        return instrument


class Trial(Table):
    """A whole trial."""

    title: str = quantity("Trial", unit="-", text="Title of the report", max_length=200)
    citation: str = quantity("", unit="-", text="What real trial it follows; printed", max_length=1000)
    hypotheses: bool = quantity(
        False, unit="-", text="Run it again under four hypotheses of what estradiol does, for their envelope"
    )
    population: Population = quantity(unit="-", text="Who takes part")
    visits: Visits = quantity(unit="-", text="When outcomes count")
    arms: Annotated[tuple[Arm, ...], ArrayOfTables, AfterValidator(_is_not_empty)] = quantity(
        unit="-",
        text="What some persons are given and do, one table for each arm",
        max_length=24,
    )
    outcomes: Annotated[tuple[OutcomeTable, ...], ArrayOfTables, AfterValidator(_is_not_empty)] = quantity(
        unit="-", text="What is measured, one table each", max_length=60
    )

    @field_validator("arms")
    @classmethod
    def _names_differ(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        names = [arm.name for arm in arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each arm needs its own name, got twice: {', '.join(twice)}")
        return arms

    @field_validator("arms")
    @classmethod
    def _within_the_trial(cls, arms: tuple[Arm, ...], info: ValidationInfo) -> tuple[Arm, ...]:
        if "visits" not in info.data:
            return arms
        end = info.data["visits"].months[-1]
        late = [
            f"arms[{k}].{kind}[{i}]"
            for k, arm in enumerate(arms)
            for kind in ("protocol", "activity")
            for i, window in enumerate(getattr(arm, kind))
            if window.start_months >= end
        ]
        if late:
            raise ValueError(f"{', '.join(late)}: starts after the last visit, at {end} months")
        return arms

    @field_validator("outcomes")
    @classmethod
    def _differ(cls, outcomes: tuple[OutcomeTable, ...]) -> tuple[OutcomeTable, ...]:
        if len(set(outcomes)) < len(outcomes):
            raise ValueError("each outcome is measured once, got one twice")
        return outcomes
