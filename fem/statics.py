"""A bone under its loads as pure functions of arrays: structure, supports, balance; made for `jit`.

What a user calls, with its checks, stands in `fem/equilibrium.py`. Arrays in here are padded (`fem/buckets.py`).
"""

from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Shaped

from fem.conjugate_gradients import Status
from fem.fields import StrainOperator, effective_strain_of, strain_operator
from fem.implicit import solve_implicitly
from fem.loads import Boundary, LoadCase, stacked
from fem.multigrid import Hierarchy, Stiffnesses, hierarchy, multigrid, stiffnesses
from fem.stiffness import VoxelStiffness, in_precision
from meshes.voxel import VoxelMesh

Precision = Literal["single", "mixed", "double"]
"""Arithmetic of a solve: all float32; float64 with a float32 preconditioner; all float64."""


class Structure(eqx.Module):
    """What a mesh is to the solver, on the device; made once, whatever the modulus and the load.

    Its arrays are padded (`fem/buckets.py`). Fields that go in may be as long as the mesh is, and come out as long
    as they went in; a field that is as long as the padding makes programs the same for similar bones.
    """

    hierarchy: Hierarchy
    strain: StrainOperator

    @property
    def elements(self) -> int:
        """Elements of a field with its padding."""
        return self.hierarchy.finest.layout.elements

    @property
    def nodes(self) -> int:
        """Nodes of a field with its padding."""
        return self.hierarchy.finest.layout.nodes


class Supports(eqx.Module):
    """A load case spread over the nodes, on the device."""

    free: Bool[Array, "nodes 3"]
    """Which degrees of freedom are unknown."""
    displacement: Float[Array, "nodes 3"]
    """Prescribed displacement, zero where free [mm]."""
    force: Float[Array, "nodes 3"] | None
    """Applied force [N]; none where motion alone loads the bone."""
    springs: Float[Array, "nodes 3"] | None
    """Stiffness to ground [N/mm]."""


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
    settled: Bool[Array, ""]


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
        force=spread(case.pushed, case.force) if case.pushed.size else None,
        springs=spread(case.sprung, case.spring) if case.sprung.size else None,
    )


def balance(
    structure: Structure,
    modulus: Float[Array, " elements"],
    supports: Supports,
    initial: Float[Array, "nodes 3"] | None,
    *,
    precision: Precision,
    tolerance: float,
    max_iterations: int,
    reaction_tolerance: float | None = None,
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
        reaction_tolerance: If given, the solve also ends when the reaction changes by less than this
            part of it, as in `conjugate_gradients` [-].
    """
    operators = _operators(structure, modulus, precision)
    limits = _Limits(tolerance, max_iterations, reaction_tolerance)
    return _balanced(structure, operators, supports, initial, limits)


def balance_case(
    structure: Structure,
    modulus: Float[Array, " elements"],
    boundary: Boundary,
    *,
    precision: Precision,
    tolerance: float,
    max_iterations: int,
    reaction_tolerance: float | None = None,
) -> Balance:
    """Return `balance` of one load case from rest, with its padding; it takes the least memory.

    The lists of the load case are spread over the nodes inside, where they last only as long as they must.

    Args:
        structure: The mesh to the solver.
        modulus: Young's modulus of each element [MPa].
        boundary: The load case, as from `boundary_of`.
        precision: Arithmetic; arrays must come in the matching dtype.
        tolerance: Relative true residual to reach [-].
        max_iterations: Limit of iterations.
        reaction_tolerance: As in `balance`.
    """
    spread = supports(boundary, nodes=structure.nodes, dtype=modulus.dtype)
    return balance(
        structure,
        modulus,
        spread,
        None,
        precision=precision,
        tolerance=tolerance,
        max_iterations=max_iterations,
        reaction_tolerance=reaction_tolerance,
    )


def boundary_of(case: LoadCase) -> Boundary:
    """Return the lists of a load case, padded so that similar bones share one compiled program."""
    alone = stacked([case], bucketed=True)
    return jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf)[0]), alone)


def padded_modulus(
    structure: Structure, modulus: Float[np.ndarray, " elements"], dtype
) -> Float[Array, " padded"]:
    """Return a modulus [MPa] on the device with its padding."""
    field = np.zeros(structure.elements, dtype)
    field[: modulus.size] = modulus
    return jax.device_put(field)


def balance_each(
    structure: Structure,
    modulus: Float[Array, " elements"],
    boundaries: Boundary,
    initial: Float[Array, "cases nodes 3"],
    *,
    precision: Precision,
    tolerance: float,
    max_iterations: int,
    together: bool | None = None,
) -> Balance:
    """Return `balance` for several load cases, with a leading axis; they share the levels of the solver.

    Args:
        structure: The mesh to the solver.
        modulus: Young's modulus of each element [MPa].
        boundaries: The load cases, as from `stacked`.
        initial: Displacements to start from [mm].
        precision: Arithmetic; arrays must come in the matching dtype.
        tolerance: Relative true residual to reach [-].
        max_iterations: Limit of iterations of each.
        together: Whether cases are solved as one batch, or one after the other in the memory of one; by
            default as one batch on everything but a CPU, where that is slower.
    """
    operators = _operators(structure, modulus, precision)
    limits = _Limits(tolerance, max_iterations, None)

    def of_case(case: tuple[Boundary, Float[Array, "nodes 3"]]) -> Balance:
        boundary, start = case
        spread = supports(boundary, nodes=structure.nodes, dtype=start.dtype)
        return _balanced(structure, operators, spread, start, limits)

    if together is None:
        together = jax.default_backend() != "cpu"
    return (jax.vmap(of_case) if together else partial(lax.map, of_case))((boundaries, initial))


class _Operators(NamedTuple):
    """What load cases share."""

    stiffness: VoxelStiffness
    levels: Stiffnesses
    elements: int
    """Elements of the fields that came in."""


class _Limits(NamedTuple):
    """When a solve ends."""

    tolerance: float
    max_iterations: int
    reaction_tolerance: float | None


def _operators(structure: Structure, modulus: Float[Array, " elements"], precision: Precision) -> _Operators:
    levels = structure.hierarchy
    coarse = jnp.float64 if precision == "double" else jnp.float32
    elements = modulus.shape[0]
    modulus = _padded(modulus, structure.elements, 0.0)
    # The preconditioner changes how fast a solution is reached, not which: it has no derivative.
    return _Operators(
        VoxelStiffness(levels.finest, modulus),
        in_precision(stiffnesses(levels, lax.stop_gradient(modulus).astype(coarse)), coarse),
        elements,
    )


def _balanced(
    structure: Structure,
    operators: _Operators,
    supports: Supports,
    initial: Float[Array, "nodes 3"] | None,
    limits: _Limits,
) -> Balance:
    nodes = supports.free.shape[0] if initial is None else initial.shape[0]
    load = Supports(
        free=_padded(supports.free, structure.nodes, False),
        displacement=_padded(supports.displacement, structure.nodes, 0.0),
        force=None if supports.force is None else _padded(supports.force, structure.nodes, 0.0),
        springs=None if supports.springs is None else _padded(supports.springs, structure.nodes, 0.0),
    )
    stiffness = replace(operators.stiffness, springs=load.springs)
    ground = None if load.springs is None else lax.stop_gradient(load.springs)
    solution = solve_implicitly(
        stiffness,
        load.free,
        load.displacement,
        load.force,
        None if initial is None else _padded(initial, structure.nodes, 0.0),
        multigrid(structure.hierarchy, operators.levels, load.free, ground),
        **limits._asdict(),
    )
    # Where what is moved leaves nothing to be found, as in one layer between platens, all is known.
    known = (solution.status == Status.ZERO_LOAD) & jnp.any(solution.displacement != 0)
    strain = effective_strain_of(structure.strain, structure.hierarchy.finest, solution.displacement)
    return Balance(
        displacement=solution.displacement[:nodes],
        forces=stiffness.apply(solution.displacement)[:nodes],
        effective_strain=strain[: operators.elements],
        status=jnp.where(known, jnp.int32(Status.CONVERGED), solution.status),
        iterations=solution.iterations,
        residual=solution.residual,
        settled=solution.settled,
    )


def _padded(values: Shaped[Array, "items ..."], size: int, fill: float | bool) -> Shaped[Array, "size ..."]:
    padding = [(0, size - values.shape[0])] + [(0, 0)] * (values.ndim - 1)
    return jnp.pad(values, padding, constant_values=fill)


jitted_balance = jax.jit(
    balance_case, static_argnames=("precision", "tolerance", "max_iterations", "reaction_tolerance")
)
"""`balance_case`, compiled; its `lower(...).compile()` compiles ahead and tells the memory it takes."""


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
