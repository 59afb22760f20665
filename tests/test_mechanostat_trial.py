"""Laws of `mechanostat trial`: the file is checked as a whole, bad input writes nothing, results are complete."""

import csv
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mechanostat.__main__ import app
from mechanostat.console import Reporter
from mechanostat.devices import Device
from mechanostat.medication import dose_of
from mechanostat.study_example import reference
from mechanostat.trial_file import parse_trial, read_trial, trial_of
from mechanostat.trial_report import BANNER, write_trial_report
from mechanostat.trial_results import HYPOTHESIS_COLUMNS, LEVEL_COLUMNS, OUTCOME_COLUMNS, TrialResult
from mechanostat.trial_running import FinishedTrial, run_trial_file
from mechanostat.trial_tables import Trial, distribution_of
from remodel.agents import AGENTS
from remodel.hypotheses import HYPOTHESES
from remodel.outcomes import INSTRUMENTS, LEVELS, QUANTITIES
from remodel.population import Fixed, TruncatedNormal, Uniform
from remodel.skeleton import DAYS_PER_MONTH, SITES

DOCS = Path(__file__).resolve().parents[1] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("trial-*.toml"))

SMALL = """
title = "=Small"
[population]
persons = 4
sex = "female"
age = { mean = 60, sd = 4, low = 50, high = 70 }
[[population.before]]
agent = "alendronate"
dose = "70 mg"
start_months = -24
stop_months = 0
[visits]
months = [6, 12]
[[arms]]
name = "=nothing"
[[arms]]
name = "medroxyprogesterone"
[[arms.protocol]]
agent = "medroxyprogesterone"
dose = "10 mg"
[[outcomes]]
quantity = "areal density"
site = "lumbar spine"
[[outcomes]]
quantity = "estradiol"
"""

BAD_TRIAL = """
colour = "red"
[population]
persons = 1
sex = "male"
age = { mean = 200, sd = 5, low = 190, high = 210 }
menopause_age = 51
weight = { mean = 3 }
testosteron = 300
[[population.before]]
agent = "alendronat"
dose = "70 mg"
start_months = 2
[[population.before]]
agent = "alendronate"
dose = "70 mg"
start_months = -20
stop_months = -30
[visits]
months = [3, 2]
[[arms]]
name = "a"
[[arms.protocol]]
agent = "testosterone-cypionate"
dose = "10 units"
interval_days = 0.1
adherence = 1.2
[[arms.activity]]
kind = "bed_rest"
bouts_per_week = 3
[[arms]]
name = "b"
[[outcomes]]
quantity = "areal densty"
[[outcomes]]
quantity = "CTX"
site = "lumbar spine"
[[outcomes]]
quantity = "areal density"
site = "lumbar spin"
"""
"""A trial with an error of every kind."""

ERRORS_OF_BAD_TRIAL = {
    "colour": "unknown",
    "population.persons": "greater than or equal to 2",
    "population.age": "between 18 and 110",
    "population.menopause_age": "only for",
    "population.weight": "`{mean, sd, low, high}`",
    "population.testosteron": "`testosterone`",
    "population.before[0].agent": "the nearest is 'alendronate'",
    "population.before[0].start_months": "less than 0",
    "population.before[1].stop_months": "later than `start_months`",
    "visits.months": "each later",
    "arms[0].protocol[0].dose": "hundredths of a millilitre",
    "arms[0].protocol[0].interval_days": "between 1 and 42",
    "arms[0].protocol[0].adherence": "less than or equal to 1",
    "arms[0].activity[0].bouts_per_week": "only for",
    "outcomes[0].quantity": "the nearest is 'areal density'",
    "outcomes[1]": "of serum",
    "outcomes[2].site": "the nearest is 'lumbar spine'",
}


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match="trial") as caught:
        parse_trial(tomllib.loads(text))
    return str(caught.value)


def test_every_error_of_a_trial_is_reported_at_once_with_its_place():
    lines = refusal(BAD_TRIAL).split("\n  ")[1:]
    found = {line.split(": ")[0]: line for line in lines}
    assert found.keys() == ERRORS_OF_BAD_TRIAL.keys()
    for place, words in ERRORS_OF_BAD_TRIAL.items():
        assert words in found[place]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('name = "medroxyprogesterone"', 'name = "=nothing"'), "got twice: =nothing"),
        (('dose = "10 mg"', 'dose = "10 mg"\nstart_months = 12'), r"arms[1].protocol[0]: starts after the last visit"),
        (('quantity = "estradiol"', 'quantity = "areal density"\nsite = "lumbar spine"'), "got one twice"),
        (("months = [6, 12]", "months = [0, 12]"), "visits.months"),
        (("months = [6, 12]", "months = []"), "visits.months"),
        (("persons = 4", "persons = 4\nmenopause_age = 50\nyears_since_menopause = 5"), "not both"),
        (("persons = 4", "persons = 4\nyears_since_menopause = { low = 45, high = 46 }"), "no age at menopause"),
        (("persons = 4", "persons = 4\nage = nan"), "trial"),
        (("high = 70 }", "high = 40 }"), "population.age"),
        (('dose = "10 mg"', "dose = 10"), "valid string"),
        (('dose = "10 mg"', 'dose = "ten mg"'), "a number and its unit"),
        (('dose = "10 mg"', 'dose = "400 IU"'), "International units differ"),
        (('dose = "10 mg"', 'dose = "10 ml"'), "strength of the vial"),
        (('dose = "10 mg"', 'dose = "10 g"'), "mg or µg"),
        (('dose = "10 mg"', 'dose = "1000 mg"'), "between 0 and 20 mg"),
        (('quantity = "estradiol"', 'quantity = "estradiol"\ninstrument = "DXA"'), "`instrument`"),
    ],
)  # fmt: skip
def test_a_trial_that_contradicts_itself_is_refused_with_the_reason(change, words):
    text = SMALL.replace(*change)
    assert text != SMALL
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # a field twice is no TOML, which the reader says
        data = tomllib.loads(text.replace("age = { mean = 60, sd = 4, low = 50, high = 70 }\n", ""))
    with pytest.raises(ValueError, match="trial") as caught:
        parse_trial(data)
    assert words in str(caught.value)


def test_a_trial_without_arms_or_outcomes_is_refused():
    data = tomllib.loads(SMALL)
    for name in ("arms", "outcomes", "population", "visits"):
        with pytest.raises(ValueError, match=rf"{name}: is missing"):
            parse_trial({key: value for key, value in data.items() if key != name})
    with pytest.raises(ValueError, match=r"arms: .* give at least one"):
        parse_trial(data | {"arms": []})


def test_a_number_is_a_value_a_cut_normal_or_a_uniform_distribution():
    assert distribution_of(64) == Fixed(64.0)
    assert distribution_of({"low": 1, "high": 2.5}) == Uniform(1.0, 2.5)
    normal = {"mean": 72.3, "sd": 5.2, "low": 60, "high": 90}
    assert distribution_of(normal) == TruncatedNormal(72.3, 5.2, 60.0, 90.0)
    for wrong in (True, "64", [1, 2], {"mean": 3.0}, {"low": 1, "high": "2"}, {"low": 2, "high": 1}):
        with pytest.raises(ValueError, match=r"give a number|must be below"):
            distribution_of(wrong)


@pytest.mark.parametrize(
    ("text", "number", "unit"), [("60 mg", 60.0, "mg"), ("0.5ug", 0.5, "ug"), ("20 µg", 20.0, "µg")]
)
def test_a_dose_is_a_number_and_its_unit(text, number, unit):
    assert dose_of(text) == (number, unit)


def test_months_and_doses_of_a_file_become_days_and_the_units_of_the_agents():
    text = SMALL.replace('agent = "medroxyprogesterone"\ndose = "10 mg"', (
        'agent = "estradiol-transdermal"\ndose = "0.05 mg"\nstart_months = 3\nstop_months = 9\nadherence = 0.8'
    ))  # fmt: skip
    trial = trial_of(parse_trial(tomllib.loads(text)))
    (patch,) = trial.arms[1].protocol
    assert patch.dose == pytest.approx(50.0)
    assert (patch.start_day, patch.stop_day) == pytest.approx((3 * DAYS_PER_MONTH, 9 * DAYS_PER_MONTH))
    assert patch.adherence == 0.8
    (before,) = trial.population.before
    assert (before.start_day, before.stop_day) == pytest.approx((-730.5, 0.0))


def test_activity_of_an_arm_becomes_a_plan():
    path = DOCS / "examples" / "trial-patch-and-training.toml"
    arms = {arm.name: arm for arm in trial_of(read_trial(path)).arms}
    assert arms["patch"].plan.start_day.shape == (0,)
    assert arms["both"].plan.load.tolist() == [[2.5]]
    assert arms["both"].plan.bouts.tolist() == pytest.approx([40.0 / 7.0])


def test_the_page_holds_the_reference_made_from_the_tables_the_examples_and_every_name():
    page = (DOCS / "trials.md").read_text(encoding="utf-8")
    assert reference(Trial) in page
    for path in EXAMPLES:
        assert path.read_text(encoding="utf-8") in page
    for name in (*AGENTS, *QUANTITIES, *SITES, *INSTRUMENTS):
        assert f"`{name}`" in page or f'"{name}"`' in page
    for column in (*OUTCOME_COLUMNS[7:], "outcomes.csv", "levels.csv"):
        assert f"`{column}`" in page


def finished(data: dict, out: Path) -> FinishedTrial:
    device = Device(name="cpu", platform="cpu", count=1, note="")
    return run_trial_file(parse_trial(data), out, device=device, reporter=Reporter(quiet=True))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[FinishedTrial, Path]:
    out = tmp_path_factory.mktemp("trial") / "out"
    done = finished(tomllib.loads(SMALL), out)
    write_trial_report(out, done)
    return done, out


def test_an_arm_may_fall_more_often_and_the_report_says_so(tmp_path):
    text = SMALL.replace('name = "medroxyprogesterone"', 'name = "falls"\nexposure = 2.0')
    text = text.replace('quantity = "estradiol"', 'quantity = "hip fracture risk"')
    done = finished(tomllib.loads(text), tmp_path / "out")
    nothing, falls = done.result.arms
    assert (nothing.exposure, falls.exposure) == (1.0, 2.0)
    assert falls.outcomes[1].unit == "in 100 persons"
    assert falls.outcomes[1].mean[-1] == pytest.approx(2.0 * nothing.outcomes[1].mean[-1], rel=0.05)
    write_trial_report(tmp_path / "out", done)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "falls and heavy lifts times 2" in page
    assert "not for a person" in page


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_results_agree_in_every_file(small):
    done, out = small
    record = TrialResult.model_validate_json((out / "result.json").read_text(encoding="utf-8"))
    assert record == done.result
    assert json.loads((out / "result.json").read_text())["schema"] == "mechanostat.trial/1"
    table = rows(out / "outcomes.csv")
    assert tuple(table[0]) == OUTCOME_COLUMNS
    assert len(table) == 2 * 2 * 3  # arms, outcomes, visits with day 0
    last = table[-4]
    assert (last["arm"], last["quantity"], last["month"]) == ("medroxyprogesterone", "areal density", "12")
    assert float(last["mean"]) == pytest.approx(record.arms[1].outcomes[0].mean[-1])
    assert [float(row["mean"]) for row in table if row["month"] == "0" and row["unit"] == "%"] == [0.0, 0.0]


def test_levels_are_written_month_by_month_for_every_arm(small):
    _, out = small
    table = rows(out / "levels.csv")
    assert tuple(table[0]) == LEVEL_COLUMNS
    assert len(table) == 2 * len(LEVELS) * 13
    assert {row["level"] for row in table} == set(LEVELS)


def test_no_text_of_a_file_runs_in_a_spreadsheet(small):
    _, out = small
    assert {row["arm"] for row in rows(out / "outcomes.csv")} == {"'=nothing", "medroxyprogesterone"}


def test_the_report_says_what_it_is_not_and_what_is_not_known_of_the_agents(small):
    done, out = small
    page = (out / "report.html").read_text(encoding="utf-8")
    assert BANNER in page
    assert "medical advice" in page
    assert any("progesterone" in text for text in done.result.arms[1].remarks)
    assert done.result.arms[1].remarks[0].replace("'", "&#39;") in page
    assert (out / "outcomes.png").read_bytes().startswith(b"\x89PNG")
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_same_trial_may_be_written_again_and_another_one_not(small):
    done, out = small
    again = finished(tomllib.loads(SMALL), out)
    assert again.result.arms == done.result.arms
    with pytest.raises(FileExistsError, match="another study"):
        finished(tomllib.loads(SMALL.replace("persons = 4", "persons = 5")), out)


@pytest.fixture(scope="module")
def enveloped(tmp_path_factory) -> tuple[FinishedTrial, Path]:
    """The small trial under the hypotheses, too."""
    out = tmp_path_factory.mktemp("envelope") / "out"
    done = finished(tomllib.loads("hypotheses = true\n" + SMALL), out)
    write_trial_report(out, done)
    return done, out


def test_hypotheses_add_their_means_and_leave_the_fitted_law_as_it_is(small, enveloped):
    (plain, _), (done, out) = small, enveloped
    assert done.result.arms == plain.result.arms
    assert plain.result.hypotheses == []
    assert not (small[1] / "hypotheses.csv").exists()
    assert [found.name for found in done.result.hypotheses] == list(HYPOTHESES)
    record = TrialResult.model_validate_json((out / "result.json").read_text(encoding="utf-8"))
    assert record == done.result
    table = rows(out / "hypotheses.csv")
    assert tuple(table[0]) == HYPOTHESIS_COLUMNS
    assert len(table) == 2 * 2 * (1 + len(HYPOTHESES)) * 3  # arms, outcomes, hypotheses, visits with day 0
    density = "lumbar spine areal density"
    last = {row["hypothesis"]: float(row["mean"]) for row in table if row["outcome"] == density}
    assert len(set(last.values())) == 1 + len(HYPOTHESES)


def test_the_report_tells_the_envelope_and_that_it_is_assumed(enveloped):
    done, out = enveloped
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "the envelope over hypotheses" in page
    assert "Their sizes are assumed" in page
    means = [found.mean["=nothing"]["lumbar spine areal density"][-1] for found in done.result.hypotheses]
    means.append(done.result.arms[0].outcomes[0].mean[-1])
    ends = "".join(f"<td>{end:+.2f} %</td>".replace("-", "−") for end in (min(means), max(means)))
    assert ends in re.sub(r"\s+(?=<)", "", re.sub(r"<td[^>]*>", "<td>", page))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_of_the_docs_run(path, tmp_path):
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    data["population"]["persons"] = 8
    done = finished(data, tmp_path / "out")
    first, *others = done.result.arms
    assert first.outcomes[0].mean[-1] < 0.0  # untreated women lose bone
    for arm in others:
        assert arm.outcomes[0].difference_low[-1] > 0.0
        assert np.all(np.isfinite(arm.outcomes[0].mean))


def test_a_bad_trial_ends_in_2_and_writes_nothing(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(BAD_TRIAL, encoding="utf-8")
    for file in (path, tmp_path / "none.toml"):
        done = CliRunner().invoke(app, ["trial", str(file), "--out", str(tmp_path / "out")])
        assert done.exit_code == 2
        assert not (tmp_path / "out").exists()
        assert done.stdout == ""


@pytest.mark.slow
def test_the_command_prints_json_alone_and_tells_a_table(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    out = tmp_path / "out"
    line = [sys.executable, "-m", "mechanostat", "trial", path, "--out", out, "--json", "--device", "cpu"]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NO_COLOR": "1"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((out / "result.json").read_text())
    told = " ".join(done.stderr.split())
    assert "no medical advice" in told
    assert "warning: medroxyprogesterone" in told
    files = {"result.json", "outcomes.csv", "levels.csv", "outcomes.png", "report.html", "fingerprint.json"}
    assert {entry.name for entry in out.iterdir()} == files
