"""The pictures and the report of one study, or of several that differ in treatment."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fem.loads import LoadCase
from mechanostat.curves import Panel, Span, curves_figure
from mechanostat.evidence import CLAIMS, SOURCES, claims_of_agents
from mechanostat.files import write_bytes
from mechanostat.modelling import strength_test
from mechanostat.pictures import (
    BANNER,
    change_limit,
    density_layers,
    load_case_figure,
    png,
    slices_figure,
    strain_layers,
    surface_figure,
)
from mechanostat.report import Claim, DataTable, Headline, Picture, Report, write_report
from mechanostat.running import Course
from mechanostat.study import Study
from meshes.voxel import on_grid
from remodel.person import DAYS_PER_YEAR

LEVEL_PANELS = (
    ("estradiol_pg_per_ml", "Estradiol", "pg/ml"),
    ("testosterone_ng_per_dl", "Testosterone", "ng/dl"),
    ("progesterone_ng_per_ml", "Progesterone", "ng/ml"),
    ("igf1_ng_per_ml", "IGF-1", "ng/ml"),
    ("pth_pmol_per_l", "Parathyroid hormone", "pmol/l"),
    ("glucocorticoid_mg_per_day", "Glucocorticoid, as prednisone", "mg/day"),
    ("denosumab_ng_per_ml", "Denosumab", "ng/ml"),
    ("romosozumab_ug_per_ml", "Romosozumab", "µg/ml"),
    ("teriparatide_per_20_ug_per_day", "Teriparatide, per 20 µg/day", ""),
    ("rankl_to_osteoprotegerin", "RANKL / OPG, relative", ""),
)
"""Levels that are drawn where they change during a study."""

MARKER_PANELS = (
    ("resorption", "Resorption in this bone, relative"),
    ("formation", "Formation in this bone, relative"),
    ("ctx", "Serum CTX of the skeleton, relative"),
    ("p1np", "Serum P1NP of the skeleton, relative"),
)
"""Turnover that is drawn."""

Arms = Mapping[str, Course]
"""Studies of one bone by the name of what differs; one alone needs none and may be called ""."""


def write_study_report(out: Path, arms: Arms) -> None:
    """Write the pictures and `report.html` of studies of one bone, as far as they ask for them.

    Args:
        out: Folder; pictures go into `pictures/`.
        arms: The studies; all of the same bone and times, all converged.
    """
    wanted = next(iter(arms.values())).study.output
    if not wanted.pictures and not wanted.report:
        return
    pictures, curves = draw_pictures(arms), draw_curves(arms)
    if wanted.pictures:
        folder = out / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in (pictures | curves).items():
            write_bytes(folder / f"{name}.png", picture.png)
    if wanted.report:
        write_report(out / "report.html", report_of(arms, list(pictures.values()), list(curves.values())))


def draw_pictures(arms: Arms) -> dict[str, Picture]:
    """Return the pictures of the bone: load case, surface, density and strain, by file name."""
    first = next(iter(arms.values()))
    mesh, study = first.subject.bone.mesh, first.study
    test = strength_test(study, mesh)
    drawn = {}
    years = f"after {_years(study)}"
    grids = {
        name: [_grid(course, fields["volume_fraction"], 0.0) for fields in (course.first, course.last)]
        for name, course in arms.items()
    }
    limit = max(
        change_limit(before, after) for before, after in grids.values()
    )  # slices of all arms on one scale
    for name, course in arms.items():
        before, after = grids[name]
        names = ("at the scan", years)
        title = _capital(name or study.title)
        drawn[_joined("surface", _slug(name))] = Picture(
            _capital(
                f"{_arm(name)}the bone at the scan, {years}, and where it was lost (red) and gained (blue)."
            ),
            png(surface_figure(before, after, mesh.spacing, title=title, names=names)),
        )
        layers = density_layers(_hollow(before), _hollow(after), names=names, limit=limit)
        strains = [
            _grid(course, fields["effective_strain"], np.nan) for fields in (course.first, course.last)
        ]
        layers += strain_layers(strains[0], strains[1], names=names)
        drawn[_joined("slices", _slug(name))] = Picture(
            _capital(
                f"{_arm(name)}slices through the middle. The strain is that of the strength test, {_imposed(test)}, "
                "the same at both times."
            ),
            png(slices_figure(layers, mesh.spacing, title=title, banner=BANNER)),
        )
    drawn["load-case"] = Picture(
        f"The strength test: {test.name} along {study.strength.axis}, {_imposed(test)}. Blue nodes are held, orange "
        "ones moved.",
        png(load_case_figure(mesh, test, title="Strength test")),
        small=True,
    )
    return drawn


def draw_curves(arms: Arms) -> dict[str, Picture]:
    """Return the curves over time of all arms in one picture."""
    first = next(iter(arms.values()))
    results = {name or "this study": course.result.outcomes for name, course in arms.items()}
    test = first.study.strength.case
    regions = list(first.result.outcomes.bone_mineral_density)
    panels = [
        Panel("Bone volume", "mm³", {name: o.bone_volume for name, o in results.items()}, relative=True),
        Panel(
            "Bone volume without space",
            "",
            {name: o.without_space["bone_volume"] for name, o in results.items()},
            relative=True,
        ),
        Panel(
            "Failure load", "N", {name: o.failure_load[test] for name, o in results.items()}, relative=True
        ),
        *(
            Panel(
                f"Mineral density, {region}",
                "mg HA/cm³",
                {name: o.bone_mineral_density[region] for name, o in results.items()},
                relative=True,
            )
            for region in regions
        ),
        Panel("Stiffness", "N/mm", {name: o.stiffness[test] for name, o in results.items()}, relative=True),
        Panel(
            "Stiffness without space",
            "",
            {name: o.without_space["stiffness"] for name, o in results.items()},
            relative=True,
        ),
        *(
            Panel(title, unit, {name: o.levels[level] for name, o in results.items()})
            for level, title, unit in LEVEL_PANELS
            if any(_moves(o.levels[level]) for o in results.values())
        ),
        Panel("Set point", "", {name: o.levels["set_point"] for name, o in results.items()}),
        *(
            Panel(title, "", {name: o.markers[marker] for name, o in results.items()})
            for marker, title in MARKER_PANELS
        ),
    ]
    person = first.study.person
    menopause = (person.menopause_age or 51.0) if person.sex == "female" else None
    figure = curves_figure(
        first.result.times_days,
        panels,
        title=first.study.title,
        age=person.age,
        menopause_age=menopause,
        spans=_spans(arms),
        banner=BANNER,
    )
    return {"curves": Picture("Bone, strength, hormones and set point over the years.", png(figure))}


def report_of(arms: Arms, pictures: Sequence[Picture], curves: Sequence[Picture]) -> Report:
    """Return the report of studies of one bone."""
    first = next(iter(arms.values()))
    study, result = first.study, first.result
    return Report(
        title=study.title,
        summary=_summary(arms),
        headlines=_headlines(arms),
        bone=first.subject.bone.steps,
        pictures=pictures,
        curves=curves,
        tables=[_outcome_table(name, course) for name, course in arms.items()],
        solves=_solve_table(arms),
        claims=_claims(arms),
        sources=SOURCES,
        credit=study.bone.credit,
        licence=study.bone.licence,
        provenance=[
            ("device", result.device),
            ("precision", result.precision),
            ("preconditioner", result.preconditioner),
            ("scan, SHA-256", result.input.sha256),
            *(
                (_joined("study, SHA-256", name, sign=", "), course.result.study_sha256)
                for name, course in arms.items()
            ),
            *result.versions.items(),
        ],
        predicts=True,
    )


def change(values: Sequence[float | None]) -> float:
    """Return the change from the first value to the last, as a fraction [-]."""
    first, last = values[0], values[-1]
    return float("nan") if first is None or last is None else last / first - 1.0


def percent(fraction: float) -> str:
    """Return a change as people read it: sign, one decimal, percent, on one line."""
    return f"{100.0 * fraction:+.1f}\N{NO-BREAK SPACE}%".replace("-", "−")


def aligned(column: Sequence[float | None]) -> list[str]:
    """Return a column with the same decimals everywhere: four digits of its largest number."""
    largest = max((abs(value) for value in column if value), default=1.0)
    decimals = max(0, 3 - math.floor(math.log10(largest)))
    return ["–" if value is None else f"{value:.{decimals}f}" for value in column]


def _summary(arms: Arms) -> str:
    first = next(iter(arms.values()))
    person = first.study.person
    who = f"a {'woman' if person.sex == 'female' else 'man'} of {person.age:g}"
    told = "; ".join(
        f"{_arm(name)}bone volume {percent(change(course.result.outcomes.bone_volume))}, failure load "
        f"{percent(change(course.result.outcomes.failure_load[course.study.strength.case]))}"
        for name, course in arms.items()
    )
    return f"The bone of {who} years over {_years(first.study)}. {_capital(told)}."


def _headlines(arms: Arms) -> list[Headline]:
    cards = []
    for name, course in arms.items():
        outcomes, case = course.result.outcomes, course.study.strength.case
        strength = outcomes.failure_load[case]
        cards.append(
            Headline(
                _joined("Bone volume", name, sign=", "),
                percent(change(outcomes.bone_volume)),
                _from_to(outcomes.bone_volume, "mm³"),
            )
        )
        label = _joined("Failure load", name, sign=", ")
        cards.append(Headline(label, percent(change(strength)), _from_to(strength, "N")))
    return cards


def _outcome_table(name: str, course: Course) -> DataTable:
    outcomes, case = course.result.outcomes, course.study.strength.case
    density = outcomes.bone_mineral_density
    headings = [
        "year", "bone volume [mm³]", *(f"density, {region} [mg HA/cm³]" for region in density),
        "stiffness [N/mm]", "failure load [N]", "estradiol [pg/ml]", "set point",
    ]  # fmt: skip
    columns = [
        outcomes.bone_volume, *density.values(), outcomes.stiffness[case], outcomes.failure_load[case],
        outcomes.levels["estradiol_pg_per_ml"], outcomes.levels["set_point"],
    ]  # fmt: skip
    years = [f"{day / DAYS_PER_YEAR:.2f}" for day in course.result.times_days]
    rows = list(zip(years, *map(aligned, columns), strict=True))
    return DataTable(
        _capital(name or "this study"), headings, rows, "Digits for reading; outcomes.csv has all of them."
    )


def _claims(arms: Arms) -> list[Claim]:
    """Return what the studies rest on: remarks on their treatments first, then the agents, then the model."""
    said = [
        Claim(_capital(name or "this study"), "assumed", text)
        for name, course in arms.items()
        for text in course.result.remarks
    ]
    agents = [part.agent for course in arms.values() for part in course.study.protocol]
    return [*said, *claims_of_agents(agents), *CLAIMS]


def _solve_table(arms: Arms) -> DataTable:
    rows = []
    for name, course in arms.items():
        for case in dict.fromkeys(solve.case for solve in course.result.solves):
            ends = [solve for solve in course.result.solves if solve.case == case]
            statuses = sorted({solve.status for solve in ends})
            most = max(solve.iterations for solve in ends)
            worst = max(solve.residual for solve in ends)
            rows.append(
                (_joined(name, case, sign=", "), ", ".join(statuses), len(ends), most, f"{worst:.1e}")
            )
    note = "Residual: |f - K u| / |f|, computed anew at the end of each solve; the largest between two reports counts."
    return DataTable(
        "How the solves ended",
        ("load case", "ended", "reports", "most iterations", "residual"),
        rows,
        note,
    )


def _arm(name: str) -> str:
    return f"{name}: " if name else ""


def _joined(*parts: str, sign: str = "-") -> str:
    return sign.join(part for part in parts if part)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _moves(values: Sequence[float]) -> bool:
    """Return whether a level changes by more than one per cent of its largest value."""
    return max(values) - min(values) > 0.01 * max(abs(value) for value in values)


def _from_to(values: Sequence[float | None], unit: str) -> str:
    first, last = aligned((values[0], values[-1]))
    return f"from {first} to {last} {unit}"


def _years(study: Study) -> str:
    return "1 year" if study.time.years == 1.0 else f"{study.time.years:g} years"


def _imposed(test: LoadCase) -> str:
    if test.response >= 3:
        return f"turned by {math.degrees(test.strain):.3g}°"
    return f"{100.0 * test.strain:g} % strain".replace("-", "−")


def _spans(arms: Arms) -> list[Span]:
    spans = {}
    for course in arms.values():
        study, end = course.study, course.result.times_days[-1] / DAYS_PER_YEAR
        for window in study.protocol:
            label = f"{window.agent}, {window.dose}"
            spans[label] = Span(label, max(window.start_years, 0.0), window.stop_years or end)
        for window in study.activity:
            label = window.kind.replace("_", " ")
            spans[label] = Span(label, window.start_years, window.stop_years or end)
    return list(spans.values())


def _grid(
    course: Course, field: Float[np.ndarray, " elements"], fill: float
) -> Float[np.ndarray, "nx ny nz"]:
    return on_grid(course.subject.bone.mesh, field.astype(np.float64), fill=fill)


def _hollow(fraction: Float[np.ndarray, "nx ny nz"]) -> Float[np.ndarray, "nx ny nz"]:
    return np.where(fraction > 0.0, fraction, np.nan)


def _slug(name: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))
