"""One finite-element analysis: from a mesh, a modulus and a load case to displacement and reaction."""

from dataclasses import replace
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from fem.conjugate_gradients import Status
from fem.fields import StrainOperator, effective_strain, resultant, strain, strain_operator
from fem.implicit import solve_implicitly
from fem.loads import Boundary, LoadCase
from fem.multigrid import Hierarchy, Stiffnesses, hierarchy, multigrid, stiffnesses
from fem.stiffness import VoxelStiffness, in_precision, masked
from meshes.voxel import VoxelMesh, node_coordinates

Precision = Literal["single", "mixed", "double"]
"""Arithmetic of a solve: all float32; float64 with a float32 preconditioner; all float64."""

TOLERANCE = 1e-6
"""Default relative true residual [-].

Reactions are then right to between 1e-7 and 2e-5, as measured on trabecular specimens against other
solvers: the more loosely the bone hangs together or is held, the worse. `tests/test_validation_*.py`.
"""

MAX_ITERATIONS = 2000
"""Default limit of iterations; trabecular bones of up to 4 10^5 elements needed 17 to 55."""


class SolveError(RuntimeError):
    """A solve did not converge; its text says how it ended and what to do."""


class Structure(eqx.Module):
    """What a mesh is to the solver, on the device; made once, whatever the modulus and the load."""

    hierarchy: Hierarchy
    strain: StrainOperator


class Supports(eqx.Module):
    """A load case spread over the nodes, on the device."""

    free: Bool[Array, "nodes 3"]
    """Which degrees of freedom are unknown."""
    displacement: Float[Array, "nodes 3"]
    """Prescribed displacement, zero where free [mm]."""
    force: Float[Array, "nodes 3"]
    """Applied force [N]."""
    springs: Float[Array, "nodes 3"] | None
    """Stiffness to ground [N/mm]."""


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

    @property
    def converged(self) -> bool:
        """Whether the true residual met the tolerance."""
        return self.status == Status.CONVERGED


class Balance(eqx.Module):
    """What `balance` finds; all of it on the device."""

    displacement: Float[Array, "nodes 3"]
    """[mm]"""
    forces: Float[Array, "nodes 3"]
    """Internal forces: zero on free, unloaded nodes, the reaction on held ones [N]."""
    effective_strain: Float[Array, " elements"]
    """At the centroids [-]."""
    status: Int[Array, ""]
    iterations: Int[Array, ""]
    residual: Float[Array, ""]


def structure(mesh: VoxelMesh, *, poisson_ratio: float = 0.3) -> Structure:
    """Return the solver's view of a mesh.

    Args:
        mesh: The bone.
        poisson_ratio: Of the tissue [-]; 0.3 is the field's convention (FAIM 10 manual; van Rietbergen et al.
            1995, J. Biomech. 28:69-81).
    """
    return Structure(
        hierarchy=hierarchy(mesh, poisson_ratio=poisson_ratio),
        strain=strain_operator(mesh, poisson_ratio=poisson_ratio),
    )


def supports(case: LoadCase | Boundary, *, nodes: int, dtype) -> Supports:
    """Return a load case spread over all nodes of a mesh; degrees of freedom past the last are dropped."""

    def spread(places, values):
        flat = jnp.zeros(3 * nodes, dtype).at[places].add(jnp.asarray(values, dtype), mode="drop")
        return flat.reshape(nodes, 3)

    return Supports(
        free=jnp.ones(3 * nodes, bool).at[case.held].set(False, mode="drop").reshape(nodes, 3),
        displacement=spread(case.held, case.displacement),
        force=spread(case.pushed, case.force),
        springs=spread(case.sprung, case.spring) if case.sprung.size else None,
    )


def balance(
    structure: Structure,
    modulus: Float[Array, " elements"],
    supports: Supports,
    initial: Float[Array, "nodes 3"],
    *,
    precision: Precision,
    tolerance: float,
    max_iterations: int,
) -> Balance:
    """Return the displacement at which a bone is in equilibrium with its load; pure, made for `jit`.

    It can be differentiated, forwards and backwards and again, with respect to the modulus, the forces and
    the prescribed displacements: a derivative is one more solve with the same preconditioner.

    Args:
        structure: The mesh to the solver.
        modulus: Young's modulus of each element [MPa].
        supports: The load case.
        initial: Displacement to start from [mm]; its values on held degrees of freedom do not count.
        precision: Arithmetic; arrays must come in the matching dtype.
        tolerance: Relative true residual to reach [-].
        max_iterations: Limit of iterations.
    """
    operators = _operators(structure, modulus, precision)
    limits = {"tolerance": tolerance, "max_iterations": max_iterations}
    return _balanced(structure, operators, supports, initial, **limits)


def balance_each(
    structure: Structure,
    modulus: Float[Array, " elements"],
    boundaries: Boundary,
    initial: Float[Array, "cases nodes 3"],
    *,
    precision: Precision,
    tolerance: float,
    max_iterations: int,
) -> Balance:
    """Return `balance` for several load cases, with a leading axis; they share the levels of the solver.

    Cases are solved one after the other by one compiled solve, so that the memory is that of one.

    Args:
        structure: The mesh to the solver.
        modulus: Young's modulus of each element [MPa].
        boundaries: The load cases, as from `stacked`.
        initial: Displacements to start from [mm].
        precision: Arithmetic; arrays must come in the matching dtype.
        tolerance: Relative true residual to reach [-].
        max_iterations: Limit of iterations of each.
    """
    operators = _operators(structure, modulus, precision)
    limits = {"tolerance": tolerance, "max_iterations": max_iterations}

    def of_case(case: tuple[Boundary, Float[Array, "nodes 3"]]) -> Balance:
        boundary, start = case
        spread = supports(boundary, nodes=start.shape[0], dtype=start.dtype)
        return _balanced(structure, operators, spread, start, **limits)

    return lax.map(of_case, (boundaries, initial))


class _Operators(NamedTuple):
    """What load cases share."""

    stiffness: VoxelStiffness
    levels: Stiffnesses


def _operators(structure: Structure, modulus: Float[Array, " elements"], precision: Precision) -> _Operators:
    levels = structure.hierarchy
    coarse = jnp.float64 if precision == "double" else jnp.float32
    # The preconditioner changes how fast a solution is reached, not which: it has no derivative.
    return _Operators(
        VoxelStiffness(levels.finest, modulus),
        in_precision(stiffnesses(levels, lax.stop_gradient(modulus).astype(coarse)), coarse),
    )


def _balanced(
    structure: Structure,
    operators: _Operators,
    supports: Supports,
    initial: Float[Array, "nodes 3"],
    *,
    tolerance: float,
    max_iterations: int,
) -> Balance:
    springs, free = supports.springs, supports.free
    stiffness = replace(operators.stiffness, springs=springs)
    ground = None if springs is None else lax.stop_gradient(springs)
    precondition = multigrid(structure.hierarchy, operators.levels, free, ground)
    prescribed = stiffness.apply(supports.displacement)
    solution = solve_implicitly(
        stiffness,
        free,
        masked(supports.force - prescribed, free),
        masked(initial, free),
        precondition,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    displacement = solution.displacement + supports.displacement
    # Where what is moved leaves nothing to be found, as in one layer between platens, all is known.
    known = (solution.status == Status.ZERO_LOAD) & jnp.any(supports.displacement != 0)
    return Balance(
        displacement=displacement,
        forces=stiffness.apply(displacement),
        effective_strain=effective_strain(
            structure.strain, strain(structure.strain, structure.hierarchy.finest, displacement)
        ),
        status=jnp.where(known, jnp.int32(Status.CONVERGED), solution.status),
        iterations=solution.iterations,
        residual=solution.residual,
    )


jitted_balance = jax.jit(balance, static_argnames=("precision", "tolerance", "max_iterations"))
"""`balance`, compiled; `jitted_balance.lower(...).compile()` compiles ahead and tells the memory it takes."""


def working_dtype(precision: Precision):
    """Return the dtype that a precision works in.

    Raises:
        ValueError: If double precision is asked for while JAX has it switched off, or the name is unknown.
    """
    if precision == "single":
        return jnp.float32
    if precision not in ("mixed", "double"):
        raise ValueError(f"`precision` is single, mixed or double, got {precision!r}.")
    if not jax.config.read("jax_enable_x64"):
        raise ValueError(
            f"`precision={precision!r}` needs double precision, which JAX has switched off. Call "
            '`jax.config.update("jax_enable_x64", True)` first, or use `precision="single"`.'
        )
    return jnp.float64


def solve(
    mesh: VoxelMesh,
    modulus: float | Float[np.ndarray, " elements"],
    case: LoadCase,
    *,
    poisson_ratio: float = 0.3,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    precision: Precision = "mixed",
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
        throw: Whether an end other than `converged` is an error; if not, look at `status`.

    Raises:
        ValueError: If the modulus is not positive and finite everywhere, or does not fit the mesh.
        SolveError: If the solve does not converge and `throw` is set.
    """
    dtype = working_dtype(precision)
    field = check_modulus(modulus, mesh)
    spread = supports(case, nodes=mesh.nodes, dtype=dtype)
    found = jitted_balance(
        structure(mesh, poisson_ratio=poisson_ratio),
        jnp.asarray(field, dtype),
        spread,
        jnp.zeros_like(spread.displacement),
        precision=precision,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    result = equilibrium(mesh, case, found)
    if throw and not result.converged:
        raise SolveError(advice(result.status, case.name, result.iterations, result.residual, tolerance))
    return result


def equilibrium(mesh: VoxelMesh, case: LoadCase, found: Balance) -> Equilibrium:
    """Return what `balance` found as a result on the host, with the reaction of the loaded nodes."""
    return Equilibrium(
        displacement=found.displacement,
        effective_strain=found.effective_strain,
        reaction=resultant(found.forces, node_coordinates(mesh), case.loaded, case.center),
        status=Status(int(found.status)),
        iterations=int(found.iterations),
        residual=float(found.residual),
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
