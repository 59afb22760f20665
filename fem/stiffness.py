"""The stiffness of a mesh as an operator: what a solver may ask of it, and its matrix-free voxel form."""

from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from fem.hexahedron import eigenvalue_bound, stiffness_matrix
from meshes.voxel import VoxelMesh

CHUNK = 16384
"""Elements that go through the cache together. Measured best of 4096, 16384 and 65536 on two x86 cores."""


class Stiffness(Protocol):
    """What a solver needs of a stiffness operator, be the mesh of voxels or of tetrahedra."""

    def apply(self, displacement: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        """Return the internal forces of a displacement [N]."""
        ...

    def diagonal(self) -> Float[Array, "nodes 3"]:
        """Return the diagonal [N/mm]."""
        ...

    def eigenvalue_bound(self) -> Float[Array, ""]:
        """Return a safe upper bound on the eigenvalues of the diagonally scaled operator [-]."""
        ...


class VoxelTopology(eqx.Module):
    """Which element touches which node, on the device; made once per mesh."""

    connectivity: Int[Array, "chunks chunk 8"]
    """Nodes of the elements, padded with elements on node 0 whose modulus is zero."""
    corners: Int[Array, "nodes 8"]
    """For each node the flat `8 element + corner` of the up to eight corners that stand on it;
    where there are fewer, the corner of an element past the last, whose modulus is zero."""
    element_matrix: Float[Array, "24 24"]
    """Stiffness of one voxel at modulus 1 [mm]."""
    bound: Float[Array, ""]
    """Bound on the eigenvalues of the diagonally scaled operator [-]."""
    elements: int = eqx.field(static=True)
    """Elements without the padding."""


def voxel_topology(mesh: VoxelMesh, *, poisson_ratio: float) -> VoxelTopology:
    """Return what the operator needs of a mesh, with its arrays on the device."""
    chunk = min(CHUNK, mesh.elements)
    chunks = -(-mesh.elements // chunk)
    padded = np.zeros((chunks * chunk, 8), dtype=np.int32)
    padded[: mesh.elements] = mesh.connectivity
    element_matrix = stiffness_matrix(mesh.spacing, poisson_ratio)
    return VoxelTopology(
        connectivity=jnp.asarray(padded.reshape(chunks, chunk, 8)),
        corners=jnp.asarray(_corners_of_nodes(mesh)),
        element_matrix=jnp.asarray(element_matrix),
        bound=jnp.asarray(eigenvalue_bound(element_matrix)),
        elements=mesh.elements,
    )


class VoxelStiffness(eqx.Module):
    """The stiffness of a voxel mesh with one modulus per element, and springs to ground.

    Never assembled: each application gathers the corner displacements of an element, multiplies them
    by the one element matrix and its modulus, and adds the result to the nodes.
    """

    topology: VoxelTopology
    modulus: Float[Array, " elements"]
    """Young's modulus [MPa]."""
    springs: Float[Array, "nodes 3"] | None = None
    """Stiffness to ground of each degree of freedom [N/mm]."""

    def apply(self, displacement: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        """Return the internal forces of a displacement [N].

        On a CPU the elements go through the cache in chunks and add to the nodes in turn. Elsewhere
        each node gathers its forces, because adding from many threads is not deterministic there.
        """
        forces = lax.platform_dependent(self, displacement, cpu=apply_by_elements, default=apply_by_nodes)
        return forces if self.springs is None else forces + self.springs * displacement

    def diagonal(self) -> Float[Array, "nodes 3"]:
        """Return the diagonal [N/mm]."""
        matrix = self.topology.element_matrix.astype(self.modulus.dtype)
        per_corner = jnp.diagonal(matrix).reshape(8, 3)
        corners = self.topology.corners
        modulus = self.modulus.at[corners // 8].get(mode="fill", fill_value=0)
        diagonal = jnp.einsum("nk,nki->ni", modulus, per_corner[corners % 8])
        return diagonal if self.springs is None else diagonal + self.springs

    def eigenvalue_bound(self) -> Float[Array, ""]:
        """Return a safe upper bound on the eigenvalues of the diagonally scaled operator [-]."""
        return self.topology.bound.astype(self.modulus.dtype)


def apply_by_elements(
    stiffness: VoxelStiffness, displacement: Float[Array, "nodes 3"]
) -> Float[Array, "nodes 3"]:
    """Return the forces of the elements on the nodes [N], chunk by chunk through the cache."""
    matrix = stiffness.topology.element_matrix.astype(displacement.dtype)

    def add_chunk(forces, chunk):
        nodes, modulus = chunk
        local = displacement[nodes].reshape(-1, 24) @ matrix
        return forces.at[nodes].add((local * modulus[:, None]).reshape(-1, 8, 3)), None

    chunks = (stiffness.topology.connectivity, _modulus_in_chunks(stiffness, displacement.dtype))
    return lax.scan(add_chunk, jnp.zeros_like(displacement), chunks)[0]


def apply_by_nodes(
    stiffness: VoxelStiffness, displacement: Float[Array, "nodes 3"]
) -> Float[Array, "nodes 3"]:
    """Return the forces of the elements on the nodes [N], each node gathering its own."""
    matrix = stiffness.topology.element_matrix.astype(displacement.dtype)
    nodes = stiffness.topology.connectivity.reshape(-1, 8)
    modulus = _modulus_in_chunks(stiffness, displacement.dtype).reshape(-1, 1)
    local = jnp.matmul(displacement[nodes].reshape(-1, 24), matrix, precision=lax.Precision.HIGHEST)
    corner_forces = (local * modulus).reshape(-1, 3)
    return jnp.sum(corner_forces.at[stiffness.topology.corners].get(mode="fill", fill_value=0), axis=1)


def masked(values: Float[Array, "nodes 3"], free: Bool[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
    """Return the values of free degrees of freedom, and zero for those that are held."""
    return jnp.where(free, values, 0)


def in_precision(stiffness: VoxelStiffness, dtype) -> VoxelStiffness:
    """Return the same operator with its numbers stored in another precision."""
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, stiffness
    )


def _modulus_in_chunks(stiffness: VoxelStiffness, dtype) -> Float[Array, "chunks chunk"]:
    chunks, chunk, _ = stiffness.topology.connectivity.shape
    padding = chunks * chunk - stiffness.topology.elements
    return jnp.pad(stiffness.modulus.astype(dtype), (0, padding)).reshape(chunks, chunk)


def _corners_of_nodes(mesh: VoxelMesh) -> Int[np.ndarray, "nodes 8"]:
    """Return the flat `8 element + corner` that stand on each node.

    A node is corner k of at most one element, so the column of the table is the corner itself.
    """
    corners = np.full((mesh.nodes, 8), np.iinfo(np.int32).max, dtype=np.int32)
    elements = np.arange(mesh.elements, dtype=np.int32)
    for corner in range(8):
        corners[mesh.connectivity[:, corner], corner] = 8 * elements + corner
    return corners
