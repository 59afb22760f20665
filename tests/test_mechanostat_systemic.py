"""The person around a bone: levels on the days of the reports, markers beside those of the untreated twin."""

import jax.numpy as jnp
import numpy as np
import pytest

from mechanostat.systemic import LEVELS, systemic
from remodel.hormones import hormone_signals
from remodel.person import Person
from remodel.treatment import treatment

DAYS = [0, 180, 540, 1080]


@pytest.fixture(scope="module")
def untreated(block):
    model, _ = block(person=Person("female", 51.0, 51.0))
    return model, systemic(model, DAYS)


@pytest.fixture(scope="module")
def treated(block):
    protocol = (treatment("alendronate", 70.0, start_day=180.0),)
    model, _ = block(person=Person("female", 51.0, 51.0), protocol=protocol)
    return model, systemic(model, DAYS)


def test_levels_are_those_of_the_endocrine_layer_up_to_the_months_between_which_they_are_read(untreated):
    model, found = untreated
    signals = hormone_signals(model.person, (), jnp.asarray(DAYS, float), model.parameters)
    for name, field in LEVELS.items():
        expected = np.asarray(getattr(signals, field))
        np.testing.assert_allclose(found.levels[name], expected, rtol=0.02, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(found.levels["age_years"], 51.0 + np.array(DAYS) / 365.25)


def test_without_treatment_the_twin_is_the_person(untreated):
    _, found = untreated
    for name in ("ctx", "p1np"):
        np.testing.assert_allclose(found.markers[name][0], 1.0, rtol=1e-12)
        np.testing.assert_allclose(found.markers[f"{name}_per_untreated"], 1.0, rtol=1e-12)
    assert found.markers["ctx"][2] > 1.1  # menopause


def test_a_drug_shows_in_the_markers_against_the_twin_from_its_start_on(treated, untreated):
    (_, with_drug), (_, without) = treated, untreated
    ratio = with_drug.markers["ctx_per_untreated"]
    assert ratio[:2] == pytest.approx([1.0, 1.0])
    assert ratio[2] < 0.8
    assert with_drug.levels["estradiol_pg_per_ml"] == without.levels["estradiol_pg_per_ml"]
    assert with_drug.without_space["bone_volume"][-1] > without.without_space["bone_volume"][-1]


def test_bone_without_space_starts_at_one_on_the_days_of_the_reports(treated):
    _, found = treated
    for values in found.without_space.values():
        assert len(values) == len(DAYS)
        np.testing.assert_allclose(values[0], 1.0, rtol=1e-12)
