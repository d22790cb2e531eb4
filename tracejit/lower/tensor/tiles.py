"""Tile loops when one access is contiguous along one of them and another along the other.

`out[i, j] = x[j, i]` is done in squares of as many elements a side as a vector has lanes,

    for jt: for it: for j in lanes: for i in unroll(lanes): out[it + i, jt + j] = x[jt + j, it + i]

of which the emitter reads rows of `x` and exchanges their lanes in registers, so that every cache
line is read once and written once (llvm/squares.py). Four squares in each direction make a block:
memory is read and written in runs of four lines. Blocks come in the order in which most arrays lie.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import expressions, tensor
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Expression,
    For,
    Index,
    Load,
    Statement,
    Store,
    has_control,
    loads_of,
    map_bodies,
)
from .cost import trips
from .strips import Nest, distributed, in_loops, keeps_order, step
from .substitute import substitute

# Dtypes of which a vector's lanes are exchanged in as many steps as it has halves.
SIZES = (4, 8)
# Squares along each side of a block.
BLOCK = 4


def tile_transposed(module: Module, vector_bytes: int = 32) -> Module:
    """Tile the loops of every Kernel where lanes would read far from each other."""
    return map_kernels(module, lambda kernel: kernel.replace(body=_body(kernel.body, vector_bytes)))


def _body(body: tuple[Statement, ...], vector_bytes: int) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        if has_control((statement,)):
            new.append(map_bodies(statement, lambda inner: _body(inner, vector_bytes)))
        else:
            new += _tiled(statement, vector_bytes) or [statement]
    return tuple(new)


def _tiled(statement: Statement, vector_bytes: int) -> list[Statement] | None:
    if keeps_order(statement):
        return None
    nests = list(distributed(statement))
    tiled = [_tiled_nest(nest, vector_bytes) for nest in nests]
    if not any(tiled):
        return None
    return [s for nest, new in zip(nests, tiled) for s in (new or [in_loops(*nest)])]


def _tiled_nest(nest: Nest, vector_bytes: int) -> list[Statement] | None:
    loops, body = nest
    if not all(isinstance(s, Store) for s in body) or any(trips(loop) is None for loop in loops):
        return None
    stores = [Load(s.buffer, s.indices) for s in body]
    along = [loop for loop in loops if all(step(store, loop) == 1 for store in stores)]
    if len(along) != 1:
        return None
    (column,) = along
    for row in loops:
        if row is column:
            continue
        across = [a for a in loads_of(body) if step(a, row) == 1 and _is_far(step(a, column))]
        sizes = {a.dtype.itemsize for a in across}
        if len(sizes) != 1 or any(a.dtype.kind not in "iuf" for a in across):
            continue
        (size,) = sizes
        lanes = vector_bytes // size
        if size in SIZES and min(trips(row), trips(column)) >= lanes:
            others = [loop for loop in loops if loop not in (row, column)]
            return list(_squares(others, row, column, lanes, body))
    return None


def _is_far(step: int | None) -> bool:
    return step is not None and abs(step) > 1


def _squares(
    others: list[For], row: For, column: For, lanes: int, body: tuple[Statement, ...]
) -> Iterable[Statement]:
    """Whole squares, and then what is left of the columns and of the rows."""
    down, right = _Side(row, lanes), _Side(column, lanes)
    accesses = [*loads_of(body), *[Load(s.buffer, s.indices) for s in body]]
    along, across = [sum(step(a, loop) == 1 for a in accesses) for loop in (column, row)]
    first, second = (down, right) if along > across else (right, down)
    loops = (
        *(first.blocks, second.blocks, down.squares, right.squares),
        For(right.lane, tensor.ZERO, expressions.integer(lanes), (), "vector", lanes),
        For(down.lane, tensor.ZERO, expressions.integer(lanes), (), "unroll", 1),
    )
    places = {row.index: down.place, column.index: right.place}
    yield in_loops((*others, *loops), substitute(body, places))
    if trips(column) % lanes:
        yield in_loops((*others, row, column.replace(start=right.end)), body)
    if trips(row) % lanes:
        bottom = row.replace(start=down.end)
        yield in_loops((*others, bottom, column.replace(stop=right.end)), body)


class _Side:
    """One of the two loops, cut in blocks, squares and lanes; `place` is where a lane is, `end` where
    the last square ends."""

    def __init__(self, loop: For, lanes: int):
        name, count = loop.index.name, trips(loop) // lanes
        block, square = Index(f"{name}_block"), Index(f"{name}_square")
        self.lane = Index(f"{name}_lane")
        first = expressions.multiply(block, expressions.integer(BLOCK))
        stop: Expression = expressions.integer(min(BLOCK, count))
        if count > BLOCK and count % BLOCK:
            stop = expressions.minimum(
                stop, expressions.subtract(expressions.integer(count), first)
            )
        self.blocks = For(
            block, tensor.ZERO, expressions.integer(-(-count // BLOCK)), (), "serial", 1
        )
        self.squares = For(square, tensor.ZERO, stop, (), "serial", 1)
        start = expressions.multiply(expressions.add(first, square), expressions.integer(lanes))
        self.place = expressions.add(expressions.add(start, self.lane), loop.start)
        self.end = expressions.add(loop.start, expressions.integer(count * lanes))
