"""What the calibration leaves uncertain: draws of the law's numbers that ship with the package."""

import csv
from importlib import resources

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from remodel.parameters import Parameters

FILE = "posterior.csv"
"""The draws: a heading of fields of `Parameters`, then one row per draw. Made by `docs/calibration.md`."""


def posterior_draws(count: int | None = None) -> Parameters:
    """Return draws of the law's numbers, every leaf with a leading axis of draws.

    Numbers that were not fitted stay at their defaults in every draw. More draws than ship are made by repeating
    them in turn.

    Args:
        count: How many; all that ship if absent.

    Raises:
        ValueError: If fewer than one is asked for.
    """
    names, rows = _read()
    wanted = rows.shape[0] if count is None else count
    if wanted < 1:
        raise ValueError(f"`count` is the number of draws and must be at least 1, got {wanted}.")
    chosen = rows[np.arange(wanted) % rows.shape[0]]
    repeated = jax.tree.map(lambda number: jnp.full(wanted, number, dtype=float), Parameters())
    fitted = tuple(jnp.asarray(column, dtype=float) for column in chosen.T)
    return eqx.tree_at(lambda p: tuple(getattr(p, name) for name in names), repeated, fitted)


def _read() -> tuple[list[str], Float[np.ndarray, "draws fitted"]]:
    text = (resources.files("remodel") / FILE).read_text(encoding="utf-8")
    heading, *rows = csv.reader(text.splitlines())
    return heading, np.asarray(rows, dtype=np.float64)
