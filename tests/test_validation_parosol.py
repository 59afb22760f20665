"""The answer of ParOSol: a femoral trabecular cube at full resolution."""

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from fem.equilibrium import solve
from fem.loads import Hold, load_case
from meshes.segmentation import largest_component
from meshes.voxel import extent, gross_section, lattice_coordinates, voxel_mesh

LAYERS = 10
"""Layers of voxels at each end that are held or moved as one."""

MOTION = -0.04
"""Displacement of the upper ones [mm]."""


@pytest.mark.slow
@pytest.mark.shared
def test_the_femoral_cube_is_as_stiff_as_in_parosol(shared):
    """ParOSol, 1720.73 MPa: 19.5 µm voxels, 18 GPa; published in ciclope, example 9, Iori et al. 2023.

    Its apparent strain is the motion over the height of all 200 layers.
    """
    file = shared / "data/D1_lhdl_3155_trabecular_cube/3155_D_4_uint8_19.5um.mha"
    grey = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).transpose(2, 1, 0)
    smooth = ndimage.gaussian_filter(grey.astype(np.float64), 1.0, mode="nearest")
    mesh = voxel_mesh(largest_component(smooth > 63.0).solid, (0.0195, 0.0195, 0.0195))
    assert mesh.elements == 1_869_596
    level = lattice_coordinates(mesh)[:, 2]
    low, high = np.flatnonzero(level <= LAYERS), np.flatnonzero(level >= mesh.shape[2] - LAYERS)
    holds = [Hold(part, axis) for part in (low, high) for axis in range(2)]
    case = load_case(mesh, holds=[*holds, Hold(low, 2), Hold(high, 2, MOTION)], loaded=high)
    found = solve(mesh, 18_000.0, case)
    strain = MOTION / extent(mesh, axis=2)
    apparent = found.reaction[2] / gross_section(mesh, axis=2) / strain
    assert apparent == pytest.approx(1720.73, rel=5e-4)
