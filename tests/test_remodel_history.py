"""Laws of the initial state: what the years from 30 on left in a scanned bone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_law import REFERENCE_LAW

from remodel.activity import habitual_life, load_at_age
from remodel.history import initial_tissue, live_through
from remodel.hormones import hormone_signals
from remodel.observation import mean_over, mineral_density
from remodel.person import DAYS_PER_YEAR, Person, age_on
from remodel.reference import local_reference
from remodel.single_element import circumstances, course, simulate, stress_controlled_log_ratio
from remodel.tissue import Circumstances, advance_with_turnover, reference_tissue

PARAMETERS = REFERENCE_LAW
UNTREATED = ()
FRACTIONS = jnp.linspace(0.03, 0.95, 40)


def person(sex, age):
    """Return a person whose numbers are leaves, so that all share one compiled history."""
    return jax.tree.map(jnp.asarray, Person(sex, age))


def past(age, *, sex="female"):
    return live_through(person(sex, age), UNTREATED, PARAMETERS)


@pytest.mark.parametrize("sex", ["female", "male"])
def test_healthy_person_of_thirty_starts_in_the_reference_state(sex):
    tissue, ratio = initial_tissue(past(30.0, sex=sex), FRACTIONS, PARAMETERS)
    np.testing.assert_allclose(ratio, 1.0, rtol=1e-14)
    reference = reference_tissue(FRACTIONS, PARAMETERS)
    for found, expected in zip(jax.tree.leaves(tissue), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_densities_keep_their_order_through_life():
    for age in (53.0, 70.0, 90.0):
        assert jnp.all(jnp.diff(past(age).volume_fraction) > 0.0)


def test_scanned_density_is_kept():
    tissue, _ = initial_tissue(past(65.0), FRACTIONS, PARAMETERS)
    np.testing.assert_allclose(tissue.volume_fraction, FRACTIONS, rtol=1e-14)


def test_bone_of_an_old_woman_starts_strained_and_losing():
    woman = person("female", 65.0)
    tissue, ratio = initial_tissue(past(65.0), FRACTIONS, PARAMETERS)
    assert jnp.all(ratio[5:25] > 1.05)
    age = age_on(woman, 0.0)
    now = Circumstances(hormone_signals(woman, UNTREATED, 0.0, PARAMETERS), load_at_age(age, PARAMETERS), age)
    _, resorption, formation = advance_with_turnover(tissue, jnp.log(ratio), now, 2.0, PARAMETERS)
    loss = (resorption - formation) * DAYS_PER_YEAR / FRACTIONS
    assert jnp.all((loss[:30] > 0.0) & (loss[:30] < 0.03))


def years_of(woman, tissue, reference, *, start_day, stop_day, steps):
    """Return single elements after some days of habitual life, in so many steps."""
    time_step = (stop_day - start_day) / steps
    middles = start_day + (jnp.arange(steps, dtype=float) + 0.5) * time_step
    days = circumstances(woman, UNTREATED, habitual_life(1), middles, PARAMETERS)
    return simulate(tissue, reference, days, time_step, PARAMETERS)[0]


def test_life_goes_on_from_the_scan_as_if_it_had_not_been_interrupted():
    woman = person("female", 58.0)
    young = reference_tissue(jnp.array([0.15, 0.40, 0.75]), PARAMETERS)
    at_scan = years_of(woman, young, young, start_day=-28.0 * DAYS_PER_YEAR, stop_day=0.0, steps=8000)
    whole = years_of(woman, at_scan, young, start_day=0.0, stop_day=1826.0, steps=913)

    tissue, ratio = initial_tissue(past(58.0), at_scan.volume_fraction, PARAMETERS)
    stimulus = jnp.array([9e-4, 1.1e-3, 1.0e-3])
    reference = local_reference(stimulus, habitual_ratio=ratio)
    baseline = tissue

    def step(tissue, index):
        day = 2.0 * index + 1.0
        age = age_on(woman, day)
        strained = jnp.log(stimulus / reference) + stress_controlled_log_ratio(tissue, baseline, PARAMETERS)
        hormones = hormone_signals(woman, UNTREATED, day, PARAMETERS)
        now = Circumstances(hormones, load_at_age(age, PARAMETERS), age)
        after, _, _ = advance_with_turnover(tissue, strained, now, 2.0, PARAMETERS)
        return after, None

    tissue, _ = jax.lax.scan(step, tissue, jnp.arange(913.0))
    loss = 1.0 - whole.volume_fraction / at_scan.volume_fraction
    assert jnp.all(loss > 0.01)
    # Linear interpolation in a table of 48 densities.
    np.testing.assert_allclose(1.0 - tissue.volume_fraction / at_scan.volume_fraction, loss, rtol=0.02)
    np.testing.assert_allclose(tissue.mineral, whole.mineral, rtol=1e-3)


def test_cohort_of_histories_is_a_map():
    ages = jnp.array([35.0, 60.0])
    women = jax.vmap(lambda age: Person("female", age, jnp.asarray(51.0), jnp.asarray(jnp.inf)))(ages)
    together = jax.vmap(lambda woman: live_through(woman, UNTREATED, PARAMETERS))(women)
    np.testing.assert_allclose(together.log_ratio[1], past(60.0).log_ratio, rtol=1e-9, atol=1e-12)


def test_density_is_observed_in_milligrams_of_hydroxyapatite():
    tissue = reference_tissue(jnp.array([0.15, 0.95]), PARAMETERS)
    compact = jnp.array([False, True])
    np.testing.assert_allclose(mean_over(tissue.volume_fraction, compact), 0.95, rtol=1e-12)
    np.testing.assert_allclose(mineral_density(tissue.mineral, compact), 3200.0 * 0.95 * 0.3386, rtol=2e-3)


def test_course_ends_where_the_single_run_ends():
    woman, plan = person("female", 50.0), habitual_life(1)
    young = reference_tissue(jnp.array([0.15, 0.75]), PARAMETERS)
    whole = years_of(woman, young, young, start_day=0.0, stop_day=730.0, steps=365)
    parts = course(
        young, young, woman, UNTREATED, plan, PARAMETERS, start_day=0.0, interval=146.0, samples=5, steps=73
    )
    np.testing.assert_allclose(parts.day, 146.0 * np.arange(1, 6))
    np.testing.assert_allclose(parts.tissue.volume_fraction[-1], whole.volume_fraction, rtol=1e-12)


def test_history_in_single_precision_follows_double():
    double, _ = initial_tissue(past(60.0), FRACTIONS, PARAMETERS)
    with jax.enable_x64(False):
        woman = jax.tree.map(jnp.asarray, Person("female", 60.0))
        single, _ = initial_tissue(
            live_through(woman, UNTREATED, PARAMETERS), FRACTIONS.astype(jnp.float32), PARAMETERS
        )
    for exact, rounded in zip(jax.tree.leaves(double), jax.tree.leaves(single), strict=True):
        assert rounded.dtype == jnp.float32
        np.testing.assert_allclose(np.asarray(rounded), np.asarray(exact), rtol=2e-3, atol=1e-7)
