"""Cut a loop into strips when one access is contiguous along it and another along a loop outside.

`out[i, j] = x[j, i]` walks down the columns of `x` and uses one element of each cache line it
meets; by the time the next row comes, large arrays have thrown the lines out. In strips

    for strip: for i: for j in 256 columns: out[i, strip * 256 + j] = x[strip * 256 + j, i]

the lines of one strip stay in the first cache until they are used up, and `out` is still written
in runs long enough for the hardware to see where they go.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import expressions, tensor
from ...ir.graph import Module, map_kernels
from ...ir.places import is_chosen_by_data
from ...ir.tensor import (
    For,
    Index,
    Kernel,
    Load,
    Statement,
    Store,
    expressions_of,
    has_control,
    loads_of,
    map_bodies,
)
from ...ir.tensor import statements as statements_of
from .cost import stride, trips
from .substitute import substitute

COLUMNS = 256
# Lines that the innermost loop may touch and still find near when the next row comes.
NEAR_LINES = 512
LINE_BYTES = 64


def cut_strips(module: Module) -> Module:
    """Cut the loops of every Kernel into strips where that keeps cache lines near."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    return kernel.replace(body=_body(kernel.body))


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        if has_control((statement,)):
            new.append(map_bodies(statement, _body))
        else:
            new += _cut(statement) or [statement]
    return tuple(new)


def keeps_order(statement: Statement) -> bool:
    """Whether it reads what it stores, or stores where data says."""
    stores = [s for s in statements_of((statement,)) if isinstance(s, Store)]
    written = {store.buffer for store in stores}
    roots = [e for s in statements_of((statement,)) for e in expressions_of(s)]
    is_read = not all(written.isdisjoint(e.free) for e in roots)
    return is_read or any(is_chosen_by_data(store.indices) for store in stores)


def _cut(statement: Statement) -> list[Statement] | None:
    """Strips instead of the statement; None when there is nothing to cut.

    A loop around several nests of stores is first given to each of them.
    """
    if not isinstance(statement, For) or keeps_order(statement):
        return None
    nests = list(distributed(statement))
    cut = [_cut_nest(nest) for nest in nests]
    if not any(cut):
        return None
    return [s for nest, new in zip(nests, cut) for s in (new or [in_loops(*nest)])]


Nest = tuple[tuple[For, ...], tuple[Statement, ...]]


def distributed(statement: Statement, outer: tuple[For, ...] = ()) -> Iterable[Nest]:
    """Perfect nests: loops, outermost first, and the stores inside."""
    if not isinstance(statement, For) or statement.mark != "serial":
        yield outer, (statement,)
        return
    loops = (*outer, statement)
    if any(isinstance(s, For) for s in statement.body) and all(
        isinstance(s, For | Store) for s in statement.body
    ):
        for inner in statement.body:
            yield from distributed(inner, loops)
    else:
        yield loops, statement.body


def in_loops(loops: Iterable[For], body: tuple[Statement, ...]) -> Statement:
    for loop in reversed(tuple(loops)):
        body = (loop.replace(body=body),)
    (statement,) = body
    return statement


def _cut_nest(nest: Nest) -> list[Statement] | None:
    loops, body = nest
    if len(loops) < 2 or not all(isinstance(s, Store) for s in body):
        return None
    if any(trips(loop) is None for loop in loops):
        return None
    last = loops[-1]
    accesses = [*loads_of(body), *[Load(s.buffer, s.indices) for s in body]]
    if not any(step(a, last) == 1 for a in accesses):
        return None
    for row in loops[:-1]:
        across = [a for a in accesses if step(a, row) == 1 and (step(a, last) or 0) > 1]
        if trips(row) >= 8 and any(_lines(a, last) > NEAR_LINES for a in across):
            others = [loop for loop in loops[:-1] if loop is not row]
            return _strips((*others, row), last, body)
    return None


def step(access: Load, loop: For) -> int | None:
    return stride(access.buffer.type, access.indices, loop.index)


def _lines(access: Load, loop: For) -> int:
    """How many cache lines the access meets along the loop."""
    bytes_apart = step(access, loop) * access.dtype.itemsize
    return trips(loop) * min(bytes_apart, LINE_BYTES) // LINE_BYTES


def _strips(loops: tuple[For, ...], column: For, body: tuple[Statement, ...]) -> list[Statement]:
    """Full strips, and what is left of the columns as a narrow one."""
    full, rest = divmod(trips(column), COLUMNS)
    strip = Index(f"{column.index.name}_strip")
    place = expressions.add(expressions.multiply(strip, expressions.integer(COLUMNS)), column.index)
    places = {column.index: expressions.add(place, column.start)}
    result = [
        in_loops(
            (
                For(strip, tensor.ZERO, expressions.integer(full), (), "serial", 1),
                *loops,
                For(column.index, tensor.ZERO, expressions.integer(COLUMNS), (), "serial", 1),
            ),
            substitute(body, places),
        )
    ]
    if rest:
        start = expressions.add(column.start, expressions.integer(full * COLUMNS))
        result.append(in_loops((*loops, column.replace(start=start)), body))
    return result
