"""The main job on the bone that ships: what `mechanostat demo` does."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from fem.equilibrium import SolveError
from mechanostat.console import Reporter
from mechanostat.devices import Device
from mechanostat.files import FINGERPRINT_FILE, claim_folder, fingerprint
from mechanostat.running import run_study
from mechanostat.study import Study
from mechanostat.study_file import parse_study
from mechanostat.study_report import change, percent, write_study_report

BONE = "L1_trabecular_bonebox_05880_roi43.nrrd"
"""The specimen: trabecular bone of a human first lumbar vertebra."""

CREDIT = "Human L1 trabecular bone, micro-CT at 0.05 mm, segmented: BoneBox by Qian Cao, specimen isodata_05880_roi_43"

STUDY: dict[str, Any] = {
    "bone": {
        "image": BONE,
        "spacing": 0.05,
        "crop": [[0, 200], [0, 200], [0, 200]],
        "coarsen": 4,
        "minimum_fraction": 0.02,
        "threshold": 128.0,
        "credit": CREDIT,
        "licence": "BSD-3-Clause (mechanostat/data/LICENSE.BoneBox.txt)",
    },
    "loads": [
        {"name": "compression", "case": "axial", "axis": "z", "apparent_stress": -1.0},
        {"name": "shear", "case": "dshear", "axis": "z", "apparent_stress": 0.1},
    ],
    "person": {"sex": "female", "age": 50.0, "menopause_age": 51.0},
    "time": {"years": 10.0, "step_days": 120, "report_days": 360},
    "mechanics": {"tolerance": 1e-6},
}
"""The study without treatment. Sources: spacing from the data's README; 1 MPa of compression is the order of
apparent stress in a lumbar vertebra in daily life; that a tenth of it acts as shear is assumed."""

PATCH = {"agent": "estradiol-transdermal", "dose": "50 µg", "start_years": 1.0}
"""The treatment: the usual dose of a patch, from the final menstrual period on."""

TITLE = "Ten years around menopause, with and without estradiol"


def demo_studies() -> dict[str, Study]:
    """Return the two studies of the demo, by the name of what differs."""
    with resources.as_file(resources.files("mechanostat") / "data") as folder:
        untreated = parse_study({"title": TITLE, **STUDY}, folder=folder, name="demo")
        treated = parse_study({"title": TITLE, **STUDY, "protocol": [PATCH]}, folder=folder, name="demo")
    return {"untreated": untreated, "estradiol 50 µg/day": treated}


def run_demo(
    out: Path, studies: Mapping[str, Study], *, resume: bool, device: Device, reporter: Reporter
) -> None:
    """Run the demo and write its results, pictures and report.

    Args:
        out: Where results go, each study in a folder of its own.
        studies: The studies of `demo_studies`, or shorter ones of the same bone.
        resume: Whether to go on with an interrupted demo.
        device: What computes.
        reporter: Who is told.

    Raises:
        SolveError: Where a solve did not converge; no report is written then.
    """
    mark = fingerprint({name: study.model_dump(mode="json") for name, study in studies.items()})
    claim_folder(out, mark=mark, resume=(out / FINGERPRINT_FILE).exists())
    arms = {}
    with resources.as_file(resources.files("mechanostat") / "data") as folder:
        for name, study in studies.items():
            reporter.say(f"study `{name}`")
            place = out / name.split()[0]
            arms[name] = run_study(
                study, folder, place, resume=resume and place.exists(), device=device, reporter=reporter
            )
            if arms[name].result.status != "converged":
                raise SolveError(
                    f"A solve of `{name}` ended as {arms[name].result.status}; the demo stopped there."
                )
    reporter.say("drawing the pictures and writing the report")
    write_study_report(out, arms)
    rows = []
    for name, course in arms.items():
        outcomes = course.result.outcomes
        test = outcomes.failure_load[course.study.strength.case]
        rows.append((name, percent(change(outcomes.bone_volume)), percent(change(test))))
    years = next(iter(studies.values())).time.years
    title = f"After {years:g} years (not validated in 3-D)"
    reporter.table(title, ("study", "bone volume", "failure load"), rows)
    reporter.say(f"open {out / 'report.html'}")
