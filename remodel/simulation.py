"""A run from the day of the scan to its last day, report by report."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from fem.conjugate_gradients import Status
from fem.equilibrium import SolveError, advice
from remodel.loop import advance, observe, worst
from remodel.model import Ends, Model, Observation, State
from remodel.person import DAYS_PER_YEAR


class Report(eqx.Module):
    """What is known at a report: the state, what was measured, how the solves since the last report ended."""

    state: State
    observation: Observation
    loads: Ends

    @property
    def converged(self) -> bool:
        """Whether every solve since the last report converged, the strength tests included."""
        return all(worst(ends)[0] == Status.CONVERGED for ends in (self.loads, self.observation.tests))


class Trajectory(eqx.Module):
    """A run as a whole."""

    observations: Observation
    """What was measured, with a leading axis of report times."""
    state: State
    """At the last report."""


def last_day(years: float, step_days: int) -> int:
    """Return the day on which a run of some years ends: the nearest step, and at least one."""
    return max(1, round(years * DAYS_PER_YEAR / step_days)) * step_days


def reports(model: Model, state: State, *, days: int, report_days: int) -> Iterator[Report]:
    """Yield what is known on the day of the state, after every interval, and on the last day.

    A report whose solves did not converge is the last one; its numbers are not to be used. The
    iterator may be left at any report and started again from that report's state: the rest is the same, bit
    for bit, on the same device.

    Args:
        model: What stays.
        state: Where to start; a state of day 0 is reported first, a later one has been.
        days: Last day of the run [day].
        report_days: Time between reports, a multiple of the step [day].

    Raises:
        ValueError: If the times are not multiples of the step.
    """
    step_days = model.settings.step_days
    if days % step_days or report_days % step_days:
        raise ValueError(
            f"`days` and `report_days` must be multiples of the step of {step_days} days, got {days} and "
            f"{report_days}."
        )
    cases = len(model.load_names)
    day = int(state.day)
    if day == 0:
        state, observation = observe(model, state)
        none = jnp.zeros(cases, jnp.int32)
        ends = Ends(none + int(Status.CONVERGED), none, jnp.zeros(cases, model.modulus.dtype))
        report = Report(state, observation, ends)
        yield report
        if not report.converged:
            return
    while day < days:
        steps = min(report_days - day % report_days, days - day) // step_days
        state, ends = advance(model, state, steps)
        state, observation = observe(model, state)
        day = int(state.day)
        report = Report(state, observation, ends)
        yield report
        if not report.converged:
            return


def run(model: Model, state: State, *, years: float, report_days: int = 360) -> Trajectory:
    """Return a whole run.

    Args:
        model: What stays.
        state: Where to start.
        years: Length [year]; it ends on the nearest step.
        report_days: Time between reports, a multiple of the step [day].

    Raises:
        SolveError: If a solve does not converge.
    """
    days = last_day(years, model.settings.step_days)
    observations = []
    for report in reports(model, state, days=days, report_days=report_days):
        check_converged(report, model)
        observations.append(jax.tree.map(np.asarray, report.observation))
        state = report.state
    return Trajectory(jax.tree.map(lambda *column: np.stack(column), *observations), state)


def check_converged(report: Report, model: Model) -> None:
    """Refuse a report whose solves did not all converge.

    Raises:
        SolveError: With the load case, the day, the end and the advice.
    """
    for names, ends in ((model.load_names, report.loads), (model.test_names, report.observation.tests)):
        for name, status, iterations, residual in zip(
            names, ends.status.tolist(), ends.iterations.tolist(), ends.residual.tolist(), strict=True
        ):
            if status != Status.CONVERGED:
                place = f"{name}, day {int(report.state.day)}"
                raise SolveError(
                    advice(Status(status), place, iterations, residual, model.settings.tolerance)
                )
