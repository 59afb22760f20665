"""Load cases: what is held, moved, pushed and sprung; free-form ones are put together here.

The seven standard tests are in `fem/standard_tests.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from fem.buckets import LIST_STEPS, bucket
from meshes.voxel import DEVICE_INDEX_LIMIT, VoxelMesh, node_coordinates


class LoadCase(eqx.Module):
    """A load case as lists of degrees of freedom `3 node + axis` and their values.

    Lists, because even at 10^8 elements only planes and patches are loaded.
    """

    held: Int[np.ndarray, " held"]
    """Degrees of freedom with a prescribed displacement."""
    displacement: Float[np.ndarray, " held"]
    """Their displacement [mm]."""
    pushed: Int[np.ndarray, " pushed"]
    """Degrees of freedom with a force."""
    force: Float[np.ndarray, " pushed"]
    """Their force [N]."""
    sprung: Int[np.ndarray, " sprung"]
    """Degrees of freedom on a spring to ground."""
    spring: Float[np.ndarray, " sprung"]
    """Their spring stiffness [N/mm]."""
    loaded: Int[np.ndarray, " loaded"]
    """Nodes whose reaction is reported."""
    center: Float[np.ndarray, " 3"]
    """Point about which the moment of the reaction is taken [mm]."""
    name: str = eqx.field(static=True)
    axis: int = eqx.field(static=True)
    """Axis of the test: 0, 1, 2 for x, y, z."""
    response: int = eqx.field(static=True)
    """Component of the reaction that answers the motion: 0, 1, 2 of the force, 3, 4, 5 of the moment."""
    motion: float = eqx.field(static=True)
    """The motion imposed: a displacement [mm] or an angle [rad]; 0 where forces load the bone."""
    strain: float = eqx.field(static=True)
    """Apparent strain of the test [-]; the angle [rad] of bending and torsion; 0 where there is none."""


class Boundary(eqx.Module):
    """The lists of a load case alone: what the solver reads, and what several cases can be stacked of."""

    held: Int[Array, "*cases held"]
    displacement: Float[Array, "*cases held"]
    pushed: Int[Array, "*cases pushed"]
    force: Float[Array, "*cases pushed"]
    sprung: Int[Array, "*cases sprung"]
    spring: Float[Array, "*cases sprung"]


class Hold(NamedTuple):
    """Nodes whose displacement along one axis is prescribed."""

    nodes: Int[np.ndarray, " nodes"]
    axis: int
    displacement: float | Float[np.ndarray, " nodes"] = 0.0
    """[mm]"""


class Push(NamedTuple):
    """A total force that some nodes share equally."""

    nodes: Int[np.ndarray, " nodes"]
    force: tuple[float, float, float]
    """[N]"""


class Spring(NamedTuple):
    """A total spring to ground that some nodes share equally."""

    nodes: Int[np.ndarray, " nodes"]
    stiffness: tuple[float, float, float]
    """[N/mm]"""


def load_case(
    mesh: VoxelMesh,
    *,
    holds: Sequence[Hold] = (),
    pushes: Sequence[Push] = (),
    springs: Sequence[Spring] = (),
    loaded: Int[np.ndarray, " loaded"],
    name: str = "custom",
    axis: int = 2,
    response: int | None = None,
    motion: float = 0.0,
    strain: float = 0.0,
    center: Float[np.ndarray, " 3"] | None = None,
) -> LoadCase:
    """Return a load case put together from what is held, pushed and sprung.

    Where two holds name the same degree of freedom, the first one counts.

    Args:
        mesh: The mesh.
        holds: Prescribed displacements.
        pushes: Forces.
        springs: Springs to ground.
        loaded: Nodes whose reaction is reported.
        name: What the case is called in results.
        axis: Axis of the test, 0, 1, 2 for x, y, z.
        response: Component of the reaction that answers the motion; by default the force along the axis.
        motion: The imposed displacement [mm] or angle [rad].
        strain: Apparent strain of the test [-].
        center: Point about which moments are taken [mm]; by default the centre of the loaded nodes.

    Raises:
        ValueError: If nothing loads the bone, or if forces act along a rigid motion that nothing holds.
    """
    held, displacement = _holds(holds)
    pushed, force = _shares([(push.nodes, push.force) for push in pushes])
    sprung, spring = _shares([(item.nodes, item.stiffness) for item in springs])
    points = node_coordinates(mesh)
    case = LoadCase(
        held=held,
        displacement=displacement,
        pushed=pushed,
        force=force,
        sprung=sprung,
        spring=spring,
        loaded=np.asarray(loaded),
        center=points[loaded].mean(axis=0) if center is None else center,
        name=name,
        axis=axis,
        response=axis if response is None else response,
        motion=float(motion),
        strain=float(strain),
    )
    _check_loaded(case)
    _check_balance(case, points)
    return case


def stacked(cases: Sequence[LoadCase], *, bucketed: bool = False) -> Boundary:
    """Return the lists of several load cases with a leading axis, padded to the longest.

    Padding names a degree of freedom past every mesh, which whoever spreads the lists drops.

    Args:
        cases: The load cases.
        bucketed: Whether lists are padded to the next of two sizes per octave, `fem/buckets.py`.
    """

    def stack(places: str, values: str) -> tuple[Int[Array, "cases n"], Float[Array, "cases n"]]:
        lists = [(getattr(case, places), getattr(case, values)) for case in cases]
        width = max(len(index) for index, _ in lists)
        if bucketed and width:
            width = bucket(width, steps=LIST_STEPS)
        index = np.full((len(lists), width), DEVICE_INDEX_LIMIT - 1, dtype=np.int32)
        amount = np.zeros((len(lists), width))
        for row, (place, value) in enumerate(lists):
            index[row, : len(place)], amount[row, : len(place)] = place, value
        return jax.device_put(index), jax.device_put(amount)

    held, displacement = stack("held", "displacement")
    pushed, force = stack("pushed", "force")
    sprung, spring = stack("sprung", "spring")
    return Boundary(held, displacement, pushed, force, sprung, spring)


def _holds(holds: Sequence[Hold]) -> tuple[Int[np.ndarray, " held"], Float[np.ndarray, " held"]]:
    if not holds:
        return np.empty(0, dtype=np.int64), np.empty(0)
    places = np.concatenate([3 * hold.nodes.astype(np.int64) + hold.axis for hold in holds])
    values = np.concatenate([np.broadcast_to(hold.displacement, hold.nodes.shape) for hold in holds])
    unique, first = np.unique(places, return_index=True)
    return unique, values[first].astype(np.float64)


def _shares(items) -> tuple[Int[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    places, values = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for nodes, total in items:
        for axis, amount in enumerate(total):
            if amount != 0.0:
                places.append(3 * nodes.astype(np.int64) + axis)
                values.append(np.full(nodes.size, amount / nodes.size))
    return np.concatenate(places), np.concatenate(values)


def _check_loaded(case: LoadCase) -> None:
    if not np.any(case.displacement) and not np.any(case.force):
        raise ValueError(
            f"Load case `{case.name}` loads nothing: every prescribed displacement and force is zero. "
            "Give a strain, a displacement or a force."
        )


def _check_balance(case: LoadCase, points: Float[np.ndarray, "nodes 3"]) -> None:
    """Refuse forces along a rigid motion that neither holds nor springs stop."""
    if case.pushed.size == 0:
        return
    stopped = np.concatenate([case.held, case.sprung])
    size = max(float(np.ptp(points, axis=0).max()), 1e-30)
    motions = _rigid_motions(points / size, stopped)
    _, values, directions = np.linalg.svd(motions.T @ motions)
    free = directions[values <= 1e-10 * max(values[0], 1.0)]
    pushed = _rigid_motions(points / size, case.pushed)
    work = free @ (pushed.T @ case.force)
    if np.any(np.abs(work) > 1e-9 * np.abs(case.force).sum()):
        raise ValueError(
            f"Load case `{case.name}` leaves the bone free to move: {len(free)} of 6 rigid motions are not "
            "held and the forces push along one. Hold at least three nodes that are not on one line, or add "
            "springs."
        )


def _rigid_motions(
    points: Float[np.ndarray, "nodes 3"], places: Int[np.ndarray, " places"]
) -> Float[np.ndarray, "places 6"]:
    """Return the six rigid motions at degrees of freedom: three translations, three rotations."""
    node, axis = places // 3, places % 3
    motions = np.zeros((places.size, 6))
    motions[np.arange(places.size), axis] = 1.0
    for turn in range(3):
        direction = np.eye(3)[turn]
        motions[:, 3 + turn] = np.cross(direction, points[node])[np.arange(places.size), axis]
    return motions
