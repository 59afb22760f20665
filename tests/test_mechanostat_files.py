"""Laws of the results: whole or absent, never over another study's, null rather than a wrong number."""

import csv
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from mechanostat.files import (
    claim_folder,
    fingerprint,
    output_path,
    sha256_of,
    write_bytes,
    write_record,
    write_row,
)
from mechanostat.results import Outcomes, RunResult, SolveResult

CONTRACT_FIELDS = {
    "schema", "status", "case", "axis", "strain", "elements", "nodes", "unknowns", "islands_removed",
    "iterations", "residual", "reaction_force", "stiffness", "apparent_modulus", "strain_energy_density_mean",
    "effective_strain", "failure_load", "seconds", "peak_memory_bytes", "device_peak_memory_bytes", "device",
    "precision", "preconditioner", "versions", "input",
}  # fmt: skip

INPUT = {"name": "scan.nii.gz", "sha256": "0" * 64, "spacing": (0.05, 0.05, 0.05), "shape": (3, 4, 5)}
COMMON = {
    "elements": 27,
    "nodes": 64,
    "unknowns": 128,
    "islands_removed": 0,
    "peak_memory_bytes": 1,
    "device": "cpu",
    "precision": "double",
    "preconditioner": "multigrid",
    "versions": {"mechanostat": "0"},
    "input": INPUT,
}


def solve_result(**changes: object) -> SolveResult:
    fields = COMMON | {
        "status": "converged",
        "case": "axial",
        "axis": "z",
        "strain": -0.01,
        "iterations": 7,
        "residual": 1e-7,
        "reaction_force": (0.0, 0.0, -5.0),
        "stiffness": 1.0,
        "apparent_modulus": 2.0,
        "strain_energy_density_mean": 3.0,
        "effective_strain": dict.fromkeys(("p05", "p25", "median", "p75", "p95", "max"), 0.001),
        "failure_load": {"pistoia": -3.0},
        "seconds": dict.fromkeys(("read", "setup", "compile", "solve", "write"), 0.5),
    }
    return SolveResult.model_validate(fields | changes)


def run_result(**changes: object) -> RunResult:
    outcomes = Outcomes(
        bone_volume=[10.0, 9.0],
        bone_volume_fraction={"whole": [0.20, 0.18]},
        bone_mineral_density={"whole": [200.0, 190.0]},
        stiffness={"axial": [100.0, 90.0]},
        failure_load={"axial": [50.0, None]},
        levels={"estradiol_pg_per_ml": [80.0, 5.0]},
        markers={"ctx": [1.0, 1.4]},
        without_space={"bone_volume": [1.0, 0.9]},
    )
    fields = COMMON | {
        "status": "max_iterations",
        "title": "=1+1",
        "times_days": [0.0, 360.0],
        "outcomes": outcomes,
        "validated": dict.fromkeys(Outcomes.model_fields, False),
        "solves": [
            {"time_days": 0, "case": "axial", "status": "converged", "iterations": 5, "residual": 1e-7}
        ],
        "seconds": {"total": 1.0},
        "study_sha256": "1" * 64,
        "final_state_sha256": "2" * 64,
    }
    return RunResult.model_validate(fields | changes)


def test_a_solve_writes_the_fields_of_the_contract_and_no_others(tmp_path):
    write_record(tmp_path / "result.json", solve_result())
    written = json.loads((tmp_path / "result.json").read_text())
    assert written.keys() == CONTRACT_FIELDS
    assert written["schema"] == "mechanostat.solve/1"
    assert SolveResult.model_validate(written) == solve_result()


def test_strength_is_only_told_of_a_converged_solve():
    with pytest.raises(ValidationError, match="plausible wrong number"):
        solve_result(status="stagnated")
    assert solve_result(status="stagnated", failure_load=None).failure_load is None


def test_a_number_that_is_not_finite_is_written_as_null(tmp_path):
    write_record(
        tmp_path / "r.json", solve_result(status="not_finite", residual=float("nan"), failure_load=None)
    )
    assert json.loads((tmp_path / "r.json").read_text())["residual"] is None


def test_a_folder_never_reaches_the_result():
    with pytest.raises(ValidationError, match="patient"):
        solve_result(input=INPUT | {"name": "Doe_Jane/scan.nii.gz"})


def test_every_outcome_has_one_value_per_time_and_says_whether_it_is_validated():
    assert run_result().outcomes.columns()["failure_load.axial"] == [50.0, None]
    with pytest.raises(ValidationError, match="bone_volume"):
        run_result(times_days=[0.0])
    with pytest.raises(ValidationError, match="validated"):
        run_result(validated={"bone_volume": True})


def test_a_row_holds_every_field_and_no_formula(tmp_path):
    record = {
        "title": "=HYPERLINK(1)",
        "n": -3.5,
        "nested": {"list": [1, None], "text": "@a"},
        "plain": "bone",
    }
    write_row(tmp_path / "row.csv", record)
    names, values = list(csv.reader((tmp_path / "row.csv").read_text().splitlines()))
    assert names == ["title", "n", "nested.list.0", "nested.list.1", "nested.text", "plain"]
    assert values == ["'=HYPERLINK(1)", "-3.5", "1", "", "'@a", "bone"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        write_bytes(tmp_path / "a", "not bytes")  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_folder_of_another_study_is_never_taken(tmp_path):
    mark, other = fingerprint({"study": 1}), fingerprint({"study": 2})
    folder = tmp_path / "out"
    claim_folder(folder, mark=mark)
    claim_folder(folder, mark=mark)
    with pytest.raises(FileExistsError, match="another study"):
        claim_folder(folder, mark=other)
    (folder / "fingerprint.json").write_text("[broken")
    with pytest.raises(FileExistsError, match="another study"):
        claim_folder(folder, mark=mark)


def test_an_unfinished_study_is_carried_on_only_when_asked(tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(FileNotFoundError, match="no study to resume"):
        claim_folder(folder, mark="a", resume=True)
    claim_folder(folder, mark="a")
    (folder / "checkpoint").write_bytes(b"")
    with pytest.raises(FileExistsError, match="--resume"):
        claim_folder(folder, mark="a")
    claim_folder(folder, mark="a", resume=True)
    (folder / "result.json").write_bytes(b"{}")
    claim_folder(folder, mark="a")


def test_a_folder_with_someones_files_is_never_taken(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="other files"):
        claim_folder(tmp_path, mark="a")
    with pytest.raises(FileExistsError, match="is a file"):
        claim_folder(tmp_path / "thesis.txt", mark="a")


@pytest.mark.parametrize(
    "name",
    ["../a", "/etc/x", "~/x", "a/../../b", "C:\\x", "..\\..\\x", "a\0b", "", "NUL", "con.txt", "link/x"],
)
def test_no_output_leaves_its_folder(tmp_path: Path, name: str):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="not a file inside"):
        output_path(tmp_path / "out", name)


def test_an_output_inside_its_folder_is_taken(tmp_path: Path):
    assert output_path(tmp_path, "pictures/strain.png") == tmp_path / "pictures" / "strain.png"


def test_the_hash_of_a_folder_depends_on_its_files_and_their_names(tmp_path: Path):
    (tmp_path / "1.dcm").write_bytes(b"slice")
    first = sha256_of(tmp_path)
    assert sha256_of(tmp_path / "1.dcm") != first
    (tmp_path / "1.dcm").rename(tmp_path / "2.dcm")
    assert sha256_of(tmp_path) != first
