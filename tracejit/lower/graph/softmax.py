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
from ...ir.ops.elementwise import add, divide, exp, multiply, subtract
from .values import scalar_value

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
    if (scores := _of_logarithm(weights)) is not None:
        return Softmax(scores, weights, weights, last, last, True)
    quotient = _quotient(weights)
    if quotient is not None:
        exponentials, end, path = quotient[0], last, ()
        if not _is_of_row(quotient[1], "sum", exponentials):
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


def _quotient(node: Node) -> tuple[Node, Node] | None:
    """What a node divides, and by what: also where it multiplies by the reciprocals of rows' sums."""
    if node.op is divide:
        return node.operands
    for side in (0, 1) if node.op is multiply else ():
        factor, other = node.operands[1 - side], node.operands[side]
        inner = factor.operands[0] if factor.op is broadcast else None
        if inner is not None and inner.op is divide and scalar_value(inner.operands[0]) == 1:
            under = Node(broadcast, (inner.operands[1],), factor.attributes)
            return other, under
        if inner is not None and inner.op is OPS["reciprocal"]:
            return other, Node(broadcast, inner.operands, factor.attributes)
    return None


def _of_logarithm(weights: Node) -> Node | None:
    """The scores of `exp(scores - (log(sum(exp(scores - top))) + top))`, in whichever order."""
    if weights.op is not exp or weights.operands[0].op is not subtract:
        return None
    less, under = weights.operands[0].operands
    if under.op is not broadcast:
        return None
    (total,) = under.operands
    tops: list[Node] = []
    if total.op is add:  # scores less one sum
        logarithms = [side for side in total.operands if side.op is OPS["log"]]
        tops = [side for side in total.operands if side.op is not OPS["log"]]
        if len(logarithms) != 1:
            return None
        (total,) = logarithms
    if total.op is not OPS["log"] or total.operands[0].op is not OPS["sum"]:
        return None
    (exponentials,) = total.operands[0].operands
    if exponentials.op is not exp or not _is_of_row(
        Node(broadcast, total.operands, under.attributes), "sum", exponentials
    ):
        return None
    (apart,) = exponentials.operands
    if apart.op is not subtract or not _is_of_row(apart.operands[1], "max", apart.operands[0]):
        return None
    same = apart.operands[1].operands[0] is tops[0] if tops else less is apart
    scores = apart.operands[0]
    return scores if same and (less is scores or not tops) else None


def _divided(
    last: Node, weights: Node, users: dict[Node, list[Node | None]]
) -> tuple[Node | None, tuple[Node, ...]]:
    """The quotient of a product of weights and their sums, and the nodes of these; None if it is none."""
    readers = users.get(last, [])
    quotient = _quotient(readers[0]) if len(readers) == 1 and readers[0] is not None else None
    if quotient is None or quotient[0] is not last or quotient[1].op is not broadcast:
        return None, ()
    (end,), (_, under) = readers, quotient
    left, right, result = split_spec(last.attrs["spec"])
    labels = left if last.operands[0] is weights else right
    (total,) = under.operands
    if not _is_reduced(total, "sum", weights):
        return None, ()
    places = tuple([result.find(label) for label in labels[:-1]])
    between = tuple([n for n in end.operands if n is not last])
    path = (total, *[o for n in between for o in n.operands if o is not total], *between)
    return (end, path) if under.attrs["axes"] == places else (None, ())


def _is_of_row(node: Node, op: str, source: Node) -> bool:
    """Whether a node is the sum, or the maximum, of each row of `source`, for each of its elements."""
    if node.op is not broadcast or not _is_reduced(node.operands[0], op, source):
        return False
    return node.attrs["axes"] == tuple(range(source.type.ndim - 1)) and node.type is source.type


def _is_reduced(node: Node, op: str, source: Node) -> bool:
    if node.op is not OPS[op] or node.operands[0] is not source:
        return False
    return node.attrs["axes"] == (source.type.ndim - 1,)
