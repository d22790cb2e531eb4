"""Contractions of a few elements become sums of products, which fuse with what is around them.

`image @ weights` with three channels, or `(x * y).dot(ones(3))`, moves as many elements as it
computes: nothing is used twice, so there is nothing to tile, while a kernel of its own would cost a
pass over memory for every operand that is computed. The same goes for many small matrices side by
side along a last axis, as in `einsum("ij...,jk...->ik...")`, for columns with columns, as in `einsum("ij,ij->j")`, and
for long sums of few columns whose operands are both computed, as `(mass / distance**3) @ (position -
position[i])`.
"""

from __future__ import annotations

from math import prod

from ...ir import ops
from ...ir.graph import Function, Module, Node, each_program
from ...ir.op import ELEMENTWISE
from ...ir.ops.contract import label_roles, split_spec
from ...ir.term import from_same_place

# The longest sum of products, the most rows and columns of matrices side by side, and the most sums
# of any length.
DEPTH = 8
SIDE = 4
FEW = 4


@each_program
def expand_products(module: Module) -> Module:
    """Rewrite the entry's small contractions."""
    function = module.entry
    new: dict[Node, Node] = {}
    for node in function.nodes:
        own = Node(node.op, tuple([new[operand] for operand in node.operands]), node.attributes)
        new[node] = from_same_place(_sum_of_products(own) if _is_small(node) else own, node)
    results = tuple([new[result] for result in function.results])
    return Module(Function(function.name, function.parameters, results))


def _is_small(node: Node) -> bool:
    if node.op is not ops.contract or node.attrs.get("by") == "library":
        return False
    if node.type.dtype.name in ("f16", "bool"):
        return False
    extents = _extents(node)
    batch, rows, columns, depth = (
        [extents[label] for label in labels] for labels in label_roles(node.attrs["spec"])
    )
    if not all(type(extent) is int for extent in (*rows, *columns, *depth)):
        return False
    if not batch and prod(rows) * prod(columns) <= FEW and all(map(_is_computed, node.operands)):
        return 1 in (prod(rows), prod(columns))
    if _is_by_columns(node, bool(rows or columns)):
        return True
    if not 0 < prod(depth) <= DEPTH:
        return False
    is_side_by_side = (
        bool(batch) and _batch_is_last(node) and max(prod(rows), prod(columns)) <= SIDE
    )
    return is_side_by_side or 1 in (prod(rows), prod(columns))


def _is_computed(node: Node) -> bool:
    """Whether each element is a number of its own, computed from others."""
    while node.op in (ops.transpose, ops.broadcast, ops.reshape):
        (node,) = node.operands
    return node.op.kind == ELEMENTWISE


def _extents(node: Node) -> dict[str, object]:
    left, right, _ = split_spec(node.attrs["spec"])
    a, b = node.operands
    return dict(zip(left + right, (*a.type.shape, *b.type.shape)))


def _batch_is_last(node: Node) -> bool:
    *_, result = split_spec(node.attrs["spec"])
    return result[-1] in label_roles(node.attrs["spec"])[0]


def _is_by_columns(node: Node, is_product: bool) -> bool:
    """Whether columns are multiplied with columns, each with its own: rows are added up as they lie."""
    ends = {part[-1:] for part in split_spec(node.attrs["spec"])}
    return not is_product and len(ends) == 1 and "" not in ends


def _sum_of_products(node: Node) -> Node:
    left, right, result = split_spec(node.attrs["spec"])
    *_, contracted = label_roles(node.attrs["spec"])
    extents = _extents(node)
    labels = result + contracted
    shape = tuple([extents[label] for label in labels])
    a, b = (
        _spread(operand, own, labels, shape) for operand, own in zip(node.operands, (left, right))
    )
    axes = tuple(range(len(result), len(labels)))
    return ops.sum_(ops.multiply(a, b), axes=axes)


def _spread(x: Node, own: str, labels: str, shape: tuple) -> Node:
    """An operand with its axes in the order of `labels`, repeated along those that it lacks."""
    order = sorted(range(len(own)), key=lambda k: labels.index(own[k]))
    if order != list(range(len(own))):
        x = ops.transpose(x, axes=tuple(order))
    axes = tuple(sorted(labels.index(label) for label in own))
    return x if len(axes) == len(shape) else ops.broadcast(x, shape=shape, axes=axes)
