"""Laws of the multigrid preconditioner: adjoint transfers, a symmetric positive cycle, coarse mass."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem import multigrid
from fem.multigrid import COARSEST_NODES, NOTHING, Hierarchy, hierarchy
from fem.stiffness import VoxelStiffness, in_precision
from meshes.voxel import end_plane, node_coordinates, voxel_mesh

prolong = eqx.filter_jit(multigrid._prolong)
restrict = eqx.filter_jit(multigrid._restrict)


@eqx.filter_jit
def cycle(levels, stiffness, free, residual) -> jax.Array:
    """Return one cycle on a residual; made anew each time, as in a step of remodeling."""
    return multigrid.multigrid(levels, stiffness, free)(residual)


@eqx.filter_jit
def columns(apply, nodes: int) -> jax.Array:
    """Return an operator as a matrix, column by column."""
    units = jnp.eye(3 * nodes).reshape(-1, nodes, 3)
    return jax.vmap(apply)(units).reshape(3 * nodes, -1).T


@pytest.fixture(scope="module")
def levels(sponge) -> Hierarchy:
    return hierarchy(sponge, poisson_ratio=0.3)


@pytest.fixture(scope="module")
def stiffness(levels, sponge) -> VoxelStiffness:
    modulus = np.random.default_rng(3).uniform(1e3, 2e4, sponge.elements)
    return VoxelStiffness(levels.levels[0], jnp.asarray(modulus))


@pytest.fixture(scope="module")
def free(sponge) -> np.ndarray:
    """The bottom plane is held."""
    free = np.ones((sponge.nodes, 3), dtype=bool)
    free[end_plane(sponge, axis=2, top=False)] = False
    return free


@pytest.fixture(scope="module")
def preconditioner(levels, stiffness, free) -> multigrid.Multigrid:
    return eqx.filter_jit(multigrid.multigrid)(levels, stiffness, jnp.asarray(free))


@pytest.fixture(scope="module")
def dense(preconditioner, sponge) -> np.ndarray:
    """The cycle as a matrix."""
    return np.asarray(columns(preconditioner, sponge.nodes))


def test_levels_shrink_until_the_coarsest_can_be_solved_directly(levels):
    nodes = [level.corners.shape[0] for level in levels.levels]
    assert len(nodes) == 3
    assert nodes[-1] <= COARSEST_NODES < nodes[-2] < nodes[0]


def test_every_element_is_the_child_of_one_coarse_element(levels):
    for depth, transfer in enumerate(levels.transfers):
        children = np.asarray(transfer.children)
        fine = np.sort(children[children != NOTHING])
        assert np.array_equal(fine, np.arange(levels.levels[depth].elements))
        assert children.shape[0] == levels.levels[depth + 1].elements


def test_restriction_is_the_adjoint_of_prolongation(levels, random):
    for depth, transfer in enumerate(levels.transfers):
        fine = jnp.asarray(random.normal(size=(levels.levels[depth].corners.shape[0], 3)))
        coarse = jnp.asarray(random.normal(size=(levels.levels[depth + 1].corners.shape[0], 3)))
        down = float(jnp.vdot(coarse, restrict(transfer, fine)))
        assert down == pytest.approx(float(jnp.vdot(prolong(transfer, coarse), fine)), rel=1e-12)


def test_prolongation_reproduces_linear_displacements(sponge, levels, random):
    """The coarse lattice covers the fine one, so linear interpolation is exact at every fine node."""
    gradient = random.normal(size=(3, 3))
    middle = np.asarray(levels.transfers[0].family)[:, 13]
    stands = middle != NOTHING
    points = node_coordinates(sponge)
    coarse = np.zeros((middle.size, 3))
    coarse[stands] = points[middle[stands]] @ gradient.T
    whole = np.all(np.isin(np.asarray(levels.transfers[0].parents), np.flatnonzero(stands)), axis=1)
    assert np.count_nonzero(whole) > 0.3 * sponge.nodes
    found = np.asarray(prolong(levels.transfers[0], jnp.asarray(coarse)))
    np.testing.assert_allclose(found[whole], (points @ gradient.T)[whole], atol=1e-14)


def test_coarse_levels_keep_the_sum_of_modulus_times_volume(preconditioner):
    """The coarse modulus is the mean over eight children, void counting as zero."""
    fine, *coarser = (float(jnp.sum(level.modulus)) for level in preconditioner.stiffness)
    assert [8.0 * coarser[0], 64.0 * coarser[1]] == pytest.approx([fine, fine], rel=1e-12)


def test_the_cycle_is_symmetric_and_positive_on_what_is_free(dense, free):
    chosen = free.reshape(-1)
    inside = dense[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(inside, inside.T, rtol=0, atol=1e-11 * np.abs(inside).max())
    assert np.linalg.eigvalsh(0.5 * (inside + inside.T))[0] > 0.0
    assert not np.any(dense[~chosen])


def test_the_cycle_brings_the_spectrum_near_one(dense, free, stiffness, sponge):
    """Eigenvalues of the preconditioned operator lie in (0, 2): the cycle alone would converge."""
    chosen = np.ix_(free.reshape(-1), free.reshape(-1))
    operator = np.asarray(columns(stiffness.apply, sponge.nodes))[chosen]
    half = np.linalg.cholesky(operator)
    values = np.linalg.eigvalsh(half.T @ dense[chosen] @ half)
    assert values.min() > 0.01
    assert values.max() < 2.0


def test_without_anything_held_the_cycle_stays_finite(levels, stiffness, sponge):
    force = np.zeros((sponge.nodes, 3))
    force[end_plane(sponge, axis=0, top=True), 0] = 1.0
    everything = jnp.ones((sponge.nodes, 3), dtype=bool)
    assert np.all(np.isfinite(cycle(levels, stiffness, everything, jnp.asarray(force))))


def test_a_bone_of_one_level_is_solved_directly(crumb, random):
    levels = hierarchy(crumb, poisson_ratio=0.3)
    assert not levels.transfers
    stiffness = VoxelStiffness(levels.levels[0], jnp.asarray(random.uniform(1e3, 2e4, crumb.elements)))
    free = np.ones((crumb.nodes, 3), dtype=bool)
    free[end_plane(crumb, axis=2, top=False)] = False
    wanted = random.normal(size=free.shape) * free
    force = np.asarray(stiffness.apply(jnp.asarray(wanted))) * free
    found = cycle(levels, stiffness, jnp.asarray(free), jnp.asarray(force))
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_single_precision_gives_the_same_cycle_to_its_rounding(
    levels, stiffness, free, preconditioner, sponge, random
):
    residual = random.normal(size=(sponge.nodes, 3)) * free
    wanted = np.asarray(eqx.filter_jit(preconditioner)(jnp.asarray(residual)))
    single = in_precision(stiffness, jnp.float32)
    found = cycle(levels, single, jnp.asarray(free), jnp.asarray(residual, dtype=jnp.float32))
    assert found.dtype == jnp.float32
    # Cancellation on the coarse levels costs three of the seven digits.
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(1, 1, 80), (2, 50, 1), (17, 1, 5)])
def test_rods_and_plates_coarsen_too(shape):
    mesh = voxel_mesh(np.ones(shape, dtype=bool), (1.0, 1.0, 1.0))
    levels = hierarchy(mesh, poisson_ratio=0.3)
    assert levels.levels[-1].corners.shape[0] <= COARSEST_NODES
