"""Calibration: a straight line from grey to density, and densities that turn into one another."""

import numpy as np
import pytest

from meshes.calibration import (
    DENSITIES,
    bone_volume_fraction,
    calibrated,
    converted,
    density_kind,
    from_phantom,
    grams,
)
from meshes.image import Image
from meshes.scan import Calibration

MM = (1.0, 1.0, 1.0)


def test_phantom_on_a_line_is_found_exactly():
    grey = np.array([100.0, 500.0, 900.0, 1300.0])
    line = from_phantom(grey, 0.25 * grey - 10.0, unit="mg HA/cm3")
    assert line.slope == pytest.approx(0.25)
    assert line.intercept == pytest.approx(-10.0)
    assert line.r_squared == pytest.approx(1.0)


def test_scatter_of_the_phantom_lowers_its_fit():
    grey = np.array([100.0, 500.0, 900.0, 1300.0])
    line = from_phantom(grey, np.array([20.0, 100.0, 240.0, 300.0]), unit="mg HA/cm3")
    assert line.r_squared == pytest.approx(np.corrcoef(grey, [20.0, 100.0, 240.0, 300.0])[0, 1] ** 2)


@pytest.mark.parametrize(
    ("grey", "density"),
    [
        ([100.0], [0.0]),
        ([1.0, 3.0, 2.0], [0.0, 1.0, 2.0]),
        ([1.0, 1.0], [0.0, 1.0]),
    ],
)
def test_phantom_that_is_not_monotone_is_refused(grey, density):
    with pytest.raises(ValueError, match="grey"):
        from_phantom(np.array(grey), np.array(density), unit="mg HA/cm3")


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 1.0), (-1.0, 0.0), (np.nan, 0.0), (1.0, np.inf)])
def test_line_must_rise(slope, intercept):
    with pytest.raises(ValueError, match="slope"):
        Calibration(slope, intercept, "mg HA/cm3", "a test")


def test_calibrated_image_holds_density_in_single_precision_and_says_so():
    grey = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    line = Calibration(2.0, -3.0, "mg HA/cm3", "a test")
    density = calibrated(Image(grey, MM, calibration=line))
    np.testing.assert_array_equal(density.values, 2.0 * grey - 3.0)
    assert density.values.dtype == np.float32
    assert density.quantity == "mineral density [mg HA/cm3]"
    assert density.calibration is None
    assert density_kind(density) == "HA"
    np.testing.assert_allclose(grams(density), density.values * 1e-3)


def test_image_without_calibration_cannot_be_calibrated():
    with pytest.raises(ValueError, match="no density calibration"):
        calibrated(Image(np.zeros((2, 2, 2)), MM, name="a.nii"))


def test_grey_values_have_no_density():
    with pytest.raises(ValueError, match="grey value"):
        grams(Image(np.zeros((2, 2, 2)), MM))
    with pytest.raises(ValueError, match="what the density is of"):
        density_kind(Image(np.zeros((2, 2, 2)), MM, quantity="mineral density [mg/cm3]"))


@pytest.mark.parametrize("held", DENSITIES)
@pytest.mark.parametrize("wanted", DENSITIES)
def test_conversion_and_its_inverse_cancel(held, wanted):
    density = np.array([0.05, 0.2, 1.1])
    there = converted(density, held=held, wanted=wanted)
    np.testing.assert_allclose(converted(there, held=wanted, wanted=held), density, rtol=1e-12)


def test_published_conversions_hold():
    one = np.array([0.1])
    np.testing.assert_allclose(converted(one, held="K2HPO4", wanted="ash"), 0.1449)  # 106 + 38.9 mg/cm3
    np.testing.assert_allclose(converted(one, held="HA", wanted="ash"), 0.1537)  # 83.9 + 69.8 mg/cm3


def test_unknown_density_is_refused():
    with pytest.raises(ValueError, match="held"):
        converted(np.ones(1), held="HU", wanted="ash")


def test_bone_volume_fraction_is_linear_between_void_and_tissue():
    fraction = bone_volume_fraction(np.array([-0.2, 0.1, 0.6, 1.1, 1.5]), void=0.1, tissue=1.1)
    np.testing.assert_allclose(fraction, [0.0, 0.0, 0.5, 1.0, 1.0])
    with pytest.raises(ValueError, match="tissue"):
        bone_volume_fraction(np.ones(1), void=1.0, tissue=0.5)
