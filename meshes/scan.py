"""What a reader finds in a file before anything is decided, and how much a file may claim."""

import math
from pathlib import Path

import equinox as eqx
import numpy as np
from jaxtyping import Shaped

from meshes.failures import ReadError

GREY = "grey value"
HOUNSFIELD = "Hounsfield unit"
LABEL = "label"

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
"""The direction of an image whose axes are those of the scanner."""


class Limits(eqx.Module):
    """How much a file may claim before it is believed."""

    size: int = eqx.field(static=True, default=16 * 2**30)
    """Bytes of the values. The default is three times a triple-stack HR-pQCT scan (2.7e9 voxels of
    two bytes); a claim beyond it is a damaged header far more often than a bone."""
    ratio: float = eqx.field(static=True, default=200.0)
    """Bytes of the values per byte in the file. Grey values compress twofold and masks some
    hundredfold; deflate stops near 1030, which is where a bomb lives."""
    harmless: int = eqx.field(static=True, default=64 * 2**20)
    """Bytes that may come out of any ratio: an empty mask compresses without end and hurts nobody."""


class Calibration(eqx.Module):
    """A straight line from grey values to mineral density: `slope * grey + intercept`."""

    slope: float = eqx.field(static=True)
    """Density per grey value, positive."""
    intercept: float = eqx.field(static=True)
    """Density at the grey value 0."""
    unit: str = eqx.field(static=True)
    """Unit of the density, such as "mg HA/cm3"."""
    source: str = eqx.field(static=True)
    """Where the line comes from, such as "AIM header"."""
    r_squared: float | None = eqx.field(static=True, default=None)
    """How well the line fits the phantom; None where it was not fitted."""

    def __check_init__(self):
        if not (math.isfinite(self.slope) and self.slope > 0.0 and math.isfinite(self.intercept)):
            raise ValueError(
                f"`slope` must be positive and `intercept` finite, got {self.slope} and {self.intercept}. "
                "Denser bone is brighter; check which column is which."
            )


class Scan(eqx.Module):
    """The content of a file, with what it leaves open."""

    values: Shaped[np.ndarray, "nx ny nz"]
    """The voxels, dtype as in the file."""
    spacing: tuple[float, float, float] | None = eqx.field(static=True)
    """Edges of a voxel along x, y, z [mm]; None where the file does not say."""
    origin: tuple[float, float, float] = eqx.field(static=True, default=(0.0, 0.0, 0.0))
    """Centre of the voxel (0, 0, 0) [mm]."""
    direction: tuple[float, ...] = eqx.field(static=True, default=IDENTITY)
    """Direction cosines of the axes, row by row."""
    quantity: str = eqx.field(static=True, default=GREY)
    """What the values mean."""
    calibration: Calibration | None = eqx.field(static=True, default=None)
    """The line to mineral density that the file brings."""


def check_claim(
    path: Path, *, shape: tuple[int, ...], itemsize: int, stored: int | None, limits: Limits
) -> int:
    """Return the bytes that a header claims, once the claim is believable.

    Args:
        path: The file, for the message.
        shape: Voxels along each axis.
        itemsize: Bytes of a voxel.
        stored: Bytes in the file, where they are compressed; None where they are not.
        limits: How much may be claimed.

    Raises:
        ReadError: Where the claim is empty, absurd or a bomb.
    """
    if not shape or min(shape) < 1:
        raise ReadError(path, f"its header claims {shape} voxels", "Copy or export the file again.")
    claimed = math.prod(shape) * itemsize
    if claimed > limits.size:
        raise ReadError(
            path,
            f"its header claims {shape} voxels of {itemsize} bytes, {claimed / 2**30:.1f} GiB, "
            f"and the limit is {limits.size / 2**30:.1f} GiB",
            "If the file is sound, crop it or raise `Limits(size=...)`.",
        )
    if stored is not None and claimed > max(limits.harmless, limits.ratio * stored):
        raise ReadError(
            path,
            f"{stored} bytes claim to hold {claimed}, {claimed / max(stored, 1):.0f} times as much, "
            f"and the limit is {limits.ratio:.0f} times",
            "If the file is sound, crop it or raise `Limits(ratio=...)`.",
        )
    return claimed


def three_axes(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the shape without trailing axes of length one, if three are left.

    Raises:
        ReadError: For a picture, or for a series of several volumes.
    """
    kept = shape
    while len(kept) > 3 and kept[-1] == 1:
        kept = kept[:-1]
    if len(kept) != 3:
        raise ReadError(
            path,
            f"it holds {len(kept)} axes of {kept} voxels, and a bone has three",
            "Give a volume, not a picture, and one time point, not a series.",
        )
    return kept[0], kept[1], kept[2]


def from_zyx(values: Shaped[np.ndarray, "nz ny nx"]) -> Shaped[np.ndarray, "nx ny nz"]:
    """Return voxels as (x, y, z) in C order, from those of a file that keeps x next to each other.

    Plane by plane, which is ten times faster than NumPy's own copy of a transposed volume.
    """
    nz, ny, nx = values.shape
    turned = np.empty((nx, ny, nz), dtype=values.dtype)
    for y in range(ny):
        turned[:, y, :] = values[:, y, :].T
    return turned
