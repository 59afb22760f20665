"""A process of its own for each library that reads foreign bytes.

Mutated files crash the readers of AIM, MetaImage and TIFF (segmentation fault, corrupted heap), and
a crash must not take the study with it. A child process with bounded memory and time reads the file
and hands the values over in a private folder.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from meshes.failures import BROKEN, ReadError
from meshes.scan import from_zyx

CHILD = Path(__file__).with_name("reader_child.py")

CHILD_MEMORY = 3 * 2**30
"""Address space of Python, NumPy, SimpleITK and their buffers [bytes]; measured below 1.5 GiB."""

COPIES = 4
"""How often the values may be in the child's memory: read, unpacked, rescaled, written."""

CHILD_SECONDS, SLOWEST = 60, 10 * 2**20
"""Processor time for the start of the child [s], and the slowest rate of reading [bytes/s]."""

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
"""The variables that bound the threads of a child; each thread takes address space for its stack."""

PATIENCE = 2.0
"""How much longer than its processor time a child may take: it waits for the disk."""


def read_isolated(
    path: Path, *, kind: str, files: list[Path], claimed: int, reader: str = ""
) -> tuple[Shaped[np.ndarray, "nx ny nz"], dict[str, Any]]:
    """Return the voxels (x, y, z), in C order, and the whitelisted header that a child process reads.

    Args:
        path: The file or folder, for messages.
        kind: A name in `reader_child.KINDS`.
        files: The files to read, in the order of the slices.
        claimed: Bytes of the voxels by the header; they bound the child's memory and time.
        reader: The SimpleITK reader, where it is one.

    Raises:
        ReadError: Where the child crashes, fails, takes too long or returns more than was claimed.
    """
    seconds = CHILD_SECONDS + claimed // SLOWEST
    with tempfile.TemporaryDirectory(prefix="mechanostat-") as folder:
        target = Path(folder) / "values.npy"
        request = {
            "kind": kind,
            "files": [str(file.resolve()) for file in files],
            "reader": reader,
            "target": str(target),
            "memory": CHILD_MEMORY + COPIES * claimed,
            "seconds": seconds,
        }
        header = _run(path, request, patience=PATIENCE * seconds)
        values = np.load(target, mmap_mode="r", allow_pickle=False)
        # Rescaling may widen a byte to a double, no further.
        if values.ndim != 3 or values.nbytes > 8 * max(claimed, 1):
            raise ReadError(path, f"{claimed} bytes were claimed and {values.nbytes} came", BROKEN)
        return from_zyx(values), header


def _run(path: Path, request: dict[str, Any], *, patience: float) -> dict[str, Any]:
    try:
        ended = subprocess.run(
            # -P keeps this folder out of the child's path: its `image.py` must not hide another's.
            [sys.executable, "-P", str(CHILD)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=patience,
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReadError(path, f"its reader did not end within {patience:.0f} s", BROKEN) from error
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise ReadError(path, f"it makes the reader crash ({name})", BROKEN)
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise ReadError(path, f"its reader says: {lines[-1].strip().rstrip('.')}", BROKEN)
    return json.loads(ended.stdout)
