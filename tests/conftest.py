"""What all tests share: double precision, strict promotion, small meshes, the reference data."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

if TYPE_CHECKING:
    from meshes.voxel import VoxelMesh
    from remodel.model import Model, State

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


@pytest.fixture(scope="session")
def block() -> Callable[..., tuple["Model", "State"]]:
    """A function that prepares a small block of uneven density under three loads, of a woman of 20.

    At that age nothing changes. Arguments go to `prepare` in place of its own. All calls share one compiled
    loop, as long as settings, sex and the number of loads, tests and windows stay: numbers are leaves.
    """
    from reference_law import REFERENCE_LAW

    from fem.standard_tests import axial
    from meshes.voxel import element_centroids, voxel_mesh
    from remodel.activity import habitual_life, with_bed_rest
    from remodel.model import Settings
    from remodel.person import Person
    from remodel.preparation import HabitualLoad, prepare

    mesh = voxel_mesh(np.ones((4, 4, 4), bool), (0.1, 0.1, 0.1))
    x, y, z = element_centroids(mesh).T / 0.4
    wave = np.cos(2.0 * np.pi * x) * np.cos(np.pi * (y - 0.5)) * np.cos(2.0 * np.pi * z)
    # Between 0.08 and 0.44, trabecular bone, and its own mirror image along each axis.
    fraction = 0.26 + 0.18 * wave / np.abs(wave).max()

    def make(**given: Any) -> tuple["Model", "State"]:
        fraction_given = given.pop("volume_fraction", fraction)
        usual = {
            "modulus": 12_000.0 * fraction_given**2.58,
            "loads": [HabitualLoad("axial " + "xyz"[i], axial(mesh, axis=i), 1.0 + i) for i in range(3)],
            "tests": [axial(mesh)],
            "person": Person("female", 20.0, 65.0),
            "activity": with_bed_rest(habitual_life(3), start_day=0.0, stop_day=1.0, scale=1.0),
            "parameters": jax.tree.map(lambda number: jnp.asarray(number, float), REFERENCE_LAW),
            "settings": Settings(step_days=180, precision="double"),
        }
        return prepare(given.pop("mesh", mesh), fraction_given, **(usual | given))

    return make
