"""How often loops turn, in what loops values change, and which values statements compute."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence

from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Break,
    Expression,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
)
from ...ir.term import Term
from .cost import expected_trips, expressions, trips

# Iterations of outer loops beyond which not each of them is looked at.
MANY_PLACES = 128
ARITHMETIC = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "minimum": min,
    "maximum": max,
}


def value_at(bound: Expression, at: dict[Expression, int]) -> int | None:
    """The value of a loop's bound where indices have these values; None where it needs others.

    Of a choice that data makes the first counts: what may be left out is, as a rule.
    """
    match bound:
        case Literal(value):
            return value
        case Index():
            return at.get(bound)
        case Apply("where", (_, first, _)):
            return value_at(first, at)
        case Apply(op, operands) if op in ARITHMETIC:
            values = [value_at(operand, at) for operand in operands]
            return None if None in values else ARITHMETIC[op](*values)
    return None


def changing_loops(kernel: Kernel) -> dict[Term, set[For]]:
    """The loops in which an index, a variable, or an array of the kernel's own, changes."""
    changed: dict[Term, set[For]] = {}

    def find(body: Iterable[Statement], inside: tuple[For, ...]) -> None:
        for statement in body:
            match statement:
                case For(index, _, _, inner):
                    changed.setdefault(index, set()).add(statement)
                    find(inner, (*inside, statement))
                case If(_, then, orelse):
                    find((*then, *orelse), inside)
                case Let(target) | Assign(target):
                    changed.setdefault(target, set()).update(inside)
                case Accumulate(target):
                    term = target.buffer if isinstance(target, Load) else target
                    changed.setdefault(term, set()).update(inside)
                case Store(buffer):
                    changed.setdefault(buffer, set()).update(inside)

    find(kernel.body, ())
    return changed


def average_trips(loop: For, outer: Sequence[For]) -> float:
    """How often the body runs for each time that the loop is come to, in the loops around it.

    Chunks and blocks of a range end where it ends, or where the sizes of tiles change, and a loop in a
    triangle ends where the one around it is.
    """
    needed: list[For] = []
    named = {*loop.start.free, *loop.stop.free}
    for other in reversed(outer):
        if other.index in named:
            needed.insert(0, other)
            named |= {*other.start.free, *other.stop.free}
    places: list[tuple[dict[Expression, int], float]] = [({}, 1.0)]
    for other in needed:
        each = max(2, MANY_PLACES // len(places)) if places else 1
        found = []
        for at, weight in places:
            start, stop = value_at(other.start, at), value_at(other.stop, at)
            if start is None or stop is None:
                return expected_trips(loop)
            values = _sample(range(start, stop), each)
            share = weight * (stop - start) / len(values) if values else 0.0
            found += [({**at, other.index: value}, share) for value in values]
        places = found
    counts = [(value_at(loop.start, at), value_at(loop.stop, at), w) for at, w in places]
    is_known = counts and not any(None in count for count in counts)
    if not is_known or not needed and trips(loop) is not None:
        return expected_trips(loop)
    weights = sum(weight for _, _, weight in counts)
    return sum(weight * max(stop - start, 0) for start, stop, weight in counts) / weights


def _sample(values: range, most: int) -> list[int]:
    """All of a range, or as many from its whole length, in the middle of equal parts."""
    count = len(values)
    if count <= most:
        return [*values]
    return [values[(2 * k + 1) * count // (2 * most)] for k in range(most)]


def values_of(statement: Statement) -> list[Expression]:
    """The expressions that a simple statement evaluates, but for the place that it stores to."""
    match statement:
        case Store(_, indices, value):
            return [value, *indices]
        case Let() | Assign() | Accumulate() | Break():
            return expressions(statement)
    return []
