"""Tile loops when one access is contiguous along one of them and another along the other.

`out[i, j] = x[j, i]` is done in squares of as many elements a side as a vector has lanes,

    for jt: for it: for j in lanes: for i in unroll(lanes): out[it + i, jt + j] = x[jt + j, it + i]

of which the emitter reads rows of `x` and exchanges their lanes in registers, so that every cache
line is read once and written once (llvm/squares.py). Four squares in each direction make a block:
memory is read and written in runs of four lines. Blocks come in the order in which most arrays lie.

Where rows are whole pages apart, all lines of a column share one set of the nearest cache, which has
room for few of them: what is on its way drives out what came before. Then `x` is copied, row by row, to a small
array whose rows lie in other sets, and squares have no more lanes than a set has lines (half a line of float32,
so not where what is written goes past the caches, line by line):

    for jt: for it: part = x[block of rows, block of columns]; for squares of the block: out[...] = part[...]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Allocate,
    Buffer,
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
from ...ir.types import array_type
from .cost import trips
from .strips import Nest, distributed, in_loops, keeps_order, step
from .substitute import substitute

# Sizes of numbers, and of complex numbers' parts, whose lanes are exchanged in as many steps as a vector
# has halves.
SIZES = (4, 8)
# Squares along each side of a block.
BLOCK = 4
# Lines so far apart share a set of the nearest cache; it has this many, and some more.
PAGE_BYTES, LINES_OF_SET = 4096, 8
# Of a block that is copied: half of the nearest cache, and of each of its rows; and a line between rows.
COPIED_BYTES, COPIED_RUN, LINE_BYTES = 32 << 10, 64, 64


class _Target(NamedTuple):
    """How wide vectors are, and from how many bytes on what is written goes past the caches; 0: never."""

    vector_bytes: int
    stream_bytes: int


def tile_transposed(module: Module, vector_bytes: int = 32, stream_bytes: int = 0) -> Module:
    """Tile the loops of every Kernel where lanes would read far from each other."""
    target = _Target(vector_bytes, stream_bytes)
    return map_kernels(module, lambda kernel: kernel.replace(body=_body(kernel.body, target)))


def _body(body: tuple[Statement, ...], target: _Target) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        if has_control((statement,)):
            new.append(map_bodies(statement, lambda inner: _body(inner, target)))
        else:
            new += _tiled(statement, target) or [statement]
    return tuple(new)


def _tiled(statement: Statement, target: _Target) -> list[Statement] | None:
    if not isinstance(statement, For) or keeps_order(statement):
        return None
    nests = list(distributed(statement))
    tiled = [_tiled_nest(nest, target) for nest in nests]
    if not any(tiled):
        return None
    return [s for nest, new in zip(nests, tiled) for s in (new or [in_loops(*nest)])]


def _tiled_nest(nest: Nest, target: _Target) -> list[Statement] | None:
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
        if len(sizes) != 1 or any(
            a.dtype.kind not in "iufc" or a.dtype.real.itemsize not in SIZES for a in across
        ):
            continue
        (size,) = sizes
        lanes = target.vector_bytes // size
        if lanes > 1 and min(trips(row), trips(column)) >= lanes:
            others = [loop for loop in loops if loop not in (row, column)]
            stays = not target.stream_bytes or all(_bytes(s) < target.stream_bytes for s in body)
            if stays and (copied := _copied(row, column, across, body, lanes)):
                return list(_squares(others, row, column, LINES_OF_SET, body, copied))
            return list(_squares(others, row, column, lanes, body))
    return None


def _is_far(step: int | None) -> bool:
    return step is not None and abs(step) > 1


def _copied(
    row: For, column: For, across: list[Load], body: tuple[Statement, ...], lanes: int
) -> Load | None:
    """What is read across, where it is one array whose blocks are better copied."""
    if len(set(across)) > 1 or lanes < LINES_OF_SET:
        return None
    size = across[0].dtype.itemsize
    others = {*loads_of(body), *[Load(s.buffer, s.indices) for s in body]} - {across[0]}
    apart = [step(access, row) or 1 for access in others]
    crowded = sum(distance * size % PAGE_BYTES == 0 for distance in apart)
    # What is left to crowd a set, though its lines are fewer than they were.
    is_much = crowded > 1 and lanes == LINES_OF_SET
    is_crowded = crowded or (step(across[0], column) or 1) * size % PAGE_BYTES == 0
    fits = trips(column) >= _side_of_copy(size) and trips(row) >= COPIED_RUN
    return across[0] if is_crowded and fits and not is_much else None


def _bytes(store: Store) -> int:
    type = store.buffer.type
    return type.size * type.dtype.itemsize


def _side_of_copy(size: int) -> int:
    return COPIED_BYTES // (COPIED_RUN * size)


def _squares(
    others: list[For],
    row: For,
    column: For,
    lanes: int,
    body: tuple[Statement, ...],
    copied: Load | None = None,
) -> Iterable[Statement]:
    """Whole squares, and then what is left of the columns and of the rows."""
    blocks = (BLOCK, BLOCK)
    if copied is not None:
        blocks = (COPIED_RUN // lanes, _side_of_copy(copied.dtype.itemsize) // lanes)
    down, right = _Side(row, lanes, blocks[0]), _Side(column, lanes, blocks[1])
    accesses = [*loads_of(body), *[Load(s.buffer, s.indices) for s in body]]
    along, across = [sum(step(a, loop) == 1 for a in accesses) for loop in (column, row)]
    first, second = (down, right) if along > across else (right, down)
    squares = (
        *(down.squares, right.squares),
        For(right.lane, tensor.ZERO, expressions.integer(lanes), (), "vector", lanes),
        For(down.lane, tensor.ZERO, expressions.integer(lanes), (), "unroll", 1),
    )
    places = {row.index: down.place, column.index: right.place}
    if copied is None:
        yield in_loops((*others, first.blocks, second.blocks, *squares), substitute(body, places))
    else:
        shape = (right.block_size * lanes, down.block_size * lanes + LINE_BYTES // 4)
        part = Buffer(f"{copied.buffer.name}_part", array_type(shape, copied.dtype), "local")
        inside = substitute(body, {copied: Load(part, (right.inside, down.inside))})
        block = (
            Allocate(part),
            _copy(copied, part, (column, right), (row, down), lanes),
            in_loops(squares, substitute(inside, places)),
        )
        loops = (*others, first.blocks, second.blocks.replace(body=block))
        yield in_loops(loops[:-1], (loops[-1],))
    if trips(column) % lanes:
        yield in_loops((*others, row, column.replace(start=right.end)), body)
    if trips(row) % lanes:
        bottom = row.replace(start=down.end)
        yield in_loops((*others, bottom, column.replace(stop=right.end)), body)


def _copy(
    copied: Load, part: Buffer, column: tuple[For, _Side], row: tuple[For, _Side], lanes: int
) -> Statement:
    """Rows of a block, which lie along the loop `row`, to the small array."""
    (column_loop, right), (row_loop, down) = column, row
    one, other = [Index(f"{loop.index.name}_copied") for loop in (column_loop, row_loop)]
    places = {
        column_loop.index: expressions.add(right.first, one),
        row_loop.index: expressions.add(down.first, other),
    }
    (value,) = substitute((Store(part, (one, other), copied),), places)
    run = For(other, tensor.ZERO, down.elements, (value,), "vector", lanes)
    return For(one, tensor.ZERO, right.elements, (run,), "serial", 1)


class _Side:
    """One of the two loops, cut in blocks, squares and lanes. `place` is where a lane is, `inside` where in
    its block; `first` is where a block begins, of so many `elements`; `end` is where the last square ends."""

    def __init__(self, loop: For, lanes: int, most: int):
        name, count = loop.index.name, trips(loop) // lanes
        block, square = Index(f"{name}_block"), Index(f"{name}_square")
        self.lane, self.block_size = Index(f"{name}_lane"), min(most, count)
        first = expressions.multiply(block, expressions.integer(most))
        stop: Expression = expressions.integer(self.block_size)
        if count > most and count % most:
            stop = expressions.minimum(
                stop, expressions.subtract(expressions.integer(count), first)
            )
        blocks, side = expressions.integer(-(-count // most)), expressions.integer(lanes)
        self.blocks = For(block, tensor.ZERO, blocks, (), "serial", 1)
        self.squares = For(square, tensor.ZERO, stop, (), "serial", 1)
        self.elements = expressions.multiply(stop, side)
        self.inside = expressions.add(expressions.multiply(square, side), self.lane)
        self.first = expressions.add(expressions.multiply(first, side), loop.start)
        start = expressions.multiply(expressions.add(first, square), side)
        self.place = expressions.add(expressions.add(start, self.lane), loop.start)
        self.end = expressions.add(loop.start, expressions.integer(count * lanes))
