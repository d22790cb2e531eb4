"""Checks of what only data tells: indices, extents, ints that a dtype must hold, pivots, assumptions.

A check is its first operand. Where that, or what it depends on, is not as it must be, the program has
no result, and reports why. Each is one record: when it fails, as what, and what is computed with
instead until the report is made. Both are written once, in terms of elementwise functions: NumPy's
in the reference, instructions in compiled code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import tensor
from ..numpy_code import NO_EIGENVALUES, NOT_POSITIVE, SINGULAR
from ..op import ELEMENTWISE, Element, Op, define
from ..refusal import (
    EMPTY,
    FAILED,
    ILLEGAL,
    NO_CHOICE,
    NO_INT_OF_INFINITY,
    NO_INT_OF_NAN,
    NO_INT_SO_LARGE,
    NOT_FITTING,
    OTHERWISE,
    OUTSIDE,
    UNEQUAL,
    UNEXPECTED,
    UNLIKE_MASK,
    WRONG,
    Refusal,
)
from ..types import ArrayType, DType, array_type, bool_, f64, i64

__all__ = [
    "CHECKS",
    "assumed",
    "checked_choice",
    "checked_index",
    "convertible",
    "definite_pivot",
    "expected",
    "fed",
    "fitting",
    "legal",
    "proper_result",
    "regular_pivot",
    "same_extent",
    "some",
    "sound",
]

# Of the elementwise functions and the operands, as below.
Of = Callable[..., Any]


class Check(NamedTuple):
    """How a check fails: `failures` are reports, each with when it is due; `told` the operands it tells.

    `instead(n, *operands)` is the value where it fails, and `otherwise` that where it does not; the
    functions of elements are attributes of `n`.
    """

    failures: tuple[tuple[Refusal, Of], ...]
    told: tuple[int, ...]
    instead: Of | None
    otherwise: Of


CHECKS: dict[str, Check] = {}


def _itself(n: Any, x: Any, *others: Any) -> Any:
    return x


def _check(
    name: str,
    dtypes: tuple[DType, ...],
    *failures: tuple[Refusal, Of],
    told: tuple[int, ...] = (),
    instead: Of | None = None,
    otherwise: Of = _itself,
    cost: float = 1.0,
) -> Op:
    CHECKS[name] = Check(failures, told, instead, otherwise)

    def type_rule(*types: ArrayType) -> ArrayType:
        if tuple([type.dtype for type in types]) != dtypes:
            raise TypeError(f"{name} is of {dtypes}, not of {', '.join(map(str, types))}")
        if any(type.shape != types[0].shape for type in types):
            raise ValueError(f"operand shapes differ: {', '.join(map(str, types))}")
        return types[0]

    def reference(*operands: Any) -> Any:
        for report, fails in failures:
            failed = fails(np, *operands)
            if np.any(failed):
                where = np.argmax(failed)
                values = np.broadcast_arrays(*operands)
                raise report.make(*[values[k].flat[where].item() for k in told])
        return np.asarray(otherwise(np, *operands))[()]

    def element(index: tuple, *operands: Any, type: ArrayType) -> tensor.Expression:
        return tensor.Apply(name, tuple([operand(index) for operand in operands]), dtypes[0])

    def samples(dtype: DType) -> list:
        shapes = ((), (0,), (3, 5), (100,))
        return [([array_type(shape, dtype) for dtype in dtypes], {}) for shape in shapes]

    return define(
        Op(name, ELEMENTWISE, type_rule, reference, Element(element), cost, samples=samples)
    )


def _zero(n: Any, *operands: Any) -> Any:
    return 0


# An index, counted from the end where it is negative, of so many elements along an axis.
checked_index = _check(
    "checked_index",
    (i64, i64, i64),
    (OUTSIDE, lambda n, i, m, axis: n.logical_or(n.less(i, n.negative(m)), n.greater_equal(i, m))),
    told=(0, 2, 1),
    instead=_zero,
    otherwise=lambda n, i, size, axis: n.where(n.less(i, 0), n.add(i, size), i),
    cost=3.0,
)
# A number below a count, and not below zero.
checked_choice = _check(
    "checked_choice",
    (i64, i64),
    (NO_CHOICE, lambda n, i, count: n.logical_or(n.less(i, 0), n.greater_equal(i, count))),
    instead=_zero,
    cost=2.0,
)
# An extent that must equal another one, for a use: the lower of the two where it does not, so that
# nothing is read outside of either.
same_extent = _check(
    "same_extent",
    (i64, i64, i64),
    (UNEQUAL, lambda n, one, other, use: n.not_equal(one, other)),
    told=(0, 1, 2),
    instead=lambda n, one, other, use: n.minimum(one, other),
    cost=3.0,
)


# How many elements a mask selects, which must be as many as there are values for them, or one value.
fed = _check(
    "fed",
    (i64, i64),
    (
        UNLIKE_MASK,
        lambda n, count, own: n.logical_and(n.not_equal(count, own), n.not_equal(own, 1)),
    ),
    told=(1, 0),
    instead=_zero,
    cost=3.0,
)


def _between(name: str, report: Refusal) -> Op:
    return _check(
        name,
        (i64, i64, i64),
        (report, lambda n, x, low, high: n.logical_or(n.less(x, low), n.greater(x, high))),
        told=(0, 1, 2),
        instead=lambda n, x, low, high: low,
        cost=3.0,
    )


# An int that must lie between two others; and one that did when the program was made, which is for
# no other: the function is to be run then, and traced anew.
fitting = _between("fitting", NOT_FITTING)
expected = _between("expected", UNEXPECTED)
# A float that has an int before its point, as Python's `int` says, and we of 64 bits.
convertible = _check(
    "convertible",
    (f64,),
    (NO_INT_OF_NAN, lambda n, x: n.isnan(x)),
    (NO_INT_OF_INFINITY, lambda n, x: n.isinf(x)),
    (NO_INT_SO_LARGE, lambda n, x: n.greater_equal(n.absolute(x), 2.0**63)),
    instead=_zero,
    cost=3.0,
)
# A condition that must hold.
legal = _check("legal", (bool_,), (ILLEGAL, lambda n, condition: n.logical_not(condition)))
# The same, by what it is a condition of, where NumPy has words for it.
sound = {
    name: _check(f"sound_{name}", (bool_,), (report, lambda n, condition: n.logical_not(condition)))
    for name, report in WRONG.items()
}
# The token of what is ordered with effects, so that none of these is dropped, and a condition: what
# a program takes for granted, as its types depend on it, like how many roots there are.
assumed = _check(
    "assumed", (i64, bool_), (OTHERWISE, lambda n, token, condition: n.logical_not(condition))
)
# Pivots of a matrix, and what an algorithm has found, which is nan where it has found nothing.
regular_pivot = _check("regular_pivot", (f64,), (FAILED[SINGULAR], lambda n, x: n.equal(x, 0)))
definite_pivot = _check(
    "definite_pivot",
    (f64,),
    (FAILED[NOT_POSITIVE], lambda n, x: n.logical_not(n.greater(x, 0))),
)
proper_result = _check("proper_result", (f64,), (FAILED[NO_EIGENVALUES], lambda n, x: n.isnan(x)))
# A count that must not be zero, by what is reduced then.
some = {
    name: _check(f"some_{name}", (i64,), (report, lambda n, count: n.equal(count, 0)), cost=2.0)
    for name, report in EMPTY.items()
}
