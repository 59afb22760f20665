"""What a calibration fits and writes: the targets whose band counts, the numbers, and draws that read back."""

import csv
import json

import jax.numpy as jnp
import numpy as np
import pytest

from mechanostat.calibrating import (
    BAND_IN_SD,
    DRAWS,
    DRAWS_FILE,
    FITTED_FILE,
    calibrate,
    counted_targets,
    draws_csv,
    fitted_json,
    inside,
)
from mechanostat.console import Reporter
from mechanostat.target_values import prepare_validation
from remodel.calibration import PRIORS, Fit, fit
from remodel.parameters import Parameters

CHOSEN = {name: PRIORS[name] for name in ("reversal_time", "formation_time")}


@pytest.fixture(scope="module")
def plan():
    return prepare_validation(persons=2)


@pytest.fixture(scope="module")
def found() -> Fit:
    """A fit of two numbers to one target that only their product moves."""
    return fit(
        lambda p: jnp.log(jnp.asarray(p.reversal_time) * jnp.asarray(p.formation_time))[None],
        np.array([8.0]),
        np.array([0.01]),
        priors=CHOSEN,
    )


def test_only_gate_rows_that_a_trial_moves_are_fitted_and_half_a_band_is_one_and_a_half_deviations(plan):
    counted = counted_targets(plan)
    assert counted.rows.size > 100
    for row, center, sd in zip(counted.rows, counted.center, counted.sd, strict=True):
        target = plan.targets[row]
        assert target.gate == "gate"
        assert center == target.mean
        assert sd == pytest.approx((target.high - target.low) / 2.0 / BAND_IN_SD)


def test_a_target_counts_as_inside_from_edge_to_edge(plan):
    counted = counted_targets(plan)
    low, high = (np.array([getattr(t, edge) for t in plan.targets]) for edge in ("low", "high"))
    assert inside(plan, counted, low) == inside(plan, counted, high) == counted.rows.size
    assert inside(plan, counted, low - 1e-9) == 0


def test_record_tells_prior_spread_and_what_was_learned(found):
    told = json.loads(fitted_json(found))
    assert list(told) == list(CHOSEN)
    for name, prior in CHOSEN.items():
        assert told[name]["prior_median"] == prior.median
        assert told[name]["posterior_log_sd"] < prior.log_sd
        assert 0.0 < told[name]["information"] < 1.0
    product = told["reversal_time"]["value"] * told["formation_time"]["value"]
    assert np.log(product) == pytest.approx(8.0, abs=0.01)


def test_draws_are_written_as_the_package_reads_them_and_the_same_seed_gives_the_same(found):
    written = draws_csv(found, seed=1)
    heading, *rows = csv.reader(written.decode().splitlines())
    assert heading == list(CHOSEN)
    assert set(heading) <= set(vars(Parameters()))
    drawn = np.asarray(rows, float)
    assert drawn.shape == (DRAWS, 2)
    assert np.all(drawn > 0.0)
    # Only the product is known: the two are apart by what the prior leaves, together they are not.
    logs = np.log(drawn)
    assert np.std(logs.sum(axis=1)) < 0.1 * np.std(logs[:, 0] - logs[:, 1])
    assert written == draws_csv(found, seed=1) != draws_csv(found, seed=2)


@pytest.mark.slow
def test_calibrate_writes_both_files_and_says_how_many_targets_it_met(tmp_path, capsys):
    found = calibrate(tmp_path / "fit", persons=2, max_evaluations=1, seed=1, reporter=Reporter())
    told = json.loads((tmp_path / "fit" / FITTED_FILE).read_text())
    assert set(told) == set(PRIORS)
    heading, *rows = csv.reader((tmp_path / "fit" / DRAWS_FILE).read_text().splitlines())
    assert heading == list(found.names)
    assert len(rows) == DRAWS
    said = " ".join("".join(capsys.readouterr()).split())
    assert "targets were inside their band" in said
    assert "stopped at the limit" in said
