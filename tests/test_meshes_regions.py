"""Cortical and trabecular compartments."""

import numpy as np
import pytest

from meshes.regions import CORTICAL, TRABECULAR, VOID, region_labels, section_regions, whole_bone_regions
from meshes.synthetic import filled_shaft, hollow_shaft

SPACING = (0.08, 0.07, 0.1)
OUTER, CORTEX = 3.0, 0.6


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2.0 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


@pytest.fixture(scope="module")
def shaft() -> np.ndarray:
    bone = filled_shaft(
        outer_radius=OUTER,
        cortical_thickness=CORTEX,
        length=3.0,
        spacing=SPACING,
        period=1.6,
        volume_fraction=0.12,
        seed=3,
    )
    return np.pad(bone, ((3, 3), (3, 3), (0, 0)))


@pytest.fixture(scope="module")
def cortex(shaft) -> np.ndarray:
    tube = hollow_shaft(outer_radius=OUTER, inner_radius=OUTER - CORTEX, length=3.0, spacing=SPACING)
    return np.pad(tube, ((3, 3), (3, 3), (0, 0)))


def test_compartments_of_a_filled_shaft_are_those_it_was_made_of(shaft, cortex):
    labels = region_labels(shaft, section_regions(shaft, spacing=SPACING, axis=2))
    assert dice(labels == CORTICAL, cortex) > 0.95
    assert dice(labels == TRABECULAR, shaft & ~cortex) > 0.85


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_compartments_do_not_depend_on_how_the_axes_are_named(shaft, axis):
    order = np.roll([0, 1, 2], axis + 1)
    turned = section_regions(
        np.ascontiguousarray(shaft.transpose(order)),
        spacing=(SPACING[order[0]], SPACING[order[1]], SPACING[order[2]]),
        axis=int(np.argmax(order == 2)),
    )
    straight = section_regions(shaft, spacing=SPACING, axis=2)
    assert np.array_equal(turned.endosteal, straight.endosteal.transpose(order))
    assert np.array_equal(turned.periosteal, straight.periosteal.transpose(order))


def test_every_bone_voxel_inside_is_in_one_compartment(shaft):
    regions = section_regions(shaft, spacing=SPACING, axis=2)
    labels = region_labels(shaft, regions)
    assert not (regions.endosteal & ~regions.periosteal).any()
    assert np.array_equal(labels != VOID, shaft & regions.periosteal)


def test_pores_stay_in_the_cortex(cortex):
    drilled = cortex.copy()
    middle = drilled.shape[0] // 2
    pore = (slice(middle - 1, middle + 1), slice(6, 8), slice(None))
    assert drilled[pore].all()
    drilled[pore] = False
    regions = section_regions(drilled, spacing=SPACING, axis=2)
    assert regions.periosteal[pore].all()
    assert not regions.endosteal[pore].any()


def test_a_closed_shell_is_cortex_all_round():
    x, y, z = np.ix_(*[edge * (np.arange(60) - 29.5) for edge in SPACING])
    radius = np.sqrt(x**2 + y**2 + z**2)
    shell = (radius < 2.0) & (radius > 1.4)
    regions = whole_bone_regions(shell, spacing=SPACING)
    assert np.array_equal(regions.periosteal, radius < 2.0)
    assert dice(regions.endosteal, radius <= 1.4) > 0.98


def test_bone_without_marrow_is_all_cortex():
    solid = np.pad(np.ones((8, 9, 10), dtype=bool), 2)
    labels = region_labels(solid, whole_bone_regions(solid, spacing=SPACING))
    assert np.array_equal(labels == CORTICAL, solid)


def test_tibia_agrees_with_the_labels_of_the_scanner(shared):
    with np.load(shared / "data/D2_hrpqct_tibia_mini/labels.npz") as file:
        given = np.ascontiguousarray(file["labels_zyx"].transpose(2, 1, 0))
    solid = given > 0
    spacing = (0.060699, 0.060699, 0.060696)
    labels = region_labels(solid, section_regions(solid, spacing=spacing, axis=2))
    # The default lengths were fitted here, to 0.966 and 0.943.
    assert dice(labels == CORTICAL, given == 127) > 0.96
    assert dice(labels == TRABECULAR, given == 100) > 0.935
