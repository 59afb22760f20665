"""Where lost estradiol acts on bone: four hypotheses that data on density hardly tell apart, and their envelope.

All four keep the rise of RANKL, without which serum markers of turnover cannot be met. Three add to it, in place of
what the fit gave them, an action of a size that the literature would bear. Set point and balance only move where
bone comes to rest; the gain alone says that exercise does less after menopause.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from remodel.parameters import Parameters
from remodel.trial import Trial, TrialResult, run_trial


class Hypothesis(NamedTuple):
    """An answer to the question what estradiol does beside its action on turnover."""

    about: str
    """What it says, in one line."""
    numbers: Mapping[str, float]
    """Fields of `Parameters` and their values at full loss of estradiol [-]."""


_NOTHING_ELSE = {"balance_estrogen": 0.0, "set_point_estrogen": 0.0, "numbness_estrogen": 0.0}

HYPOTHESES = {
    "turnover": Hypothesis("Estradiol acts through RANKL and osteoprotegerin alone", _NOTHING_ELSE),
    "balance": Hypothesis(
        "Without estradiol each remodeling site is refilled by a fifth less",
        _NOTHING_ELSE | {"balance_estrogen": 0.2},
    ),
    "set point": Hypothesis(
        "Without estradiol bone asks for a quarter more strain",
        _NOTHING_ELSE | {"set_point_estrogen": 0.25},
    ),
    "gain": Hypothesis(
        "Without estradiol bone answers strain half as much",
        _NOTHING_ELSE | {"numbness_estrogen": 0.5},
    ),
}
"""The hypotheses. Sizes are assumed: a quarter and a half are the upper ends of what is worth asking; a fifth of the
balance costs as much bone in the end as a quarter of the set point, `(1 - mu_0) ln(1 - kappa) = -G ln(1 + a)` with
the restoring gain `G = g_f + mu_0 g_r` of the default law."""


def under(parameters: Parameters, hypothesis: str) -> Parameters:
    """Return the law's numbers under a hypothesis, all others as they are.

    Args:
        parameters: The law's numbers, or draws of them with a leading axis.
        hypothesis: Name in `HYPOTHESES`.

    Raises:
        ValueError: If there is no such hypothesis.
    """
    if hypothesis not in HYPOTHESES:
        raise ValueError(
            f"`hypothesis` is one of {', '.join(HYPOTHESES)}, got {hypothesis!r}; leave it out for the fitted law."
        )
    numbers = HYPOTHESES[hypothesis].numbers
    shape = jnp.shape(parameters.balance_estrogen)
    values = tuple(jnp.full(shape, value, dtype=float) for value in numbers.values())
    return eqx.tree_at(lambda law: tuple(getattr(law, name) for name in numbers), parameters, values)


def run_under_hypotheses(
    trial: Trial, parameters: Parameters | None = None, *, told: Callable[[int], None] = lambda persons: None
) -> dict[str, TrialResult]:
    """Return what becomes of the persons of a trial under each hypothesis, by its name.

    Args:
        trial: The trial.
        parameters: The law's numbers; the defaults if absent. The draws of a population go before them.
        told: As in `remodel.trial.run_trial`.
    """
    law = Parameters() if parameters is None else parameters
    draws = trial.population.draws
    found = {}
    for name in HYPOTHESES:
        population = trial.population
        if draws is not None:
            population = dataclasses.replace(population, draws=under(draws, name))
        found[name] = run_trial(
            dataclasses.replace(trial, population=population), under(law, name), told=told
        )
    return found
