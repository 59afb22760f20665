"""Laws of load cases: what is shared, which hold counts, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.loads import Hold, Push, Spring, load_case, stacked
from fem.statics import supports
from meshes.voxel import end_plane, node_coordinates


@pytest.fixture
def bottom(crumb) -> np.ndarray:
    return end_plane(crumb, axis=2, top=False)


@pytest.fixture
def top(crumb) -> np.ndarray:
    return end_plane(crumb, axis=2, top=True)


def held_at(bottom) -> list[Hold]:
    return [Hold(bottom, axis) for axis in range(3)]


def test_the_first_of_two_holds_counts(crumb, bottom, top):
    holds = [Hold(top, 2, -0.1), Hold(np.concatenate([bottom, top]), 2)]
    case = load_case(crumb, holds=holds, loaded=top)
    moved = case.held[case.displacement == -0.1]
    assert np.array_equal(moved, 3 * top + 2)
    assert case.held.size == top.size + bottom.size


def test_a_push_is_shared_equally_and_keeps_its_total(crumb, bottom, top):
    case = load_case(crumb, holds=held_at(bottom), pushes=[Push(top, (3.0, 0.0, -7.0))], loaded=top)
    spread = supports(case, nodes=crumb.nodes, dtype=jnp.float64)
    assert spread.force is not None
    np.testing.assert_allclose(np.sum(spread.force, axis=0), [3.0, 0.0, -7.0], rtol=1e-14)
    np.testing.assert_allclose(spread.force[top, 2], -7.0 / top.size, rtol=1e-14)
    assert spread.springs is None


def test_two_pushes_on_a_node_add_up(crumb, bottom, top):
    pushes = [Push(top, (0.0, 0.0, -7.0)), Push(top[:1], (0.0, 0.0, 2.0))]
    case = load_case(crumb, holds=held_at(bottom), pushes=pushes, loaded=top)
    force = supports(case, nodes=crumb.nodes, dtype=jnp.float64).force
    assert force is not None
    assert float(jnp.sum(force)) == pytest.approx(-5.0)


def test_holds_and_springs_are_spread_over_the_nodes(crumb, bottom, top):
    case = load_case(
        crumb,
        holds=[Hold(top, 0, np.linspace(0.1, 0.2, top.size))],
        springs=[Spring(bottom, (0.0, 0.0, 5.0))],
        loaded=top,
    )
    spread = supports(case, nodes=crumb.nodes, dtype=jnp.float64)
    assert spread.springs is not None
    assert float(jnp.sum(spread.springs)) == pytest.approx(5.0)
    assert np.array_equal(np.flatnonzero(~spread.free[:, 0]), np.sort(top))
    np.testing.assert_allclose(spread.displacement[top, 0], np.linspace(0.1, 0.2, top.size))
    assert int(jnp.sum(~spread.free)) == top.size


def test_moments_are_taken_about_the_middle_of_the_loaded_nodes(crumb, bottom, top):
    case = load_case(crumb, holds=held_at(bottom), pushes=[Push(top, (1.0, 0.0, 0.0))], loaded=top, axis=0)
    np.testing.assert_allclose(case.center, node_coordinates(crumb)[top].mean(axis=0))
    assert case.response == 0


def test_stacked_cases_are_spread_as_each_alone(crumb, bottom, top):
    pull = [Push(top, (0.0, 0.0, 4.0))]
    cases = [
        load_case(crumb, holds=[*held_at(bottom), Hold(top, 2, -0.1)], loaded=top),
        load_case(crumb, holds=held_at(bottom), pushes=pull, loaded=top),
        load_case(crumb, pushes=pull, springs=[Spring(bottom, (1.0, 1.0, 1.0))], loaded=top),
    ]
    together = jax.vmap(lambda case: supports(case, nodes=crumb.nodes, dtype=jnp.float64))(stacked(cases))
    assert together.springs is not None
    for row, case in enumerate(cases):
        alone = supports(case, nodes=crumb.nodes, dtype=jnp.float64)
        assert np.array_equal(together.free[row], alone.free)
        assert np.array_equal(together.displacement[row], alone.displacement)
        force = jnp.zeros_like(alone.displacement) if alone.force is None else alone.force
        assert together.force is not None
        assert np.array_equal(together.force[row], force)
        springs = np.zeros((crumb.nodes, 3)) if alone.springs is None else alone.springs
        assert np.array_equal(together.springs[row], springs)


def test_a_case_that_loads_nothing_is_refused(crumb, bottom, top):
    with pytest.raises(ValueError, match=r"`nothing` loads nothing.*Give a strain"):
        load_case(crumb, holds=held_at(bottom), loaded=top, name="nothing")


def test_a_push_on_a_free_bone_is_refused_with_the_number_of_free_motions(crumb, top):
    with pytest.raises(ValueError, match=r"free to move: 6 of 6 rigid motions"):
        load_case(crumb, pushes=[Push(top, (0.0, 0.0, 1.0))], loaded=top)


def test_a_push_that_turns_a_bone_on_a_hinge_is_refused(crumb, top):
    points = node_coordinates(crumb)
    hinge = np.flatnonzero((points[:, 0] == 0.0) & (points[:, 2] == 0.0))
    holds = [Hold(hinge, axis) for axis in range(3)]
    with pytest.raises(ValueError, match=r"1 of 6 rigid motions"):
        load_case(crumb, holds=holds, pushes=[Push(top, (1.0, 0.0, 0.0))], loaded=top)


def test_forces_that_balance_each_other_need_no_hold(crumb, top):
    points = node_coordinates(crumb)
    line = np.flatnonzero((points[:, 0] == points[0, 0]) & (points[:, 1] == points[0, 1]))
    pushes = [Push(line[:1], (0.0, 0.0, -1.0)), Push(line[-1:], (0.0, 0.0, 1.0))]
    assert load_case(crumb, pushes=pushes, loaded=top).held.size == 0


def test_springs_along_all_motions_hold_a_bone(crumb, bottom, top):
    springs = [Spring(bottom, (1.0, 1.0, 1.0))]
    case = load_case(crumb, pushes=[Push(top, (1.0, 2.0, 3.0))], springs=springs, loaded=top)
    assert case.sprung.size == 3 * bottom.size
