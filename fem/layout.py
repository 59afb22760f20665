"""Which element touches which node, on the device, and the one way in which elements add up at nodes."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from fem.buckets import WIDTH_STEPS, Room, bucket

CHUNK = 16384
"""At most so many elements go through the cache together, and more than half as many.

Measured best of 4096, 16384 and 65536 on two x86 cores.
"""

NOTHING = np.iinfo(np.int32).max
"""Index that points past every array: gathers read zero there, scatters drop it."""


class Layout(eqx.Module):
    """The nodes of every element, and on a GPU the elements of every node."""

    connectivity: Int[Array, "chunks chunk 8"]
    """Nodes of the elements in chunks, padded with elements on node 0 that weigh nothing."""
    touching: Int[Array, "nodes width"] | None
    """For each node the flat `8 element + corner` of the corners that stand on it, then `NOTHING`.

    With it every node gathers what its elements give, which is deterministic; without it the elements
    add to the nodes chunk by chunk, which is faster and deterministic on a CPU alone.
    """
    elements: int = eqx.field(static=True)
    """Elements of a field; those past the mesh's own are padding, too."""
    nodes: int = eqx.field(static=True)
    """Nodes of a field; those past the mesh's own touch no element."""

    def in_chunks(self, values: Float[Array, "elements ..."]) -> Float[Array, "chunks chunk ..."]:
        """Return a field of the elements cut into chunks, zero on the padding."""
        chunks, chunk, _ = self.connectivity.shape
        padding = [(0, chunks * chunk - self.elements)] + [(0, 0)] * (values.ndim - 1)
        return jnp.pad(values, padding).reshape(chunks, chunk, *values.shape[1:])


def layout(
    connectivity: Int[np.ndarray, "elements 8"],
    nodes: int,
    *,
    room: Room | None = None,
    gathering: bool | None = None,
) -> Layout:
    """Return the layout of a list of elements, with its arrays on the device.

    Args:
        connectivity: The node at each corner of each element.
        nodes: How many nodes there are.
        room: How large the arrays are made; by default no larger than they must be.
        gathering: Whether nodes gather; by default on everything but a CPU.
    """
    real = connectivity.shape[0]
    room = Room(real, nodes) if room is None else room
    chunks = 1
    while room.elements > chunks * CHUNK:
        chunks *= 2
    chunk = -(-room.elements // chunks)
    padded = np.zeros((chunks * chunk, 8), dtype=np.int32)
    padded[:real] = connectivity
    if gathering is None:
        gathering = jax.default_backend() != "cpu"
    touching = None
    if gathering:
        corners = corners_of_nodes(connectivity, nodes)
        touching = np.full((room.nodes, bucket(corners.shape[1], steps=WIDTH_STEPS)), NOTHING, np.int32)
        touching[:nodes, : corners.shape[1]] = corners
    # Put there as they are: `jnp.asarray` would compile a program for every shape.
    return Layout(
        connectivity=jax.device_put(padded.reshape(chunks, chunk, 8)),
        touching=None if touching is None else jax.device_put(touching),
        elements=room.elements,
        nodes=room.nodes,
    )


def assembled(
    layout: Layout,
    share: Callable[[Int[Array, "chunk 8"], Any], Float[Array, "chunk 8 values"]],
    data: PyTree[Array],
    like: Float[Array, "..."],
) -> Float[Array, "nodes values"]:
    """Return the sum at every node of what the elements give to their corners.

    Args:
        layout: Which element touches which node.
        share: What a chunk of elements gives, from its nodes and its part of the data; padding must give zero.
        data: Fields of the elements in chunks, as from `Layout.in_chunks`.
        like: What the result is made from and changes with, as in `zeros_beside`.
    """
    if layout.touching is None:
        first = (layout.connectivity[0], jax.tree.map(lambda leaf: leaf[0], data))
        shape = jax.eval_shape(share, *first)

        def add(total, chunk):
            nodes, part = chunk
            return total.at[nodes].add(share(nodes, part)), None

        start = zeros_beside(like, (layout.nodes, shape.shape[2]), shape.dtype)
        return lax.scan(add, start, (layout.connectivity, data))[0]
    whole = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), data)
    shares = share(layout.connectivity.reshape(-1, 8), whole)
    corners = shares.reshape(-1, shares.shape[2])
    return jnp.sum(corners.at[layout.touching].get(mode="fill", fill_value=0), axis=1)


def zeros_beside(like: Float[Array, "..."], shape: tuple[int, ...], dtype) -> Float[Array, "..."]:
    """Return zeros to add to, made anew whenever `like` is; not numbers where its first number is not finite.

    Inside a loop XLA takes plain zeros for something that never changes: it makes them before the loop, keeps
    them through it, and copies them each time, which costs a vector more for each place where this happens.
    """
    zero = like.reshape(-1)[0] * 0
    return jnp.broadcast_to(zero.astype(dtype), shape)


def corners_of_nodes(
    connectivity: Int[np.ndarray, "elements 8"], nodes: int
) -> Int[np.ndarray, "nodes width"]:
    """Return the flat `8 element + corner` that stand on each node, in rising order, then `NOTHING`."""
    flat = connectivity.reshape(-1)
    order = np.argsort(flat, kind="stable")
    count = np.bincount(flat, minlength=nodes)
    first = np.cumsum(count) - count
    table = np.full((nodes, int(count.max())), NOTHING, dtype=np.int32)
    node = flat[order]
    table[node, np.arange(flat.size) - first[node]] = order
    return table
