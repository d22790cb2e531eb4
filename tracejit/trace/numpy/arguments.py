"""What NumPy's functions take: axes, dtypes, options left unset, options that cannot be compiled."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ...errors import UnsupportedError
from ...ir.dims import Dim, as_number
from ..array import Array
from ..context import failure, supported_dtype
from ..extents import to_dim
from ..value import Value, known_value, node_of

UNSET: Any = np._NoValue


def available(*names: str) -> tuple[Any, ...]:
    """The NumPy functions of these names; older releases lack some."""
    return tuple(getattr(np, name) for name in names if hasattr(np, name))


def option(value: Any, default: Any) -> Any:
    """`value`, or `default` where NumPy's own default says that nothing was given."""
    return default if value is UNSET else value


def refuse(function: str, remedy: str, **options: Any) -> None:
    """UnsupportedError when one of `options` is neither None nor unset."""
    for name, value in options.items():
        if value is not None and value is not UNSET:
            raise failure(
                UnsupportedError, f"np.{function}(..., {name}=) cannot be compiled", remedy
            )


def refuse_out(function: str, out: Any) -> None:
    """Refuse `out=`: a result is a new value."""
    refuse(function, f"use the result: x = np.{function}(...)", out=out)


def refuse_order(function: str, order: Any) -> None:
    """Accept only orders that traced arrays, which have no memory layout, can honour."""
    if order not in ("C", "F"):
        if order in ("A", "K"):
            raise failure(
                UnsupportedError,
                f"np.{function}(..., order={order!r}) depends on how memory is laid out",
                "say order='C' or order='F'",
            )
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")


def one_axis(axis: Any, ndim: int) -> int:
    """A non-negative axis; NumPy's AxisError when there is none."""
    return normalize_axis_index(index(axis), ndim)


def all_axes(axis: Any, ndim: int, *, lenient: bool = False) -> tuple[int, ...]:
    """Sorted, distinct, non-negative axes; None means all. `lenient` lets a 0-d array have axis 0."""
    if axis is None:
        return tuple(range(ndim))
    if lenient and ndim == 0 and not isinstance(axis, tuple | list) and index(axis) in (0, -1):
        return ()
    if isinstance(axis, tuple):
        axes = tuple(normalize_axis_index(index(item), ndim) for item in axis)
        if len(set(axes)) < len(axes):
            raise ValueError("duplicate value in 'axis'")
        return tuple(sorted(axes))
    return (one_axis(axis, ndim),)


def ordered_axes(axis: Any, ndim: int, name: str | None = None) -> tuple[int, ...]:
    """Distinct non-negative axes in the order given."""
    return normalize_axis_tuple(axis, ndim, name)


def numpy_dtype(dtype: Any) -> np.dtype:
    """The native dtype NumPy would make of `dtype`; UnsupportedError for dtypes without code."""
    return supported_dtype(np.dtype(dtype)).numpy


def static(value: Any, what: str) -> Any:
    """The NumPy value of an argument that shapes depend on; TraceError when it is not known."""
    if isinstance(value, Value):
        known = known_value(node_of(value))
        if known is not None:
            return known
        if value.is_scalar and isinstance(found := to_dim(node_of(value)), Dim):
            return as_number(found)
        return value.__index__() if value.ndim == 0 else value.__array__()
    if isinstance(value, list | tuple):
        return type(value)(static(item, what) for item in value)
    return value


def static_int(value: Any, what: str) -> Any:
    """An int, or a Dim as it is."""
    value = static(value, what)
    return value if isinstance(value, Dim) else index(value)


def static_shape(shape: Any) -> tuple[Any, ...]:
    """A shape given as an int, a Dim or a sequence of them; ValueError for negative extents."""
    shape = static(shape, "a shape")
    items = tuple(shape) if isinstance(shape, tuple | list | np.ndarray) else (shape,)
    result = tuple(static_int(item, "a shape") for item in items)
    if any(extent < 0 for extent in result):
        raise ValueError("negative dimensions are not allowed")
    return result


def is_traced(value: Any, kinds: Any = Value) -> bool:
    """Whether `value` is, or holds in its lists and tuples, a traced value."""
    if isinstance(value, list | tuple):
        return any(is_traced(item, kinds) for item in value)
    return isinstance(value, kinds)


def same(left: Any, right: Any) -> bool:
    """Whether two arguments are the very same value."""
    both = type(left) is Array and type(right) is Array
    return left.node is right.node if both else left is right
