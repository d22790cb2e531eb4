"""What iterations of a settled loop have in common, for which it may be better not to roll it."""

from __future__ import annotations

from math import prod
from typing import Any

from ...ir.dims import Dim, Symbol, symbols_of
from ...ir.graph import Node, operands_of
from ...ir.op import ELEMENTWISE, OPS
from ...ir.ops.control import unknown_of
from ...ir.term import postorder
from ..regions import encloses

# How many elements there are to compute, at least, for each that is read of what is short for them.
FEW_OF = 16


def is_plain(rolling: Any, more: list[Node]) -> bool:
    """Whether nothing in the body of a `Rolling` depends on traced values, but for the index."""
    if rolling.storages or rolling.carries_token:
        return False
    own = set(rolling.parameters.values())
    firsts = [kind.node(a) for kind, a in rolling.firsts()]
    index = {unknown_of(rolling.index)} if rolling.index is not None else set()
    for node in postorder([*rolling.nodes.values(), *firsts, *more], operands_of):
        if node.op is OPS["parameter"] and node not in own or node.op is OPS["host_call"]:
            return False
        if not {u for _, value in node.attributes for u in unknowns_in(value)} <= index:
            return False
    return True


def is_by_element(rolling: Any, most: int, count: int) -> bool:
    """Whether the body computes arrays element by element, in few operations: `count` iterations of
    that are best done one after the other for each element.

    It may read windows of what stays the same, which overlap with those of other iterations, and little else.
    """
    homes, region = rolling.trace.homes, rolling.region
    results = [*rolling.nodes.values(), *rolling.written.values()]
    if not results:
        return False
    is_outside = lambda n: encloses(homes.get(n), region)
    inside = postorder(results, lambda n: () if is_outside(n) else n.operands)
    work = [n for n in inside if n.operands and not is_outside(n)]
    own, read = {*rolling.parameters.values()}, set()
    sizes = [prod(n.type.shape) for n in results]
    size = min(sizes) if all(type(n) is int for n in sizes) else 0
    for n in work:
        (source, *_) = n.operands
        stays = is_outside(source) and source not in own or source in read
        if stays and (n.op is OPS["reshape"] or _is_window(n, count, size)):
            read.add(n)
    kinds_fit = all(n.op.kind == ELEMENTWISE or n.op is OPS["broadcast"] or n in read for n in work)
    return kinds_fit and len(work) <= most and all(n.type.shape for n in rolling.nodes.values())


def unknowns_in(value: Any) -> list[Symbol]:
    """The unknowns in an attribute."""
    if type(value) is tuple:
        return [unknown for part in value for unknown in unknowns_in(part)]
    return symbols_of(value) if isinstance(value, Dim) else []


def _is_window(node: Node, count: int, size: int) -> bool:
    """Whether a node is a part of an array that overlaps with those of `count` indices beside it, or is
    short for what is computed of `size` elements."""
    if node.op is not OPS["slice"] or not all(type(n) is int for n in node.type.shape):
        return False
    starts, extents = node.attrs["start"], node.type.shape
    moves = [extent for start, extent in zip(starts, extents) if not isinstance(start, int)]
    return node.type.size * FEW_OF <= size or all(n > count for n in moves)
