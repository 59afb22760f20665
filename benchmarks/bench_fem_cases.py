"""Do several load cases go faster as one batch or one after the other, and how many programs does a cohort need?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.conjugate_gradients import Status
from fem.loads import stacked
from fem.standard_tests import axial
from fem.statics import balance_each, padded_modulus, structure, working_dtype
from meshes.segmentation import largest_component
from meshes.synthetic import random_trabeculae
from meshes.voxel import voxel_mesh

MODULUS = 18_000.0
"""Young's modulus of all bone [MPa]."""

EDGES = (0.05, 0.05, 0.05)
"""Edges of a voxel [mm]."""

BONES = 16
"""Bones of the cohort."""


@pytest.mark.benchmark(group="cases")
@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "together"])
@pytest.mark.parametrize("name", ["trabeculae64", "vor64"])
def bench_three_cases(timed, bone, benchmark, name, together):
    mesh = voxel_mesh(bone(name), EDGES)
    dtype = working_dtype("mixed")
    boundaries = stacked([axial(mesh, axis=axis) for axis in range(3)])
    found = timed(
        functools.partial(
            balance_each, precision="mixed", tolerance=1e-6, max_iterations=2000, together=together
        ),
        structure(mesh),
        jnp.full(mesh.elements, MODULUS, dtype),
        boundaries,
        jnp.zeros((3, mesh.nodes, 3), dtype),
        work=lambda found: 3 * mesh.nodes * int(jnp.sum(found.iterations)),
        unit="unknown_iterations",
        bone=name,
        together=str(together),
        unknowns=3 * mesh.nodes,
    )
    assert np.all(np.asarray(found.status) == Status.CONVERGED)
    benchmark.extra_info.update(iterations=np.asarray(found.iterations).tolist())
    if benchmark.enabled:
        print(
            f"\n{name}, together {together}: {benchmark.stats.stats.median:.2f} s, {found.iterations} iterations"
        )


@pytest.mark.benchmark(group="cohort")
def bench_programs_of_a_cohort(benchmark):
    """Bones of one make and size: bones whose arrays have the same sizes share a compiled program."""
    n = 64 if benchmark.enabled else 12
    bones = BONES if benchmark.enabled else 3
    dtype = working_dtype("mixed")
    grids = [
        random_trabeculae(shape=(n, n, n), spacing=EDGES, period=0.8, volume_fraction=0.2, seed=seed)
        for seed in range(bones)
    ]
    meshes = [voxel_mesh(largest_component(grid).solid, EDGES) for grid in grids]
    programs, elements = set(), []
    for mesh in meshes:
        made = structure(mesh)
        arguments = (made, padded_modulus(made, np.full(mesh.elements, MODULUS), dtype))
        leaves, form = jax.tree.flatten(arguments)
        programs.add((str(form), tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)))
        elements.append(mesh.elements)
    benchmark.pedantic(structure, args=(meshes[0],), rounds=1)
    benchmark.extra_info.update(bones=bones, programs=len(programs), elements=elements)
    if benchmark.enabled:
        assert len(programs) < bones
        print(f"\n{bones} bones of {min(elements)} to {max(elements)} elements need {len(programs)} programs")
