"""Which loops go around the tiles: batches, threads, ranges of a long depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Accumulate, Allocate, Buffer, Expression, For, Let, Load, Store, Variable
from ....ir.types import array_type
from .chunks import CHUNK, WORTHWHILE, chunk_range, chunks_of, even, even_size, parallel
from .lines import lines_for
from .machine import Machine, seconds
from .matrix import Matrix
from .problem import Body, Problem
from .rows import Rows
from .tile import LANE, ROW
from .vectors import inner_products

LONG_DEPTH = 1024
STRIP = 64  # the depth is split in multiples of this
LINES = 16  # chunks of the lines of a padded picture


def multiply_matrices(problem: Problem, machine: Machine) -> Body:
    """All products of the problem: the outer loops around, or the threads over them."""
    total = seconds(problem)
    if not problem.outer:
        matrix = Matrix(problem, machine, total >= WORTHWHILE)
        few = matrix.tiles * matrix.panels < 4 and not matrix.pack_right
        few = few and not (problem.is_part or problem.starts or matrix.is_halved)
        if matrix.threads and few and matrix.depth >= LONG_DEPTH and problem.repeats == 1:
            return sum_ranges(matrix)
        return matrix.body()
    spread = "".join(label for label in problem.outer if label not in problem.right.labels)
    if spread and all(isinstance(problem.extents[label], int) for label in spread):
        matrix = Matrix(problem, machine, total >= WORTHWHILE, spread)
        if matrix.pack_right:
            others = "".join(label for label in problem.outer if label not in spread)
            return problem.loops(others, matrix.body())
    return over_batches(problem, machine, lambda p, threads: Matrix(p, machine, threads).body())


def multiply_columns(problem: Problem, machine: Machine, copy: Rows) -> Body:
    """All products with a right factor of few columns, of which there is a copy: inner products."""
    across = replace(problem, right=copy).swapped()
    inner = over_batches(across, machine, lambda p, threads: inner_products(p, machine, threads))
    return copy.copied(problem) + inner


def over_batches(
    problem: Problem, machine: Machine, product: Callable[[Problem, bool], Body]
) -> Body:
    """Every `product(problem, threads)` of the outer loops: by threads, or each of them by all."""
    if not problem.outer:
        return product(problem, True)
    total = seconds(problem)
    if total < WORTHWHILE or not all(isinstance(problem.extents[x], int) for x in problem.outer):
        # Threads for any number of batches are a later pass's.
        return problem.loops(problem.outer, product(problem, False))
    widest = max(problem.outer, key=lambda label: problem.extents[label])
    count = problem.extents[widest]
    if total / problem.batches >= 8 * WORTHWHILE or count < 4:
        return problem.loops(problem.outer, product(problem, True))
    others = problem.outer.replace(widest, "")
    # Lines near the borders of chunks are padded twice, so these are not short.
    most = max(LINES, 2 * machine.cores) if problem.padded else 64
    chunks = even(chunks_of(count, total / count, most), machine.cores, count)
    if problem.padded:
        chunks = -(-count // even_size(count, machine.cores, -(-count // chunks)))
    first, last = chunk_range(count, chunks)
    problem, lines = lines_for(problem, widest, first, -(-count // chunks), others, machine)
    inner = product(problem, False)
    body = lines + (For(problem.index(widest), first, last, inner, "serial", 1),)
    return parallel(chunks, problem.loops(others, body))


def sum_ranges(matrix: Matrix) -> Body:
    """A small result of a long depth: threads sum ranges of it, and their results are added up."""
    problem, depth = matrix.problem, matrix.depth
    strips = depth // STRIP
    chunks = chunks_of(strips, seconds(problem) / strips, 16)
    size = -(-strips // chunks) * STRIP
    full, rest = divmod(depth, size)
    m, n = problem.rows.extent, problem.columns.extent
    parts = Buffer("parts", array_type((full + bool(rest), m, n), problem.wide), "local")

    def rows(chunk: Expression, depth: int) -> Body:
        matrix.depth, matrix.base = depth, expressions.multiply(chunk, integer(size))
        matrix.store = lambda row, column, value: (Store(parts, (chunk, row, column), value),)
        return matrix.rows(tensor.ZERO, integer(matrix.tiles), matrix.segments)

    found = (Allocate(parts), *parallel(full, rows(CHUNK, size)))
    if rest:
        found += rows(integer(full), rest)
    total = Variable("total", problem.wide)
    join = Accumulate(total, problem.combine, Load(parts, (CHUNK, ROW, LANE)))
    body = (
        Let(total, problem.zero()),
        For(CHUNK, tensor.ZERO, integer(parts.type.shape[0]), (join,), "serial", 1),
        *problem.store(ROW, LANE, total),
    )
    columns = For(LANE, tensor.ZERO, integer(n), body, "vector", matrix.lanes)
    return (*found, For(ROW, tensor.ZERO, integer(m), (columns,), "serial", 1))
