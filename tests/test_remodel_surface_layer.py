"""Laws of the layer outside the periosteum: it is outside, it adds the volume the surface sweeps, it ends."""

import jax.numpy as jnp
import numpy as np
import pytest

from meshes.regions import section_regions
from meshes.voxel import element_volume, voxel_mesh
from remodel.surface_layer import (
    SMALLEST_FILL,
    SMALLEST_STIFFNESS,
    advance_fill,
    empty_fill,
    grid_layer,
    layer_fraction,
    layer_modulus,
    surface_layer,
)

SPACING = (0.1, 0.12, 0.15)


def coordinates(shape, spacing):
    """Return the centred coordinates of every voxel [mm]."""
    axes = [(np.arange(n) - 0.5 * (n - 1)) * edge for n, edge in zip(shape, spacing, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def ring(outer, inner, planes=6):
    """Return a section of a tube along z, its periosteal mask and a canal through its wall."""
    x, y, _ = coordinates((64, 56, planes), SPACING)
    radius = np.hypot(x, y)
    periosteal = radius < outer
    solid = periosteal & (radius >= inner)
    return solid, periosteal


def added_per_way(layer, spacing):
    """Return the volume that the layer takes up per way of the surface [mm²]."""
    return np.sum(np.prod(spacing) / layer.thickness[layer.voxels])


def prepared(outer=2.4, inner=1.8):
    solid, periosteal = ring(outer, inner)
    layer = grid_layer(solid, periosteal, spacing=SPACING, cut=(2,))
    mesh = voxel_mesh(solid | layer.voxels, SPACING)
    return solid, layer, mesh, surface_layer(layer, mesh)


def test_the_layer_is_outside_bone_marrow_and_cut():
    solid, periosteal = ring(2.4, 1.8)
    longer = np.pad(solid, ((0, 0), (0, 0), (3, 3)))
    layer = grid_layer(longer, np.pad(periosteal, ((0, 0), (0, 0), (3, 3))), spacing=SPACING, cut=(2,))
    x, y, _ = coordinates(longer.shape, SPACING)
    assert np.all(np.hypot(x, y)[layer.voxels] >= 2.4)
    assert not layer.voxels[:, :, :3].any()
    assert not layer.voxels[:, :, -3:].any()
    assert np.all(np.any(layer.voxels[:, :, 3:-3], axis=(0, 1)))


def test_a_canal_through_the_wall_is_no_way_to_the_marrow():
    """The surface is the closed one of the regions, so the walls of a canal do not grow outwards."""
    solid, _ = ring(2.4, 1.8)
    pierced = solid.copy()
    pierced[:32, 27:29, 2:4] = False
    periosteal = section_regions(pierced, spacing=SPACING, axis=2).periosteal
    layer = grid_layer(pierced, periosteal, spacing=SPACING, cut=(2,))
    x, y, _ = coordinates(solid.shape, SPACING)
    assert np.all(np.hypot(x, y)[layer.voxels] >= 2.4 - max(SPACING))
    assert (
        layer.voxels.sum()
        > 0.9 * grid_layer(solid, ring(2.4, 1.8)[1], spacing=SPACING, cut=(2,)).voxels.sum()
    )


@pytest.mark.parametrize("normal", [(1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (3.0, 2.0, 1.0), (1.0, 1.0, 1.0)])
def test_a_plane_of_any_direction_sweeps_its_area_times_the_way(normal):
    shape, spacing = (48, 48, 48), (0.1, 0.1, 0.1)
    x, y, z = coordinates(shape, spacing)
    unit = np.asarray(normal) / np.linalg.norm(normal)
    height = unit[0] * x + unit[1] * y + unit[2] * z
    across = np.sqrt(np.maximum(x**2 + y**2 + z**2 - height**2, 0.0))
    # A slab whose far side and rim are left out of the count.
    slab = (height < 0.013) & (height > -0.6) & (across < 1.9)
    layer = grid_layer(slab, slab, spacing=spacing)
    counted = layer.voxels & (across < 1.2) & (height > -0.3)
    area = np.sum(1e-3 / layer.thickness[counted])
    # The disc that is counted has a radius of 12 voxels; its rim cuts through some of them.
    assert area == pytest.approx(np.pi * 1.2**2, rel=0.03)


def test_round_bones_sweep_their_surface_times_the_way():
    """A tube and a ball of 20 voxels; the surface grows while it moves, and stairs leave two percent."""
    solid, periosteal = ring(2.4, 1.8)
    layer = grid_layer(solid, periosteal, spacing=SPACING, cut=(2,))
    way, height = layer.thickness[layer.voxels].mean(), 6 * SPACING[2]
    surface = np.pi * ((2.4 + way) ** 2 - 2.4**2) * height / way
    assert added_per_way(layer, SPACING) == pytest.approx(surface, rel=0.02)
    x, y, z = coordinates((48, 48, 48), (0.1, 0.1, 0.1))
    ball = np.sqrt(x**2 + y**2 + z**2) < 2.0
    layer = grid_layer(ball, ball, spacing=(0.1, 0.1, 0.1))
    way = layer.thickness[layer.voxels].mean()
    surface = 4.0 / 3.0 * np.pi * ((2.0 + way) ** 3 - 2.0**3) / way
    assert added_per_way(layer, (0.1, 0.1, 0.1)) == pytest.approx(surface, rel=0.02)


def test_a_bone_without_room_is_refused():
    solid = np.ones((4, 4, 4), bool)
    with pytest.raises(ValueError, match="touches the border of the grid along axis 0"):
        grid_layer(solid, solid, spacing=SPACING)
    with pytest.raises(ValueError, match="axis 1"):
        grid_layer(
            np.pad(solid, ((1, 1), (0, 0), (0, 0))), np.pad(solid, ((1, 1), (0, 0), (0, 0))), spacing=SPACING
        )


def test_a_mesh_without_the_layer_is_refused():
    solid, layer, _, _ = prepared()
    with pytest.raises(ValueError, match="voxel_mesh"):
        surface_layer(layer, voxel_mesh(solid, SPACING))


def test_every_element_of_the_layer_grows_from_the_bone_beside_it():
    solid, _, mesh, elements = prepared()
    place = np.stack(np.unravel_index(mesh.voxels, mesh.shape), axis=1)
    waiting, host = np.asarray(elements.waiting), np.asarray(elements.host)
    assert waiting.sum() == mesh.elements - solid.sum()
    assert np.all(np.abs(place - place[host])[waiting].sum(axis=1) == 1)
    assert not waiting[host].any()
    np.testing.assert_array_equal(host[~waiting], np.flatnonzero(~waiting))


def test_bone_grows_by_what_the_surface_sweeps_until_the_layer_is_full():
    _, _, mesh, elements = prepared()
    fill = empty_fill(elements)
    velocity = jnp.full(mesh.elements, 1e-5)
    later = advance_fill(fill, velocity, elements, 1000.0)
    swept = float(jnp.sum(later - fill)) * element_volume(mesh)
    surface = 2.0 * np.pi * 2.4 * 6 * SPACING[2]
    assert swept == pytest.approx((1.0 - SMALLEST_FILL) * surface * 1e-2, rel=0.03)
    np.testing.assert_array_equal(later[~elements.waiting], 1.0)
    full = advance_fill(fill, velocity, elements, 1e6)
    np.testing.assert_array_equal(full, 1.0)
    filled_when = float(jnp.max(elements.thickness)) / 1e-5
    assert np.all(advance_fill(fill, velocity, elements, 1.001 * filled_when) == 1.0)


def test_an_empty_layer_weighs_and_bears_next_to_nothing_and_a_full_one_like_its_host(random):
    _, _, mesh, elements = prepared()
    fraction = jnp.asarray(random.uniform(0.7, 0.95, mesh.elements))
    modulus = 18_000.0 * fraction**2.58
    waiting = np.asarray(elements.waiting)
    host = elements.host
    empty, full = empty_fill(elements), jnp.ones(mesh.elements)
    bare = layer_modulus(empty, modulus, elements)
    np.testing.assert_allclose(bare[waiting], SMALLEST_STIFFNESS * modulus[host][waiting], rtol=1e-9)
    np.testing.assert_allclose(
        layer_fraction(empty, fraction, elements)[waiting], 0.02 * fraction[host][waiting]
    )
    np.testing.assert_array_equal(layer_modulus(full, modulus, elements), modulus[host])
    np.testing.assert_array_equal(layer_fraction(full, fraction, elements), fraction[host])
    for values in (bare, layer_modulus(full, modulus, elements)):
        np.testing.assert_array_equal(values[~waiting], modulus[~waiting])
