"""Arrays made from nothing or from other things: `zeros`, `full`, `arange`, `eye`, `array`, ...

None of these takes a traced array first, so no protocol shows them; the hooks call them here.
"""

from __future__ import annotations

import contextlib
from itertools import islice
from math import ceil
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir.dims import Dim, as_number
from ...ir.types import f64, i64
from ..application import apply
from ..array import Array, doubt, view, wrap
from ..assumptions import assumed
from ..context import failure, for_numpy
from ..extents import to_dim
from ..host import NoRule, call_through_python, known
from ..registry import creates, implements
from ..value import ARRAY_LIMIT, Value, literal, node_of
from ..views import is_contiguous, is_in_order, strides_after
from .arguments import is_traced, numpy_dtype, static, static_int, static_shape
from .building import (
    as_array,
    broadcast,
    choose,
    concatenated,
    converted,
    filled,
    iota,
    promoted_dtype,
    reshaped,
)
from .diagonals import eye_matrix
from .orders import in_c_order, in_fortran_order
from .rooms import made_extent, made_shape
from .shapes import moveaxis


@creates(np.zeros)
def zeros(shape, dtype=None, order="C", *, device=None, like=None):
    """`np.zeros`."""
    return filled(made_shape(shape), 0, numpy_dtype(dtype or float))


@creates(np.empty)
def empty(shape, dtype=None, order="C", *, device=None, like=None):
    """`np.empty`, with zeros, so that no program's result depends on stale memory."""
    return zeros(shape, dtype)


@creates(np.fromiter)
def fromiter(iter, dtype, count=-1, *, like=None):
    """`np.fromiter`, of numbers that are known; one by one, those that are not are NumPy's affair."""
    items = []
    for item in islice(iter, None if count < 0 else count):
        if is_traced(item):
            message = "np.fromiter goes through traced values, one by one"
            raise for_numpy(failure(UnsupportedError, message, "use np.array of a list"))
        items.append(item)
    return np.fromiter(items, dtype, count)


@creates(np.ones)
def ones(shape, dtype=None, order="C", *, device=None, like=None):
    """`np.ones`."""
    return filled(made_shape(shape), 1, numpy_dtype(dtype or float))


@creates(np.full)
def full(shape, fill_value, dtype=None, order="C", *, device=None, like=None):
    """`np.full`; the value may be traced, and may be an array that stretches."""
    value = as_array(fill_value)
    if dtype is not None:
        value = as_array(fill_value, numpy_dtype(dtype))
    return broadcast(value, made_shape(shape))


def _shape_and_dtype(a: Any, shape: Any, dtype: Any) -> tuple[tuple, np.dtype]:
    like = as_array(a)
    shape = like.shape if shape is None else made_shape(shape)
    return shape, like.dtype if dtype is None else numpy_dtype(dtype)


@implements(np.zeros_like)
def zeros_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """`np.zeros_like`."""
    shape, dtype = _shape_and_dtype(a, shape, dtype)
    return filled(shape, 0, dtype)


@implements(np.empty_like)
def empty_like(prototype, /, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """`np.empty_like`, with zeros."""
    return zeros_like(prototype, dtype, shape=shape)


@implements(np.ones_like)
def ones_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """`np.ones_like`."""
    shape, dtype = _shape_and_dtype(a, shape, dtype)
    return filled(shape, 1, dtype)


@implements(np.full_like)
@creates(np.full_like)
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """`np.full_like`."""
    shape, dtype = _shape_and_dtype(a, shape, dtype)
    return broadcast(converted(as_array(fill_value), dtype), shape)


@creates(np.arange)
def arange(start_or_stop, /, stop=None, step=1, *, dtype=None, device=None, like=None):
    """`np.arange`, as `first + index * difference`, which is what NumPy fills in."""
    start, stop = (0, start_or_stop) if stop is None else (start_or_stop, stop)
    if type(start) is int and type(step) is int and (start, step) == (0, 1) and is_traced(stop):
        stop = _stop(stop)
    limits = [_limit(value) for value in (start, stop, 1 if step is None else step)]
    start, stop, step = [value for value, _ in limits]
    if dtype is None:
        samples = [sample for _, sample in limits]
        dtype = np.arange(samples[0], samples[1], samples[2] + 1).dtype
    dtype = numpy_dtype(dtype)
    extent = _range_extent(start, stop, step)
    if dtype.kind == "b":
        return wrap(literal(np.arange(start, stop, step, dtype)))
    if isinstance(start, Dim):
        return apply(np.add, apply(np.multiply, iota(extent, dtype), step), as_array(start, dtype))
    wide = np.dtype(np.float32) if dtype == np.float16 else dtype
    with np.errstate(all="ignore"):
        first = np.asarray(start).astype(dtype).astype(wide)[()]
        second = np.asarray(start + step).astype(dtype).astype(wide)[()]
        difference = second - first
    result = iota(extent, wide)
    if difference != 1:
        result = apply(np.multiply, result, difference)
    if first != 0:
        result = apply(np.add, result, first)
    return converted(result, dtype)


def _stop(value: Any) -> Any:
    """Where a range ends that begins at 0: a number that data tells, if it is one."""
    if value.is_scalar and value.dtype == np.int64:
        with contextlib.suppress(NoRule):
            return made_extent(value, "a range")
    return value


def _limit(value: Any) -> tuple[Any, Any]:
    """A start, stop or step, and zero of the type that decides the dtype."""
    if isinstance(value, Array) and value.is_scalar and value.dtype == np.float64:
        found = to_dim(node_of(value), (i64, f64))  # as of `np.arange(n + 1.0)`
        if isinstance(found, Dim):
            return as_number(found), 0.0
    value = static(value, "a range")
    return value, 0 if isinstance(value, Dim) else type(value)(0)


def _range_extent(start: Any, stop: Any, step: Any) -> Any:
    """How many numbers there are, by NumPy's formula."""
    if isinstance(start, Dim) or isinstance(stop, Dim):
        extent = (
            (stop - start + (step - 1)) // step if step > 0 else (start - stop - step - 1) // -step
        )
        return max(extent, 0) if type(extent) is int else extent
    if isinstance(step, int) and step == 0:
        raise ZeroDivisionError("division by zero")
    with np.errstate(all="ignore"):
        count = (stop - start) / step
    if not abs(count) < 1 << 62:
        raise ValueError("arange: cannot compute length")
    return max(ceil(count), 0)


@implements(np.linspace)
@creates(np.linspace)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """`np.linspace`, in NumPy's order of operations; the ends may be traced arrays.

    # limit: a traced step that underflows to zero is not treated apart, as NumPy does for denormals.
    """
    num = static_int(num, "a number of samples")
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    if num <= ARRAY_LIMIT and _is_known_number(start) and _is_known_number(stop):
        # The very numbers NumPy makes: a fused multiplication and addition may round otherwise.
        made, step = np.linspace(start, stop, num, endpoint, True, dtype, axis)
        return (wrap(literal(made)), step) if retstep else wrap(literal(made))
    intervals = num - 1 if endpoint else num
    work = promoted_dtype(start, stop, 0.0)
    first, last = as_array(start, work), as_array(stop, work)
    delta = apply(np.subtract, last, first)
    index = reshaped(iota(num, work), (num,) + (1,) * delta.ndim)
    if intervals > 0:
        step = apply(np.true_divide, delta, intervals)
        y = apply(np.multiply, index, step)
    else:
        step = np.nan
        y = apply(np.multiply, index, delta)
    y = apply(np.add, y, first)
    if endpoint and num > 1:
        is_last = reshaped(apply(np.equal, iota(num), num - 1), index.shape)
        y = choose(is_last, last, y)
    y = moveaxis(y, 0, axis) if axis != 0 else y
    if dtype is not None:
        if np.dtype(dtype).kind in "iu":
            y = apply(np.floor, y)
        y = converted(y, numpy_dtype(dtype))
    return (y, step) if retstep else y


def _is_known_number(value: Any) -> bool:
    return isinstance(value, int | float | complex | np.generic) and not isinstance(value, Value)


@implements(np.logspace)
@creates(np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """`np.logspace`: powers of a base."""
    if isinstance(base, Value | np.ndarray | list | tuple) and np.ndim(base):
        arrays = [as_array(value) for value in (start, stop, base)]
        ndim = max(x.ndim for x in arrays)
        start, stop, base = (reshaped(x, (1,) * (ndim - x.ndim) + x.shape) for x in arrays)
        axis_of_base = axis % (ndim + 1)
        base = reshaped(base, (*base.shape[:axis_of_base], 1, *base.shape[axis_of_base:]))
    y = linspace(start, stop, num, endpoint, axis=axis)
    result = apply(np.power, base, y)
    return result if dtype is None else converted(result, numpy_dtype(dtype))


@implements(np.geomspace)
@creates(np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`np.geomspace`: evenly spaced logarithms, with exact ends.

    # limit: traced ends that are zero give nan, where NumPy raises ValueError.
    """
    if not is_traced((start, stop)):
        return array(np.geomspace(start, stop, static_int(num, "a number"), endpoint, dtype, axis))
    least = () if dtype is None else (np.zeros((), dtype),)
    work = promoted_dtype(start, stop, 0.0, *least)
    first, last = as_array(start, work), as_array(stop, work)
    sign = apply(np.sign, first)
    ends = (apply(np.log10, apply(np.true_divide, end, sign)) for end in (first, last))
    y = apply(np.multiply, logspace(*ends, num, endpoint, dtype=work), sign)
    index = reshaped(iota(y.shape[0]), (y.shape[0],) + (1,) * (y.ndim - 1))
    y = choose(apply(np.equal, index, 0), first, y)
    if endpoint and y.shape[0] > 1:
        y = choose(apply(np.equal, index, y.shape[0] - 1), last, y)
    y = moveaxis(y, 0, axis) if axis != 0 else y
    return converted(y, work if dtype is None else numpy_dtype(dtype))


@creates(np.eye)
def eye(N, M=None, k=0, dtype=float, order="C", *, device=None, like=None):
    """`np.eye`."""
    rows = made_extent(N, "an extent")
    columns = rows if M is None else made_extent(M, "an extent")
    return eye_matrix(rows, columns, static_int(k, "an offset"), numpy_dtype(dtype))


@creates(np.identity)
def identity(n, dtype=None, *, like=None):
    """`np.identity`."""
    return eye(n, dtype=dtype or float)


def _always(copy: Any) -> bool:
    """Whether there is to be a copy in any case: True, and not what stands for "if needed"."""
    mode = getattr(copy, "name", None)  # of `np._CopyMode`, which has no truth
    return bool(copy) if mode is None else mode == "ALWAYS"


@creates(np.array)
def array(object, dtype=None, *, copy=True, order="K", subok=False, ndmin=0, ndmax=0, like=None):
    """`np.array`; what is not made of numbers stays what NumPy makes of it."""
    if not _always(copy) and ndmin == 0 and _is_taken(object, dtype):
        return _in_order(object, order)
    if isinstance(object, np.flatiter):
        object = object.copy()
    if is_traced(object, Value | Dim | np.ndarray):
        result = as_array(object, None if dtype is None else numpy_dtype(dtype))
    else:
        concrete = np.array(object, dtype)
        if concrete.dtype.kind not in "biufc":
            return concrete
        result = wrap(literal(concrete))
    missing = ndmin - result.ndim
    return reshaped(result, (1,) * missing + result.shape) if missing > 0 else wrap(result.node)


@creates(np.asarray)
def asarray(a, dtype=None, order=None, *, device=None, copy=None, like=None):
    """`np.asarray`."""
    if not _always(copy) and _is_taken(a, dtype):
        return _in_order(a, order)
    return in_fortran_order(array(a, dtype)) if order == "F" else array(a, dtype)


def _is_taken(a: Any, dtype: Any) -> bool:
    """Whether `a` is an array of this dtype, so that only its order may not be as asked."""
    return type(a) is Array and not a.is_scalar and dtype in (None, a.dtype)


def _in_order(a: Array, order: str | None) -> Array:
    """`a` itself where its elements lie in this order, or else a copy."""
    node_of(a)
    if order not in ("C", "F"):
        return a
    is_known = is_in_order(a.storage)
    strides = strides_after(a.storage, a.steps) if is_known else None
    if strides is not None and is_contiguous(a.node.type.shape, strides, order):
        return a
    copy = in_c_order(array(a)) if order == "C" else in_fortran_order(array(a))
    if not is_known:
        doubt(a, copy, "copy in one order share memory depends on the order NumPy has")
    return copy


@creates(np.from_dlpack)
def from_dlpack(x, /, *, device=None, copy=None):
    """`np.from_dlpack`: of a traced array a view of it."""
    if not isinstance(x, Array):
        return np.from_dlpack(x, device=device, copy=copy)
    return array(x) if copy else view(x, node_of(x))


@creates(np.asanyarray)
def asanyarray(a, dtype=None, order=None, *, device=None, copy=None, like=None):
    """`np.asanyarray`."""
    return asarray(a, dtype, order, copy=copy)


@creates(np.ascontiguousarray)
def ascontiguousarray(a, dtype=None, *, like=None):
    """`np.ascontiguousarray`: at least one axis; `a` itself where it is in order."""
    if _is_taken(a, dtype) and a.ndim > 0:
        return _in_order(a, "C")
    return in_c_order(array(a, dtype, ndmin=1))


@creates(np.require)
def require(a, dtype=None, requirements=None, *, like=None):
    """`np.require`: a copy only where `a` is not as required; all are writable and aligned."""
    wanted = {str(item).upper()[:1] for item in requirements or ()}
    result = asarray(a, dtype)
    if result.ndim and wanted & {"C", "F"}:
        result = (ascontiguousarray if "C" in wanted else asfortranarray)(result)
    return copy(result) if "O" in wanted and result is a else result


@creates(np.asarray_chkfinite)
def asarray_chkfinite(a, dtype=None, order=None):
    """`np.asarray_chkfinite`: that all is finite is assumed, and looked at by every run."""
    result = asarray(a, dtype)
    if is_traced(a) and result.dtype.kind in "fc":
        if not assumed(apply(np.isfinite, result).all()):
            return call_through_python(known(np.asarray_chkfinite), (a, dtype, order), {})
    return result


@creates(np.isfortran)
def isfortran(a):
    """`np.isfortran`: in Fortran order and not in C order, where that is certain."""
    if isinstance(a, np.ndarray) and not isinstance(a, Value):
        return np.isfortran(a)
    if not is_in_order(a.storage):
        raise failure(
            UnsupportedError,
            "np.isfortran of what NumPy may have in either order of memory",
            "ask of an argument, or of a copy in one order",
        )
    shape, strides = (
        tuple(static_int(n, "an extent").__index__() for n in numbers)
        for numbers in (a.shape, strides_after(a.storage, a.steps))
    )
    # NumPy itself is asked; the elements are never looked at.
    return np.lib.stride_tricks.as_strided(np.zeros((), np.int8), shape, strides).flags.fnc


@creates(np.asfortranarray)
def asfortranarray(a, dtype=None, *, like=None):
    """`np.asfortranarray`: at least one axis; `a` itself where it is in that order."""
    if _is_taken(a, dtype) and a.ndim > 0:
        return _in_order(a, "F")
    return in_fortran_order(array(a, dtype, ndmin=1))


@implements(np.copy)
@creates(np.copy)
def copy(a, order="K", subok=False):
    """`np.copy`."""
    return array(a)


@implements(method="copy")
def copy_method(a, order="C"):
    """`x.copy()`; a scalar stays one."""
    return wrap(node_of(a), a.is_scalar)


@implements(np.astype)
def astype(x, dtype, /, *, copy=True, device=None):
    """`np.astype`; a scalar stays one."""
    if not _always(copy) and _is_taken(x, numpy_dtype(dtype)):
        return x
    is_scalar = isinstance(x, Value) and x.is_scalar
    return converted(wrap(as_array(x).node, is_scalar), numpy_dtype(dtype))


@implements(method="astype")
def astype_method(x, dtype, order="K", casting="unsafe", subok=True, copy=True):
    """`x.astype(dtype)`; a scalar stays one."""
    dtype = numpy_dtype(dtype)
    if not _always(copy) and _is_taken(x, dtype):
        return _in_order(x, order)
    if not np.can_cast(x.dtype, dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {x.dtype!r} to {dtype!r} according to the rule '{casting}'"
        )
    return converted(x, dtype)


@creates(np.fromfunction)
def fromfunction(function, shape, *, dtype=float, like=None, **kwargs):
    """`np.fromfunction`: the function of the arrays of indices."""
    return function(*indices(shape, dtype), **kwargs)


@creates(np.indices)
def indices(dimensions, dtype=int, sparse=False):
    """`np.indices`."""
    shape = static_shape(dimensions)
    ndim, dtype = len(shape), numpy_dtype(dtype)
    grids = tuple(
        reshaped(iota(n, dtype), tuple(n if axis == k else 1 for axis in range(ndim)))
        for k, n in enumerate(shape)
    )
    if sparse:
        return grids
    if not grids:
        return filled((0,), 0, dtype)
    return concatenated([reshaped(broadcast(x, shape), (1, *shape)) for x in grids], 0)


@implements(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """`np.meshgrid`, as values of their own."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    arrays = [as_array(x) for x in xi]
    ndim = len(arrays)
    positions = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        positions[:2] = [1, 0]
    grids = tuple(
        reshaped(x, tuple(x.size if axis == position else 1 for axis in range(ndim)))
        for x, position in zip(arrays, positions)
    )
    if sparse:
        return grids
    shape: list[Any] = [0] * ndim
    for x, position in zip(arrays, positions):
        shape[position] = x.size
    return tuple(broadcast(x, tuple(shape)) for x in grids)


@implements(np.vander)
def vander(x, N=None, increasing=False):
    """`np.vander`: powers as columns, each the one before times `x`, as NumPy multiplies."""
    x = as_array(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = x.shape[0]
    columns = n if N is None else static_int(N, "a number of columns")
    x = converted(x, np.promote_types(x.dtype, np.int64))
    powers = [filled((n,), 1, x.dtype)]
    for _ in range(columns - 1):
        powers.append(apply(np.multiply, powers[-1], x) if len(powers) > 1 else x)
    powers = powers[:columns]
    if not increasing:
        powers.reverse()
    if not powers:
        return filled((n, 0), 0, x.dtype)
    return concatenated([reshaped(power, (n, 1)) for power in powers], 1)
