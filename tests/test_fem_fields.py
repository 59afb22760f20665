"""Laws of the fields: exact for uniform strain, energy that adds up, forces that balance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.fields import (
    effective_strain,
    element_average_energy_density,
    resultant,
    strain,
    strain_energy_density,
    strain_operator,
    stress,
)
from fem.stiffness import VoxelStiffness, voxel_topology
from meshes.voxel import element_volume, node_coordinates

ROUNDING = 1e-12
"""Of fields built from coordinates over spacings, in double precision."""


@pytest.fixture
def operator(sponge):
    return strain_operator(sponge, poisson_ratio=0.3)


@pytest.fixture
def topology(sponge):
    return voxel_topology(sponge, poisson_ratio=0.3)


@pytest.fixture
def gradient(random) -> np.ndarray:
    return random.normal(size=(3, 3))


@pytest.fixture
def wild(sponge, random) -> jax.Array:
    """A displacement without any order."""
    return jnp.asarray(random.normal(size=(sponge.nodes, 3)))


def linear(mesh, gradient) -> jax.Array:
    return jnp.asarray(node_coordinates(mesh) @ gradient.T)


def test_a_linear_displacement_has_the_same_strain_everywhere(sponge, operator, topology, gradient):
    double = gradient + gradient.T
    wanted = [*(0.5 * np.diagonal(double)), double[1, 2], double[0, 2], double[0, 1]]
    found = strain(operator, topology, linear(sponge, gradient))
    assert found.shape == (sponge.elements, 6)
    np.testing.assert_allclose(found, np.tile(wanted, (sponge.elements, 1)), atol=ROUNDING)


def test_a_rigid_turn_strains_nothing(sponge, operator, topology, gradient):
    turn = linear(sponge, gradient - gradient.T) + 1.0
    np.testing.assert_allclose(strain(operator, topology, turn), 0.0, atol=ROUNDING)


def test_one_megapascal_in_tension_strains_bone_of_18_gpa_by_55_microstrain(operator):
    uniaxial = jnp.array([[1.0, -0.3, -0.3, 0.0, 0.0, 0.0]]) / 18_000.0
    modulus = jnp.array([18_000.0])
    np.testing.assert_allclose(stress(operator, uniaxial, modulus)[0], [1.0, 0, 0, 0, 0, 0], atol=ROUNDING)
    found = effective_strain(operator, uniaxial)
    assert float(found[0]) == pytest.approx(55.56e-6, abs=0.01e-6)
    assert float(strain_energy_density(found, modulus)[0]) == pytest.approx(0.5 / 18_000.0, rel=1e-12)


def test_energy_density_is_half_stress_times_strain(operator, topology, wild, random):
    strains = strain(operator, topology, wild)
    modulus = jnp.asarray(random.uniform(1e3, 2e4, topology.layout.elements))
    wanted = 0.5 * np.sum(np.asarray(stress(operator, strains, modulus) * strains), axis=1)
    found = strain_energy_density(effective_strain(operator, strains), modulus)
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_average_energies_add_up_to_the_work_of_the_forces(sponge, topology, wild, random):
    stiffness = VoxelStiffness(topology, jnp.asarray(random.uniform(1e3, 2e4, sponge.elements)))
    volume = element_volume(sponge)
    average = element_average_energy_density(stiffness, wild, volume=volume)
    work = 0.5 * float(jnp.vdot(wild, stiffness.apply(wild)))
    assert volume * float(jnp.sum(average)) == pytest.approx(work, rel=1e-11)


def test_the_average_energy_is_never_below_the_one_at_the_centroid(sponge, operator, topology, wild):
    """The centroid sees the mean strain, and energy is convex; they agree where strain is uniform."""
    modulus = jnp.full(sponge.elements, 1e4)
    stiffness = VoxelStiffness(topology, modulus)

    def both(displacement):
        effective = effective_strain(operator, strain(operator, topology, displacement))
        average = element_average_energy_density(stiffness, displacement, volume=element_volume(sponge))
        return np.asarray(strain_energy_density(effective, modulus)), np.asarray(average)

    centroid, average = both(wild)
    assert np.all(average > centroid)
    centroid, average = both(linear(sponge, np.eye(3)))
    np.testing.assert_allclose(average, centroid, rtol=1e-10)


def test_bone_at_rest_has_no_strain_and_a_finite_slope(operator):
    rest = jnp.zeros((4, 6))
    assert not np.any(effective_strain(operator, rest))
    slope = jax.grad(lambda strains: jnp.sum(effective_strain(operator, strains)))(rest)
    assert np.all(np.isfinite(slope))


def test_single_precision_gives_the_same_strain_to_its_rounding(operator, topology, wild):
    found = strain(operator, topology, wild.astype(jnp.float32))
    assert found.dtype == jnp.float32
    wanted = np.asarray(strain(operator, topology, wild))
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_the_resultant_is_the_force_and_its_moment_about_the_centre():
    points = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    forces = jnp.array([[9.0, 9.0, 9.0], [0.0, 0.0, 5.0], [1.0, 0.0, 0.0]])
    found = resultant(forces, points, np.array([1, 2]), np.zeros(3))
    np.testing.assert_allclose(found, [1.0, 0.0, 5.0, 0.0, -10.0, -3.0])


def test_internal_forces_balance_whatever_the_displacement(sponge, topology, wild, random):
    stiffness = VoxelStiffness(topology, jnp.asarray(random.uniform(1e3, 2e4, sponge.elements)))
    forces = stiffness.apply(wild)
    everything, points = np.arange(sponge.nodes), node_coordinates(sponge)
    found = resultant(forces, points, everything, points.mean(axis=0))
    np.testing.assert_allclose(found / float(jnp.sum(jnp.abs(forces))), 0.0, atol=1e-15)
