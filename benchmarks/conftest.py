"""What all benchmarks share: bones, and the fixture `timed`, which times compilation and run apart."""

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

jax.config.update("jax_enable_x64", True)

SMOKE = 8
"""Voxels along an edge where nothing is measured."""

SMOKE_BONE = "trabeculae64"
"""The one bone on which each benchmark runs where nothing is measured."""

ROUNDS = 3
"""Runs that are measured, after one that is not."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one bone per benchmark where nothing is measured: an ordinary run checks that none rots."""
    if config.getoption("benchmark_enable") or not config.getoption("benchmark_disable"):
        return
    here = Path(__file__).parent
    dropped = [
        item
        for item in items
        if here in item.path.parents
        and isinstance(item, pytest.Function)
        and "name" in item.fixturenames
        and item.callspec.params["name"] != SMOKE_BONE
    ]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]


@pytest.fixture
def timed(benchmark) -> Callable[..., Any]:
    """A function that compiles, then measures: `timed(function, *arguments, work=..., **sizes)`.

    `function` takes and returns arrays or trees of them. `work` says from the result how many units of
    `unit` one call did; the rate per second is noted beside the sizes, the compile time and the memory.
    """

    def run(
        function: Callable[..., Any],
        *arguments: Any,
        work: Callable[[Any], float],
        unit: str = "unknowns",
        **sizes: int | float | str,
    ) -> Any:
        start = time.perf_counter()
        lowered = jax.jit(function).lower(*arguments)
        traced = time.perf_counter()
        compiled = lowered.compile()
        end = time.perf_counter()
        note = benchmark.extra_info
        note.update(machine(), **sizes, trace_seconds=traced - start, compile_seconds=end - traced)
        note.update(compiled_memory(compiled))
        result = benchmark.pedantic(
            lambda: jax.block_until_ready(compiled(*arguments)), rounds=ROUNDS, warmup_rounds=1
        )
        note.update(peak_memory(), **{f"{unit}_per_call": work(result)})
        if benchmark.enabled:
            note[f"{unit}_per_second"] = work(result) / benchmark.stats.stats.median
        return result

    return run


def machine() -> dict[str, str | int]:
    """Return what the numbers depend on."""
    device = jax.devices()[0]
    return {
        "device": device.device_kind,
        "platform": device.platform,
        "devices": jax.device_count(),
        "processors": os.cpu_count() or 0,
        "jax": jax.__version__,
    }


def compiled_memory(compiled: Any) -> dict[str, int]:
    """Return what the compiler says that a call needs [bytes]."""
    memory = compiled.memory_analysis()
    return {
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
    }


def peak_memory() -> dict[str, int]:
    """Return the most memory that the process, and the device where it tells, have held so far [bytes]."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes.
    peak = {"process_peak_bytes": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    told = jax.devices()[0].memory_stats()  # None on a CPU.
    return peak | ({"device_peak_bytes": told["peak_bytes_in_use"]} if told else {})


@pytest.fixture
def bone(benchmark) -> Callable[[str], np.ndarray]:
    """A function that makes or loads the bone of a name, with voxels of 0.05 mm; small where not measured.

    `cube64` and `trabeculae64` are made by formula, with 64 voxels along an edge; other names are
    reference specimens, or a corner of one, which skip where the reference data is absent.
    """

    def make(name: str) -> np.ndarray:
        # Imported here and not above: what is imported before jaxtyping sets its hook goes unchecked.
        from meshes.segmentation import largest_component
        from meshes.synthetic import cube, random_trabeculae

        kind = name.rstrip("0123456789")
        n = int(name.removeprefix(kind)) if benchmark.enabled else SMOKE
        if kind == "cube":
            return cube(n)
        if kind == "trabeculae":
            grid = random_trabeculae(
                shape=(n, n, n), spacing=(0.05, 0.05, 0.05), period=0.8, volume_fraction=0.2, seed=1
            )
            return largest_component(grid).solid
        if name == "vor48":  # a corner of vor64, for a size below it
            return largest_component(specimen("vor64")[:48, :48, :48]).solid
        return specimen(name)

    return make


@pytest.fixture
def shared_data() -> Path:
    """The folder of reference data; skips where it is absent."""
    return reference_data()


def reference_data() -> Path:
    """Return the folder of reference data; skip where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("MECHANOSTAT_SHARED", default)) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the reference data, not found at {folder}; set MECHANOSTAT_SHARED")
    return folder


def specimen(name: str) -> np.ndarray:
    """Return a reference specimen; skip where it is absent."""
    return np.load(reference_data() / "specimens" / f"{name}.npz")["bone"]
