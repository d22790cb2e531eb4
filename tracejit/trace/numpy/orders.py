"""`order=`: new arrays in Fortran order are views of others in C order, axes reversed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ...ir import ops
from ...ir.types import row_major
from ..array import Array, view, wrap
from ..context import current_trace
from ..registry import CREATIONS, FUNCTIONS, METHODS, may_take
from ..value import Value, node_of
from ..views import is_in_order, strides_after
from .building import copied, permuted

# Whose `order` is about how elements are counted, or who do not make an array of their own.
_COUNTING = ("reshape", "ravel", "flatten", "asarray", "asanyarray")


def keep_orders() -> None:
    """Give all implementations that make arrays with a parameter `order` what it means."""
    for table in (FUNCTIONS, CREATIONS, METHODS):
        for key, implementation in table.items():
            name = getattr(key, "__name__", key)
            if not may_take(implementation, "order"):
                continue
            if name not in _COUNTING and inspect.isfunction(implementation):
                parameters = inspect.signature(implementation).parameters
                if "order" in parameters:
                    table[key] = _keeping(implementation, parameters)


def _keeping(function: Callable[..., Any], parameters: Any) -> Callable[..., Any]:
    position, default = list(parameters).index("order"), parameters["order"].default

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        order = args[position] if len(args) > position else options.get("order", default)
        result = function(*args, **options)
        source = args[0] if args else None
        if type(result) is not Array or result.is_scalar or result is source:
            return result
        if result.storage.doubt:  # it is in that order, and may be the source
            return result
        match _order(str(order).upper(), source):
            case "C":
                result = in_c_order(result)
            case "F":
                return in_fortran_order(result)
        return result

    return run


def _order(order: str, source: Any) -> str:
    """C or F; another letter when the order is neither, or not known."""
    if order not in ("K", "A") or not isinstance(source, Array) or source.is_scalar:
        return order
    if not is_in_order(source.storage):
        return "K"
    shape, strides = source.node.type.shape, strides_after(source.storage, source.steps)
    if strides == row_major(shape):
        return "C"
    return "F" if strides == tuple(reversed(row_major(tuple(reversed(shape))))) else "K"


def in_c_order(x: Array) -> Array:
    """A new array that is `x`, the last axis counted fastest in memory.

    Where sums are to be in NumPy's order, a node of its own says so.
    """
    if type(x) is not Array:
        return x
    trace = current_trace()
    if trace is not None and trace.is_strict and x.ndim > 1 and x.dtype.kind in "fc":
        x = wrap(ops.concatenate(node_of(x), axis=0))
    x.storage.knows_order = True
    return x


def in_fortran_order(x: Array) -> Array:
    """A new array that equals `x`, the first axis counted fastest in memory."""
    if isinstance(x, Value) and (x.is_scalar or x.ndim < 2):
        return x
    backwards = tuple(reversed(range(x.ndim)))
    memory = in_c_order(copied(permuted(x, backwards)))
    return view(memory, permuted(memory, backwards).node)
