"""A product, and what its rows are reduced to, become one group.

The nearest centre of every point, the cross entropy of every row of logits, the largest of a row of
scores: the product is the largest value of all, and what is wanted of it is a number for each of its
rows. As a group (lower/tensor/composite.py) both are made a strip of rows at a time, and a strip stays
in the cache of the thread that makes it. As in a chain of products (chains.py), what is saved is the way
of the product to memory and back; what it costs is that the right factor is read once for every strip.
"""

from __future__ import annotations

from heapq import heappop, heappush

from ...ir.graph import Function, Module, Node, each_program
from ...ir.group import group_call, with_calls
from ...ir.op import ELEMENTWISE, MOVEMENT, REDUCTION
from ...ir.ops import broadcast, contract, gather, reshape, take_along, transpose
from ...ir.ops.contract import label_roles
from ...ir.types import f32, f64
from ..machine import USUAL
from .chains import BLOCK_ROWS, saves_more
from .groups import is_same_line
from .row_folds import folds_in_blocks
from .rows import labels_of

MOST_NODES = 48
# What fits the last cache comes and goes beside the arithmetic.
LEAST_BYTES = USUAL.l3_bytes // 4


@each_program
def reduce_products(module: Module) -> Module:
    """Make groups of the entry's products whose rows are reduced."""
    function = module.entry
    products = [node for node in function.nodes if _is_product(node)]
    if not products:
        return module
    users: dict[Node, list[Node | None]] = {result: [None] for result in function.results}
    for node in function.nodes:
        for operand in node.operands:
            users.setdefault(operand, []).append(node)
    position = {node: place for place, node in enumerate(function.nodes)}
    new: dict[Node, Node] = {}
    for product in products:
        order = _reduced(product, users, position)
        if order is None:
            continue
        root = order[-1]
        made = group_call(root, {*order}, "rows", when=_is_worth)
        if made is not None:
            new[root] = made
    return Module(with_calls(function, new)) if new else module


def _is_product(node: Node) -> bool:
    """Whether this is a product of matrices, or many of them."""
    if node.op is not contract or node.type.dtype not in (f32, f64):
        return False
    if node.attrs.get("by", "") == "library" or not all(type(n) is int for n in node.type.shape):
        return False
    _, rows, columns, depth = label_roles(node.attrs["spec"])
    return bool(rows and columns and depth)


def _reduced(product: Node, users: dict, position: dict[Node, int]) -> list[Node] | None:
    """The product, and all that is made of its rows, in order; None where that is none, or several, values.

    What is made of the product is followed as long as nothing but reductions and what is computed
    element by element reads it.
    """
    order, found = [product], None
    rows = product.type.size // max(product.type.shape[-1], 1)
    pending: list[tuple[int, Node]] = []
    seen: set[Node | None] = {product}
    last = product
    while True:
        for user in users[last]:
            if user is None:
                return found
            if user not in seen:
                seen.add(user)
                heappush(pending, (position[user], user))
        if not pending:
            return found
        _, last = heappop(pending)
        if not _is_row_by_row(last) or len(order) == MOST_NODES:
            return found
        order.append(last)
        # All that reads what comes before is in the group.
        if not pending and last.type.size == rows:
            found = order[:]


def _is_row_by_row(node: Node) -> bool:
    if node.op is reshape:  # of what is stored it is another view, which strips do not have
        return node.operands[0].op.kind == MOVEMENT and is_same_line(node)
    kinds, ops = (ELEMENTWISE, REDUCTION), (broadcast, transpose, gather, take_along)
    return node.op.kind in kinds or node.op in ops


def _is_worth(function: Function) -> bool:
    """Whether each row of the product makes its part of the result, and that is worth a group."""
    (result,) = function.results
    (product,) = [node for node in function.nodes if node.op is contract]
    if not any(node.op.kind == REDUCTION for node in function.nodes):
        return False  # but elements that are picked
    if product.type.size * product.type.dtype.itemsize < LEAST_BYTES:
        return False
    columns = labels_of(result, function.nodes)[product][-1]
    strip = BLOCK_ROWS if folds_in_blocks(function) else 0
    return columns is None and saves_more(function, strip=strip)
