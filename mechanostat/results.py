"""The records of `result.json`: what `solve` and `run` write, as promised to other programs."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Status = Literal["converged", "max_iterations", "stagnated", "indefinite", "not_finite", "zero_load"]


class Record(BaseModel):
    """What all records share: no unknown fields, no NaN in a file (it becomes null)."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null", populate_by_name=True)


class Input(Record):
    """The file that was read: its name without its folder, which may tell who is in it."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    spacing: tuple[float, float, float]
    """Edges of a voxel [mm]."""
    shape: tuple[int, int, int]

    @model_validator(mode="after")
    def _name_without_folder(self) -> Self:
        if "/" in self.name or "\\" in self.name:
            raise ValueError("`name` is the file's name alone; a folder may hold a patient's name.")
        return self


class EffectiveStrain(Record):
    """Percentiles of the effective strain over the elements solved [-]."""

    p05: float
    p25: float
    median: float
    p75: float
    p95: float
    max: float


class SolveSeconds(Record):
    """Where the time of a solve went [s]."""

    read: float
    setup: float
    compile: float
    solve: float
    write: float


class SolveResult(Record):
    """One finite-element analysis, schema `mechanostat.solve/1`."""

    schema_name: Literal["mechanostat.solve/1"] = Field(default="mechanostat.solve/1", alias="schema")
    status: Status
    case: str
    axis: Literal["x", "y", "z"]
    strain: float
    elements: int
    nodes: int
    unknowns: int
    islands_removed: int
    iterations: int
    residual: float
    """True residual |f - K u| / |f|, recomputed [-]."""
    criterion: Literal["reaction"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """Only in the result of a solve that ended because the reaction no longer changed, as the user had asked."""
    reaction_force: tuple[float, float, float] | None
    """Reaction on the loaded plane [N]."""
    stiffness: float | None
    """[N/mm]; moment cases [N mm/rad]."""
    apparent_modulus: float | None
    """[MPa]."""
    strain_energy_density_mean: float | None
    """Mean over the elements solved of the centroid value [MPa]."""
    effective_strain: EffectiveStrain | None
    failure_load: dict[str, float] | None
    """[N] by criterion; null unless converged."""
    seconds: SolveSeconds
    peak_memory_bytes: int
    device_peak_memory_bytes: int | None = None
    device: str
    precision: Literal["single", "mixed", "double"]
    preconditioner: str
    versions: dict[str, str]
    input: Input

    @model_validator(mode="after")
    def _strength_only_of_a_converged_solve(self) -> Self:
        if self.failure_load is not None and self.status != "converged":
            raise ValueError(
                f"`failure_load` of a solve that ended `{self.status}` would be a plausible wrong number; "
                "give None."
            )
        return self


class Outcomes(Record):
    """What became of the bone: one number per time of the report, in each list."""

    bone_volume: list[float]
    """Volume of mineralised and unmineralised matrix [mm³]."""
    bone_volume_fraction: dict[str, list[float]]
    """By region, per volume of its elements [-]."""
    bone_mineral_density: dict[str, list[float]]
    """By region, per volume of its elements [mg HA/cm³]."""
    stiffness: dict[str, list[float | None]]
    """By load case; null where that solve did not converge [N/mm]."""
    failure_load: dict[str, list[float | None]]
    """By load case; null where that solve did not converge [N]."""
    levels: dict[str, list[float]]
    """Hormones and drugs, by name; the name ends in the unit."""
    markers: dict[str, list[float]]
    """Turnover relative to the start [-]: in this bone; serum CTX and P1NP of the whole skeleton, and these
    relative to the person without treatment."""
    without_space: dict[str, list[float]]
    """Bone volume, mineral and stiffness (elements side by side) relative to the start if each element lived alone
    under constant stress [-]."""

    def columns(self) -> dict[str, list[Any]]:
        """Return every list under its full name, such as `failure_load.axial`."""
        columns: dict[str, list[Any]] = {"bone_volume": self.bone_volume}
        groups = self.model_dump(exclude={"bone_volume"})
        return columns | {
            f"{group}.{name}": column for group in groups for name, column in groups[group].items()
        }


class RunSolve(Record):
    """How one solve within a study ended."""

    time_days: float
    case: str
    status: Status
    iterations: int
    residual: float


class RunResult(Record):
    """A remodeling study, schema `mechanostat.run/1`."""

    schema_name: Literal["mechanostat.run/1"] = Field(default="mechanostat.run/1", alias="schema")
    status: Status
    """`converged` where every solve was; else how the first other one ended."""
    title: str
    times_days: list[float]
    outcomes: Outcomes
    validated: dict[str, bool]
    """Of each outcome: whether it lies inside the validated range; false carries the banner."""
    remarks: list[str] = Field(default_factory=list)
    """What a reader must know of the person and the treatments: unusual doses and levels, what is not validated."""
    solves: list[RunSolve]
    elements: int
    nodes: int
    unknowns: int
    islands_removed: int
    seconds: dict[str, float]
    peak_memory_bytes: int
    device_peak_memory_bytes: int | None = None
    device: str
    precision: Literal["single", "mixed", "double"]
    preconditioner: str
    versions: dict[str, str]
    study_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    final_state_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of every array of the last state: an interrupted and resumed run ends with the same."""
    input: Input

    @model_validator(mode="after")
    def _columns_are_complete(self) -> Self:
        columns = self.outcomes.columns()
        wrong = [name for name, column in columns.items() if len(column) != len(self.times_days)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: need {len(self.times_days)} values, one per time.")
        groups = set(Outcomes.model_fields)
        if self.validated.keys() != groups:
            raise ValueError(
                f"`validated` says it of each of {sorted(groups)}, got {sorted(self.validated)}."
            )
        return self
