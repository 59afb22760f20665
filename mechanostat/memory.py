"""Memory: what a solve takes, what is there, and a refusal with the ways out where it does not fit."""

import ctypes
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

import jax
import psutil

from fem.statics import Precision

BYTES_PER_NODE: dict[Precision, int] = {"single": 327, "mixed": 372, "double": 552}
"""What a solve takes on its device for each node: arguments, temporaries and results [byte].

Measured as the compiler told it, `docs/solver.md`; it varies by a tenth with the make of the bone.
"""

HOST_BYTES_PER_NODE = 600
"""What the host holds and builds for each node while it sets a solve up: the mesh, the coarse levels [byte].

Measured as the growth of the process, `docs/solver.md`.
"""

CONTROL_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Where Linux tells what a container or a job may take and takes, versions 2 and 1."""


def solve_bytes(nodes: int, precision: Precision) -> int:
    """Return about what the solve of a bone takes on its device, told from its size alone [byte]."""
    return nodes * BYTES_PER_NODE[precision]


def check_room(nodes: int, precision: Precision) -> None:
    """Refuse a solve that cannot fit, before anything large is made for it.

    Args:
        nodes: Nodes of the bone.
        precision: Arithmetic of the solve.

    Raises:
        MemoryError: With what it takes, what is there and the ways out.
    """
    on_device, on_host = solve_bytes(nodes, precision), nodes * HOST_BYTES_PER_NODE
    free = device_room()
    if free is None:
        # The levels are built before the solve starts, and what that took is given back: the larger counts.
        check_fits(max(on_device, on_host), host_room(), nodes, precision)
        return
    check_fits(on_host, host_room(), nodes, precision)
    check_fits(on_device, free, nodes, precision)


def check_fits(wanted: int, there: int, nodes: int, precision: Precision) -> None:
    """Refuse what does not fit.

    Args:
        wanted: Memory that is needed [byte].
        there: Memory that may still be taken [byte].
        nodes: Nodes of the bone.
        precision: Arithmetic of the solve.

    Raises:
        MemoryError: With both numbers and the ways out.
    """
    if wanted <= there:
        return
    ways = ["`--coarsen 2` (an eighth of the elements)", "a smaller piece of the scan"]
    if precision != "single":
        share = BYTES_PER_NODE["single"] / BYTES_PER_NODE[precision]
        ways.append(f"`--precision single` ({100 * share:.0f} % of it, at a tolerance of 1e-4)")
    ways.append("a machine or a GPU with more memory")
    raise MemoryError(
        f"The solve of {3 * nodes} unknowns in {precision} precision takes about {wanted / 2**30:.2f} GiB, and "
        f"{max(there, 0) / 2**30:.2f} GiB are free. Ways out: {', '.join(ways)}."
    )


def host_room() -> int:
    """Return the memory that this process may still take: of the machine, or of its container [byte]."""
    there = [psutil.virtual_memory().available]
    for limit, usage in CONTROL_GROUPS:
        allowed, taken = _number(Path(limit)), _number(Path(usage))
        if allowed is not None and taken is not None:
            there.append(allowed - taken)
    return min(there)


def device_room() -> int | None:
    """Return the memory that may still be taken on a GPU [byte]; None on a CPU, which uses the host's."""
    facts: Mapping[str, int] | None = jax.local_devices()[0].memory_stats()
    if not facts or "bytes_limit" not in facts:
        return None
    return facts["bytes_limit"] - facts.get("bytes_in_use", 0)


def give_back() -> None:
    """Give the system back what the allocator keeps: after compiling that is as much as a small solve takes.

    By `malloc_trim` of the GNU C library; elsewhere this does nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def expected_peak(temporary: int) -> int:
    """Return what the process will have taken at most after a call that needs so much more [byte].

    Args:
        temporary: Temporaries and results of the call on the host [byte].
    """
    return max(peak_memory(), psutil.Process().memory_info().rss + temporary)


def peak_memory() -> int:
    """Return the largest memory that the process has taken [byte]."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def device_peak_memory() -> int | None:
    """Return the largest memory taken on a GPU [byte], None on a CPU."""
    facts: Mapping[str, int] | None = jax.local_devices()[0].memory_stats()
    return None if facts is None else facts.get("peak_bytes_in_use")


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is none, as in `max` for no limit."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
