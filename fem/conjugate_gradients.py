"""Preconditioned conjugate gradients that say how they ended, with the true residual."""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

Vector = Float[Array, "nodes 3"]

REACTION_WINDOW = 5
"""Iterations over which the change of the reaction is taken.

FAIM waits 0.16 sqrt(nodes), about a ninth of what its solver needs in all (FAIM 10 manual); multigrid needs 17
to 55 iterations whatever the size, and in five of them the energy's error falls ten times or more.
"""


class Status(IntEnum):
    """How a solve ended."""

    RUNNING = 0
    """Not yet."""
    CONVERGED = 1
    """The true residual is within the tolerance, or the reaction has settled where that was asked for."""
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
    settled: Bool[Array, ""]
    """Whether it ended because the reaction had settled, before the residual met its tolerance."""


class _Iterate(NamedTuple):
    """What one iteration hands to the next."""

    displacement: Vector
    residual: Vector
    direction: Vector
    product: Float[Array, ""]
    norm: Float[Array, ""]
    iterations: Int[Array, ""]
    indefinite: Bool[Array, ""]
    energy: Float[Array, ""]
    drops: Float[Array, " window"]
    """What the last iterations took off the energy's error, latest first."""


class _Cycle(NamedTuple):
    """What one restart hands to the next."""

    displacement: Vector
    residual: Vector
    norm: Float[Array, ""]
    iterations: Int[Array, ""]
    status: Int[Array, ""]
    energy: Float[Array, ""]
    settled: Bool[Array, ""]


class _Targets(NamedTuple):
    """When the recurrence ends."""

    norm: Float[Array, ""]
    iterations: int
    reaction: float | None


def conjugate_gradients(
    apply: Callable[[Vector], Vector],
    force: Vector | None,
    initial: Vector,
    precondition: Callable[[Vector], Vector],
    *,
    tolerance: float,
    max_iterations: int,
    scale: Float[Array, ""] | None = None,
    reaction_tolerance: float | None = None,
    energy: Float[Array, ""] | None = None,
) -> Solution:
    """Return the displacement at which the internal forces balance the force.

    The recurrence runs until its own residual meets the tolerance; then the residual is computed
    anew. If it agrees, the solve has converged. If not, the recurrence starts again from there, which
    is iterative refinement; when a restart no longer halves the residual the solve has stagnated.

    An iteration takes length · r'z off the squared error in the energy norm. Where supports move the bone
    and nothing else loads it, that is what it takes off the work u'Ku, and work over motion is the reaction.
    So the change of the reaction over some iterations costs nothing to know.

    Args:
        apply: The operator, symmetric and positive on the unknowns. What it masks in its result may be moved in
            `initial`, and stays so.
        force: Right-hand side [N]; zero if absent.
        initial: Where to start [mm], for instance the solution of the step before.
        precondition: A fixed, symmetric, positive approximation of the inverse, zero on what is masked.
        tolerance: Relative true residual to reach [-].
        max_iterations: Iterations in all.
        scale: The force that residuals are relative to [N]; by default |f|. Where it is zero, nothing is done.
        reaction_tolerance: If given, it also ends when `REACTION_WINDOW` iterations changed the work, and so
            the reaction, by less than this part of it [-].
        energy: The work u'Ku of the start, motion of what is masked included [N mm]; goes with the above.

    Source:
        Saad 2003, Iterative Methods for Sparse Linear Systems, algorithm 9.1; restart from the true
        residual after van der Vorst and Ye 2000, SIAM J. Sci. Comput. 22:835-852,
        doi:10.1137/S1064827599353865; the energy's error after Hestenes and Stiefel 1952, theorem 6:1, kept in
        finite precision by Strakoš and Tichý 2002, Electron. Trans. Numer. Anal. 13:56-80.
    """
    if scale is None:
        scale = jnp.zeros((), initial.dtype) if force is None else _norm(force)
        initial = jnp.where(scale == 0, 0, initial)
    targets = _Targets(jnp.asarray(tolerance, initial.dtype) * scale, max_iterations, reaction_tolerance)
    work = jnp.zeros_like(scale) if energy is None else energy
    start = _restart(apply, force, initial, jnp.asarray(0), work)
    status = jnp.where(scale == 0, Status.ZERO_LOAD, Status.RUNNING)
    status = jnp.where(start.norm <= targets.norm, jnp.where(status == 0, Status.CONVERGED, status), status)
    status = jnp.where(jnp.isfinite(start.norm), status, Status.NOT_FINITE).astype(jnp.int32)

    def cycle(state: _Cycle) -> _Cycle:
        end = _recur(apply, force, precondition, state, targets)
        new = _restart(apply, force, end.displacement, end.iterations, end.energy)
        claimed = end.norm <= targets.norm
        # The recurrence's word on the reaction counts only while its residual is the true one.
        settled = _has_settled(end, reaction_tolerance) & (new.norm <= 2 * end.norm)
        status = jnp.where(claimed & (new.norm > 0.5 * state.norm), Status.STAGNATED, Status.RUNNING)
        status = jnp.where(new.iterations >= max_iterations, Status.MAX_ITERATIONS, status)
        status = jnp.where(settled, Status.CONVERGED, status)
        status = jnp.where(end.indefinite, Status.INDEFINITE, status)
        status = jnp.where(new.norm <= targets.norm, Status.CONVERGED, status)
        # The recurrence's norm too: after a preconditioner that is not finite the displacement still is.
        finite = jnp.isfinite(new.norm) & jnp.isfinite(end.norm)
        status = jnp.where(finite, status, Status.NOT_FINITE)
        settled = (status == Status.CONVERGED) & (new.norm > targets.norm)
        return new._replace(status=status.astype(jnp.int32), settled=settled)

    end = lax.while_loop(lambda state: state.status == Status.RUNNING, cycle, start._replace(status=status))
    zero = end.status == Status.ZERO_LOAD
    return Solution(
        displacement=end.displacement,
        status=end.status,
        iterations=end.iterations,
        residual=jnp.where(zero, 0, end.norm / jnp.where(zero, 1, scale)),
        settled=end.settled,
    )


def _recur(apply, force: Vector | None, precondition, start: _Cycle, targets: _Targets) -> _Iterate:
    """Return the end of the recurrence that starts from a true residual.

    Each step begins with the preconditioner, not ends with it: it stands once in the compiled program, which
    is most of that program, and is not applied after the last step.
    """
    one = jnp.ones_like(start.norm)
    none = jnp.zeros_like(start.residual)
    first = _Iterate(
        start.displacement,
        start.residual,
        none,
        one,
        start.norm,
        start.iterations,
        jnp.asarray(False),
        start.energy,
        jnp.full(REACTION_WINDOW, jnp.inf, start.norm.dtype),
    )

    def goes_on(state: _Iterate) -> Bool[Array, ""]:
        # Written so that a norm that is not a number ends the loop; the caller then sees it.
        going = (state.norm > targets.norm) & (state.iterations < targets.iterations) & ~state.indefinite
        return going & ~_has_settled(state, targets.reaction)

    def step(state: _Iterate) -> _Iterate:
        ascent = precondition(state.residual)
        product = _dot(state.residual, ascent)
        direction = ascent + (product / state.product) * state.direction
        stretched = apply(direction)
        energy = _dot(direction, stretched)
        length = product / energy
        residual = state.residual - length * stretched
        drop = length * product
        work = state.energy - drop
        if force is not None:
            work = work + 2 * length * _dot(direction, force)
        return _Iterate(
            displacement=jnp.where(energy > 0, state.displacement + length * direction, state.displacement),
            residual=residual,
            direction=direction,
            product=product,
            norm=_norm(residual),
            iterations=state.iterations + 1,
            indefinite=(energy <= 0) | (product <= 0),
            energy=work,
            drops=jnp.concatenate([drop[None], state.drops[:-1]]),
        )

    return lax.while_loop(goes_on, step, first)


def _has_settled(state: _Iterate, reaction_tolerance: float | None) -> Bool[Array, ""]:
    if reaction_tolerance is None:
        return jnp.asarray(False)
    return jnp.sum(state.drops) <= jnp.asarray(reaction_tolerance, state.norm.dtype) * state.energy


def _restart(apply, force: Vector | None, displacement: Vector, iterations, energy) -> _Cycle:
    internal = apply(displacement)
    residual = -internal if force is None else force - internal
    return _Cycle(
        displacement,
        residual,
        _norm(residual),
        iterations.astype(jnp.int32),
        jnp.asarray(0, jnp.int32),
        energy,
        jnp.asarray(False),
    )


def _dot(first: Vector, second: Vector) -> Float[Array, ""]:
    return jnp.sum(first * second)


def _norm(vector: Vector) -> Float[Array, ""]:
    return jnp.sqrt(_dot(vector, vector))
