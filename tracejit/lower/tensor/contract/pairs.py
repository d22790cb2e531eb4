"""Products of short whole numbers, two or four steps of the depth at a time.

Two numbers of 16 bits lie in one of 32, and processors multiply such pairs and add the two products in
one instruction, as fast as they multiply one number of 32 bits by another. Some do the same with four
bytes, of which those of one factor have no sign, and those of the other have one. Both factors are packed
so; the rest of the schedule is that of a product of half, or a quarter, of the depth.

Where both factors have a sign, the left one is moved: `a + 128`, which is `a` with its first bit changed,
has none; and where neither has, `a - 128` has one. Sums of products begin at what that is too much: what
a row of zeros, moved, would give. All of it is exact, as sums of 32 bits wrap around.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import (
    Accumulate,
    Allocate,
    Apply,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Literal,
    Store,
    Variable,
)
from ....ir.types import array_type, i8, i16, i32, u8
from .chunks import chunk_range, parallel
from .machine import Machine
from .problem import Body, Group, Operand, Problem

SHORT = (i8, u8, i16)  # each of them a number of 16 bits with a sign
FEWEST, FEWEST_ROWS = 16, 8  # columns and steps, and rows, that make up for the packing
MOVED = 0x80  # the bit that is changed
COLUMN, DEPTH = Index("column"), Index("depth")
SHARES = 8  # in which threads sum up columns, of so many bytes at least
MANY_BYTES = 1 << 18


def paired(problem: Problem, machine: Machine) -> Problem | None:
    """The same product in fewer steps, where its factors are read from short numbers."""
    factors, groups = (problem.left, problem.right), (problem.rows, problem.columns, problem.depth)
    if problem.wide is not i32 or machine.vector_bytes < 32 or problem.is_part or problem.sums:
        return None
    if not all(factor.is_memory and factor.dtype in SHORT for factor in factors):
        return None
    if not all(label in problem.right.labels for label in problem.outer):
        return None  # rows in loops of their own read the left factor where it is
    extents = [group.extent for group in groups]
    if not all(isinstance(n, int) for n in extents):
        return None
    if extents[0] < FEWEST_ROWS or min(extents[1:]) < FEWEST:
        return None
    *outer, last = problem.depth.extents
    label, bytes_alone = problem.depth.labels[-1], i16 not in [f.dtype for f in factors]
    count = 4 if machine.dots and bytes_alone else 2
    steps = -(-last // count)
    depth = Group(problem.depth.labels, (*outer, steps))
    changed = {"extents": {**problem.extents, label: steps}, "depth": depth}
    if count == 2:
        left, right = [Several(factor, label, last, count) for factor in factors]
        return replace(problem, left=left, right=right, times="multiply_pairs", **changed)
    moves = problem.left.dtype is problem.right.dtype
    left = Several(problem.left, label, last, count, MOVED if moves else 0)
    right = Several(problem.right, label, last, count)
    starts = Buffer("starts", array_type((problem.columns.extent,), i32), "local")
    return replace(
        problem,
        left=left,
        right=right,
        times="multiply_quads",
        flips=problem.right.dtype is u8,
        starts=starts if moves else None,
        **changed,
    )


class Several(Operand):
    """A factor of which a few elements, neighbours along a label, are one number of 32 bits.

    In each of them the bits `moved` are changed.
    """

    def __init__(self, single: Operand, label: str, extent: int, count: int, moved: int = 0):
        self.single, self.label, self.extent, self.count = single, label, extent, count
        self.moved = sum([moved << (32 // count * place) for place in range(count)])
        self.labels, self.wide, self.dtype = single.labels, i32, i32
        self.itemsize, self.is_memory = i32.itemsize, False
        self.strides, self.distances = single.strides, single.distances

    def at(self, places: dict[str, Expression]) -> Expression:
        first = expressions.multiply(places[self.label], integer(self.count))
        bits = 32 // self.count
        mask = Literal((1 << bits) - 1, i32)
        found: Expression | None = None
        for place in range(self.count):
            value = self.element(expressions.add(first, integer(place)), place, places)
            if place < self.count - 1:
                value = Apply("bitwise_and", (value, mask), i32)
            if found is not None:
                value = Apply("left_shift", (value, Literal(bits * place, i32)), i32)
                value = Apply("bitwise_or", (found, value), i32)
            found = value
        return moved(found, self.moved) if self.moved else found

    def element(self, at: Expression, place: int, places: dict[str, Expression]) -> Expression:
        """One of them; 0 beyond the end."""
        if not 0 < self.extent % self.count <= place:
            return self.single.at({**places, self.label: at})
        last = integer(self.extent - 1)
        value = self.single.at({**places, self.label: expressions.minimum(at, last)})
        return expressions.select(
            expressions.compare("less_equal", at, last), value, Literal(0, i32)
        )


def moved(word: Expression, bits: int) -> Expression:
    return Apply("bitwise_xor", (word, Literal(bits - (bits >> 31 << 32), i32)), i32)


def starts_of(problem: Problem, lanes: int, threads: bool) -> Body:
    """What the sums of each column begin at, if it is not 0: `128` of every element, with its sign."""
    starts, right = problem.starts, problem.right
    if starts is None:
        return ()
    extents = (*problem.depth.extents[:-1], right.extent)
    depth, columns = prod(extents), problem.columns.extent
    single = replace(problem, right=right.single, depth=Group(problem.depth.labels, extents))
    total = Variable("total", i32)
    value = single.factor(single.right, None, COLUMN, DEPTH)
    by_row = problem.step(right, problem.columns) == 1
    factor = Literal(-MOVED if problem.left.single.dtype is i8 else MOVED, i32)
    # Whole lines of the cache at a time.
    wide = ("vector", 4 * lanes)
    marks = (wide, ("serial", 1)) if by_row else (("serial", 1), wide)
    along = For(DEPTH, tensor.ZERO, integer(depth), (Accumulate(total, "add", value),), *marks[1])
    store = Store(starts, (COLUMN,), Apply("multiply", (total, factor), i32))
    shares = SHARES if threads and depth * columns >= MANY_BYTES else 1
    first, last = chunk_range(columns, shares) if shares > 1 else (tensor.ZERO, integer(columns))
    body: Body = (For(COLUMN, first, last, (Let(total, Literal(0, i32)), along, store), *marks[0]),)
    return (Allocate(starts), *(parallel(shares, body) if shares > 1 else body))
