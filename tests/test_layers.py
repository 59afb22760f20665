"""Laws of the tree: imports run down only, and importing has no effect."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("meshes", "fem", "remodel", "mechanostat")
"""The packages from the ground up."""

FILES = [path for floor in FLOORS for path in sorted((ROOT / floor).glob("*.py"))]
MODULES = [f"{path.parent.name}.{path.stem}" for path in FILES if not path.stem.startswith("__")]


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports, at its top or inside."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_run_down_only_and_from_files(path):
    floor = FLOORS.index(path.parent.name)
    for name in imported(path):
        package = name.partition(".")[0]
        if package in FLOORS:
            assert FLOORS.index(package) <= floor, f"{path.name} imports {name} from a higher floor"
            # The version stands in `mechanostat/__init__.py` alone.
            assert "." in name or name == "mechanostat", f"{path.name} imports {name}, not a file"


def test_packages_are_flat():
    for floor in FLOORS:
        assert not list((ROOT / floor).glob("*/**/*.py"))


def test_one_module_alone_talks_to_meshio():
    found = {
        path.name for path in FILES if any(name.partition(".")[0] == "meshio" for name in imported(path))
    }
    assert found <= {"exchange.py", "exchange_child.py"}


def test_the_laws_of_remodeling_do_not_know_the_solver():
    """The loop, and what prepares and drives it, hand the laws plain arrays."""
    found = {
        path.name
        for path in FILES
        if path.parent.name == "remodel" and any(name.partition(".")[0] == "fem" for name in imported(path))
    }
    assert found <= {"loop.py", "model.py", "preparation.py", "simulation.py"}


PROBE = """
import importlib, json, sys
import jax
before = dict(jax.config.values)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
after = dict(jax.config.values)
changed = sorted(name for name in after if name in before and after[name] != before[name])
assert not changed, f"JAX flags changed: {changed}"
"""


def test_importing_prints_nothing_sets_no_flag_and_touches_no_device(monkeypatch):
    """A platform that does not exist: whatever touches a device fails."""
    monkeypatch.setenv("JAX_PLATFORMS", "none_such")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, json.dumps(MODULES)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
