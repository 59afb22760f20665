"""From grey values to mineral density, and between the densities that laws are written in.

Densities are in g/cm3 unless a name says mg. What the density is of matters as much as its number:
K2HPO4-equivalent and hydroxyapatite-equivalent densities differ, and so do ash and apparent density.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from meshes.image import Image
from meshes.scan import Calibration

K2HPO4, HYDROXYAPATITE, ASH, APPARENT, FRACTION = "K2HPO4", "HA", "ash", "apparent", "bone volume fraction"
DENSITIES = (K2HPO4, HYDROXYAPATITE, ASH, APPARENT)
"""The densities that can be turned into one another."""

ASH_PER_K2HPO4, ASH_WITHOUT_K2HPO4 = 1.06, 0.0389
"""ash = 1.06 K2HPO4 + 0.0389 g/cm3.

Source:
    Keyak et al. 1994, J. Biomed. Mater. Res. 28:1329-1336, doi:10.1002/jbm.820281111, as Bonelab/Ogo has it.
"""

ASH_PER_HYDROXYAPATITE, ASH_WITHOUT_HYDROXYAPATITE = 0.839, 0.0698
"""ash = 0.839 HA + 0.0698 g/cm3.

Source:
    Kaneko et al. 2004, J. Biomech. 37:523-530, doi:10.1016/j.jbiomech.2003.08.010, as Bonelab/Ogo has it.
"""

ASH_PER_APPARENT = 0.598
"""ash = 0.598 apparent, for human bone of any site and porosity.

Source:
    Schileo et al. 2008, J. Biomech. 41:2483-2491, doi:10.1016/j.jbiomech.2008.05.017.
"""

TO_ASH = {
    K2HPO4: (ASH_PER_K2HPO4, ASH_WITHOUT_K2HPO4),
    HYDROXYAPATITE: (ASH_PER_HYDROXYAPATITE, ASH_WITHOUT_HYDROXYAPATITE),
    ASH: (1.0, 0.0),
    APPARENT: (ASH_PER_APPARENT, 0.0),
}
"""Slope and intercept [g/cm3] of the ash density over each density."""

TISSUE_MINERAL_DENSITY = 1.05
"""Mineral density of bone without pores [g HA/cm3].

Source:
    The mineral model of `remodel` at its baseline: 3.2 g/cm3 mineral x volume fraction 0.329.
"""


def from_phantom(
    grey: Float[np.ndarray, " rods"], density: Float[np.ndarray, " rods"], *, unit: str
) -> Calibration:
    """Return the least-squares line through the rods of a phantom, with its R².

    Args:
        grey: Mean grey value of each rod.
        density: Density of each rod, as its maker states it.
        unit: Unit of that density, such as "mg HA/cm3" or "mg K2HPO4/cm3".

    Raises:
        ValueError: For fewer than two rods, or where a denser rod is not brighter.
    """
    if len(grey) != len(density) or len(grey) < 2:
        raise ValueError(
            f"`grey` and `density` are two or more rods of a phantom, got {len(grey)} and {len(density)}."
        )
    order = np.argsort(density)
    if not (np.all(np.diff(grey[order]) > 0.0) and np.all(np.diff(density[order]) > 0.0)):
        raise ValueError(
            f"`grey` must rise with `density`, got {grey[order].tolist()} for {density[order].tolist()}. "
            "Check which rod is which, and that no two are the same."
        )
    slope, intercept = (float(number) for number in np.polyfit(grey, density, 1))
    residual = density - (slope * grey + intercept)
    r_squared = 1.0 - float(np.sum(residual**2) / np.sum((density - density.mean()) ** 2))
    return Calibration(slope, intercept, unit, f"phantom of {len(grey)} rods", r_squared)


def calibrated(image: Image, *, calibration: Calibration | None = None) -> Image:
    """Return the image as mineral density, in the unit of its calibration, as float32.

    Args:
        image: Grey values, with or without the calibration of the file.
        calibration: The line to use where the file brought none; it wins over the file's.

    Raises:
        ValueError: Where there is no calibration.
    """
    line = image.calibration if calibration is None else calibration
    if line is None:
        raise ValueError(
            f"`{image.name}` has no density calibration. Give slope and intercept, or the rods of a phantom, "
            "or a threshold in grey values instead of a density law."
        )
    values = np.multiply(image.values, np.float32(line.slope), dtype=np.float32)
    values += np.float32(line.intercept)
    return dataclasses.replace(
        image, values=values, quantity=f"mineral density [{line.unit}]", calibration=None
    )


def converted(density: Float[np.ndarray, "*axes"], *, held: str, wanted: str) -> Float[np.ndarray, "*axes"]:
    """Return a density as another one, by way of the ash density [g/cm3].

    Args:
        density: What is held [g/cm3].
        held: Its kind, one of `DENSITIES`.
        wanted: The kind that is wanted.

    Raises:
        ValueError: For a kind that cannot be turned into another.
    """
    for name, kind in (("held", held), ("wanted", wanted)):
        if kind not in TO_ASH:
            raise ValueError(f"`{name}` is one of {', '.join(DENSITIES)}, got `{kind}`.")
    if held == wanted:
        return density
    slope, intercept = TO_ASH[held]
    wanted_slope, wanted_intercept = TO_ASH[wanted]
    return density * (slope / wanted_slope) + (intercept - wanted_intercept) / wanted_slope


def bone_volume_fraction(
    density: Float[np.ndarray, "*axes"], *, void: float = 0.0, tissue: float = TISSUE_MINERAL_DENSITY
) -> Float[np.ndarray, "*axes"]:
    """Return how much of each voxel is bone [-]: linear from 0 at void to 1 at tissue.

    Args:
        density: Mineral density [g HA/cm3].
        void: Density that the scan shows where there is no bone: marrow, air or water [g HA/cm3].
        tissue: Density that the scan shows for bone without pores [g HA/cm3].

    Raises:
        ValueError: Unless tissue is denser than void.
    """
    if not tissue > void:
        raise ValueError(f"`tissue` must be denser than `void`, got {tissue} and {void} g HA/cm3.")
    return np.clip((density - void) / (tissue - void), 0.0, 1.0)


def grams(image: Image) -> Float[np.ndarray, "nx ny nz"]:
    """Return a mineral density image in g/cm3, as floats no wider than need be.

    Raises:
        ValueError: Unless its quantity is "mineral density [mg .../cm3]" or "mineral density [g .../cm3]".
    """
    unit = image.quantity.removeprefix("mineral density [").removesuffix("]")
    scale = {"mg": 1e-3, "g": 1.0}.get(unit.partition(" ")[0])
    if unit == image.quantity or scale is None or not unit.endswith("/cm3"):
        raise ValueError(
            f"`{image.name}` holds the quantity `{image.quantity}`, and a mineral density in mg or g per "
            'cm3 is wanted. Calibrate it, or read it with `quantity="mineral density [mg HA/cm3]"`.'
        )
    dtype = image.values.dtype if image.values.dtype.kind == "f" else np.dtype(np.float32)
    return np.multiply(image.values, dtype.type(scale), dtype=dtype)


def density_kind(image: Image) -> str:
    """Return which density an image holds, from the unit in its quantity: "HA", "K2HPO4" or "ash".

    Raises:
        ValueError: Where the unit does not say.
    """
    words = image.quantity.replace("]", " ").replace("/", " ").replace("[", " ").split()
    kinds = [kind for kind in DENSITIES if kind in words]
    if len(kinds) != 1:
        raise ValueError(
            f"`{image.name}` holds the quantity `{image.quantity}`, which does not say what the density is "
            f"of. Say it: one of {', '.join(DENSITIES)}."
        )
    return kinds[0]
