"""logaddexp and logaddexp2: sums of numbers given by their logarithms."""

from __future__ import annotations

import math

from tracejit.lower.llvm.math.arithmetic import Number, select
from tracejit.lower.llvm.math.exponential import exp, exp2
from tracejit.lower.llvm.math.logarithm import log1p


def larger_and_distance(x: Number, y: Number) -> tuple[Number, Number]:
    """(max, -abs(x - y)), the distance of equal infinities being zero."""
    return select(x > y, x, y), select(x == y, 0.0, -abs(x - y))


def logaddexp(x: Number, y: Number) -> Number:
    """log(exp(x) + exp(y)). Near a zero of the result the error is 2 ULP of x, not of it."""
    larger, distance = larger_and_distance(x, y)
    return larger + log1p(exp(distance))


def logaddexp2(x: Number, y: Number) -> Number:
    """log2(2**x + 2**y). Near a zero of the result the error is 2 ULP of x, not of it."""
    larger, distance = larger_and_distance(x, y)
    return larger + log1p(exp2(distance)) * (1 / math.log(2))
