"""Laws of the osteocytes' hearing: constants stay, mass is conserved, the length is in millimetres."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from meshes.voxel import face_neighbours, voxel_mesh
from remodel.kernel import sensing_length, smoothed_stimulus

SPACING = (0.1, 0.12, 0.2)


@pytest.fixture
def bone():
    """A ragged piece of bone with a stimulus, 300 voxels."""
    generator = np.random.default_rng(7)
    solid = generator.random((8, 7, 9)) < 0.6
    neighbours = jnp.asarray(face_neighbours(voxel_mesh(solid, SPACING)))
    count = neighbours.shape[0]
    fraction = jnp.asarray(generator.uniform(0.02, 0.98, count))
    stimulus = jnp.asarray(1e-3 * np.exp(generator.normal(0.0, 0.7, count)))
    return neighbours, fraction, stimulus


def dense_solution(neighbours, fraction, stimulus, length):
    """Solve the same equation by a dense matrix, written from its definition."""
    count = fraction.shape[0]
    matrix = np.diag(np.asarray(fraction))
    for element in range(count):
        for face in range(6):
            other = int(neighbours[element, face])
            if other >= 0:
                mean = 2.0 * fraction[element] * fraction[other] / (fraction[element] + fraction[other])
                flow = float(mean) * (length / SPACING[face // 2]) ** 2
                matrix[element, element] += flow
                matrix[element, other] -= flow
    return np.linalg.solve(matrix, np.asarray(fraction * stimulus)), matrix


def test_smoothing_solves_the_screened_poisson_equation_to_its_tolerance(bone):
    neighbours, fraction, stimulus = bone
    expected, _ = dense_solution(neighbours, fraction, stimulus, 0.2)
    for tolerance in (1e-3, 1e-10):
        found = smoothed_stimulus(
            stimulus, fraction, neighbours, spacing=SPACING, length=0.2, tolerance=tolerance
        )
        error = jnp.sqrt(jnp.sum(fraction * (found - expected) ** 2))
        assert error < tolerance * jnp.sqrt(jnp.sum(fraction * (stimulus - expected) ** 2))


def test_spectrum_of_the_equation_lies_within_the_bounds(bone):
    neighbours, fraction, stimulus = bone
    _, matrix = dense_solution(neighbours, fraction, stimulus, 0.2)
    root = np.sqrt(np.asarray(fraction))
    values = np.linalg.eigvalsh(matrix / root[:, None] / root[None, :])
    assert values[0] > 1.0 - 1e-12
    assert values[-1] < 1.0 + 8.0 * sum((0.2 / edge) ** 2 for edge in SPACING)


def test_constant_stimulus_is_heard_exactly(bone):
    neighbours, fraction, stimulus = bone
    constant = jnp.full_like(stimulus, 8.3e-4)
    found = smoothed_stimulus(constant, fraction, neighbours, spacing=SPACING, length=0.3)
    assert jnp.all(found == constant)


def test_smoothing_conserves_the_stimulus_weighted_by_bone(bone):
    neighbours, fraction, stimulus = bone
    found = smoothed_stimulus(stimulus, fraction, neighbours, spacing=SPACING, length=0.3, tolerance=1e-12)
    np.testing.assert_allclose(jnp.sum(fraction * found), jnp.sum(fraction * stimulus), rtol=1e-11)


def test_nobody_hears_more_than_the_loudest_or_less_than_the_faintest(bone):
    neighbours, fraction, stimulus = bone
    found = smoothed_stimulus(stimulus, fraction, neighbours, spacing=SPACING, length=0.3, tolerance=0.3)
    assert jnp.all((found >= jnp.min(stimulus)) & (found <= jnp.max(stimulus)))


def test_hearing_is_mutual(bone):
    neighbours, fraction, stimulus = bone

    def signal(values):
        return smoothed_stimulus(values, fraction, neighbours, spacing=SPACING, length=0.2, tolerance=1e-13)

    # Around a constant far from the extremes, so that nothing is held at them.
    derivative = jax.jacfwd(signal)(stimulus)
    weighted = fraction[:, None] * derivative
    inside = (signal(stimulus) > jnp.min(stimulus)) & (signal(stimulus) < jnp.max(stimulus))
    assert jnp.all(inside)
    np.testing.assert_allclose(weighted, weighted.T, atol=1e-12)


def test_zero_length_leaves_the_stimulus_as_it_is(bone):
    neighbours, fraction, stimulus = bone
    found = smoothed_stimulus(stimulus, fraction, neighbours, spacing=SPACING, length=0.0)
    assert jnp.all(found == stimulus)


def test_lonely_voxel_hears_itself():
    neighbours = jnp.full((1, 6), -1)
    found = smoothed_stimulus(jnp.array([2e-3]), jnp.array([0.4]), neighbours, spacing=SPACING, length=0.5)
    assert found[0] == 2e-3


def test_mirrored_bone_hears_the_mirrored_stimulus():
    solid = np.ones((6, 4, 4), bool)
    neighbours = jnp.asarray(face_neighbours(voxel_mesh(solid, SPACING)))
    stimulus = jnp.asarray(1e-3 + 1e-3 * np.random.default_rng(3).random((6, 4, 4)))
    fraction = jnp.full(96, 0.3)

    def hear(values):
        found = smoothed_stimulus(values.reshape(-1), fraction, neighbours, spacing=SPACING, length=0.2)
        return found.reshape(6, 4, 4)

    np.testing.assert_allclose(hear(stimulus[::-1]), hear(stimulus)[::-1], rtol=1e-13)


def test_result_depends_on_the_length_in_millimetres_and_hardly_on_the_mesh():
    def heard(count):
        edge = 6.4 / count
        neighbours = jnp.asarray(face_neighbours(voxel_mesh(np.ones((count, 1, 1), bool), (edge, 1.0, 1.0))))
        middles = (np.arange(count) + 0.5) * edge
        stimulus = jnp.asarray(1e-3 * (1.0 + 0.5 * np.cos(2.0 * np.pi * middles / 6.4)))
        found = smoothed_stimulus(
            stimulus, jnp.full(count, 0.3), neighbours, spacing=(edge, 1.0, 1.0), length=0.8
        )
        return np.asarray(found), middles

    coarse, middles = heard(16)
    fine, _ = heard(32)
    np.testing.assert_allclose(coarse, fine.reshape(16, 2).mean(axis=1), rtol=0.01)
    # In the continuum a cosine of wave number k is heard by 1 / (1 + l^2 k^2).
    wave = 2.0 * np.pi / 6.4
    exact = 1e-3 * (1.0 + 0.5 / (1.0 + (0.8 * wave) ** 2) * np.cos(wave * middles))
    np.testing.assert_allclose(coarse, exact, rtol=0.01)


def test_length_is_that_of_osteocytes_or_one_voxel():
    assert sensing_length((0.04, 0.04, 0.04)) == 0.1
    assert sensing_length((0.3, 0.3, 0.6)) == 0.6


def test_smoothing_repeats_bit_for_bit_and_keeps_single_precision(bone):
    neighbours, fraction, stimulus = bone
    single = [values.astype(jnp.float32) for values in (stimulus, fraction)]
    hear = jax.jit(lambda xi, f: smoothed_stimulus(xi, f, neighbours, spacing=SPACING, length=0.2))
    first, second = hear(*single), hear(*single)
    assert first.dtype == jnp.float32
    assert jnp.all(first == second)
    np.testing.assert_allclose(first, hear(stimulus, fraction), rtol=1e-5)


def test_gradient_through_the_smoothing_agrees_with_finite_differences(bone):
    neighbours, fraction, stimulus = bone
    direction = jnp.asarray(np.random.default_rng(5).normal(size=fraction.shape)) * fraction

    def total(step):
        heard = smoothed_stimulus(
            stimulus, fraction + step * direction, neighbours, spacing=SPACING, length=0.2
        )
        return jnp.sum(jnp.log(heard))

    difference = (total(1e-5) - total(-1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(total)(jnp.asarray(0.0)), difference, rtol=1e-5)
