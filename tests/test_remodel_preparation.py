"""Laws of the preparation: what the day of the scan starts from, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.equilibrium import SolveError
from fem.loads import Hold, Push, load_case
from fem.standard_tests import axial
from meshes.voxel import end_plane, voxel_mesh
from remodel.history import initial_tissue, live_through
from remodel.kernel import OSTEOCYTE_LENGTH
from remodel.loop import advance
from remodel.model import Model, Settings, State
from remodel.parameters import Parameters
from remodel.person import Person
from remodel.preparation import HabitualLoad, prepare
from remodel.treatment import treatment


@pytest.fixture(scope="module")
def young(block) -> tuple[Model, State]:
    """The block of a woman of 20."""
    return block()


@pytest.fixture(scope="module")
def aged(block) -> tuple[Model, State]:
    """The same block as if it were that of a woman two years past menopause."""
    return block(person=Person("female", 53.0, 51.0))


def test_young_bone_starts_adapted_and_in_balance(young):
    model, state = young
    np.testing.assert_allclose(model.reference, model.baseline_stimulus, rtol=1e-12)
    np.testing.assert_allclose(state.formation, state.resorption, rtol=1e-9)
    assert np.all(state.resorption > 0.0)
    assert int(state.day) == 0


def test_bone_after_menopause_starts_out_of_balance(young, aged):
    _, state = aged
    assert np.all(state.formation < state.resorption)
    assert float(jnp.mean(state.resorption)) > 1.3 * float(jnp.mean(young[1].resorption))
    assert np.all(state.tissue.mineral < young[1].tissue.mineral)


def test_the_density_on_day_0_is_that_of_the_scan_whatever_the_past(young, aged):
    np.testing.assert_allclose(aged[1].tissue.volume_fraction, young[1].tissue.volume_fraction, rtol=1e-12)


def test_the_reference_makes_habitual_strain_mean_what_the_history_says(aged):
    model, state = aged
    history = live_through(model.person, model.protocol, model.parameters)
    tissue, ratio = initial_tissue(history, state.tissue.volume_fraction, model.parameters)
    np.testing.assert_allclose(model.baseline_stimulus / model.reference, ratio, rtol=1e-12)
    for wanted, found in zip(jax.tree.leaves(tissue), jax.tree.leaves(state.tissue), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_twice_the_habitual_force_is_twice_the_stimulus_and_the_same_start(block, young):
    cube = voxel_mesh(np.ones((4, 4, 4), bool), (0.1, 0.1, 0.1))
    loads = [HabitualLoad("axial " + "xyz"[i], axial(cube, axis=i), 2.0 + 2.0 * i) for i in range(3)]
    model, state = block(loads=loads)
    np.testing.assert_allclose(model.baseline_stimulus, 2.0 * young[0].baseline_stimulus, rtol=1e-12)
    np.testing.assert_allclose(model.reference, 2.0 * young[0].reference, rtol=1e-12)
    np.testing.assert_allclose(state.resorption, young[1].resorption, rtol=1e-12)


def test_a_stiffer_bone_is_strained_less_by_the_same_force_and_starts_the_same(block, young):
    fraction = np.asarray(young[1].tissue.volume_fraction)
    model, state = block(modulus=24_000.0 * fraction**2.58)
    np.testing.assert_allclose(model.baseline_stimulus, 0.5 * young[0].baseline_stimulus, rtol=1e-9)
    np.testing.assert_allclose(state.resorption, young[1].resorption, rtol=1e-9)


def test_past_therapy_counts_and_therapy_that_starts_today_does_not_change_the_start(block, aged):
    person = Person("female", 53.0, 51.0)
    _, today = block(person=person, protocol=(treatment("estradiol-transdermal", 50.0, start_day=0.0),))
    _, before = block(person=person, protocol=(treatment("estradiol-transdermal", 50.0, start_day=-730.0),))
    for started, untreated in zip(jax.tree.leaves(today), jax.tree.leaves(aged[1]), strict=True):
        np.testing.assert_array_equal(started, untreated)
    assert float(jnp.mean(before.resorption)) < 0.9 * float(jnp.mean(aged[1].resorption))


def test_the_share_of_an_overall_reference_leads_from_the_local_one_to_it(block, young):
    overall = np.full(64, 8e-4)
    whole, _ = block(overall_reference=overall, overall_share=1.0)
    half, _ = block(overall_reference=overall, overall_share=0.5)
    none, _ = block(overall_reference=overall, overall_share=0.0)
    np.testing.assert_allclose(whole.reference, overall, rtol=1e-12)
    np.testing.assert_allclose(none.reference, young[0].reference, rtol=1e-12)
    np.testing.assert_allclose(half.reference**2, young[0].reference * 8e-4, rtol=1e-12)


def test_regions_are_measured_beside_the_living_bone(block):
    first = np.arange(64) < 32
    model, _ = block(regions={"first half": first}, living=~first)
    assert model.region_names == ("bone", "first half")
    np.testing.assert_array_equal(model.regions, np.stack([~first, first]))


def test_the_kernel_is_that_of_osteocytes_or_of_a_coarser_voxel(crumb, young):
    assert young[0].settings.kernel_length == OSTEOCYTE_LENGTH
    coarse = dataclasses.replace(crumb, spacing=(0.2, 0.3, 0.6))
    model, _ = prepare(
        coarse,
        np.full(coarse.elements, 0.3),
        500.0,
        loads=[HabitualLoad("axial", axial(coarse), 1.0)],
        tests=[axial(coarse)],
        person=Person("male", 30.0),
        settings=Settings(precision="double"),
    )
    assert model.settings.kernel_length == 0.6


def test_young_bone_under_motions_that_are_kept_starts_and_stays_adapted(block, young):
    cube = voxel_mesh(np.ones((4, 4, 4), bool), (0.1, 0.1, 0.1))
    model, state = block(
        loads=[HabitualLoad("axial " + "xyz"[i], axial(cube, axis=i)) for i in range(3)],
    )
    np.testing.assert_array_equal(model.forces, np.zeros(3))
    np.testing.assert_allclose(state.resorption, young[1].resorption, rtol=1e-9)
    after, _ = advance(model, state, 1)
    np.testing.assert_allclose(after.tissue.volume_fraction, state.tissue.volume_fraction, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"volume_fraction": np.full(63, 0.3)}, "`volume_fraction` has the shape"),
        (
            {"volume_fraction": np.linspace(0.0, 0.5, 64)},
            r"`volume_fraction` must lie in \(0, 1\].*element 0",
        ),
        ({"volume_fraction": np.full(64, 1.2)}, "64 of 64 elements"),
        ({"volume_fraction": np.full(64, np.nan)}, "`volume_fraction` must lie"),
        ({"modulus": np.full(64, -1.0)}, "`modulus` must be positive"),
    ],
)
def test_fields_that_do_not_fit_are_refused_with_the_first_wrong_element(block, given, words):
    with pytest.raises(ValueError, match=words):
        block(**({"modulus": 1000.0} | given))


def test_double_precision_must_be_switched_on(block):
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match="jax_enable_x64"):
            block(parameters=Parameters())
    finally:
        jax.config.update("jax_enable_x64", True)


def test_a_baseline_that_does_not_converge_is_an_error_with_advice(block):
    with pytest.raises(SolveError, match=r"`habitual` ended as `max_iterations` after 1 .*Allow more"):
        block(settings=Settings(step_days=180, precision="double", max_iterations=1))


def test_a_force_on_a_case_without_an_imposed_motion_is_refused(block):
    mesh = voxel_mesh(np.ones((6, 6, 6), bool), (0.1, 0.1, 0.1))
    top, bottom = (end_plane(mesh, axis=2, top=end) for end in (True, False))
    held = [Hold(bottom, axis) for axis in range(3)]
    pushed = load_case(mesh, holds=held, pushes=[Push(top, (0.0, 0.0, -1.0))], loaded=top)
    with pytest.raises(ValueError, match="imposes no motion"):
        block(loads=[HabitualLoad("push", pushed, -2.0)])
