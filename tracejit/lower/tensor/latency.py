"""What an iteration waits for comes last.

    left = min(min(above, left + 1), diagonal)   ->   left = min(min(above, diagonal), left + 1)

An iteration that needs what the one before computed waits for it, and for everything computed from
it in a row. Of integers, sums, bits and extremes are the same in any order: what is known earlier
goes first. A choice between a sum and one of its terms is made of the other term.
"""

from __future__ import annotations

from ...ir.expressions import identity, select
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Apply,
    Assign,
    Expression,
    For,
    Kernel,
    Let,
    Literal,
    Statement,
    Variable,
    expressions_of,
    has_control,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from .substitute import with_expressions

NEUTRAL = ("add", "bitwise_or", "bitwise_xor")
ASSOCIATIVE = ("add", "minimum", "maximum", "bitwise_and", "bitwise_or", "bitwise_xor")


def put_late_values_last(module: Module) -> Module:
    """The same module, in whose ordered loops integer arithmetic waits as little as it may."""
    return map_kernels(module, lambda k: _change(k) if has_control(k.body) else k)


def _change(kernel: Kernel) -> Kernel:
    return kernel.replace(body=_body(kernel.body, frozenset()))


def _body(body: tuple[Statement, ...], late: frozenset[Term]) -> tuple[Statement, ...]:
    """The statements inside loops that carry the variables `late`."""
    new: list[Statement] = []
    for statement in body:
        inside = _carried(statement) if isinstance(statement, For) else late
        statement = map_bodies(statement, lambda inner, inside=inside: _body(inner, inside))
        if late:
            statement = _rearranged(statement, late)
        new.append(statement)
    return tuple(new)


def _carried(loop: For) -> frozenset[Term]:
    """The variables that one iteration leaves to the next."""
    own = {s.variable for s in statements(loop.body) if isinstance(s, Let)}
    assigned = {s.variable for s in statements(loop.body) if isinstance(s, Assign)}
    return frozenset(assigned - own) if loop.mark == "ordered" else frozenset()


def _rearranged(statement: Statement, late: frozenset[Term]) -> Statement:
    new: dict[Term, Expression] = {}
    for e in postorder(expressions_of(statement), parts):
        extreme = as_extreme(e)
        if extreme.dtype.is_integer and not late.isdisjoint(extreme.free):
            changed = _early_choice(_late_last(extreme, late))
            if changed is not extreme:
                new[e] = changed
    return with_expressions(statement, new) if new else statement


def as_extreme(e: Expression) -> Expression:
    """A choice of the smaller or the larger of two integers, as such."""
    match e:
        case Apply("where", (Apply(comparison, (a, b)), c, d), dtype) if dtype.is_integer:
            if {a, b} == {c, d} and a is not b and comparison in _SMALLER + _LARGER:
                picks_first = c is a
                smaller = (comparison in _SMALLER) == picks_first
                return Apply("minimum" if smaller else "maximum", (c, d), dtype)
    return e


_SMALLER, _LARGER = ("less", "less_equal"), ("greater", "greater_equal")


def _late_last(e: Expression, late: frozenset[Term]) -> Expression:
    """The same number, of which the one operand that is late is the last; `e`, if there is none."""
    if not isinstance(e, Apply) or e.op not in ASSOCIATIVE:
        return e
    operands = _operands(e, e.op)
    waiting = [operand for operand in operands if not late.isdisjoint(operand.free)]
    if len(operands) < 3 or len(waiting) != 1 or not any(map(_is_variable, e.free)):
        return e
    first, *others = [operand for operand in operands if operand is not waiting[0]]
    for operand in (*others, waiting[0]):
        first = Apply(e.op, (first, operand), e.dtype)
    return first


def _early_choice(e: Expression) -> Expression:
    """`where(c, x ^ b, x)` as `x ^ where(c, b, 0)`, which need not wait for x to choose."""
    match e:
        case Apply("where", (condition, a, b), dtype):
            for arm, other, is_first in ((a, b, True), (b, a, False)):
                if isinstance(arm, Apply) and arm.op in NEUTRAL and other in arm.operands:
                    x, y = arm.operands
                    nothing = Literal(identity(arm.op, dtype), dtype)
                    values = (y if x is other else x, nothing)
                    chosen = select(condition, *(values if is_first else reversed(values)))
                    return Apply(arm.op, (other, chosen), dtype)
    return e


def _operands(e: Expression, op: str) -> list[Expression]:
    e = as_extreme(e)
    if isinstance(e, Apply) and e.op == op:
        return [operand for part in e.operands for operand in _operands(part, op)]
    return [e]


def _is_variable(term: Term) -> bool:
    return isinstance(term, Variable)
