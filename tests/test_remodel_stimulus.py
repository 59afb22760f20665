"""Laws of the daily stimulus and of the mechanostat's answer to it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_law import REFERENCE_LAW

from remodel.hormones import young_signals
from remodel.mechanostat_curve import (
    formation_factor,
    gain,
    lazy_zone,
    resorption_factor,
    response,
    set_point,
)
from remodel.reference import blended_reference, global_reference, local_reference
from remodel.stimulus import daily_stimulus, tissue_energy_strain

PARAMETERS = REFERENCE_LAW


def signals(estrogen_deficit=0.0, androgen_deficit=0.0):
    return dataclasses.replace(
        young_signals(),
        estrogen_deficit=jnp.asarray(estrogen_deficit),
        androgen_deficit=jnp.asarray(androgen_deficit),
    )


def test_apparent_strain_is_blind_to_own_density_at_given_strain_and_tissue_energy_is_not():
    fraction, exponent, strain = jnp.array([0.1, 0.2]), 2.58, 1e-3
    modulus = 18_000.0 * fraction**exponent
    energy = (0.5 * modulus * strain**2)[None, :]
    apparent = jnp.sqrt(2.0 * energy / modulus[None, :])[0]
    tissue = tissue_energy_strain(energy, fraction, tissue_modulus=18_000.0)[0]
    np.testing.assert_allclose(apparent, strain, rtol=1e-14)
    np.testing.assert_allclose(tissue[1] / tissue[0], 2.0 ** ((exponent - 1.0) / 2.0), rtol=1e-12)


def test_habitual_cycles_of_one_case_are_sensed_as_its_strain():
    strain = jnp.array([[1e-3, 2e-4]])
    np.testing.assert_allclose(daily_stimulus(strain, jnp.array([300.0]), PARAMETERS), strain[0], rtol=1e-14)


def test_load_cases_add_by_the_fourth_power():
    strain = jnp.array([[1e-3], [2e-3]])
    expected = ((150.0 * 1e-3**4 + 30.0 * 2e-3**4) / 300.0) ** 0.25
    found = daily_stimulus(strain, jnp.array([150.0, 30.0]), PARAMETERS)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_stimulus_survives_single_precision_and_a_high_exponent():
    strain = jnp.full((2, 3), 1e-6, jnp.float32)
    found = daily_stimulus(
        strain, jnp.array([150.0, 150.0]), dataclasses.replace(REFERENCE_LAW, strain_exponent=8.0)
    )
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, 1e-6, rtol=1e-5)


def test_unloaded_element_has_a_finite_stimulus_and_gradient():
    def total(energy):
        strain = tissue_energy_strain(energy, jnp.array([1.0, 1.0]), tissue_modulus=1000.0)
        return jnp.sum(jnp.log(daily_stimulus(strain, jnp.array([300.0, 300.0]), PARAMETERS)))

    value, gradient = jax.value_and_grad(total)(jnp.array([[0.0, 1e-3], [0.0, 2e-3]]))
    assert jnp.isfinite(value)
    assert jnp.all(jnp.isfinite(gradient))


def test_curve_is_odd_and_has_the_slope_of_the_gain():
    ratio = jnp.linspace(-2.0, 2.0, 41)
    answer = response(ratio, 0.7, PARAMETERS)
    np.testing.assert_allclose(answer, -answer[::-1], atol=1e-15)
    slope = jax.grad(lambda z: response(z[None], 0.7, PARAMETERS)[0])(jnp.asarray(0.0))
    np.testing.assert_allclose(slope, 0.7, rtol=1e-12)


def test_third_of_the_strain_resorbs_by_1_84_and_forms_by_0_71():
    answer = response(jnp.log(jnp.array([0.3, 1.0, 3.3])), 1.0, PARAMETERS)
    np.testing.assert_allclose(answer, [-0.83, 0.0, 0.83], atol=0.006)
    np.testing.assert_allclose(resorption_factor(answer, PARAMETERS)[0], 1.84, atol=0.01)
    np.testing.assert_allclose(formation_factor(answer, PARAMETERS)[0], 0.71, atol=0.005)


def test_bone_in_the_lazy_zone_hardly_answers_and_beyond_it_by_the_excess():
    ratio = jnp.array([-0.5, -0.1, 0.0, 0.1, 0.5])
    found = lazy_zone(ratio, width=0.2, smoothing=0.02)
    np.testing.assert_allclose(found, [-0.3, 0.0, 0.0, 0.0, 0.3], atol=2e-4)


def test_without_a_lazy_zone_the_ratio_passes_unchanged():
    ratio = jnp.linspace(-3.0, 3.0, 61)
    np.testing.assert_allclose(lazy_zone(ratio, width=0.0, smoothing=0.02), ratio, atol=1e-14)


def test_lack_of_estradiol_raises_the_set_point_by_its_parameter():
    menopause = signals(estrogen_deficit=0.65)
    expected = 1.0 + 0.65 * PARAMETERS.set_point_estrogen
    np.testing.assert_allclose(set_point(menopause, 60.0, PARAMETERS), expected, rtol=1e-14)
    assert set_point(signals(), 60.0, PARAMETERS) == 1.0


def test_numbness_is_off_by_default_yet_has_a_derivative():
    menopause = signals(estrogen_deficit=0.65)
    assert gain(menopause, PARAMETERS) == 1.0
    slope = jax.grad(
        lambda numbness: gain(menopause, dataclasses.replace(REFERENCE_LAW, numbness_estrogen=numbness))
    )(jnp.asarray(0.0))
    np.testing.assert_allclose(slope, -0.65, rtol=1e-14)
    assert gain(menopause, dataclasses.replace(REFERENCE_LAW, numbness_estrogen=5.0)) == 0.05


def test_local_reference_gives_every_element_the_ratio_of_its_history():
    stimulus, ratio = jnp.array([1e-3, 2e-3]), jnp.array([1.0, 1.3])
    reference = local_reference(stimulus, habitual_ratio=ratio)
    np.testing.assert_allclose(stimulus / reference, ratio, rtol=1e-15)


def test_blend_runs_from_the_local_to_the_global_reference():
    local = jnp.array([1e-3, 1e-3])
    overall = global_reference(jnp.array([False, True]), dtype=jnp.float64)
    np.testing.assert_allclose(overall, [796e-6, 1300e-6], rtol=1e-15)
    np.testing.assert_allclose(blended_reference(local, overall, share=0.0), local, rtol=1e-14)
    np.testing.assert_allclose(blended_reference(local, overall, share=1.0), overall, rtol=1e-14)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_stimulus_and_answer_keep_the_precision_they_are_given(dtype):
    strain = jnp.full((1, 4), 1e-3, dtype)
    stimulus = daily_stimulus(strain, jnp.array([300.0]), PARAMETERS)
    assert response(jnp.log(stimulus), 1.0, PARAMETERS).dtype == dtype
