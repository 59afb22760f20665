"""From a study file to a bone, a model and the state of day 0."""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fem.loads import LoadCase
from fem.standard_tests import STANDARD_TESTS
from mechanostat.bones import Bone, Recipe, prepare_bone, read_scan
from mechanostat.medication import PERSON_FIELDS, dose_of
from mechanostat.study import Study
from mechanostat.study_bone import Bone as BoneTable
from mechanostat.study_bone import Load
from mechanostat.study_life import AnyActivity
from meshes.image import Image, read_image
from meshes.scan import Calibration
from meshes.voxel import VoxelMesh, gross_section
from remodel.activity import ActivityPlan, habitual_life, with_bed_rest, with_training
from remodel.kernel import sensing_length
from remodel.model import Model, Settings, State
from remodel.parameters import Parameters
from remodel.person import DAYS_PER_YEAR, NEVER, Person
from remodel.preparation import HabitualLoad, prepare
from remodel.reference import global_reference
from remodel.treatment import Protocol, treatment


class Subject(NamedTuple):
    """A bone and the scan that it came from."""

    image: Image
    bone: Bone


def read_subject(study: Study, folder: Path) -> Subject:
    """Return the bone of a study.

    Args:
        study: The study.
        folder: What its paths are relative to.

    Raises:
        FileNotFoundError: Where the scan is not there.
        ValueError: Where it cannot be read or leaves no bone.
    """
    table = study.bone
    image = read_scan(
        folder / table.image,
        spacing=table.spacing,
        array=table.array,
        axes=table.axes,
        density=table.density,
    )
    labels = (
        None if table.label_image is None else read_image(folder / table.label_image, spacing=table.spacing)
    )
    return Subject(image, prepare_bone(image, recipe_of(study), labels=labels))


def recipe_of(study: Study) -> Recipe:
    """Return how the scan of a study becomes a bone."""
    table: BoneTable = study.bone
    line = table.calibration
    return Recipe(
        threshold=table.threshold,
        labels=table.labels,
        density_law=table.density_law,
        calibration=None
        if line is None
        else Calibration(line.slope, line.intercept, f"mg {line.phantom}/cm3", "study file"),
        crop=table.crop,
        smoothing=table.smoothing,
        coarsen=table.coarsen,
        minimum_fraction=table.minimum_fraction,
        keep_islands=table.keep_islands,
        modulus=study.mechanics.modulus,
        modulus_exponent=study.mechanics.modulus_exponent,
        regions=table.regions,
        cut_axes=tuple("xyz".index(axis) for axis in study.remodeling.cut_axes)
        if study.remodeling.outer_surface == "grows"
        else None,
    )


def model_of(study: Study, bone: Bone) -> tuple[Model, State]:
    """Return the model and the state of day 0 of a study."""
    mesh, settings = bone.mesh, settings_of(study)
    remodeling = study.remodeling
    cortical = bone.regions.get("cortical", np.zeros(mesh.elements, dtype=bool))
    overall = (
        None
        if remodeling.reference == "local"
        else np.asarray(global_reference(jnp.asarray(cortical), dtype=float))
    )
    share = {"local": 0.0, "global": 1.0, "blend": remodeling.global_share or 0.0}[remodeling.reference]
    margin = remodeling.frozen_margin
    return prepare(
        mesh,
        bone.volume_fraction,
        bone.modulus,
        loads=[habitual_load(load, mesh) for load in study.loads],
        tests=[strength_test(study, mesh)],
        person=person_of(study),
        protocol=protocol_of(study),
        activity=activity_of(study),
        parameters=parameters_of(study),
        poisson_ratio=study.mechanics.poisson_ratio,
        regions=bone.regions,
        layer=bone.layer,
        frozen_margin=sensing_length(mesh.spacing) if margin is None else margin,
        overall_reference=None if remodeling.reference == "local" else overall,
        overall_share=share,
        settings=settings,
    )


def strength_test(study: Study, mesh: VoxelMesh) -> LoadCase:
    """Return the load case of a study's strength test."""
    return STANDARD_TESTS[study.strength.case](mesh, axis="xyz".index(study.strength.axis))


def habitual_load(load: Load, mesh: VoxelMesh) -> HabitualLoad:
    """Return a habitual load: either its case moves as told, or it is scaled to the force or moment told."""
    axis = "xyz".index(load.axis)
    test = STANDARD_TESTS[load.case]
    if load.strain is not None:
        return HabitualLoad(load.name, test(mesh, axis=axis, strain=load.strain))
    if load.angle_degrees is not None:
        return HabitualLoad(load.name, test(mesh, axis=axis, strain=float(np.deg2rad(load.angle_degrees))))
    force = load.moment if load.force is None else load.force
    if load.apparent_stress is not None:
        force = load.apparent_stress * gross_section(mesh, axis=axis)
    return HabitualLoad(load.name, test(mesh, axis=axis), float(force or 0.0))


def settings_of(study: Study) -> Settings:
    """Return how the loop of a study computes."""
    return Settings(
        step_days=study.time.step_days,
        inner_step_days=study.time.inner_step_days,
        kernel_length=study.remodeling.kernel_length,
        stimulus=study.remodeling.stimulus,
        precision=study.mechanics.precision,
        tolerance=study.mechanics.tolerance,
        max_iterations=study.mechanics.max_iterations,
        critical_volume=study.strength.critical_volume,
        critical_strain=study.strength.critical_strain,
    )


def person_of(study: Study) -> Person:
    """Return the person of a study."""
    table = study.person
    given = {name: getattr(table, field) for field, name in PERSON_FIELDS.items()}
    known = {name: value for name, value in given.items() if value is not None}
    return Person(sex=table.sex, **known)


def protocol_of(study: Study) -> Protocol:
    """Return the treatments of a study."""
    parts = []
    for table in study.protocol:
        number, unit = dose_of(table.dose)
        stop = NEVER if table.stop_years is None else table.stop_years * DAYS_PER_YEAR
        parts.append(
            treatment(
                table.agent,
                number,
                unit,
                interval_days=table.interval_days,
                start_day=table.start_years * DAYS_PER_YEAR,
                stop_day=stop,
                adherence=table.adherence,
            )
        )
    return tuple(parts)


def activity_of(study: Study) -> ActivityPlan:
    """Return what the person of a study does."""
    habit = study.habit
    plan = habitual_life(
        len(study.loads), bouts=habit.bouts_per_day, cycles=habit.cycles_per_day / habit.bouts_per_day
    )
    for table in study.activity:
        start = table.start_years * DAYS_PER_YEAR
        stop = NEVER if table.stop_years is None else table.stop_years * DAYS_PER_YEAR
        plan = with_activity(plan, table, start_day=start, stop_day=stop)
    return plan


def with_activity(
    plan: ActivityPlan, activity: AnyActivity, *, start_day: float, stop_day: float
) -> ActivityPlan:
    """Return a plan with training or bed rest in it from one day to another [day]."""
    if activity.kind == "bed_rest":
        return with_bed_rest(plan, start_day=start_day, stop_day=stop_day, scale=activity.load_factor)
    return with_training(
        plan,
        start_day=start_day,
        stop_day=stop_day,
        sets_per_week=activity.bouts_per_week or 0.0,
        repetitions=activity.cycles_per_bout or 0.0,
        load=activity.load_factor or 0.0,
    )


def parameters_of(study: Study) -> Parameters:
    """Return the law's numbers of a study."""
    return Parameters(
        modulus_exponent=study.mechanics.modulus_exponent,
        set_point_estrogen=study.remodeling.set_point_estrogen,
        numbness_estrogen=study.remodeling.numbness_estrogen,
        balance_progesterone=study.remodeling.balance_progesterone,
        disuse_burst=study.remodeling.disuse_burst,
        damage_resorption=study.remodeling.damage_resorption,
        woven_rate=study.remodeling.woven_rate,
    )
