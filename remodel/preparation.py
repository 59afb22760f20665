"""From a scanned bone and a person to the model and the state of day 0."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.ndimage import distance_transform_edt

from fem.conjugate_gradients import Status
from fem.equilibrium import SolveError, advice, check_modulus
from fem.loads import LoadCase, stacked
from fem.statics import structure, working_dtype
from meshes.voxel import VoxelMesh, face_neighbours
from remodel.activity import ActivityPlan, habitual_cycle_weights, habitual_life
from remodel.history import initial_tissue, live_through
from remodel.kernel import sensing_length
from remodel.loop import brought_on, habitual_strain, impersonal, live, sensed_stimulus, worst
from remodel.model import Model, Settings, State
from remodel.parameters import Parameters
from remodel.periosteum import PeriostealParameters
from remodel.person import Person
from remodel.reference import blended_reference, local_reference
from remodel.surface_layer import SurfaceLayer, empty_fill
from remodel.tissue import Circumstances, Tissue
from remodel.treatment import Protocol

LAST_DAY = -1.0
"""The day before the scan, whose turnover is reported first: what starts on day 0 is not yet on it [day]."""


class HabitualLoad(NamedTuple):
    """A load case of habitual life and the force that life puts on it."""

    name: str
    case: LoadCase
    force: float = 0.0
    """Generalised force: along the imposed motion [N], or its moment [N mm]; 0 keeps the imposed motion."""


def prepare(
    mesh: VoxelMesh,
    volume_fraction: Float[np.ndarray, " elements"],
    modulus: float | Float[np.ndarray, " elements"],
    *,
    loads: Sequence[HabitualLoad],
    tests: Sequence[LoadCase],
    person: Person,
    protocol: Protocol = (),
    activity: ActivityPlan | None = None,
    parameters: Parameters | None = None,
    poisson_ratio: float = 0.3,
    living: Bool[np.ndarray, " elements"] | None = None,
    regions: Mapping[str, Bool[np.ndarray, " elements"]] | None = None,
    frozen_margin: float = 0.0,
    overall_reference: Float[np.ndarray, " elements"] | None = None,
    overall_share: float = 0.0,
    layer: SurfaceLayer | None = None,
    periosteum: PeriostealParameters | None = None,
    settings: Settings | None = None,
) -> tuple[Model, State]:
    """Return the model and the state of the day of the scan.

    The tissue starts as the person's age and hormones left it (`remodel/history.py`); one solve of every
    habitual load then sets the reference stimulus, so that the bone starts with the imbalance of that
    history and not, whatever the age, in balance.

    Args:
        mesh: The bone.
        volume_fraction: Bone volume fraction of every element [-].
        modulus: Young's modulus of every element on day 0 [MPa].
        loads: Load cases of habitual life.
        tests: Strength tests.
        person: Whose bone it is.
        protocol: What is given; nothing by default.
        activity: What the person does; habitual life by default.
        parameters: The law's numbers.
        poisson_ratio: Of the tissue [-].
        living: Which elements remodel; all by default.
        regions: Regions that are measured apart, by name; the living bone comes first as `bone`.
        frozen_margin: Distance from held or loaded nodes within which elements do not sense their own
            strain, an artefact of the cut, but the mean change of all others [mm].
        overall_reference: Reference stimulus that does not come from this bone (`remodel/reference.py`) [-].
        overall_share: Its weight against the local one: 0 leaves it out, 1 uses it alone [-].
        layer: Room for bone to grow outwards, elements of this mesh; without one the outer surface stands still.
            What the fields say of its elements is not read.
        periosteum: How fast the outer surface moves.
        settings: How the loop computes.

    Raises:
        ValueError: For fields that do not fit the mesh or lie outside their range.
        SolveError: If a solve of the baseline does not converge.
    """
    settings = Settings() if settings is None else settings
    if settings.kernel_length is None:
        settings = settings._replace(kernel_length=sensing_length(mesh.spacing))
    dtype = working_dtype(settings.precision)
    fraction = _check_fraction(volume_fraction, mesh)
    parameters = Parameters() if parameters is None else parameters
    person, past, protocol = _as_leaves(person), _as_leaves(_begun(protocol)), _as_leaves(protocol)
    tissue, habitual_ratio = _tissue_of_the_past(person, past, jnp.asarray(fraction, dtype), parameters)
    cases = [_checked_load(load).case for load in loads]
    alive = np.ones(mesh.elements, bool) if living is None else np.asarray(living)
    outside = np.zeros(mesh.elements, bool) if layer is None else np.asarray(layer.waiting)
    measured = {"bone": alive} | dict(regions or {})
    ones = jnp.ones(mesh.elements, dtype)
    model = Model(
        structure=structure(mesh, poisson_ratio=poisson_ratio),
        neighbours=jnp.asarray(face_neighbours(mesh)),
        loads=stacked(cases),
        forces=jnp.asarray([load.force for load in loads], dtype),
        motions=jnp.asarray([case.motion for case in cases], dtype),
        tests=stacked(tests),
        test_motions=jnp.asarray([case.motion for case in tests], dtype),
        modulus=jnp.asarray(check_modulus(modulus, mesh), dtype),
        baseline=tissue,
        reference=ones,
        baseline_stimulus=ones,
        sensing=jnp.asarray(_far_from_loads(mesh, [*cases, *tests], frozen_margin) & ~outside),
        living=jnp.asarray(alive & ~outside),
        regions=jnp.asarray(np.stack(list(measured.values()))),
        person=person,
        layer=layer,
        periosteum=PeriostealParameters() if periosteum is None else periosteum,
        protocol=protocol,
        activity=habitual_life(len(loads)) if activity is None else activity,
        parameters=parameters,
        load_names=tuple(load.name for load in loads),
        test_names=tuple(case.name for case in tests),
        region_names=tuple(measured),
        spacing=mesh.spacing,
        settings=settings,
    )
    overall = None if overall_reference is None else jnp.asarray(overall_reference, dtype)
    model, displacement = _with_reference(model, habitual_ratio, overall, overall_share, mesh.nodes)
    resorption, formation = _first_turnover(
        impersonal(model), brought_on(model, jnp.asarray(LAST_DAY, float))
    )
    tests_at_rest = jnp.zeros((len(tests), mesh.nodes, 3), dtype)
    day = jnp.zeros((), jnp.int32)
    fill = _fill_on_day_zero(model)
    return model, State(day, tissue, fill, displacement, tests_at_rest, resorption, formation)


def _with_reference(
    model: Model,
    habitual_ratio: Float[Array, " elements"],
    overall: Float[Array, " elements"] | None,
    overall_share: float,
    nodes: int,
) -> tuple[Model, Float[Array, "cases nodes 3"]]:
    """Return the model with its reference field, from one solve of every habitual load."""
    cases = model.motions.shape[0]
    at_rest = jnp.zeros((cases, nodes, 3), model.modulus.dtype)
    weights = habitual_cycle_weights(model.activity, model.parameters)
    stimulus, displacement, ends = _sense_baseline(
        impersonal(model), _fill_on_day_zero(model), at_rest, weights
    )
    bad, iterations, residual = worst(ends)
    if bad != Status.CONVERGED:
        raise SolveError(advice(bad, "habitual", iterations, residual, model.settings.tolerance))
    reference = local_reference(stimulus, habitual_ratio=habitual_ratio)
    if overall is not None:
        reference = blended_reference(reference, overall, share=overall_share)
    model = eqx.tree_at(lambda m: (m.reference, m.baseline_stimulus), model, (reference, stimulus))
    return model, displacement


@eqx.filter_jit
def _tissue_of_the_past(
    person: Person,
    protocol: Protocol,
    volume_fraction: Float[Array, " elements"],
    parameters: Parameters,
) -> tuple[Tissue, Float[Array, " elements"]]:
    return initial_tissue(live_through(person, protocol, parameters), volume_fraction, parameters)


def _fill_on_day_zero(model: Model) -> Float[Array, " elements"] | None:
    return None if model.layer is None else empty_fill(model.layer).astype(model.modulus.dtype)


@eqx.filter_jit
def _sense_baseline(
    model: Model,
    fill: Float[Array, " elements"] | None,
    at_rest: Float[Array, "cases nodes 3"],
    weights: Float[Array, " cases"],
):
    strain, displacement, ends = habitual_strain(model, model.baseline, fill, at_rest)
    return sensed_stimulus(model, model.baseline, fill, strain, weights), displacement, ends


@eqx.filter_jit
def _first_turnover(
    model: Model, yesterday: Circumstances
) -> tuple[Float[Array, " elements"], Float[Array, " elements"]]:
    """Return resorption and formation on the day of the scan [1/day]."""
    log_ratio = jnp.log(model.baseline_stimulus / model.reference)
    _, resorption, formation = live(model, model.baseline, log_ratio, yesterday)
    return resorption, formation


def _begun(protocol: Protocol) -> Protocol:
    """Return the treatments that may have begun before day 0: the others left nothing in the bone."""
    return tuple(
        part for part in protocol if not (isinstance(part.start_day, int | float) and part.start_day >= 0.0)
    )


def _as_leaves(record):
    """Return a record with its numbers as arrays, so that another person does not compile anew."""
    return jax.tree.map(lambda number: jnp.asarray(number, dtype=float), record)


def _checked_load(load: HabitualLoad) -> HabitualLoad:
    """Return a habitual load whose force, if it has one, can be reached by scaling an imposed motion."""
    if load.force != 0.0 and load.case.motion == 0.0:
        raise ValueError(
            f"`HabitualLoad` `{load.name}` has the force {load.force}, but its case imposes no motion that "
            "could be scaled to it; push with that force in the case itself and leave `force` out."
        )
    return load


def _check_fraction(
    volume_fraction: Float[np.ndarray, " elements"], mesh: VoxelMesh
) -> Float[np.ndarray, " elements"]:
    fraction = np.asarray(volume_fraction, dtype=np.float64)
    if fraction.shape != (mesh.elements,):
        raise ValueError(
            f"`volume_fraction` has the shape {fraction.shape}; wanted one number for each of the "
            f"{mesh.elements} elements."
        )
    wrong = ~((fraction > 0.0) & (fraction <= 1.0))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"`volume_fraction` must lie in (0, 1]; {wrong.sum()} of {fraction.size} elements do not, the "
            f"first is element {first} with {fraction[first]}."
        )
    return fraction


def _far_from_loads(
    mesh: VoxelMesh, cases: Sequence[LoadCase], margin: float
) -> Bool[np.ndarray, " elements"]:
    """Return which elements have no held or loaded node within the margin [mm]."""
    if margin <= 0.0:
        return np.ones(mesh.elements, dtype=bool)
    places = np.concatenate([np.concatenate([case.held, case.pushed, case.sprung]) for case in cases])
    touched = np.zeros(mesh.nodes, dtype=bool)
    touched[np.unique(places // 3)] = True
    near = np.zeros(int(np.prod(mesh.shape)), dtype=bool)
    near[mesh.voxels[touched[mesh.connectivity].any(axis=1)]] = True
    distance = distance_transform_edt(~near.reshape(mesh.shape), sampling=mesh.spacing)
    return np.asarray(distance).reshape(-1)[mesh.voxels] > margin
