"""Laws of the device: what was asked for computes, or an error says why not."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from mechanostat.devices import (
    SLURM_GPU_VARIABLES,
    cuda_plugins,
    environment,
    graphics_cards,
    keep_compiled_programs,
    why_no_gpu,
)

NO_GPU = pytest.mark.skipif(bool(graphics_cards()), reason="needs a machine without an NVIDIA GPU")


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh Python, in which JAX has not started yet."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in (*SLURM_GPU_VARIABLES, "JAX_PLATFORMS")
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=clean | variables, capture_output=True, text=True, timeout=120, check=False
    )


@NO_GPU
def test_a_gpu_that_is_not_there_is_an_error_with_its_cause():
    ended = python("""
from mechanostat.devices import choose_device
for choice in ("gpu", "0"):
    try:
        choose_device(choice)
    except RuntimeError as error:
        print(error)
""")
    assert ended.stdout.count("cannot be used: no NVIDIA GPU is seen here") == 2, ended.stderr


@NO_GPU
def test_gpus_given_by_slurm_are_never_left_idle_in_silence():
    ended = python(f"""
import os
from mechanostat.devices import choose_device
for variable in {SLURM_GPU_VARIABLES}:
    os.environ[variable] = "0"
    print(choose_device("auto").platform)
    os.environ[variable] = "1"
    print(choose_device("cpu").platform)
    try:
        choose_device("auto")
    except RuntimeError as error:
        print(str(error).split("(")[0])
    del os.environ[variable]
""")
    assert ended.stdout.splitlines() == ["cpu", "cpu", "SLURM gave this job GPUs "] * 4, ended.stderr


def test_precision_switches_the_64_bit_types():
    ended = python("""
import jax
from mechanostat.devices import choose_device
for precision in ("single", "mixed", "double"):
    choose_device("cpu", precision=precision)
    print(jax.config.jax_enable_x64)
""")
    assert ended.stdout.split() == ["False", "True", "True"], ended.stderr


def test_numbers_count_within_the_gpus_that_were_assigned():
    chosen = environment("0,2", {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b,GPU-c"})
    assert chosen["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-c"
    assert environment("1", {})["CUDA_VISIBLE_DEVICES"] == "1"
    with pytest.raises(ValueError, match="only 1 GPUs are assigned"):
        environment("1", {"CUDA_VISIBLE_DEVICES": "5"})


def test_a_gpu_is_not_seized_in_advance_unless_the_user_says_so():
    assert environment("gpu", {}) == {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    assert environment("gpu", {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"}) == {}
    assert environment("cpu", {}) == {}


@pytest.mark.parametrize("choice", ["", "GPU", "0,0", "1.5", "cuda", "-1", "0,", "٣"])
def test_a_choice_that_is_not_understood_is_refused(choice):
    with pytest.raises(ValueError, match="`--device` is"):
        environment(choice, {})


@NO_GPU
def test_the_reason_for_no_gpu_is_named_without_one():
    assert "nvidia-smi" in why_no_gpu()
    assert isinstance(cuda_plugins(), list)


def test_compiled_programs_are_kept_and_found_again(tmp_path: Path):
    folder = tmp_path / "mechanostat" / f"jax-{jax.__version__}"
    code = (
        "import jax, jax.numpy as jnp\n"
        "from mechanostat.devices import choose_device, keep_compiled_programs\n"
        "choose_device('cpu')\n"
        "hits = []\n"
        "jax.monitoring.register_event_listener(lambda name, **rest: hits.append(name))\n"
        "print(keep_compiled_programs())\n"
        "jax.jit(lambda x: jnp.sin(x) * 3.0)(jnp.ones(7)).block_until_ready()\n"
        "print(any('cache_hit' in name for name in hits))"
    )
    first = python(code, XDG_CACHE_HOME=str(tmp_path)).stdout.split()
    assert first == [str(folder), "False"]
    assert any(folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert python(code, XDG_CACHE_HOME=str(tmp_path)).stdout.split() == [str(folder), "True"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
def test_a_cache_that_others_can_write_is_not_used(tmp_path: Path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert keep_compiled_programs(tmp_path / "open") is None
