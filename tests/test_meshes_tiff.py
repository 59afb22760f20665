"""TIFF stacks: every page and every slice, in order, or an error."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from meshes.failures import ReadError
from meshes.image import read_image


def read(path):
    return read_image(path, spacing=0.05)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 60000, (5, 6, 12), dtype=np.uint16)


@pytest.fixture
def stack(tmp_path, values) -> Path:
    """A folder of twelve slices whose numbers have no leading zeros."""
    folder = tmp_path / "stack"
    folder.mkdir()
    for z in range(values.shape[2]):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values[:, :, z].T), str(folder / f"slice_{z}.tif"))
    return folder


@pytest.fixture
def pages(tmp_path, values) -> Path:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values.transpose(2, 1, 0)), str(tmp_path / "pages.tif"))
    return tmp_path / "pages.tif"


def test_slices_stand_in_the_order_of_their_numbers(stack, values):
    np.testing.assert_array_equal(read(stack).values, values)


def test_pages_of_one_file_are_slices(pages, values):
    np.testing.assert_array_equal(read(pages).values, values)


def test_spacing_of_a_tiff_is_asked_for(pages):
    with pytest.raises(ReadError, match="no voxel spacing"):
        read_image(pages)


def test_missing_slice_is_named(stack):
    (stack / "slice_5.tif").unlink()
    with pytest.raises(ReadError, match=r"slice_6\.tif"):
        read(stack)


def test_two_stacks_in_a_folder_are_refused(stack):
    (stack / "slice_3.tif").rename(stack / "other_3.tif")
    with pytest.raises(ReadError, match="one running number"):
        read(stack)


def test_slice_of_another_size_is_refused(stack, values):
    picture = SimpleITK.GetImageFromArray(values[:4, :, 3].T)
    SimpleITK.WriteImage(picture, str(stack / "slice_3.tif"))
    with pytest.raises(ReadError, match="sizes"):
        read(stack)


@pytest.mark.parametrize("kept", [0.97, 0.5, 0.1])
def test_truncated_pages_are_refused(pages, kept):
    whole = pages.read_bytes()
    pages.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ReadError, match=r"pages\.tif"):
        read(pages)


def test_truncated_slice_is_named(stack):
    whole = (stack / "slice_4.tif").read_bytes()
    (stack / "slice_4.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match=r"slice_4\.tif"):
        read(stack)


def test_single_picture_is_no_bone(stack):
    with pytest.raises(ReadError, match="one page"):
        read(stack / "slice_0.tif")


def survives(pages: Path, *, cases: int) -> None:
    generator = np.random.default_rng(7)
    whole = pages.read_bytes()
    for _ in range(cases):
        raw = bytearray(whole)
        for place in generator.integers(0, len(raw), generator.integers(1, 4)):
            raw[place] = generator.integers(0, 256)
        pages.write_bytes(raw)
        with contextlib.suppress(ReadError):
            assert read(pages).values.ndim == 3


def test_mutated_files_are_read_or_refused(pages):
    survives(pages, cases=12)


@pytest.mark.slow
def test_many_mutated_files_are_read_or_refused(pages):
    survives(pages, cases=60)


def test_stack_of_another_program_is_read(shared):
    image = read(shared / "data" / "D6_io_samples" / "tiff_stack")
    assert image.values.shape == (10, 10, 10)
    assert image.values.max() == 255
