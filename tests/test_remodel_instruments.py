"""Laws of the instruments: DXA sees size, single-energy CT sees fat, dual-energy CT sees neither."""

import jax.numpy as jnp
import numpy as np
import pytest

from meshes.voxel import element_volume, voxel_mesh
from remodel.instruments import (
    InstrumentParameters,
    areal_reading,
    beam,
    contour_volumes,
    dual_energy_density,
    lumbar_drift,
    marrow_fat,
    peripheral_reading,
    single_energy_density,
    with_lumbar_drift,
)

PARAMETERS = InstrumentParameters()
POSTMENOPAUSAL_DEFICIT = 0.65
"""Estrogen deficit that menopause leaves [-]."""
TRABECULAR = {57: (128.10, 0.13002), 60: (125.30, 0.12726)}
"""Mineral density [mg HA/cm³] and volume fraction of trabecular bone of a woman with menopause at 51, in the
model without space, by age."""


def block(shape, spacing=(0.5, 0.6, 0.8)):
    """Return the mesh of a block and a mask of all its elements."""
    mesh = voxel_mesh(np.ones(shape, bool), spacing)
    return mesh, jnp.ones(mesh.elements, bool)


def sides(solid):
    """Return a solid with empty voxels around it."""
    return np.pad(solid, 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_areal_density_is_density_times_depth(axis):
    mesh, everything = block((4, 5, 6))
    reading = areal_reading(jnp.full(mesh.elements, 300.0), everything, beam(mesh, axis=axis), PARAMETERS)
    depth = mesh.shape[axis] * mesh.spacing[axis]
    # 300 mg/cm³ = 0.3 g/cm³; depth in cm.
    assert float(reading.density) == pytest.approx(0.3 * depth / 10.0, rel=1e-12)
    assert float(reading.content) == pytest.approx(0.3 * mesh.elements * element_volume(mesh) / 1000.0)
    assert float(reading.content) == pytest.approx(float(reading.density * reading.area), rel=1e-12)


def test_content_does_not_depend_on_the_direction_of_the_rays(sponge, random):
    """Up to what thin pixels at the edge hold, below 5 % of the largest: none in this bone."""
    density = jnp.asarray(random.uniform(600.0, 1100.0, sponge.elements))
    everything = jnp.ones(sponge.elements, bool)
    exact = float(jnp.sum(density)) * element_volume(sponge) * 1e-6
    for axis in range(3):
        reading = areal_reading(density, everything, beam(sponge, axis=axis), PARAMETERS)
        assert float(reading.content) == pytest.approx(exact, rel=1e-12)


def test_a_bone_twice_as_large_reads_twice_as_dense_with_the_same_tissue():
    readings = []
    for size in (1.0, 2.0):
        mesh, everything = block((4, 4, 4), (size, size, size))
        density = jnp.full(mesh.elements, 300.0)
        reading = areal_reading(density, everything, beam(mesh, axis=1), PARAMETERS)
        readings.append(float(reading.density))
        assert float(dual_energy_density(density, everything)) == pytest.approx(300.0, rel=1e-14)
    assert readings[1] == pytest.approx(2.0 * readings[0], rel=1e-12)


def test_only_the_region_is_projected_and_holes_belong_to_its_outline():
    solid = sides(np.ones((6, 6, 6), bool))
    solid[4:6, 4:6, 3:7] = False
    mesh = voxel_mesh(solid, (1.0, 1.0, 1.0))
    x = np.unravel_index(mesh.voxels, mesh.shape)[0]
    half = jnp.asarray(x < 5)
    density = jnp.full(mesh.elements, 1000.0)
    reading = areal_reading(density, half, beam(mesh, axis=2), PARAMETERS)
    # 3 x 6 pixels of 1 mm² stay in the outline, the hole does not reach through.
    assert float(reading.area) == pytest.approx(0.18, rel=1e-12)
    assert float(reading.content) == pytest.approx(1e-3 * (3 * 6 * 6 - 1 * 2 * 4), rel=1e-12)


def test_a_film_at_the_edge_does_not_widen_the_bone():
    """A voxel layer filled to 2 %, as waits outside the periosteum, is under the edge."""
    mesh, everything = block((6, 6, 6), (1.0, 1.0, 1.0))
    x = np.unravel_index(mesh.voxels, mesh.shape)[0]
    density = jnp.asarray(np.where(x == 0, 0.02, 1.0) * 1000.0)
    reading = areal_reading(density, everything, beam(mesh, axis=2), PARAMETERS)
    assert float(reading.area) == pytest.approx(0.30, rel=1e-12)
    assert float(reading.density) == pytest.approx(0.6, rel=1e-12)


def test_lumbar_dxa_drifts_up_after_65_only():
    np.testing.assert_allclose(lumbar_drift(jnp.asarray([50.0, 65.0, 75.0]), PARAMETERS), [1.0, 1.0, 1.04])
    old, older = jnp.asarray(70.0), jnp.asarray(78.0)
    read = float(with_lumbar_drift(jnp.asarray(0.0), old, older, PARAMETERS))
    assert read == pytest.approx(8 * 0.004 / 1.02, rel=1e-12)
    without = InstrumentParameters(degenerative_drift=0.0)
    assert float(with_lumbar_drift(jnp.asarray(-0.03), old, older, without)) == pytest.approx(-0.03)


def women_at(age):
    """Return marrow fat of postmenopausal women [%]."""
    deficit = jnp.asarray(POSTMENOPAUSAL_DEFICIT)
    return marrow_fat(jnp.asarray(float(age)), "female", deficit, jnp.asarray(0.0), PARAMETERS)


def readings_at(age):
    """Return single- and dual-energy density of trabecular bone of a woman [mg/cm³]."""
    density, fraction = (jnp.full(10, value) for value in TRABECULAR[age])
    region = jnp.ones(10, bool)
    single = single_energy_density(density, fraction, region, women_at(age), PARAMETERS)
    return float(single), float(dual_energy_density(density, region))


def test_single_energy_reads_the_spine_too_low_by_what_was_measured():
    """17.6 % in women of 57. Marrow fat spreads by 8 % of its volume between people, which is 4 of 128 mg/cm³."""
    single, dual = readings_at(57)
    assert 100.0 * (1.0 - single / dual) == pytest.approx(17.6, abs=4.0)


def test_single_energy_overstates_three_years_of_loss_by_what_was_measured():
    """24.2 %, as loss in mg/cm³. The yearly rise of marrow fat is known within a factor of two at best."""
    (single, dual), (single_later, dual_later) = readings_at(57), readings_at(60)
    excess = (single - single_later) / (dual - dual_later) - 1.0
    assert 100.0 * excess == pytest.approx(24.2, abs=12.0)


def test_single_energy_hardly_errs_where_there_is_little_marrow():
    """3.2 % in the femoral neck's cortex, which CT of this resolution sees at about 500 mg/cm³, half bone."""
    density, fraction, region = jnp.full(4, 520.0), jnp.full(4, 0.5), jnp.ones(4, bool)
    single = float(single_energy_density(density, fraction, region, women_at(57), PARAMETERS))
    assert 100.0 * (1.0 - single / 520.0) == pytest.approx(3.2, abs=1.0)
    solid = single_energy_density(density, jnp.ones(4), region, women_at(57), PARAMETERS)
    assert float(solid) == 520.0


def test_marrow_of_young_women_is_leaner_than_mens_and_no_leaner_after_menopause():
    """27.2 and 32.0 % between 20 and 30; from 60 on women have as much or more."""
    none = jnp.asarray(0.0)
    young = [float(marrow_fat(jnp.asarray(25.0), sex, none, none, PARAMETERS)) for sex in ("female", "male")]
    np.testing.assert_allclose(young, [27.2, 32.0], atol=1.5)
    man = marrow_fat(jnp.asarray(70.0), "male", jnp.asarray(0.1), jnp.asarray(0.1), PARAMETERS)
    assert float(women_at(70)) > float(man) - 1.0


def test_testosterone_raises_single_energy_density_without_any_bone():
    density, fraction, region = jnp.full(4, 110.0), jnp.full(4, 0.11), jnp.ones(4, bool)

    def read(androgen_deficit):
        fat = marrow_fat(
            jnp.asarray(72.0), "male", jnp.asarray(0.1), jnp.asarray(androgen_deficit), PARAMETERS
        )
        return float(single_energy_density(density, fraction, region, fat, PARAMETERS))

    gain = read(0.0) / read(0.5) - 1.0
    # Half of the androgen deficit is 5 % of fat: 3 of 85 mg/cm³, half of what was seen in a year.
    assert 0.02 < gain < 0.05


def test_peripheral_reading_counts_pores_and_marrow_as_volume():
    x, y = np.meshgrid(np.arange(24) - 11.5, np.arange(24) - 11.5, indexing="ij")
    radius = np.repeat(np.hypot(x, y)[:, :, None], 6, axis=2)
    periosteal, endosteal = radius < 11.0, radius < 8.0
    wall = periosteal & ~endosteal
    solid = wall.copy()
    solid[:, 11, 2] = False
    pores = int(np.sum(wall & ~solid))
    solid[11:13, 11:13, :] = True
    rod = 4 * 6
    mesh = voxel_mesh(solid, (0.1, 0.1, 0.1))
    cortical = jnp.asarray(wall.reshape(-1)[mesh.voxels])
    between, inside = contour_volumes(periosteal, endosteal, mesh)
    reading = peripheral_reading(
        jnp.full(mesh.elements, 1000.0),
        jnp.full(mesh.elements, 1.0),
        cortical,
        ~cortical,
        cortical_volume=between,
        trabecular_volume=inside,
        voxel_volume=element_volume(mesh),
    )
    assert pores > 0
    assert float(reading.cortical_porosity) == pytest.approx(pores / wall.sum(), rel=1e-9)
    assert float(reading.cortical_density) == pytest.approx(1000.0 * (1.0 - pores / wall.sum()), rel=1e-9)
    assert float(reading.trabecular_density) == pytest.approx(1000.0 * rod / endosteal.sum(), rel=1e-9)
