"""Sequences and doses in the model without space: directions, states that stay positive, monotone answers."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from remodel.activity import habitual_life
from remodel.history import single_elements
from remodel.parameters import Parameters
from remodel.person import DAYS_PER_YEAR, Person
from remodel.single_element import course
from remodel.skeleton import DAYS_PER_MONTH, areal_density, follow_person, strength
from remodel.treatment import treatment

LAW = jax.tree.map(lambda number: jnp.asarray(number, float), Parameters())
WOMAN = Person("female", 70.0)
YEAR = DAYS_PER_YEAR

SEQUENCES = {
    "romosozumab then alendronate": (
        treatment("romosozumab", 210.0, stop_day=YEAR),
        treatment("alendronate", 70.0, start_day=YEAR),
    ),
    "romosozumab then nothing": (treatment("romosozumab", 210.0, stop_day=YEAR),),
    "denosumab then nothing": (treatment("denosumab", 60.0, stop_day=2.0 * YEAR),),
    "denosumab then zoledronate": (
        treatment("denosumab", 60.0, stop_day=2.0 * YEAR),
        treatment("zoledronate", 5.0, start_day=2.0 * YEAR, stop_day=2.5 * YEAR),
    ),
    "teriparatide then denosumab": (
        treatment("teriparatide", 20.0, stop_day=2.0 * YEAR),
        treatment("denosumab", 60.0, start_day=2.0 * YEAR),
    ),
    "teriparatide then nothing": (treatment("teriparatide", 20.0, stop_day=2.0 * YEAR),),
    "denosumab": (treatment("denosumab", 60.0),),
    "alendronate": (treatment("alendronate", 70.0),),
    "nothing": (),
}


@eqx.filter_jit
def follow(person, protocol, law, *, months):
    return follow_person(person, (), protocol, habitual_life(1), law, months=months)


@pytest.fixture(scope="module")
def density() -> dict[str, np.ndarray]:
    """Lumbar density relative to day 0, month by month over six years."""
    found = {}
    for name, protocol in SEQUENCES.items():
        values = np.asarray(areal_density(follow(WOMAN, protocol, LAW, months=72), "lumbar spine", LAW))
        found[name] = values / values[0]
    return found


def test_alendronate_keeps_what_romosozumab_built_and_both_beat_alendronate_alone(density):
    kept, lost, alone = (
        density[name] for name in ("romosozumab then alendronate", "romosozumab then nothing", "alendronate")
    )
    assert kept[12] > 1.05
    assert kept[36] > 0.995 * kept[12]
    assert lost[36] < kept[12] - 0.03
    assert kept[36] > alone[36]


def test_stopping_denosumab_loses_what_it_gained_and_zoledronate_keeps_most_of_it(density):
    stopped, covered, on = (
        density[name] for name in ("denosumab then nothing", "denosumab then zoledronate", "denosumab")
    )
    gain = stopped[24] - 1.0
    assert gain > 0.04
    assert stopped[42] - 1.0 < 0.5 * gain
    assert covered[42] - 1.0 > 0.6 * gain
    assert on[42] > stopped[24]


def test_resorption_rebounds_above_the_untreated_after_denosumab_and_not_under_zoledronate():
    marker = {}
    for name in ("denosumab then nothing", "denosumab then zoledronate", "nothing"):
        marker[name] = np.asarray(follow(WOMAN, SEQUENCES[name], LAW, months=48).resorption_marker)
    after = slice(30, 45)
    assert np.max(marker["denosumab then nothing"][after] / marker["nothing"][after]) > 1.1
    assert np.max(marker["denosumab then zoledronate"][after] / marker["nothing"][after]) < 1.0


def test_denosumab_after_teriparatide_gains_further_where_stopping_loses(density):
    followed, stopped = density["teriparatide then denosumab"], density["teriparatide then nothing"]
    np.testing.assert_allclose(followed[:24], stopped[:24], rtol=1e-6)
    assert followed[24] > 1.04
    assert followed[48] > followed[24] + 0.02
    assert stopped[48] < stopped[24] - 0.01


@pytest.mark.parametrize("name", SEQUENCES)
def test_no_state_turns_negative_and_no_density_jumps(name):
    """Every three days, trabecular to compact; a jump would be a change that the rates cannot explain."""
    young, today = single_elements(WOMAN, SEQUENCES[name], LAW, nodes=6)
    seen = jax.jit(
        lambda: course(
            today, young, WOMAN, SEQUENCES[name], habitual_life(1), LAW,
            start_day=0.0, interval=3.0, samples=1500, steps=1,
        )
    )()  # fmt: skip
    for leaf in jax.tree.leaves((seen.tissue, seen.resorption, seen.formation)):
        assert jnp.all(jnp.isfinite(leaf))
        assert jnp.all(leaf >= 0.0)
    fraction = np.concatenate([today.volume_fraction[None], seen.tissue.volume_fraction])
    explained = np.asarray(3.0 * (seen.formation - seen.resorption))
    np.testing.assert_allclose(np.diff(fraction, axis=0), explained, atol=1e-9)
    assert np.max(np.abs(np.diff(fraction, axis=0)) / fraction[:-1]) < 0.01


def test_more_estradiol_through_the_skin_keeps_more_bone_at_any_age():
    doses = jnp.linspace(0.0, 100.0, 11)
    for age in (53.0, 60.0, 72.0):

        def kept(dose, age=age):
            person = Person("female", age)
            found = follow_person(
                person, (), (treatment("estradiol-transdermal", dose),), habitual_life(1), LAW, months=24
            )
            return areal_density(found, "lumbar spine", LAW)[-1]

        found = jax.jit(jax.vmap(kept))(doses)
        assert jnp.all(jnp.diff(found) > 0.0)
        assert found[-1] - found[-2] < found[1] - found[0]  # it saturates


def test_denosumab_farther_apart_does_less():
    """On the mean of years four to six: within an interval density swings."""
    intervals = jnp.array([3.0, 4.0, 6.0, 9.0, 12.0, 18.0, 24.0]) * DAYS_PER_MONTH

    def kept(interval):
        given = (treatment("denosumab", 60.0, interval_days=interval),)
        found = follow_person(WOMAN, (), given, habitual_life(1), LAW, months=72)
        density = areal_density(found, "lumbar spine", LAW)
        return jnp.mean(density[48:]) / density[0]

    found = jax.jit(jax.vmap(kept))(intervals)
    assert jnp.all(jnp.diff(found) < 0.0)


@pytest.mark.parametrize("name", ["dose", "set point"])
def test_derivative_of_strength_after_ten_years_agrees_with_finite_differences(name):
    woman = Person("female", 51.0)

    @jax.jit
    def kept(number):
        dose = number if name == "dose" else 40.0
        law = LAW if name == "dose" else dataclasses.replace(LAW, set_point_estrogen=number)
        protocol = (treatment("estradiol-transdermal", dose),)
        found = follow_person(woman, (), protocol, habitual_life(1), law, months=120)
        return strength(found, "lumbar spine", law)[-1]

    at = jnp.asarray(40.0 if name == "dose" else 0.04)
    step = 1e-3 * at
    difference = (kept(at + step) - kept(at - step)) / (2.0 * step)
    _, forward = jax.jvp(kept, (at,), (jnp.ones_like(at),))
    assert abs(float(difference)) > 0.0
    np.testing.assert_allclose(forward, difference, rtol=1e-4)
    np.testing.assert_allclose(jax.grad(kept)(at), forward, rtol=1e-9)
