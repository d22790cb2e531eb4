"""A mean and the squares of deviations from it, found together in one sweep.

    for i: a += x[i]                        for strips of a few rows, before which come k:
    for i: b += (x[i] - a / n)²      ->         t = sum of x in the strip; m = t / rows; q = sum of (x - m)²
                                                b += q + (m - a / k)² · k · rows / (k + rows); a += t

Squares of what differs from a strip's own mean are added up, and what the strips' means differ by as they come (Chan,
Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979). No
difference of large squares is taken, so the error is that of two sweeps, or less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...ir.expressions import cast, integer, replace_expressions
from ...ir.tensor import (
    Accumulate,
    Apply,
    Expression,
    For,
    Let,
    Literal,
    Load,
    Statement,
    Variable,
)
from ...ir.types import f32, f64, i64
from .cost import trips

# How near to 1 / n what the sum is multiplied by must be, relative to it.
CLOSE = 1e-6


class Moments(NamedTuple):
    """Sums over rows, of `value` and of the squares of what it is more than its mean."""

    total: Variable
    squares: Variable
    value: Expression


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


def strip_of(found: Moments, before: Expression, sweep: For) -> list[Statement]:
    """What adds a strip to both sums; `sweep` goes over its rows, so many come `before`."""
    rows, dtype = trips(sweep), found.value.dtype
    total, squares = _named(found, "strip"), _named(found, "squares")
    count, some = cast(before, dtype), cast(Apply("maximum", (before, integer(1)), i64), dtype)
    mean = _apply("multiply", total, _number(1 / rows, total))
    deviation = _apply("subtract", found.value, mean)
    so_far = _apply("multiply", found.total, _apply("divide", _number(1, total), some))
    both = _apply("add", count, _number(rows, total))
    weight = _apply("divide", _apply("multiply", count, _number(rows, total)), both)
    return [
        Let(total, _number(0, total)),
        sweep.replace(body=(Accumulate(total, "add", found.value),)),
        Let(squares, _number(0, total)),
        sweep.replace(body=(Accumulate(squares, "add", _square(deviation)),)),
        Accumulate(found.squares, "add", squares),
        *_apart(found, _apply("subtract", mean, so_far), weight),
        Accumulate(found.total, "add", total),
    ]


def joined(
    found: Moments, chunks: For, parts: dict[Variable, Load], count: Expression, rest: For
) -> list[Statement]:
    """What adds up what chunks of so many rows have found, and the `rest` of the rows."""
    total, dtype = found.total, found.value.dtype
    mean, rows = _named(found, "mean"), rest.stop.value
    of_chunk = _apply("divide", parts[total], cast(count, dtype))
    deviation = _apply("subtract", found.value, mean)
    between = _apart(found, _apply("subtract", of_chunk, mean), cast(count, dtype))
    return [
        chunks.replace(body=(Accumulate(total, "add", parts[total]),)),
        rest.replace(body=(Accumulate(total, "add", found.value),)),
        Let(mean, _apply("multiply", total, _number(1 / rows, total))),
        chunks.replace(body=(Accumulate(found.squares, "add", parts[found.squares]), *between)),
        rest.replace(body=(Accumulate(found.squares, "add", _square(deviation)),)),
    ]


def _apart(found: Moments, apart: Expression, weight: Expression) -> list[Statement]:
    """What two groups of rows add whose means lie so far apart."""
    distance = _named(found, "apart")
    added = _apply("multiply", _square(distance), weight)
    return [Let(distance, apart), Accumulate(found.squares, "add", added)]


def _named(found: Moments, word: str) -> Variable:
    return Variable(f"{found.total.name}_{word}", found.value.dtype)


def _number(value: float, like: Expression) -> Literal:
    return Literal(float(value), like.dtype)


def _apply(op: str, a: Expression, b: Expression) -> Expression:
    return Apply(op, (a, b), a.dtype)


def _square(a: Expression) -> Expression:
    return _apply("multiply", a, a)
