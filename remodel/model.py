"""What a remodeling run is made of: `Model` is what stays, `State` is what changes."""

from typing import Literal, NamedTuple

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from fem.equilibrium import MAX_ITERATIONS, TOLERANCE
from fem.loads import Boundary
from fem.statics import Precision, Structure
from fem.strength import CRITICAL_STRAIN, CRITICAL_VOLUME
from remodel.activity import ActivityPlan
from remodel.parameters import Parameters
from remodel.periosteum import PeriostealParameters
from remodel.person import Person
from remodel.surface_layer import SurfaceLayer
from remodel.tissue import Tissue
from remodel.treatment import Protocol

Stimulus = Literal["effective-apparent-strain", "tissue-energy"]
"""What the cells sense; the second is the unstable negative control."""


class Settings(NamedTuple):
    """How the loop computes; fixed for a run, part of the compiled program."""

    step_days: int = 60
    """Time between two solves [day]. Bone volume in the years after menopause, where it matters most, is off
    by 0.07 % with 60 days, 0.4 % with 180 and 0.9 % with 360, and after forty years by a quarter of that."""
    inner_step_days: float = 2.0
    """Step of the tissue law [day], a divisor of the other: 2 days are good to 0.05 per mille in 45 years."""
    kernel_length: float | None = None
    """Length over which osteocytes pass their signal on [mm]; 0 switches it off; without one, that of
    osteocytes or a voxel, whichever is longer."""
    stimulus: Stimulus = "effective-apparent-strain"
    """What the cells sense."""
    precision: Precision = "mixed"
    """Arithmetic of the solves."""
    tolerance: float = TOLERANCE
    """Relative true residual of the solves [-]."""
    max_iterations: int = MAX_ITERATIONS
    """Limit of iterations of a solve."""
    critical_volume: float = CRITICAL_VOLUME
    """Share of the bone volume that exceeds the critical strain at failure [-]."""
    critical_strain: float = CRITICAL_STRAIN
    """Critical effective strain [-]."""


class Model(eqx.Module):
    """What stays during a run."""

    structure: Structure
    """The mesh to the solver."""
    neighbours: Int[Array, "elements 6"]
    """The element across each face, -1 where none."""
    loads: Boundary
    """Habitual load cases, stacked."""
    forces: Float[Array, " cases"]
    """Generalised force that habitual life puts on each case [N or N mm]; 0 keeps the case's own motion."""
    motions: Float[Array, " cases"]
    """Imposed motion of each case as solved [mm or rad]; 0 where forces load it."""
    tests: Boundary
    """Strength tests, stacked."""
    test_motions: Float[Array, " tests"]
    """Imposed motion of each test [mm or rad]; 0 where forces load it."""
    modulus: Float[Array, " elements"]
    """Young's modulus on day 0 [MPa]."""
    baseline: Tissue
    """Tissue on day 0, which the modulus belongs to."""
    reference: Float[Array, " elements"]
    """Reference stimulus, a strain [-]."""
    baseline_stimulus: Float[Array, " elements"]
    """Smoothed habitual stimulus on day 0, a strain [-]; what elements that do not sense start from."""
    sensing: Bool[Array, " elements"]
    """Elements far enough from loaded planes to sense; the strain of the others is an artefact of the cut."""
    living: Bool[Array, " elements"]
    """Elements that remodel; cement and disks do not."""
    regions: Bool[Array, "regions elements"]
    """Regions that are measured apart."""
    person: Person
    protocol: Protocol
    layer: SurfaceLayer | None
    """Where bone can grow outwards; None where the outer surface stands still."""
    periosteum: PeriostealParameters
    """How fast the outer surface moves."""
    activity: ActivityPlan
    parameters: Parameters
    load_names: tuple[str, ...] = eqx.field(static=True)
    test_names: tuple[str, ...] = eqx.field(static=True)
    region_names: tuple[str, ...] = eqx.field(static=True)
    spacing: tuple[float, float, float] = eqx.field(static=True)
    """Edges of a voxel [mm]."""
    settings: Settings = eqx.field(static=True)


class State(eqx.Module):
    """What changes during a run; all that a resumed run needs."""

    day: Int[Array, ""]
    """Days since the scan."""
    tissue: Tissue
    fill: Float[Array, " elements"] | None
    """How far each element of the layer outside the bone is filled, 1 elsewhere [-]; None without a layer."""
    displacement: Float[Array, "cases nodes 3"]
    """Last solution of each habitual case as solved, where the next one starts [mm]."""
    test_displacement: Float[Array, "tests nodes 3"]
    """Last solution of each strength test [mm]."""
    resorption: Float[Array, " elements"]
    """Resorbed volume per total volume in the last short step [1/day]."""
    formation: Float[Array, " elements"]
    """Formed volume per total volume in the last short step [1/day]."""


class Ends(eqx.Module):
    """How the solves of each load case ended: first bad status, most iterations, largest residual."""

    status: Int[Array, " cases"]
    iterations: Int[Array, " cases"]
    residual: Float[Array, " cases"]


class Observation(eqx.Module):
    """What is measured on the bone at one time."""

    day: Int[Array, ""]
    age: Float[Array, ""]
    """[year]"""
    estradiol: Float[Array, ""]
    """[pg/ml]"""
    testosterone: Float[Array, ""]
    """[ng/dl]"""
    set_point: Float[Array, ""]
    """Relative to a healthy person of 30 [-]."""
    bone_volume: Float[Array, ""]
    """Of all living elements, osteoid included [mm³]."""
    bone_volume_fraction: Float[Array, " regions"]
    """[-]"""
    mineral_density: Float[Array, " regions"]
    """[mg HA/cm³]"""
    resorption: Float[Array, ""]
    """Of all living elements [mm³/day]."""
    formation: Float[Array, ""]
    """Of all living elements [mm³/day]."""
    layer_fill: Float[Array, ""]
    """Mean fill of the layer outside the bone since day 0; 0 without one [-]."""
    effective_strain: Float[Array, "tests elements"]
    """At the centroids under each strength test as imposed [-]."""
    stiffness: Float[Array, " tests"]
    """Generalised force per motion [N/mm or N mm/rad]."""
    failure_load: Float[Array, " tests"]
    """By Pistoia's criterion, without sign [N or N mm]; NaN where the test did not converge."""
    tests: Ends
