"""The tables of a study file about the years: person, time, treatments, activity, remodeling."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationInfo, field_validator

from mechanostat.medication import PERSON_FIELDS, Medication, rule_of
from mechanostat.study_fields import Axis, Table, as_tuple, quantity
from remodel.parameters import Parameters
from remodel.population import Fixed, check_quantity

_LAW = Parameters()


class Person(Table):
    """Whose bone it is. A laboratory value scales the natural curve of its hormone to pass through it at the scan.

    Source:
        Age at menopause 51 ± 3 years: Sowers et al. 2010, J. Clin. Endocrinol. Metab. 95:2155-2162,
        doi:10.1210/jc.2009-0659. What is usual without a value: `remodel/person.py`.
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
    orchiectomy_age: float | None = quantity(
        None, unit="years", text="Age at removal of both testes", ge=20, le=100, example=60.0
    )
    perimenopause_years: float | None = quantity(
        None, unit="years", text="Width of the fall of estradiol around menopause; 2 if absent", example=2.0
    )
    weight: float | None = quantity(
        None, unit="kg", text="Body weight; 60 of a woman and 80 of a man if absent", example=64.0
    )
    estradiol: float | None = quantity(
        None,
        unit="pg/ml",
        text="Estradiol at the scan without treatment, by mass spectrometry",
        example=5.0,
    )
    testosterone: float | None = quantity(
        None, unit="ng/dl", text="Testosterone at the scan without treatment", example=350.0
    )
    igf1: float | None = quantity(
        None, unit="ng/ml", text="IGF-1 at the scan without treatment", example=120.0
    )
    vitamin_d: float | None = quantity(
        None, unit="ng/ml", text="25-hydroxyvitamin D; 30 if absent", example=30.0
    )
    calcium_mg_per_day: float | None = quantity(
        None, unit="mg/day", text="Calcium in the diet; 1000 if absent", example=1000.0
    )
    hypogonadism: float | None = quantity(
        None, unit="-", text="Share of the natural testosterone that is lost; 0 if absent", example=0.5
    )
    growth_hormone_deficiency: float | None = quantity(
        None, unit="-", text="Share of the natural IGF-1 that is lost; 0 if absent", example=0.4
    )
    nutrition: float | None = quantity(
        None,
        unit="-",
        text="What protein and trace elements multiply bone balance by; 1 if absent; not validated",
        example=1.0,
    )

    @field_validator(*PERSON_FIELDS)
    @classmethod
    def _fits_a_person(cls, value: float | None, info: ValidationInfo) -> float | None:
        name, sex = info.field_name or "", info.data.get("sex")
        if value is None or sex is None or name == "age":
            return value
        if sex == "male" and name in ("menopause_age", "perimenopause_years", "oophorectomy_age"):
            raise ValueError('only for `sex = "female"`; leave it out')
        if sex == "female" and name == "orchiectomy_age":
            raise ValueError('only for `sex = "male"`; leave it out')
        try:
            check_quantity(PERSON_FIELDS[name], Fixed(value), sex)
        except ValueError as error:
            raise rule_of(error, name) from None
        return value


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


class Protocol(Medication):
    """A treatment; any number of them, in any order, and the same agent twice adds up."""

    start_years: Annotated[
        float,
        quantity(unit="years", text="Start, years after the start of the study; negative before it", ge=-60),
    ] = 0.0
    stop_years: Annotated[
        float | None,
        quantity(
            unit="years", text="Stop, in the same count; the end of the study if absent", ge=-60, example=5.0
        ),
    ] = None

    _ordered = field_validator("stop_years")(_after_the_start)


class AnyActivity(Table):
    """A change of the habitual loads, whatever its times are counted in.

    Source:
        Twice a week 20 sets of five repetitions: Watson et al. 2018 (LIFTMOR), J. Bone Miner. Res.
        33:211-220, doi:10.1002/jbmr.3284.
    """

    kind: Literal["training", "bed_rest"] = quantity(
        unit="-", text="Training or bed rest", example="training"
    )
    load_factor: float | None = quantity(
        None,
        unit="-",
        text="Strain relative to the habitual one: 2 to 2.5 with heavy weights; 0.34 in bed rest if absent",
        gt=0,
        le=6,
        example=2.5,
        chosen=True,
    )
    bouts_per_week: float | None = quantity(
        None, unit="1/week", text="Sets of training a week", gt=0, le=200, example=40.0, chosen=True
    )
    cycles_per_bout: float | None = quantity(
        None, unit="-", text="Load cycles in a set of training", gt=0, le=10000, example=5.0, chosen=True
    )

    @field_validator("load_factor")
    @classmethod
    def _fits_the_kind(cls, factor: float | None, info: ValidationInfo) -> float | None:
        if info.data.get("kind") == "training" and factor is None:
            raise ValueError('`kind = "training"` needs it')
        if info.data.get("kind") == "bed_rest" and factor is not None and factor >= 1:
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


class Activity(AnyActivity):
    """A change of the habitual loads: training on top of them, or bed rest in place of them."""

    start_years: Start = 0.0
    stop_years: Stop = None

    _ordered = field_validator("stop_years")(_after_the_start)


class Remodeling(Table):
    """What bone senses, how far osteocytes see, and what they compare it with.

    Source:
        Set point and gain: `remodel/parameters.py`, fitted to clinical data but weakly identified.
    """

    stimulus: Literal["effective-apparent-strain", "tissue-energy"] = quantity(
        "effective-apparent-strain",
        unit="-",
        text="What bone senses; tissue-energy is unstable, for comparison",
    )
    kernel_length: float | None = quantity(
        None,
        unit="mm",
        text="How far an osteocyte senses; 0 for none; 0.1 mm or a voxel, the longer one, if absent",
        ge=0,
        le=5,
        example=0.1,
    )
    frozen_margin: float | None = quantity(
        None,
        unit="mm",
        text="Bone so near a loaded plane senses the mean change; a kernel length or a voxel if absent",
        ge=0,
        le=50,
        example=0.2,
    )
    reference: Literal["local", "global", "blend"] = quantity(
        "local", unit="-", text="What bone compares with: of each place, one per tissue, or between"
    )
    global_share: float | None = quantity(
        None, unit="-", text="Share of the global reference; with `blend`", gt=0, lt=1, example=0.3
    )
    set_point_estrogen: float = quantity(
        _LAW.set_point_estrogen, unit="-", text="Rise of the set point without estradiol", ge=0, le=0.3
    )
    numbness_estrogen: float = quantity(
        _LAW.numbness_estrogen, unit="-", text="Fall of the gain without estradiol", ge=0, le=0.9
    )
    balance_progesterone: float = quantity(
        _LAW.balance_progesterone, unit="-", text="Rise of bone balance by progesterone", ge=0, le=0.05
    )
    disuse_burst: float = quantity(
        _LAW.disuse_burst, unit="-", text="Passing rise of RANKL when load is lost", ge=0, le=3
    )
    damage_resorption: float = quantity(
        _LAW.damage_resorption, unit="-", text="Rise of resorption per excess of microdamage", ge=0, le=1
    )
    woven_rate: float = quantity(
        _LAW.woven_rate, unit="mm/day", text="Woven bone where strain is far above habit", ge=0, le=0.005
    )
    outer_surface: Literal["still", "grows"] = quantity(
        "still", unit="-", text="Whether the periosteum moves, by one voxel at most"
    )
    cut_axes: Annotated[tuple[Axis, ...], BeforeValidator(as_tuple)] = quantity(
        ("z",), unit="-", text="Axes across which the bone is cut at both ends; none of a whole bone"
    )

    @field_validator("global_share")
    @classmethod
    def _belongs_to_blend(cls, share: float | None, info: ValidationInfo) -> float | None:
        reference = info.data.get("reference")
        if reference is not None and (reference == "blend") != (share is not None):
            what = "needed" if share is None else "not used"
            raise ValueError(f'{what} with `reference = "{reference}"`')
        return share


class Habit(Table):
    """How often the habitual loads act; each of them once in every cycle.

    Source:
        `remodel/activity.py`.
    """

    cycles_per_day: float = quantity(7000.0, unit="1/day", text="Load cycles a day", gt=0, le=1e6)
    bouts_per_day: float = quantity(3.0, unit="1/day", text="Bouts that they come in", gt=0, le=1000)
