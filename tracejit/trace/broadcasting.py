"""Shapes that stretch to one another, as explicit nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ShapeError, TraceError
from ..ir import ops
from ..ir.dims import Dim, plain, symbols_of
from ..ir.graph import Node
from ..ir.refusal import TOGETHER
from .context import failure

Shape = tuple[Any, ...]


def shape_text(shape: Shape) -> str:
    """`(3,4)`, `(3,)` or `()`, as NumPy's messages write shapes."""
    return f"({','.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def is_one(extent: Any) -> bool:
    """Whether an extent stretches. One that only data tells does not, even where it turns out to be 1:
    it fits its own equal alone."""
    return type(extent) is int and extent == 1


def is_told_by_data(extent: Any) -> bool:
    """Whether an extent has unknowns that the program computes."""
    return isinstance(extent, Dim) and any(unknown.depth for unknown in symbols_of(extent))


# Gives one extent for several that the program is to find equal; set by extents.py, which is above.
AGREED: list[Callable[[Sequence[Any], int], Any]] = []


def broadcast_shapes(*shapes: Shape, what: str = "") -> Shape:
    """The shape all of `shapes` stretch to; ShapeError with NumPy's words when there is none.

    Where only data tells whether there is one, the program is to find out, and reports it.
    """
    shapes = tuple([tuple([plain(extent) for extent in shape]) for shape in shapes])
    first = shapes[0]
    if all(shape == first for shape in shapes[1:]):
        return first
    ndim = max(len(shape) for shape in shapes)
    result: list[Any] = []
    for axis in range(-ndim, 0):
        extents = list(dict.fromkeys([shape[axis] for shape in shapes if -axis <= len(shape)]))
        extents = [extent for extent in extents if extent != 1]
        if len(extents) > 1:
            if not any(map(is_told_by_data, extents)):
                _refuse(shapes, extents, what)
            extents = [AGREED[0](extents, TOGETHER)]
        result.append(extents[0] if extents else 1)
    return tuple(result)


def _refuse(shapes: Sequence[Shape], extents: list, what: str) -> None:
    listed = " ".join(map(shape_text, shapes))
    prefix = f"{what}: " if what else ""
    if any(isinstance(extent, Dim) for extent in extents):
        raise failure(
            TraceError,
            f"{prefix}whether the shapes {listed} fit together depends on the size of the arrays",
            "give equal extents the same name, or leave them to be compiled for each size",
        )
    raise failure(
        ShapeError,
        f"{prefix}operands could not be broadcast together with shapes {listed}",
        _remedy(shapes),
    )


def _remedy(shapes: Sequence[Shape]) -> str:
    if len(shapes) == 2:
        a, b = shapes
        if tuple(reversed(b)) == a or (a and b and a[-1] != b[-1] and a[0] == b[-1]):
            return "transpose one operand, or add an axis with None"
    return (
        "extents must be equal or 1, counted from the last axis; reshape, or add an axis with None"
    )


def broadcast_to_shape(node: Node, shape: Shape) -> Node:
    """`node` stretched to `shape` by NumPy's rules; the shapes must be known to fit."""
    old = node.type.shape
    if old == shape:
        return node
    offset = len(shape) - len(old)
    node = narrowed(node, tuple([1 if is_one(n) else m for n, m in zip(old, shape[offset:])]))
    old = node.type.shape
    kept = tuple(k for k, extent in enumerate(old) if extent == shape[offset + k])
    node = reshaped_node(node, tuple(old[k] for k in kept))
    return ops.broadcast(node, shape=shape, axes=tuple(offset + k for k in kept))


def narrowed(node: Node, shape: Shape) -> Node:
    """The first elements of `node` along each axis, as many as an extent that is agreed upon says."""
    if shape == node.type.shape:
        return node
    return ops.slice_(node, start=(0,) * len(shape), stop=shape, step=(1,) * len(shape))


def reshaped_node(node: Node, shape: Shape) -> Node:
    """`node` in another shape of the same size; of several reshapes in a row, the last counts."""
    shape = tuple([plain(extent) for extent in shape])
    while node.op is ops.reshape and node.type.shape != shape:
        node = node.operands[0]
    return node if node.type.shape == shape else ops.reshape(node, shape=shape)


def stretched(mask: Node, shape: tuple) -> Node:
    """The mask of first axes, repeated along the others."""
    extents = (*mask.type.shape, *(1,) * (len(shape) - mask.type.ndim))
    return broadcast_to_shape(reshaped_node(mask, extents), shape)
