"""Laws of coarsening: it covers the bone, keeps apart what the bone keeps apart, and every element agrees."""

import numpy as np
import pytest

from fem.coarsening import (
    PARENTS,
    POINTS,
    Descent,
    Lattice,
    coarsen,
    finest_lattice,
    interpolation,
    octant_interpolation,
)
from fem.layout import NOTHING
from meshes.voxel import CORNER_OFFSETS, voxel_mesh


def lattice_of(solid: np.ndarray) -> Lattice:
    """Return the finest lattice of an image."""
    return finest_lattice(voxel_mesh(solid, (1.0, 1.0, 1.0)))


def parents_of(coarse: Lattice, descent: Descent) -> np.ndarray:
    """Return the eight coarse nodes that each fine node is the mean of, with repetition."""
    return coarse.connectivity[descent.piece[:, None], PARENTS[descent.point]].T


def levels_of(solid: np.ndarray, count: int) -> list[Lattice]:
    """Return some levels, finest first."""
    levels = [lattice_of(solid)]
    for _ in range(count):
        levels.append(coarsen(levels[-1])[0])
    return levels


@pytest.fixture(scope="module", params=[1, 2, 3])
def scattered(request) -> np.ndarray:
    """Voxels at random, a quarter of them bone: full of edges and corners that just touch."""
    return np.random.default_rng(request.param).random((11, 8, 13)) < 0.25


def test_interpolation_reproduces_linear_fields():
    np.testing.assert_allclose(interpolation() @ CORNER_OFFSETS, POINTS / 2, atol=1e-15)
    np.testing.assert_allclose(interpolation().sum(axis=1), 1.0, atol=1e-15)
    child = (CORNER_OFFSETS[:, None] + CORNER_OFFSETS[None]) / 2
    np.testing.assert_allclose(octant_interpolation() @ CORNER_OFFSETS, child, atol=1e-15)


def test_a_solid_block_becomes_the_block_of_half_as_many_voxels():
    coarse, descent = coarsen(lattice_of(np.ones((6, 4, 8), dtype=bool)))
    half = lattice_of(np.ones((3, 2, 4), dtype=bool))
    assert coarse.nodes == half.nodes
    assert np.array_equal(coarse.cells, half.cells)
    assert np.array_equal(np.sort(descent.children.reshape(-1)), np.arange(6 * 4 * 8))


def test_every_element_is_the_child_of_one_coarse_element_in_its_octant(scattered):
    fine = lattice_of(scattered)
    for _ in range(3):
        coarse, descent = coarsen(fine)
        parent, octant, _ = np.nonzero(descent.children != NOTHING)
        child = descent.children[descent.children != NOTHING]
        assert np.array_equal(np.sort(child), np.arange(len(fine.cells)))
        assert np.array_equal(fine.cells[child], 2 * coarse.cells[parent] + CORNER_OFFSETS[octant])
        fine = coarse


def test_all_elements_at_a_node_agree_how_it_moves(scattered, random):
    """Whatever the coarse motion: each child moves its corners to where their parents do."""
    fine = lattice_of(scattered)
    for _ in range(3):
        coarse, descent = coarsen(fine)
        motion = random.normal(size=coarse.nodes)
        moved = motion[parents_of(coarse, descent)].mean(axis=0)
        parent, octant, _ = np.nonzero(descent.children != NOTHING)
        child = descent.children[descent.children != NOTHING]
        corners = np.einsum("ckp,cp->ck", octant_interpolation()[octant], motion[coarse.connectivity[parent]])
        np.testing.assert_allclose(corners, moved[fine.connectivity[child]], atol=1e-14)
        fine = coarse


def test_families_are_the_parents_seen_from_above(scattered, random):
    fine = lattice_of(scattered)
    for _ in range(3):
        coarse, descent = coarsen(fine)
        force = random.normal(size=fine.nodes)
        down = descent.share @ np.append(force, 0.0)[descent.family]
        wanted = np.zeros(coarse.nodes)
        np.add.at(wanted, parents_of(coarse, descent), force[None] / 8)
        np.testing.assert_allclose(down, wanted, atol=1e-13)
        fine = coarse


def test_rods_that_pass_each_other_are_never_glued():
    """Two rods a voxel apart in the same boxes of four: coarse grids keep two pieces, with no common node."""
    solid = np.zeros((4, 4, 32), dtype=bool)
    solid[0, 0, :] = solid[2, 2, :] = True
    for level in levels_of(solid, 3)[1:]:
        start = level.connectivity[0]
        reached = set(start)
        while True:
            near = np.isin(level.connectivity, list(reached)).any(axis=1)
            grown = set(level.connectivity[near].reshape(-1))
            if grown == reached:
                break
            reached = grown
        assert len(reached) < level.nodes
        assert np.count_nonzero(near) == len(level.cells) // 2


def test_rods_that_touch_are_one():
    """Across an edge or a corner only: the fine nodes there are shared, so coarse ones are."""
    solid = np.zeros((4, 4, 8), dtype=bool)
    solid[1, 1, :4] = solid[2, 2, 4:] = True
    coarse = levels_of(solid, 1)[1]
    lower, upper = (
        coarse.connectivity[coarse.cells[:, 2] * 2 < 4],
        coarse.connectivity[coarse.cells[:, 2] * 2 >= 4],
    )
    assert np.intersect1d(lower, upper).size > 0


def test_the_lattice_begins_where_the_bone_does():
    solid = np.zeros((9, 9, 9), dtype=bool)
    solid[3:7, 5:9, 1:5] = True
    assert np.array_equal(lattice_of(solid).cells.min(axis=0), [0, 0, 0])
    assert coarsen(lattice_of(solid))[0].nodes == 27
