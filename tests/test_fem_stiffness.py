"""Laws of the matrix-free stiffness: it is the assembled matrix, on every path and in every chunk."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.hexahedron import stiffness_matrix
from fem.layout import CHUNK, layout
from fem.stiffness import MatrixStiffness, VoxelStiffness, in_precision, voxel_topology
from meshes.voxel import VoxelMesh, node_coordinates, voxel_mesh

ROUNDING = 1e-13
"""Relative to the largest entry: sums of a few dozen terms in double precision."""


@pytest.fixture
def modulus(sponge, random) -> np.ndarray:
    return random.uniform(1e3, 2e4, sponge.elements)


@pytest.fixture
def stiffness(sponge, modulus) -> VoxelStiffness:
    return VoxelStiffness(voxel_topology(sponge, poisson_ratio=0.3), jnp.asarray(modulus))


@pytest.fixture
def displacement(sponge, random) -> jax.Array:
    return jnp.asarray(random.normal(size=(sponge.nodes, 3)))


def assembled(mesh: VoxelMesh, modulus: np.ndarray) -> np.ndarray:
    """Return the stiffness as a dense matrix, put together the classical way [N/mm]."""
    places = (3 * mesh.connectivity[:, :, None] + np.arange(3)).reshape(-1, 24)
    matrix = np.zeros((3 * mesh.nodes, 3 * mesh.nodes))
    blocks = modulus[:, None, None] * stiffness_matrix(mesh.spacing, 0.3)
    np.add.at(matrix, (places[:, :, None], places[:, None, :]), blocks)
    return matrix


def assert_close(found, wanted):
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING * np.abs(wanted).max())


def test_the_operator_is_the_assembled_matrix(sponge, modulus, stiffness, displacement):
    wanted = assembled(sponge, modulus) @ np.asarray(displacement).reshape(-1)
    assert_close(stiffness.apply(displacement), wanted.reshape(-1, 3))


def test_the_diagonal_is_that_of_the_assembled_matrix(sponge, modulus, stiffness):
    assert_close(stiffness.diagonal(), np.diagonal(assembled(sponge, modulus)).reshape(-1, 3))


def test_adding_by_elements_and_gathering_by_nodes_agree(sponge, modulus, displacement):
    """The two ways in which elements add up at nodes, on a CPU and elsewhere."""
    adding, gathering = (
        VoxelStiffness(voxel_topology(sponge, poisson_ratio=0.3, gathering=way), jnp.asarray(modulus))
        for way in (False, True)
    )
    assert adding.topology.layout.touching is None
    assert gathering.topology.layout.touching is not None
    assert_close(gathering.apply(displacement), adding.apply(displacement))
    assert_close(gathering.diagonal(), adding.diagonal())


@pytest.mark.parametrize("gathering", [False, True])
def test_elements_with_their_own_matrices_make_the_same_operator(
    sponge, modulus, stiffness, displacement, gathering
):
    placed = layout(sponge.connectivity, sponge.nodes, gathering=gathering)
    matrices = jnp.asarray(modulus[:, None, None] * stiffness_matrix(sponge.spacing, 0.3))
    same = MatrixStiffness(placed, placed.in_chunks(matrices), jnp.asarray(9.5))
    assert_close(same.apply(displacement), stiffness.apply(displacement))
    assert_close(same.diagonal(), stiffness.diagonal())
    springs = jnp.full((sponge.nodes, 3), 7.0)
    sprung = eqx.tree_at(lambda k: k.springs, same, springs, is_leaf=lambda leaf: leaf is None)
    assert_close(sprung.apply(displacement), stiffness.apply(displacement) + springs * displacement)
    assert_close(sprung.diagonal(), stiffness.diagonal() + springs)


def test_the_operator_is_symmetric(stiffness, displacement, random):
    other = jnp.asarray(random.normal(size=displacement.shape))
    one_way = float(jnp.vdot(other, stiffness.apply(displacement)))
    assert one_way == pytest.approx(float(jnp.vdot(displacement, stiffness.apply(other))), rel=1e-11)


def test_springs_add_to_the_operator_and_its_diagonal(stiffness, displacement, random):
    springs = jnp.asarray(random.uniform(0.0, 1e3, displacement.shape))
    sprung = VoxelStiffness(stiffness.topology, stiffness.modulus, springs)
    assert_close(sprung.apply(displacement), stiffness.apply(displacement) + springs * displacement)
    assert_close(sprung.diagonal(), stiffness.diagonal() + springs)


def test_six_rigid_motions_store_no_energy(sponge, stiffness):
    points = node_coordinates(sponge)
    motions = [np.tile(np.eye(3)[axis], (sponge.nodes, 1)) for axis in range(3)]
    motions += [np.cross(np.eye(3)[axis], points) for axis in range(3)]
    for motion in motions:
        size = np.abs(motion).max() * float(jnp.max(stiffness.diagonal()))
        np.testing.assert_allclose(stiffness.apply(jnp.asarray(motion)) / size, 0.0, atol=1e-14)


def test_the_last_chunk_may_be_filled_in_part():
    """More elements than a chunk takes, and not a multiple of it."""
    mesh = voxel_mesh(np.ones((27, 25, 25), dtype=bool), (1.0, 1.0, 1.0))
    assert mesh.elements > CHUNK
    modulus = np.linspace(1.0, 2.0, mesh.elements)
    displacement = np.sin(np.arange(3.0 * mesh.nodes)).reshape(-1, 3)
    local = displacement[mesh.connectivity].reshape(-1, 24) @ stiffness_matrix(mesh.spacing, 0.3)
    local = local * modulus[:, None]
    wanted = np.zeros_like(displacement)
    np.add.at(wanted, mesh.connectivity, local.reshape(-1, 8, 3))
    for gathering in (False, True):
        topology = voxel_topology(mesh, poisson_ratio=0.3, gathering=gathering)
        chunks, chunk, _ = topology.layout.connectivity.shape
        assert chunks == 2
        assert mesh.elements // 2 < chunk <= CHUNK
        assert_close(VoxelStiffness(topology, jnp.asarray(modulus)).apply(jnp.asarray(displacement)), wanted)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_eigenvalue_exceeds_the_bound_on_random_bones(seed):
    random = np.random.default_rng(seed)
    mesh = voxel_mesh(random.random((4, 4, 4)) < 0.4, tuple(random.uniform(0.02, 0.1, 3).tolist()))
    matrix = assembled(mesh, 10.0 ** random.uniform(0.0, 4.0, mesh.elements))
    scale = 1.0 / np.sqrt(np.diagonal(matrix))
    largest = np.linalg.eigvalsh(matrix * scale[:, None] * scale)[-1]
    assert largest <= float(voxel_topology(mesh, poisson_ratio=0.3).bound) * (1 + ROUNDING)


def test_a_single_voxel_attains_the_eigenvalue_bound():
    mesh = voxel_mesh(np.ones((1, 1, 1), dtype=bool), (0.05, 0.06, 0.08))
    matrix = assembled(mesh, np.ones(1))
    scale = 1.0 / np.sqrt(np.diagonal(matrix))
    largest = np.linalg.eigvalsh(matrix * scale[:, None] * scale)[-1]
    assert float(voxel_topology(mesh, poisson_ratio=0.3).bound) == pytest.approx(largest, rel=1e-12)


def test_single_precision_gives_the_same_forces_to_its_rounding(stiffness, displacement):
    single = in_precision(stiffness, jnp.float32)
    forces = single.apply(displacement.astype(jnp.float32))
    assert forces.dtype == jnp.float32
    wanted = np.asarray(stiffness.apply(displacement))
    np.testing.assert_allclose(forces, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_many_moduli_under_vmap_give_what_each_gives_alone(stiffness, displacement):
    factors = jnp.array([0.5, 1.0, 3.0])

    def forces(factor):
        return eqx.tree_at(lambda k: k.modulus, stiffness, factor * stiffness.modulus).apply(displacement)

    wanted = jnp.einsum("b,ni->bni", factors, stiffness.apply(displacement))
    assert_close(jax.jit(jax.vmap(forces))(factors), wanted)
