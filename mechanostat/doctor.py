"""What `mechanostat doctor` finds: versions, devices, memory, caches, and why a GPU is not used."""

import os
import platform
import shutil
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import jax
import numpy as np
import psutil
from pydantic import BaseModel, ConfigDict

from fem.equilibrium import solve
from fem.standard_tests import axial
from mechanostat import __version__
from mechanostat.devices import Device, cuda_plugins, graphics_cards, why_no_gpu
from meshes.voxel import voxel_mesh

PACKAGES = (
    "jax", "jaxlib", "numpy", "scipy", "equinox", "h5py", "SimpleITK", "aimio-py", "meshio", "pydantic", "matplotlib",
)  # fmt: skip
"""The packages whose versions decide a result or a fault."""


class Check(BaseModel):
    """The end of the small solve."""

    model_config = ConfigDict(frozen=True)

    passed: bool
    text: str
    seconds: float


class Findings(BaseModel):
    """All that the doctor found."""

    model_config = ConfigDict(frozen=True)

    versions: dict[str, str]
    system: dict[str, str]
    device: dict[str, str]
    cards: list[str]
    """NVIDIA GPUs of the machine, whether or not JAX uses them."""
    hints: list[str]
    """What the user may want to change."""
    check: Check | None

    @property
    def healthy(self) -> bool:
        """Whether the small solve was right."""
        return self.check is not None and self.check.passed


def examine(
    device: Device, *, cache: Path | None, small_solve: Callable[[], tuple[bool, str]] | None = None
) -> Findings:
    """Return what can be known about this installation.

    Args:
        device: What `choose_device` returned.
        cache: What `keep_compiled_programs` returned.
        small_solve: Solves something whose answer is known and says whether it was right, and how.
    """
    cards = graphics_cards()
    check = None if small_solve is None else _checked(small_solve)
    return Findings(
        versions=versions(),
        system=_system(),
        device=_device(device, cache),
        cards=cards,
        hints=_hints(device, cache, check),
        check=check,
    )


def small_solve() -> tuple[bool, str]:
    """Solve a cube of 27 voxels whose strain energy density FAIM prints, and say whether it agrees.

    Source:
        FAIM 10 manual, tutorial: 0.0537145913 MPa at modulus 1000, axial strain -1 %.
    """
    mesh = voxel_mesh(np.ones((3, 3, 3), dtype=bool), (1.0, 1.0, 1.0))
    found = solve(mesh, 1000.0, axial(mesh))
    energy = float(np.mean(0.5 * 1000.0 * np.asarray(found.effective_strain) ** 2))
    wrong = abs(energy / 0.0537145913 - 1.0)
    return wrong < 1e-6, f"mean energy density {energy:.10f} MPa, {wrong:.1e} from FAIM's"


def versions() -> dict[str, str]:
    """Return the versions of Python, of this program and of all that decides a result."""
    found = {"mechanostat": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found | {text.split()[0]: text.split()[1] for text in cuda_plugins()}


def rows(findings: Findings) -> list[tuple[str, str]]:
    """Return the findings as a table of two columns, the small solve last."""
    table = [*findings.versions.items(), *findings.system.items(), *findings.device.items()]
    table += [(f"GPU {number}", card) for number, card in enumerate(findings.cards)]
    if findings.check is not None:
        verdict = "right" if findings.check.passed else "WRONG"
        table.append(("small solve", f"{verdict}: {findings.check.text} ({findings.check.seconds:.1f} s)"))
    return table


def _system() -> dict[str, str]:
    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(cores),
        "memory": f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB free",
    }


def _device(device: Device, cache: Path | None) -> dict[str, str]:
    found = {
        "device": f"{device.platform}: {device.count} x {device.name}",
        "64-bit": "on" if jax.config.read("jax_enable_x64") else "off",
        "compiled programs": "not kept" if cache is None else f"{cache} ({_megabytes(cache):.0f} MB)",
    }
    limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    if limit:
        found["device memory"] = f"{limit / 1e9:.1f} GB"
    seized = os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE", "true" if device.platform == "gpu" else "")
    return found | ({"memory seized in advance": seized} if seized else {})


def _hints(device: Device, cache: Path | None, check: Check | None) -> list[str]:
    hints = []
    if device.platform == "cpu":
        hints.append(f"No GPU is used: {device.note or why_no_gpu()}.")
    if cache is None:
        hints.append(
            "Compiled programs are not kept, so each run compiles anew: the cache folder is not yours alone."
        )
    elif shutil.disk_usage(cache).free < 1e9:
        hints.append(f"Less than 1 GB is free where compiled programs are kept ({cache}).")
    if check is not None and not check.passed:
        hints.append("The small solve was wrong: trust no result of this installation; reinstall it.")
    return hints


def _checked(small_solve: Callable[[], tuple[bool, str]]) -> Check:
    """Run the small solve; whatever it raises is a finding, not the doctor's own end."""
    begun = time.perf_counter()
    try:
        passed, text = small_solve()
    except Exception as error:  # the doctor's work is to tell any fault, whatever its kind
        passed, text = False, f"{type(error).__name__}: {error}"
    return Check(passed=passed, text=text, seconds=time.perf_counter() - begun)


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
