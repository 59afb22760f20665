"""The answers of CalculiX: a bending beam of oblong elements, a trabecular cube."""

import gzip

import numpy as np
import pytest

from fem.equilibrium import solve
from fem.loads import Hold, Push, load_case
from meshes.voxel import end_plane, node_coordinates, voxel_mesh


def test_a_beam_of_oblong_elements_bends_as_in_calculix_at_every_node(shared):
    """CalculiX 2.11, test deck beam8p: 1 x 1 x 8 mm, elements of 0.25 x 0.25 x 0.5 mm, 9 N across the end."""
    folder = shared / "data/D8_calculix_regression_decks"
    with gzip.open(folder / "beam8p.inp.gz", "rt") as deck:
        lines = deck.read().split("*ELEMENT")[0].splitlines()
    table = np.array([[float(word) for word in line.split(",")] for line in lines if line[:1] == " "])
    with gzip.open(folder / "beam8p.dat.ref.gz", "rt") as listing:
        rows = listing.read().splitlines()[3 : 3 + len(table)]
    wanted = np.array([[float(word) for word in row.split()[1:]] for row in rows])

    mesh = voxel_mesh(np.ones((4, 4, 16), dtype=bool), (0.25, 0.25, 0.5))
    bottom, top = (end_plane(mesh, axis=2, top=top) for top in (False, True))
    holds = [Hold(bottom, axis) for axis in range(3)]
    case = load_case(mesh, holds=holds, pushes=[Push(top, (0.0, 25 * 0.36, 0.0))], loaded=bottom)
    found = solve(mesh, 210_000.0, case, tolerance=1e-9)
    assert found.reaction[1] == pytest.approx(-9.0, rel=1e-8)

    order = np.lexsort(node_coordinates(mesh).T), np.lexsort(table[:, 1:].T)
    # The listing has seven digits.
    limit = 1e-6 * np.abs(wanted).max()
    np.testing.assert_allclose(np.asarray(found.displacement)[order[0]], wanted[order[1]], atol=limit)


@pytest.mark.slow
def test_a_trabecular_cube_reacts_as_in_calculix(shared):
    """CalculiX 2.17, 247.3045 N: 39 µm voxels, 18 GPa, bottom fixed, top moved by -0.04 mm, free to slide."""
    folder = shared / "data/D1_lhdl_3155_trabecular_cube"
    solid = np.load(folder / "segmentation_ex01_100cubed_39um.npz")["bone_zyx"].transpose(2, 1, 0)
    mesh = voxel_mesh(solid, (0.039, 0.039, 0.039))
    assert (mesh.elements, mesh.nodes) == (247_062, 336_277)
    bottom, top = (end_plane(mesh, axis=2, top=top) for top in (False, True))
    case = load_case(
        mesh, holds=[*(Hold(bottom, axis) for axis in range(3)), Hold(top, 2, -0.04)], loaded=top
    )
    # At the default tolerance the reaction is right to 2e-5: struts at the free top relax last.
    found = solve(mesh, 18_000.0, case, tolerance=1e-8)
    assert found.reaction[2] == pytest.approx(-247.3045, rel=1e-5)
