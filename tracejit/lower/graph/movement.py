"""Rules for movement: chains become one op, and what can stand later does.

The order aimed at is: slices and reshapes first, then elementwise ops, then transposes, then
broadcasts. So elementwise ops run on small operands in their own axis order, and fusion sees
through; reductions and contractions absorb transposes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...ir import ops
from ...ir.graph import Node
from ...ir.op import ELEMENTWISE, OPS, Op
from ...ir.ops.contract import split_spec
from ...ir.rewrite import Rule, any_use, wild
from .values import has_kind

x, axes, shape, p, q = (wild(name) for name in ("x", "axes", "shape", "p", "q"))
slice_, reductions = (
    OPS["slice"],
    [OPS[name] for name in ("sum", "prod", "max", "min", "all", "any")],
)


def transposed(node: Node, axes: Iterable[int]) -> Node:
    """`node` with its axes in another order; itself where that is its own."""
    axes = tuple(axes)
    return node if axes == tuple(range(len(axes))) else ops.transpose(node, axes=axes)


def identity_transpose(x: Node, p: tuple) -> Node | None:
    return x if p == tuple(range(len(p))) else None


def two_transposes(x: Node, p: tuple, q: tuple) -> Node:
    return transposed(x, [p[axis] for axis in q])


def two_broadcasts(x: Node, p: tuple, q: tuple, shape: tuple) -> Node:
    return ops.broadcast(x, shape=shape, axes=tuple([q[axis] for axis in p]))


def same_shape(x: Node, shape: tuple) -> Node | None:
    return x if x.shape == shape else None


def transposed_broadcast(x: Node, node: Node, axes: tuple, p: tuple) -> Node:
    """Broadcast later: operand axes land in another order, so the operand is transposed first."""
    landing = [p.index(axis) for axis in axes]
    order = sorted(range(len(landing)), key=landing.__getitem__)
    return ops.broadcast(
        transposed(x, order), shape=node.shape, axes=tuple(landing[axis] for axis in order)
    )


def sliced_broadcast(x: Node, node: Node, axes: tuple) -> Node:
    """Repeated axes only change their extent; the operand is sliced along the others."""
    parts = {key: tuple([node.attrs[key][axis] for axis in axes]) for key in _SLICE}
    return ops.broadcast(slice_(x, **parts), shape=node.shape, axes=axes)


def sliced_transpose(x: Node, node: Node, p: tuple) -> Node:
    parts = {
        key: tuple([node.attrs[key][p.index(axis)] for axis in range(len(p))]) for key in _SLICE
    }
    return ops.transpose(slice_(x, **parts), axes=p)


_SLICE = ("start", "stop", "step")


def whole_slice(node: Node) -> Node | None:
    """A slice that takes everything, forwards."""
    (x,) = node.operands
    start, step = node.attrs["start"], node.attrs["step"]
    if node.shape != x.shape:
        return None
    whole = all(n in (0, 1) or (a == 0 and s == 1) for n, a, s in zip(x.shape, start, step))
    return x if whole else None


def two_slices(node: Node) -> Node:
    (inner,) = node.operands
    if node.shape == ():
        return inner
    (x,) = inner.operands
    bounds = [
        _range(n, a + s * b, s * t)
        for n, a, s, b, t in zip(
            node.shape,
            inner.attrs["start"],
            inner.attrs["step"],
            node.attrs["start"],
            node.attrs["step"],
        )
    ]
    start, stop, step = (tuple(part) for part in zip(*bounds))
    return slice_(x, start=start, stop=stop, step=step)


def _range(extent: Any, start: Any, step: int) -> tuple[Any, Any, int]:
    """`extent` indices from `start` by `step`, as start, stop, step."""
    if type(extent) is int and extent == 0:
        return 0, 0, 1
    last = start + (extent - 1) * step
    return start, last + (1 if step > 0 else -1), step


def lifted_broadcast(node: Node) -> Node | None:
    """Compute on the operands before they are repeated, where all are repeated alike."""
    if not all(operand.op is ops.broadcast for operand in node.operands):
        return None
    wide = {operand.attrs["axes"] for operand in node.operands} - {()}
    if len(wide) > 1:
        return None
    axes = wide.pop() if wide else ()
    if len(axes) == len(node.shape):
        return None
    small = tuple([node.shape[axis] for axis in axes])
    sources = [_spread(operand.operands[0], small) for operand in node.operands]
    return ops.broadcast(node.op(*sources, **node.attrs), shape=node.shape, axes=axes)


def lifted_transpose(node: Node) -> Node | None:
    """Transpose the result, where all operands are transposed alike or have no axes of their own."""
    orders = {o.attrs["axes"] for o in node.operands if o.op is ops.transpose}
    if len(orders) != 1:
        return None
    (p,) = orders
    source = tuple([node.shape[p.index(axis)] for axis in range(len(p))])
    operands = []
    for operand in node.operands:
        if operand.op is ops.broadcast and operand.attrs["axes"] == ():
            operands.append(_spread(operand.operands[0], source))
        elif operand.op is ops.transpose:
            operands.append(operand.operands[0])
        else:
            return None
    return ops.transpose(node.op(*operands, **node.attrs), axes=p)


def _spread(x: Node, shape: tuple) -> Node:
    """A scalar on a whole shape; what has the shape already stays."""
    return x if x.shape == shape else ops.broadcast(x, shape=shape, axes=())


def reduced_transpose(node: Node, x: Node, p: tuple) -> Node:
    """Reduce the axes where they were, then put the others in order."""
    reduced = {p[axis] for axis in node.attrs["axes"]}
    kept = [axis for axis in range(len(p)) if axis not in reduced]
    order = [kept.index(p[axis]) for axis in range(len(p)) if p[axis] not in reduced]
    return transposed(node.op(x, axes=tuple(sorted(reduced))), order)


def two_reductions(node: Node) -> Node:
    (inner,) = node.operands
    (x,) = inner.operands
    first = inner.attrs["axes"]
    kept = [axis for axis in range(len(x.shape)) if axis not in first]
    second = [kept[axis] for axis in node.attrs["axes"]]
    return node.op(x, axes=tuple(sorted([*first, *second])))


def contracted_transposes(node: Node) -> Node | None:
    """Labels follow the axes, so a transposed operand is the operand with its labels moved."""
    left, right, result = split_spec(node.attrs["spec"])
    operands, labels = [], []
    for operand, own in zip(node.operands, (left, right)):
        if operand.op is ops.transpose:
            p = operand.attrs["axes"]
            own = "".join(own[p.index(axis)] for axis in range(len(p)))
            operand = operand.operands[0]
        operands.append(operand)
        labels.append(own)
    if tuple(operands) == node.operands:
        return None
    return ops.contract(*operands, **{**node.attrs, "spec": f"{labels[0]},{labels[1]}->{result}"})


def transposed_contraction(node: Node, p: tuple) -> Node:
    (inner,) = node.operands
    left, right, result = split_spec(inner.attrs["spec"])
    moved = "".join(result[axis] for axis in p)
    return ops.contract(*inner.operands, **{**inner.attrs, "spec": f"{left},{right}->{moved}"})


def lifting_rules(op: Op) -> list[Rule]:
    """The rules any elementwise op obeys."""
    return [any_use(op) >> lifted_broadcast, any_use(op) >> lifted_transpose]


MOVEMENT_RULES = [
    ops.transpose(ops.transpose(x, axes=p), axes=q) >> two_transposes,
    ops.transpose(x, axes=p) >> identity_transpose,
    ops.transpose(ops.broadcast(x, axes=axes), axes=p) >> transposed_broadcast,
    ops.reshape(ops.reshape(x), shape=shape) >> ops.reshape(x, shape=shape),
    ops.reshape(x, shape=shape) >> same_shape,
    ops.reshape(ops.broadcast(x, axes=()), shape=shape) >> ops.broadcast(x, shape=shape, axes=()),
    ops.broadcast(ops.broadcast(x, axes=p), axes=q, shape=shape) >> two_broadcasts,
    ops.broadcast(x, shape=shape) >> same_shape,
    any_use(slice_) >> whole_slice,
    slice_(any_use(slice_)) >> two_slices,
    slice_(ops.broadcast(x, axes=axes)) >> sliced_broadcast,
    slice_(ops.transpose(x, axes=p)) >> sliced_transpose,
    ops.concatenate(x) >> x,
    ops.pad(x, wild("value"))
    >> (lambda node, x: x if {*node.attrs["low"], *node.attrs["high"]} <= {0} else None),
]

# Exact because a reduction may take its elements in any order.
REORDERING_RULES = [
    *[op(ops.transpose(x, axes=p)) >> reduced_transpose for op in reductions],
    any_use(ops.contract) >> contracted_transposes,
    ops.transpose(any_use(ops.contract), axes=p) >> transposed_contraction,
    *[op(op(wild("x", has_kind("biu")))) >> two_reductions for op in reductions],
    *[op(op(wild("x", has_kind("f")))) >> two_reductions for op in map(OPS.get, ("max", "min"))],
    # A float sum over nothing still adds +0.0, which -0.0 feels.
    *[op(wild("x", has_kind("biu")), axes=()) >> x for op in reductions],
    *[op(wild("x", has_kind("f")), axes=()) >> x for op in map(OPS.get, ("prod", "max", "min"))],
]

ELEMENTWISE_OPS = [op for op in OPS.values() if op.kind == ELEMENTWISE]
