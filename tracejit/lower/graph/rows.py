"""Which axes of a result all that it is computed from has too: along these it can be made in strips.

Every axis of every node is labelled with the axis of the result that it runs along, or None. An axis
of the result is *free* where each value that is stored on the way has it exactly once: a part of the
result along it is computed from the same part of these, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.graph import Function, Node
from ...ir.op import CONTRACTION, ELEMENTWISE, REDUCTION
from ...ir.ops import broadcast, gather, iota, reshape, take_along, transpose
from ...ir.ops.contract import split_spec
from .groups import is_same_line

Labels = tuple[int | None, ...]


def labels_of(result: Node, nodes: Iterable[Node]) -> dict[Node, Labels]:
    """The labels of `nodes` (operands first) that `result` is computed from, and of what these read.

    What is read along different axes by several nodes has no label there.
    """
    found: dict[Node, Labels] = {result: tuple(range(result.type.ndim))}
    for node in reversed(list(nodes)):
        if node not in found:
            continue
        for operand, labels in _of_operands(node, found[node]):
            before = found.get(operand, labels)
            found[operand] = tuple([a if a == b else None for a, b in zip(before, labels)])
    return found


def free_axes(function: Function) -> tuple[int, ...]:
    """The free axes of a Function's one result: rows of a product come last, batches before.

    Among these, what most of the operands have comes first.
    """
    (result,) = function.results
    labels = labels_of(result, function.nodes)
    stored = [n for n in function.nodes if n.op.kind in (CONTRACTION, REDUCTION)]
    axes = [
        axis
        for axis in range(result.type.ndim if stored else 0)
        if all(labels.get(node, ()).count(axis) == 1 for node in stored)
    ]
    ends = [n for n in labels if not _passes_on(n)]
    weight = {a: sum(n.type.size for n in ends if a in labels[n]) for a in axes}
    products = [node for node in stored if node.op.kind == CONTRACTION]
    is_batch = lambda axis: all(axis in labels[o] for node in products for o in node.operands)
    return tuple(sorted(axes, key=lambda axis: (not is_batch(axis), -weight[axis])))


def _passes_on(node: Node) -> bool:
    kinds = (ELEMENTWISE, REDUCTION, CONTRACTION)
    return node.op.kind in kinds or node.op in (broadcast, transpose)


def _of_operands(node: Node, own: Labels) -> list[tuple[Node, Labels]]:
    attrs = node.attrs
    if node.op.kind == ELEMENTWISE:
        return [(operand, own) for operand in node.operands]
    if node.op is broadcast:
        return [(node.operands[0], tuple([own[axis] for axis in attrs["axes"]]))]
    if node.op is transpose:
        return [(node.operands[0], tuple([own[attrs["axes"].index(a)] for a in range(len(own))]))]
    if node.op.kind == REDUCTION:
        (operand,) = node.operands
        kept = iter(own)
        reduced = attrs["axes"]
        return [
            (
                operand,
                tuple([None if a in reduced else next(kept) for a in range(operand.type.ndim)]),
            )
        ]
    if node.op is reshape and is_same_line(node):
        (operand,) = node.operands
        kept = iter([label for label, n in zip(own, node.type.shape) if n != 1])
        return [(operand, tuple([None if n == 1 else next(kept) for n in operand.type.shape]))]
    if node.op is take_along and len(own) == len(node.operands[0].type.shape):
        x, index = node.operands
        across = tuple([None if a == attrs["axis"] else label for a, label in enumerate(own)])
        return [(x, across), (index, own)]
    if node.op is gather and len(own) == 1 and len(attrs["axes"]) == node.operands[0].type.ndim:
        x, *indices = node.operands
        places = [own[0] if index.op is iota else None for index in indices]
        return [(x, tuple(places)), *[(index, own[: index.type.ndim]) for index in indices]]
    if node.op.kind == CONTRACTION:
        left, right, result = split_spec(attrs["spec"])
        known = dict(zip(result, own))
        parts = zip(node.operands, (left, right))
        return [(operand, tuple([known.get(x) for x in labels])) for operand, labels in parts]
    return [
        (operand, (None,) * operand.type.ndim)
        for operand in node.operands
        if hasattr(operand.type, "ndim")
    ]
