"""Fitting the law's numbers to results: a robust least-squares fit with priors, and what it leaves uncertain.

Every fitted number is positive and is fitted by its logarithm. The posterior is Laplace's approximation at the
optimum: a normal distribution of the logarithms, with structural errors of the model left out.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares

from remodel.parameters import Parameters

Predict = Callable[[Parameters], Float[Array, " targets"]]
"""The model: from the law's numbers to the values that are compared with targets."""


class Prior(NamedTuple):
    """What is known of a number before the fit: the median and the standard deviation of its logarithm."""

    median: float
    log_sd: float


PRIORS = {
    "resorption_rate": Prior(5.67e-5, 0.25),
    "reversal_time": Prior(40.0, 0.30),
    "formation_time": Prior(90.0, 0.25),
    "osteoclast_time": Prior(12.0, 0.20),
    "precursor_gain": Prior(0.8, 0.40),
    "precursor_rate": Prior(1.0 / 300.0, 0.50),
    "uncoupled_formation": Prior(0.1, 0.50),
    "balance_age": Prior(0.0012, 0.70),
    "estradiol_half_effect": Prior(10.0, 0.40),
    "rankl_estrogen": Prior(1.2, 0.50),
    "balance_estrogen": Prior(0.06, 0.80),
    "set_point_estrogen": Prior(0.08, 0.80),
    "rankl_androgen": Prior(0.3, 0.70),
    "balance_androgen": Prior(0.05, 0.90),
    "resorption_gain": Prior(0.6, 0.40),
    "formation_gain": Prior(0.5, 0.40),
    "fast_mineral_rate": Prior(0.012, 0.50),
    "slow_mineral_rate": Prior(0.0006, 0.50),
    "slow_mineral_limit": Prior(0.04, 0.40),
    "wnt_reserve": Prior(2.0, 0.30),
    "romosozumab_half": Prior(3.0, 0.60),
    "rankl_wnt": Prior(0.7, 0.50),
    "balance_wnt": Prior(0.1, 0.80),
    "uncoupled_wnt": Prior(3.0, 0.50),
    "lining_use_wnt": Prior(0.012, 0.60),
    "lining_time": Prior(300.0, 0.50),
    "rankl_teriparatide": Prior(1.0, 0.50),
    "uncoupled_teriparatide": Prior(1.5, 0.50),
    "balance_teriparatide": Prior(0.05, 0.80),
    "lining_use_teriparatide": Prior(0.0015, 0.80),
    "zoledronate_uptake": Prior(2.0, 0.60),
    "bisphosphonate_time": Prior(1500.0, 0.50),
    "balance_glucocorticoid": Prior(0.4, 0.50),
    "rankl_glucocorticoid": Prior(0.3, 0.70),
    "bed_rest_load": Prior(0.35, 0.20),
    "resorption_marker_exponent": Prior(1.0, 0.12),
    "formation_marker_exponent": Prior(1.3, 0.20),
    "spine_trabecular": Prior(0.65, 0.15),
    "spine_endocortical": Prior(0.15, 0.30),
    "hip_trabecular": Prior(0.27, 0.15),
    "hip_endocortical": Prior(0.2, 0.30),
    "raloxifene_estradiol": Prior(7.0, 0.60),
    "bisphosphonate_capacity": Prior(1.6, 0.40),
    "rankl_igf": Prior(0.3, 0.50),
    "balance_igf": Prior(0.15, 0.50),
    "uncoupled_igf": Prior(0.6, 0.50),
    "disuse_burst": Prior(0.8, 0.60),
    "early_load_decline": Prior(0.003, 0.60),
    "late_load_decline": Prior(0.010, 0.40),
    "transdermal_gain": Prior(0.5, 0.30),
    "neck_trabecular": Prior(0.30, 0.25),
    "neck_endocortical": Prior(0.28, 0.30),
}
"""Priors of the fitted numbers. Source: `Parameters` for each; widths are judgement."""


SLOPES_AT_ONCE = 12
"""Derivatives that are computed together: more cost memory, fewer time."""


class Fit(NamedTuple):
    """Where a fit ended."""

    names: tuple[str, ...]
    """Fitted fields of `Parameters`."""
    parameters: Parameters
    """The best numbers; those that were not fitted as they came."""
    covariance: Float[np.ndarray, "fitted fitted"]
    """Posterior covariance of the logarithms [-]."""
    values: Float[np.ndarray, " targets"]
    """What the model gives with the best numbers."""
    converged: bool
    evaluations: int


def with_logarithms(
    parameters: Parameters, names: tuple[str, ...], logarithms: Float[Array, " fitted"]
) -> Parameters:
    """Return the parameters with some fields replaced by the exponentials of given logarithms."""
    values = tuple(jnp.exp(logarithms))
    return eqx.tree_at(lambda p: tuple(getattr(p, name) for name in names), parameters, values)


def fit(
    predict: Predict,
    target: Float[np.ndarray, " targets"],
    sd: Float[np.ndarray, " targets"],
    *,
    priors: dict[str, Prior] = PRIORS,
    start: Parameters | None = None,
    max_evaluations: int = 40,
    told: Callable[[str], None] = lambda text: None,
) -> Fit:
    """Return the numbers that agree best with targets and priors.

    Minimises `sum rho(((model - target) / sd)²) + sum ((ln x - ln median) / log_sd)²`, with `rho(z²) = 2 (sqrt(1 +
    z²) - 1)` for the targets, so that a target that the model cannot reach does not bend all others, and none
    for the priors. Derivatives are forward, one number at a time.

    Args:
        predict: The model; differentiable.
        target: What was measured.
        sd: Its working tolerance, in the same units.
        priors: By field of `Parameters`.
        start: Where to start; the defaults if absent.
        max_evaluations: Limit of evaluations of the model.
        told: Who is told of every evaluation.
    """
    origin = Parameters() if start is None else start
    names = tuple(priors)
    medians = np.log([prior.median for prior in priors.values()])
    widths = np.asarray([prior.log_sd for prior in priors.values()])
    first = np.log([float(getattr(origin, name)) for name in names])

    @jax.jit
    def value(x):
        return predict(with_logarithms(origin, names, x))

    @jax.jit
    def slopes(x, directions):
        def slope(direction):
            return jax.jvp(lambda y: predict(with_logarithms(origin, names, y)), (x,), (direction,))[1]

        return jax.lax.map(slope, directions, batch_size=SLOPES_AT_ONCE)

    def jacobian(x) -> Float[np.ndarray, "targets fitted"]:
        return np.asarray(slopes(jnp.asarray(x), jnp.eye(len(names)))).T

    # Robust for the targets alone: their residuals are already transformed, the priors stay quadratic.
    def residuals(x):
        z = (np.asarray(value(jnp.asarray(x))) - target) / sd
        found = np.concatenate([_robust(z), (x - medians) / widths])
        told(f"chi² of targets {np.sum(z**2):.1f}, robust {np.sum(found**2):.1f} with priors")
        return found

    def derivatives(x):
        z = (np.asarray(value(jnp.asarray(x))) - target) / sd
        rows = _robust_slope(z)[:, None] * jacobian(x) / sd[:, None]
        return np.concatenate([rows, np.diag(1.0 / widths)])

    # With the robust loss inside, the solver sees plain least squares.
    found = least_squares(
        residuals,
        first,
        jac=derivatives,  # pyright: ignore[reportArgumentType] # SciPy's types know its names alone
        max_nfev=max_evaluations,
        x_scale=widths,
    )
    precision = derivatives(found.x)
    best = with_logarithms(origin, names, jnp.asarray(found.x))
    return Fit(
        names,
        jax.tree.map(float, best),
        np.linalg.inv(precision.T @ precision),
        np.asarray(value(jnp.asarray(found.x))),
        bool(found.success),
        int(found.nfev),
    )


def draws(found: Fit, count: int, *, seed: int) -> Float[np.ndarray, "draws fitted"]:
    """Return numbers drawn from the posterior of a fit, one row per draw.

    Args:
        found: The fit.
        count: How many.
        seed: Of the random numbers.
    """
    center = np.log([float(getattr(found.parameters, name)) for name in found.names])
    random = np.random.default_rng(seed)
    return np.exp(random.multivariate_normal(center, found.covariance, size=count, method="eigh"))


def _robust(z: Float[np.ndarray, " targets"]) -> Float[np.ndarray, " targets"]:
    """Return the signed root of `2 (sqrt(1 + z²) - 1)` [-]."""
    return np.sign(z) * np.sqrt(2.0 * (np.sqrt(1.0 + z * z) - 1.0))


def _robust_slope(z: Float[np.ndarray, " targets"]) -> Float[np.ndarray, " targets"]:
    """Return the derivative of `_robust` [-]."""
    root = np.sqrt(1.0 + z * z)
    return np.where(np.abs(z) < 1e-6, 1.0, np.abs(z) / (root * np.maximum(np.abs(_robust(z)), 1e-300)))
