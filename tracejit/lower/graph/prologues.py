"""Which operands of a product are computed where it packs them, rather than stored before.

A product copies the blocks of its operands that it is about to use, in the order in which it uses
them. What an operand is computed from (a scale, a mask, whole numbers that stand for fractions) can be
read then, if each element is copied once. That is so where the other operand has rows enough for
several tiles, or is a vector. What is dear is stored: not all copies run in lanes.
"""

from __future__ import annotations

from math import prod

from ...ir.graph import Node
from ...ir.op import ELEMENTWISE
from ...ir.ops.contract import split_spec
from ...ir.types import f32, f64, i32
from .groups import Group

# Rows or columns beside an operand beyond which there are several tiles, whichever side it is on.
SEVERAL_TILES = 64
ONE_TILE = 8  # rows of the left operand: each element of the right one is read once
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
    return beside == 1 or is_right and beside <= ONE_TILE
