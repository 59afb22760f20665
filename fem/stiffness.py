"""The stiffness of a mesh as an operator: what a solver may ask of it, and its voxel forms."""

from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

from fem.hexahedron import eigenvalue_bound, stiffness_matrix
from fem.layout import Layout, assembled, layout
from meshes.voxel import VoxelMesh


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
    """Elements that are all boxes of one size, on the device."""

    layout: Layout
    element_matrix: Float[Array, "24 24"]
    """Stiffness of one voxel at modulus 1 [mm]."""
    bound: Float[Array, ""]
    """Bound on the eigenvalues of the diagonally scaled operator [-]."""


def voxel_topology(mesh: VoxelMesh, *, poisson_ratio: float, gathering: bool | None = None) -> VoxelTopology:
    """Return what the operator needs of a mesh; `gathering` as in `layout`."""
    placed = layout(mesh.connectivity, mesh.nodes, gathering=gathering)
    return box_topology(placed, mesh.spacing, poisson_ratio=poisson_ratio)


def box_topology(
    layout: Layout, spacing: tuple[float, float, float], *, poisson_ratio: float
) -> VoxelTopology:
    """Return what the operator needs of elements with the given edges [mm]."""
    element_matrix = stiffness_matrix(spacing, poisson_ratio)
    return VoxelTopology(
        layout=layout,
        element_matrix=jnp.asarray(element_matrix),
        bound=jnp.asarray(eigenvalue_bound(element_matrix)),
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

    @property
    def dtype(self):
        """Precision of its numbers."""
        return self.modulus.dtype

    @property
    def layout(self) -> Layout:
        """Which element touches which node."""
        return self.topology.layout

    def apply(self, displacement: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        """Return the internal forces of a displacement [N]."""
        matrix = self.topology.element_matrix.astype(displacement.dtype)

        def share(nodes, modulus):
            local = jnp.matmul(displacement[nodes].reshape(-1, 24), matrix, precision=lax.Precision.HIGHEST)
            return (local * modulus[:, None]).reshape(-1, 8, 3)

        layout = self.topology.layout
        forces = assembled(
            layout, share, layout.in_chunks(self.modulus.astype(displacement.dtype)), displacement
        )
        return _on_ground(forces, self.springs, displacement)

    def diagonal(self) -> Float[Array, "nodes 3"]:
        """Return the diagonal [N/mm]."""
        per_corner = jnp.diagonal(self.topology.element_matrix).reshape(8, 3).astype(self.modulus.dtype)
        layout = self.topology.layout
        diagonal = assembled(
            layout,
            lambda _, modulus: modulus[:, None, None] * per_corner[None],
            layout.in_chunks(self.modulus),
            self.modulus,
        )
        return diagonal if self.springs is None else diagonal + self.springs

    def eigenvalue_bound(self) -> Float[Array, ""]:
        """Return a safe upper bound on the eigenvalues of the diagonally scaled operator [-]."""
        return self.topology.bound.astype(self.modulus.dtype)


class MatrixStiffness(eqx.Module):
    """The stiffness of elements that each have a matrix of their own, and springs to ground."""

    layout: Layout
    matrices: Float[Array, "chunks chunk 24 24"]
    """Stiffness of each element [N/mm], zero on the padding."""
    bound: Float[Array, ""]
    """Bound on the eigenvalues of the diagonally scaled operator [-]."""
    springs: Float[Array, "nodes 3"] | None = None
    """Stiffness to ground of each degree of freedom [N/mm]."""

    @property
    def dtype(self):
        """Precision of its numbers."""
        return self.matrices.dtype

    def apply(self, displacement: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        """Return the internal forces of a displacement [N]."""

        def share(nodes, matrices):
            local = displacement[nodes].reshape(-1, 24)
            # Column by column the products fuse into one pass on all cores; one batched product uses one.
            forces = matrices[:, 0] * local[:, :1]
            for column in range(1, 24):
                forces = forces + matrices[:, column] * local[:, column : column + 1]
            return forces.reshape(-1, 8, 3)

        return _on_ground(
            assembled(self.layout, share, self.matrices, displacement), self.springs, displacement
        )

    def diagonal(self) -> Float[Array, "nodes 3"]:
        """Return the diagonal [N/mm]."""
        diagonal = assembled(
            self.layout,
            lambda _, matrices: jnp.diagonal(matrices, axis1=1, axis2=2).reshape(-1, 8, 3),
            self.matrices,
            self.matrices,
        )
        return diagonal if self.springs is None else diagonal + self.springs

    def eigenvalue_bound(self) -> Float[Array, ""]:
        """Return a safe upper bound on the eigenvalues of the diagonally scaled operator [-]."""
        return self.bound.astype(self.matrices.dtype)


def _on_ground(forces, springs, displacement) -> Float[Array, "nodes 3"]:
    return forces if springs is None else forces + springs * displacement


def masked(values: Float[Array, "nodes 3"], free: Bool[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
    """Return the values of free degrees of freedom, and zero for those that are held."""
    return jnp.where(free, values, 0)


def in_precision(tree: PyTree, dtype) -> PyTree:
    """Return the same operators with their numbers stored in another precision."""
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
    )
