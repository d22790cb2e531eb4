"""Routines of the BLAS that NumPy was linked with, by address."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
from numpy._core import _multiarray_umath

# How builds of BLAS decorate a name: prefix, suffix, and the bits of their integers.
NAMINGS = (
    ("scipy_", "64_", 64),  # the OpenBLAS of NumPy's wheels
    ("", "64_", 64),
    ("", "$NEWLAPACK$ILP64", 64),  # Apple's Accelerate
    ("scipy_", "", 32),
    ("", "$NEWLAPACK", 32),
    ("", "", 32),
)


def blas_address(name: str) -> int | None:
    """The address of a CBLAS, BLAS or LAPACK routine such as ``"cblas_dgemm"`` or ``"dgetrf_"``.

    None if NumPy was built without a BLAS, or its BLAS has no such routine. Integer arguments of the
    routine have ``blas_integer_bits()`` bits.
    """
    blas = _blas()
    if blas is None:
        return None
    library, prefix, suffix, _ = blas
    return _address(library, prefix + name + suffix)


def blas_integer_bits() -> int | None:
    """The width of the BLAS's integers, 32 or 64; None when there is no BLAS."""
    blas = _blas()
    return None if blas is None else blas[3]


@functools.cache
def _blas() -> tuple[ctypes.CDLL, str, str, int] | None:
    for library in _libraries():
        for prefix, suffix, bits in NAMINGS:
            if _address(library, f"{prefix}cblas_dgemm{suffix}") is not None:
                return library, prefix, suffix, bits
    return None


def _libraries() -> list[ctypes.CDLL]:
    """Where to look; all are loaded already, and stay loaded as long as NumPy.

    A symbol of an extension module is also looked for in the libraries it is linked with, which
    finds the BLAS of wheels, conda and distributions alike; only Windows needs the file itself.
    """
    paths = [Path(_multiarray_umath.__file__)]
    paths += sorted((Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*.dll"))
    libraries = []
    for path in paths:
        try:
            libraries.append(ctypes.CDLL(str(path)))
        except OSError:  # built into the interpreter, or not a file of its own
            continue
    return libraries


def _address(library: ctypes.CDLL, symbol: str) -> int | None:
    try:
        return ctypes.cast(library[symbol], ctypes.c_void_p).value
    except AttributeError:
        return None
