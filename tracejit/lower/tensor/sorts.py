"""Sorting a long row by threads: elements are dealt out to ranges of values, and each range sorted by itself.

Between what ranges lie, a sorted sample tells, as in ir/ops/ranks.py. A first pass counts how many elements of each
chunk of the row fall in each range, which tells where they go; a second one packs them there (ir/packing.py), and
NumPy's function sorts the ranges, which are neighbours in the result. Dealing them out is what the first steps of
a quicksort do, so one thread takes no longer for it:

    for c in parallel: for range: counts[c, range] = how many of chunk c are in it
    places of all of these, in the order of ranges
    for c in parallel: for range: for i in chunk c: result[place] = x[i] if it is in the range
    for range in parallel: sort its stretch of the result

(J. Singler, P. Sanders and F. Putze, "MCSTL: The multi-core standard template library", 2007, have such a sort.)
"""

from __future__ import annotations

from ...ir import expressions
from ...ir.expressions import add, integer, minimum, multiply, subtract
from ...ir.numpy_sorts import SORTINGS, Sorting
from ...ir.ops.ranks import SCATTER
from ...ir.packing import packs
from ...ir.tensor import (
    ONE,
    ZERO,
    Accumulate,
    Address,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    Extern,
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
from ...ir.types import array_type, bool_, i32, i64
from ..machine import Machine
from .in_place import with_buffer

LONG = 1 << 16  # elements of a row from which on it is shared
# Ranges: two for each core, as they are not quite alike, but each is one more pass over the row.
FEWEST, MOST = 4, 16
# So many elements tell ranges of half of all to one or two percent.
SAMPLE = 1024
# Of a chunk, which is read once for each range: few enough to stay near, in several chunks for each thread.
NEAR, LEAST_CHUNKS, MOST_CHUNKS, CHUNKS_OF_UNKNOWN = 1 << 14, 16, 1024, 128

Body = tuple[Statement, ...]


def is_sort(statement: Statement) -> bool:
    """Whether it sorts a row, whatever becomes of equal elements."""
    sorting = SORTINGS.get(statement.symbol) if isinstance(statement, Extern) else None
    return sorting is not None and (sorting.name, sorting.kind) == ("sort", "quicksort")


def split_sort(before: Body, call: Extern, name: str, machine: Machine) -> Body | None:
    """The statements instead of those `before` a call, which make a row, and the call, which sorts it.

    None for a row that is short, or that is not all of a result, and where the machine cannot pack.
    """
    sorting = SORTINGS[call.symbol]
    if not packs(sorting.dtype, machine.vector_bytes):
        return None
    row, count, _ = call.arguments
    extent = row.buffer.type.shape[-1]
    if row.buffer.type.ndim != 1 or row.indices != (ZERO,) or count != expressions.extent(extent):
        return None
    if isinstance(extent, int) and extent < LONG:
        return None
    return _Sort(sorting, row.buffer, name, machine).around(before, call)


class _Sort:
    """The sort of all of `target`; what makes the row gives it to `row` instead."""

    def __init__(self, sorting: Sorting, target: Buffer, name: str, machine: Machine):
        self.sorting, self.target, self.name = sorting, target, name
        self.dtype, self.lanes = sorting.dtype, machine.vector_bytes // sorting.dtype.itemsize
        self.extent = target.type.shape[0]
        self.count = expressions.extent(self.extent)
        self.ranges = min(max(FEWEST, 2 * machine.cores), MOST)
        self.chunks = CHUNKS_OF_UNKNOWN
        if isinstance(self.extent, int):
            self.chunks = min(max(self.extent // NEAR, LEAST_CHUNKS), MOST_CHUNKS)
        self.row = self.buffer("row", (self.extent,), self.dtype)
        self.sample = self.buffer("sample", (SAMPLE,), self.dtype)
        self.places = self.buffer("places", (self.chunks, self.ranges), i64)
        self.starts = self.buffer("starts", (self.ranges + 1,), i64)
        self.chunk, self.k = self.index("chunk"), self.index("k")
        self.pivots = [
            Variable(f"{name}_pivot{number}", self.dtype) for number in range(1, self.ranges)
        ]

    def buffer(self, word: str, shape: tuple, dtype) -> Buffer:
        return Buffer(f"{self.name}_{word}", array_type(shape, dtype), "local")

    def index(self, word: str) -> Index:
        return Index(f"{self.name}_{word}")

    def around(self, before: Body, call: Extern) -> Body:
        made = with_buffer(before, self.target, self.row)
        own = (self.row, self.sample, self.places, self.starts)
        body = (*self.sampled(), self.counted(), *self.placed(), self.dealt(), self.in_order())
        if not isinstance(self.extent, int):
            is_long = expressions.compare("less_equal", integer(LONG), self.count)
            copy = Store(self.target, (self.k,), self.element)
            short = (For(self.k, ZERO, self.count, (copy,), "vector", self.lanes), call)
            body = (If(is_long, body, short),)
        return (*map(Allocate, own), *made, *body)

    @property
    def element(self) -> Load:
        return Load(self.row, (self.k,))

    def sort(self, buffer: Buffer, start: Expression, count: Expression) -> Extern:
        return Extern(self.sorting.symbol, (Address(buffer, (start,)), count, ZERO))

    def sampled(self) -> Body:
        """The values at which ranges begin, but for the first; none is NaN."""
        stride, j = expressions.floor_divide(self.count, integer(SAMPLE)), self.index("j")
        jump = expressions.remainder(multiply(j, integer(SCATTER)), stride)
        store = Store(self.sample, (j,), Load(self.row, (add(multiply(j, stride), jump),)))
        body: Body = (
            For(j, ZERO, integer(SAMPLE), (store,), "ordered", 1),
            self.sort(self.sample, ZERO, integer(SAMPLE)),
        )
        for number, pivot in enumerate(self.pivots, 1):
            value: Expression = Load(self.sample, (integer(number * SAMPLE // self.ranges),))
            if self.dtype.kind == "f":
                highest = Literal(float("inf"), self.dtype)
                value = expressions.select(Apply("isnan", (value,), bool_), highest, value)
            body += (Let(pivot, value),)
        return body

    def over_chunk(self, *body: Statement) -> For:
        size = expressions.floor_divide(
            add(self.count, integer(self.chunks - 1)), integer(self.chunks)
        )
        first = minimum(multiply(self.chunk, size), self.count)
        stop = minimum(add(first, size), self.count)
        return For(self.k, first, stop, body, "vector", self.lanes)

    def in_chunks(self, *body: Statement) -> For:
        return For(self.chunk, ZERO, integer(self.chunks), body, "parallel", 1)

    def is_below(self, number: int) -> Expression:
        """Whether an element comes before range `number`; NaN is in the last one."""
        return expressions.compare("less", self.element, self.pivots[number - 1])

    def is_in(self, number: int) -> Expression:
        below = self.is_below(number + 1) if number + 1 < self.ranges else None
        above = Apply("logical_not", (self.is_below(number),), bool_) if number else None
        both = [condition for condition in (above, below) if condition is not None]
        return both[0] if len(both) == 1 else expressions.compare("logical_and", *both)

    def counted(self) -> For:
        """How many elements of each chunk are in each range."""
        dtype = i32 if self.dtype.itemsize == 4 else i64
        numbers = [
            Variable(f"{self.name}_below{number}", dtype) for number in range(1, self.ranges)
        ]
        loop = self.over_chunk(
            *[
                Accumulate(number, "add", expressions.cast(self.is_below(place), dtype))
                for place, number in enumerate(numbers, 1)
            ]
        )
        length = subtract(loop.stop, loop.start)
        ends = [ZERO, *[expressions.cast(number, i64) for number in numbers], length]
        stores = [
            Store(self.places, (self.chunk, integer(number)), subtract(ends[number + 1], low))
            for number, low in enumerate(ends[:-1])
        ]
        return self.in_chunks(
            *[Let(number, Literal(0, dtype)) for number in numbers], loop, *stores
        )

    def placed(self) -> Body:
        """Where the elements of each chunk and range begin in the result, and where each range does."""
        number, total = self.index("number"), Variable(f"{self.name}_total", i64)
        own, here = Load(self.places, (self.chunk, number)), Variable(f"{self.name}_here", i64)
        step = (
            Let(here, own),
            Store(own.buffer, own.indices, total),
            Assign(total, Apply("add", (total, here), i64)),
        )
        of_range = (
            Store(self.starts, (number,), total),
            For(self.chunk, ZERO, integer(self.chunks), step, "ordered", 1),
        )
        return (
            Let(total, ZERO),
            For(number, ZERO, integer(self.ranges), of_range, "ordered", 1),
            Store(self.starts, (integer(self.ranges),), total),
        )

    def dealt(self) -> For:
        """Every chunk's elements where they belong: a pass for each range, as a chunk is near."""
        body: Body = ()
        for number in range(self.ranges):
            place = Variable(f"{self.name}_place{number}", i64)
            there, is_in = Load(self.target, (place,)), self.is_in(number)
            value = expressions.select(is_in, self.element, there)
            step = Apply("add", (place, expressions.cast(is_in, i64)), i64)
            body += (
                Let(place, Load(self.places, (self.chunk, integer(number)))),
                self.over_chunk(Store(self.target, there.indices, value), Assign(place, step)),
            )
        return self.in_chunks(*body)

    def in_order(self) -> For:
        number, first = self.index("number"), self.index("first")
        start, stop = Load(self.starts, (number,)), Load(self.starts, (add(number, ONE),))
        body = (Let(first, start), self.sort(self.target, first, subtract(stop, first)))
        return For(number, ZERO, integer(self.ranges), body, "parallel", 1)
