"""What each agent adds to a level in the body, as a function of its doses, the day and the person.

Steady levels are means over the time between doses: bone follows over weeks. Depots are exact sums over the doses
given so far (`remodel/pharmacokinetics.py`).
"""

from collections.abc import Callable
from math import log
from typing import Literal, NamedTuple

from jaxtyping import Array, Float

from remodel.parameters import Parameters, Scalar
from remodel.person import DAYS_PER_YEAR
from remodel.pharmacokinetics import Dosing, covered, decaying, followed, steady, three_stage, two_stage


class Recipient(NamedTuple):
    """What of a person the kinetics of a drug depend on."""

    sex: Literal["female", "male"]
    weight: Scalar
    """Body weight [kg]."""
    parameters: Parameters


Level = Callable[[Dosing, Float[Array, "..."], Recipient], Float[Array, "..."]]
"""From doses, days and a recipient to what the agent adds to a level."""


TESTOSTERONE_CLEARANCE = {"female": 600.0, "male": 1000.0}
"""Metabolic clearance of testosterone [l/day]. Assumed, after the usual values of isotope dilution."""
CYPIONATE_HALF_LIFE = 8.0
"""Half-life of testosterone cypionate in its depot [day]. Source: prescribing information of Depo-Testosterone; the
course of 200 mg, back at the start after two weeks, suggests 4.5."""
UNDECANOATE_HALF_LIFE = 33.9
"""Half-life of testosterone undecanoate in castor oil [day]. Source: Behre et al. 1999, Eur. J. Endocrinol.
140:414-419, doi:10.1530/eje.0.1400414."""
DEPOT_LAG = 1.0
"""Rate at which testosterone cypionate released from its depot reaches the blood [1/day]. Assumed: the peak
after an injection is then at 2 days when given weekly, at 2 to 5 in its label."""
UNDECANOATE_LAG = 0.5
"""The same of the undecanoate [1/day]. Assumed: peak on day 7, as in the label of Aveed."""
GEL_ABSORPTION = 0.10
"""Share of testosterone in a gel that is absorbed [-]. Source: Wang et al. 2000, J. Clin. Endocrinol. Metab.
85:2842-2853, doi:10.1210/jcem.85.8.6725."""
ORAL_ESTRADIOL = 37.0
"""Estradiol per oral dose [pg/ml per mg/day]: 5 % available, 1350 l/day cleared. Assumed, good to a factor of two."""
CONJUGATED_ESTROGENS = 70.0
"""Estradiol that conjugated estrogens are worth [pg/ml per mg/day]. Assumed: 0.45 mg as a patch of 50 µg in
Harman et al. 2014, Ann. Intern. Med. 161:249-260, doi:10.7326/M14-0353, taken at the upper end of its levels."""
ORAL_PROGESTERONE = 0.0035
"""Progesterone per oral dose [ng/ml per mg/day]: 0.1 to 0.6 at 100 mg by mass spectrometry. Immunoassays read ten
times that. Source: Levine & Watson 2000, Fertil. Steril. 73:516-521, doi:10.1016/S0015-0282(99)00553-1, for the
overestimate."""
VALERATE = (95.0, (1.55, 17.2, 0.21))
"""Estradiol valerate in oil: scale [pg/ml per mg], k1, k2, k3 [1/day]. Source: model data of estrannaise.js."""
CYPIONATE = (56.77, (0.98, 1.67, 0.15))
"""Estradiol cypionate in oil, the same."""
CJC_HALF_LIFE = 7.0
"""Half-life of CJC-1295 [day], 5.8 to 8.1. Source: Teichman et al. 2006, J. Clin. Endocrinol. Metab. 91:799-805,
doi:10.1210/jc.2005-1536."""
ZOLEDRONATE_TIME = 7.0
"""Time in which surfaces take up an infusion [day]. Assumed: days; long enough for the steps of the tissue law to
sum it to 0.4 %, short against the osteoclasts' own 12 days."""
ROMOSOZUMAB = (0.60, 0.054, 7.6)
"""Absorption, elimination [1/day], volume over availability [l]. Source: derived from the peak, area and trough in
the prescribing information of Evenity."""
VITAMIN_D_GAIN = 0.28
"""25-hydroxyvitamin D per cholecalciferol [ng/ml per µg/day]. Source: Heaney et al. 2003, Am. J. Clin. Nutr.
77:204-210, doi:10.1093/ajcn/77.1.204 (0.70 nmol/l)."""
VITAMIN_D_TIME = 36.0
"""Time in which 25-hydroxyvitamin D follows intake [day]. Assumed: half-life of 25 days."""
RISEDRONATE_POTENCY = 0.43
"""Uptake from 35 mg of risedronate relative to that from 70 mg of alendronate [-]. Derived from CTX -55 and -74 % at
a year, as ratio of x/(1 + x). Source: Rosen et al. 2005, J. Bone Miner. Res. 20:141-151, doi:10.1359/JBMR.040920."""
IBANDRONATE_POTENCY = 0.88
"""Uptake from 150 mg of ibandronate a month relative to that from 70 mg of alendronate a week [-]. Derived from spine
density +5.1 and +5.8 %. Source: Miller et al. 2008, Curr. Med. Res. Opin. 24:207-213,
doi:10.1185/030079908X253889."""
MONTH = DAYS_PER_YEAR / 12.0


def mean_daily(gain: float) -> Level:
    """Return a level that is the mean daily dose times a gain."""
    return lambda dosing, now, _: gain / dosing.interval * steady(dosing, now)


def through_the_skin(
    dosing: Dosing, now: Float[Array, "*times"], recipient: Recipient
) -> Float[Array, "*times"]:
    """Return estradiol from a patch or gel, at its steady level [pg/ml]."""
    return recipient.parameters.transdermal_gain * steady(dosing, now)


def estradiol_ester(kinetics: tuple[float, tuple[float, float, float]]) -> Level:
    """Return estradiol from an ester in oil, three compartments in a row [pg/ml]."""
    scale, rates = kinetics
    return lambda dosing, now, _: scale * dosing.dose * three_stage(dosing, rates, now)


def testosterone_ester(share: float, half_life: float, lag: float) -> Level:
    """Return testosterone from an ester, of which a share of the mass is the hormone [ng/dl]."""

    def level(dosing: Dosing, now: Float[Array, "*times"], recipient: Recipient) -> Float[Array, "*times"]:
        reaching = lag * two_stage(dosing, log(2.0) / half_life, lag, now)
        return share * dosing.dose * 1e6 * reaching / (10.0 * TESTOSTERONE_CLEARANCE[recipient.sex])

    return level


def testosterone_gel(
    dosing: Dosing, now: Float[Array, "*times"], recipient: Recipient
) -> Float[Array, "*times"]:
    """Return testosterone from a gel, at its steady level [ng/dl]."""
    absorbed = GEL_ABSORPTION * 1e6 / dosing.interval * steady(dosing, now)
    return absorbed / (10.0 * TESTOSTERONE_CLEARANCE[recipient.sex])


def gonadorelin_pulses(dosing: Dosing, now: Float[Array, "*times"], _: Recipient) -> Float[Array, "*times"]:
    """Return 1 while gonadorelin comes at most 2.4 hours apart, as a pump gives it."""
    pulsed = (dosing.interval <= 0.1) & (dosing.dose > 0.0)
    return (pulsed & (steady(dosing, now) > 0.0)).astype(now.dtype)


def long_acting_secretagogue(
    dosing: Dosing, now: Float[Array, "*times"], recipient: Recipient
) -> Float[Array, "*times"]:
    """Return CJC-1295 relative to its mean at 30 µg/kg a week [-]."""
    rate = log(2.0) / CJC_HALF_LIFE
    usual = 0.030 * recipient.weight
    return dosing.dose / usual * 7.0 * rate * decaying(dosing, rate, now)


def zoledronate_uptake(
    dosing: Dosing, now: Float[Array, "*times"], recipient: Recipient
) -> Float[Array, "*times"]:
    """Return the uptake of infusions by bone surfaces; the sum over time is exact [1/day]."""
    rate = 1.0 / ZOLEDRONATE_TIME
    amount = recipient.parameters.zoledronate_uptake * dosing.dose / 5.0
    return amount * rate * decaying(dosing, rate, now)


def oral_bisphosphonate(dose: float, interval: float, potency: float) -> Level:
    """Return the uptake of a bisphosphonate that in a year at a dose equals some share of 5 mg zoledronate."""

    def level(dosing: Dosing, now: Float[Array, "*times"], recipient: Recipient) -> Float[Array, "*times"]:
        rate = steady(dosing, now) / dosing.interval * interval / dose
        return potency * recipient.parameters.zoledronate_uptake * rate / DAYS_PER_YEAR

    return level


def romosozumab(dosing: Dosing, now: Float[Array, "*times"], _: Recipient) -> Float[Array, "*times"]:
    """Return romosozumab in serum [µg/ml]."""
    absorption, elimination, volume = ROMOSOZUMAB
    return dosing.dose / volume * two_stage(dosing, absorption, elimination, now)


def integrated(dosing: Dosing, now: Float[Array, "*times"], recipient: Recipient) -> Float[Array, "*times"]:
    """Raise, because several series of denosumab share one elimination: use `denosumab_level`."""
    raise TypeError("Several series of denosumab share one elimination: use `denosumab_level`.")


def while_covered(dosing: Dosing, now: Float[Array, "*times"], _: Recipient) -> Float[Array, "*times"]:
    """Return 1 while a depot lasts [-]."""
    return covered(dosing, now)


def cholecalciferol(dosing: Dosing, now: Float[Array, "*times"], _: Recipient) -> Float[Array, "*times"]:
    """Return what vitamin D adds to 25-hydroxyvitamin D [ng/ml]."""
    return VITAMIN_D_GAIN / dosing.interval * followed(dosing, VITAMIN_D_TIME, now)
