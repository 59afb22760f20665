"""Laws of the tissue: fixed points, balance, closed forms, steps, precision, gradients."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_law import REFERENCE_LAW

from remodel.cells import free_rankl
from remodel.hormones import young_signals
from remodel.mineral import ash_fraction
from remodel.single_element import stress_controlled_log_ratio
from remodel.tissue import Circumstances, Tissue, advance_with_turnover, reference_tissue
from remodel.turnover import LARGEST_FRACTION, SMALLEST_FRACTION, active_surface, specific_surface

PARAMETERS = REFERENCE_LAW
COMPARTMENTS = (0.15, 0.75, 0.95)
YEAR = 365.25


def signals(estrogen_deficit=0.0, androgen_deficit=0.0):
    return dataclasses.replace(
        young_signals(),
        estrogen_deficit=jnp.asarray(estrogen_deficit),
        androgen_deficit=jnp.asarray(androgen_deficit),
    )


def today(hormones, load, age):
    return Circumstances(hormones, jnp.asarray(load), jnp.asarray(age))


def compartments(dtype=jnp.float64):
    return reference_tissue(jnp.asarray(COMPARTMENTS, dtype), PARAMETERS)


@eqx.filter_jit
def live(tissue, hormones, *, load=1.0, age=30.0, days, time_step, parameters=PARAMETERS):
    """Return single elements under constant stress, hormones and age after some days."""
    reference, now = tissue, today(hormones, load, age)

    def step(tissue, _):
        ratio = stress_controlled_log_ratio(tissue, reference, parameters)
        after, _, _ = advance_with_turnover(tissue, ratio, now, time_step, parameters)
        return after, None

    return jax.lax.scan(step, tissue, None, length=round(days / time_step))[0]


def test_martin_surface_has_the_published_values():
    porosity = jnp.array([0.05, 0.20, 0.375, 0.80, 0.85])
    np.testing.assert_allclose(specific_surface(porosity), [1.40, 3.62, 4.19, 2.42, 1.96], atol=0.01)


def test_solid_bone_has_no_surface_so_the_polynomial_takes_porosity():
    assert specific_surface(jnp.array([0.0]))[0] == 0.0
    assert specific_surface(jnp.array([1.0]))[0] > 0.19  # the trap: it does not vanish in a void


def test_perforation_takes_the_surface_of_a_void_away():
    surface = active_surface(jnp.array([0.0, 1e-4, 0.15]), PARAMETERS)
    assert surface[0] == 0.0
    assert surface[1] < 0.01
    np.testing.assert_allclose(surface[2], 1.90, atol=0.005)


def test_one_constant_gives_the_turnover_of_trabecular_endocortical_and_compact_bone():
    fraction = jnp.array([0.05, 0.15, 0.30, 0.50, 0.75, 0.90, 0.95])
    turnover = active_surface(fraction, PARAMETERS) * PARAMETERS.resorption_rate * YEAR / fraction
    np.testing.assert_allclose(100.0 * turnover, [21.8, 17.9, 14.6, 11.2, 7.4, 3.8, 2.1], atol=0.06)


def test_reference_state_does_not_move():
    fraction = jnp.linspace(SMALLEST_FRACTION, LARGEST_FRACTION, 50)
    tissue = reference_tissue(fraction, PARAMETERS)
    after, resorption, formation = advance_with_turnover(
        tissue, jnp.zeros(50), today(signals(), 1.0, 30.0), 2.0, PARAMETERS
    )
    for old, new in zip(jax.tree.leaves(tissue), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-12)
    np.testing.assert_allclose(resorption, formation, rtol=1e-12)
    forty_years = live(tissue, signals(), days=40 * YEAR, time_step=2.0)
    np.testing.assert_allclose(forty_years.volume_fraction, fraction, rtol=1e-9)


def test_steady_mineral_has_the_published_content_and_ash():
    tissue = compartments()
    content = tissue.mineral / tissue.matrix.mineralised
    np.testing.assert_allclose(content, [0.3171, 0.3288, 0.3386], atol=5e-5)
    np.testing.assert_allclose(ash_fraction(tissue.matrix), [0.683, 0.691, 0.697], atol=6e-4)


def test_volume_changes_by_formation_less_resorption():
    tissue, now = compartments(), today(signals(0.7, 0.3), 0.9, 60.0)
    step = eqx.filter_jit(advance_with_turnover)
    for _ in range(50):
        after, resorption, formation = step(tissue, jnp.full(3, -0.2), now, 2.0, PARAMETERS)
        change = after.volume_fraction - tissue.volume_fraction
        np.testing.assert_allclose(change, 2.0 * (formation - resorption), atol=1e-15)
        tissue = after


def test_mineral_changes_by_what_is_taken_up_less_what_is_resorbed():
    p, step = PARAMETERS, 2.0
    tissue = live(compartments(), signals(0.7), age=60.0, days=200.0, time_step=step)
    after, resorption, formation = advance_with_turnover(
        tissue, jnp.zeros(3), today(signals(0.7), 1.0, 60.0), step, p
    )
    osteoid_lost = tissue.matrix.osteoid - after.matrix.osteoid + formation * step
    matrix = 0.5 * (tissue.matrix.mineralised + after.matrix.mineralised)
    renewal = resorption / matrix
    pools = (
        ("mineral_fast", p.primary_mineral * osteoid_lost, p.fast_mineral_rate, p.fast_mineral_limit),
        ("mineral_slow", 0.0, p.slow_mineral_rate, p.slow_mineral_limit),
    )
    for name, primary, rate, limit in pools:
        before, now = getattr(tissue.matrix, name), getattr(after.matrix, name)
        # The pool over the step follows M' = s - a M: its integral in closed form.
        a, s = rate + renewal, primary / step + rate * limit * matrix
        integral = s / a * step + (before - s / a) * (1.0 - jnp.exp(-a * step)) / a
        taken_up = primary + rate * (limit * matrix * step - integral)
        np.testing.assert_allclose(now - before, taken_up - renewal * integral, atol=1e-13)


def test_limits_of_density_hold_and_keep_the_balance():
    tissue = reference_tissue(jnp.array([0.022, 0.98]), PARAMETERS)
    push = jnp.array([-3.0, 3.0])
    step = eqx.filter_jit(advance_with_turnover)
    for _ in range(400):
        after, resorption, formation = step(tissue, push, today(signals(), 1.0, 30.0), 30.0, PARAMETERS)
        change = after.volume_fraction - tissue.volume_fraction
        np.testing.assert_allclose(change, 30.0 * (formation - resorption), atol=1e-14)
        tissue = after
    assert tissue.volume_fraction[0] > SMALLEST_FRACTION
    assert tissue.volume_fraction[1] < LARGEST_FRACTION
    assert min(float(jnp.min(leaf)) for leaf in jax.tree.leaves(tissue.matrix)) > 0.0
    assert min(float(jnp.min(leaf)) for leaf in jax.tree.leaves(tissue.cells)) >= 0.0


def test_fifth_more_load_builds_seven_percent_more_bone():
    after = live(compartments(), signals(), load=1.2, days=150 * YEAR, time_step=4.0)
    # Closed form d ln f = ln(load) / b; compact bone is too slow even for 150 years and meets its limit.
    gain = after.volume_fraction[:2] / jnp.array(COMPARTMENTS[:2])
    np.testing.assert_allclose(gain, 1.2 ** (1.0 / PARAMETERS.modulus_exponent), atol=0.003)
    np.testing.assert_allclose(gain, 1.073, atol=0.003)


def test_seven_percent_less_balance_costs_three_and_a_half_percent_of_bone():
    # The balance alone, by an androgen deficit that acts on nothing else.
    balance_only = dataclasses.replace(REFERENCE_LAW, balance_androgen=0.07, rankl_androgen=0.0)
    after = live(
        compartments(), signals(androgen_deficit=1.0), days=150 * YEAR, time_step=4.0, parameters=balance_only
    )
    gain = after.volume_fraction[:2] / jnp.array(COMPARTMENTS[:2])
    np.testing.assert_allclose(gain, 0.966, atol=0.003)


def test_restoring_rate_is_that_of_the_closed_form():
    # The formula is for volume alone: no feedback of mineral on stiffness.
    p = dataclasses.replace(REFERENCE_LAW, ash_exponent=0.0)
    early, late = (
        live(compartments(), signals(), load=1.001, days=years * YEAR, time_step=2.0, parameters=p)
        for years in (3.0, 6.0)
    )
    goal = jnp.log(1.001) / p.modulus_exponent
    left = [goal - jnp.log(tissue.volume_fraction / jnp.array(COMPARTMENTS)) for tissue in (early, late)]
    slope = p.formation_gain + p.uncoupled_formation * p.resorption_gain
    surface = active_surface(jnp.array(COMPARTMENTS), p) * p.resorption_rate
    expected = surface * slope * p.modulus_exponent / jnp.array(COMPARTMENTS)
    np.testing.assert_allclose(1.0 / expected, [1343.0, 3262.0, 11625.0], rtol=1e-3)
    # The formula has no delay; formation follows after 107 days, 8 % of the shortest of these times.
    np.testing.assert_allclose(jnp.log(left[0] / left[1]) / (3.0 * YEAR), expected, rtol=0.08)


def test_two_day_steps_agree_with_quarter_days_over_45_years():
    fine = live(compartments(), signals(0.65), age=55.0, days=16434.0, time_step=0.25)
    coarse = live(compartments(), signals(0.65), age=55.0, days=16434.0, time_step=2.0)
    np.testing.assert_allclose(coarse.volume_fraction, fine.volume_fraction, rtol=5e-5)


def test_two_day_steps_agree_with_quarter_days_in_a_fast_change():
    fine = live(compartments(), signals(1.0), load=0.34, days=180.0, time_step=0.25)
    coarse = live(compartments(), signals(1.0), load=0.34, days=180.0, time_step=2.0)
    np.testing.assert_allclose(coarse.volume_fraction, fine.volume_fraction, rtol=4e-4)


def test_steps_far_above_twice_the_osteoclast_time_stay_harmless():
    # An explicit step diverges above 25 days.
    coarse = live(compartments(), signals(0.65), age=55.0, days=14400.0, time_step=60.0)
    fine = live(compartments(), signals(0.65), age=55.0, days=14400.0, time_step=2.0)
    np.testing.assert_allclose(coarse.volume_fraction, fine.volume_fraction, rtol=5e-3)


def test_single_precision_follows_double_over_forty_years():
    double = live(compartments(), signals(0.65), age=55.0, days=40 * YEAR, time_step=2.0)
    single = live(compartments(jnp.float32), signals(0.65), age=55.0, days=40 * YEAR, time_step=2.0)
    for (path, exact), rounded in zip(
        jax.tree.leaves_with_path(double), jax.tree.leaves(single), strict=True
    ):
        assert rounded.dtype == jnp.float32
        # Damage goes with the eighth power of strain, and so does its rounding.
        rtol = 8e-4 if path[-1] == jax.tree_util.GetAttrKey("damage") else 1e-4
        np.testing.assert_allclose(rounded, exact, rtol=rtol, atol=1e-7)


def test_denosumab_halves_free_rankl_at_666_ng_per_ml():
    # Half of free RANKL needs a decoy as strong as all that binds already: K_D 37.3 times 17.84.
    strength = PARAMETERS.decoy_strength + PARAMETERS.receptor_strength + 1.0
    half = PARAMETERS.denosumab_dissociation * strength
    np.testing.assert_allclose(half, 666.0, rtol=2e-3)
    np.testing.assert_allclose(free_rankl(1.0, 1.0, half, PARAMETERS), 0.5, rtol=1e-14)


@pytest.mark.parametrize(
    "name",
    [
        "resorption_rate",
        "formation_gain",
        "rankl_estrogen",
        "set_point_estrogen",
        "modulus_exponent",
        "decoy_strength",
    ],
)
def test_derivative_of_density_after_five_years_agrees_with_finite_differences(name):
    tissue = compartments()

    def density(value):
        parameters = eqx.tree_at(lambda p: getattr(p, name), PARAMETERS, value)
        after = live(
            tissue, signals(0.65), load=0.9, age=55.0, days=5 * YEAR, time_step=4.0, parameters=parameters
        )
        return jnp.log(after.volume_fraction)

    value = jnp.asarray(getattr(PARAMETERS, name))
    _, slope = jax.jvp(density, (value,), (value,))
    difference = (density(value * (1.0 + 1e-5)) - density(value * (1.0 - 1e-5))) / 2e-5
    np.testing.assert_allclose(slope, difference, rtol=1e-4)


def test_reverse_gradient_agrees_with_forward():
    tissue = compartments()

    def density(parameters):
        after = live(tissue, signals(0.65), age=55.0, days=40.0, time_step=4.0, parameters=parameters)
        return jnp.sum(after.volume_fraction)

    leaves = jax.tree.map(jnp.asarray, PARAMETERS)
    gradient = jax.grad(density)(leaves)
    _, along = jax.jvp(density, (leaves,), (jax.tree.map(jnp.ones_like, leaves),))
    np.testing.assert_allclose(sum(jax.tree.leaves(gradient)), along, rtol=1e-9)


def test_cohort_of_tissues_is_a_map():
    tissue = compartments()
    deficits = jnp.array([0.0, 0.3, 0.6])

    def after(deficit):
        return live(tissue, signals(deficit), age=55.0, days=100.0, time_step=2.0)

    together = jax.vmap(after)(deficits)
    alone: Tissue = after(deficits[1])
    for many, one in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(many[1], one, rtol=1e-12)
