"""Material laws: each gives its published number, and says where it was stretched."""

import numpy as np
import pytest

from meshes.image import read_image
from meshes.material_laws import LAWS, binned, density_for, law_named, moduli

FLOOR = 1.0


def test_laws_give_their_published_moduli():
    """At an apparent density of 0.3 g/cm3 (ash 0.18, K2HPO4 0.2, fraction 0.15), worked by hand."""
    by_hand = {
        "keyak-femur": (0.18, 10500 * 0.18**2.29),
        "morgan-vertebra": (0.3, 4730 * 0.3**1.56),
        "morgan-femoral-neck": (0.3, 6850 * 0.3**1.49),
        "morgan-trochanter": (0.3, 15010 * 0.3**2.18),
        "morgan-proximal-tibia": (0.3, 15490 * 0.3**1.93),
        "kopperdahl-vertebra": (0.2, 2980 * 0.2**1.05),
        "crawford-vertebra": (0.2, -34.7 + 3230 * 0.2),
        "bone-fraction": (0.15, 18000 * 0.15**2.58),
    }
    assert set(by_hand) == set(LAWS)
    for name, (density, modulus) in by_hand.items():
        result = moduli(np.array([density]), law_named(name), floor=FLOOR)
        np.testing.assert_allclose(result.modulus, modulus, rtol=1e-12)
    # the reference's own figure for the law of the engine at f = 0.15
    assert by_hand["bone-fraction"][1] == pytest.approx(135.0, rel=0.01)


def test_every_law_says_what_it_is():
    for name, law in LAWS.items():
        assert law.name == name
        assert law.site
        assert law.source
        assert law.formula.startswith("E = ")
        assert law.density in law.formula


def test_law_is_monotone_and_keeps_the_dtype():
    density = np.linspace(0.0, 1.5, 50, dtype=np.float32)
    for law in LAWS.values():
        result = moduli(density, law, floor=FLOOR)
        assert result.modulus.dtype == np.float32
        assert np.all(np.diff(result.modulus) >= 0.0)


def test_elements_outside_the_range_are_counted():
    density = np.array([-0.1, 0.0, 0.1, 0.2, 0.3, 0.5, 0.9])
    result = moduli(density, law_named("morgan-vertebra"), floor=FLOOR)
    assert (result.below, result.above, result.floored) == (3, 2, 2)
    assert result.modulus.min() == FLOOR
    np.testing.assert_array_equal(density, [-0.1, 0.0, 0.1, 0.2, 0.3, 0.5, 0.9])  # the input is untouched


def test_floor_must_be_positive():
    with pytest.raises(ValueError, match="floor"):
        moduli(np.ones(1), law_named("morgan-vertebra"), floor=0.0)


def test_unknown_law_names_the_known_ones():
    with pytest.raises(ValueError, match="keyak-femur"):
        law_named("keaveny")


def test_density_is_turned_into_that_of_the_law():
    density = np.array([0.1, 0.2])
    ash = density_for(law_named("keyak-femur"), density, held="K2HPO4")
    np.testing.assert_allclose(ash, 1.06 * density + 0.0389)
    assert density_for(law_named("kopperdahl-vertebra"), density, held="K2HPO4") is density
    with pytest.raises(ValueError, match="bone volume fraction"):
        density_for(law_named("bone-fraction"), density, held="HA")


def test_bins_keep_every_density_within_half_a_width():
    density = np.random.default_rng(0).normal(0.3, 0.2, 1000)
    material, centres = binned(density, bins=16)
    width = np.diff(centres)[0]
    assert np.all(np.abs(centres[material] - density) <= 0.5 * width * (1.0 + 1e-12))
    with pytest.raises(ValueError, match="range"):
        binned(np.ones(5))


def test_vertebra_is_binned_as_in_its_reference(shared):
    folder = shared / "data" / "D3_vertebra_L2_verse004"
    image = read_image(
        folder / "sub-verse004_0000_vertebra_21_im.nii.gz", quantity="mineral density [mg K2HPO4/cm3]"
    )
    labels = read_image(folder / "sub-verse004_0000_vertebra_21_seg.nii.gz").values
    bone = (labels >= 1) & (labels <= 4)
    # the reference rounds densities to whole mg/cm3 towards zero before it cuts them into bins
    density = np.trunc(image.values[bone]) * 1e-3
    material, centres = binned(density, floor=-0.031)
    np.testing.assert_allclose(centres[:4], [-0.0235, -0.0085, 0.0066, 0.0216], atol=5.1e-5)
    assert centres.shape == (128,)
    assert (material.min(), material.max()) == (0, 127)
