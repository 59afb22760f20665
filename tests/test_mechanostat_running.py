"""Laws of `mechanostat run`: whole results, the same bytes however often it is interrupted, nothing overwritten."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mechanostat.__main__ import app
from mechanostat.results import Outcomes, RunResult
from meshes.vtkhdf import read_cells, step_times

STUDY = """
title = "A study of <script>alert(1)</script> & more"

[bone]
image = "bone.npy"
spacing = [0.2, 0.21, 0.22]
labels = [1, 2]

[bone.regions]
cortical = [2]
trabecular = [1]

[[loads]]
name = "walking"
case = "axial"
apparent_stress = -1.0

[person]
sex = "female"
age = 50.0
menopause_age = 51.0

[time]
years = 2.0
step_days = 30
report_days = 30

[[protocol]]
agent = "estradiol-transdermal"
dose = "50 µg"
start_years = 1.0
"""

WITHOUT_PICTURES = "[output]\npictures = false\nreport = false\nfields = false\n"

REPORTS = 25
"""Day 0 and 24 steps of 30 days: two years, to the nearest step."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a small bone, two studies of it, and compiled programs of its own."""
    place = tmp_path_factory.mktemp("run")
    values = (np.random.default_rng(4).random((5, 4, 6)) < 0.85).astype(np.uint8)
    values[:2] *= 2
    np.save(place / "bone.npy", values)
    (place / "study.toml").write_text(STUDY, encoding="utf-8")
    (place / "bare.toml").write_text(STUDY + WITHOUT_PICTURES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        yield place
    jax.config.update("jax_compilation_cache_dir", None)


def run(study: Path, out: Path, *options: str) -> Result:
    """Run a study in this process."""
    line = ["run", str(study), "--out", str(out), "--device", "cpu", *options]
    return CliRunner().invoke(app, line, catch_exceptions=False)


@pytest.fixture(scope="module")
def out(folder) -> Path:
    """The results of the study, never interrupted."""
    done = run(folder / "study.toml", folder / "out", "--json")
    assert done.exit_code == 0, done.stderr
    (folder / "stdout.json").write_text(done.stdout, encoding="utf-8")
    return folder / "out"


@pytest.fixture(scope="module")
def result(out) -> dict:
    return json.loads((out / "result.json").read_text())


def test_a_study_writes_the_record_that_programs_rely_on(result, folder):
    RunResult.model_validate(result)
    assert result == json.loads((folder / "stdout.json").read_text())
    assert result["schema"] == "mechanostat.run/1"
    assert result["status"] == "converged"
    assert result["title"] == "A study of <script>alert(1)</script> & more"
    assert result["times_days"] == [30.0 * step for step in range(REPORTS)]
    assert result["input"]["name"] == "bone.npy"


def test_nothing_is_called_validated_that_is_not(result):
    assert result["validated"] == dict.fromkeys(Outcomes.model_fields, False)


def test_each_outcome_is_told_for_each_time_region_and_test(result):
    outcomes = result["outcomes"]
    assert outcomes["bone_mineral_density"].keys() == {"bone", "cortical", "trabecular"}
    assert outcomes["stiffness"].keys() == outcomes["failure_load"].keys() == {"axial"}
    assert {"estradiol_pg_per_ml", "set_point", "age_years"} <= outcomes["levels"].keys()
    assert outcomes["markers"]["resorption"][0] == 1.0
    assert outcomes["levels"]["age_years"][-1] == pytest.approx(50.0 + 720.0 / 365.25)


def test_a_woman_at_menopause_loses_bone_and_strength(result):
    volume, load = result["outcomes"]["bone_volume"], result["outcomes"]["failure_load"]["axial"]
    assert 0.95 < volume[-1] / volume[0] < 1.0
    assert 0.85 < load[-1] / load[0] < 1.0


def test_the_end_of_every_solve_is_kept(result):
    cases = [solve["case"] for solve in result["solves"]]
    assert cases.count("walking") == cases.count("axial") == REPORTS
    assert all(solve["status"] == "converged" and solve["residual"] <= 1e-6 for solve in result["solves"])


def test_the_table_of_outcomes_is_that_of_the_record(out, result):
    rows = list(csv.DictReader((out / "outcomes.csv").read_text().splitlines()))
    assert [float(row["time_days"]) for row in rows] == result["times_days"]
    assert [float(row["failure_load.axial"]) for row in rows] == result["outcomes"]["failure_load"]["axial"]


def test_fields_over_time_are_those_of_the_outcomes(out, result):
    assert step_times(out / "fields.vtkhdf").tolist() == result["times_days"]
    volume = 0.2 * 0.21 * 0.22
    for step in (0, -1):
        fraction = read_cells(out / "fields.vtkhdf", step=step, name="volume_fraction")
        # The series is in single precision.
        assert volume * fraction.sum() == pytest.approx(result["outcomes"]["bone_volume"][step], rel=1e-5)


def test_pictures_report_and_the_last_two_checkpoints_are_there(out):
    names = sorted(file.name for file in (out / "checkpoints").iterdir())
    assert names == ["day-000690.h5", "day-000720.h5"]
    pictures = {file.name for file in (out / "pictures").iterdir()}
    assert pictures == {"curves.png", "load-case.png", "slices.png", "surface.png"}


def test_a_title_is_never_markup_in_the_report(out):
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "A study of &lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


def test_a_report_keeps_few_digits_and_says_what_was_done(out):
    page = (out / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"(?<![\w.])\d+\.\d{6,}", text)
    assert "labels 1, 2" in text
    assert "Not validated in 3-D" in text


def outcomes(place: Path) -> tuple[bytes, str]:
    """Return what two runs of the same study share to the last bit."""
    record = json.loads((place / "result.json").read_text())
    return (place / "outcomes.csv").read_bytes(), record["final_state_sha256"]


@pytest.fixture(scope="module")
def bare(folder) -> Path:
    """The results of the same study without pictures, report and fields."""
    assert run(folder / "bare.toml", folder / "bare").exit_code == 0
    return folder / "bare"


def test_two_runs_of_a_study_agree_to_the_last_bit(out, bare):
    assert outcomes(bare) == outcomes(out)


def test_outputs_that_a_study_does_not_want_are_not_written(bare):
    names = {file.name for file in bare.iterdir()}
    assert names == {"checkpoints", "fingerprint.json", "load-case.png", "outcomes.csv", "result.json"}


def test_a_finished_study_may_be_run_again(folder, bare):
    stale = bare / "result.json"
    before = outcomes(bare)
    stale.write_text(stale.read_text().replace("converged", "stagnated"))
    assert run(folder / "bare.toml", bare).exit_code == 0
    assert outcomes(bare) == before
    assert "stagnated" not in stale.read_text()


def test_to_resume_a_finished_study_changes_nothing(folder, bare):
    before = outcomes(bare)
    done = run(folder / "bare.toml", bare, "--resume")
    assert done.exit_code == 0, done.stderr
    assert "going on from day 720" in done.stderr
    assert outcomes(bare) == before


def test_a_folder_of_another_study_is_not_resumed(folder, out):
    (folder / "other.toml").write_text(STUDY.replace('"50 µg"', '"25 µg"'), encoding="utf-8")
    before = outcomes(out)
    for options in ((), ("--resume",)):
        done = run(folder / "other.toml", out, *options)
        assert done.exit_code == 2
        assert "another study" in done.stderr
    assert outcomes(out) == before


def started(study: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start a study in a process of its own and return it once it has kept a state."""
    # Started from the background of a shell, this process may ignore Ctrl-C, and its children would inherit that.
    heed = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    line = [
        sys.executable,
        "-c",
        f"import runpy, signal; {heed}; runpy.run_module('mechanostat', run_name='__main__', alter_sys=True)",
        "run",
        str(study),
        "--out",
        str(out),
        "--device",
        "cpu",
        *options,
    ]
    kept = len(list((out / "checkpoints").glob("day-*.h5")))
    newest = max((out / "checkpoints").glob("day-*.h5"), default=None)
    process = subprocess.Popen(line, env=os.environ.copy(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240.0
    while process.poll() is None and time.monotonic() < deadline:
        found = sorted((out / "checkpoints").glob("day-*.h5"))
        if len(found) > kept or (newest is not None and found and found[-1] != newest):
            break
        time.sleep(0.002)
    return process


def test_an_interrupted_and_killed_study_ends_with_the_same_bytes(folder, out):
    """Ctrl-C ends in 130; the next run is killed without warning; the third one ends as if nothing had been."""
    study, place = folder / "bare.toml", folder / "killed"
    process = started(study, place)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "interrupted" in told
    assert "Traceback" not in told
    assert not (place / "result.json").exists()
    refused = run(study, place)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    process = started(study, place, "--resume")
    process.kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, told
    assert "going on from day" in told
    assert not (place / "result.json").exists()
    done = run(study, place, "--resume")
    assert done.exit_code == 0, done.stderr
    assert outcomes(place) == outcomes(out)


def test_a_damaged_checkpoint_costs_one_interval_and_no_bit(folder, out, bare):
    place = folder / "damaged"
    shutil.copytree(bare, place)
    (place / "result.json").unlink()
    last = place / "checkpoints" / "day-000720.h5"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.write_bytes(content)
    done = run(folder / "bare.toml", place, "--resume")
    assert done.exit_code == 0, done.stderr
    assert "going on from day 690" in done.stderr
    assert outcomes(place) == outcomes(out)


def test_a_dry_run_of_a_study_draws_and_simulates_nothing(folder):
    done = run(folder / "study.toml", folder / "dry", "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert [file.name for file in (folder / "dry").iterdir()] == ["load-case.png"]
    told = " ".join(done.stderr.split())
    assert "1 habitual loads 24 times" in told
    assert "MiB" in told


@pytest.mark.slow
def test_a_study_that_does_not_converge_ends_in_4_without_a_result_to_trust(folder):
    (folder / "short.toml").write_text(STUDY + "[mechanics]\nmax_iterations = 1\n", encoding="utf-8")
    done = run(folder / "short.toml", folder / "short")
    assert done.exit_code == 4
    assert "max_iterations" in done.stderr
    assert not (folder / "short" / "report.html").exists()
