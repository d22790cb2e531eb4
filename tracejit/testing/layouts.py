"""The same values in every kind of memory NumPy knows."""

from __future__ import annotations

import tempfile

import numpy as np


class Tagged(np.ndarray):
    """A subclass that adds nothing to NumPy's meaning."""


def fortran(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, order="F").copy(order="F")


def reversed_(x: np.ndarray) -> np.ndarray:
    flipped = (..., *[slice(None, None, -1)] * x.ndim)
    return x[flipped].copy()[flipped]


def strided(x: np.ndarray) -> np.ndarray:
    memory = np.zeros([2 * n + 1 for n in x.shape], x.dtype)
    view = memory[(..., *[slice(1, 2 * n + 1, 2) for n in x.shape])]
    view[...] = x
    return view


def window(x: np.ndarray) -> np.ndarray:
    """A contiguous run along the last axis, inside something larger."""
    memory = np.zeros([n + 3 for n in x.shape], x.dtype)
    view = memory[(..., *[slice(2, n + 2) for n in x.shape])]
    view[...] = x
    return view


def permuted(x: np.ndarray) -> np.ndarray:
    """The first axis innermost, the others in order."""
    axes = (*range(1, x.ndim), *range(min(x.ndim, 1)))
    return np.transpose(np.transpose(x, axes).copy(), np.argsort(axes).tolist())


def misaligned(x: np.ndarray) -> np.ndarray:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def byte_swapped(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder("S"))


def in_record(x: np.ndarray) -> np.ndarray:
    """A field of a structured array: its stride is no multiple of its size."""
    record = np.zeros(x.shape, [("before", np.uint8), ("value", x.dtype)])
    record["value"] = x
    return record["value"]


def read_only(x: np.ndarray) -> np.ndarray:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def subclass(x: np.ndarray) -> np.ndarray:
    return x.copy().view(Tagged)


def mapped(x: np.ndarray) -> np.ndarray:
    """A file in memory; NumPy cannot map an empty one."""
    if x.size == 0:
        return x.copy()
    with tempfile.NamedTemporaryFile() as file:
        memory = np.memmap(file, x.dtype, "w+", shape=x.shape)
    memory[...] = x
    return memory


LAYOUTS = {
    "C": np.ndarray.copy,
    "fortran": fortran,
    "reversed": reversed_,
    "strided": strided,
    "window": window,
    "permuted": permuted,
    "misaligned": misaligned,
    "byte_swapped": byte_swapped,
    "in_record": in_record,
    "read_only": read_only,
    "subclass": subclass,
    "mapped": mapped,
}
