"""Laws of `mechanostat solve`: it says what it solved, its files hold the field, and a bad end gives no number."""

import csv
import json
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import SimpleITK
from nibabel.nifti1 import Nifti1Image
from typer.testing import CliRunner, Result

from fem.equilibrium import solve
from fem.fields import strain_energy_density
from fem.standard_tests import axial
from mechanostat.__main__ import app
from mechanostat.bones import Recipe, prepare_bone
from mechanostat.results import SolveResult
from mechanostat.solve_files import on_blocks
from mechanostat.solving import Analysis, compile_solve, device_bytes, prepare_solve, spoken_result
from meshes.image import Image
from meshes.voxel import voxel_mesh
from meshes.vtkhdf import read_cells

EDGES = (0.05, 0.06, 0.08)
MODULUS = 6829.0
ANALYSIS = Analysis("axial", 2, None, 0.3, 1e-6, "double")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """A folder of its own, and compiled programs kept there instead of at the user's."""
    place = tmp_path_factory.mktemp("solve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        yield place
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="module")
def multiplier(folder) -> Path:
    """A block whose sides all differ, with a void voxel, as multiples of the modulus."""
    values = np.random.default_rng(3).uniform(0.3, 1.0, (4, 5, 6)).astype(np.float32)
    values[1, 2, 3] = 0.0
    path = folder / "modulus.npy"
    np.save(path, values)
    return path


def arguments(multiplier: Path, out: Path) -> list[object]:
    spacing = ",".join(map(str, EDGES))
    return [
        "solve",
        multiplier,
        "--spacing",
        spacing,
        "--modulus",
        MODULUS,
        "--precision",
        "double",
        "--out",
        out,
    ]


@pytest.fixture(scope="module")
def out(multiplier, folder) -> Path:
    """What a dry run and then the run itself leave in one folder."""
    place = folder / "out"
    dry = command(*arguments(multiplier, place), "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert [file.name for file in place.iterdir()] == ["load-case.png"]
    (folder / "dry.txt").write_text(dry.stderr, encoding="utf-8")
    done = command(*arguments(multiplier, place), "--fields")
    assert done.exit_code == 0, done.stderr
    (folder / "done.txt").write_text(done.stderr, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def truth(multiplier):
    """The same solve by `fem` alone: mesh, modulus and equilibrium."""
    values = np.load(multiplier)
    mesh = voxel_mesh(values > 0.0, EDGES)
    modulus = MODULUS * values.reshape(-1)[mesh.voxels].astype(np.float64)
    return mesh, modulus, solve(mesh, modulus, axial(mesh), precision="double", tolerance=1e-10)


def test_a_dry_run_tells_size_memory_and_time_and_solves_nothing(out, folder):
    told = " ".join((folder / "dry.txt").read_text(encoding="utf-8").split())
    assert "nothing was solved" in told
    assert "119 elements, 210 nodes, 630 unknowns" in told
    assert "MiB" in told
    assert "solve, expected" in told


def test_the_result_is_that_of_the_solver_under_its_own_name(out, truth):
    mesh, modulus, found = truth
    result = json.loads((out / "result.json").read_text())
    SolveResult.model_validate(result)
    assert result["schema"] == "mechanostat.solve/1"
    assert result["status"] == "converged"
    assert (result["elements"], result["nodes"]) == (119, 210)
    # Both residuals are at most 1e-6, so the energies agree to about its square, the forces far below 1e-5.
    assert result["reaction_force"][2] == pytest.approx(float(found.reaction[2]), rel=1e-5)
    assert result["stiffness"] == pytest.approx(float(found.reaction[2]) / (-0.01 * 6 * 0.08), rel=1e-5)
    section = 4 * 0.05 * 5 * 0.06
    assert result["apparent_modulus"] == pytest.approx(float(found.reaction[2]) / section / -0.01, rel=1e-5)
    energy = strain_energy_density(found.effective_strain, jnp.asarray(modulus))
    assert result["strain_energy_density_mean"] == pytest.approx(float(energy.mean()), rel=1e-5)
    assert result["input"]["shape"] == [4, 5, 6]
    assert result["input"]["spacing"] == list(EDGES)
    assert mesh.elements == result["elements"]


def test_fields_lie_on_the_mesh_that_paraview_opens(out, truth):
    _, modulus, found = truth
    strain = read_cells(out / "fields.vtkhdf", step=0, name="effective_strain")
    stiffness = read_cells(out / "fields.vtkhdf", step=0, name="modulus")
    with h5py.File(out / "fields.vtkhdf") as file:
        displacement = np.asarray(file["VTKHDF/PointData/displacement"])
    np.testing.assert_allclose(strain, np.asarray(found.effective_strain), rtol=1e-4)
    np.testing.assert_allclose(stiffness, modulus, rtol=1e-6)
    scale = np.abs(np.asarray(found.displacement)).max()
    np.testing.assert_allclose(displacement, np.asarray(found.displacement), atol=1e-5 * scale)


def test_fields_lie_voxel_by_voxel_over_the_scan(out, truth):
    mesh, _, found = truth
    expected = np.zeros(mesh.shape)
    expected.reshape(-1)[mesh.voxels] = np.asarray(found.effective_strain)
    picture = Nifti1Image.from_filename(out / "effective_strain.nii.gz")
    assert picture.header.get_zooms() == pytest.approx(EDGES)
    np.testing.assert_allclose(np.asanyarray(picture.dataobj), expected, rtol=1e-4)
    turned = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(out / "effective_strain.nii.gz")))
    np.testing.assert_allclose(turned.transpose(2, 1, 0), expected, rtol=1e-4)


def test_the_table_of_pistoia_holds_the_failure_load(out):
    result = json.loads((out / "result.json").read_text())
    rows = list(csv.DictReader((out / "pistoia.csv").read_text().splitlines()))
    chosen = next(row for row in rows if row["critical_volume"] == "0.02")
    assert float(chosen["failure_load_at_strain_0.007"]) == pytest.approx(result["failure_load"]["pistoia"])
    assert len(rows) == 7


def test_the_console_tells_units_and_short_numbers(out, folder):
    told = (folder / "done.txt").read_text(encoding="utf-8")
    assert "stiffness [N/mm]" in told
    assert "failure load, Pistoia [N]" in told
    longest = max(len(word) for word in told.replace("/", " ").split() if word[:1].isdigit())
    assert longest <= len("2026-01-01T00:00:00")  # a time stamp; no number has more digits


def test_a_solve_that_did_not_converge_ends_in_4_and_gives_no_number(multiplier, folder):
    place = folder / "short"
    done = command(*arguments(multiplier, place), "--max-iterations", "1", "--fields")
    assert done.exit_code == 4
    assert "max_iterations" in done.stderr
    result = json.loads((place / "result.json").read_text())
    assert result["status"] == "max_iterations"
    assert result["iterations"] == 1
    assert result["residual"] > 1e-6
    numbers = ("reaction_force", "stiffness", "apparent_modulus", "effective_strain", "failure_load")
    assert all(result[name] is None for name in numbers)
    names = {file.name for file in place.iterdir()}
    assert names == {"fingerprint.json", "load-case.png", "result.json", "result.csv"}


def test_results_of_other_options_are_never_overwritten(multiplier, out):
    before = (out / "result.json").read_bytes()
    done = command(*arguments(multiplier, out), "--strain", "-0.02")
    assert done.exit_code == 2
    assert "another study or other options" in done.stderr
    assert (out / "result.json").read_bytes() == before


def test_a_field_of_blocks_lies_over_the_voxels_that_they_are_made_of():
    """The centre of a block of two voxels is half a voxel from the centre of its first one."""
    quarter_turn = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    image = Image(np.ones((4, 6, 8)), (1.0, 2.0, 3.0), origin=(10.0, 20.0, 30.0), direction=quarter_turn)
    coarse = on_blocks(image, np.ones((2, 3, 4)), (2.0, 4.0, 6.0), quantity="effective strain")
    assert coarse.origin == pytest.approx((10.0 - 1.0, 20.0 + 0.5, 30.0 + 1.5))
    assert coarse.spacing == (2.0, 4.0, 6.0)


@pytest.mark.slow
def test_the_memory_forecast_grows_with_the_bone(random):
    sizes = []
    for shape in ((4, 4, 4), (24, 24, 24)):  # the coarsest level takes half a megabyte whatever the bone
        bone = prepare_bone(Image(np.ones(shape, dtype=np.uint8), EDGES, name="b.npy"), Recipe())
        sizes.append(device_bytes(compile_solve(prepare_solve(bone, ANALYSIS), ANALYSIS)))
        unknowns = 3 * bone.mesh.nodes
        assert sizes[-1] > 4 * 8 * unknowns  # conjugate gradients hold at least four vectors of doubles
    assert sizes[1] > 2 * sizes[0]


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"strain": 0.0}, "--strain"),
        ({"strain": float("nan")}, "--strain"),
        ({"poisson_ratio": 0.5}, "--poisson"),
        ({"tolerance": 0.0}, "--tolerance"),
        ({"max_iterations": 0}, "--max-iterations"),
    ],
)
def test_numbers_with_which_no_solve_means_anything_are_refused(change, culprit):
    bone = prepare_bone(Image(np.ones((2, 2, 2), dtype=np.uint8), EDGES, name="b.npy"), Recipe())
    with pytest.raises(ValueError, match=culprit):
        prepare_solve(bone, ANALYSIS._replace(**change))


def test_a_moment_case_speaks_of_moments(out):
    result = SolveResult.model_validate(json.loads((out / "result.json").read_text()))
    bent = result.model_copy(update={"case": "bending", "apparent_modulus": None})
    rows = dict(spoken_result(bent))
    assert "stiffness [N mm/rad]" in rows
    assert "failure load, Pistoia [N mm]" in rows
    assert "apparent modulus [MPa]" not in rows


@pytest.mark.slow
@pytest.mark.shared
def test_the_tibia_section_gives_faims_numbers(shared, folder):
    """HR-pQCT section with cortex and trabeculae; FAIM: -623.0 N, 12 830 N/mm, Pistoia -328.06 N."""
    place = folder / "tibia"
    done = command(
        "solve", shared / "data/D2_hrpqct_tibia_mini/labels.npz", "--array", "labels_zyx", "--axes", "zyx",
        "--labels", "100,127", "--spacing", "0.060699001,0.060699001,0.060695998", "--modulus", "6829",
        "--out", place,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = json.loads((place / "result.json").read_text())
    assert result["elements"] == 251_834
    assert result["reaction_force"][2] == pytest.approx(-623.0, rel=1e-3)
    assert result["stiffness"] == pytest.approx(12_830.34, rel=1e-3)
    assert result["failure_load"]["pistoia"] == pytest.approx(-328.06, rel=1e-3)
