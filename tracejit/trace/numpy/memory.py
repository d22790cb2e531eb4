"""What changes how the memory of an array is taken: its bytes as another dtype, another size."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ..array import doubt, view, wrap
from ..context import failure
from ..host import call_through_python, known
from ..registry import implements
from ..value import node_of
from ..views import Storage
from .arguments import static_shape
from .building import concatenated, filled, reshaped


class _Reinterpreted:
    """`x.view(dtype)`, of arrays and of scalars."""

    __module__, __name__ = "numpy.ndarray", "view"

    def __call__(self, x: Any, dtype: np.dtype) -> Any:
        return np.asarray(x).view(dtype)[()] if isinstance(x, np.generic) else x.view(dtype)


_REINTERPRETED = _Reinterpreted()


@implements(method="view")
def reinterpreted(a, dtype=None, type=None):
    """`x.view()`; with another dtype, its bytes, which NumPy takes and which may only be read."""
    if isinstance(dtype, builtin_type) and issubclass(dtype, np.ndarray):
        dtype, type = None, dtype
    if type not in (None, np.ndarray):
        raise failure(
            UnsupportedError,
            f"x.view({type.__name__}) is no plain array",
            "use it outside the jitted function",
        )
    if dtype is None or np.dtype(dtype) == a.dtype:
        return a if a.is_scalar else view(a, node_of(a))
    found = call_through_python(
        known(_REINTERPRETED, "numpy.ndarray.view"), (a, np.dtype(dtype)), {}
    )
    if not a.is_scalar:
        doubt(a, found, f"bytes as {np.dtype(dtype)} are one memory, which is not traced")
    return found


builtin_type = type


@implements(method="resize")
def resize(a, *new_shape, refcheck=True):
    """`x.resize(shape)`, in place: of an array that has memory of its own."""
    shape = static_shape(new_shape[0] if len(new_shape) == 1 else new_shape)
    if a.is_scalar or a.steps:
        raise ValueError("cannot resize this array: it does not own its data")
    if a.storage.source is not None:
        raise failure(
            UnsupportedError,
            "x.resize() of an argument changes the caller's array",
            "work on a copy: x = np.resize(x, shape), or x = x.copy()",
        )
    size, own = int(np.prod(shape)), a.size
    flat = reshaped(wrap(node_of(a)), (own,))
    if size > own:
        flat = concatenated([flat, filled((size - own,), 0, a.dtype)], 0)
    made = reshaped(flat[:size], shape)
    a.settle(Storage(made.node, birth=a.birth))
    a._node = made.node
