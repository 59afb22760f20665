"""Draws the figures of docs/hormones.md from the model without space, and prints the numbers that the page quotes.

    python docs/figures/biology.py

Writes docs/pictures/{levels,estrogen-and-exercise,sequences,dose-response,envelope}.png; a minute on two cores.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechanostat.curves import ARM_COLOURS, LINE_STYLES
from mechanostat.pictures import INK, blank_figure, png
from remodel.activity import ActivityPlan, habitual_life, with_training
from remodel.hormones import hormone_signals
from remodel.hypotheses import HYPOTHESES, under
from remodel.parameters import Parameters
from remodel.person import DAYS_PER_YEAR, Person
from remodel.skeleton import PersonCourse, areal_density, follow_person
from remodel.treatment import Protocol, treatment

jax.config.update("jax_enable_x64", True)

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
BANNER = "Model without space: a prediction, not a measurement, no medical advice"
MONTH = DAYS_PER_YEAR / 12.0
LAW = jax.tree.map(lambda number: jnp.asarray(number, float), Parameters())
LAWS = {"fitted": LAW} | {name: under(LAW, name) for name in HYPOTHESES}
REST = habitual_life(1)
TRAINING = with_training(
    REST, start_day=0.0, stop_day=1e6, sets_per_week=40.0, repetitions=5.0, load=2.5
)  # as in `with_training`: twice a week, heavy


@eqx.filter_jit
def follow(
    person: Person, protocol: Protocol, plan: ActivityPlan, law: Parameters, before: Protocol, *, months: int
) -> PersonCourse:
    """Return a person's months."""
    return follow_person(person, before, protocol, plan, law, months=months)


def spine(
    person: Person,
    protocol: Protocol = (),
    plan: ActivityPlan = REST,
    law: Parameters = LAW,
    before: Protocol = (),
    *,
    months: int,
) -> np.ndarray:
    """Return the change of lumbar areal density since day 0 in percent, month by month."""
    course = follow(person, protocol, plan, law, before, months=months)
    density = np.asarray(areal_density(course, "lumbar spine", law))
    return 100.0 * (density / density[0] - 1.0)


def panel(axes: Axes, title: str, across: str) -> None:
    """Give a panel its title, the name of its axis and a quiet frame."""
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel(across, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(color="#dfe3e8", lw=0.7)
    axes.tick_params(labelsize=9)


def panels(rows: int, title: str) -> tuple[Figure, list[Axes]]:
    """Return a figure of two columns of panels, row by row."""
    height = 3.3 * rows + 1.2
    figure = blank_figure(11.8, height, title, BANNER)
    grid = figure.add_gridspec(
        rows, 2, left=0.06, right=0.98, top=1 - 0.85 / height, bottom=0.95 / height, hspace=0.42, wspace=0.16
    )
    return figure, [figure.add_subplot(grid[k // 2, k % 2]) for k in range(2 * rows)]


def line(axes: Axes, x, y, number: int, label: str) -> None:
    """Draw one curve in the colour and style of its number."""
    colour, style = ARM_COLOURS[number % len(ARM_COLOURS)], LINE_STYLES[number % len(LINE_STYLES)]
    axes.plot(x, y, style, color=colour, lw=1.8, label=label)


def levels() -> Figure:
    """Return hormones and drugs in serum over time."""
    figure, (life, patch, shot, injected) = panels(2, "Hormones and drugs in serum")
    ages = np.linspace(20.0, 90.0, 281)
    people = {
        "woman, menopause at 51": Person("female", 40.0),
        "ovaries removed at 45": Person("female", 40.0, oophorectomy=45.0),
        "man": Person("male", 40.0),
    }
    for number, (name, person) in enumerate(people.items()):
        signals = hormone_signals(person, (), jnp.asarray((ages - 40.0) * DAYS_PER_YEAR), LAW)
        line(life, ages, signals.estradiol, number, name)
    panel(life, "Estradiol, mean of the cycle [pg/ml]", "age [years]")
    days, woman, man = np.linspace(-20.0, 200.0, 881), Person("female", 60.0), Person("male", 60.0)
    given = {
        "patch, 50 µg a day": (treatment("estradiol-transdermal", 50.0, stop_day=150.0),),
        "oral, 1 mg a day": (treatment("estradiol-oral", 1.0, stop_day=150.0),),
        "valerate, 4 mg in two weeks": (treatment("estradiol-valerate", 4.0, stop_day=150.0),),
    }
    for number, (name, protocol) in enumerate(given.items()):
        level = hormone_signals(woman, protocol, jnp.asarray(days), LAW).estradiol
        line(patch, days, level, number, name)
    panel(patch, "Estradiol of a woman of 60 [pg/ml]", "days from the start; stopped after 150")
    given = {
        "gel, 50 mg a day": (treatment("testosterone-gel", 50.0),),
        "cypionate, 100 mg a week": (treatment("testosterone-cypionate", 100.0),),
        "undecanoate, 1000 mg in twelve weeks": (treatment("testosterone-undecanoate", 1000.0),),
        "anastrozole, 1 mg a day": (treatment("anastrozole", 1.0),),
    }
    for number, (name, protocol) in enumerate(given.items()):
        level = hormone_signals(man, protocol, jnp.asarray(days), LAW).testosterone
        line(shot, days, level, number, name)
    panel(shot, "Testosterone of a man of 60 [ng/dl]; not validated", "days from the start")
    days = np.linspace(0.0, 540.0, 1081)
    antibodies = (
        treatment("denosumab", 60.0, stop_day=360.0),
        treatment("romosozumab", 210.0, stop_day=360.0),
    )
    signals = hormone_signals(woman, antibodies, jnp.asarray(days), LAW)
    line(injected, days, signals.denosumab / 1000.0, 0, "denosumab, 60 mg in half a year")
    line(injected, days, signals.romosozumab, 1, "romosozumab, 210 mg a month")
    panel(injected, "Antibodies [µg/ml]", "days from the start; stopped after 360")
    for axes in (life, patch, shot, injected):
        axes.set_ylim(top=axes.get_ylim()[1] * 1.25)
        axes.legend(frameon=False, fontsize=8.5, ncols=2, loc="upper left")
    return figure


def estrogen_and_exercise() -> Figure:
    """Return what eight months of training add at different estradiol, and whether patch and training add up."""
    figure, (gain, sums) = panels(1, "Estradiol and exercise under the hypotheses, woman of 60")
    woman = Person("female", 60.0)
    doses = np.linspace(0.0, 90.0, 7)
    estradiol = [
        float(hormone_signals(woman, (treatment("estradiol-transdermal", dose),), 0.0, LAW).estradiol)
        for dose in doses
    ]
    print(
        "training, 8 months, lumbar density [pp] at estradiol [pg/ml] "
        + ", ".join(f"{e:.0f}" for e in estradiol)
    )
    for number, (name, law) in enumerate(LAWS.items()):
        added = []
        for dose in doses:
            before = (treatment("estradiol-transdermal", jnp.asarray(dose), start_day=-3650.0),)
            trained, idle = (spine(woman, (), plan, law, before, months=8)[-1] for plan in (TRAINING, REST))
            added.append(trained - idle)
        line(gain, estradiol, added, number, name)
        print(f"  {name}: " + ", ".join(f"{a:.2f}" for a in added))
    panel(
        gain,
        "Training adds in 8 months, lumbar density [pp]",
        "estradiol, for ten years before and on [pg/ml]",
    )
    gain.set_ylim(bottom=0.0)
    gain.legend(frameon=False, fontsize=8.5)
    patch = (treatment("estradiol-transdermal", 50.0),)
    width = 0.26
    print("patch of 50 µg and training begun together, 24 months, difference to neither [pp]")
    for number, (name, law) in enumerate(LAWS.items()):
        neither = spine(woman, (), REST, law, months=24)[-1]
        alone = [
            spine(woman, protocol, plan, law, months=24)[-1] - neither
            for protocol, plan in ((patch, REST), ((), TRAINING), (patch, TRAINING))
        ]
        bars = (
            ("patch", alone[0], 0.0, 0),
            ("training", alone[1], alone[0], 0),
            ("both together", alone[2], 0.0, 1),
        )
        for part, (label, height, bottom, side) in enumerate(bars):
            place = number + (side - 0.5) * width * 1.1
            colour = ARM_COLOURS[part]
            sums.bar(place, height, width, bottom=bottom, color=colour, label=label if number == 0 else None)
        print(
            f"  {name}: patch {alone[0]:.2f}, training {alone[1]:.2f}, sum {sum(alone[:2]):.2f}, both {alone[2]:.2f}, "
            f"{100 * (alone[2] / sum(alone[:2]) - 1):+.1f} %"
        )
    panel(sums, "Patch and training begun together, 24 months [pp]", "")
    sums.set_xticks(range(len(LAWS)), list(LAWS))
    sums.set_ylim(top=1.25 * sums.get_ylim()[1])
    sums.legend(frameon=False, fontsize=8.5, ncols=3)
    return figure


def sequences() -> Figure:
    """Return four sequences of drugs beside what they are compared with."""
    figure, axes = panels(4, "Sequences, woman of 70")
    woman, months = Person("female", 70.0), 72
    year = DAYS_PER_YEAR
    rows = {
        "Romosozumab for a year, then": {
            "alendronate": (
                treatment("romosozumab", 210.0, stop_day=year),
                treatment("alendronate", 70.0, start_day=year),
            ),
            "nothing": (treatment("romosozumab", 210.0, stop_day=year),),
            "alendronate from the start, instead": (treatment("alendronate", 70.0),),
        },
        "Denosumab for two years, then": {
            "nothing": (treatment("denosumab", 60.0, stop_day=2.0 * year),),
            "denosumab": (treatment("denosumab", 60.0),),
            "nothing ever": (),
        },
        "Denosumab for two years, then zoledronate": {
            "once, after half a year": (
                treatment("denosumab", 60.0, stop_day=2.0 * year),
                treatment("zoledronate", 5.0, start_day=2.0 * year, stop_day=2.5 * year),
            ),
            "zoledronate once, nothing before": (
                treatment("zoledronate", 5.0, start_day=2.0 * year, stop_day=2.5 * year),
            ),
            "denosumab, then nothing": (treatment("denosumab", 60.0, stop_day=2.0 * year),),
        },
        "Teriparatide for two years, then": {
            "denosumab": (
                treatment("teriparatide", 20.0, stop_day=2.0 * year),
                treatment("denosumab", 60.0, start_day=2.0 * year),
            ),
            "nothing": (treatment("teriparatide", 20.0, stop_day=2.0 * year),),
            "denosumab from the start, instead": (treatment("denosumab", 60.0),),
        },
    }
    for row, (title, arms) in enumerate(rows.items()):
        density_axes, marker_axes = axes[2 * row : 2 * row + 2]
        for number, (name, protocol) in enumerate(arms.items()):
            course = follow(woman, protocol, REST, LAW, (), months=months)
            density = spine(woman, protocol, months=months)
            time = np.asarray(course.day) / year
            line(density_axes, time, density, number, name)
            marker = np.asarray(course.resorption_marker / course.resorption_marker[0])
            line(marker_axes, time, marker, number, name)
            print(
                f"{title} {name}: density "
                + ", ".join(f"{density[m]:+.1f} % at {m // 12} y" for m in (12, 24, 36, 48, 72))
                + f"; CTX {marker.min():.2f} to {marker.max():.2f} of day 0"
            )
        panel(density_axes, f"{title} [lumbar density, change in %]", "years")
        panel(marker_axes, "CTX, relative to day 0", "years")
        low, high = density_axes.get_ylim()
        density_axes.set_ylim(low, high + 0.3 * (high - low))
        density_axes.legend(frameon=False, fontsize=8.5, loc="upper left", ncols=2)
    return figure


def dose_response() -> Figure:
    """Return the lumbar density against the dose of a patch and against the interval of denosumab."""
    figure, (patch, interval) = panels(1, "Dose and response, lumbar density")
    doses = np.linspace(0.0, 100.0, 21)
    people = {
        "53, two years after menopause": Person("female", 53.0),
        "60": Person("female", 60.0),
        "72": Person("female", 72.0),
    }
    for number, (name, woman) in enumerate(people.items()):
        change = [
            spine(woman, (treatment("estradiol-transdermal", jnp.asarray(dose)),), months=24)[-1]
            for dose in doses
        ]
        line(patch, doses, change, number, name)
        print(
            f"patch, woman of {name}: "
            + ", ".join(f"{d:.0f} µg {c:+.2f} %" for d, c in zip(doses[::5], change[::5], strict=True))
        )
    panel(patch, "After 2 years [change in %]", "estradiol through the skin [µg/day]")
    patch.legend(frameon=False, fontsize=8.5, title="woman of", title_fontsize=8.5)
    months = np.array([3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 18.0, 24.0])
    found = []
    for gap in months:
        course = spine(
            Person("female", 72.0),
            (treatment("denosumab", 60.0, interval_days=jnp.asarray(gap * MONTH)),),
            months=72,
        )
        # Once the first years are over, doses far apart show how density swings between them.
        found.append((course[48:73].mean(), course[48:73].min(), course[48:73].max()))
    mean, low, high = np.asarray(found).T
    interval.fill_between(
        months, low, high, color=ARM_COLOURS[0], alpha=0.15, lw=0, label="range between doses"
    )
    line(interval, months, mean, 0, "mean of years 4 to 6")
    print(
        "denosumab 60 mg, mean of years 4 to 6: "
        + ", ".join(f"{m:.0f} months {c:+.1f} %" for m, c in zip(months, mean, strict=True))
    )
    panel(interval, "Denosumab, 60 mg, woman of 72 [change in %]", "months between doses")
    interval.set_xticks([3, 6, 9, 12, 15, 18, 21, 24])
    interval.legend(frameon=False, fontsize=8.5)
    return figure


def envelope() -> Figure:
    """Return ten years from menopause, with and without a patch, under all hypotheses."""
    figure, axes = panels(1, "Ten years from menopause: the envelope over hypotheses")
    woman, months = Person("female", 51.0), 120
    time = np.arange(months + 1) / 12.0
    arms = {"untreated": (), "patch, 50 µg": (treatment("estradiol-transdermal", 50.0),)}
    for axis, (title, plan) in zip(
        axes, {"Habitual life": REST, "With training": TRAINING}.items(), strict=True
    ):
        for number, (name, protocol) in enumerate(arms.items()):
            every = {key: spine(woman, protocol, plan, law, months=months) for key, law in LAWS.items()}
            values = np.stack(list(every.values()))
            colour = ARM_COLOURS[number]
            axis.fill_between(time, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, lw=0)
            line(axis, time, every["fitted"], number, name)
            print(
                f"{title}, {name}, ten years: "
                + ", ".join(f"{key} {v[-1]:+.1f} %" for key, v in every.items())
            )
        panel(axis, f"{title}: lumbar density [change in %]", "years from the last period")
        axis.legend(frameon=False, fontsize=8.5)
    low, high = (f(axis.get_ylim()[k] for axis in axes) for k, f in enumerate((min, max)))
    for axis in axes:
        axis.set_ylim(low, high)
    return figure


def main() -> None:
    """Draw all figures."""
    for name, draw in {
        "levels": levels,
        "estrogen-and-exercise": estrogen_and_exercise,
        "sequences": sequences,
        "dose-response": dose_response,
        "envelope": envelope,
    }.items():
        (PICTURES / f"{name}.png").write_bytes(png(draw()))


if __name__ == "__main__":
    main()
