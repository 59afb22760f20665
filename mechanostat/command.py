"""What all commands share: their options, how they begin on a device and how they end.

Heavy modules are imported inside the functions: `mechanostat --help` must not wait for JAX.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mechanostat.console import Reporter
from mechanostat.interruption import interruptible

if TYPE_CHECKING:
    from fem.statics import Precision
    from mechanostat.devices import Device

DONE, BAD_INPUT, NOT_CONVERGED, NO_RESOURCES, INTERRUPTED = 0, 2, 4, 5, 130
"""Exit statuses that scripts rely on."""

Out = Annotated[Path, typer.Option("--out", help="Folder for the results; made if it is not there.")]
DeviceChoice = Annotated[
    str, typer.Option("--device", help="auto, cpu, gpu, or the numbers of the GPUs to use, such as 0,1.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print result.json on standard output, too.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Tell warnings and errors only.")]


def ended(command: Callable[..., int]) -> Callable[..., None]:
    """Turn what a command raises into one message on standard error and an exit status."""

    @functools.wraps(command)
    def run(*arguments, **options) -> None:
        reporter = Reporter()
        try:
            with interruptible():
                status = command(*arguments, **options)
        except KeyboardInterrupt:
            reporter.fail("interrupted; a study goes on with `--resume`.")
            status = INTERRUPTED
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            reporter.fail(str(error))
            status = status_of(error)
        raise typer.Exit(status)

    return run


def status_of(error: Exception) -> int:
    """Return the exit status of an error."""
    from fem.equilibrium import SolveError

    if isinstance(error, SolveError):
        return NOT_CONVERGED
    return NO_RESOURCES if isinstance(error, MemoryError | RuntimeError) else BAD_INPUT


def begun(device: str, *, precision: "Precision" = "mixed", quiet: bool = False) -> "tuple[Device, Reporter]":
    """Return the device of a command and what reports its progress; compiled programs are kept from here on.

    Args:
        device: As `--device` gives it.
        precision: Arithmetic that the device must have.
        quiet: Tell warnings and errors only.

    Raises:
        ValueError: Where there is no such device.
    """
    from mechanostat.devices import choose_device, keep_compiled_programs

    chosen = choose_device(device, precision=precision)
    keep_compiled_programs()
    reporter = Reporter(device=chosen.name, quiet=quiet)
    if chosen.note:
        reporter.warn(chosen.note)
    return chosen, reporter
