"""Laws of kept programs: a second process compiles nothing for a bone of the same buckets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys, time
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

from fem.statics import boundary_of, jitted_balance, padded_modulus, structure
from fem.standard_tests import axial
from mechanostat.devices import keep_compiled_programs
from meshes.voxel import voxel_mesh

keep_compiled_programs(Path(sys.argv[1]))
solid = np.ones((6, 6, 6), dtype=bool)
solid[2, 2, 1 : 1 + int(sys.argv[2])] = False
mesh = voxel_mesh(solid, (0.05, 0.05, 0.05))
prepared = structure(mesh)
modulus = padded_modulus(prepared, np.full(mesh.elements, float(sys.argv[3])), float)
arguments = prepared, modulus, boundary_of(axial(mesh))
heard = []
jax.monitoring.register_event_listener(lambda event, **_: heard.append(event))
lowered = jitted_balance.lower(*arguments, precision="mixed", tolerance=1e-6, max_iterations=100)
start = time.perf_counter()
found = lowered.compile()(*arguments)
seconds = time.perf_counter() - start
print(json.dumps({
    "hits": heard.count("/jax/compilation_cache/cache_hits"),
    "misses": heard.count("/jax/compilation_cache/cache_misses"),
    "seconds": seconds,
    "status": int(found.status),
    "program": len(lowered.as_text()),
}))
"""
"""What a fresh process runs: cache, voxels left out, modulus."""


def fresh(cache: Path, holes: int, modulus: float) -> dict[str, float]:
    root = str(Path(__file__).resolve().parents[1])
    line = [sys.executable, "-c", PROGRAM, str(cache), str(holes), str(modulus)]
    environment = os.environ | {"PYTHONPATH": root}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=600, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_second_process_takes_the_program_of_another_bone_from_the_cache(tmp_path):
    """Its key does not depend on the bone: nothing of it is written into the program."""
    first, second = fresh(tmp_path, 1, 18_000.0), fresh(tmp_path, 2, 6_829.0)
    assert (first["hits"], first["misses"]) == (0, 1)
    assert (second["hits"], second["misses"]) == (1, 0)
    assert first["status"] == second["status"] == 1
    assert second["seconds"] < 0.5 * first["seconds"]
    # Text, constants included: the 24 x 24 interpolations of eight octants are the largest of these.
    assert second["program"] == first["program"] < 3_000_000
