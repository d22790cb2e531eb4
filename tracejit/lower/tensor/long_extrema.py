"""The place of the greatest element of a long row is looked for where the greatest of a block is that of all.

NumPy's argmax is two sweeps: what is the greatest, and where is it first (or the first nan).

    for i: most = maximum(most, x[i])                   for blocks: tops[b] = the greatest of the block
    for i: at = minimum(at, i if x[i] == most)    ->    most = the greatest of tops; b = where that is first
                                                        for i in block b: at = minimum(at, i if x[i] == most)

A block with a nan has nan for its greatest, so the first nan is in the first such block. In shorter rows what is not
less than the greatest is looked for, which takes one comparison, and the first nan afterwards if there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from ...ir.expressions import (
    add,
    cast,
    compare,
    floor_divide,
    integer,
    maximum,
    minimum,
    multiply,
    replace_expressions,
    seldom,
    select,
    subtract,
)
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    ONE,
    ZERO,
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    If,
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
from ...ir.types import DType, array_type, bool_, i32, i64
from .cost import stride, trips
from .extrema import seeks

# Of a row from which on it pays; of a block, of which there are some at least.
LONG_BYTES, BLOCK_BYTES, LEAST_BLOCKS = 16 << 10, 16 << 10, 8
# A single row of unknown length has so many blocks at most, and none where it is shorter than the shortest.
MOST_OF_UNKNOWN = 4096
# In a shorter row a search takes no time; of wider elements a vector has no more than of places.
NARROW_FROM, NARROW_BYTES, MOST_NARROW = 64, 4, 1 << 31


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
        best = _searched(statement, search, not prefix) if search is not None else None
        if best is None or best.target not in starts:
            before = next((s for s in body[:place][::-1] if isinstance(s, For)), None)
            new += _sought(before, statement) or [
                map_bodies(statement, partial(_body, prefix=f"{number}_"))
            ]
            continue
        at = search.body[0].target
        declared = Let(at, starts[at]) if at in starts else None
        new += [declared] if declared is not None and declared not in new else []
        new += _in_blocks(statement, search, best, starts[best.target], number)
        done |= {search, declared}
    return tuple(new)


def _sought(sweep: Statement | None, search: Statement) -> list[Statement] | None:
    """A quicker search of a short row: in numbers of half the size, of which a vector has twice as many, and by one
    comparison."""
    if not (isinstance(sweep, For) and isinstance(search, For)) or len(search.body) != 1:
        return None
    count = trips(search)
    is_known = count is not None
    if search.mark != "serial" or is_known and not NARROW_FROM <= count < MOST_NARROW:
        return None
    sums = [s for s in sweep.body if isinstance(s, Accumulate) and seeks(search, s, sweep)]
    if not sums:
        return None
    dtype = i32 if sums[0].value.dtype.itemsize <= NARROW_BYTES else i64
    quick = _quick_search(search, sums[0], dtype)
    if is_known or dtype is i64:
        return quick
    is_short = compare("less", search.stop, integer(MOST_NARROW))
    return [If(is_short, tuple(quick), (search,))]


def _quick_search(search: For, best: Accumulate, dtype: DType) -> list[Statement]:
    """In numbers of `dtype`."""
    (found,) = search.body
    at = Variable(f"{found.target.name}_{dtype.name}", dtype)
    here, nowhere = cast(search.index, dtype), _number(search.stop, dtype)

    def where(condition: Expression) -> For:
        value = select(condition, here, nowhere)
        return search.replace(body=(Accumulate(at, "minimum", value),))

    return [
        Let(at, nowhere),
        *_looked_for(found.value.operands[0], best, where, Assign(at, nowhere)),
        Accumulate(found.target, "minimum", cast(at, i64)),
    ]


def _number(extent: Expression, dtype: DType) -> Expression:
    return Literal(extent.value, dtype) if isinstance(extent, Literal) else cast(extent, dtype)


def _looked_for(
    is_best: Expression, best: Accumulate, where: Callable[[Expression], For], again: Assign
) -> list[Statement]:
    """The search. A number is found by one comparison, which holds for any beside a nan; that is looked for again."""
    match is_best:
        case Apply("bitwise_or", (Apply("equal", (value, extreme)), Apply("isnan") as is_nan)):
            less = compare("less" if best.op == "maximum" else "greater", value, extreme)
            no_number = seldom(Apply("isnan", (extreme,), bool_))
            usual = where(Apply("logical_not", (less,), bool_))
            return [usual, If(no_number, (again, where(is_nan)), ())]
    return [where(is_best)]


def _searched(sweep: For, search: For, is_outermost: bool) -> Accumulate | None:
    """What a sweep accumulates, if it does nothing else, of a long row in which its place is looked for."""
    match sweep.body:
        case (Accumulate() as best,):
            pass
        case _:
            return None
    is_plain = sweep.mark == search.mark == "serial" and sweep.start is search.start is ZERO
    count = trips(sweep)
    if not is_plain or sweep.stop is not search.stop or not seeks(search, best, sweep):
        return None
    loads = [load for load in loads_of(sweep.body) if sweep.index in load.free]
    steps = [stride(load.buffer.type, load.indices, sweep.index) for load in loads]
    if not loads or any(step != 1 for step in steps):
        return None
    if count is None:
        is_of_sizes = all(isinstance(term, Index) for term in sweep.stop.free)
        return best if is_outermost and is_of_sizes else None
    return best if count * max([load.dtype.itemsize for load in loads]) >= LONG_BYTES else None


class _Blocks(NamedTuple):
    """How many blocks a row has, of what length, and how many there are room for."""

    count: Expression
    length: Expression
    room: int


def _blocks_of(sweep: For, itemsize: int) -> _Blocks:
    rows = trips(sweep)
    if rows is None:
        least = integer(LONG_BYTES // LEAST_BLOCKS // itemsize)
        length = maximum(floor_divide(sweep.stop, integer(MOST_OF_UNKNOWN)), least)
        return _Blocks(floor_divide(sweep.stop, length), length, MOST_OF_UNKNOWN)
    bytes_of_block = min(BLOCK_BYTES, LONG_BYTES // LEAST_BLOCKS * (rows * itemsize // LONG_BYTES))
    size = bytes_of_block // itemsize
    return _Blocks(integer(rows // size), integer(size), rows // size)


def _in_blocks(
    sweep: For, search: For, best: Accumulate, start: Expression, number: str
) -> list[Statement]:
    """The extremes of blocks and of what is left of the row, then the search."""
    dtype, index = best.value.dtype, sweep.index
    count, length, room = _blocks_of(sweep, dtype.itemsize)
    block, last = Index(f"b{number}_{index.name}"), maximum(subtract(count, ONE), ZERO)
    kept = Buffer(f"{best.target.name}_blocks{number}", array_type((room,), dtype), "local")
    top, first = Variable(f"{best.target.name}_block", dtype), Variable(f"first{number}", i64)
    inside, rest = sweep.replace(stop=length), multiply(count, length)
    here = {index: add(multiply(block, length), index)}
    value = replace_expressions((best.value,), here)[best.value]
    greatest = Load(kept, (block,))

    def blocks(*body: Statement) -> For:
        return For(block, ZERO, count, body, "serial", 1)

    is_best = compare("equal", greatest, best.target)
    if dtype.kind == "f":
        is_best = Apply("bitwise_or", (is_best, Apply("isnan", (greatest,), bool_)), bool_)
    (found,) = search.body
    # If the best is in what is left, the last block is searched in vain.
    there = {search.index: add(multiply(first, length), search.index)}
    place = replace_expressions((found.value,), there)[found.value]
    left = [sweep.replace(start=rest), search.replace(start=rest)] if rest is not sweep.stop else []
    return [
        Allocate(kept),
        blocks(
            Let(top, start),
            inside.replace(body=(Accumulate(top, best.op, value),)),
            Store(kept, (block,), top),
        ),
        blocks(Accumulate(best.target, best.op, greatest)),
        *left[:1],
        Let(first, last),
        blocks(Accumulate(first, "minimum", select(is_best, block, last))),
        search.replace(
            stop=minimum(length, rest), body=(Accumulate(found.target, "minimum", place),)
        ),
        *left[1:],
    ]
