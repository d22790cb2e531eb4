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
    Literal,
    Load,
    Statement,
    Store,
    Variable,
)
from ..types import ArrayType, DType, array_type, bool_, i64
from .gufunc import nested

__all__ = ["ranked"]

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


class Row:
    """Statements on one row: `x` at `rows`, of `n` elements."""

    def __init__(self, x: Buffer, rows: tuple[Index, ...], plan: Plan):
        self.x, self.rows, self.plan = x, rows, plan
        self.dtype, self.n = x.type.dtype, x.type.shape[-1]
        self.count = expressions.extent(self.n)
        self.k = Index("k")
        self.sample = Buffer("sample", array_type((plan.samples,), self.dtype), "local")

    def at(self, k: Expression) -> Load:
        return Load(self.x, (*self.rows, k))

    def over(self, count: Expression | int, *body: Statement) -> For:
        stop = expressions.integer(count) if isinstance(count, int) else count
        return For(self.k, ZERO, stop, body, "serial", 1)

    def sampled(self) -> tuple[Statement, ...]:
        """The sorted sample."""
        stride = expressions.integer(self.plan.stride)
        jump = expressions.remainder(
            expressions.multiply(self.k, expressions.integer(SCATTER)), stride
        )
        place = expressions.add(expressions.multiply(self.k, stride), jump)
        store = Store(self.sample, (self.k,), self.at(place))
        return (
            Allocate(self.sample),
            self.over(self.plan.samples, store),
            sorting(self.sample, (ZERO,), expressions.integer(self.plan.samples)),
        )

    def bounds(self, window: Window, name: str) -> tuple[tuple[Let, ...], Variable, Variable]:
        """The least and the greatest value that one pass looks for."""
        found = []
        for side, sample in (("low", window.low), ("high", window.high)):
            extreme = expressions.identity("maximum" if side == "low" else "minimum", self.dtype)
            value = Literal(extreme, self.dtype)
            if sample is not None:
                value = Load(self.sample, (expressions.integer(sample),))
            found.append(Let(Variable(f"{side}{name}", self.dtype), value))
        return tuple(found), found[0].variable, found[1].variable

    def is_before(self, low: Expression) -> Expression:
        return expressions.compare("less", self.at(self.k), low)

    def is_within(self, low: Expression, high: Expression) -> Expression:
        x = self.at(self.k)
        above = expressions.compare("less_equal", low, x)
        return expressions.compare("logical_and", above, expressions.compare("less_equal", x, high))

    def is_off(self, window: Window, before: Expression, found: Expression) -> Expression:
        """Whether a rank is not among `found` elements that come after the first ones."""
        first, last = expressions.integer(window.ranks[0]), expressions.integer(window.ranks[-1])
        too_low = expressions.compare("less", first, before)
        end = expressions.add(before, found)
        return expressions.compare(
            "logical_or", too_low, expressions.compare("less_equal", end, last)
        )


def counted(number: Variable, chosen: Expression) -> Assign:
    return Assign(number, Apply("add", (number, expressions.cast(chosen, i64)), i64))


def packed(
    target: Buffer, indices: tuple, value: Expression, chosen: Expression
) -> tuple[Statement, ...]:
    """A step of a loop that packs what is chosen (ir/packing.py)."""
    return Store(target, indices, value), counted(indices[-1], chosen)


def sorting(buffer: Buffer, start: tuple, count: Expression) -> tensor.Extern:
    own = Sorting("sort", "quicksort", buffer.type.dtype)
    return tensor.Extern(own.symbol, (Address(buffer, start), count, ZERO))


def check_ranks(x: ArrayType, ranks: tuple[int, ...]) -> int:
    n = x.shape[-1] if x.ndim else None
    if not isinstance(n, int) or not all(0 <= rank < n for rank in ranks) or not ranks:
        raise ValueError(f"rows of {x} do not have elements of the ranks {ranks}")
    return n


# The elements of some ranks.


def _ranked_type(x: ArrayType, *, ranks: tuple[int, ...]) -> ArrayType:
    check_ranks(x, ranks)
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
        Row(x, rows, plan), out, ranks)  # fmt: skip
    return nested(rows, x.type.shape[:-1], body)


def _ranks_sorted(
    x: Buffer, out: Buffer, rows: tuple[Index, ...], ranks: tuple[int, ...]
) -> tuple[Statement, ...]:
    """By sorting the row."""
    n, k = x.type.shape[-1], Index("k")
    own = Buffer("row", array_type((n,), x.type.dtype), "local")
    copy = For(
        k, ZERO, expressions.integer(n), (Store(own, (k,), Load(x, (*rows, k))),), "serial", 1
    )
    last = Load(own, (expressions.integer(n - 1),))
    stores = []
    for position, rank in enumerate(ranks):
        value: Expression = Load(own, (expressions.integer(rank),))
        if x.type.dtype.kind in "fc":
            value = expressions.select(Apply("isnan", (last,), bool_), last, value)
        stores.append(Store(out, (*rows, expressions.integer(position)), value))
    return Allocate(own), copy, sorting(own, (ZERO,), expressions.integer(n)), *stores


def _ranks_found(row: Row, out: Buffer, ranks: tuple[int, ...]) -> tuple[Statement, ...]:
    """By packing what lies between samples."""
    middle = Buffer("middle", array_type((row.n,), row.dtype), "local")
    body: list[Statement] = [*row.sampled(), Allocate(middle)]
    nans = Variable("nans", i64) if row.dtype.kind == "f" else None
    if nans is not None:
        body.append(Let(nans, ZERO))
    for number, window in enumerate(row.plan.windows):
        lets, low, high = row.bounds(window, str(number))
        before, found = [Variable(f"{name}{number}", i64) for name in ("before", "found")]
        keep = packed(middle, (found,), row.at(row.k), row.is_within(low, high))
        keep += (counted(before, row.is_before(low)),)
        if nans is not None and number == 0:
            keep += (counted(nans, Apply("isnan", (row.at(row.k),), bool_)),)
        copy = row.over(row.n, Store(middle, (row.k,), row.at(row.k)))
        whole = (copy, Assign(before, ZERO), Assign(found, expressions.integer(row.n)))
        body += [
            *lets,
            Let(before, ZERO),
            Let(found, ZERO),
            row.over(row.n, *keep),
            If(row.is_off(window, before, found), whole, ()),
            sorting(middle, (ZERO,), found),
        ]
        for rank in window.ranks:
            value: Expression = Load(
                middle, (expressions.subtract(expressions.integer(rank), before),)
            )
            if nans is not None:
                no_nan = expressions.compare("equal", nans, ZERO)
                value = expressions.select(no_nan, value, Literal(float("nan"), row.dtype))
            for position in [k for k, own in enumerate(ranks) if own == rank]:
                body.append(Store(out, (*row.rows, expressions.integer(position)), value))
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
