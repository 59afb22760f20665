"""The 8-node hexahedron of a voxel: shape functions, strain, stiffness of one element.

Host arithmetic in double precision, done once per spacing and Poisson ratio; corners stand in the
order of `meshes.voxel.CORNER_OFFSETS`. Strain is (xx, yy, zz, yz, xz, xy) with engineering shear.

Source: Hughes 2000, The Finite Element Method, sections 3.5 and 3.9 (trilinear hexahedron, 2 x 2 x 2 Gauss
points); the integrals are exact for a box.
"""

import itertools

import numpy as np
from jaxtyping import Float

from meshes.voxel import CORNER_OFFSETS

GAUSS_POINTS = np.array([[0.5 + s / np.sqrt(12.0) for s in signs] for signs in 2.0 * CORNER_OFFSETS - 1.0])
"""The 2 x 2 x 2 Gauss points of the unit cube; each has weight 1/8."""

POINT_SEARCH = 9
"""Points along half an edge in the search of `point_eigenvalue_bound`."""

CENTROID = np.array([0.5, 0.5, 0.5])
"""Centroid of the unit cube: where strain is reported (the convention of FAIM)."""


def elasticity_matrix(poisson_ratio: float) -> Float[np.ndarray, "6 6"]:
    """Return the isotropic stiffness of a material with Young's modulus 1 [-].

    Raises:
        ValueError: If the Poisson ratio is outside (-1, 0.5), where the material is not stable.
    """
    if not -1.0 < poisson_ratio < 0.5:
        raise ValueError(f"`poisson_ratio` must lie in (-1, 0.5), got {poisson_ratio}; bone is near 0.3.")
    shear = 0.5 / (1.0 + poisson_ratio)
    lame = poisson_ratio / ((1.0 + poisson_ratio) * (1.0 - 2.0 * poisson_ratio))
    matrix = np.zeros((6, 6))
    matrix[:3, :3] = lame
    matrix[np.arange(6), np.arange(6)] += shear * np.array([2.0, 2.0, 2.0, 1.0, 1.0, 1.0])
    return matrix


def shape_gradients(
    spacing: tuple[float, float, float], point: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "8 3"]:
    """Return the gradient of the eight shape functions at a point of the unit cube [1/mm]."""
    factors = np.where(CORNER_OFFSETS == 1, point, 1.0 - point)
    slopes = np.where(CORNER_OFFSETS == 1, 1.0, -1.0) / np.asarray(spacing)
    return np.stack([slopes[:, i] * np.prod(np.delete(factors, i, axis=1), axis=1) for i in range(3)], axis=1)


def strain_displacement(
    spacing: tuple[float, float, float], point: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "6 24"]:
    """Return the matrix that takes the 24 corner displacements [mm] to the strain at a point [-]."""
    gradients = shape_gradients(spacing, point)
    matrix = np.zeros((6, 8, 3))
    for axis in range(3):
        matrix[axis, :, axis] = gradients[:, axis]
    for row, (first, second) in enumerate(((1, 2), (0, 2), (0, 1)), start=3):
        matrix[row, :, first] = gradients[:, second]
        matrix[row, :, second] = gradients[:, first]
    return matrix.reshape(6, 24)


def stiffness_matrix(spacing: tuple[float, float, float], poisson_ratio: float) -> Float[np.ndarray, "24 24"]:
    """Return the stiffness of one voxel with Young's modulus 1 [mm]; times the modulus it is in N/mm."""
    elasticity = elasticity_matrix(poisson_ratio)
    weight = np.prod(spacing) / len(GAUSS_POINTS)
    strains = np.stack([strain_displacement(spacing, point) for point in GAUSS_POINTS])
    return weight * np.einsum("qik,ij,qjl->kl", strains, elasticity, strains, optimize=True)


def eigenvalue_bound(matrix: Float[np.ndarray, "24 24"]) -> float:
    """Return a bound on the eigenvalues of D^-1 K of any mesh of this element, whatever its moduli [-].

    K is a sum of element matrices and D, its diagonal, the same sum of their diagonals, so the
    Rayleigh quotient of the mesh cannot exceed that of one element: 5.32 for a cube at ratio 0.3.
    It holds on any part of the degrees of freedom and needs no iteration that might underestimate.

    Source: Wathen 1987, IMA J. Numer. Anal. 7:449-457, doi:10.1093/imanum/7.4.449.
    """
    scale = 1.0 / np.sqrt(np.diagonal(matrix))
    return float(np.linalg.eigvalsh(matrix * scale[:, None] * scale[None, :])[-1])


def point_eigenvalue_bound(spacing: tuple[float, float, float], poisson_ratio: float) -> float:
    """Return a bound on the eigenvalues of D^-1 K where any part of each box may be filled [-].

    The energy of a partly filled box is a sum over its points of the energy at a point, so the largest
    Rayleigh quotient of a single point bounds that of every filling: 9.45 for a cube at ratio 0.3. Where it
    lies is searched on a grid over an eighth of the box; the quotient is smooth between.
    """
    elasticity = elasticity_matrix(poisson_ratio)
    side = np.linspace(0.0, 0.5, POINT_SEARCH)
    strains = np.stack([strain_displacement(spacing, np.array(p)) for p in itertools.product(side, repeat=3)])
    matrices = np.einsum("pik,ij,pjl->pkl", strains, elasticity, strains, optimize=True)
    diagonal = np.einsum("pkk->pk", matrices)
    moves = diagonal > 1e-12 * diagonal.max()  # At a corner of the box most corners do not strain it.
    scale = np.where(moves, 1.0 / np.sqrt(np.where(moves, diagonal, 1.0)), 0.0)
    return float(np.linalg.eigvalsh(matrices * scale[:, :, None] * scale[:, None, :]).max())
