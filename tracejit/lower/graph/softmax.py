"""Two products with a softmax between them, recognised: attention, however it is written.

`softmax(scores) @ v`, with or without the largest score taken away first, divided by the sums of rows
before the second product or after it. The largest score and the sum of a row can then be found block
by block of the keys, while the second product is made of the same blocks (lower/tensor/key_blocks.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir.graph import Node
from ...ir.op import OPS
from ...ir.ops import broadcast, contract
from ...ir.ops.contract import label_roles, split_spec
from ...ir.ops.elementwise import divide, exp, subtract

# Bytes of a row of scores in a block of keys: a few vectors of each tile, whatever the machine, as
# results depend on where blocks end.
BLOCK_BYTES = 1024
FEWEST_BLOCKS = 2


class Softmax(NamedTuple):
    """`exp(scores - max(scores)) @ values`, by the sum of the row: nodes of a program.

    `last` is the product, `weights` its operand on that side, `exponentials` these before they are
    divided; `end` is `last`, or what divides it. Of `scores` none is taken away unless it `has_top`.
    `denominator` are the nodes from the exponentials to the sums that `last` is divided by.
    """

    scores: Node
    exponentials: Node
    weights: Node
    last: Node
    end: Node
    has_top: bool
    denominator: tuple[Node, ...] = ()

    @property
    def values(self) -> Node:
        left, right = self.last.operands
        return right if left is self.weights else left

    @property
    def labels(self) -> tuple[str, str, str]:
        """Of the weights, of the values and of the product, in its spec."""
        left, right, result = split_spec(self.last.attrs["spec"])
        return (
            (left, right, result)
            if self.last.operands[0] is self.weights
            else (right, left, result)
        )

    @property
    def block(self) -> int:
        """Keys in a block."""
        return BLOCK_BYTES // self.scores.type.dtype.itemsize

    @property
    def keys(self) -> int:
        return self.scores.type.shape[-1]

    @property
    def is_in_blocks(self) -> bool:
        """Whether there are keys enough for blocks."""
        return self.keys >= FEWEST_BLOCKS * self.block


def softmax_before(last: Node, users: dict[Node, list[Node | None]]) -> Softmax | None:
    """What the product `last` is the end of, if that is a softmax and a product."""
    left, right = last.operands
    for weights in last.operands if left is not right else ():
        found = _read(last, weights, users)
        if found is not None and last.attrs.get("by", "") != "library":
            labels, _, result = found.labels
            contracted = label_roles(last.attrs["spec"])[3]
            if contracted == labels[-1] and set(labels[:-1]).issubset(result):
                return found
    return None


def softmax_of(result: Node, nodes: Iterable[Node]) -> Softmax | None:
    """The softmax and the product that a group is, with what follows them, element by element."""
    users: dict[Node, list[Node | None]] = {result: [None]}
    for node in nodes:
        for operand in node.operands:
            users.setdefault(operand, []).append(node)
    products = [node for node in users if node.op is contract]
    if len(products) != 2:
        return None
    found = [softmax_before(product, users) for product in products]
    return next((softmax for softmax in found if softmax is not None), None)


def _read(last: Node, weights: Node, users: dict[Node, list[Node | None]]) -> Softmax | None:
    if weights.op is divide:
        exponentials, end, path = weights.operands[0], last, ()
        if not _is_of_row(weights.operands[1], "sum", exponentials):
            return None
    else:
        exponentials = weights
        end, path = _divided(last, weights, users)
        if end is None:
            return None
    if exponentials.op is not exp:
        return None
    (scores,) = exponentials.operands
    has_top = scores.op is subtract and _is_of_row(scores.operands[1], "max", scores.operands[0])
    if has_top:
        scores = scores.operands[0]
    return Softmax(scores, exponentials, weights, last, end, has_top, path)


def _divided(
    last: Node, weights: Node, users: dict[Node, list[Node | None]]
) -> tuple[Node | None, tuple[Node, ...]]:
    """The quotient of a product of weights and their sums, and the nodes of these; None if it is none."""
    readers = users.get(last, [])
    if len(readers) != 1 or readers[0] is None or readers[0].op is not divide:
        return None, ()
    (end,) = readers
    over, under = end.operands
    if over is not last or under.op is not broadcast:
        return None, ()
    left, right, result = split_spec(last.attrs["spec"])
    labels = left if last.operands[0] is weights else right
    (total,) = under.operands
    if not _is_reduced(total, "sum", weights):
        return None, ()
    places = tuple([result.find(label) for label in labels[:-1]])
    return (end, (total, under)) if under.attrs["axes"] == places else (None, ())


def _is_of_row(node: Node, op: str, source: Node) -> bool:
    """Whether a node is the sum, or the maximum, of each row of `source`, for each of its elements."""
    if node.op is not broadcast or not _is_reduced(node.operands[0], op, source):
        return False
    return node.attrs["axes"] == tuple(range(source.type.ndim - 1)) and node.type is source.type


def _is_reduced(node: Node, op: str, source: Node) -> bool:
    if node.op is not OPS[op] or node.operands[0] is not source:
        return False
    return node.attrs["axes"] == (source.type.ndim - 1,)
