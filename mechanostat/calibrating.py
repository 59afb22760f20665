"""Fitting the law's numbers to the clinical targets: what `mechanostat calibrate` does."""

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from mechanostat.console import Reporter
from mechanostat.files import write_bytes
from mechanostat.target_values import ValidationPlan, model_values, prepare_validation
from remodel.calibration import PRIORS, Fit, draws, fit
from remodel.parameters import Parameters

BAND_IN_SD = 1.5
"""Half of a target's band in standard deviations of the fit: one in eight would miss it by chance."""

DRAWS = 128
"""Draws of the posterior that ship."""

FITTED_FILE = "fitted.json"
"""The best numbers, with what is known of each before and after the fit."""

DRAWS_FILE = "posterior.csv"
"""Draws of the posterior, as `remodel/posterior.py` reads them."""


class Counted(NamedTuple):
    """The targets that a fit uses: those whose band counts."""

    rows: Float[np.ndarray, " targets"]
    """Which of the plan's targets."""
    center: Float[np.ndarray, " targets"]
    """Measured value, in the target's unit."""
    sd: Float[np.ndarray, " targets"]
    """Working tolerance, from the band, in the target's unit."""


def calibrate(out: Path, *, persons: int, max_evaluations: int, seed: int, reporter: Reporter) -> Fit:
    """Return the fit of the law's numbers to all clinical targets whose band counts, after writing it.

    Args:
        out: Folder for `fitted.json` and `posterior.csv`.
        persons: Persons in every trial; few are enough for means.
        max_evaluations: Limit of evaluations of the model.
        seed: Of the draws.
        reporter: Who is told.
    """
    plan = prepare_validation(persons=persons)
    counted = counted_targets(plan)
    reporter.say(f"fitting {len(PRIORS)} numbers to {counted.rows.size} targets")
    before = inside(
        plan, counted, np.asarray(jax.jit(lambda p: model_values(plan, p))(_leaves(Parameters())))
    )
    found = fit(
        lambda parameters: model_values(plan, parameters)[counted.rows],
        counted.center,
        counted.sd,
        max_evaluations=max_evaluations,
        told=reporter.say,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(out / FITTED_FILE, fitted_json(found).encode())
    write_bytes(out / DRAWS_FILE, draws_csv(found, seed=seed))
    values = np.full(len(plan.targets), np.nan)
    values[counted.rows] = found.values
    after = inside(plan, counted, values)
    reporter.say(
        f"{before} of {counted.rows.size} targets were inside their band, {after} are; {found.evaluations} "
        f"evaluations, {'converged' if found.converged else 'stopped at the limit'}; written to {out}"
    )
    return found


def counted_targets(plan: ValidationPlan) -> Counted:
    """Return the targets that are fitted: gate rows that the law's numbers move."""
    rows = [
        number
        for number, (target, recipe) in enumerate(zip(plan.targets, plan.recipes, strict=True))
        if target.gate == "gate" and recipe.arm is not None
    ]
    chosen = [plan.targets[number] for number in rows]
    half = np.asarray([0.5 * (target.high - target.low) for target in chosen])
    return Counted(np.asarray(rows), np.asarray([target.mean for target in chosen]), half / BAND_IN_SD)


def inside(plan: ValidationPlan, counted: Counted, values: Float[np.ndarray, " targets"]) -> int:
    """Return how many of the fitted targets lie inside their band."""
    return sum(plan.targets[row].low <= values[row] <= plan.targets[row].high for row in counted.rows)


def fitted_json(found: Fit) -> str:
    """Return the numbers of a fit as JSON: value, prior, spread after the fit, share of the prior's variance gone."""
    spread = np.sqrt(np.diag(found.covariance))
    record = {
        name: {
            "value": float(getattr(found.parameters, name)),
            "prior_median": PRIORS[name].median,
            "prior_log_sd": PRIORS[name].log_sd,
            "posterior_log_sd": float(sd),
            "information": float(1.0 - (sd / PRIORS[name].log_sd) ** 2),
        }
        for name, sd in zip(found.names, spread, strict=True)
    }
    return json.dumps(record, indent=1) + "\n"


def draws_csv(found: Fit, *, seed: int) -> bytes:
    """Return draws of the posterior as CSV: a heading of names, one row per draw."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.names)
    writer.writerows([f"{number:.6g}" for number in row] for row in draws(found, DRAWS, seed=seed))
    return text.getvalue().encode()


def _leaves(parameters: Parameters) -> Parameters:
    return jax.tree.map(lambda number: jax.numpy.asarray(number, dtype=float), parameters)
