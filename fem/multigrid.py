"""A multigrid preconditioner for voxel meshes that follows the modulus inside a jitted loop.

Each coarser level is again a voxel mesh, of double spacing; its modulus is the mean over the eight
children, void counting as zero. The topology is built once on the host, everything that depends on
the modulus is gathered on the device.

Source: Arbenz et al. 2008, Int. J. Numer. Meth. Eng. 73:927-947, doi:10.1002/nme.2101 (multigrid for
micro-finite-element bone models); Flaig and Arbenz 2011, Parallel Comput. 37:846-854 (voxels, no matrices).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from fem.stiffness import VoxelStiffness, VoxelTopology, masked, voxel_topology
from meshes.voxel import VoxelMesh, grid_coordinates, lattice_coordinates, voxel_mesh

COARSEST_NODES = 64
"""A level with at most so many nodes is solved directly."""

SMOOTHING_DEGREE = 2
"""Degree of the Chebyshev smoother before and after the coarse correction: the least work wins."""

SMOOTHING_RATIO = 10.0
"""The smoother acts on eigenvalues from bound / ratio to bound; below that the coarser grid does."""

NOTHING = np.iinfo(np.int32).max
"""Index that points past every array: gathers read zero there."""


class Transfer(eqx.Module):
    """How one level hangs on the next finer one; gathers only, so that it is deterministic."""

    children: Int[Array, "coarse_elements 8"]
    """The fine elements inside each coarse one."""
    parents: Int[Array, "fine_nodes 8"]
    """The coarse nodes that each fine node is the mean of, with repetition."""
    family: Int[Array, "coarse_nodes 27"]
    """The fine nodes around each coarse one, in C order of offsets -1, 0, 1; it stands on the middle one."""


class Hierarchy(eqx.Module):
    """The topologies of all levels, finest first, and the transfers between them."""

    levels: tuple[VoxelTopology, ...]
    transfers: tuple[Transfer, ...]


class _Level(NamedTuple):
    """One level with its numbers, ready to smooth."""

    stiffness: VoxelStiffness
    free: Bool[Array, "nodes 3"]
    inverse_diagonal: Float[Array, "nodes 3"]


def hierarchy(mesh: VoxelMesh, *, poisson_ratio: float) -> Hierarchy:
    """Return the levels of a mesh, built on the host by whole-array operations."""
    levels = [voxel_topology(mesh, poisson_ratio=poisson_ratio)]
    transfers = []
    while mesh.nodes > COARSEST_NODES and max(mesh.shape) > 1:
        coarse = _coarsen(mesh)
        transfers.append(_transfer(mesh, coarse))
        levels.append(voxel_topology(coarse, poisson_ratio=poisson_ratio))
        mesh = coarse
    return Hierarchy(tuple(levels), tuple(transfers))


class Multigrid(eqx.Module):
    """One V-cycle, as a symmetric positive approximation of the inverse stiffness."""

    stiffness: tuple[VoxelStiffness, ...]
    free: tuple[Bool[Array, "_ 3"], ...]
    inverse_diagonal: tuple[Float[Array, "_ 3"], ...]
    transfers: tuple[Transfer, ...]
    coarsest_inverse: Float[Array, "unknowns unknowns"]

    def __call__(self, residual: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        """Return the correction of a residual [mm]."""
        return self._cycle(0, residual)

    def _cycle(self, depth: int, residual: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        if depth == len(self.transfers):
            return jnp.dot(self.coarsest_inverse, residual.reshape(-1)).reshape(-1, 3)
        level = _Level(self.stiffness[depth], self.free[depth], self.inverse_diagonal[depth])
        correction, remaining = _smooth(level, jnp.zeros_like(residual), residual)
        coarse = masked(_restrict(self.transfers[depth], remaining), self.free[depth + 1])
        fine = masked(_prolong(self.transfers[depth], self._cycle(depth + 1, coarse)), level.free)
        correction = correction + fine
        return _smooth(level, correction, residual - _masked(level, correction))[0]


def multigrid(levels: Hierarchy, finest: VoxelStiffness, free: Bool[Array, "nodes 3"]) -> Multigrid:
    """Return the preconditioner of a stiffness whose held degrees of freedom are not free."""
    stiffness, frees = [finest], [free]
    for topology, transfer in zip(levels.levels[1:], levels.transfers, strict=True):
        stiffness.append(_coarser_stiffness(stiffness[-1], topology, transfer))
        frees.append(_coarser_free(frees[-1], transfer))
    inverse = [_inverse_diagonal(k, f) for k, f in zip(stiffness, frees, strict=True)]
    last = _Level(stiffness[-1], frees[-1], inverse[-1])
    return Multigrid(
        tuple(stiffness), tuple(frees), tuple(inverse), levels.transfers, _coarsest_inverse(last)
    )


def _smooth(
    level: _Level, start: Float[Array, "nodes 3"], residual: Float[Array, "nodes 3"]
) -> tuple[Float[Array, "nodes 3"], Float[Array, "nodes 3"]]:
    """Return the smoothed displacement and what remains of its residual.

    Chebyshev iteration in the diagonally scaled operator.

    Source: Saad 2003, algorithm 12.1.
    """
    largest = level.stiffness.eigenvalue_bound()
    middle = 0.5 * largest * (1 + 1 / SMOOTHING_RATIO)
    half_width = 0.5 * largest * (1 - 1 / SMOOTHING_RATIO)
    sigma = middle / half_width
    rho = 1 / sigma
    step = residual * level.inverse_diagonal / middle
    displacement = start + step
    residual = residual - _masked(level, step)
    for _ in range(SMOOTHING_DEGREE - 1):
        rho_next = 1 / (2 * sigma - rho)
        step = rho_next * rho * step + (2 * rho_next / half_width) * residual * level.inverse_diagonal
        rho = rho_next
        displacement = displacement + step
        residual = residual - _masked(level, step)
    return displacement, residual


def _masked(level: _Level, displacement: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
    return masked(level.stiffness.apply(displacement), level.free)


def _inverse_diagonal(stiffness: VoxelStiffness, free: Bool[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
    return jnp.where(free, 1 / stiffness.diagonal(), jnp.zeros((), stiffness.modulus.dtype))


def _coarsest_inverse(level: _Level) -> Float[Array, "unknowns unknowns"]:
    """Return the pseudo-inverse of the coarsest stiffness: motions that nothing holds stay out of it."""
    dtype = level.inverse_diagonal.dtype
    unknowns = level.free.size
    columns = jnp.eye(unknowns, dtype=dtype).reshape(unknowns, -1, 3)
    matrix = jax.vmap(lambda column: _masked(level, masked(column, level.free)))(columns)
    matrix = matrix.reshape(unknowns, unknowns)
    scale = jnp.sqrt(jnp.abs(level.inverse_diagonal).reshape(-1))
    values, vectors = jnp.linalg.eigh(matrix * scale[:, None] * scale[None, :])
    cutoff = values[-1] * (100 * jnp.finfo(dtype).eps)
    inverse = jnp.where(values > cutoff, 1 / values, jnp.zeros((), dtype))
    half = vectors * scale[:, None]
    return (half * inverse[None, :]) @ half.T


def _coarser_stiffness(fine: VoxelStiffness, topology: VoxelTopology, transfer: Transfer) -> VoxelStiffness:
    modulus = jnp.sum(_gather(fine.modulus, transfer.children), axis=1) / 8
    springs = None if fine.springs is None else _restrict(transfer, fine.springs)
    return VoxelStiffness(topology, modulus, springs)


def _coarser_free(fine: Bool[Array, "fine 3"], transfer: Transfer) -> Bool[Array, "coarse 3"]:
    """Return which coarse degrees of freedom are free.

    One is held if the fine one where it stands is; past the rim of the bone, if any around it is.
    """
    held = fine.at[transfer.family].get(mode="fill", fill_value=True)
    held = ~held
    middle = transfer.family[:, 13]
    stands = (middle != NOTHING)[:, None]
    return ~jnp.where(stands, held[:, 13], jnp.any(held, axis=1))


def _prolong(transfer: Transfer, coarse: Float[Array, "coarse 3"]) -> Float[Array, "fine 3"]:
    # Column by column: eight gathers that fuse into one pass are eight times faster than one gather of rows.
    # The barriers keep XLA from computing what is gathered anew for each of the gathers.
    coarse = lax.optimization_barrier(coarse)
    mean = coarse[transfer.parents[:, 0]]
    for column in range(1, 8):
        mean = mean + coarse[transfer.parents[:, column]]
    return lax.optimization_barrier(mean / 8)


def _restrict(transfer: Transfer, fine: Float[Array, "fine 3"]) -> Float[Array, "coarse 3"]:
    near = np.array([0.5, 1.0, 0.5])
    weights = np.einsum("i,j,k->ijk", near, near, near).reshape(-1)
    fine = lax.optimization_barrier(fine)
    total = jnp.zeros((transfer.family.shape[0], 3), fine.dtype)
    for column, weight in enumerate(weights.tolist()):
        total = total + weight * _gather(fine, transfer.family[:, column])
    return lax.optimization_barrier(total)


def _gather(values: Float[Array, "items ..."], index: Int[Array, "..."]) -> Float[Array, "..."]:
    return values.at[index].get(mode="fill", fill_value=0)


def _coarsen(mesh: VoxelMesh) -> VoxelMesh:
    shape = tuple(-(-n // 2) for n in mesh.shape)
    solid = np.zeros(shape, dtype=bool)
    x, y, z = (grid_coordinates(mesh) // 2).T
    solid[x, y, z] = True
    dx, dy, dz = mesh.spacing
    return voxel_mesh(solid, (2 * dx, 2 * dy, 2 * dz), origin=mesh.origin)


def _transfer(fine: VoxelMesh, coarse: VoxelMesh) -> Transfer:
    return Transfer(
        children=jnp.asarray(_children(fine, coarse)),
        parents=jnp.asarray(_parents(fine, coarse)),
        family=jnp.asarray(_family(fine, coarse)),
    )


def _children(fine: VoxelMesh, coarse: VoxelMesh) -> Int[np.ndarray, "coarse_elements 8"]:
    number = np.empty(int(np.prod(coarse.shape)), dtype=np.int32)
    number[coarse.voxels] = np.arange(coarse.elements, dtype=np.int32)
    cell = grid_coordinates(fine)
    parent = number[np.ravel_multi_index(tuple((cell // 2).T), coarse.shape)]
    children = np.full((coarse.elements, 8), NOTHING, dtype=np.int32)
    children[parent, (cell % 2) @ np.array([4, 2, 1])] = np.arange(fine.elements, dtype=np.int32)
    return children


def _parents(fine: VoxelMesh, coarse: VoxelMesh) -> Int[np.ndarray, "fine_nodes 8"]:
    number = _node_numbers(coarse)
    point = lattice_coordinates(fine)
    below, above = (point // 2).T, ((point + 1) // 2).T
    ends = (below, above)
    columns = [number[ends[a][0], ends[b][1], ends[c][2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    return np.stack(columns, axis=1)


def _family(fine: VoxelMesh, coarse: VoxelMesh) -> Int[np.ndarray, "coarse_nodes 27"]:
    number = np.pad(_node_numbers(fine), ((1, 2), (1, 2), (1, 2)), constant_values=NOTHING)
    x, y, z = 2 * lattice_coordinates(coarse).T + 1
    steps = (-1, 0, 1)
    return np.stack([number[x + i, y + j, z + k] for i in steps for j in steps for k in steps], axis=1)


def _node_numbers(mesh: VoxelMesh) -> Int[np.ndarray, "px py pz"]:
    """Return the node at each lattice point, `NOTHING` where there is none."""
    points = tuple(n + 1 for n in mesh.shape)
    number = np.full(int(np.prod(points)), NOTHING, dtype=np.int32)
    number[mesh.lattice] = np.arange(mesh.nodes, dtype=np.int32)
    return number.reshape(points)
