"""From a scan to a bone: what is bone, how stiff, which pieces were dropped, and a record of every step."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Shaped

from meshes.calibration import (
    FRACTION,
    HYDROXYAPATITE,
    bone_volume_fraction,
    calibrated,
    converted,
    density_kind,
    grams,
)
from meshes.image import Image, Spacing, read_image
from meshes.material_laws import density_for, law_named, moduli
from meshes.regions import section_regions, whole_bone_regions
from meshes.resampling import block_mean, bone_fraction
from meshes.scan import Calibration
from meshes.segmentation import label_mask, largest_component, smooth, threshold
from meshes.voxel import VoxelMesh, voxel_mesh
from remodel.surface_layer import GridLayer, SurfaceLayer, grid_layer, surface_layer

MODULUS_FLOOR = 1e-4
"""Smallest modulus that a density law may give, relative to dense bone [-]: below it the solver suffers."""

SMALLEST_FRACTION = 0.02
"""Smallest bone volume fraction that remodels [-]. Source: range of the law in `remodel/turnover.py`."""


class Recipe(NamedTuple):
    """How a scan becomes a bone."""

    threshold: float | None = None
    """Bone is where the value is at least this [grey value, or the unit of a density image]."""
    labels: tuple[int, ...] | None = None
    """Labels that are bone."""
    density_law: str | None = None
    """Law from calibrated density to modulus; without it the modulus follows the bone volume fraction."""
    calibration: Calibration | None = None
    """Line from grey value to density where the file brought none."""
    crop: tuple[tuple[int, int], ...] | None = None
    """First voxel and voxel after the last, along x, y, z."""
    smoothing: float = 0.0
    """Standard deviation of a Gaussian filter [mm]."""
    coarsen: int = 1
    """Blocks of this many voxels per axis become one."""
    minimum_fraction: float = 0.1
    """A coarsened voxel is bone from this volume fraction on [-]."""
    keep_islands: bool = False
    """Whether pieces that do not touch the largest one stay."""
    modulus: float = 18000.0
    """Young's modulus of dense bone [MPa]."""
    modulus_exponent: float = 2.58
    """Exponent of the bone volume fraction in the modulus [-]."""
    regions: Mapping[str, tuple[int, ...]] = {}
    """Named regions and the labels that make them up."""
    cut_axes: tuple[int, ...] | None = None
    """Axes across which the bone is cut, where its outer surface grows; None where that stands still."""


class Bone(eqx.Module):
    """A bone ready for mechanics."""

    mesh: VoxelMesh
    volume_fraction: Float[np.ndarray, " elements"]
    """Share of each element that is bone [-]."""
    modulus: Float[np.ndarray, " elements"]
    """Young's modulus [MPa]."""
    regions: dict[str, Bool[np.ndarray, " elements"]]
    layer: SurfaceLayer | None
    """Elements outside the bone into which it can grow; None where it does not."""
    islands: int = eqx.field(static=True)
    """Pieces that were dropped."""
    steps: tuple[tuple[str, str], ...] = eqx.field(static=True)
    """What was done to the scan: step and outcome, in order."""


def read_scan(
    path: Path, *, spacing: float | Spacing | None, array: str | None, axes: str, density: str | None
) -> Image:
    """Return a scan as a study or the command line names it.

    Args:
        path: The file, or a folder of slices.
        spacing: Edges of a voxel [mm], where the file has none.
        array: Which array of an .npz file.
        axes: Order of the axes in .npy and .npz files.
        density: What the values are a density of, "HA" or "K2HPO4" [mg/cm³], where the file does not say.

    Raises:
        FileNotFoundError: Where there is nothing.
        ValueError: Where the file cannot be read, or an option would be ignored.
    """
    if path.suffix.lower() not in (".npy", ".npz") and (array is not None or axes != "xyz"):
        raise ValueError(
            f"`array` and `axes` are for .npy and .npz files, `{path.name}` knows its own; leave them out."
        )
    if density not in (None, "HA", "K2HPO4"):
        raise ValueError(f"`density` is HA or K2HPO4, what the values are a density of, got {density!r}.")
    quantity = None if density is None else f"mineral density [mg {density}/cm3]"
    return read_image(path, spacing=spacing, array=array, axes=axes, quantity=quantity)


def prepare_bone(image: Image, recipe: Recipe, *, labels: Image | None = None) -> Bone:
    """Return the bone in a scan.

    Args:
        image: The scan.
        recipe: How it becomes a bone.
        labels: Image of labels on the same grid; the scan itself if absent.

    Raises:
        ValueError: Where the recipe does not fit the scan or leaves no bone.
    """
    if recipe.density_law is not None:
        law_named(recipe.density_law)  # a name that is not known is told before a calibration that is missing
    steps = [("scan", f"{image.name}: {_shape(image.values)} voxels of {_edges(image.spacing)} mm")]
    image, label_values = _cropped(image, labels, recipe, steps)
    if recipe.smoothing > 0.0:
        smoothed = smooth(image.values, sigma=recipe.smoothing, spacing=image.spacing)
        image = dataclasses.replace(image, values=smoothed)
        steps.append(("Gaussian filter", f"standard deviation {recipe.smoothing:g} mm"))
    if recipe.cut_axes is not None:
        image, label_values = _padded(image, label_values, recipe)
    solid = _solid(image, label_values, recipe, steps)
    factors = (recipe.coarsen, recipe.coarsen, recipe.coarsen)
    fraction = bone_fraction(solid, factors).astype(np.float64)
    dx, dy, dz = image.spacing
    spacing = (dx * recipe.coarsen, dy * recipe.coarsen, dz * recipe.coarsen)
    if recipe.coarsen > 1:
        steps.append(
            ("coarsened", f"{recipe.coarsen}³ voxels to one of {_edges(spacing)} mm, bone fraction kept")
        )
    kept, islands = _kept(fraction, recipe, steps)
    room = None if recipe.cut_axes is None else _room_to_grow(kept, spacing, recipe.cut_axes)
    if room is not None:
        kept = kept | room.voxels
        steps.append(("outer surface", f"{np.count_nonzero(room.voxels)} voxels beside it can become bone"))
    mesh = voxel_mesh(kept, spacing)
    layer = None if room is None else surface_layer(room, mesh)
    volume_fraction, modulus = _stiffness(image, fraction, mesh, recipe, factors, steps)
    regions = _regions(label_values, kept, recipe, factors)
    steps.append(("mesh", f"{mesh.elements} elements, {mesh.nodes} nodes, {3 * mesh.nodes} unknowns"))
    return Bone(mesh, volume_fraction, modulus, regions, layer, islands, tuple(steps))


def _cropped(image: Image, labels: Image | None, recipe: Recipe, steps: list) -> tuple[Image, np.ndarray]:
    label_values = image.values if labels is None else labels.values
    if label_values.shape != image.values.shape:
        raise ValueError(
            f"`label_image` has {_shape(label_values)} voxels and the scan {_shape(image.values)}; they must "
            "stand on the same grid."
        )
    if recipe.crop is None:
        return image, label_values
    for (first, last), size, axis in zip(recipe.crop, image.values.shape, "xyz", strict=True):
        if not 0 <= first < last <= size:
            raise ValueError(f"`crop` along {axis} is {first} to {last}, the scan has {size} voxels there.")
    box = tuple(slice(first, last) for first, last in recipe.crop)
    steps.append(("cropped", " × ".join(f"{first}–{last}" for first, last in recipe.crop)))
    return dataclasses.replace(image, values=image.values[box]), label_values[box]


def _padded(image: Image, labels: np.ndarray, recipe: Recipe) -> tuple[Image, np.ndarray]:
    """Return a scan with a layer of emptiness where the bone is not cut, so that it has room to grow."""
    cut, edge = recipe.cut_axes or (), recipe.coarsen
    pads = [(0, 0) if axis in cut else (edge, edge) for axis in range(3)]
    values = np.pad(image.values, pads, constant_values=image.values.min())
    shift = [pad[0] * step for pad, step in zip(pads, image.spacing, strict=True)]
    origin = np.asarray(image.origin) - np.asarray(image.direction).reshape(3, 3) @ np.asarray(shift)
    x, y, z = origin.tolist()
    return dataclasses.replace(image, values=values, origin=(x, y, z)), np.pad(labels, pads)


def _room_to_grow(
    kept: Bool[np.ndarray, "mx my mz"], spacing: tuple[float, float, float], cut: tuple[int, ...]
) -> GridLayer:
    """Return the voxels outside the periosteum of a section, or of a whole bone."""
    if len(cut) == 1:
        compartments = section_regions(kept, spacing=spacing, axis=cut[0])
    elif not cut:
        compartments = whole_bone_regions(kept, spacing=spacing)
    else:
        raise ValueError(f"`cut_axes` names one axis or none, got {len(cut)}: a bone is cut across one.")
    return grid_layer(kept, compartments.periosteal, spacing=spacing, cut=cut)


def _solid(
    image: Image, labels: Shaped[np.ndarray, "nx ny nz"], recipe: Recipe, steps: list
) -> Bool[np.ndarray, "nx ny nz"]:
    if recipe.labels is not None:
        if labels.dtype.kind not in "biu":
            raise ValueError(f"`labels` needs an image of integers, `{image.name}` holds {labels.dtype}.")
        solid = label_mask(labels.astype(np.int64), recipe.labels)
        said = f"labels {', '.join(map(str, recipe.labels))}"
    elif recipe.threshold is not None:
        solid = threshold(image.values, lower=recipe.threshold)
        said = f"value ≥ {recipe.threshold:g} ({image.quantity})"
    elif recipe.density_law is not None:
        solid = _fraction_of_density(image, recipe) >= recipe.minimum_fraction
        said = f"bone volume fraction ≥ {recipe.minimum_fraction:g} by density"
    elif image.name.endswith((".npy", ".npz")):
        solid = _above_zero(image) if image.values.dtype.kind == "f" else image.values != 0
        said = "every value above zero" if image.values.dtype.kind == "f" else "every label but 0"
    else:
        raise ValueError(
            f"`{image.name}` does not say what is bone. Give `--threshold`, `--labels` or `--density-law`."
        )
    steps.append(
        ("bone is", f"{said}: {int(solid.sum())} voxels, {100.0 * solid.mean():.2f} % of the volume")
    )
    return solid


def _above_zero(image: Image) -> Bool[np.ndarray, "nx ny nz"]:
    """Return where multiples of the modulus are bone; a negative one is no void but a mistake."""
    wrong = image.values < 0
    if wrong.any():
        first = tuple(int(place) for place in np.argwhere(wrong)[0])
        raise ValueError(
            f"`{image.name}` holds multiples of the modulus, and {int(wrong.sum())} of them are negative, the first "
            f"at (x, y, z) = {first}. Put 0 where there is no bone, or give `--threshold` if these are grey values."
        )
    return image.values > 0


def _kept(
    fraction: Float[np.ndarray, "mx my mz"], recipe: Recipe, steps: list
) -> tuple[Bool[np.ndarray, "mx my mz"], int]:
    solid = fraction >= recipe.minimum_fraction if recipe.coarsen > 1 else fraction > 0.0
    if not solid.any():
        raise ValueError("No bone is left; lower the threshold or `minimum_fraction`, or check the labels.")
    if recipe.keep_islands:
        return solid, 0
    piece = largest_component(solid)
    steps.append(
        ("loose pieces", f"{piece.islands} removed, {piece.removed_voxels} of {int(solid.sum())} voxels")
    )
    return piece.solid, piece.islands


def _stiffness(
    image: Image,
    fraction: Float[np.ndarray, "mx my mz"],
    mesh: VoxelMesh,
    recipe: Recipe,
    factors: tuple[int, int, int],
    steps: list,
) -> tuple[Float[np.ndarray, " elements"], Float[np.ndarray, " elements"]]:
    """Return the bone volume fraction and the modulus of every element."""
    share = fraction.reshape(-1)[mesh.voxels]
    if recipe.cut_axes is not None:
        share = np.maximum(share, SMALLEST_FRACTION)  # Of what is not bone yet nothing is read.
    if recipe.density_law is not None:
        return _by_density(image, mesh, recipe, factors, steps)
    if recipe.threshold is None and recipe.labels is None and image.values.dtype.kind == "f":
        multiplier = block_mean(image.values, factors).reshape(-1)[mesh.voxels].astype(np.float64)
        steps.append(("modulus", f"{recipe.modulus:g} MPa times the value of the voxel"))
        return share, recipe.modulus * multiplier
    if recipe.coarsen > 1:
        said = f"{recipe.modulus:g} MPa × fraction^{recipe.modulus_exponent:g}"
    else:
        said = f"{recipe.modulus:g} MPa"
    steps.append(("modulus", said))
    return share, recipe.modulus * share**recipe.modulus_exponent


def _by_density(
    image: Image, mesh: VoxelMesh, recipe: Recipe, factors: tuple[int, int, int], steps: list
) -> tuple[Float[np.ndarray, " elements"], Float[np.ndarray, " elements"]]:
    law = law_named(recipe.density_law or "")
    coarse = dataclasses.replace(image, values=block_mean(image.values, factors))
    share = _fraction_of_density(coarse, recipe).reshape(-1)[mesh.voxels].astype(np.float64)
    share = np.clip(share, SMALLEST_FRACTION, 1.0)
    if law.density == FRACTION:
        density = share
    else:
        held = _density(coarse, recipe)
        values = grams(held).reshape(-1)[mesh.voxels].astype(np.float64)
        density = density_for(law, values, held=density_kind(held))
    found = moduli(density, law, floor=MODULUS_FLOOR * recipe.modulus)
    steps.append(("modulus", f"{law.formula} ({law.name}; {law.source})"))
    steps.append(
        (
            "range of the law",
            f"{found.below} elements below it, {found.above} above it, {found.floored} raised to the floor "
            f"of {MODULUS_FLOOR * recipe.modulus:g} MPa",
        )
    )
    return share, found.modulus


def _density(image: Image, recipe: Recipe) -> Image:
    """Return the scan as mineral density."""
    if image.quantity.startswith("mineral density") and recipe.calibration is None:
        return image
    return calibrated(image, calibration=recipe.calibration)


def _fraction_of_density(image: Image, recipe: Recipe) -> Float[np.ndarray, "..."]:
    held = _density(image, recipe)
    density = converted(grams(held), held=density_kind(held), wanted=HYDROXYAPATITE)
    return bone_volume_fraction(density)


def _regions(
    labels: Shaped[np.ndarray, "nx ny nz"],
    kept: Bool[np.ndarray, "mx my mz"],
    recipe: Recipe,
    factors: tuple[int, int, int],
) -> dict[str, Bool[np.ndarray, " elements"]]:
    """Return each region: the elements of which its labels fill a larger part than those of any other."""
    if not recipe.regions:
        return {}
    shares = [
        bone_fraction(label_mask(labels.astype(np.int64), codes), factors)[kept]
        for codes in recipe.regions.values()
    ]
    largest = np.max(shares, axis=0)
    return {
        name: (share == largest) & (share > 0.0) for name, share in zip(recipe.regions, shares, strict=True)
    }


def _shape(values: np.ndarray) -> str:
    return " × ".join(map(str, values.shape))


def _edges(spacing: tuple[float, ...]) -> str:
    same = len(set(spacing)) == 1
    return f"{spacing[0]:g}" if same else " × ".join(f"{edge:g}" for edge in spacing)
