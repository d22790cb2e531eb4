"""Rows about an element of one rank: what is less first, then what is near it, in order, the rest last.

As in ranks.py, what is near the rank is what lies between two of a sorted sample; a pass packs the
three parts, of which NumPy's function sorts or orders the middle one. Rows of an unknown length are planned as in
ranks_at.py.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import expressions, tensor
from ..numpy_sorts import Sorting
from ..op import OPAQUE, Extern, Op, define
from ..tensor import (
    ZERO,
    Address,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    If,
    Index,
    Let,
    Load,
    Statement,
    Store,
    Variable,
)
from ..types import ArrayType, DType, array_type, bool_, i64, to_dtype
from .gufunc import nested
from .ranks import Plan, Row, Window, check_ranks, packed, plan_of, sorting
from .ranks_at import PlannedRows, check_ranks_of

__all__ = ["order_partition", "order_partition_at", "partition", "partition_at"]

BEFORE, FOUND, AFTER = [Variable(name, i64) for name in ("before", "found", "after")]
KEYS = Variable("keys", i64)  # as many as are found


def _partition_type(x: ArrayType, *, rank: int) -> ArrayType:
    check_ranks(x, (rank,))
    return array_type(x.shape, x.dtype)


def _order_type(x: ArrayType, *, rank: int) -> ArrayType:
    check_ranks(x, (rank,))
    return array_type(x.shape, i64)


def _parted(row: np.ndarray, rank: int) -> np.ndarray:
    """Positions in the order in which a partition has them, by the same steps as a program."""
    plan = plan_of(row.size, (rank,), to_dtype(row.dtype), 1)
    if plan is not None:
        (window,) = plan.windows
        sample = np.sort(row[plan.positions])
        is_low = row < sample[window.low] if window.low is not None else np.zeros(row.size, bool)
        is_high = ~is_low
        if window.high is not None:
            is_high &= ~(row <= sample[window.high])
        else:
            is_high &= np.isnan(row)
        low, high = np.flatnonzero(is_low), np.flatnonzero(is_high)
        middle = np.flatnonzero(~(is_low | is_high))
        if low.size <= rank < low.size + middle.size:
            return np.concatenate([low, middle[np.argsort(row[middle])], high])
    return np.argsort(row)


def _order_reference(x: Any, *, rank: int) -> Any:
    x = np.asarray(x)
    order = np.empty(x.shape, np.int64)
    for index in np.ndindex(x.shape[:-1]):
        order[index] = _parted(x[index], rank)
    return order


def _partition_reference(x: Any, *, rank: int) -> Any:
    return np.take_along_axis(np.asarray(x), _order_reference(x, rank=rank), axis=-1)


def _rows(x: Buffer) -> tuple[Index, ...]:
    return tuple([Index(f"i{axis}") for axis in range(x.type.ndim - 1)])


def _partition_statements(x: Buffer, out: Buffer, *, rank: int) -> tuple[Statement, ...]:
    if 0 in out.type.shape:
        return ()
    rows, n = _rows(x), x.type.shape[-1]
    plan = plan_of(n, (rank,), x.type.dtype, 1)
    if plan is not None:
        body = _partition_row(Row(x, rows, plan), out)
    else:
        k, all_of_it = Index("k"), expressions.integer(n)
        copy = Store(out, (*rows, k), Load(x, (*rows, k)))
        body = (
            For(k, ZERO, all_of_it, (copy,), "serial", 1),
            sorting(out, (*rows, ZERO), all_of_it),
        )
    return nested(rows, x.type.shape[:-1], body)


class _PlannedRow(Row):
    """A row that is planned as the program runs; its one window is computed."""

    def __init__(self, x: Buffer, ranks: Buffer, out: Buffer):
        super().__init__(x, _rows(x), Plan(1, 1, (Window((), 0, 0),)))
        self.planned = PlannedRows(x, ranks, out)
        self.rank = Variable("rank", i64)

    def sampled(self) -> tuple[Statement, ...]:
        planned = self.planned
        return (*planned.planned(), Allocate(planned.sample), *planned.sampled())

    def bounds(self, window: Window, name: str) -> tuple[tuple[Let, ...], Variable, Variable]:
        low, high = [Variable(side, self.dtype) for side in ("low", "high")]
        lets = [Let(end, self.planned.bound(self.rank, end is low)) for end in (low, high)]
        return (Let(self.rank, self.planned.rank(0, 0)), *lets), low, high

    def is_off(self, window: Window, before: Expression, found: Expression) -> Expression:
        end = expressions.add(before, found)
        too_low, too_high = [
            expressions.compare("less", self.rank, before),
            expressions.compare("less_equal", end, self.rank),
        ]
        return expressions.compare("logical_or", too_low, too_high)


def _partition_row(row: Row, out: Buffer) -> tuple[Statement, ...]:
    middle, rest = _memory(row, out.type.dtype, "middle", "rest")
    value = row.at(row.k)
    before, within, after, lets = _parts(row, [(middle, FOUND, value)], rest, out, value)
    whole = sorting(out, (*row.rows, ZERO), row.count)
    part = sorting(out, (*row.rows, BEFORE), FOUND)
    (window,) = row.plan.windows
    return (
        *lets,
        *[Allocate(buffer) for buffer in (middle, rest)],
        row.over(row.count, *before, *within, *after),
        _moved(row, out, Load(middle, (row.k,)), BEFORE, FOUND),
        _moved(row, out, Load(rest, (row.k,)), _end(), AFTER),
        If(row.is_off(window, BEFORE, FOUND), (whole,), (part,)),
    )


def _memory(row: Row, dtype: DType, *names: str) -> list[Buffer]:
    return [Buffer(name, array_type((row.n,), dtype), "local") for name in names]


def _end() -> Expression:
    return Apply("add", (BEFORE, FOUND), i64)


def _moved(
    row: Row, out: Buffer, value: Expression, first: Expression, count: Expression
) -> Statement:
    """So many values to where `first` is."""
    return row.over(count, Store(out, (*row.rows, expressions.add(row.k, first)), value))


def _parts(
    row: Row,
    middle: list[tuple[Buffer, Variable, Expression]],
    rest: Buffer,
    out: Buffer,
    value: Expression,
) -> tuple[tuple[Statement, ...], ...]:
    """Steps of a loop that packs three parts, and what comes before it."""
    (window,) = row.plan.windows
    bounds, low, high = row.bounds(window, "")
    is_before, is_within = row.is_before(low), row.is_within(low, high)
    either = expressions.compare("logical_or", is_before, is_within)
    before = packed(out, (*row.rows, BEFORE), value, is_before) if window.low is not None else ()
    within = tuple([s for to, n, own in middle for s in packed(to, (n,), own, is_within)])
    after = packed(rest, (AFTER,), value, Apply("logical_not", (either,), bool_))
    counters = (BEFORE, AFTER, *[number for _, number, _ in middle])
    lets = (*row.sampled(), *bounds, *[Let(number, ZERO) for number in counters])
    return before, within, after, lets


def _order_statements(x: Buffer, out: Buffer, *, rank: int) -> tuple[Statement, ...]:
    if 0 in out.type.shape:
        return ()
    rows, n = _rows(x), x.type.shape[-1]
    k, keys = Index("k"), Buffer("keys", array_type((n,), x.type.dtype), "local")
    plan = plan_of(n, (rank,), x.type.dtype, 1)
    if plan is not None:
        body = _order_row(Row(x, rows, plan), keys, out)
    else:
        copy = Store(keys, (k,), Load(x, (*rows, k)))
        number = Store(out, (*rows, k), k)
        body = (
            Allocate(keys),
            For(k, ZERO, expressions.integer(n), (copy,), "serial", 1),
            For(k, ZERO, expressions.integer(n), (number,), "serial", 1),
            _ordering(keys, out, (*rows, ZERO), expressions.integer(n)),
        )
    return nested(rows, x.type.shape[:-1], body)


def _ordering(keys: Buffer, order: Buffer, start: tuple, count: Expression) -> tensor.Extern:
    own = Sorting("argsort", "quicksort", keys.type.dtype)
    arguments = (Address(keys, (ZERO,)), Address(order, start), count, ZERO)
    return tensor.Extern(own.symbol, arguments)


def _order_row(row: Row, keys: Buffer, out: Buffer) -> tuple[Statement, ...]:
    middle, rest, order = _memory(row, i64, "middle", "rest", "order")
    near = [(middle, FOUND, row.k), (keys, KEYS, row.at(row.k))]
    before, within, after, lets = _parts(row, near, rest, out, row.k)
    whole = (
        row.over(row.count, Store(middle, (row.k,), row.k)),
        row.over(row.count, Store(keys, (row.k,), row.at(row.k))),
        *[Assign(number, ZERO) for number in (BEFORE, AFTER)],
        Assign(FOUND, row.count),
    )
    (window,) = row.plan.windows
    return (
        *lets,
        *[Allocate(buffer) for buffer in (middle, rest, order, keys)],
        row.over(row.count, *before, *within, *after),
        If(row.is_off(window, BEFORE, FOUND), whole, ()),
        row.over(FOUND, Store(order, (row.k,), row.k)),
        _ordering(keys, order, (ZERO,), FOUND),
        _moved(row, out, Load(middle, (Load(order, (row.k,)),)), BEFORE, FOUND),
        _moved(row, out, Load(rest, (row.k,)), _end(), AFTER),
    )


def _partition_samples(dtype: DType) -> list:
    cases = [((9,), 4), ((3, 20), 10), ((2, 0, 3), 1), ((700,), 350), ((2, 600), 0), ((600,), 590)]
    return [([array_type(shape, dtype)], {"rank": rank}) for shape, rank in cases]


# Rows with the element at `rank` that is there when they are sorted, none that is greater before it
# and none that is less after it; and the positions of their elements in this order.
partition = define(
    Op(
        "partition",
        OPAQUE,
        _partition_type,
        _partition_reference,
        Extern(_partition_statements),
        cost=15.0,
        samples=_partition_samples,
    )
)
order_partition = define(
    Op(
        "order_partition",
        OPAQUE,
        _order_type,
        _order_reference,
        Extern(_order_statements),
        cost=20.0,
        samples=_partition_samples,
    )
)


# The same for one rank that is computed, in rows of any length.


def _partition_at_type(x: ArrayType, rank: ArrayType) -> ArrayType:
    if check_ranks_of(x, rank) != (1, 1):
        raise ValueError(f"{rank} is not one rank")
    return array_type(x.shape, x.dtype)


def _order_at_type(x: ArrayType, rank: ArrayType) -> ArrayType:
    return array_type(_partition_at_type(x, rank).shape, i64)


def _at_statements(make: Any, x: Buffer, rank: Buffer, out: Buffer) -> tuple[Statement, ...]:
    if 0 in out.type.shape:
        return ()
    row = _PlannedRow(x, rank, out)
    if make is _order_row:
        body = _order_row(row, Buffer("keys", array_type((row.n,), row.dtype), "local"), out)
    else:
        body = _partition_row(row, out)
    return nested(row.rows, x.type.shape[:-1], body)


def _at_samples(dtype: DType) -> list:
    """Rows so short that all of one is near the rank."""
    if dtype.kind not in "iuf" or dtype.itemsize < 4:
        return []
    rank = array_type((1, 1), i64)
    return [([array_type(shape, dtype), rank], {}) for shape in ((9,), (3, 20), (2, 1))]


partition_at = define(
    Op(
        "partition_at",
        OPAQUE,
        _partition_at_type,
        lambda x, rank: np.sort(x, axis=-1),
        Extern(partial(_at_statements, _partition_row)),
        cost=15.0,
        samples=_at_samples,
    )
)
order_partition_at = define(
    Op(
        "order_partition_at",
        OPAQUE,
        _order_at_type,
        lambda x, rank: np.argsort(x, axis=-1),
        Extern(partial(_at_statements, _order_row)),
        cost=20.0,
        samples=_at_samples,
    )
)
