"""How a solve ends on odd bones: hinges, loose pieces, one voxel, a modulus or a load that means nothing.

What `tests/test_fem_equilibrium.py` holds of the ends of a single solve and `tests/test_mechanostat_command.py` of
bad options is not repeated here.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from fem.conjugate_gradients import Status
from fem.equilibrium import SolveError, solve
from fem.loads import Hold, LoadCase, Push, load_case
from fem.standard_tests import STANDARD_TESTS, axial, directional_shear, torsion, uniaxial
from mechanostat.__main__ import app
from mechanostat.command import BAD_INPUT, DONE, NOT_CONVERGED
from meshes.voxel import VoxelMesh, end_plane, voxel_mesh

E = 18_000.0
EDGES = (0.1, 0.1, 0.1)

FACE, EDGE, CORNER = (0, 0), (3, 0), (3, 3)
"""Shift of the upper block over the lower one: what they share."""


def stacked_blocks(shift: tuple[int, int]) -> np.ndarray:
    """Return a block of 3 x 3 x 3 voxels on another one, shifted sideways."""
    solid = np.zeros((6, 6, 6), dtype=bool)
    x, y = shift
    solid[:3, :3, :3] = solid[x : x + 3, y : y + 3, 3:] = True
    return solid


def meshed(solid: np.ndarray) -> VoxelMesh:
    return voxel_mesh(solid, EDGES)


def standing(mesh: VoxelMesh, *, pushed: np.ndarray, force=(0.0, 0.0, -1.0)) -> LoadCase:
    """Return a bone whose bottom is held and that is pushed somewhere."""
    bottom = end_plane(mesh, axis=2, top=False)
    holds = [Hold(bottom, axis) for axis in range(3)]
    return load_case(mesh, holds=holds, pushes=[Push(pushed, force)], loaded=bottom)


# Hinges.


@pytest.mark.parametrize("test", [axial, uniaxial, torsion, directional_shear])
@pytest.mark.parametrize("shift", [EDGE, CORNER], ids=["edge", "corner"])
def test_blocks_that_share_one_edge_or_corner_converge_between_platens(test, shift):
    """The platens hold both blocks, so the hinge turns nothing loose; 10 to 16 iterations were counted."""
    mesh = meshed(stacked_blocks(shift))
    found = solve(mesh, E, test(mesh))
    assert found.converged
    assert found.iterations <= 30


@pytest.mark.parametrize("test", [axial, uniaxial])
def test_an_edge_carries_less_than_a_face_and_a_corner_less_than_an_edge(test):
    forces = []
    for shift in (FACE, EDGE, CORNER):
        mesh = meshed(stacked_blocks(shift))
        forces.append(-solve(mesh, E, test(mesh)).reaction[2])
    assert forces[0] > forces[1] > forces[2] > 0.0


def test_a_corner_on_the_axis_carries_no_torque():
    """Both blocks turn about the one point that they share, which holds no moment."""
    mesh = meshed(stacked_blocks(CORNER))
    found = solve(mesh, E, torsion(mesh))
    stiff = meshed(stacked_blocks(FACE))
    # The residual asked for is 1e-6 of the forces of the platens.
    assert abs(found.reaction[5]) < 1e-5 * abs(solve(stiff, E, torsion(stiff)).reaction[5])


@pytest.mark.parametrize("force", [(0.0, 0.0, -1.0), (1.0, 0.0, 0.0)], ids=["down", "sideways"])
@pytest.mark.parametrize("shift", [EDGE, CORNER], ids=["edge", "corner"])
def test_a_block_that_a_force_turns_on_its_hinge_is_indefinite_and_says_what_to_do(shift, force):
    """As a whole the bone is held, so its load case is accepted; the solve finds that a part is not."""
    mesh = meshed(stacked_blocks(shift))
    case = standing(mesh, pushed=end_plane(mesh, axis=2, top=True), force=force)
    with pytest.raises(SolveError, match=r"`indefinite`.*free to move"):
        solve(mesh, E, case)


# Loose pieces.


@pytest.fixture
def with_piece() -> VoxelMesh:
    """A block on the ground, and beside it a piece in the air."""
    solid = np.zeros((6, 3, 6), dtype=bool)
    solid[:3] = True
    solid[4:, :, 3:5] = True
    return meshed(solid)


def test_a_force_on_a_piece_that_touches_no_constraint_is_indefinite(with_piece):
    piece = np.unique(with_piece.connectivity[with_piece.voxels >= 4 * 3 * 6])
    with pytest.raises(SolveError, match=r"`indefinite`.*remove islands"):
        solve(with_piece, E, standing(with_piece, pushed=piece))


def test_a_hundred_loose_voxels_cost_no_convergence(random):
    """A block in a cloud of single voxels that touch nothing; they stay at rest."""
    solid = np.zeros((24, 24, 8), dtype=bool)
    solid[:8, :8] = True
    places = np.argwhere(np.ones((7, 7, 3), dtype=bool)) * 2 + (10, 10, 1)
    chosen = random.choice(len(places), 100, replace=False)
    solid[tuple(places[chosen].T)] = True
    alone = np.zeros_like(solid)
    alone[:8, :8] = True
    loose, bare = (meshed(bone) for bone in (solid, alone))
    found, wanted = (solve(mesh, E, axial(mesh)) for mesh in (loose, bare))
    assert found.reaction[2] == pytest.approx(wanted.reaction[2], rel=1e-6)
    assert found.iterations <= wanted.iterations + 3


# One voxel.


@pytest.mark.parametrize("name", STANDARD_TESTS)
def test_a_bone_of_one_voxel_converges_in_every_standard_test(name):
    mesh = meshed(np.ones((1, 1, 1), dtype=bool))
    case = STANDARD_TESTS[name](mesh)
    found = solve(mesh, E, case)
    assert found.status == Status.CONVERGED
    assert found.reaction[case.response] * case.motion > 0.0


# Through the command.


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled programs in a folder of this test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
    jax.config.update("jax_compilation_cache_dir", None)


def command(folder: Path, values: np.ndarray, *options: object) -> Result:
    """Return how `mechanostat solve` of an array ends."""
    np.save(folder / "bone.npy", values)
    line = [
        "solve",
        folder / "bone.npy",
        "--spacing",
        0.1,
        "--device",
        "cpu",
        *options,
        "--out",
        folder / "out",
    ]
    return CliRunner().invoke(app, [str(word) for word in line], catch_exceptions=False)


def result_of(folder: Path) -> dict:
    return json.loads((folder / "out/result.json").read_text())


def test_the_command_removes_what_hangs_on_an_edge_and_says_so(tmp_path):
    assert command(tmp_path, stacked_blocks(EDGE)).exit_code == DONE
    result = result_of(tmp_path)
    assert (result["status"], result["elements"], result["islands_removed"]) == ("converged", 27, 1)


def test_the_command_keeps_what_hangs_on_an_edge_where_told_and_converges(tmp_path):
    assert command(tmp_path, stacked_blocks(EDGE), "--keep-islands").exit_code == DONE
    result = result_of(tmp_path)
    assert (result["status"], result["elements"], result["islands_removed"]) == ("converged", 54, 0)


def test_the_command_solves_one_voxel_exactly(tmp_path):
    assert command(tmp_path, np.ones((1, 1, 1), dtype=np.uint8), "--case", "uniaxial").exit_code == DONE
    # 1e-6 is the residual that the command asks for.
    assert result_of(tmp_path)["apparent_modulus"] == pytest.approx(18_000.0, rel=1e-6)


def test_precision_that_is_used_up_ends_the_command_in_4_and_gives_no_number(tmp_path):
    values = np.ones((4, 4, 4), dtype=np.uint8)
    done = command(tmp_path, values, "--precision", "single", "--tolerance", 1e-12)
    assert done.exit_code == NOT_CONVERGED
    result = result_of(tmp_path)
    assert result["status"] == "stagnated"
    assert result["apparent_modulus"] is None
    assert result["failure_load"] is None


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "No bone is left"), (-1.0, "negative"), (np.nan, "NaN"), (np.inf, "infinite")]
)
def test_multiples_of_the_modulus_that_mean_nothing_end_in_2_and_write_nothing(value, words, tmp_path):
    values = np.ones((3, 3, 3), dtype=np.float32)
    values[...] = np.where(value == 0.0, value, values)
    values[0, 1, 2] = value
    done = command(tmp_path, values)
    assert done.exit_code == BAD_INPUT
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_modulus_of_zero_ends_in_2_and_is_named(tmp_path):
    done = command(tmp_path, np.ones((3, 3, 3), dtype=np.uint8), "--modulus", 0)
    assert done.exit_code == BAD_INPUT
    assert "`modulus` must be positive" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()
