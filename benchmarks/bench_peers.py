"""How much faster than ParOSol is a solve, on the same bone, cores and tolerance, in the same run?

ParOSol runs as a separate program through `parosol-py`, installed in an environment of its own:
`python3 -m venv peer && peer/bin/pip install parosol-py`, then `MECHANOSTAT_PAROSOL=peer/bin/python`.
Nothing of it is imported here.
"""

import functools
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.conjugate_gradients import Status
from fem.equilibrium import balance_case, boundary_of, padded_modulus, structure, working_dtype
from fem.standard_tests import axial
from meshes.voxel import voxel_mesh

TOLERANCE = 1e-6
"""Relative residual of both solvers [-]."""

EDGE = 0.05
"""Edge of a voxel [mm]."""

MODULUS = 18_000.0
"""Young's modulus of all bone [MPa]."""

PEER = """
import json, sys, time
import numpy as np
from parosol_py import solve

bone = np.load(sys.argv[1])
start = time.perf_counter()
found = solve(
    material=np.where(bone, float(sys.argv[3]), 0.0).astype(np.float32),
    spacing=(float(sys.argv[2]),) * 3,
    array_order="xyz",
    test="axial",
    test_axis="z",
    strain=-0.01,
    outputs=(),
    tolerance=float(sys.argv[4]),
    mpi_processes=int(sys.argv[5]),
)
run = found.summary.run
height = bone.shape[2]
print(json.dumps({
    "iterations": run.iterations,
    "residual": run.relative_residual,
    "solver_seconds": run.overall_time_seconds,
    "call_seconds": time.perf_counter() - start,
}))
"""
"""What the peer's interpreter runs: file, edge, modulus, tolerance, ranks."""


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("name", ["trabeculae64", "vor64", "vor128", "trab128"])
def bench_parosol(bone, benchmark, tmp_path, name):
    interpreter = os.environ.get("MECHANOSTAT_PAROSOL")
    if not interpreter:
        pytest.skip("needs the peer: set MECHANOSTAT_PAROSOL to a Python that has parosol-py")
    solid = bone(name)
    jnp.save(tmp_path / "bone.npy", solid)
    peer: dict[str, Any] = benchmark.pedantic(
        lambda: run_peer(interpreter, tmp_path / "bone.npy"), rounds=1, warmup_rounds=0
    )
    own = run_own(solid)
    ratios = {
        "solve_ratio": own["solve_seconds"] / peer["solver_seconds"],
        "setup_and_solve_ratio": (own["setup_seconds"] + own["solve_seconds"]) / peer["solver_seconds"],
        "with_compilation_ratio": sum(own[f"{part}_seconds"] for part in ("setup", "compile", "solve"))
        / peer["solver_seconds"],
    }
    benchmark.extra_info.update(
        bone=name,
        tolerance=TOLERANCE,
        **ratios,
        **{f"parosol_{key}": value for key, value in peer.items()},
        **own,
    )
    print(f"\n{name}: {json.dumps({'parosol': peer, 'mechanostat': own, **ratios}, indent=1)}")


def run_peer(interpreter: str, path: Path) -> dict[str, Any]:
    """Return what the peer says of a solve on all cores of this machine."""
    line = [interpreter, "-c", PEER, str(path), str(EDGE), str(MODULUS), str(TOLERANCE), str(os.cpu_count())]
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = subprocess.run(line, env=os.environ | allowed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run_own(solid) -> dict[str, Any]:
    """Return the same of mechanostat, compile time apart."""
    start = time.perf_counter()
    mesh = voxel_mesh(solid, (EDGE, EDGE, EDGE))
    prepared = structure(mesh)
    modulus = padded_modulus(prepared, np.full(mesh.elements, MODULUS), working_dtype("mixed"))
    arguments = (prepared, modulus, boundary_of(axial(mesh)))
    jax.block_until_ready(arguments)
    ready = time.perf_counter()
    solver = functools.partial(balance_case, precision="mixed", tolerance=TOLERANCE, max_iterations=2000)
    program = jax.jit(solver).lower(*arguments).compile()
    compiled = time.perf_counter()
    found = jax.block_until_ready(program(*arguments))
    end = time.perf_counter()
    assert found.status == Status.CONVERGED
    return {
        "unknowns": 3 * mesh.nodes,
        "iterations": int(found.iterations),
        "residual": float(found.residual),
        "setup_seconds": ready - start,
        "compile_seconds": compiled - ready,
        "solve_seconds": end - compiled,
    }
