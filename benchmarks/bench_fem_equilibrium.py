"""How long does a solve take: to set up on the host, to compile, to run?

How does that grow with the bone, and how many iterations does a whole bone of very uneven modulus take?
"""

import functools
import time

import numpy as np
import pytest
from scipy import ndimage

from fem.conjugate_gradients import Status
from fem.standard_tests import axial
from fem.statics import Precision, balance_case, boundary_of, padded_modulus, structure, working_dtype
from meshes.voxel import voxel_mesh

TOLERANCE = 1e-6
"""The relative true residual of every solve here, so that they can be compared [-]."""


PRECISIONS = {
    name: ("mixed",) if name in ("vor48", "vor256") else ("mixed", "double")
    for name in ("cube64", "trabeculae64", "vor48", "vor64", "vor128", "trab64", "vor256")
}
"""Bones of all sizes from 10^5 to 1.5 10^7 unknowns; the smallest and the largest for their size alone."""

CONTRAST = 1e3
"""Largest over smallest modulus of the whole bone [-]."""


@pytest.mark.benchmark(group="solve")
@pytest.mark.parametrize(
    ("name", "precision"), [(name, precision) for name, every in PRECISIONS.items() for precision in every]
)
def bench_solve(timed, bone, benchmark, name, precision):
    solve_timed(timed, benchmark, bone(name), name, precision=precision)


@pytest.mark.benchmark(group="solve")
def bench_whole_bone(timed, benchmark):
    """About 10^6 elements, homogenised: a cortex around a smooth random field, contrast 1000."""
    fraction = whole_bone(57 if benchmark.enabled else 6)
    solid = fraction > 0.0
    found = solve_timed(timed, benchmark, solid, "whole bone", edge=1.0, modulus=18_000.0 * fraction[solid])
    assert found.iterations <= 25


def solve_timed(
    timed,
    benchmark,
    solid: np.ndarray,
    name: str,
    *,
    edge: float = 0.05,
    modulus: float | np.ndarray = 18_000.0,
    precision: Precision = "mixed",
):
    """Return the solve of the axial test of a bone, measured."""
    start = time.perf_counter()
    mesh = voxel_mesh(solid, (edge, edge, edge))
    meshed = time.perf_counter()
    prepared = structure(mesh)
    load = boundary_of(axial(mesh))
    end = time.perf_counter()
    found = timed(
        functools.partial(balance_case, precision=precision, tolerance=TOLERANCE, max_iterations=2000),
        prepared,
        padded_modulus(prepared, np.broadcast_to(modulus, mesh.elements), working_dtype(precision)),
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
    if benchmark.enabled:
        seconds = benchmark.stats.stats.median
        benchmark.extra_info["seconds_per_million_unknowns"] = seconds / (3e-6 * mesh.nodes)
        told = {key: benchmark.extra_info[key] for key in ("unknowns", "iterations", "compile_seconds")}
        print(f"\n{name}, {precision}: {seconds:.2f} s, {seconds / (3e-6 * mesh.nodes):.2f} s/10^6, {told}")
    return found


def whole_bone(radius: int) -> np.ndarray:
    """Return the modulus, relative to dense bone, of a waisted column like a vertebral body; 0 is void.

    Two voxels of dense cortex stand around a smooth random field whose logarithm spans the contrast.

    Args:
        radius: Largest radius in voxels; the column is 1.4 times as high as wide.
    """
    height = round(1.4 * 2 * radius)
    x, y = np.ix_(*[np.arange(2 * radius) + 0.5 - radius] * 2)
    z = 2.0 * (np.arange(height) + 0.5) / height - 1.0
    waist = radius * (0.8 + 0.2 * z**2)
    solid = np.hypot(x, 1.2 * y)[:, :, None] < waist
    noise = ndimage.gaussian_filter(np.random.default_rng(7).normal(size=solid.shape), radius / 8)
    low, high = noise[solid].min(), noise[solid].max()
    field = CONTRAST ** ((noise - high) / (high - low))
    inner = ndimage.binary_erosion(solid, iterations=2)
    return np.where(inner, field, 1.0) * solid
