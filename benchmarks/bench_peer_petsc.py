"""How much faster than PETSc (conjugate gradients, smoothed aggregation) is a solve, in the same run?

PETSc runs as a separate program: `MECHANOSTAT_PETSC` names a Python that has `petsc4py`, such as
`/usr/bin/python3` after `apt install python3-petsc4py`, which brings `mpirun` (with
`PETSC_DIR` set to its folder in `/usr/lib/petscdir`, where Debian makes no link to it). Nothing of it is imported here.
"""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_peers import EDGE, MODULUS, ROOT, TOLERANCE, note, run_command

from fem.hexahedron import stiffness_matrix
from fem.standard_tests import axial
from meshes.voxel import gross_section, node_coordinates, voxel_mesh


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("name", ["trabeculae64", "vor64", "vor128"])
def bench_petsc(bone, benchmark, tmp_path, name):
    interpreter = os.environ.get("MECHANOSTAT_PETSC")
    if not interpreter:
        pytest.skip("needs the peer: set MECHANOSTAT_PETSC to a Python that has petsc4py")
    np.save(tmp_path / "bone.npy", solid := bone(name))
    problem = write_problem(solid, tmp_path)
    load = os.getloadavg()[0]
    peer: dict[str, Any] = benchmark.pedantic(
        lambda: run_petsc(interpreter, problem), rounds=1, warmup_rounds=0
    )
    own = run_command(tmp_path / "bone.npy", tmp_path / "own")
    section = gross_section(voxel_mesh(solid, (EDGE, EDGE, EDGE)), axis=2)
    # Both stop at a residual of 1e-6; reactions are then right to 2e-5 in the worst bone seen.
    assert peer["reaction"] / section / -0.01 == pytest.approx(own["apparent_modulus"], rel=2e-5)
    every = peer["assembly_seconds"] + peer["setup_seconds"] + peer["solve_seconds"]
    ratios = {
        "solve_ratio": own["solve_seconds"] / peer["solve_seconds"],
        "setup_and_solve_ratio": (own["setup_seconds"] + own["solve_seconds"]) / every,
    }
    note(benchmark, name, load, ratios, {"petsc": peer, "own": own})


def write_problem(solid: np.ndarray, folder: Path) -> Path:
    """Write the axial test of a bone as arrays, and return the file."""
    mesh = voxel_mesh(solid, (EDGE, EDGE, EDGE))
    case = axial(mesh)
    free, displacement = np.ones(3 * mesh.nodes, dtype=bool), np.zeros(3 * mesh.nodes)
    free[case.held] = False
    displacement[case.held] = case.displacement
    np.savez(
        folder / "problem.npz",
        connectivity=mesh.connectivity,
        points=node_coordinates(mesh),
        nodes=mesh.nodes,
        free=free.reshape(-1, 3),
        displacement=displacement.reshape(-1, 3),
        loaded=case.loaded,
        element_matrix=stiffness_matrix(mesh.spacing, 0.3),
        modulus=MODULUS,
        tolerance=TOLERANCE,
    )
    return folder / "problem.npz"


def run_petsc(interpreter: str, problem: Path) -> dict[str, Any]:
    """Return what PETSc says of a solve with a rank for each core, and the time of its process."""
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}
    line = ["mpirun", "-n", str(os.cpu_count()), interpreter, str(ROOT / "benchmarks/petsc_program.py")]
    start = time.perf_counter()
    done = subprocess.run(
        [*line, str(problem)], env=os.environ | allowed, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["converged"]
    return found | {"process_seconds": seconds}
