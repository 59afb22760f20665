"""Laws of the recipe: bone is what it says, nothing is lost in silence, and every step is told."""

import numpy as np
import pytest

from mechanostat.bones import MODULUS_FLOOR, Recipe, prepare_bone, read_scan
from meshes.image import Image
from meshes.scan import Calibration

EDGES = (0.05, 0.06, 0.08)


def scan(values, *, name: str = "scan.nii.gz", quantity: str = "grey value") -> Image:
    return Image(np.asarray(values), EDGES, quantity=quantity, name=name, sha256="0" * 64)


@pytest.fixture
def labels(random) -> Image:
    """Void, two kinds of bone in one piece, and one loose voxel."""
    values = np.zeros((6, 5, 9), dtype=np.uint8)
    values[:4, :, :7] = 1
    values[1:3, 1:3, 1:4] = 2
    values[5, 4, 8] = 2
    return scan(values)


def test_bone_is_what_the_labels_say_and_loose_pieces_are_counted(labels):
    bone = prepare_bone(labels, Recipe(labels=(1, 2)))
    assert bone.mesh.elements == 4 * 5 * 7
    assert bone.islands == 1
    assert prepare_bone(labels, Recipe(labels=(1, 2), keep_islands=True)).mesh.elements == 4 * 5 * 7 + 1
    assert "1 removed, 1 of 141 voxels" in dict(bone.steps)["loose pieces"]


def test_a_threshold_keeps_the_value_itself():
    bone = prepare_bone(scan(np.full((2, 3, 4), 128, dtype=np.int16)), Recipe(threshold=128.0))
    assert bone.mesh.elements == 24
    with pytest.raises(ValueError, match="No bone is left"):
        prepare_bone(scan(np.full((2, 3, 4), 127, dtype=np.int16)), Recipe(threshold=128.0))


def test_coarsening_keeps_the_volume_of_bone_and_spreads_it(random):
    values = (random.random((8, 8, 12)) < 0.6).astype(np.uint8)
    recipe = Recipe(labels=(1,), coarsen=2, keep_islands=True, minimum_fraction=1e-6)
    bone = prepare_bone(scan(values), recipe)
    assert bone.mesh.spacing == pytest.approx(tuple(2.0 * edge for edge in EDGES))
    assert 8.0 * bone.volume_fraction.sum() == pytest.approx(values.sum())
    expected = recipe.modulus * bone.volume_fraction**recipe.modulus_exponent
    np.testing.assert_allclose(bone.modulus, expected)


def test_floats_multiply_the_modulus_where_nothing_else_says_what_is_bone(random):
    values = random.uniform(0.2, 1.0, (3, 4, 5)).astype(np.float32)
    values[0, 0, 0] = 0.0
    bone = prepare_bone(scan(values, name="modulus.npy"), Recipe(modulus=6829.0))
    assert bone.mesh.elements == 59
    np.testing.assert_allclose(bone.modulus, 6829.0 * values.reshape(-1)[1:], rtol=1e-6)


def test_integers_are_labels_where_nothing_else_says_what_is_bone(labels):
    labels = scan(labels.values, name="labels.npy")
    assert prepare_bone(labels, Recipe()).mesh.elements == 140


def test_a_format_that_does_not_say_what_is_bone_is_asked():
    with pytest.raises(ValueError, match="`--threshold`, `--labels` or `--density-law`"):
        prepare_bone(scan(np.ones((2, 2, 2), dtype=np.uint8)), Recipe())


def test_a_density_law_gives_the_modulus_of_calibrated_density():
    density = np.full((2, 3, 4), 200.0, dtype=np.float32)
    held = scan(density, quantity="mineral density [mg K2HPO4/cm3]")
    bone = prepare_bone(held, Recipe(density_law="kopperdahl-vertebra"))
    np.testing.assert_allclose(bone.modulus, 2980.0 * 0.2**1.05, rtol=1e-6)
    grey = scan((density - 10.0) / 2.0)
    recipe = Recipe(
        density_law="kopperdahl-vertebra", calibration=Calibration(2.0, 10.0, "mg K2HPO4/cm3", "study file")
    )
    np.testing.assert_allclose(prepare_bone(grey, recipe).modulus, bone.modulus, rtol=1e-6)


def test_a_density_law_never_goes_below_its_floor():
    density = np.full((2, 2, 2), -100.0, dtype=np.float32)
    held = scan(density, quantity="mineral density [mg K2HPO4/cm3]")
    bone = prepare_bone(held, Recipe(density_law="kopperdahl-vertebra", threshold=-200.0))
    np.testing.assert_allclose(bone.modulus, MODULUS_FLOOR * 18000.0)
    assert "8 raised to the floor" in dict(bone.steps)["range of the law"]


def test_grey_values_without_calibration_give_no_density():
    with pytest.raises(ValueError, match="calibration"):
        prepare_bone(scan(np.ones((2, 2, 2), dtype=np.int16)), Recipe(density_law="kopperdahl-vertebra"))


def test_a_crop_cuts_scan_and_labels_alike(labels):
    bone = prepare_bone(labels, Recipe(labels=(2,), crop=((1, 3), (1, 3), (1, 4))))
    assert bone.mesh.elements == 2 * 2 * 3
    with pytest.raises(ValueError, match="`crop` along z is 1 to 99, the scan has 9"):
        prepare_bone(labels, Recipe(labels=(2,), crop=((1, 3), (1, 3), (1, 99))))


def test_every_element_of_a_region_is_mostly_of_its_labels(labels):
    recipe = Recipe(labels=(1, 2), regions={"shell": (1,), "core": (2,)})
    bone = prepare_bone(labels, recipe)
    assert bone.regions["core"].sum() == 12
    assert np.all(bone.regions["core"] ^ bone.regions["shell"])
    coarse = prepare_bone(labels, recipe._replace(coarsen=2))
    assert np.all(coarse.regions["core"] | coarse.regions["shell"])


def test_labels_on_another_grid_and_labels_of_floats_are_refused(labels):
    with pytest.raises(ValueError, match="same grid"):
        prepare_bone(scan(np.ones((2, 2, 2))), Recipe(labels=(1,)), labels=labels)
    with pytest.raises(ValueError, match="float64"):
        prepare_bone(scan(np.ones((2, 2, 2))), Recipe(labels=(1,)))


def test_the_record_tells_every_step_in_order(labels):
    recipe = Recipe(labels=(1, 2), crop=((0, 6), (0, 5), (0, 9)), smoothing=0.01, coarsen=2)
    names = [name for name, _ in prepare_bone(scan(labels.values), recipe, labels=labels).steps]
    assert names == [
        "scan", "cropped", "Gaussian filter", "bone is", "coarsened", "loose pieces", "modulus", "mesh",
    ]  # fmt: skip


@pytest.mark.shared
def test_what_a_format_would_ignore_is_refused(shared):
    path = shared / "data/D6_io_samples/test_nii.nii"
    with pytest.raises(ValueError, match="knows its own"):
        read_scan(path, spacing=None, array=None, axes="zyx", density=None)
    with pytest.raises(ValueError, match="'HAP'"):
        read_scan(path, spacing=None, array=None, axes="xyz", density="HAP")
