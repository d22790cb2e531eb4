"""How the elements of an ndarray lie in memory, where compiled code can follow them."""

from __future__ import annotations

import numpy as np

from ..ir.types import Layout


def is_plain(array: np.ndarray) -> bool:
    """Whether every element is aligned and in native byte order, whole elements apart."""
    steps = array.strides if array.size else ()
    whole = all(step % array.itemsize == 0 for step in steps)
    return array.flags.aligned and array.dtype.isnative and whole


def own_layout(array: np.ndarray) -> Layout | None:
    """The strides of a plain array that is not C-contiguous; None for C order."""
    if array.flags.c_contiguous or not array.size:
        return None
    return Layout(tuple(step // array.itemsize for step in array.strides))


def is_unlike_arrays(value: np.ndarray) -> bool:
    """Whether a subclass of ndarray gives operators another meaning, or has more than elements."""
    if type(value) is np.ndarray:
        return False
    return isinstance(value, np.ma.MaskedArray | np.matrix)
