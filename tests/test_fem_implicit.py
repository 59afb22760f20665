"""Laws of derivatives through a solve: those of finite differences and of a dense solve, every way."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.hexahedron import stiffness_matrix
from fem.standard_tests import axial
from fem.statics import Balance, Structure, Supports, balance, structure, supports

TOLERANCE = 1e-11
"""Relative true residual of the solves here; derivatives are then right to about 1e-8 [-]."""


@pytest.fixture(scope="module")
def prepared(sponge) -> Structure:
    return structure(sponge)


@pytest.fixture(scope="module")
def load(sponge) -> Supports:
    """The axial test on a bed of springs, with a side force."""
    spread = supports(axial(sponge), nodes=sponge.nodes, dtype=jnp.float64)
    side = jnp.where(spread.free, jnp.array([[0.1, -0.2, 0.05]]), 0.0)
    springs = jnp.where(spread.free, 5.0, 0.0)
    return Supports(spread.free, spread.displacement, side, springs)


@pytest.fixture(scope="module")
def solved(sponge, prepared, load) -> Callable[..., Balance]:
    """A solve as a function of everything that derivatives flow to."""

    def of(modulus, motion, force, springs, max_iterations=500):
        moved = Supports(load.free, load.displacement * motion, force, springs)
        start = jnp.zeros((sponge.nodes, 3))
        limits = {"tolerance": TOLERANCE, "max_iterations": max_iterations}
        return balance(prepared, modulus, moved, start, precision="mixed", **limits)

    return of


@pytest.fixture(scope="module")
def outcome(solved, load) -> Callable[..., jax.Array]:
    """A number that depends on all of a solve: the work of what is held and the squared strain."""

    def of(*arguments):
        found = solved(*arguments)
        return jnp.vdot(found.forces, load.displacement) + 1e3 * jnp.sum(found.effective_strain**2)

    return of


@pytest.fixture(scope="module")
def point(sponge, load) -> tuple[jax.Array, ...]:
    """Where derivatives are taken: modulus, motion, force, springs."""
    modulus = np.random.default_rng(4).uniform(5e3, 2e4, sponge.elements)
    assert load.springs is not None
    return jnp.asarray(modulus), jnp.asarray(1.0), load.force, load.springs


@pytest.fixture(scope="module")
def gradient(outcome, point) -> tuple[jax.Array, ...]:
    return jax.jit(jax.grad(outcome, argnums=(0, 1, 2, 3)))(*point)


@pytest.fixture(scope="module")
def forwards(outcome) -> Callable[..., jax.Array]:
    """The derivative along a direction, forwards."""
    return jax.jit(lambda point, tangents: jax.jvp(outcome, point, tangents)[1])


@pytest.mark.parametrize("argument", [0, 1, 2, 3], ids=["modulus", "motion", "force", "springs"])
def test_derivatives_are_those_of_finite_differences(outcome, point, gradient, forwards, argument):
    """Forwards and backwards; central differences allow 1e-6."""
    value = point[argument]
    size = 0.1 * float(jnp.max(jnp.abs(value)))
    direction = jnp.asarray(size * np.random.default_rng(argument).normal(size=value.shape))
    step, jitted = 1e-4, jax.jit(outcome)
    down, up = ((*point[:argument], value + s * step * direction, *point[argument + 1 :]) for s in (-1, 1))
    slope = float(jitted(*up) - jitted(*down)) / (2.0 * step)
    tangents = tuple(direction if i == argument else jnp.zeros_like(x) for i, x in enumerate(point))
    found = float(forwards(point, tangents))
    assert found == pytest.approx(slope, rel=1e-6)
    assert float(jnp.vdot(gradient[argument], direction)) == pytest.approx(found, rel=1e-8)


def test_the_derivative_of_the_displacement_is_that_of_a_dense_solve(sponge, load, solved, point):
    """Every node, along one direction of the modulus: K du = - dK u."""
    places = (3 * sponge.connectivity[:, :, None] + np.arange(3)).reshape(-1, 24)
    free = np.asarray(load.free).reshape(-1)

    def assembled(modulus):
        matrix = np.zeros((free.size, free.size))
        blocks = np.asarray(modulus)[:, None, None] * stiffness_matrix(sponge.spacing, 0.3)
        np.add.at(matrix, (places[:, :, None], places[:, None, :]), blocks)
        return matrix

    direction = np.random.default_rng(5).uniform(-1e3, 1e3, sponge.elements)
    found, moved = jax.jit(
        lambda modulus, change: jax.jvp(lambda e: solved(e, *point[1:]).displacement, (modulus,), (change,))
    )(point[0], jnp.asarray(direction))
    stiffness = assembled(point[0]) + np.diag(np.asarray(point[3]).reshape(-1))
    right = -assembled(direction) @ np.asarray(found).reshape(-1)
    wanted = np.zeros(free.size)
    wanted[free] = np.linalg.solve(stiffness[np.ix_(free, free)], right[free])
    np.testing.assert_allclose(moved.reshape(-1), wanted, rtol=0, atol=1e-8 * np.abs(wanted).max())


def test_the_second_derivative_is_that_of_the_gradient(outcome, point):
    along = jnp.linspace(-500.0, 500.0, point[0].size)
    slope = jax.grad(outcome)
    found = jax.jit(lambda e: jax.jvp(lambda x: slope(x, *point[1:]), (e,), (along,))[1])(point[0])
    jitted = jax.jit(slope)
    step = 1e-3
    up, down = (jitted(point[0] + sign * step * along, *point[1:]) for sign in (1.0, -1.0))
    wanted = np.asarray(up - down) / (2.0 * step)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_gradients_of_many_motions_under_vmap_are_those_of_each(outcome, point):
    slope = jax.grad(outcome, argnums=1)
    motions = jnp.array([0.5, 1.0, 2.0])
    of = lambda motion: slope(point[0], motion, *point[2:])  # noqa: E731
    together = jax.jit(jax.vmap(of))(motions)
    alone = jax.jit(of)
    np.testing.assert_allclose(together, [alone(motion) for motion in motions], rtol=1e-8)


def test_a_derivative_that_does_not_converge_is_not_a_number(solved, point):
    def short(modulus):
        return jnp.sum(solved(modulus, *point[1:], 2).displacement)

    value, slope = jax.jit(jax.value_and_grad(short))(point[0])
    assert np.isfinite(value)
    assert np.all(np.isnan(slope))
