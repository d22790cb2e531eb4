"""A block of the result in registers: the micro-kernel of every matrix product.

`rows` by `columns` accumulators, the columns in vectors of `lanes`, the last of which may be partly
used. Every step of the contracted index loads each vector of the right factor once, and each
element of the left factor once for all vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

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
from ....ir.types import DType, array_type
from .problem import Body, Problem

ROW, PART, LANE, DEPTH = map(Index, ("row", "part", "lane", "depth"))

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

    def sums(self, dtype: DType) -> tuple[Buffer, ...]:
        """The registers: those of full vectors, and those of the partly used one."""
        full, rest = divmod(self.columns, self.lanes)
        found: tuple[Buffer, ...] = ()
        if full:
            type = array_type((self.rows, full, self.lanes), dtype)
            found += (Buffer("sums", type, "register"),)
        if rest:
            type = array_type((self.rows, 1, rest), dtype)
            found += (Buffer("sums_rest", type, "register"),)
        return found

    def each(self, sums: tuple[Buffer, ...], body: Callable[..., Body]) -> Body:
        """`body(row, column, sum)` for every element, rows outside: the left factor is used at once."""
        found: Body = ()
        start = 0
        for buffer in sums:
            _, parts, lanes = buffer.type.shape
            column = tensor.add(tensor.multiply(PART, integer(lanes)), LANE)
            inner = body(ROW, tensor.add(column, integer(start)), Load(buffer, (ROW, PART, LANE)))
            power = 1
            while power < lanes:
                power *= 2
            lane = For(LANE, tensor.ZERO, integer(lanes), inner, "vector", power)
            found += (For(PART, tensor.ZERO, integer(parts), (lane,), "unroll", 1),)
            start += parts * lanes
        return (For(ROW, tensor.ZERO, integer(self.rows), found, "unroll", 1),)


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

    `resume` is a condition, and partial results to start from where it holds.
    """
    sums = shape.sums(problem.wide)
    zero = problem.zero()

    def first(row: Expression, column: Expression, total: Load) -> Body:
        if resume is None:
            return (Store(total.buffer, total.indices, zero),)
        again, earlier = resume
        value = tensor.select(again, earlier(row, column), zero)
        return (Store(total.buffer, total.indices, value),)

    def element(k: Expression, row: Expression, column: Expression, total: Load) -> Body:
        value = problem.product(left(row, k), right(column, k))
        return (Accumulate(total, problem.combine, value),)

    def step(k: Expression) -> Body:
        return problem.loops(problem.sums, shape.each(sums, partial(element, k)))

    return (
        *[Allocate(buffer) for buffer in sums],
        *shape.each(sums, first),
        *steps.loop(step),
        *shape.each(sums, store),
    )
