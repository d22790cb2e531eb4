"""A block of the result in registers: the micro-kernel of every matrix product.

`rows` by `columns` accumulators, the columns in vectors of `lanes`, the last of which may be partly
used. Every step of the contracted index loads each vector of the right factor once, and each
element of the left factor once for all vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....ir import tensor
from ....ir.tensor import (
    Accumulate,
    Allocate,
    Buffer,
    Expression,
    For,
    Index,
    Load,
    Store,
    integer,
)
from ....ir.types import array_type
from .problem import Body, Problem

ROW, VECTOR, LANE, DEPTH = Index("row"), Index("vector"), Index("lane"), Index("depth")

# An element of a factor: (row or column within the tile, depth) to an expression.
Factor = Callable[[Expression, Expression], Expression]


@dataclass(frozen=True)
class Shape:
    """A tile's extent, and the lanes of its vectors."""

    rows: int
    columns: int
    lanes: int

    @property
    def vectors(self) -> int:
        return -(-self.columns // self.lanes)

    def each(self, body: Callable[[Expression, Expression, tuple], Body]) -> Body:
        """`body(row, column, place)` for every element: vectors outside, rows inside."""
        full, rest = divmod(self.columns, self.lanes)
        start = tensor.multiply(VECTOR, integer(self.lanes))
        found: Body = ()
        if full:
            place = (ROW, VECTOR, LANE)
            inner = self.lane_loop(body(ROW, tensor.add(start, LANE), place), self.lanes)
            found += (For(VECTOR, tensor.ZERO, integer(full), inner, "unroll", 1),)
        if rest:
            place = (ROW, integer(full), LANE)
            column = tensor.add(LANE, integer(full * self.lanes))
            found += self.lane_loop(body(ROW, column, place), rest)
        return found

    def lane_loop(self, body: Body, count: int) -> Body:
        """Over the lanes of one vector, and inside over the rows of the tile."""
        rows = For(ROW, tensor.ZERO, integer(self.rows), body, "unroll", 1)
        lanes = 1
        while lanes < count:
            lanes *= 2
        return (For(LANE, tensor.ZERO, integer(count), (rows,), "vector", lanes),)


@dataclass(frozen=True)
class Steps:
    """The range of the contracted index; `unroll` repeats the body in line."""

    start: Expression
    stop: Expression
    unroll: int = 1

    def loop(self, body: Callable[[Expression], Body]) -> Body:
        count = tensor.subtract(self.stop, self.start)
        if not isinstance(count, tensor.Literal):
            return (For(DEPTH, self.start, self.stop, body(DEPTH), "serial", 1),)
        if count.value <= self.unroll and isinstance(self.start, tensor.Literal):
            return (For(DEPTH, self.start, self.stop, body(DEPTH), "unroll", 1),)
        times, rest = divmod(count.value, self.unroll)
        if self.unroll == 1:
            return (For(DEPTH, self.start, self.stop, body(DEPTH), "serial", 1),)
        copy, block = Index("copy"), Index("steps")
        base = tensor.multiply(block, integer(self.unroll))
        inner = body(tensor.add(tensor.add(self.start, base), copy))
        copies = For(copy, tensor.ZERO, integer(self.unroll), inner, "unroll", 1)
        found: Body = (For(block, tensor.ZERO, integer(times), (copies,), "serial", 1),)
        if rest:
            inner = body(tensor.add(self.start, tensor.add(copy, integer(times * self.unroll))))
            found += (For(copy, tensor.ZERO, integer(rest), inner, "unroll", 1),)
        return found


def multiply_tile(
    problem: Problem,
    shape: Shape,
    left: Factor,
    right: Factor,
    steps: Steps,
    store: Callable[[Expression, Expression, Expression], Body],
    resume: tuple[Expression, Factor] | None = None,
) -> Body:
    """The statements of one tile.

    `resume` is an expression that is 0 or 1, and partial results to start from when it is 1.
    """
    extents = (shape.rows, shape.vectors, min(shape.lanes, shape.columns))
    block = Buffer("block", array_type(extents, problem.wide), "register")
    zero = problem.zero()
    start = shape.each(lambda row, column, place: (Store(block, place, zero),))
    if resume is not None:
        again, partial = resume
        load = shape.each(lambda r, c, place: (Store(block, place, partial(r, c)),))
        start += (For(Index("again"), tensor.ZERO, again, load, "serial", 1),)

    def step(k: Expression) -> Body:
        def element(row: Expression, column: Expression, place: tuple) -> Body:
            value = problem.product(left(row, k), right(column, k))
            return (Accumulate(Load(block, place), problem.combine, value),)

        return problem.loops(problem.sums, shape.each(element))

    end = shape.each(lambda row, column, place: store(row, column, Load(block, place)))
    return (Allocate(block), *start, *steps.loop(step), *end)
