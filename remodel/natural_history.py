"""The hormones that a person has without treatment, at any age."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from remodel.parameters import Scalar
from remodel.person import DAYS_PER_YEAR, Person

ESTRADIOL_FLOOR = 5.0
"""Estradiol after menopause or removal of the ovaries [pg/ml, mass spectrometry]."""
ESTRADIOL_WOMEN = 100.0
"""Estradiol of a young woman, mean of the cycle [pg/ml]."""
ESTRADIOL_MEN = 25.0
"""Estradiol of a man of 30 [pg/ml]."""
TESTOSTERONE_MEN = 550.0
"""Testosterone of a man of 30, bioavailable equivalent [ng/dl]."""
TESTOSTERONE_CASTRATE = 20.0
"""Testosterone of a man without testes or without LH [ng/dl]. Source: Oefelein et al. 2000, Urology 56:1021-1024,
doi:10.1016/S0090-4295(00)00793-7 (median 15, below 20 in most)."""
AROMATISED = 0.038
"""Estradiol made per testosterone [pg/ml per ng/dl]. Source: Burnett-Bowie et al. 2009, J. Clin. Endocrinol. Metab.
94:4785-4792, doi:10.1210/jc.2009-0739 (15 pg/ml at 319 ng/dl, 12 at 474 on an aromatase inhibitor)."""
PROGESTERONE_CYCLE = 5.0
"""Progesterone, mean of an ovulatory cycle [ng/ml]. Assumed, after the usual course of a cycle."""
PROGESTERONE_FLOOR = 0.2
"""Progesterone without ovulation, and in men [ng/ml]. Assumed: that of the adrenals."""
IGF1_YOUNG = 206.0
"""IGF-1 at 32 [ng/ml]; medians 206, 147 and 103 at 25-39, 40-59 and 60 or older. Source: reference values by age
that the curve of `natural_igf1` was drawn through."""
SURGICAL_DECAY_DAYS = 2.0
"""Time in which hormones of the gonads fade after surgery [day]. Assumed: the fall is known to take days."""


def natural_estradiol(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return estradiol in serum without treatment [pg/ml].

    Women: `5 + 95 / (1 + exp((age - FMP + 0.4) / 0.5))`, the mean over the cycle, and 5 within days of
    removal of the ovaries; the width 0.5 is a quarter of `Person.perimenopause_years`. Men: made from
    testosterone, see `male_estradiol`.

    Args:
        person: Whose estradiol; the age at menopause or surgery counts, not the present age.
        age: Age at which it is asked [year].

    Source:
        Timing fitted to bone loss around menopause: Greendale et al. 2012, J. Bone Miner. Res. 27:111-118,
        doi:10.1002/jbmr.534; Sowers et al. 2010, J. Clin. Endocrinol. Metab. 95:2155-2162,
        doi:10.1210/jc.2009-0659.
    """
    if person.sex == "male":
        return male_estradiol(person, age, natural_testosterone(person, age))
    return estradiol_scale(person) * (ESTRADIOL_FLOOR + ovarian_estradiol(person, age))


def ovarian_estradiol(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the part of a woman's estradiol that her ovaries make, before any laboratory value [pg/ml]."""
    until = jnp.asarray(person.final_menstrual_period, age.dtype) - 0.4 - age
    cycling = jax.nn.sigmoid(until / (0.25 * person.perimenopause_years))
    return (ESTRADIOL_WOMEN - ESTRADIOL_FLOOR) * cycling * gonads_left(person, age)


def male_estradiol(
    person: Person, age: Float[Array, "*times"], aromatisable: Float[Array, "*times"]
) -> Float[Array, "*times"]:
    """Return a man's estradiol from his testosterone [pg/ml].

    `E2 = 4.1 s + 0.038 T`, with s the share of hormones left at his age. The first term, other precursors,
    makes an untreated man's estradiol 25 s exactly, the curve used in the fit; without testes 3 to 5 pg/ml
    stay.

    Args:
        person: Whose estradiol.
        age: Age at which it is asked [year].
        aromatisable: Testosterone, less the share whose conversion is inhibited [ng/dl].

    Source:
        Slope: `AROMATISED`. Level: 26 pg/ml in Leder et al. 2004, J. Clin. Endocrinol. Metab. 89:1174-1180,
        doi:10.1210/jc.2003-031467; the fall with age is assumed.
    """
    other = (ESTRADIOL_MEN - AROMATISED * TESTOSTERONE_MEN) * _male_share(age)
    return estradiol_scale(person) * (other + AROMATISED * aromatisable)


def natural_testosterone(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return testosterone in serum without treatment [ng/dl].

    Women: 45 at 20 falling linearly to 25 at 45, flat through menopause, halved by removal of the ovaries.
    Men: the bioavailable equivalent `550 (1 - 0.006 (age - 30))` after 30, and 20 within days of removal of
    the testes. Less the share that `Person.hypogonadism` says is lost.

    Args:
        person: Whose testosterone.
        age: Age at which it is asked [year].

    Source:
        Women: assumed, after the usual course. Men: assumed from the fall of bioavailable testosterone in
        Feldman et al. 2002, J. Clin. Endocrinol. Metab. 87:589-598, doi:10.1210/jcem.87.2.8201, and used in
        the fit.
    """
    intact = intact_testosterone(person, age)
    left = gonads_left(person, age)
    if person.sex == "female":
        return intact * 0.5 * (1.0 + left)
    return left * intact + (1.0 - left) * jnp.minimum(intact, TESTOSTERONE_CASTRATE)


def intact_testosterone(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return testosterone as if the gonads were never removed [ng/dl], through the laboratory value."""
    curve = _testosterone_curve(person, age)
    if person.testosterone is None:
        return curve * (1.0 - person.hypogonadism)
    today = jnp.asarray(person.age, dtype=float)
    left = gonads_left(person, today)
    if person.sex == "female":
        reached = _testosterone_curve(person, today) * 0.5 * (1.0 + left)
    else:
        # After surgery the value says nothing about the time before it.
        reached = jnp.where(left > 0.5, _testosterone_curve(person, today), person.testosterone)
    return curve * person.testosterone / reached


def natural_progesterone(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return progesterone in serum without treatment, the mean over the cycle [ng/ml].

    Women: `0.2 + 4.8 / (1 + exp((age - FMP + 3) / 1.2))`: ovulations end before periods do. Men: 0.2.

    Source:
        Assumed, after the usual course.
    """
    if person.sex == "male":
        return jnp.full_like(age, PROGESTERONE_FLOOR)
    until = jnp.asarray(person.final_menstrual_period, age.dtype) - 3.0 - age
    ovulating = jax.nn.sigmoid(until / 1.2) * gonads_left(person, age)
    return PROGESTERONE_FLOOR + (PROGESTERONE_CYCLE - PROGESTERONE_FLOOR) * ovulating


def normal_igf1(age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the usual IGF-1 at an age, `206 exp(-0.0165 (age - 32))` [ng/ml]; see `IGF1_YOUNG`."""
    return IGF1_YOUNG * jnp.exp(-0.0165 * (age - 32.0))


def natural_igf1(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return IGF-1 in serum without treatment [ng/ml].

    The usual curve less the share that `Person.growth_hormone_deficiency` says is lost, or through the
    laboratory value, which then says all.
    """
    if person.igf1 is None:
        return normal_igf1(age) * (1.0 - person.growth_hormone_deficiency)
    return normal_igf1(age) * person.igf1 / normal_igf1(jnp.asarray(person.age, dtype=float))


def gonads_left(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the share of gonadal hormone still in the blood after surgery, 1 before it [-]."""
    surgery = person.oophorectomy if person.sex == "female" else person.orchiectomy
    days_since = jnp.maximum(age - jnp.asarray(surgery, age.dtype), 0.0) * DAYS_PER_YEAR
    return jnp.exp(-days_since / SURGICAL_DECAY_DAYS)


def estradiol_scale(person: Person) -> Scalar:
    """Return what takes the estradiol of a person's sex and age to the laboratory value [-]."""
    if person.estradiol is None:
        return 1.0
    today = jnp.asarray(person.age, dtype=float)
    if person.sex == "female":
        return person.estradiol / (ESTRADIOL_FLOOR + ovarian_estradiol(person, today))
    other = (ESTRADIOL_MEN - AROMATISED * TESTOSTERONE_MEN) * _male_share(today)
    return person.estradiol / (other + AROMATISED * natural_testosterone(person, today))


def _testosterone_curve(person: Person, age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    if person.sex == "male":
        return TESTOSTERONE_MEN * _male_share(age)
    return 45.0 - 20.0 * (jnp.clip(age, 20.0, 45.0) - 20.0) / 25.0


def _male_share(age: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """Return the sex hormones of a man relative to those at 30, `1 - 0.006 (age - 30)` after 30 [-]."""
    return 1.0 - 0.006 * jnp.maximum(age - 30.0, 0.0)
