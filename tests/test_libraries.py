"""runtime.libraries: the routines found compute what NumPy computes."""

import ctypes

import numpy as np
import pytest

from tracejit.runtime import libraries

ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE = 101, 111, 112


def make_integer() -> type:
    if libraries.blas_integer_bits() is None:
        assert libraries.blas_address("cblas_dgemm") is None
        pytest.skip("NumPy has no BLAS")
    return {32: ctypes.c_int32, 64: ctypes.c_int64}[libraries.blas_integer_bits()]


def test_numpys_own_blas_is_found():
    config = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    if not config.get("found"):
        pytest.skip("NumPy has no BLAS")
    assert libraries.blas_address("cblas_dgemm") is not None


@pytest.mark.parametrize(
    ("name", "dtype", "scalar"),
    [("cblas_dgemm", np.float64, ctypes.c_double), ("cblas_sgemm", np.float32, ctypes.c_float)],
)
def test_gemm(name, dtype, scalar):
    integer = make_integer()
    random = np.random.default_rng(0)
    left = random.standard_normal((5, 7)).astype(dtype)
    right = random.standard_normal((3, 7)).astype(dtype)
    out = np.full((5, 3), np.nan, dtype)
    flags, pointer = [ctypes.c_int] * 3, ctypes.c_void_p
    arguments = [*flags, *[integer] * 3, scalar, pointer, integer, pointer, integer]
    prototype = ctypes.CFUNCTYPE(None, *arguments, scalar, pointer, integer)
    gemm = prototype(libraries.blas_address(name))
    gemm(
        *(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, 5, 3, 7),
        *(1.0, left.ctypes.data, 7, right.ctypes.data, 7, 0.0, out.ctypes.data, 3),
    )
    np.testing.assert_allclose(out, left @ right.T, rtol=1e-5)


def test_the_width_of_integers_is_right():
    """A count of 4 - 2**32 is negative, so nothing to sum, to 64 bits, and 4 to 32 bits."""
    integer = make_integer()
    pointer = ctypes.c_void_p
    arguments = [ctypes.c_int64, pointer, integer, pointer, integer]
    ddot = ctypes.CFUNCTYPE(ctypes.c_double, *arguments)(libraries.blas_address("cblas_ddot"))
    ones = np.ones(4)
    assert ddot(4, ones.ctypes.data, 1, ones.ctypes.data, 1) == 4.0
    narrowed = ddot(4 - (1 << 32), ones.ctypes.data, 1, ones.ctypes.data, 1)
    assert narrowed == (0.0 if integer is ctypes.c_int64 else 4.0)


def test_lapack_is_found_under_its_fortran_name():
    integer = make_integer()
    address = libraries.blas_address("dgesv_")
    if address is None:
        pytest.skip("a BLAS without LAPACK")
    matrix = np.asfortranarray([[2.0, 1.0], [1.0, 3.0]])
    right = np.array([3.0, 5.0])
    pivots = (integer * 2)()
    info, two, one = integer(-1), integer(2), integer(1)
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 8)(address)(
        *(ctypes.addressof(two), ctypes.addressof(one), matrix.ctypes.data),
        *(ctypes.addressof(two), ctypes.addressof(pivots), right.ctypes.data),
        *(ctypes.addressof(two), ctypes.addressof(info)),
    )
    assert info.value == 0
    np.testing.assert_allclose(right, [0.8, 1.4])


def test_an_unknown_routine_is_none():
    assert libraries.blas_address("cblas_no_such_routine") is None
    assert libraries.blas_address("") is None


def test_without_any_blas(monkeypatch):
    monkeypatch.setattr(libraries, "_libraries", list)
    libraries._blas.cache_clear()
    try:
        assert libraries.blas_address("cblas_dgemm") is None
        assert libraries.blas_integer_bits() is None
    finally:
        libraries._blas.cache_clear()
