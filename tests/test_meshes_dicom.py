"""DICOM series: the slices of one scan, in the order of their positions, without a patient's name."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from meshes.failures import ReadError
from meshes.image import read_image

SECRET = "Doe^Jane"


def written(folder: Path, values: np.ndarray, *, distance: float = 0.5, series: str = "1.2.3") -> Path:
    """Write slices of 0.1 x 0.2 mm pixels whose file names run against their positions."""
    folder.mkdir(exist_ok=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(values.shape[2]):
        picture = SimpleITK.GetImageFromArray(values[:, :, z : z + 1].transpose(2, 1, 0))
        picture.SetSpacing((0.1, 0.2, distance))
        tags = {
            "0008|0060": "CT",
            "0010|0010": SECRET,
            "0020|000e": series,
            "0028|1054": "HU",
            "0020|0032": f"1\\2\\{3 + z * distance}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for tag, value in tags.items():
            picture.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{values.shape[2] - z:03d}.dcm"))
        writer.Execute(picture)
    return folder


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 2000, (4, 5, 6), dtype=np.int16)


def test_slices_stand_in_the_order_of_their_positions(tmp_path, values):
    image = read_image(written(tmp_path / "scan", values))
    np.testing.assert_array_equal(image.values, values)
    np.testing.assert_allclose(image.spacing, (0.1, 0.2, 0.5))
    np.testing.assert_allclose(image.origin, (1.0, 2.0, 3.0))
    assert image.quantity == "Hounsfield unit"


def test_name_of_the_patient_stays_in_the_file(tmp_path, values):
    folder = written(tmp_path / "scan", values)
    assert SECRET.encode() in (folder / "001.dcm").read_bytes()
    assert "Doe" not in repr(read_image(folder))


def test_missing_slice_is_refused(tmp_path, values):
    folder = written(tmp_path / "scan", values)
    (folder / "003.dcm").unlink()
    with pytest.raises(ReadError, match="not evenly spaced"):
        read_image(folder)


def test_doubled_slice_is_refused(tmp_path, values):
    folder = written(tmp_path / "scan", values)
    shutil.copy(folder / "003.dcm", folder / "copy.dcm")
    with pytest.raises(ReadError, match="not evenly spaced"):
        read_image(folder)


def test_two_series_in_a_folder_are_refused(tmp_path, values):
    folder = written(tmp_path / "scan", values)
    written(tmp_path / "other", values, series="1.2.4")
    shutil.copy(tmp_path / "other" / "001.dcm", folder / "other.dcm")
    with pytest.raises(ReadError, match="2 DICOM series"):
        read_image(folder)


def test_damaged_slices_are_read_or_refused(tmp_path, values):
    folder = written(tmp_path / "scan", values)
    whole = (folder / "002.dcm").read_bytes()
    generator = np.random.default_rng(7)
    for case in range(10):
        raw = bytearray(whole)
        for place in generator.integers(132, len(raw), 3):
            raw[place] = generator.integers(0, 256)
        (folder / "002.dcm").write_bytes(raw[: len(raw) // 2] if case == 0 else raw)
        with contextlib.suppress(ReadError):
            assert read_image(folder).values.ndim == 3


def test_series_of_another_program_is_read(shared):
    image = read_image(shared / "data" / "D6_io_samples" / "test_dicom")
    assert image.values.shape == (25, 25, 25)
    np.testing.assert_allclose(image.spacing, 0.0607, rtol=1e-6)
