"""Strain, stress and energy of the elements, and the forces that the supports feel.

Strain and everything made from it is taken at the centroid of an element, the convention of FAIM; the
element average of the energy is a field of another name. Both are in the tables of `docs/units.md`.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from fem.hexahedron import CENTROID, elasticity_matrix, strain_displacement
from fem.stiffness import VoxelStiffness, VoxelTopology
from meshes.voxel import VoxelMesh


class StrainOperator(NamedTuple):
    """What turns corner displacements into strain and stress at the centroid."""

    strain: Float[Array, "6 24"]
    """Corner displacements [mm] to strain (xx, yy, zz, yz, xz, xy), shear doubled [-]."""
    elasticity: Float[Array, "6 6"]
    """Strain to stress of a material with modulus 1 [-]."""


def strain_operator(mesh: VoxelMesh, *, poisson_ratio: float) -> StrainOperator:
    """Return the centroid strain operator of a mesh's voxel."""
    return StrainOperator(
        strain=jnp.asarray(strain_displacement(mesh.spacing, CENTROID)),
        elasticity=jnp.asarray(elasticity_matrix(poisson_ratio)),
    )


def strain(
    operator: StrainOperator, topology: VoxelTopology, displacement: Float[Array, "nodes 3"]
) -> Float[Array, "elements 6"]:
    """Return the strain at the centroids, (xx, yy, zz, yz, xz, xy) with engineering shear [-]."""
    matrix = operator.strain.astype(displacement.dtype)

    def of_chunk(nodes: Int[Array, "chunk 8"]) -> Float[Array, "chunk 6"]:
        local = displacement[nodes].reshape(-1, 24)
        return jnp.matmul(local, matrix.T, precision=lax.Precision.HIGHEST)

    return lax.map(of_chunk, topology.layout.connectivity).reshape(-1, 6)[: topology.layout.elements]


def stress(
    operator: StrainOperator, strain: Float[Array, "elements 6"], modulus: Float[Array, " elements"]
) -> Float[Array, "elements 6"]:
    """Return the stress at the centroids, (xx, yy, zz, yz, xz, xy) [MPa]."""
    elasticity = operator.elasticity.astype(strain.dtype)
    return modulus[:, None] * jnp.matmul(strain, elasticity, precision=lax.Precision.HIGHEST)


def effective_strain(
    operator: StrainOperator, strain: Float[Array, "elements 6"]
) -> Float[Array, " elements"]:
    """Return the effective strain sqrt(2 U / E) at the centroids [-].

    U is the strain energy density and E the modulus; their ratio does not depend on the modulus.

    Source: Pistoia et al. 2002, Bone 30:842-848, doi:10.1016/S8756-3282(02)00736-6.
    """
    elasticity = operator.elasticity.astype(strain.dtype)
    square = jnp.einsum("ei,ij,ej->e", strain, elasticity, strain, precision=lax.Precision.HIGHEST)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def effective_strain_of(
    operator: StrainOperator, topology: VoxelTopology, displacement: Float[Array, "nodes 3"]
) -> Float[Array, " elements"]:
    """Return `effective_strain` of a displacement [-], without holding the strain of all elements at once."""
    matrix = operator.strain.astype(displacement.dtype)

    def of_chunk(nodes: Int[Array, "chunk 8"]) -> Float[Array, " chunk"]:
        local = displacement[nodes].reshape(-1, 24)
        return effective_strain(operator, jnp.matmul(local, matrix.T, precision=lax.Precision.HIGHEST))

    return lax.map(of_chunk, topology.layout.connectivity).reshape(-1)[: topology.layout.elements]


def strain_energy_density(
    effective_strain: Float[Array, " elements"], modulus: Float[Array, " elements"]
) -> Float[Array, " elements"]:
    """Return the strain energy density at the centroids [MPa]: U = E eps² / 2."""
    return 0.5 * modulus * effective_strain**2


def element_average_energy_density(
    stiffness: VoxelStiffness, displacement: Float[Array, "nodes 3"], *, volume: float
) -> Float[Array, " elements"]:
    """Return the strain energy of each element over its volume [MPa].

    1 to 15 % above the centroid value in trabecular bone; their sum times the volume is the whole energy.

    Args:
        stiffness: The operator; its springs, if any, are left out.
        displacement: Of the nodes [mm].
        volume: Of one voxel [mm³].
    """
    matrix = stiffness.topology.element_matrix.astype(displacement.dtype)

    def of_chunk(nodes: Int[Array, "chunk 8"]) -> Float[Array, " chunk"]:
        local = displacement[nodes].reshape(-1, 24)
        return jnp.einsum("ei,ij,ej->e", local, matrix, local, precision=lax.Precision.HIGHEST)

    layout = stiffness.topology.layout
    energy = lax.map(of_chunk, layout.connectivity).reshape(-1)
    return 0.5 * stiffness.modulus * energy[: layout.elements] / volume


def resultant(
    forces: Float[Array, "nodes 3"],
    points: Float[np.ndarray, "nodes 3"],
    nodes: Int[np.ndarray, " chosen"],
    center: Float[np.ndarray, " 3"],
) -> Float[np.ndarray, " 6"]:
    """Return the force [N] and the moment about a centre [N mm] of nodal forces on some nodes."""
    chosen = np.asarray(forces)[nodes].astype(np.float64)
    moment = np.cross(points[nodes] - center, chosen)
    return np.concatenate([chosen.sum(axis=0), moment.sum(axis=0)])
