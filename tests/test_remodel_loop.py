"""Laws of the loop: homeostasis, the closed forms, loads, symmetry, precision, steps, compilation."""

import dataclasses
import logging

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_law import REFERENCE_LAW

from fem.conjugate_gradients import Status
from fem.standard_tests import axial
from fem.statics import Precision
from fem.strength import smooth_failure_factor
from meshes.segmentation import largest_component
from meshes.synthetic import random_trabeculae
from meshes.voxel import voxel_mesh
from remodel.activity import habitual_life, with_bed_rest, with_training
from remodel.hormones import hormone_signals
from remodel.loop import advance, observe, step, worst, young_modulus
from remodel.model import Model, Settings, State
from remodel.parameters import Parameters
from remodel.person import Person
from remodel.preparation import HabitualLoad, prepare
from remodel.treatment import treatment

YEAR_STEPS = 2
"""Steps of the block's loop, 180 days each, in a year of 360 days."""
FORTY_YEARS = 40 * YEAR_STEPS


@pytest.fixture(scope="module")
def young(block) -> tuple[Model, State]:
    """The block of a woman of 20."""
    return block()


def lived(model: Model, state: State, steps: int) -> State:
    """Return the state after some steps, all of which must converge."""
    after, ends = advance(model, state, steps)
    assert worst(ends)[0] == Status.CONVERGED
    return after


def with_parameters(model: Model, **numbers: float) -> Model:
    """Return the model with other numbers in its law."""
    changed = {name: jnp.asarray(number, float) for name, number in numbers.items()}
    return dataclasses.replace(model, parameters=dataclasses.replace(model.parameters, **changed))


def with_person(model: Model, person: Person) -> Model:
    """Return the model with another person, from day 0 on."""
    return dataclasses.replace(model, person=jax.tree.map(lambda number: jnp.asarray(number, float), person))


def ageless(model: Model) -> Model:
    """Return the model without the falls of load and balance that age brings."""
    return with_parameters(model, early_load_decline=0.0, late_load_decline=0.0, balance_age=0.0)


def with_balance(model: Model, factor: float) -> Model:
    """Return the model of a woman long past menopause that acts on nothing but the balance of a site."""
    person = Person("female", 60.0, 30.0)
    deficit = hormone_signals(person, (), 0.0, REFERENCE_LAW).estrogen_deficit
    model = with_person(ageless(model), person)
    return with_parameters(
        model,
        balance_estrogen=(1.0 - factor) / float(deficit),
        rankl_estrogen=0.0,
        decoy_estrogen=0.0,
        set_point_estrogen=0.0,
    )


def gain(before: State, after: State) -> float:
    """Return bone volume after over before [-]."""
    now, then = (np.asarray(state.tissue.volume_fraction) for state in (after, before))
    return float(now.sum() / then.sum())


def test_reference_state_does_not_move(young):
    model, state = young
    for _ in range(5):
        after = lived(model, state, 1)
        for old, new in zip(jax.tree.leaves(state.tissue), jax.tree.leaves(after.tissue), strict=True):
            np.testing.assert_allclose(new, old, rtol=1e-12, atol=1e-14)
        state = after


def test_bone_without_age_keeps_every_density_for_forty_years(young):
    model, state = young
    after = lived(ageless(model), state, FORTY_YEARS)
    np.testing.assert_allclose(after.tissue.volume_fraction, state.tissue.volume_fraction, rtol=1e-6)


def test_fifth_more_load_builds_the_bone_of_the_closed_form(young):
    model, state = young
    loaded = dataclasses.replace(ageless(model), forces=1.2 * model.forces)
    after = lived(loaded, state, FORTY_YEARS)
    assert gain(state, after) == pytest.approx(1.2 ** (1.0 / 2.58), abs=0.003)
    assert gain(state, after) == pytest.approx(1.073, abs=0.003)


def test_seven_percent_less_balance_costs_the_bone_of_the_closed_form(young):
    model, state = young
    after = lived(with_balance(model, 0.93), state, FORTY_YEARS)
    assert gain(state, after) == pytest.approx(0.966, abs=0.003)


def test_sixty_and_a_hundred_and_eighty_days_between_solves_lose_the_same(young):
    model, state = young
    coarse = with_balance(model, 0.93)
    fine = dataclasses.replace(coarse, settings=model.settings._replace(step_days=60))
    steps = 3 * YEAR_STEPS  # when they differ most
    change = (
        lived(coarse, state, steps).tissue.volume_fraction
        / lived(fine, state, 3 * steps).tissue.volume_fraction
    )
    np.testing.assert_allclose(change, 1.0, atol=1e-3)


def test_symmetric_bone_under_symmetric_load_stays_symmetric(block, young):
    along_z = dataclasses.replace(young[0].activity, habitual_load=jnp.asarray([0.0, 0.0, 1.0]))
    model, state = block(activity=along_z)
    model = with_person(model, Person("female", 51.0, 51.0))
    after = lived(model, state, 10)
    density = np.asarray(after.tissue.volume_fraction).reshape(4, 4, 4)
    assert gain(state, after) < 0.98
    np.testing.assert_allclose(np.flip(density, 0), density, rtol=1e-12)
    np.testing.assert_allclose(np.flip(density, 1), density, rtol=1e-12)
    # One end is moved and the other is not, so along the axis only the solution is symmetric, to its
    # tolerance of 1e-6, and not its way there.
    np.testing.assert_allclose(np.flip(density, 2), density, rtol=1e-6)


def test_what_the_imposed_motion_is_does_not_matter_where_a_force_is_given(block, young):
    loads = [HabitualLoad("axial " + "xyz"[i], case, 1.0 + i) for i, case in enumerate(_axials(strain=-3e-4))]
    model, state = block(loads=loads)
    np.testing.assert_allclose(model.baseline_stimulus, young[0].baseline_stimulus, rtol=1e-5)
    person = Person("female", 51.0, 51.0)
    small = lived(with_person(model, person), state, 10)
    large = lived(with_person(young[0], person), young[1], 10)
    np.testing.assert_allclose(small.tissue.volume_fraction, large.tissue.volume_fraction, rtol=1e-5)


def test_without_a_force_the_imposed_strain_counts_and_weak_bone_is_not_strained_more(block, young):
    cases = enumerate(_axials(strain=-1e-3))
    model, state = block(loads=[HabitualLoad("axial " + "xyz"[i], case) for i, case in cases])
    # Strain varies from place to place in uneven bone but is a thousandth in the mean over any column.
    assert float(jnp.mean(model.baseline_stimulus)) == pytest.approx(1e-3 * 3**0.25, rel=0.2)
    strained = lived(with_balance(model, 0.93), state, 10 * YEAR_STEPS)
    forced = lived(with_balance(young[0], 0.93), young[1], 10 * YEAR_STEPS)
    assert gain(state, strained) < gain(state, forced) - 0.02


def test_bed_rest_loses_bone_and_training_gains_it(young):
    model, state = young
    rest = with_bed_rest(habitual_life(3), start_day=0.0, stop_day=360.0)
    training = with_training(
        habitual_life(3), start_day=0.0, stop_day=360.0, sets_per_week=40.0, repetitions=5.0, load=2.5
    )
    rested = lived(dataclasses.replace(model, activity=rest), state, YEAR_STEPS)
    trained = lived(dataclasses.replace(model, activity=training), state, YEAR_STEPS)
    assert gain(state, rested) < 0.97
    assert gain(state, trained) > 1.01


def test_bone_recovers_after_bed_rest(young):
    model, state = young
    rest = with_bed_rest(habitual_life(3), start_day=0.0, stop_day=180.0)
    model = dataclasses.replace(ageless(model), activity=rest)
    rested = lived(model, state, 1)
    recovered = lived(model, rested, 20 * YEAR_STEPS)
    assert gain(state, rested) < 0.985
    assert gain(state, recovered) == pytest.approx(1.0, abs=0.003)


def test_what_does_not_live_keeps_its_tissue_and_its_modulus(block):
    living = np.ones((4, 4, 4), bool)
    living[:, :, 0] = False
    living = living.reshape(-1)
    model, state = block(living=living)
    model = with_person(model, Person("female", 51.0, 51.0))
    after = lived(model, state, 10)
    for old, new in zip(jax.tree.leaves(state.tissue), jax.tree.leaves(after.tissue), strict=True):
        np.testing.assert_array_equal(new[~living], old[~living])
    np.testing.assert_array_equal(young_modulus(model, after.tissue, None)[~living], model.modulus[~living])
    assert np.all(after.tissue.volume_fraction[living] < state.tissue.volume_fraction[living])
    assert not np.any(after.resorption[~living])
    _, seen = observe(model, after)
    volume = 0.001 * float(jnp.sum(after.tissue.volume_fraction[living]))
    assert float(seen.bone_volume) == pytest.approx(volume, rel=1e-12)
    mean = float(jnp.mean(after.tissue.volume_fraction[living]))
    assert float(seen.bone_volume_fraction[0]) == pytest.approx(mean, rel=1e-12)


def test_elements_beside_loaded_planes_follow_the_mean_of_the_others(block, young):
    model, state = block(frozen_margin=0.05)
    sensing = np.asarray(model.sensing).reshape(4, 4, 4)
    inner = np.zeros((4, 4, 4), bool)
    inner[1:3, 1:3, 1:3] = True  # all six planes are held, and 0.05 mm is less than a voxel
    np.testing.assert_array_equal(sensing, inner)
    # Where all strain changes alike, the mean of the others is each one's own.
    loaded = dataclasses.replace(ageless(model), forces=1.2 * model.forces)
    free = dataclasses.replace(ageless(young[0]), forces=1.2 * model.forces)
    np.testing.assert_allclose(
        lived(loaded, state, 1).tissue.volume_fraction,
        lived(free, young[1], 1).tissue.volume_fraction,
        rtol=1e-6,
    )


def test_a_bad_end_stops_the_loop_early(young):
    model, state = young
    broken = eqx.tree_at(lambda m: m.modulus, model, model.modulus.at[7].set(jnp.nan))
    after, ends = advance(broken, state, 5)
    assert int(after.day) == 180
    assert worst(ends)[0] == Status.NOT_FINITE


def test_another_person_dose_law_or_number_of_steps_does_not_compile_anew(block, caplog):
    model, state = block(protocol=(treatment("estradiol-transdermal", 25.0),))
    lived(model, state, 1)
    observe(model, state)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        jax.jit(lambda x: x + 1.0)(jnp.zeros(7))
        assert "Compiling" in caplog.text  # that is how a compilation would show
        caplog.clear()
        other, state = block(
            person=Person("female", 52.0, 50.0, oophorectomy=51.0),
            protocol=(treatment("estradiol-transdermal", 50.0, start_day=100.0),),
        )
        state = lived(with_parameters(other, resorption_gain=0.7), state, 3)
        observe(other, state)
        programs = [line for line in caplog.messages if line.startswith("Compiling")]
    large = ("advance", "observe", "tissue_of_the_past", "sense_baseline", "first_turnover")
    assert [line for line in programs if any(f"jit(_{name})" in line for name in large)] == []


def test_other_agents_training_or_another_sex_compile_no_finite_element_program_anew(block, caplog):
    model, state = block()
    observe(model, lived(model, state, 1))
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        protocol = (treatment("romosozumab", 210.0), treatment("alendronate", 70.0, start_day=360.0))
        training = with_training(
            habitual_life(3), start_day=0.0, stop_day=300.0, sets_per_week=40.0, repetitions=5.0, load=2.0
        )
        other, state = block(person=Person("male", 62.0), protocol=protocol, activity=training)
        observe(other, lived(other, state, 2))
        programs = [line for line in caplog.messages if line.startswith("Compiling")]
    assert any("jit(_ahead)" in line for line in programs)  # the small one of their levels
    large = ("advance", "observe", "sense_baseline", "first_turnover")
    assert [line for line in programs if any(f"jit(_{name})" in line for name in large)] == []


@pytest.mark.slow
def test_precisions_agree(block):
    lost = {}
    cases: list[tuple[Precision, Parameters | None]]
    cases = [("double", None), ("mixed", None), ("single", REFERENCE_LAW)]
    for precision, parameters in cases:
        given = {} if parameters is None else {"parameters": parameters}
        tolerance = 1e-5 if precision == "single" else 1e-6
        settings = Settings(step_days=180, precision=precision, tolerance=tolerance)
        model, state = block(person=Person("female", 51.0, 51.0), settings=settings, **given)
        lost[precision] = np.asarray(lived(model, state, 20).tissue.volume_fraction, np.float64)
    np.testing.assert_allclose(lost["mixed"], lost["double"], rtol=1e-6)  # the tolerance of both solves
    np.testing.assert_allclose(lost["single"], lost["double"], rtol=1e-4)  # 1800 short steps, each rounded


@pytest.mark.slow
def test_estradiol_prevents_what_menopause_costs_and_strength_falls_more_than_mass():
    grid = random_trabeculae(
        shape=(12, 12, 12), spacing=(0.1, 0.1, 0.1), period=0.8, volume_fraction=0.35, seed=3
    )
    mesh = voxel_mesh(largest_component(grid).solid, (0.1, 0.1, 0.1))
    case = axial(mesh)
    ratio = {}
    for name, dose in (("untreated", 0.0), ("treated", 50.0)):
        model, state = prepare(
            mesh,
            np.full(mesh.elements, 0.9),
            12_000.0,
            loads=[HabitualLoad("axial", case, 3.0)],
            tests=[case],
            person=Person("female", 51.0, 51.0),
            protocol=(treatment("estradiol-transdermal", dose),),
            settings=Settings(step_days=180),
        )
        state, before = observe(model, state)
        _, after = observe(model, lived(model, state, 10 * YEAR_STEPS))
        names = ("bone_volume", "mineral_density", "stiffness", "failure_load")
        ratio[name] = {n: float(jnp.ravel(getattr(after, n) / getattr(before, n))[0]) for n in names}
    untreated, treated = ratio["untreated"], ratio["treated"]
    assert 0.85 < untreated["bone_volume"] < 0.98
    assert untreated["bone_volume"] + 0.01 < treated["bone_volume"] <= 1.01
    assert untreated["mineral_density"] < untreated["bone_volume"] + 0.01
    for name in ("stiffness", "failure_load"):
        assert untreated[name] < untreated["bone_volume"] - 0.01
        assert untreated[name] < treated[name]


@pytest.mark.slow
def test_derivatives_flow_through_years_forwards_and_backwards(block):
    """Of bone mass after three steps with respect to a softer tissue, through every solve on the way."""
    model, state = block(settings=Settings(step_days=180, precision="double", tolerance=1e-10))

    def mass(scale: jax.Array) -> jax.Array:
        softer, after = dataclasses.replace(model, modulus=model.modulus / scale), state
        for _ in range(3):
            after, _ = step(softer, after)
        return jnp.sum(after.tissue.volume_fraction)

    one, small = jnp.asarray(1.0), 3e-4
    plain = jax.jit(mass)
    slope = float(plain(one + small) - plain(one - small)) / (2.0 * small)
    forwards = jax.jit(lambda at: jax.jvp(mass, (at,), (jnp.ones_like(at),))[1])(one)
    backwards = jax.jit(jax.grad(mass))(one)
    assert slope != 0.0
    assert float(forwards) == pytest.approx(slope, rel=1e-5)
    assert float(backwards) == pytest.approx(float(forwards), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dose", "set point"])
def test_derivative_of_strength_after_ten_years_agrees_with_finite_differences(block, name):
    """With respect to the dose of a patch and to the shift of the set point, through every solve on the way."""
    model, state = block(
        person=Person("female", 51.0, 51.0),
        protocol=(treatment("estradiol-transdermal", 40.0),),
        settings=Settings(step_days=720, inner_step_days=8.0, precision="double", tolerance=1e-10),
    )

    def place(model):
        return model.protocol[0].dose if name == "dose" else model.parameters.set_point_estrogen

    def strength(number: jax.Array) -> jax.Array:
        other = eqx.tree_at(place, model, number)
        after, _ = jax.lax.scan(lambda now, _: (step(other, now)[0], None), state, None, length=5)
        _, seen = observe(other, after)
        weights = after.tissue.volume_fraction
        factor = smooth_failure_factor(seen.effective_strain[0], bone_volume=weights)
        return jnp.abs(seen.stiffness[0]) * factor

    number = jnp.asarray(place(model), float)
    change = 1e-3 * number
    plain = jax.jit(strength)
    slope = float(plain(number + change) - plain(number - change)) / (2.0 * float(change))
    forwards = jax.jit(lambda at: jax.jvp(strength, (at,), (jnp.ones_like(at),))[1])(number)
    assert slope != 0.0
    assert float(forwards) == pytest.approx(slope, rel=1e-4)


def _axials(*, strain: float):
    mesh = voxel_mesh(np.ones((4, 4, 4), bool), (0.1, 0.1, 0.1))
    return [axial(mesh, axis=i, strain=strain) for i in range(3)]
