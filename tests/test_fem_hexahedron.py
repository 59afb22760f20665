"""Laws of the 8-node hexahedron: unity, rigid motions, uniform strain, the eigenvalue bound."""

import numpy as np
import pytest

from fem.coarsening import octant_interpolation
from fem.hexahedron import (
    CENTROID,
    GAUSS_POINTS,
    eigenvalue_bound,
    elasticity_matrix,
    point_eigenvalue_bound,
    shape_gradients,
    stiffness_matrix,
    strain_displacement,
)
from meshes.voxel import CORNER_OFFSETS

SPACINGS = [(1.0, 1.0, 1.0), (0.05, 0.06, 0.08)]
POINTS = [*GAUSS_POINTS, CENTROID, *CORNER_OFFSETS.astype(float)]


def linear_displacement(spacing, gradient) -> np.ndarray:
    """Return the 24 corner displacements of u_i = gradient_ij x_j [mm]."""
    return (CORNER_OFFSETS * np.asarray(spacing) @ gradient.T).reshape(-1)


def voigt(gradient) -> np.ndarray:
    """Return the strain (xx, yy, zz, yz, xz, xy) of a displacement gradient, shear doubled."""
    double = gradient + gradient.T
    return np.array([*(0.5 * np.diagonal(double)), double[1, 2], double[0, 2], double[0, 1]])


@pytest.mark.parametrize("spacing", SPACINGS)
def test_shape_functions_sum_to_one_and_reproduce_the_coordinates(spacing):
    points = CORNER_OFFSETS * np.asarray(spacing)
    for point in POINTS:
        gradients = shape_gradients(spacing, point)
        np.testing.assert_allclose(gradients.sum(axis=0), 0.0, atol=1e-12)
        np.testing.assert_allclose(points.T @ gradients, np.eye(3), atol=1e-14)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_linear_displacement_has_its_strain_at_every_point(spacing, random):
    gradient = random.normal(size=(3, 3))
    displacement = linear_displacement(spacing, gradient)
    for point in POINTS:
        found = strain_displacement(spacing, point) @ displacement
        np.testing.assert_allclose(found, voigt(gradient), atol=1e-13)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_exactly_the_six_rigid_motions_store_no_energy(spacing):
    matrix = stiffness_matrix(spacing, 0.3)
    values, vectors = np.linalg.eigh(matrix)
    assert np.count_nonzero(np.abs(values) < 1e-14 * values[-1]) == 6
    turns = np.array([[[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]]], dtype=float)
    for turn in turns:
        rigid = linear_displacement(spacing, turn)
        outside = rigid - vectors[:, :6] @ (vectors[:, :6].T @ rigid)
        np.testing.assert_allclose(outside, 0.0, atol=1e-14)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_uniform_strain_stores_its_energy_density_times_the_volume(spacing, random):
    gradient = random.normal(size=(3, 3))
    displacement, strain = linear_displacement(spacing, gradient), voigt(gradient)
    stored = displacement @ stiffness_matrix(spacing, 0.3) @ displacement
    assert stored == pytest.approx(np.prod(spacing) * strain @ elasticity_matrix(0.3) @ strain, rel=1e-12)


def test_the_stiffness_is_symmetric_and_proportional_to_the_size():
    matrix = stiffness_matrix(SPACINGS[1], 0.3)
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-15)
    doubled = stiffness_matrix((0.1, 0.12, 0.16), 0.3)
    np.testing.assert_allclose(doubled, 2.0 * matrix, rtol=0, atol=1e-15)


def test_turning_the_voxel_turns_its_stiffness():
    dx, dy, dz = SPACINGS[1]
    cycle = [4 * c + 2 * a + b for a, b, c in CORNER_OFFSETS]  # (x, y, z) goes to (z, x, y)
    places = [3 * corner + (axis + 1) % 3 for corner in cycle for axis in range(3)]
    turned = stiffness_matrix((dz, dx, dy), 0.3)[np.ix_(places, places)]
    np.testing.assert_allclose(turned, stiffness_matrix((dx, dy, dz), 0.3), atol=1e-15)


@pytest.mark.parametrize("poisson_ratio", [-0.5, 0.0, 0.3, 0.49])
def test_elasticity_inverts_to_the_engineering_constants(poisson_ratio):
    compliance = np.linalg.inv(elasticity_matrix(poisson_ratio))
    expected = np.full((3, 3), -poisson_ratio) + (1.0 + poisson_ratio) * np.eye(3)
    np.testing.assert_allclose(compliance[:3, :3], expected, atol=1e-12)
    np.testing.assert_allclose(compliance[3:, 3:], 2.0 * (1.0 + poisson_ratio) * np.eye(3), atol=1e-12)


@pytest.mark.parametrize("poisson_ratio", [-1.0, 0.5, np.nan])
def test_an_unstable_poisson_ratio_is_refused(poisson_ratio):
    with pytest.raises(ValueError, match=r"`poisson_ratio` must lie in \(-1, 0\.5\)"):
        elasticity_matrix(poisson_ratio)


@pytest.mark.parametrize(("poisson_ratio", "bound"), [(0.2, 3.857), (0.3, 5.318), (0.4, 7.875)])
def test_the_eigenvalue_bound_of_a_cube_is_the_known_one(poisson_ratio, bound):
    found = eigenvalue_bound(stiffness_matrix((1.0, 1.0, 1.0), poisson_ratio))
    assert found == pytest.approx(bound, abs=5e-4)  # known to three decimals


@pytest.mark.parametrize("spacing", SPACINGS)
def test_no_filling_of_a_box_exceeds_the_bound_of_a_point(spacing, random):
    """Boxes with stiff and soft octants in octants in octants: Galerkin matrices of three levels."""
    octants = np.kron(octant_interpolation(), np.eye(3))
    largest = 0.0
    matrices = 10.0 ** random.uniform(-6.0, 0.0, (512, 1, 1)) * stiffness_matrix(spacing, 0.3)
    while len(matrices) > 1:
        children = matrices.reshape(-1, 8, 24, 24)
        matrices = np.einsum("oki,eokl,olj->eij", octants, children, octants, optimize=True)
        largest = max(largest, *(eigenvalue_bound(matrix) for matrix in matrices))
    corner = octants[0].T @ octants[7].T @ stiffness_matrix(spacing, 0.3) @ octants[7] @ octants[0]
    largest = max(largest, eigenvalue_bound(corner))
    assert 5.0 < largest <= point_eigenvalue_bound(spacing, 0.3)


def test_the_bound_of_a_point_of_a_cube_lies_in_its_middle():
    strains = strain_displacement((1.0, 1.0, 1.0), CENTROID)
    middle = eigenvalue_bound(strains.T @ elasticity_matrix(0.3) @ strains)
    assert point_eigenvalue_bound((1.0, 1.0, 1.0), 0.3) == pytest.approx(middle, rel=1e-12)
