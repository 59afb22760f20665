"""The numbers of FAIM, the field's reference program: cubes, the tutorial, a tibia."""

import base64
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image

from fem.equilibrium import Equilibrium, solve
from fem.fields import strain_energy_density
from fem.standard_tests import axial, confined, directional_shear, uniaxial
from fem.strength import exceeded_strain, failure_factor
from meshes.segmentation import largest_component
from meshes.voxel import VoxelMesh, on_grid, voxel_mesh

MODULUS = 6829.0
"""Young's modulus of FAIM's tutorial and of the tibia [MPa]."""


def energy_density(found: Equilibrium, modulus: float) -> np.ndarray:
    """Return the strain energy density at the centroids [MPa]."""
    return np.asarray(
        strain_energy_density(found.effective_strain, jnp.full_like(found.effective_strain, modulus))
    )


@pytest.mark.parametrize(
    ("test", "options", "reference"),
    [
        (axial, {}, 0.0537145913),
        (uniaxial, {}, 0.0500000059),
        (confined, {}, 0.0673077026),
        (directional_shear, {"strain": 0.02, "direction": 0}, 0.0549606691),
        (directional_shear, {"strain": 0.02, "direction": 1}, 0.0549606677),
    ],
)
def test_the_energy_of_the_homogeneous_cube_is_that_of_faim(test, options, reference):
    """Mean over the centroids of 3 x 3 x 3 elements, E = 1000 MPa; FAIM's own solve leaves 1e-7."""
    mesh = voxel_mesh(np.ones((3, 3, 3), dtype=bool), (1.0, 1.0, 1.0))
    found = solve(mesh, 1000.0, test(mesh, **options), precision="double", tolerance=1e-12)
    assert energy_density(found, 1000.0).mean() == pytest.approx(reference, rel=1e-6)


def read_vti(path: Path) -> np.ndarray:
    """Return the one 16-bit cell array of a small, zlib-compressed VTK image as (x, y, z)."""
    root = ET.parse(path).getroot()
    image, appended = root.find("ImageData"), root.findtext("AppendedData")
    assert image is not None
    assert appended is not None
    extent = [int(bound) for bound in image.attrib["WholeExtent"].split()]
    cells = tuple(high - low for low, high in zip(extent[::2], extent[1::2], strict=True))
    text = appended.strip()[1:]  # The first character marks the start.
    header = 24  # Four 4-byte numbers in base64: blocks, block size, last size, compressed size.
    values = np.frombuffer(zlib.decompress(base64.b64decode(text[header:])), dtype="<i2")
    return values.reshape(cells[::-1]).transpose()


def test_the_cube_of_the_tutorial_reacts_as_in_the_manual(shared):
    """FAIM 10 manual, introductory tutorial: 216 elements, 343 nodes, -2651 N."""
    solid = read_vti(shared / "data/D7_faim_manual_cubes/faim_testdata/cube6x6x6.vti") > 0
    mesh = voxel_mesh(solid, (1.0, 1.0, 1.0))
    assert (mesh.elements, mesh.nodes) == (216, 343)
    found = solve(mesh, MODULUS, axial(mesh))
    assert found.reaction[2] == pytest.approx(-2651.5, rel=5e-4)


@pytest.fixture(scope="module")
def tibia(shared) -> VoxelMesh:
    """The bone of the tibia section: its largest piece."""
    labels = np.load(shared / "data/D2_hrpqct_tibia_mini/labels.npz")["labels_zyx"].transpose(2, 1, 0)
    component = largest_component(labels > 0)
    assert component.solid.sum() + component.removed_voxels == 252_477
    return voxel_mesh(component.solid, (0.06069900095, 0.06069900095, 0.06069599837))


@pytest.fixture(scope="module")
def compressed(tibia) -> Equilibrium:
    return solve(tibia, MODULUS, axial(tibia))


@pytest.mark.slow
def test_the_tibia_reacts_and_fails_as_in_faim(tibia, compressed):
    """Reaction -623.0 N, stiffness 12830 N/mm, Pistoia -328.06 N, 0.013294 exceeded by 2 % of the bone."""
    assert tibia.elements == 251_834
    reaction = compressed.reaction[2]
    assert reaction == pytest.approx(-623.0, rel=1e-3)
    assert reaction / axial(tibia).motion == pytest.approx(12830.34, rel=1e-3)
    assert float(exceeded_strain(compressed.effective_strain)) == pytest.approx(0.013294, rel=1e-3)
    assert reaction * float(failure_factor(compressed.effective_strain)) == pytest.approx(-328.06, rel=1e-3)


@pytest.mark.slow
def test_the_energy_density_of_the_tibia_is_that_of_faim_element_by_element(shared, tibia, compressed):
    image = Nifti1Image.from_filename(shared / "data/D2_hrpqct_tibia_mini/faim_XtremeCTI_sed.nii.gz")
    wanted = np.asarray(image.dataobj, dtype=float)
    assert image.affine is not None
    corner = np.round(image.affine[:3, 3] / np.diagonal(image.affine)[:3]).astype(int)
    x, y, z = (slice(low, low + size) for low, size in zip(corner, wanted.shape, strict=True))
    found = on_grid(tibia, energy_density(compressed, MODULUS), fill=0.0)[x, y, z]
    assert np.array_equal(found > 0.0, wanted > 0.0)
    assert np.linalg.norm(found - wanted) < 0.003 * np.linalg.norm(wanted)
