"""Factors of matrices by LAPACK, through NumPy's own loops: `qr`, `svd`, `eigh`, `cholesky`, and what is made of them.

As in NumPy all is computed in double precision, and what was single is rounded at the end. A matrix for which there is
no result ends the call with NumPy's LinAlgError.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..application import apply
from ..array import Array
from ..assumptions import assumed
from ..host import no_rule
from ..registry import implements
from . import reductions, stacked_matrices
from .arguments import UNSET
from .building import (
    as_array,
    choose,
    converted,
    copied,
    filled,
    number,
    scalar_like,
    taken,
    window,
)
from .diagonals import triu
from .gufuncs import Precision, linalg, square, stacked, transposed
from .linear import matmul
from .selection import take_along_axis
from .sorting import argsort, sort
from .systems import inv, of_one

# NumPy's named tuples.
_ONE = np.ones((1, 1))
_QR, _EIGH = type(np.linalg.qr(_ONE)), type(np.linalg.eigh(_ONE))
_EIG = type(np.linalg.eig(_ONE))
_SVD = type(np.linalg.svd(_ONE))


# Factors.


@implements(np.linalg.cholesky)
def cholesky(a, /, *, upper=False):
    """`np.linalg.cholesky`."""
    return of_one("cholesky_up" if upper else "cholesky_lo", square(a))


@implements(np.linalg.qr)
def qr(a, mode="reduced"):
    """`np.linalg.qr`, in all its modes."""
    if mode not in ("reduced", "complete", "r", "raw"):
        raise no_rule(f"np.linalg.qr with the mode {mode!r}")
    a = stacked(a)
    precision = Precision(a)
    m, n = a.shape[-2:]
    wide = converted(a, precision.wide)
    is_reduced = mode in ("reduced", "r") or (mode == "complete" and m <= n)
    if is_reduced and stacked_matrices.is_stack("qr_r", wide):
        q, upper = [converted(x, precision.result) for x in stacked_matrices.qr(wide)]
        return upper if mode == "r" else _QR(q, upper)
    factors, scales = linalg("qr_r_raw", (2,), wide)
    if mode == "raw":
        scales = converted(scales, precision.result)
        return converted(transposed(factors), precision.result), scales
    least = scales.shape[-1]
    is_complete = mode == "complete" and m is not least and m > n
    rows = m if is_complete else least
    upper = triu(window(factors, factors.ndim - 2, 0, rows))
    if mode == "r":
        return converted(upper, precision.result)
    name = "qr_complete" if is_complete else "qr_reduced"
    (q,) = linalg(name, (2, 1), factors, scales)
    return _QR(converted(q, precision.result), converted(upper, precision.result))


@implements(np.linalg.svd)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """`np.linalg.svd`."""
    if hermitian:
        return _hermitian_svd(square(a), compute_uv)
    a = stacked(a)
    precision = Precision(a)
    wide = converted(a, precision.wide)
    if not compute_uv and stacked_matrices.is_stack("svdvals", wide):
        return converted(stacked_matrices.singular_values(wide), precision.real)
    if not compute_uv:
        return converted(linalg("svd", (2,), wide)[0], precision.real)
    u, s, vh = linalg("svd_f" if full_matrices else "svd_s", (2,), wide)
    return _SVD(
        converted(u, precision.result),
        converted(s, precision.real),
        converted(vh, precision.result),
    )


def _hermitian_svd(a: Array, compute_uv: bool) -> Any:
    """From eigenvalues, of which the signs become part of `vh`."""
    if not compute_uv:
        values = apply(np.absolute, eigvalsh(a))
        return sort(values)[..., ::-1]
    values, u = eigh(a)
    signs, s = apply(np.sign, values), apply(np.absolute, values)
    order = argsort(s)[..., ::-1]
    signs, s = [take_along_axis(x, order, axis=-1) for x in (signs, s)]
    u = take_along_axis(u, order[..., None, :], axis=-1)
    vh = apply(np.conjugate, transposed(apply(np.multiply, u, signs[..., None, :])))
    return _SVD(u, s, vh)


@implements(np.linalg.svdvals)
def svdvals(x, /):
    """`np.linalg.svdvals`."""
    return svd(x, compute_uv=False)


def _half(name: str, UPLO: Any) -> str:
    half = UPLO.upper()
    if half not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return f"{name}_{'lo' if half == 'L' else 'up'}"


@implements(np.linalg.eigh)
def eigh(a, UPLO="L"):
    """`np.linalg.eigh`."""
    name = _half("eigh", UPLO)
    a = square(a)
    precision = Precision(a)
    values, vectors = linalg(name, (2,), converted(a, precision.wide))
    return _EIGH(converted(values, precision.real), converted(vectors, precision.result))


@implements(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    """`np.linalg.eigvalsh`."""
    name = _half("eigvalsh", UPLO)
    a = square(a)
    precision = Precision(a)
    wide = converted(a, precision.wide)
    if stacked_matrices.is_stack("eigvalsh", wide):
        found = stacked_matrices.eigenvalues(wide, upper=name.endswith("up"))
        return converted(found, precision.real)
    return converted(linalg(name, (2,), wide)[0], precision.real)


def _finite(a: Array) -> Array:
    """A matrix of which all is finite, as NumPy wants it."""
    a = square(a)
    is_finite = reductions.all(apply(np.isfinite, a))
    if not assumed(is_finite):
        raise no_rule("np.linalg.eig of what is not finite")
    # Where it turns out not to be, LAPACK is not to see it.
    return choose(is_finite, a, number(0, a.dtype))


def _eigen(name: str, a: Array) -> list[Array]:
    """Eigenvalues, and perhaps vectors; real if all the values are, which is assumed."""
    precision = Precision(a)
    if a.shape[-1] == 0:  # of which LAPACK would complain
        return [filled(shape, 0, precision.result) for shape in (a.shape[:-1], a.shape)]
    found = linalg(name, (2,), converted(a, precision.wide))
    dtype = np.result_type(precision.result, np.complex64)
    if precision.wide == np.float64:
        is_real = reductions.all(apply(np.equal, found[0].imag, 0.0))
        if assumed(is_real):
            dtype, found = precision.result, tuple([copied(x.real) for x in found])
    return [converted(x, dtype) for x in found]


@implements(np.linalg.eig)
def eig(a):
    """`np.linalg.eig`."""
    return _EIG(*_eigen("eig", _finite(a)))


@implements(np.linalg.eigvals)
def eigvals(a):
    """`np.linalg.eigvals`."""
    return _eigen("eigvals", _finite(a))[0]


# What is made of singular values.


@implements(np.linalg.cond)
def cond(x, p=None):
    """`np.linalg.cond`; of a singular matrix NumPy knows it in other norms than the 2-norm."""
    x = as_array(x)
    if x.size == 0 and 0 in x.shape[-2:]:
        raise LinAlgError("cond is not defined on empty arrays")
    if p in (None, 2, -2):
        s = svd(x, compute_uv=False)
        axis, last = s.ndim - 1, s.shape[-1] - 1
        first, last = taken(s, axis, 0), taken(s, axis, last)
        ratio = apply(np.divide, *((last, first) if p == -2 else (first, last)))
    else:
        norms = [np.linalg.norm(matrix, p, axis=(-2, -1)) for matrix in (x, inv(x))]
        ratio = as_array(apply(np.multiply, *norms))
    had_nan = reductions.any(apply(np.isnan, x), (-2, -1))
    is_infinite = apply(np.logical_and, apply(np.isnan, ratio), apply(np.logical_not, had_nan))
    return scalar_like(choose(is_infinite, filled((), np.inf, ratio.dtype), ratio))


@implements(np.linalg.matrix_rank)
def matrix_rank(A, tol=None, hermitian=False, *, rtol=None):
    """`np.linalg.matrix_rank`."""
    if rtol is not None and tol is not None:
        raise ValueError("`tol` and `rtol` can't be both set.")
    a = as_array(A)
    if a.ndim < 2:
        raise no_rule("np.linalg.matrix_rank of a vector")
    s = svd(a, compute_uv=False, hermitian=hermitian)
    if tol is None:
        if rtol is None:
            rtol = max(a.shape[-2:]) * np.finfo(s.dtype).eps
        else:
            rtol = as_array(rtol)[..., None]
        tol = reductions.max(s, -1, keepdims=True, initial=0) * rtol
    else:
        tol = as_array(tol)[..., None]
    return reductions.count_nonzero(apply(np.greater, s, tol), -1)


@implements(np.linalg.pinv)
def pinv(a, rcond=None, hermitian=False, *, rtol=UNSET):
    """`np.linalg.pinv`."""
    a = stacked(a)
    if rcond is not None and rtol is not UNSET:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if rcond is None:
        largest = max(a.shape[-2:])
        rcond = 1e-15 if rtol is UNSET else rtol
        rcond = largest * np.finfo(a.dtype).eps if rcond is None else rcond
    if a.size == 0 and 0 in a.shape[-2:]:
        return filled((*a.shape[:-2], a.shape[-1], a.shape[-2]), 0, a.dtype)
    u, s, vt = svd(apply(np.conjugate, a), full_matrices=False, hermitian=hermitian)
    cutoff = as_array(rcond)[..., None] * reductions.max(s, -1, keepdims=True)
    inverse = choose(apply(np.greater, s, cutoff), apply(np.divide, 1, s), number(0, s.dtype))
    return matmul(transposed(vt), apply(np.multiply, inverse[..., None], transposed(u)))
