"""Native code calls Python: the memory it works on as arrays, on whichever thread it runs.

There is one native entry for all Python functions. It takes the Python lock where it was released,
finds the `Site` by its address, which is a symbol of the code, and is given slots: the first it sets
to 1 when all went well, the others are the addresses of the arrays.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tracejit.ir.dims import bind
from tracejit.runtime import layout, native_code


class Memory(NamedTuple):
    """An array that native code passes: its extents may hold symbols; no strides: C order."""

    dtype: np.dtype
    shape: tuple[Any, ...]
    strides: tuple[int, ...] | None


class Site:
    """A place in a program that calls Python.

    `function(*arrays)` says whether it succeeded, and raises nothing. Arrays at the positions
    `written` are its results; the others are read-only.
    """

    def __init__(
        self,
        function: Callable[..., bool],
        arrays: Sequence[Memory],
        written: Sequence[int],
        symbols: tuple[str, ...],
    ):
        self.function, self.written, self.symbols = function, frozenset(written), symbols
        self._memories = tuple(arrays)
        self._slots = ctypes.c_int64 * (1 + len(self._memories))
        self._viewers = None if symbols else self._viewers_for({})

    def run(self, slots: int, symbols: int) -> None:
        """Call the function on the arrays that the slots tell of."""
        words = self._slots.from_address(slots)
        viewers = self._viewers
        if viewers is None:
            numbers = (ctypes.c_int64 * len(self.symbols)).from_address(symbols)
            viewers = self._viewers_for(dict(zip(self.symbols, numbers)))
        addresses = words[1:]
        words[0] = self.function(*[view(at) for view, at in zip(viewers, addresses)])

    def _viewers_for(self, values: dict[str, int]) -> list[Callable[[int], np.ndarray]]:
        return [
            _viewer(memory, values, position in self.written)
            for position, memory in enumerate(self._memories)
        ]


def _viewer(memory: Memory, values: dict[str, int], writeable: bool) -> Callable[[int], np.ndarray]:
    """What makes an address an array."""
    dtype, shape, strides = memory
    shape = tuple([bind(extent, values) for extent in shape])
    if 0 in shape:
        return lambda address: np.empty(shape, dtype)
    first, last = 0, dtype.itemsize
    if strides is None:
        last = dtype.itemsize * prod(shape)
    else:
        for step, extent in zip(strides, shape):
            first += min(step * (extent - 1), 0)
            last += max(step * (extent - 1), 0)
    block = ctypes.c_char * (last - first)

    def view(address: int) -> np.ndarray:
        array = np.ndarray(shape, dtype, block.from_address(address + first), -first, strides)
        if not writeable:
            array.flags.writeable = False
        return array

    return view


def _run(site: int, slots: int, symbols: int) -> None:
    ctypes.cast(site, ctypes.py_object).value.run(slots, symbols)


@native_code.once
def address() -> int:
    """`void (ptr site, ptr slots, ptr symbols)`, to be called with or without the Python lock.

    limit: an exception that a signal raises before the function runs is shown and dropped by
    ctypes; the outcome stays 0.
    """
    entry = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(_run)
    layout.make_immortal(entry)
    return ctypes.cast(entry, ctypes.c_void_p).value or 0
