"""How many unknowns a second does the stiffness operator take?"""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from fem.stiffness import VoxelStiffness, voxel_topology
from meshes.voxel import voxel_mesh

APPLICATIONS = 20
"""Applications in one compiled loop, as in a solve: alone, an operator is two to three times slower."""


def apply_often(stiffness: VoxelStiffness, displacement: jax.Array) -> jax.Array:
    """Apply the operator again and again; scaled, so that the numbers stay finite."""
    return lax.fori_loop(0, APPLICATIONS, lambda _, u: stiffness.apply(u) * 0.1, displacement)


@pytest.mark.benchmark(group="operator")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["cube64", "trabeculae64", "vor64", "vor128"])
def bench_apply(timed, bone, name, dtype):
    mesh = voxel_mesh(bone(name), (0.05, 0.05, 0.05))
    stiffness = VoxelStiffness(voxel_topology(mesh, poisson_ratio=0.3), jnp.ones(mesh.elements, dtype))
    result = timed(
        apply_often,
        stiffness,
        jnp.ones((mesh.nodes, 3), dtype),
        work=lambda _: APPLICATIONS * 3 * mesh.nodes,
        bone=name,
        dtype=dtype,
        elements=mesh.elements,
        unknowns=3 * mesh.nodes,
    )
    assert bool(jnp.all(jnp.isfinite(result)))
