"""Read one mesh file with meshio in a process of its own: it may exit, eat memory or never end.

Run as a script by `meshes/exchange.py`, never imported. It writes the arrays to an .npz file, with
the names that belong to them as JSON in the array `names`; what goes wrong is one line on the
standard error.
"""

import contextlib
import io
import json
import sys


def limit_resources(memory: int, seconds: int) -> None:
    """Allow this process `memory` bytes more than it has now, and a processor time [s], where possible."""
    try:
        import resource
    except ImportError:  # Windows has none; the parent's timeout is what is left
        return
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, seconds)]
    with contextlib.suppress(OSError), open("/proc/self/statm") as sizes:  # Linux alone says what it has
        present = int(sizes.read().split()[0]) * resource.getpagesize()
        limits.append((resource.RLIMIT_AS, present + memory))
    for kind, limit in limits:
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some of them
            resource.setrlimit(kind, (limit, limit))


def read(path: str, file_format: str) -> dict:
    """Return the numeric arrays of a mesh file by name, and the names in one JSON array."""
    import numpy as np

    mesh = meshio.read(path, file_format)
    arrays = {"points": np.asarray(mesh.points)}
    names = {"cells": [], "point_fields": list(mesh.point_data), "cell_fields": list(mesh.cell_data)}
    for index, block in enumerate(mesh.cells):
        names["cells"].append(block.type)
        arrays[f"cells_{index}"] = np.asarray(block.data)
        for field, name in enumerate(names["cell_fields"]):
            arrays[f"cell_{field}_{index}"] = np.asarray(mesh.cell_data[name][index])
    for field, name in enumerate(names["point_fields"]):
        arrays[f"point_{field}"] = np.asarray(mesh.point_data[name])
    arrays["names"] = np.array(json.dumps(names))
    return arrays


def main() -> int:
    """Read the file named by the arguments: format, input, output, memory [bytes], time [s]."""
    file_format, source, target, memory, seconds = sys.argv[1:]
    limit_resources(int(memory), int(seconds))
    import numpy as np

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            arrays = read(source, file_format)
        np.savez(target, allow_pickle=False, **arrays)
    except BaseException as error:  # the process boundary; meshio leaves by SystemExit
        first = (said.getvalue().strip().splitlines() or [""])[0]
        reason = first if isinstance(error, SystemExit) and first else f"{type(error).__name__}: {error}"
        sys.stderr.write(reason[:300].replace("\n", " "))
        return 1
    return 0


if __name__ == "__main__":
    # Its import needs memory of its own, so it comes before the limit.
    import meshio

    sys.exit(main())
