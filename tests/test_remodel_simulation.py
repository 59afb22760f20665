"""Laws of a run: when it reports, when it ends, and that a bad solve is never passed over."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.equilibrium import SolveError
from remodel.checkpoint import state_digest
from remodel.model import Model, State
from remodel.person import Person
from remodel.simulation import check_converged, last_day, reports, run


@pytest.fixture(scope="module")
def start(block) -> tuple[Model, State]:
    """The block of a woman at menopause, in steps of 180 days."""
    return block(person=Person("female", 51.0, 51.0))


def test_reports_come_on_day_0_after_each_interval_and_on_the_last_day(start):
    days = [int(report.state.day) for report in reports(*start, days=900, report_days=360)]
    assert days == [0, 360, 720, 900]


def test_a_run_may_be_shorter_than_an_interval(start):
    days = [int(report.state.day) for report in reports(*start, days=180, report_days=720)]
    assert days == [0, 180]


def test_a_state_of_a_later_day_is_not_reported_again(start):
    model, state = start
    every = list(reports(model, state, days=900, report_days=360))
    again = list(reports(model, every[1].state, days=900, report_days=360))
    assert [int(report.state.day) for report in again] == [720, 900]
    assert [state_digest(report.state) for report in again] == [state_digest(r.state) for r in every[2:]]


def test_a_state_between_two_reports_meets_the_next_one(start):
    model, state = start
    *_, between = reports(model, state, days=180, report_days=180)
    days = [int(report.state.day) for report in reports(model, between.state, days=900, report_days=360)]
    assert days == [360, 720, 900]


def test_a_finished_run_has_nothing_left_to_report(start):
    model, state = start
    *_, end = reports(model, state, days=360, report_days=360)
    assert list(reports(model, end.state, days=360, report_days=360)) == []


def test_how_often_it_reports_does_not_change_the_bone(start):
    model, state = start
    *_, often = reports(model, state, days=720, report_days=180)
    *_, seldom = reports(model, state, days=720, report_days=720)
    for one, other in zip(
        jax.tree.leaves(often.state.tissue), jax.tree.leaves(seldom.state.tissue), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    # Only the strength test starts from another solution, so it ends elsewhere within its tolerance.
    np.testing.assert_allclose(often.observation.failure_load, seldom.observation.failure_load, rtol=1e-5)


@pytest.mark.parametrize(("days", "report_days"), [(800, 360), (720, 100)])
def test_times_that_are_no_multiples_of_the_step_are_refused(start, days, report_days):
    with pytest.raises(ValueError, match=f"multiples of the step of 180 days, got {days} and {report_days}"):
        next(reports(*start, days=days, report_days=report_days))


def test_a_run_ends_on_the_nearest_step_and_takes_at_least_one():
    assert last_day(1.0, 60) == 360
    assert last_day(40.0, 60) == 14_640
    assert last_day(10.0, 360) == 3600
    assert last_day(0.01, 60) == 60


def test_a_run_gathers_what_its_reports_say(start):
    model, state = start
    trajectory = run(model, state, years=2.0, report_days=360)
    seen = trajectory.observations
    np.testing.assert_array_equal(seen.day, [0, 360, 720])
    np.testing.assert_allclose(seen.age, 51.0 + seen.day / 365.25, rtol=1e-14)
    assert np.all(np.diff(seen.bone_volume) < 0.0)
    assert np.all(np.diff(seen.estradiol) < 0.0)
    assert np.all(np.diff(seen.set_point) > 0.0)
    assert np.all(np.diff(seen.failure_load[:, 0]) < 0.0)
    assert np.all(seen.resorption > seen.formation)
    assert seen.effective_strain.shape == (3, 1, 64)
    assert int(trajectory.state.day) == 720


def test_bone_volume_falls_by_what_is_resorbed_less_what_is_formed(start):
    """The rates of a report are those of the last short step: 2 days are short against the change of rates."""
    model, state = start
    first, second = (report.observation for report in reports(model, state, days=180, report_days=180))
    lost = float(first.bone_volume - second.bone_volume)
    rates = [float(seen.resorption - seen.formation) for seen in (first, second)]
    assert min(rates) < lost / 180.0 < 2.0 * max(rates)


def test_the_first_report_is_that_of_the_scan(start):
    model, state = start
    report = next(reports(model, state, days=180, report_days=180))
    assert report.converged
    assert float(report.observation.bone_volume) == pytest.approx(
        1e-3 * float(jnp.sum(state.tissue.volume_fraction))
    )
    assert float(report.observation.mineral_density[0]) == pytest.approx(
        3200.0 * float(jnp.mean(state.tissue.mineral))
    )
    np.testing.assert_array_equal(report.loads.iterations, np.zeros(3))


def broken(model: Model) -> Model:
    """Return the model with one modulus that is not a number, so that no solve can end well."""
    return eqx.tree_at(lambda m: m.modulus, model, model.modulus.at[7].set(jnp.nan))


def test_a_bad_solve_ends_the_reports_and_marks_its_numbers(start):
    model, state = start
    every = list(reports(broken(model), state, days=720, report_days=180))
    assert [report.converged for report in every] == [False]
    assert np.isnan(every[0].observation.failure_load[0])


def test_a_solve_that_goes_bad_under_way_ends_the_reports_there(start):
    model, state = start
    *_, good = reports(model, state, days=180, report_days=180)
    every = list(reports(broken(model), good.state, days=720, report_days=540))
    assert [(int(report.state.day), report.converged) for report in every] == [(360, False)]


def test_a_run_raises_with_the_case_the_day_the_end_and_the_advice(start):
    model, state = start
    words = "`axial, day 0` ended as `not_finite` .* A modulus, load or displacement is not a finite number"
    with pytest.raises(SolveError, match=words):
        run(broken(model), state, years=1.0)


def test_the_first_load_case_that_failed_is_named(start):
    model, state = start
    report = next(reports(model, state, days=180, report_days=180))
    ends = dataclasses.replace(report.loads, status=report.loads.status.at[1].set(2))
    failed = dataclasses.replace(report, loads=ends)
    assert not failed.converged
    with pytest.raises(SolveError, match="`axial y, day 0`"):
        check_converged(failed, model)


def test_too_few_iterations_end_a_run_with_a_way_out(start):
    model, state = start
    hurried = dataclasses.replace(model, settings=model.settings._replace(max_iterations=1))
    at_rest = dataclasses.replace(state, displacement=jnp.zeros_like(state.displacement))
    with pytest.raises(SolveError, match=r"`axial, day 0` ended as `max_iterations` after 1 .* Allow more"):
        run(hurried, at_rest, years=1.0)


def test_reports_are_the_same_bits_twice(start):
    model, state = start
    digests = [
        [state_digest(report.state) for report in reports(model, state, days=360, report_days=180)]
        for _ in range(2)
    ]
    assert digests[0] == digests[1]
