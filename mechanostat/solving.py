"""One finite-element analysis from a scan to files: what `mechanostat solve` does."""

import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from fem.conjugate_gradients import Status
from fem.equilibrium import MAX_ITERATIONS, Equilibrium, check_modulus, equilibrium
from fem.fields import strain_energy_density
from fem.loads import LoadCase
from fem.standard_tests import STANDARD_TESTS
from fem.statics import Precision, boundary_of, jitted_balance, padded_modulus, structure, working_dtype
from fem.strength import failure_factor
from mechanostat.bones import Bone, Recipe, prepare_bone
from mechanostat.console import Reporter
from mechanostat.devices import Device
from mechanostat.doctor import versions
from mechanostat.files import (
    FINGERPRINT_FILE,
    LOAD_CASE_PICTURE,
    RESULT_FILE,
    claim_folder,
    fingerprint,
    write_bytes,
    write_record,
    write_row,
)
from mechanostat.memory import (
    check_fits,
    check_room,
    device_peak_memory,
    device_room,
    expected_peak,
    give_back,
    host_room,
    peak_memory,
)
from mechanostat.pictures import load_case_figure, png
from mechanostat.results import EffectiveStrain, Input, SolveResult, SolveSeconds
from mechanostat.solve_files import bone_volume, write_solve_files
from meshes.image import Image
from meshes.voxel import gross_section

PRECONDITIONER = "Galerkin multigrid by connectivity, W cycle, Chebyshev-Jacobi (2)"
"""What results call the preconditioner of `fem/multigrid.py`."""

MOMENT_CASES = ("bending", "torsion")
"""Load cases whose stiffness is a moment per angle."""

AXES: tuple[Literal["x", "y", "z"], ...] = ("x", "y", "z")

EXPECTED_ITERATIONS = 30
"""Iterations that a forecast of the time assumes; 17 to 55 were measured on trabecular bone."""


class Analysis(NamedTuple):
    """What is to be solved, and how."""

    case: str
    axis: int
    strain: float | None
    """Apparent strain [-] or angle [rad]; the case's own default if absent."""
    poisson_ratio: float
    tolerance: float
    precision: Precision
    max_iterations: int = MAX_ITERATIONS
    reaction_tolerance: float | None = None
    """Part of the reaction by which it may still change; if absent the residual alone counts [-]."""


class Prepared(NamedTuple):
    """What a solve starts from."""

    case: LoadCase
    arguments: tuple
    seconds: float
    """Time that it took [s]."""


class Compiled(NamedTuple):
    """A compiled solve that has not run yet."""

    program: Any
    seconds: float
    """Time that it took [s]."""


def load_of(bone: Bone, analysis: Analysis) -> LoadCase:
    """Return the load case of an analysis."""
    test = STANDARD_TESTS[analysis.case]
    if analysis.strain is None:
        return test(bone.mesh, axis=analysis.axis)
    return test(bone.mesh, axis=analysis.axis, strain=analysis.strain)


def prepare_solve(bone: Bone, analysis: Analysis) -> Prepared:
    """Return what the solve of a bone starts from.

    Raises:
        ValueError: Where the analysis asks for what no solve can give.
        MemoryError: Where the memory that is free cannot hold the solve.
    """
    start = time.perf_counter()
    _check_analysis(analysis)
    case = load_of(bone, analysis)
    dtype = working_dtype(analysis.precision)
    field = check_modulus(bone.modulus, bone.mesh)
    check_room(bone.mesh.nodes, analysis.precision)
    solver = structure(bone.mesh, poisson_ratio=analysis.poisson_ratio)
    modulus = padded_modulus(solver, field, dtype)
    arguments = jax.block_until_ready((solver, modulus, boundary_of(case)))
    return Prepared(case, arguments, time.perf_counter() - start)


def compile_solve(prepared: Prepared, analysis: Analysis) -> Compiled:
    """Return the program of a solve."""
    start = time.perf_counter()
    lowered = jitted_balance.lower(
        *prepared.arguments,
        precision=analysis.precision,
        tolerance=analysis.tolerance,
        max_iterations=analysis.max_iterations,
        reaction_tolerance=analysis.reaction_tolerance,
    )
    program = lowered.compile()
    give_back()
    return Compiled(program, time.perf_counter() - start)


def _check_analysis(analysis: Analysis) -> None:
    """Refuse numbers with which no solve can converge or none means anything."""
    strain = analysis.strain
    if strain is not None and (strain == 0.0 or not abs(strain) < 1.0):
        raise ValueError(f"`--strain` lies between -1 and 1 and is not 0, got {strain:g}.")
    if not -1.0 < analysis.poisson_ratio < 0.5:
        raise ValueError(f"`--poisson` lies between -1 and 0.5, got {analysis.poisson_ratio:g}.")
    if not 0.0 < analysis.tolerance < 0.1:
        raise ValueError(f"`--tolerance` lies between 0 and 0.1, got {analysis.tolerance:g}.")
    if analysis.reaction_tolerance is not None and not 0.0 < analysis.reaction_tolerance < 0.1:
        raise ValueError(
            f"`--reaction-tolerance` lies between 0 and 0.1, got {analysis.reaction_tolerance:g}."
        )
    if analysis.max_iterations < 1:
        raise ValueError(f"`--max-iterations` is at least 1, got {analysis.max_iterations}.")


def device_bytes(compiled: Compiled) -> int:
    """Return the memory that a solve takes on its device, told by the compiler before it runs [byte]."""
    facts = compiled.program.memory_analysis()
    return int(facts.argument_size_in_bytes + facts.output_size_in_bytes + facts.temp_size_in_bytes)


def call_bytes(compiled: Compiled) -> int:
    """Return what a solve takes besides its arguments, which are there already [byte]."""
    facts = compiled.program.memory_analysis()
    return int(facts.output_size_in_bytes + facts.temp_size_in_bytes)


def check_call(compiled: Compiled, bone: Bone, analysis: Analysis) -> None:
    """Refuse a compiled solve that does not fit beside what has been taken already.

    Raises:
        MemoryError: With what it takes, what is there and the ways out.
    """
    free = device_room()
    there = host_room() if free is None else free
    check_fits(call_bytes(compiled), there, bone.mesh.nodes, analysis.precision)


def memory_rows(compiled: Compiled, device: str) -> list[tuple[str, str]]:
    """Return what people are told of the memory of a solve before it runs."""
    rows = [("memory of the solve", f"{device_bytes(compiled) / 2**20:.1f} MiB on {device}")]
    on_host = call_bytes(compiled) if device_room() is None else 0
    rows.append(("peak memory of the process", f"{expected_peak(on_host) / 2**20:.0f} MiB expected"))
    return rows


def forecast(bone: Bone, analysis: Analysis, folder: Path, reporter: Reporter) -> None:
    """Tell what a solve would take and draw its load case, without solving it.

    Args:
        bone: The bone.
        analysis: What would be solved.
        folder: Where the picture goes.
        reporter: Who is told.
    """
    trial = analysis._replace(max_iterations=4)
    prepared = prepare_solve(bone, trial)
    compiled = compile_solve(prepared, trial)
    check_call(compiled, bone, analysis)
    memory = memory_rows(compiled, reporter.device)
    start = time.perf_counter()
    found = jax.block_until_ready(compiled.program(*prepared.arguments))
    each = (time.perf_counter() - start) / max(int(found.iterations), 1)
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / LOAD_CASE_PICTURE
    title = f"{analysis.case} along {'xyz'[analysis.axis]}"
    write_bytes(picture, png(load_case_figure(bone.mesh, prepared.case, title=title)))
    rows = [*bone.steps, *memory]
    rows.append(("set-up and compilation", f"{prepared.seconds + compiled.seconds:.1f} s, measured"))
    rows.append(
        (
            "solve, expected",
            f"{EXPECTED_ITERATIONS * each:.0f} s: {EXPECTED_ITERATIONS} iterations of {1e3 * each:.0f} ms, "
            "as measured on four",
        )
    )
    rows.append(("load case drawn in", str(picture)))
    reporter.table("Dry run: nothing was solved", ("what", "value"), rows)


def solve_scan(
    image: Image,
    recipe: Recipe,
    analysis: Analysis,
    folder: Path,
    *,
    fields: bool,
    device: Device,
    reporter: Reporter,
    read_seconds: float,
) -> SolveResult:
    """Return the result of one analysis, after writing it with its table and pictures.

    Args:
        image: The scan.
        recipe: How it becomes a bone.
        analysis: What is solved.
        folder: Where results go; made here, after everything that can be wrong with the input was checked.
        fields: Whether fields are written, too.
        device: What computes.
        reporter: Who is told.
        read_seconds: Time that reading took [s].
    """
    start = time.perf_counter()
    bone = prepare_bone(image, recipe)
    setup_seconds = time.perf_counter() - start
    reporter.table("Bone", ("step", "outcome"), bone.steps)
    prepared = prepare_solve(bone, analysis)
    mark = fingerprint({"recipe": recipe._asdict(), "analysis": analysis._asdict(), "scan": image.sha256})
    # An interrupted solve starts anew in its own folder: it left nothing that could be lost.
    claim_folder(folder, mark=mark, resume=(folder / FINGERPRINT_FILE).exists())
    compiled = compile_solve(prepared, analysis)
    check_call(compiled, bone, analysis)
    reporter.say(f"compiled in {compiled.seconds:.1f} s; solving on {device.name}")
    start = time.perf_counter()
    found = jax.block_until_ready(compiled.program(*prepared.arguments))
    solve_seconds = time.perf_counter() - start
    state = equilibrium(bone.mesh, prepared.case, found)
    case, setup_seconds, compile_seconds = prepared.case, setup_seconds + prepared.seconds, compiled.seconds
    del prepared, compiled, found  # writing has other needs
    give_back()
    start = time.perf_counter()
    write_solve_files(folder, image, bone, case, state, fields=fields)
    seconds = SolveSeconds(
        read=read_seconds,
        setup=setup_seconds,
        compile=compile_seconds,
        solve=solve_seconds,
        write=time.perf_counter() - start,
    )
    result = solve_result(image, bone, case, state, analysis, seconds=seconds, device=device)
    write_record(folder / RESULT_FILE, result)
    write_row(folder / "result.csv", result.model_dump(mode="json", by_alias=True))
    return result


def solve_result(
    image: Image,
    bone: Bone,
    case: LoadCase,
    state: Equilibrium,
    analysis: Analysis,
    *,
    seconds: SolveSeconds,
    device: Device,
) -> SolveResult:
    """Return the record of a solve; what needs a converged solve is None without one."""
    energy = strain_energy_density(
        state.effective_strain, jnp.asarray(bone.modulus, state.effective_strain.dtype)
    )
    done = state.converged
    force_x, force_y, force_z = map(float, state.reaction[:3])
    failure = float(failure_factor(state.effective_strain, bone_volume=bone_volume(bone, state)))
    answer = float(state.reaction[case.response])
    gross = gross_section(bone.mesh, axis=case.axis)
    return SolveResult(
        status=status_name(state.status),
        case=case.name,
        axis=AXES[case.axis],
        strain=case.strain,
        elements=bone.mesh.elements,
        nodes=bone.mesh.nodes,
        unknowns=3 * bone.mesh.nodes,
        islands_removed=bone.islands,
        iterations=state.iterations,
        residual=state.residual,
        criterion="reaction" if done and state.settled else None,
        reaction_force=(force_x, force_y, force_z) if done else None,
        stiffness=answer / case.motion if done else None,
        apparent_modulus=answer / gross / case.strain if done and case.response == case.axis else None,
        strain_energy_density_mean=float(energy.mean()) if done else None,
        effective_strain=percentiles(np.asarray(state.effective_strain)) if done else None,
        failure_load={"pistoia": answer * failure} if done else None,
        seconds=seconds,
        peak_memory_bytes=peak_memory(),
        device_peak_memory_bytes=device_peak_memory(),
        device=device.name,
        precision=analysis.precision,
        preconditioner=PRECONDITIONER,
        versions=versions(),
        input=input_record(image),
    )


def spoken_result(result: SolveResult) -> list[tuple[str, object]]:
    """Return what people want to know of a solve first: name with unit, and value."""
    load, slope = ("N mm", "N mm/rad") if result.case in MOMENT_CASES else ("N", "N/mm")
    rows: list[tuple[str, object]] = [("ended", f"{result.status} after {result.iterations} iterations")]
    rows.append(("true residual", f"{result.residual:.1e}"))
    if result.criterion == "reaction":
        rows.append(("converged by", "the reaction, which no longer changed; strain is less exact"))
    if result.status != "converged":
        return rows
    strain, forces = result.effective_strain, result.reaction_force or (0.0, 0.0, 0.0)
    noise = 1e-6 * max(map(abs, forces))
    rows += [
        ("reaction force x, y, z [N]", [value if abs(value) > noise else 0.0 for value in forces]),
        (f"stiffness [{slope}]", result.stiffness),
        ("apparent modulus [MPa]", result.apparent_modulus),
        ("effective strain, median [µε]", None if strain is None else 1e6 * strain.median),
        (f"failure load, Pistoia [{load}]", (result.failure_load or {}).get("pistoia")),
    ]
    return [(name, value) for name, value in rows if value is not None]


def percentiles(strain: Float[np.ndarray, " elements"]) -> EffectiveStrain:
    """Return the percentiles of the effective strain [-]."""
    p05, p25, median, p75, p95 = (float(value) for value in np.percentile(strain, (5, 25, 50, 75, 95)))
    return EffectiveStrain(p05=p05, p25=p25, median=median, p75=p75, p95=p95, max=float(strain.max()))


def status_name(status: Status) -> Any:
    """Return a status as results spell it."""
    return status.name.lower()


def input_record(image: Image) -> Input:
    """Return what results say of the scan: its name without folders, its digest, its grid."""
    return Input(name=image.name, sha256=image.sha256, spacing=image.spacing, shape=image.values.shape)
