"""Guards for rules: what a node's dtype is, and which constant it is if it is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir import ops
from ...ir.graph import Node

Guard = Callable[[Node], bool]


def has_kind(kinds: str) -> Guard:
    """Whether the dtype's kind is one of NumPy's letters `b i u f c`."""
    return lambda node: node.dtype.kind in kinds


is_bool = has_kind("b")
is_integer = has_kind("iu")
is_exact = has_kind("biu")
is_float = has_kind("f")
is_real = has_kind("biuf")


def scalar_of(node: Node) -> Node | None:
    """The 0-d node every element of `node` equals, where it is one or is broadcast from one."""
    if node.op is ops.broadcast and not node.attrs["axes"]:
        return node.operands[0]
    return node if node.shape == () else None


def scalar_value(node: Node) -> Any:
    """The NumPy scalar all elements of `node` are known to be, else None."""
    if not is_scalar_constant(node):
        return None
    scalar = scalar_of(node)
    return scalar.dtype(scalar.attrs["value"])


def is_scalar_constant(node: Node) -> bool:
    scalar = scalar_of(node)
    return scalar is not None and scalar.op is ops.constant


def is_not_constant(node: Node) -> bool:
    return not is_scalar_constant(node)


def is_value(value: Any) -> Guard:
    """Whether all elements are `value`, in the node's dtype and to the last bit."""

    def guard(node: Node) -> bool:
        scalar = scalar_of(node)
        if scalar is None or scalar.op is not ops.constant or scalar.attrs["value"] != value:
            return False
        return scalar_value(scalar).tobytes() == node.dtype(value).tobytes()

    return guard


def is_flag(value: bool) -> Guard:
    """Whether all elements are this bool."""
    return lambda node: is_bool(node) and is_value(value)(node)


def constant_like(node: Node, value: Any) -> Node:
    """`value`, a Python scalar, in the type of `node`."""
    scalar = ops.constant(value=value, dtype=node.dtype)
    return scalar if node.shape == () else ops.broadcast(scalar, shape=node.shape, axes=())
