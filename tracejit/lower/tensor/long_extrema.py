"""The place of the greatest element of a long row is looked for where the greatest of a block is that of all.

NumPy's argmax is two sweeps: what is the greatest, and where is it first (or the first nan).

    for i: most = maximum(most, x[i])                   for blocks: tops[b] = the greatest of the block
    for i: at = minimum(at, i if x[i] == most)    ->    most = the greatest of tops; b = where that is first
                                                        for i in block b: at = minimum(at, i if x[i] == most)

A block with a nan has nan for its greatest, so the first nan is in the first such block.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from ...ir.expressions import add, cast, compare, integer, multiply, replace_expressions, select
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    ZERO,
    Accumulate,
    Allocate,
    Apply,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    loads_of,
    map_bodies,
)
from ...ir.types import array_type, bool_, i32, i64
from .cost import stride, trips
from .extrema import seeks

# Of a row from which on it pays; of a block, of which there are some at least.
LONG_BYTES, BLOCK_BYTES, LEAST_BLOCKS = 16 << 10, 16 << 10, 8
# In a shorter row a search takes no time; of wider elements a vector has no more than of places.
NARROW_FROM, NARROW_BYTES = 64, 4


def search_blocks(module: Module) -> Module:
    """Look in one block of each long row in every Kernel."""
    return map_kernels(module, lambda kernel: kernel.replace(body=_body(kernel.body, "")))


def _body(body: tuple[Statement, ...], prefix: str) -> tuple[Statement, ...]:
    """Names of what a sweep is given start with `prefix` and the place it has in its body."""
    after = dict(pairwise([s for s in body if isinstance(s, For)]))
    starts = {s.variable: s.value for s in body if isinstance(s, Let)}
    new: list[Statement] = []
    done: set[Statement] = set()
    for place, statement in enumerate(body):
        search, number = after.get(statement), f"{prefix}{place}"
        if statement in done:
            continue
        best = _searched(statement, search) if search is not None else None
        if best is None or best.target not in starts:
            before = next((s for s in body[:place][::-1] if isinstance(s, For)), None)
            new += _narrow(before, statement) or [
                map_bodies(statement, partial(_body, prefix=f"{number}_"))
            ]
            continue
        at = search.body[0].target
        declared = Let(at, starts[at]) if at in starts else None
        new += [declared] if declared is not None and declared not in new else []
        new += _in_blocks(statement, search, best, starts[best.target], number)
        done |= {search, declared}
    return tuple(new)


def _narrow(sweep: Statement | None, search: Statement) -> list[Statement] | None:
    """A search in numbers of half the size, of which a vector has twice as many."""
    if not (isinstance(sweep, For) and isinstance(search, For)) or len(search.body) != 1:
        return None
    (found,), count = search.body, trips(search)
    if count is None or not NARROW_FROM <= count < 2**31 or search.mark != "serial":
        return None
    sums = [s for s in sweep.body if isinstance(s, Accumulate) and seeks(search, s, sweep)]
    if not sums or sums[0].value.dtype.itemsize > NARROW_BYTES:
        return None
    at = Variable(f"{found.target.name}_narrow", i32)
    here = select(found.value.operands[0], cast(search.index, i32), Literal(count, i32))
    return [
        Let(at, Literal(count, i32)),
        search.replace(body=(Accumulate(at, "minimum", here),)),
        Accumulate(found.target, "minimum", cast(at, i64)),
    ]


def _searched(sweep: For, search: For) -> Accumulate | None:
    """What a sweep accumulates, if it does nothing else, of a long row in which its place is looked for."""
    match sweep.body:
        case (Accumulate() as best,):
            pass
        case _:
            return None
    is_plain = sweep.mark == search.mark == "serial" and sweep.start is search.start is ZERO
    count = trips(sweep)
    if not is_plain or count is None or count != trips(search) or not seeks(search, best, sweep):
        return None
    loads = [load for load in loads_of(sweep.body) if sweep.index in load.free]
    steps = [stride(load.buffer.type, load.indices, sweep.index) for load in loads]
    size = count * max([load.dtype.itemsize for load in loads], default=0)
    return best if size >= LONG_BYTES and all(step == 1 for step in steps) else None


def _in_blocks(
    sweep: For, search: For, best: Accumulate, start: Expression, number: str
) -> list[Statement]:
    """The extremes of blocks and of what is left of the row, then the search."""
    dtype, rows, index = best.value.dtype, trips(sweep), sweep.index
    bytes_of_block = min(
        BLOCK_BYTES, LONG_BYTES // LEAST_BLOCKS * (rows * dtype.itemsize // LONG_BYTES)
    )
    length = bytes_of_block // dtype.itemsize
    count, block = rows // length, Index(f"b{number}_{index.name}")
    kept = Buffer(f"{best.target.name}_blocks{number}", array_type((count,), dtype), "local")
    top, first = Variable(f"{best.target.name}_block", dtype), Variable(f"first{number}", i64)
    inside, rest = sweep.replace(stop=integer(length)), integer(count * length)
    here = {index: add(multiply(block, integer(length)), index)}
    value = replace_expressions((best.value,), here)[best.value]
    greatest = Load(kept, (block,))

    def blocks(*body: Statement) -> For:
        return For(block, ZERO, integer(count), body, "serial", 1)

    is_best = compare("equal", greatest, best.target)
    if dtype.kind == "f":
        is_best = Apply("bitwise_or", (is_best, Apply("isnan", (greatest,), bool_)), bool_)
    (found,) = search.body
    # If the best is in what is left, the last block is searched in vain.
    there = {search.index: add(multiply(first, integer(length)), search.index)}
    place = replace_expressions((found.value,), there)[found.value]
    left = [sweep.replace(start=rest), search.replace(start=rest)] if rows % length else []
    return [
        Allocate(kept),
        blocks(
            Let(top, start),
            inside.replace(body=(Accumulate(top, best.op, value),)),
            Store(kept, (block,), top),
        ),
        blocks(Accumulate(best.target, best.op, greatest)),
        *left[:1],
        Let(first, integer(count - 1)),
        blocks(Accumulate(first, "minimum", select(is_best, block, Literal(count - 1, i64)))),
        search.replace(stop=integer(length), body=(Accumulate(found.target, "minimum", place),)),
        *left[1:],
    ]
