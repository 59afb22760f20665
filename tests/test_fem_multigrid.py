"""Laws of the multigrid preconditioner: adjoint transfers, a symmetric positive cycle, coarse mass."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem import multigrid
from fem.layout import Layout
from fem.multigrid import COARSEST_NODES, Hierarchy, hierarchy, stiffnesses
from fem.stiffness import VoxelStiffness, in_precision
from meshes.segmentation import largest_component
from meshes.voxel import VoxelMesh, end_plane, voxel_mesh

prolong = eqx.filter_jit(multigrid._prolong)
restrict = eqx.filter_jit(multigrid._restrict)


@eqx.filter_jit
def cycle(levels, stiffness, free, residual) -> jax.Array:
    """Return one cycle on a residual; made anew each time, as in a step of remodeling."""
    return multigrid.multigrid(levels, stiffnesses(levels, stiffness.modulus), free)(residual)


@eqx.filter_jit
def columns(apply, nodes: int) -> jax.Array:
    """Return an operator as a matrix, column by column."""
    units = jnp.eye(3 * nodes).reshape(-1, nodes, 3)
    return jax.vmap(apply)(units).reshape(3 * nodes, -1).T


def padded(levels: Hierarchy, modulus: np.ndarray) -> jax.Array:
    """Return a modulus with its padding."""
    return jnp.asarray(np.pad(modulus, (0, levels.finest.layout.elements - modulus.size)))


@pytest.fixture(scope="module")
def levels(sponge) -> Hierarchy:
    return hierarchy(sponge, poisson_ratio=0.3)


@pytest.fixture(scope="module")
def struts() -> VoxelMesh:
    """Rods through a block in three directions that pass each other one voxel apart, and an odd height."""
    solid = np.zeros((18, 18, 15), dtype=bool)
    solid[1::6, 2::6, :] = True
    solid[:, 4::6, 3::5] = True
    solid[3::6, :, 1::5] = True
    solid[:, :, 0] = solid[:, :, -1] = True
    return voxel_mesh(largest_component(solid).solid, (0.05, 0.05, 0.05))


@pytest.fixture(scope="module")
def stiffness(levels, sponge) -> VoxelStiffness:
    modulus = np.random.default_rng(3).uniform(1e3, 2e4, sponge.elements)
    return VoxelStiffness(levels.finest, padded(levels, modulus))


@pytest.fixture(scope="module")
def free(levels, sponge) -> np.ndarray:
    """The bottom plane is held; padding is no unknown either."""
    free = np.broadcast_to(touched(levels, 0) != 0, (levels.finest.layout.nodes, 3)).copy()
    free[end_plane(sponge, axis=2, top=False)] = False
    return free


@pytest.fixture(scope="module")
def preconditioner(levels, stiffness, free) -> multigrid.Multigrid:
    return eqx.filter_jit(multigrid.multigrid)(
        levels, stiffnesses(levels, stiffness.modulus), jnp.asarray(free)
    )


@pytest.fixture(scope="module")
def dense(preconditioner, free) -> np.ndarray:
    """The cycle as a matrix."""
    return np.asarray(columns(preconditioner, free.shape[0]))


def layouts(levels: Hierarchy) -> list[Layout]:
    """Return the layout of every level, finest first."""
    return [levels.finest.layout, *(boxes.layout for boxes in levels.boxes), *levels.deeper]


def nodes_of_levels(levels: Hierarchy) -> list[int]:
    """Return the nodes of every level with their padding, finest first."""
    return [level.nodes for level in layouts(levels)]


def down(levels: Hierarchy, depth: int, fine) -> jax.Array:
    """Return a level's vector brought to the next coarser one; nothing stands on its padding."""
    return restrict(levels.transfers[depth], fine * jnp.asarray(touched(levels, depth)))


def up(levels: Hierarchy, depth: int, coarse) -> jax.Array:
    """Return the motion of a level that the next coarser one makes."""
    moved = prolong(levels.transfers[depth], layouts(levels)[depth + 1], coarse)
    return moved * jnp.asarray(touched(levels, depth))


def touched(levels: Hierarchy, depth: int) -> np.ndarray:
    """Return a column that is one on the nodes of a level and zero on its padding."""
    every = stiffnesses(levels, jnp.ones(levels.finest.layout.elements))
    return np.asarray(every[depth].diagonal()[:, :1] != 0, dtype=float)


def test_levels_shrink_until_the_coarsest_can_be_solved_directly(levels):
    nodes = nodes_of_levels(levels)
    assert len(nodes) == 3
    assert nodes[-1] <= COARSEST_NODES < nodes[-2] < nodes[0]


def test_restriction_is_the_adjoint_of_prolongation(levels, random):
    for depth, nodes in enumerate(nodes_of_levels(levels)[1:]):
        fine = random.normal(size=(nodes_of_levels(levels)[depth], 3)) * touched(levels, depth)
        coarse = jnp.asarray(random.normal(size=(nodes, 3)))
        taken = float(jnp.vdot(coarse, down(levels, depth, fine)))
        assert taken == pytest.approx(float(jnp.vdot(up(levels, depth, coarse), fine)), rel=1e-12)


def test_the_mean_modulus_keeps_the_sum_of_modulus_times_volume(preconditioner):
    """The coarse modulus is the mean over eight children, void counting as zero."""
    fine, coarse = (float(jnp.sum(level.modulus)) for level in preconditioner.stiffness[:2])
    assert 8.0 * coarse == pytest.approx(fine, rel=1e-12)


@pytest.mark.parametrize("bone", ["sponge", "struts"])
def test_below_the_boxes_every_level_has_the_energy_of_the_motions_that_it_makes(bone, request, random):
    """Galerkin: the coarse stiffness is the fine one between prolongation and restriction, to rounding."""
    mesh = request.getfixturevalue(bone)
    levels = hierarchy(mesh, poisson_ratio=0.3)
    modulus = padded(levels, 10.0 ** random.uniform(0.0, 4.0, mesh.elements))
    every = stiffnesses(levels, modulus)
    assert len(levels.deeper) >= 1
    for depth in range(len(levels.boxes), len(levels.transfers)):
        coarse = jnp.asarray(random.normal(size=(nodes_of_levels(levels)[depth + 1], 3)))
        wanted = np.asarray(down(levels, depth, every[depth].apply(up(levels, depth, coarse))))
        found = every[depth + 1].apply(coarse)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


def test_what_is_held_stays_in_place_under_every_coarse_motion(levels, preconditioner, random):
    for depth in range(len(levels.transfers)):
        coarse = random.normal(size=preconditioner.free[depth + 1].shape)
        moved = up(levels, depth, jnp.asarray(coarse * np.asarray(preconditioner.free[depth + 1])))
        assert not np.any(np.asarray(moved)[~np.asarray(preconditioner.free[depth])])


def test_no_cycle_that_is_visited_twice_overdoes_a_motion(struts, random):
    """On every coarse level the eigenvalues of the cycle times the stiffness lie in (0, 1]."""
    levels = hierarchy(struts, poisson_ratio=0.3)
    modulus = padded(levels, random.uniform(1e3, 2e4, struts.elements))
    free = np.ones((levels.finest.layout.nodes, 3), dtype=bool)
    for top in (False, True):
        free[end_plane(struts, axis=2, top=top)] = False
    every = stiffnesses(levels, modulus)
    whole = multigrid.multigrid(levels, every, jnp.asarray(free))
    for depth in range(1, len(levels.transfers)):
        chosen = np.ix_(*[np.asarray(whole.free[depth]).reshape(-1)] * 2)
        nodes = nodes_of_levels(levels)[depth]
        operator = np.asarray(columns(every[depth].apply, nodes))[chosen]
        cycle_matrix = np.asarray(columns(lambda r, d=depth: whole._cycle(d, r), nodes))[chosen]
        half = np.linalg.cholesky(operator)
        values = np.linalg.eigvalsh(half.T @ cycle_matrix @ half)
        assert values[0] > 0.0
        assert values[-1] <= 1.0 + 1e-9


def test_the_cycle_is_symmetric_and_positive_on_what_is_free(dense, free):
    chosen = free.reshape(-1)
    inside = dense[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(inside, inside.T, rtol=0, atol=1e-11 * np.abs(inside).max())
    assert np.linalg.eigvalsh(0.5 * (inside + inside.T))[0] > 0.0
    assert not np.any(dense[~chosen])


def test_the_cycle_brings_the_spectrum_near_one(dense, free, stiffness):
    """Eigenvalues of the preconditioned operator lie in (0, 2): the cycle alone would converge."""
    chosen = np.ix_(free.reshape(-1), free.reshape(-1))
    operator = np.asarray(columns(stiffness.apply, free.shape[0]))[chosen]
    half = np.linalg.cholesky(operator)
    values = np.linalg.eigvalsh(half.T @ dense[chosen] @ half)
    assert values.min() > 0.01
    assert values.max() < 2.0


def test_without_anything_held_the_cycle_stays_finite(levels, stiffness, sponge):
    force = np.zeros((levels.finest.layout.nodes, 3))
    force[end_plane(sponge, axis=0, top=True), 0] = 1.0
    everything = jnp.ones(force.shape, dtype=bool)
    assert np.all(np.isfinite(cycle(levels, stiffness, everything, jnp.asarray(force))))


def test_a_bone_of_one_level_is_solved_directly(crumb, random):
    levels = hierarchy(crumb, poisson_ratio=0.3)
    assert not levels.transfers
    stiffness = VoxelStiffness(levels.finest, padded(levels, random.uniform(1e3, 2e4, crumb.elements)))
    free = np.broadcast_to(touched(levels, 0) != 0, (levels.finest.layout.nodes, 3)).copy()
    free[end_plane(crumb, axis=2, top=False)] = False
    wanted = random.normal(size=free.shape) * free
    force = np.asarray(stiffness.apply(jnp.asarray(wanted))) * free
    found = cycle(levels, stiffness, jnp.asarray(free), jnp.asarray(force))
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_single_precision_gives_the_same_cycle_to_its_rounding(
    levels, stiffness, free, preconditioner, random
):
    residual = random.normal(size=free.shape) * free
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
    assert nodes_of_levels(levels)[-1] <= COARSEST_NODES
