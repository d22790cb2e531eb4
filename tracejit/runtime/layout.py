"""Where CPython and NumPy keep what native code reads, checked against living objects at import.

The offsets are those of 64-bit CPython with the global lock and of NumPy 2. ``NATIVE`` says that
every one of them was found true; where it is False (PyPy, free-threaded and debug builds, another
NumPy) nothing native is built on them and all calls go through Python.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from importlib import import_module
from types import CellType

import numpy as np

HEADER = getattr(object, "__basicsize__", 0)

# The offsets of C structures, by the names native/*.ll uses: "%array[array.data]".
OFFSETS = {
    "object.type": 8,
    "object.value": 16,  # of float, complex, int's digit count, NumPy scalars
    "int.digit": 24,  # the lowest digit, in the layouts before and since 3.12
    "tuple.size": 16,
    "tuple.items": 24,
    "list.size": 16,
    "list.items": 24,
    "cell.contents": 16,
    "array.data": 16,
    "array.rank": 24,
    "array.shape": 32,
    "array.strides": 40,
    "array.descr": 56,
    "array.flags": 64,
    "array.handler": 88,
    "descr.kind": 24,
    "descr.byteorder": 26,
    "descr.itemsize": 40,
}

# Bits of an array's flags (numpy/ndarraytypes.h).
C_CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE = 0x1, 0x4, 0x100, 0x400

_NEW_FROM_DESCR, _SCALAR, _GET_HANDLER = 94, 60, 305  # in NumPy's table of C functions


def read(address: int, format: str) -> int:
    """One number from memory; ``format`` as in the struct module."""
    return struct.unpack("=" + format, ctypes.string_at(address, struct.calcsize("=" + format)))[0]


def python_function(name: str) -> int:
    """The address of a function of the Python C API."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value


def make_immortal(thing: object) -> None:
    """Never free this object, not even at interpreter exit: something native points to it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def numpy_functions() -> dict[str, int]:
    """The addresses of the functions of NumPy's C API that native code calls."""
    table = numpy_table()
    return {
        "PyArray_NewFromDescr": table[_NEW_FROM_DESCR],
        "PyArray_Scalar": table[_SCALAR],
    }


def numpy_table(count: int = 306) -> ctypes.Array:
    """The first addresses in NumPy's table of C functions and objects."""
    capsule = import_module("numpy._core._multiarray_umath")._ARRAY_API
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    return (ctypes.c_void_p * count).from_address(pointer(capsule, None))


def _check_objects() -> bool:
    """Do float, complex, int, tuple, list keep their values where we believe?"""
    value = OFFSETS["object.value"]
    pair, items = (object(), 7), [object(), None, 7]
    storage = read(id(items) + OFFSETS["list.items"], "Q")
    cell = CellType(items)
    return (
        all(read(id(thing) + OFFSETS["object.type"], "Q") == id(type(thing)) for thing in (1, 2.5))
        and read(id(2.5) + value, "d") == 2.5
        and read(id(5) + OFFSETS["int.digit"], "i") == 5
        and read(id(3 - 4.5j) + value, "d") == 3
        and read(id(3 - 4.5j) + value + 8, "d") == -4.5
        and read(id(pair) + OFFSETS["tuple.size"], "q") == 2
        and [read(id(pair) + OFFSETS["tuple.items"] + 8 * i, "Q") for i in (0, 1)]
        == [id(thing) for thing in pair]
        and read(id(cell) + OFFSETS["cell.contents"], "Q") == id(items)
        and read(id(items) + OFFSETS["list.size"], "q") == 3
        and [read(storage + 8 * i, "Q") for i in (0, 1, 2)] == [id(thing) for thing in items]
    )


def _check_array(array: np.ndarray) -> bool:
    """Does this array keep its fields where we believe?"""
    at = {name: id(array) + offset for name, offset in OFFSETS.items()}
    rank, dtype, flags = array.ndim, array.dtype, read(at["array.flags"], "i")
    shape, strides = read(at["array.shape"], "Q"), read(at["array.strides"], "Q")
    return (
        read(at["array.data"], "Q") == array.__array_interface__["data"][0]
        and read(at["array.rank"], "i") == rank
        and all(read(shape + 8 * i, "q") == array.shape[i] for i in range(rank))
        and all(read(strides + 8 * i, "q") == array.strides[i] for i in range(rank))
        and read(at["array.descr"], "Q") == id(dtype)
        and chr(read(id(dtype) + OFFSETS["descr.kind"], "B")) == dtype.kind
        and chr(read(id(dtype) + OFFSETS["descr.byteorder"], "B"))
        == {"|": "|", "=": "="}.get(dtype.byteorder, dtype.str[0])
        and read(id(dtype) + OFFSETS["descr.itemsize"], "q") == dtype.itemsize
        and bool(flags & C_CONTIGUOUS) == array.flags.c_contiguous
        and bool(flags & OWNDATA) == array.flags.owndata
        and bool(flags & ALIGNED) == array.flags.aligned
        and bool(flags & WRITEABLE) == array.flags.writeable
    )


def _check_arrays() -> bool:
    frozen = np.zeros((3, 5), np.complex64)
    frozen.flags.writeable = False
    misaligned = np.zeros(17, np.uint8)[1:].view(np.float64)
    samples = [frozen, frozen.T, frozen[:, 1:4:2], misaligned, np.zeros((2, 2, 2), ">i4")]
    samples += [np.array(True), np.zeros((4, 0), np.int16)[::-1]]
    return all(map(_check_array, samples))


def _check_scalars() -> bool:
    """Do NumPy scalars keep their bytes right behind the object header?"""
    return all(
        ctypes.string_at(id(scalar) + OFFSETS["object.value"], scalar.nbytes) == scalar.tobytes()
        for scalar in (kind(1.75) for kind in SCALAR_TYPES)
    )


# NumPy scalar types whose bytes native code reads; half and longdouble included.
SCALAR_TYPES = tuple(dict.fromkeys(np.dtype(code).type for code in "?bBhHiIlLqQefdgFDG"))


def _check_all() -> bool:
    if (
        sys.implementation.name != "cpython"
        or os.name != "posix"
        or hasattr(sys, "gettotalrefcount")
        or HEADER != 16
        or struct.calcsize("P") != 8
        or sys.byteorder != "little"
        or int(np.__version__.split(".")[0]) != 2
        or tuple.__basicsize__ != OFFSETS["tuple.items"]
        or np.dtype(np.intp).itemsize != 8
    ):
        return False
    return (
        numpy_table()[2] == id(np.ndarray)
        and _check_objects()
        and _check_arrays()
        and _check_scalars()
    )


def _check_handler() -> bool:
    """Is an array's memory handler where we believe: a capsule of its own, or null for views?"""
    get = ctypes.PYFUNCTYPE(ctypes.py_object)(numpy_table()[_GET_HANDLER])
    array = np.zeros(3)
    return read(id(array) + OFFSETS["array.handler"], "Q") == id(get()) and (
        read(id(array[1:]) + OFFSETS["array.handler"], "Q") == 0
    )


NATIVE = _check_all()

# Arrays may be given a memory handler of our own.
HANDLER = NATIVE and _check_handler()
