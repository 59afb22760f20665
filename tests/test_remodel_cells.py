"""Laws of the cells under drugs and hormones: fixed points, signs, exhaustion, rebound, composition."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_law import REFERENCE_LAW

from remodel.cells import (
    advance_bisphosphonate,
    coupled_formation,
    rankl_expression,
    rankl_to_osteoprotegerin,
    uncoupled_formation,
    wnt_tone,
)
from remodel.hormones import young_signals
from remodel.parameters import Parameters
from remodel.single_element import simulate
from remodel.tissue import Circumstances, reference_tissue

PARAMETERS = REFERENCE_LAW
ONE = jnp.ones(3)


def signals(**changed):
    return dataclasses.replace(
        young_signals(), **{name: jnp.asarray(value) for name, value in changed.items()}
    )


@eqx.filter_jit
def live(tissue, reference, days, load, parameters=PARAMETERS):
    age = jnp.full_like(load, 30.0)
    return simulate(tissue, reference, Circumstances(days, load, age), 2.0, parameters)


def under(hormones, *, days, start=None, load=1.0, parameters=PARAMETERS):
    """Return single elements, their resorption and formation after some days of constant signals."""
    reference = reference_tissue(jnp.array([0.15, 0.75, 0.95]), parameters)
    steps = days // 2
    rows = jax.tree.map(lambda level: jnp.full(steps, level), hormones)
    return live(reference if start is None else start, reference, rows, jnp.full(steps, load), parameters)


def test_without_drugs_and_hormones_out_of_place_every_factor_is_one():
    now = young_signals()
    assert wnt_tone(now, PARAMETERS) == 1.0
    assert rankl_expression(now, 0.0, PARAMETERS) == 1.0
    assert rankl_to_osteoprotegerin(now, PARAMETERS) == 1.0
    total = coupled_formation(now, 30.0, ONE, PARAMETERS) + uncoupled_formation(now, ONE, ONE, PARAMETERS)
    np.testing.assert_allclose(total, 1.0, rtol=1e-15)


def test_wnt_tone_rises_to_its_reserve_and_no_further():
    doses = jnp.array([0.0, 1.0, 10.0, 1e9])
    tones = jnp.stack([wnt_tone(signals(romosozumab=dose), PARAMETERS) for dose in doses])
    assert jnp.all(jnp.diff(tones) > 0.0)
    np.testing.assert_allclose(tones[-1], 1.0 + PARAMETERS.wnt_reserve, rtol=1e-8)


@pytest.mark.parametrize(
    ("signal", "value", "sign"),
    [
        ("estrogen_deficit", 0.8, 1),
        ("androgen_deficit", 0.8, 1),
        ("pth_ratio", 1.25, 1),
        ("igf1_ratio", 1.5, 1),
        ("glucocorticoid_transient", 0.5, 1),
        ("teriparatide", 1.0, 1),
        ("romosozumab", 10.0, -1),
    ],
)
def test_signal_moves_rankl_the_way_it_is_known_to(signal, value, sign):
    change = float(rankl_expression(signals(**{signal: value}), 0.0, PARAMETERS)) - 1.0
    assert change * sign > 0.0


def test_rankl_never_vanishes_however_much_takes_it_away():
    after_steroids = signals(glucocorticoid_transient=-0.9, estrogen_deficit=-0.3, pth_ratio=0.3)
    assert rankl_expression(after_steroids, 0.0, PARAMETERS) > 0.0


def test_denosumab_stops_resorption_and_its_end_brings_more_than_there_was():
    on, resorption, _ = under(signals(denosumab=5000.0), days=730)
    _, usual, _ = under(signals(), days=2)
    # 12 % of free RANKL is left; precursors have gathered and denser bone is strained less.
    assert jnp.all(resorption < 0.25 * usual)
    assert jnp.all(on.cells.precursors > 1.1)
    _, rebound, _ = under(signals(), days=120, start=on)
    assert jnp.all(rebound > 1.1 * usual)


def test_bisphosphonate_on_the_surface_cancels_the_rebound_of_denosumab():
    on, _, _ = under(signals(denosumab=5000.0), days=730)
    bound = eqx.tree_at(lambda t: t.cells.bisphosphonate, on, 1.2 * ONE)
    free = under(signals(), days=120, start=on)[1]
    held = under(signals(), days=120, start=bound)[1]
    assert jnp.all(held < 0.6 * free)


def test_romosozumab_exhausts_the_lining_cells_and_with_them_its_own_effect():
    _, _, early = under(signals(romosozumab=10.0), days=14)
    late_tissue, _, late = under(signals(romosozumab=10.0), days=360)
    _, _, usual = under(signals(), days=2)
    assert jnp.all(early > 1.5 * usual)
    assert jnp.all(late < 0.6 * early)
    assert jnp.all(late_tissue.cells.lining < 0.4)
    rested, _, _ = under(signals(), days=3 * 354, start=late_tissue)
    assert jnp.all(rested.cells.lining > 0.9)


def test_teriparatide_raises_resorption_and_formation_and_bone():
    after, resorption, formation = under(signals(teriparatide=1.0), days=540)
    _, usual, _ = under(signals(), days=2)
    assert jnp.all(resorption[0] > 1.2 * usual[0])
    assert jnp.all(formation[0] > 1.4 * usual[0])
    assert after.volume_fraction[0] > 0.15 * 1.03


def test_glucocorticoid_lowers_formation_at_once_and_costs_bone():
    start, _, _ = under(signals(), days=2)
    effect = 10.0 / 17.5
    after, _, formation = under(
        signals(glucocorticoid_effect=effect, glucocorticoid_transient=0.0), days=90, start=start
    )
    _, _, usual = under(signals(), days=2)
    np.testing.assert_allclose(formation / usual, 1.0 - PARAMETERS.balance_glucocorticoid * effect, atol=0.03)
    assert jnp.all(after.volume_fraction < start.volume_fraction)


def test_bisphosphonate_leaves_with_time_and_with_resorbed_bone():
    fraction = jnp.array([0.2, 0.2])
    renewal = jnp.array([0.0, 5e-4])
    after = advance_bisphosphonate(fraction, 0.0, renewal, 365.0, PARAMETERS)
    loss = 1.0 / PARAMETERS.bisphosphonate_time + PARAMETERS.bisphosphonate_release * renewal
    np.testing.assert_allclose(after, fraction * jnp.exp(-365.0 * loss), rtol=1e-12)


def test_uptake_of_bisphosphonate_is_kept_whole_over_any_step():
    # Without loss the amount on the surface is what was taken up.
    lasting = dataclasses.replace(REFERENCE_LAW, bisphosphonate_time=1e12, bisphosphonate_capacity=1e12)
    none = jnp.zeros(1)
    taken = advance_bisphosphonate(none, 0.01, none, 60.0, lasting)
    np.testing.assert_allclose(taken, 0.6, rtol=1e-6)


def test_doses_of_bisphosphonate_add_up_to_the_capacity_of_the_surface():
    none, lasting = jnp.zeros(1), Parameters(bisphosphonate_time=1e12)
    small, large, huge = (
        advance_bisphosphonate(none, dose / 7.0, none, 7.0, lasting)[0] for dose in (0.42, 2.1, 1e4)
    )
    assert large < 5.0 * small
    np.testing.assert_allclose(huge, lasting.bisphosphonate_capacity, rtol=1e-6)


def test_burst_of_disuse_is_off_by_default_and_passes_where_it_is_on():
    burst = dataclasses.replace(REFERENCE_LAW, disuse_burst=0.8)
    _, off, _ = under(signals(), days=30, load=0.34)
    _, on, _ = under(signals(), days=30, load=0.34, parameters=burst)
    assert jnp.all(on > 1.1 * off)
    off_tissue, off, _ = under(signals(), days=720, load=0.34)
    _, late, _ = under(signals(), days=720, load=0.34, parameters=burst)
    np.testing.assert_allclose(late[2], off[2], rtol=0.02)
    # The loss of stimulus is 0.66 at first and a little less once bone has been lost.
    np.testing.assert_allclose(off_tissue.cells.used_to_disuse[2], 0.66, atol=0.04)


def test_without_vitamin_d_osteoid_gathers_and_mineral_falls():
    usual, _, _ = under(signals(), days=720)
    sick, _, _ = under(signals(osteoid_delay=3.0, mineral_supply=0.5), days=720)
    assert jnp.all(sick.matrix.osteoid > 2.0 * usual.matrix.osteoid)
    assert jnp.all(sick.mineral / sick.matrix.mineralised < usual.mineral / usual.matrix.mineralised)


def test_any_sequence_of_drugs_keeps_every_state_positive_and_bounded():
    drugs = [
        signals(denosumab=5000.0),
        signals(romosozumab=10.0),
        signals(teriparatide=1.0),
        signals(bisphosphonate_uptake=0.0032),
        signals(),
    ]
    rng = np.random.default_rng(3)
    for _ in range(6):
        tissue = None
        for index in rng.permutation(len(drugs)):
            tissue, _, _ = under(drugs[index], days=360, start=tissue)
        assert tissue is not None
        for leaf in jax.tree.leaves(tissue):
            assert jnp.all(jnp.isfinite(leaf) & (leaf >= 0.0))
        assert jnp.all(tissue.cells.precursors < 1.0 + PARAMETERS.precursor_gain)
        assert jnp.all(tissue.cells.lining <= 1.0)
