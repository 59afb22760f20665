"""Laws of the hormone curves: menopause, surgery, men, estradiol through the skin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from remodel.hormones import (
    TransdermalEstradiol,
    hormone_signals,
    natural_estradiol,
    natural_testosterone,
)
from remodel.parameters import Parameters
from remodel.person import DAYS_PER_YEAR, Person, age_on

PARAMETERS = Parameters()
UNTREATED = TransdermalEstradiol()


def signals_at(person, age, therapy=UNTREATED, parameters=PARAMETERS):
    return hormone_signals(person, therapy, (age - person.age) * DAYS_PER_YEAR, parameters)


def test_estradiol_falls_through_menopause_as_in_cohorts_of_women():
    woman = Person("female", 50.0)
    ages = jnp.array([49.0, 50.0, 51.0, 52.0, 53.0, 56.0])
    expected = [96.3, 78.0, 34.5, 10.4, 5.8, 5.0]  # given to one decimal
    found = jax.vmap(lambda age: natural_estradiol(woman, age))(ages)
    np.testing.assert_allclose(found, expected, atol=0.051)


def test_healthy_person_of_thirty_has_no_deficit():
    for sex in ("female", "male"):
        signals = signals_at(Person(sex, 30.0), 30.0)
        assert abs(signals.estrogen_deficit) < 1e-15
        assert abs(signals.androgen_deficit) < 1e-15


def test_later_menopause_shifts_the_curve_and_nothing_else():
    early = natural_estradiol(Person("female", 30.0, final_menstrual_period=45.0), jnp.asarray(45.5))
    late = natural_estradiol(Person("female", 30.0, final_menstrual_period=54.0), jnp.asarray(54.5))
    np.testing.assert_allclose(early, late, rtol=1e-12)


def test_removal_of_the_ovaries_takes_estradiol_within_days_and_halves_testosterone():
    woman = Person("female", 44.0, oophorectomy=45.0)
    before, after = jnp.asarray(44.999), jnp.asarray(45.0 + 14.0 / DAYS_PER_YEAR)
    assert natural_estradiol(woman, before) > 99.0
    assert natural_estradiol(woman, after) < 5.1
    ratio = natural_testosterone(woman, after) / natural_testosterone(woman, before)
    np.testing.assert_allclose(ratio, 0.5, atol=0.002)


def test_surgery_after_menopause_changes_no_estradiol():
    late, never = Person("female", 60.0, oophorectomy=65.0), Person("female", 60.0)
    age = jnp.asarray(70.0)
    np.testing.assert_allclose(natural_estradiol(late, age), natural_estradiol(never, age), rtol=1e-9)


def test_women_have_the_testosterone_of_their_age():
    ages = jnp.array([20.0, 32.5, 45.0, 60.0])
    found = jax.vmap(lambda age: natural_testosterone(Person("female", 30.0), age))(ages)
    np.testing.assert_allclose(found, [45.0, 35.0, 25.0, 25.0], rtol=1e-12)


def test_men_lose_both_hormones_together_and_slowly():
    man = Person("male", 70.0)
    signals = signals_at(man, 70.0)
    np.testing.assert_allclose(signals.testosterone, 550.0 * 0.76, rtol=1e-12)
    np.testing.assert_allclose(signals.estradiol, 25.0 * 0.76, rtol=1e-12)
    assert 0.0 < signals.androgen_deficit < signals.estrogen_deficit < 0.2


def test_patch_raises_estradiol_by_its_gain_while_it_is_worn():
    woman = Person("female", 60.0)
    patch = TransdermalEstradiol(50.0, start_day=0.0, stop_day=730.0)
    levels = [hormone_signals(woman, patch, day, PARAMETERS).estradiol for day in (-1.0, 0.0, 729.0, 730.0)]
    np.testing.assert_allclose(levels, [5.0, 30.0, 30.0, 5.0], rtol=1e-6)


def test_more_estradiol_always_means_less_deficit():
    woman = Person("female", 60.0)
    deficit = jax.vmap(
        lambda dose: hormone_signals(woman, TransdermalEstradiol(dose), 1.0, PARAMETERS).estrogen_deficit
    )(jnp.linspace(0.0, 100.0, 21))
    assert jnp.all(jnp.diff(deficit) < 0.0)


def test_deficit_stops_at_its_floor_above_the_reference():
    young, flood = Person("female", 25.0), TransdermalEstradiol(200.0)
    generous = Parameters(transdermal_gain=100.0, estradiol_half_effect=100.0)
    assert hormone_signals(young, flood, 1.0, generous).estrogen_deficit == -0.3


def test_age_in_single_precision_is_good_to_minutes_after_sixty_years():
    with jax.enable_x64(False):
        age = age_on(Person("female", 30.0), jnp.asarray(21915, jnp.int32))
        assert age.dtype == jnp.float32
    assert abs(float(age) - 90.0) * DAYS_PER_YEAR * 1440.0 < 5.0


def test_deficit_has_the_derivative_of_finite_differences_in_age_at_menopause_and_dose():
    def deficit(period, dose):
        woman = Person("female", 52.0, final_menstrual_period=period)
        return hormone_signals(woman, TransdermalEstradiol(dose), 0.5, PARAMETERS).estrogen_deficit

    at, step = (jnp.asarray(51.3), jnp.asarray(20.0)), 1e-5
    gradient = jax.grad(deficit, argnums=(0, 1))(*at)
    for index in range(2):
        up = [value + step * (i == index) for i, value in enumerate(at)]
        down = [value - step * (i == index) for i, value in enumerate(at)]
        difference = (deficit(*up) - deficit(*down)) / (2.0 * step)
        np.testing.assert_allclose(gradient[index], difference, rtol=1e-6)


def test_surgery_that_never_comes_leaves_gradients_finite():
    gradient = jax.grad(lambda age: natural_estradiol(Person("female", 30.0), age))(jnp.asarray(50.0))
    assert jnp.isfinite(gradient)
    assert gradient < 0.0


@pytest.mark.parametrize(
    ("wrong", "culprit"),
    [
        ({"age": 3.0}, "`age`"),
        ({"final_menstrual_period": 12.0}, "`final_menstrual_period`"),
        ({"oophorectomy": 4.0}, "`oophorectomy`"),
        ({"sex": "male", "oophorectomy": 50.0}, "`oophorectomy`"),
    ],
)
def test_impossible_person_is_refused_by_name(wrong, culprit):
    with pytest.raises(ValueError, match=culprit):
        Person(**({"sex": "female", "age": 60.0} | wrong))


def test_unknown_sex_is_refused():
    # The type checker of the test run may see it before the record does.
    with pytest.raises(Exception, match="sex"):
        Person("unknown", 60.0)  # pyright: ignore[reportArgumentType]


def test_impossible_dose_is_refused_with_its_unit():
    with pytest.raises(ValueError, match="µg/day"):
        TransdermalEstradiol(-1.0)
    with pytest.raises(ValueError, match="`stop_day` must come after `start_day`"):
        TransdermalEstradiol(50.0, start_day=10.0, stop_day=5.0)
