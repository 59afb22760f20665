"""The hormones and drugs that a treatment can name: unit, doses, where each acts, how well that is known.

Each agent adds to named levels, linearly in its dose, so that the same agent given twice adds up; what
saturates is in `axes.py` and in the laws of bone. Doses are masses, mg or µg, never volumes or biological units.
"""

from collections.abc import Callable, Mapping
from math import log
from typing import Literal, NamedTuple

from jaxtyping import Array, Float

from remodel.parameters import Parameters, Scalar
from remodel.person import DAYS_PER_YEAR
from remodel.pharmacokinetics import Dosing, covered, decaying, followed, steady, three_stage, two_stage

Unit = Literal["mg", "µg"]
Status = Literal["established", "direction known, size fitted", "assumed"]


class Recipient(NamedTuple):
    """What of a person the kinetics of a drug depend on."""

    sex: Literal["female", "male"]
    weight: Scalar
    """Body weight [kg]."""
    parameters: Parameters


Level = Callable[[Dosing, Float[Array, "..."], Recipient], Float[Array, "..."]]
"""From doses, days and a recipient to what the agent adds to a level."""


class Agent(NamedTuple):
    """A hormone or drug."""

    about: str
    """What it is and how it is taken."""
    unit: Unit
    """Unit of a dose."""
    usual: tuple[float, float]
    """Usual doses, each [unit]."""
    highest: float
    """Highest dose that is accepted, each [unit]."""
    interval: float
    """Usual time between doses [day]."""
    intervals: tuple[float, float]
    """Shortest and longest time between doses that is accepted [day]."""
    levels: Mapping[str, Level]
    """The levels it adds to (names of `LEVELS`)."""
    acts_on: str
    """The one place where it acts on bone."""
    status: Status
    """How well that action is known in people."""
    source: str
    """Of its kinetics and size."""


LEVELS = {
    "estradiol": "estradiol in serum [pg/ml]",
    "oral_estrogen": "estrogen that passes the liver first [mg/day of oral estradiol]",
    "progesterone": "progesterone in serum [ng/ml]",
    "progestogen": "what a synthetic progestogen is worth as progesterone [ng/ml]",
    "testosterone": "testosterone in serum [ng/dl]",
    "anastrozole": "anastrozole [mg/day]",
    "gonadorelin_pulses": "gonadorelin in pulses that keep LH up [-]",
    "castration": "LH switched off [-]",
    "sermorelin": "sermorelin relative to 0.3 mg/day [-]",
    "cjc-1295": "CJC-1295 relative to 30 µg/kg a week, mean [-]",
    "ipamorelin": "ipamorelin relative to 250 µg/day [-]",
    "tesamorelin": "tesamorelin relative to 2 mg/day [-]",
    "growth_hormone": "growth hormone [mg/day]",
    "glucocorticoid": "glucocorticoid [mg/day of prednisone]",
    "bisphosphonate": "uptake by bone surfaces [1/day]",
    "denosumab": "denosumab in serum [ng/ml]; integrated, not a sum",
    "raloxifene": "raloxifene relative to 60 mg/day [-]",
    "romosozumab": "romosozumab in serum [µg/ml]",
    "teriparatide": "teriparatide relative to 20 µg/day [-]",
    "calcium": "calcium [mg/day]",
    "vitamin_d": "25-hydroxyvitamin D in serum [ng/ml]",
}
"""What agents can add to, with its unit."""

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


def _daily(gain: float) -> Level:
    """Return a level that is the mean daily dose times a gain."""
    return lambda dosing, now, _: gain / dosing.interval * steady(dosing, now)


def _patch(dosing, now, recipient):
    return recipient.parameters.transdermal_gain * steady(dosing, now)


def _ester(kinetics: tuple[float, tuple[float, float, float]]) -> Level:
    scale, rates = kinetics
    return lambda dosing, now, _: scale * dosing.dose * three_stage(dosing, rates, now)


def _testosterone_depot(share: float, half_life: float, lag: float) -> Level:
    """Return testosterone from an ester, of which a share of the mass is the hormone [ng/dl]."""

    def level(dosing, now, recipient):
        reaching = lag * two_stage(dosing, log(2.0) / half_life, lag, now)
        return share * dosing.dose * 1e6 * reaching / (10.0 * TESTOSTERONE_CLEARANCE[recipient.sex])

    return level


def _gel(dosing, now, recipient):
    absorbed = GEL_ABSORPTION * 1e6 / dosing.interval * steady(dosing, now)
    return absorbed / (10.0 * TESTOSTERONE_CLEARANCE[recipient.sex])


def _pulses(dosing, now, _):
    """Return 1 while gonadorelin comes at most 2.4 hours apart, as a pump gives it."""
    pulsed = (dosing.interval <= 0.1) & (dosing.dose > 0.0)
    return (pulsed & (steady(dosing, now) > 0.0)).astype(now.dtype)


def _long_acting_secretagogue(dosing, now, recipient):
    rate = log(2.0) / CJC_HALF_LIFE
    usual = 0.030 * recipient.weight
    return dosing.dose / usual * 7.0 * rate * decaying(dosing, rate, now)


def _infusion(dosing, now, recipient):
    rate = 1.0 / ZOLEDRONATE_TIME
    amount = recipient.parameters.zoledronate_uptake * dosing.dose / 5.0
    return amount * rate * decaying(dosing, rate, now)


def _tablets(dose: float, interval: float, potency: float) -> Level:
    """Return the uptake of a bisphosphonate that in a year at a dose equals some share of 5 mg zoledronate."""

    def level(dosing, now, recipient):
        rate = steady(dosing, now) / dosing.interval * interval / dose
        return potency * recipient.parameters.zoledronate_uptake * rate / DAYS_PER_YEAR

    return level


def _antisclerostin(dosing, now, _):
    absorption, elimination, volume = ROMOSOZUMAB
    return dosing.dose / volume * two_stage(dosing, absorption, elimination, now)


def _integrated(dosing, now, recipient):
    raise NotImplementedError("Several series of denosumab share one elimination: use `denosumab_level`.")


AGENTS: dict[str, Agent] = {
    "estradiol-transdermal": Agent(
        about="Estradiol through the skin, patch or gel; the dose is what a day delivers",
        unit="µg",
        usual=(14, 100),
        highest=200,
        interval=1.0,
        intervals=(1.0, 1.0),
        levels={"estradiol": _patch},
        acts_on="estrogen deficit",
        status="established",
        source="0.27 pg/ml per µg/day: Ettinger et al. 2004, Obstet. Gynecol. 104:443-451; up to 0.74 at 50",
    ),
    "estradiol-oral": Agent(
        about="Estradiol by mouth",
        unit="mg",
        usual=(0.5, 2.0),
        highest=8.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"estradiol": _daily(ORAL_ESTRADIOL), "oral_estrogen": _daily(1.0)},
        acts_on="estrogen deficit",
        status="established",
        source="Assumed, see `ORAL_ESTRADIOL`",
    ),
    "conjugated-estrogens": Agent(
        about="Conjugated equine estrogens by mouth",
        unit="mg",
        usual=(0.3, 1.25),
        highest=2.5,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={
            "estradiol": _daily(CONJUGATED_ESTROGENS),
            "oral_estrogen": _daily(CONJUGATED_ESTROGENS / ORAL_ESTRADIOL),
        },
        acts_on="estrogen deficit",
        status="established",
        source="Harman et al. 2014, see `CONJUGATED_ESTROGENS`",
    ),
    "estradiol-valerate": Agent(
        about="Estradiol valerate in oil, injected into muscle",
        unit="mg",
        usual=(2.0, 10.0),
        highest=40.0,
        interval=14.0,
        intervals=(1.0, 90.0),
        levels={"estradiol": _ester(VALERATE)},
        acts_on="estrogen deficit",
        status="established",
        source="Model data of estrannaise.js",
    ),
    "estradiol-cypionate": Agent(
        about="Estradiol cypionate in oil, injected into muscle",
        unit="mg",
        usual=(1.0, 5.0),
        highest=20.0,
        interval=14.0,
        intervals=(1.0, 90.0),
        levels={"estradiol": _ester(CYPIONATE)},
        acts_on="estrogen deficit",
        status="established",
        source="Model data of estrannaise.js",
    ),
    "progesterone": Agent(
        about="Micronised progesterone by mouth",
        unit="mg",
        usual=(100.0, 300.0),
        highest=600.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"progesterone": _daily(ORAL_PROGESTERONE)},
        acts_on="bone balance, by default not at all",
        status="assumed",
        source="Levine & Watson 2000, see `ORAL_PROGESTERONE`",
    ),
    "medroxyprogesterone": Agent(
        about="Medroxyprogesterone acetate by mouth",
        unit="mg",
        usual=(2.5, 10.0),
        highest=20.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"progestogen": _daily(0.5)},
        acts_on="bone balance, by default not at all",
        status="assumed",
        source="Assumed: 10 mg/day as the progesterone of a cycle",
    ),
    "testosterone-gel": Agent(
        about="Testosterone in a gel; the dose is what is rubbed in",
        unit="mg",
        usual=(20.0, 100.0),
        highest=150.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"testosterone": _gel},
        acts_on="androgen deficit in men, estradiol made from it in both sexes",
        status="assumed",
        source="Wang et al. 2000, J. Clin. Endocrinol. Metab. 85:2842-2853",
    ),
    "testosterone-cypionate": Agent(
        about="Testosterone cypionate in oil, injected into muscle",
        unit="mg",
        usual=(50.0, 200.0),
        highest=400.0,
        interval=7.0,
        intervals=(1.0, 42.0),
        levels={"testosterone": _testosterone_depot(0.70, CYPIONATE_HALF_LIFE, DEPOT_LAG)},
        acts_on="androgen deficit in men, estradiol made from it in both sexes",
        status="assumed",
        source="Prescribing information of Depo-Testosterone",
    ),
    "testosterone-undecanoate": Agent(
        about="Testosterone undecanoate in castor oil, injected into muscle",
        unit="mg",
        usual=(750.0, 1000.0),
        highest=1500.0,
        interval=84.0,
        intervals=(28.0, 180.0),
        levels={"testosterone": _testosterone_depot(0.632, UNDECANOATE_HALF_LIFE, UNDECANOATE_LAG)},
        acts_on="androgen deficit in men, estradiol made from it in both sexes",
        status="assumed",
        source="Behre et al. 1999, Eur. J. Endocrinol. 140:414-419",
    ),
    "anastrozole": Agent(
        about="Aromatase inhibitor by mouth",
        unit="mg",
        usual=(0.25, 1.0),
        highest=2.0,
        interval=1.0,
        intervals=(0.5, 14.0),
        levels={"anastrozole": _daily(1.0)},
        acts_on="estrogen deficit",
        status="established",
        source="Burnett-Bowie et al. 2009; its consequence for bone in men is under-predicted",
    ),
    "gonadorelin": Agent(
        about="Gonadotrophin-releasing hormone, injected or pumped",
        unit="µg",
        usual=(2.0, 250.0),
        highest=1000.0,
        interval=3.5,
        intervals=(0.02, 14.0),
        levels={"gonadorelin_pulses": _pulses},
        acts_on="the testes' own testosterone beside given testosterone",
        status="assumed",
        source="Assumed: no effect unless pulsed; no bone datum exists",
    ),
    "gnrh-agonist": Agent(
        about="Depot of leuprolide or goserelin: medical castration",
        unit="mg",
        usual=(3.6, 22.5),
        highest=45.0,
        interval=28.0,
        intervals=(7.0, 365.25),
        levels={"castration": lambda dosing, now, _: covered(dosing, now)},
        acts_on="estradiol and testosterone of the gonads",
        status="established",
        source="Oefelein et al. 2000, Urology 56:1021-1024; the flare of the first two weeks is left out",
    ),
    "sermorelin": Agent(
        about="Growth-hormone-releasing hormone 1-29, injected daily",
        unit="mg",
        usual=(0.1, 0.5),
        highest=2.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"sermorelin": _daily(1.0 / 0.3)},
        acts_on="IGF-1",
        status="assumed",
        source="Assumed: IGF-1 +20 %",
    ),
    "cjc-1295": Agent(
        about="CJC-1295 with albumin affinity, injected weekly",
        unit="mg",
        usual=(1.0, 2.0),
        highest=10.0,
        interval=7.0,
        intervals=(1.0, 28.0),
        levels={"cjc-1295": _long_acting_secretagogue},
        acts_on="IGF-1",
        status="assumed",
        source="Teichman et al. 2006, J. Clin. Endocrinol. Metab. 91:799-805",
    ),
    "ipamorelin": Agent(
        about="Ghrelin-receptor agonist, injected daily",
        unit="µg",
        usual=(100.0, 300.0),
        highest=2000.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"ipamorelin": _daily(1.0 / 250.0)},
        acts_on="IGF-1",
        status="assumed",
        source="Assumed: IGF-1 +15 %; kinetics in Gobburu et al. 1999, Pharm. Res. 16:1412-1416",
    ),
    "tesamorelin": Agent(
        about="Growth-hormone-releasing hormone 1-44, injected daily",
        unit="mg",
        usual=(1.0, 2.0),
        highest=4.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"tesamorelin": _daily(0.5)},
        acts_on="IGF-1",
        status="assumed",
        source="Falutz et al. 2007, N. Engl. J. Med. 357:2359-2370, doi:10.1056/NEJMoa072375 (IGF-1 +81 %)",
    ),
    "growth-hormone": Agent(
        about="Somatropin, injected daily",
        unit="mg",
        usual=(0.1, 1.0),
        highest=3.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"growth_hormone": _daily(1.0)},
        acts_on="IGF-1",
        status="direction known, size fitted",
        source="Assumed: 0.4 mg/day repairs a deficiency of adults",
    ),
    "glucocorticoid": Agent(
        about="Prednisone by mouth, or what equals it",
        unit="mg",
        usual=(2.5, 60.0),
        highest=200.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"glucocorticoid": _daily(1.0)},
        acts_on="formation; resorption in passing",
        status="established",
        source="Half effect at 7.5 mg/day, see `Parameters`",
    ),
    "alendronate": Agent(
        about="Alendronate by mouth",
        unit="mg",
        usual=(10.0, 70.0),
        highest=140.0,
        interval=7.0,
        intervals=(1.0, 31.0),
        levels={"bisphosphonate": _tablets(70.0, 7.0, 1.0)},
        acts_on="osteoclast activity",
        status="direction known, size fitted",
        source="Assumed: a year of 70 mg a week is worth 5 mg of zoledronate",
    ),
    "risedronate": Agent(
        about="Risedronate by mouth",
        unit="mg",
        usual=(5.0, 150.0),
        highest=150.0,
        interval=7.0,
        intervals=(1.0, 31.0),
        levels={"bisphosphonate": _tablets(35.0, 7.0, RISEDRONATE_POTENCY)},
        acts_on="osteoclast activity",
        status="direction known, size fitted",
        source="Rosen et al. 2005, see `RISEDRONATE_POTENCY`",
    ),
    "ibandronate": Agent(
        about="Ibandronate by mouth",
        unit="mg",
        usual=(2.5, 150.0),
        highest=150.0,
        interval=MONTH,
        intervals=(1.0, 92.0),
        levels={"bisphosphonate": _tablets(150.0, MONTH, IBANDRONATE_POTENCY)},
        acts_on="osteoclast activity",
        status="direction known, size fitted",
        source="Miller et al. 2008, see `IBANDRONATE_POTENCY`",
    ),
    "zoledronate": Agent(
        about="Zoledronate, infused",
        unit="mg",
        usual=(4.0, 5.0),
        highest=5.0,
        interval=DAYS_PER_YEAR,
        intervals=(28.0, 3652.5),
        levels={"bisphosphonate": _infusion},
        acts_on="osteoclast activity",
        status="direction known, size fitted",
        source="Fit, see `Parameters.zoledronate_uptake`",
    ),
    "denosumab": Agent(
        about="Antibody to RANKL under the skin",
        unit="mg",
        usual=(60.0, 60.0),
        highest=120.0,
        interval=DAYS_PER_YEAR / 2.0,
        intervals=(28.0, 3652.5),
        levels={"denosumab": _integrated},
        acts_on="free RANKL",
        status="established",
        source="Martínez-Reina & Pivonka 2019, Math. Biosci. Eng. 16:2063-2089",
    ),
    "raloxifene": Agent(
        about="Selective modulator of the estrogen receptor by mouth",
        unit="mg",
        usual=(60.0, 60.0),
        highest=150.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"raloxifene": _daily(1.0 / 60.0)},
        acts_on="estrogen deficit, in bone only",
        status="direction known, size fitted",
        source="Fit, see `Parameters.raloxifene_estradiol`",
    ),
    "romosozumab": Agent(
        about="Antibody to sclerostin under the skin",
        unit="mg",
        usual=(210.0, 210.0),
        highest=420.0,
        interval=MONTH,
        intervals=(7.0, 365.25),
        levels={"romosozumab": _antisclerostin},
        acts_on="Wnt tone",
        status="direction known, size fitted",
        source="Prescribing information of Evenity",
    ),
    "teriparatide": Agent(
        about="Parathyroid hormone 1-34 under the skin",
        unit="µg",
        usual=(20.0, 20.0),
        highest=40.0,
        interval=1.0,
        intervals=(0.5, 7.0),
        levels={"teriparatide": _daily(1.0 / 20.0)},
        acts_on="RANKL and formation by lining cells",
        status="direction known, size fitted",
        source="20 µg/day is the unit; half-life of an hour",
    ),
    "calcium": Agent(
        about="Calcium as a supplement, beside the diet",
        unit="mg",
        usual=(250.0, 1200.0),
        highest=3000.0,
        interval=1.0,
        intervals=(0.25, 7.0),
        levels={"calcium": _daily(1.0)},
        acts_on="parathyroid hormone",
        status="direction known, size fitted",
        source="Peterson & Riggs 2010, Bone 46:49-63, doi:10.1016/j.bone.2009.08.053",
    ),
    "vitamin-d": Agent(
        about="Cholecalciferol by mouth; 1 µg is 40 IU",
        unit="µg",
        usual=(10.0, 50.0),
        highest=250.0,
        interval=1.0,
        intervals=(0.5, 92.0),
        levels={
            "vitamin_d": lambda dosing, now, _: (
                VITAMIN_D_GAIN / dosing.interval * followed(dosing, VITAMIN_D_TIME, now)
            )
        },
        acts_on="parathyroid hormone",
        status="direction known, size fitted",
        source="Heaney et al. 2003, see `VITAMIN_D_GAIN`",
    ),
}
"""All agents by name."""
