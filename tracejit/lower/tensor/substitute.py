"""Exchange indices, variables and loads in whole statements."""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.expressions import replace_expressions
from ...ir.tensor import (
    Accumulate,
    Address,
    Assign,
    Break,
    Expression,
    Extern,
    For,
    If,
    Let,
    Load,
    Statement,
    Store,
    expressions_of,
    map_bodies,
)
from ...ir.term import Term


def substitute(body: Iterable[Statement], new: dict[Term, Expression]) -> tuple[Statement, ...]:
    """The statements with every key of `new` replaced; what they declare keeps its name."""
    return tuple([_substituted(statement, new) for statement in body])


def _substituted(statement: Statement, new: dict[Term, Expression]) -> Statement:
    return map_bodies(with_expressions(statement, new), lambda body: substitute(body, new))


def with_expressions(statement: Statement, new: dict[Term, Expression]) -> Statement:
    """The same in what the statement itself evaluates, not in the bodies inside it."""
    match statement:
        case For(_, start, stop):
            done = replace_expressions((start, stop), new)
            return statement.replace(start=done[start], stop=done[stop])
        case If(condition) | Break(condition):
            done = replace_expressions((condition,), new)
            return statement.replace(condition=done[condition])
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
        case Extern(symbol, arguments):
            done = replace_expressions(expressions_of(statement), new)
            return Extern(
                symbol,
                tuple(
                    [
                        Address(a.buffer, tuple([done[i] for i in a.indices]))
                        if isinstance(a, Address)
                        else done[a]
                        for a in arguments
                    ]
                ),
            )
    return statement
