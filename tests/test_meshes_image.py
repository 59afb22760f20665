"""Images: every format gives the same voxels on the same grid, and nothing is guessed."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from meshes.failures import ReadError
from meshes.image import Image, read_image, with_values, write_image

SPACING = (0.1, 0.2, 0.3)
ORIGIN = (1.5, -2.0, 0.25)
TILTED = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
"""A quarter turn about z."""

FLOAT32 = 1e-6
"""NIfTI keeps its geometry in float32."""


@pytest.fixture
def image() -> Image:
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    return Image(values, SPACING, ORIGIN, TILTED)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha"])
def test_what_is_written_is_read_back_on_the_same_grid(image, tmp_path, name):
    write_image(tmp_path / name, image)
    again = read_image(tmp_path / name)
    np.testing.assert_array_equal(again.values, image.values)
    assert again.values.dtype == np.int16
    assert again.values.flags.c_contiguous
    np.testing.assert_allclose(again.spacing, SPACING, rtol=FLOAT32)
    np.testing.assert_allclose(again.origin, ORIGIN, rtol=FLOAT32)
    np.testing.assert_allclose(again.direction, TILTED, atol=FLOAT32)
    assert again.name == name
    assert len(again.sha256) == 64
    assert [file.name for file in tmp_path.iterdir()] == [name]  # no partial file is left


def test_first_axis_in_memory_is_x_of_the_file(tmp_path):
    picture = SimpleITK.Image([4, 5, 6], SimpleITK.sitkUInt8)
    picture[3, 0, 2] = 7
    SimpleITK.WriteImage(picture, str(tmp_path / "a.mha"))
    values = read_image(tmp_path / "a.mha").values
    assert values.shape == (4, 5, 6)
    assert values[3, 0, 2] == 7


def test_field_is_written_on_the_grid_of_its_image(image, tmp_path):
    field = np.random.default_rng(0).random(image.values.shape, dtype=np.float32)
    write_image(tmp_path / "sed.nii.gz", with_values(image, field, quantity="strain energy density [MPa]"))
    again = read_image(tmp_path / "sed.nii.gz", quantity="strain energy density [MPa]")
    np.testing.assert_array_equal(again.values, field)
    np.testing.assert_allclose(again.origin, ORIGIN, rtol=FLOAT32)
    assert again.quantity == "strain energy density [MPa]"


def test_mask_is_written_as_zeros_and_ones(image, tmp_path):
    write_image(tmp_path / "mask.mha", dataclasses.replace(image, values=image.values > 10))
    again = read_image(tmp_path / "mask.mha").values
    assert again.dtype == np.uint8
    assert set(np.unique(again)) == {0, 1}


def test_other_endings_and_types_are_not_written(image, tmp_path):
    with pytest.raises(ValueError, match=r"\.nii"):
        write_image(tmp_path / "a.png", image)
    with pytest.raises(ValueError, match="complex"):
        write_image(tmp_path / "a.mha", dataclasses.replace(image, values=image.values.astype(complex)))


def test_spacing_is_asked_for_where_the_file_has_none(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4, 5)))
    with pytest.raises(ReadError, match="--spacing"):
        read_image(tmp_path / "a.npy")
    assert read_image(tmp_path / "a.npy", spacing=0.05).spacing == (0.05, 0.05, 0.05)
    assert read_image(tmp_path / "a.npy", spacing=SPACING).spacing == SPACING


def test_spacing_that_contradicts_the_file_is_refused(image, tmp_path):
    write_image(tmp_path / "a.mha", image)
    assert read_image(tmp_path / "a.mha", spacing=(0.10005, 0.2, 0.3)).spacing == SPACING
    with pytest.raises(ReadError, match=r"0\.11"):
        read_image(tmp_path / "a.mha", spacing=(0.11, 0.2, 0.3))


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), (0.1, 0.1, float("inf"))])
def test_spacing_that_is_no_length_is_refused(tmp_path, spacing):
    np.save(tmp_path / "a.npy", np.ones((3, 4, 5)))
    with pytest.raises(ValueError, match="spacing"):
        read_image(tmp_path / "a.npy", spacing=spacing)


def test_values_that_are_not_finite_are_counted_and_located(tmp_path):
    values = np.zeros((3, 4, 5))
    values[1, 2, 3] = np.nan
    values[2, 0, 0] = np.inf
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ReadError, match=r"2 of its values .* \(1, 2, 3\)"):
        read_image(tmp_path / "a.npy", spacing=1.0)


def test_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_image(tmp_path / "nowhere.nii")


def test_symbolic_link_is_followed(image, tmp_path):
    write_image(tmp_path / "a.mha", image)
    (tmp_path / "b.mha").symlink_to(tmp_path / "a.mha")
    np.testing.assert_array_equal(read_image(tmp_path / "b.mha").values, image.values)


@pytest.mark.parametrize(
    "name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd", "a.tif", "a.npy", "a.npz", "a.AIM", "a.isq"]
)
@pytest.mark.parametrize("content", [b"", b"this is a letter, not a scan\n" * 30], ids=["empty", "text"])
def test_file_that_is_not_what_its_name_says_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=name) as caught:
        read_image(tmp_path / name, spacing=1.0)
    assert caught.value.reason
    assert caught.value.advice


def test_unknown_ending_names_the_known_ones(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"1")
    with pytest.raises(ReadError, match=r"\.nii\.gz"):
        read_image(tmp_path / "a.xyz")


def test_folder_without_slices_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ReadError, match="0 TIFF and 0 DICOM"):
        read_image(tmp_path)


def test_error_survives_the_way_back_from_a_worker_process():
    error = pickle.loads(pickle.dumps(ReadError(Path("a.nii"), "it is empty", "Copy it again.")))
    assert str(error) == "`a.nii` cannot be read: it is empty. Copy it again."
