"""Bone strength and remodeling by finite elements: the public face.

`from mechanostat import fem, meshes, remodel` gives the three packages underneath; they are loaded when
they are first asked for, so that the command's `--help` need not wait for JAX.
"""

import importlib
from pathlib import Path
from types import ModuleType

__version__ = "0.1.0"

__all__ = ["__version__", "example_bone", "fem", "meshes", "remodel"]  # pyright: ignore[reportUnsupportedDunderAll]

_PACKAGES = ("fem", "meshes", "remodel")


def example_bone() -> Path:
    """Return the scan that ships: trabecular bone of a human first lumbar vertebra, 201³ voxels of 0.05 mm.

    Grey values 0 and 255; the file has no spacing, so it must be given.

    Source:
        BoneBox by Qian Cao, specimen isodata_05880_roi_43, BSD-3-Clause; its licence stands beside it.
    """
    return Path(__file__).parent / "data" / "L1_trabecular_bonebox_05880_roi43.nrrd"


def __getattr__(name: str) -> ModuleType:
    if name not in _PACKAGES:
        raise AttributeError(f"module `mechanostat` has no attribute `{name}`.")
    module = importlib.import_module(name)
    found, wanted = Path(module.__file__ or ""), Path(__file__).parent.parent / name / "__init__.py"
    if not found.exists() or not found.samefile(wanted):
        raise ImportError(
            f"Python found another `{name}` at `{found}` before mechanostat's at `{wanted}`. Rename that file, or "
            "start Python from another folder."
        )
    return module
