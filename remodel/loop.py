"""The loop: solve every load case, sense the strain, remodel, repeat.

`advance` takes some steps in one compiled call: in each the bone is solved under every habitual load,
its stimulus is sensed and smoothed, and the tissue takes many short steps under the hormones of their
days. `observe` measures the bone between such calls.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from fem.buckets import bucket
from fem.conjugate_gradients import Status
from fem.loads import Boundary
from fem.statics import Balance, balance_each
from fem.strength import failure_factor
from remodel.activity import load_at_age, mean_cycle_weights
from remodel.hormones import hormone_signals
from remodel.kernel import smoothed_stimulus
from remodel.mechanostat_curve import gain, response, set_point
from remodel.mineral import modulus_ratio
from remodel.model import Ends, Model, Observation, State
from remodel.observation import mean_over, mineral_density
from remodel.periosteum import periosteal_velocity
from remodel.person import age_on
from remodel.stimulus import daily_stimulus, tissue_energy_strain
from remodel.surface_layer import advance_fill, filled_share, layer_fraction, layer_modulus
from remodel.tissue import Circumstances, Tissue, advance_with_turnover, log_stimulus_ratio

ROWS = 16
"""Steps that `advance` has room for without compiling anew."""


def young_modulus(
    model: Model, tissue: Tissue, fill: Float[Array, " elements"] | None
) -> Float[Array, " elements"]:
    """Return Young's modulus of every element [MPa]; that of elements that do not live never changes.

    Args:
        model: What stays.
        tissue: Present state.
        fill: Of the layer outside the bone, if there is one [-].
    """
    ratio = modulus_ratio(tissue.matrix, model.baseline.matrix, model.parameters)
    modulus = model.modulus * jnp.where(model.living, ratio, 1)
    return modulus if model.layer is None or fill is None else layer_modulus(fill, modulus, model.layer)


def present(
    model: Model, field: Float[Array, " elements"], fill: Float[Array, " elements"] | None
) -> Float[Array, " elements"]:
    """Return a volume per total volume of every element [-]; in the layer that of the bone it grows from.

    Args:
        model: What stays.
        field: Bone or mineral volume of the elements, as the tissue has it.
        fill: Of the layer outside the bone, if there is one [-].
    """
    if model.layer is None or fill is None:
        return field
    return layer_fraction(filled_share(fill, model.layer).astype(field.dtype), field, model.layer)


def habitual_strain(
    model: Model,
    tissue: Tissue,
    fill: Float[Array, " elements"] | None,
    displacement: Float[Array, "cases nodes 3"],
) -> tuple[Float[Array, "cases elements"], Float[Array, "cases nodes 3"], Ends]:
    """Return the strain that each habitual load case makes the cells sense [-], and its solution [mm].

    A case that imposes a motion is scaled to the force that habitual life puts on the bone, so that a
    weaker bone strains more. Cases are solved one after the other by one compiled solve.
    """
    modulus = young_modulus(model, tissue, fill)
    found = _solve_each(model, modulus, model.loads, displacement)
    strain = found.effective_strain * _load_scale(model, found)[:, None]
    if model.settings.stimulus == "tissue-energy":
        energy = 0.5 * modulus[None, :] * strain**2
        solid = model.modulus / model.baseline.volume_fraction**model.parameters.modulus_exponent
        strain = tissue_energy_strain(energy, tissue.volume_fraction, tissue_modulus=solid)
    return strain, found.displacement, Ends(found.status, found.iterations, found.residual)


def sensed_stimulus(
    model: Model,
    tissue: Tissue,
    fill: Float[Array, " elements"] | None,
    strain: Float[Array, "cases elements"],
    cycle_weights: Float[Array, " cases"],
) -> Float[Array, " elements"]:
    """Return the daily stimulus of each element after the osteocytes have passed it on, a strain [-]."""
    length, fraction = model.settings.kernel_length, tissue.volume_fraction
    if model.layer is not None and fill is not None:
        fraction = layer_fraction(fill, fraction, model.layer)  # never 0, which the kernel divides by
    return smoothed_stimulus(
        daily_stimulus(strain, cycle_weights, model.parameters),
        fraction,
        model.neighbours,
        spacing=model.spacing,
        length=0.0 if length is None else length,
    )


class Ahead(eqx.Module):
    """What some steps bring, from a model's person, protocol and activity."""

    days: Circumstances
    """Hormones, drugs, load and age in the middle of every short step, with axes of steps and of short steps."""
    cycle_weights: Float[Array, "*steps cases"]
    """Weight of every habitual load in each step [1/day]."""


def step(model: Model, state: State) -> tuple[State, Ends]:
    """Return the state after one solve of every load case and the tissue's steps up to the next."""
    return _step(model, state, jax.tree.map(lambda row: row[0], _ahead(model, state.day, 1)))


def _ahead(model: Model, day: Int[Array, ""], steps: int) -> Ahead:
    """Return what some steps from a day on bring."""
    settings, parameters = model.settings, model.parameters
    inner = jnp.arange(round(settings.step_days / settings.inner_step_days), dtype=float) + 0.5
    first = day.astype(float) + settings.step_days * jnp.arange(steps, dtype=float)
    middles = first[:, None] + settings.inner_step_days * inner[None, :]
    rows = brought(model, middles.reshape(-1))
    weights = jax.vmap(
        lambda start: mean_cycle_weights(model.activity, start, start + settings.step_days, parameters)
    )(first)
    return Ahead(jax.tree.map(lambda row: row.reshape(middles.shape), rows), weights)


def _step(model: Model, state: State, ahead: Ahead) -> tuple[State, Ends]:
    """Return `step` from what it brings; whose bone it is does not matter any more."""
    strain, displacement, ends = habitual_strain(model, state.tissue, state.fill, state.displacement)
    settings, days = model.settings, ahead.days
    stimulus = sensed_stimulus(model, state.tissue, state.fill, strain, ahead.cycle_weights)
    log_ratio = jnp.log(_trusted(model, stimulus) / model.reference)

    def short_step(carry, now):
        return live(model, carry[0], log_ratio, now), None

    start = (state.tissue, state.resorption, state.formation)
    middle = jax.tree.map(lambda row: row[row.shape[0] // 2], days)
    (tissue, resorption, formation), _ = lax.scan(short_step, start, days)
    after = State(
        state.day + settings.step_days,
        tissue,
        grown(model, state.fill, log_ratio, middle),
        displacement,
        state.test_displacement,
        resorption,
        formation,
    )
    return after, ends


def grown(
    model: Model,
    fill: Float[Array, " elements"] | None,
    log_ratio: Float[Array, " elements"],
    now: Circumstances,
) -> Float[Array, " elements"] | None:
    """Return the fill of the layer outside the bone after a step between two solves [-].

    Args:
        model: What stays.
        fill: Before the step; None without a layer.
        log_ratio: ln(S / S_ref) of every element [-].
        now: What the middle of the step brings.
    """
    if model.layer is None or fill is None:
        return None
    signals, parameters = now.signals, model.parameters
    answer = response(log_stimulus_ratio(log_ratio, now, parameters), gain(signals, parameters), parameters)
    velocity = periosteal_velocity(
        signals.estrogen_deficit,
        signals.years_since_menopause,
        signals.igf1_ratio,
        jnp.maximum(-signals.androgen_deficit, 0.0),
        answer.astype(now.age.dtype),
        model.periosteum,
        formation_gain=parameters.formation_gain,
    )
    return advance_fill(fill, velocity.astype(fill.dtype), model.layer, model.settings.step_days)


def advance(model: Model, state: State, steps: int) -> tuple[State, Ends]:
    """Return the state after some steps, and how their solves ended; a bad end stops it early.

    What the days bring is computed apart, so that the large program is the same for all persons, protocols,
    activities and, up to the next power of two from `ROWS` on, numbers of steps.
    """
    ahead = _ahead_compiled(model, state.day, bucket(max(steps, ROWS), steps=1))
    return _advance(impersonal(model), state, ahead, jnp.asarray(steps, jnp.int32))


def impersonal(model: Model) -> Model:
    """Return a model without person, protocol and activity, which say no more than what the days bring."""
    return eqx.tree_at(lambda m: (m.person, m.protocol, m.activity), model, (None, (), None))


_ahead_compiled = eqx.filter_jit(_ahead)


@eqx.filter_jit
def brought_on(model: Model, day: Float[Array, ""]) -> Circumstances:
    """Return what one day [day] brings, compiled."""
    return brought(model, day)


@eqx.filter_jit
def _advance(model: Model, state: State, ahead: Ahead, steps: Int[Array, ""]) -> tuple[State, Ends]:
    cases = model.motions.shape[0]
    ends = Ends(
        jnp.full(cases, int(Status.CONVERGED), jnp.int32),
        jnp.zeros(cases, jnp.int32),
        jnp.zeros(cases, model.modulus.dtype),
    )

    def goes_on(carry):
        taken, _, ends = carry
        return (taken < steps) & jnp.all(ends.status == Status.CONVERGED)

    def take(carry):
        taken, state, ends = carry
        state, new = _step(model, state, jax.tree.map(lambda row: row[taken], ahead))
        iterations = jnp.maximum(ends.iterations, new.iterations)
        return taken + 1, state, Ends(new.status, iterations, jnp.maximum(ends.residual, new.residual))

    _, state, ends = lax.while_loop(goes_on, take, (jnp.zeros((), jnp.int32), state, ends))
    return state, ends


def observe(model: Model, state: State) -> tuple[State, Observation]:
    """Return what is measured on the bone as it is; the strength tests' solutions start the next ones."""
    return _observe(impersonal(model), state, brought_on(model, state.day.astype(float)))


@eqx.filter_jit
def _observe(model: Model, state: State, now: Circumstances) -> tuple[State, Observation]:
    settings = model.settings
    tissue = state.tissue
    fraction = present(model, tissue.volume_fraction, state.fill)
    mineral = present(model, tissue.mineral, state.fill)
    counted = model.living if model.layer is None else model.living | model.layer.waiting
    modulus = young_modulus(model, tissue, state.fill)
    found = _solve_each(model, modulus, model.tests, state.test_displacement)
    force = _generalised_force(found, model.tests, model.test_motions)
    motion = jnp.where(model.test_motions == 0, 1, model.test_motions)
    factor = jax.vmap(
        lambda strain: failure_factor(
            strain,
            critical_volume=settings.critical_volume,
            critical_strain=settings.critical_strain,
            bone_volume=jnp.where(counted, fraction, 0),
        )
    )(found.effective_strain)
    failure = jnp.where(found.status == Status.CONVERGED, jnp.abs(force) * factor, jnp.nan)
    volume = float(np.prod(model.spacing))
    observation = Observation(
        day=state.day,
        age=now.age,
        estradiol=now.signals.estradiol,
        testosterone=now.signals.testosterone,
        set_point=set_point(now.signals, now.age, model.parameters),
        bone_volume=volume * jnp.sum(jnp.where(counted, fraction, 0)),
        bone_volume_fraction=jax.vmap(lambda region: mean_over(fraction, region))(model.regions),
        mineral_density=jax.vmap(lambda region: mineral_density(mineral, region))(model.regions),
        resorption=volume * jnp.sum(state.resorption),
        formation=volume * jnp.sum(state.formation),
        layer_fill=_mean_fill(model, state.fill),
        effective_strain=found.effective_strain,
        stiffness=force / motion,
        failure_load=failure,
        tests=Ends(found.status, found.iterations, found.residual),
    )
    return eqx.tree_at(lambda s: s.test_displacement, state, found.displacement), observation


def brought(model: Model, days: Float[Array, "*times"]) -> Circumstances:
    """Return what some days bring to bone whose activities are in its strain."""
    age = age_on(model.person, days)
    return Circumstances(
        hormone_signals(model.person, model.protocol, days, model.parameters),
        load_at_age(age, model.parameters),
        age,
    )


def live(
    model: Model, tissue: Tissue, log_ratio: Float[Array, " elements"], now: Circumstances
) -> tuple[Tissue, Float[Array, " elements"], Float[Array, " elements"]]:
    """Return the tissue after one short step, and its resorption and formation [1/day].

    What does not live stays as it is.
    """
    after, resorption, formation = advance_with_turnover(
        tissue, log_ratio, now, model.settings.inner_step_days, model.parameters
    )
    after = jax.tree.map(lambda new, old: jnp.where(model.living, new, old), after, tissue)
    none = jnp.zeros_like(resorption)
    return after, jnp.where(model.living, resorption, none), jnp.where(model.living, formation, none)


def _trusted(model: Model, stimulus: Float[Array, " elements"]) -> Float[Array, " elements"]:
    """Return the stimulus, with that of elements beside a loaded plane replaced.

    Strain there is an artefact of the cut. They sense what they sensed on day 0 times the mean change (of the
    logarithm) of all other living bone: kept at the value of day 0 they would feel neither training nor
    their own loss, and the ends of a specimen would waste away.
    """
    trusted = model.sensing & model.living
    change = jnp.log(stimulus / model.baseline_stimulus)
    count = jnp.maximum(jnp.sum(trusted), 1).astype(change.dtype)
    mean = jnp.sum(jnp.where(trusted, change, 0)) / count
    return jnp.where(model.sensing, stimulus, model.baseline_stimulus * jnp.exp(mean))


def worst(ends: Ends) -> tuple[Status, int, float]:
    """Return the first bad status of some solves, their most iterations and their largest residual."""
    status = np.asarray(ends.status)
    bad = status[status != Status.CONVERGED]
    first = Status(int(bad[0])) if bad.size else Status.CONVERGED
    return first, int(np.max(ends.iterations)), float(np.max(ends.residual))


def _solve_each(
    model: Model,
    modulus: Float[Array, " elements"],
    boundaries: Boundary,
    initial: Float[Array, "cases nodes 3"],
) -> Balance:
    settings = model.settings
    return balance_each(
        model.structure,
        modulus,
        boundaries,
        initial,
        precision=settings.precision,
        tolerance=settings.tolerance,
        max_iterations=settings.max_iterations,
    )


def _mean_fill(model: Model, fill: Float[Array, " elements"] | None) -> Float[Array, ""]:
    if model.layer is None or fill is None:
        return jnp.zeros((), model.modulus.dtype)
    waiting = model.layer.waiting.astype(fill.dtype)
    return jnp.sum(waiting * filled_share(fill, model.layer).astype(fill.dtype)) / jnp.sum(waiting)


def _load_scale(model: Model, found: Balance) -> Float[Array, " cases"]:
    """Return what each habitual case must be multiplied by to carry the force of habitual life [-]."""
    force = _generalised_force(found, model.loads, model.motions)
    controlled = (model.forces != 0) & (model.motions != 0)
    return jnp.where(controlled, jnp.abs(model.forces / jnp.where(controlled, force, 1)), 1)


def _generalised_force(
    found: Balance, boundaries: Boundary, motions: Float[Array, " cases"]
) -> Float[Array, " cases"]:
    """Return the force that answers the imposed motion, work over motion [N or N mm].

    Where forces load the bone it is the length of their resultant.
    """

    def work(forces, boundary):
        reaction = forces.reshape(-1).at[boundary.held].get(mode="fill", fill_value=0)
        return jnp.sum(reaction * boundary.displacement.astype(forces.dtype))

    def applied(boundary):
        total = [jnp.sum(jnp.where(boundary.pushed % 3 == i, boundary.force, 0)) for i in range(3)]
        return jnp.linalg.norm(jnp.stack(total))

    moved = jax.vmap(work)(found.forces, boundaries) / jnp.where(motions == 0, 1, motions)
    return jnp.where(motions == 0, jax.vmap(applied)(boundaries).astype(moved.dtype), moved)
