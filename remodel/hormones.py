"""From a person, a therapy and a day to the hormone signals that bone sees."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Parameters, Scalar
from remodel.person import DAYS_PER_YEAR, NEVER, Person, age_on

ESTRADIOL_FLOOR = 5.0
"""Estradiol after menopause or removal of the ovaries [pg/ml, mass spectrometry]."""
ESTRADIOL_WOMEN = 100.0
"""Estradiol of a young woman, mean of the cycle [pg/ml]."""
ESTRADIOL_MEN = 25.0
"""Estradiol of a man of 30 [pg/ml]."""
TESTOSTERONE_MEN = 550.0
"""Testosterone of a man of 30, bioavailable equivalent [ng/dl]."""
SURGICAL_DECAY_DAYS = 2.0
"""Time in which hormones of the ovary fade after surgery [day]. Assumed: the fall is known to take days."""


class TransdermalEstradiol(eqx.Module):
    """Estradiol through the skin at a steady dose; the default dose is none."""

    dose_ug_per_day: Scalar = 0.0
    """Nominal delivery [µg/day]."""
    start_day: Scalar = 0.0
    """First day of treatment, counted from day 0 of the study, may be negative [day]."""
    stop_day: Scalar = NEVER
    """Day on which treatment ends [day]."""

    def __check_init__(self):
        dose, start, stop = self.dose_ug_per_day, self.start_day, self.stop_day
        if isinstance(dose, int | float) and not 0.0 <= dose <= 200.0:
            raise ValueError(
                "`dose_ug_per_day` is the delivery of a patch or gel in µg/day, between 0 and 200, "
                f"got {dose}; convert a dose in mg."
            )
        if isinstance(start, int | float) and isinstance(stop, int | float) and not start < stop:
            raise ValueError(
                f"`stop_day` must come after `start_day`, got {stop} and {start}; "
                "leave `stop_day` out to go on."
            )


class Signals(eqx.Module):
    """What the endocrine system, drugs and diet tell bone, at one time or at each of several."""

    # Levels in serum
    estradiol: Float[Array, "*times"]
    """Estradiol [pg/ml, mass spectrometry]."""
    testosterone: Float[Array, "*times"]
    """Testosterone [ng/dl]; in men the bioavailable equivalent."""
    progesterone: Float[Array, "*times"]
    """Progesterone [ng/ml, mass spectrometry], mean of the cycle."""
    igf1: Float[Array, "*times"]
    """IGF-1 [ng/ml]."""
    pth: Float[Array, "*times"]
    """Parathyroid hormone, the body's own [pM]."""
    glucocorticoid: Float[Array, "*times"]
    """Glucocorticoid above what the body makes [mg/day of prednisone]."""
    denosumab: Float[Array, "*times"]
    """Denosumab [ng/ml]."""
    romosozumab: Float[Array, "*times"]
    """Romosozumab [µg/ml]."""
    teriparatide: Float[Array, "*times"]
    """Teriparatide given, relative to 20 µg/day [-]."""
    bisphosphonate_uptake: Float[Array, "*times"]
    """Rate at which surfaces take up bisphosphonate, in units that halve osteoclast activity [1/day]."""

    # What they mean to bone
    estrogen_deficit: Float[Array, "*times"]
    """Loss of the effect of estradiol: 0 in the young reference, 1 without any [-]."""
    androgen_deficit: Float[Array, "*times"]
    """Loss of the effect of testosterone: 0 in the young reference and in women, 1 without any [-]."""
    progesterone_effect: Float[Array, "*times"]
    """Effect of progesterone, 0 without any, 1 at most [-]."""
    igf1_ratio: Float[Array, "*times"]
    """IGF-1 relative to the young reference [-]."""
    pth_ratio: Float[Array, "*times"]
    """Parathyroid hormone relative to the reference [-]."""
    glucocorticoid_effect: Float[Array, "*times"]
    """Effect of glucocorticoids on formation, 0 without any, 1 at most [-]."""
    glucocorticoid_transient: Float[Array, "*times"]
    """The part of that effect that resorption is not yet used to; negative after withdrawal [-]."""
    osteoid_delay: Float[Array, "*times"]
    """Time from osteoid to mineralised matrix relative to the reference: above 1 without vitamin D [-]."""
    mineral_supply: Float[Array, "*times"]
    """Primary mineral relative to the reference: below 1 without vitamin D [-]."""
    nutrition: Float[Array, "*times"]
    """What protein, magnesium, zinc and vitamin K multiply bone balance by; not validated [-]."""


def young_signals(times: tuple[int, ...] = ()) -> Signals:
    """Return the signals of the young reference, women's, without any drug: nothing moves bone.

    Args:
        times: Shape of every signal.
    """
    one, none = jnp.ones(times, dtype=float), jnp.zeros(times, dtype=float)
    return Signals(
        estradiol=ESTRADIOL_WOMEN * one,
        testosterone=45.0 * one,
        progesterone=none,
        igf1=206.0 * one,
        pth=3.85 * one,
        glucocorticoid=none,
        denosumab=none,
        romosozumab=none,
        teriparatide=none,
        bisphosphonate_uptake=none,
        estrogen_deficit=none,
        androgen_deficit=none,
        progesterone_effect=none,
        igf1_ratio=one,
        pth_ratio=one,
        glucocorticoid_effect=none,
        glucocorticoid_transient=none,
        osteoid_delay=one,
        mineral_supply=one,
        nutrition=one,
    )


def hormone_signals(
    person: Person, therapy: TransdermalEstradiol, day: Scalar | Float[Array, "..."], parameters: Parameters
) -> Signals:
    """Return what the endocrine system tells bone on a day.

    Estradiol acts by E/(E50 + E) and testosterone by T²/(T50² + T²); a deficit is one minus the effect
    relative to that in the young reference of the same sex. The estrogen deficit is negative above the
    reference and stops at -0.3. The direct androgen deficit of women is zero: no human datum supports another
    value.

    Args:
        person: Whose hormones.
        therapy: Estradiol given.
        day: Days since the start of the study, negative before it [day].
        parameters: Half effects and the gain from dose to level.

    Source:
        Half effects: fit, see `Parameters`; that T > 200 ng/dl and E2 > 10 pg/ml suffice in men: Finkelstein
        et al. 2016, J. Clin. Invest. 126:1114-1125, doi:10.1172/JCI84137.
    """
    age = age_on(person, day)
    testosterone = natural_testosterone(person, age)
    estradiol = natural_estradiol(person, age) + transdermal_estradiol(therapy, day, parameters)
    reference = ESTRADIOL_WOMEN if person.sex == "female" else ESTRADIOL_MEN
    effect = _saturating(estradiol, parameters.estradiol_half_effect, 1)
    full_effect = _saturating(reference, parameters.estradiol_half_effect, 1)
    estrogen_deficit = jnp.maximum(1.0 - effect / full_effect, -0.3)
    signals = replace(
        young_signals(age.shape),
        estradiol=estradiol,
        testosterone=testosterone,
        estrogen_deficit=estrogen_deficit,
    )
    if person.sex == "female":
        return signals
    effect = _saturating(testosterone, parameters.testosterone_half_effect, 2)
    full_effect = _saturating(TESTOSTERONE_MEN, parameters.testosterone_half_effect, 2)
    return replace(signals, androgen_deficit=jnp.asarray(1.0 - effect / full_effect))


def natural_estradiol(person: Person, age: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return estradiol in serum without therapy [pg/ml].

    Women: `5 + 95 / (1 + exp((age - FMP + 0.4) / 0.5))`, the mean over the cycle, and 5 within days of
    removal of the ovaries. Men: 25 at 30, falling with their testosterone, which it is made from.

    Args:
        person: Whose estradiol; the age at menopause or surgery counts, not the present age.
        age: Age at which it is asked [year].

    Source:
        Timing fitted to bone loss around menopause: Greendale et al. 2012, J. Bone Miner. Res. 27:111-118,
        doi:10.1002/jbmr.534; Sowers et al. 2010, J. Clin. Endocrinol. Metab. 95:2155-2162,
        doi:10.1210/jc.2009-0659. Men: 26 pg/ml in Leder et al. 2004, J. Clin. Endocrinol. Metab.
        89:1174-1180, doi:10.1210/jc.2003-031467; the fall is assumed and was used in the fit.
    """
    if person.sex == "male":
        return ESTRADIOL_MEN * _male_share(age)
    ovarian = (ESTRADIOL_WOMEN - ESTRADIOL_FLOOR) * jax.nn.sigmoid(
        (jnp.asarray(person.final_menstrual_period, age.dtype) - 0.4 - age) / 0.5
    )
    return ESTRADIOL_FLOOR + ovarian * _ovaries_left(person, age)


def natural_testosterone(person: Person, age: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return testosterone in serum without therapy [ng/dl].

    Women: 45 at 20 falling linearly to 25 at 45, flat through menopause, halved by removal of the ovaries.
    Men: the bioavailable equivalent `550 (1 - 0.006 (age - 30))` after 30.

    Args:
        person: Whose testosterone.
        age: Age at which it is asked [year].

    Source:
        Women: assumed, after the usual course. Men: assumed from the fall of bioavailable testosterone in
        Feldman et al. 2002, J. Clin. Endocrinol. Metab. 87:589-598, doi:10.1210/jcem.87.2.8201, and used in
        the fit.
    """
    if person.sex == "male":
        return TESTOSTERONE_MEN * _male_share(age)
    intact = 45.0 - 20.0 * (jnp.clip(age, 20.0, 45.0) - 20.0) / 25.0
    return intact * 0.5 * (1.0 + _ovaries_left(person, age))


def transdermal_estradiol(
    therapy: TransdermalEstradiol, day: Scalar | Float[Array, "..."], parameters: Parameters
) -> Float[Array, "..."]:
    """Return what the therapy adds to estradiol in serum [pg/ml].

    The level follows the dose at once: bone answers over weeks, a patch settles in days.

    Source:
        0.27 pg/ml per µg/day measured at 14 µg/day: Ettinger et al. 2004, Obstet. Gynecol. 104:443-451,
        doi:10.1097/01.AOG.0000137833.43248.79; up to 0.74 with 50 µg/day.
    """
    now = jnp.asarray(day, dtype=float)
    treated = (now >= therapy.start_day) & (now < therapy.stop_day)
    return treated.astype(now.dtype) * (parameters.transdermal_gain * therapy.dose_ug_per_day)


def _saturating(level, half_effect: Scalar, order: int):
    """Return level^n / (half_effect^n + level^n) [-]."""
    return level**order / (half_effect**order + level**order)


def _male_share(age: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the sex hormones of a man relative to those at 30, `1 - 0.006 (age - 30)` after 30 [-]."""
    return 1.0 - 0.006 * jnp.maximum(age - 30.0, 0.0)


def _ovaries_left(person: Person, age: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the share of ovarian hormone still in the blood after surgery, 1 before it [-]."""
    days_since = jnp.maximum(age - jnp.asarray(person.oophorectomy, age.dtype), 0.0) * DAYS_PER_YEAR
    return jnp.exp(-days_since / SURGICAL_DECAY_DAYS)
