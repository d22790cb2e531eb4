"""The objects NumPy indexes to make arrays: `np.mgrid`, `np.ogrid`, `np.r_` and `np.c_`."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ..application import apply
from ..array import Array
from ..context import failure
from ..registry import CREATIONS
from ..value import Value
from .arguments import static
from .building import as_array, broadcast, in_common_dtype, iota, permuted, reshaped
from .creation import arange, linspace
from .joining import concatenate, stack


class Grid:
    """`np.mgrid`, or `np.ogrid` when `sparse`: coordinates for every slice of the index."""

    def __init__(self, sparse: bool):
        self.sparse = sparse

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return _coordinates(key, None)
        bounds = [part for item in key for part in _bounds(item)]
        dtype = np.result_type(*[abs(x) if isinstance(x, complex) else x for x in bounds])
        if any(isinstance(bound, complex) for bound in bounds):
            dtype = np.result_type(dtype, float)
        lines = [_coordinates(item, dtype) for item in key]
        ndim = len(lines)
        spread = tuple(
            reshaped(x, (1,) * k + x.shape + (1,) * (ndim - k - 1)) for k, x in enumerate(lines)
        )
        if self.sparse:
            return spread
        shape = tuple(x.shape[0] for x in lines)
        return stack([broadcast(x, shape) for x in spread])


def _bounds(item: slice) -> tuple[Any, Any, Any]:
    start, stop, step = (static(part, "a grid") for part in (item.start, item.stop, item.step))
    return 0 if start is None else start, stop, 1 if step is None else step


def _coordinates(item: slice, dtype: np.dtype | None) -> Array:
    """Numbers from start to stop; an imaginary step counts them, both ends included."""
    start, stop, step = _bounds(item)
    if isinstance(step, complex):
        extent = int(abs(step))
        step = (stop - start) / (extent - 1) if extent != 1 else abs(step)
        dtype = np.dtype(np.result_type(start, stop, 1.0)) if dtype is None else dtype
    elif dtype is None:
        return arange(start, stop, step)
    else:
        extent = max(ceil((stop - start) / step), 0)
    line = apply(np.multiply, iota(extent, dtype), step)
    return apply(np.add, line, start)


class Concatenator:
    """`np.r_` and `np.c_`: what is in the brackets, joined along `axis`.

    Vectors get `ndmin` axes, of which their own comes first when `columns`.
    """

    def __init__(self, axis: int, ndmin: int, columns: bool):
        self.axis, self.ndmin, self.columns = axis, ndmin, columns

    def __getitem__(self, key: Any) -> Array:
        items = key if isinstance(key, tuple) else (key,)
        for item in items:
            if isinstance(item, str):
                raise failure(
                    UnsupportedError,
                    f"the directive {item!r} inside np.r_ or np.c_ cannot be compiled",
                    "use np.concatenate or np.stack",
                )
        arrays = in_common_dtype(*[_part(item) for item in items])
        return concatenate([self._widened(x) for x in arrays], self.axis)

    def _widened(self, x: Array) -> Array:
        missing = self.ndmin - x.ndim
        if missing <= 0:
            return x
        wide = reshaped(x, (1,) * missing + x.shape)
        order = (*range(missing, self.ndmin), *range(missing))
        return permuted(wide, order) if self.columns else wide


def _part(item: Any) -> Any:
    """An array for a slice; Python numbers stay numbers, as they promote weakly."""
    if isinstance(item, slice):
        start, stop, step = _bounds(item)
        if isinstance(step, complex):
            return linspace(start, stop, int(abs(step)))
        return arange(start, stop, step)
    if isinstance(item, int | float | complex) and not isinstance(item, Value | np.generic):
        return item
    return item if isinstance(item, Value) else as_array(item)


CREATIONS[np.mgrid] = Grid(sparse=False)
CREATIONS[np.ogrid] = Grid(sparse=True)
CREATIONS[np.r_] = Concatenator(0, 1, columns=False)
CREATIONS[np.c_] = Concatenator(-1, 2, columns=True)
