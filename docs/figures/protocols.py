"""Six protocols over ten years on two bones in three dimensions, beside the same bones without space.

    python docs/figures/protocols.py [--shared ../shared]

The trabecular specimen of the demo ships with the package; the vertebra needs the reference data, without which it is
left out. Writes docs/pictures/protocols-{specimen,vertebra}.png and docs/pictures/protocols.csv; some twenty minutes on
two cores. Both bones are those of a woman of 60 on day 0.
"""

import argparse
import csv
import time
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from fem.loads import Hold, load_case
from mechanostat.bones import Recipe, prepare_bone
from mechanostat.curves import ARM_COLOURS
from mechanostat.demonstration import STUDY
from mechanostat.modelling import model_of, read_subject
from mechanostat.pictures import INK, QUIET, blank_figure, png
from mechanostat.study_file import parse_study
from mechanostat.systemic import systemic
from meshes.image import read_image
from meshes.voxel import node_coordinates
from remodel.activity import habitual_life, with_training
from remodel.model import Model, Settings, State
from remodel.person import DAYS_PER_YEAR, Person
from remodel.preparation import HabitualLoad, prepare
from remodel.simulation import run
from remodel.treatment import Protocol, treatment

jax.config.update("jax_enable_x64", True)

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
BANNER = "Not validated in 3-D: a prediction of the model, not a measurement"
WOMAN = {"sex": "female", "age": 60.0}
YEARS = 10.0
DISK = 2500.0  # modulus of the disks of the vertebra's benchmark [MPa]

PROTOCOLS: dict[str, Protocol] = {
    "untreated": (),
    "estradiol patch, 50 µg": (treatment("estradiol-transdermal", 50.0),),
    "training": (),
    "alendronate, 70 mg a week": (treatment("alendronate", 70.0),),
    "denosumab, 60 mg in half a year": (treatment("denosumab", 60.0),),
    "romosozumab a year, then alendronate": (
        treatment("romosozumab", 210.0, stop_day=DAYS_PER_YEAR),
        treatment("alendronate", 70.0, start_day=DAYS_PER_YEAR),
    ),
}


class Curves(NamedTuple):
    """What became of a bone, relative to day 0."""

    years: np.ndarray
    density: np.ndarray
    strength: np.ndarray
    alone_density: np.ndarray
    alone_stiffness: np.ndarray


def specimen() -> tuple[Model, State]:
    """Return the trabecular specimen of the demo."""
    with resources.as_file(resources.files("mechanostat") / "data") as folder:
        study = parse_study({**STUDY, "person": WOMAN}, folder=folder, name="specimen")
        return model_of(study, read_subject(study, folder).bone)


def vertebra(shared: Path) -> tuple[Model, State]:
    """Return the second lumbar vertebra of a clinical CT between two disks, under 400 N."""
    folder = shared / "data" / "D3_vertebra_L2_verse004"
    quantity = "mineral density [mg K2HPO4/cm3]"
    scan = read_image(folder / "sub-verse004_0000_vertebra_21_im.nii.gz", quantity=quantity)
    labels = read_image(folder / "sub-verse004_0000_vertebra_21_seg.nii.gz")
    regions = {"trabecular": (1, 3), "cortical": (2, 4), "lower disk": (5,), "upper disk": (6,)}
    recipe = Recipe(labels=(1, 2, 3, 4, 5, 6), density_law="kopperdahl-vertebra", regions=regions)
    bone = prepare_bone(scan, recipe, labels=labels)
    ends = []
    for name, extreme in (("lower disk", np.min), ("upper disk", np.max)):
        nodes = np.unique(bone.mesh.connectivity[bone.regions[name]])
        height = node_coordinates(bone.mesh)[nodes, 2]
        ends.append(nodes[height == extreme(height)])
    holds = [Hold(ends[0], 2), Hold(ends[1], 2, -0.2)]
    case = load_case(bone.mesh, holds=holds, loaded=ends[1], name="disks", motion=-0.2)
    disks = bone.regions["lower disk"] | bone.regions["upper disk"]
    return prepare(
        bone.mesh,
        bone.volume_fraction,
        np.where(disks, DISK, bone.modulus),
        loads=[HabitualLoad("standing", case, -400.0)],
        tests=[case],
        person=Person(**WOMAN),
        living=~disks,
        regions={name: bone.regions[name] for name in ("trabecular", "cortical")},
        settings=Settings(step_days=120, precision="mixed"),
    )


def follow(model: Model, state: State, name: str) -> Curves:
    """Return ten years of a bone under a protocol; all begin on day 0, so that the bone is prepared once."""
    cases = len(model.load_names)
    plan = habitual_life(cases)
    if name == "training":
        plan = with_training(plan, start_day=0.0, stop_day=1e6, sets_per_week=40.0, repetitions=5.0, load=2.5)
    protocol = jax.tree.map(lambda number: jnp.asarray(number, float), PROTOCOLS[name])
    plan = jax.tree.map(lambda number: jnp.asarray(number, float), plan)
    model = eqx.tree_at(lambda m: (m.protocol, m.activity), model, (protocol, plan))
    seen = run(model, state, years=YEARS, report_days=360).observations
    days = [int(day) for day in seen.day]
    alone = systemic(model, days).without_space
    density = np.asarray(seen.mineral_density)[:, model.region_names.index("bone")]
    strength = np.asarray(seen.failure_load)[:, 0]
    return Curves(
        np.asarray(days) / DAYS_PER_YEAR,
        density / density[0],
        strength / strength[0],
        np.asarray(alone["mineral"]),
        np.asarray(alone["stiffness"]),
    )


def draw(title: str, curves: dict[str, Curves]) -> Figure:
    """Return density and strength of a bone: in three dimensions as lines, without space as dots."""
    figure = blank_figure(11.8, 5.4, title, BANNER)
    grid = figure.add_gridspec(1, 2, left=0.06, right=0.98, top=0.72, bottom=0.16, wspace=0.16)
    pairs = (
        ("Bone mineral density [change in %]", "density", "alone_density"),
        ("Failure load; without space stiffness [change in %]", "strength", "alone_stiffness"),
    )
    for number, (name, space, alone) in enumerate(pairs):
        axes = figure.add_subplot(grid[0, number])
        for place, found in enumerate(curves.values()):
            colour = ARM_COLOURS[place % len(ARM_COLOURS)]
            axes.plot(found.years, 100.0 * (getattr(found, space) - 1.0), color=colour, lw=1.8)
            axes.plot(found.years, 100.0 * (getattr(found, alone) - 1.0), ":", color=colour, lw=1.8)
        axes.set_title(name, loc="left", fontsize=10.5, color=INK)
        axes.axhline(0.0, color=QUIET, lw=0.7)
        axes.set_xlabel("years")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dfe3e8", lw=0.7)
    handles = [
        figure.axes[0].plot([], [], color=ARM_COLOURS[k % len(ARM_COLOURS)], lw=1.8, label=name)[0]
        for k, name in enumerate(curves)
    ]
    for style, label in (("-", "in three dimensions"), (":", "each element alone")):
        handles.append(figure.axes[0].plot([], [], style, color=QUIET, lw=1.8, label=label)[0])
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.05, 0.93), ncols=4, frameon=False, fontsize=9
    )
    return figure


def main() -> None:
    """Run all, draw, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[3] / "shared")
    shared = parser.parse_args().shared
    bones = {"specimen": ("Trabecular specimen of a first lumbar vertebra", specimen)}
    if (shared / "data").is_dir():
        bones["vertebra"] = ("Second lumbar vertebra between its disks", lambda: vertebra(shared))
    rows = []
    for bone, (title, make) in bones.items():
        model, state = make()
        curves = {}
        for name in PROTOCOLS:
            begun = time.perf_counter()
            curves[name] = found = follow(model, state, name)
            ends = [100.0 * (float(values[-1]) - 1.0) for values in found[1:]]
            print(
                f"{bone}, {name}: {', '.join(f'{end:+.1f} %' for end in ends)}; {time.perf_counter() - begun:.0f} s"
            )
            rows += [(bone, name, *(f"{value:.6g}" for value in row)) for row in zip(*found, strict=True)]
        (PICTURES / f"protocols-{bone}.png").write_bytes(png(draw(title, curves)))
    with (PICTURES / "protocols.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("bone", "protocol", *Curves._fields))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
