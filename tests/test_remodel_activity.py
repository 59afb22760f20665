"""Laws of the activity plan: saturation, training adds, bed rest replaces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_law import REFERENCE_LAW

from remodel.activity import (
    ActivityPlan,
    cycle_weights,
    habitual_cycle_weights,
    habitual_life,
    load_at_age,
    mean_cycle_weights,
    with_bed_rest,
    with_training,
)
from remodel.parameters import Parameters
from remodel.single_element import activity_ratio

PARAMETERS = REFERENCE_LAW
WALKING = habitual_life(1)


def test_seven_thousand_steps_are_three_hundred_effective_cycles():
    np.testing.assert_allclose(cycle_weights(WALKING, 0.0, PARAMETERS), [300.0], rtol=1e-9)


def test_heavy_training_of_older_women_raises_the_stimulus_by_47_percent():
    # LIFTMOR: two sessions a week, some 20 sets of five repetitions, 2.5 times the strain of walking
    training = with_training(
        WALKING, start_day=0.0, stop_day=240.0, sets_per_week=40.0, repetitions=5.0, load=2.5
    )
    np.testing.assert_allclose(activity_ratio(training, 1.0, PARAMETERS), 1.47, atol=0.005)


def test_training_is_drowned_by_walking_when_cycles_do_not_saturate():
    endless = Parameters(cycles_per_bout=1e6)
    training = with_training(
        WALKING, start_day=0.0, stop_day=240.0, sets_per_week=40.0, repetitions=5.0, load=2.5
    )
    np.testing.assert_allclose(activity_ratio(training, 1.0, endless), 1.038, atol=0.001)


def test_training_can_load_one_case_alone():
    plan = with_training(
        habitual_life(2),
        start_day=0.0,
        stop_day=9.0,
        sets_per_week=7.0,
        repetitions=1e9,
        load=jnp.array([0.0, 2.0]),
    )
    np.testing.assert_allclose(cycle_weights(plan, 1.0, PARAMETERS), [300.0, 300.0 + 1600.0], rtol=1e-9)


def test_bed_rest_scales_the_stimulus_of_habitual_life():
    rest = with_bed_rest(WALKING, start_day=0.0, stop_day=90.0)
    ratio = activity_ratio(rest, 1.0, PARAMETERS)
    np.testing.assert_allclose(ratio, Parameters().bed_rest_load, rtol=1e-12)


def test_windows_act_only_from_their_first_day_to_their_last():
    rest = with_bed_rest(WALKING, start_day=10.0, stop_day=20.0, scale=0.5)
    ratio = jax.vmap(lambda day: activity_ratio(rest, day, PARAMETERS))(jnp.array([9.0, 10.0, 19.0, 20.0]))
    np.testing.assert_allclose(ratio, [1.0, 0.5, 0.5, 1.0], rtol=1e-12)


def test_mean_over_an_interval_is_that_of_its_days():
    plan = with_bed_rest(habitual_life(2), start_day=7.0, stop_day=31.0, scale=0.5)
    plan = with_training(plan, start_day=20.0, stop_day=52.0, sets_per_week=14.0, repetitions=30.0, load=2.0)
    middles = jnp.arange(60.0) + 0.5
    daily = jax.vmap(lambda day: cycle_weights(plan, day, PARAMETERS))(middles)
    mean = mean_cycle_weights(plan, 0.0, 60.0, PARAMETERS)
    np.testing.assert_allclose(mean, jnp.mean(daily, axis=0), rtol=1e-12)


def test_habitual_life_is_what_remains_without_windows():
    plan = with_bed_rest(WALKING, start_day=0.0, stop_day=90.0)
    habitual = habitual_cycle_weights(plan, PARAMETERS)
    np.testing.assert_allclose(habitual, cycle_weights(WALKING, 0.0, PARAMETERS), rtol=1e-12)
    np.testing.assert_allclose(habitual, mean_cycle_weights(WALKING, 0.0, 60.0, PARAMETERS), rtol=1e-12)


def test_stimulus_has_the_derivative_of_finite_differences_in_load_and_exponent():
    def ratio(load, exponent):
        one = jnp.ones(1)
        plan = ActivityPlan(
            habitual_bouts=3.0,
            habitual_cycles=2000.0,
            habitual_load=one,
            start_day=0.0 * one,
            stop_day=9.0 * one,
            bouts=5.0 * one,
            cycles=5.0 * one,
            load=load[None, None],
            habitual_scale=one,
        )
        return activity_ratio(plan, 1.0, Parameters(strain_exponent=exponent))

    at, step = (jnp.asarray(2.5), jnp.asarray(4.0)), 1e-5
    gradient = jax.grad(ratio, argnums=(0, 1))(*at)
    for index in range(2):
        up = [value + step * (i == index) for i, value in enumerate(at)]
        down = [value - step * (i == index) for i, value in enumerate(at)]
        np.testing.assert_allclose(gradient[index], (ratio(*up) - ratio(*down)) / (2.0 * step), rtol=1e-7)


def test_load_falls_by_three_per_mille_a_year_to_fifty_and_ten_after():
    loads = jax.vmap(lambda age: load_at_age(age, PARAMETERS))(jnp.array([20.0, 30.0, 50.0, 70.0]))
    np.testing.assert_allclose(loads, np.exp([0.0, 0.0, -0.06, -0.26]), rtol=1e-12)


def test_negative_activity_is_refused():
    with pytest.raises(ValueError, match="cannot be negative"):
        with_training(WALKING, start_day=0.0, stop_day=9.0, sets_per_week=-1.0, repetitions=5.0, load=2.0)
    with pytest.raises(ValueError, match="`stop_day` must come after"):
        with_bed_rest(WALKING, start_day=9.0, stop_day=0.0)
