"""The structures that native/dispatch.ll reads, as 64-bit words, and the memory that holds them.

An entry is a block of words (the head), which points to one record per check and one per output.
The *frame* is the scratch memory of one call; an entry knows where in it everything goes: the slots
of the executable's argument vector, the leaf objects, vectors of items, ints and bools as bytes,
symbols, extents, results.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.ir.types import BRAIN_NAME
from tracejit.runtime import layout
from tracejit.runtime.callable import TABLE


class Unsupported(Exception):
    """This signature or plan cannot be served natively; its calls go through Python."""


def _offsets(structure: str, names: str, first: int = 0) -> dict[str, int]:
    return {f"{structure}.{name}": first + 8 * i for i, name in enumerate(names.split())}


def _enumerate(structure: str, names: str) -> dict[str, int]:
    return {f"{structure}.{name}": i for i, name in enumerate(names.split())}


HEAD = _offsets(
    "entry",
    "next arguments keywords frame_bytes program dead hits symbols symbol_bytes copies "  # the signature
    "entry release_gil shapes workspace_bytes tail outputs output_count extents extent_count "
    "fixed_extents extents_offset results result function on_error build stack",  # the plan
)
RECORD = {
    **_offsets("record", "kind base item type object slot"),
    **_offsets("leaf", "descr rank flags shape strides least", first=48),
    **_offsets("leaf", "value last_word", first=48),
    **_offsets("container", "count keys copies", first=48),
    **_offsets("guard", "dict key value", first=48),
    **_offsets("watched", "object count value", first=48),
    **_offsets("pair", "first first_size second second_size fixed", first=48),
}
BUILD = _offsets("build", "kind count object")
OUTPUT = _offsets("output", "kind descr rank extents bytes itemsize threshold handler slot value")

# Every $name of native/dispatch.ll.
NUMBERS = {
    **layout.OFFSETS,
    "native.table": TABLE,
    **_offsets("table", "entries active frame_bytes sets hash_ints python"),
    **HEAD,
    **RECORD,
    "record.size": max(RECORD.values()) + 8,
    **OUTPUT,
    "output.size": max(OUTPUT.values()) + 8,
    **BUILD,
    "build.size": max(BUILD.values()) + 8,
    **_offsets("frame", "capacity owned positional keywords ignored slots"),
    "frame.fixed": 4096,  # bytes on the C stack; larger frames come from the heap
    **_offsets("way", "hash entry"),
    "way.size": 16,
    "set.size": 32,
    "set.count": 256,
    "set.shift": 56,  # the top eight bits of a hash choose its set
    "hash.factor": 0x9E3779B97F4A7C15 - (1 << 64),  # 2**64 over the golden ratio
    "hash.depth": 3,
    **_enumerate(
        "kind",
        "end guard names cell items size apart word "  # about the call as a whole
        "array payload int bool identical equal bits tuple list dict instance any",
    ),
    "kind.last_whole": 7,
    **_enumerate("output", "array scalar float int complex bool count argument object"),
    **_enumerate("result", "single tuple function tree"),
    **_enumerate("build", "end push tuple list dict"),
    "array.ours": layout.C_CONTIGUOUS | layout.ALIGNED | layout.WRITEABLE,
    "array.owndata": layout.OWNDATA,
}


def structure(members: dict[str, int], values: dict[str, int]) -> list[int]:
    """The words of one structure; members that get no value are zero."""
    words = [0] * (max(members.values()) // 8 + 1)
    for name, value in values.items():
        words[members[name] // 8] = value
    return words


def native_dtype(dtype: np.dtype) -> np.dtype:
    """NumPy's own object for a dtype of numbers or bools in native byte order, else Unsupported."""
    dtype = np.dtype(dtype)
    is_known = dtype.type in layout.SCALAR_TYPES or dtype.name == BRAIN_NAME
    if not is_known or not dtype.isnative:
        raise Unsupported(f"arrays of dtype {dtype!r}")
    return np.dtype(dtype.type)


class Frame:
    """Offsets handed out one after the other."""

    def __init__(self, first: int):
        self.bytes = first

    def words(self, count: int) -> int:
        """The offset of the next `count` words."""
        offset, self.bytes = self.bytes, self.bytes + 8 * count
        return offset

    def values(self, count: int) -> int:
        """The offset of the next `count` 16-byte values."""
        self.bytes = -(-self.bytes // 16) * 16
        return self.words(2 * count)


class Memory:
    """Words at fixed addresses, and the objects they point to."""

    def __init__(self) -> None:
        self._keep: list[Any] = []

    def block(self, words: Sequence[int]) -> ctypes.Array:
        block = (ctypes.c_int64 * max(len(words), 1))(*words)
        self._keep.append(block)
        return block

    def store(self, words: Sequence[int]) -> int:
        """The address of these words."""
        return ctypes.addressof(self.block(words))

    def address(self, thing: Any) -> int:
        """The address of a Python object."""
        self._keep.append(thing)
        return id(thing)
