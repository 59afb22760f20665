"""What all tests share: double precision, strict promotion, small meshes, the reference data."""

import os
from pathlib import Path

import jax
import pytest

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
