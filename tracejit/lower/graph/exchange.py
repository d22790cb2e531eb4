"""Rules for updates: what is written whole is no update, and new arrays are put together in one go.

An array that is filled piece by piece, `out[:, 0] = a` and then `out[:, 1] = b`, is the concatenation
of its pieces, and one with a border the padding of its inner part: one pass over memory, where
updates in place would take one for each. What was just written is not read back from memory.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Node
from ...ir.op import OPS
from ...ir.rewrite import any_use, wild
from .values import scalar_of, scalar_value

# Pieces up to which an array is put together; beyond, pieces are written in place.
PIECES = 32

slice_ = OPS["slice"]
old, value, index = wild("old"), wild("value"), wild("index")
KEYS = ("start", "stop", "step")


def whole_update(node: Node) -> Node | None:
    """Everything is exchanged, in order; or nothing is."""
    old, value = node.operands
    if any(type(n) is int and n == 0 for n in value.shape):
        return old if old.type.layout is None else None
    whole = value.shape == old.shape and not any(node.attrs["start"])
    return value if whole and set(node.attrs["step"]) <= {1} else None


def put_together(node: Node) -> Node | None:
    """An update along one axis of a constant, or of a concatenation along that axis."""
    old, value = node.operands
    axis = _one_axis(node)
    if axis is None:
        return None
    pieces = _pieces(old, axis)
    if pieces is None or len(pieces) > PIECES:
        return None
    start, stop = node.attrs["start"][axis], node.attrs["stop"][axis]
    before = _between(pieces, axis, 0, start)
    after = _between(pieces, axis, stop, old.shape[axis])
    return ops.concatenate(*before, value, *after, axis=axis)


def _one_axis(node: Node) -> int | None:
    """The only axis that is not exchanged whole, if its bounds are known and it is taken by step 1."""
    old, value = node.operands
    partial = [axis for axis, n in enumerate(old.shape) if value.shape[axis] != n]
    if len(partial) != 1 or set(node.attrs["step"]) != {1}:
        return None
    (axis,) = partial
    numbers = (node.attrs["start"][axis], node.attrs["stop"][axis], old.shape[axis])
    return axis if all(type(n) is int for n in numbers) and value.shape[axis] else None


def _pieces(old: Node, axis: int) -> tuple[Node, ...] | None:
    if scalar_of(old) is not None and old.op is ops.broadcast:
        return (old,)
    is_joined = old.op is ops.concatenate and old.attrs["axis"] == axis
    known = is_joined and all(type(piece.shape[axis]) is int for piece in old.operands)
    return old.operands if known else None


def _between(pieces: tuple[Node, ...], axis: int, start: int, stop: int) -> list[Node]:
    """What the pieces have between two positions."""
    found, before = [], 0
    for piece in pieces:
        low, high = max(start - before, 0), min(stop - before, piece.shape[axis])
        if low < high:
            found.append(_part(piece, axis, low, high))
        before += piece.shape[axis]
    return found


def _part(piece: Node, axis: int, low: int, high: int) -> Node:
    if (low, high) == (0, piece.shape[axis]):
        return piece
    rank = len(piece.shape)
    start, stop = [0] * rank, list(piece.shape)
    start[axis], stop[axis] = low, high
    return slice_(piece, start=tuple(start), stop=tuple(stop), step=(1,) * rank)


def bordered(node: Node) -> Node | None:
    """An update of a constant along several axes, by steps of 1: padding."""
    old, value = node.operands
    fill = scalar_of(old)
    if fill is None or old.op is not ops.broadcast or set(node.attrs["step"]) != {1}:
        return None
    low = node.attrs["start"]
    high = tuple([n - b for n, b in zip(old.shape, node.attrs["stop"])])
    return ops.pad(value, fill, low=low, high=high)


def scattered_once(node: Node, old: Node, value: Node, index: Node) -> Node | None:
    """One part along the first axis, at a place that is known and there."""
    place = scalar_value(index) if index.shape == () else None
    if place is None or node.attrs["axes"] != (0,) or node.attrs["combine"] is not None:
        return None
    first, extent = int(place), old.shape[0]
    if type(extent) is not int or not 0 <= first < extent:
        return None
    part = ops.reshape(value, shape=(1, *old.shape[1:]))
    rest = len(old.shape) - 1
    return ops.update(
        old,
        part,
        start=(first, *[0] * rest),
        stop=(first + 1, *old.shape[1:]),
        step=(1,) * (1 + rest),
    )


def read_back(node: Node) -> Node | None:
    """A slice of an update that is the very part that was exchanged."""
    (update,) = node.operands
    same = all(node.attrs[key] == update.attrs[key] for key in KEYS)
    return update.operands[1] if same else None


UPDATE_RULES = [
    any_use(ops.update) >> whole_update,
    any_use(ops.update) >> put_together,
    any_use(ops.update) >> bordered,
    slice_(any_use(ops.update)) >> read_back,
    ops.scatter(old, value, index) >> scattered_once,
]
