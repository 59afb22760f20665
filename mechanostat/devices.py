"""Which device computes: chosen before JAX starts, never changed in silence."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import equinox as eqx
import jax

from fem.statics import Precision

SLURM_GPU_VARIABLES = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE", "SLURM_GPUS")
"""SLURM sets one of these where it has given the job GPUs."""

HOW_TO_INSTALL = "install `mechanostat[cuda13]` or `mechanostat[cuda12]`, whichever fits the driver"


class Device(eqx.Module):
    """The device that computes."""

    platform: str = eqx.field(static=True)
    """`cpu` or `gpu`."""
    name: str = eqx.field(static=True)
    """As people know it, such as `NVIDIA H200` or `cpu`."""
    count: int = eqx.field(static=True)
    """How many of them JAX sees."""
    note: str = eqx.field(static=True, default="")
    """Why a GPU of this machine is not used; empty where none is idle."""


def choose_device(choice: str = "auto", *, precision: Precision = "mixed") -> Device:
    """Start JAX on the device that the user asked for, and return it.

    `auto` takes a GPU where JAX can use one, else the CPU, and the result's `note` says why not a GPU.
    Call it once, before any array is made.

    Args:
        choice: `auto`, `cpu`, `gpu`, or the numbers of the GPUs to use, such as `0,1`.
        precision: `mixed` and `double` need JAX's 64-bit types.

    Raises:
        ValueError: Where the choice is none of these.
        RuntimeError: Where a GPU was asked for, or given by SLURM, and cannot be used; with the cause.
    """
    for name, value in environment(choice, os.environ).items():
        os.environ[name] = value
    platforms = {"auto": None, "cpu": "cpu"}.get(choice, "cuda,cpu")
    if platforms is not None:
        jax.config.update("jax_platforms", platforms)
    jax.config.update("jax_enable_x64", precision != "single")
    device = _started(choice)
    if choice != "cpu" and device.platform == "cpu" and _slurm_gpus(os.environ):
        raise RuntimeError(
            f"SLURM gave this job GPUs ({_slurm_gpus(os.environ)}) but JAX would compute on the CPU: "
            f"{why_no_gpu()}. Mend that, or say `--device cpu` to leave them idle."
        )
    return device


def environment(choice: str, current: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that a choice of device needs, without setting them.

    Numbers count within the GPUs that the system has already assigned (`CUDA_VISIBLE_DEVICES`), as
    a cluster does. Memory of a GPU is not seized in advance unless the user says so: two studies
    may share one.

    Args:
        choice: As in `choose_device`.
        current: The environment as it is.

    Raises:
        ValueError: Where the choice is not understood or names a GPU that was not assigned.
    """
    wanted = {} if "XLA_PYTHON_CLIENT_PREALLOCATE" in current else {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if choice in ("auto", "cpu", "gpu"):
        return {} if choice == "cpu" else wanted
    numbers = choice.split(",")
    if not all(number.isascii() and number.isdigit() for number in numbers) or len(set(numbers)) < len(
        numbers
    ):
        raise ValueError(
            f"`--device` is `auto`, `cpu`, `gpu` or numbers of GPUs such as `0,1`, got `{choice}`."
        )
    assigned = [name for name in current.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if assigned and max(map(int, numbers)) >= len(assigned):
        raise ValueError(
            f"`--device {choice}`: only {len(assigned)} GPUs are assigned (CUDA_VISIBLE_DEVICES="
            f"{','.join(assigned)}), numbered from 0."
        )
    chosen = [assigned[int(number)] for number in numbers] if assigned else numbers
    return {**wanted, "CUDA_VISIBLE_DEVICES": ",".join(chosen)}


def why_no_gpu() -> str:
    """Return the first reason that keeps JAX from an NVIDIA GPU on this machine."""
    if not graphics_cards():
        return "no NVIDIA GPU is seen here (`nvidia-smi` is missing or lists none)"
    if not cuda_plugins():
        return f"JAX is installed without CUDA; {HOW_TO_INSTALL}"
    if os.environ.get("JAX_PLATFORMS", "") == "cpu":
        return "the variable JAX_PLATFORMS is `cpu`; unset it"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "the variable CUDA_VISIBLE_DEVICES hides all GPUs; unset it"
    return "JAX with CUDA could not start; the driver may be too old for it, see `nvidia-smi`"


def graphics_cards() -> list[str]:
    """Return name, memory and driver of each NVIDIA GPU of this machine; none without `nvidia-smi`."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def cuda_plugins() -> list[str]:
    """Return the installed packages, with version, that give JAX its CUDA side."""
    names = ("jax-cuda13-plugin", "jax-cuda12-plugin", "jax-cuda13-pjrt", "jax-cuda12-pjrt")
    found = {
        entry.name.lower().replace("_", "-"): entry.version
        for entry in metadata.distributions()
        if entry.name
    }
    return [f"{name} {found[name]}" for name in names if name in found]


def keep_compiled_programs(folder: Path | None = None) -> Path | None:
    """Keep compiled programs between runs in a folder that only this user can write, and return it.

    JAX keeps only what took a second to compile unless told otherwise; here everything is kept.
    A folder that belongs to someone else or that others can write is not used: a compiled program
    is code. Then nothing is kept, and the result is None.

    Args:
        folder: Where; the user's cache folder if absent.
    """
    folder = folder or _user_cache() / "mechanostat" / f"jax-{jax.__version__}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
    except OSError:
        return None
    if os.name == "posix" and (facts.st_uid != os.getuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder


def _started(choice: str) -> Device:
    """Start JAX and return what it runs on."""
    try:
        devices = jax.devices()
    except (RuntimeError, AssertionError) as error:
        # A JAX without CUDA ends in a bare AssertionError when CUDA is asked for.
        reason = why_no_gpu() if choice != "cpu" else str(error)
        raise RuntimeError(f"`--device {choice}` cannot be used: {reason}.") from error
    platform = "cpu" if devices[0].platform == "cpu" else "gpu"
    if platform == "cpu" and choice not in ("auto", "cpu"):
        raise RuntimeError(f"`--device {choice}` cannot be used: {why_no_gpu()}.")
    note = ""
    if platform == "cpu" and graphics_cards():
        note = "`--device cpu` was chosen" if choice == "cpu" else why_no_gpu()
    return Device(platform, devices[0].device_kind, len(devices), note)


def _slurm_gpus(current: Mapping[str, str]) -> str:
    """Return the variable by which SLURM says that it gave GPUs, or nothing."""
    given = (
        f"{name}={current[name]}" for name in SLURM_GPU_VARIABLES if current.get(name, "0") not in ("", "0")
    )
    return next(given, "")


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
