"""What all tests share: double precision, strict promotion, small meshes, the reference data."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np
import pytest

if TYPE_CHECKING:
    from meshes.voxel import VoxelMesh

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; it stands beside the checkout or where MECHANOSTAT_SHARED says."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("MECHANOSTAT_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the reference data, not found at {folder}; set MECHANOSTAT_SHARED")
    return folder


def _sponge(shape, spacing, *, seed: int) -> "VoxelMesh":
    """Return the largest piece of a block with random holes."""
    # Imported here and not above: what is imported before jaxtyping sets its hook goes unchecked.
    from meshes.segmentation import largest_component
    from meshes.voxel import voxel_mesh

    solid = np.random.default_rng(seed).random(shape) < 0.75
    return voxel_mesh(largest_component(solid).solid, spacing)


@pytest.fixture(scope="session")
def crumb() -> "VoxelMesh":
    """A bone so small that multigrid has one level; three different edges, a hole."""
    return _sponge((3, 3, 3), (0.05, 0.06, 0.08), seed=1)


@pytest.fixture(scope="session")
def sponge() -> "VoxelMesh":
    """A bone of three multigrid levels with random holes, odd sizes and three different edges."""
    return _sponge((9, 5, 6), (0.05, 0.06, 0.08), seed=2)


@pytest.fixture
def random() -> np.random.Generator:
    """Random numbers, the same in every test."""
    return np.random.default_rng(20)
