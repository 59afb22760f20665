"""From doses to levels: closed sums over the doses given so far, and one drug that needs an integration.

No dose is stored by itself. What is linear is a sum of decaying exponentials over equally spaced doses, a
geometric series; denosumab, which saturates its own elimination, is integrated from well before the first day
that is asked. Every level is a function of the day alone.
"""

from collections.abc import Sequence
from itertools import pairwise

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Scalar

DENOSUMAB_ABSORPTION = 0.17
"""Absorption of denosumab from under the skin [1/day]. Source: Martínez-Reina & Pivonka 2019, Math. Biosci. Eng.
16:2063-2089, after Marathe et al. 2011, J. Pharmacokinet. Pharmacodyn. 38:133-150."""
DENOSUMAB_VOLUME = 77.9
"""Volume of distribution of denosumab [ml/kg]. Source: as `DENOSUMAB_ABSORPTION`."""
DENOSUMAB_ELIMINATION = 0.0115
"""Elimination of denosumab that does not saturate [1/day]. Source: as `DENOSUMAB_ABSORPTION`."""
DENOSUMAB_MAXIMUM = 2672.0
"""Largest elimination of denosumab by its target [ng/(kg day)]. Source: as `DENOSUMAB_ABSORPTION`."""
DENOSUMAB_HALF = 411.0
"""Denosumab at half of that elimination [ng/ml]. Source: as `DENOSUMAB_ABSORPTION`."""
DENOSUMAB_MEMORY = 730.0
"""Time before the first day asked at which denosumab is taken as zero and after which doses count [day]. A dose of
120 mg is below 1e-9 ng/ml by then."""


class Dosing(eqx.Module):
    """Equal doses at equal distances; all numbers are leaves."""

    dose: Scalar
    """Dose that is taken, each or per day [mg or µg, as the agent's]."""
    interval: Scalar
    """Time between doses [day]."""
    start: Scalar
    """Day of the first dose [day]."""
    stop: Scalar
    """Day from which on none is given [day]."""


def steady(dosing: Dosing, now: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the dose while it is given, 0 before and after: for what is taken daily [dose].

    Bone follows over weeks (`Parameters.osteoclast_time`), so that a level which swings within a day counts by
    its mean.
    """
    return jnp.where((now >= dosing.start) & (now < dosing.stop), dosing.dose, 0.0)


def covered(dosing: Dosing, now: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return 1 while a depot lasts, one interval from each dose, else 0 [-]; 0 for a dose of zero."""
    count, since = _doses_so_far(dosing, now)
    lasts = (count > 0.0) & (since < dosing.interval) & (jnp.asarray(dosing.dose) > 0.0)
    return lasts.astype(now.dtype)


def decaying(dosing: Dosing, rate: Scalar, now: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the sum of `exp(-rate (now - day of the dose))` over all doses so far, per unit of dose [-].

    Geometric: with n doses so far, the last s days ago, `exp(-rate s) (1 - exp(-n rate T)) / (1 - exp(-rate T))`.

    Args:
        dosing: When doses are given; the amount does not enter.
        rate: Of the decay [1/day].
        now: Days asked [day].
    """
    count, since = _doses_so_far(dosing, now)
    period = rate * dosing.interval
    return jnp.exp(-rate * since) * jnp.expm1(-count * period) / jnp.expm1(-period)


def two_stage(
    dosing: Dosing, absorption: Scalar, elimination: Scalar, now: Float[Array, "*times"]
) -> Float[Array, "*times"]:
    """Return the amount in a compartment that is fed by a depot, `dA/dt = ka D - ke A`, per unit of dose [-].

    Args:
        dosing: When doses are given.
        absorption: Rate ka from the depot, different from `elimination` [1/day].
        elimination: Rate ke [1/day].
        now: Days asked [day].
    """
    fed = decaying(dosing, elimination, now) - decaying(dosing, absorption, now)
    return absorption / (absorption - elimination) * fed


def three_stage(
    dosing: Dosing, rates: tuple[float, float, float], now: Float[Array, "*times"]
) -> Float[Array, "*times"]:
    """Return the amount in the last of three compartments in a row, per unit of dose [-].

    `k1 k2 sum_i exp(-k_i t) / prod_(j != i) (k_j - k_i)` after each dose: depot, ester, hormone.

    Args:
        dosing: When doses are given.
        rates: k1, k2, k3, all different [1/day].
        now: Days asked [day].
    """
    k1, k2, k3 = rates
    first = decaying(dosing, k1, now) / ((k2 - k1) * (k3 - k1))
    second = decaying(dosing, k2, now) / ((k1 - k2) * (k3 - k2))
    third = decaying(dosing, k3, now) / ((k1 - k3) * (k2 - k3))
    return k1 * k2 * (first + second + third)


def followed(dosing: Dosing, time: Scalar, now: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the dose as a pool sees it that follows with one time constant, `time dx/dt = dose - x` [dose]."""
    return jnp.asarray(dosing.dose) * (_response(dosing.start, time, now) - _response(dosing.stop, time, now))


def adaptation(
    steps: Sequence[tuple[Scalar, Scalar, Scalar]], half: Scalar, time: Scalar, now: Float[Array, "*times"]
) -> Float[Array, "*times"]:
    """Return the effect d/(d + half) of a dose rate as a follower with one time constant sees it [-].

    The rate d is the sum of windows; between their ends the effect is constant, so that the follower is a
    sum over those stretches.

    Args:
        steps: Start [day], stop [day] and dose rate of each window.
        half: Rate at half effect.
        time: Time constant [day].
        now: Days asked [day].
    """
    if not steps:
        return jnp.zeros_like(now)
    ends = jnp.sort(jnp.stack([jnp.asarray(day, now.dtype) for window in steps for day in window[:2]]))
    total = jnp.zeros_like(now)
    for left, right in pairwise(ends):
        rate = sum((jnp.where((left >= a) & (left < b), dose, 0.0) for a, b, dose in steps), jnp.zeros(()))
        effect = rate / (rate + half)
        total = total + effect * (_response(left, time, now) - _response(right, time, now))
    return total


def denosumab_level(
    dosings: Sequence[Dosing], weight: Scalar, now: Float[Array, "*times"]
) -> Float[Array, "*times"]:
    """Return denosumab in serum [ng/ml].

    `dC/dt = ka A/V - ke C - Vmax/V C/(Km + C)`. The linear part is the closed sum of `two_stage`; what
    saturable elimination has taken from it is integrated, a smooth function even where doses fall. It starts
    at zero `DENOSUMAB_MEMORY` before the first day asked, and doses before that are forgotten.

    Args:
        dosings: Injections [mg].
        weight: Body weight [kg].
        now: Days asked, rising [day].
    """
    if not dosings:
        return jnp.zeros_like(now)
    days = now.reshape(-1)
    origin = days[0] - DENOSUMAB_MEMORY
    recent = [_after(dosing, origin) for dosing in dosings]
    maximum = DENOSUMAB_MAXIMUM / DENOSUMAB_VOLUME

    def linear(time):
        amount = sum(
            (1e6 * d.dose * two_stage(d, DENOSUMAB_ABSORPTION, DENOSUMAB_ELIMINATION, time) for d in recent),
            jnp.zeros_like(time),
        )
        return amount / (DENOSUMAB_VOLUME * weight)

    def taken(time, lost, _):
        level = jnp.maximum(linear(origin + time) - lost, 0.0)
        return maximum * level / (DENOSUMAB_HALF + level) - DENOSUMAB_ELIMINATION * lost

    # Against a level that matters from 10 ng/ml on; single precision cannot do better than the second.
    exact = now.dtype == jnp.float64
    tolerance, floor = (1e-7, 1e-4) if exact else (1e-5, 1e-2)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(taken),
        diffrax.Tsit5(),
        t0=jnp.zeros((), now.dtype),
        t1=days[-1] - origin,
        dt0=jnp.ones((), now.dtype),
        y0=jnp.zeros((), now.dtype),
        saveat=diffrax.SaveAt(ts=days - origin),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=floor, dtmax=7.0),
        adjoint=diffrax.DirectAdjoint(),
        max_steps=16384,
    )
    lost = jnp.asarray(solution.ys)
    return jnp.maximum(jax.vmap(linear)(days) - lost, 0.0).reshape(now.shape)


def _doses_so_far(
    dosing: Dosing, now: Float[Array, "*times"]
) -> tuple[Float[Array, "*times"], Float[Array, "*times"]]:
    """Return how many doses were given and the time since the last one, 0 where none was [day]."""
    # A count has no derivative, and the infinite one of a treatment that never ends would make it NaN.
    start, stop, interval = (
        jax.lax.stop_gradient(jnp.asarray(x, now.dtype)) for x in (dosing.start, dosing.stop, dosing.interval)
    )
    planned = jnp.ceil((stop - start) / interval)
    passed = jnp.floor((jax.lax.stop_gradient(now) - start) / interval) + 1.0
    count = jnp.maximum(jnp.minimum(passed, planned), 0.0)
    since = now - dosing.start - (count - 1.0) * dosing.interval
    return count, jnp.where(count > 0.0, since, 0.0)


def _after(dosing: Dosing, day: Float[Array, ""]) -> Dosing:
    """Return the doses of a series that fall on a day or later."""
    start, interval, day = (
        jax.lax.stop_gradient(jnp.asarray(x, day.dtype)) for x in (dosing.start, dosing.interval, day)
    )
    missed = jnp.maximum(jnp.ceil((day - start) / interval), 0.0)
    return Dosing(dosing.dose, dosing.interval, dosing.start + missed * dosing.interval, dosing.stop)


def _response(onset: Scalar, time: Scalar, now: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the response of a follower to a unit step, 0 before it [-]."""
    return -jnp.expm1(-(now - jnp.minimum(now, onset)) / time)
