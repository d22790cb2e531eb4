"""The order of long rows by sorting words of 64 bits: the high ones of a key, the low ones its position.

Keys become integers in the same order, nan the greatest of them, less the least one of the row, so that they take
no more bits than their range; what does not fit beside a position is dropped, and settled afterwards
(ir/ops/packed_orders.py). Equal keys then are in the order in which they come: that of a stable sort.
NumPy's other sort leaves them in some order, which only NumPy's own function gives; it does the work where
some are equal.
"""

from __future__ import annotations

import numpy as np

from ...ir import ops
from ...ir.graph import Function, Node, parameter
from ...ir.numpy_code import is_found
from ...ir.numpy_sorts import Sorting
from ...ir.types import DType, f32, f64, i32, i64, u64
from ..application import apply
from ..array import Array, wrap
from ..value import node_of
from .building import choose, converted, reduced, reshaped, spread, window
from .memory import with_bits

# Elements of a row from which on this is faster.
LEAST = 512
# Of a row as many are looked at whether some are equal, but not more than a part of it.
SAMPLE, PART = 1024, 4
# Of so many keys of 4 bytes some are nearly always equal.
MOST_NARROW = 1 << 13
DTYPES = ("f32", "f64", "i32", "u32", "i64", "u64")


def packs_order(x: Array, kind: str) -> bool:
    """Whether the rows of `x` are put in order so."""
    dtype: DType = node_of(x).type.dtype
    if dtype.name not in DTYPES or type(x.size) is not int or x.size == 0:
        return False
    if kind != "stable" and dtype.itemsize == 4 and x.shape[-1] > MOST_NARROW:
        return False
    needed = (Sorting("sort", "quicksort", u64), Sorting("argsort", "stable", dtype))
    return x.shape[-1] >= LEAST and all(is_found(sorting.symbol) for sorting in needed)


def packed_order(x: Array, kind: str) -> Node:
    """The positions of the elements of each row in their order."""
    if kind == "stable":
        return _Words(x).settled()
    here = parameter("x", node_of(x).type)
    by_numpy = Function("order_by_numpy", (here,), (ops.order(here, kind=kind),))
    words = _Words(wrap(here))
    read = (words.sorted, here, words.dropped)
    inside = [parameter(f"a{k}", node.type) for k, node in enumerate(read)]
    settled = Function(
        "order_settled", tuple(inside), (ops.settle_order(*inside, bits=words.bits),)
    )
    again = Function("order_again", tuple(inside), (ops.order(inside[1], kind=kind),))
    ties = ops.ties_in_order(*read, bits=words.bits)
    chosen = ops.branch(_some(wrap(ties)), *read, branches=(settled, again), usual=True)
    by_words = Function("order_by_words", (here,), (chosen,))
    return ops.branch(_some(_ties_in_sample(x)), node_of(x), branches=(by_words, by_numpy))


def _some(counts: Array) -> Node:
    """1 where some count is positive, else 0."""
    axes = tuple(range(counts.ndim))
    most = reduced(ops.max_, counts, axes) if axes else counts
    return node_of(converted(apply(np.greater, most, 0), np.int64))


def _ties_in_sample(x: Array) -> Array:
    """How many elements of a sample of the first row are equal to others."""
    n = x.shape[-1]
    row = reshaped(window(reshaped(x, (x.size // n, n)), 0, 0, 1), (n,))
    sample = window(row, 0, 0, n, -(-n // min(SAMPLE, n // PART)))
    ordered = wrap(ops.sort(node_of(sample), kind="quicksort"))
    size = ordered.shape[0]
    equal = apply(np.equal, window(ordered, 0, 1, size), window(ordered, 0, 0, size - 1))
    return reduced(ops.sum_, converted(equal, np.int64), (0,))


class _Words:
    """The words of the rows of `x`, sorted; how many `bits` positions take, and how many that differ were
    `dropped`, if that is positive."""

    def __init__(self, x: Array):
        self.x, n = x, x.shape[-1]
        self.bits = max((n - 1).bit_length(), 1)
        axis = x.ndim - 1
        keys, rows = _integers(x), x.shape[:-1]
        least, most = [reduced(op, keys, (axis,)) for op in (ops.min_, ops.max_)]
        span = _unsigned(apply(np.subtract, most, least))
        dropped = apply(np.maximum, apply(np.add, _width(span), self.bits - 64), 0)
        # Low bits that are the same in all keys are no loss: whole numbers as floats have many.
        first = reshaped(window(keys, axis, 0, 1), rows)
        differing = apply(np.bitwise_xor, keys, spread(first, x.shape, tuple(range(axis))))
        differing = _unsigned(reduced(ops.FOLDS[np.bitwise_or], differing, (axis,)))
        lowest = apply(np.bitwise_and, differing, apply(np.negative, differing))
        lost = apply(np.subtract, apply(np.add, dropped, 1), _width(lowest))
        lost = apply(np.minimum, dropped, lost)
        outer = tuple(range(axis))
        number = _unsigned(apply(np.subtract, keys, spread(least, x.shape, outer)))
        number = apply(np.right_shift, number, spread(_unsigned(dropped), x.shape, outer))
        number = apply(np.left_shift, number, np.uint64(self.bits))
        position = spread(wrap(ops.iota(extent=n, dtype=u64)), x.shape, (axis,))
        words = apply(np.bitwise_or, number, position)
        self.sorted = ops.sort(node_of(words), kind="quicksort")
        self.dropped = node_of(lost)

    def settled(self) -> Node:
        return ops.settle_order(self.sorted, node_of(self.x), self.dropped, bits=self.bits)


def _width(x: Array) -> Array:
    """How many bits each number takes."""
    wide, axis = (*x.shape, 64), x.ndim
    places = spread(wrap(ops.iota(extent=64, dtype=u64)), wide, (axis,))
    above = apply(np.right_shift, spread(x, wide, tuple(range(axis))), places)
    is_there = converted(apply(np.not_equal, above, np.uint64(0)), np.int64)
    return reduced(ops.sum_, is_there, (axis,))


def _unsigned(x: Array) -> Array:
    return wrap(with_bits(node_of(x), u64))


def _integers(x: Array) -> Array:
    """Integers of 64 bits in the order of the elements: zeros are alike, and all that are nan the greatest."""
    node = node_of(x)
    dtype = node.type.dtype
    if dtype is u64:
        return wrap(with_bits(node_of(apply(np.bitwise_xor, x, np.uint64(1 << 63))), i64))
    if not dtype.is_float:
        return converted(x, np.int64)
    own = {f32: i32, f64: i64}[dtype]
    bits = wrap(with_bits(node, own))
    low = np.iinfo(own.numpy).max
    sign = apply(np.right_shift, bits, own.numpy.type(8 * own.itemsize - 1))
    # What lies below 0 is less the further it does; of either sign, zero is 0.
    ordered = apply(np.bitwise_xor, apply(np.bitwise_and, bits, low), sign)
    ordered = apply(np.subtract, ordered, sign)
    ordered = choose(apply(np.isnan, x), low, ordered)
    return converted(ordered, np.int64)
