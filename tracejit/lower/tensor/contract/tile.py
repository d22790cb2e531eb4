"""A block of the result in registers: the micro-kernel of every matrix product.

`rows` by `columns` accumulators, the columns in vectors of `lanes`, the last of which may be partly
used. Every step of the contracted index loads each vector of the right factor once, and each
element of the left factor once for all vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import chain
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Accumulate, Allocate, Buffer, Expression, For, Index, Load, Store
from ....ir.types import DType, array_type
from .problem import Body, Problem

ROW, PART, LANE, DEPTH, COPY = map(Index, ("row", "part", "lane", "depth", "copy"))


def power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`."""
    return 1 << (count - 1).bit_length()


# An element of a factor: (row or column within the tile, depth) to an expression.
Factor = Callable[[Expression, Expression], Expression]


class Shape(NamedTuple):
    """A tile's extent, and the lanes of its vectors."""

    rows: int
    columns: int
    lanes: int

    @property
    def vectors(self) -> int:
        return -(-self.columns // self.lanes)

    def sums(self, dtype: DType, copies: int = 1) -> tuple[Buffer, ...]:
        """The registers: those of full vectors, and those of the partly used one."""
        full, rest = divmod(self.columns, self.lanes)
        found: tuple[Buffer, ...] = ()
        if full:
            type = array_type((copies, self.rows, full, self.lanes), dtype)
            found += (Buffer("sums", type, "register"),)
        if rest:
            type = array_type((copies, self.rows, 1, rest), dtype)
            found += (Buffer("sums_rest", type, "register"),)
        return found

    def each(
        self, sums: tuple[Buffer, ...], body: Callable[..., Body], copy: Expression = tensor.ZERO
    ) -> Body:
        """`body(row, column, sum)` for every element, rows outside: the left factor is used at once."""
        found: Body = ()
        start = 0
        for buffer in sums:
            _, _, parts, lanes = buffer.type.shape
            column = expressions.add(expressions.multiply(PART, integer(lanes)), LANE)
            total = Load(buffer, (copy, ROW, PART, LANE))
            inner = body(ROW, expressions.add(column, integer(start)), total)
            lane = For(LANE, tensor.ZERO, integer(lanes), inner, "vector", power_of_two(lanes))
            found += (For(PART, tensor.ZERO, integer(parts), (lane,), "unroll", 1),)
            start += parts * lanes
        return (For(ROW, tensor.ZERO, integer(self.rows), found, "unroll", 1),)


class Steps(NamedTuple):
    """The range of the contracted index, from 0.

    `unroll` steps are in line; with `copies` each of them has registers of its own, so that a small
    tile does not wait for its own sums.
    """

    stop: Expression
    unroll: int = 1
    copies: bool = False

    def loop(self, body: Callable[[Expression, Expression], Body]) -> Body:
        """`body(k, copy)` for every step, where `copy` is its number among those in line."""
        if not isinstance(self.stop, tensor.Literal) or self.unroll == 1:
            return (For(DEPTH, tensor.ZERO, self.stop, body(DEPTH, tensor.ZERO), "serial", 1),)
        times, rest = divmod(self.stop.value, self.unroll)
        k = expressions.add(expressions.multiply(DEPTH, integer(self.unroll)), COPY)
        inner = For(COPY, tensor.ZERO, integer(self.unroll), body(k, COPY), "unroll", 1)
        found: Body = (For(DEPTH, tensor.ZERO, integer(times), (inner,), "serial", 1),)
        if rest:
            k = expressions.add(COPY, integer(times * self.unroll))
            found += (For(COPY, tensor.ZERO, integer(rest), body(k, COPY), "unroll", 1),)
        return found


def multiply_tile(
    problem: Problem,
    shape: Shape,
    left: Factor,
    right: Factor,
    steps: Steps,
    store: Callable[[Expression, Expression, Expression], Body],
    sums_over: str = "",
    resume: tuple[Expression, Factor] | None = None,
    base: Expression = tensor.ZERO,
) -> Body:
    """The statements of one tile, whose first column is `base`.

    The steps are repeated for the labels `sums_over`. `resume` is a condition, and partial results to
    start from where it holds.
    """
    copies = steps.unroll if steps.copies else 1
    sums = shape.sums(problem.wide, copies)

    def first(row: Expression, column: Expression, total: Load) -> Body:
        is_first = total.indices[0] is tensor.ZERO
        value = problem.start(expressions.add(base, column)) if is_first else problem.zero()
        if resume is not None:
            again, earlier = resume
            value = expressions.select(again, earlier(row, column), value)
        return (Store(total.buffer, total.indices, value),)

    def step(k: Expression, copy: Expression) -> Body:
        def element(row: Expression, column: Expression, total: Load) -> Body:
            value = problem.product(left(row, k), right(column, k))
            return (Accumulate(total, problem.combine, value),)

        return shape.each(sums, element, copy if copies > 1 else tensor.ZERO)

    def last(row: Expression, column: Expression, total: Load) -> Body:
        parts = [Load(total.buffer, (integer(c), *total.indices[1:])) for c in range(copies)]
        return store(row, column, reduce(problem.join, parts))

    start = [shape.each(sums, first, integer(copy)) for copy in range(copies)]
    return (
        *[Allocate(buffer) for buffer in sums],
        *chain.from_iterable(start),
        *problem.loops(sums_over, steps.loop(step)),
        *shape.each(sums, last),
    )
