"""A mean and the squares of deviations from it, found together in one sweep.

    for i: a += x[i]                        c = mean of the first few x
    for i: b += (x[i] - a / n)²      ->     for i: a += x[i];  s += x[i] - c;  b += (x[i] - c)²
                                            b = b - s² / n

What is subtracted at the end is small: the squares of n elements' deviations from their own mean m are at least
k / n of n (c - m)², c being the mean of k of them, and most often c is so near to m that nothing is lost (Chan,
Golub and LeVeque, "Algorithms for computing the sample variance: analysis and recommendations", 1983). Infinities, NaNs and
squares that overflow give what two sweeps give, unless the sum of finite numbers is infinite, too: no number then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial, reduce
from typing import NamedTuple

from ...ir.expressions import integer, replace_expressions, select
from ...ir.tensor import (
    Accumulate,
    Apply,
    Expression,
    For,
    Literal,
    Statement,
    Variable,
)
from ...ir.types import bool_, f32, f64
from .cost import trips

# How near to 1 / n what the sum is multiplied by must be, relative to it.
CLOSE = 1e-6


class Moments(NamedTuple):
    """Sums over rows, of `value` and of the squares of what it is more than its mean."""

    total: Variable
    squares: Variable
    value: Expression

    @property
    def shifted(self) -> Variable:
        """The sum of what `value` is more than the center."""
        return Variable(f"{self.total.name}_shifted", self.total.dtype)

    @property
    def sums(self) -> tuple[Variable, Variable, Variable]:
        return self.total, self.shifted, self.squares


def moments_of(first: For, second: For, lets: Mapping[Variable, Expression]) -> Moments | None:
    """What two sweeps over the same rows find, if that is it; `lets` are what variables begin with."""
    match first.body, second.body:
        case (Accumulate(total, "add", value),), (Accumulate(squares, "add", square),):
            pass
        case _:
            return None
    rows, dtype = trips(first), value.dtype
    if rows is None or rows != trips(second) or dtype not in (f32, f64) or total is squares:
        return None
    if any(not _is_zero(lets.get(v)) or v.dtype is not dtype for v in (total, squares)):
        return None
    again = replace_expressions((value,), {first.index: second.index})[value]
    difference = _squared(square)
    match difference:
        case Apply("subtract", (a, mean)) if a is again and _is_mean(mean, total, rows):
            return Moments(total, squares, value)
        case Apply("subtract", (mean, a)) if a is again and _is_mean(mean, total, rows):
            return Moments(total, squares, value)
    return None


def _is_zero(value: Expression | None) -> bool:
    return isinstance(value, Literal) and value.value == 0


def _squared(e: Expression) -> Expression | None:
    match e:
        case Apply("square", (a,)):
            return a
        case Apply("multiply", (a, b)) if a is b:
            return a
    return None


def _is_mean(e: Expression, total: Variable, rows: int) -> bool:
    match e:
        case Apply("multiply", (a, Literal(factor))) | Apply("multiply", (Literal(factor), a)):
            return a is total and abs(factor * rows - 1) < CLOSE
        case Apply("divide", (a, Literal(count))):
            return a is total and count == rows
    return False


def center_of(sweep: For, found: Moments, rows: int) -> Expression:
    """The mean of the first rows; zero where that is infinite, or no number."""
    first = [replace_expressions((found.value,), {sweep.index: integer(k)}) for k in range(rows)]
    values = [new[found.value] for new in first]
    mean = _apply("multiply", reduce(partial(_apply, "add"), values), _number(1 / rows, values[0]))
    return select(Apply("isfinite", (mean,), bool_), mean, _number(0, mean))


def from_center(found: Moments, center: Expression) -> tuple[Statement, ...]:
    """What is added to the sums for a row."""
    apart = _apply("subtract", found.value, center)
    added = (found.value, apart, _apply("multiply", apart, apart))
    return tuple([Accumulate(v, "add", value) for v, value in zip(found.sums, added)])


def squares_from_mean(
    rows: int, total: Expression, shifted: Expression, squares: Expression
) -> Expression:
    """The squares of deviations from the mean, of those from the center."""
    less = _apply("multiply", shifted, _apply("multiply", shifted, _number(1 / rows, total)))
    rest = _apply("maximum", _apply("subtract", squares, less), _number(0, total))
    # Squares overflow before the sum does; where that is infinite, too, there is no deviation from the mean.
    is_infinite = Apply("equal", (squares, _number(math.inf, total)), bool_)
    beyond = _apply("add", squares, _apply("multiply", total, _number(0, total)))
    return select(is_infinite, beyond, rest)


def _number(value: float, like: Expression) -> Literal:
    return Literal(float(value), like.dtype)


def _apply(op: str, a: Expression, b: Expression) -> Expression:
    return Apply(op, (a, b), a.dtype)
