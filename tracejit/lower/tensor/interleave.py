"""Rows that wait for each other run side by side, each some columns behind the one above it.

    for i: left = u[i, 0]                    for i in fours: for t: u[i, t] = f(left0, ...)
           for j: left = f(left, u[i - 1, j])    ->                 u[i + 1, t - 1] = f(left1, ...)
                  u[i, j] = left                                    u[i + 2, t - 2] = f(left2, ...)
                                                                    u[i + 3, t - 3] = f(left3, ...)

In a sweep of Gauss and Seidel, or a table of alignments, a cell waits for the one to its left and for
those above it. A processor could compute several at once, but along a row there is always but one
that may be next. Those on a diagonal need nothing from each other: each cell is computed as it was,
to the bit. The first columns of the upper rows and the last ones of the lower rows come before and
after.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import tensor
from ...ir.affine import linear
from ...ir.expressions import add, floor_divide, integer, multiply
from ...ir.graph import Module, map_kernels
from ...ir.places import are_always_apart, changed_in
from ...ir.tensor import (
    Assign,
    Expression,
    For,
    If,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    has_control,
    loads_of,
    parts,
    statements,
)
from ...ir.term import postorder
from .checks import is_refusing
from .cost import trip_count, trips
from .reductions import carried_by
from .rename import FreshNames, Renaming
from .substitute import substitute
from .walk import exchange_outer_loops

# Rows side by side, the terms of expressions in them all, how far one may be behind the one above it,
# and the columns from which on it pays.
ROWS, MOST_TERMS, MOST_SKEW, FEWEST_COLUMNS = 4, 160, 4, 32


def interleave_rows(module: Module) -> Module:
    """Run the rows of loops in every Kernel side by side where these carry values along them."""
    return map_kernels(module, lambda k: _Interleaver(k).run() if has_control(k.body) else k)


class _Row(NamedTuple):
    """What the iterations of `loop` are: statements before and after a loop along the row.

    Each is `skew` columns behind the one before.
    """

    loop: For
    before: tuple[Statement, ...]
    along: For
    after: tuple[Statement, ...]
    skew: int


class _Interleaver:
    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)

    def run(self) -> Kernel:
        return self.kernel.replace(body=exchange_outer_loops(self.kernel.body, self.loop))

    def loop(self, loop: For) -> list[Statement] | None:
        row = _row_of(loop)
        return None if row is None else self.interleaved(row, _row_count(row))

    def interleaved(self, row: _Row, count: int) -> list[Statement]:
        """Blocks of so many rows, and then the rows that are left."""
        loop, along, skew = row.loop, row.along, row.skew
        block = Index(self.names.pick(f"{loop.index.name}_block"))
        blocks = floor_divide(trip_count(loop), integer(count))
        first = add(loop.start, multiply(block, integer(count)))
        head, tail, side_by_side, ends = [], [], [], []
        for number in range(count):
            place = {loop.index: add(first, integer(number))}
            own = Renaming(self.names.of_body(loop.body))
            write = lambda body, new, own=own: own.body(substitute(body, new))
            behind = integer(-number * skew)
            # The rows above are so many columns ahead.
            start = add(along.start, integer((count - 1 - number) * skew))
            head += write(row.before, place)
            if number < count - 1:
                head.append(along.replace(stop=start, body=write(along.body, place)))
            here = {**place, along.index: add(along.index, behind)}
            side_by_side += write(along.body, here)
            if number > 0:
                rest = add(along.stop, behind)
                tail.append(along.replace(start=rest, body=write(along.body, place)))
            ends += write(row.after, place)
        whole = add(along.start, integer((count - 1) * skew))
        middle = along.replace(start=whole, body=tuple(side_by_side))
        left = loop.replace(start=add(loop.start, multiply(blocks, integer(count))))
        inside = (*head, middle, *tail, *ends)
        return [For(block, tensor.ZERO, blocks, inside, "ordered", 1), left]


def _row_of(loop: For) -> _Row | None:
    """The rows of a loop; None if they are none, or cannot run side by side, or need not."""
    numbers = [k for k, s in enumerate(loop.body) if isinstance(s, For)]
    if loop.mark != "ordered" or len(numbers) != 1 or carried_by(loop):
        return None
    along = loop.body[numbers[0]]
    before, after = loop.body[: numbers[0]], loop.body[numbers[0] + 1 :]
    columns = trips(along)
    if along.mark != "ordered" or columns is None or columns < FEWEST_COLUMNS:
        return None
    if not carried_by(along) or not (along.start.free | along.stop.free).isdisjoint(
        changed_in(loop.body) | {loop.index}
    ):
        return None
    if not all(isinstance(s, Let | Assign) for s in (*before, *after)):
        return None
    if not all(isinstance(s, Let | Assign | Store | If) for s in statements(along.body)):
        return None
    named = [s for s in statements(loop.body) if isinstance(s, Let)]
    if not all(isinstance(s.variable, Variable) for s in named):
        return None
    if any(map(is_refusing, _terms(loop))):
        return None
    skew = _skew(loop, along)
    return None if skew is None or skew > MOST_SKEW else _Row(loop, before, along, after, skew)


def _row_count(row: _Row) -> int:
    rows, terms = ROWS, len(_terms(row.along))
    while rows > 2 and rows * terms > MOST_TERMS:
        rows //= 2
    return rows


def _terms(loop: For) -> list[Expression]:
    return postorder([e for s in statements(loop.body) for e in expressions_of(s)], parts)


def _skew(loop: For, along: For) -> int | None:
    """How many columns behind the one above each row must be, so that what uses an element comes in
    the same order as before; None where that is not known, or no number will do."""
    stores = [s for s in statements(loop.body) if isinstance(s, Store)]
    inside = [*loads_of((along,)), *[Load(s.buffer, s.indices) for s in stores]]
    outside = [load for load in loads_of(loop.body) if load not in set(inside)]
    skew = 1
    for store in stores:
        for load in outside:
            if load.buffer is store.buffer:
                if not are_always_apart((loop,), store.indices, load.indices):
                    return None
        for other in inside:
            if other.buffer is not store.buffer:
                continue
            distance = _distance(loop, along, store.indices, other.indices)
            if distance is None:
                return None
            rows, columns = distance if distance[0] > 0 else (-distance[0], -distance[1])
            if rows > 0:
                skew = max(skew, -(columns // rows))
    return skew


def _distance(
    loop: For, along: For, one: tuple[Expression, ...], two: tuple[Expression, ...]
) -> tuple[int, int] | None:
    """How many rows and columns after an iteration used the place `one` another one uses it as `two`."""
    changed = changed_in((loop,))
    found: dict[Index, int] = {}
    for a, b in zip(one, two):
        (atoms, first), (others, second) = linear(a), linear(b)
        own = [index for index in (loop.index, along.index) if index in atoms]
        if atoms != others or len(own) > 1 or own and atoms[own[0]] != 1:
            return None
        rest = set().union(*[atom.free for atom in atoms if atom not in own])
        if not all(isinstance(t, Index) and t not in changed for t in rest):
            return None
        if own and found.setdefault(own[0], first - second) != first - second:
            return None
        if not own and first != second:
            return 0, 0  # never the same place
    if len(found) < 2:
        return None
    return found[loop.index], found[along.index]
