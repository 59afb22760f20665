"""How much faster than ParOSol is a solve, on the same bone, cores and tolerance, in the same run?

ParOSol runs as a separate program through `parosol-py`, installed in an environment of its own:
`python3 -m venv peer && peer/bin/pip install parosol-py`, then `MECHANOSTAT_PAROSOL=peer/bin/python`.
It brings its own MPI and runs with as many ranks as there are cores. Nothing of it is imported here.
"""

import functools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from fem.conjugate_gradients import Status
from fem.equilibrium import equilibrium
from fem.loads import Hold, LoadCase, load_case
from fem.statics import balance_case, boundary_of, padded_modulus, structure, working_dtype
from meshes.segmentation import largest_component
from meshes.voxel import VoxelMesh, extent, gross_section, lattice_coordinates, voxel_mesh

ROOT = Path(__file__).resolve().parents[1]

TOLERANCE = 1e-6
"""Relative residual of both solvers [-]."""

EDGE = 0.05
"""Edge of a voxel of the specimens [mm]."""

MODULUS = 18_000.0
"""Young's modulus of all bone [MPa]."""

LAYERS = 10
"""Layers of voxels at each end of the femoral cube that move as one."""

MOTION = -0.04
"""Displacement of its upper layers [mm]."""


@pytest.fixture
def parosol() -> str:
    """The interpreter that has the peer."""
    interpreter = os.environ.get("MECHANOSTAT_PAROSOL")
    if not interpreter:
        pytest.skip("needs the peer: set MECHANOSTAT_PAROSOL to a Python that has parosol-py")
    return interpreter


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("name", ["trabeculae64", "vor64", "vor128", "trab128", "vor256"])
def bench_parosol(bone, benchmark, parosol, tmp_path, name):
    """The command as a whole process, without and with compiled programs kept, beside the peer's."""
    np.save(tmp_path / "bone.npy", solid := bone(name))
    load = os.getloadavg()[0]
    peer: dict[str, Any] = benchmark.pedantic(
        lambda: run_peer(parosol, solid, tmp_path, edge=EDGE), rounds=1, warmup_rounds=0
    )
    cold, warm = (run_command(tmp_path / "bone.npy", tmp_path / out) for out in ("cold", "warm"))
    for own in (cold, warm):
        assert own["status"] == "converged"
    ratios = {
        "solve_ratio": warm["solve_seconds"] / peer["solving_seconds"],
        "setup_and_solve_ratio": (warm["setup_seconds"] + warm["solve_seconds"]) / peer["solver_seconds"],
        "process_cold_ratio": cold["process_seconds"] / peer["process_seconds"],
        "process_warm_ratio": warm["process_seconds"] / peer["process_seconds"],
    }
    note(benchmark, name, load, ratios, {"parosol": peer, "cold": cold, "warm": warm})


@pytest.mark.benchmark(group="peers")
def bench_parosol_on_the_femoral_cube(benchmark, parosol, shared_data, tmp_path):
    """1.87 million elements at full resolution; ParOSol's published apparent modulus is 1720.73 MPa."""
    if not benchmark.enabled:
        pytest.skip("has one size only, too large where nothing is measured")
    solid, edge = femoral_cube(shared_data / "D1_lhdl_3155_trabecular_cube"), 0.0195
    load = os.getloadavg()[0]
    peer: dict[str, Any] = benchmark.pedantic(
        lambda: run_peer(parosol, solid, tmp_path, edge=edge, layers=LAYERS), rounds=1, warmup_rounds=0
    )
    own = run_own(solid, edge)
    assert own["apparent_modulus"] == pytest.approx(1720.73, rel=5e-4)
    ratios = {
        "solve_ratio": own["solve_seconds"] / peer["solving_seconds"],
        "setup_and_solve_ratio": (own["setup_seconds"] + own["solve_seconds"]) / peer["solver_seconds"],
    }
    note(benchmark, "femoral cube", load, ratios, {"parosol": peer, "own": own})


def note(benchmark, name: str, load: float, ratios: dict[str, float], parts: dict[str, dict]) -> None:
    """Put the ratios and what they are made of beside the time of the peer, and print them."""
    facts = {f"{part}_{key}": value for part, told in parts.items() for key, value in told.items()}
    benchmark.extra_info.update(bone=name, tolerance=TOLERANCE, load_before=load, **ratios, **facts)
    print(f"\n{name}: {json.dumps({'load_before': load, **ratios, **parts}, indent=1)}")


def run_peer(
    interpreter: str, solid: np.ndarray, folder: Path, *, edge: float, layers: int = 0
) -> dict[str, Any]:
    """Return what the peer says of a solve on all cores of this machine, and the time of its process.

    Args:
        interpreter: The Python that has the peer.
        solid: The bone.
        folder: Where the problem is written.
        edge: Edge of a voxel [mm].
        layers: Layers of voxels held at either end; 0 is the axial test.
    """
    problem = folder / "problem.npz"
    np.savez(
        problem,
        bone=solid,
        edge=edge,
        modulus=MODULUS,
        tolerance=TOLERANCE,
        layers=layers,
        displacement=MOTION,
    )
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    line = [interpreter, str(ROOT / "benchmarks/parosol_program.py"), str(problem)]
    start = time.perf_counter()
    done = subprocess.run(line, env=os.environ | allowed, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    told = re.search(r"#\s+Solving:\s+([0-9.eE+-]+)", done.stdout)
    assert told is not None, done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    return found | {"solving_seconds": float(told.group(1)), "process_seconds": seconds}


def run_command(bone: Path, out: Path) -> dict[str, Any]:
    """Return what `mechanostat solve` says of a bone, and the time of the whole process.

    Compiled programs are kept beside the bone: the first call of a test finds none.
    """
    line = [
        sys.executable,
        "-m",
        "mechanostat",
        "solve",
        str(bone),
        "--spacing",
        str(EDGE),
        "--case",
        "axial",
    ]
    line += ["--modulus", str(MODULUS), "--tolerance", str(TOLERANCE), "--out", str(out), "--quiet"]
    kept = os.environ | {"XDG_CACHE_HOME": str(bone.parent / "cache")}
    start = time.perf_counter()
    done = subprocess.run(line, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    told = ("status", "unknowns", "iterations", "residual", "apparent_modulus", "peak_memory_bytes")
    parts = {f"{part}_seconds": value for part, value in result["seconds"].items()}
    return {name: result[name] for name in told} | parts | {"process_seconds": seconds}


def femoral_cube(folder: Path) -> np.ndarray:
    """Return the bone of the cube, segmented as its authors did (ciclope, example 9)."""
    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "3155_D_4_uint8_19.5um.mha")))
    smooth = ndimage.gaussian_filter(image.astype(np.float64), 1.0, mode="nearest")
    return largest_component(smooth.transpose(2, 1, 0) > 63.0).solid


def between_layers(mesh: VoxelMesh) -> LoadCase:
    """Return compression between end layers of voxels that move as rigid blocks."""
    level = lattice_coordinates(mesh)[:, 2]
    low, high = np.flatnonzero(level <= LAYERS), np.flatnonzero(level >= mesh.shape[2] - LAYERS)
    holds = [Hold(part, axis) for part in (low, high) for axis in range(2)]
    holds += [Hold(low, 2), Hold(high, 2, MOTION)]
    return load_case(mesh, holds=holds, loaded=high, motion=MOTION, strain=MOTION / extent(mesh, axis=2))


def run_own(solid: np.ndarray, edge: float) -> dict[str, Any]:
    """Return what mechanostat says of the femoral cube, compile time apart."""
    start = time.perf_counter()
    mesh = voxel_mesh(solid, (edge, edge, edge))
    case = between_layers(mesh)
    prepared = structure(mesh)
    modulus = padded_modulus(prepared, np.full(mesh.elements, MODULUS), working_dtype("mixed"))
    arguments = (prepared, modulus, boundary_of(case))
    jax.block_until_ready(arguments)
    ready = time.perf_counter()
    solver = functools.partial(balance_case, precision="mixed", tolerance=TOLERANCE, max_iterations=2000)
    program = jax.jit(solver).lower(*arguments).compile()
    compiled = time.perf_counter()
    found = jax.block_until_ready(program(*arguments))
    end = time.perf_counter()
    assert found.status == Status.CONVERGED
    reaction = equilibrium(mesh, case, found).reaction[2]
    return {
        "elements": mesh.elements,
        "unknowns": 3 * mesh.nodes,
        "apparent_modulus": float(reaction) / gross_section(mesh, axis=2) / case.strain,
        "iterations": int(found.iterations),
        "residual": float(found.residual),
        "setup_seconds": ready - start,
        "compile_seconds": compiled - ready,
        "solve_seconds": end - compiled,
    }
