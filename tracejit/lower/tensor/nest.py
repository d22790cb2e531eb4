"""What a choice decides about the next one is not asked again.

    if i < n: goes = a[i] < b              if i < n:
    else: goes = False               ->        goes = a[i] < b
    if goes: a[j] = a[i] + 1                   if goes: a[j] = a[i] + 1
                                           else: goes = False

Conditions of several parts, and flags, are such choices. Where the second is made inside of an arm of the
first, what that arm has read and checked is known there, and is not read and checked again; and a branch is
saved.
"""

from __future__ import annotations

from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Allocate,
    Apply,
    Assign,
    Expression,
    For,
    If,
    Let,
    Literal,
    Statement,
    Variable,
    has_control,
    map_bodies,
    statements,
)


def nest_choices(module: Module) -> Module:
    """Make choices that follow each other in the Kernels' bodies inside of each other where that pays."""
    return map_kernels(
        module, lambda k: k.replace(body=_body(k.body)) if has_control(k.body) else k
    )


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        nested = _nested(new[-1], statement) if new else None
        if nested is not None:
            new[-1] = nested
        else:
            new.append(map_bodies(statement, _body))
    return tuple(new)


def _nested(first: Statement, second: Statement) -> If | None:
    """Both as one choice, if an arm of the first decides the second and leaves nothing to do there."""
    if not isinstance(first, If) or not isinstance(second, If):
        return None
    flag, holds = asked(second.condition)
    if not isinstance(flag, Variable):
        return None
    decided = [_left(first, arm, flag) for arm in (True, False)]
    for arm, value in zip((True, False), decided):
        taken = second.then if value is holds else second.orelse
        inside = first.orelse if arm else first.then
        if value is not None and not taken and _declared(inside).isdisjoint(_declared((second,))):
            inside = _body((*inside, second))
            return If(first.condition, *((first.then, inside) if arm else (inside, first.orelse)))
    return None


def _declared(body: tuple[Statement, ...]) -> set[str]:
    """The names that statements declare, which one scope may do once."""
    names = set()
    for statement in statements(body):
        match statement:
            case For(term) | Let(term) | Allocate(term):
                names.add(term.name)
    return names


def asked(condition: Expression) -> tuple[Expression, bool]:
    """What a condition asks for, and whether it must hold."""
    if isinstance(condition, Apply) and condition.op == "logical_not":
        what, holds = asked(condition.operands[0])
        return what, not holds
    return condition, True


def _left(choice: If, arm: bool, flag: Variable) -> bool | None:
    """What an arm of a choice leaves in `flag`; None if that is not known."""
    body = choice.then if arm else choice.orelse
    if not body or not isinstance(body[-1], Assign) or body[-1].variable is not flag:
        return None
    value, holds = asked(body[-1].value)
    if isinstance(value, Literal):
        return bool(value.value) is holds
    what, wanted = asked(choice.condition)
    if value is what and len(body) == 1 and flag not in value.free:
        return (wanted is arm) is holds
    return None
