"""Compute now what depends on constants alone, with NumPy itself.

Only small results, at most as many elements as an `array` may have. Repeating a constant is left
to `broadcast`, and counting to `iota`: both cost a kernel less than a table in memory. What a
`compress` has after what it selected is unspecified, so it is no constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import TracejitError
from ...ir import ops
from ...ir.graph import Function, Module, Node, map_functions
from ...ir.op import CONTROL, CREATION, OPAQUE, OPS
from ...ir.ops.create import ARRAY_LIMIT
from ...ir.rewrite import Rule, any_use, rewriter
from ...ir.syntax import symbol_names
from .canonicalize import RULES
from .values import scalar_value


def fold(module: Module) -> Module:
    """The same module without computations on constants; canonical if it was."""
    return map_functions(module, _fold_function)


def _fold_function(function: Function) -> Function:
    folded = _fold(function)
    return function if folded is function else _fold_and_normalize(folded)


_REFUSED = (TracejitError, ValueError, ArithmeticError, LookupError)


def evaluated(node: Node) -> Node | None:
    """`node` as a constant, where its operands are constants and it is small."""
    values: list[Any] = []
    for operand in node.operands:
        value = _value(operand)
        if value is None:
            return None
        values.append(value)
    size = node.type.size
    if type(size) is not int or size > ARRAY_LIMIT:
        return None
    if symbol_names(tuple([value for _, value in node.attributes])):  # as of table[i] in a loop
        return None
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(node.op.reference(*values, **node.attrs))
    except _REFUSED:  # which is to be when the program runs
        return None
    if result.dtype != node.dtype.numpy or result.shape != node.shape:
        return None
    return _constant(node, result)


def _value(node: Node) -> Any:
    """The NumPy value of a constant node, else None."""
    if node.op is ops.array:
        return node.op.reference(**node.attrs)
    scalar = scalar_value(node)
    if scalar is None or node.shape == ():
        return scalar
    size = node.type.size
    known = type(size) is int and size <= ARRAY_LIMIT
    return np.broadcast_to(scalar, node.shape) if known else None


def _constant(node: Node, result: np.ndarray) -> Node:
    items = [item.item() for item in result.reshape(-1)]
    first = result.reshape(-1)[:1].tobytes()
    if result.size and all(item.tobytes() == first for item in result.reshape(-1)):
        scalar = ops.constant(value=items[0], dtype=node.dtype)
        if node.shape == ():
            return scalar
        return ops.broadcast(scalar, shape=node.shape, axes=())
    return ops.array(data=tuple(items), shape=node.shape, dtype=node.dtype)


FOLD_RULES: tuple[Rule, ...] = tuple(
    any_use(op) >> evaluated
    for op in OPS.values()
    if op.kind not in (CONTROL, OPAQUE, CREATION) and op not in (ops.broadcast, ops.compress)
)
_fold = rewriter(*FOLD_RULES)
_fold_and_normalize = rewriter(*FOLD_RULES, *RULES)
