"""Elements of rows by their rank, without sorting the rows: of medians, quantiles, the largest few.

A sample of a row, sorted, tells between which two values the wanted ranks are with near certainty:
`SPREAD` standard deviations of where a rank of the row falls in the sample (R. W. Floyd and
R. L. Rivest, "Expected time bounds for selection", 1975). One pass packs what lies there, a few
elements of the row, which NumPy's function sorts. Where the sample misled, all of the row is sorted.
"""

from __future__ import annotations

from math import ceil, floor, sqrt
from typing import Any, NamedTuple

import numpy as np

from .. import tensor
from ..numpy_sorts import Sorting
from ..op import OPAQUE, Extern, Op, define
from ..tensor import (
    ZERO,
    Accumulate,
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
    Literal,
    Load,
    Statement,
    Store,
    Variable,
)
from ..types import ArrayType, DType, array_type, bool_, i64, to_dtype
from .gufunc import copied, nested

__all__ = ["order_partition", "partition", "ranked"]

# Rows shorter than that are sorted.
SHORT = 512
SPREAD = 1.5  # of a standard deviation of 1/2: three of them
MOST_SAMPLES = 4096
# What makes the distances of samples irregular, so that they do not follow a period of the data.
SCATTER = 40503
# More passes over a row cost what sorting it does.
MOST_PASSES = 4


class Window(NamedTuple):
    """Ranks that one pass finds, and the samples that bound them; None: nothing does."""

    ranks: tuple[int, ...]
    low: int | None
    high: int | None


class Plan(NamedTuple):
    """How many samples are taken, every how many elements, and the passes."""

    samples: int
    stride: int
    windows: tuple[Window, ...]

    @property
    def positions(self) -> np.ndarray:
        """Of the samples in the row."""
        j = np.arange(self.samples)
        return j * self.stride + j * SCATTER % self.stride


def plan_of(n: int, ranks: tuple[int, ...], dtype: DType, most: int) -> Plan | None:
    """How to find elements of these ranks in a row, in at most so many passes; None: by sorting it."""
    if n < SHORT or dtype.kind not in "iuf":
        return None
    samples = min(MOST_SAMPLES, round(n ** (2 / 3)))
    margin = SPREAD * sqrt(samples) + 1
    windows: list[Window] = []
    for rank in sorted(set(ranks)):
        at = rank / n * samples
        low, high = floor(at - margin), ceil(at + margin)
        window = Window((rank,), low if low >= 0 else None, high if high < samples else None)
        if windows and rank - windows[-1].ranks[-1] <= n // samples:
            before = windows.pop()
            window = Window((*before.ranks, rank), before.low, window.high)
        windows.append(window)
    return Plan(samples, n // samples, tuple(windows)) if len(windows) <= most else None


class _Row:
    """Statements on one row: `x` at `rows`, of `n` elements."""

    def __init__(self, x: Buffer, rows: tuple[Index, ...], plan: Plan):
        self.x, self.rows, self.plan = x, rows, plan
        self.dtype, self.n = x.type.dtype, x.type.shape[-1]
        self.k = Index("k")
        self.sample = Buffer("sample", array_type((plan.samples,), self.dtype), "local")

    def at(self, k: Expression) -> Load:
        return Load(self.x, (*self.rows, k))

    def over(self, count: Expression | int, *body: Statement) -> For:
        stop = tensor.integer(count) if isinstance(count, int) else count
        return For(self.k, ZERO, stop, body, "serial", 1)

    def sampled(self) -> tuple[Statement, ...]:
        """The sorted sample."""
        stride = tensor.integer(self.plan.stride)
        jump = tensor.remainder(tensor.multiply(self.k, tensor.integer(SCATTER)), stride)
        place = tensor.add(tensor.multiply(self.k, stride), jump)
        store = Store(self.sample, (self.k,), self.at(place))
        return (
            Allocate(self.sample),
            self.over(self.plan.samples, store),
            sorting(self.sample, (ZERO,), tensor.integer(self.plan.samples)),
        )

    def bounds(self, window: Window, name: str) -> tuple[tuple[Let, ...], Variable, Variable]:
        """The least and the greatest value that one pass looks for."""
        found = []
        for side, sample in (("low", window.low), ("high", window.high)):
            extreme = tensor.identity("maximum" if side == "low" else "minimum", self.dtype)
            value = Literal(extreme, self.dtype)
            if sample is not None:
                value = Load(self.sample, (tensor.integer(sample),))
            found.append(Let(Variable(f"{side}{name}", self.dtype), value))
        return tuple(found), found[0].variable, found[1].variable

    def is_before(self, low: Expression) -> Expression:
        return tensor.compare("less", self.at(self.k), low)

    def is_within(self, low: Expression, high: Expression) -> Expression:
        x = self.at(self.k)
        above = tensor.compare("less_equal", low, x)
        return tensor.compare("logical_and", above, tensor.compare("less_equal", x, high))

    def counted(self, number: Variable, condition: Expression) -> tuple[Statement, ...]:
        count = Accumulate(number, "add", tensor.cast(condition, i64))
        return Let(number, ZERO), self.over(self.n, count)

    def is_off(self, window: Window, before: Expression, found: Expression) -> Expression:
        """Whether a rank is not among `found` elements that come after the first ones."""
        first, last = tensor.integer(window.ranks[0]), tensor.integer(window.ranks[-1])
        too_low = tensor.compare("less", first, before)
        end = tensor.add(before, found)
        return tensor.compare("logical_or", too_low, tensor.compare("less_equal", end, last))


def packed(
    target: Buffer, indices: tuple, value: Expression, chosen: Expression
) -> tuple[Statement, ...]:
    """A step of a loop that packs what is chosen (ir/packing.py)."""
    place = indices[-1]
    step = Apply("add", (place, tensor.cast(chosen, i64)), i64)
    return Store(target, indices, value), Assign(place, step)


def sorting(buffer: Buffer, start: tuple, count: Expression) -> tensor.Extern:
    own = Sorting("sort", "quicksort", buffer.type.dtype)
    return tensor.Extern(own.symbol, (Address(buffer, start), count, ZERO))


def _check(x: ArrayType, ranks: tuple[int, ...]) -> int:
    n = x.shape[-1] if x.ndim else None
    if not isinstance(n, int) or not all(0 <= rank < n for rank in ranks) or not ranks:
        raise ValueError(f"rows of {x} do not have elements of the ranks {ranks}")
    return n


# The elements of some ranks.


def _ranked_type(x: ArrayType, *, ranks: tuple[int, ...]) -> ArrayType:
    _check(x, ranks)
    return array_type((*x.shape[:-1], len(ranks)), x.dtype)


def _ranked_reference(x: Any, *, ranks: tuple[int, ...]) -> Any:
    rows = np.sort(x, axis=-1)
    found = rows[..., list(ranks)]
    if rows.dtype.kind in "fc":
        last = rows[..., -1:]
        found = np.where(np.isnan(last), last, found)
    return found


def _ranked_statements(x: Buffer, out: Buffer, *, ranks: tuple[int, ...]) -> tuple[Statement, ...]:
    if 0 in out.type.shape:
        return ()
    rows = tuple([Index(f"i{axis}") for axis in range(x.type.ndim - 1)])
    plan = plan_of(x.type.shape[-1], ranks, x.type.dtype, MOST_PASSES)
    body = _ranks_sorted(x, out, rows, ranks) if plan is None else _ranks_found(
        _Row(x, rows, plan), out, ranks)  # fmt: skip
    return nested(rows, x.type.shape[:-1], body)


def _ranks_sorted(
    x: Buffer, out: Buffer, rows: tuple[Index, ...], ranks: tuple[int, ...]
) -> tuple[Statement, ...]:
    """By sorting the row."""
    n, k = x.type.shape[-1], Index("k")
    own = Buffer("row", array_type((n,), x.type.dtype), "local")
    copy = For(k, ZERO, tensor.integer(n), (Store(own, (k,), Load(x, (*rows, k))),), "serial", 1)
    last = Load(own, (tensor.integer(n - 1),))
    stores = []
    for position, rank in enumerate(ranks):
        value: Expression = Load(own, (tensor.integer(rank),))
        if x.type.dtype.kind in "fc":
            value = tensor.select(Apply("isnan", (last,), bool_), last, value)
        stores.append(Store(out, (*rows, tensor.integer(position)), value))
    return Allocate(own), copy, sorting(own, (ZERO,), tensor.integer(n)), *stores


def _ranks_found(row: _Row, out: Buffer, ranks: tuple[int, ...]) -> tuple[Statement, ...]:
    """By packing what lies between samples."""
    middle = Buffer("middle", array_type((row.n,), row.dtype), "local")
    body: list[Statement] = [*row.sampled(), Allocate(middle)]
    nans = None
    if row.dtype.kind == "f":
        nans = Variable("nans", i64)
        body += row.counted(nans, Apply("isnan", (row.at(row.k),), bool_))
    for number, window in enumerate(row.plan.windows):
        lets, low, high = row.bounds(window, str(number))
        before, found = [Variable(f"{name}{number}", i64) for name in ("before", "found")]
        keep = packed(middle, (found,), row.at(row.k), row.is_within(low, high))
        copy = row.over(row.n, Store(middle, (row.k,), row.at(row.k)))
        whole = (copy, Assign(before, ZERO), Assign(found, tensor.integer(row.n)))
        body += [
            *lets,
            *row.counted(before, row.is_before(low)),
            Let(found, ZERO),
            row.over(row.n, *keep),
            If(row.is_off(window, before, found), whole, ()),
            sorting(middle, (ZERO,), found),
        ]
        for rank in window.ranks:
            value: Expression = Load(middle, (tensor.subtract(tensor.integer(rank), before),))
            if nans is not None:
                no_nan = tensor.compare("equal", nans, ZERO)
                value = tensor.select(no_nan, value, Literal(float("nan"), row.dtype))
            for position in [k for k, own in enumerate(ranks) if own == rank]:
                body.append(Store(out, (*row.rows, tensor.integer(position)), value))
    return tuple(body)


def _ranked_samples(dtype: DType) -> list:
    cases = [((9,), (4,)), ((3, 20), (9, 10)), ((2, 0, 3), (1,)), ((700,), (0, 350, 699))]
    return [([array_type(shape, dtype)], {"ranks": ranks}) for shape, ranks in cases]


# The elements that rows would have at `ranks` if they were sorted; NaN for all of them if a row has
# any.
ranked = define(
    Op(
        "ranked",
        OPAQUE,
        _ranked_type,
        _ranked_reference,
        Extern(_ranked_statements),
        cost=10.0,
        samples=_ranked_samples,
    )
)


# Whole rows about a rank.


def _partition_type(x: ArrayType, *, rank: int) -> ArrayType:
    _check(x, (rank,))
    return array_type(x.shape, x.dtype)


def _order_type(x: ArrayType, *, rank: int) -> ArrayType:
    _check(x, (rank,))
    return array_type(x.shape, i64)


def _order_plan(n: int, rank: int, dtype: DType, is_order: bool) -> Plan | None:
    # NumPy orders numbers of so few bits by counting, which has to be of the whole row.
    return None if is_order and dtype.itemsize < 4 else plan_of(n, (rank,), dtype, 1)


def _parted(row: np.ndarray, rank: int, is_order: bool) -> np.ndarray:
    """Positions in the order in which a partition has them, by the same steps as a program."""
    plan = _order_plan(row.size, rank, to_dtype(row.dtype), is_order)
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
            return np.concatenate([low, middle[np.argsort(row[middle], kind="stable")], high])
    return np.argsort(row, kind="stable")


def _parted_rows(x: Any, rank: int, is_order: bool) -> np.ndarray:
    order = np.empty(x.shape, np.int64)
    for index in np.ndindex(x.shape[:-1]):
        order[index] = _parted(x[index], rank, is_order)
    return order


def _order_reference(x: Any, *, rank: int) -> Any:
    return _parted_rows(np.asarray(x), rank, True)


def _partition_reference(x: Any, *, rank: int) -> Any:
    x = np.asarray(x)
    return np.take_along_axis(x, _parted_rows(x, rank, False), axis=-1)


def _partition_statements(x: Buffer, out: Buffer, *, rank: int) -> tuple[Statement, ...]:
    return _parting(x, out, rank, is_order=False)


def _order_statements(x: Buffer, out: Buffer, *, rank: int) -> tuple[Statement, ...]:
    return _parting(x, out, rank, is_order=True)


def _parting(x: Buffer, out: Buffer, rank: int, is_order: bool) -> tuple[Statement, ...]:
    """What is less than the samples about a rank, what is between them, in order, and the rest:
    elements, or their positions."""
    if 0 in out.type.shape:
        return ()
    body: tuple[Statement, ...] = ()
    if x.type.strides[-1] != 1 and is_order:  # a row has to lie in one piece
        own = Buffer("key", array_type(x.type.shape, x.type.dtype), "local")
        body, x = (Allocate(own), *copied(x, own)), own
    rows = tuple([Index(f"i{axis}") for axis in range(x.type.ndim - 1)])
    k, n = Index("k"), x.type.shape[-1]
    plan = _order_plan(n, rank, x.type.dtype, is_order)

    def in_order(first: Expression, count: Expression) -> tensor.Extern:
        if not is_order:
            return sorting(out, (*rows, first), count)
        own = Sorting("argsort", "stable", x.type.dtype)
        keys = Address(x, (*rows, ZERO))
        return tensor.Extern(own.symbol, (keys, Address(out, (*rows, first)), count, ZERO))

    value = k if is_order else Load(x, (*rows, k))
    all_of_it = tensor.integer(n)
    whole = (
        For(k, ZERO, all_of_it, (Store(out, (*rows, k), value),), "serial", 1),
        in_order(ZERO, all_of_it),
    )
    if plan is None:
        return body + nested(rows, x.type.shape[:-1], whole)
    return body + nested(rows, x.type.shape[:-1], _parts(_Row(x, rows, plan), out, value, in_order))


def _parts(row: _Row, out: Buffer, value: Expression, in_order: Any) -> tuple[Statement, ...]:
    (window,) = row.plan.windows
    lets, low, high = row.bounds(window, "")
    before, found, after = [Variable(name, i64) for name in ("before", "found", "after")]
    memory = [
        Buffer(name, array_type((row.n,), out.type.dtype), "local") for name in ("middle", "rest")
    ]
    steps = [(out, (*row.rows, before), row.is_before(low))]
    within = row.is_within(low, high)
    steps.append((memory[0], (found,), within))
    either = tensor.compare("logical_or", row.is_before(low), within)
    steps.append((memory[1], (after,), Apply("logical_not", (either,), bool_)))
    if window.low is None:
        del steps[0]
    loop = [s for target, indices, chosen in steps for s in packed(target, indices, value, chosen)]
    copies = [
        row.over(count, Store(out, (*row.rows, tensor.add(row.k, first)), Load(source, (row.k,))))
        for source, first, count in (
            (memory[0], before, found),
            (memory[1], Apply("add", (before, found), i64), after),
        )
    ]
    return (
        *row.sampled(),
        *lets,
        *[Let(variable, ZERO) for variable in (before, found, after)],
        *[Allocate(buffer) for buffer in memory],
        row.over(row.n, *loop),
        *copies,
        If(
            row.is_off(window, before, found),
            (in_order(ZERO, tensor.integer(row.n)),),
            (in_order(before, found),),
        ),
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
