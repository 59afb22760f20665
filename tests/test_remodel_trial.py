"""Laws of virtual trials: twins, intervals, percentiles, outcomes and instruments."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from remodel.activity import habitual_life
from remodel.outcomes import LEVELS, Outcome, outcome_name, outcome_unit
from remodel.parameters import Parameters
from remodel.person import Person
from remodel.population import Fixed, Population, TruncatedNormal, draw_persons
from remodel.skeleton import areal_density, follow_person
from remodel.treatment import treatment
from remodel.trial import Arm, Trial, TrialResult, run_trial, statistics

AGE = {"age": TruncatedNormal(60.0, 4.0, 50.0, 70.0)}
SPINE, BY_DXA = Outcome("areal density", "lumbar spine"), Outcome("areal density", "lumbar spine", "DXA")
TRABECULAR = Outcome("volumetric density", "trabecular bone")
BY_QCT = Outcome("volumetric density", "trabecular bone", "QCT")
OUTCOMES = (SPINE, BY_DXA, TRABECULAR, BY_QCT, Outcome("CTX"), Outcome("estradiol"))
PATCH = treatment("estradiol-transdermal", 50.0)


@pytest.fixture(scope="module")
def result() -> TrialResult:
    """A year of three arms, of which the second gets what the first gets: nothing."""
    arms = (Arm("nothing"), Arm("again"), Arm("patch", (PATCH,)))
    return run_trial(Trial(Population(7, "female", AGE), arms, (6, 12), OUTCOMES))


def test_twins_in_equal_arms_differ_by_exactly_nothing(result):
    again = result.arms[1].difference
    for values in (again.mean, again.sd, again.low, again.high, again.mean_low, again.mean_high):
        assert np.all(values == 0.0)


def test_a_difference_is_the_mean_of_differences_within_pairs(result):
    nothing, _, patch = result.arms
    pairs = patch.values - nothing.values
    visits = list(result.visits)
    np.testing.assert_allclose(patch.difference.mean[visits], pairs.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(patch.difference.sd[visits], pairs.std(axis=0, ddof=1), atol=1e-12)
    np.testing.assert_allclose(patch.difference.mean, patch.outcomes.mean - nothing.outcomes.mean, atol=1e-9)


def test_changes_are_zero_on_day_zero_and_estradiol_keeps_bone(result):
    for arm in result.arms:
        assert np.all(arm.values[:, 0, :5] == 0.0)
    patch = result.arms[2].difference.mean[12]
    assert patch[0] > 0.0
    assert patch[4] < 0.0  # CTX
    gain = Parameters().transdermal_gain
    np.testing.assert_allclose(patch[5], 50.0 * gain, rtol=1e-9)


def test_every_person_is_followed_as_alone(result):
    person = jax.tree.map(lambda leaf: leaf[6], result.persons)
    alone = follow_person(person, (), (PATCH,), habitual_life(1), Parameters(), months=12)
    density = np.asarray(areal_density(alone, "lumbar spine", Parameters()))
    change = 100.0 * (density[[0, 6, 12]] / density[0] - 1.0)
    np.testing.assert_allclose(result.arms[2].values[6, :, 0], change, rtol=1e-9, atol=1e-11)


def test_dxa_adds_the_drift_of_the_lumbar_spine_after_65_only(result):
    true, read = result.arms[0].values[..., 0], result.arms[0].values[..., 1]
    old = np.asarray(result.persons.age) > 65.0
    young = np.asarray(result.persons.age) < 64.0
    assert np.all(read[old, 2] > true[old, 2]) or not np.any(old)
    np.testing.assert_allclose(read[young], true[young], atol=1e-11)


def test_single_energy_tomography_sees_marrow_fat_that_follows_estradiol(result):
    """Estradiol lowers marrow fat, so that a patch seems to add more than it does, and at once."""
    seen = result.arms[2].difference.mean[12]
    assert seen[3] > seen[2] > 0.0


def test_levels_are_told_month_by_month(result):
    levels = result.arms[2].levels.mean
    assert levels.shape == (13, len(LEVELS))
    column = list(LEVELS).index("estradiol")
    np.testing.assert_allclose(levels[:, column], result.arms[2].outcomes.mean[:, 5])


def test_the_interval_of_a_mean_shrinks_with_the_root_of_the_number_of_persons():
    values = np.random.default_rng(3).normal(2.0, 1.5, (40_000, 1, 1))
    widths = []
    for count in (100, 400, 1600, 6400):
        # The mean over independent groups, so that chance of the standard deviation is out of it.
        groups = [statistics(values[k * count : (k + 1) * count]) for k in range(40_000 // count)]
        widths.append(np.mean([(group.mean_high - group.mean_low).item() for group in groups]))
    rates = np.diff(np.log(widths)) / np.log(4.0)
    np.testing.assert_allclose(rates, -0.5, atol=0.01)
    np.testing.assert_allclose(widths[-1], 2 * 1.959964 * 1.5 / 80.0, rtol=0.01)


def test_the_interval_of_the_mean_holds_it_in_95_of_100_samples_and_the_band_95_of_100_persons():
    values = np.random.default_rng(4).normal(0.0, 1.0, (1000, 50, 1))
    seen = [statistics(sample[:, None]) for sample in values]
    held = np.mean([(s.mean_low <= 0.0) & (s.mean_high >= 0.0) for s in seen])
    assert 0.92 < held < 0.97  # of the normal interval at n = 50: 0.944, chance 0.007
    band = statistics(values[:, :1])
    np.testing.assert_allclose([band.low.item(), band.high.item()], [-1.96, 1.96], atol=0.2)


def test_batches_do_not_show(result, monkeypatch):
    monkeypatch.setattr("remodel.trial.BATCH", 3)
    trial = Trial(Population(7, "female", AGE), (Arm("nothing"),), (6, 12), OUTCOMES)
    told = []
    small = run_trial(trial, told=told.append)
    np.testing.assert_allclose(small.arms[0].values, result.arms[0].values, rtol=1e-9, atol=1e-11)
    assert sum(told) == 14  # once for day 0, once for the arm


def test_treatment_before_day_zero_goes_on_in_every_arm():
    before = (treatment("estradiol-transdermal", 50.0, start_day=-730.0),)
    population = Population(3, "female", AGE, before=before)
    found = run_trial(Trial(population, (Arm("nothing"),), (6, 12), OUTCOMES))
    untreated = run_trial(Trial(Population(3, "female", AGE), (Arm("nothing"),), (6, 12), OUTCOMES))
    gain = 50.0 * Parameters().transdermal_gain
    difference = found.arms[0].values[..., 5] - untreated.arms[0].values[..., 5]
    np.testing.assert_allclose(difference, gain, rtol=1e-9)


def test_draws_of_the_law_spread_persons_who_are_alike():
    two = jax.tree.map(lambda number: jnp.full(2, number, dtype=float), Parameters())
    draws = eqx.tree_at(lambda law: law.resorption_rate, two, two.resorption_rate * jnp.array([1.0, 1.3]))
    alike = Population(8, "female", {"age": Fixed(60.0)}, draws=draws)
    change = run_trial(Trial(alike, (Arm("nothing"),), (12,), (SPINE,))).arms[0].values[:, 1, 0]
    assert np.unique(np.round(change, 6)).size == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("areal densty", "lumbar spine"), "`quantity`"),
        (("areal density",), "`site`"),
        (("CTX", "lumbar spine"), "of serum"),
        (("areal density", "lumbar spine", "QCT"), "`instrument`"),
        (("CTX", None, "DXA"), "`instrument`"),
    ],
)
def test_an_outcome_that_cannot_be_measured_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        Outcome(*given)


def test_names_and_units_of_outcomes():
    assert outcome_name(BY_DXA) == "lumbar spine areal density by DXA"
    assert (outcome_unit(SPINE), outcome_unit(Outcome("estradiol"))) == ("%", "pg/ml")


def test_a_trial_that_cannot_be_run_is_refused():
    population = Population(3, "female", AGE)
    for arms, visits, outcomes in (
        ((), (1,), OUTCOMES),
        ((Arm("a"), Arm("a")), (1,), OUTCOMES),
        ((Arm("a"),), (2, 1), OUTCOMES),
        ((Arm("a"),), (0, 1), OUTCOMES),
        ((Arm("a"),), (1,), ()),
    ):
        with pytest.raises(ValueError, match=r"arm|visits"):
            Trial(population, arms, visits, outcomes)


def test_drawn_persons_are_women_of_the_ages_asked(result):
    assert isinstance(result.persons, Person)
    jax.tree.map(np.testing.assert_array_equal, result.persons, draw_persons(Population(7, "female", AGE)))
