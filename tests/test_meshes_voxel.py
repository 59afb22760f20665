"""Laws of the voxel mesh: numbering, planes, fields on the grid, and what is refused."""

import numpy as np
import pytest

from meshes.voxel import (
    CORNER_OFFSETS,
    DEVICE_INDEX_LIMIT,
    check_device_indices,
    element_centroids,
    element_volume,
    end_plane,
    extent,
    face_neighbours,
    gross_section,
    lattice_coordinates,
    node_coordinates,
    on_grid,
    voxel_mesh,
)


def test_elements_are_the_bone_voxels_in_the_order_of_the_grid(sponge):
    solid = on_grid(sponge, np.ones(sponge.elements, dtype=bool), fill=False)
    assert np.array_equal(np.flatnonzero(solid), sponge.voxels)
    again = voxel_mesh(solid, sponge.spacing)
    assert np.array_equal(again.connectivity, sponge.connectivity)


def test_every_corner_stands_half_a_voxel_from_the_centroid(sponge):
    corners = node_coordinates(sponge)[sponge.connectivity]
    away = (CORNER_OFFSETS - 0.5) * np.asarray(sponge.spacing)
    np.testing.assert_allclose(corners, element_centroids(sponge)[:, None, :] + away, rtol=0, atol=1e-15)


def test_nodes_are_the_used_lattice_points_in_order_each_once(sponge):
    assert np.array_equal(np.unique(sponge.connectivity), np.arange(sponge.nodes))
    assert np.all(np.diff(sponge.lattice) > 0)
    assert np.all(lattice_coordinates(sponge) <= np.asarray(sponge.shape))


def test_touching_voxels_share_four_nodes_and_apart_ones_none():
    pair = voxel_mesh(np.ones((1, 1, 2), dtype=bool), (1.0, 1.0, 1.0))
    apart = voxel_mesh(np.array([[[True, False, True]]]), (1.0, 1.0, 1.0))
    assert (pair.elements, pair.nodes) == (2, 12)
    assert (apart.elements, apart.nodes) == (2, 16)


def test_the_origin_moves_all_coordinates(crumb):
    origin = (1.0, -2.0, 3.0)
    solid = on_grid(crumb, np.ones(crumb.elements, dtype=bool), fill=False)
    moved = voxel_mesh(solid, crumb.spacing, origin=origin)
    shift = node_coordinates(moved) - node_coordinates(crumb)
    np.testing.assert_allclose(shift, np.broadcast_to(origin, shift.shape), rtol=1e-14)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_end_planes_lie_one_extent_apart_and_bound_the_bone(sponge, axis):
    level = node_coordinates(sponge)[:, axis]
    bottom, top = (level[end_plane(sponge, axis=axis, top=top)] for top in (False, True))
    assert np.all(bottom == level.min())
    assert np.all(top == level.max())
    assert top[0] - bottom[0] == pytest.approx(extent(sponge, axis=axis), rel=1e-14)


def test_the_extent_is_that_of_the_bone_and_the_section_that_of_the_grid():
    solid = np.zeros((4, 5, 6), dtype=bool)
    solid[1:3, 2, 3:6] = True
    mesh = voxel_mesh(solid, (0.1, 0.2, 0.4))
    assert [extent(mesh, axis=axis) for axis in range(3)] == pytest.approx([0.2, 0.2, 1.2])
    assert [gross_section(mesh, axis=axis) for axis in range(3)] == pytest.approx([2.4, 0.96, 0.4])
    assert element_volume(mesh) == pytest.approx(0.008)


def test_a_field_comes_back_from_the_grid_and_the_void_is_filled(sponge, random):
    field = random.random((sponge.elements, 6))
    image = on_grid(sponge, field, fill=-1.0)
    assert image.shape == (*sponge.shape, 6)
    assert np.array_equal(image.reshape(-1, 6)[sponge.voxels], field)
    assert np.count_nonzero(image == -1.0) == 6 * (np.prod(sponge.shape) - sponge.elements)


def test_neighbours_share_the_face_between_them(sponge):
    neighbours = face_neighbours(sponge)
    centroids = element_centroids(sponge)
    for face in range(6):
        has = np.flatnonzero(neighbours[:, face] >= 0)
        other = neighbours[has, face]
        axis, sign = face // 2, 2 * (face % 2) - 1
        away = np.zeros(3)
        away[axis] = sign * sponge.spacing[axis]
        np.testing.assert_allclose(
            centroids[other] - centroids[has], np.tile(away, (has.size, 1)), atol=1e-15
        )
        assert np.array_equal(neighbours[other, face ^ 1], has)


def test_every_touching_pair_is_found_as_neighbours(sponge):
    solid = on_grid(sponge, np.ones(sponge.elements, dtype=bool), fill=False)
    ahead = [np.count_nonzero(solid & np.roll(solid, -1, axis)) for axis in range(3)]
    wrapped = [np.count_nonzero(solid.take(0, axis) & solid.take(-1, axis)) for axis in range(3)]
    assert np.count_nonzero(face_neighbours(sponge) >= 0) == 2 * (sum(ahead) - sum(wrapped))


def test_a_grid_without_bone_is_refused():
    with pytest.raises(ValueError, match=r"`solid` has no bone voxel among 8.*threshold"):
        voxel_mesh(np.zeros((2, 2, 2), dtype=bool), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("edge", [0.0, -1.0, np.nan, np.inf])
def test_a_voxel_without_positive_finite_edges_is_refused(edge):
    with pytest.raises(ValueError, match="`spacing`"):
        voxel_mesh(np.ones((1, 1, 1), dtype=bool), (1.0, 1.0, edge))


def test_a_mesh_whose_indices_overflow_a_device_is_refused_with_the_numbers():
    last_node, last_element = (DEVICE_INDEX_LIMIT - 1) // 3, (DEVICE_INDEX_LIMIT - 1) // 8
    check_device_indices(elements=last_element, nodes=last_node)
    with pytest.raises(ValueError, match=rf"3 x nodes = {3 * last_node + 3} .*below 2147483648.*Coarsen"):
        check_device_indices(elements=1, nodes=last_node + 1)
    with pytest.raises(ValueError, match=rf"8 x elements = {8 * last_element + 8}, .*below 2147483648"):
        check_device_indices(elements=last_element + 1, nodes=1)
