"""The tables of a study file about the bone: the scan, the mechanics, the loads, the strength test."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from fem.equilibrium import MAX_ITERATIONS, TOLERANCE
from fem.strength import CRITICAL_STRAIN, CRITICAL_VOLUME
from mechanostat.study_fields import Axis, Case, Name, Table, as_triple, as_tuple, quantity, table_error
from meshes.material_laws import LAWS
from remodel.parameters import Parameters

_LAW = Parameters()

AMPLITUDES: dict[str, tuple[str, ...]] = {
    "axial": ("force", "apparent_stress", "strain"),
    "uniaxial": ("force", "apparent_stress", "strain"),
    "confined": ("force", "apparent_stress", "strain"),
    "symshear": ("strain",),
    "dshear": ("force", "apparent_stress", "strain"),
    "bending": ("moment", "angle_degrees"),
    "torsion": ("moment", "angle_degrees"),
}
"""How large a load of each case can be said to be; exactly one of them is given."""


def _as_path(value: object) -> object:
    """A path of the study file, refused where no file system would take it."""
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise ValueError("a path may neither be empty nor hold a NUL character")
    return Path(value).expanduser()


PositiveLength = Annotated[float, Field(gt=0)]
Spacing = Annotated[tuple[PositiveLength, PositiveLength, PositiveLength], BeforeValidator(as_triple)]
Labels = Annotated[tuple[int, ...], BeforeValidator(as_tuple), Field(min_length=1)]
VoxelRange = Annotated[tuple[int, int], BeforeValidator(as_tuple)]
Crop = Annotated[tuple[VoxelRange, VoxelRange, VoxelRange], BeforeValidator(as_tuple)]
InputPath = Annotated[Path, BeforeValidator(_as_path)]


class Calibration(Table):
    """From grey value to mineral density: density = slope x grey + intercept."""

    slope: float = quantity(
        unit="mg/cm³ per grey value", text="Slope of the scanner or phantom line", gt=0, example=1.0
    )
    intercept: float = quantity(0.0, unit="mg/cm³", text="Density at grey value 0")
    phantom: Literal["HA", "K2HPO4"] = quantity("HA", unit="-", text="What the density is equivalent to")


class Bone(Table):
    """The scan and how it becomes a mesh."""

    image: InputPath = quantity(
        unit="-", text="Scan: file or DICOM folder, relative to the study file", example="scan.nii.gz"
    )
    spacing: Spacing | None = quantity(
        None,
        unit="mm",
        text="Edges of a voxel, one number or three; only where the file has none",
        example=0.05,
    )
    array: str | None = quantity(
        None, unit="-", text="Which array of an .npz file; only where it holds several", example="bone"
    )
    axes: Literal["xyz", "zyx"] = quantity("xyz", unit="-", text="Order of the axes in .npy and .npz files")
    density: Literal["HA", "K2HPO4"] | None = quantity(
        None,
        unit="mg/cm³",
        text="What the values are a density of, where the scan is calibrated already but does not say so",
        example="K2HPO4",
    )
    crop: Crop | None = quantity(
        None,
        unit="voxels",
        text="First voxel and voxel after the last, along x, y, z",
        example=[[0, 100], [0, 100], [0, 100]],
    )
    smoothing: float = quantity(0.0, unit="mm", text="Standard deviation of a Gaussian filter", ge=0)
    coarsen: int = quantity(1, unit="-", text="Blocks of this many voxels per axis become one", ge=1, le=32)
    minimum_fraction: float = quantity(
        0.1, unit="-", text="A coarsened voxel is bone from this volume fraction on", gt=0, le=1
    )
    keep_islands: bool = quantity(False, unit="-", text="Keep pieces that do not touch the largest one")
    calibration: Calibration | None = quantity(None, unit="-", text="How grey values become mineral density")
    label_image: InputPath | None = quantity(
        None,
        unit="-",
        text="Image of labels on the same grid; the scan itself if absent",
        example="labels.nii.gz",
    )
    labels: Labels | None = quantity(None, unit="-", text="Labels that are bone", example=[1, 2])
    threshold: float | None = quantity(
        None, unit="grey value", text="Bone is where the value is at least this", example=128.0, chosen=True
    )
    density_law: str | None = quantity(
        None,
        unit="-",
        text="Law that gives the modulus from the calibrated density; `mechanics.modulus` if absent",
        example=next(iter(LAWS)),
    )
    regions: dict[Name, Labels] = quantity(
        {}, unit="-", text="Named regions and the labels that make them up"
    )
    credit: str = quantity("", unit="-", text="Whom to credit for the scan; printed in the report")
    licence: str = quantity("", unit="-", text="Licence of the scan; printed in the report")

    @field_validator("crop")
    @classmethod
    def _crop_is_ordered(cls, crop: Crop | None) -> Crop | None:
        if crop is not None and any(first < 0 or last <= first for first, last in crop):
            raise ValueError("each axis needs [first, after_last] with 0 <= first < after_last")
        return crop

    @field_validator("threshold")
    @classmethod
    def _one_way_to_bone(cls, threshold: float | None, info: ValidationInfo) -> float | None:
        if (threshold is None) == (info.data.get("labels", "bad") is None):
            raise table_error("give exactly one of `threshold` and `labels`, so that it is told what is bone")
        return threshold

    @field_validator("density_law")
    @classmethod
    def _is_a_law(cls, name: str | None) -> str | None:
        if name is not None and name not in LAWS:
            raise ValueError(f"allowed: {', '.join(LAWS)}")
        return name

    @field_validator("image", "label_image")
    @classmethod
    def _found(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is None or info.context is None:
            return path
        found: Path = info.context["folder"] / path
        if not found.exists():
            raise ValueError(f"no such file or folder: {found}")
        return found


class Mechanics(Table):
    """The elastic constants and how exactly to solve: E = modulus x volume fraction ^ exponent."""

    modulus: float = quantity(18000.0, unit="MPa", text="Young's modulus of fully dense bone", gt=0)
    poisson_ratio: float = quantity(0.3, unit="-", text="Poisson's ratio", gt=-1, lt=0.5)
    modulus_exponent: float = quantity(
        _LAW.modulus_exponent, unit="-", text="Exponent of the volume fraction in the modulus", ge=1, le=4
    )
    precision: Literal["single", "mixed", "double"] = quantity(
        "mixed", unit="-", text="Arithmetic of the solver"
    )
    tolerance: float = quantity(TOLERANCE, unit="-", text="True residual relative to the load", gt=0, lt=0.1)
    max_iterations: int = quantity(MAX_ITERATIONS, unit="-", text="The solver gives up after this many", ge=1)


class Load(Table):
    """One habitual load of daily life: its case and its size."""

    name: Name = quantity(unit="-", text="Name of the load", example="walking")
    case: Case = quantity(unit="-", text="Load case, in FAIM's words", example="axial")
    axis: Axis = quantity("z", unit="-", text="Axis of the load case")
    force: float | None = quantity(
        None, unit="N", text="Force on the loaded plane, pressing negative", example=-100.0
    )
    apparent_stress: float | None = quantity(
        None,
        unit="MPa",
        text="Force over the gross cross-section, pressing negative",
        example=-0.5,
        chosen=True,
    )
    moment: float | None = quantity(None, unit="N mm", text="Moment on the loaded plane", example=100.0)
    angle_degrees: float | None = quantity(None, unit="°", text="Rotation of the loaded plane", example=1.0)
    strain: float | None = quantity(None, unit="-", text="Applied strain, pressing negative", example=-0.001)

    @field_validator("strain")
    @classmethod
    def _one_amplitude(cls, strain: float | None, info: ValidationInfo) -> float | None:
        allowed = AMPLITUDES.get(info.data.get("case", ""), ())
        names = ("force", "apparent_stress", "moment", "angle_degrees")
        given = [name for name in names if info.data.get(name, "bad") is not None]
        given += ["strain"] if strain is not None else []
        if allowed and (len(given) != 1 or given[0] not in allowed):
            raise table_error(
                f"the size of a `{info.data['case']}` load is exactly one of "
                f"{', '.join(f'`{name}`' for name in allowed)}, got {', '.join(given) or 'none'}"
            )
        return strain

    @field_validator("force", "apparent_stress", "moment", "angle_degrees", "strain")
    @classmethod
    def _not_zero(cls, size: float | None) -> float | None:
        if size == 0:
            raise ValueError("a load of 0 does nothing; leave it out")
        return size


class Strength(Table):
    """The load case in which the bone is tested, and the criterion of failure.

    Source:
        Pistoia et al. 2002, Bone 30:842-848, doi:10.1016/S8756-3282(02)00736-6.
    """

    case: Case = quantity("axial", unit="-", text="Load case of the strength test, in FAIM's words")
    axis: Axis = quantity("z", unit="-", text="Axis of the strength test")
    criterion: Literal["pistoia"] = quantity("pistoia", unit="-", text="Criterion of failure")
    critical_volume: float = quantity(
        CRITICAL_VOLUME, unit="-", text="Share of the bone that may exceed it", gt=0, lt=1
    )
    critical_strain: float = quantity(
        CRITICAL_STRAIN, unit="-", text="Effective strain at which bone fails", gt=0, lt=0.1
    )
