"""Laws of the demo: a real bone from scan to report, with and without treatment, and nothing of it hidden."""

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.image import imread

from mechanostat import example_bone
from mechanostat.console import Reporter
from mechanostat.demonstration import STUDY, demo_studies, run_demo
from mechanostat.devices import Device, keep_compiled_programs
from mechanostat.study import Study
from meshes.image import read_image

DEVICE = Device("cpu", "cpu", 1)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def shorter(study: Study) -> Study:
    """Return a study of the demo on elements of 1 mm and over two years."""
    bone = study.bone.model_copy(update={"coarsen": 20})
    time = study.time.model_copy(update={"years": 2.0, "step_days": 90, "report_days": 180})
    return study.model_copy(update={"bone": bone, "time": time})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The results of the short demo; the console's words lie beside them."""
    place = tmp_path_factory.mktemp("demo")
    keep_compiled_programs(place / "cache")
    told = io.StringIO()
    studies = {name: shorter(study) for name, study in demo_studies().items()}
    run_demo(
        place / "out", studies, resume=False, device=DEVICE, reporter=Reporter(device="cpu", stream=told)
    )
    (place / "console.txt").write_text(told.getvalue(), encoding="utf-8")
    yield place / "out"
    jax.config.update("jax_compilation_cache_dir", None)


def outcomes(out: Path, arm: str) -> dict:
    return json.loads((out / arm / "result.json").read_text())["outcomes"]


@pytest.mark.shared
def test_the_bone_that_ships_is_the_specimen_of_its_source(shared):
    """The file is that of BoneBox, byte for byte, and says nothing of its spacing."""
    source = shared / "data/D4_bonebox_L1_rois/isodata_05880_roi_43.nrrd"
    assert example_bone().read_bytes() == source.read_bytes()
    licence = example_bone().with_name("LICENSE.BoneBox.txt").read_text()
    assert "Redistribution and use in source and binary forms" in licence


def test_the_demo_says_what_it_does_to_the_bone_and_whose_it_is():
    study = demo_studies()["untreated"]
    assert "BoneBox" in study.bone.credit
    assert "BSD-3-Clause" in study.bone.licence
    scan = read_image(example_bone(), spacing=0.05)
    assert scan.values.shape == (201, 201, 201)
    assert STUDY["bone"]["coarsen"] * scan.spacing[0] == pytest.approx(0.2)


def test_the_arms_of_the_demo_differ_in_treatment_alone():
    untreated, treated = demo_studies().values()
    assert not untreated.protocol
    assert treated.model_copy(update={"protocol": ()}) == untreated


@pytest.mark.slow
def test_estradiol_prevents_part_of_the_loss_after_menopause(out):
    untreated, treated = (outcomes(out, arm) for arm in ("untreated", "estradiol"))
    for name in ("bone_volume", "failure_load"):
        left, right = untreated[name], treated[name]
        without, given = (left, right) if name == "bone_volume" else (left["axial"], right["axial"])
        assert without[-1] < given[-1] < without[0]
    assert untreated["levels"]["estradiol_pg_per_ml"][-1] < treated["levels"]["estradiol_pg_per_ml"][-1]


@pytest.mark.slow
def test_before_the_treatment_starts_the_arms_are_the_same(out):
    untreated, treated = (outcomes(out, arm) for arm in ("untreated", "estradiol"))
    # Days 0, 180 and 360. What the days bring is a program of each protocol's own, which may round in another order.
    assert untreated["bone_volume"][:3] == pytest.approx(treated["bone_volume"][:3], rel=1e-12)
    assert untreated["bone_volume"][4] != treated["bone_volume"][4]


@pytest.mark.slow
def test_the_report_credits_the_bone_and_says_what_is_not_validated(out):
    page = (out / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    for words in (
        "BoneBox", "BSD-3-Clause", "Not validated in 3-D", "medical advice", "0.05 mm", "20³ voxels to one of 1 mm",
        "after 2 years", "estradiol 50 µg/day",
    ):  # fmt: skip
        assert words in text
    assert not re.search(r"(?<![\w.])\d+\.\d{6,}", text)


@pytest.mark.slow
def test_the_console_ends_with_the_answer_and_where_to_look(out):
    told = (out.parent / "console.txt").read_text(encoding="utf-8")
    assert "After 2 years (not validated in 3-D)" in told
    assert told.rstrip().endswith("report.html")
    assert "−" in told


def test_the_demo_takes_no_folder_with_other_files(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(FileExistsError, match="other files"):
        run_demo(tmp_path, demo_studies(), resume=False, device=DEVICE, reporter=Reporter(quiet=True))
    assert (tmp_path / "report.html").read_text() == "mine"


@pytest.mark.slow
def test_a_browser_shows_the_demos_report(out, tmp_path):
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("needs a browser: install chromium, for example `apt-get install chromium`")
    picture = tmp_path / "screenshot.png"
    actions = (
        "--window-size=1280,9000",
        f"--screenshot={picture}",
        f"--user-data-dir={tmp_path / 'profile'}",
    )
    line = [browser, *FLAGS, *actions, (out / "report.html").as_uri()]
    subprocess.run(line, capture_output=True, timeout=90, check=True)
    seen = np.asarray(imread(picture))[..., :3]
    inked = np.flatnonzero(np.any(seen.max(axis=2) < 0.5, axis=1))
    assert inked[-1] > 5000  # five pictures and the tables under them
    coloured = np.ptp(seen, axis=2) > 0.3
    assert coloured.mean() > 0.002  # bone that was lost is red, strain yellow: the pictures are there
