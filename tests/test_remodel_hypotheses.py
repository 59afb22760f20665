"""The hypotheses of what estradiol does: turnover and set point add to exercise, the gain takes it away."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from remodel.activity import habitual_life, with_training
from remodel.hypotheses import HYPOTHESES, run_under_hypotheses, under
from remodel.outcomes import Outcome
from remodel.parameters import Parameters
from remodel.population import Population, Uniform
from remodel.posterior import posterior_draws
from remodel.treatment import treatment
from remodel.trial import Arm, Trial, run_trial

WOMEN = Population(4, "female", {"age": Uniform(55.0, 60.0)})
DENSITY = (Outcome("areal density", "lumbar spine"),)


def test_a_hypothesis_changes_its_own_numbers_only():
    law = Parameters()
    for name, hypothesis in HYPOTHESES.items():
        changed = vars(under(law, name))
        for field, value in vars(law).items():
            np.testing.assert_allclose(changed[field], hypothesis.numbers.get(field, value), err_msg=field)


def test_draws_stay_draws_under_a_hypothesis():
    draws = posterior_draws(5)
    changed = under(draws, "gain")
    assert jax.tree.map(jnp.shape, changed) == jax.tree.map(jnp.shape, draws)
    np.testing.assert_array_equal(changed.numbness_estrogen, np.full(5, 0.5))


def test_unknown_hypothesis_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="turnover, balance, set point, gain"):
        under(Parameters(), "luck")


def test_balance_costs_in_the_end_as_much_as_the_set_point():
    law = Parameters()
    loss = HYPOTHESES["balance"].numbers["balance_estrogen"]
    rise = HYPOTHESES["set point"].numbers["set_point_estrogen"]
    gain = law.formation_gain + law.uncoupled_formation * law.resorption_gain
    np.testing.assert_allclose(
        (1.0 - law.uncoupled_formation) * np.log(1.0 - loss), -gain * np.log(1.0 + rise), rtol=0.02
    )


def test_trial_under_each_hypothesis_is_the_trial_with_its_numbers():
    trial = Trial(WOMEN, (Arm("untreated"),), (12,), DENSITY)
    found = run_under_hypotheses(trial)
    assert list(found) == list(HYPOTHESES)
    alone = run_trial(trial, under(Parameters(), "set point"))
    np.testing.assert_array_equal(found["set point"].arms[0].values, alone.arms[0].values)
    drawn = dataclasses.replace(trial, population=dataclasses.replace(WOMEN, draws=posterior_draws(4)))
    assert len({float(run.arms[0].outcomes.mean[-1, 0]) for run in run_under_hypotheses(drawn).values()}) == 4


def test_only_the_gain_makes_exercise_do_less_where_estradiol_is_lost():
    """Eight months of training at 60: what it adds with estradiol given, over what it adds without."""
    always = {"start_day": 0.0, "stop_day": 1e5}
    plan = with_training(habitual_life(1), **always, sets_per_week=40.0, repetitions=5.0, load=2.5)
    replaced = (treatment("estradiol-transdermal", 100.0, start_day=-3650.0),)
    kept = {}
    for name in HYPOTHESES:
        gained = {}
        for level, before in (("low", ()), ("high", replaced)):
            population = dataclasses.replace(WOMEN, before=before)
            arms = (Arm("rest"), Arm("training", plan=plan))
            found = run_trial(Trial(population, arms, (8,), DENSITY), under(Parameters(), name))
            gained[level] = float(found.arms[1].difference.mean[-1, 0])
        assert gained["low"] > 0.0
        kept[name] = gained["low"] / gained["high"]
    # Turnover is high without estradiol, so that exercise acts faster; only a lower gain outweighs it.
    assert kept["turnover"] > 1.0
    assert kept["balance"] > 1.0
    assert kept["set point"] > 1.0
    assert kept["gain"] < 1.0
