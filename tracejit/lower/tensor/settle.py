"""Variables that are set once are their values, where these are at hand.

    t: i64 = 0                       if x[i] > 0: ...
    t = i64(x[i] > 0)         ->
    if t <= 0: pass
    else: ...

What a graph computes and a loop or choice reads went through memory, and so has a variable of its own
that begins as nothing. Other passes see more where the value itself stands: bounds of an index, a
choice between a sum and what it was, a loop that runs up to a number that is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...ir.expressions import select
from ...ir.graph import Module, map_kernels
from ...ir.places import changed_in
from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Expression,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Statement,
    Store,
    Variable,
    expressions_of,
    has_control,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from ...ir.types import bool_
from .checks import is_refusing
from .substitute import with_expressions

# The most terms of a value that takes the place of a variable.
MOST_TERMS = 16


def settle_values(module: Module) -> Module:
    """The same module, with fewer variables in kernels of control flow."""
    return map_kernels(module, lambda k: _settled(k) if has_control(k.body) else k)


def drop_unread(module: Module) -> Module:
    """The same module without what only checks that turned out to be needless were for."""

    def change(kernel: Kernel) -> Kernel:
        return kernel.replace(body=_without_unread(kernel.body))

    return map_kernels(module, lambda k: change(k) if has_control(k.body) else k)


def _settled(kernel: Kernel) -> Kernel:
    body = _Declarations(kernel.body).joined(kernel.body)
    body = _Values(body).body(body, {})
    return kernel.replace(body=_without_unread(body))


def _set_in(body: Iterable[Statement]) -> Counter:
    """How often each variable is declared or given a value."""
    return Counter(
        s.variable if isinstance(s, Let | Assign) else s.target
        for s in statements(body)
        if isinstance(s, Let | Assign | Accumulate)
    )


def _read_in(body: Iterable[Statement]) -> Counter:
    """How many statements read each variable."""
    return Counter(
        term
        for s in statements(body)
        for term in frozenset().union(*[e.free for e in expressions_of(s)])
        if isinstance(term, Variable)
    )


class _Declarations:
    """Variables that are declared as nothing, and given their one value later."""

    def __init__(self, body: tuple[Statement, ...]):
        self.sets, self.reads = _set_in(body), _read_in(body)

    def joined(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        new: list[Statement | None] = []
        pending: dict[Term, int] = {}
        for statement in body:
            match statement:
                case Let(Variable() as variable, Literal()) if self.sets[variable] == 2:
                    pending[variable] = len(new)
                case Assign(variable, value) if variable in pending and variable not in value.free:
                    new[pending.pop(variable)] = None
                    for read in value.free & pending.keys():
                        del pending[read]
                    statement = Let(variable, value)
                case _ if pending:
                    for variable in _mentioned(statement) & pending.keys():
                        del pending[variable]
            statement = map_bodies(statement, self.joined)
            choice = self.handed_on(new[-1], statement) if new else None
            if choice is not None:
                new[-1] = choice
            else:
                new.append(statement)
        return tuple([statement for statement in new if statement is not None])

    def handed_on(self, before: Statement | None, statement: Statement) -> If | None:
        """A choice that gives `variable` what it leaves in another one, which nobody else reads."""
        match before, statement:
            case If(condition, then, orelse), Assign(variable, Variable() as other):
                if self.reads[other] > 1 or other.dtype is not variable.dtype:
                    return None
                arms = [_giving(variable, other, arm) for arm in (then, orelse)]
                return None if None in arms else If(condition, *arms)
        return None


def _giving(
    variable: Variable, other: Variable, arm: tuple[Statement, ...]
) -> tuple[Statement, ...] | None:
    """An arm that ends by giving `other` a value, which `variable` gets instead."""
    *before, last = arm or (None,)
    if any(other in _mentioned(statement) for statement in before):
        return None
    match last:
        case Assign(target, value) if target is other:
            return (*before, Assign(variable, value)) if value is not variable else tuple(before)
        case If(condition, then, orelse) if other not in condition.free:
            arms = [_giving(variable, other, inner) for inner in (then, orelse)]
            return None if None in arms else (*before, If(condition, *arms))
    return None


def _mentioned(statement: Statement) -> set[Term]:
    inside = list(statements((statement,)))
    found = {t for s in inside for e in expressions_of(s) for t in e.free}
    return found | _set_in(inside).keys()


class _Values:
    """Puts values in the place of variables that have no other."""

    def __init__(self, body: tuple[Statement, ...]):
        self.sets, self.reads = _set_in(body), _read_in(body)

    def body(
        self, body: tuple[Statement, ...], known: dict[Term, Expression]
    ) -> tuple[Statement, ...]:
        """The statements, where `known` variables have these values."""
        new: list[Statement] = []
        known = dict(known)
        for number, statement in enumerate(body):
            if known:
                statement = with_expressions(statement, known)
            statement = _simpler(statement)
            match statement:
                case For():
                    lasting = {v: e for v, e in known.items() if _is_of_indices(e)}
                    statement = statement.replace(body=self.body(statement.body, lasting))
                case If(condition, then, orelse):
                    statement = If(condition, self.body(then, known), self.body(orelse, known))
            changed = changed_in((statement,))
            known = {v: e for v, e in known.items() if changed.isdisjoint(e.free)}
            if isinstance(statement, Let) and self.is_known(statement, body[number + 1 :]):
                known[statement.variable] = statement.value
            new.append(statement)
        return tuple(new)

    def is_known(self, let: Let, later: tuple[Statement, ...]) -> bool:
        """Whether the value may stand where the variable is read."""
        variable, value = let.variable, let.value
        if not isinstance(variable, Variable) or self.sets[variable] != 1:
            return False
        terms = postorder((value,), parts)
        if len(terms) > MOST_TERMS or any(map(is_refusing, terms)):
            return False
        if variable.dtype.is_integer or variable.dtype.kind == "b":
            return True
        # Computing it twice is dearer than a variable.
        following = later[0] if later else None
        is_next = isinstance(following, Let | Assign | Store) and any(
            variable in e.free for e in expressions_of(following)
        )
        return is_next and self.reads[variable] == 1


def _is_of_indices(e: Expression) -> bool:
    return all(isinstance(term, Index) for term in e.free)


def _simpler(statement: Statement) -> Statement:
    """The statement with truths that were numbers as truths."""
    new: dict[Term, Expression] = {}
    for e in postorder(expressions_of(statement), parts):
        rebuilt = e
        if isinstance(e, Apply) and any(operand in new for operand in e.operands):
            rebuilt = e.replace(operands=tuple([new.get(o, o) for o in e.operands]))
        match rebuilt:
            case Apply("less_equal", (Apply("cast", (truth,)), Literal(0))) if truth.dtype is bool_:
                rebuilt = _negated(truth)
            case Apply("where", (Apply("logical_not", (condition,)), a, b)):
                rebuilt = select(condition, b, a)
        if rebuilt is not e:
            new[e] = rebuilt
    return with_expressions(statement, new) if new else statement


def _negated(truth: Expression) -> Expression:
    match truth:
        case Apply("logical_not", (other,)):
            return other
    return Apply("logical_not", (truth,), bool_)


def _without_unread(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements without variables that nobody reads any more."""
    while True:
        unread = _unread_in(body)
        if not unread:
            return body

        def kept(body: tuple[Statement, ...], unread: set = unread) -> tuple[Statement, ...]:
            return tuple([map_bodies(s, kept) for s in body if _target(s) not in unread])

        body = kept(body)


def _unread_in(body: tuple[Statement, ...]) -> set[Term]:
    """The variables that are only given values, none of which is refused."""
    unread = {s.variable for s in statements(body) if isinstance(s, Let)} - _read_in(body).keys()
    unread = {term for term in unread if isinstance(term, Variable)}
    for s in statements(body):
        if _target(s) in unread and any(map(is_refusing, postorder((s.value,), parts))):
            unread.discard(_target(s))
    return unread


def _target(statement: Statement) -> Term | None:
    """The variable that a statement does no more than give a value."""
    match statement:
        case Let(target) | Assign(target) | Accumulate(Variable() as target):
            return target
    return None
