"""Going through the loops of a body: what the passes that exchange loops have in common.

Where loops are exchanged outer ones first, what is put in their place is final; inner ones first, a loop
is seen with what has become of those inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...ir.bounds import Bounds
from ...ir.tensor import For, If, Index, Let, Statement, map_bodies

# What takes a loop's place, if anything does.
Exchange = Callable[[For], Iterable[Statement] | None]


def exchange_outer_loops(body: Iterable[Statement], exchange: Exchange) -> tuple[Statement, ...]:
    """The statements with what `exchange` gives for loops; where it gives None, for those inside."""

    def walk(body: Iterable[Statement]) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            found = exchange(statement) if isinstance(statement, For) else None
            if found is None:
                new.append(map_bodies(statement, walk))
            else:
                new += found
        return tuple(new)

    return walk(body)


def exchange_inner_loops(body: Iterable[Statement], exchange: Exchange) -> tuple[Statement, ...]:
    """The statements with what `exchange` gives for loops whose own have been exchanged before."""

    def walk(body: Iterable[Statement]) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            statement = map_bodies(statement, walk)
            found = exchange(statement) if isinstance(statement, For) else None
            if found is None:
                new.append(statement)
            else:
                new += found
        return tuple(new)

    return walk(body)


def exchange_bounded_loops(
    body: Iterable[Statement],
    bounds: Bounds,
    exchange: Callable[[For, Bounds], Iterable[Statement]],
) -> tuple[Statement, ...]:
    """The statements with what `exchange` gives for outermost loops, told what is known of indices there."""
    new: list[Statement] = []
    for statement in body:
        match statement:
            case For():
                new += exchange(statement, bounds)
                continue
            case If(condition, then, orelse):
                then = exchange_bounded_loops(then, bounds.where(condition, True), exchange)
                orelse = exchange_bounded_loops(orelse, bounds.where(condition, False), exchange)
                statement = If(condition, then, orelse)
            case Let(Index() as index, value):
                bounds = bounds.naming(index, value)
        new.append(statement)
    return tuple(new)
