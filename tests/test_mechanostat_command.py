"""Laws of the command: its exit statuses, what goes where, and that bad input ends in one message and no file."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
import SimpleITK
from typer.testing import CliRunner, Result

from fem.equilibrium import SolveError
from mechanostat.__main__ import app
from mechanostat.command import BAD_INPUT, NO_RESOURCES, NOT_CONVERGED, status_of
from mechanostat.results import SolveResult
from mechanostat.study_example import example_study

CONTRACT = {
    "schema", "status", "case", "axis", "strain", "elements", "nodes", "unknowns", "islands_removed",
    "iterations", "residual", "reaction_force", "stiffness", "apparent_modulus", "strain_energy_density_mean",
    "effective_strain", "failure_load", "seconds", "peak_memory_bytes", "device", "precision", "preconditioner",
    "versions", "input",
}  # fmt: skip
"""Every field of `result.json` that is promised to other programs."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that keeps compiled programs in a folder of this test."""
    return os.environ | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "NO_COLOR": "1"}


@pytest.fixture(scope="module", autouse=True)
def _own_cache(environment: dict[str, str]) -> Iterator[None]:
    """Keep this process, too, from the folder where the user's compiled programs are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", environment["XDG_CACHE_HOME"])
        yield
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "mechanostat", *map(str, arguments)]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return run


def invoke(*arguments: object) -> Result:
    """Run the command in this process, where it ends before anything is compiled."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def message(result: Result) -> str:
    """Return the message of a command as one line."""
    return " ".join(result.stderr.split())


@pytest.fixture
def bone(tmp_path: Path) -> Path:
    path = tmp_path / "bone.npy"
    np.save(path, np.ones((3, 3, 3), dtype=np.uint8))
    return path


# --- what it prints and how it ends ---------------------------------------------------------------------------


def test_help_needs_no_jax_and_no_patience(environment):
    line = "import sys, mechanostat.__main__; sys.exit(any(m in sys.modules for m in ('jax', 'numpy', 'SimpleITK')))"
    assert subprocess.run([sys.executable, "-c", line], env=environment, check=False).returncode == 0
    line, times = [sys.executable, "-m", "mechanostat", "--help"], []
    for _ in range(3):  # the best of three: the machine may be busy
        begun = time.perf_counter()
        subprocess.run(line, env=environment, capture_output=True, check=True)
        times.append(time.perf_counter() - begun)
    assert min(times) < 1.0
    told = invoke("--help").stdout
    assert all(name in told for name in ("solve", "run", "demo", "doctor"))


def test_the_cube_of_faims_manual_through_the_command(command, tmp_path):
    """6 x 6 x 6 voxels of modulus 6829, axial, -1 %: FAIM prints -2651 N.

    The folders have spaces and signs of other alphabets in their names.
    """
    place = tmp_path / "Schädel 頭骨"
    place.mkdir()
    np.save(place / "würfel 1.npy", np.ones((6, 6, 6), dtype=np.uint8))
    out = place / "out ß"
    done = command(
        "solve", place / "würfel 1.npy", "--spacing", 1, "--modulus", 6829, "--case", "axial",
        "--out", out, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)  # nothing but JSON on standard output
    assert result == json.loads((out / "result.json").read_text())
    SolveResult.model_validate(result)
    assert result.keys() >= CONTRACT
    assert result["effective_strain"].keys() == {"p05", "p25", "median", "p75", "p95", "max"}
    assert result["seconds"].keys() == {"read", "setup", "compile", "solve", "write"}
    assert result["input"].keys() == {"name", "sha256", "spacing", "shape"}
    assert result["input"]["name"] == "würfel 1.npy"
    assert result["status"] == "converged"
    assert result["residual"] <= 1e-6
    assert result["reaction_force"][2] == pytest.approx(-2651.5, rel=5e-4)
    assert "Traceback" not in done.stderr


def test_the_doctor_solves_a_small_cube_and_says_what_it_found(command):
    done = command("doctor", "--json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["check"]["passed"]
    assert "jax" in found["versions"]
    assert "right: mean energy density 0.05371" in " ".join(done.stderr.split())


def test_a_gpu_that_is_missing_ends_in_5_with_the_cause(command, bone, tmp_path):
    if shutil.which("nvidia-smi"):
        pytest.skip("needs a machine without a GPU")
    done = command("solve", bone, "--spacing", 1, "--device", "gpu", "--out", tmp_path / "out")
    assert done.returncode == 5
    assert "`--device gpu` cannot be used: no NVIDIA GPU" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_each_kind_of_error_has_its_status():
    assert status_of(ValueError()) == BAD_INPUT == 2
    assert status_of(FileNotFoundError()) == BAD_INPUT
    assert status_of(SolveError()) == NOT_CONVERGED == 4
    assert status_of(MemoryError()) == NO_RESOURCES == 5
    assert status_of(RuntimeError("RESOURCE_EXHAUSTED")) == NO_RESOURCES


def test_an_unknown_command_or_option_ends_in_2(bone, tmp_path):
    assert invoke("sovle").exit_code == 2
    assert invoke("solve", bone, "--out", tmp_path / "out", "--case", "axal").exit_code == 2
    assert invoke("solve", bone).exit_code == 2
    assert not (tmp_path / "out").exists()


# --- bad scans ------------------------------------------------------------------------------------------------


def nifti(path: Path, values: np.ndarray) -> bytes:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path))
    return path.read_bytes()


def truncated_nifti(folder: Path) -> list[object]:
    whole = nifti(folder / "whole.nii", np.ones((20, 20, 20), dtype=np.int16))
    (folder / "cut.nii").write_bytes(whole[: len(whole) // 2])
    return [folder / "cut.nii", "--threshold", 1]


def truncated_gzip(folder: Path) -> list[object]:
    noise = np.random.default_rng(0).integers(0, 999, (20, 20, 20), dtype=np.int16)
    whole = nifti(folder / "whole.nii.gz", noise)
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    return [folder / "cut.nii.gz", "--threshold", 1]


def text_as_nifti(folder: Path) -> list[object]:
    (folder / "text.nii.gz").write_text("not an image")
    return [folder / "text.nii.gz", "--threshold", 1]


def lying_npy(folder: Path) -> list[object]:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f8", "fortran_order": False, "shape": (10000, 10000, 100000)}
    )
    (folder / "huge.npy").write_bytes(content.getvalue() + b"\0" * 64)
    return [folder / "huge.npy", "--spacing", 1]


def pickled_npz(folder: Path) -> list[object]:
    np.savez(folder / "pickle.npz", bone=np.array([{"a": 1}, print], dtype=object))
    return [folder / "pickle.npz", "--spacing", 1]


def bomb(folder: Path) -> list[object]:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "|u1", "fortran_order": False, "shape": (512, 512, 1024)}
    )
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bone.npy", content.getvalue() + bytes(512 * 512 * 1024))
    assert (folder / "bomb.npz").stat().st_size < 1e6
    return [folder / "bomb.npz", "--spacing", 1]


def no_images(folder: Path) -> list[object]:
    (folder / "letters").mkdir()
    (folder / "letters" / "note.txt").write_text("nothing to see")
    return [folder / "letters", "--threshold", 1]


def no_spacing(folder: Path) -> list[object]:
    np.save(folder / "bare.npy", np.ones((3, 3, 3), dtype=np.uint8))
    return [folder / "bare.npy"]


def not_finite(folder: Path) -> list[object]:
    values = np.ones((3, 3, 3))
    values[1, 1, 2] = np.nan
    np.save(folder / "hole.npy", values)
    return [folder / "hole.npy", "--spacing", 1]


def missing(folder: Path) -> list[object]:
    return [folder / "nowhere.nii.gz", "--threshold", 1]


def wrong_kind(folder: Path) -> list[object]:
    (folder / "bone.stl").write_text("solid bone")
    return [folder / "bone.stl", "--threshold", 1]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (missing, "nowhere.nii.gz` does not exist"),
        (no_spacing, "it has no voxel spacing"),
        (truncated_nifti, "cut.nii`"),
        (truncated_gzip, "cut.nii.gz`"),
        (text_as_nifti, "text.nii.gz`"),
        (lying_npy, "huge.npy`"),
        (pickled_npz, "pickle.npz`"),
        (bomb, "bomb.npz`"),
        (
            not_finite,
            "hole.npy` cannot be read: 1 of its values are NaN or infinite, the first at (x, y, z) = (1, 1, 2)",
        ),
        (no_images, "letters`"),
        (wrong_kind, "bone.stl`"),
    ],
)
def test_a_bad_scan_ends_in_2_names_the_file_and_writes_nothing(bad, words, tmp_path):
    out = tmp_path / "out"
    done = invoke("solve", *bad(tmp_path), "--out", out, "--device", "cpu")
    assert done.exit_code == 2
    assert words in message(done)
    assert done.stdout == ""
    assert not out.exists()


def test_an_aim_header_that_crashes_readers_ends_in_2(tmp_path):
    whole = bytearray((Path(__file__).parent / "data/scanco/synthetic_calibrated_int16.AIM").read_bytes())
    whole[105] = 67  # the high byte of a dimension
    (tmp_path / "hostile.AIM").write_bytes(whole)
    done = invoke(
        "solve", tmp_path / "hostile.AIM", "--threshold", 1, "--out", tmp_path / "out", "--device", "cpu"
    )
    assert done.exit_code == 2
    assert "hostile.AIM`" in message(done)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--spacing", "0.05,0.05"), "`--spacing` is one edge of a voxel in mm or three"),
        (("--spacing", "-1"), "`spacing`"),
        (("--labels", "a,b"), "`--labels` is a list of integers"),
        (("--labels", "1", "--threshold", "1"), "not both"),
        (("--labels", "7"), "7"),
        (("--threshold", "5"), "No bone is left"),
        (("--density-law", "kopperdal-vertebra"), "kopperdahl-vertebra"),
        (("--density", "chalk"), "`density` is HA or K2HPO4"),
        (("--modulus", "-1"), "`modulus` must be positive"),
        (("--modulus", "nan"), "`modulus` must be positive"),
        (("--poisson", "0.5"), "`--poisson`"),
        (("--strain", "0"), "`--strain`"),
        (("--tolerance", "0"), "`--tolerance`"),
        (("--axes", "zxy"), "zxy"),
        (("--device", "tpu"), "`--device`"),
    ],
)
def test_a_bad_option_ends_in_2_is_named_and_writes_nothing(options, words, bone, tmp_path):
    out = tmp_path / "out"
    spacing = () if "--spacing" in options else ("--spacing", 1)
    device = () if "--device" in options else ("--device", "cpu")
    done = invoke("solve", bone, *spacing, *device, *options, "--out", out)
    assert done.exit_code == 2
    assert words in message(done)
    assert not out.exists()


def test_a_folder_that_holds_other_files_is_refused_and_nothing_is_lost(bone, tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.txt").write_text("years of work")
    done = invoke("solve", bone, "--spacing", 1, "--out", out, "--device", "cpu")
    assert done.exit_code == 2
    assert "holds other files" in message(done)
    assert [file.name for file in out.iterdir()] == ["chapter1.txt"]
    assert (out / "chapter1.txt").read_text() == "years of work"


# --- bad studies ----------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> str:
    """The annotated example, its scan beside it."""
    np.save(tmp_path / "scan.npy", np.full((4, 4, 4), 255, dtype=np.uint8))
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(np.full((4, 4, 4), 255, dtype=np.uint8)), str(tmp_path / "scan.nii.gz")
    )
    return example_study()


def refused(tmp_path: Path, text: str) -> str:
    """Return the message with which a study is refused, and see that nothing was written."""
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    done = invoke("run", tmp_path / "study.toml", "--out", tmp_path / "out", "--device", "cpu")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()
    return message(done)


def test_all_errors_of_a_study_are_told_at_once_with_their_place(tmp_path, study):
    text = study.replace("years = 10.0", "years = -1.0").replace('axis = "z"', 'axis = "w"', 1)
    text = text.replace('sex = "female"', 'sex = "robot"')
    told = refused(tmp_path, text)
    assert all(place in told for place in ("time.years", "loads[0].axis", "person.sex"))


def test_a_field_that_is_not_known_is_refused_with_the_nearest_that_is(tmp_path, study):
    told = refused(tmp_path, study.replace("[bone]", "[bone]\nthreshhold = 3", 1))
    assert "bone.threshhold" in told
    assert "Did you mean `threshold`?" in told


def test_a_study_cannot_name_code_to_run(tmp_path, study):
    told = refused(tmp_path, 'script = "evil.py"\n' + study)
    assert "script" in told
    assert "preprocessing" in refused(
        tmp_path, study.replace("[bone]", '[bone]\npreprocessing = "os:system"', 1)
    )


def test_an_agent_that_is_not_known_is_refused_with_those_that_are(tmp_path, study):
    text = study.replace('agent = "denosumab"', 'agent = "estradiol-dermal"')
    told = refused(tmp_path, text)
    assert "protocol[0].agent" in told
    assert "estradiol-transdermal" in told


def test_a_study_whose_scan_is_missing_or_that_is_no_toml_is_refused(tmp_path, study):
    assert "nowhere.nii" in refused(tmp_path, study.replace("scan.nii.gz", "nowhere.nii"))
    assert "study.toml" in refused(tmp_path, "title = ")
    done = invoke("run", tmp_path / "no.toml", "--out", tmp_path / "out", "--device", "cpu")
    assert done.exit_code == 2
    assert "no.toml` is no file" in message(done)


def test_there_is_nothing_to_resume_in_a_folder_without_a_study(tmp_path):
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "bone.npy", np.ones((3, 3, 3), dtype=np.uint8))
    text = (
        '[bone]\nimage = "bone.npy"\nspacing = 1.0\nlabels = [1]\n'
        '[[loads]]\nname = "a"\ncase = "axial"\nstrain = -0.001\n'
        '[person]\nsex = "male"\nage = 60\n[time]\nyears = 1.0\n'
    )
    (tmp_path / "study.toml").write_text(text)
    done = invoke("run", tmp_path / "study.toml", "--out", tmp_path / "out", "--resume", "--device", "cpu")
    assert done.exit_code == 2
    assert "no study to resume" in message(done)
    assert list((tmp_path / "out").iterdir()) == []
