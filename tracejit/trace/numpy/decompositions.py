"""Linear algebra by LAPACK, through NumPy's own loops: `solve`, `inv`, `det`, `qr`, `svd`, `eigh`, ...

As in NumPy all is computed in double precision, and what was single is rounded at the end. Matrices
are the last two axes of a stack. A matrix for which there is no result ends the call with NumPy's
LinAlgError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import index
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...ir import ops
from ...ir.graph import Node, item
from ...ir.numpy_code import is_found
from ...ir.op import Op
from ...ir.types import TupleType
from ..application import apply
from ..array import Array, wrap
from ..assumptions import assumed
from ..broadcasting import broadcast_shapes
from ..host import no_rule
from ..registry import implements
from ..value import node_of
from . import reductions, small_matrices, stacked_matrices
from .arguments import UNSET, static
from .building import (
    as_array,
    broadcast,
    choose,
    converted,
    copied,
    filled,
    number,
    permuted,
    reshaped,
    scalar_like,
    taken,
    window,
)
from .diagonals import eye_matrix, triu
from .linear import matmul
from .selection import take_along_axis
from .sorting import argsort, sort

# NumPy's named tuples.
_ONE = np.ones((1, 1))
_QR, _EIGH = type(np.linalg.qr(_ONE)), type(np.linalg.eigh(_ONE))
_EIG = type(np.linalg.eig(_ONE))
_SVD, _SLOGDET = type(np.linalg.svd(_ONE)), type(np.linalg.slogdet(_ONE))


def run(op: Op, cores: tuple[int, ...], *operands: Array, **attrs: Any) -> tuple[Array, ...]:
    """The results of a gufunc's op; before `cores` axes of each the operands broadcast.

    Raises UnsupportedError where the running NumPy does not have the code at hand.
    """
    outers = [x.shape[: x.ndim - core] for x, core in zip(operands, cores)]
    outer = broadcast_shapes(*outers)
    fitted = [
        x if own in ((), outer) else broadcast(x, (*outer, *x.shape[x.ndim - core :]))
        for x, own, core in zip(operands, outers, cores)
    ]
    node = op(*[node_of(x) for x in fitted], **attrs)
    if not is_found(ops.loop_of(op, *[x.type for x in node.operands]).symbol):
        raise no_rule(op.name)
    return tuple([wrap(result) for result in results_of(node)])


def results_of(node: Node) -> tuple[Node, ...]:
    if not isinstance(node.type, TupleType):
        return (node,)
    return tuple([item(node, index=k) for k in range(len(node.type.items))])


def _linalg(name: str, cores: tuple[int, ...], *operands: Array) -> tuple[Array, ...]:
    return run(ops.LINALG[name], cores, *operands)


class _Precision:
    """The dtype that matrices are computed in, and those of the results."""

    def __init__(self, *arrays: Array):
        inexact = [x.dtype for x in arrays if x.dtype.kind in "fc"]
        for dtype in inexact:
            if dtype.itemsize == 2:
                raise TypeError(f"array type {dtype.name} is unsupported in linalg")
        is_complex = any(dtype.kind == "c" for dtype in inexact)
        singles = [dtype for dtype in inexact if dtype in (np.float32, np.complex64)]
        is_single = len(singles) == len(arrays)
        self.wide = np.dtype(complex if is_complex else float)
        self.real = np.dtype(np.float32 if is_single else np.float64)
        self.result = np.dtype(np.complex64 if is_single else complex) if is_complex else self.real


def _stacked(x: Any) -> Array:
    x = as_array(x)
    if x.ndim < 2:
        raise LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional"
        )
    return x


def _square(x: Any) -> Array:
    x = _stacked(x)
    if x.shape[-2] != x.shape[-1]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    return x


def transposed(x: Array) -> Array:
    """The last two axes exchanged."""
    return permuted(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


# Systems of equations.


@implements(np.linalg.solve)
def solve(a, b):
    """`np.linalg.solve`: `b` of one axis is a vector, and else a stack of matrices."""
    a, b = _square(a), as_array(b)
    precision = _Precision(a, b)
    name, core = ("solve1", 1) if b.ndim == 1 else ("solve", 2)
    if b.ndim < core:
        raise ValueError(
            f"{name}: Input operand 1 does not have enough dimensions (has {b.ndim}, gufunc core "
            "with signature (m,m),(m,n)->(m,n) requires 2)"
        )
    if b.shape[-core] != a.shape[-1]:
        signature = "(m,m),(m)->(m)" if core == 1 else "(m,m),(m,n)->(m,n)"
        raise ValueError(
            f"{name}: Input operand 1 has a mismatch in its core dimension 0, with gufunc "
            f"signature {signature} (size {b.shape[-core]} is different from {a.shape[-1]})"
        )
    operands = [converted(x, precision.wide) for x in (a, b)]
    if small_matrices.is_small(operands[0]) and _has_few_columns(b, core):
        return converted(_with_columns(small_matrices.solve, *operands, core), precision.result)
    has_columns = core == 1 or type(b.shape[-1]) is int
    if stacked_matrices.is_for_lanes("solve", operands[0]) and has_columns and 0 not in b.shape:
        found = _with_columns(stacked_matrices.solve, *operands, core)
        return converted(found, precision.result)
    return converted(_linalg(name, (2, core), *operands)[0], precision.result)


def _has_few_columns(b: Array, core: int) -> bool:
    if core == 1:
        return True
    columns = b.shape[-1]
    return type(columns) is int and 0 < columns <= small_matrices.MOST_COLUMNS


def _with_columns(solver: Callable[..., Array], a: Array, b: Array, core: int) -> Array:
    """The solutions for columns, or for vectors as such."""
    if core == 1:
        return taken(_with_columns(solver, a, reshaped(b, (*b.shape, 1)), 2), a.ndim - 1, 0)
    outer = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    fitted = [broadcast(x, (*outer, *x.shape[-2:])) for x in (a, b)]
    return solver(*fitted)


@implements(np.linalg.inv)
def inv(a):
    """`np.linalg.inv`."""
    return _of_one("inv", _square(a))


def _own_algorithm(name: str, a: Array) -> Callable[[Array], Array] | None:
    """The algorithm for few elements, for many such matrices, or for rows in lanes; None: LAPACK's.

    Written out element by element, an inverse of four rows takes long to compile.
    """
    kind, _, half = name.partition("_")
    is_dear = kind == "inv" and a.shape[-1] == small_matrices.LARGEST
    if small_matrices.is_small(a) and not (is_dear and stacked_matrices.is_stack(kind, a)):
        found = getattr(small_matrices, kind)
    elif stacked_matrices.is_for_lanes(kind, a):
        found = getattr(stacked_matrices, kind)
    else:
        return None
    return partial(found, upper=half == "up") if half else found


def _of_one(name: str, a: Array) -> Array:
    precision = _Precision(a)
    wide = converted(a, precision.wide)
    own = _own_algorithm(name, wide)
    if own is not None:
        return converted(own(wide), precision.result)
    (result,) = _linalg(name, (2,), wide)
    return converted(result, precision.result)


@implements(np.linalg.det)
def det(a):
    """`np.linalg.det`."""
    return scalar_like(_of_one("det", _square(a)))


@implements(np.linalg.slogdet)
def slogdet(a):
    """`np.linalg.slogdet`: the sign of the determinant, and the logarithm of its modulus."""
    a = _square(a)
    precision = _Precision(a)
    wide = converted(a, precision.wide)
    if stacked_matrices.is_for_lanes("slogdet", wide):
        sign, logarithm = stacked_matrices.slogdet(wide)
    else:
        sign, logarithm = _linalg("slogdet", (2,), wide)
    sign, logarithm = converted(sign, precision.result), converted(logarithm, precision.real)
    return _SLOGDET(scalar_like(sign), scalar_like(logarithm))


@implements(np.linalg.lstsq)
def lstsq(a, b, rcond=None):
    """`np.linalg.lstsq`: whether there are residuals depends on the rank, which is assumed."""
    a, b = as_array(a), as_array(b)
    is_vector = b.ndim == 1
    b = b[:, None] if is_vector else b
    for x in (a, b):
        if x.ndim != 2:
            raise LinAlgError(f"{x.ndim}-dimensional array given. Array must be two-dimensional")
    (m, n), columns = a.shape, b.shape[1]
    if m != b.shape[0]:
        raise LinAlgError("Incompatible dimensions")
    if not all(type(extent) is int and extent for extent in (m, n, columns)):
        raise no_rule("np.linalg.lstsq of such extents")
    precision = _Precision(a, b)
    if rcond is None:
        rcond = np.finfo(precision.wide).eps * max(n, m)
    operands = [converted(x, precision.wide) for x in (a, b)]
    x, residuals, rank, s = _linalg("lstsq", (2, 2, 0), *operands, number(rcond, np.float64))
    is_full = m > n and bool(assumed(apply(np.equal, rank, n)))
    residuals = converted(residuals, precision.real)
    x = converted(taken(x, 1, 0) if is_vector else x, precision.result)
    residuals = residuals if is_full else filled((0,), 0, precision.real)
    return x, residuals, scalar_like(rank), converted(s, precision.real)


@implements(np.linalg.tensorsolve)
def tensorsolve(a, b, axes=None):
    """`np.linalg.tensorsolve`."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        order = list(range(a.ndim))
        for axis in axes:
            order.remove(axis)
            order.insert(a.ndim, axis)
        a = permuted(a, tuple(order))
    shape = a.shape[-(a.ndim - b.ndim) :]
    size = _size(shape)
    if a.size != size**2:
        raise LinAlgError(
            "Input arrays must satisfy the requirement             "
            "prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return reshaped(solve(reshaped(a, (size, size)), reshaped(b, (b.size,))), shape)


def least_squares(a: Array, b: Array, rcond: float) -> Array:
    """The solutions that `np.linalg.lstsq` gives, alone: what else it gives depends on the rank."""
    precision = _Precision(a, b)
    operands = [converted(x, precision.wide) for x in (a, b)]
    found = _linalg("lstsq", (2, 2, 0), *operands, number(rcond, np.float64))
    return converted(found[0], precision.result)


def _size(shape: tuple) -> Any:
    size = 1
    for extent in shape:
        size = size * extent
    return size


@implements(np.linalg.tensorinv)
def tensorinv(a, ind=2):
    """`np.linalg.tensorinv`."""
    a = as_array(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    size = _size(a.shape[ind:])
    inverse = inv(reshaped(a, (size, a.size // size)))
    return reshaped(inverse, a.shape[ind:] + a.shape[:ind])


@implements(np.linalg.matrix_power)
def matrix_power(a, n):
    """`np.linalg.matrix_power`: by squaring; negative powers of the inverse."""
    a = _square(a)
    try:
        power = index(static(n, "an exponent"))
    except TypeError as error:
        raise TypeError("exponent must be an integer") from error
    if power == 0:
        return broadcast(eye_matrix(a.shape[-1], a.shape[-1], 0, a.dtype), a.shape)
    if power < 0:
        a, power = inv(a), -power
    if power == 3:
        return matmul(matmul(a, a), a)
    square, result = a, None
    while power:
        power, bit = divmod(power, 2)
        if bit:
            result = square if result is None else matmul(result, square)
        if power:
            square = matmul(square, square)
    return copied(result)


# Factors.


@implements(np.linalg.cholesky)
def cholesky(a, /, *, upper=False):
    """`np.linalg.cholesky`."""
    return _of_one("cholesky_up" if upper else "cholesky_lo", _square(a))


@implements(np.linalg.qr)
def qr(a, mode="reduced"):
    """`np.linalg.qr`, in all its modes."""
    if mode not in ("reduced", "complete", "r", "raw"):
        raise no_rule(f"np.linalg.qr with the mode {mode!r}")
    a = _stacked(a)
    precision = _Precision(a)
    m, n = a.shape[-2:]
    wide = converted(a, precision.wide)
    is_reduced = mode in ("reduced", "r") or (mode == "complete" and m <= n)
    if is_reduced and stacked_matrices.is_stack("qr_r", wide):
        q, upper = [converted(x, precision.result) for x in stacked_matrices.qr(wide)]
        return upper if mode == "r" else _QR(q, upper)
    factors, scales = _linalg("qr_r_raw", (2,), wide)
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
    (q,) = _linalg(name, (2, 1), factors, scales)
    return _QR(converted(q, precision.result), converted(upper, precision.result))


@implements(np.linalg.svd)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """`np.linalg.svd`."""
    if hermitian:
        return _hermitian_svd(_square(a), compute_uv)
    a = _stacked(a)
    precision = _Precision(a)
    wide = converted(a, precision.wide)
    if not compute_uv and stacked_matrices.is_stack("svdvals", wide):
        return converted(stacked_matrices.singular_values(wide), precision.real)
    if not compute_uv:
        return converted(_linalg("svd", (2,), wide)[0], precision.real)
    u, s, vh = _linalg("svd_f" if full_matrices else "svd_s", (2,), wide)
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
    a = _square(a)
    precision = _Precision(a)
    values, vectors = _linalg(name, (2,), converted(a, precision.wide))
    return _EIGH(converted(values, precision.real), converted(vectors, precision.result))


@implements(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    """`np.linalg.eigvalsh`."""
    name = _half("eigvalsh", UPLO)
    a = _square(a)
    precision = _Precision(a)
    wide = converted(a, precision.wide)
    if stacked_matrices.is_stack("eigvalsh", wide):
        found = stacked_matrices.eigenvalues(wide, upper=name.endswith("up"))
        return converted(found, precision.real)
    return converted(_linalg(name, (2,), wide)[0], precision.real)


def _finite(a: Array) -> Array:
    """A matrix of which all is finite, as NumPy wants it."""
    a = _square(a)
    is_finite = reductions.all(apply(np.isfinite, a))
    if not assumed(is_finite):
        raise no_rule("np.linalg.eig of what is not finite")
    # Where it turns out not to be, LAPACK is not to see it.
    return choose(is_finite, a, number(0, a.dtype))


def _eigen(name: str, a: Array) -> list[Array]:
    """Eigenvalues, and perhaps vectors; real if all the values are, which is assumed."""
    precision = _Precision(a)
    if a.shape[-1] == 0:  # of which LAPACK would complain
        return [filled(shape, 0, precision.result) for shape in (a.shape[:-1], a.shape)]
    found = _linalg(name, (2,), converted(a, precision.wide))
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
    a = _stacked(a)
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
