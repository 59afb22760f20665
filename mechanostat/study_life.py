"""The tables of a study file about the years: person, time, treatments, activity, remodeling."""

from typing import Annotated, Literal

from pydantic import ValidationInfo, field_validator

from mechanostat.study_fields import Table, quantity

AGENTS = ("estradiol-transdermal",)
"""The hormones and drugs that a protocol can name."""


class Person(Table):
    """Whose bone it is.

    Source:
        Age at menopause 51 ± 3 years: Sowers et al. 2010, J. Clin. Endocrinol. Metab. 95:2155-2162,
        doi:10.1210/jc.2009-0659.
    """

    sex: Literal["female", "male"] = quantity(unit="-", text="Sex", example="female")
    age: float = quantity(unit="years", text="Age at the scan", ge=20, le=100, example=50.0)
    menopause_age: float | None = quantity(
        None,
        unit="years",
        text="Age at the final menstrual period; 51 for a woman if absent",
        ge=30,
        le=65,
        example=51.0,
    )
    oophorectomy_age: float | None = quantity(
        None, unit="years", text="Age at removal of both ovaries", ge=20, le=80, example=45.0
    )

    @field_validator("menopause_age", "oophorectomy_age")
    @classmethod
    def _of_a_woman(cls, age: float | None, info: ValidationInfo) -> float | None:
        if age is not None and info.data.get("sex") == "male":
            raise ValueError('only for `sex = "female"`; leave it out')
        return age


class TimeAxis(Table):
    """How long, and in which steps."""

    years: float = quantity(unit="years", text="Length of the study", gt=0, le=80, example=10.0)
    step_days: int = quantity(60, unit="days", text="Days between two finite-element solves", ge=1, le=360)
    inner_step_days: float = quantity(
        2.0, unit="days", text="Step of the cell and mineral laws; divides `step_days`", gt=0, le=8
    )
    report_days: int = quantity(
        360, unit="days", text="Days between two reports; multiple of `step_days`", ge=1
    )

    @field_validator("inner_step_days")
    @classmethod
    def _divides_the_step(cls, inner: float, info: ValidationInfo) -> float:
        step = info.data.get("step_days")
        if step is not None and abs(step / inner - round(step / inner)) > 1e-9:
            raise ValueError(f"must divide `step_days` = {step} without remainder")
        return inner

    @field_validator("report_days")
    @classmethod
    def _is_a_multiple_of_the_step(cls, report: int, info: ValidationInfo) -> int:
        step = info.data.get("step_days")
        if step is not None and report % step:
            nearest = max(step, round(report / step) * step)
            raise ValueError(f"must be a multiple of `step_days` = {step}, for example {nearest}")
        return report


def _after_the_start(stop: float | None, info: ValidationInfo) -> float | None:
    start = info.data.get("start_years")
    if stop is not None and start is not None and stop <= start:
        raise ValueError(f"must be later than `start_years` = {start:g}")
    return stop


Start = Annotated[float, quantity(unit="years", text="Start, years after the start of the study", ge=0)]
Stop = Annotated[
    float | None,
    quantity(unit="years", text="Stop, in the same count; the end of the study if absent", gt=0, example=5.0),
]


class Protocol(Table):
    """A treatment. Doses of windows that overlap add up.

    Source:
        Patches on the market deliver 14 to 100 µg/day; 14 in the ULTRA trial, Ettinger et al. 2004,
        Obstet. Gynecol. 104:443-451, doi:10.1097/01.AOG.0000137833.43248.79.
    """

    agent: str = quantity(unit="-", text="Hormone or drug", example=AGENTS[0])
    dose_ug_per_day: float = quantity(
        unit="µg/day", text="Dose that the patch delivers", gt=0, le=100, example=50.0
    )

    start_years: Start = 0.0
    stop_years: Stop = None

    _ordered = field_validator("stop_years")(_after_the_start)

    @field_validator("agent")
    @classmethod
    def _is_known(cls, agent: str) -> str:
        if agent not in AGENTS:
            allowed = ", ".join(f"'{name}'" for name in AGENTS)
            raise ValueError(f"allowed: {allowed}; other hormones and drugs come with the endocrine layer")
        return agent


class Activity(Table):
    """A change of the habitual loads: training on top of them, or bed rest in place of them.

    Source:
        Two bouts of about 100 cycles a week: Watson et al. 2018 (LIFTMOR), J. Bone Miner. Res. 33:211-220,
        doi:10.1002/jbmr.3284.
    """

    kind: Literal["training", "bed_rest"] = quantity(
        unit="-", text="Training or bed rest", example="training"
    )
    load_factor: float = quantity(
        unit="-",
        text="Load relative to the habitual one: 2 to 2.5 resistance, 0.3 bed rest",
        gt=0,
        le=6,
        example=2.0,
    )
    bouts_per_week: float | None = quantity(
        None, unit="1/week", text="Bouts of training a week", gt=0, le=50, example=2.0, chosen=True
    )
    cycles_per_bout: float | None = quantity(
        None, unit="-", text="Load cycles in a bout of training", gt=0, le=10000, example=100.0, chosen=True
    )

    start_years: Start = 0.0
    stop_years: Stop = None

    _ordered = field_validator("stop_years")(_after_the_start)

    @field_validator("load_factor")
    @classmethod
    def _fits_the_kind(cls, factor: float, info: ValidationInfo) -> float:
        if info.data.get("kind") == "bed_rest" and factor >= 1:
            raise ValueError("bed rest lowers the load: below 1")
        return factor

    @field_validator("bouts_per_week", "cycles_per_bout")
    @classmethod
    def _belongs_to_training(cls, value: float | None, info: ValidationInfo) -> float | None:
        kind = info.data.get("kind")
        if kind == "training" and value is None:
            raise ValueError('is missing; `kind = "training"` needs it')
        if kind == "bed_rest" and value is not None:
            raise ValueError('only for `kind = "training"`; leave it out')
        return value


class Remodeling(Table):
    """What bone senses, how far osteocytes see, and what they compare it with.

    Source:
        Kernel length: Mullender & Huiskes 1995, J. Orthop. Res. 13:503-512, doi:10.1002/jor.1100130405;
        set point and gain: fitted jointly to clinical data, weakly identified.
    """

    stimulus: Literal["effective-apparent-strain", "tissue-energy"] = quantity(
        "effective-apparent-strain",
        unit="-",
        text="What bone senses; tissue-energy is unstable, for comparison",
    )
    kernel_length: float = quantity(
        0.1,
        unit="mm",
        text="How far an osteocyte senses; 0 for none, else at least one voxel is used",
        ge=0,
        le=5,
    )
    reference: Literal["local", "global", "blend"] = quantity(
        "local", unit="-", text="Reference: of each place, one for all, or between"
    )
    reference_strain: float | None = quantity(
        None, unit="-", text="Reference strain; with `global` and `blend`", gt=0, lt=0.01, example=0.0008
    )
    blend_weight: float | None = quantity(
        None, unit="-", text="Share of the global reference; with `blend`", gt=0, lt=1, example=0.3
    )
    estradiol_set_point: float = quantity(
        0.056, unit="-", text="Rise of the set point without estradiol", ge=0, le=0.3
    )
    estradiol_gain: float = quantity(0.0, unit="-", text="Loss of gain without estradiol", ge=0, le=0.9)

    @field_validator("reference_strain", "blend_weight")
    @classmethod
    def _belongs_to_the_reference(cls, value: float | None, info: ValidationInfo) -> float | None:
        users = ("blend",) if info.field_name == "blend_weight" else ("global", "blend")
        reference = info.data.get("reference")
        if reference is not None and (reference in users) != (value is not None):
            what = "needed" if value is None else "not used"
            raise ValueError(f'{what} with `reference = "{reference}"`')
        return value
