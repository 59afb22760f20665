"""What the second peer's interpreter runs: `petsc_program.py PROBLEM.npz`; the first rank's last line is JSON.

The interpreter has `petsc4py`; nothing of mechanostat is imported here. Conjugate gradients with PETSc's
smoothed aggregation (GAMG) on the assembled matrix, blocks of three, the rigid motions as near null space.
"""

import itertools
import json
import sys
import time

import numpy as np
from petsc4py import PETSc  # pyright: ignore[reportMissingImports]

OFFSETS = np.array(list(itertools.product((0, 1), repeat=3)))
"""Corner 4 a + 2 b + c of an element stands at (a, b, c)."""

OPTIONS = {"pc_type": "gamg", "pc_gamg_type": "agg", "pc_gamg_agg_nsmooths": 1}
"""Everything else as PETSc has it: Chebyshev and Jacobi on the levels."""


def assembled(problem, first: int, last: int):
    """Return the 27 possible 3 x 3 blocks of each row of nodes, and the node of each (-1 where none)."""
    connectivity, matrix = problem["connectivity"], problem["element_matrix"] * float(problem["modulus"])
    blocks = np.zeros((last - first, 27, 3, 3))
    neighbour = np.full((last - first, 27), -1, dtype=np.int32)
    for a, b in itertools.product(range(8), range(8)):
        mine = (connectivity[:, a] >= first) & (connectivity[:, a] < last)
        row, column = connectivity[mine, a] - first, connectivity[mine, b]
        slot = int((OFFSETS[b] - OFFSETS[a] + 1) @ (9, 3, 1))
        blocks[row, slot] += matrix[3 * a : 3 * a + 3, 3 * b : 3 * b + 3]
        neighbour[row, slot] = column
    return blocks, neighbour


def constrained(blocks, neighbour, free, first: int):
    """Clear rows and columns of what is held, in place, and leave its diagonal."""
    own = free[first : first + len(blocks)]
    middle = np.einsum("nii->ni", blocks[:, 13]).copy()
    blocks *= own[:, None, :, None]
    blocks *= np.where(neighbour[:, :, None] >= 0, free[neighbour], 0.0)[:, :, None, :]
    held = ~own.astype(bool)
    for axis in range(3):
        blocks[held[:, axis], 13, axis, axis] = middle[held[:, axis], axis]


def compressed(blocks, neighbour):
    """Return the blocks as rows of a sparse matrix of scalars: offsets, columns, values."""
    there = neighbour >= 0
    order = np.argsort(np.where(there, neighbour, np.iinfo(np.int32).max), axis=1)
    counts = there.sum(axis=1)
    valid = np.arange(27) < counts[:, None]
    nodes = np.take_along_axis(neighbour, order, axis=1)[valid]
    values = np.take_along_axis(blocks, order[:, :, None, None], axis=1)[valid]
    columns = 3 * nodes[:, None] + np.arange(3, dtype=np.int32)
    starts = np.r_[0, np.cumsum(counts)]
    lengths = np.repeat(3 * counts, 3)
    offsets = np.r_[0, np.cumsum(lengths)].astype(np.int32)
    row = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(nodes)) - starts[row]
    at = offsets[3 * row][:, None, None] + (3 * counts[row])[:, None, None] * np.arange(3)[None, :, None]
    at = at + 3 * place[:, None, None] + np.arange(3)[None, None, :]
    flat_columns, flat_values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1])
    flat_columns[at] = columns[:, None, :]
    flat_values[at] = values
    return offsets, flat_columns, flat_values


def main() -> None:
    """Assemble, set up and solve, and tell how long each took."""
    problem = dict(np.load(sys.argv[1]))
    world = PETSc.COMM_WORLD
    start = time.perf_counter()
    nodes = int(problem["nodes"])
    first, last = (nodes * (world.rank + side) // world.size for side in (0, 1))
    moved, free = problem["displacement"], problem["free"].astype(float)
    blocks, neighbour = assembled(problem, first, last)
    force = -np.einsum("nkij,nkj->ni", blocks, np.where(neighbour[:, :, None] >= 0, moved[neighbour], 0.0))
    loaded = problem["loaded"]
    loaded = loaded[(loaded >= first) & (loaded < last)] - first
    answering, around = blocks[loaded], neighbour[loaded]
    constrained(blocks, neighbour, free, first)
    size = (3 * (last - first), 3 * nodes)
    matrix = PETSc.Mat().createAIJ((size, size), bsize=3, csr=compressed(blocks, neighbour), comm=world)
    del blocks
    right, found = matrix.createVecRight(), matrix.createVecRight()
    right.setArray((force * free[first:last]).reshape(-1))
    points = matrix.createVecRight()
    points.setBlockSize(3)
    points.setArray(problem["points"][first:last].reshape(-1))
    matrix.setNearNullSpace(PETSc.NullSpace().createRigidBody(points))
    world.barrier()
    ready = time.perf_counter()
    for name, value in OPTIONS.items():
        PETSc.Options().setValue(name, value)
    solver = PETSc.KSP().create(world)
    solver.setType("cg")
    solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    solver.setTolerances(rtol=float(problem["tolerance"]), max_it=2000)
    solver.setOperators(matrix)
    solver.setFromOptions()
    solver.setUp()
    world.barrier()
    begun = time.perf_counter()
    solver.solve(right, found)
    world.barrier()
    end = time.perf_counter()
    residual = matrix * found
    residual.aypx(-1.0, right)
    spread, whole = PETSc.Scatter.toAll(found)
    spread.scatter(found, whole)
    displacement = whole.getArray().reshape(-1, 3) + moved
    local = np.where(around[:, :, None] >= 0, displacement[around], 0.0)
    shares = PETSc.Vec().createMPI((1, world.size), comm=world)  # one number per rank, to be added up
    shares.setArray([np.einsum("nkj,nkj->", answering[:, :, 2], local)])
    told = {
        "converged": solver.getConvergedReason() > 0,
        "iterations": solver.getIterationNumber(),
        "residual": residual.norm() / right.norm(),
        "reaction": shares.sum(),
        "assembly_seconds": ready - start,
        "setup_seconds": begun - ready,
        "solve_seconds": end - begun,
    }
    if world.rank == 0:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
