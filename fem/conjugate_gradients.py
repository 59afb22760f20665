"""Preconditioned conjugate gradients that say how they ended, with the true residual."""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

Vector = Float[Array, "nodes 3"]


class Status(IntEnum):
    """How a solve ended."""

    RUNNING = 0
    """Not yet."""
    CONVERGED = 1
    """The true residual is within the tolerance."""
    MAX_ITERATIONS = 2
    """The iterations were used up first."""
    STAGNATED = 3
    """The recurrence claims convergence, but the true residual no longer falls: precision is exhausted."""
    INDEFINITE = 4
    """A direction without positive energy: the bone is not held, or a modulus is not positive."""
    NOT_FINITE = 5
    """A number that is not finite appeared."""
    ZERO_LOAD = 6
    """Nothing loads the bone; the displacement is zero where it is not prescribed."""


class Solution(NamedTuple):
    """A solution and how it was reached."""

    displacement: Vector
    """The unknowns [mm]; zero on degrees of freedom that the operator masks."""
    status: Int[Array, ""]
    """A `Status`."""
    iterations: Int[Array, ""]
    """Iterations in all."""
    residual: Float[Array, ""]
    """True relative residual |f - K u| / |f|, recomputed at the end [-]."""


class _Iterate(NamedTuple):
    """What one iteration hands to the next."""

    displacement: Vector
    residual: Vector
    direction: Vector
    product: Float[Array, ""]
    norm: Float[Array, ""]
    iterations: Int[Array, ""]
    indefinite: Bool[Array, ""]


class _Cycle(NamedTuple):
    """What one restart hands to the next."""

    displacement: Vector
    residual: Vector
    norm: Float[Array, ""]
    iterations: Int[Array, ""]
    status: Int[Array, ""]


def conjugate_gradients(
    apply: Callable[[Vector], Vector],
    force: Vector,
    initial: Vector,
    precondition: Callable[[Vector], Vector],
    *,
    tolerance: float,
    max_iterations: int,
) -> Solution:
    """Return the displacement at which the internal forces balance the force.

    The recurrence runs until its own residual meets the tolerance; then the residual is computed
    anew. If it agrees, the solve has converged. If not, the recurrence starts again from there, which
    is iterative refinement; when a restart no longer halves the residual the solve has stagnated.

    Args:
        apply: The operator, symmetric and positive on the unknowns.
        force: Right-hand side [N].
        initial: Where to start [mm], for instance the solution of the step before.
        precondition: A fixed, symmetric, positive approximation of the inverse.
        tolerance: Relative true residual |f - K u| / |f| to reach [-].
        max_iterations: Iterations in all.

    Source:
        Saad 2003, Iterative Methods for Sparse Linear Systems, algorithm 9.1; restart from the true
        residual after van der Vorst and Ye 2000, SIAM J. Sci. Comput. 22:835-852,
        doi:10.1137/S1064827599353865.
    """
    force_norm = _norm(force)
    target = jnp.asarray(tolerance, force.dtype) * force_norm
    start = _restart(apply, force, initial, jnp.asarray(0))
    status = jnp.where(force_norm == 0, Status.ZERO_LOAD, Status.RUNNING)
    status = jnp.where(start.norm <= target, jnp.where(status == 0, Status.CONVERGED, status), status)
    status = jnp.where(jnp.isfinite(start.norm), status, Status.NOT_FINITE).astype(jnp.int32)

    def cycle(state: _Cycle) -> _Cycle:
        end = _recur(apply, precondition, state, target, max_iterations)
        new = _restart(apply, force, end.displacement, end.iterations)
        claimed = end.norm <= target
        status = jnp.where(claimed & (new.norm > 0.5 * state.norm), Status.STAGNATED, Status.RUNNING)
        status = jnp.where(new.iterations >= max_iterations, Status.MAX_ITERATIONS, status)
        status = jnp.where(end.indefinite, Status.INDEFINITE, status)
        status = jnp.where(new.norm <= target, Status.CONVERGED, status)
        # The recurrence's norm too: after a preconditioner that is not finite the displacement still is.
        finite = jnp.isfinite(new.norm) & jnp.isfinite(end.norm)
        status = jnp.where(finite, status, Status.NOT_FINITE)
        return new._replace(status=status.astype(jnp.int32))

    end = lax.while_loop(lambda state: state.status == Status.RUNNING, cycle, start._replace(status=status))
    zero = end.status == Status.ZERO_LOAD
    return Solution(
        displacement=jnp.where(zero, jnp.zeros_like(initial), end.displacement),
        status=end.status,
        iterations=end.iterations,
        residual=jnp.where(zero, jnp.zeros_like(force_norm), end.norm / force_norm),
    )


def _recur(apply, precondition, start: _Cycle, target, max_iterations: int) -> _Iterate:
    """Return the end of the recurrence that starts from a true residual.

    Each step begins with the preconditioner, not ends with it: it stands once in the compiled program, which
    is most of that program, and is not applied after the last step.
    """
    one = jnp.ones_like(start.norm)
    none = jnp.zeros_like(start.residual)
    first = _Iterate(
        start.displacement, start.residual, none, one, start.norm, start.iterations, jnp.asarray(False)
    )

    def goes_on(state: _Iterate) -> Bool[Array, ""]:
        # Written so that a norm that is not a number ends the loop; the caller then sees it.
        return (state.norm > target) & (state.iterations < max_iterations) & ~state.indefinite

    def step(state: _Iterate) -> _Iterate:
        ascent = precondition(state.residual)
        product = _dot(state.residual, ascent)
        direction = ascent + (product / state.product) * state.direction
        stretched = apply(direction)
        energy = _dot(direction, stretched)
        length = product / energy
        residual = state.residual - length * stretched
        return _Iterate(
            displacement=jnp.where(energy > 0, state.displacement + length * direction, state.displacement),
            residual=residual,
            direction=direction,
            product=product,
            norm=_norm(residual),
            iterations=state.iterations + 1,
            indefinite=(energy <= 0) | (product <= 0),
        )

    return lax.while_loop(goes_on, step, first)


def _restart(apply, force: Vector, displacement: Vector, iterations: Int[Array, ""]) -> _Cycle:
    residual = force - apply(displacement)
    return _Cycle(
        displacement, residual, _norm(residual), iterations.astype(jnp.int32), jnp.asarray(0, jnp.int32)
    )


def _dot(first: Vector, second: Vector) -> Float[Array, ""]:
    return jnp.sum(first * second)


def _norm(vector: Vector) -> Float[Array, ""]:
    return jnp.sqrt(_dot(vector, vector))
