"""Treatments: what is refused, what adds up, which signal each agent moves, what is said of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_law import REFERENCE_LAW

from remodel.agent import LEVELS
from remodel.agents import AGENTS
from remodel.hormones import hormone_signals
from remodel.person import Person
from remodel.remarks import remarks
from remodel.treatment import Treatment, treatment

PARAMETERS = REFERENCE_LAW


def test_impossible_dose_is_refused_with_its_unit():
    with pytest.raises(ValueError, match="µg"):
        treatment("estradiol-transdermal", -1.0)
    with pytest.raises(ValueError, match="`stop_day` must come after `start_day`"):
        treatment("estradiol-transdermal", 50.0, start_day=10.0, stop_day=5.0)


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ("units", "0.1 ml, 20 mg"),
        ("ml", "strength of the vial"),
        ("IU", "40 IU of vitamin D"),
        ("g", "mg or µg"),
    ],
)
def test_dose_that_is_no_mass_is_refused_with_the_reason(unit, reason):
    with pytest.raises(ValueError, match=reason):
        treatment("testosterone-cypionate", 10.0, unit)


def test_unknown_agent_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="denosumab, raloxifene"):
        treatment("aspirin", 100.0)
    with pytest.raises(ValueError, match="denosumab, raloxifene"):
        Treatment("aspirin", 100.0, 1.0)


def test_dose_interval_and_adherence_beyond_what_is_known_are_refused():
    with pytest.raises(ValueError, match="`dose` of denosumab must be between 0 and 120 mg"):
        treatment("denosumab", 60000.0)
    with pytest.raises(ValueError, match="`interval_days` of zoledronate"):
        treatment("zoledronate", 5.0, interval_days=1.0)
    with pytest.raises(ValueError, match="`adherence`"):
        treatment("alendronate", 70.0, adherence=80.0)


def test_units_of_mass_are_converted():
    assert treatment("estradiol-oral", 1000.0, "µg").dose == pytest.approx(1.0)
    assert treatment("teriparatide", 0.02, "mg").dose == pytest.approx(20.0)
    assert treatment("teriparatide", 20.0, "mcg").dose == 20.0


def test_same_agent_twice_adds_up_and_order_does_not_matter():
    woman, day = Person("female", 66.0), jnp.asarray(40.0)
    given = [("denosumab", 30.0)] * 2 + [("estradiol-transdermal", 20.0), ("estradiol-transdermal", 30.0)]
    half = tuple(treatment(*part) for part in given)
    whole = treatment("denosumab", 60.0), treatment("estradiol-transdermal", 50.0)
    for first, second in ((half, whole), (half, half[::-1])):
        one = hormone_signals(woman, first, day, PARAMETERS)
        other = hormone_signals(woman, second, day, PARAMETERS)
        for name in vars(one):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6)


def test_half_the_doses_taken_count_as_half_the_dose():
    taken, prescribed = treatment("romosozumab", 105.0), treatment("romosozumab", 210.0, adherence=0.5)
    levels = [
        hormone_signals(Person("female", 66.0), (part,), 70.0, PARAMETERS).romosozumab
        for part in (taken, prescribed)
    ]
    np.testing.assert_allclose(levels[0], levels[1])


@pytest.fixture(scope="module")
def everything():
    """Every agent at its highest usual dose, starting one after the other."""
    return tuple(
        treatment(name, known.usual[1], start_day=10.0 * i, stop_day=500.0 + 10.0 * i)
        for i, (name, known) in enumerate(AGENTS.items())
    )


@pytest.mark.parametrize("sex", ["female", "male"])
def test_all_agents_together_give_finite_signals_of_the_shape_of_the_days(everything, sex):
    days = jnp.linspace(-50.0, 1500.0, 7)
    signals = jax.jit(lambda p, d: hormone_signals(Person(sex, 60.0), p, d, PARAMETERS))(everything, days)
    for name, value in vars(signals).items():
        assert value.shape == (7,), name
        never = name == "years_since_menopause" and sex == "male"
        assert jnp.all(jnp.isinf(value) if never else jnp.isfinite(value)), name


def test_signals_of_one_day_are_those_of_many_days(everything):
    quick = tuple(part for part in everything if part.agent != "denosumab")  # see the test of its kinetics
    signals = jax.jit(lambda d: hormone_signals(Person("male", 60.0), quick, d, PARAMETERS))
    days = [-3.0, 0.0, 77.3, 400.0, 2000.0]
    together = signals(jnp.array(days))
    for i, day in enumerate(days):
        alone = signals(jnp.asarray(day))
        for name in vars(alone):
            assert getattr(alone, name).shape == ()
            np.testing.assert_allclose(
                getattr(alone, name), getattr(together, name)[i], rtol=1e-12, atol=1e-15
            )


def test_every_agent_adds_to_levels_that_exist_and_every_level_has_an_agent():
    assert {level for known in AGENTS.values() for level in known.levels} == set(LEVELS)


DOSE_ORDER = {
    "estradiol-oral": ("estrogen_deficit", -1),
    "conjugated-estrogens": ("estrogen_deficit", -1),
    "estradiol-valerate": ("estrogen_deficit", -1),
    "estradiol-cypionate": ("estrogen_deficit", -1),
    "raloxifene": ("estrogen_deficit", -1),
    "anastrozole": ("estrogen_deficit", 1),
    "testosterone-gel": ("estrogen_deficit", -1),
    "testosterone-undecanoate": ("testosterone", 1),
    "progesterone": ("progesterone_effect", 1),
    "medroxyprogesterone": ("progesterone_effect", 1),
    "sermorelin": ("igf1_ratio", 1),
    "cjc-1295": ("igf1_ratio", 1),
    "ipamorelin": ("igf1_ratio", 1),
    "tesamorelin": ("igf1_ratio", 1),
    "growth-hormone": ("igf1_ratio", 1),
    "glucocorticoid": ("glucocorticoid_effect", 1),
    "alendronate": ("bisphosphonate_uptake", 1),
    "risedronate": ("bisphosphonate_uptake", 1),
    "ibandronate": ("bisphosphonate_uptake", 1),
    "zoledronate": ("bisphosphonate_uptake", 1),
    "denosumab": ("denosumab", 1),
    "romosozumab": ("romosozumab", 1),
    "teriparatide": ("teriparatide", 1),
    "calcium": ("pth_ratio", -1),
}
"""Which signal each agent moves, and which way."""


@pytest.mark.parametrize("agent", DOSE_ORDER)
def test_more_of_a_drug_means_more_of_its_effect(agent):
    name, direction = DOSE_ORDER[agent]
    doses = jnp.linspace(0.0, AGENTS[agent].highest, 6)
    signal = jax.jit(
        jax.vmap(
            lambda dose: getattr(
                hormone_signals(Person("female", 66.0), (treatment(agent, dose),), 20.0, PARAMETERS), name
            )
        )
    )(doses)
    assert jnp.all(jnp.diff(direction * signal) > 0.0)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("denosumab", "denosumab"),
        ("estradiol-valerate", "estrogen_deficit"),
        ("glucocorticoid", "glucocorticoid_transient"),
    ],
)
def test_derivatives_in_the_dose_agree_with_finite_differences_both_ways(agent, name):
    dose = 0.5 * AGENTS[agent].highest

    @jax.jit
    def signal(dose):
        given = (treatment(agent, dose),)
        return getattr(hormone_signals(Person("female", 66.0), given, 200.0, PARAMETERS), name)

    step = 0.005 * dose
    difference = (signal(dose + step) - signal(dose - step)) / (2.0 * step)
    _, forward = jax.jvp(signal, (dose,), (1.0,))
    # The integration of denosumab is good to a hundred-thousandth of its peak.
    np.testing.assert_allclose(forward, difference, rtol=2e-3)
    np.testing.assert_allclose(jax.grad(signal)(dose), forward, rtol=1e-9)


def test_remarks_name_what_is_unusual_or_not_validated():
    man, woman = Person("male", 60.0), Person("female", 60.0)
    assert remarks((treatment("estradiol-transdermal", 50.0),), woman) == ()
    strong = (treatment("estradiol-transdermal", 150.0),)
    assert any("above the usual" in text for text in remarks(strong, woman))
    assert any("not validated" in text for text in remarks((treatment("testosterone-gel", 50.0),), man))
    shot = (treatment("testosterone-cypionate", 100.0),)
    assert any("supraphysiologic: testosterone" in text for text in remarks(shot, woman))
    assert any("rats" in text for text in remarks((treatment("ipamorelin", 250.0),), woman))
    assert any("no bone" in text for text in remarks((treatment("progesterone", 200.0),), woman))
    assert any("`nutrition`" in text for text in remarks((), Person("female", 60.0, nutrition=1.05)))
    late = Person("female", 60.0, estradiol=40.0)
    assert any("scales the natural curve" in text for text in remarks((), late))
