"""`out=`: every function that has it writes its result there, in one and the same way."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..array import Array, to_array
from ..assigned import assigned_node
from ..broadcasting import shape_text
from ..registry import CREATIONS, FUNCTIONS, METHODS, may_take


def store_outputs() -> None:
    """Give all implementations with a parameter `out` what it means."""
    for table in (FUNCTIONS, CREATIONS, METHODS):
        for key, implementation in table.items():
            if not may_take(implementation, "out"):
                continue
            if inspect.isroutine(implementation) and not isinstance(key, np.ufunc):
                parameters = inspect.signature(implementation).parameters
                if "out" in parameters:
                    by_name = parameters["out"].kind is inspect.Parameter.KEYWORD_ONLY
                    position = None if by_name else list(parameters).index("out")
                    adds = getattr(key, "__name__", key) in _COMPUTED_AS_STORED
                    table[key] = _storing(implementation, position, adds)


# What NumPy computes in the dtype of `out` where none is given.
_COMPUTED_AS_STORED = ("sum", "prod", "cumsum", "cumprod")


def _storing(
    function: Callable[..., Any], position: int | None, is_computed_as_stored: bool
) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        if position is not None and len(args) > position:
            out, args = args[position], (*args[:position], None, *args[position + 1 :])
        else:
            out = options.pop("out", None)
        if type(out) is tuple and len(out) == 1:
            (out,) = out
        if out is None or not isinstance(out, Array | np.ndarray):
            return function(*args, **options) if out is None else _refuse()
        if type(out) is not Array:
            return function(*args, **options, out=out)  # which refuses it
        if is_computed_as_stored and len(args) < 3 and options.get("dtype") is None:
            options["dtype"] = out.dtype
        return _stored(to_array(function(*args, **options)), out)

    return run


def _stored(result: Array, out: Array) -> Array:
    if out.is_scalar:
        _refuse()
    if result.node.type.shape != out.node.type.shape:
        raise ValueError(
            f"output parameter of shape {shape_text(out.shape)} does not fit the result of shape "
            f"{shape_text(result.shape)}"
        )
    out.write(assigned_node(result, out.node.type, "same_kind"))
    return out


def _refuse() -> None:
    raise TypeError("return arrays must be of ArrayType")
