"""A solve that can be differentiated: its derivative is another solve, not the history of its iterations."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool

from fem.conjugate_gradients import Solution, Status, Vector, conjugate_gradients
from fem.stiffness import VoxelStiffness, masked


@eqx.filter_custom_jvp
def solve_implicitly(
    stiffness: VoxelStiffness,
    free: Bool[Array, "nodes 3"],
    force: Vector,
    initial: Vector,
    precondition: Callable[[Vector], Vector],
    *,
    tolerance: float,
    max_iterations: int,
) -> Solution:
    """Return the displacement of the free degrees of freedom at which a bone balances a force.

    From K u = f follows K du = df - dK u, so a derivative is one solve with the same operator and the same
    preconditioner, from zero and to the same tolerance; backwards too, K being symmetric. A derivative whose
    solve does not converge is not a number.

    Args:
        stiffness: The operator; derivatives flow to its modulus and springs.
        free: Which degrees of freedom are not held.
        force: Right-hand side, zero where held [N].
        initial: Where to start, zero where held [mm]; the solution does not depend on it.
        precondition: Approximation of the inverse on the free degrees of freedom, in any precision.
        tolerance: Relative true residual to reach [-].
        max_iterations: Limit of iterations.

    Source: Giles 2008, An extended collection of matrix derivative results for forward and reverse mode
    automatic differentiation, section 2.3.1.
    """
    return conjugate_gradients(
        lambda displacement: masked(stiffness.apply(displacement), free),
        force,
        initial,
        precondition,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


@solve_implicitly.def_jvp
def _derivative(primals, tangents, *, tolerance, max_iterations):
    stiffness, free, force, initial, precondition = primals
    limits = {"tolerance": tolerance, "max_iterations": max_iterations}
    solution = solve_implicitly(stiffness, free, force, initial, precondition, **limits)
    change, _, push, _, _ = tangents
    right = jnp.zeros_like(force) if push is None else push
    if jax.tree.leaves(change):
        _, pull = eqx.filter_jvp(lambda k: k.apply(solution.displacement), (stiffness,), (change,))
        right = right - pull

    def inverse(apply: Callable[[Vector], Vector], right: Vector) -> Vector:
        # Backwards, what comes in is not zero where held.
        found = conjugate_gradients(apply, masked(right, free), jnp.zeros_like(right), precondition, **limits)
        ended_well = (found.status == Status.CONVERGED) | (found.status == Status.ZERO_LOAD)
        return jnp.where(ended_well, found.displacement, jnp.nan)

    moved = lax.custom_linear_solve(
        lambda displacement: masked(stiffness.apply(displacement), free),
        right,
        inverse,
        symmetric=True,
    )
    tangent = {"displacement": moved, "residual": jnp.zeros_like(solution.residual)}
    return solution, solution._replace(**tangent, status=None, iterations=None)
