"""A product, what is computed from it row by row, and a product of that again become one group.

In `softmax(q @ k.T + mask) @ v` the values between the products are the largest of all, and every row
of the result needs one row of them. As a group (lower/tensor/composite.py) they are made a strip of
rows at a time, and a strip stays in the cache of the thread that makes it. So it is with layers of few
features for many rows.

What is saved is the way of the values between to memory and back; what it costs is that the operands
all rows share, the keys and values or the weights, are read once for every strip, not for every block
of rows of one product. The group is made where the first is more (`is_worth`), in cycles by where
each of them fits.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ...ir.graph import Function, Module, Node, each_program
from ...ir.group import group_call, with_calls
from ...ir.op import CREATION, ELEMENTWISE, REDUCTION
from ...ir.ops import broadcast, contract, transpose
from ...ir.ops.contract import split_spec
from ...ir.types import f32, f64
from ..machine import USUAL
from .rows import Labels, free_axes, labels_of
from .softmax import softmax_before
from .turned import with_keys_last

# Rows of one product that pass over its right factor together, and of a strip, for tiles of a few.
BLOCK_ROWS, STRIP_ROWS = 96, 64
# Bytes of what is between that a strip takes, if it need not be shorter than a few rows.
NEAR_BYTES, FEWEST_ROWS = 512 << 10, 4
# Less between two products is in the nearest caches anyway; more is too much memory to ask for.
LEAST_BYTES, MOST_BYTES = 128 << 10, 64 << 20
LEAST_GAIN = 0.05  # of the arithmetic, as strips have tiles of their own
PRODUCT_BYTES = 128  # of results of multiply-adds in a cycle


@each_program
def chain_products(module: Module) -> Module:
    """Make groups of the entry's chains of two products."""
    products = [node for node in module.entry.nodes if _is_product(node)]
    if len(products) < 2:
        return module
    function = with_keys_last(module.entry, products)
    if function is not module.entry:
        products = [node for node in function.nodes if _is_product(node)]
    users: dict[Node, list[Node | None]] = {result: [None] for result in function.results}
    for node in function.nodes:
        for operand in node.operands:
            users.setdefault(operand, []).append(node)
    new: dict[Node, Node] = {}
    taken: set[Node] = set()
    for last in products:
        made = _chained(last, users, taken)
        if made is not None:
            root, call = made
            new[root] = call
    return Module(with_calls(function, new)) if new else module


def _is_product(node: Node) -> bool:
    return (
        node.op is contract
        and node.type.dtype in (f32, f64)
        and node.attrs.get("by", "") != "library"
        and all(type(n) is int for operand in (node, *node.operands) for n in operand.type.shape)
    )


def _chained(last: Node, users: dict, taken: set[Node]) -> tuple[Node, Node] | None:
    """The end of a group of the product `last`, and the call; None where there is no chain worth it."""
    for operand in last.operands:
        between = _between(operand)
        found = [node for node in between if node.op is contract]
        if len(found) != 1 or found[0] is operand or last in taken or found[0] in taken:
            continue
        (first,) = found
        # Before anything is built: whether it could be worth it, if it cost nothing.
        most = _saved(first, between) - LEAST_GAIN * (_arithmetic(first) + _arithmetic(last))
        if most <= 0:
            continue
        softmax = softmax_before(last, users)
        root, on_the_way = last, between
        if softmax is not None and softmax.end is not last and softmax.is_in_blocks:
            # Sums of rows divide the product; without blocks of keys they would be one result too many.
            root, on_the_way = softmax.end, [*between, *softmax.denominator, last, softmax.end]
        inside = _inside(root, first, on_the_way, users)
        if inside is None:
            continue
        made = group_call(root, inside, "products", when=is_worth)
        if made is not None:
            taken |= {first, last}
            return root, made
    return None


def _between(operand: Node) -> list[Node]:
    """The first products on the way back from an operand, and all that is on the way; operands first."""
    found: list[Node] = []
    seen: set[Node] = set()
    stack = [operand]
    while stack:
        node = stack[-1]
        if node in seen or not _is_row_by_row(node):
            stack.pop()
            if node.op is contract and node not in seen:
                seen.add(node)
                found.append(node)
            continue
        missing = [
            o for o in node.operands if o not in seen and (_is_row_by_row(o) or o.op is contract)
        ]
        if missing:
            stack += missing
            continue
        stack.pop()
        seen.add(node)
        found.append(node)
    return found


def _is_row_by_row(node: Node) -> bool:
    return node.op.kind in (ELEMENTWISE, REDUCTION) or node.op in (broadcast, transpose)


def _inside(root: Node, first: Node, between: list[Node], users: dict) -> set[Node] | None:
    """The nodes of the group that ends in `root`; None where a value on the way is used elsewhere too.

    Values that do not come from the first product, as masks, are computed where they are used if
    nobody else does, or if they are made of nothing.
    """
    depends = {first}
    for node in between:
        if depends & {*node.operands}:
            depends.add(node)
    inside = {root, *depends}
    if not all(user in inside for node in depends - {root} for user in users[node]):
        return None
    made_of_nothing: set[Node] = set()
    for node in between:
        is_made = all(o in made_of_nothing or o.op.kind == CREATION for o in _seen_through(node))
        if is_made and node not in depends and node.op.kind == ELEMENTWISE:
            made_of_nothing.add(node)
    inside |= made_of_nothing
    for node in reversed(between):
        if node.op.kind == ELEMENTWISE and all(user in inside for user in users[node]):
            inside.add(node)
    # What is computed of the rows of the first product's operands, such as scaled queries.
    labels = labels_of(root, [*between, root])
    (last,) = [node for node in (*between, root) if node.op is contract and node is not first]
    for operand in first.operands:
        is_own = all(user is first for user in users[operand])
        if operand.op.kind == ELEMENTWISE and is_own and _has_rows(operand, labels, last):
            inside.add(operand)
    return inside


def _has_rows(operand: Node, labels: dict[Node, Labels], last: Node) -> bool:
    """Whether an operand of the first product differs from row to row of the result."""
    others = [labels.get(o, ()) for o in last.operands]
    return any(a is not None and sum(a in own for own in others) == 1 for a in labels[operand])


def _seen_through(node: Node) -> Iterable[Node]:
    for operand in node.operands:
        while operand.op in (broadcast, transpose):
            (operand,) = operand.operands
        yield operand


def is_worth(function: Function) -> bool:
    """Whether strips of rows save more than they cost, or much memory."""
    if not free_axes(function):
        return False
    (between, *_) = [node for node in function.nodes if node.op is contract]
    is_much = _bytes(between) >= MOST_BYTES and _has_sweeps(function.nodes)
    return is_much or saves_more(function)


def saves_more(function: Function, between: Node | None = None, strip: int = 0) -> bool:
    """Whether strips of rows save more than they cost, where what they save is the way of the first product,
    or of what is `between` other nodes, to memory and back. They are of `strip` rows; 0: as many as are near."""
    axes = free_axes(function)
    if not axes:
        return False
    (last,) = function.results
    labels = labels_of(last, function.nodes)
    rows = prod(last.type.shape[axis] for axis in axes)
    products = [node for node in function.nodes if node.op is contract]
    saved = _saved(products[0], function.nodes) if between is None else _saved(between, ())
    size = _bytes(between or products[0])
    strip = strip or min(max(NEAR_BYTES * rows // size, FEWEST_ROWS), STRIP_ROWS)
    if size < LEAST_BYTES:
        return False
    outer = prod(last.type.shape[axis] for axis in axes[:-1])
    shared = [o for p in products for o in p.operands if axes[-1] not in labels[o]]
    weights = sum(_bytes(o) for o in shared) / outer
    times = rows / outer * (1 / strip - 1 / BLOCK_ROWS) * outer
    gain = saved - max(times, 0) * weights * _rate(weights)
    return gain > LEAST_GAIN * sum(map(_arithmetic, products))


def _saved(first: Node, nodes: Iterable[Node]) -> float:
    """Cycles for the way of what is between to memory and back, with sweeps over its rows or without."""
    return (4 if _has_sweeps(nodes) else 2) * _bytes(first) * _rate(_bytes(first))


def _has_sweeps(nodes: Iterable[Node]) -> bool:
    return any(node.op.kind == REDUCTION for node in nodes)


def _arithmetic(product: Node) -> float:
    """Cycles of a product at the peak."""
    left, right, _ = split_spec(product.attrs["spec"])
    a, b = product.operands
    extents = dict(zip(left + right, (*a.type.shape, *b.type.shape)))
    return prod(extents.values()) * product.type.dtype.itemsize / PRODUCT_BYTES


def _bytes(node: Node) -> int:
    return node.type.size * node.type.dtype.itemsize


def _rate(size: float) -> float:
    """Cycles of a byte of an array of this size."""
    return USUAL.byte_cycles(size)
