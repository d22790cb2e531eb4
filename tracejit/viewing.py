"""Views that a function returns, made of the arrays they are views of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .ir import ops
from .ir.dims import Dim, bind
from .ir.reference import solve_dims
from .ir.types import ArrayType
from .trace.views import Steps


def viewed(array: np.ndarray, type: ArrayType, steps: Steps) -> np.ndarray:
    """What the steps make of an array of this type: a view of its memory, as NumPy returns it."""
    dims = solve_dims([type.shape], [array.shape])
    result = array[...] if not steps else array
    for step in steps:
        result = _APPLY[step.op.name](result, **_bound(step.attrs, dims))
    return result


def _bound(value: Any, dims: dict[str, int]) -> Any:
    """Attributes with numbers for unknown extents."""
    if isinstance(value, dict):
        return {key: _bound(item, dims) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple([_bound(item, dims) for item in value])
    return bind(value, dims) if isinstance(value, Dim) else value


def _slice(array: np.ndarray, start: tuple, stop: tuple, step: tuple) -> np.ndarray:
    bounds = zip(start, stop, step)
    return array[tuple([slice(a, b if b >= 0 else None, s) for a, b, s in bounds])]


def _broadcast(array: np.ndarray, shape: tuple, axes: tuple) -> np.ndarray:
    aligned = [shape[axis] if axis in axes else 1 for axis in range(len(shape))]
    return np.broadcast_to(array.reshape(aligned), shape)


_APPLY = {
    "slice": _slice,
    "transpose": lambda array, axes: array.transpose(axes),
    "reshape": lambda array, shape: array.reshape(shape),
    "broadcast": _broadcast,
    "real": lambda array: array.real,
    "imag": lambda array: array.imag,
    **{op.name: op.reference for op in (ops.bits, ops.signed_of_bits, ops.float_of_bits)},
    "windows": lambda array, axis, width: sliding_window_view(array, width, axis=axis),
}
