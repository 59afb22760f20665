"""How many persons a second does a virtual trial follow, from the age of 30 through ten years of one protocol?"""

import time

import jax
import numpy as np
import pytest

from remodel.outcomes import Outcome
from remodel.population import Population, TruncatedNormal
from remodel.treatment import treatment
from remodel.trial import Arm, Trial, run_trial

PERSONS = 10_000
YEARS = 10
SMOKE = 4
"""Persons where nothing is measured."""

ARMS = {
    "estradiol": Arm("estradiol", (treatment("estradiol-transdermal", 50.0),)),
    "denosumab": Arm("denosumab", (treatment("denosumab", 60.0),)),
}


def trial_of(persons: int, arm: Arm) -> Trial:
    """Return a trial of women around 65 in one arm."""
    age = TruncatedNormal(65.0, 6.0, 50.0, 85.0)
    population = Population(
        persons, "female", {"age": age, "weight": TruncatedNormal(64.0, 10.0, 40.0, 110.0)}
    )
    outcomes = (Outcome("areal density", "lumbar spine"), Outcome("CTX"))
    return Trial(population, (arm,), tuple(12 * year for year in range(1, YEARS + 1)), outcomes)


@pytest.mark.benchmark(group="trial")
@pytest.mark.parametrize("name", ARMS)
def bench_trial(benchmark, name):
    trial = trial_of(PERSONS if benchmark.enabled else SMOKE, ARMS[name])
    start = time.perf_counter()
    if benchmark.enabled:
        run_trial(trial)  # compiles
    first = time.perf_counter() - start
    result = benchmark.pedantic(run_trial, (trial,), rounds=2 if benchmark.enabled else 1)
    mean = result.arms[0].outcomes.mean
    assert mean.shape == (12 * YEARS + 1, 2)
    assert np.all(np.isfinite(mean))
    note = benchmark.extra_info
    note.update(
        device=jax.devices()[0].device_kind,
        jax=jax.__version__,
        persons=trial.population.persons,
        years=YEARS,
    )
    if benchmark.enabled:
        note.update(
            first_seconds=first, persons_per_second=trial.population.persons / benchmark.stats.stats.median
        )
