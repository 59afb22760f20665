"""Laws of checkpoints: bit for bit, whole or not at all, only the same study's, also after `kill -9`."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from remodel.checkpoint import KEPT, load_checkpoint, save_checkpoint, state_digest
from remodel.loop import advance
from remodel.model import Model, State
from remodel.person import Person
from remodel.simulation import reports

MARK = "fingerprint of the study"
ROWS = [{"day": 0, "bone_volume": 0.1 + 0.2, "failure_load": {"axial": None}, "status": "converged"}]


@pytest.fixture(scope="module")
def start(block) -> tuple[Model, State]:
    """The block of a woman at menopause."""
    return block(person=Person("female", 51.0, 51.0))


@pytest.fixture(scope="module")
def later(start) -> State:
    """Its state after a step, in which nothing is round."""
    model, state = start
    return advance(model, state, 1)[0]


@pytest.fixture
def folder(start, later, tmp_path) -> Path:
    """A folder with two checkpoints: of day 0 and of day 180."""
    model, state = start
    save_checkpoint(tmp_path, model, state, ROWS, mark=MARK)
    save_checkpoint(tmp_path, model, later, ROWS * 2, mark=MARK)
    return tmp_path


def test_a_checkpoint_returns_the_state_bit_for_bit(start, later, folder):
    model, state = start
    found = load_checkpoint(folder, model, state, mark=MARK)
    assert found is not None
    assert state_digest(found.state) == state_digest(later) != state_digest(state)
    assert found.outcomes == ROWS * 2
    for old, new in zip(jax.tree.leaves(later), jax.tree.leaves(found.state), strict=True):
        assert (old.dtype, old.shape) == (new.dtype, new.shape)


def test_what_came_out_of_a_solve_is_taken_from_the_checkpoint(start, folder):
    model, state = start
    another_machine = dataclasses.replace(
        model, reference=model.reference * (1.0 + 1e-15), baseline_stimulus=model.baseline_stimulus + 1e-18
    )
    found = load_checkpoint(folder, another_machine, state, mark=MARK)
    assert found is not None
    np.testing.assert_array_equal(found.model.reference, model.reference)
    np.testing.assert_array_equal(found.model.baseline_stimulus, model.baseline_stimulus)


def test_the_last_two_checkpoints_are_kept(start, folder):
    model, state = start
    for day in (360, 540):
        state = dataclasses.replace(state, day=jnp.asarray(day, jnp.int32))
        path = save_checkpoint(folder, model, state, ROWS, mark=MARK)
        assert path.name == f"day-{day:06d}.h5"
    assert sorted(path.name for path in folder.iterdir()) == ["day-000360.h5", "day-000540.h5"]
    assert KEPT == 2


def test_a_flipped_byte_costs_one_interval_and_never_gives_wrong_numbers(start, later, folder, random):
    model, state = start
    latest = folder / "day-000180.h5"
    whole = latest.read_bytes()
    older = 0
    for place in [len(whole) // 2, *random.integers(0, len(whole), 60)]:
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        latest.write_bytes(bytes(damaged))
        found = load_checkpoint(folder, model, state, mark=MARK)
        assert found is not None
        fallen_back = int(found.state.day) == 0
        older += fallen_back
        assert state_digest(found.state) == state_digest(state if fallen_back else later)
        assert found.outcomes == (ROWS if fallen_back else ROWS * 2)
    assert older > 30  # the rest are bytes between the data that mean nothing


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"no HDF5 at all", None])
def test_a_broken_file_is_passed_over(start, folder, content):
    model, state = start
    latest = folder / "day-000180.h5"
    whole = latest.read_bytes()
    latest.write_bytes(whole[: len(whole) // 2] if content is None else content)
    found = load_checkpoint(folder, model, state, mark=MARK)
    assert found is not None
    assert int(found.state.day) == 0


def test_a_write_that_was_cut_short_leaves_the_checkpoints_as_they_were(start, later, folder):
    model, state = start
    (folder / "day-000360.partial").write_bytes((folder / "day-000180.h5").read_bytes()[:1000])
    found = load_checkpoint(folder, model, state, mark=MARK)
    assert found is not None
    assert state_digest(found.state) == state_digest(later)


def test_another_study_or_an_empty_folder_has_nothing_to_go_on_from(start, folder, tmp_path):
    model, state = start
    assert load_checkpoint(folder, model, state, mark="another study") is None
    assert load_checkpoint(tmp_path / "nowhere", model, state, mark=MARK) is None


def test_later_checkpoints_of_another_study_do_not_push_out_the_new_ones(start, later, folder):
    model, state = start
    path = save_checkpoint(folder, model, state, ROWS, mark="another study")
    assert path.exists()
    found = load_checkpoint(folder, model, state, mark="another study")
    assert found is not None
    assert int(found.state.day) == 0


def test_a_model_of_another_size_or_precision_is_refused(start, folder):
    model, state = start
    narrow = eqx.tree_at(lambda s: s.formation, state, state.formation.astype(jnp.float32))
    short = eqx.tree_at(lambda s: s.formation, state, state.formation[:-1])
    assert load_checkpoint(folder, model, narrow, mark=MARK) is None
    assert load_checkpoint(folder, model, short, mark=MARK) is None


@pytest.mark.parametrize("how", ["external link", "soft link", "virtual", "external storage"])
def test_data_that_lie_elsewhere_are_refused(start, folder, how):
    model, state = start
    latest, other = folder / "day-000180.h5", folder / "elsewhere.h5"
    shutil.copy(latest, other)
    name = "leaf_0003"
    with h5py.File(latest, "r+") as file:
        data = np.asarray(file[name])
        if how == "soft link":
            file.move(name, "moved")
        else:
            del file[name]
        if how == "external link":
            file[name] = h5py.ExternalLink(other.name, name)
        elif how == "soft link":
            file[name] = h5py.SoftLink("/moved")
        elif how == "virtual":
            layout = h5py.VirtualLayout(data.shape, data.dtype)
            layout[:] = h5py.VirtualSource(other, name, shape=data.shape)
            file.create_virtual_dataset(name, layout)
        else:
            raw = folder / "raw"
            raw.write_bytes(data.tobytes())
            file.create_dataset(name, data.shape, data.dtype, external=[(str(raw), 0, data.nbytes)])
        np.testing.assert_array_equal(
            np.asarray(file[name]), data
        )  # the numbers and the digest would be right
    found = load_checkpoint(folder, model, state, mark=MARK)
    assert found is not None
    assert int(found.state.day) == 0


def test_a_run_that_goes_on_from_a_checkpoint_ends_in_the_same_bits(block, start, tmp_path):
    model, state = start
    digests = []
    for report in reports(model, state, days=1080, report_days=360):
        digests.append(state_digest(report.state))
        if int(report.state.day) == 360:
            save_checkpoint(tmp_path, model, report.state, ROWS, mark=MARK)
    anew, day_0 = block(person=Person("female", 51.0, 51.0))
    found = load_checkpoint(tmp_path, anew, day_0, mark=MARK)
    assert found is not None
    resumed = [
        state_digest(report.state) for report in reports(found.model, found.state, days=1080, report_days=360)
    ]
    assert resumed == digests[2:]


RUN = """
import json, sys
from pathlib import Path
import numpy as np
from fem.standard_tests import axial
from meshes.voxel import voxel_mesh
from remodel.checkpoint import load_checkpoint, save_checkpoint, state_digest
from remodel.model import Settings
from remodel.person import Person
from remodel.preparation import HabitualLoad, prepare
from remodel.simulation import reports

def live(model, state, rows, folder):
    for report in reports(model, state, days=360 * 80, report_days=360):
        assert report.converged
        state = report.state
        rows = [*rows, {"day": int(state.day), "bone_volume": float(report.observation.bone_volume)}]
        if folder is not None:
            save_checkpoint(folder, model, state, rows, mark="one study")
    return state_digest(state), rows

mesh = voxel_mesh(np.ones((1, 1, 4), bool), (0.1, 0.1, 0.1))
fraction = np.linspace(0.1, 0.4, 4)
model, state = prepare(
    mesh, fraction, 12000.0 * fraction**2.58,
    loads=[HabitualLoad("axial", axial(mesh), 1.0)], tests=[axial(mesh)],
    person=Person("female", 30.0, 51.0), settings=Settings(step_days=180),
)
folder = Path(sys.argv[1])
found = load_checkpoint(folder, model, state, mark="one study")
if found is None:
    live(model, state, [], folder)
else:
    resumed = live(*found, None)
    whole = live(model, state, [], None)
    print(json.dumps({"from": int(found.state.day), "same": resumed == whole, "rows": len(whole[1])}))
"""
"""A run of 80 years on four elements: from day 0 with checkpoints, or from a checkpoint and from day 0 again."""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_and_resumed_ends_in_the_same_bits(tmp_path):
    folder = tmp_path / "checkpoints"
    command = [sys.executable, "-c", RUN, str(folder)]
    environment = os.environ | {
        "JAX_ENABLE_X64": "1",
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "programs"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as victim:
        deadline = time.monotonic() + 300.0
        while len(list(folder.glob("day-*.h5"))) < 2 and victim.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        _, errors = victim.communicate()
    assert victim.returncode == -signal.SIGKILL, errors
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert 0 < result["from"] < 360 * 80
    assert result["same"]
    assert result["rows"] == 81
