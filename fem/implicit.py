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
    prescribed: Vector,
    force: Vector | None,
    initial: Vector | None,
    precondition: Callable[[Vector], Vector],
    *,
    tolerance: float,
    max_iterations: int,
    reaction_tolerance: float | None = None,
) -> Solution:
    """Return the displacement of a bone at which the free degrees of freedom balance a force.

    From K u = f follows K du = df - dK u, so a derivative is one solve with the same operator and the same
    preconditioner, from zero and to the same tolerance; backwards too, K being symmetric. A derivative whose
    solve does not converge is not a number.

    The iteration moves the whole displacement, what is prescribed included, which then need not be kept.

    Args:
        stiffness: The operator; derivatives flow to its modulus and springs.
        free: Which degrees of freedom are not held.
        prescribed: Displacement of those that are [mm].
        force: On those that are free [N]; zero if absent.
        initial: Where to start [mm]; the solution does not depend on it.
        precondition: Approximation of the inverse on the free degrees of freedom, in any precision.
        tolerance: Residual relative to the force that the load makes on the free ones, to reach [-].
        max_iterations: Limit of iterations.
        reaction_tolerance: As in `conjugate_gradients`; derivatives do not end by it.

    Source: Giles 2008, An extended collection of matrix derivative results for forward and reverse mode
    automatic differentiation, section 2.3.1.
    """
    start = masked(prescribed, ~free)
    load = _residual(stiffness, free, force, start)
    scale = jnp.sqrt(jnp.sum(load * load))
    if initial is not None:
        start = jnp.where(free & (scale > 0), initial, start)
    work = None
    if reaction_tolerance is not None:
        work = jnp.sum(start * stiffness.apply(start))
    return conjugate_gradients(
        lambda displacement: masked(stiffness.apply(displacement), free),
        None if force is None else masked(force, free),
        start,
        precondition,
        tolerance=tolerance,
        max_iterations=max_iterations,
        scale=scale,
        reaction_tolerance=reaction_tolerance,
        energy=work,
    )


def _residual(stiffness: VoxelStiffness, free, force: Vector | None, displacement: Vector) -> Vector:
    internal = stiffness.apply(displacement)
    return masked(-internal if force is None else force - internal, free)


@solve_implicitly.def_jvp
def _derivative(primals, tangents, *, tolerance, max_iterations, reaction_tolerance=None):
    stiffness, free, prescribed, force, initial, precondition = primals
    limits = {"tolerance": tolerance, "max_iterations": max_iterations}
    solution = solve_implicitly(
        stiffness,
        free,
        prescribed,
        force,
        initial,
        precondition,
        reaction_tolerance=reaction_tolerance,
        **limits,
    )
    change, _, motion, push, _, _ = tangents
    right = jnp.zeros_like(prescribed) if push is None else push
    if jax.tree.leaves(change):
        _, pull = eqx.filter_jvp(lambda k: k.apply(solution.displacement), (stiffness,), (change,))
        right = right - pull
    moved = jnp.zeros_like(prescribed) if motion is None else masked(motion, ~free)
    if motion is not None:
        right = right - stiffness.apply(moved)

    def inverse(apply: Callable[[Vector], Vector], right: Vector) -> Vector:
        # Backwards, what comes in is not zero where held.
        found = conjugate_gradients(apply, masked(right, free), jnp.zeros_like(right), precondition, **limits)
        ended_well = (found.status == Status.CONVERGED) | (found.status == Status.ZERO_LOAD)
        return jnp.where(ended_well, found.displacement, jnp.nan)

    answer = lax.custom_linear_solve(
        lambda displacement: masked(stiffness.apply(displacement), free),
        right,
        inverse,
        symmetric=True,
    )
    tangent = {"displacement": moved + answer, "residual": jnp.zeros_like(solution.residual)}
    return solution, solution._replace(**tangent, status=None, iterations=None, settled=None)
