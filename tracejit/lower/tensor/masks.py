"""Loops around `while` in vector lanes: every lane goes on until the last one is done.

    for i: n = x[i]                          for i in vector: n = x[i]
           if n > 1:                                          go = n > 1
               for ordered:            ->                     if go:
                   n = f(n)                                       for ordered:
                   steps += 1                                         n = f(n)
                   if n <= 1: break                                   steps = where(go, steps + 1, steps)
           y[i] = steps                                               go = where(go, n > 1, False)
                                                                      if not go: break
                                                              y[i] = steps

In lanes a Break leaves its loop when all of them would, and what is under an If runs when one of them
asks for it. So the text says for itself what a lane does that is done or was not asked: it computes
along, and keeps what it has. Each lane does the arithmetic of its own iteration, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir import expressions
from ...ir.bounds import Bounds
from ...ir.expressions import select
from ...ir.places import are_apart
from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Break,
    Expression,
    For,
    If,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    Variable,
    bodies_of,
    expressions_of,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from ...ir.types import bool_
from .checks import is_refusing
from .cost import trips
from .rename import FreshNames

# Vectors side by side, as each step of a lane waits for the one before, and registers for them all.
VECTORS, REGISTERS = 4, 32
TRUE, FALSE = Literal(True, bool_), Literal(False, bool_)


class _Unfit(Exception):
    """Something that lanes cannot do when only some of them are asked to."""


class _Asked(NamedTuple):
    """Which lanes are asked for something: those in which `all` holds.

    `here` leaves out which lanes are still in the innermost loop, for the `loose` variables, of which
    nobody wants to know what they were when a lane left it. What is `own` was declared under the
    same conditions. A condition that is None holds.
    """

    all: Expression | None = None
    here: Expression | None = None
    own: frozenset[Variable] = frozenset()
    loose: frozenset[Variable] = frozenset()


def in_lanes(loop: For, bounds: Bounds, names: FreshNames, vector_bytes: int) -> For | None:
    """The loop, whose iterations are independent, in lanes; None if it cannot run in them.

    `bounds` is what is known inside it.
    """
    try:
        body = _Masks(loop, bounds, names).body(loop.body, _Asked())
    except _Unfit:
        return None
    lanes = _lane_count(loop, vector_bytes)
    return loop.replace(body=body, mark="vector", lanes=lanes) if lanes > 1 else None


def _lane_count(loop: For, vector_bytes: int) -> int:
    """As many vectors of the widest number as registers hold, or as few lanes as the loop fills."""
    carried = {s.variable for s in statements(loop.body) if isinstance(s, Assign)}
    vectors = VECTORS
    while vectors > 1 and vectors * len(carried) > REGISTERS:
        vectors //= 2
    widths = [s.variable.dtype.real.itemsize for s in statements(loop.body) if isinstance(s, Let)]
    lanes = vectors * vector_bytes // max(widths, default=8)
    count = trips(loop)
    while count is not None and lanes > 1 and lanes // 2 >= count:
        lanes //= 2
    return lanes


class _Masks:
    """One loop, and what stands for its statements in lanes."""

    def __init__(self, loop: For, bounds: Bounds, names: FreshNames):
        self.loop, self.bounds, self.names = loop, bounds, names
        declared = [s.variable for s in statements(loop.body) if isinstance(s, Let)]
        self.varying: set[Term] = {loop.index, *declared}

    def body(self, body: Iterable[Statement], asked: _Asked) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            if asked.all is not None:
                self.must_be_safe(expressions_of(statement))
            if isinstance(statement, Let) and isinstance(statement.variable, Variable):
                asked = asked._replace(own=asked.own | {statement.variable})
            new += self.statement(statement, asked)
        return tuple(new)

    def statement(self, statement: Statement, asked: _Asked) -> tuple[Statement, ...]:
        match statement:
            case Let(Variable()):
                return (statement,)
            case Assign(variable, value):
                condition = asked.here if variable in asked.loose else asked.all
                if variable in asked.own or condition is None:
                    return (statement,)
                return (Assign(variable, select(condition, value, variable)),)
            case Accumulate(Variable() as target, op, value):
                nothing = Literal(expressions.identity(op, target.dtype), target.dtype)
                return (Accumulate(target, op, _chosen(asked.all, value, nothing)),)
            case Store(buffer) if asked.all is None and buffer.space != "register":
                return (statement,)
            case Store(buffer, indices, value) if are_apart(self.loop, indices):
                place = Load(buffer, indices)
                self.must_be_safe((place,))
                return (Store(buffer, indices, select(asked.all, value, place)),)
            case If():
                return self.choice(statement, asked)
            case For():
                return self.inner_loop(statement, asked)
        raise _Unfit

    def must_be_safe(self, roots: Iterable[Expression]) -> None:
        """Lanes that are not asked compute it, too, so it may not fail whatever they hold."""
        for e in postorder(roots, parts):
            match e:
                case Load(buffer, indices):
                    places = [*zip(indices, buffer.type.shape)]
                case Table(data, index):
                    places = [(index, len(data))]
                case _:
                    places = []
            if is_refusing(e) or not all(self.bounds.is_below(*place) for place in places):
                raise _Unfit

    def choice(self, choice: If, asked: _Asked) -> tuple[Statement, ...]:
        new: list[Statement] = []
        condition = self.named(new, "asked", choice.condition)
        for arm, own in ((choice.then, condition), (choice.orelse, _negated(condition))):
            if not arm:
                continue
            everything = own
            if asked.all is not None:
                everything = self.named(new, "asked", _both(asked.all, own))
            inside = _Asked(everything, _both(asked.here, own), loose=asked.loose)
            body = self.body(arm, inside)
            is_long = any(isinstance(s, For | If) for s in body)
            new += (If(everything, body, ()),) if is_long else body
        return tuple(new)

    def named(self, body: list[Statement], name: str, value: Expression) -> Expression:
        """A variable that keeps the value as it is now, declared in `body`."""
        if isinstance(value, Literal):
            return value
        variable = Variable(self.names.pick(name), value.dtype)
        body.append(Let(variable, value))
        return variable

    def inner_loop(self, loop: For, asked: _Asked) -> tuple[Statement, ...]:
        changed = loop.start.free | loop.stop.free
        if not self.varying.isdisjoint(changed) or loop.mark not in ("serial", "ordered"):
            raise _Unfit
        outer, self.bounds = self.bounds, self.bounds.inside(loop)
        try:
            return self.repeated(loop, asked)
        finally:
            self.bounds = outer

    def repeated(self, loop: For, asked: _Asked) -> tuple[Statement, ...]:
        if not loop.body or not isinstance(loop.body[-1], Break):
            return (loop.replace(body=self.body(loop.body, asked)),)
        *body, end = loop.body
        goes = Variable(self.names.pick("going"), bool_)
        inside = _Asked(goes, None, loose=self.loose(loop))
        more = select(goes, _negated(end.condition), FALSE)
        self.must_be_safe((end.condition,))
        body = (*self.body(body, inside), Assign(goes, more), Break(_negated(goes)))
        return (Let(goes, asked.all or TRUE), loop.replace(body=body))

    def loose(self, loop: For) -> frozenset[Variable]:
        """What nobody reads after a loop, which is in no other one, and so begins anew each time."""
        around = [s for s in statements(self.loop.body) if isinstance(s, For)]
        if sum(loop in {*statements((other,))} for other in around) > 1:
            return frozenset()
        assigned = [s.variable for s in statements(loop.body) if isinstance(s, Assign)]
        return frozenset(assigned) - _read_after(self.loop.body, loop)


def _read_after(body: tuple[Statement, ...], loop: For) -> set[Term]:
    """What is read after the first place of a loop in the statements that hold it."""
    found: set[Term] = set()
    is_after = False
    for statement in body:
        if is_after:
            found |= _read((statement,))
        elif statement is loop:
            is_after = True
        else:
            for arm in bodies_of(statement):
                if is_after:
                    found |= _read(arm)
                elif loop in {*statements(arm)}:
                    found |= _read_after(arm, loop)
                    is_after = True
    return found


def _read(body: Iterable[Statement]) -> set[Term]:
    return {t for s in statements(body) for e in expressions_of(s) for t in e.free}


def _both(a: Expression | None, b: Expression) -> Expression:
    return b if a is None else Apply("logical_and", (a, b), bool_)


def _chosen(condition: Expression | None, a: Expression, b: Expression) -> Expression:
    return a if condition is None else select(condition, a, b)


def _negated(condition: Expression) -> Expression:
    match condition:
        case Apply("logical_not", (x,)):
            return x
    return Apply("logical_not", (condition,), bool_)
