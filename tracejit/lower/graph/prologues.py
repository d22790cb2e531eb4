"""Which operands of a product are computed where it packs them, rather than stored before.

A product copies the blocks of its operands that it is about to use, in the order in which it uses
them. What an operand is computed from (a scale, a mask, whole numbers that stand for fractions) can be
read then, if each element is copied once. That is so of the right operand, and of the left one where
the other has columns enough for several tiles, or is a vector. What is dear is stored: not all copies
run in lanes. Whole numbers that are converted from fewer bytes are multiplied as they are stored.
"""

from __future__ import annotations

from math import prod

from ...ir.graph import Node
from ...ir.op import ELEMENTWISE
from ...ir.ops import cast
from ...ir.ops.contract import split_spec
from ...ir.types import f32, f64, i32
from .groups import Group

# Rows or columns beside an operand beyond which there are several tiles, whichever side it is on.
SEVERAL_TILES = 64
MOST_COST = 8.0  # of what is computed for an element
LEAST_ELEMENTS = 1 << 12


def is_prologue(product: Node, operand: Node, home: Group) -> bool:
    """Whether the group of an operand may be computed where `product` packs it."""
    if product.type.dtype not in (f32, f64, i32) or product.attrs.get("by") == "library":
        return False
    left, right = product.operands
    if left is right or not all(type(n) is int for n in (*left.type.shape, *right.type.shape)):
        return False
    nodes = [*home.nodes, *home.clones]
    if any(node.op.kind != ELEMENTWISE for node in nodes):
        return False
    if product.type.dtype is i32 and all(map(_is_widening, nodes)):
        return True
    if sum(node.op.cost for node in nodes) > MOST_COST or operand.type.size < LEAST_ELEMENTS:
        return False
    own, other, _ = split_spec(product.attrs["spec"])
    extents = dict(zip(own + other, (*left.type.shape, *right.type.shape)))
    is_right = right is operand
    if is_right:
        own, other = other, own
    rows = prod(extents[label] for label in own if label not in other)
    beside = prod(extents[label] for label in other if label not in own)
    if beside > SEVERAL_TILES:
        return rows > SEVERAL_TILES  # the other operand is packed too, for so many rows
    return beside == 1 or is_right


def _is_widening(node: Node) -> bool:
    """Whether a node converts numbers to others of more bytes."""
    return node.op is cast and node.operands[0].type.dtype.itemsize < node.type.dtype.itemsize
