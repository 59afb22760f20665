"""What a study file may say as a whole."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from mechanostat.study_bone import Bone, Load, Mechanics, Strength
from mechanostat.study_fields import ArrayOfTables, Table, quantity
from mechanostat.study_life import Activity, Habit, Person, Protocol, Remodeling, TimeAxis

Loads = Annotated[tuple[Load, ...], ArrayOfTables, Field(min_length=1)]
Protocols = Annotated[tuple[Protocol, ...], ArrayOfTables]
Activities = Annotated[tuple[Activity, ...], ArrayOfTables]


class Output(Table):
    """What is written beside `result.json`."""

    pictures: bool = quantity(True, unit="-", text="Pictures as PNG and in the report")
    report: bool = quantity(True, unit="-", text="`report.html`")
    fields: bool = quantity(True, unit="-", text="Fields over time as `.vtkhdf`")


class Study(Table):
    """A whole study."""

    title: str = quantity("Study", unit="-", text="Title of the report", max_length=200)
    bone: Bone = quantity(unit="-", text="The scan and how it becomes a mesh")
    mechanics: Mechanics = quantity(Mechanics(), unit="-", text="Elastic constants and solver")
    loads: Loads = quantity(unit="-", text="Habitual loads, one table each")
    habit: Habit = quantity(Habit(), unit="-", text="How often the loads act")
    strength: Strength = quantity(Strength(), unit="-", text="Strength test")
    person: Person = quantity(unit="-", text="Whose bone it is")
    time: TimeAxis = quantity(unit="-", text="How long, and in which steps")
    remodeling: Remodeling = quantity(Remodeling(), unit="-", text="The remodeling law")
    protocol: Protocols = quantity((), unit="-", text="Treatments, one table each")
    activity: Activities = quantity((), unit="-", text="Training and bed rest, one table each")
    output: Output = quantity(Output(), unit="-", text="What is written")

    @field_validator("loads")
    @classmethod
    def _names_differ(cls, loads: tuple[Load, ...]) -> tuple[Load, ...]:
        names = [load.name for load in loads]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each load needs its own name, got twice: {', '.join(twice)}")
        return loads

    @field_validator("time")
    @classmethod
    def _holds_a_step(cls, time: TimeAxis) -> TimeAxis:
        if time.years * 365.25 < time.report_days:
            raise ValueError(f"`years` = {time.years:g} is shorter than `report_days` = {time.report_days}")
        return time

    @field_validator("protocol", "activity")
    @classmethod
    def _within_the_study(cls, windows: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if "time" not in info.data:
            return windows
        years = info.data["time"].years
        late = [f"{info.field_name}[{k}]" for k, window in enumerate(windows) if window.start_years >= years]
        if late:
            raise ValueError(
                f"{', '.join(late)}: starts after the study has ended (`time.years` = {years:g})"
            )
        return windows
