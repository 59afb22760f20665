"""Laws of the fit: it finds what made the data, leans on priors, bears outliers, and says what it does not know."""

import jax.numpy as jnp
import numpy as np

from remodel.calibration import Prior, draws, fit
from remodel.parameters import Parameters
from remodel.posterior import posterior_draws

WIDE = {"reversal_time": Prior(40.0, 10.0), "formation_time": Prior(90.0, 10.0)}


def products(parameters):
    """Return three numbers that both times move, each in its own way."""
    first, second = jnp.asarray(parameters.reversal_time), jnp.asarray(parameters.formation_time)
    return jnp.stack([jnp.log(first), jnp.log(first * second), jnp.log(second) ** 2])


def test_fit_finds_the_numbers_that_made_the_data():
    target = np.asarray(products(Parameters(reversal_time=25.0, formation_time=120.0)))
    found = fit(products, target, np.full(3, 0.01), priors=WIDE)
    assert found.converged
    np.testing.assert_allclose(found.parameters.reversal_time, 25.0, rtol=1e-4)
    np.testing.assert_allclose(found.parameters.formation_time, 120.0, rtol=1e-4)
    np.testing.assert_allclose(found.values, target, atol=1e-5)


def test_without_data_the_fit_is_the_prior():
    priors = {"reversal_time": Prior(33.0, 0.2)}
    found = fit(lambda p: jnp.zeros(1) * p.reversal_time, np.zeros(1), np.ones(1), priors=priors)
    np.testing.assert_allclose(found.parameters.reversal_time, 33.0, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, [[0.04]], rtol=1e-6)


def test_datum_and_prior_of_equal_width_meet_half_way_and_halve_the_variance():
    priors = {"reversal_time": Prior(np.e, 0.01)}

    def logarithm(parameters):
        return jnp.log(jnp.asarray(parameters.reversal_time))[None]

    # Close together against their width, where the robust loss is the square.
    found = fit(logarithm, np.array([1.001]), np.array([0.01]), priors=priors)
    np.testing.assert_allclose(np.log(found.parameters.reversal_time), 1.0005, atol=2e-6)
    np.testing.assert_allclose(found.covariance, [[0.5e-4]], rtol=0.01)


def test_one_target_out_of_reach_does_not_bend_the_others():
    priors = {"reversal_time": Prior(40.0, 10.0)}

    def thrice(parameters):
        return jnp.log(jnp.asarray(parameters.reversal_time)) * jnp.ones(3)

    found = fit(thrice, np.array([3.0, 3.0, 9.0]), np.full(3, 0.05), priors=priors)
    assert abs(np.log(found.parameters.reversal_time) - 3.0) < 0.1  # the mean would be 5


def test_draws_have_the_mean_and_the_covariance_of_the_fit():
    target = np.asarray(products(Parameters(reversal_time=25.0, formation_time=120.0)))
    found = fit(products, target, np.full(3, 0.05), priors=WIDE)
    logarithms = np.log(draws(found, 20_000, seed=1))
    np.testing.assert_allclose(np.cov(logarithms.T), found.covariance, rtol=0.1, atol=1e-5)
    np.testing.assert_array_equal(draws(found, 3, seed=1), draws(found, 3, seed=1))


def test_shipped_draws_are_positive_spread_around_the_defaults_and_leave_the_rest_alone():
    drawn, point = posterior_draws(), Parameters()
    assert drawn.resorption_rate.shape[0] >= 64
    for name in ("resorption_rate", "rankl_estrogen", "resorption_gain"):
        column = np.asarray(getattr(drawn, name))
        assert np.all(column > 0.0)
        assert 0.5 < np.exp(np.mean(np.log(column))) / getattr(point, name) < 2.0
        assert np.std(np.log(column)) > 0.02
    np.testing.assert_array_equal(drawn.modulus_exponent, point.modulus_exponent)
    assert posterior_draws(3).resorption_rate.shape == (3,)
