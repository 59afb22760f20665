"""From density to elastic modulus, by laws that are named, sourced and know where they hold.

At a bone volume fraction of 0.15 these laws differ by a factor of eight: choose one for a project and
state it. Densities are in g/cm3, moduli in MPa.
"""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int, Shaped

from meshes.calibration import APPARENT, ASH, DENSITIES, FRACTION, K2HPO4, converted

MORGAN = "Morgan et al. 2003, J. Biomech. 36:897-904, doi:10.1016/S0021-9290(03)00071-X"


class DensityLaw(eqx.Module):
    """A law `modulus = constant + factor * density ** exponent`."""

    name: str = eqx.field(static=True)
    """Name by which a study chooses it."""
    density: str = eqx.field(static=True)
    """The density it is written in: K2HPO4, ash, apparent [g/cm3] or bone volume fraction [-]."""
    constant: float = eqx.field(static=True)
    """Modulus at the density 0 [MPa]."""
    factor: float = eqx.field(static=True)
    """Modulus per power of density [MPa]."""
    exponent: float = eqx.field(static=True)
    """Power of the density [-]."""
    lowest: float | None = eqx.field(static=True)
    """Smallest density of the specimens; None where the source at hand does not say."""
    highest: float | None = eqx.field(static=True)
    """Largest density of the specimens; None where the source at hand does not say."""
    site: str = eqx.field(static=True)
    """Where the specimens came from."""
    source: str = eqx.field(static=True)
    """Where the law can be looked up."""

    @property
    def formula(self) -> str:
        """The law in one line, with its units."""
        unit = "" if self.density == FRACTION else " g/cm3"
        constant = f"{self.constant:g} + " if self.constant else ""
        return (
            f"E = {constant}{self.factor:g} rho^{self.exponent:g} MPa, rho the {self.density} density{unit}"
        )


LAWS = {
    law.name: law
    for law in (
        DensityLaw(
            "keyak-femur", ASH, 0.0, 10500.0, 2.29, None, None, "proximal femur",
            "Bonelab/Ogo under the name of Keyak; elsewhere credited to Keller 1994, "
            "J. Biomech. 27:1159-1168, doi:10.1016/0021-9290(94)90056-6",
        ),
        DensityLaw("morgan-vertebra", APPARENT, 0.0, 4730.0, 1.56, 0.11, 0.35, "vertebra", MORGAN),
        DensityLaw("morgan-femoral-neck", APPARENT, 0.0, 6850.0, 1.49, 0.26, 0.75, "femoral neck", MORGAN),
        DensityLaw("morgan-trochanter", APPARENT, 0.0, 15010.0, 2.18, 0.14, 0.28, "trochanter", MORGAN),
        DensityLaw("morgan-proximal-tibia", APPARENT, 0.0, 15490.0, 1.93, 0.09, 0.41, "tibia", MORGAN),
        DensityLaw(
            "kopperdahl-vertebra", K2HPO4, 0.0, 2980.0, 1.05, None, None, "vertebra",
            "Kopperdahl et al. 2002, J. Orthop. Res. 20:801-805, doi:10.1016/S0736-0266(01)00185-1; "
            "on K2HPO4-equivalent density as in Bonelab/Ogo",
        ),
        DensityLaw(
            "crawford-vertebra", K2HPO4, -34.7, 3230.0, 1.0, 34.7 / 3230.0, None, "vertebra",
            "Crawford et al. 2003, Bone 33:744-750, doi:10.1016/S8756-3282(03)00210-2; on K2HPO4-equivalent "
            "density as in Bonelab/Ogo; the lowest density is where the line crosses zero",
        ),
        DensityLaw(
            "bone-fraction", FRACTION, 0.0, 18000.0, 2.58, 0.02, 0.985, "any",
            "exponent of Martinez-Reina & Pivonka 2019, scaled to 18 GPa without pores and baseline mineral; "
            "range of `remodel`",
        ),
    )
}  # fmt: skip
"""The laws by name."""


class Moduli(eqx.Module):
    """The moduli that a law gives, and how far it was stretched for them."""

    modulus: Float[np.ndarray, "*axes"]
    """Elastic modulus [MPa]."""
    law: DensityLaw
    """The law."""
    below: int = eqx.field(static=True)
    """Elements less dense than the specimens of the law."""
    above: int = eqx.field(static=True)
    """Elements denser than the specimens of the law."""
    floored: int = eqx.field(static=True)
    """Elements that were raised to the floor."""


def law_named(name: str) -> DensityLaw:
    """Return a law.

    Raises:
        ValueError: With the names that there are.
    """
    if name not in LAWS:
        raise ValueError(f"There is no density law `{name}`. Choose one of {', '.join(LAWS)}.")
    return LAWS[name]


def moduli(density: Float[np.ndarray, "*axes"], law: DensityLaw, *, floor: float) -> Moduli:
    """Return the modulus of every element, in the dtype of the density.

    Args:
        density: The density that the law is written in: `law.density`. A negative one, which noise and fat
            give, counts as zero.
        law: The law.
        floor: Smallest modulus to return [MPa], positive. Below 1e-4 of the stiffest bone the solver
            suffers.

    Raises:
        ValueError: Unless the floor is positive.
    """
    if not (math.isfinite(floor) and floor > 0.0):
        raise ValueError(f"`floor` is the smallest modulus [MPa] and must be positive, got {floor}.")
    modulus = np.clip(density, 0.0, None)
    modulus **= law.exponent
    modulus *= law.factor
    modulus += law.constant
    low = modulus < floor
    modulus[low] = floor
    return Moduli(
        modulus,
        law,
        below=0 if law.lowest is None else int(np.count_nonzero(density < law.lowest)),
        above=0 if law.highest is None else int(np.count_nonzero(density > law.highest)),
        floored=int(np.count_nonzero(low)),
    )


def density_for(
    law: DensityLaw, density: Float[np.ndarray, "*axes"], *, held: str
) -> Float[np.ndarray, "*axes"]:
    """Return a density as the one that a law is written in.

    Args:
        law: The law.
        density: What is held [g/cm3], or a bone volume fraction [-].
        held: Its kind, one of `DENSITIES` or "bone volume fraction".

    Raises:
        ValueError: Where a bone volume fraction meets a law for a density, or the other way round.
    """
    if held == law.density:
        return density
    if FRACTION in (held, law.density):
        raise ValueError(
            f"The law `{law.name}` wants the {law.density}, and `{held}` is held. "
            f"Use `bone_volume_fraction` first, or a law for one of {', '.join(DENSITIES)}."
        )
    return converted(density, held=held, wanted=law.density)


def binned(
    density: Shaped[np.ndarray, " elements"], *, bins: int = 128, floor: float | None = None
) -> tuple[Int[np.ndarray, " elements"], Float[np.ndarray, " bins"]]:
    """Return the material of every element, from 0, and the density of every material.

    The range of the densities is cut into bins of one width; a material has the density of the middle
    of its bin. Solvers with a table of materials (FAIM) need it, and comparisons with them.

    Args:
        density: Density of every element.
        bins: Number of materials; 128 is what Bonelab/Ogo uses.
        floor: Densities below it count as it, such as -0.031 g/cm3 in Bonelab/Ogo.

    Raises:
        ValueError: Where there are no two densities to cut between.
    """
    values = density if floor is None else np.maximum(density, floor)
    if bins < 1 or values.size == 0 or values.min() == values.max():
        raise ValueError(f"`binned` needs a range of densities and a positive number of bins, got {bins}.")
    edges = np.linspace(float(values.min()), float(values.max()), bins + 1)
    material = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    return material, 0.5 * (edges[1:] + edges[:-1])
