"""Matrices of up to four rows, element by element: stacks of them run in lanes, and fuse.

A call of LAPACK takes longer than what it does for so few elements. These are its own methods, with
partial pivoting by the greatest modulus and in double precision, but operations are contracted and so
rounded otherwise: not for `numerics="strict"`. Each function takes and gives arrays of double precision.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ir import ops
from ...ir.op import Op
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace
from ..value import node_of
from .building import as_array, choose, concatenated, filled, reshaped, taken

LARGEST = 4
# Right-hand sides that are eliminated along.
MOST_COLUMNS = 4

Row = list[Array]


def is_small(a: Array) -> bool:
    """Whether matrices are computed here: few real numbers, and not to the last bit as LAPACK does."""
    trace = current_trace()
    side = a.shape[-1]
    return (
        trace is not None
        and not trace.is_strict
        and a.dtype.kind != "c"
        and type(side) is int
        and 0 < side <= LARGEST
    )


def _checked(op: Op, pivot: Array) -> Array:
    return wrap(op(node_of(pivot)))


def _rows(a: Array) -> list[Row]:
    """The elements of matrices, each for all of the stack."""
    rows = [taken(a, a.ndim - 2, i) for i in range(a.shape[-2])]
    return [[taken(row, row.ndim - 1, j) for j in range(a.shape[-1])] for row in rows]


def _matrices(rows: list[Row]) -> Array:
    return _side_by_side([_side_by_side(row, 0) for row in rows], 1)


def _side_by_side(parts: list[Array], last: int) -> Array:
    """A new axis of the parts, before the `last` ones."""
    axis = parts[0].ndim - last
    shapes = [(*part.shape[:axis], 1, *part.shape[axis:]) for part in parts]
    return concatenated([reshaped(part, shape) for part, shape in zip(parts, shapes)], axis)


def _less(row: Row, factor: Array, other: Row) -> Row:
    return [apply(np.subtract, x, apply(np.multiply, factor, y)) for x, y in zip(row, other)]


def _exchanged(swap: Array, one: Row, other: Row) -> tuple[Row, Row]:
    pairs = list(zip(one, other))
    return [choose(swap, y, x) for x, y in pairs], [choose(swap, x, y) for x, y in pairs]


def _eliminate(
    rows: list[Row], pivoted: Callable[[Array], Array], swapped: Callable[[Array], None]
) -> None:
    """Make the first columns of the rows upper triangular; `pivoted` gives what is divided by, and
    `swapped` is told of each exchange of rows."""
    side = len(rows)
    for k in range(side):
        for other in range(k + 1, side):
            swap = apply(
                np.greater, apply(np.absolute, rows[other][k]), apply(np.absolute, rows[k][k])
            )
            swapped(swap)
            kept = rows[k][:k]
            one, two = _exchanged(swap, rows[k][k:], rows[other][k:])
            rows[k], rows[other] = kept + one, rows[other][:k] + two
        pivot = rows[k][k] = pivoted(rows[k][k])
        for other in range(k + 1, side):
            factor = apply(np.true_divide, rows[other][k], pivot)
            rest = _less(rows[other][k + 1 :], factor, rows[k][k + 1 :])
            rows[other] = rows[other][: k + 1] + rest


def _nothing(_: Array) -> None:
    return None


def _solved(rows: list[Row]) -> list[Row]:
    """What follows the square part of the rows, divided by it."""
    side = len(rows)
    _eliminate(rows, lambda pivot: _checked(ops.regular_pivot, pivot), _nothing)
    found: list[Row] = [[] for _ in rows]
    for k in reversed(range(side)):
        right = rows[k][side:]
        for j in range(k + 1, side):
            right = _less(right, rows[k][j], found[j])
        found[k] = [apply(np.true_divide, x, rows[k][k]) for x in right]
    return found


def solve(a: Array, b: Array) -> Array:
    """Solutions for stacks of matrices, both with the same axes before the last two."""
    return _matrices(_solved([left + right for left, right in zip(_rows(a), _rows(b))]))


def inv(a: Array) -> Array:
    """Inverses: solutions for the columns of the identity."""
    side, shape = a.shape[-1], a.shape[:-2]
    ends = [filled(shape, value, np.float64) for value in (0.0, 1.0)]
    identity = [[ends[i == j] for j in range(side)] for i in range(side)]
    return _matrices(_solved([left + right for left, right in zip(_rows(a), identity)]))


def det(a: Array) -> Array:
    """Determinants: products of pivots, one of which is 0 for a singular matrix."""
    rows, signs = _rows(a), [filled(a.shape[:-2], 1.0, np.float64)]
    zero, one = [filled(a.shape[:-2], value, np.float64) for value in (0.0, 1.0)]

    def swapped(swap: Array) -> None:
        signs.append(choose(swap, apply(np.negative, signs[-1]), signs[-1]))

    pivots: Row = []

    def pivoted(pivot: Array) -> Array:
        pivots.append(pivot)
        # Below a pivot of zero there are zeros.
        return choose(apply(np.equal, pivot, zero), one, pivot)

    _eliminate(rows, pivoted, swapped)
    result = signs[-1]
    for pivot in pivots:
        result = apply(np.multiply, result, pivot)
    return as_array(result)


def cholesky(a: Array, upper: bool) -> Array:
    """The lower or upper factors, of that half of the matrices."""
    given = _rows(a)
    side = len(given)
    zero = filled(a.shape[:-2], 0.0, np.float64)
    lower = [[zero] * side for _ in range(side)]
    for j in range(side):
        for i in range(j, side):
            total = given[j][i] if upper else given[i][j]
            for k in range(j):
                total = apply(np.subtract, total, apply(np.multiply, lower[i][k], lower[j][k]))
            if i == j:
                lower[j][j] = apply(np.sqrt, _checked(ops.definite_pivot, total))
            else:
                lower[i][j] = apply(np.true_divide, total, lower[j][j])
    return _matrices([list(column) for column in zip(*lower)] if upper else lower)
