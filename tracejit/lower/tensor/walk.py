"""Going through the loops of a body: what the passes that exchange loops have in common.

Where loops are exchanged outer ones first, what is put in their place is final; inner ones first, a loop
is seen with what has become of those inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...ir.tensor import For, Statement, map_bodies

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
