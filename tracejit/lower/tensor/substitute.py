"""Exchange indices, variables and loads in whole statements."""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.tensor import (
    Accumulate,
    Assign,
    Expression,
    For,
    Let,
    Load,
    Statement,
    Store,
    replace_expressions,
)
from ...ir.term import Term


def substitute(body: Iterable[Statement], new: dict[Term, Expression]) -> tuple[Statement, ...]:
    """The statements with every key of `new` replaced; what they declare keeps its name."""
    return tuple([_substituted(statement, new) for statement in body])


def _substituted(statement: Statement, new: dict[Term, Expression]) -> Statement:
    match statement:
        case For(_, start, stop, body):
            done = replace_expressions((start, stop), new)
            return statement.replace(start=done[start], stop=done[stop], body=substitute(body, new))
        case Let(_, value) | Assign(_, value):
            return statement.replace(value=replace_expressions((value,), new)[value])
        case Store(buffer, indices, value):
            done = replace_expressions((*indices, value), new)
            return Store(buffer, tuple([done[i] for i in indices]), done[value])
        case Accumulate(Load(buffer, indices), op, value):
            done = replace_expressions((*indices, value), new)
            return Accumulate(Load(buffer, tuple([done[i] for i in indices])), op, done[value])
        case Accumulate(target, op, value):
            return Accumulate(target, op, replace_expressions((value,), new)[value])
    return statement
