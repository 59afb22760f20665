"""Laws of the study file: everything is checked, everything is said, nothing is ignored."""

import tomllib
from pathlib import Path

import pytest

from mechanostat.modelling import person_of, protocol_of
from mechanostat.study import Study
from mechanostat.study_bone import AMPLITUDES
from mechanostat.study_example import example_study, reference
from mechanostat.study_file import parse_study, read_study
from mechanostat.table_file import SIZE_LIMIT_BYTES

DOCS = Path(__file__).resolve().parents[1] / "docs"

BAD_STUDY = """
script = "steal.py"
[bone]
image = "scan.nii.gz"
treshold = 3
spacing = true
density_law = "none"
[[loads]]
name = "../walking"
case = "axail"
[[loads]]
name = "lifting"
case = "axial"
axis = "w"
strain = -0.001
force = -10
[time]
years = "3"
report_days = 100
[person]
sex = "male"
age = 50
menopause_age = 51
[[protocol]]
agent = "testosterone-cypionate"
dose = "20 units"
start_years = 4
stop_years = 2
[remodeling]
reference = "blend"
"""
"""A study with an error of every kind."""

ERRORS_OF_BAD_STUDY = {
    "script": "unknown",
    "bone.treshold": "`threshold`",
    "bone.spacing": "got True",
    "bone": "exactly one of `threshold` and `labels`",
    "bone.density_law": "allowed:",
    "loads[0].name": "letters, digits",
    "loads[0].case": "the nearest is 'axial'",
    "loads[1].axis": "'x', 'y', 'z'",
    "loads[1]": "exactly one of",
    "time.years": "valid number",
    "time.report_days": "for example 120",
    "person.menopause_age": "female",
    "protocol[0].dose": "mg or µg",
    "protocol[0].stop_years": "later than `start_years`",
    "remodeling.global_share": "needed",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    return tmp_path


def example(folder: Path, **changes: object) -> dict:
    """Return the example with some of its top-level tables replaced."""
    return tomllib.loads(example_study()) | changes


def refusal(folder: Path, text: str) -> str:
    """Return the message with which a study file is refused."""
    (folder / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"study\.toml") as caught:
        read_study(folder / "study.toml")
    return str(caught.value)


def test_every_error_of_a_study_is_reported_at_once_with_its_place(folder):
    lines = refusal(folder, BAD_STUDY).split("\n  ")[1:]
    found = {line.split(": ")[0]: line for line in lines}
    assert found.keys() == ERRORS_OF_BAD_STUDY.keys()
    for place, words in ERRORS_OF_BAD_STUDY.items():
        assert words in found[place]


def test_the_annotated_example_is_a_valid_study(folder):
    study = parse_study(example(folder), folder=folder)
    assert study.bone.image == folder / "scan.nii.gz"
    assert study.time.step_days == 60
    assert study.protocol[0].agent == "denosumab"


def test_the_annotated_example_names_every_field_of_every_table():
    text = example_study()
    for name, field in Study.model_fields.items():
        assert field.description is not None
        assert f"{name} = " in text or f"[{name}]" in text
    assert "# [bone.calibration]" in text


def test_the_reference_in_the_docs_is_the_one_made_from_the_tables():
    page = (DOCS / "study.md").read_text(encoding="utf-8")
    assert example_study() in page
    assert reference(Study) in page


def test_a_number_that_is_not_finite_is_refused(folder):
    assert "loads[0].force" in refusal(folder, '[[loads]]\nname = "a"\ncase = "axial"\nforce = nan\n')


def test_one_spacing_stands_for_three_axes(folder):
    bone = {"image": "scan.nii.gz", "spacing": 0.05, "threshold": 1.0}
    assert parse_study(example(folder, bone=bone), folder=folder).bone.spacing == (0.05, 0.05, 0.05)


@pytest.mark.parametrize(("case", "amplitudes"), AMPLITUDES.items())
def test_a_load_takes_exactly_one_of_the_sizes_that_its_case_has(folder, case, amplitudes):
    sizes = {"force", "apparent_stress", "moment", "angle_degrees", "strain"}
    for size in sizes:
        data = example(folder, loads=[{"name": "a", "case": case, size: 0.5}])
        if size in amplitudes:
            assert parse_study(data, folder=folder).loads[0].case == case
        else:
            with pytest.raises(ValueError, match=r"loads\[0\]"):
                parse_study(data, folder=folder)


def test_a_treatment_that_starts_after_the_study_is_refused(folder):
    late = [{"agent": "estradiol-transdermal", "dose": "50 µg", "start_years": 11.0}]
    with pytest.raises(ValueError, match=r"protocol\[0\]: starts after the study"):
        parse_study(example(folder, protocol=late), folder=folder)


def test_training_needs_its_bouts_and_bed_rest_takes_none(folder):
    with pytest.raises(ValueError, match=r"activity\[0\]\.bouts_per_week"):
        parse_study(example(folder, activity=[{"kind": "training", "load_factor": 2.0}]), folder=folder)
    rest = [{"kind": "bed_rest", "load_factor": 0.3}]
    assert parse_study(example(folder, activity=rest), folder=folder).activity[0].load_factor == 0.3


def test_treatments_follow_each_other_in_the_order_and_units_of_the_file(folder):
    sequence = [
        {"agent": "romosozumab", "dose": "210 mg", "stop_years": 1.0},
        {"agent": "alendronate", "dose": "70 mg", "start_years": 1.0},
        {"agent": "teriparatide", "dose": "0.02 mg", "start_years": -2.0, "stop_years": -1.0},
    ]
    parts = protocol_of(parse_study(example(folder, protocol=sequence), folder=folder))
    assert [part.agent for part in parts] == ["romosozumab", "alendronate", "teriparatide"]
    assert [part.dose for part in parts] == [210.0, 70.0, pytest.approx(20.0)]
    assert parts[0].stop_day == parts[1].start_day == 365.25
    assert parts[2].start_day == -730.5


@pytest.mark.parametrize(
    ("dose", "words"), [("10 IU", "IU"), ("0.2 ml", "ml"), ("5", "unit"), ("900 mg", "1")]
)
def test_a_dose_that_is_no_mass_or_that_nobody_takes_is_refused_with_the_reason(folder, dose, words):
    given = [{"agent": "testosterone-cypionate", "dose": dose}]
    with pytest.raises(ValueError, match=r"protocol\[0\]\.dose") as caught:
        parse_study(example(folder, protocol=given), folder=folder)
    assert words in str(caught.value)


def test_a_person_may_bring_laboratory_values_within_what_people_have(folder):
    person = {"sex": "male", "age": 60.0, "testosterone": 250.0, "weight": 90.0}
    found = person_of(parse_study(example(folder, person=person), folder=folder))
    assert (found.testosterone, found.weight, found.sex) == (250.0, 90.0, "male")
    with pytest.raises(ValueError, match=r"person\.testosterone"):
        parse_study(example(folder, person=person | {"testosterone": 5000.0}), folder=folder)


def test_a_missing_scan_and_a_path_with_nul_are_refused(folder):
    assert "no such file" in refusal(folder, '[bone]\nimage = "other.nii"\nthreshold = 1.0\n')
    assert "NUL" in refusal(folder, '[bone]\nimage = "a\\u0000b"\nthreshold = 1.0\n')


def test_what_is_no_toml_is_refused_with_its_place(folder):
    assert "line 2" in refusal(folder, "title = 'a'\ntitle = \n")
    assert "TOML" in refusal(folder, "a = " + "[" * 100_000)
    assert str(SIZE_LIMIT_BYTES) in refusal(folder, "#" * (SIZE_LIMIT_BYTES + 1))


def test_a_study_file_that_is_not_there_is_a_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"docs/study\.md"):
        read_study(tmp_path / "none.toml")
