"""The command `mechanostat`.

Heavy modules are imported inside the commands: `mechanostat --help` must not wait for JAX.
"""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mechanostat.command import DONE, NOT_CONVERGED, AsJson, DeviceChoice, Out, Quiet, begun, ended
from mechanostat.console import Reporter, print_json

app = typer.Typer(
    help="Bone strength and remodeling by finite elements. No output is medical advice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Case(StrEnum):
    """The load cases, under FAIM's names."""

    axial = "axial"
    uniaxial = "uniaxial"
    confined = "confined"
    symshear = "symshear"
    dshear = "dshear"
    bending = "bending"
    torsion = "torsion"


class Axis(StrEnum):
    """The axis of a load case."""

    x = "x"
    y = "y"
    z = "z"


class PrecisionName(StrEnum):
    """Arithmetic of a solve."""

    single = "single"
    mixed = "mixed"
    double = "double"


def spacing_of(text: str | None) -> float | tuple[float, float, float] | None:
    """Return `--spacing` as one number or three [mm].

    Raises:
        ValueError: Where it is neither.
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) == 3:
        return numbers[0], numbers[1], numbers[2]
    raise ValueError(
        f"`--spacing` is one edge of a voxel in mm or three, such as 0.05 or 0.06,0.06,0.08, got {text!r}."
    )


def labels_of(text: str | None) -> tuple[int, ...] | None:
    """Return `--labels` as numbers.

    Raises:
        ValueError: Where it is no list of integers.
    """
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"`--labels` is a list of integers such as 1,2, got {text!r}.") from None


@app.command()
@ended
def solve(
    scan: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Image of a bone: a file, or a folder of slices.")
    ],
    out: Out,
    case: Annotated[Case, typer.Option(help="Load case.")] = Case.axial,
    spacing: Annotated[
        str | None, typer.Option(help="Edges of a voxel [mm], S or SX,SY,SZ, where the file has none.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Bone is where the value is at least this.")] = None,
    labels: Annotated[str | None, typer.Option(help="Labels that are bone, such as 1,2.")] = None,
    density_law: Annotated[str | None, typer.Option(help="Law from calibrated density to modulus.")] = None,
    density: Annotated[
        str | None, typer.Option(help="HA or K2HPO4: the values already are its mg/cm³.")
    ] = None,
    modulus: Annotated[float, typer.Option(help="Young's modulus of dense bone [MPa].")] = 18000.0,
    poisson: Annotated[float, typer.Option(help="Poisson's ratio.")] = 0.3,
    axis: Annotated[Axis, typer.Option(help="Axis of the load case.")] = Axis.z,
    strain: Annotated[
        float | None, typer.Option(help="Apparent strain; the angle in rad of bending and torsion.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Relative true residual to reach.")] = 1e-6,
    max_iterations: Annotated[int, typer.Option(help="Give up after so many.")] = 2000,
    reaction_tolerance: Annotated[
        float | None,
        typer.Option(help="End, too, when the reaction changes by less than this part of it."),
    ] = None,
    precision: Annotated[PrecisionName, typer.Option(help="Arithmetic.")] = PrecisionName.mixed,
    device: DeviceChoice = "auto",
    coarsen: Annotated[int, typer.Option(min=1, help="So many voxels per axis become one.")] = 1,
    array: Annotated[str | None, typer.Option(help="Which array of an .npz file.")] = None,
    axes: Annotated[str, typer.Option(help="Order of the axes in .npy and .npz files: xyz or zyx.")] = "xyz",
    keep_islands: Annotated[bool, typer.Option("--keep-islands", help="Keep loose pieces.")] = False,
    fields: Annotated[bool, typer.Option("--fields", help="Write the fields, too.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell size, memory and time; solve nothing.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Analyse an image of a bone by finite elements: stiffness, strain, failure load."""
    from mechanostat.bones import Recipe, prepare_bone, read_scan
    from mechanostat.solving import Analysis, forecast, solve_scan, spoken_result

    if (threshold is not None) + (labels is not None) > 1:
        raise ValueError("Give one of `--threshold` and `--labels`, not both.")
    chosen, reporter = begun(device, precision=precision.value, quiet=quiet)
    start = time.perf_counter()
    image = read_scan(scan, spacing=spacing_of(spacing), array=array, axes=axes, density=density)
    read_seconds = time.perf_counter() - start
    recipe = Recipe(
        threshold=threshold,
        labels=labels_of(labels),
        density_law=density_law,
        coarsen=coarsen,
        keep_islands=keep_islands,
        modulus=modulus,
    )
    analysis = Analysis(
        case.value,
        "xyz".index(axis.value),
        strain,
        poisson,
        tolerance,
        precision.value,
        max_iterations,
        reaction_tolerance,
    )
    if dry_run:
        forecast(prepare_bone(image, recipe), analysis, out, reporter)
        return DONE
    result = solve_scan(
        image,
        recipe,
        analysis,
        out,
        fields=fields,
        device=chosen,
        reporter=reporter,
        read_seconds=read_seconds,
    )
    reporter.table("Result", ("what", "value"), spoken_result(result))
    reporter.say(f"written to {out}")
    if as_json:
        print_json(result.model_dump(mode="json", by_alias=True))
    if result.status != "converged":
        reporter.fail(
            f"the solve ended as {result.status}; no stiffness and no strength is reported from it."
        )
        return NOT_CONVERGED
    return DONE


@app.command()
@ended
def run(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="The study; `docs/study.md` tells its fields.")
    ],
    out: Out,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted study.")] = False,
    device: DeviceChoice = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell size, memory and time; simulate nothing.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Simulate years of remodeling: bone, loads, person and treatment in a study file."""
    from mechanostat.running import foresee, run_study
    from mechanostat.study_file import read_study
    from mechanostat.study_report import write_study_report

    content = read_study(study)
    chosen, reporter = begun(device, precision=content.mechanics.precision, quiet=quiet)
    if dry_run:
        foresee(content, study.parent, out, reporter)
        return DONE
    course = run_study(content, study.parent, out, resume=resume, device=chosen, reporter=reporter)
    if as_json:
        print_json(course.result.model_dump(mode="json", by_alias=True))
    if course.result.status != "converged":
        reporter.fail(f"a solve ended as {course.result.status}; the study stopped there.")
        return NOT_CONVERGED
    for remark in course.result.remarks:
        reporter.say(remark)
    reporter.say("drawing the pictures and writing the report")
    write_study_report(out, {"": course})
    reporter.say(f"written to {out}")
    return DONE


@app.command()
@ended
def trial(
    file: Annotated[
        Path, typer.Argument(metavar="TRIAL.toml", help="The trial; `docs/trials.md` tells its fields.")
    ],
    out: Out,
    device: DeviceChoice = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Run a virtual trial: persons, arms and visits in a trial file."""
    from mechanostat.trial_file import read_trial
    from mechanostat.trial_report import write_trial_report
    from mechanostat.trial_running import run_trial_file, spoken_outcomes

    chosen, reporter = begun(device, precision="double", quiet=quiet)  # reading draws persons: JAX starts
    content = read_trial(file)
    finished = run_trial_file(content, out, device=chosen, reporter=reporter)
    write_trial_report(out, finished)
    result = finished.result
    for arm in result.arms:
        for remark in arm.remarks:
            reporter.warn(f"{arm.name}: {remark}")
    first = result.arms[0].name
    reporter.table(
        f"After {result.visits_months[-1]} months (not validated; no medical advice)",
        ("outcome", "arm", "mean (95 % interval)", f"difference to {first}"),
        spoken_outcomes(result),
    )
    reporter.say(f"written to {out}")
    if as_json:
        print_json(result.model_dump(mode="json", by_alias=True))
    return DONE


@app.command()
@ended
def validate(
    out: Out = Path("mechanostat-validation"), device: DeviceChoice = "auto", quiet: Quiet = False
) -> int:
    """Measure the model without space against 219 results of clinical studies."""
    from mechanostat.validation import measure, total
    from mechanostat.validation_report import write_validation

    _, reporter = begun(device, precision="double", quiet=quiet)
    judged = measure()
    write_validation(out, judged)
    whole = total(judged)
    reporter.say(f"{whole.inside} of {whole.covered} targets met, {whole.all - whole.covered} not covered")
    reporter.say(f"written to {out}")
    return DONE


@app.command()
@ended
def calibrate(
    out: Out = Path("mechanostat-calibration"),
    persons: Annotated[int, typer.Option(help="Persons in every trial.", min=2)] = 4,
    max_evaluations: Annotated[int, typer.Option(help="Limit of evaluations.", min=1)] = 30,
    seed: Annotated[int, typer.Option(help="Of the draws of the posterior.")] = 1,
    device: DeviceChoice = "auto",
    quiet: Quiet = False,
) -> int:
    """Fit the numbers of the remodeling law to the clinical targets; write them and draws of what stays uncertain."""
    from mechanostat.calibrating import calibrate as fit_and_write

    _, reporter = begun(device, precision="double", quiet=quiet)
    fit_and_write(out, persons=persons, max_evaluations=max_evaluations, seed=seed, reporter=reporter)
    return DONE


@app.command()
@ended
def demo(
    out: Out = Path("mechanostat-demo"),
    device: DeviceChoice = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted demo.")] = False,
    quiet: Quiet = False,
) -> int:
    """Run the main job on a human vertebra: menopause with and without estradiol."""
    from mechanostat.demonstration import demo_studies, run_demo

    chosen, reporter = begun(device, quiet=quiet)
    run_demo(out, demo_studies(), resume=resume, device=chosen, reporter=reporter)
    return DONE


@app.command()
@ended
def doctor(device: DeviceChoice = "auto", as_json: AsJson = False) -> int:
    """Tell versions, devices, one small solve, and why a GPU is not used."""
    from mechanostat.devices import choose_device, keep_compiled_programs
    from mechanostat.doctor import examine, rows, small_solve

    chosen = choose_device(device)
    cache = keep_compiled_programs()
    findings = examine(chosen, cache=cache, small_solve=small_solve)
    reporter = Reporter(device=chosen.name)
    reporter.table("mechanostat doctor", ("what", "found"), rows(findings))
    for hint in findings.hints:
        reporter.warn(hint)
    if as_json:
        print_json(findings.model_dump(mode="json"))
    return DONE if findings.healthy else NOT_CONVERGED


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
