"""A multigrid preconditioner for voxel meshes that follows the modulus inside a jitted loop.

The levels keep apart what the bone keeps apart (`fem/coarsening.py`). On the first coarse level the elements
are boxes again, with the mean modulus of their eight children, void counting as zero: nothing to store.
From there on each coarse element has the Galerkin matrix of its children. The topology is built once on
the host; everything that depends on the modulus is computed on the device.

Each visit of a level visits the next coarser one twice, with over-relaxed corrections. That is what makes
thin, nearly disconnected trabeculae tractable: on the coarse levels of such a bone a few motions of whole
struts converge slowly; of a motion that one cycle corrects by the small fraction x, two relaxed ones correct
3.4 x, and that again on every level. Galerkin matrices make it safe: no cycle above them corrects more than
all of a motion, so that the polynomial stays positive.

Source: Arbenz et al. 2008, Int. J. Numer. Meth. Eng. 73:927-947, doi:10.1002/nme.2101 (multigrid for
micro-finite-element bone models); Flaig and Arbenz 2011, Parallel Comput. 37:846-854 (voxels, no matrices);
Axelsson and Vassilevski 1989, Numer. Math. 56:157-177, doi:10.1007/BF01409783 (a polynomial of the cycle
on each coarse level). That coarse elements split where the bone does, and the over-relaxation, were found here:
`docs/solver.md`.
"""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from fem.buckets import WIDTH_STEPS, Room, bucket, coarse_room, finest_room
from fem.coarsening import PARENTS, Descent, coarsen, finest_lattice, octant_interpolation
from fem.hexahedron import point_eigenvalue_bound
from fem.layout import NOTHING, Layout, layout, zeros_beside
from fem.stiffness import MatrixStiffness, VoxelStiffness, VoxelTopology, box_topology, masked
from meshes.voxel import VoxelMesh

COARSEST_NODES = 64
"""A level with at most so many nodes is solved directly."""

BOXES = 1
"""Coarse levels of boxes with a mean modulus, before the Galerkin matrices begin: by then these are few."""

SMOOTHING_DEGREE = 2
"""Degree of the Chebyshev smoother before and after the coarse correction: the least work wins."""

SMOOTHING_RATIO = 10.0
"""The smoother acts on eigenvalues from bound / ratio to bound; below that the coarser grid does."""

VISITS = 2
"""How often each visit of a level visits the next coarser one."""

RELAXATION = 1.7
"""Factor on the correction of a visit. Two leave (1 - 1.7 x)² of a motion that a cycle corrects by x."""

EXACT = lax.Precision.HIGHEST
"""GPUs would otherwise multiply single precision with half of its digits."""

Stiffnesses = tuple[VoxelStiffness | MatrixStiffness, ...]
"""One operator for each level, finest first."""


class Transfer(eqx.Module):
    """How one level hangs on the next finer one."""

    children: Int[Array, "coarse_elements 8 several"]
    """The fine elements in each octant of a coarse one; several where pieces of bone pass each other."""
    piece: Int[Array, " fine_nodes"]
    """The coarse element that each fine node stands in."""
    point: Int[Array, " fine_nodes"]
    """At which of its 27 points. So the parents of a node take 5 bytes to store and not 32."""
    family: Int[Array, "width coarse_nodes"]
    """The fine nodes that hang on each coarse one; the last, a padding node, where there are no more."""
    share: Float[Array, " width"]
    """How far a coarse node moves those in each row of `family` [-]."""


class Hierarchy(eqx.Module):
    """All levels of a mesh and the transfers between them, finest first."""

    finest: VoxelTopology
    boxes: tuple[VoxelTopology, ...]
    """Coarse levels with a mean modulus."""
    deeper: tuple[Layout, ...]
    """Coarse levels with Galerkin matrices."""
    transfers: tuple[Transfer, ...]
    bound: Float[Array, ""]
    """Bound on the eigenvalues of the diagonally scaled Galerkin levels [-]."""


class _Level(NamedTuple):
    """One level with its numbers, ready to smooth."""

    stiffness: VoxelStiffness | MatrixStiffness
    free: Bool[Array, "nodes 3"]
    inverse_diagonal: Float[Array, "nodes 3"]


def hierarchy(mesh: VoxelMesh, *, poisson_ratio: float) -> Hierarchy:
    """Return the levels of a mesh, built on the host by whole-array operations, each with its padding."""
    fine = finest_lattice(mesh)
    finest_elements = mesh.elements
    first = finest_room(elements=mesh.elements, nodes=mesh.nodes, coarsest=COARSEST_NODES)
    placed = layout(fine.connectivity, fine.nodes, room=first)
    finest = box_topology(placed, mesh.spacing, poisson_ratio=poisson_ratio)
    room, boxes, deeper, transfers = first, [], [], []
    while room.nodes > COARSEST_NODES and fine.cells.max() > 0:
        coarse, descent = coarsen(fine)
        finer = room
        room = coarse_room(
            elements=len(coarse.cells),
            nodes=coarse.nodes,
            depth=len(transfers) + 1,
            finest=first,
            finest_elements=finest_elements,
            coarsest=COARSEST_NODES,
        )
        placed = layout(coarse.connectivity, coarse.nodes, room=room)
        transfers.append(_transfer(descent, finer, room, conforming=fine.conforming))
        if len(boxes) < BOXES:
            dx, dy, dz = (2.0 ** len(transfers) * edge for edge in mesh.spacing)
            boxes.append(box_topology(placed, (dx, dy, dz), poisson_ratio=poisson_ratio))
        else:
            deeper.append(placed)
        fine = coarse
    bound = point_eigenvalue_bound(mesh.spacing, poisson_ratio)
    return Hierarchy(finest, tuple(boxes), tuple(deeper), tuple(transfers), jnp.asarray(bound))


class Multigrid(eqx.Module):
    """One cycle, as a symmetric positive approximation of the inverse stiffness."""

    stiffness: Stiffnesses
    free: tuple[Bool[Array, "_ 3"], ...]
    inverse_diagonal: tuple[Float[Array, "_ 3"], ...]
    transfers: tuple[Transfer, ...]
    coarsest_inverse: Float[Array, "unknowns unknowns"]

    def __call__(self, residual: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        """Return the correction of a residual [mm], computed in the precision of the levels."""
        dtype = self.coarsest_inverse.dtype
        return self._cycle(0, residual.astype(dtype)).astype(residual.dtype)

    def _cycle(self, depth: int, residual: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        if depth == len(self.transfers):
            return jnp.dot(self.coarsest_inverse, residual.reshape(-1)).reshape(-1, 3)
        level = _Level(self.stiffness[depth], self.free[depth], self.inverse_diagonal[depth])
        correction, remaining = _smooth(level, residual)
        coarse = masked(_restrict(self.transfers[depth], remaining), self.free[depth + 1])
        coarse = self._visits(depth + 1, coarse)
        below = self.stiffness[depth + 1].layout
        fine = masked(_prolong(self.transfers[depth], below, coarse), level.free)
        return correction + fine + _smooth(level, remaining - _masked(level, fine))[0]

    def _visits(self, depth: int, residual: Float[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
        if depth == len(self.transfers):
            return self._cycle(depth, residual)
        level = _Level(self.stiffness[depth], self.free[depth], self.inverse_diagonal[depth])

        def visit(_, carry):
            correction, remaining = carry
            step = RELAXATION * self._cycle(depth, remaining)
            return correction + step, remaining - _masked(level, step)

        # A loop, so that the levels below stand in the compiled program once.
        return lax.fori_loop(0, VISITS, visit, (jnp.zeros_like(residual), residual))[0]


def multigrid(
    levels: Hierarchy,
    stiffness: Stiffnesses,
    free: Bool[Array, "nodes 3"],
    springs: Float[Array, "nodes 3"] | None = None,
) -> Multigrid:
    """Return the preconditioner of a stiffness under one load case.

    Args:
        levels: The levels of the mesh.
        stiffness: Of every level, as from `stiffnesses`; load cases share it.
        free: Which degrees of freedom of the finest level are not held; padding, where the diagonal is zero,
            is left out whatever it says.
        springs: Stiffness to ground of each of its degrees of freedom [N/mm].
    """
    if springs is not None:
        springs = springs.astype(stiffness[0].dtype)
    frees, grounded, inverse = [], [], []
    for depth, level in enumerate(stiffness):
        ground = replace(level, springs=springs)
        diagonal = ground.diagonal()
        frees.append(free & (diagonal != 0))
        grounded.append(ground)
        inverse.append(_inverse(diagonal, frees[-1]))
        if depth < len(levels.transfers):
            transfer = levels.transfers[depth]
            free = _coarser_free(free | (diagonal == 0), transfer)
            springs = None if springs is None else _restrict(transfer, springs)
    last = _Level(grounded[-1], frees[-1], inverse[-1])
    return Multigrid(tuple(grounded), tuple(frees), tuple(inverse), levels.transfers, _coarsest_inverse(last))


def stiffnesses(levels: Hierarchy, modulus: Float[Array, " elements"]) -> Stiffnesses:
    """Return the stiffness of every level for a modulus [MPa] of the elements of the finest."""
    boxes = levels.finest
    result: list[VoxelStiffness | MatrixStiffness] = [VoxelStiffness(boxes, modulus)]
    shallow = len(levels.boxes)
    for boxes, transfer in zip(levels.boxes, levels.transfers[:shallow], strict=True):
        modulus = _mean_of_children(modulus, transfer)
        result.append(VoxelStiffness(boxes, modulus))
    matrices = None
    for placed, transfer in zip(levels.deeper, levels.transfers[shallow:], strict=True):
        matrices = (
            _matrices_of_boxes(boxes, modulus, transfer)
            if matrices is None
            else _galerkin(matrices, transfer)
        )
        result.append(MatrixStiffness(placed, placed.in_chunks(matrices), levels.bound))
    return tuple(result)


def _mean_of_children(modulus: Float[Array, " fine"], transfer: Transfer) -> Float[Array, " coarse"]:
    return jnp.sum(_gather(modulus, transfer.children), axis=(1, 2)) / 8


def _matrices_of_boxes(
    boxes: VoxelTopology, modulus: Float[Array, " fine"], transfer: Transfer
) -> Float[Array, "coarse 24 24"]:
    """Return the Galerkin matrices above a level of boxes: a sum of eight constant ones."""
    down = _octants(modulus.dtype)
    matrix = boxes.element_matrix.astype(modulus.dtype)
    constant = jnp.einsum("oki,kl,olj->oij", down, matrix, down, precision=EXACT)
    children = jnp.sum(_gather(modulus, transfer.children), axis=2)
    return jnp.einsum("eo,oij->eij", children, constant, precision=EXACT)


def _galerkin(matrices: Float[Array, "fine 24 24"], transfer: Transfer) -> Float[Array, "coarse 24 24"]:
    """Return the matrices of coarse elements, octant by octant from those of their children."""

    def add(total, octant):
        children, down = octant
        child = sum(_gather(matrices, index) for index in children.T)
        half = jnp.einsum("ekl,lj->ekj", child, down, precision=EXACT)
        return total + jnp.einsum("ki,ekj->eij", down, half, precision=EXACT), None

    # A loop, so that only one octant's copies of the children take memory.
    start = jnp.zeros((transfer.children.shape[0], 24, 24), matrices.dtype)
    octants = (jnp.swapaxes(transfer.children, 0, 1), _octants(matrices.dtype))
    return lax.scan(add, start, octants)[0]


def _octants(dtype) -> Float[Array, "8 24 24"]:
    """Return what takes the corner displacements of an element to those of the child in each octant."""
    return jnp.asarray(np.kron(octant_interpolation(), np.eye(3)), dtype)


def _smooth(
    level: _Level, residual: Float[Array, "nodes 3"]
) -> tuple[Float[Array, "nodes 3"], Float[Array, "nodes 3"]]:
    """Return a correction of the rough part of a residual and what remains of it.

    Chebyshev iteration in the diagonally scaled operator.

    Source: Saad 2003, algorithm 12.1.
    """
    largest = level.stiffness.eigenvalue_bound()
    middle = 0.5 * largest * (1 + 1 / SMOOTHING_RATIO)
    half_width = 0.5 * largest * (1 - 1 / SMOOTHING_RATIO)
    sigma = middle / half_width
    rho = 1 / sigma
    step = residual * level.inverse_diagonal / middle
    displacement = step
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


def _inverse(diagonal: Float[Array, "nodes 3"], chosen: Bool[Array, "nodes 3"]) -> Float[Array, "nodes 3"]:
    return jnp.where(chosen, 1 / jnp.where(chosen, diagonal, 1), 0)


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


def _coarser_free(fine: Bool[Array, "fine 3"], transfer: Transfer) -> Bool[Array, "coarse 3"]:
    """Return which coarse degrees of freedom are free.

    One is held if any fine one that hangs on it is. The coarse levels then move nothing that is held, and
    their stiffness is that of the motions they make; were they softer, the visits would overdo them.
    """
    held = _restrict(transfer, (~fine).astype(jnp.float32))
    return held == 0


def _prolong(transfer: Transfer, below: Layout, coarse: Float[Array, "coarse 3"]) -> Float[Array, "fine 3"]:
    # Corner by corner: eight gathers that fuse into one pass are eight times faster than one gather of all.
    # The barriers keep XLA from computing what is gathered anew for each of the gathers, and from keeping a
    # table of all parents because they do not change from cycle to cycle.
    coarse, piece, point = lax.optimization_barrier((coarse, transfer.piece, transfer.point))
    corners = below.connectivity.reshape(-1)
    parents = jnp.asarray(PARENTS.astype(np.int32))

    def moved(column):
        corner = 8 * piece + _take(parents[:, column], point)
        return _take(coarse, _take(corners, corner))

    mean = moved(0)
    for column in range(1, 8):
        mean = mean + moved(column)
    return lax.optimization_barrier(mean / 8)


def _restrict(transfer: Transfer, fine: Float[Array, "fine 3"]) -> Float[Array, "coarse 3"]:
    # The last row is zero because it is padding: gathers that may point past the end are ten times slower.
    fine = lax.optimization_barrier(fine)
    share = transfer.share.astype(fine.dtype)

    def add(total, row):
        index, share = row
        return total + share * _take(fine, index), None

    # A loop over the rows is as fast as one pass over all, and compiles at once.
    start = zeros_beside(fine, (transfer.family.shape[1], 3), fine.dtype)
    return lax.scan(add, start, (transfer.family, share))[0]


def _take(values: Float[Array, "items ..."] | Int[Array, " items"], index: Int[Array, " places"]) -> Array:
    return values.at[index].get(mode="promise_in_bounds")


def _gather(values: Float[Array, "items ..."], index: Int[Array, "..."]) -> Float[Array, "..."]:
    return values.at[index].get(mode="fill", fill_value=0)


def _transfer(descent: Descent, finer: Room, room: Room, *, conforming: bool) -> Transfer:
    """Return a descent on the device, padded to the room of both levels."""
    elements, _, several = descent.children.shape
    # Only where fine elements split can there be several in an octant; then room for two at least.
    wide = 1 if conforming else max(2, bucket(several, steps=1))
    children = np.full((room.elements, 8, wide), NOTHING, np.int32)
    children[:elements, :, :several] = descent.children
    nodes = descent.piece.size
    piece, point = np.zeros(finer.nodes, np.int32), np.zeros(finer.nodes, np.int8)
    piece[:nodes], point[:nodes] = descent.piece, descent.point
    rows, heads = descent.family.shape
    width = rows if conforming else bucket(rows, steps=WIDTH_STEPS)
    family, share = np.full((width, room.nodes), finer.nodes - 1, np.int32), np.zeros(width)
    family[:rows, :heads] = np.where(descent.family == nodes, finer.nodes - 1, descent.family)
    share[:rows] = descent.share
    return Transfer(*jax.device_put((children, piece, point, family, share)))
