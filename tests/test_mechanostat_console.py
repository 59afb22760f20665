"""Laws of the console and the doctor: a line per step of progress, plain text in a log, faults told."""

import io
import json

import jax
import pytest

from mechanostat.console import LINES_PER_STAGE, Reporter, print_json, spoken
from mechanostat.devices import Device
from mechanostat.doctor import examine, rows

CPU = Device("cpu", "cpu", 1)


def test_a_log_is_plain_text_with_residual_device_and_time_left():
    stream = io.StringIO()
    with Reporter(device="cpu", stream=stream).stage("remodeling", 200) as stage:
        for _ in range(200):
            stage.advance(residual=3.2e-7)
    lines = stream.getvalue().splitlines()
    assert len(lines) == LINES_PER_STAGE
    assert "remodeling 200/200, time left 0:00:00  residual 3.2e-07  cpu" in lines[-1]
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Reporter(device="cpu", stream=stream).stage("remodeling", 2) as stage:
        stage.advance(2, residual=1e-7)
    assert "2/2" in stream.getvalue()
    assert "━" in stream.getvalue()


def test_text_of_users_is_never_markup():
    stream = io.StringIO()
    Reporter(stream=stream).fail("loads[1].axis: got [bold]w[/bold]")
    assert "error: loads[1].axis: got [bold]w[/bold]" in stream.getvalue()


def test_quiet_tells_only_what_needs_a_decision():
    stream = io.StringIO()
    reporter = Reporter(quiet=True, stream=stream)
    reporter.say("reading")
    reporter.table("t", ["a"], [[1]])
    reporter.warn("coarse")
    assert stream.getvalue().count("\n") == 1


def test_a_table_keeps_five_digits_and_shows_what_is_missing():
    stream = io.StringIO()
    Reporter(stream=stream).table("Strength", ["time", "load [N]"], [["start", 1234.56789], ["end", None]])
    assert "1234.6" in stream.getvalue()
    assert [spoken(value) for value in (None, True, 0.1, 7)] == ["–", "yes", "0.1", "7"]


def test_text_stands_to_the_left_and_numbers_to_the_right():
    stream = io.StringIO()
    Reporter(stream=stream).table(
        "t", ["what", "said", "load"], [["a", "long text", 1.0], ["b", "no", 1000.0]]
    )
    lines = stream.getvalue().splitlines()
    assert "│ no        │" in lines[-1]
    assert lines[-2].rstrip().endswith("   1")


def test_lists_and_tables_of_numbers_are_short():
    assert spoken([1.23456789, None]) == "1.2346, –"
    assert spoken(116484.3) == "116484"
    assert spoken({"pistoia": -1617.4580931234104}) == "pistoia -1617.5"


def test_the_time_left_is_not_told_from_the_step_that_compiles(monkeypatch: pytest.MonkeyPatch):
    clock = iter([100.0, 101.0])
    monkeypatch.setattr("mechanostat.console.time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    with Reporter(stream=stream).stage("remodeling", 10) as stage:
        stage.advance(1)
        stage.advance(1)
    first, second = stream.getvalue().splitlines()
    assert "1/10, time left unknown" in first
    assert "2/10, time left 0:00:08" in second


def test_machine_output_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str]):
    print_json({"status": "converged"})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"status": "converged"}
    assert captured.err == ""


def test_the_doctor_names_versions_device_and_why_no_gpu(tmp_path):
    findings = examine(CPU, cache=tmp_path, small_solve=lambda: (True, "0.0537145913 MPa"))
    table = dict(rows(findings))
    assert findings.healthy
    assert table["jax"] == jax.__version__
    assert "0.0537145913" in table["small solve"]
    assert any("No GPU is used" in hint for hint in findings.hints)


def test_the_doctor_tells_a_fault_of_the_small_solve_and_goes_on():
    def broken() -> tuple[bool, str]:
        raise ZeroDivisionError("boom")

    findings = examine(CPU, cache=None, small_solve=broken)
    assert not findings.healthy
    assert "ZeroDivisionError: boom" in dict(rows(findings))["small solve"]
    assert any("trust no result" in hint for hint in findings.hints)
    assert any("not kept" in hint for hint in findings.hints)
