"""Laws of memory: what does not fit is refused before it is made, with both numbers and the ways out."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mechanostat import memory
from mechanostat.__main__ import app


def test_what_fits_is_not_refused():
    memory.check_fits(10, 10, nodes=1, precision="mixed")


def test_what_does_not_fit_is_refused_with_both_numbers_and_the_ways_out():
    with pytest.raises(
        MemoryError, match=r"30 unknowns.*3\.00 GiB.*1\.50 GiB are free.*--coarsen 2.*single.*GPU"
    ):
        memory.check_fits(3 * 2**30, 3 * 2**29, nodes=10, precision="mixed")
    with pytest.raises(MemoryError) as refused:
        memory.check_fits(2, 1, nodes=10, precision="single")
    assert "--precision" not in str(refused.value)


def test_single_takes_less_than_mixed_and_mixed_less_than_double():
    single, mixed, double = (memory.solve_bytes(1000, name) for name in ("single", "mixed", "double"))
    assert single < mixed < double


def test_a_bone_of_a_billion_nodes_is_refused_at_once():
    with pytest.raises(MemoryError, match="3000000000 unknowns"):
        memory.check_room(10**9, "mixed")


@pytest.mark.parametrize(("limit", "room"), [("5000", 2000), ("max", None)])
def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch, limit, room):
    (tmp_path / "max").write_text(limit + "\n")
    (tmp_path / "current").write_text("3000\n")
    files = (str(tmp_path / "max"), str(tmp_path / "current"))
    monkeypatch.setattr(memory, "CONTROL_GROUPS", ())
    machine = memory.host_room()
    monkeypatch.setattr(memory, "CONTROL_GROUPS", (files,))
    found = memory.host_room()
    assert found == room if room is not None else abs(found - machine) < 2**30


def test_the_expected_peak_is_at_least_what_was_reached_already():
    assert memory.expected_peak(0) >= memory.peak_memory()
    assert memory.expected_peak(2**40) >= 2**40


def test_a_solve_that_cannot_fit_ends_in_5_with_no_file(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(memory, "host_room", lambda: 1000)
    np.save(tmp_path / "bone.npy", np.ones((3, 3, 3), dtype=np.uint8))
    line = ["solve", str(tmp_path / "bone.npy"), "--spacing", "0.1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 5
    assert "are free" in done.stderr
    assert "--coarsen 2" in done.stderr
    assert not (tmp_path / "out").exists()
