"""What the peer's interpreter runs: `parosol_program.py PROBLEM.npz`; its last line is JSON.

The interpreter has `parosol-py`; nothing of mechanostat is imported here, nothing of it there.
"""

import json
import os
import sys
import time

import numpy as np
from parosol_py import BoundaryConditionSet, solve  # pyright: ignore[reportMissingImports]

HELD = 1e-16
"""What ParOSol takes for a displacement of zero [mm]."""


def layered(bone: np.ndarray, layers: int, displacement: float) -> BoundaryConditionSet:
    """Return end layers of voxels as rigid blocks: the first ones held, the last ones moved along z."""
    used = np.zeros([n + 1 for n in bone.shape], dtype=bool)
    for x in (0, 1):
        for y in (0, 1):
            for z in (0, 1):
                nx, ny, nz = bone.shape
                used[x : x + nx, y : y + ny, z : z + nz] |= bone
    nodes = np.argwhere(used)
    low, high = nodes[nodes[:, 2] <= layers], nodes[nodes[:, 2] >= bone.shape[2] - layers]
    places = [np.c_[part, np.full(len(part), axis)] for part in (low, high) for axis in range(3)]
    values = [np.full(len(low), HELD)] * 3 + [np.full(len(high), HELD)] * 2
    values.append(np.full(len(high), displacement))
    return BoundaryConditionSet(np.concatenate(places).astype(np.uint16), np.concatenate(values))


def main() -> None:
    """Solve the problem of the file and tell iterations and seconds."""
    start = time.perf_counter()
    problem = np.load(sys.argv[1])
    bone, layers = problem["bone"], int(problem["layers"])
    boundary = layered(bone, layers, float(problem["displacement"])) if layers else None
    found = solve(
        material=np.where(bone, float(problem["modulus"]), 0.0).astype(np.float32),
        spacing=(float(problem["edge"]),) * 3,
        array_order="xyz",
        test="axial",
        test_axis="z",
        strain=-0.01,
        boundary_conditions=boundary,
        outputs=(),
        tolerance=float(problem["tolerance"]),
        mpi_processes=os.cpu_count(),
        stream_output=True,
    )
    run = found.summary.run
    print(
        json.dumps(
            {
                "iterations": run.iterations,
                "residual": run.relative_residual,
                "solver_seconds": run.overall_time_seconds,
                "call_seconds": time.perf_counter() - start,
            }
        )
    )


if __name__ == "__main__":
    main()
