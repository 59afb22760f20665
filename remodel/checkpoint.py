"""Checkpoints: the state of a run in one HDF5 file, whole or not at all, checked when read.

A checkpoint holds every array of the state bit for bit, the parts of the model that came out of a solve, and
the outcomes so far. The last two are kept, so that a file damaged by a crash costs one interval.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np

from remodel.model import Model, State

KEPT = 2
"""Number of checkpoints that are kept."""


class Checkpoint(NamedTuple):
    """What a run goes on from."""

    model: Model
    state: State
    outcomes: list[dict[str, Any]]


def save_checkpoint(
    folder: Path, model: Model, state: State, outcomes: Sequence[Mapping[str, Any]], *, mark: str
) -> Path:
    """Write a checkpoint and remove all but the last two.

    Args:
        folder: Where; made if it is not there.
        model: The model; only what came out of a solve is stored.
        state: The state.
        outcomes: Rows of numbers and texts that the run has reported.
        mark: Fingerprint of the study; only the same study can go on from it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"day-{int(state.day):06d}.h5"
    temporary = path.with_suffix(".partial")
    arrays = [np.asarray(leaf) for leaf in _leaves(model, state)]
    text = json.dumps(list(outcomes))
    with h5py.File(temporary, "w") as file:
        file.attrs["mark"] = mark
        file.attrs["digest"] = _digest(arrays, text, mark)
        file.create_dataset("outcomes", data=text)
        for index, array in enumerate(arrays):
            file.create_dataset(f"leaf_{index:04d}", data=array)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    # Later days are damaged or another run's; they neither count nor go.
    for old in sorted(other for other in folder.glob("day-*.h5") if other <= path)[:-KEPT]:
        old.unlink()
    return path


def load_checkpoint(folder: Path, model: Model, state: State, *, mark: str) -> Checkpoint | None:
    """Return the latest whole checkpoint of a study, or None if there is none.

    Args:
        folder: Where checkpoints are.
        model: The same study's model, made anew.
        state: Its state of day 0, which gives shapes and dtypes.
        mark: Fingerprint of the study.
    """
    for path in sorted(folder.glob("day-*.h5"), reverse=True):
        found = _read(path, model, state, mark)
        if found is not None:
            return found
    return None


def state_digest(state: State) -> str:
    """Return the SHA-256 of all arrays of a state, as 64 hex digits."""
    return _digest([np.asarray(leaf) for leaf in jax.tree.leaves(state)], "", "")


def _read(path: Path, model: Model, state: State, mark: str) -> Checkpoint | None:
    """Return a checkpoint, or None if it is damaged or belongs to another study."""
    wanted = _leaves(model, state)
    try:
        with h5py.File(path, "r") as file:
            arrays = [_array(file, f"leaf_{index:04d}", like) for index, like in enumerate(wanted)]
            text = _text(file)
            digest = file.attrs["digest"]
    except (OSError, KeyError, ValueError, RuntimeError):  # h5py raises any of them on damage
        return None
    if digest != _digest(arrays, text, mark):
        return None
    structure = jax.tree.structure(_stored(model, state))
    solved, restored = jax.tree.unflatten(structure, [jnp.asarray(array) for array in arrays])
    return Checkpoint(_with_solved(model, solved), restored, json.loads(text))


def _array(file: h5py.File, name: str, like) -> np.ndarray:
    dataset = _dataset(file, name)
    if dataset.shape != like.shape or dataset.dtype != like.dtype:
        raise ValueError(f"`{name}` has another shape or type than the study.")
    return np.asarray(dataset[()])


def _text(file: h5py.File) -> str:
    return str(_dataset(file, "outcomes").asstr()[()])


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset that lies in the file itself."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"`{name}` is missing or a link to somewhere else.")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"`{name}` is not a plain dataset.")
    return dataset


def _stored(model: Model, state: State):
    return (model.baseline, model.reference, model.baseline_stimulus), state


def _leaves(model: Model, state: State) -> list[jax.Array]:
    return jax.tree.leaves(_stored(model, state))


def _with_solved(model: Model, solved) -> Model:
    return eqx.tree_at(lambda m: (m.baseline, m.reference, m.baseline_stimulus), model, solved)


def _digest(arrays: Sequence[np.ndarray], text: str, mark: str) -> str:
    digest = hashlib.sha256(f"{mark}\n{text}\n".encode())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
