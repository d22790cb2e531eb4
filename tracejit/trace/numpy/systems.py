"""Systems of equations, by LAPACK or in lanes: `solve`, `inv`, `det`, `lstsq`, and powers of a matrix."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import index
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..application import apply
from ..array import Array
from ..assumptions import assumed
from ..broadcasting import broadcast_shapes
from ..host import no_rule
from ..registry import implements
from . import small_matrices, stacked_matrices
from .arguments import static
from .building import (
    as_array,
    broadcast,
    converted,
    copied,
    filled,
    number,
    permuted,
    reshaped,
    scalar_like,
    taken,
)
from .diagonals import eye_matrix
from .gufuncs import Precision, linalg, square
from .linear import matmul

# NumPy's named tuple.
_SLOGDET = type(np.linalg.slogdet(np.ones((1, 1))))


@implements(np.linalg.solve)
def solve(a, b):
    """`np.linalg.solve`: `b` of one axis is a vector, and else a stack of matrices."""
    a, b = square(a), as_array(b)
    precision = Precision(a, b)
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
    return converted(linalg(name, (2, core), *operands)[0], precision.result)


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
    return of_one("inv", square(a))


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


def of_one(name: str, a: Array) -> Array:
    precision = Precision(a)
    wide = converted(a, precision.wide)
    own = _own_algorithm(name, wide)
    if own is not None:
        return converted(own(wide), precision.result)
    (result,) = linalg(name, (2,), wide)
    return converted(result, precision.result)


@implements(np.linalg.det)
def det(a):
    """`np.linalg.det`."""
    return scalar_like(of_one("det", square(a)))


@implements(np.linalg.slogdet)
def slogdet(a):
    """`np.linalg.slogdet`: the sign of the determinant, and the logarithm of its modulus."""
    a = square(a)
    precision = Precision(a)
    wide = converted(a, precision.wide)
    if stacked_matrices.is_for_lanes("slogdet", wide):
        sign, logarithm = stacked_matrices.slogdet(wide)
    else:
        sign, logarithm = linalg("slogdet", (2,), wide)
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
    precision = Precision(a, b)
    if rcond is None:
        rcond = np.finfo(precision.wide).eps * max(n, m)
    operands = [converted(x, precision.wide) for x in (a, b)]
    x, residuals, rank, s = linalg("lstsq", (2, 2, 0), *operands, number(rcond, np.float64))
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
    precision = Precision(a, b)
    operands = [converted(x, precision.wide) for x in (a, b)]
    found = linalg("lstsq", (2, 2, 0), *operands, number(rcond, np.float64))
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
    a = square(a)
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
    squared, result = a, None
    while power:
        power, bit = divmod(power, 2)
        if bit:
            result = squared if result is None else matmul(result, squared)
        if power:
            squared = matmul(squared, squared)
    return copied(result)
