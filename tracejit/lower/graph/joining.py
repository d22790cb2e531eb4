"""Rules for concatenation: nested ones are one, and a slice of one is a slice of its pieces.

So rolls of rolls, and slices that were taken apart and put together again, come out as the few
pieces they are. Left nested, each would be read at two indices by the next, and a chain of them
at as many as two to the power of its length.
"""

from __future__ import annotations

from typing import Any

from ...ir import ops
from ...ir.graph import Node
from ...ir.op import OPS
from ...ir.rewrite import any_use

# Operands up to which concatenations are joined; a list that grows in a loop would else be copied
# at every step.
JOIN_LIMIT = 64

slice_ = OPS["slice"]


def joined_concatenation(node: Node) -> Node | None:
    """The pieces of operands that are concatenations themselves; neighbours in one array merge."""
    axis = node.attrs["axis"]
    flat: list[Node] = []
    for operand in node.operands:
        inner = operand.op is ops.concatenate and operand.attrs["axis"] == axis
        flat += operand.operands if inner else (operand,)
    pieces: list[Node] = []
    for piece in flat:
        merged = _merged(pieces[-1], piece, axis) if pieces else None
        if merged is None:
            pieces.append(piece)
        else:
            pieces[-1] = merged
    if len(pieces) > JOIN_LIMIT or tuple(pieces) == node.operands:
        return None
    return ops.concatenate(*pieces, axis=axis)


def _merged(a: Node, b: Node, axis: int) -> Node | None:
    """One slice for two that lie side by side along `axis`."""
    if a.op is not slice_ or b.op is not slice_ or a.operands != b.operands:
        return None
    bounds = [list(zip(*[n.attrs[key] for key in ("start", "stop", "step")])) for n in (a, b)]
    (start, middle, step), (again, stop, other) = [own.pop(axis) for own in bounds]
    if bounds[0] != bounds[1] or (step, other) != (1, 1) or middle != again:
        return None
    return _sliced(a, axis, start, stop)


def sliced_concatenation(node: Node) -> Node | None:
    """What is left of the pieces that a slice along their axis, by step 1, touches."""
    (inner,) = node.operands
    axis = inner.attrs["axis"]
    start, stop, step = [node.attrs[key][axis] for key in ("start", "stop", "step")]
    extents = [operand.shape[axis] for operand in inner.operands]
    others = [n for k, n in enumerate(node.shape) if k != axis]
    whole = others == [n for k, n in enumerate(inner.shape) if k != axis]
    known = all(type(n) is int for n in (start, stop, *extents))
    if not (known and whole and step == 1 and _is_forwards(node)) or start >= stop:
        return None
    pieces, before = [], 0
    for operand, extent in zip(inner.operands, extents):
        low, high = max(start - before, 0), min(stop - before, extent)
        if low < high:
            pieces.append(
                operand if (low, high) == (0, extent) else _part(operand, axis, low, high)
            )
        before += extent
    return pieces[0] if len(pieces) == 1 else ops.concatenate(*pieces, axis=axis)


def _is_forwards(node: Node) -> bool:
    return all(s == 1 or n == 1 for n, s in zip(node.shape, node.attrs["step"]))


def _part(x: Node, axis: int, start: Any, stop: Any) -> Node:
    """`x[start:stop]` along one axis."""
    rank = len(x.shape)
    whole = slice_(x, start=(0,) * rank, stop=x.shape, step=(1,) * rank)
    return _sliced(whole, axis, start, stop)


def _sliced(node: Node, axis: int, start: Any, stop: Any) -> Node:
    """The slice `node` with other bounds along one axis."""
    attrs = {key: list(value) for key, value in node.attrs.items()}
    attrs["start"][axis], attrs["stop"][axis] = start, stop
    return slice_(*node.operands, **{key: tuple(value) for key, value in attrs.items()})


JOINING_RULES = [
    any_use(ops.concatenate) >> joined_concatenation,
    slice_(any_use(ops.concatenate)) >> sliced_concatenation,
]
