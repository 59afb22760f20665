"""The numbers of the tissue law: meaning, unit, origin and default of each.

Every field is a leaf, so that any number can be drawn from a distribution, mapped over or differentiated.

Status words in the docstrings:

* *fit*: fitted jointly to 66 clinical results in women and men with the model without space (three
  compartments under constant stress). A calibrated default, not a measurement; the standard deviation of
  its logarithm after the fit is in brackets.
* *fixed*: held at a published or derived value during that fit.
* *assumed*: no quantitative human datum stands behind it.
"""

import equinox as eqx
from jaxtyping import Array, Num

Scalar = int | float | Num[Array, ""]
"""A number, whether Python's or JAX's."""


class Parameters(eqx.Module):
    """What the tissue law is calibrated by; the defaults are version 4 of the joint fit."""

    # Stimulus
    strain_exponent: Scalar = 4.0
    """Exponent m of strain in the daily stimulus [-]. Fixed, range 3 to 8. Source: Beaupré et al. 1990, J.
    Orthop. Res. 8:651-661, doi:10.1002/jor.1100080506."""
    cycles_per_bout: Scalar = 100.0
    """Cycles after which a bout of loading is saturated [-]. Assumed for people, range 36 to 1000. Source:
    order of magnitude from animals, Rubin & Lanyon 1984, J. Bone Joint Surg. Am. 66:397-402 (36 cycles a day
    saturate)."""
    reference_cycles: Scalar = 300.0
    """Effective cycles a day of habitual life [1/day]. Assumed: three saturated bouts."""
    bed_rest_load: Scalar = 0.349202
    """Strain in bed rest relative to habitual strain [-]. Fit (0.19)."""
    early_load_decline: Scalar = 0.00886196
    """Yearly fall of the logarithm of habitual load between 30 and 50 [1/year]. Assumed, range 0 to 0.015."""
    late_load_decline: Scalar = 0.00494124
    """Yearly fall of the logarithm of habitual load after 50 [1/year]. Assumed, range 0 to 0.015."""

    # Mechanostat curve
    resorption_gain: Scalar = 0.716768
    """Response of the logarithm of resorption to that of the stimulus, g_r [-]. Fit (0.17)."""
    formation_gain: Scalar = 0.705318
    """Response of the logarithm of formation to that of the stimulus, g_f [-]. Fit (0.28)."""
    response_limit: Scalar = 1.0
    """Largest response v [-]. Assumed, range 0.7 to 1.5."""
    lazy_zone_width: Scalar = 0.0
    """Half-width of the lazy zone in the logarithm of the stimulus [-]. Fixed: none seen in people. Source:
    Christen et al. 2014, Nat. Commun. 5:4855, doi:10.1038/ncomms5855."""
    lazy_zone_smoothing: Scalar = 0.02
    """Rounding of the corners of the lazy zone [-]. Assumed."""
    set_point_estrogen: Scalar = 0.0398112
    """Rise of the set point at full loss of estradiol [-]. Fit but not identified (0.74 against a prior of
    0.80)."""
    set_point_androgen: Scalar = 0.0
    """Rise of the set point at full loss of testosterone [-]. Assumed; a switch."""
    set_point_age: Scalar = 0.0
    """Yearly rise of the set point after 30 [1/year]. Assumed; a switch."""
    numbness_estrogen: Scalar = 0.0
    """Fall of the gain at full loss of estradiol [-]. Assumed; a switch, range 0 to 0.9."""
    numbness_androgen: Scalar = 0.0
    """Fall of the gain at full loss of testosterone [-]. Assumed; a switch."""

    # Cells
    decoy_strength: Scalar = 16.5
    """Binding of RANKL by osteoprotegerin, association constant times concentration [-]. Fixed. Source:
    derived from the steady state of Martínez-Reina & Pivonka 2019, Math. Biosci. Eng. 16:2063-2089."""
    receptor_strength: Scalar = 0.34
    """Binding of RANKL by RANK, association constant times concentration [-]. Fixed. Source: as
    `decoy_strength`."""
    receptor_saturation: Scalar = 0.042
    """Ratio of occupied to free RANK in the reference state [-]. Fixed. Source: as `decoy_strength`."""
    osteoclast_time: Scalar = 11.9367
    """Time in which osteoclast activity follows its signal [day]. Fit (0.15)."""
    reversal_time: Scalar = 33.4399
    """First stage of the delay from resorption to formation [day]. Fit (0.29)."""
    formation_time: Scalar = 70.6645
    """Second stage of the delay from resorption to formation [day]. Fit (0.23)."""
    precursor_gain: Scalar = 0.589633
    """Room for osteoclast precursors to accumulate while RANK is empty, beta [-]. Fit (0.33)."""
    precursor_rate: Scalar = 0.00273369
    """Renewal of the pool of osteoclast precursors, k_l [1/day]. Fit (0.46)."""
    uncoupled_formation: Scalar = 0.164307
    """Share of formation that no resorption precedes, mu_0 [-]. Fit (0.21)."""
    balance_age: Scalar = 0.00240205
    """Yearly fall of the bone balance of a remodeling site after 30 [1/year]. Fit (0.54)."""
    rankl_estrogen: Scalar = 0.91367
    """Rise of RANKL at full loss of estradiol [-]. Fit (0.21), the best-founded action of a hormone here."""
    decoy_estrogen: Scalar = 0.25
    """Fall of osteoprotegerin at full loss of estradiol [-]. Assumed; acts like `rankl_estrogen`."""
    balance_estrogen: Scalar = 0.0342983
    """Fall of bone balance at full loss of estradiol [-]. Fit, barely informed (0.70)."""
    rankl_androgen: Scalar = 0.164657
    """Rise of RANKL at full loss of testosterone, men [-]. Fit, barely informed (0.58)."""
    balance_androgen: Scalar = 0.0360085
    """Fall of bone balance at full loss of testosterone, men [-]. Fit, barely informed (0.86)."""
    balance_progesterone: Scalar = 0.0
    """Rise of bone balance at full effect of progesterone [-]. Assumed zero, range 0 to 0.05: progesterone alone
    did not keep bone after menopause. Source: Prior 2018, Climacteric 21:366-374,
    doi:10.1080/13697137.2018.1467400, for the option."""
    rankl_pth: Scalar = 1.0
    """Rise of RANKL with the logarithm of PTH over its reference [-]. Assumed, range 0.5 to 1.75. Source: order
    of magnitude from runs of the model of Peterson & Riggs 2010, Bone 46:49-63,
    doi:10.1016/j.bone.2009.08.053."""
    rankl_igf: Scalar = 0.225258
    """Rise of RANKL with the logarithm of IGF-1 over its reference [-]. Assumed, range 0 to 0.4."""
    balance_igf: Scalar = 0.147885
    """Rise of the logarithm of bone balance with that of IGF-1 [-]. Assumed, range 0 to 0.3."""
    uncoupled_igf: Scalar = 0.586618
    """Rise of the logarithm of uncoupled formation with that of IGF-1 [-]. Assumed, range 0 to 0.8; with the two
    above it gives the early dip and late gain of growth hormone replacement. Source of the course: Baum et al.
    1996, Ann. Intern. Med. 125:883-890, doi:10.7326/0003-4819-125-11-199612010-00003."""
    rankl_glucocorticoid: Scalar = 0.328713
    """Passing rise of RANKL at full effect of glucocorticoids [-]. Fit, barely informed (0.69)."""
    balance_glucocorticoid: Scalar = 0.339008
    """Fall of formation at full effect of glucocorticoids [-]. Fit (0.20): P1NP falls by 30 % at 10 mg/day."""
    denosumab_dissociation: Scalar = 37.3
    """Dissociation constant of denosumab and RANKL in bone [ng/ml]. Fixed, range 20 to 80. With the decoys of the
    body half of the free RANKL is gone at 666 ng/ml. Source: as `decoy_strength`."""
    wnt_reserve: Scalar = 1.95062
    """Rise of the canonical Wnt tone when all sclerostin is bound, A_S [-]. Fit (0.28)."""
    romosozumab_half: Scalar = 3.40338
    """Romosozumab at which half of the sclerostin is bound [µg/ml]. Fit (0.52)."""
    rankl_wnt: Scalar = 0.598039
    """Fall of the logarithm of RANKL with that of the Wnt tone [-]. Fit (0.24)."""
    balance_wnt: Scalar = 0.0934693
    """Rise of the logarithm of bone balance with that of the Wnt tone [-]. Fit, not informed (0.79)."""
    uncoupled_wnt: Scalar = 2.37361
    """Uncoupled formation by lining cells at full Wnt tone [-]. Fit (0.27)."""
    rankl_teriparatide: Scalar = 0.933865
    """Rise of RANKL under 20 µg/day of teriparatide [-]. Fit (0.32)."""
    balance_teriparatide: Scalar = 0.0452708
    """Rise of bone balance under 20 µg/day of teriparatide [-]. Fit, not informed (0.80)."""
    uncoupled_teriparatide: Scalar = 1.02815
    """Uncoupled formation by lining cells under 20 µg/day of teriparatide [-]. Fit (0.23)."""
    lining_time: Scalar = 335.774
    """Time in which the reserve of lining cells comes back [day]. Fit (0.44)."""
    lining_use_wnt: Scalar = 0.0143931
    """Rate at which full Wnt tone uses up lining cells [1/day]. Fit (0.40)."""
    lining_use_teriparatide: Scalar = 0.00210058
    """Rate at which 20 µg/day of teriparatide uses up lining cells [1/day]. Fit, barely informed (0.76)."""
    bisphosphonate_time: Scalar = 2622.54
    """Time in which bisphosphonate on surfaces is lost other than by resorption [day]. Fit (0.35)."""
    bisphosphonate_capacity: Scalar = 1.1192
    """Bisphosphonate that surfaces can hold, B_max, in units that halve osteoclast activity [-]. Fit: 1 mg of
    zoledronate did half as much as 5 mg, and a second year little more than one."""
    bisphosphonate_release: Scalar = 0.5
    """Share of the bisphosphonate in resorbed bone that does not bind again [-]. Fixed, assumed."""
    zoledronate_uptake: Scalar = 2.59422
    """What 5 mg of zoledronate would put on bare surfaces without a limit, in units that halve osteoclast activity
    [-]. Fit."""
    disuse_burst: Scalar = 0.670936
    """Passing rise of RANKL per relative loss of stimulus [-]. A switch, assumed 0.8 where it is on: osteocytes
    that die of disuse call osteoclasts. Source of the idea: Aguirre et al. 2006, J. Bone Miner. Res.
    21:605-615, doi:10.1359/jbmr.060107."""
    disuse_burst_time: Scalar = 90.0
    """Time in which that rise passes [day]. Assumed."""
    damage_resorption: Scalar = 0.0
    """Rise of resorption per microdamage above that of the reference, a_D [-]. Assumed; a switch, 0.2 where on."""
    damage_exponent: Scalar = 8.0
    """Exponent of strain in the making of microdamage, q [-]. Assumed, range 8 to 10."""
    woven_rate: Scalar = 0.0
    """Woven bone that a surface far above habitual strain lays down, mu_w [mm/day]. Assumed; a switch, 0.001 where
    on, range 0 to 0.005."""
    woven_onset: Scalar = 3.9
    """Strain relative to habitual strain at half of that rate [-]. Assumed: 3500 microstrain over 900."""
    woven_width: Scalar = 0.33
    """Width of the onset in the same [-]. Assumed: 300 microstrain over 900."""

    # Surface, volume, mineral, stiffness
    resorption_rate: Scalar = 3.61131e-05
    """Resorption per bone surface in the reference state, R_0 [mm/day]. Fit (0.12)."""
    perforation_fraction: Scalar = 0.005
    """Volume fraction at which half of the surface is lost by perforation [-]. Assumed."""
    osteoid_time: Scalar = 22.0
    """Time from osteoid to mineralised matrix [day]. Fixed: 12 of lag, 10 of primary mineralisation. Source:
    Martínez-Reina & Pivonka 2019."""
    primary_mineral: Scalar = 0.121
    """Mineral volume per matrix volume after primary mineralisation [-]. Fixed. Source: as `osteoid_time`."""
    fast_mineral_limit: Scalar = 0.3
    """Mineral volume per matrix volume at which the fast pool is full [-]. Fixed, from 0.442 of
    Martínez-Reina & Pivonka 2019, lowered until tissue mineral density agrees with scans."""
    fast_mineral_rate: Scalar = 0.0148719
    """Rate at which the fast pool fills [1/day]. Fit (0.46)."""
    slow_mineral_limit: Scalar = 0.0447871
    """Mineral volume per matrix volume at which the slow pool is full [-]. Fit, in effect assumed (0.39)."""
    slow_mineral_rate: Scalar = 0.000647005
    """Rate at which the slow pool fills [1/day]. Fit, in effect assumed (0.49). Source of the prior: Ruffoni
    et al. 2007, Bone 40:1308-1319, doi:10.1016/j.bone.2006.11.012."""
    modulus_exponent: Scalar = 2.58
    """Exponent of bone volume fraction in Young's modulus, b [-]. Source: Hernandez et al. 2001, Bone
    29:74-78, doi:10.1016/S8756-3282(01)00467-7."""
    ash_exponent: Scalar = 2.74
    """Exponent of ash fraction in Young's modulus [-]. Source: as `modulus_exponent`."""

    # Hormones
    estradiol_half_effect: Scalar = 15.06
    """Estradiol at half effect on bone [pg/ml, mass spectrometry]. Fit (0.28)."""
    testosterone_half_effect: Scalar = 200.0
    """Testosterone at half effect on bone, men [ng/dl]. Fixed. Source: Finkelstein et al. 2016, J. Clin.
    Invest. 126:1114-1125, doi:10.1172/JCI84137 (200 suffice)."""
    transdermal_gain: Scalar = 0.506284
    """Estradiol in serum per transdermal dose [pg/ml per µg/day]. Range 0.27 to 0.74 between trials."""
    raloxifene_estradiol: Scalar = 8.16468
    """Estradiol that 60 mg/day of raloxifene is worth to bone [pg/ml]. Fit (0.23)."""
    glucocorticoid_half_effect: Scalar = 7.5
    """Glucocorticoid at half effect [mg/day of prednisone]. Fixed."""
    glucocorticoid_time: Scalar = 120.0
    """Time in which resorption gets used to a glucocorticoid [day]. Fixed."""

    # What a clinic measures
    resorption_marker_exponent: Scalar = 1.03179
    """Exponent from resorption to serum CTX [-]. Fit (0.08)."""
    formation_marker_exponent: Scalar = 1.36967
    """Exponent from formation to serum P1NP [-]. Fit (0.11)."""
    spine_trabecular: Scalar = 0.866945
    """Share of the mineral of the lumbar spine in trabecular bone [-]. Fit (0.09)."""
    spine_endocortical: Scalar = 0.173049
    """Share of the mineral of the lumbar spine in endocortical bone [-]. Fit, not informed (0.30)."""
    hip_trabecular: Scalar = 0.309098
    """Share of the mineral of the total hip in trabecular bone [-]. Fit (0.14)."""
    hip_endocortical: Scalar = 0.263879
    """Share of the mineral of the total hip in endocortical bone [-]. Fit, not informed (0.29)."""
    neck_trabecular: Scalar = 0.31157
    """Share of the mineral of the femoral neck in trabecular bone [-]. Assumed."""
    neck_endocortical: Scalar = 0.288464
    """Share of the mineral of the femoral neck in endocortical bone [-]. Assumed: its cortex is thin and porous."""
