"""Elements of rows by ranks that are computed, of rows of any length: as in ranks.py, planned as the program runs.

A sample has a power of four of elements, about n^(2/3) of them, whose root, a power of two, says how far from its
place in the sample a rank may be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions
from ..expressions import compare, select
from ..op import OPAQUE, Extern, Op, define
from ..tensor import (
    ONE,
    ZERO,
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    If,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
)
from ..types import ArrayType, DType, array_type, bool_, i64
from .gufunc import nested
from .ranks import MOST_SAMPLES, SCATTER, counted, packed, sorting

__all__ = ["ranked_at"]

# Bits of the length of a row, and more.
MOST_BITS = 40


def check_ranks_of(x: ArrayType, ranks: ArrayType) -> tuple[int, int]:
    """How many groups of ranks there are, and how many are near one another in each."""
    if x.ndim == 0 or ranks.dtype is not i64 or x.dtype.kind not in "iuf":
        raise ValueError(f"rows of {x} do not have elements of the ranks {ranks}")
    if ranks.ndim < 2 or ranks.shape[:-2] not in ((), x.shape[:-1]):
        raise ValueError(f"{ranks} are not for all rows of {x}, or for each of them")
    own = ranks.shape[-2:]
    if not all(type(extent) is int and extent for extent in own):
        raise ValueError(f"{ranks} are not a known number of ranks")
    return own


def _type(x: ArrayType, ranks: ArrayType) -> ArrayType:
    return array_type((*x.shape[:-1], *check_ranks_of(x, ranks)), x.dtype)


def _reference(x: Any, ranks: Any) -> Any:
    rows, ranks = np.sort(x, axis=-1), np.asarray(ranks)
    inside = np.clip(ranks, 0, rows.shape[-1] - 1)
    inside = np.broadcast_to(inside, (*rows.shape[:-1], *ranks.shape[-2:]))
    flat = inside.reshape(*rows.shape[:-1], -1)
    found = np.take_along_axis(rows, flat, -1).reshape(inside.shape)
    if rows.dtype.kind == "f":
        last = rows[..., -1:, None]
        found = np.where(np.isnan(last), last, found)
    return found


def _whole(op: str, *operands: Expression) -> Expression:
    return Apply(op, operands, i64)


class PlannedRows:
    """Statements on rows of `x`, each of `n` elements, and the numbers that these are planned by."""

    def __init__(self, x: Buffer, ranks: Buffer, out: Buffer):
        self.x, self.ranks, self.out, self.dtype = x, ranks, out, x.type.dtype
        self.rows = tuple([Index(f"i{axis}") for axis in range(x.type.ndim - 1)])
        self.n = expressions.extent(x.type.shape[-1])
        self.k = Index("k")
        names = ("bits", "power", "samples", "stride", "margin", "nans")
        self.bits, self.power, self.samples, self.stride, self.margin, self.nans = [
            Variable(name, i64) for name in names
        ]
        self.sample = Buffer("sample", array_type((MOST_SAMPLES,), self.dtype), "local")
        self.middle = Buffer("middle", array_type((x.type.shape[-1],), self.dtype), "local")
        self.element = Load(x, (*self.rows, self.k))

    def over(self, count: Expression, *body: Statement) -> For:
        return For(self.k, ZERO, count, body, "serial", 1)

    def planned(self) -> tuple[Statement, ...]:
        bit = Index("bit")
        is_used = compare("less_equal", _whole("left_shift", ONE, bit), self.n)
        most = expressions.integer((MOST_SAMPLES.bit_length() - 1) // 2)
        third = _whole("minimum", _whole("floor_divide", self.bits, expressions.integer(3)), most)
        wide = _whole("multiply", self.power, expressions.integer(3))
        count = Accumulate(self.bits, "add", expressions.cast(is_used, i64))
        return (
            Let(self.bits, ZERO),
            For(bit, ZERO, expressions.integer(MOST_BITS), (count,), "serial", 1),
            Let(self.power, _whole("left_shift", ONE, third)),
            Let(self.samples, _whole("multiply", self.power, self.power)),
            Let(self.stride, _whole("floor_divide", self.n, self.samples)),
            # Three standard deviations of where a rank falls in the sample, as in ranks.py.
            Let(self.margin, _whole("add", _whole("right_shift", wide, ONE), ONE)),
        )

    def sampled(self) -> tuple[Statement, ...]:
        scattered = _whole("multiply", self.k, expressions.integer(SCATTER))
        jump = _whole("remainder", scattered, self.stride)
        place = _whole("add", _whole("multiply", self.k, self.stride), jump)
        inside = _whole("minimum", place, expressions.subtract(self.n, ONE))
        store = Store(self.sample, (self.k,), Load(self.x, (*self.rows, inside)))
        return self.over(self.samples, store), sorting(self.sample, (ZERO,), self.samples)

    def rank(self, group: int, position: int) -> Expression:
        own = self.rows if self.ranks.type.ndim > 2 else ()
        place = (*own, expressions.integer(group), expressions.integer(position))
        last = expressions.subtract(self.n, ONE)
        return _whole("maximum", _whole("minimum", Load(self.ranks, place), last), ZERO)

    def bound(self, rank: Expression, is_low: bool) -> Expression:
        """The value of the sample before which, or after which, an element of this rank hardly is."""
        at = _whole("floor_divide", _whole("multiply", rank, self.samples), self.n)
        extreme = expressions.identity("maximum" if is_low else "minimum", self.dtype)
        if is_low:
            at = _whole("subtract", at, self.margin)
            exists, inside = compare("less_equal", ZERO, at), _whole("maximum", at, ZERO)
        else:
            at = _whole("add", _whole("add", at, self.margin), ONE)
            last = _whole("subtract", self.samples, ONE)
            exists, inside = compare("less", at, self.samples), _whole("minimum", at, last)
        return select(exists, Load(self.sample, (inside,)), Literal(extreme, self.dtype))

    def found(self, group: int, width: int) -> tuple[Statement, ...]:
        """One pass, which finds a group of ranks that are near one another."""
        ends = [Variable(f"{name}{group}", i64) for name in ("first", "last")]
        low, high = [Variable(f"{name}{group}", self.dtype) for name in ("low", "high")]
        before, count = [Variable(f"{name}{group}", i64) for name in ("before", "found")]
        above = compare("less_equal", low, self.element)
        is_within = compare("logical_and", above, compare("less_equal", self.element, high))
        steps = packed(self.middle, (count,), self.element, is_within)
        steps += (counted(before, compare("less", self.element, low)),)
        if self.dtype.kind == "f" and group == 0:
            steps += (counted(self.nans, Apply("isnan", (self.element,), bool_)),)
        too_low = compare("less", ends[0], before)
        too_high = compare("less_equal", _whole("add", before, count), ends[1])
        copy = self.over(self.n, Store(self.middle, (self.k,), self.element))
        whole = (copy, Assign(before, ZERO), Assign(count, self.n))
        body: list[Statement] = [
            Let(ends[0], self.rank(group, 0)),
            Let(ends[1], self.rank(group, width - 1)),
            Let(low, self.bound(ends[0], True)),
            Let(high, self.bound(ends[1], False)),
            Let(before, ZERO),
            Let(count, ZERO),
            self.over(self.n, *steps),
            If(compare("logical_or", too_low, too_high), whole, ()),
            sorting(self.middle, (ZERO,), count),
        ]
        for position in range(width):
            place = _whole("subtract", self.rank(group, position), before)
            value: Expression = Load(self.middle, (place,))
            if self.dtype.kind == "f":
                no_nan = compare("equal", self.nans, ZERO)
                value = select(no_nan, value, Literal(float("nan"), self.dtype))
            index = (expressions.integer(group), expressions.integer(position))
            body.append(Store(self.out, (*self.rows, *index), value))
        return tuple(body)


def _statements(x: Buffer, ranks: Buffer, out: Buffer) -> tuple[Statement, ...]:
    if 0 in x.type.shape:
        return ()
    row = PlannedRows(x, ranks, out)
    groups, width = ranks.type.shape[-2:]
    body: tuple[Statement, ...] = (*row.sampled(), Let(row.nans, ZERO))
    for group in range(groups):
        body += row.found(group, width)
    memory = (Allocate(row.sample), Allocate(row.middle))
    return (*row.planned(), *nested(row.rows, x.type.shape[:-1], (*memory, *body)))


def _samples(dtype: DType) -> list:
    if dtype.kind not in "iuf" or dtype.itemsize < 4:
        return []
    cases = [((9,), (1, 1)), ((3, 20), (2, 2)), ((2, 1), (1, 2)), ((700,), (1, 2))]
    cases.append(((2, 3, 20), (2, 3, 1, 2)))
    return [([array_type(shape, dtype), array_type(own, i64)], {}) for shape, own in cases]


# The elements that rows would have at `ranks` if they were sorted, the ranks of a row of these near one another and
# in order; for all rows, or for each its own; NaN for all of them if a row has any.
ranked_at = define(
    Op("ranked_at", OPAQUE, _type, _reference, Extern(_statements), cost=10.0, samples=_samples)
)
