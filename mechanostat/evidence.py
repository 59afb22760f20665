"""What a study rests on: which part is validated, fitted or assumed. Printed in every report.

Status words: `validated` against other engines or closed formulas, within the tolerance named; `fitted` to clinical
results with the model without space; `assumed` with no human datum of the size behind it.
"""

from collections.abc import Iterable

from mechanostat.report import Claim
from remodel.agents import AGENTS

CLAIMS = (
    Claim(
        "Strain, stiffness, failure load on the day of the scan",
        "validated",
        "Voxel finite elements agree with FAIM's cubes to 1e-6, with FAIM's tibia section to 0.1 % and with a "
        "CalculiX solve of 247 062 elements to 1e-5. That a scan's modulus is that of this person's bone is not.",
        "tests/test_validation_faim.py, tests/test_validation_calculix.py",
    ),
    Claim(
        "Pistoia's failure load",
        "fitted",
        "Tuned on distal radii at 165 µm; elsewhere, and at other voxel sizes, a relative index.",
        "Pistoia et al. 2002, doi:10.1016/S8756-3282(02)00736-6",
    ),
    Claim(
        "Estradiol and testosterone over the years",
        "fitted",
        "Mean curves; timing of menopause from bone loss in SWAN. A person's own levels differ widely.",
        "Greendale et al. 2012, doi:10.1002/jbmr.534",
    ),
    Claim(
        "Estradiol raises RANKL when it is lost",
        "fitted",
        "The best founded hormone action: turnover markers after menopause and under replacement.",
        "Eghbali-Fatourechi et al. 2003, doi:10.1172/JCI17215",
    ),
    Claim(
        "Response of remodeling to load",
        "fitted",
        "Gains from exercise and disuse trials in the model without space; no lazy zone, as in people.",
        "Christen et al. 2014, doi:10.1038/ncomms5855",
    ),
    Claim(
        "Estradiol moves the set point of bone",
        "assumed",
        "The founding thesis; clinical data do not identify it. Small by default, a field of the study.",
        "Frost 1987, doi:10.1002/ar.1092190104",
    ),
    Claim(
        "Secondary mineralisation",
        "assumed",
        "Published rates differ thirteenfold; it decides how much of a gain in density is strength.",
        "Ruffoni et al. 2007, doi:10.1016/j.bone.2006.11.012",
    ),
    Claim(
        "The scanned bone is what its own habitual loads keep",
        "assumed",
        "Each place is compared with its own past. Focal disease, recent immobility or implants break this.",
        "remodel/history.py, remodel/reference.py",
    ),
    Claim(
        "Habitual loads of the study",
        "assumed",
        "Their direction and size are the study's, not measured. With the local reference an error of size "
        "cancels to first order; an error of direction does not.",
        "the study file",
    ),
    Claim(
        "Change of density and strength in three dimensions",
        "assumed",
        "The calibration without space is carried over unchanged. Not validated in 3-D.",
        "docs/limits.md",
    ),
    Claim(
        "Direct action of testosterone in men",
        "assumed",
        "The calibration misses four of its clinical targets in men.",
        "docs/limits.md",
    ),
)
"""All claims, the surest first."""

STATUS = {
    "established": "fitted",
    "direction known, size fitted": "fitted",
    "assumed": "assumed",
}
"""What a report calls how well the action of an agent is known."""


def claims_of_agents(agents: Iterable[str]) -> list[Claim]:
    """Return what is known of hormones and drugs: what each is, the one place where it acts, how well that is known.

    Args:
        agents: Names in `remodel.agents.AGENTS`; each is told once.
    """
    return [
        Claim(
            name,
            STATUS[AGENTS[name].status],
            f"{AGENTS[name].about} It acts on {AGENTS[name].acts_on}. How well known: {AGENTS[name].status}.",
            AGENTS[name].source,
        )
        for name in dict.fromkeys(agents)
    ]


SOURCES = (
    "Pistoia W et al. 2002. Estimation of distal radius failure load with micro-finite element analysis "
    "models based on three-dimensional peripheral quantitative computed tomography images. Bone 30:842-848.",
    "Beaupré GS, Orr TE, Carter DR 1990. An approach for time-dependent bone modeling and remodeling. "
    "J. Orthop. Res. 8:651-661.",
    "Martin RB 1984. Porosity and specific surface of bone. Crit. Rev. Biomed. Eng. 10:179-222.",
    "Martínez-Reina J, Pivonka P 2019. Effects of long-term treatment of denosumab on bone mineral density. "
    "Math. Biosci. Eng. 16:2063-2089.",
    "Greendale GA et al. 2012. Bone mineral density loss in relation to the final menstrual period. "
    "J. Bone Miner. Res. 27:111-118.",
)
"""What the law is made of, for the end of a report."""
