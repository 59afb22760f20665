"""What instruments would read of a bone: DXA, single- and dual-energy QCT, HR-pQCT.

The model holds the true mineral density; an instrument projects it, averages it, or mistakes marrow fat for
missing mineral. Readings are of bone mineral (hydroxyapatite); calibration and noise are left out. Regions
are masks over the elements of a mesh; what is in a region but no element is void, so readings that need it
ask for the volume of the region.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from meshes.voxel import VoxelMesh, grid_coordinates
from remodel.parameters import Scalar


class InstrumentParameters(eqx.Module):
    """What instruments get wrong; leaves, as in `remodel/parameters.py`."""

    edge_share: Scalar = 0.05
    """Areal density, relative to the largest in the region, from which a pixel of DXA counts as bone [-].
    Assumed, range 0.02 to 0.2."""
    degenerative_drift: Scalar = 0.004
    """Yearly rise of lumbar DXA, relative, by osteophytes and a calcified aorta [1/year]. Assumed, range 0 to
    0.006; 0 for differences between arms, which it cancels from."""
    drift_age: Scalar = 65.0
    """Age at which that rise begins [year]. Assumed."""
    fat_bias: Scalar = 0.7
    """Density that single-energy QCT loses per percent of fat in a voxel, k_F [mg/cm³]. Range 0.7 to 1, from
    memory of phantom studies at 80 to 120 kVp: assumed."""
    women_fat: Scalar = 27.0
    """Fat fraction of lumbar marrow of young women [%]. Source: 27.2 and 27.3 in the third and fourth decade,
    Baum et al. 2018, Front. Endocrinol. 9:141, doi:10.3389/fendo.2018.00141."""
    men_fat: Scalar = 33.0
    """Fat fraction of lumbar marrow of men of 30 [%]. Source: 32.0 and 35.3 in the third and fourth decade,
    Baum et al. 2018."""
    women_fat_with_age: Scalar = 0.35
    """Yearly rise of that of women after 40 [%/year]. Assumed, range 0.2 to 0.6. Source of the course: Griffith
    et al. 2012, J. Magn. Reson. Imaging 36:225-230, doi:10.1002/jmri.23619."""
    men_fat_with_age: Scalar = 0.15
    """Yearly rise of that of men after 30 [%/year]. Assumed, range 0.1 to 0.3: gradual, Griffith et al. 2012."""
    fat_estrogen: Scalar = 6.0
    """Rise of the fat fraction at full loss of estradiol [%]. Assumed, range 0 to 12."""
    fat_androgen: Scalar = 10.0
    """Rise of the fat fraction of men at full loss of testosterone [%]. Assumed, range 0 to 20; testosterone
    therapy lowers marrow fat by it and so raises single-energy density without any bone."""


class Beam(eqx.Module):
    """Parallel rays along an axis of the grid; one pixel for each column of voxels."""

    pixel: Int[Array, " elements"]
    """Pixel that each element is projected on."""
    pixels: int = eqx.field(static=True)
    """Number of pixels."""
    pixel_area: float = eqx.field(static=True)
    """Area of a pixel [mm²]."""
    depth: float = eqx.field(static=True)
    """Edge of a voxel along the rays [mm]."""


class ArealReading(eqx.Module):
    """What DXA reports of a region."""

    content: Float[Array, ""]
    """Bone mineral content, BMC [g]."""
    area: Float[Array, ""]
    """Projected area of bone [cm²]."""
    density: Float[Array, ""]
    """Areal density, content over area [g/cm²]."""


class PeripheralReading(eqx.Module):
    """What HR-pQCT reports of a section."""

    trabecular_density: Float[Array, ""]
    """Mineral per volume inside the endosteal contour, marrow included [mg HA/cm³]."""
    cortical_density: Float[Array, ""]
    """Mineral per volume between the contours, pores included [mg HA/cm³]."""
    cortical_porosity: Float[Array, ""]
    """Void per volume between the contours [-]."""


def beam(mesh: VoxelMesh, *, axis: int) -> Beam:
    """Return the rays along an axis.

    Args:
        mesh: The bone.
        axis: 0, 1, 2 for rays along x, y, z.
    """
    first, second = (other for other in range(3) if other != axis)
    place = grid_coordinates(mesh)
    pixel = place[:, first] * mesh.shape[second] + place[:, second]
    return Beam(
        jnp.asarray(pixel),
        pixels=mesh.shape[first] * mesh.shape[second],
        pixel_area=mesh.spacing[first] * mesh.spacing[second],
        depth=mesh.spacing[axis],
    )


def areal_reading(
    mineral_density: Float[Array, " elements"],
    region: Bool[Array, " elements"],
    rays: Beam,
    parameters: InstrumentParameters,
) -> ArealReading:
    """Return what DXA reads of a region: mineral per projected area, so a thicker bone reads denser.

    A pixel belongs to the bone where its areal density reaches a share of the largest one. Its derivative
    holds that set of pixels.

    Args:
        mineral_density: True density of each element [mg HA/cm³].
        region: Elements that count.
        rays: Direction of the projection.
        parameters: Rule of the edge.
    """
    column = jnp.where(region, mineral_density, 0)
    # mg/cm³ times mm is 0.1 mg/cm², or 1e-4 g/cm².
    areal = 1e-4 * rays.depth * jax.ops.segment_sum(column, rays.pixel, rays.pixels)
    counts = (areal > 0) & (areal >= parameters.edge_share * jnp.max(areal))
    area = 1e-2 * rays.pixel_area * jnp.sum(counts).astype(areal.dtype)
    content = 1e-2 * rays.pixel_area * jnp.sum(jnp.where(counts, areal, 0))
    return ArealReading(content, area, content / area)


def lumbar_drift(age: Float[Array, "..."], parameters: InstrumentParameters) -> Float[Array, "..."]:
    """Return what degeneration multiplies lumbar DXA by, `1 + d (age - 65)` after 65 [-].

    Args:
        age: Age [year].
        parameters: Drift and its beginning.
    """
    return 1.0 + parameters.degenerative_drift * jnp.maximum(age - parameters.drift_age, 0.0)


def with_lumbar_drift(
    change: Float[Array, "..."],
    start_age: Float[Array, "..."],
    age: Float[Array, "..."],
    parameters: InstrumentParameters,
) -> Float[Array, "..."]:
    """Return the change of areal density that lumbar DXA reads for a true one, as a fraction [-].

    Args:
        change: True change since the start, as of `observation.areal_density_change` [-].
        start_age: Age at the first reading [year].
        age: Age now [year].
        parameters: Drift.
    """
    return (1.0 + change) * lumbar_drift(age, parameters) / lumbar_drift(start_age, parameters) - 1.0


def marrow_fat(
    age: Float[Array, "..."],
    sex: Literal["female", "male"],
    estrogen_deficit: Float[Array, "..."],
    androgen_deficit: Float[Array, "..."],
    parameters: InstrumentParameters,
) -> Float[Array, "..."]:
    """Return the proton-density fat fraction of lumbar marrow [%].

    Rises with age, with loss of estradiol, and in men with loss of testosterone, all without delay. Assumed
    but for the levels in youth.

    Args:
        age: Age [year].
        sex: Of the person.
        estrogen_deficit: 0 in youth, 1 without estradiol [-].
        androgen_deficit: 0 in youth and in women, 1 without testosterone [-].
        parameters: Levels and slopes.
    """
    if sex == "female":
        base = parameters.women_fat + parameters.women_fat_with_age * jnp.maximum(age - 40.0, 0.0)
    else:
        base = parameters.men_fat + parameters.men_fat_with_age * jnp.maximum(age - 30.0, 0.0)
    fat = base + parameters.fat_estrogen * estrogen_deficit + parameters.fat_androgen * androgen_deficit
    return jnp.clip(fat, 0.0, 100.0)


def dual_energy_density(
    mineral_density: Float[Array, " elements"], region: Bool[Array, " elements"]
) -> Float[Array, ""]:
    """Return what dual-energy QCT reads of a region: the true mean density [mg HA/cm³].

    Args:
        mineral_density: True density of each element [mg HA/cm³].
        region: Elements that count.
    """
    return _mean(mineral_density, region)


def single_energy_density(
    mineral_density: Float[Array, " elements"],
    volume_fraction: Float[Array, " elements"],
    region: Bool[Array, " elements"],
    fat_percent: Float[Array, ""],
    parameters: InstrumentParameters,
) -> Float[Array, ""]:
    """Return what single-energy QCT reads of a region: too little where marrow is fat [mg HA/cm³].

    `rho - k_F PDFF (1 - f)`: fat attenuates less than the water of the calibration, and a voxel holds as
    much marrow as bone leaves room for.

    Args:
        mineral_density: True density of each element [mg HA/cm³].
        volume_fraction: Bone volume fraction f of each element [-].
        region: Elements that count.
        fat_percent: Fat fraction of the marrow, PDFF [%].
        parameters: Bias per percent, k_F.

    Source:
        Size: Sfeir et al. 2018, Bone 112:145-152, doi:10.1016/j.bone.2018.04.023: 17.6 % too low in the spine
        and 3.2 % in the cortex of the femoral neck of 197 women around 57.
    """
    marrow = 1.0 - _mean(volume_fraction, region)
    return _mean(mineral_density, region) - parameters.fat_bias * fat_percent * marrow


def peripheral_reading(
    mineral_density: Float[Array, " elements"],
    volume_fraction: Float[Array, " elements"],
    cortical: Bool[Array, " elements"],
    trabecular: Bool[Array, " elements"],
    *,
    cortical_volume: Scalar,
    trabecular_volume: Scalar,
    voxel_volume: Scalar,
) -> PeripheralReading:
    """Return what HR-pQCT reads of a section between its two contours.

    The contours are those handed in. Those of day 0, kept, follow the same tissue: cortex that turns
    trabecular stays cortex, and its pores count. To contour each scan anew, as scanners do, call
    `meshes.regions.section_regions` on what is bone at the time and hand in its masks.

    Args:
        mineral_density: True density of each element [mg HA/cm³].
        volume_fraction: Bone volume fraction of each element [-].
        cortical: Elements between the periosteal and the endosteal contour.
        trabecular: Elements inside the endosteal contour.
        cortical_volume: Volume between the contours, pores that are no elements included [mm³].
        trabecular_volume: Volume inside the endosteal contour, marrow included [mm³].
        voxel_volume: Volume of an element [mm³].
    """

    def per_volume(field, region, volume):
        return voxel_volume * jnp.sum(jnp.where(region, field, 0)) / volume

    return PeripheralReading(
        trabecular_density=per_volume(mineral_density, trabecular, trabecular_volume),
        cortical_density=per_volume(mineral_density, cortical, cortical_volume),
        cortical_porosity=1.0 - per_volume(volume_fraction, cortical, cortical_volume),
    )


def contour_volumes(
    periosteal: Bool[np.ndarray, "nx ny nz"],
    endosteal: Bool[np.ndarray, "nx ny nz"],
    mesh: VoxelMesh,
) -> tuple[float, float]:
    """Return the volumes between the contours and inside the endosteal one [mm³].

    Args:
        periosteal: Everything inside the outer surface, of `meshes.regions`.
        endosteal: Everything inside the inner surface of the cortex.
        mesh: Whose voxels they are.
    """
    voxel = float(np.prod(mesh.spacing))
    return voxel * float(np.sum(periosteal & ~endosteal)), voxel * float(np.sum(endosteal))


def _mean(values: Float[Array, " elements"], region: Bool[Array, " elements"]) -> Float[Array, ""]:
    """Return the mean over the elements of a region."""
    weights = region.astype(values.dtype)
    return jnp.sum(weights * values) / jnp.sum(weights)
