"""Bones from formulas."""

import math

import numpy as np
import pytest

from meshes.resampling import bone_fraction
from meshes.segmentation import largest_component
from meshes.synthetic import beam, cube, filled_shaft, gyroid, hollow_shaft, random_trabeculae

SPACING = (0.05, 0.06, 0.08)
SHAPE = (60, 50, 40)


def test_cube_is_solid():
    assert cube(3).shape == (3, 3, 3)
    assert cube(3).all()


def test_beam_has_the_sides_it_was_asked_for():
    assert beam(length=3.0, width=0.4, height=0.6, spacing=(0.1, 0.2, 0.3)).shape == (30, 2, 2)


def test_beam_refuses_a_side_that_voxels_cannot_make():
    with pytest.raises(ValueError, match="`height` must be a whole number of voxels"):
        beam(length=3.0, width=0.4, height=0.7, spacing=(0.1, 0.2, 0.3))


def test_area_of_a_shaft_comes_closer_on_a_finer_grid():
    exact = math.pi * (3.0**2 - 2.0**2)
    errors = []
    for edge in (0.2, 0.1, 0.05):
        section = hollow_shaft(outer_radius=3.0, inner_radius=2.0, length=edge, spacing=(edge, edge, edge))
        errors.append(abs(section.sum() * edge**2 / exact - 1.0))
    assert errors[0] < 0.03
    assert errors[2] < 0.003


def test_shaft_is_symmetric_and_just_fills_its_grid():
    shaft = hollow_shaft(outer_radius=3.0, inner_radius=2.0, length=1.0, spacing=(0.1, 0.15, 0.2))
    assert shaft.shape == (60, 40, 5)
    assert np.array_equal(shaft, shaft[::-1])
    assert np.array_equal(shaft, shaft[:, ::-1])
    assert shaft[0].any()
    assert shaft[:, 0].any()


def test_shaft_refuses_a_wall_without_thickness():
    with pytest.raises(ValueError, match="`inner_radius` must be at least 0 and below"):
        hollow_shaft(outer_radius=2.0, inner_radius=2.0, length=1.0, spacing=(0.1, 0.1, 0.1))


def test_shaft_volume_is_better_from_subdivided_voxels():
    fine = hollow_shaft(outer_radius=3.0, inner_radius=2.0, length=0.2, spacing=(0.05, 0.05, 0.2))
    coarse = bone_fraction(fine, (4, 4, 1))
    exact = math.pi * (3.0**2 - 2.0**2)
    assert coarse.sum(dtype=np.float64) * 0.2**2 == pytest.approx(exact, rel=3e-3)


@pytest.mark.parametrize("fraction", [0.08, 0.15, 0.3, 0.6])
def test_trabeculae_have_the_bone_volume_fraction_asked_for(fraction):
    bone = random_trabeculae(shape=SHAPE, spacing=SPACING, period=1.2, volume_fraction=fraction, seed=1)
    assert bone.mean() == pytest.approx(fraction, abs=1.0 / bone.size)
    # The lattice is symmetric, so many voxels tie.
    lattice = gyroid(shape=SHAPE, spacing=SPACING, period=1.0, volume_fraction=fraction)
    assert lattice.mean() == pytest.approx(fraction, abs=0.01)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3])
def test_trabeculae_hang_together(fraction):
    random = random_trabeculae(shape=SHAPE, spacing=SPACING, period=1.2, volume_fraction=fraction, seed=1)
    lattice = gyroid(shape=SHAPE, spacing=SPACING, period=1.0, volume_fraction=fraction)
    for bone in (random, lattice):
        assert largest_component(bone).removed_voxels < 0.02 * bone.sum()


def test_gyroid_of_a_third_is_one_piece_and_so_is_its_marrow():
    bone = gyroid(shape=(40, 40, 40), spacing=(0.05, 0.05, 0.05), period=1.0, volume_fraction=0.33)
    assert largest_component(bone).islands == 0
    # At a corner of the grid a voxel of marrow can be cut off.
    assert largest_component(~bone).removed_voxels < 1e-3 * bone.size


def test_gyroid_repeats_after_a_period():
    bone = gyroid(shape=(40, 40, 40), spacing=(0.05, 0.05, 0.05), period=1.0, volume_fraction=0.33)
    # Single precision moves voxels that lie on the surface.
    assert np.mean(bone[:20] != bone[20:]) < 1e-3


def test_the_same_seed_gives_the_same_bone_and_another_does_not():
    def bone(seed: int) -> np.ndarray:
        return random_trabeculae(shape=SHAPE, spacing=SPACING, period=1.2, volume_fraction=0.2, seed=seed)

    assert np.array_equal(bone(5), bone(5))
    assert np.mean(bone(5) != bone(6)) > 0.2


def test_stretch_makes_struts_along_its_axis():
    bone = random_trabeculae(
        shape=(48, 48, 48),
        spacing=(0.05, 0.05, 0.05),
        period=0.8,
        volume_fraction=0.2,
        seed=2,
        stretch=(1.0, 1.0, 2.0),
    )
    # Changes from bone to marrow along a line: fewer along the struts.
    across, along = np.mean(bone[1:] != bone[:-1]), np.mean(bone[:, :, 1:] != bone[:, :, :-1])
    assert along < 0.7 * across


def test_fraction_of_a_filled_shaft_is_that_of_its_cavity():
    sizes = {"outer_radius": 2.0, "length": 2.0, "spacing": (0.05, 0.05, 0.1)}
    bone = filled_shaft(**sizes, cortical_thickness=0.4, period=1.0, volume_fraction=0.15, seed=0)
    cortex = hollow_shaft(**sizes, inner_radius=1.6)
    cavity = hollow_shaft(**sizes, inner_radius=0.0) & ~cortex
    assert bone[cortex].all()
    assert bone[cavity].mean() == pytest.approx(0.15, abs=1e-4)
    assert not (bone & ~cortex & ~cavity).any()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, float("nan")])
def test_a_fraction_outside_zero_and_one_is_refused(fraction):
    with pytest.raises(ValueError, match="`volume_fraction` must lie between 0 and 1"):
        gyroid(shape=SHAPE, spacing=SPACING, period=1.0, volume_fraction=fraction)
