"""From a person, a protocol and days to the signals that bone sees."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.axes import (
    PTH_REFERENCE,
    estradiol_level,
    igf1_level,
    osteomalacia,
    progesterone_level,
    pth_level,
    testosterone_level,
    vitamin_d_level,
)
from remodel.natural_history import ESTRADIOL_MEN, ESTRADIOL_WOMEN, IGF1_YOUNG, TESTOSTERONE_MEN, normal_igf1
from remodel.parameters import Parameters, Scalar
from remodel.person import Person, age_on, years_since_menopause
from remodel.pharmacokinetics import adaptation
from remodel.treatment import Protocol, dosings, given_level

PROGESTERONE_HALF = 5.0
"""Progesterone at half effect [ng/ml]. Assumed: the mean of a cycle."""
SMALLEST_DEFICIT = -0.3
"""Lowest estrogen deficit [-]. Assumed: estradiol far above the reference gains no more."""


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
    """IGF-1 relative to the usual one of the age [-]; the loss with age is in the bone balance that was fitted."""
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
    years_since_menopause: Float[Array, "*times"]
    """Time since the final menstrual period or the removal of the ovaries; infinite in men [year]."""


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
        igf1=IGF1_YOUNG * one,
        pth=PTH_REFERENCE * one,
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
        years_since_menopause=-20.0 * one,
    )


def hormone_signals(
    person: Person,
    protocol: Protocol,
    day: Scalar | Float[Array, "*times"],
    parameters: Parameters,
) -> Signals:
    """Return what the endocrine system, drugs and diet tell bone on days of the study.

    Estradiol acts by E/(E50 + E) and testosterone by T²/(T50² + T²); a deficit is one minus the effect
    relative to that in the young reference of the same sex. Raloxifene is worth estradiol in the deficit
    only, `2 x/(1 + x)` of its fitted value at x times 60 mg/day (the saturation is assumed: 30 to 150 mg/day
    differ little in trials). The estrogen deficit is negative above the reference and stops at -0.3. The
    direct androgen deficit of women is zero: no human datum supports another value.

    Args:
        person: Whose hormones.
        protocol: What is given.
        day: Days since the start of the study, negative before it; several must rise [day]. Every signal has
            their shape.
        parameters: Half effects and gains from dose to level.

    Source:
        Half effects: fit, see `Parameters`; that T > 200 ng/dl and E2 > 10 pg/ml suffice in men: Finkelstein
        et al. 2016, J. Clin. Invest. 126:1114-1125, doi:10.1172/JCI84137. Levels: `remodel/natural_history.py`,
        `remodel/agents.py` and `remodel/axes.py`.
    """
    person, protocol, parameters = jax.tree.map(
        lambda number: jnp.asarray(number, dtype=float), (person, protocol, parameters)
    )
    now = jnp.asarray(day, dtype=float)

    def given(level):
        return given_level(protocol, level, person, now, parameters)

    estradiol = estradiol_level(person, protocol, now, parameters)
    testosterone = testosterone_level(person, protocol, now, parameters)
    progesterone = progesterone_level(person, protocol, now, parameters)
    igf1 = igf1_level(person, protocol, now, parameters)
    pth = pth_level(person, protocol, now, parameters)
    delay, mineral = osteomalacia(vitamin_d_level(person, protocol, now, parameters))
    glucocorticoid = given("glucocorticoid")
    effect = _saturating(glucocorticoid, parameters.glucocorticoid_half_effect, 1)
    windows = [(d.start, d.stop, d.dose / d.interval) for d in dosings(protocol, "glucocorticoid")]
    used_to = adaptation(windows, parameters.glucocorticoid_half_effect, parameters.glucocorticoid_time, now)
    progestogen = progesterone + given("progestogen")
    return Signals(
        estradiol=estradiol,
        testosterone=testosterone,
        progesterone=progesterone,
        igf1=igf1,
        pth=pth,
        glucocorticoid=glucocorticoid,
        denosumab=given("denosumab"),
        romosozumab=given("romosozumab"),
        teriparatide=given("teriparatide"),
        bisphosphonate_uptake=given("bisphosphonate"),
        estrogen_deficit=_estrogen_deficit(person, estradiol, given("raloxifene"), parameters),
        androgen_deficit=_androgen_deficit(person, testosterone, parameters),
        progesterone_effect=_saturating(progestogen, PROGESTERONE_HALF, 1),
        igf1_ratio=igf1 / normal_igf1(age_on(person, now)),
        pth_ratio=pth / PTH_REFERENCE,
        glucocorticoid_effect=effect,
        glucocorticoid_transient=effect - used_to,
        osteoid_delay=delay,
        mineral_supply=mineral,
        nutrition=jnp.broadcast_to(person.nutrition, now.shape),
        years_since_menopause=years_since_menopause(person, age_on(person, now)),
    )


def _estrogen_deficit(
    person: Person,
    estradiol: Float[Array, "*times"],
    raloxifene: Float[Array, "*times"],
    parameters: Parameters,
) -> Float[Array, "*times"]:
    worth = parameters.raloxifene_estradiol * 2.0 * raloxifene / (1.0 + raloxifene)
    reference = ESTRADIOL_WOMEN if person.sex == "female" else ESTRADIOL_MEN
    effect = _saturating(estradiol + worth, parameters.estradiol_half_effect, 1)
    full_effect = _saturating(reference, parameters.estradiol_half_effect, 1)
    return jnp.maximum(1.0 - effect / full_effect, SMALLEST_DEFICIT)


def _androgen_deficit(
    person: Person, testosterone: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    if person.sex == "female":
        return jnp.zeros_like(testosterone)
    effect = _saturating(testosterone, parameters.testosterone_half_effect, 2)
    full_effect = _saturating(TESTOSTERONE_MEN, parameters.testosterone_half_effect, 2)
    return 1.0 - effect / full_effect


def _saturating(
    level: Scalar | Float[Array, "*times"], half_effect: Scalar, order: int
) -> Float[Array, "*times"]:
    """Return level^n / (half_effect^n + level^n) [-]."""
    return jnp.asarray(level**order / (half_effect**order + level**order))
