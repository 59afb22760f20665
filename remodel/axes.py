"""How treatments change the body's own hormones: testes, ovaries, aromatase, liver, parathyroids.

Feedback is at its steady state: axes settle in days to weeks, bone follows over months. The flare in the
first weeks of a GnRH agonist and the months that testes may need to recover are left out.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.natural_history import (
    AROMATISED,
    ESTRADIOL_FLOOR,
    PROGESTERONE_FLOOR,
    TESTOSTERONE_CASTRATE,
    estradiol_scale,
    gonads_left,
    intact_testosterone,
    male_estradiol,
    natural_igf1,
    natural_progesterone,
    natural_testosterone,
    ovarian_estradiol,
)
from remodel.parameters import Parameters
from remodel.person import Person, age_on
from remodel.treatment import Protocol, given_level

AROMATASE_INHIBITION = {"female": 0.85, "male": 0.5}
"""Share of aromatase that 1 mg/day of anastrozole inhibits [-]. Source: women, prescribing information of Arimidex
(estradiol -80 % in two weeks); men, 0.46 derived from Burnett-Bowie et al. 2009, J. Clin. Endocrinol. Metab.
94:4785-4792, doi:10.1210/jc.2009-0739, and 0.61 from Leder et al. 2004, doi:10.1210/jc.2003-031467."""
ESTRADIOL_FEEDBACK = 0.98
"""Rise of a man's own testosterone per share of aromatase inhibited, by LH [-]: 319 to 474 ng/dl at one half. Source:
Burnett-Bowie et al. 2009."""
SUPPRESSING_TESTOSTERONE = 150.0
"""Given testosterone at which half of a man's own is suppressed [ng/dl]. Assumed."""
PULSE_PROTECTION = 0.3
"""Share of that suppression which gonadorelin in pulses prevents [-]; single injections prevent none. Assumed."""
IGF1_RISES = {"sermorelin": 0.20, "cjc-1295": 0.75, "ipamorelin": 0.15, "tesamorelin": 0.81}
"""Rise of IGF-1 at the reference dose of each secretagogue [-]; twice that at most. Source: CJC-1295, times 1.5 to 2 in
the mean of a week, Teichman et al. 2006, J. Clin. Endocrinol. Metab. 91:799-805, doi:10.1210/jc.2005-1536;
tesamorelin, Falutz et al. 2007, N. Engl. J. Med. 357:2359-2370, doi:10.1056/NEJMoa072375; sermorelin (range 0.1 to
0.3) and ipamorelin (0 to 0.3) and the form of saturation assumed."""
GROWTH_HORMONE_IGF1 = (200.0, 0.4)
"""Largest rise of IGF-1 by growth hormone [ng/ml] and the dose at its half [mg/day]. Assumed, so that 0.4 mg/day takes
deficient adults back to the usual IGF-1."""
LIVER_ESTROGEN = 0.4
"""Largest fall of IGF-1 by oral estrogen, which reaches the liver first [-]; half of it at 1 mg/day of estradiol.
Assumed from the usual fall by a fifth; estrogen through the skin does not lower it."""
PTH_REFERENCE = 3.85
"""Parathyroid hormone of the reference [pM]. Source: Peterson & Riggs 2010, Bone 46:49-63,
doi:10.1016/j.bone.2009.08.053."""
PTH_CALCIUM = 0.11
"""Fall of the logarithm of PTH with that of calcium intake [-]. Source: runs of that model, 0.09 to 0.14."""
PTH_VITAMIN_D = 0.2
"""Fall of the logarithm of PTH with that of 25-hydroxyvitamin D below 30 ng/ml [-]. Assumed; correlation -0.26 in
Sai et al. 2011, J. Clin. Endocrinol. Metab. 96:E436-E446, doi:10.1210/jc.2010-1886."""
OSTEOMALACIA = 10.0
"""25-hydroxyvitamin D below which mineralisation fails [ng/ml]. Assumed."""


def testosterone_level(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return testosterone in serum [ng/dl].

    Men: what is given suppresses their own by x²/(1 + x²), x relative to `SUPPRESSING_TESTOSTERONE`, of which
    pulses of gonadorelin prevent a share; an aromatase inhibitor raises their own through LH; without LH or
    testes 20 ng/dl stay. Women: ovaries make half, which a GnRH agonist takes away.
    """
    age = age_on(person, now)
    given = given_level(protocol, "testosterone", person, now, parameters)
    castration = _castration(person, protocol, now, parameters)
    if person.sex == "female":
        ovaries = gonads_left(person, age) * (1.0 - castration)
        return given + intact_testosterone(person, age) * 0.5 * (1.0 + ovaries)
    pulses = given_level(protocol, "gonadorelin_pulses", person, now, parameters)
    protected = PULSE_PROTECTION * jnp.minimum(pulses, 1.0)
    excess = (given / SUPPRESSING_TESTOSTERONE) ** 2
    suppressed = excess / (1.0 + excess) * (1.0 - protected)
    inhibited = aromatase_inhibition(person, protocol, now, parameters)
    raised = 1.0 + ESTRADIOL_FEEDBACK * inhibited * gonads_left(person, age)
    natural = natural_testosterone(person, age)
    own = natural * raised * (1.0 - suppressed)
    return given + (1.0 - castration) * own + castration * jnp.minimum(own, TESTOSTERONE_CASTRATE)


def estradiol_level(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return estradiol in serum [pg/ml].

    Given estradiol adds to the body's own, and so does what aromatase makes of given testosterone. An
    aromatase inhibitor spares the ovaries of women before menopause, whose gonadotrophins make up for it.
    """
    age = age_on(person, now)
    given = given_level(protocol, "estradiol", person, now, parameters)
    working = 1.0 - aromatase_inhibition(person, protocol, now, parameters)
    if person.sex == "male":
        testosterone = testosterone_level(person, protocol, now, parameters)
        return given + male_estradiol(person, age, working * testosterone)
    ovarian = ovarian_estradiol(person, age) * (1.0 - _castration(person, protocol, now, parameters))
    own = estradiol_scale(person) * (ESTRADIOL_FLOOR * working + ovarian)
    converted = AROMATISED * working * given_level(protocol, "testosterone", person, now, parameters)
    return given + own + converted


def aromatase_inhibition(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return the share of aromatase that is inhibited [-].

    Simple binding, d/(1 + d) with d in doses that inhibit one half, through the share known at 1 mg/day.
    Assumed below and above that dose.
    """
    known = AROMATASE_INHIBITION[person.sex]
    bound = given_level(protocol, "anastrozole", person, now, parameters) * known / (1.0 - known)
    return bound / (1.0 + bound)


def progesterone_level(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return progesterone in serum [ng/ml], mean of the cycle."""
    own = natural_progesterone(person, age_on(person, now)) - PROGESTERONE_FLOOR
    castration = _castration(person, protocol, now, parameters)
    given = given_level(protocol, "progesterone", person, now, parameters)
    return PROGESTERONE_FLOOR + own * (1.0 - castration) + given


def igf1_level(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return IGF-1 in serum [ng/ml].

    A secretagogue multiplies what the pituitary keeps up, by `1 + 2 a x/(1 + x)` with x doses; several add
    their rises. Growth hormone adds to it. Oral estrogen lowers the sum.
    """
    rise = jnp.zeros_like(now)
    for agent, usual in IGF1_RISES.items():
        rise = rise + 2.0 * usual * _half_at_one(given_level(protocol, agent, person, now, parameters))
    largest, half = GROWTH_HORMONE_IGF1
    hormone = given_level(protocol, "growth_hormone", person, now, parameters)
    liver = 1.0 - LIVER_ESTROGEN * _half_at_one(
        given_level(protocol, "oral_estrogen", person, now, parameters)
    )
    own = natural_igf1(person, age_on(person, now)) * (1.0 + rise)
    return liver * (own + largest * _half_at_one(hormone / half))


def vitamin_d_level(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return 25-hydroxyvitamin D in serum [ng/ml]."""
    return person.vitamin_d + given_level(protocol, "vitamin_d", person, now, parameters)


def pth_level(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return the body's own parathyroid hormone, `3.85 (D/30)^-0.2 (Ca/1000)^-0.11` [pM]; D counts to 30."""
    vitamin = jnp.minimum(vitamin_d_level(person, protocol, now, parameters), 30.0) / 30.0
    given = given_level(protocol, "calcium", person, now, parameters)
    calcium = (person.calcium_mg_per_day + given) / 1000.0
    return PTH_REFERENCE * vitamin**-PTH_VITAMIN_D * calcium**-PTH_CALCIUM


def osteomalacia(vitamin_d: Float[Array, "*times"]) -> tuple[Float[Array, "*times"], Float[Array, "*times"]]:
    """Return osteoid's delay and the primary mineral relative to the reference [-].

    Below 10 ng/ml the delay grows by (10/D)^4 and the mineral falls as D/10; above, both are 1. Assumed, and
    continuous at the limit.
    """
    short = OSTEOMALACIA / jnp.minimum(vitamin_d, OSTEOMALACIA)
    return short**4, 1.0 / short


def _castration(
    person: Person, protocol: Protocol, now: Float[Array, "*times"], parameters: Parameters
) -> Float[Array, "*times"]:
    """Return how far LH is switched off, 0 to 1 [-]."""
    return jnp.minimum(given_level(protocol, "castration", person, now, parameters), 1.0)


def _half_at_one(relative: Float[Array, "*times"]) -> Float[Array, "*times"]:
    return relative / (1.0 + relative)
