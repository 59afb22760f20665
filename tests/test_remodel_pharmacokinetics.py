"""Laws of the kinetics: sums of doses against integration, mass balance, published levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from remodel.agent_levels import CYPIONATE, VALERATE
from remodel.hormones import hormone_signals
from remodel.parameters import Parameters
from remodel.person import NEVER, Person
from remodel.pharmacokinetics import (
    DENOSUMAB_ABSORPTION,
    DENOSUMAB_ELIMINATION,
    DENOSUMAB_HALF,
    DENOSUMAB_MAXIMUM,
    DENOSUMAB_MEMORY,
    DENOSUMAB_VOLUME,
    Dosing,
    adaptation,
    decaying,
    denosumab_level,
    followed,
    three_stage,
    two_stage,
)
from remodel.treatment import treatment

PARAMETERS = Parameters()
WOMAN, MAN = Person("female", 66.0), Person("male", 66.0)
WEEKLY = Dosing(1.0, 7.0, -10.0, 50.0)
"""Nine doses, the last on day 46."""


def signals_on(person, days, *protocol):
    return jax.jit(lambda now: hormone_signals(person, protocol, now, PARAMETERS))(jnp.asarray(days))


def integrated(slope, start, days, *, doses, amount=1.0):
    """Return the last of some compartments after doses into the first, integrated by another library."""
    state, now, found = np.array(start, float), doses[0], []
    for stop in sorted([*doses[1:], *days]):
        if now in doses:
            state[0] += amount
        state = solve_ivp(slope, (now, stop), state, method="LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
        now = stop
        if stop in days:
            found.append(state[-1])
    return found


def test_sums_over_doses_agree_with_integration():
    doses = [-10.0 + 7.0 * k for k in range(9)]
    days = [-9.5, 3.25, 45.9, 46.5, 90.0]
    now = jnp.array(days)
    for rates, found in (
        ((0.3,), decaying(WEEKLY, 0.3, now)),
        ((0.6, 0.054), two_stage(WEEKLY, 0.6, 0.054, now)),
        ((1.55, 17.2, 0.21), three_stage(WEEKLY, (1.55, 17.2, 0.21), now)),
        ((0.98, 1.67, 0.15), three_stage(WEEKLY, (0.98, 1.67, 0.15), now)),
    ):

        def slope(_, amounts, rates=rates):
            flows = np.array(rates) * amounts
            return np.concatenate([[0.0], flows[:-1]]) - flows

        expected = integrated(slope, np.zeros(len(rates)), days, doses=doses)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


def test_what_is_eliminated_equals_what_was_given():
    days = jnp.linspace(-10.0, 390.0, 400001)
    for amount, rate in (
        (two_stage(WEEKLY, 0.6, 0.054, days), 0.054),
        (three_stage(WEEKLY, VALERATE[1], days), VALERATE[1][2]),
        (three_stage(WEEKLY, CYPIONATE[1], days), CYPIONATE[1][2]),
    ):
        eliminated = rate * jnp.trapezoid(amount, days)
        np.testing.assert_allclose(eliminated, 9.0, rtol=1e-5)


def test_nothing_is_there_before_the_first_dose_and_none_comes_after_the_end():
    assert decaying(WEEKLY, 0.3, jnp.array([-10.001]))[0] == 0.0
    assert decaying(WEEKLY, 0.3, jnp.array([-10.0]))[0] == 1.0
    endless = Dosing(1.0, 7.0, -10.0, NEVER)
    np.testing.assert_allclose(
        decaying(endless, 0.3, jnp.array([49.9])), decaying(WEEKLY, 0.3, jnp.array([49.9]))
    )
    # A dose due on the day of the end is not given.
    ending = Dosing(1.0, 7.0, -10.0, 46.0)
    late = jnp.array([46.0])
    np.testing.assert_allclose(decaying(endless, 0.3, late) - decaying(ending, 0.3, late), 1.0, rtol=1e-12)


def test_endless_treatment_leaves_derivatives_finite():
    def level(interval):
        return decaying(Dosing(1.0, interval, 0.0, NEVER), 0.3, jnp.asarray(100.0))

    gradient, step = jax.grad(level)(7.05), 1e-5
    np.testing.assert_allclose(gradient, (level(7.05 + step) - level(7.05 - step)) / (2 * step), rtol=1e-6)


def test_follower_and_adaptation_agree_with_integration():
    windows = [(-20.0, 100.0, 10.0), (40.0, NEVER, 5.0), (30.0, 60.0, 2.5)]
    days = jnp.array([-30.0, 0.0, 35.0, 50.0, 80.0, 300.0])
    found = adaptation(windows, 7.5, 120.0, days)
    step = 0.01
    times = jnp.arange(-30.0, 300.0, step) + 0.5 * step
    dose = sum(jnp.where((times >= a) & (times < b), d, 0.0) for a, b, d in windows)
    effect = dose / (dose + 7.5)
    for day, value in zip(days, found, strict=True):
        kernel = jnp.where(times < day, jnp.exp((times - day) / 120.0) / 120.0, 0.0)
        np.testing.assert_allclose(value, jnp.sum(effect * kernel) * step, atol=1e-6)
    one = Dosing(10.0, 1.0, -20.0, 100.0)
    alone = adaptation([windows[0]], 1e9, 120.0, days) * (10.0 + 1e9)
    np.testing.assert_allclose(followed(one, 120.0, days), alone, rtol=1e-7)


def test_denosumab_has_the_levels_of_its_published_model():
    # After 60 mg at 60 kg, as printed with two digits.
    shot = treatment("denosumab", 60.0, stop_day=1.0)
    found = signals_on(WOMAN, [1.0, 14.0, 30.0, 90.0, 150.0, 183.0], shot).denosumab
    np.testing.assert_allclose(found, [1900.0, 10000.0, 8800.0, 3100.0, 460.0, 46.0], rtol=0.045)


def test_denosumab_agrees_with_a_tight_integration_of_the_whole_equation():
    def slope(_, state):
        depot, level = state
        absorbed = DENOSUMAB_ABSORPTION * depot
        target = DENOSUMAB_MAXIMUM / DENOSUMAB_VOLUME * level / (DENOSUMAB_HALF + level)
        gained = absorbed / (DENOSUMAB_VOLUME * 60.0) - DENOSUMAB_ELIMINATION * level - target
        return [-absorbed, gained]

    days = [60.0, 179.9, 240.0, 359.9, 420.0, 540.0]
    expected = integrated(slope, [0.0, 0.0], days, doses=[0.0, 180.0, 360.0], amount=60e6)
    shots = treatment("denosumab", 60.0, interval_days=180.0, stop_day=361.0)
    # A hundred-thousandth of the peak, 10 µg/ml.
    np.testing.assert_allclose(signals_on(WOMAN, days, shots).denosumab, expected, rtol=1e-4, atol=0.1)


def test_denosumab_is_forgotten_after_its_memory():
    shot = [Dosing(120.0, 180.0, 0.0, 1.0)]
    # Asked from day 1 on, the dose counts; to the end of the memory less than a picogram of it is left.
    assert denosumab_level(shot, 60.0, jnp.array([1.0, DENOSUMAB_MEMORY]))[1] < 1e-3


def test_denosumab_of_one_day_is_that_of_many_days():
    shots = treatment("denosumab", 60.0, start_day=-400.0)
    days = np.array([-399.0, -100.0, 0.0, 3.5, 90.0, 1000.0])
    together = signals_on(WOMAN, days, shots).denosumab
    alone = [float(signals_on(WOMAN, day, shots).denosumab) for day in days]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=0.1)


def test_denosumab_runs_in_single_precision():
    shots = treatment("denosumab", 60.0)
    exact = signals_on(WOMAN, [14.0, 150.0], shots).denosumab
    with jax.enable_x64(False):
        found = signals_on(WOMAN, [14.0, 150.0], shots).denosumab
        assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, exact, rtol=2e-3)


def test_romosozumab_has_the_levels_of_its_label():
    days = jnp.linspace(0.0, 28.0, 2801)
    once = signals_on(WOMAN, days, treatment("romosozumab", 210.0, stop_day=1.0)).romosozumab
    np.testing.assert_allclose(jnp.max(once), 21.8, atol=0.1)
    np.testing.assert_allclose(jnp.trapezoid(once, days), 390.0, rtol=0.01)
    monthly = treatment("romosozumab", 210.0)
    trough = signals_on(WOMAN, [11.0 * monthly.interval_days - 1e-6], monthly).romosozumab[0]
    assert 7.0 < trough < 9.0


@pytest.mark.parametrize(
    ("agent", "dose", "mean"), [("testosterone-cypionate", 50.0, 500.0), ("testosterone-gel", 50.0, 500.0)]
)
def test_usual_doses_of_testosterone_give_the_known_mean_level(agent, dose, mean):
    empty = Person("male", 66.0, orchiectomy=40.0)
    days = jnp.linspace(350.0, 357.0, 7001)
    given = signals_on(empty, days, treatment(agent, dose)).testosterone
    # What is given suppresses what the adrenals left, 20 ng/dl.
    np.testing.assert_allclose(jnp.mean(given), mean, rtol=0.01)


def test_testosterone_swings_between_weekly_injections_as_published():
    empty = Person("male", 66.0, orchiectomy=40.0)
    days = jnp.linspace(350.0, 357.0, 7001)
    level = signals_on(empty, days, treatment("testosterone-cypionate", 100.0)).testosterone
    mean = jnp.trapezoid(level, days) / 7.0
    np.testing.assert_allclose(jnp.max(level) / mean, 1.14, atol=0.01)
    np.testing.assert_allclose(jnp.min(level) / mean, 0.79, atol=0.01)


def test_infused_zoledronate_ends_up_on_the_surfaces_whole():
    days = jnp.linspace(0.0, 200.0, 200001)
    rate = signals_on(WOMAN, days, treatment("zoledronate", 5.0, stop_day=1.0)).bisphosphonate_uptake
    np.testing.assert_allclose(jnp.trapezoid(rate, days), PARAMETERS.zoledronate_uptake, rtol=1e-6)
    # The steps of the tissue law, two days by their middle, lose less than half a percent.
    middle = signals_on(WOMAN, jnp.arange(1.0, 200.0, 2.0), treatment("zoledronate", 5.0, stop_day=1.0))
    total = 2.0 * jnp.sum(middle.bisphosphonate_uptake)
    np.testing.assert_allclose(total, PARAMETERS.zoledronate_uptake, rtol=5e-3)


def test_year_of_alendronate_is_worth_an_infusion_of_zoledronate():
    rate = signals_on(WOMAN, 100.0, treatment("alendronate", 70.0)).bisphosphonate_uptake
    np.testing.assert_allclose(365.25 * rate, PARAMETERS.zoledronate_uptake, rtol=1e-12)
