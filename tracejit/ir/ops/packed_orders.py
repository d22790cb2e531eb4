"""What is left to do where rows were ordered by sorting words: the high bits of keys, and positions below them.

Sorting such words takes a fifth of the time of sorting positions by keys elsewhere in memory. Where the high
bits are all of a key, the order is complete, and equal keys are in the order of their positions. Where they are
not, words with equal high bits, which are few and lie side by side, are not in order yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions, tensor
from ..expressions import add, compare, integer, minimum, subtract
from ..numpy_sorts import Sorting
from ..op import OPAQUE, Extern, Op, define
from ..tensor import (
    ONE,
    ZERO,
    Accumulate,
    Address,
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
from ..types import ArrayType, DType, array_type, bool_, i64, u64
from .gufunc import nested
from .sort import in_one_piece

__all__ = ["settle_order", "ties_in_order"]

# Words are looked at in blocks, most of which have no neighbours with equal high bits.
BLOCK = 64
# Among so many neighbours that have equal high bits keys are compared one by one; more may be equal or not.
NEAR = 8


def _check(words: ArrayType, keys: ArrayType, dropped: ArrayType, bits: int) -> None:
    if words.dtype is not u64 or words.ndim == 0 or words.shape != keys.shape:
        raise ValueError(f"{words} are not words of keys {keys}")
    if keys.dtype.kind not in "iuf" or keys.dtype.itemsize < 4:
        raise ValueError(
            f"keys are of 4 or 8 bytes, not {keys}"
        )  # NumPy sorts others by digits, whole rows alone
    if dropped.dtype is not i64 or dropped.shape != words.shape[:-1] or not 0 < bits < 64:
        raise ValueError(f"{dropped} do not tell the bits that rows of {words} lack")


def _order_type(words: ArrayType, keys: ArrayType, dropped: ArrayType, *, bits: int) -> ArrayType:
    _check(words, keys, dropped, bits)
    return array_type(words.shape, i64)


def _order_reference(words: Any, keys: Any, dropped: Any, *, bits: int) -> Any:
    order = _positions(words, bits)
    for row in np.ndindex(words.shape[:-1]):
        if dropped[row] <= 0:
            continue
        for run in _runs(words[row] >> np.uint64(bits)):
            order[row][run] = order[row][run][np.argsort(keys[row][order[row][run]], kind="stable")]
    return order


def _positions(words: np.ndarray, bits: int) -> np.ndarray:
    positions = (words & np.uint64((1 << bits) - 1)).astype(np.int64)
    return np.minimum(positions, words.shape[-1] - 1)


def _runs(tops: np.ndarray) -> list[np.ndarray]:
    """The places of neighbours that are equal."""
    if tops.size == 0:
        return []
    parts = np.split(np.arange(tops.size), np.flatnonzero(tops[1:] != tops[:-1]) + 1)
    return [part for part in parts if part.size > 1]


class _Row:
    """Statements on one row: words, the positions in them, and blocks of them."""

    def __init__(self, words: Buffer, keys: Buffer, bits: int):
        self.words, self.keys, self.bits = words, keys, bits
        self.rows = tuple([Index(f"i{axis}") for axis in range(words.type.ndim - 1)])
        self.count = expressions.extent(words.type.shape[-1])
        self.k = Index("k")

    def word(self, k: Expression) -> Load:
        return Load(self.words, (*self.rows, k))

    def position(self, k: Expression) -> Expression:
        """Where the key of word `k` is in its row; inside it, whatever the word is."""
        mask = Literal((1 << self.bits) - 1, u64)
        place = expressions.cast(Apply("bitwise_and", (self.word(k), mask), u64), i64)
        return minimum(place, subtract(self.count, ONE))

    def top(self, k: Expression) -> Expression:
        return Apply("right_shift", (self.word(k), Literal(self.bits, u64)), u64)

    def is_like_the_one_before(self, k: Expression, distance: Expression = ONE) -> Expression:
        return compare("equal", self.top(k), self.top(subtract(k, distance)))

    def where_alike(self, *body: Statement) -> For:
        """`body` for each word `k` of a block in which some word is like the one before it."""
        block, here = Index("block"), Variable("alike", i64)
        whole = expressions.floor_divide(add(self.count, integer(BLOCK - 1)), integer(BLOCK))
        start = expressions.multiply(block, integer(BLOCK))
        first = expressions.maximum(start, ONE)
        stop = minimum(add(start, integer(BLOCK)), self.count)
        counted = expressions.cast(self.is_like_the_one_before(self.k), i64)
        look = For(self.k, first, stop, (Accumulate(here, "add", counted),), "serial", 1)
        each = For(self.k, first, stop, body, "ordered", 1)
        some = expressions.seldom(compare("less", ZERO, here))
        return For(block, ZERO, whole, (Let(here, ZERO), look, If(some, (each,), ())), "ordered", 1)

    def nested(self, *body: Statement) -> tuple[Statement, ...]:
        return nested(self.rows, self.words.type.shape[:-1], body)


def _order_statements(
    words: Buffer, keys: Buffer, dropped: Buffer, out: Buffer, *, bits: int
) -> tuple[Statement, ...]:
    if 0 in out.type.shape:
        return ()
    keys, copied = in_one_piece(keys, "keys")
    row = _Row(words, keys, bits)
    k = row.k
    copy = For(k, ZERO, row.count, (Store(out, (*row.rows, k), row.position(k)),), "serial", 1)
    end, step = Variable("end", i64), Index("step")
    inside = compare("less", end, row.count)
    before = subtract(end, ONE)
    last = minimum(end, subtract(row.count, ONE))
    goes_on = compare("equal", row.top(last), row.top(before))
    is_over = Apply("logical_not", (compare("logical_and", inside, goes_on),), bool_)
    # The first word of a run is the one before `k`.
    two_before = expressions.maximum(subtract(k, integer(2)), ZERO)
    is_second = compare("not_equal", row.top(two_before), row.top(k))
    begins = compare("logical_or", compare("equal", k, ONE), is_second)
    sorting = Sorting("argsort", "stable", keys.type.dtype)
    start, length = subtract(k, ONE), Index("length")
    run = (
        Let(end, add(k, ONE)),
        For(
            step,
            ZERO,
            row.count,
            (
                Assign(
                    end, add(end, expressions.cast(compare("logical_and", inside, goes_on), i64))
                ),
                Break(is_over),
            ),
            "ordered",
            1,
        ),
        Let(length, subtract(end, start)),
        tensor.Extern(
            sorting.symbol,
            (Address(keys, (*row.rows, ZERO)), Address(out, (*row.rows, start)), length, ZERO),
        ),
    )
    begun = compare("logical_and", row.is_like_the_one_before(k), begins)
    settle = row.where_alike(If(expressions.seldom(begun), run, ()))
    lacks = compare("less", ZERO, Load(dropped, row.rows))
    return (*copied, *row.nested(copy, If(lacks, (settle,), ())))


def _ties_type(words: ArrayType, keys: ArrayType, dropped: ArrayType, *, bits: int) -> ArrayType:
    _check(words, keys, dropped, bits)
    return array_type(words.shape[:-1], i64)


def _ties_reference(words: Any, keys: Any, dropped: Any, *, bits: int) -> Any:
    positions = _positions(words, bits)
    ties = np.zeros(words.shape[:-1], np.int64)
    for row in np.ndindex(ties.shape):
        tops = words[row] >> np.uint64(bits)
        for k in range(1, tops.size):
            if tops[k] == tops[k - 1]:
                ties[row] += _ties_before(tops, keys[row][positions[row]], k)
    return ties


def _ties_before(tops: np.ndarray, keys: np.ndarray, k: int) -> int:
    first = max(k - NEAR, 0)
    near = [j for j in range(first, k) if tops[j] == tops[k]]
    equal = sum(not (keys[j] < keys[k] or keys[k] < keys[j]) for j in near)
    return equal + (k >= NEAR and tops[k - NEAR] == tops[k])


def _ties_statements(
    words: Buffer, keys: Buffer, dropped: Buffer, out: Buffer, *, bits: int
) -> tuple[Statement, ...]:
    if 0 in out.type.shape:
        return ()
    row = _Row(words, keys, bits)
    if words.type.shape[-1] == 0:
        return row.nested(Store(out, row.rows, ZERO))
    k, back, ties = row.k, Index("back"), Variable("ties", i64)
    near = minimum(k, integer(NEAR))
    distance = add(back, ONE)
    key, other = [
        Load(keys, (*row.rows, row.position(place))) for place in (k, subtract(k, distance))
    ]
    differs = compare("logical_or", compare("less", key, other), compare("less", other, key))
    alike = row.is_like_the_one_before(k, distance)
    is_tie = compare("logical_and", alike, Apply("logical_not", (differs,), bool_))
    is_far = compare("logical_and", alike, compare("equal", distance, integer(NEAR)))
    found = add(expressions.cast(is_tie, i64), expressions.cast(is_far, i64))
    count = For(back, ZERO, near, (Assign(ties, Apply("add", (ties, found), i64)),), "ordered", 1)
    is_alike = expressions.seldom(row.is_like_the_one_before(k))
    look = row.where_alike(If(is_alike, (count,), ()))
    return row.nested(Let(ties, ZERO), look, Store(out, row.rows, ties))


def _samples(dtype: DType) -> list:
    if dtype.kind not in "iuf" or dtype.itemsize < 4:
        return []
    cases = [((9,), 4), ((3, 200), 8), ((2, 0), 3), ((0, 5), 3), ((1,), 1)]
    return [
        (
            [array_type(shape, u64), array_type(shape, dtype), array_type(shape[:-1], i64)],
            {"bits": bits},
        )
        for shape, bits in cases
    ]


# The positions in the low `bits` of sorted words, those of equal high bits in the order of their keys, where
# these lack bits (the row's `dropped` is positive); equal keys stay as they are.
settle_order = define(
    Op(
        "settle_order",
        OPAQUE,
        _order_type,
        _order_reference,
        Extern(_order_statements),
        cost=4.0,
        samples=_samples,
    )
)

# How many keys of a row are equal, of neighbours in the order of words; more where that is not sure, and 0 only
# where none are.
ties_in_order = define(
    Op(
        "ties_in_order",
        OPAQUE,
        _ties_type,
        _ties_reference,
        Extern(_ties_statements),
        cost=2.0,
        samples=_samples,
    )
)
