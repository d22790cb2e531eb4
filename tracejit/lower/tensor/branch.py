"""Selections that decide where a loop goes on reading become branches.

    lower = where(x[lower] < x[upper], lower + 1, lower)        if x[lower] < x[upper]:
    upper = where(x[lower] < x[upper], upper, upper - 1)   ->       lower = lower + 1
    most = where(x[lower] < x[upper], most, x[upper])           else: ...

With selections an iteration waits for what the one before has read: to compare it, to select, to know what
to read. A branch is guessed, and the next elements are read meanwhile. Where many values are
selected by one condition that is worth the guesses that are wrong; where there are two at most, as in
a search by halves, whose branches nobody can guess, selections are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.expressions import identity, replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Apply,
    Assign,
    Expression,
    For,
    If,
    Let,
    Literal,
    Load,
    Statement,
    Variable,
    expressions_of,
    has_control,
    map_bodies,
    parts,
)
from ...ir.term import postorder
from .checks import is_refusing
from .substitute import with_expressions

# How many values one condition selects that is better a branch.
MANY = 3


def branch_on_loads(module: Module) -> Module:
    """Give the ordered loops of every Kernel branches where these are guessed with profit."""
    return map_kernels(
        module, lambda k: k.replace(body=_body(k.body, None)) if has_control(k.body) else k
    )


def _body(body: tuple[Statement, ...], loop: For | None) -> tuple[Statement, ...]:
    """The statements inside `loop`, an ordered one outside of lanes, if there is one."""
    new: list[Statement] = []
    run: list[Statement] = []
    for statement in body:
        if isinstance(statement, Let | Assign) and isinstance(statement.variable, Variable):
            run.append(statement)
            continue
        new += _branched(run, loop)
        run = []
        if isinstance(statement, For):
            if statement.mark != "vector":
                inside = statement if statement.mark == "ordered" else None
                statement = statement.replace(body=_body(statement.body, inside))
        else:
            statement = map_bodies(statement, lambda inner: _body(inner, loop))
        new.append(statement)
    return (*new, *_branched(run, loop))


def _branched(run: list[Statement], loop: For | None) -> list[Statement]:
    """What stands for assignments that follow each other."""
    found = _found(run) if loop is not None else None
    if found is None:
        return run
    condition, first, last = found
    asked = run[first:last]
    declared = [
        Let(s.variable, Literal(identity("add", s.variable.dtype), s.variable.dtype))
        for s in asked
        if isinstance(s, Let)
    ]
    arms = [[_decided(statement, condition, which) for statement in asked] for which in (1, 2)]
    return [
        *run[:first],
        *declared,
        If(condition, tuple(arms[0]), tuple(arms[1])),
        *_branched(run[last:], loop),
    ]


def _found(run: Sequence[Statement]) -> tuple[Expression, int, int] | None:
    """What selects many values by elements read, and the assignments between which it stays as it is."""
    places: dict[Expression, list[int]] = {}
    for place, statement in enumerate(run):
        for condition in _conditions(statement):
            places.setdefault(condition, []).append(place)
    for condition, own in sorted(places.items(), key=lambda item: -len(item[1])):
        first, last = own[0], own[-1] + 1
        stays = condition.free.isdisjoint([s.variable for s in run[first:last]])
        if len(own) >= MANY and stays and _reads_on(condition):
            return condition, first, last
    return None


def _reads_on(condition: Expression) -> bool:
    """Whether it depends on elements whose place earlier iterations have found."""
    loads = [e for e in postorder((condition,), parts) if isinstance(e, Load)]
    return any(isinstance(term, Variable) for e in loads for i in e.indices for term in i.free)


def _conditions(statement: Statement) -> set[Expression]:
    """The conditions that select something in it, all of which may be left out."""
    found: set[Expression] = set()
    terms = postorder(expressions_of(statement), parts)
    refusing = {e for e in terms if is_refusing(e)}
    for e in terms:
        match e:
            case Apply("where", (condition, a, b)) if not isinstance(condition, Literal):
                if not refusing or _may_be_left_out((a, b), condition, refusing):
                    found.add(condition)
    return found


def _may_be_left_out(
    asked: tuple[Expression, ...], condition: Expression, refusing: set[Expression]
) -> bool:
    """Whether nothing that is refused goes unnoticed where these are not computed, but the condition is."""
    known = set(postorder((condition,), parts))
    return refusing.isdisjoint(set(postorder(asked, parts)) - known)


def _decided(statement: Statement, condition: Expression, which: int) -> Statement:
    """The assignment where it is known what `condition` is: operand `which` of its selections."""
    (value,) = expressions_of(statement)
    chosen: dict = {}
    for e in postorder((value,), parts):
        if isinstance(e, Apply) and e.op == "where" and e.operands[0] is condition:
            chosen[e] = replace_expressions((e.operands[which],), chosen)[e.operands[which]]
    new = with_expressions(statement, {value: replace_expressions((value,), chosen)[value]})
    return Assign(new.variable, new.value)
