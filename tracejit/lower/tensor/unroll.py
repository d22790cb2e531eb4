"""Short loops of little work, whose iterations come one after the other, are written out.

Eight steps over the bits of a byte take as long to count as to do. Where an index may be refused, the
loop stays: it says that nothing may come after.
"""

from __future__ import annotations

from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Assign,
    For,
    Let,
    Literal,
    Statement,
    Store,
    expressions_of,
    has_control,
    map_bodies,
    parts,
)
from ...ir.term import postorder
from .checks import is_refusing
from .cost import trips

# The most iterations, and the most terms of expressions in them all.
MOST_TRIPS, MOST_TERMS = 8, 128


def unroll_short_loops(module: Module) -> Module:
    """Mark the innermost short loops of kernels with ordered ones."""
    return map_kernels(module, lambda k: k.replace(body=_body(k.body)) if has_control(k.body) else k)


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        statement = map_bodies(statement, _body)
        if isinstance(statement, For) and statement.mark == "ordered" and _is_short(statement):
            statement = statement.replace(mark="unroll")
        new.append(statement)
    return tuple(new)


def _is_short(loop: For) -> bool:
    count = trips(loop)
    if count is None or count > MOST_TRIPS or not isinstance(loop.start, Literal):
        return False
    if not all(isinstance(s, Let | Assign | Accumulate | Store) for s in loop.body):
        return False
    roots = [e for statement in loop.body for e in expressions_of(statement)]
    terms = postorder(roots, parts)
    return count * len(terms) <= MOST_TERMS and not any(map(is_refusing, terms))
