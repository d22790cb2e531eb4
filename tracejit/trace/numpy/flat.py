"""`x.flat`: the elements of an array in C order, to be read and written one after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..array import Array, assign_items, viewing
from ..registry import ATTRIBUTES, FUNCTIONS
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
        given = as_array(value)
        if given.ndim:
            count = flat[index].size
            given = FUNCTIONS[np.resize](given, (count,))
        assign_items(flat, index, given)
        if flat.storage is not base.storage:
            base[...] = reshaped(flat, base.shape)


ATTRIBUTES["flat"] = Flat
