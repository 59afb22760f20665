"""Laws of the failure load: Pistoia's criterion is met exactly by the load that it gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.strength import (
    COMPRESSIVE_LIMIT,
    CRITICAL_STRAIN,
    CRITICAL_VOLUME,
    SMOOTHING_STRAIN,
    TABLE_STRAINS,
    TABLE_VOLUMES,
    TENSILE_LIMIT,
    exceeded_strain,
    failure_factor,
    failure_table,
    principal_strains,
    smooth_failure_factor,
    yield_factor,
)


@pytest.fixture
def strain(random) -> jnp.ndarray:
    """Effective strains as they come in trabecular bone: a long tail."""
    return jnp.asarray(random.lognormal(mean=-7.0, sigma=1.0, size=10_000))


@pytest.mark.parametrize("volume", TABLE_VOLUMES)
def test_at_failure_the_critical_volume_exceeds_the_critical_strain(strain, volume):
    factor = failure_factor(strain, critical_volume=volume, critical_strain=0.006)
    share = np.mean(np.asarray(factor * strain) > 0.006)
    assert share == pytest.approx(volume, abs=1.0 / strain.size)


def test_the_factor_falls_as_the_load_of_the_solve_rises(strain):
    assert float(failure_factor(3.0 * strain)) == pytest.approx(float(failure_factor(strain)) / 3.0)


def test_a_uniform_bone_fails_at_the_critical_strain():
    uniform = jnp.full(1000, 0.001)
    assert float(exceeded_strain(uniform)) == pytest.approx(0.001, rel=1e-14)
    assert float(failure_factor(uniform)) == pytest.approx(7.0, rel=1e-14)


def test_the_table_holds_the_default_criterion(strain):
    table = failure_table(strain, -500.0)
    row, column = TABLE_VOLUMES.index(CRITICAL_VOLUME), TABLE_STRAINS.index(CRITICAL_STRAIN)
    assert table.load[row, column] == pytest.approx(-500.0 * float(failure_factor(strain)), rel=1e-12)
    assert table.strain_exceeded[row] == pytest.approx(float(exceeded_strain(strain)), rel=1e-12)


def test_a_stricter_criterion_gives_a_lower_failure_load(strain):
    load = failure_table(strain, 500.0).load
    assert np.all(np.diff(load, axis=0) > 0.0)
    assert np.all(np.diff(load, axis=1) > 0.0)


def test_the_table_is_the_same_in_single_precision(strain):
    single = failure_table(strain.astype(jnp.float32), 500.0).load
    np.testing.assert_allclose(single, failure_table(strain, 500.0).load, rtol=1e-6)


def test_an_element_counts_by_the_bone_in_it():
    bone, slivers = jnp.linspace(0.001, 0.002, 1001), jnp.full(100, 0.05)
    strain, volume = jnp.concatenate([slivers, bone]), jnp.concatenate([slivers * 1e-6, jnp.ones_like(bone)])
    found = exceeded_strain(strain, critical_volume=0.05, bone_volume=volume)
    step = 1e-6  # of the ranking: the last element of the bone is no longer the last of all
    np.testing.assert_allclose(found, exceeded_strain(bone, critical_volume=0.05), atol=step)
    assert exceeded_strain(strain, critical_volume=0.05) == 0.05
    halves = exceeded_strain(strain, critical_volume=0.05, bone_volume=0.5 * volume)
    np.testing.assert_allclose(halves, found, rtol=1e-12)


SMOOTH_AGREEMENT = 0.005
"""Relative difference of the smooth and the ranked criterion where strains spread widely: the smoothing is 3 % of
the critical strain and enters squared, times the curvature of the distribution."""


def test_the_smooth_criterion_agrees_with_the_ranked_one_and_tends_to_it(strain, random):
    volume = jnp.asarray(random.uniform(0.1, 1.0, strain.size))
    for given in (None, volume):
        ranked = float(failure_factor(strain, bone_volume=given))
        smooth = float(smooth_failure_factor(strain, bone_volume=given))
        assert smooth == pytest.approx(ranked, rel=SMOOTH_AGREEMENT)
        sharp = float(smooth_failure_factor(strain, bone_volume=given, smoothing=2e-5))
        assert sharp == pytest.approx(ranked, rel=0.2 * SMOOTH_AGREEMENT)


def test_the_smooth_factor_is_the_root_it_claims_to_be(strain):
    factor = smooth_failure_factor(strain)
    share = jnp.mean(jax.nn.sigmoid((factor * strain - CRITICAL_STRAIN) / SMOOTHING_STRAIN))
    assert float(share) == pytest.approx(CRITICAL_VOLUME, rel=1e-10)
    assert float(smooth_failure_factor(3.0 * strain)) == pytest.approx(float(factor) / 3.0, rel=1e-10)


def test_the_smooth_factor_of_a_uniform_bone_is_lower_by_the_tail_of_the_sigmoid():
    tail = SMOOTHING_STRAIN * np.log(CRITICAL_VOLUME / (1.0 - CRITICAL_VOLUME))
    found = float(smooth_failure_factor(jnp.full(1000, 0.001)))
    assert found == pytest.approx((CRITICAL_STRAIN + tail) / 0.001, rel=1e-10)


def test_gradient_of_the_smooth_factor_agrees_with_finite_differences(strain, random):
    strain = strain[:500]
    volume = jnp.asarray(random.uniform(0.1, 1.0, strain.size))

    @jax.jit
    def factor(log_strain, log_volume):
        return smooth_failure_factor(jnp.exp(log_strain), bone_volume=jnp.exp(log_volume))

    place = (jnp.log(strain), jnp.log(volume))
    way = (jnp.asarray(random.normal(size=strain.size)), jnp.asarray(random.normal(size=strain.size)))
    _, forward = jax.jvp(factor, place, way)
    backward = sum(jnp.vdot(g, w) for g, w in zip(jax.grad(factor, (0, 1))(*place), way, strict=True))
    step = 1e-6
    moved = [factor(*(p + sign * step * w for p, w in zip(place, way, strict=True))) for sign in (1.0, -1.0)]
    difference = float(moved[0] - moved[1]) / (2.0 * step)
    # Central differences at 1e-6 leave 1e-12 of curvature and 1e-10 of rounding, on a derivative near 1e-1.
    assert float(forward) == pytest.approx(difference, rel=1e-7)
    assert float(backward) == pytest.approx(float(forward), rel=1e-10)


def test_strength_is_inversely_homogeneous_in_strain_so_its_logarithmic_gradients_sum_to_minus_one(strain):
    gradient = jax.grad(lambda log: jnp.log(smooth_failure_factor(jnp.exp(log))))(jnp.log(strain))
    assert float(jnp.sum(gradient)) == pytest.approx(-1.0, rel=1e-9)
    assert np.all(gradient <= 0.0)


def test_principal_strains_are_the_eigenvalues(random):
    strain = random.normal(size=(200, 6))
    strain[0], strain[1] = 0.0, (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    strain[2] = (2.0, -1.0, -1.0, 0.0, 0.0, 0.0)
    xx, yy, zz, yz, xz, xy = strain.T
    tensor = np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]]).transpose(2, 0, 1)
    exact = np.linalg.eigvalsh(tensor)[:, ::-1]
    # The angle of a repeated eigenvalue is known to the square root of rounding.
    np.testing.assert_allclose(principal_strains(jnp.asarray(strain)), exact, atol=1e-7)
    np.testing.assert_allclose(principal_strains(jnp.asarray(strain[3:])), exact[3:], atol=1e-12)


@pytest.mark.parametrize(("sign", "limit"), [(1.0, TENSILE_LIMIT), (-1.0, COMPRESSIVE_LIMIT)])
def test_a_bar_yields_at_the_elastic_limit_of_the_way_it_is_loaded(sign, limit):
    bar = jnp.tile(sign * 0.001 * jnp.asarray([-0.3, -0.3, 1.0, 0.0, 0.0, 0.0]), (100, 1))
    assert float(yield_factor(bar)) == pytest.approx(limit / 0.001, rel=1e-7)


def test_pure_shear_yields_in_tension_however_it_is_turned():
    shear = jnp.zeros((50, 6)).at[:, 5].set(0.002)
    turned = jnp.tile(jnp.asarray([0.001, -0.001, 0.0, 0.0, 0.0, 0.0]), (50, 1))
    assert float(yield_factor(shear)) == pytest.approx(TENSILE_LIMIT / 0.001, rel=1e-7)
    assert float(yield_factor(turned)) == pytest.approx(float(yield_factor(shear)), rel=1e-7)


def test_at_yield_the_critical_volume_has_left_elasticity(random):
    strain = jnp.asarray(random.normal(scale=1e-3, size=(5000, 6)))
    factor = float(yield_factor(strain))
    principal = factor * np.asarray(principal_strains(strain))
    over = (principal[:, 0] > TENSILE_LIMIT) | (principal[:, 2] < -COMPRESSIVE_LIMIT)
    assert np.mean(over) == pytest.approx(CRITICAL_VOLUME, abs=1.0 / 5000)
    stronger = yield_factor(strain, tension=jnp.full(5000, 0.0053))
    assert float(stronger) > factor
