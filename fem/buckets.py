"""Sizes to which the arrays of a bone are padded, so that similar bones share one compiled program.

A program is compiled for the sizes of its arrays, and compiling takes longer than a small solve. So every
size is rounded up to one of a few steps per octave. How many elements a bone has decides its step; all
other sizes are first stretched to a bone that fills that step, so that among bones of the same make it is
their number of elements alone that matters. Padding elements weigh nothing, padding nodes touch nothing.

Assumed: the numbers of steps. On the finest level, which is most of the memory and of the time, elements
are padded by at most an eighth and nodes by a sixteenth more, half of that on average. Coarse levels vary more
from bone to bone and cost little: there the steps are larger.
"""

from typing import NamedTuple

ELEMENT_STEPS = 8
"""Steps per octave of the elements of the finest level."""

NODE_STEPS = 16
"""Steps per octave of its nodes, given its elements."""

SHALLOW, SHALLOW_STEPS, DEEP_STEPS = 2, 8, 4
"""Steps per octave of the first two coarse levels, and of those below."""

WIDTH_STEPS = 2
"""Steps per octave of the widths of tables."""

LIST_STEPS = 2
"""Steps per octave of the lists of a load case: nodes of planes and patches."""


class Room(NamedTuple):
    """How large the arrays of a level are made."""

    elements: int
    nodes: int


def bucket(count: int, *, steps: int) -> int:
    """Return the smallest size that holds `count` things: `steps` to 2 `steps` times a power of two."""
    unit = 1
    while count > 2 * steps * unit:
        unit *= 2
    return unit * max(steps, -(-count // unit))


def finest_room(*, elements: int, nodes: int, coarsest: int) -> Room:
    """Return the room of the finest level; nodes have one more than they need, for what points nowhere.

    Args:
        elements: Elements of the bone.
        nodes: Its nodes.
        coarsest: So many nodes are the same to everyone: a level that is solved directly.
    """
    room = bucket(elements, steps=ELEMENT_STEPS)
    if nodes <= coarsest:
        return Room(room, coarsest)
    return Room(room, bucket(_stretched(nodes, room, elements) + 1, steps=NODE_STEPS))


def coarse_room(
    *, elements: int, nodes: int, depth: int, finest: Room, finest_elements: int, coarsest: int
) -> Room:
    """Return the room of a coarse level.

    Args:
        elements: Its elements.
        nodes: Its nodes.
        depth: Its number; the finest level has 0.
        finest: The room of the finest level.
        finest_elements: Elements of the bone, that the room was made for.
        coarsest: As in `finest_room`.
    """
    steps = SHALLOW_STEPS if depth <= SHALLOW else DEEP_STEPS
    room = bucket(_stretched(elements, finest.elements, finest_elements), steps=steps)
    wanted = _stretched(nodes, finest.elements, finest_elements)
    return Room(room, coarsest if wanted <= coarsest else bucket(wanted + 1, steps=steps))


def _stretched(count: int, room: int, filled: int) -> int:
    return -(-count * room // filled)
