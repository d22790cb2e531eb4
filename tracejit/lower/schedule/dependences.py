"""What keeps iterations, and statements, in their order: the reason, in words, or none.

Two accesses of one buffer, one of which writes, are apart when no two iterations can meet there
(`ir.places`). What cannot be proved counts as a dependence. Accumulating is no dependence as long as
nothing else reads or writes the target: its order is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...ir.places import never_meet
from ...ir.show import show_statement
from ...ir.tensor import (
    Accumulate,
    Address,
    Allocate,
    Assign,
    Break,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Index,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    parts,
    statements,
)
from ...ir.term import Term, postorder

WRITE, READ = "write", "read"


class Access(NamedTuple):
    """A use of memory or of a variable; `how` is `write`, `read`, or the op that accumulates."""

    what: Buffer | Variable
    indices: tuple[Expression, ...]
    how: str

    def __str__(self) -> str:
        if isinstance(self.what, Variable):
            return self.what.name
        return show_statement(Load(self.what, self.indices))


def accesses(body: Iterable[Statement]) -> Iterator[Access]:
    """All uses of what statements do not declare themselves."""
    body = tuple(body)
    own = declared(body)
    for statement in statements(body):
        for access in _accesses_of(statement):
            if access.what not in own:
                yield access


def declared(body: Iterable[Statement]) -> set[Term]:
    """The variables and buffers that are declared in statements."""
    found: set[Term] = set()
    for statement in statements(body):
        match statement:
            case Let(term) | Allocate(term):
                found.add(term)
    return found


def _accesses_of(statement: Statement) -> Iterator[Access]:
    for e in postorder(expressions_of(statement), parts):
        match e:
            case Load(buffer, indices):
                yield Access(buffer, indices, READ)
            case Variable():
                yield Access(e, (), READ)
    match statement:
        case Store(buffer, indices):
            yield Access(buffer, indices, WRITE)
        case Assign(variable):
            yield Access(variable, (), WRITE)
        case Accumulate(Load(buffer, indices), op):
            yield Access(buffer, indices, op)
        case Accumulate(variable, op):
            yield Access(variable, (), op)


def carried(loop: For, threads: bool = False) -> str | None:
    """Why an iteration of a loop depends on others; None where none does.

    `threads`: accumulating counts, too.
    """
    if (reason := _opaque(loop.body)) is not None:
        return reason
    found = list(accesses(loop.body))
    for access in dict.fromkeys(found):
        if access.how == READ:
            continue
        for other in dict.fromkeys(found):
            if other.what is not access.what or _commute(access, other) and not threads:
                continue
            if isinstance(access.what, Variable):
                return f"{access} is handed from one iteration to the next"
            if not never_meet(loop, access.indices, other.indices):
                return f"iterations may meet at {access} and {other}"
    return None


def _commute(one: Access, other: Access) -> bool:
    return one.how == other.how and one.how not in (READ, WRITE)


def _opaque(body: Iterable[Statement]) -> str | None:
    """What ends loops, or calls."""
    for statement in statements(body):
        match statement:
            case Break():
                return "a break ends it"
            case Call(kernel):
                return f"it calls {kernel.name}"
            case Extern(symbol) if symbol != "prefetch":
                return f"it calls {symbol}"
            case For(mark="ordered", index=index):
                return f"the loop {index.name} in it is ordered"
    return None


def backward(loop: For, first: tuple[Statement, ...], second: tuple[Statement, ...]) -> str | None:
    """Why `first`, for all iterations, cannot come before `second` for all of them: two parts of the
    loop's body, in this order. None where it can."""
    shared = {s.variable for s in first if isinstance(s, Let) and isinstance(s.variable, Variable)}
    shared |= {s.buffer for s in first if isinstance(s, Allocate)}
    names = {s.variable for s in first if isinstance(s, Let) and isinstance(s.variable, Index)}
    used = {access.what for access in accesses(second)}
    if lost := shared & used:
        return f"{next(iter(lost)).name} is declared in one part and used in the other"
    free = {t for s in statements(second) for e in expressions_of(s) for t in e.free}
    if lost := names & free:
        return f"{next(iter(lost)).name} is named in one part and used in the other"
    return _meeting(loop, first, second) or _opaque((*first, *second))


def _meeting(loop: For, first: Iterable[Statement], second: Iterable[Statement]) -> str | None:
    """Where different iterations of the two parts may use one place, one of them writing."""
    for one in dict.fromkeys(accesses(first)):
        for other in dict.fromkeys(accesses(second)):
            if one.what is not other.what or one.how == other.how == READ or _commute(one, other):
                continue
            if isinstance(one.what, Variable):
                return f"both parts use {one}"
            if not never_meet(loop, one.indices, other.indices):
                return f"iterations of the two may meet at {one} and {other}"
    return None


def memory_of(statement: Statement) -> set[Buffer]:
    """The buffers that calls in a statement are handed."""
    found: set[Buffer] = set()
    for inner in statements((statement,)):
        match inner:
            case Call(_, buffers):
                found.update(buffers)
            case Extern(_, arguments):
                found.update(a.buffer for a in arguments if isinstance(a, Address))
    return found
