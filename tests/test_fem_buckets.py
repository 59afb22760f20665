"""Laws of padding: little of it, the same program for similar bones, and nothing in the answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from fem.buckets import ELEMENT_STEPS, NODE_STEPS, bucket, coarse_room, finest_room
from fem.equilibrium import equilibrium
from fem.hexahedron import stiffness_matrix
from fem.loads import LoadCase
from fem.standard_tests import axial
from fem.statics import boundary_of, jitted_balance, padded_modulus, structure
from meshes.voxel import VoxelMesh, voxel_mesh

EDGES = (0.05, 0.06, 0.08)


def holed(seed: int, holes: int) -> VoxelMesh:
    """Return a block with some voxels missing inside."""
    solid = np.ones((10, 9, 11), dtype=bool)
    inside = np.random.default_rng(seed).choice(8 * 7 * 9, holes, replace=False)
    x, y, z = np.unravel_index(inside, (8, 7, 9))
    solid[x + 1, y + 1, z + 1] = False
    return voxel_mesh(solid, EDGES)


def arguments(mesh: VoxelMesh, modulus: np.ndarray, case: LoadCase) -> tuple:
    prepared = structure(mesh)
    return prepared, padded_modulus(prepared, modulus, jnp.float64), boundary_of(case)


def direct(mesh: VoxelMesh, modulus: np.ndarray, case: LoadCase) -> np.ndarray:
    """Return the displacement by a sparse direct solve that knows nothing of padding."""
    places = (3 * mesh.connectivity[:, :, None].astype(np.int64) + np.arange(3)).reshape(-1, 24)
    blocks = modulus[:, None, None] * stiffness_matrix(mesh.spacing, 0.3)
    rows, columns = np.repeat(places, 24, axis=1).reshape(-1), np.tile(places, (1, 24)).reshape(-1)
    size = 3 * mesh.nodes
    matrix = coo_matrix((blocks.reshape(-1), (rows, columns)), shape=(size, size)).tocsr()
    found = np.zeros(size)
    found[case.held] = case.displacement
    free = np.setdiff1d(np.arange(size), case.held)
    found[free] = np.asarray(spsolve(matrix[free][:, free].tocsc(), -(matrix @ found)[free]))
    return found.reshape(-1, 3)


@pytest.mark.parametrize("steps", [1, 2, 8, 16])
def test_a_bucket_holds_what_it_is_for_and_little_more(steps):
    sizes = np.array([bucket(count, steps=steps) for count in range(1, 5000)])
    counts = np.arange(1, 5000)
    assert np.all(sizes >= counts)
    assert np.all(np.diff(sizes) >= 0)
    wide = counts > steps
    assert np.all((sizes - counts)[wide] < counts[wide] / steps)
    assert len(np.unique(sizes[counts > 256])) <= steps * 5 + 1


def test_the_finest_level_keeps_a_node_for_what_points_nowhere():
    for nodes in range(65, 3000, 7):
        room = finest_room(elements=2 * nodes // 3, nodes=nodes, coarsest=64)
        assert room.nodes > nodes
        assert room.nodes <= nodes * (1 + 1 / ELEMENT_STEPS) * (1 + 1 / NODE_STEPS) + 16


def test_bones_of_one_make_get_the_same_coarse_levels_whatever_their_size_in_the_bucket():
    rooms = set()
    for elements in range(400_000, 425_984, 1_000):
        finest = finest_room(elements=elements, nodes=3 * elements // 2, coarsest=64)
        rooms.add(
            coarse_room(
                elements=round(0.186 * elements),
                nodes=round(0.326 * elements),
                depth=1,
                finest=finest,
                finest_elements=elements,
                coarsest=64,
            )
        )
    assert len(rooms) == 1


@pytest.mark.slow
def test_similar_bones_share_one_program_and_padding_changes_no_answer(random):
    bones = [holed(1, 40), holed(4, 41)]
    assert bones[0].nodes != bones[1].nodes or bones[0].elements != bones[1].elements
    before = jitted_balance._cache_size()  # pyright: ignore[reportAttributeAccessIssue]
    for mesh in bones:
        modulus = random.uniform(5e3, 2e4, mesh.elements)
        case = axial(mesh)
        found = jitted_balance(
            *arguments(mesh, modulus, case), precision="mixed", tolerance=1e-10, max_iterations=100
        )
        result = equilibrium(mesh, case, found)
        assert result.converged
        wanted = direct(mesh, modulus, case)
        np.testing.assert_allclose(result.displacement, wanted, rtol=0, atol=1e-8 * np.abs(wanted).max())
        assert result.effective_strain.shape == (mesh.elements,)
        assert not np.any(np.asarray(found.displacement)[mesh.nodes :])
    after = jitted_balance._cache_size()  # pyright: ignore[reportAttributeAccessIssue]
    assert after == before + 1


def test_nothing_but_the_arrays_differs_between_similar_bones():
    """Not even a number that is written into the program: the trees and their shapes are the same."""
    one, other = (
        arguments(mesh, np.ones(mesh.elements), axial(mesh)) for mesh in (holed(1, 40), holed(4, 41))
    )
    assert jax.tree.structure(one) == jax.tree.structure(other)
    shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (one, other)]
    assert shapes[0] == shapes[1]
