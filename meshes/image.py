"""Images of bone: read from any supported file, checked, and written back onto their grid.

Axes are (x, y, z) in memory whatever the file's own order. Spacing is read or asked for, never
guessed; values keep the dtype of the file.
"""

import dataclasses
import hashlib
import math
import os
from pathlib import Path

import equinox as eqx
import numpy as np
import SimpleITK
from jaxtyping import Shaped

from meshes.dicom import is_dicom, read_dicom_folder
from meshes.failures import ReadError, reading
from meshes.numpy_files import read_npy, read_npz
from meshes.scan import GREY, IDENTITY, Calibration, Limits, Scan
from meshes.scanco import read_aim, read_isq
from meshes.tiff import read_tiff, read_tiff_folder
from meshes.volumes import HEADERS, SPACING_TOLERANCE, read_volume

SUFFIXES = (*HEADERS, ".aim", ".isq", ".tif", ".tiff", ".npy", ".npz")
"""Files that can be read, besides folders of TIFF or DICOM slices."""

WRITABLE = (".nii", ".nii.gz", ".mha")

Spacing = tuple[float, float, float]


class Image(eqx.Module):
    """An image on a regular grid, with all that is known of it."""

    values: Shaped[np.ndarray, "nx ny nz"]
    """The voxels, dtype as in the file."""
    spacing: Spacing = eqx.field(static=True)
    """Edges of a voxel along x, y, z [mm]."""
    origin: tuple[float, float, float] = eqx.field(static=True, default=(0.0, 0.0, 0.0))
    """Centre of the voxel (0, 0, 0) [mm]."""
    direction: tuple[float, ...] = eqx.field(static=True, default=IDENTITY)
    """Direction cosines of the axes, row by row."""
    quantity: str = eqx.field(static=True, default=GREY)
    """What the values mean, with the unit: "grey value", "label", "mineral density [mg HA/cm3]"."""
    calibration: Calibration | None = eqx.field(static=True, default=None)
    """The line from these values to mineral density that the file brought."""
    name: str = eqx.field(static=True, default="")
    """Name of the file or folder."""
    sha256: str = eqx.field(static=True, default="")
    """Digest of the file; of a folder, of its slices in the order of their names."""

    def __check_init__(self):
        if len(self.spacing) != 3 or not all(math.isfinite(edge) and edge > 0.0 for edge in self.spacing):
            raise ValueError(
                f"`spacing` holds the edges of a voxel [mm], finite and positive, got {self.spacing}."
            )
        if len(self.direction) != 9:
            raise ValueError(f"`direction` holds nine cosines, row by row, got {len(self.direction)}.")


def read_image(
    path: Path | str,
    *,
    spacing: float | Spacing | None = None,
    array: str | None = None,
    axes: str = "xyz",
    quantity: str | None = None,
    limits: Limits | None = None,
) -> Image:
    """Return the image in a file, or in a folder of TIFF or DICOM slices.

    Args:
        path: The file or folder.
        spacing: Edges of a voxel [mm], one for all axes or one for each; needed where the file has
            none, and refused where it contradicts the file by more than 0.1 %.
        array: Which array of an .npz file; needed unless it holds exactly one.
        axes: Order of the axes in .npy and .npz files, "xyz" or "zyx"; other formats know theirs.
        quantity: What the values mean, where the file does not say: by default "grey value".
        limits: How much the file may claim; raise it for a sound file that is refused.

    Raises:
        FileNotFoundError: Where there is nothing.
        ReadError: Where the file is damaged, hostile, unsupported or lacks its spacing.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"`{path}` does not exist. Check the spelling and the folder.")
    if axes not in ("xyz", "zyx"):
        raise ValueError(f'`axes` is the order in the file, "xyz" or "zyx", got "{axes}".')
    limits = Limits() if limits is None else limits
    if path.is_dir():
        files = _slices(path)
        scan = _read_folder(path, files, limits)
    else:
        files = [path]
        scan = _read_file(path, array, axes, limits)
    check_finite(path, scan.values)
    with reading(path):
        return Image(
            scan.values,
            agreed_spacing(path, scan.spacing, spacing),
            scan.origin,
            scan.direction,
            scan.quantity if quantity is None else quantity,
            scan.calibration,
            path.name,
            digest(files),
        )


def agreed_spacing(path: Path, found: Spacing | None, given: float | Spacing | None) -> Spacing:
    """Return the edges of a voxel [mm] from what the file says and what the caller says.

    Raises:
        ReadError: Where nobody says, or the two contradict each other.
        ValueError: Where the caller's spacing is not positive.
    """
    if given is None:
        if found is None:
            raise ReadError(
                path,
                "it has no voxel spacing",
                "Give it in mm: `--spacing 0.05`, or `--spacing 0.05,0.05,0.1` for x, y, z "
                "(`spacing=...` in Python).",
            )
        return found
    edges = (float(given),) * 3 if isinstance(given, (int, float)) else tuple(float(edge) for edge in given)
    if len(edges) != 3 or not all(math.isfinite(edge) and edge > 0.0 for edge in edges):
        raise ValueError(f"`spacing` is one or three positive lengths [mm], got {given}.")
    if found is not None and not np.allclose(edges, found, rtol=SPACING_TOLERANCE, atol=0.0):
        raise ReadError(
            path,
            f"its spacing is {found} mm and {edges} mm was given",
            "Leave out `--spacing` to trust the file, or correct the file.",
        )
    return edges if found is None else found


def check_finite(path: Path, values: Shaped[np.ndarray, "nx ny nz"]) -> None:
    """Check that all values are finite, plane by plane to save memory.

    Raises:
        ReadError: With the number of the others and the place of the first.
    """
    if values.dtype.kind != "f":
        return
    bad = [np.count_nonzero(~np.isfinite(plane)) for plane in values]
    if not any(bad):
        return
    x = int(np.flatnonzero(bad)[0])
    y, z = np.argwhere(~np.isfinite(values[x]))[0].tolist()
    raise ReadError(
        path,
        f"{sum(bad)} of its values are NaN or infinite, the first at (x, y, z) = ({x}, {y}, {z})",
        "Replace them, for example by 0 where there is no bone.",
    )


def digest(files: list[Path]) -> str:
    """Return the SHA-256 of a file, or of the digests of several."""
    each = []
    for file in files:
        with file.open("rb") as stream:
            each.append(hashlib.file_digest(stream, "sha256"))
    if len(each) == 1:
        return each[0].hexdigest()
    return hashlib.sha256(b"".join(one.digest() for one in each)).hexdigest()


def write_image(path: Path | str, image: Image) -> None:
    """Write an image to a NIfTI or MHA file, on its grid; a half-written file never has its name.

    Args:
        path: File that ends in .nii, .nii.gz or .mha.
        image: What to write; booleans become 0 and 1. For a field on the grid of an image that
            was read, write `dataclasses.replace(image, values=field)`.

    Raises:
        ValueError: For another ending, or values that the formats do not have.
    """
    path = Path(path)
    suffix = _suffix(path)
    if suffix not in WRITABLE:
        raise ValueError(f"`write_image` writes {', '.join(WRITABLE)}, got `{path.name}`.")
    values = image.values.astype(np.uint8) if image.values.dtype == bool else image.values
    if values.dtype.kind not in "iuf" or not 1 <= values.dtype.itemsize <= 8 or values.dtype == np.float16:
        raise ValueError(
            f"`image.values` is of type {values.dtype}; convert it to float32 or an integer type."
        )
    picture = SimpleITK.GetImageFromArray(values.transpose(2, 1, 0))
    picture.SetSpacing(image.spacing)
    picture.SetOrigin(image.origin)
    picture.SetDirection(image.direction)
    partial = path.with_name(f".{path.name.removesuffix(suffix)}.{os.getpid()}{suffix}")
    try:
        SimpleITK.WriteImage(picture, str(partial), useCompression=suffix != ".nii")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _suffix(path: Path) -> str:
    # Scanco's VMS appends a version: SCAN.AIM;1
    name = path.name.lower().partition(";")[0]
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), "")


def _read_file(path: Path, array: str | None, axes: str, limits: Limits) -> Scan:
    suffix = _suffix(path)
    if not suffix:
        raise ReadError(
            path,
            f"its ending `{path.suffix}` is of no image format that is supported",
            f"Give a file that ends in {', '.join(SUFFIXES)}, or a folder of TIFF or DICOM slices.",
        )
    if path.stat().st_size == 0:
        raise ReadError(path, "it is empty", "Copy or export it again.")
    if suffix == ".npy":
        return read_npy(path, axes=axes, limits=limits)
    if suffix == ".npz":
        return read_npz(path, array=array, axes=axes, limits=limits)
    if suffix in HEADERS:
        return read_volume(path, suffix=suffix, limits=limits)
    reader = {".aim": read_aim, ".isq": read_isq}.get(suffix, read_tiff)
    return reader(path, limits=limits)


def _slices(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def _read_folder(folder: Path, files: list[Path], limits: Limits) -> Scan:
    pictures = [file for file in files if file.suffix.lower() in (".tif", ".tiff")]
    dicoms = [file for file in files if file not in pictures and is_dicom(file)]
    if pictures and not dicoms:
        return read_tiff_folder(pictures, limits=limits)
    if dicoms and not pictures:
        return read_dicom_folder(dicoms, limits=limits)
    raise ReadError(
        folder,
        f"among its {len(files)} files are {len(pictures)} TIFF and {len(dicoms)} DICOM slices",
        "Give a folder that holds the slices of one scan, or the path of a single file.",
    )


def with_values(image: Image, values: Shaped[np.ndarray, "nx ny nz"], *, quantity: str) -> Image:
    """Return other values on the grid of an image, such as a field to be written; no calibration is left."""
    return dataclasses.replace(image, values=values, quantity=quantity, calibration=None)
