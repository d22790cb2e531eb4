"""`x.flat`: the elements of an array in C order, to be read and written one after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..array import Array, assign_items, viewing
from ..registry import ATTRIBUTES, FUNCTIONS
from ..value import Value
from .building import as_array, copied, reshaped


class Flat:
    """`np.flatiter` for a traced array. What is read is a copy, what is written is in the array."""

    def __init__(self, base: Array):
        self.base = base

    @property
    def __class__(self) -> type:
        return np.flatiter

    def copy(self) -> Array:
        """All elements, as a vector."""
        return copied(reshaped(self.base, (self.base.size,)))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*_as_arrays(inputs), **options)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        return function(*_as_arrays(args), **_as_arrays(kwargs))

    def __len__(self) -> int:
        return len(reshaped(self.base, (self.base.size,)))

    def __iter__(self) -> Iterator[Array]:
        return iter(self.copy())

    def __getitem__(self, index: Any) -> Array:
        return self.copy()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        """Values are repeated, or left over, as elements are there."""
        base = self.base
        flat = viewing(lambda x: reshaped(x, (x.size,)))(base)
        is_selected = isinstance(value, Value) and value.mask is not None
        given = value if is_selected else as_array(value)
        if given.ndim and not is_selected:
            count = flat[index].size
            given = FUNCTIONS[np.resize](given, (count,))
        assign_items(flat, index, given)
        if flat.storage is not base.storage:
            base[...] = reshaped(flat, base.shape)


for _name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):
    setattr(Flat, _name, lambda self, other, _name=_name: getattr(self.copy(), _name)(other))


def _as_arrays(values: Any) -> Any:
    """Values with vectors for iterators, also inside lists, tuples and dicts."""
    if isinstance(values, Flat):
        return values.copy()
    if type(values) in (list, tuple):
        return type(values)(_as_arrays(value) for value in values)
    return {k: _as_arrays(v) for k, v in values.items()} if type(values) is dict else values


ATTRIBUTES["flat"] = Flat
