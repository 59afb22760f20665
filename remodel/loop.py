"""The loop: solve every load case, sense the strain, remodel, repeat. The only file here that knows `fem`.

`Model` is what stays during a run, `State` what changes. `advance` takes some steps in one compiled call:
in each the bone is solved under every habitual load, its stimulus is sensed and smoothed, and the tissue
takes many short steps under the hormones of their days. `observe` measures the bone between such calls.
"""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from fem.conjugate_gradients import Status
from fem.equilibrium import MAX_ITERATIONS, TOLERANCE, Balance, Precision, Structure, balance, supports
from fem.loads import Boundary, LoadCase
from fem.strength import CRITICAL_STRAIN, CRITICAL_VOLUME, failure_factor
from remodel.activity import ActivityPlan, load_at_age, mean_cycle_weights
from remodel.hormones import TransdermalEstradiol, hormone_signals
from remodel.kernel import smoothed_stimulus
from remodel.mineral import modulus_ratio
from remodel.parameters import Parameters
from remodel.person import Person, age_on
from remodel.stimulus import daily_stimulus, tissue_energy_strain
from remodel.tissue import Tissue, advance_with_turnover

INNER_STEP_DAYS = 2
"""Step of the tissue law [day]: within 0.05 per mille of a quarter of a day over 45 years."""

STEP_DAYS = 60
"""Default time between two solves [day]: 30 to 360 days give the same forty years to three digits."""

Stimulus = Literal["effective-apparent-strain", "tissue-energy"]
"""What the cells sense; the second is the unstable negative control."""


class Settings(NamedTuple):
    """How the loop computes; fixed for a run, part of the compiled program."""

    spacing: tuple[float, float, float]
    """Edges of a voxel [mm]."""
    kernel_length: float
    """Length over which osteocytes pass their signal on [mm]; 0 switches it off."""
    step_days: int = STEP_DAYS
    """Time between two solves [day], a multiple of the inner step."""
    inner_step_days: int = INNER_STEP_DAYS
    """Step of the tissue law [day]."""
    stimulus: Stimulus = "effective-apparent-strain"
    """What the cells sense."""
    precision: Precision = "mixed"
    """Arithmetic of the solves."""
    tolerance: float = TOLERANCE
    """Relative true residual of the solves [-]."""
    max_iterations: int = MAX_ITERATIONS
    """Limit of iterations of a solve."""


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
    """Smoothed habitual stimulus on day 0, a strain [-]; what frozen elements go on sensing."""
    sensing: Bool[Array, " elements"]
    """Elements far enough from loaded planes to sense; the strain of the others is an artefact of the cut."""
    living: Bool[Array, " elements"]
    """Elements that remodel; cement and disks do not."""
    person: Person
    therapy: TransdermalEstradiol
    activity: ActivityPlan
    parameters: Parameters
    settings: Settings = eqx.field(static=True)


class State(eqx.Module):
    """What changes during a run; all that a resumed run needs."""

    day: Int[Array, ""]
    """Days since the scan."""
    tissue: Tissue
    displacement: Float[Array, "cases nodes 3"]
    """Last solution of each habitual case as solved, where the next one starts [mm]."""
    test_displacement: Float[Array, "tests nodes 3"]
    """Last solution of each strength test [mm]."""
    resorption: Float[Array, " elements"]
    """Resorbed volume per total volume in the last short step [1/day]."""
    formation: Float[Array, " elements"]
    """Formed volume per total volume in the last short step [1/day]."""


class Solves(eqx.Module):
    """How a set of solves ended."""

    status: Int[Array, "*solves"]
    iterations: Int[Array, "*solves"]
    residual: Float[Array, "*solves"]


class Observation(eqx.Module):
    """What is measured on the bone at one time."""

    modulus: Float[Array, " elements"]
    """[MPa]"""
    stimulus: Float[Array, " elements"]
    """Effective strain of the first strength test, scaled to its habitual counterpart's unit motion [-]."""
    stiffness: Float[Array, " tests"]
    """Generalised force per motion [N/mm or N mm/rad]."""
    failure_load: Float[Array, " tests"]
    """By Pistoia's criterion [N or N mm]; to be used only where the solve converged."""
    solves: Solves


def young_modulus(model: Model, tissue: Tissue) -> Float[Array, " elements"]:
    """Return Young's modulus of every element [MPa]; that of elements that do not live never changes."""
    ratio = modulus_ratio(tissue.matrix, model.baseline.matrix, model.parameters)
    return model.modulus * jnp.where(model.living, ratio, 1)


def habitual_strain(
    model: Model, tissue: Tissue, displacement: Float[Array, "cases nodes 3"]
) -> tuple[Float[Array, "cases elements"], Float[Array, "cases nodes 3"], Solves]:
    """Return the strain that each habitual load case makes the cells sense [-], and its solution [mm].

    A case that imposes a motion is scaled to the force that habitual life puts on the bone, so that a
    weaker bone strains more. Cases are solved one after the other by one compiled solve.
    """
    modulus = young_modulus(model, tissue)
    found = _solve_each(model, modulus, model.loads, displacement)
    scale = _load_scale(model, found)
    strain = found.effective_strain * scale[:, None]
    if model.settings.stimulus == "tissue-energy":
        energy = 0.5 * modulus[None, :] * strain**2
        solid = model.modulus / model.baseline.volume_fraction**model.parameters.modulus_exponent
        strain = tissue_energy_strain(energy, tissue.volume_fraction, tissue_modulus=solid)
    return strain, found.displacement, Solves(found.status, found.iterations, found.residual)


def sensed_stimulus(
    model: Model,
    tissue: Tissue,
    strain: Float[Array, "cases elements"],
    cycle_weights: Float[Array, " cases"],
) -> Float[Array, " elements"]:
    """Return the daily stimulus of each element after the osteocytes have passed it on, a strain [-]."""
    return smoothed_stimulus(
        daily_stimulus(strain, cycle_weights, model.parameters),
        tissue.volume_fraction,
        model.neighbours,
        spacing=model.settings.spacing,
        length=model.settings.kernel_length,
    )


def step(model: Model, state: State) -> tuple[State, Solves]:
    """Return the state after one solve of every load case and the tissue's steps up to the next."""
    strain, displacement, solves = habitual_strain(model, state.tissue, state.displacement)
    settings = model.settings
    day = state.day.astype(float)
    weights = mean_cycle_weights(model.activity, day, day + settings.step_days, model.parameters)
    stimulus = sensed_stimulus(model, state.tissue, strain, weights)
    stimulus = jnp.where(model.sensing, stimulus, model.baseline_stimulus)
    log_ratio = jnp.log(stimulus / model.reference)

    def live(carry, index):
        tissue, _, _ = carry
        middle = day + (index + 0.5) * settings.inner_step_days
        return _live(model, tissue, log_ratio, middle), None

    count = settings.step_days // settings.inner_step_days
    start = (state.tissue, state.resorption, state.formation)
    (tissue, resorption, formation), _ = lax.scan(live, start, jnp.arange(count))
    after = State(
        day=state.day + settings.step_days,
        tissue=tissue,
        displacement=displacement,
        test_displacement=state.test_displacement,
        resorption=resorption,
        formation=formation,
    )
    return after, solves


@eqx.filter_jit
def advance(model: Model, state: State, steps: int) -> tuple[State, Solves]:
    """Return the state after some steps, and how each of their solves ended, shape (steps, cases)."""
    return lax.scan(lambda carry, _: step(model, carry), state, None, length=steps)


@eqx.filter_jit
def observe(model: Model, state: State) -> tuple[State, Observation]:
    """Return what the strength tests find on the bone as it is; their solutions start the next ones."""
    modulus = young_modulus(model, state.tissue)
    found = _solve_each(model, modulus, model.tests, state.test_displacement)
    force = _generalised_force(model, found, model.tests, model.test_motions)
    motion = jnp.where(model.test_motions == 0, 1, model.test_motions)
    factor = jax.vmap(
        lambda strain: failure_factor(
            strain, critical_volume=CRITICAL_VOLUME, critical_strain=CRITICAL_STRAIN
        )
    )(found.effective_strain)
    observation = Observation(
        modulus=modulus,
        stimulus=found.effective_strain[0],
        stiffness=force / motion,
        failure_load=force * factor,
        solves=Solves(found.status, found.iterations, found.residual),
    )
    return eqx.tree_at(lambda s: s.test_displacement, state, found.displacement), observation


def worst_status(solves: Solves) -> Status:
    """Return the end of the first solve that did not converge, or `CONVERGED`."""
    ends = np.asarray(solves.status).reshape(-1)
    bad = ends[ends != Status.CONVERGED]
    return Status(int(bad[0])) if bad.size else Status.CONVERGED


def _live(
    model: Model, tissue: Tissue, log_ratio: Float[Array, " elements"], day: Float[Array, ""]
) -> tuple[Tissue, Float[Array, " elements"], Float[Array, " elements"]]:
    """Return the tissue after one short step around a day; what does not live stays as it is."""
    age = age_on(model.person, day)
    after, resorption, formation = advance_with_turnover(
        tissue,
        log_ratio,
        hormone_signals(model.person, model.therapy, day, model.parameters),
        load_at_age(age, model.parameters),
        age,
        model.settings.inner_step_days,
        model.parameters,
    )
    after = jax.tree.map(lambda new, old: jnp.where(model.living, new, old), after, tissue)
    none = jnp.zeros_like(resorption)
    return after, jnp.where(model.living, resorption, none), jnp.where(model.living, formation, none)


def _solve_each(
    model: Model,
    modulus: Float[Array, " elements"],
    boundaries: Boundary,
    initial: Float[Array, "cases nodes 3"],
) -> Balance:
    settings = model.settings

    def solve_one(boundary_and_start) -> Balance:
        boundary, start = boundary_and_start
        spread = supports(boundary, nodes=start.shape[0], dtype=start.dtype)
        return balance(
            model.structure,
            modulus,
            spread,
            start,
            precision=settings.precision,
            tolerance=settings.tolerance,
            max_iterations=settings.max_iterations,
        )

    return lax.map(solve_one, (boundaries, initial))


def _load_scale(model: Model, found: Balance) -> Float[Array, " cases"]:
    """Return what each habitual case must be multiplied by to carry the force of habitual life [-]."""
    force = _generalised_force(model, found, model.loads, model.motions)
    controlled = (model.forces != 0) & (model.motions != 0)
    return jnp.where(controlled, jnp.abs(model.forces / jnp.where(controlled, force, 1)), 1)


def _generalised_force(
    model: Model, found: Balance, boundaries: Boundary, motions: Float[Array, " cases"]
) -> Float[Array, " cases"]:
    """Return the force that answers the imposed motion, work over motion [N or N mm].

    Where forces load the bone it is the length of their resultant.
    """

    def work(forces, boundary):
        flat = forces.reshape(-1)
        reaction = flat.at[boundary.held].get(mode="fill", fill_value=0)
        return jnp.sum(reaction * boundary.displacement.astype(forces.dtype))

    def applied(boundary):
        total = jnp.stack([jnp.sum(jnp.where(boundary.pushed % 3 == i, boundary.force, 0)) for i in range(3)])
        return jnp.linalg.norm(total)

    moved = jax.vmap(work)(found.forces, boundaries) / jnp.where(motions == 0, 1, motions)
    return jnp.where(motions == 0, jax.vmap(applied)(boundaries).astype(moved.dtype), moved)
