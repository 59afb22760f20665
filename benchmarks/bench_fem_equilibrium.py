"""How long does a solve take: to set up on the host, to compile, to run?"""

import functools
import time

import numpy as np
import pytest

from fem.conjugate_gradients import Status
from fem.equilibrium import balance_case, boundary_of, padded_modulus, structure, working_dtype
from fem.standard_tests import axial
from meshes.voxel import voxel_mesh

TOLERANCE = 1e-6
"""The relative true residual of every solve here, so that they can be compared [-]."""


@pytest.mark.benchmark(group="solve")
@pytest.mark.parametrize("precision", ["mixed", "double"])
@pytest.mark.parametrize("name", ["cube64", "trabeculae64", "vor64", "vor128", "trab64"])
def bench_solve(timed, bone, benchmark, name, precision):
    solid = bone(name)
    start = time.perf_counter()
    mesh = voxel_mesh(solid, (0.05, 0.05, 0.05))
    meshed = time.perf_counter()
    prepared = structure(mesh)
    load = boundary_of(axial(mesh))
    end = time.perf_counter()
    found = timed(
        functools.partial(balance_case, precision=precision, tolerance=TOLERANCE, max_iterations=2000),
        prepared,
        padded_modulus(prepared, np.full(mesh.elements, 18_000.0), working_dtype(precision)),
        load,
        work=lambda found: 3 * mesh.nodes * int(found.iterations),
        unit="unknown_iterations",
        bone=name,
        precision=precision,
        tolerance=TOLERANCE,
        elements=mesh.elements,
        unknowns=3 * mesh.nodes,
        mesh_seconds=meshed - start,
        setup_seconds=end - meshed,
    )
    assert found.status == Status.CONVERGED
    assert float(found.residual) <= TOLERANCE
    benchmark.extra_info.update(iterations=int(found.iterations), residual=float(found.residual))
