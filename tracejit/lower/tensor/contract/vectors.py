"""Products bound by memory: inner products along contiguous rows, and sums of rows.

Inner products run lanes along the contracted index, several rows at a time, and join the lanes at
the end: vector times vector, matrix times vector, and a few rows times a transposed matrix. So it is with
a matrix of few columns, which would leave lanes unused, and is copied column by column before. A vector
times a row-major matrix instead adds rows to a row of results that stays in the first-level cache;
threads take ranges of rows and keep results of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import (
    Accumulate,
    Allocate,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Load,
    Statement,
    Store,
    Variable,
)
from ....ir.types import array_type
from .chunks import CHUNK, WORTHWHILE, chunk_range, chunks_of, even, parallel
from .machine import Machine, seconds
from .problem import Body, Problem
from .rows import Rows

ROW, COLUMN, DEPTH, LANE = map(Index, ("row", "column", "depth", "lane"))
TOP, BASE = Index("top"), Index("base")
FEWEST_LONG = 16  # rows, for which columns are copied
JOIN_CYCLES = 3.0  # a result, of many
# Columns of a tile of so many rows, in 16 registers and in more.
TILES, WIDE_TILES = {1: 8, 2: 6, 3: 5, 4: 4}, {1: 8, 2: 8, 3: 7, 4: 5, 5: 4, 6: 4}
FEW_ROWS = 8  # of inner products, whatever their lanes cost to join
IN_LINE = 8  # vectors of the depth of inner products with loops around it
ROWS_AT_ONCE = 8  # that are added to the results in one pass over them


def is_inner(problem: Problem, machine: Machine) -> bool:
    """Whether lanes along the contracted index suit best."""
    along = [problem.step(operand, problem.depth) for operand in (problem.left, problem.right)]
    if along != [1, 1] or problem.repeats > 1:
        return False
    if problem.step(problem.right, problem.columns) == 1 and problem.columns.extent > 1:
        return False
    lanes, depth = machine.lanes(problem), problem.depth.extent
    rows, columns = problem.rows.extent, problem.columns.extent
    if problem.shares_right and rows > 1:
        return False
    if rows == 1 or columns == 1:
        return depth >= lanes // 2
    if rows > FEW_ROWS and not (problem.right.is_memory and problem.right.dtype is problem.wide):
        return False  # it would be computed, or converted, again for every few rows
    # Packing costs about a cycle an element; joining lanes about ten a result.
    return rows <= FEW_ROWS and depth >= 2 * lanes or rows <= 48 and depth >= 16 * lanes


def few_columns(problem: Problem, machine: Machine) -> Rows | None:
    """A copy of the right factor, whose few columns would leave lanes unused; None where that is not so."""
    lanes, left, right = machine.lanes(problem), problem.left, problem.right
    if {*problem.outer} & {*right.labels} or problem.parts > 1 or problem.is_part:
        return None
    depth, columns = problem.depth.extent, problem.columns.extent
    if columns > lanes * 3 // 4 or problem.rows.extent * problem.batches < FEWEST_LONG:
        return None
    if problem.repeats > 1:
        lanes = gcd(lanes, depth)
    elif columns == 1:
        return None
    # Two multiply-adds in a cycle, of a few lanes at each step; or of all, and then lanes are joined.
    steps = depth * problem.repeats
    if columns * (steps / lanes / 2 + JOIN_CYCLES) > steps / 2:
        return None
    if not (left.is_memory and right.is_memory and left.dtype is right.dtype is problem.wide):
        return None
    if problem.step(left, problem.depth) != 1:
        return None
    labels = problem.columns.labels + problem.sums + problem.depth.labels
    return Rows(right, labels, problem.extents)


def inner_products(problem: Problem, machine: Machine, threads: bool = True) -> Body:
    """Every result is the sum over lanes of a vector of partial sums.

    What is dear to compute from a result takes one at a time here. So sums are stored, and many of them,
    which are near, are finished in lanes.
    """
    if problem.rows.extent * problem.columns.extent == 1:
        return _dot(problem, machine)
    rows, columns = problem.rows.extent, problem.columns.extent
    widths = WIDE_TILES if machine.registers > 16 else TILES
    tall = -(-rows // -(-rows // max(widths)))
    wide = min(columns, widths[tall])
    if problem.parts == 2:
        tall, wide = min(tall, 2), min(wide, 3)

    is_apart = _finishes_apart(problem, machine)

    def across(base: Expression, count: int) -> Body:
        full, rest = divmod(rows, tall)
        found: Body = ()
        if full:
            top = expressions.multiply(TOP, integer(tall))
            tile = _inner_tile(problem, machine, top, tall, base, count, is_apart)
            found += (For(TOP, tensor.ZERO, integer(full), tile, "serial", 1),)
        if rest:
            top = integer(full * tall)
            found += _inner_tile(problem, machine, top, rest, base, count, is_apart)
        return found

    def finished(first: Expression, last: Expression) -> Body:
        """What is computed from the sums of these columns."""
        if not is_apart:
            return ()
        body = problem.refined(problem.position(ROW, LANE))
        along = For(LANE, first, last, body, "vector", machine.lanes(problem))
        return (For(ROW, tensor.ZERO, integer(rows), (along,), "serial", 1),)

    def tiles(first: Expression, last: Expression) -> Body:
        inner = across(expressions.multiply(BASE, integer(wide)), wide)
        ends = [expressions.multiply(end, integer(wide)) for end in (first, last)]
        return (For(BASE, first, last, inner, "serial", 1), *finished(*ends))

    full, rest = divmod(columns, wide)
    found: Body = ()
    if full:
        total = seconds(problem) / problem.batches
        if threads and total >= WORTHWHILE and full >= 4:
            chunks = even(chunks_of(full, total / full), machine.cores, full)
            found += parallel(chunks, tiles(*chunk_range(full, chunks)))
        else:
            found += tiles(tensor.ZERO, integer(full))
    if rest:
        start = integer(full * wide)
        found += across(start, rest) + finished(start, integer(columns))
    return found


def _finishes_apart(problem: Problem, machine: Machine) -> bool:
    """Whether results are finished in lanes, from sums that are stored, rather than each by itself."""
    if problem.finishes_in_registers or problem.columns.extent < machine.lanes(problem):
        return False
    across = dict(zip(problem.result, problem.out.type.strides))
    return across[problem.columns.labels[-1]] == 1


def _inner_tile(
    problem: Problem,
    machine: Machine,
    top: Expression,
    tall: int,
    base: Expression,
    wide: int,
    is_apart: bool,
) -> Body:
    """Sums of a few rows and columns; of what `is_apart` they are stored as they are."""

    def each(*body: Statement) -> Body:
        columns = For(COLUMN, tensor.ZERO, integer(wide), body, "unroll", 1)
        return (For(ROW, tensor.ZERO, integer(tall), (columns,), "unroll", 1),)

    row, column = expressions.add(top, ROW), expressions.add(base, COLUMN)
    depth, lanes = problem.depth.extent, machine.lanes(problem)

    def product(k: Expression) -> Expression:
        left = problem.factor(problem.left, row, None, k)
        return problem.product(left, problem.factor(problem.right, None, column, k))

    def store(total: Expression) -> Body:
        if is_apart:
            return (Store(problem.out, problem.position(row, column), total),)
        return problem.store(row, column, total)

    if problem.sums:
        return _joined_last(problem, (tall, wide, gcd(lanes, depth)), each, product, store)
    sums = Buffer("sums", array_type((tall, wide), problem.wide), "register")
    total = Load(sums, (ROW, COLUMN))
    if tall * wide <= 4 and depth >= 4 * lanes:
        lanes *= 2
    step = Accumulate(total, problem.combine, product(DEPTH))
    return (
        Allocate(sums),
        *each(Store(sums, total.indices, problem.zero())),
        For(DEPTH, tensor.ZERO, integer(depth), each(step), "vector", lanes),
        *each(*store(total)),
    )


def _joined_last(
    problem: Problem,
    shape: tuple[int, int, int],
    each: Callable[..., Body],
    product: Callable[[Expression], Expression],
    store: Callable[[Expression], Body],
) -> Body:
    """The tile where there are loops around that of the depth: its lanes are joined after all of them."""
    *_, lanes = shape
    sums = Buffer("sums", array_type(shape, problem.wide), "register")
    own, total = Load(sums, (ROW, COLUMN, LANE)), Variable("total", problem.wide)
    steps = problem.depth.extent // lanes

    def along(statement: Statement) -> For:
        return For(LANE, tensor.ZERO, integer(lanes), (statement,), "vector", lanes)

    k = expressions.add(expressions.multiply(DEPTH, integer(lanes)), LANE)
    step = each(along(Accumulate(own, problem.combine, product(k))))
    mark = "unroll" if steps <= IN_LINE else "serial"
    join = along(Accumulate(total, problem.combine, own))
    return (
        Allocate(sums),
        *each(along(Store(sums, own.indices, problem.zero()))),
        *problem.loops(problem.sums, (For(DEPTH, tensor.ZERO, integer(steps), step, mark, 1),)),
        *each(Let(total, problem.zero()), join, *store(total)),
    )


def _dot(problem: Problem, machine: Machine) -> Body:
    """One number, in a form that later passes know how to split between threads."""
    total = Variable("total", problem.wide)
    left = problem.factor(problem.left, tensor.ZERO, None, DEPTH)
    right = problem.factor(problem.right, None, tensor.ZERO, DEPTH)
    step = Accumulate(total, problem.combine, problem.product(left, right))
    lanes = machine.lanes(problem) * (4 // problem.parts)
    depth = problem.depth.extent
    while lanes > 1 and lanes // 2 >= depth:
        lanes //= 2
    loop = For(DEPTH, tensor.ZERO, integer(depth), (step,), "vector", lanes)
    return (
        Let(total, problem.zero()),
        loop,
        *problem.store(tensor.ZERO, tensor.ZERO, total),
    )


def is_row_sum(problem: Problem, machine: Machine) -> bool:
    """Whether this is a vector times a matrix with rows too long for registers."""
    if problem.rows.extent > 1 or problem.repeats > 1 or problem.outer:
        return False
    if problem.step(problem.right, problem.columns) != 1:
        return False
    if problem.step(problem.right, problem.depth) == 1:
        return False  # windows, which are near while tiles move over them
    return problem.columns.extent > machine.lanes(problem) * 8 // problem.parts


def row_sum(problem: Problem, machine: Machine) -> Body:
    """Rows of the matrix, each times an element of the vector, added up a few at a time."""
    columns, depth = problem.columns.extent, problem.depth.extent
    blocks, rest = divmod(depth, ROWS_AT_ONCE)
    chunks = 1
    if seconds(problem) >= WORTHWHILE and blocks >= 16:
        chunks = min(chunks_of(blocks, seconds(problem) / blocks, 16), blocks // 4)
        chunks = -(-blocks // -(-blocks // chunks))
    sums = Buffer("sums", array_type((chunks, columns), problem.wide), "local")
    first, last = chunk_range(blocks, chunks) if chunks > 1 else (tensor.ZERO, integer(blocks))
    chunk = CHUNK if chunks > 1 else tensor.ZERO
    lanes = machine.lanes(problem)
    wide = lanes * 2 if columns >= lanes * 2 else lanes
    total = Variable("total", problem.wide)

    def sweep(*body: Statement) -> Body:
        return (For(LANE, tensor.ZERO, integer(columns), body, "vector", wide),)

    def add_rows(start: Expression, count: int) -> For:
        copy = Index("copy")
        k = expressions.add(start, copy)
        product = problem.product(
            problem.factor(problem.left, tensor.ZERO, None, k),
            problem.factor(problem.right, None, LANE, k),
        )
        step = Accumulate(total, problem.combine, product)
        return For(copy, tensor.ZERO, integer(count), (step,), "unroll", 1)

    several = sweep(
        Let(total, Load(sums, (chunk, LANE))),
        add_rows(expressions.multiply(TOP, integer(ROWS_AT_ONCE)), ROWS_AT_ONCE),
        Store(sums, (chunk, LANE), total),
    )
    work: Body = (
        *sweep(Store(sums, (chunk, LANE), problem.zero())),
        For(TOP, first, last, several, "serial", 1),
    )
    if chunks > 1:
        work = parallel(chunks, work)
    join = Accumulate(total, problem.combine, Load(sums, (CHUNK, LANE)))
    end = sweep(
        Let(total, problem.zero()),
        For(CHUNK, tensor.ZERO, integer(chunks), (join,), "serial", 1),
        add_rows(integer(blocks * ROWS_AT_ONCE), rest),
        *problem.store(tensor.ZERO, LANE, total),
    )
    return (Allocate(sums), *work, *end)
