"""Laws of drawn persons: their statistics are those asked for, and the seed decides who they are."""

import jax
import numpy as np
import pytest
from scipy import stats

from remodel.parameters import Parameters
from remodel.population import (
    Fixed,
    Population,
    TruncatedNormal,
    Uniform,
    draw_parameters,
    draw_persons,
    quantile,
)
from remodel.posterior import posterior_draws

AGE = TruncatedNormal(72.3, 5.2, 60.0, 90.0)


def population(persons: int = 512, **given) -> Population:
    quantities = {"age": AGE} | given.pop("quantities", {})
    return Population(persons, given.pop("sex", "female"), quantities, **given)


def test_the_statistics_of_drawn_persons_are_those_of_their_distributions():
    drawn = draw_persons(population(4096, quantities={"weight": Uniform(50.0, 90.0), "igf1": Fixed(120.0)}))
    exact = stats.truncnorm((60 - 72.3) / 5.2, (90 - 72.3) / 5.2, 72.3, 5.2)
    # A scrambled Sobol sequence of 4096 points has errors of the order of 1e-3 standard deviations.
    np.testing.assert_allclose(np.mean(np.asarray(drawn.age)), exact.mean(), atol=0.005 * exact.std())
    np.testing.assert_allclose(np.std(np.asarray(drawn.age)), exact.std(), rtol=0.005)
    np.testing.assert_allclose(np.mean(np.asarray(drawn.weight)), 70.0, atol=0.06)
    np.testing.assert_allclose(np.std(np.asarray(drawn.weight)), 40.0 / np.sqrt(12.0), rtol=0.005)
    assert np.all(np.asarray(drawn.igf1) == 120.0)
    assert abs(np.corrcoef(np.asarray(drawn.age), np.asarray(drawn.weight))[0, 1]) < 0.02


def test_no_value_leaves_the_range_of_its_distribution():
    edge = np.array([0.0, 1e-12, 0.5, 1.0 - 1e-12, 1.0])
    for distribution in (AGE, Uniform(1.0, 2.0)):
        values = quantile(distribution, edge)
        assert np.all((values >= distribution.low) & (values <= distribution.high))
        assert np.all(np.diff(values) >= 0.0)


def test_the_seed_decides_who_the_persons_are():
    one, again = draw_persons(population()), draw_persons(population())
    jax.tree.map(np.testing.assert_array_equal, one, again)
    other = draw_persons(population(seed=2))
    assert not np.any(np.asarray(one.age) == np.asarray(other.age))


def test_fewer_persons_are_the_first_of_more_and_another_number_changes_no_other():
    few, many = draw_persons(population(100)), draw_persons(population(128))
    np.testing.assert_array_equal(few.age, np.asarray(many.age)[:100])
    heavy = draw_persons(population(100, quantities={"weight": Uniform(50.0, 90.0)}))
    np.testing.assert_array_equal(few.age, heavy.age)


def test_years_since_menopause_are_drawn_given_that_it_came_between_30_and_65():
    given = population(
        2048, quantities={"age": Uniform(50.0, 80.0)}, years_since_menopause=Uniform(1.0, 40.0)
    )
    drawn = draw_persons(given)
    at = np.asarray(drawn.final_menstrual_period)
    assert at.min() >= 30.0
    assert at.max() <= 65.0
    years = np.asarray(drawn.age) - at
    assert years.min() >= 1.0
    # Women of 60 to 65: nothing is cut off but what reaches below 30, so that 1 to 30 or more are alike likely.
    some = years[(np.asarray(drawn.age) > 60.0) & (np.asarray(drawn.age) < 65.0)]
    assert stats.kstest(some, stats.uniform(1.0, 31.5).cdf).statistic < 0.08


def test_years_since_menopause_that_fit_no_age_are_refused():
    with pytest.raises(ValueError, match="no age at menopause between 30 and 65"):
        draw_persons(population(quantities={"age": Fixed(80.0)}, years_since_menopause=Uniform(1.0, 5.0)))
    with pytest.raises(ValueError, match="no age at menopause between 30 and 65"):
        draw_persons(population(quantities={"age": Fixed(80.0)}, years_since_menopause=Fixed(5.0)))


def test_draws_of_the_law_are_spread_evenly_and_do_not_go_with_age():
    draws = posterior_draws()
    count = np.size(draws.resorption_rate)
    given = population(16 * count, draws=draws)
    drawn = draw_parameters(given)
    assert drawn is not None
    _, times = np.unique(np.asarray(drawn.resorption_rate), return_counts=True)
    assert times.size == count
    assert times.min() >= 15
    assert times.max() <= 17
    age = np.asarray(draw_persons(given).age)
    assert abs(np.corrcoef(age, np.asarray(drawn.resorption_rate))[0, 1]) < 0.05
    assert draw_parameters(population()) is None
    assert jax.tree.structure(drawn) == jax.tree.structure(Parameters())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"persons": 1}, "at least 2"),
        ({"quantities": {"height": Fixed(1.7)}}, "fields of `Person`"),
        ({"quantities": {"age": Uniform(10.0, 30.0)}}, "between 18 and 110"),
        ({"quantities": {"weight": Uniform(10.0, 90.0)}}, "between 30 and 250 kg"),
        ({"sex": "male", "years_since_menopause": Fixed(5.0)}, "for women"),
        ({"sex": "male", "quantities": {"oophorectomy": Fixed(50.0)}}, "ovaries"),
        (
            {"quantities": {"final_menstrual_period": Fixed(50.0)}, "years_since_menopause": Fixed(5.0)},
            "not both",
        ),
    ],
)
def test_a_population_that_cannot_be_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        population(**given)


def test_a_population_without_age_and_a_distribution_without_width_are_refused():
    with pytest.raises(ValueError, match="need `age`"):
        Population(4, "female", {})
    for wrong in (
        lambda: TruncatedNormal(50.0, 0.0, 40.0, 60.0),
        lambda: TruncatedNormal(70.0, 5.0, 40.0, 60.0),
        lambda: TruncatedNormal(50.0, 5.0, 60.0, 40.0),
        lambda: Uniform(3.0, 3.0),
    ):
        with pytest.raises(ValueError, match="must"):
            wrong()
