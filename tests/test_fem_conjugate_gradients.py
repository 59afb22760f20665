"""Laws of the iteration: it solves, it tells the true residual, and it says how it ended."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.conjugate_gradients import Solution, Status, conjugate_gradients

NODES = 8


@pytest.fixture
def matrix(random) -> np.ndarray:
    """A symmetric positive matrix with eigenvalues from 1 to 1000."""
    basis, _ = np.linalg.qr(random.normal(size=(3 * NODES, 3 * NODES)))
    return (basis * np.logspace(0.0, 3.0, 3 * NODES)) @ basis.T


@pytest.fixture
def force(random) -> np.ndarray:
    return random.normal(size=(NODES, 3))


@functools.partial(jax.jit, static_argnames=("tolerance", "max_iterations"))
def run(matrix, force, initial, inverse, *, tolerance, max_iterations) -> Solution:
    return conjugate_gradients(
        lambda x: (matrix @ x.reshape(-1)).reshape(-1, 3),
        force,
        initial,
        lambda r: (inverse @ r.reshape(-1)).reshape(-1, 3),
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def solve(
    matrix, force, *, initial=None, inverse=None, tolerance=1e-10, max_iterations=500, dtype=jnp.float64
):
    """Solve without preconditioner unless one is given."""
    return run(
        jnp.asarray(matrix, dtype),
        jnp.asarray(force, dtype),
        jnp.zeros((NODES, 3), dtype) if initial is None else jnp.asarray(initial, dtype),
        jnp.eye(3 * NODES, dtype=dtype) if inverse is None else jnp.asarray(inverse, dtype),
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def true_residual(matrix, force, solution) -> float:
    rest = force.reshape(-1) - matrix @ np.asarray(solution.displacement, dtype=float).reshape(-1)
    return float(np.linalg.norm(rest) / np.linalg.norm(force))


def test_the_solution_is_that_of_a_direct_solver(matrix, force):
    solution = solve(matrix, force)
    assert solution.status == Status.CONVERGED
    wanted = np.linalg.solve(matrix, force.reshape(-1)).reshape(-1, 3)
    # The error exceeds the residual by the condition number at most.
    np.testing.assert_allclose(solution.displacement, wanted, atol=1e3 * 1e-10 * np.abs(wanted).max())


@pytest.mark.parametrize("max_iterations", [3, 20, 500])
def test_the_residual_told_is_the_true_one(matrix, force, max_iterations):
    solution = solve(matrix, force, max_iterations=max_iterations)
    assert float(solution.residual) == pytest.approx(true_residual(matrix, force, solution), rel=1e-4)


def test_unconverged_solve_says_so(matrix, force):
    solution = solve(matrix, force, max_iterations=5)
    assert solution.status == Status.MAX_ITERATIONS
    assert solution.iterations == 5
    assert solution.residual > 1e-3


def test_single_precision_stagnates_at_a_tight_tolerance_and_says_so(matrix, force):
    solution = solve(matrix, force, tolerance=1e-12, dtype=jnp.float32)
    assert solution.status == Status.STAGNATED
    assert 1e-12 < float(solution.residual) < 1e-3
    single = np.asarray(matrix, dtype=np.float32).astype(float)
    load = force.astype(np.float32).astype(float)
    # Evaluated in single precision itself, so only its order can agree.
    assert 0.1 < float(solution.residual) / true_residual(single, load, solution) < 10.0


def test_a_negative_eigenvalue_ends_as_indefinite(matrix, force):
    values, vectors = np.linalg.eigh(matrix)
    values[0] = -1.0
    assert solve((vectors * values) @ vectors.T, force).status == Status.INDEFINITE


def test_a_preconditioner_that_is_not_positive_ends_as_indefinite(matrix, force):
    assert solve(matrix, force, inverse=-np.eye(3 * NODES)).status == Status.INDEFINITE


def test_a_force_on_a_motion_that_nothing_resists_does_not_converge(matrix, force):
    values, vectors = np.linalg.eigh(matrix)
    values[0] = 0.0
    status = solve((vectors * values) @ vectors.T, force, max_iterations=100).status
    assert status not in (Status.CONVERGED, Status.RUNNING)


def test_a_singular_operator_with_a_fitting_force_converges(matrix, force):
    values, vectors = np.linalg.eigh(matrix)
    values[0] = 0.0
    singular = (vectors * values) @ vectors.T
    fitting = force - (vectors[:, 0] @ force.reshape(-1) * vectors[:, 0]).reshape(-1, 3)
    solution = solve(singular, fitting)
    assert solution.status == Status.CONVERGED
    assert true_residual(singular, fitting, solution) <= 1.1e-10


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["matrix", "force", "inverse"])
def test_a_number_that_is_not_finite_ends_as_not_finite(matrix, force, bad, where):
    given = {"matrix": matrix.copy(), "force": force.copy(), "inverse": np.eye(3 * NODES)}
    given[where][0, 0] = bad
    assert solve(**given).status == Status.NOT_FINITE


def test_no_force_gives_no_displacement_and_says_so(matrix, random):
    start = random.normal(size=(NODES, 3))
    solution = solve(matrix, np.zeros((NODES, 3)), initial=start)
    assert solution.status == Status.ZERO_LOAD
    assert not np.any(solution.displacement)
    assert (solution.iterations, solution.residual) == (0, 0.0)


def test_a_start_at_the_solution_needs_no_iteration(matrix, force):
    solution = solve(matrix, force, tolerance=1e-12)
    again = solve(matrix, force, initial=solution.displacement)
    assert (again.status, again.iterations) == (Status.CONVERGED, 0)


def test_the_exact_inverse_as_preconditioner_needs_one_iteration(matrix, force):
    solution = solve(matrix, force, inverse=np.linalg.inv(matrix))
    assert (solution.status, solution.iterations) == (Status.CONVERGED, 1)


def test_scaling_the_force_scales_the_solution(matrix, force):
    """The stop criterion is relative: nanonewtons and meganewtons converge alike."""
    one, tiny = solve(matrix, force), solve(matrix, 1e-12 * force)
    # Rounding may move the crossing of the tolerance by one iteration.
    assert abs(int(one.iterations) - int(tiny.iterations)) <= 1
    np.testing.assert_allclose(1e12 * tiny.displacement, one.displacement, rtol=1e-9)


def test_many_forces_under_vmap_end_each_as_it_would_alone(matrix, force):
    forces = jnp.stack([jnp.asarray(force), jnp.zeros((NODES, 3)), jnp.full((NODES, 3), jnp.nan)])
    identity = jnp.eye(3 * NODES)

    def ends(load):
        zero = jnp.zeros_like(load)
        return run(jnp.asarray(matrix), load, zero, identity, tolerance=1e-10, max_iterations=500)

    together = jax.vmap(ends)(forces)
    assert list(together.status) == [Status.CONVERGED, Status.ZERO_LOAD, Status.NOT_FINITE]
    np.testing.assert_allclose(together.displacement[0], ends(forces[0]).displacement, rtol=1e-9)
