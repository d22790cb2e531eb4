"""`np.apply_along_axis` and `np.vectorize` as the loops they are: of functions that can be traced, and do
no more than compute, they are compiled like loops."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from ..array import Array
from ..attempts import NotTraced, attempt, is_plain
from ..context import current_trace
from ..host import call_through_python, known, no_rule
from ..registry import implements
from ..value import Value
from .arguments import one_axis
from .building import as_array

# What functions may name, but for other functions like them.
_HARMLESS = (
    Value, bool, int, float, complex, str, type(None), np.generic, np.ndarray, np.dtype, np.ufunc,
    type, types.ModuleType,
)  # fmt: skip
_ASSIGNING = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF", "STORE_ATTR")
_DIVIDING = ("/", "%", "_DIVIDE", "_MODULO")
_RAISING = ("**", "_POWER")
_SPEAKING = {"print", "input", "open", "exec", "eval", "setattr", "delattr", "next"}


@implements(np.apply_along_axis)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """`np.apply_along_axis`; a function that cannot be traced is called by NumPy."""
    x = as_array(arr)
    axis = one_axis(axis, x.ndim)
    if x.ndim not in (2, 3) or type(x.size) is not int or x.size == 0:
        raise no_rule("np.apply_along_axis of a row, of many axes, or of nothing")
    if _only_computes(func1d, set()):
        with suppress(NotTraced):
            result = attempt(_row_by_row, (func1d, axis, x, args, kwargs), {})
            if type(result) is Array:
                return result
    raise no_rule("np.apply_along_axis of a function that is not traced")


@implements(np.vectorize)
def vectorized(function: np.vectorize, args: tuple, kwargs: dict[str, Any]) -> Array:
    """What `function`, made by `np.vectorize`, gives for vectors of doubles, which it gets as Python's.

    The first result, of which all have the dtype, is Python's in every run, as NumPy asks for it.
    """
    trace, own, wanted = current_trace(), function.pyfunc, function.otypes
    is_simple = not (kwargs or function.signature or function.excluded or function.cache)
    arrays = [x for x in args if type(x) is Array and x.dtype == np.float64 and not x.is_scalar]
    if (
        trace is None
        or not is_simple
        or not args
        or len(arrays) < len(args)
        or len(wanted or "d") > 1
    ):
        raise no_rule("a function made by np.vectorize, with such arguments")
    shape, size = arrays[0].shape, arrays[0].size
    if type(size) is not int or size == 0 or any(x.shape != shape for x in arrays):
        raise no_rule("a function made by np.vectorize, of arrays that differ in shape")
    if not _only_computes(own, set()) or not _never_varies(own, set()):
        raise no_rule("a function made by np.vectorize that may raise, or do more than compute")
    rows = tuple([x.reshape(-1) for x in arrays])
    first = as_array(call_through_python(known(own), tuple([row[0] for row in rows]), {}))
    if first.ndim or first.dtype.kind not in "bif":
        raise no_rule("a function made by np.vectorize that gives no numbers")
    dtype = np.dtype(wanted[0]) if wanted else first.dtype
    with suppress(NotTraced):
        traced = trace.hook_plain(own) if is_plain(own) else own
        result = attempt(_one_by_one, (traced, first[()], dtype, rows), {})
        if type(result) is Array:
            return result.reshape(shape)
    raise no_rule("a function made by np.vectorize that is not traced")


def _one_by_one(function: Callable[..., Any], first: Any, dtype: Any, rows: tuple) -> Any:
    found = np.empty(rows[0].shape, dtype)
    found[0] = first
    if len(rows) == 1:
        (x,) = rows
        for k in range(1, x.shape[0]):
            found[k] = function(float(x[k]))
    else:
        for k in range(1, rows[0].shape[0]):
            found[k] = function(*[float(row[k]) for row in rows])
    return found


def _never_varies(function: Any, seen: set) -> bool:
    """Whether a function draws nothing, and cannot divide by zero, where Python raises, nor take powers
    that are complex."""
    if not isinstance(function, types.FunctionType) or function.__code__ in seen:
        return True
    seen.add(function.__code__)
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        pending += [part for part in code.co_consts if isinstance(part, types.CodeType)]
        steps = [*dis.get_instructions(code)]
        for before, step in zip(steps, steps[1:]):
            if step.argval == "random":  # NumPy draws for the first element once more
                return False
            is_constant = before.opname == "LOAD_CONST" and type(before.argval) in (int, float)
            sign = step.argrepr.rstrip("=") if step.opname == "BINARY_OP" else step.opname
            if sign.endswith(_DIVIDING) and not (is_constant and before.argval != 0):
                return False
            if sign.endswith(_RAISING) and not (is_constant and before.argval in range(9)):
                return False
    named = [function.__globals__.get(n) for n in function.__code__.co_names]
    named += [cell.cell_contents for cell in function.__closure__ or ()]
    return all(_never_varies(x, seen) for x in named)


def _only_computes(function: Any, seen: set) -> bool:
    """Whether a function cannot do more than give results: it names nothing that could be changed."""
    module = getattr(function, "__module__", None)
    if isinstance(module, str) and module.partition(".")[0] == "numpy":
        return hasattr(function, "__name__") and "random" not in module  # no generator
    if not isinstance(function, types.FunctionType):
        if isinstance(function, types.BuiltinFunctionType):
            return isinstance(function.__self__, types.ModuleType)  # and no method of a list
        return isinstance(function, _HARMLESS)
    code = function.__code__
    if code in seen:
        return True
    seen.add(code)
    if any(
        step.opname in _ASSIGNING and step.argval not in code.co_cellvars
        for step in dis.get_instructions(code)
    ):
        return False
    if any(isinstance(part, types.CodeType) for part in code.co_consts) and code.co_cellvars:
        return False
    named = [function.__globals__[n] for n in code.co_names if n in function.__globals__]
    try:
        named += [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:  # a variable that has no value yet
        return False
    return not _SPEAKING & {*code.co_names} and all(_only_computes(x, seen) for x in named)


def _row_by_row(
    function: Callable[..., Any], axis: int, x: Any, args: tuple, kwargs: dict[str, Any]
) -> Any:
    """What NumPy does, with views of `x`; the dtype of the first result is that of all."""
    rows = np.moveaxis(x, axis, -1)
    if rows.ndim == 2:
        first = np.asarray(function(rows[0], *args, **kwargs))
        found = np.empty((rows.shape[0], *first.shape), first.dtype)
        found[0] = first
        for k in range(1, rows.shape[0]):
            found[k] = function(rows[k], *args, **kwargs)
    else:
        first = np.asarray(function(rows[0, 0], *args, **kwargs))
        found = np.empty((rows.shape[0], rows.shape[1], *first.shape), first.dtype)
        found[0, 0] = first
        for j in range(1, rows.shape[1]):
            found[0, j] = function(rows[0, j], *args, **kwargs)
        for k in range(1, rows.shape[0]):
            for j in range(rows.shape[1]):
                found[k, j] = function(rows[k, j], *args, **kwargs)
    inner = range(first.ndim)
    return np.moveaxis(found, [rows.ndim - 1 + k for k in inner], [axis + k for k in inner])
