"""Laws of the outer surface: it moves outwards only, and width makes a tube strong."""

import csv

import jax.numpy as jnp
import numpy as np
import pytest

from remodel.parameters import Parameters
from remodel.periosteum import (
    PeriostealParameters,
    Tube,
    advance_tube,
    endocortical_velocity,
    periosteal_velocity,
    section,
    tube_course,
)
from remodel.person import DAYS_PER_YEAR, NEVER

PARAMETERS = PeriostealParameters()


def um_per_year(deficit=0.0, since=NEVER, igf=1.0, androgen=0.0, response=0.0):
    """Return the velocity of the outer surface [µm/year]."""
    velocity = periosteal_velocity(
        jnp.asarray(deficit, float),
        jnp.asarray(since, float),
        jnp.asarray(igf, float),
        jnp.asarray(androgen, float),
        jnp.asarray(response, float),
        PARAMETERS,
        formation_gain=Parameters().formation_gain,
    )
    return 1000.0 * DAYS_PER_YEAR * float(velocity)


def tube(outer=16.0, inner=13.5):
    return Tube(jnp.asarray(outer), jnp.asarray(inner))


def percent(after, before):
    """Return the change of every property of a cross-section [%]."""
    return {
        name: 100.0 * (float(getattr(after, name)) / float(getattr(before, name)) - 1.0)
        for name in ("outer_diameter", "total_area", "area", "second_moment", "section_modulus")
    }


def test_an_adult_grows_five_micrometres_a_year():
    assert um_per_year() == pytest.approx(5.0, rel=1e-12)


def test_full_loss_of_estradiol_adds_26_which_fade_in_eight_years():
    assert um_per_year(deficit=1.0, since=0.0) == pytest.approx(31.0, rel=1e-12)
    assert um_per_year(deficit=1.0, since=8.0) == pytest.approx(14.0 + 26.0 * np.exp(-1.0), rel=1e-12)
    assert um_per_year(deficit=1.0, since=-3.0) == um_per_year(deficit=1.0, since=0.0)
    assert um_per_year(deficit=1.0, since=NEVER) == pytest.approx(5.0, rel=1e-12)


def test_what_raises_velocity_multiplies_it():
    assert um_per_year(igf=4.0) == pytest.approx(10.0, rel=1e-12)
    assert um_per_year(androgen=0.5) == pytest.approx(5.5, rel=1e-12)
    pull = np.exp(0.5 * Parameters().formation_gain)
    assert um_per_year(response=1.0) == pytest.approx(5.0 * pull, rel=1e-12)


def test_the_surface_never_moves_inwards():
    worst = um_per_year(deficit=-0.3, since=0.0, igf=0.1, androgen=-1.0, response=-1.0)
    assert 0.0 < worst < 5.0


def test_endocortical_surface_moves_three_times_as_fast_as_net_formation_per_surface():
    velocity = endocortical_velocity(jnp.asarray(3e-4), jnp.asarray(2e-4), jnp.asarray(4.0), PARAMETERS)
    assert float(velocity) == pytest.approx(-3.0 * 1e-4 / 4.0, rel=1e-12)


def test_a_tenth_of_a_millimetre_outside_makes_a_thin_tube_stiffer_by_five_percent():
    change = percent(section(tube(16.1)), section(tube()))
    assert change["second_moment"] == pytest.approx(5.12, abs=0.005)
    assert change["section_modulus"] == pytest.approx(4.46, abs=0.005)


def test_a_tenth_of_a_millimetre_inside_costs_less():
    assert percent(section(tube(inner=13.6)), section(tube()))["second_moment"] == pytest.approx(
        -3.1, abs=0.05
    )
    shaft = section(tube(13.0, 8.0))
    outside, inside = percent(section(tube(13.1, 8.0)), shaft), percent(section(tube(13.0, 8.1)), shaft)
    assert outside["second_moment"] == pytest.approx(3.6, abs=0.05)
    assert outside["section_modulus"] == pytest.approx(2.8, abs=0.05)
    assert inside["second_moment"] == pytest.approx(-0.9, abs=0.05)


def test_ten_years_around_menopause_thin_the_neck_but_hardly_weaken_it():
    """Surfaces moved as hip structure analysis saw them: the area falls more than twice as much as the modulus."""
    change = percent(section(tube(16.3, 14.0)), section(tube()))
    assert change["area"] == pytest.approx(-5.5, abs=0.05)
    assert change["section_modulus"] == pytest.approx(-2.3, abs=0.05)
    assert change["outer_diameter"] == pytest.approx(1.9, abs=0.05)


@pytest.mark.shared
def test_arms_of_tennis_players_are_stiff_because_they_are_wide(shared):
    """Total and cortical area as measured give the moments of inertia as measured, in a humerus, r/R = 0.55."""
    with (shared / "validation" / "clinical_targets.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    total, cortical = (1.0 + float(rows[f"LOAD-TEN-{i}"]["mean_pct"]) / 100.0 for i in (2, 3))
    calm = tube(11.0, 0.55 * 11.0)
    outer = 11.0 * np.sqrt(total)
    inner = np.sqrt(outer**2 - cortical * float(calm.outer_radius**2 - calm.inner_radius**2))
    change = percent(section(tube(outer, inner)), section(calm))
    for row in ("LOAD-TEN-5", "LOAD-TEN-6"):
        low, high = float(rows[row]["band_low"]), float(rows[row]["band_high"])
        assert low < change["second_moment"] < high
    low, high = float(rows["LOAD-TEN-4"]["band_low"]), float(rows["LOAD-TEN-4"]["band_high"])
    assert low < change["section_modulus"] < high


def test_pores_lower_area_and_moments_but_not_the_outline():
    change = percent(section(tube(), 0.9), section(tube()))
    assert change["outer_diameter"] == change["total_area"] == 0.0
    for name in ("area", "second_moment", "section_modulus"):
        assert change[name] == pytest.approx(-10.0, rel=1e-12)


def test_a_course_at_constant_velocity_is_one_long_step():
    day = jnp.linspace(0.0, 3650.0, 41)
    outwards, inwards = jnp.full(41, 8e-5), jnp.full(41, -1.4e-4)
    course = tube_course(tube(), day, outwards, inwards)
    last = advance_tube(tube(), outwards[0], inwards[0], 3650.0)
    assert float(course.outer_radius[0]) == 16.0
    np.testing.assert_allclose(course.outer_radius[-1], last.outer_radius, rtol=1e-13)
    np.testing.assert_allclose(course.inner_radius[-1], last.inner_radius, rtol=1e-13)
    assert np.all(np.diff(section(course).outer_diameter) > 0.0)


def test_a_cavity_stays_between_nothing_and_the_outer_surface():
    filled = advance_tube(tube(), jnp.asarray(0.0), jnp.asarray(1.0), 1000.0)
    lost = advance_tube(tube(), jnp.asarray(0.0), jnp.asarray(-1.0), 1000.0)
    assert float(filled.inner_radius) == 0.0
    assert float(lost.inner_radius) == float(lost.outer_radius)
    assert float(section(lost).area) == 0.0
