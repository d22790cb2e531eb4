"""Checks of indices: drop those that never fail; make the others before anything is written.

Bytes into a table of 256, and positions counted up, need no check. Where a kernel that may refuse an
index writes memory of the caller, `checks_of` gives the kernel that does the checks alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import expressions, ops, tensor
from ...ir.bounds import Bounds, unknowns_of
from ...ir.foreign import foreign
from ...ir.graph import Module, map_kernels
from ...ir.refusal import BY_ZERO
from ...ir.tensor import (
    ARGUMENT,
    UPDATED,
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Break,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    bodies_of,
    expressions_of,
    has_control,
    is_scheduled,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder, rebuild
from ...ir.types import bool_, i64
from .substitute import with_expressions

# Those that are of an index.
OF_INDICES = (ops.checked_index.name, ops.checked_choice.name)
# Those that a number by which is divided is not zero.
OF_DIVISORS = tuple([ops.sound[name].name for name in BY_ZERO])


def drop_checks(module: Module) -> Module:
    """Replace every check of what is proved to be inside by the index itself."""
    return map_kernels(module, _change)


def may_refuse(kernel: Kernel) -> bool:
    """Whether running the kernel may end in the report that there is no result."""
    refused = any(map(is_refusing, _expressions(kernel))) or any(map(_may_fail, kernel.body))
    return refused or any(may_refuse(callee) for callee in kernel.callees)


def _may_fail(statement: Statement) -> bool:
    """Whether a foreign function is called that may have no result."""
    called = [s for s in statements((statement,)) if isinstance(s, Extern)]
    return any(known.failure for s in called if (known := foreign(s.symbol)) is not None)


def _expressions(kernel: Kernel) -> list[Expression]:
    roots = [e for statement in statements(kernel.body) for e in expressions_of(statement)]
    return postorder(roots, parts)


def is_refusing(e: Expression) -> bool:
    match e:
        case Apply("power", (_, exponent), dtype):
            return dtype.is_signed and not isinstance(exponent, Literal)
        case Apply(op):
            return op in ops.CHECKS
    return False


def _change(kernel: Kernel) -> Kernel:
    if is_scheduled(kernel.body) and not has_control(kernel.body):
        return kernel  # by its own lowering
    if not any(map(_may_be_needless, _expressions(kernel))):
        return kernel
    bounds = Bounds((), unknowns=unknowns_of(kernel))
    return kernel.replace(body=_changed(kernel.body, bounds))


def _changed(body: tuple[Statement, ...], bounds: Bounds) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        if needless := _needless(statement, bounds):
            statement = with_expressions(statement, needless)
        match statement:
            case For():
                statement = statement.replace(
                    body=_changed(statement.body, bounds.inside(statement))
                )
            case If(condition, then, orelse):
                then = _changed(then, bounds.where(condition, True))
                orelse = _changed(orelse, bounds.where(condition, False))
                statement = If(condition, then, orelse)
            case Let(Index() as index, value):
                bounds = bounds.naming(index, value)
        new.append(statement)
    return tuple(new)


def _may_be_needless(e: Expression) -> bool:
    return is_check(e) or isinstance(e, Apply) and e.op == "guarded"


def is_check(e: Expression) -> bool:
    return isinstance(e, Apply) and e.op in OF_INDICES


def may_miss(kernel: Kernel) -> bool:
    """Whether a store whose index fails its check could leave its buffer, which may have no elements."""
    roots = [e for s in statements(kernel.body) if isinstance(s, Store) for e in s.indices]
    extents = [e.operands[1] for e in postorder(roots, parts) if is_check(e)]
    return any(not (isinstance(n, Literal) and n.value > 0) for n in extents)


def checks_of(kernel: Kernel) -> Kernel | None:
    """The checks of `kernel` alone, on those of its inputs that they need.

    None when it refuses other things than indices, which are dear to compute twice, or when the
    indices depend on what it writes to memory of the caller, or calls.
    """
    refusing = [e for e in _expressions(kernel) if is_refusing(e)]
    return _Checks(kernel).run() if refusing and all(map(is_check, refusing)) else None


class _Checks:
    """A kernel without its stores: what is left is checks, and what their indices are computed from.

    What the checks give is accumulated, as nothing else may be done with it, and not used.
    """

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.seen = Variable("seen", i64)
        self.needed: set[Term] = set()

    def run(self) -> Kernel | None:
        before = -1
        while len(self.needed) != before:
            before = len(self.needed)
            body = self.body(self.kernel.body)
        if self.is_overwritten():
            return None
        # Results that are read again later are memory of its own here.
        own = [b for b in self.kernel.fresh if b in self.needed]
        inputs = [b for b in self.kernel.inputs if b in self.needed]
        new: dict[Term, Term] = {b: b.replace(space="local") for b in own}
        new |= {b: b.replace(space=ARGUMENT) for b in inputs}
        zero = Literal(expressions.identity("maximum", i64), i64)
        body = (Let(self.seen, zero), *[Allocate(b) for b in own], *body)
        done = rebuild(body, lambda term: new.get(term, term))
        body = tuple([done[statement] for statement in body])
        parameters = tuple([new[b] for b in inputs])
        return Kernel(f"{self.kernel.name}_checks", parameters, 0, body)

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        kept: list[Statement] = []
        for statement in body:
            if bodies_of(statement):
                statement = self.outer(statement)
                if any(bodies_of(statement)):
                    self.need(expressions_of(statement))
                    kept.append(statement)
                    continue
            if self.is_needed(statement):
                self.need(expressions_of(statement))
                kept.append(statement)
            else:
                checks = _outermost_checks(expressions_of(statement))
                self.need(checks)
                kept += [Accumulate(self.seen, "maximum", check) for check in checks]
        return tuple(kept)

    def outer(self, statement: Statement) -> Statement:
        """A loop or a choice with what is left inside; a loop that stays ends when it did."""
        if not isinstance(statement, For):
            return map_bodies(statement, self.body)
        *rest, last = statement.body or (None,)
        if not isinstance(last, Break):
            return map_bodies(statement, self.body)
        inner = self.body(tuple(rest))
        if inner or _outermost_checks(expressions_of(last)):
            self.need(expressions_of(last))
            inner = (*inner, last)
        return statement.replace(body=inner)

    def is_overwritten(self) -> bool:
        """Whether the kernel, with loops or choices of its own, changes what the checks read."""
        if not has_control(self.kernel.body):
            return False  # what is updated is read before
        for statement in statements(self.kernel.body):
            match statement:
                case Store(buffer) if buffer.space == UPDATED and buffer in self.needed:
                    return True
                case Call() | Extern():
                    return True
        return False

    def is_needed(self, statement: Statement) -> bool:
        match statement:
            case Let(target) | Assign(target) | Allocate(target):
                return target in self.needed
            case Store(target):
                return target in self.needed and target.space != UPDATED
            case Accumulate(target):
                return (target.buffer if isinstance(target, Load) else target) in self.needed
        return False

    def need(self, expressions: Iterable[Expression]) -> None:
        self.needed.update(term for e in expressions for term in e.free)


def _outermost_checks(expressions: Iterable[Expression]) -> list[Expression]:
    found: dict[Expression, None] = {}
    for e in postorder(expressions, lambda e: () if is_check(e) else parts(e)):
        if is_check(e):
            found[e] = None
    return list(found)


def _needless(statement: Statement, bounds: Bounds) -> dict[Expression, Expression]:
    """The checks in a statement that never fail, each with its index."""
    found: dict[Expression, Expression] = {}
    for e in postorder(expressions_of(statement), parts):
        match e:
            case Apply(op, (index, extent, *_)) if op in OF_INDICES:
                room = expressions.subtract(expressions.subtract(extent, tensor.ONE), index)
                if bounds.is_nonnegative(index) and bounds.is_nonnegative(room):
                    found[e] = expressions.replace_expressions((index,), found)[index]
            case Apply(op, (Apply("not_equal", (number, Literal(0))),)) if op in OF_DIVISORS:
                if _is_not_zero(number, bounds):
                    found[e] = Literal(True, bool_)
            case Apply("guarded", (guard, value)):
                new = expressions.replace_expressions((value, guard), found)
                if not any(map(is_refusing, postorder((new[guard],), parts))):
                    found[e] = new[value]
    return found


def _is_not_zero(number: Expression, bounds: Bounds) -> bool:
    """Whether a sum of indices of the loops around is never zero; of others nothing is known here."""
    if number.dtype is not i64 or not number.free <= {*bounds.loops, *bounds.named}:
        return False
    above = expressions.subtract(number, tensor.ONE)
    below = expressions.subtract(expressions.integer(-1), number)
    return bounds.is_nonnegative(above) or bounds.is_nonnegative(below)
