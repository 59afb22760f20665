"""Laws of the failure load: Pistoia's criterion is met exactly by the load that it gives."""

import jax.numpy as jnp
import numpy as np
import pytest

from fem.strength import (
    CRITICAL_STRAIN,
    CRITICAL_VOLUME,
    TABLE_STRAINS,
    TABLE_VOLUMES,
    exceeded_strain,
    failure_factor,
    failure_table,
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
