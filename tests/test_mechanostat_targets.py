"""The clinical targets, the trials that speak for them, and the rules by which they are judged."""

from collections import Counter

import pytest

from mechanostat.target_quantities import QUANTITIES
from mechanostat.target_values import constant
from mechanostat.targets import AGAINST, FORMS, read_readings, read_targets, read_trials, trial_files
from mechanostat.validation import Judgement, by_mechanism, is_met, miss_reasons, reason_of, total
from remodel.neck import SECTION
from remodel.outcomes import INSTRUMENTS, READ_BY
from remodel.skeleton import SITES


@pytest.fixture(scope="module")
def trials():
    return read_trials()


def test_every_target_appears_exactly_once_in_both_tables():
    targets, readings = [t.id for t in read_targets()], [r.id for r in read_readings()]
    assert max(Counter(targets).values()) == 1
    assert readings == targets


def test_gates_are_as_many_as_were_compiled():
    gates = Counter(target.gate for target in read_targets())
    assert gates == {"gate": 199, "secondary": 12, "order": 5, "report-only": 3}


def test_every_result_lies_in_its_band():
    assert [t.id for t in read_targets() if not t.low <= t.mean <= t.high or t.low >= t.high] == []


def test_every_trial_file_parses_and_speaks_for_a_target(trials):
    used = {r.trial for r in read_readings() if r.trial}
    assert trials.keys() == used == trial_files().keys()


def test_all_trials_have_as_many_persons(trials):
    assert len({trial.population.persons for trial in trials.values()}) == 1


def test_every_covered_target_names_arms_that_its_trial_has(trials):
    for reading in read_readings():
        if reading.trial:
            arms = {arm.name for arm in trials[reading.trial].arms}
            assert reading.arm in arms, reading.id
            assert (reading.against in arms) == (reading.form in AGAINST), reading.id


def test_every_covered_target_is_told_in_known_words():
    for reading in (r for r in read_readings() if r.covered):
        assert reading.form in FORMS, reading.id
        assert reading.reason == "", reading.id
        if reading.form == "constant":
            continue
        assert reading.quantity in QUANTITIES, reading.id
        assert reading.instrument in INSTRUMENTS, reading.id
        if reading.quantity in READ_BY and reading.quantity not in SECTION:
            assert reading.site in SITES, reading.id
            assert reading.instrument in READ_BY[reading.quantity], reading.id
        assert (reading.site == "femoral narrow neck") == (reading.quantity in SECTION), reading.id
        wanted = {"share": 4, "ratio of arms": 1}.get(reading.form, 2)
        assert len(reading.months) == wanted, reading.id


def test_a_target_that_is_not_covered_says_why():
    assert [r.id for r in read_readings() if not r.covered and not r.reason] == []


def test_a_reason_for_a_miss_belongs_to_some_target():
    ids, mechanisms = {t.id for t in read_targets()}, {t.mechanism for t in read_targets()}
    for key in miss_reasons():
        assert key in mechanisms or any(i == key or i.startswith(f"{key}-") for i in ids), key


def test_an_order_row_is_met_by_its_direction_and_a_gate_row_by_its_band():
    target = next(t for t in read_targets() if t.id == "MHT-KEEPS-1")
    assert target.gate == "order"
    assert target.high < 0.0
    beyond = 2.0 * target.low
    assert is_met(target, beyond)
    assert not is_met(target, -beyond)
    assert not is_met(target._replace(gate="gate"), beyond)


def test_totals_leave_out_what_never_counts():
    target, reading = read_targets()[0], read_readings()[0]
    met = Judgement(target, reading, target.mean, target.low, target.high, inside=True)
    secondary = met._replace(target=target._replace(gate="secondary"))
    unknown = Judgement(target, reading, None, None, None, None)
    assert total([met, secondary, unknown]) == (1, 1, 2)
    assert by_mechanism([met, unknown]) == {target.mechanism: [met, unknown]}


def test_the_reason_for_the_longest_beginning_goes_first():
    target, reading = read_targets()[0], read_readings()[0]
    missed = Judgement(target, reading, 0.0, 0.0, 0.0, inside=False)
    reasons = {target.mechanism: "mechanism", target.id.rsplit("-", 1)[0]: "study"}
    assert reason_of(missed, reasons) == "study"
    assert reason_of(missed, reasons | {target.id: "target"}) == "target"
    assert reason_of(missed, {target.mechanism: "mechanism"}) == "mechanism"
    assert reason_of(missed._replace(inside=True), reasons) == ""


def test_an_unknown_constant_is_refused():
    reading = next(r for r in read_readings() if r.form == "constant")
    with pytest.raises(ValueError, match="known are"):
        constant(reading._replace(quantity="hardness"))
