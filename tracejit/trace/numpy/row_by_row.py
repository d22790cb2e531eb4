"""`np.apply_along_axis` as the loop it is: of a function that can be traced, it is compiled like one."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from ..array import Array
from ..attempts import NotTraced, attempt
from ..host import no_rule
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


def _only_computes(function: Any, known: set) -> bool:
    """Whether a function cannot do more than give results: it names nothing that could be changed."""
    if (getattr(function, "__module__", None) or "").partition(".")[0] == "numpy":
        return True
    if not isinstance(function, types.FunctionType):
        if isinstance(function, types.BuiltinFunctionType):
            return isinstance(function.__self__, types.ModuleType)  # and no method of a list
        return isinstance(function, _HARMLESS)
    code = function.__code__
    if code in known:
        return True
    known.add(code)
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
    return not _SPEAKING & {*code.co_names} and all(_only_computes(x, known) for x in named)


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
