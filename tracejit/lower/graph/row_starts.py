"""Rows that are normalised, and the product that they are for, become one group.

A layer norm, or a softmax, sweeps a row several times before its elements are what a product multiplies. As a
group (lower/tensor/composite.py) both are made a strip of rows at a time: the rows of a strip are normalised
into the cache of the thread that multiplies them next. As in a chain of products (chains.py), what is saved is
the way of what is between to memory and back; what it costs is that the other factor is read once for every
strip.
"""

from __future__ import annotations

from ...ir.graph import Function, Module, Node, each_program
from ...ir.group import group_call, with_calls
from ...ir.op import ELEMENTWISE, REDUCTION
from ...ir.ops import broadcast, contract
from ...ir.types import f32, f64
from .chains import saves_more

MOST_NODES = 48


@each_program
def feed_products(module: Module) -> Module:
    """Make groups of the entry's products and the rows that are computed for them."""
    function = module.entry
    products = [node for node in function.nodes if _is_product(node)]
    if not products:
        return module
    users: dict[Node, set[Node | None]] = {result: {None} for result in function.results}
    for node in function.nodes:
        for operand in node.operands:
            users.setdefault(operand, set()).add(node)
    new: dict[Node, Node] = {}
    for product in products:
        for operand in product.operands:
            inside = _computed_for(product, operand, users)
            if not any(node.op.kind == REDUCTION for node in inside):
                continue
            made = group_call(product, inside, "product", when=_is_worth)
            if made is not None:
                new[product] = made
                break
    return Module(with_calls(function, new)) if new else module


def _is_product(node: Node) -> bool:
    return (
        node.op is contract
        and node.type.dtype in (f32, f64)
        and node.attrs.get("by", "") != "library"
        and all(type(n) is int for operand in (node, *node.operands) for n in operand.type.shape)
    )


def _computed_for(product: Node, operand: Node, users: dict) -> set[Node]:
    """The product, and what is computed row by row for this operand of it alone."""
    inside = {product}
    pending = [operand]
    while pending and len(inside) < MOST_NODES:
        node = pending.pop()
        if node in inside or not _is_row_by_row(node) or not users[node] <= inside:
            continue  # it comes up again when the last of its users is in
        inside.add(node)
        pending += node.operands
    return inside


def _is_row_by_row(node: Node) -> bool:
    return node.op.kind in (ELEMENTWISE, REDUCTION) or node.op is broadcast


def _is_worth(function: Function) -> bool:
    """Whether strips of the rows save more than they cost."""
    swept: set[Node] = set()
    for node in function.nodes:
        if node.op.kind == REDUCTION or not swept.isdisjoint(node.operands):
            swept.add(node)
    (product,) = [node for node in swept if node.op is contract]
    return any(saves_more(function, operand) for operand in product.operands if operand in swept)
