"""Laws of node sets: by plane, by box, by label."""

import numpy as np
import pytest

from meshes.selection import nodes_in_box, nodes_of_label, nodes_on_plane
from meshes.voxel import end_plane, node_coordinates, on_grid


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_plane_through_the_last_nodes_is_the_end_plane(sponge, axis):
    last = node_coordinates(sponge)[:, axis].max()
    edge = sponge.spacing[axis]
    top = end_plane(sponge, axis=axis, top=True)
    for position in (last, last + 0.49 * edge, last - 0.49 * edge):
        assert np.array_equal(nodes_on_plane(sponge, axis=axis, position=position), top)


def test_the_planes_of_the_lattice_share_out_the_nodes(sponge):
    levels = np.arange(sponge.shape[2] + 1) * sponge.spacing[2]
    planes = [nodes_on_plane(sponge, axis=2, position=level) for level in levels]
    assert np.array_equal(np.sort(np.concatenate(planes)), np.arange(sponge.nodes))


def test_a_box_holds_the_nodes_on_its_faces(sponge):
    points = node_coordinates(sponge)
    assert nodes_in_box(sponge, tuple(points.min(axis=0)), tuple(points.max(axis=0))).size == sponge.nodes
    chosen = points[nodes_in_box(sponge, (0.1, 0.0, 0.16), (0.2, 0.12, 0.16))]
    assert np.all(chosen[:, 2] == pytest.approx(0.16))
    assert np.all(chosen[:, 0] >= 0.1)
    assert chosen[:, 1].max() <= 0.12


def test_a_label_gives_the_corners_of_its_voxels(sponge):
    number = np.arange(1, sponge.elements + 1)
    labels = on_grid(sponge, number, fill=0)
    assert np.array_equal(nodes_of_label(sponge, labels, 5), np.sort(sponge.connectivity[4]))


def test_a_place_without_nodes_is_refused_by_name(sponge):
    with pytest.raises(ValueError, match=r"plane y = 9\.0 mm"):
        nodes_on_plane(sponge, axis=1, position=9.0)
    with pytest.raises(ValueError, match=r"box from .*9\.0"):
        nodes_in_box(sponge, (9.0, 9.0, 9.0), (10.0, 10.0, 10.0))
    with pytest.raises(ValueError, match="label 7"):
        nodes_of_label(sponge, np.zeros(sponge.shape, dtype=int), 7)


def test_labels_of_another_grid_are_refused(sponge):
    with pytest.raises(ValueError, match=r"`labels` has the shape \(2, 2, 2\)"):
        nodes_of_label(sponge, np.ones((2, 2, 2), dtype=int), 1)
