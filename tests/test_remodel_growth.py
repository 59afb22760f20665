"""Laws of a run whose outer surface moves: where bone grows, how much, and what it does to stiffness."""

import jax.numpy as jnp
import numpy as np
import pytest

from fem.equilibrium import solve
from fem.standard_tests import axial
from meshes.voxel import voxel_mesh
from remodel.model import Settings
from remodel.periosteum import PeriostealParameters
from remodel.person import DAYS_PER_YEAR, Person
from remodel.preparation import HabitualLoad, prepare
from remodel.simulation import run
from remodel.surface_layer import grid_layer, surface_layer

EDGE = 0.5
STILL = PeriostealParameters(steady_um_per_year=0.0, menopausal_um_per_year=0.0)
VELOCITY = 10.0
"""Outward velocity [µm/year]: so slow that four years widen the shaft by 8 % and hardly unload it."""
FAST = PeriostealParameters(steady_um_per_year=VELOCITY, menopausal_um_per_year=0.0)


def shaft(periosteum):
    """Return model and state of a square shaft of a woman of 20, cut across z, with room to grow outwards."""
    solid = np.zeros((6, 6, 4), bool)
    solid[1:5, 1:5, :] = True
    layer = grid_layer(solid, solid, spacing=(EDGE, EDGE, EDGE), cut=(2,))
    mesh = voxel_mesh(solid | layer.voxels, (EDGE, EDGE, EDGE))
    bone = voxel_mesh(solid, (EDGE, EDGE, EDGE))
    squeeze = axial(mesh)
    fraction = np.full(mesh.elements, 0.6)
    model, state = prepare(
        mesh,
        fraction,
        18_000.0 * fraction**2.58,
        loads=[HabitualLoad("compression", squeeze, -100.0)],
        tests=[squeeze],
        person=Person("female", 20.0, 65.0),
        layer=surface_layer(layer, mesh),
        periosteum=periosteum,
        settings=Settings(step_days=180, precision="double"),
    )
    return model, state, bone


def test_bone_starts_as_if_there_were_no_layer():
    model, state, bone = shaft(STILL)
    seen = run(model, state, years=1.0).observations
    np.testing.assert_allclose(seen.bone_volume, 0.6 * bone.elements * EDGE**3, rtol=1e-6)
    np.testing.assert_array_equal(seen.layer_fill, 0.0)
    # The empty layer has 1e-4 of the stiffness of the bone beside it, and as much section.
    alone = solve(bone, 18_000.0 * 0.6**2.58, axial(bone), precision="double")
    force = float(seen.stiffness[0, 0]) * axial(bone).motion
    assert abs(force / alone.reaction[2]) == pytest.approx(1.0, abs=5e-4)


def test_surface_that_moves_adds_its_area_times_its_way_and_stiffness_in_proportion():
    model, state, _ = shaft(FAST)
    seen = run(model, state, years=4.0).observations
    days = float(seen.day[-1])
    way = 1e-3 * VELOCITY * days / DAYS_PER_YEAR
    walls = 4 * (4 * EDGE) * (4 * EDGE)
    # Corners of the layer do not touch bone by a face, so the square grows by its walls alone. At 20 strain is
    # that of the reference at first; it falls by 4 % on average as the shaft widens, which slows growth by 1 %
    # and costs a little of the density of the bone that was there.
    gained = seen.bone_volume[-1] - seen.bone_volume[0]
    assert model.layer is not None
    thickness = np.asarray(model.layer.thickness)[np.asarray(model.layer.waiting)]
    np.testing.assert_allclose(seen.layer_fill[-1], np.mean(way / thickness), rtol=0.03)
    assert 0.9 < gained / (0.6 * walls * way) < 1.1
    stiffer = seen.stiffness[-1, 0] / seen.stiffness[0, 0]
    np.testing.assert_allclose(stiffer, seen.bone_volume[-1] / seen.bone_volume[0], rtol=0.03)


def test_layer_only_ever_fills_and_marrow_is_not_a_place_to_grow():
    solid = np.ones((5, 5, 3), bool)
    solid[2, 2, :] = False
    padded = np.pad(solid, ((1, 1), (1, 1), (0, 0)))
    filled = np.pad(np.ones((5, 5, 3), bool), ((1, 1), (1, 1), (0, 0)))
    layer = grid_layer(padded, filled, spacing=(1.0, 1.0, 1.0), cut=(2,))
    assert not layer.voxels[3, 3].any()
    model, state, _ = shaft(FAST)
    fills = [np.asarray(state.fill)]
    for years in (1.0, 2.0):
        fills.append(np.asarray(run(model, state, years=years).state.fill))
    assert np.all(np.diff(fills, axis=0) >= 0.0)
    assert jnp.all(jnp.asarray(fills[-1]) <= 1.0)
