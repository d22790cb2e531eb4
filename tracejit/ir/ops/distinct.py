"""The few distinct elements of a long vector, found by hashing instead of sorting.

Each part of the vector has a table of what was seen in it. Most elements are there already, which lanes find out
by one look each; those that are not, or are not where they should be first, are packed aside (ir/packing.py),
a block at a time, and entered one by one (with linear probing). Where a slot is empty the first element of the
part stands, whose own slot it is in one of them. It ends where there are more than a few.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from .. import expressions
from ..expressions import add, cast, compare, integer, multiply, select, subtract
from ..op import OPAQUE, Extern, Op, define
from ..tensor import (
    ONE,
    ZERO,
    Allocate,
    Apply,
    Assign,
    Break,
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
from ..types import ArrayType, DType, TupleType, array_type, i64, u32, u64
from .ranks import sorting

__all__ = ["distinct", "place_of_distinct"]

# Elements that are few, slots of a table, which all of a block may go to besides, and elements of a block.
MOST, BITS, BLOCK = 1024, 12, 256
SLOTS = 1 << BITS
# Parts that threads may share, of so many elements.
MOST_PARTS, PART = 8, 1 << 15
# Odd numbers near the golden ratio, whose multiples are spread evenly over the high bits.
SPREAD = {u32: 0x9E3779B1, u64: 0x9E3779B97F4A7C15}


def _type(x: ArrayType) -> TupleType:
    if x.ndim != 1 or x.dtype.kind not in "iuf" or x.dtype.itemsize not in (4, 8):
        raise ValueError(f"{x} is no vector of numbers of 4 or 8 bytes")
    return TupleType((array_type((MOST,), x.dtype), array_type((), i64)))


def _keys(x: Any) -> np.ndarray:
    """The bits of elements, in which zeros are alike."""
    x = np.ascontiguousarray(x)
    return (x + x.dtype.type(0)).view(f"u{x.itemsize}")


def _reference(x: Any) -> Any:
    x = np.asarray(x)
    _, first = np.unique(_keys(x), return_index=True)
    if first.size > MOST:
        return np.full(MOST, x[0]), np.int64(MOST + 1)
    values = np.sort(x[first])
    return np.concatenate([values, np.full(MOST - first.size, values[-1])]), np.int64(first.size)


class _Table:
    """Statements on a table of keys: the bits of elements, in which zeros are alike.

    `place` leads to it in `keys`; `first` is the key that empty slots hold.
    """

    def __init__(self, x: Buffer, name: str, parts: tuple[int, ...] = ()):
        self.x, self.dtype = x, x.type.dtype
        self.key = {4: u32, 8: u64}[self.dtype.itemsize]
        self.keys = self.memory(name, (*parts, SLOTS), self.key)
        self.own, self.first = Variable("own", self.key), Variable("first", self.key)
        self.slot = Variable("slot", i64)

    def memory(self, name: str, shape: tuple, dtype: DType) -> Buffer:
        return Buffer(name, array_type(shape, dtype), "local")

    def key_of(self, value: Expression) -> Expression:
        if self.dtype.is_float:
            value = Apply("add", (value, Literal(0.0, self.dtype)), self.dtype)
        return value if self.dtype is self.key else Apply("bits", (value,), self.key)

    def slot_of(self, key: Expression) -> Expression:
        spread = Apply("multiply", (key, Literal(SPREAD[self.key], self.key)), self.key)
        shift = Literal(8 * self.key.itemsize - BITS, self.key)
        return cast(Apply("right_shift", (spread, shift), self.key), i64)

    @property
    def inside(self) -> Expression:
        """The slot, as slots go around."""
        return Apply("bitwise_and", (self.slot, integer(SLOTS - 1)), i64)

    def held(self, *part: Expression) -> Load:
        return Load(self.keys, (*part, self.inside))

    def found(
        self, value: Expression, *part: Expression, ends: tuple = ()
    ) -> tuple[Statement, ...]:
        """The first slot that holds the key of `value`, or something that `ends` it, from its own slot on."""
        held = self.held(*part)
        is_end = [compare("equal", held, end) for end in (self.own, *ends)]
        end = reduce(lambda a, b: compare("logical_or", a, b), is_end)
        following = Assign(self.slot, Apply("add", (self.slot, ONE), i64))
        return (
            Let(self.own, self.key_of(value)),
            Let(self.slot, Apply("subtract", (self.slot_of(self.own), ONE), i64)),
            For(Index("step"), ZERO, integer(SLOTS), (following, Break(end)), "ordered", 1),
        )

    def entered(
        self, value: Expression, *part: Expression, also: tuple[Statement, ...]
    ) -> tuple[Statement, ...]:
        """A value whose key is not there yet is entered, and something is done besides."""
        held = self.held(*part)
        enter = (Store(self.keys, held.indices, self.own), *also)
        is_new = compare("not_equal", held, self.own)
        return (*self.found(value, *part, ends=(self.first,)), If(is_new, enter, ()))

    def emptied(self, value: Expression, *part: Expression) -> tuple[Statement, ...]:
        """The table with one value in it."""
        k = Index("k")
        empty = Store(self.keys, (*part, k), self.first)
        return (
            Let(self.first, self.key_of(value)),
            For(k, ZERO, integer(SLOTS), (empty,), "serial", 1),
        )


class _Parts:
    """Statements on the parts of `x`, each with a table and a list of what is in it, in the order in which it comes."""

    def __init__(self, x: Buffer):
        self.x, size = x, x.type.shape[0]
        self.n = expressions.extent(size)
        self.parts = max(1, min(MOST_PARTS, size // PART)) if isinstance(size, int) else MOST_PARTS
        self.part, self.count = Index("part"), Variable("count", i64)
        self.table = _Table(x, "table", (self.parts,))
        self.seen = self.table.memory("seen", (self.parts, MOST + BLOCK), x.type.dtype)
        self.counts = self.table.memory("counts", (self.parts,), i64)
        self.is_much = compare("less", integer(MOST), self.count)

    def seen_at(self, part: Expression, value: Expression) -> tuple[Statement, ...]:
        step = Apply("add", (self.count, ONE), i64)
        return Store(self.seen, (part, self.count), value), Assign(self.count, step)

    def filled(self) -> For:
        """The table and the list of every part."""
        size = expressions.floor_divide(add(self.n, integer(self.parts - 1)), integer(self.parts))
        begin, end, block, low = [Index(name) for name in ("begin", "end", "block", "low")]
        k, j, place, part = Index("k"), Index("j"), Variable("place", i64), self.part
        left = self.table.memory("left", (BLOCK,), self.x.type.dtype)
        start = expressions.minimum(multiply(part, size), subtract(self.n, ONE))
        blocks = expressions.floor_divide(
            add(subtract(end, begin), integer(BLOCK - 1)), integer(BLOCK)
        )
        value, other = Load(self.x, (k,)), Load(left, (j,))
        key = self.table.key_of(value)
        own = Load(self.table.keys, (part, self.table.slot_of(key)))
        is_elsewhere = cast(compare("not_equal", own, key), i64)
        pack = (
            Store(left, (place,), value),
            Assign(place, Apply("add", (place, is_elsewhere), i64)),
        )
        stop = expressions.minimum(add(low, integer(BLOCK)), end)
        enter = self.table.entered(other, part, also=self.seen_at(part, other))
        body = (
            Let(low, add(begin, multiply(block, integer(BLOCK)))),
            Let(place, ZERO),
            For(k, low, stop, pack, "serial", 1),
            For(j, ZERO, place, enter, "ordered", 1),
            Break(self.is_much),
        )
        first = Load(self.x, (begin,))
        whole = (
            Allocate(left),
            Let(begin, start),
            Let(end, expressions.minimum(add(begin, size), self.n)),
            *self.table.emptied(first, part),
            Let(self.count, ZERO),
            *self.seen_at(part, first),
            For(block, ZERO, blocks, body, "ordered", 1),
            Store(self.counts, (part,), self.count),
        )
        return For(part, ZERO, integer(self.parts), whole, "serial", 1)

    def joined(self) -> tuple[Statement, ...]:
        """What the other parts have seen, in the table of the first one; how much that is, or too much."""
        j, part = Index("j"), Index("other")
        theirs, value = Load(self.counts, (part,)), Load(self.seen, (part, j))
        enter = self.table.entered(value, ZERO, also=self.seen_at(ZERO, value))
        too_much = compare("less", integer(MOST), theirs)
        join = (
            Assign(self.count, select(too_much, integer(MOST + 1), self.count)),
            If(
                self.is_much,
                (),
                (For(j, ZERO, theirs, (*enter, Break(self.is_much)), "ordered", 1),),
            ),
        )
        return (
            Let(self.table.first, self.table.key_of(Load(self.seen, (ZERO, ZERO)))),
            Let(self.count, Load(self.counts, (ZERO,))),
            For(part, ONE, integer(self.parts), join, "ordered", 1),
        )

    def given(self, values: Buffer, count: Buffer) -> tuple[Statement, ...]:
        """What was seen, in order, the last element again and again after it."""
        k, kept, last = Index("k"), Index("kept"), Variable("last", values.type.dtype)
        copy = Store(values, (k,), Load(self.seen, (ZERO, k)))
        return (
            Let(kept, select(self.is_much, ONE, self.count)),
            For(k, ZERO, kept, (copy,), "serial", 1),
            sorting(values, (ZERO,), kept),
            Let(last, Load(values, (subtract(kept, ONE),))),
            For(k, kept, integer(MOST), (Store(values, (k,), last),), "serial", 1),
            Store(count, (), expressions.minimum(self.count, integer(MOST + 1))),
        )


def _statements(x: Buffer, values: Buffer, count: Buffer) -> tuple[Statement, ...]:
    parts = _Parts(x)
    memory = [Allocate(buffer) for buffer in (parts.table.keys, parts.seen, parts.counts)]
    return (*memory, parts.filled(), *parts.joined(), *parts.given(values, count))


def _samples(dtype: DType) -> list:
    if dtype.kind not in "iuf" or dtype.itemsize not in (4, 8):
        return []
    return [([array_type((n,), dtype)], {}) for n in (1, 9, 300)]


# The distinct elements of a vector in order, of equal zeros the first one, where there are `MOST` at most, the last
# one repeated, and how many they are; `MOST + 1`, and the first element of the vector, where there are more. What is
# nan is told apart by its bits.
distinct = define(
    Op("distinct", OPAQUE, _type, _reference, Extern(_statements), cost=2.0, samples=_samples)
)


def _place_type(x: ArrayType, values: ArrayType) -> ArrayType:
    (wanted, _) = _type(x).items
    if (values.shape, values.dtype) != (wanted.shape, wanted.dtype):
        raise ValueError(f"{values} are not distinct elements of {x}")
    return array_type(x.shape, i64)


def _place_reference(x: Any, values: Any) -> Any:
    found, first = np.unique(_keys(values), return_index=True)
    return first[np.searchsorted(found, _keys(x)).clip(max=found.size - 1)]


def _place_statements(x: Buffer, values: Buffer, out: Buffer) -> tuple[Statement, ...]:
    table, k = _Table(x, "table"), Index("k")
    places = table.memory("places", (SLOTS,), i64)
    place = Load(places, (table.inside,))
    value, element = Load(values, (k,)), Load(x, (k,))
    enter = table.entered(value, also=(Store(places, place.indices, k),))
    look = (*table.found(element), Store(out, (k,), place))
    return (
        Allocate(table.keys),
        Allocate(places),
        *table.emptied(Load(values, (ZERO,))),
        For(k, ZERO, integer(SLOTS), (Store(places, (k,), ZERO),), "serial", 1),
        For(k, ZERO, integer(MOST), enter, "ordered", 1),
        For(k, ZERO, expressions.extent(x.type.shape[0]), look, "serial", 1),
    )


def _place_samples(dtype: DType) -> list:
    """Of numbers at random few are among others: only where all are one it is clear what there is to find."""
    if dtype.kind not in "iuf" or dtype.itemsize not in (4, 8):
        return []
    return [([array_type((0,), dtype), array_type((MOST,), dtype)], {})]


# The first place of each element of a vector among its distinct ones.
place_of_distinct = define(
    Op(
        "place_of_distinct",
        OPAQUE,
        _place_type,
        _place_reference,
        Extern(_place_statements),
        cost=4.0,
        samples=_place_samples,
    )
)
