"""The same bone without space: at rest where nothing changes, and each element what it would be alone."""

import jax
import jax.numpy as jnp
import numpy as np

from remodel.activity import habitual_life
from remodel.history import single_elements
from remodel.mineral import modulus_ratio
from remodel.parameters import Parameters
from remodel.person import Person
from remodel.single_element import course
from remodel.treatment import treatment
from remodel.without_space import course_without_space

YOUNG, MENOPAUSAL = Person("female", 20.0), Person("female", 51.0, 51.0)
INTERVALS = {"interval": 120.0, "samples": 6, "steps": 40}


def lived(person, fraction, protocol=()):
    modulus = jnp.asarray(fraction) ** 2.58
    return course_without_space(
        person, protocol, habitual_life(1), Parameters(), jnp.asarray(fraction), modulus, **INTERVALS
    )


def test_young_bone_stays_what_it_is():
    found = lived(YOUNG, np.linspace(0.1, 0.9, 17))
    np.testing.assert_array_equal(found.day, 120.0 * np.arange(7))
    np.testing.assert_allclose(found.volume, 1.0, rtol=1e-4)
    np.testing.assert_allclose(found.mineral, 1.0, rtol=1e-4)
    np.testing.assert_allclose(found.stiffness, 1.0, rtol=1e-3)


def test_bone_of_densities_in_the_table_is_the_sum_of_its_single_elements():
    young, today = single_elements(MENOPAUSAL, (), Parameters())
    alone = course(today, young, MENOPAUSAL, (), habitual_life(1), Parameters(), start_day=0.0, **INTERVALS)
    chosen = np.array([5, 5, 20, 40])
    found = lived(MENOPAUSAL, today.volume_fraction[chosen])
    for name, after, before in (
        ("volume", alone.tissue.volume_fraction, today.volume_fraction),
        ("mineral", alone.tissue.mineral, today.mineral),
    ):
        expected = jnp.sum(after[:, chosen], axis=1) / jnp.sum(before[chosen])
        np.testing.assert_allclose(getattr(found, name)[1:], expected, rtol=1e-9)
        np.testing.assert_allclose(getattr(found, name)[0], 1.0, rtol=1e-12)
    start, last = (jax.tree.map(lambda row, k=k: row[k][chosen], alone.tissue.matrix) for k in (0, -1))
    before = jax.tree.map(lambda row: row[chosen], today.matrix)
    weights = today.volume_fraction[chosen] ** 2.58
    for place, matrix in ((1, start), (-1, last)):
        ratio = modulus_ratio(matrix, before, Parameters())
        np.testing.assert_allclose(
            found.stiffness[place], jnp.sum(weights * ratio) / jnp.sum(weights), rtol=1e-9
        )


def test_menopause_costs_bone_and_a_patch_keeps_part_of_it():
    fraction = np.full(3, 0.2)
    without, patched = (
        lived(MENOPAUSAL, fraction, (treatment("estradiol-transdermal", dose),)) for dose in (0.0, 50.0)
    )
    assert without.volume[-1] < patched.volume[-1] < 1.0
    assert jnp.all(jnp.diff(without.volume) < 0.0)
    assert without.stiffness[-1] < without.volume[-1]  # with the modulus exponent


def test_gradient_in_the_dose_agrees_with_finite_differences():
    fraction = np.array([0.15, 0.3])

    def kept(dose):
        return lived(MENOPAUSAL, fraction, (treatment("estradiol-transdermal", dose),)).volume[-1]

    at, step = jnp.asarray(40.0), 0.05
    difference = (kept(at + step) - kept(at - step)) / (2.0 * step)
    np.testing.assert_allclose(jax.grad(kept)(at), difference, rtol=1e-5)
