"""What a person does with the bone: habitual life, training, bed rest."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from remodel.parameters import Parameters, Scalar


class ActivityPlan(eqx.Module):
    """Habitual loading, and windows of time in which something is added to it or replaces it.

    A window adds bouts of its own, each load case at its own strain (training), and scales the habitual
    strain (bed rest). Strain is given as a factor on the strain of the load case as solved. Windows may
    overlap: what they add adds up, what they scale multiplies.
    """

    habitual_bouts: Scalar
    """Bouts of habitual loading a day [1/day]."""
    habitual_cycles: Scalar
    """Cycles in a habitual bout [-]."""
    habitual_load: Float[Array, " cases"]
    """Strain of habitual life relative to the load case as solved [-]."""
    start_day: Float[Array, " windows"]
    """First day of each window, counted from day 0 of the study [day]."""
    stop_day: Float[Array, " windows"]
    """Day on which each window ends [day]."""
    bouts: Float[Array, " windows"]
    """Bouts a day that a window adds [1/day]."""
    cycles: Float[Array, " windows"]
    """Cycles in each added bout [-]."""
    load: Float[Array, "windows cases"]
    """Strain of the added bouts relative to the load case as solved [-]."""
    habitual_scale: Float[Array, " windows"]
    """What a window multiplies habitual strain by; 1 leaves habitual life as it is [-]."""

    def __check_init__(self):
        windows = self.start_day.shape[-1:]
        for name in ("stop_day", "bouts", "cycles", "habitual_scale"):
            if getattr(self, name).shape[-1:] != windows:
                raise ValueError(
                    f"`{name}` needs one entry per window ({windows[0]}), "
                    f"got shape {getattr(self, name).shape}."
                )
        if self.load.shape[-2:] != windows + self.habitual_load.shape[-1:]:
            raise ValueError(
                f"`load` needs one row per window ({windows[0]}) and one column per load case "
                f"({self.habitual_load.shape[-1]}), got shape {self.load.shape}."
            )


def habitual_life(cases: int, *, bouts: float = 3.0, cycles: float = 7000.0 / 3.0) -> ActivityPlan:
    """Return a plan of habitual loading alone: 7000 steps in three bouts a day.

    Args:
        cases: Number of load cases of the mechanics, each met once in every cycle.
        bouts: Bouts a day [1/day].
        cycles: Cycles in a bout [-].

    Source:
        7000 cycles of gait a day, range 3000 to 10 000; three bouts are assumed.
    """
    none = jnp.zeros((0,), dtype=float)
    one_each = jnp.ones((cases,), dtype=float)
    return ActivityPlan(bouts, cycles, one_each, none, none, none, none, jnp.zeros((0, cases)), none)


def with_training(
    plan: ActivityPlan,
    *,
    start_day: float,
    stop_day: float,
    sets_per_week: float,
    repetitions: float,
    load: float | Float[ArrayLike, " cases"],
) -> ActivityPlan:
    """Return the plan with training added; habitual life goes on.

    Each set counts as a bout: the rest between sets restores the sensitivity of the cells. Two sessions a
    week of 20 sets of five repetitions at 2.5 times habitual strain (heavy resistance and impact training of
    older women) raise the daily stimulus by 47 %.

    Args:
        plan: To be added to.
        start_day: First day of training [day].
        stop_day: Day on which it ends [day].
        sets_per_week: Sets a week [1/week].
        repetitions: Cycles in a set [-].
        load: Strain relative to the load case as solved, one for all cases or one each [-].

    Source:
        Watson et al. 2018 (LIFTMOR), J. Bone Miner. Res. 33:211-220, doi:10.1002/jbmr.3284, for the dose;
        rest restores
        sensitivity: Robling et al. 2001, J. Exp. Biol. 204:3389-3399.
    """
    return _with_window(plan, start_day, stop_day, sets_per_week / 7.0, repetitions, load, 1.0)


def with_bed_rest(
    plan: ActivityPlan, *, start_day: float, stop_day: float, scale: float | None = None
) -> ActivityPlan:
    """Return the plan with a time of bed rest, or any other change of habitual strain, in it.

    Args:
        plan: To be changed.
        start_day: First day [day].
        stop_day: Day on which it ends [day].
        scale: Strain relative to habitual strain; `Parameters.bed_rest_load` unless given [-].
    """
    rest = Parameters().bed_rest_load if scale is None else scale
    return _with_window(plan, start_day, stop_day, 0.0, 0.0, 0.0, rest)


def cycle_weights(plan: ActivityPlan, day: Scalar, parameters: Parameters) -> Float[Array, " cases"]:
    """Return how many saturated cycles at the strain of each load case as solved the day amounts to [1/day].

    The sum over activities of `bouts n_sat (1 - exp(-cycles / n_sat)) factor^m`. With these weights w the
    daily stimulus is `(sum_i w_i strain_i^m / N_ref)^(1/m)`. Without the saturation 7000 steps would drown
    any training.

    Args:
        plan: Activities.
        day: Day of the study [day].
        parameters: Saturation and exponent.

    Source:
        Power sum: Beaupré et al. 1990, doi:10.1002/jor.1100080506. Saturation within a bout: see
        `Parameters.cycles_per_bout`.
    """
    now = jnp.asarray(day, dtype=float)
    exponent = parameters.strain_exponent
    active = ((now >= plan.start_day) & (now < plan.stop_day)).astype(now.dtype)
    scale = jnp.prod(jnp.where(active > 0, plan.habitual_scale, 1.0))
    habitual = _effective_cycles(plan.habitual_bouts, plan.habitual_cycles, parameters)
    added = active * _effective_cycles(plan.bouts, plan.cycles, parameters)
    return habitual * (scale * plan.habitual_load) ** exponent + added @ plan.load**exponent


def mean_cycle_weights(
    plan: ActivityPlan, start_day: Scalar, stop_day: Scalar, parameters: Parameters
) -> Float[Array, " cases"]:
    """Return the mean of `cycle_weights` from one day to another, exactly, however the windows fall [1/day].

    Args:
        plan: Activities.
        start_day: Where the mean begins [day].
        stop_day: Where it ends, after `start_day` [day].
        parameters: Saturation and exponent.
    """
    start, stop = jnp.asarray(start_day, dtype=float), jnp.asarray(stop_day, dtype=float)
    changes = jnp.clip(jnp.concatenate([plan.start_day, plan.stop_day]), start, stop)
    edges = jnp.sort(jnp.concatenate([start[None], changes, stop[None]]))
    middles, lengths = 0.5 * (edges[1:] + edges[:-1]), edges[1:] - edges[:-1]
    weights = jax.vmap(lambda day: cycle_weights(plan, day, parameters))(middles)
    return lengths @ weights / (stop - start)


def habitual_cycle_weights(plan: ActivityPlan, parameters: Parameters) -> Float[Array, " cases"]:
    """Return the weights of habitual life alone, which the reference stimulus is sensed under [1/day]."""
    habitual = _effective_cycles(plan.habitual_bouts, plan.habitual_cycles, parameters)
    return habitual * plan.habitual_load**parameters.strain_exponent


def load_at_age(age: Float[Array, "*times"], parameters: Parameters) -> Float[Array, "*times"]:
    """Return the load of habitual life relative to that at 30: muscle and activity fall with age [-].

    `exp(-0.003 (min(age, 50) - 30) - 0.010 max(age - 50, 0))` after 30. Assumed: without it the feedback of
    strain would end bone loss late in life.
    """
    early = jnp.clip(age, 30.0, 50.0) - 30.0
    late = jnp.maximum(age - 50.0, 0.0)
    return jnp.exp(-parameters.early_load_decline * early - parameters.late_load_decline * late)


def _effective_cycles(
    bouts: Scalar | Float[Array, " windows"],
    cycles: Scalar | Float[Array, " windows"],
    parameters: Parameters,
) -> Float[Array, "*windows"]:
    """Return `bouts n_sat (1 - exp(-cycles / n_sat))` [1/day]."""
    saturation = parameters.cycles_per_bout
    return bouts * saturation * -jnp.expm1(-jnp.asarray(cycles, dtype=float) / saturation)


def _with_window(
    plan: ActivityPlan,
    start_day: float,
    stop_day: float,
    bouts: float,
    cycles: float,
    load: float | Float[ArrayLike, " cases"],
    habitual_scale: Scalar,
) -> ActivityPlan:
    """Return the plan with one more window."""
    if not start_day < stop_day:
        raise ValueError(f"`stop_day` must come after `start_day`, got {stop_day} and {start_day}.")
    if bouts < 0.0 or cycles < 0.0 or np.any(np.asarray(load) < 0.0):
        raise ValueError(
            f"an activity cannot be negative, got {bouts} bouts a day of {cycles} cycles at {load}; "
            "use `with_bed_rest` to take load away."
        )
    cases = plan.habitual_load.shape
    row = jnp.broadcast_to(jnp.asarray(load, dtype=float), cases)

    def append(values: Float[Array, " windows"], value: Scalar) -> Float[Array, " more"]:
        return jnp.append(values, jnp.asarray(value, dtype=float))

    return ActivityPlan(
        plan.habitual_bouts,
        plan.habitual_cycles,
        plan.habitual_load,
        append(plan.start_day, start_day),
        append(plan.stop_day, stop_day),
        append(plan.bouts, bouts),
        append(plan.cycles, cycles),
        jnp.concatenate([plan.load, row[None]]),
        append(plan.habitual_scale, habitual_scale),
    )
