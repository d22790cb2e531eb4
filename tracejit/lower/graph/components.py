"""Take short axes apart: what is computed of points in space becomes loops over the points alone.

NumPy programs keep coordinates along a last axis of extent 2 to 8: the squares of distances are a sum over it, forces
a product with it. Where another axis is reduced after that,

    s = sum(d * d, axis=2); f = sum(w(s)[:, :, None] * d, axis=1)        d: [n, n, 3]

no loop nest computes both sums, and d or f's operand would be stored. With the short axis written out,

    s = d0 * d0 + d1 * d1 + d2 * d2; f = stack([sum(w(s) * d0, 1), sum(w(s) * d1, 1), sum(w(s) * d2, 1)])

everything runs over [n, n] and fuses. The first sum's order is that of its elements; the second is the same
sums as before. Only operands that are computed are taken apart: what lies in memory is read as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from ...ir import ops
from ...ir.graph import Function, Module, Node, each_program
from ...ir.op import ELEMENTWISE, MOVEMENT, REDUCTION, Op
from ...ir.term import from_same_place, postorder
from ...ir.types import bool_, f16

LONGEST = 8
# Each component of an operand has its own copies of so many nodes at most, and each of this cost.
MOST_NODES, MOST_COST = 32, 8.0
_COMBINE: dict[str, Op] = {
    "sum": ops.add,
    "prod": ops.multiply,
    "max": ops.maximum,
    "min": ops.minimum,
    "any": ops.bitwise_or,
    "all": ops.bitwise_and,
}


@each_program
def split_components(module: Module) -> Module:
    """The same module, whose reductions over short axes that others follow are written out."""
    entry: Function = module.entry
    chosen = _chosen(entry) if any(map(_is_short, entry.nodes)) else {}
    if not chosen:
        return module
    pieces = _Pieces()
    new: dict[Node, Node] = {}
    for node in entry.nodes:
        operands = tuple([new[operand] for operand in node.operands])
        same = operands == node.operands
        made = node if same else Node(node.op, operands, node.attributes)
        if node in chosen:
            made = _written_out(made, chosen[node], pieces)
        new[node] = from_same_place(made, node)
    return Module(entry.replace(results=tuple([new[result] for result in entry.results])))


def _is_short(node: Node) -> bool:
    """Whether it reduces one short axis of what is computed, in a way that can be written out."""
    if node.op.name not in _COMBINE or node.operands[0].op.kind != ELEMENTWISE:
        return False
    (operand,), axes = node.operands, node.attrs["axes"]
    if node.op.name in ("any", "all") and operand.type.dtype is not bool_:
        return False
    return len(axes) == 1 and _fits(operand.type.shape[axes[0]]) and operand.type.dtype is not f16


def _fits(extent: object) -> bool:
    return type(extent) is int and 1 < extent <= LONGEST


def _chosen(function: Function) -> dict[Node, int]:
    """The reductions to write out, and the short axis of each one's operand."""
    users: dict[Node, list[Node]] = {}
    for node in function.nodes:
        for operand in dict.fromkeys(node.operands):
            users.setdefault(operand, []).append(node)
    chosen: dict[Node, int] = {}
    for node in filter(_is_short, function.nodes):
        if not _is_cheap(node.operands[0], users):
            continue
        for later in _reductions_after(node, users):
            (operand,) = later.operands
            if operand.type.shape == node.type.shape:
                chosen[node] = node.attrs["axes"][0]
            elif (axis := _kept_apart(later, node.type.shape)) is not None:
                chosen[node] = node.attrs["axes"][0]
                if _is_cheap(operand, users):
                    chosen[later] = axis
    return chosen


def _reductions_after(node: Node, users: dict[Node, list[Node]]) -> Iterator[Node]:
    """The first reductions that what is computed of `node`, element by element, goes into."""
    pending, seen = [node], {node}
    while pending:
        for user in users.get(pending.pop(), ()):
            if user.op.kind == REDUCTION and user not in seen:
                yield user
            elif user.op.kind in (ELEMENTWISE, MOVEMENT) and user not in seen:
                pending.append(user)
            seen.add(user)


def _kept_apart(node: Node, shape: tuple) -> int | None:
    """The short axis that a reduction keeps and that its operand has beyond those of `shape`."""
    (operand,), axes = node.operands, node.attrs["axes"]
    own = operand.type.shape
    if len(own) != len(shape) + 1 or operand.op.kind != ELEMENTWISE or node.op.name not in _COMBINE:
        return None
    for axis in reversed(range(len(own))):
        if axis not in axes and _fits(own[axis]) and own[:axis] + own[axis + 1 :] == shape:
            return axis
    return None


def _is_cheap(node: Node, users: dict[Node, list[Node]]) -> bool:
    """Whether `node` may be computed apart, component by component, and perhaps once more as a whole."""
    nodes = postorder((node,), lambda n: n.operands if n.op.kind == ELEMENTWISE else ())
    computed = [n for n in nodes if n.op.kind == ELEMENTWISE]
    return len(computed) <= MOST_NODES and sum([n.op.cost for n in computed]) <= MOST_COST


def _written_out(node: Node, axis: int, pieces: _Pieces) -> Node:
    """The reduction `node` by the components of its operand along `axis`, reduced or kept."""
    (operand,), axes = node.operands, node.attrs["axes"]
    parts = [pieces.of(operand, axis, k) for k in range(operand.type.shape[axis])]
    if axis in axes:
        return reduce(_COMBINE[node.op.name], parts)
    moved = tuple([a - (a > axis) for a in axes])
    place = axis - sum([a < axis for a in axes])
    shape = node.type.shape
    one = (*shape[:place], 1, *shape[place + 1 :])
    rows = [ops.reshape(node.op(part, axes=moved), shape=one) for part in parts]
    return ops.concatenate(*rows, axis=place)


class _Pieces:
    """Values at one index of one axis, each made once."""

    def __init__(self) -> None:
        self.made: dict[tuple[Node, int, int], Node] = {}

    def of(self, node: Node, axis: int, k: int) -> Node:
        """`node` at index `k` of `axis`, without that axis: what is computed is computed of pieces."""
        key = (node, axis, k)
        if key not in self.made:
            self.made[key] = from_same_place(self._make(node, axis, k), node)
        return self.made[key]

    def _make(self, node: Node, axis: int, k: int) -> Node:
        shape = node.type.shape
        rest = (*shape[:axis], *shape[axis + 1 :])
        if node.op.kind == ELEMENTWISE:
            operands = tuple([self.of(operand, axis, k) for operand in node.operands])
            return Node(node.op, operands, node.attributes)
        if node.op is ops.broadcast:
            (operand,), axes = node.operands, node.attrs["axes"]
            if axis in axes:
                operand = self.of(operand, axes.index(axis), k)
            moved = tuple([a - (a > axis) for a in axes if a != axis])
            if moved == tuple(range(len(rest))):
                return operand
            return ops.broadcast(operand, shape=rest, axes=moved)
        start, stop = [0] * len(shape), list(shape)
        start[axis], stop[axis] = k, k + 1
        row = ops.slice_(node, start=tuple(start), stop=tuple(stop), step=(1,) * len(shape))
        return ops.reshape(row, shape=rest)
