"""The model against clinical results: the committed table is what the code gives, and batches change nothing."""

import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechanostat.target_courses import follow, prepare_courses
from mechanostat.target_quantities import relative_course
from mechanostat.targets import read_trials
from mechanostat.trial_file import trial_of
from mechanostat.validation import measure
from mechanostat.validation_report import TABLE, figure, page, table
from remodel.activity import habitual_life
from remodel.neck import neck_section
from remodel.parameters import Parameters
from remodel.person import Person
from remodel.skeleton import follow_person
from remodel.trial import run_trial

DOCS = Path(__file__).resolve().parents[1] / "docs"
PRINTED = 2e-3
"""The table has four digits; the rest is for other processors and versions."""


@pytest.mark.slow
def test_the_committed_table_is_what_the_model_gives():
    judged = measure()
    with (DOCS / TABLE).open(encoding="utf-8", newline="") as file:
        committed = list(csv.DictReader(file))
    assert [row["id"] for row in committed] == [one.target.id for one in judged]
    for row, one in zip(committed, judged, strict=True):
        assert (row["model"] == "") == (one.value is None), row["id"]
        if one.value is not None:
            assert one.value == pytest.approx(float(row["model"]), rel=PRINTED, abs=PRINTED), row["id"]
    fresh = list(csv.DictReader(table(judged).splitlines()))
    assert [row["verdict"] for row in fresh] == [row["verdict"] for row in committed]
    assert all(one.target.id in page(judged) for one in judged)
    assert len(figure(judged).axes) == 1


@pytest.mark.slow
def test_arms_in_one_batch_end_as_in_their_own_trials():
    names, months = ("snyder_2000", "leblanc_1990", "burnett_bowie_2009"), 6
    trials = {name: trial for name, trial in read_trials().items() if name in names}
    courses, places = prepare_courses(trials, dict.fromkeys(names, months))
    assert len(courses.batches) == 1
    law = jax.tree.map(lambda number: jnp.asarray(number, dtype=float), Parameters())
    ((persons, followed),) = jax.jit(follow)(courses, law)
    for name, trial in trials.items():
        alone = run_trial(trial_of(trial), law)
        outcome = alone.outcomes[0]
        quantity = (outcome.quantity, outcome.site, outcome.instrument)
        for arm in alone.arms:
            _, first, count = places[name, arm.name]
            rows = slice(first, first + count)
            seen = jax.vmap(lambda p, c, q=quantity: relative_course(c, p, q, law))(
                *jax.tree.map(lambda leaf, rows=rows: leaf[rows], (persons, followed))
            )
            visit = alone.visits[1]
            if visit > months:
                continue
            expected = arm.values[:, 1, 0]
            np.testing.assert_allclose(100.0 * (seen[:, visit] - 1.0), expected, rtol=1e-9, atol=1e-9)


def test_a_neck_widens_through_menopause_and_its_cavity_too():
    law = jax.tree.map(lambda number: jnp.asarray(number, dtype=float), Parameters())
    woman = Person("female", 50.0, 51.0, testosterone=25.0)
    course = jax.jit(lambda p: follow_person(p, (), (), habitual_life(1), law, months=60))(woman)
    neck = neck_section(course, law)
    assert np.all(np.diff(neck.outer_diameter) > 0.0)
    assert neck.area[-1] < neck.area[0]
    # Width makes up for part of what the cavity and the pores take.
    assert neck.section_modulus[-1] / neck.section_modulus[0] > neck.area[-1] / neck.area[0]
