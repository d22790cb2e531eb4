"""The compiled code of NumPy's ufuncs, by address: read from the objects, and used only if these
are found to be laid out as they are supposed to be."""

from __future__ import annotations

import ctypes
import functools
import os
import platform

import numpy as np
from numpy._core import _multiarray_umath

from tracejit.runtime import layout


class _Ufunc(ctypes.Structure):
    """The beginning of `PyUFuncObject` (numpy/ufuncobject.h)."""

    _fields_ = (
        ("header", ctypes.c_byte * layout.HEADER),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_char)),
    )


_records: dict[tuple[np.ufunc, str], ctypes.Array] = {}


def loop_record(ufunc: np.ufunc, types: str) -> int | None:
    """The address of two pointers: to the code of the loop for `types`, and to its data.

    None where NumPy is not laid out as it was when this was written.
    """
    key = (ufunc, types)
    if key not in _records:
        found = _function_and_data(ufunc, types)
        if found is None:
            return None
        _records[key] = (ctypes.c_void_p * 2)(*found)
    return ctypes.addressof(_records[key])


def _function_and_data(ufunc: np.ufunc, types: str) -> tuple[int, int | None] | None:
    if not layout.NATIVE or not REPORTS_INVALID or types not in ufunc.types:
        return None
    memory = _Ufunc.from_address(id(ufunc))
    counts = (memory.nin, memory.nout, memory.nargs, memory.ntypes)
    if counts != (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes):
        return None
    if not memory.name or memory.name.decode() != ufunc.__name__:
        return None
    position = ufunc.types.index(types)
    numbers = memory.types[position * ufunc.nargs : (position + 1) * ufunc.nargs]
    if list(numbers) != [np.dtype(letter).num for letter in types.replace("->", "")]:
        return None
    function = memory.functions[position]
    return (function, memory.data[position] if memory.data else None) if function else None


# The bit for invalid operations in the processor's status word, as C's FE_INVALID is defined.
REPORTS_INVALID = platform.machine().lower() in ("x86_64", "amd64", "arm64", "aarch64")


# Sorting: NumPy's table of C functions has one that tells where a dtype's functions are.
_GET_ARRAY_FUNCTIONS = 365
# Before these in PyArray_ArrFuncs (numpy/ndarraytypes.h): 21 casts, and twelve functions.
_SORTS, _KINDS = 33, 3


class _Found(ctypes.Structure):
    """`Dl_info`: the file that an address was loaded from, and its symbol."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


@functools.cache
def sorting_address(name: str, position: int, dtype: np.dtype) -> int | None:
    """The code of a dtype's ``sort`` or ``argsort`` number ``position``, or None if it is not there."""
    if not layout.NATIVE or np.lib.NumpyVersion(np.__version__) < "2.0.0":
        return None
    table = layout.numpy_table(_GET_ARRAY_FUNCTIONS + 1)
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(table[_GET_ARRAY_FUNCTIONS])
    functions = (ctypes.c_void_p * (_SORTS + 2 * _KINDS)).from_address(get(dtype))
    address = functions[_SORTS + position + (_KINDS if name == "argsort" else 0)]
    return address if _is_numpys(address) and _sorts(name, address, dtype) else None


def _is_numpys(address: int | None) -> bool:
    """Whether this is code of NumPy's core."""
    look_up = getattr(ctypes.CDLL(None), "dladdr", None)
    found = _Found()
    if not address or look_up is None or not look_up(ctypes.c_void_p(address), ctypes.byref(found)):
        return False
    return bool(found.file) and os.path.samefile(
        os.fsdecode(found.file), _multiarray_umath.__file__
    )


def _sorts(name: str, address: int, dtype: np.dtype) -> bool:
    """Whether it sorts a few numbers as it should."""
    values = (np.arange(100) * 37 % 101 % 64).astype(dtype)
    order = np.arange(values.size, dtype=np.intp)
    arrays = (values,) if name == "sort" else (values, order)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    kinds = [*[ctypes.c_void_p] * len(arrays), ctypes.c_ssize_t, ctypes.c_void_p]
    wanted = np.sort(values)
    ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(address)(*pointers, values.size, None)
    return np.array_equal(values[order] if name == "argsort" else values, wanted)
