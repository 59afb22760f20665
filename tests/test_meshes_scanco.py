"""Scanco files: calibrated as the truth says, and no header brings the process down."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from meshes.calibration import calibrated
from meshes.failures import ReadError
from meshes.image import read_image
from meshes.isolation import read_isolated

DATA = Path(__file__).parent / "data" / "scanco"
GREY, MASK = DATA / "synthetic_calibrated_int16.AIM", DATA / "synthetic_mask_int8.AIM"
ISQ, NATIVE = DATA / "test_isq_calibrated_binary_25.ISQ", DATA / "test_isq_native_only_binary_25.ISQ"


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    """What the synthetic files hold, as (x, y, z)."""
    with np.load(DATA / "synthetic_truth.npz") as content:
        return {name: content[name].transpose(2, 1, 0) for name in content}


def test_aim_has_the_values_and_the_density_of_the_truth(truth):
    image = read_image(GREY)
    np.testing.assert_array_equal(image.values, truth["native_zyx"])
    np.testing.assert_allclose(image.spacing, 0.0607, rtol=1e-7)
    density = calibrated(image)
    assert density.quantity == "mineral density [mg HA/cm3]"
    # a grey value is 0.2 mg HA/cm3; the truth was rounded to grey values
    np.testing.assert_allclose(density.values, truth["rho_mgHA_zyx"], atol=0.1)


def test_aim_of_eight_bits_is_a_mask_without_density(truth):
    image = read_image(MASK)
    np.testing.assert_array_equal(image.values, truth["mask"].astype(np.int8))
    assert image.quantity == "label"
    assert image.calibration is None


def test_isq_is_in_millimetres_and_its_slope_belongs_to_the_attenuation():
    image = read_image(ISQ)
    np.testing.assert_allclose(image.spacing, 0.06)
    assert image.calibration is not None
    # slope 2 over a scaling of 1000, intercept 3, by the header
    assert image.calibration.slope == pytest.approx(0.002)
    assert image.calibration.intercept == pytest.approx(3.0)
    assert image.calibration.source == "ISQ header"


def test_isq_without_calibration_has_none():
    image = read_image(NATIVE)
    assert image.calibration is None
    assert set(np.unique(image.values)) == {0, 1}


def test_ending_may_carry_a_version(tmp_path):
    shutil.copy(MASK, tmp_path / "MASK.AIM;1")
    assert read_image(tmp_path / "MASK.AIM;1").values.shape == (28, 24, 20)


def test_names_and_dates_stay_in_the_file(tmp_path):
    raw = GREY.read_bytes().replace(b"SYNTHETIC", b"DOE^JANE1")
    (tmp_path / "a.AIM").write_bytes(raw)
    image = read_image(tmp_path / "a.AIM")
    assert "DOE" not in repr(image)
    assert "2000" not in repr(image).replace(image.sha256, "")


def corrupted(tmp_path: Path) -> Path:
    """The header that crashes py_aimio 0.4.1: the high byte of a dimension."""
    raw = bytearray(GREY.read_bytes())
    raw[105] = 67
    (tmp_path / "a.AIM").write_bytes(raw)
    return tmp_path / "a.AIM"


def test_header_that_does_not_fit_the_file_is_refused(tmp_path):
    with pytest.raises(ReadError, match="claims"):
        read_image(corrupted(tmp_path))


def test_crash_of_the_reader_is_an_error_and_not_the_end(tmp_path):
    path = corrupted(tmp_path)
    with pytest.raises(ReadError, match=r"crash|reader says"):
        read_isolated(path, kind="aim", files=[path], claimed=2**20)


@pytest.mark.parametrize("kept", [0.97, 0.5, 0.05, 0.003])
@pytest.mark.parametrize("source", [GREY, MASK, ISQ], ids=lambda path: path.name)
def test_truncated_file_is_refused(tmp_path, source, kept):
    whole = source.read_bytes()
    path = tmp_path / source.name
    path.write_bytes(whole[: int(kept * (len(whole) - 512))])
    with pytest.raises(ReadError, match=source.name):
        read_image(path)


def survives(source: Path, folder: Path, *, cases: int) -> None:
    generator = np.random.default_rng(7)
    whole = source.read_bytes()
    path = folder / source.name
    for _ in range(cases):
        raw = bytearray(whole)
        for place in generator.integers(0, 400, generator.integers(1, 4)):
            raw[place] = generator.integers(0, 256)
        path.write_bytes(raw)
        with contextlib.suppress(ReadError):
            assert read_image(path).values.ndim == 3


@pytest.mark.parametrize("source", [GREY, MASK, ISQ], ids=lambda path: path.name)
def test_mutated_headers_are_read_or_refused(tmp_path, source):
    survives(source, tmp_path, cases=10)


@pytest.mark.slow
@pytest.mark.parametrize("source", [GREY, MASK, ISQ], ids=lambda path: path.name)
def test_many_mutated_headers_are_read_or_refused(tmp_path, source):
    survives(source, tmp_path, cases=60)


def test_isq_whose_last_block_is_not_full_is_read_whole(shared):
    samples = shared / "data" / "D6_io_samples"
    np.testing.assert_array_equal(
        read_image(samples / "test_isq.ISQ").values, read_image(samples / "test_aim.AIM").values
    )
