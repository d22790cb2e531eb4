"""Numbers that are stored only, such as bfloat16: which functions know them.

What is computed of them is computed in float32 and rounded after each operation. Rules that ask what kind of number
they are given take them for something else, so those that are known to be right are listed; NumPy's own function
is called, through Python, for all others.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..array import Array
from ..host import no_rule
from ..registry import FUNCTIONS, METHODS, UFUNC_METHODS
from ..unruled import method_without_rule
from ..value import node_of

KNOWN = {
    # Movement.
    "append", "astype", "atleast_1d", "atleast_2d", "atleast_3d", "block", "broadcast_arrays", "broadcast_to",
    "column_stack", "concatenate", "copy", "copyto", "diag", "diagonal", "dsplit", "dstack", "empty_like",
    "expand_dims", "fill", "flatten", "flip", "fliplr", "flipud", "full_like", "hsplit", "hstack",
    "matrix_transpose", "moveaxis", "ndim", "ones_like", "put_along_axis", "ravel", "repeat", "reshape",
    "result_type", "roll", "rollaxis", "rot90", "shape", "size", "sliding_window_view", "split", "squeeze", "stack",
    "swapaxes", "take", "take_along_axis", "tile", "tolist", "transpose", "tril", "triu", "unstack", "vsplit",
    "vstack", "where", "zeros_like", "item", "view", "can_cast",
    # Arithmetic.
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "clip", "conj", "conjugate", "count_nonzero", "diff",
    "dot", "einsum", "inner", "matmul", "matvec", "max", "mean", "min", "outer", "prod", "ptp", "reduce", "std",
    "sum", "tensordot", "trace", "var", "vdot", "vecdot", "vecmat",
}  # fmt: skip


def keep_stored() -> None:
    """Let no other function of the tables see such numbers."""
    for table in (FUNCTIONS, METHODS, UFUNC_METHODS):
        for key, implementation in table.items():
            name = key if isinstance(key, str) else getattr(key, "__name__", "")
            if inspect.isroutine(implementation) and name not in KNOWN:
                table[key] = _guarded(implementation, name, table is METHODS)


def _guarded(function: Callable[..., Any], name: str, is_method: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        if not _has_stored((*args, *options.values())):
            return function(*args, **options)
        if is_method:
            return method_without_rule(name)(*args, **options)
        raise no_rule(f"{name} of numbers that are stored only")

    return run


def _has_stored(values: Iterable[Any]) -> bool:
    for value in values:
        if isinstance(value, Array):
            if node_of(value).type.dtype.is_stored_only:
                return True
        elif isinstance(value, np.ndarray):
            if value.dtype.kind == "V" and value.dtype.names is None:
                return True
        elif type(value) in (list, tuple) and _has_stored(value):
            return True
    return False
