"""Softmaxes along another axis than the last, turned: scores that are kept as keys by queries.

`softmax(k @ q.T, axis=0).T @ v` is the attention of `q @ k.T`, with its rows as columns. The product, what is
computed of it, and the reductions along the keys are written with the keys as the last axis, so that a
row is a query's, and chains of products (chains.py) find it.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Function, Node, substitute
from ...ir.op import ELEMENTWISE, REDUCTION
from ...ir.ops import broadcast, contract
from ...ir.ops.contract import label_roles, split_spec
from .movement import transposed, transposed_broadcast


def with_keys_last(function: Function, products: list[Node]) -> Function:
    """The same function, in which what is summed last by a product of a softmax is its last axis."""
    new: dict[Node, Node] = {}
    for last in products:
        for side in (0, 1):
            axis = _axis_of_keys(last, side)
            if axis is not None:
                turn = _Turn(last.operands[side].type.shape, axis)
                new[last] = turn.product(last, side)
                sums = [n for n in function.nodes if n.op.kind == REDUCTION]
                new |= {n: turn.row(n) for n in sums if n.operands[0] in turn.turned}
    return function.replace(results=substitute(function.results, new)) if new else function


def _axis_of_keys(last: Node, side: int) -> int | None:
    """The axis of an operand that the product sums over, where a softmax runs along it, and it is not
    the last."""
    labels, keys = split_spec(last.attrs["spec"])[side], label_roles(last.attrs["spec"])[3]
    if len(keys) != 1 or keys == labels[-1]:
        return None
    axis = labels.index(keys)
    shape = last.operands[side].type.shape
    pending, seen = [last.operands[side]], set()
    has_product = has_sums = False
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        has_product |= node.op is contract and node.type.shape == shape
        if node.op.kind == REDUCTION:
            has_sums |= node.attrs["axes"] == (axis,) and node.operands[0].type.shape == shape
        if node.op.kind in (ELEMENTWISE, REDUCTION) or node.op is broadcast:
            pending += node.operands
    return axis if has_product and has_sums else None


class _Turn:
    """Values of one shape with one of their axes moved to the end."""

    def __init__(self, shape: tuple, axis: int):
        self.shape, self.axis = shape, axis
        ndim = len(shape)
        self.order = (*[a for a in range(ndim) if a != axis], axis)
        self.turned: dict[Node, Node] = {}

    def product(self, last: Node, side: int) -> Node:
        labels = [*split_spec(last.attrs["spec"])]
        labels[side] = self.moved(labels[side])
        operands = [*last.operands]
        operands[side] = self.value(operands[side])
        spec = f"{labels[0]},{labels[1]}->{labels[2]}"
        return contract(*operands, **{**last.attrs, "spec": spec})

    def moved(self, labels: str) -> str:
        return "".join(labels[axis] for axis in self.order)

    def value(self, node: Node) -> Node:
        """A value of the shape, turned."""
        if node not in self.turned:
            self.turned[node] = self._value(node)
        return self.turned[node]

    def _value(self, node: Node) -> Node:
        if node.op is contract:  # rows are then those of what came second
            left, right, result = split_spec(node.attrs["spec"])
            spec = f"{right},{left}->{self.moved(result)}"
            return contract(*node.operands[::-1], **{**node.attrs, "spec": spec})
        if node.op.kind == ELEMENTWISE:
            return Node(node.op, tuple(map(self.value, node.operands)), node.attributes)
        if node.op is broadcast:
            target = ops.transpose(node, axes=self.order)
            row = self.row(node.operands[0])
            return transposed_broadcast(row, target, node.attrs["axes"], self.order)
        return transposed(node, self.order)

    def row(self, node: Node) -> Node:
        """A value of one element for each row of keys: what reductions and element by element make."""
        if node.op.kind == REDUCTION:
            (operand,) = node.operands
            if operand.type.shape == self.shape and node.attrs["axes"] == (self.axis,):
                return node.op(self.value(operand), axes=(len(self.shape) - 1,))
            return node
        if node.op.kind == ELEMENTWISE:
            return Node(node.op, tuple(map(self.row, node.operands)), node.attributes)
        return node
