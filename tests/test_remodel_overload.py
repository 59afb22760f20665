"""Microdamage and woven bone: nothing without their switches, balance in the reference, repair and its lack."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from remodel.hormones import young_signals
from remodel.overload import LARGEST_STRAIN_RATIO, advance_damage, damage_call, woven_formation
from remodel.parameters import Parameters
from remodel.tissue import Circumstances, advance_with_turnover, reference_tissue
from remodel.turnover import active_surface

LAW = Parameters()
YEAR = 365.25


def lived(strain_ratio, law, *, years=2.0, signals=None):
    """Return three densities after some years at a strain that is so many times the habitual one."""
    now = Circumstances(young_signals() if signals is None else signals, jnp.ones(()), jnp.asarray(30.0))
    start = reference_tissue(jnp.array([0.15, 0.5, 0.9]), law)
    ratio = jnp.full(3, jnp.log(strain_ratio))

    def step(carry, _):
        return advance_with_turnover(carry[0], ratio, now, 2.0, law), None

    none = jnp.zeros(3)
    (tissue, resorption, formation), _ = jax.lax.scan(
        step, (start, none, none), length=round(years * YEAR / 2.0)
    )
    return tissue, resorption, formation


def test_without_their_switches_nothing_changes_and_the_reference_keeps_its_damage():
    assert LAW.damage_resorption == LAW.woven_rate == 0.0
    np.testing.assert_array_equal(damage_call(jnp.array([0.0, 7.0]), LAW), 1.0)
    np.testing.assert_array_equal(woven_formation(jnp.array([0.0, 9.0]), LAW), 0.0)
    tissue, _, _ = lived(1.0, LAW, years=20.0)
    np.testing.assert_allclose(tissue.cells.damage, 1.0, rtol=1e-12)


def test_damage_follows_the_closed_form_between_making_and_repair():
    damage, made, renewal = jnp.array([3.0]), jnp.array([2e-4]), jnp.array([5e-4])
    after = damage
    for _ in range(50):
        after = advance_damage(after, jnp.array([1.2]), made, renewal, 10.0, LAW)
    steady = made * 1.2**8 / renewal
    np.testing.assert_allclose(after, steady + (damage - steady) * np.exp(-500.0 * renewal), rtol=1e-12)
    # Nothing is repaired where nothing is resorbed.
    idle = advance_damage(damage, jnp.array([1.0]), made, jnp.zeros(1), 10.0, LAW)
    np.testing.assert_allclose(idle, damage + 10.0 * made, rtol=1e-12)
    # Beyond yield no more is made.
    most, more = (
        advance_damage(damage, jnp.array([ratio]), made, renewal, 1.0, LAW)
        for ratio in (LARGEST_STRAIN_RATIO, 9.0)
    )
    np.testing.assert_array_equal(most, more)


def test_fewer_osteoclasts_let_damage_gather():
    signals = dataclasses.replace(young_signals(), denosumab=jnp.asarray(8000.0))
    tissue, _, _ = lived(1.0, LAW, years=4.0, signals=signals)
    assert jnp.all(tissue.cells.damage > 1.1)


def test_damage_calls_osteoclasts_where_the_switch_is_on():
    on = dataclasses.replace(LAW, damage_resorption=0.2)
    _, plain, _ = lived(1.15, LAW)
    tissue, called, _ = lived(1.15, on)
    assert jnp.all(tissue.cells.damage > 1.1)
    assert jnp.all(called > plain)
    np.testing.assert_allclose(lived(1.0, on)[1], lived(1.0, LAW)[1], rtol=1e-9)


def test_woven_bone_forms_far_above_habit_only_and_by_its_rate_per_surface():
    on = dataclasses.replace(LAW, woven_rate=1e-3)
    habit, peak = woven_formation(jnp.array([1.0, 2.0]), on), woven_formation(jnp.array([8.0]), on)
    assert jnp.all(habit * LAW.resorption_rate < 0.01 * 1e-3)
    np.testing.assert_allclose(peak * LAW.resorption_rate, 1e-3, rtol=1e-4)
    np.testing.assert_allclose(
        woven_formation(jnp.array([LAW.woven_onset]), on) * LAW.resorption_rate, 0.5e-3, rtol=1e-12
    )
    start = reference_tissue(jnp.array([0.15, 0.5, 0.9]), on)
    now = Circumstances(young_signals(), jnp.ones(()), jnp.asarray(30.0))
    _, _, formed = advance_with_turnover(start, jnp.full(3, jnp.log(8.0)), now, 2.0, on)
    _, _, plain = advance_with_turnover(start, jnp.full(3, jnp.log(8.0)), now, 2.0, LAW)
    expected = active_surface(start.volume_fraction, on) * 1e-3
    np.testing.assert_allclose((formed - plain)[:2], expected[:2], rtol=1e-3)


@pytest.mark.parametrize("name", ["damage_resorption", "woven_rate"])
def test_derivative_in_a_switch_that_is_off_agrees_with_finite_differences(name):
    """A switch can be fitted from zero: what it would do is a derivative there."""

    def kept(number):
        return lived(3.5, dataclasses.replace(LAW, **{name: number}), years=0.5)[0].volume_fraction[0]

    step = 1e-6
    forward = jax.jit(lambda at: jax.jvp(kept, (at,), (jnp.ones_like(at),))[1])(jnp.asarray(0.0))
    difference = (kept(jnp.asarray(step)) - kept(jnp.asarray(-step))) / (2.0 * step)
    np.testing.assert_allclose(forward, difference, rtol=1e-4)
