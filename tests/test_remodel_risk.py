"""Risks and the femoral neck of persons without space: they follow strength, exposure and the surfaces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from remodel.activity import habitual_life
from remodel.fracture import fracture_probability
from remodel.neck import SECTION, neck_section
from remodel.outcomes import FRACTURES, RISK_UNIT, Outcome, outcome_readings, outcome_unit
from remodel.parameters import Parameters
from remodel.person import Person
from remodel.population import Fixed, Population
from remodel.risk import BREAKS, hazard
from remodel.skeleton import follow_person
from remodel.treatment import treatment
from remodel.trial import Arm, Trial, run_trial

WOMAN, LAW = Person("female", 70.0), Parameters()
DENOSUMAB = (treatment("denosumab", 60.0),)


@pytest.fixture(scope="module")
def courses():
    follow = jax.jit(lambda p, d: follow_person(p, (), d, habitual_life(1), LAW, months=60))
    return {"untreated": follow(WOMAN, ()), "denosumab": follow(WOMAN, DENOSUMAB)}


@pytest.mark.parametrize("fracture", BREAKS)
def test_risk_is_the_integral_of_the_hazard_and_a_drug_that_strengthens_lowers_it(courses, fracture):
    rates = {name: hazard(course, WOMAN, fracture, LAW) for name, course in courses.items()}
    outcome = Outcome(f"{fracture} fracture risk")
    risks = {name: outcome_readings(course, outcome, WOMAN, LAW) / 100.0 for name, course in courses.items()}
    for name, course in courses.items():
        np.testing.assert_allclose(risks[name], fracture_probability(course.day, rates[name]))
        assert risks[name][0] == 0.0
        assert jnp.all(jnp.diff(risks[name]) > 0.0)
    assert rates["denosumab"][-1] < rates["untreated"][-1]
    assert 0.001 < risks["untreated"][-1] < 0.2


def test_twice_the_falls_are_twice_the_hazard(courses):
    once, twice = (
        hazard(courses["untreated"], WOMAN, "hip", LAW, exposure=exposure) for exposure in (1.0, 2.0)
    )
    np.testing.assert_allclose(twice, 2.0 * once, rtol=1e-12)


def test_neck_of_an_ageing_woman_grows_outside_and_inside(courses):
    neck = neck_section(courses["untreated"], LAW)
    assert jnp.all(jnp.diff(neck.outer_diameter) > 0.0)
    assert jnp.all(jnp.diff(neck.total_area - neck.area) > 0.0)  # the marrow cavity


def test_shape_is_of_the_femoral_neck_alone_and_risks_have_no_site():
    for quantity in SECTION:
        assert outcome_unit(Outcome(quantity, "femoral neck")) == "%"
        with pytest.raises(ValueError, match="femoral neck"):
            Outcome(quantity, "lumbar spine")
    for quantity in FRACTURES:
        assert outcome_unit(Outcome(quantity)) == RISK_UNIT
        with pytest.raises(ValueError, match="no meaning"):
            Outcome(quantity, "total hip")


def test_a_trial_tells_risks_as_they_are_and_shape_as_change(courses):
    outcomes = (Outcome("hip fracture risk"), Outcome("section modulus", "femoral neck"))
    arms = (Arm("untreated"), Arm("falls twice as often", exposure=2.0))
    found = run_trial(Trial(Population(2, "female", {"age": Fixed(70.0)}), arms, (60,), outcomes))
    untreated, falling = (arm.values[0] for arm in found.arms)
    alone = [outcome_readings(courses["untreated"], outcome, WOMAN, LAW) for outcome in outcomes]
    np.testing.assert_allclose(untreated[-1, 0], alone[0][-1], rtol=1e-6)
    np.testing.assert_allclose(untreated[-1, 1], 100.0 * (alone[1][-1] / alone[1][0] - 1.0), rtol=1e-6)
    np.testing.assert_array_equal(untreated[0], [0.0, 0.0])
    np.testing.assert_allclose(
        np.log1p(-falling[-1, 0] / 100.0), 2.0 * np.log1p(-untreated[-1, 0] / 100.0), rtol=1e-9
    )
