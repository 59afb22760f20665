"""Laws of one analysis: exactness, convergence, symmetry, and an end that is always told."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.conjugate_gradients import Status
from fem.equilibrium import Equilibrium, SolveError, check_modulus, solve
from fem.hexahedron import GAUSS_POINTS, shape_gradients
from fem.loads import Hold, LoadCase, Push, Spring, load_case, stacked
from fem.standard_tests import axial, confined, uniaxial
from fem.statics import (
    Balance,
    Precision,
    Structure,
    Supports,
    balance,
    balance_each,
    structure,
    supports,
    working_dtype,
)
from fem.strength import failure_factor
from meshes.voxel import (
    CORNER_OFFSETS,
    VoxelMesh,
    element_volume,
    end_plane,
    gross_section,
    node_coordinates,
    voxel_mesh,
)

E = 18_000.0


def exact(mesh: VoxelMesh, modulus, case: LoadCase) -> Equilibrium:
    """Solve to rounding."""
    return solve(mesh, modulus, case, precision="double", tolerance=1e-12)


@eqx.filter_jit
def balanced(structure: Structure, modulus, supports: Supports, initial=None, *, tolerance=1e-12) -> Balance:
    start = jnp.zeros_like(supports.displacement) if initial is None else initial
    return balance(
        structure, modulus, supports, start, precision="double", tolerance=tolerance, max_iterations=200
    )


@pytest.fixture(scope="module")
def block() -> VoxelMesh:
    return voxel_mesh(np.ones((3, 3, 3), dtype=bool), (0.05, 0.06, 0.08))


@pytest.fixture(scope="module")
def small(crumb) -> Structure:
    return structure(crumb)


@pytest.fixture(scope="module")
def compression(crumb) -> Supports:
    return supports(axial(crumb), nodes=crumb.nodes, dtype=jnp.float64)


@pytest.fixture
def modulus(crumb, random) -> jax.Array:
    return jnp.asarray(random.uniform(1e3, 2e4, crumb.elements))


# Exactness.


def test_linear_displacement_of_the_surface_is_exact_inside(block, random):
    """The patch test, with three different edges."""
    points = node_coordinates(block)
    wanted = points @ random.normal(size=(3, 3)) + 0.1
    surface = np.flatnonzero(np.any((points == points.min(axis=0)) | (points == points.max(axis=0)), axis=1))
    holds = [Hold(surface, axis, wanted[surface, axis]) for axis in range(3)]
    found = exact(block, E, load_case(block, holds=holds, loaded=surface))
    np.testing.assert_allclose(found.displacement, wanted, atol=1e-14)
    np.testing.assert_allclose(found.effective_strain, float(found.effective_strain[0]), rtol=1e-12)


def test_a_bar_at_one_megapascal_is_strained_by_55_microstrain(block):
    found = exact(block, E, uniaxial(block, strain=-1.0 / E))
    assert found.reaction[2] / gross_section(block, axis=2) == pytest.approx(-1.0, rel=1e-11)
    np.testing.assert_allclose(found.effective_strain, 55.56e-6, atol=0.01e-6)


def test_a_bar_fails_at_the_critical_strain_times_its_stiffness(block):
    found = exact(block, E, uniaxial(block))
    load = abs(found.reaction[2]) * float(failure_factor(found.effective_strain))
    assert load == pytest.approx(0.007 * E * gross_section(block, axis=2), rel=1e-6)


def test_a_pushed_bone_on_springs_sinks_by_force_over_stiffness(crumb):
    bottom, top = (end_plane(crumb, axis=2, top=top) for top in (False, True))
    push, spring = Push(top, (0.0, 0.0, -6.0)), Spring(bottom, (50.0, 50.0, 20.0))
    case = load_case(crumb, pushes=[push], springs=[spring], loaded=bottom)
    found = exact(crumb, E, case)
    assert float(jnp.mean(found.displacement[bottom, 2])) == pytest.approx(-6.0 / 20.0, rel=1e-9)


def test_force_and_displacement_that_belong_together_give_the_same_strain(crumb, modulus):
    """A plane of one node: its reaction, given as a force, gives its displacement back."""
    bottom, top = (end_plane(crumb, axis=2, top=top) for top in (False, True))
    fixed = [Hold(bottom, axis) for axis in range(3)]
    moved = load_case(crumb, holds=[*fixed, Hold(top[:1], 2, -1e-3)], loaded=top[:1])
    by_motion = exact(crumb, np.asarray(modulus), moved)
    push = [Push(top[:1], (0.0, 0.0, float(by_motion.reaction[2])))]
    pushed = load_case(crumb, holds=fixed, pushes=push, loaded=top)
    by_force = exact(crumb, np.asarray(modulus), pushed)
    np.testing.assert_allclose(by_force.displacement, by_motion.displacement, atol=1e-13)


# Convergence and symmetry.


def smooth_displacement(x: jax.Array) -> jax.Array:
    """A displacement without any polynomial in it [mm]."""
    a, b, c = x[0], x[1], x[2]
    return jnp.stack(
        [jnp.sin(2 * a) * jnp.cos(b + c), jnp.exp(a * c) * jnp.sin(b), jnp.cos(a - 2 * b) * c**3]
    )


def strain_of(displacement, x: jax.Array) -> jax.Array:
    gradient = jax.jacfwd(displacement)(x)
    return 0.5 * (gradient + gradient.T)


def body_force(x: jax.Array) -> jax.Array:
    """The force density that holds the smooth displacement in equilibrium at E = 1, nu = 0.3 [N/mm³]."""
    lame, shear = 0.3 / (1.3 * 0.4), 0.5 / 1.3

    def stress(x):
        strain = strain_of(smooth_displacement, x)
        return lame * jnp.trace(strain) * jnp.eye(3) + 2 * shear * strain

    return -jnp.einsum("ijj->i", jax.jacfwd(stress)(x))


def shape_functions(point: np.ndarray) -> np.ndarray:
    return np.prod(np.where(CORNER_OFFSETS == 1, point, 1.0 - point), axis=1)


def manufactured_errors(n: int) -> tuple[float, float]:
    """Return the L2 errors of displacement and strain on n x n x n elements of a box."""
    mesh = voxel_mesh(np.ones((n, n, n), dtype=bool), (1.0 / n, 0.8 / n, 1.2 / n))
    points = node_coordinates(mesh)
    exact = np.asarray(jax.vmap(smooth_displacement)(jnp.asarray(points)))
    free = np.all((points > points.min(axis=0)) & (points < points.max(axis=0)), axis=1)
    free = np.repeat(free[:, None], 3, axis=1)
    values = np.stack([shape_functions(point) for point in GAUSS_POINTS])
    slopes = np.stack([shape_gradients(mesh.spacing, point) for point in GAUSS_POINTS])
    places = np.einsum("qk,eki->eqi", values, points[mesh.connectivity])
    density = np.asarray(jax.vmap(jax.vmap(body_force))(jnp.asarray(places)))
    force = np.zeros_like(points)
    share = np.einsum("qk,eqi->eki", values, density) * element_volume(mesh) / 8
    np.add.at(force, mesh.connectivity, share)
    given = Supports(jnp.asarray(free), jnp.asarray(exact * ~free), jnp.asarray(force), None)
    found = balanced(structure(mesh), jnp.ones(mesh.elements), given, tolerance=1e-10)
    assert found.status == Status.CONVERGED
    local = np.asarray(found.displacement)[mesh.connectivity]
    wanted = np.asarray(jax.vmap(jax.vmap(smooth_displacement))(jnp.asarray(places)))
    error = np.einsum("qk,eki->eqi", values, local) - wanted
    gradient = np.einsum("qkj,eki->eqij", slopes, local)
    strain = 0.5 * (gradient + gradient.transpose(0, 1, 3, 2))
    exact_strain = jax.vmap(jax.vmap(lambda x: strain_of(smooth_displacement, x)))(jnp.asarray(places))
    return float(np.sqrt(np.mean(error**2))), float(
        np.sqrt(np.mean((strain - np.asarray(exact_strain)) ** 2))
    )


def test_errors_fall_with_the_square_of_the_spacing_in_displacement_and_its_first_power_in_strain():
    coarse, fine = manufactured_errors(5), manufactured_errors(10)
    orders = np.log2(np.asarray(coarse) / np.asarray(fine))
    assert orders == pytest.approx([2.0, 1.0], abs=0.1)


def test_a_symmetric_bone_under_a_symmetric_load_strains_symmetrically():
    quarter = np.random.default_rng(5).random((3, 3, 4)) < 0.8
    half = np.concatenate([quarter, quarter[::-1]], axis=0)
    solid = np.concatenate([half, half[:, ::-1]], axis=1)
    mesh = voxel_mesh(solid, (0.05, 0.06, 0.08))
    found = exact(mesh, E, axial(mesh))
    field = np.zeros(solid.shape)
    field[solid] = found.effective_strain
    for mirrored in (field[::-1], field[:, ::-1]):
        np.testing.assert_allclose(mirrored, field, atol=1e-10 * field.max())
    assert np.abs(found.reaction[[0, 1, 5]]).max() < 1e-10 * abs(found.reaction[2])


# Precision, starts, batches.


def test_all_precisions_agree_to_their_tolerance():
    """On two multigrid levels, so that the cycle counts."""
    mesh = voxel_mesh(np.ones((4, 4, 4), dtype=bool), (0.05, 0.06, 0.08))
    case = axial(mesh)
    double = solve(mesh, E, case, precision="double", tolerance=1e-9)
    limits: dict[Precision, float] = {"mixed": 1e-9, "single": 1e-5}
    for precision, tolerance in limits.items():
        found = solve(mesh, E, case, precision=precision, tolerance=tolerance)
        assert found.residual <= tolerance
        assert found.displacement.dtype == working_dtype(precision)
        size = float(jnp.max(jnp.abs(double.displacement)))
        # The error may exceed the residual by the condition number: below 300 for four elements across.
        away = np.asarray(found.displacement, dtype=float) - np.asarray(double.displacement)
        assert np.abs(away).max() < 300 * tolerance * size


def test_a_start_at_the_solution_needs_no_iteration(small, modulus, compression):
    first = balanced(small, modulus, compression)
    again = balanced(small, modulus, compression, first.displacement, tolerance=1e-10)
    assert (again.status, again.iterations) == (Status.CONVERGED, 0)


def test_many_bones_under_vmap_give_what_each_gives_alone(small, modulus, compression):
    moduli = jnp.stack([modulus, modulus[::-1]])
    together = jax.vmap(lambda modulus: balanced(small, modulus, compression))(moduli)
    for row in range(2):
        alone = balanced(small, moduli[row], compression)
        assert together.status[row] == Status.CONVERGED
        np.testing.assert_allclose(together.displacement[row], alone.displacement, atol=1e-14)


def test_free_nodes_carry_no_force(small, modulus, compression):
    found = balanced(small, modulus, compression)
    size = float(jnp.max(jnp.abs(found.forces)))
    assert float(jnp.max(jnp.abs(jnp.where(compression.free, found.forces, 0)))) < 1e-10 * size


@pytest.mark.slow
def test_a_solve_that_ends_by_the_reaction_says_so_and_has_the_reaction(sponge):
    case = axial(sponge)
    wanted = exact(sponge, E, case)
    found = solve(sponge, E, case, precision="double", tolerance=1e-12, reaction_tolerance=1e-7)
    assert (found.status, found.settled, wanted.settled) == (Status.CONVERGED, True, False)
    assert found.iterations < wanted.iterations
    assert found.residual > 1e-12
    assert found.reaction[2] == pytest.approx(wanted.reaction[2], rel=1e-7)
    assert found.reaction[2] != wanted.reaction[2]


def test_a_reaction_that_settles_after_the_residual_changes_nothing(crumb):
    found = solve(crumb, E, axial(crumb), precision="double", reaction_tolerance=1e-7)
    assert found.converged
    assert not found.settled
    assert found.residual <= 1e-6


@pytest.mark.parametrize("together", [False, True])
def test_load_cases_as_a_batch_end_each_as_it_would_alone(small, crumb, modulus, together):
    """The second starts at its solution and needs no iteration while the first goes on."""
    cases = [axial(crumb), axial(crumb, axis=0)]
    alone = [balanced(small, modulus, supports(case, nodes=crumb.nodes, dtype=jnp.float64)) for case in cases]
    starts = jnp.stack([jnp.zeros_like(alone[0].displacement), alone[1].displacement])
    limits = {"tolerance": 1e-11, "max_iterations": 50, "together": together}
    found = jax.jit(
        lambda: balance_each(small, modulus, stacked(cases), starts, precision="double", **limits)
    )()
    assert list(found.status) == [Status.CONVERGED] * 2
    assert found.iterations[0] > 0 == found.iterations[1]
    for row, single in enumerate(alone):
        np.testing.assert_allclose(found.displacement[row], single.displacement, atol=1e-12)


# Odd bones.


def test_loose_islands_stay_at_rest_and_change_nothing():
    solid = np.zeros((4, 4, 5), dtype=bool)
    solid[:, :2] = True
    alone = voxel_mesh(solid, (0.05, 0.05, 0.05))
    solid[1, 3, 2] = True
    with_island = voxel_mesh(solid, (0.05, 0.05, 0.05))
    wanted = solve(alone, E, axial(alone), tolerance=1e-9)
    found = solve(with_island, E, axial(with_island), tolerance=1e-9)
    assert found.reaction[2] == pytest.approx(wanted.reaction[2], rel=1e-8)
    island = np.searchsorted(with_island.voxels, np.ravel_multi_index((1, 3, 2), solid.shape))
    strain = np.asarray(found.effective_strain)
    assert strain[island] < 1e-8 * strain.max()
    np.testing.assert_allclose(np.delete(strain, island), wanted.effective_strain, rtol=1e-6)


@pytest.mark.parametrize(("test", "modulus"), [(uniaxial, E), (confined, E * 0.7 / (1.3 * 0.4))])
def test_a_single_voxel_is_a_bone_too(test, modulus):
    mesh = voxel_mesh(np.ones((1, 1, 1), dtype=bool), (0.05, 0.06, 0.08))
    found = exact(mesh, E, test(mesh))
    assert found.reaction[2] == pytest.approx(-0.01 * modulus * 0.05 * 0.06, rel=1e-10)


# How a solve ends.


def test_a_good_end_is_converged_and_tells_its_residual(small, modulus, compression):
    found = balanced(small, modulus, compression)
    assert found.status == Status.CONVERGED
    assert 0.0 < float(found.residual) <= 1e-12


def test_too_few_iterations_are_an_error_with_advice(crumb):
    """One is too few where single precision preconditions and a tight tolerance is asked for."""
    with pytest.raises(SolveError, match=r"`axial` ended as `max_iterations` after 1 .*Allow more"):
        solve(crumb, E, axial(crumb), tolerance=1e-12, max_iterations=1)


def test_single_precision_at_a_tight_tolerance_is_an_error_with_advice(crumb):
    with pytest.raises(SolveError, match=r"`stagnated`.*`precision='mixed'`"):
        solve(crumb, E, axial(crumb), precision="single", tolerance=1e-12)


def test_without_throw_a_bad_end_is_a_value(crumb):
    found = solve(crumb, E, axial(crumb), precision="single", tolerance=1e-12, throw=False)
    assert found.status == Status.STAGNATED
    assert not found.converged
    assert found.residual > 1e-12


def test_a_load_on_a_free_bone_is_indefinite(small, modulus, compression):
    """`load_case` refuses it; whoever builds the supports by hand is told at the end."""
    push = jnp.zeros_like(compression.displacement).at[0, 2].set(1.0)
    free = jnp.ones_like(compression.free)
    adrift = Supports(free, jnp.zeros_like(push), push, None)
    assert balanced(small, modulus, adrift).status == Status.INDEFINITE


def test_a_negative_modulus_is_indefinite(small, modulus, compression):
    assert balanced(small, -modulus, compression).status == Status.INDEFINITE


def test_a_modulus_that_is_not_a_number_is_not_finite(small, modulus, compression):
    assert balanced(small, modulus.at[3].set(jnp.nan), compression).status == Status.NOT_FINITE


def test_a_bone_that_nothing_loads_says_so(small, modulus, compression):
    rest = eqx.tree_at(lambda s: s.displacement, compression, jnp.zeros_like(compression.displacement))
    found = balanced(small, modulus, rest, jnp.ones_like(rest.displacement))
    assert found.status == Status.ZERO_LOAD
    assert not np.any(found.displacement)


def test_a_bone_of_which_every_node_is_moved_is_solved():
    mesh = voxel_mesh(np.ones((2, 2, 1), dtype=bool), (0.1, 0.1, 0.1))
    found = exact(mesh, E, axial(mesh))
    assert (found.status, found.iterations) == (Status.CONVERGED, 0)
    assert found.reaction[2] == pytest.approx(-0.01 * E * 0.7 / (1.3 * 0.4) * 0.04, rel=1e-12)


# Wrong inputs.


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_modulus_that_is_not_positive_and_finite_is_refused_by_element(crumb, bad):
    field = np.full(crumb.elements, E)
    field[3] = bad
    with pytest.raises(ValueError, match=r"`modulus` must be positive.*1 of .* first is element 3"):
        solve(crumb, field, axial(crumb))


def test_a_modulus_of_another_mesh_is_refused(crumb):
    with pytest.raises(ValueError, match=r"`modulus` has the shape \(5,\)"):
        check_modulus(np.ones(5), crumb)


def test_double_precision_that_jax_has_switched_off_is_refused_with_the_switch():
    with jax.enable_x64(False):
        assert working_dtype("single") == jnp.float32
        with pytest.raises(ValueError, match="jax_enable_x64"):
            working_dtype("mixed")
