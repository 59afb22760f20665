"""One finite-element analysis: from a mesh, a modulus and a load case to displacement and reaction."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from fem.conjugate_gradients import Status
from fem.fields import resultant
from fem.loads import LoadCase
from fem.statics import (
    Balance,
    Precision,
    boundary_of,
    jitted_balance,
    padded_modulus,
    structure,
    working_dtype,
)
from meshes.voxel import VoxelMesh, node_coordinates

TOLERANCE = 1e-6
"""Default relative true residual [-].

Reactions are then right to between 1e-7 and 2e-5, as measured on trabecular specimens against other
solvers: the more loosely the bone hangs together or is held, the worse. `tests/test_validation_*.py`.
"""

MAX_ITERATIONS = 2000
"""Default limit of iterations; trabecular bones of up to 4 10^5 elements needed 17 to 55."""


class SolveError(RuntimeError):
    """A solve did not converge; its text says how it ended and what to do."""


class Equilibrium(eqx.Module):
    """The state of a bone under a load, and how it was found."""

    displacement: Float[Array, "nodes 3"]
    """[mm]"""
    effective_strain: Float[Array, " elements"]
    """sqrt(2 U / E) at the centroids [-]."""
    reaction: Float[np.ndarray, " 6"]
    """Force [N] and moment about the case's centre [N mm] on the loaded nodes."""
    status: Status = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    residual: float = eqx.field(static=True)
    """True relative residual |f - K u| / |f| [-]."""
    settled: bool = eqx.field(static=True)
    """Whether it ended because the reaction had settled, before the residual met its tolerance."""

    @property
    def converged(self) -> bool:
        """Whether the true residual met the tolerance, or the reaction settled where that was asked for."""
        return self.status == Status.CONVERGED


def solve(
    mesh: VoxelMesh,
    modulus: float | Float[np.ndarray, " elements"],
    case: LoadCase,
    *,
    poisson_ratio: float = 0.3,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    precision: Precision = "mixed",
    reaction_tolerance: float | None = None,
    throw: bool = True,
) -> Equilibrium:
    """Return the equilibrium of a bone under a load case.

    Args:
        mesh: The bone.
        modulus: Young's modulus [MPa], one for all elements or one for each.
        case: What is held, moved and pushed.
        poisson_ratio: Of the tissue [-].
        tolerance: Relative true residual to reach [-].
        max_iterations: Limit of iterations.
        precision: `single`, `mixed` (float64 with a float32 preconditioner) or `double`.
        reaction_tolerance: If given, the solve also ends when five iterations changed the reaction by less
            than this part of it [-]; `settled` then says so. Enough for a stiffness; local strain wants the residual.
        throw: Whether an end other than `converged` is an error; if not, look at `status`.

    Raises:
        ValueError: If the modulus is not positive and finite everywhere, or does not fit the mesh.
        SolveError: If the solve does not converge and `throw` is set.
    """
    dtype = working_dtype(precision)
    field = check_modulus(modulus, mesh)
    prepared = structure(mesh, poisson_ratio=poisson_ratio)
    found = jitted_balance(
        prepared,
        padded_modulus(prepared, field, dtype),
        boundary_of(case),
        precision=precision,
        tolerance=tolerance,
        max_iterations=max_iterations,
        reaction_tolerance=reaction_tolerance,
    )
    result = equilibrium(mesh, case, found)
    if throw and not result.converged:
        raise SolveError(advice(result.status, case.name, result.iterations, result.residual, tolerance))
    return result


def equilibrium(mesh: VoxelMesh, case: LoadCase, found: Balance) -> Equilibrium:
    """Return what `balance` found as a result without padding, with the reaction of the loaded nodes."""
    return Equilibrium(
        displacement=found.displacement[: mesh.nodes],
        effective_strain=found.effective_strain[: mesh.elements],
        reaction=resultant(found.forces[: mesh.nodes], node_coordinates(mesh), case.loaded, case.center),
        status=Status(int(found.status)),
        iterations=int(found.iterations),
        residual=float(found.residual),
        settled=bool(found.settled),
    )


def check_modulus(
    modulus: float | Float[np.ndarray, " elements"], mesh: VoxelMesh
) -> Float[np.ndarray, " elements"]:
    """Return the modulus of every element [MPa].

    Raises:
        ValueError: If it does not fit the mesh or is not positive and finite everywhere.
    """
    field = np.asarray(modulus, dtype=np.float64)
    if field.ndim == 0:
        field = np.full(mesh.elements, float(field))
    if field.shape != (mesh.elements,):
        raise ValueError(
            f"`modulus` has the shape {field.shape}; wanted one number, or one for each of the "
            f"{mesh.elements} elements."
        )
    wrong = ~(np.isfinite(field) & (field > 0.0))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"`modulus` must be positive and finite [MPa]; {wrong.sum()} of {field.size} elements are not, "
            f"the first is element {first} with {field[first]}. Leave void out of the mesh instead."
        )
    return field


ADVICE = {
    Status.MAX_ITERATIONS: "Allow more iterations, or look for parts that hang on a single edge or corner.",
    Status.STAGNATED: "The precision is used up: use `precision='mixed'` or a larger tolerance.",
    Status.INDEFINITE: "The bone is free to move or a modulus is not positive: hold it, remove islands.",
    Status.NOT_FINITE: "A modulus, load or displacement is not a finite number, or overflowed.",
    Status.ZERO_LOAD: "Nothing loads the free part of the bone: give a strain, a displacement or a force.",
}
"""What to do about each bad end."""


def advice(status: Status, name: str, iterations: int, residual: float, tolerance: float) -> str:
    """Return the text that explains a bad end of a solve and what to do about it."""
    return (
        f"The solve of load case `{name}` ended as `{status.name.lower()}` after {iterations} iterations at "
        f"a relative residual of {residual:.2e}; {tolerance:.1e} was wanted. {ADVICE[status]}"
    )
