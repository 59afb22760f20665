"""Coarse elements that keep apart what the bone keeps apart, built once per mesh on the host.

Two by two by two elements become one of double edge. But where the pieces of bone inside do not touch,
each becomes an element of its own, and elements share a coarse node only if the bone between them
touches there. Separate struts therefore stay separate on coarse grids, however close they lie.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from fem.layout import NOTHING, corners_of_nodes
from meshes.voxel import CORNER_OFFSETS, VoxelMesh, grid_coordinates

STRIDES = np.array([4, 2, 1])
"""Turns the offsets (a, b, c) of a corner or an octant into its number."""

POINTS = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=1)
"""The 3 x 3 x 3 points of a box, in half edges, in C order."""

MIDDLES = np.count_nonzero(POINTS == 1, axis=1)
"""Along how many axes a point lies in the middle of the box."""

PARENTS = ((POINTS[:, None] + CORNER_OFFSETS[None]) // 2) @ STRIDES
"""Corners [point, eight times] of which a point is the mean, with repetition."""

POINT = (CORNER_OFFSETS[:, None] + CORNER_OFFSETS[None]) @ np.array([9, 3, 1])
"""Point [octant, corner of the child] of the box."""

HANGS = np.all(np.abs(POINTS[:, None] - 2 * CORNER_OFFSETS[None]) < 2, axis=2)
"""Whether a point [point, corner] moves with a corner."""

TWIN = (CORNER_OFFSETS - (POINTS[:, None, None] - POINTS[None, :, None]) // 2) @ STRIDES
"""Corner [point, point in another box, corner] of the other box that stands where a corner of this one does.

A node with the points p and q in two boxes tells that these lie (p - q) / 2 edges apart.
"""


class Lattice(NamedTuple):
    """Elements on a lattice of boxes; several may fill the same box."""

    cells: Int[np.ndarray, "elements 3"]
    """Box of each element."""
    connectivity: Int[np.ndarray, "elements 8"]
    """Node at each corner of each element."""
    nodes: int
    conforming: bool
    """Whether all elements that meet at a point of the lattice share one node there."""


class Descent(NamedTuple):
    """How a lattice hangs on the finer one."""

    children: Int[np.ndarray, "elements 8 several"]
    """The fine elements in each octant of a coarse one, then `NOTHING`."""
    piece: Int[np.ndarray, " fine_nodes"]
    """The coarse element that each fine node stands in; of several that agree, one."""
    point: Int[np.ndarray, " fine_nodes"]
    """At which of its points, in C order: the node moves like the mean of the corners `PARENTS[point]`."""
    family: Int[np.ndarray, "width nodes"]
    """The fine nodes that hang on each coarse one; one past the last where there are no more."""
    share: Float[np.ndarray, " width"]
    """How far a coarse node moves those in each row of `family`: all the way, or 1/2, 1/4 or 1/8 of it."""


def _numbered_directions() -> Int[np.ndarray, "27 8"]:
    """Return for each point and corner the number, among directions of its kind, in which it lies from there.

    Kinds are told apart by how many axes a direction goes along: none, one, two, three.
    """
    direction = POINTS[:, None] - 2 * CORNER_OFFSETS[None]
    axes = np.count_nonzero(direction, axis=2)
    flat = (direction + 1) @ np.array([9, 3, 1])
    number = np.zeros((27, 8), dtype=np.int64)
    for kind in range(4):
        here = HANGS & (axes == kind)
        number[here] = np.unique(flat[here], return_inverse=True)[1]
    return number


DIRECTIONS = (1, 6, 12, 8)
"""How many directions go along none, one, two, three axes."""

DIRECTION = _numbered_directions()
"""Row [point, corner] of a fine node in the table of a coarse node's family."""


def finest_lattice(mesh: VoxelMesh) -> Lattice:
    """Return the elements of a mesh as a lattice that begins where the bone does.

    The end planes that are held so often are then planes of every coarse lattice, on one side at least.
    """
    cells = grid_coordinates(mesh).astype(np.int32)
    return Lattice(cells - cells.min(axis=0), mesh.connectivity, mesh.nodes, True)


def coarsen(fine: Lattice) -> tuple[Lattice, Descent]:
    """Return the next coarser lattice and how it hangs on the fine one."""
    touching = _touching(fine)
    octant = (fine.cells % 2) @ STRIDES
    piece = _pieces(fine, touching)
    first = np.unique(piece, return_index=True)[1]
    cells = fine.cells[first] // 2
    elements = cells.shape[0]
    place = 8 * piece.astype(np.int64) + octant
    rank = _rank(place)
    children = np.full((8 * elements, int(rank.max()) + 1), NOTHING, dtype=np.int32)
    children[place, rank] = np.arange(piece.size, dtype=np.int32)
    corner = _identified_corners(fine, touching, piece, octant, elements)
    coarse = Lattice(cells, corner, int(corner.max()) + 1, False)
    owner = _owner(touching, piece, octant)
    family, share = _family(fine, coarse, owner)
    return coarse, Descent(children.reshape(elements, 8, -1), *owner, family, share)


def interpolation() -> Float[np.ndarray, "27 8"]:
    """Return the trilinear weights of the eight corners at the 3 x 3 x 3 points of a box, in C order."""
    points = 0.5 * POINTS[:, None]
    return np.prod(np.where(CORNER_OFFSETS == 1, points, 1.0 - points), axis=2)


def octant_interpolation() -> Float[np.ndarray, "8 8 8"]:
    """Return the weights [octant, corner of the child, corner of the parent]."""
    return interpolation()[POINT]


def _touching(lattice: Lattice) -> Int[np.ndarray, "nodes width"]:
    """Return the flat `8 element + corner` of the corners on each node, and `NOTHING`, in any order."""
    if not lattice.conforming:
        return corners_of_nodes(lattice.connectivity, lattice.nodes)
    # A node is corner k of at most one element, so the column can be the corner: no sorting.
    table = np.full((lattice.nodes, 8), NOTHING, dtype=np.int32)
    for corner in range(8):
        table[lattice.connectivity[:, corner], corner] = np.arange(corner, 8 * len(lattice.cells), 8)
    return table


def _pieces(fine: Lattice, touching: Int[np.ndarray, "nodes width"]) -> Int[np.ndarray, " elements"]:
    """Return the coarse element of each fine one: the connected pieces of bone in each box of eight."""
    box = _flat(fine.cells // 2)
    if fine.conforming:  # All in a box share the node in its middle.
        return np.unique(box, return_inverse=True)[1]
    element = np.where(touching == NOTHING, -1, touching // 8)
    where = np.where(element < 0, -1, box[element])
    order = np.argsort(where, axis=1, kind="stable")
    element, where = np.take_along_axis(element, order, 1), np.take_along_axis(where, order, 1)
    together = (where[:, 1:] == where[:, :-1]) & (where[:, 1:] >= 0)
    return _components(box.size, element[:, :-1][together], element[:, 1:][together])


def _identified_corners(
    fine: Lattice,
    touching: Int[np.ndarray, "nodes width"],
    piece: Int[np.ndarray, " fine"],
    octant: Int[np.ndarray, " fine"],
    elements: int,
) -> Int[np.ndarray, "elements 8"]:
    """Return the coarse node at each corner of each coarse element.

    A fine node on the face of several coarse elements must move as each of them says, so they share
    the corners that it hangs on.
    """
    owner = _owner(touching, piece, octant)
    starts, ends = [], []
    for column in range(touching.shape[1]):
        there = np.flatnonzero(touching[:, column] != NOTHING)
        other = _column(touching[there, column], piece, octant)
        apart = np.flatnonzero(owner.piece[there] != other.piece)
        there, other = there[apart], _Place(other.piece[apart], other.point[apart])
        node, corner = np.nonzero(HANGS[owner.point[there]])
        twin = TWIN[owner.point[there][node], other.point[node], corner]
        starts.append(8 * owner.piece[there][node] + corner)
        ends.append(8 * other.piece[node] + twin)
    return _components(8 * elements, np.concatenate(starts), np.concatenate(ends)).reshape(-1, 8)


class _Place(NamedTuple):
    """Where nodes stand: in which coarse element, and at which of its 27 points, in C order."""

    piece: Int[np.ndarray, " nodes"]
    point: Int[np.ndarray, " nodes"]


def _column(
    corners: Int[np.ndarray, " nodes"], piece: Int[np.ndarray, " fine"], octant: Int[np.ndarray, " fine"]
) -> _Place:
    element = corners >> 3  # Divisions by 8, many times faster.
    return _Place(piece[element], POINT[octant[element], corners & 7])


def _owner(
    touching: Int[np.ndarray, "nodes width"],
    piece: Int[np.ndarray, " fine"],
    octant: Int[np.ndarray, " fine"],
) -> _Place:
    """Return where every node stands in the first coarse element that it touches."""
    return _column(touching.min(axis=1), piece, octant)


def _family(
    fine: Lattice, coarse: Lattice, owner: _Place
) -> tuple[Int[np.ndarray, "width nodes"], Float[np.ndarray, " width"]]:
    """Return the fine nodes that hang on each coarse one, row by row with the share of each row."""
    tables, shares = [], []
    for middles in range(4):  # A point in the middle along so many axes hangs on 2^middles corners.
        node = np.flatnonzero(MIDDLES[owner.point] == middles)
        which, corner = np.nonzero(HANGS[owner.point[node]])
        node = node[which]
        head = coarse.connectivity[owner.piece[node], corner]
        if fine.conforming:  # Around a coarse node only one fine node stands in each direction.
            row, width = DIRECTION[owner.point[node], corner], DIRECTIONS[middles]
        else:
            row = _rank(head)
            width = int(row.max(initial=-1)) + 1
        table = np.full((width, coarse.nodes), fine.nodes, dtype=np.int32)
        table[row, head] = node
        tables.append(table)
        shares.append(np.full(width, 0.5**middles))
    return np.concatenate(tables), np.concatenate(shares)


def _rank(values: Int[np.ndarray, " items"]) -> Int[np.ndarray, " items"]:
    """Return how many equal values stand before each."""
    order = np.argsort(values, kind="stable")
    new = np.concatenate([[True], np.diff(values[order]) > 0])
    start = np.maximum.accumulate(np.where(new, np.arange(new.size), 0))
    rank = np.empty(values.size, dtype=np.int64)
    rank[order] = np.arange(values.size) - start
    return rank


def _flat(cells: Int[np.ndarray, "elements 3"]) -> Int[np.ndarray, " elements"]:
    return np.asarray(np.ravel_multi_index(tuple(cells.T), tuple(cells.max(axis=0) + 1)))


def _components(
    count: int, starts: Int[np.ndarray, " links"], ends: Int[np.ndarray, " links"]
) -> Int[np.ndarray, " count"]:
    """Return the connected component of each of `count` things, numbered by their first member."""
    links = coo_matrix((np.ones(starts.size, dtype=np.int8), (starts, ends)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int32)
