"""Vector loops whose last vector may begin early and compute some elements a second time."""

from __future__ import annotations

from ...ir.op import OPS
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Call,
    Expression,
    Extern,
    For,
    Let,
    Load,
    Store,
    expressions_of,
    parts,
    statements,
)

# Multiply-adds from which on a second copy of a body costs LLVM more than it gains.
LONG = 12.0


def _subexpressions(loop: For) -> dict[Expression, None]:
    seen: dict[Expression, None] = {}
    pending = [e for statement in statements(loop.body) for e in expressions_of(statement)]
    while pending:
        top = pending.pop()
        if top not in seen:
            seen[top] = None
            pending.extend(parts(top))
    return seen


def is_long(loop: For) -> bool:
    """Whether a body is so long that its code should not be there twice."""
    applied = [e for e in _subexpressions(loop) if isinstance(e, Apply)]
    return sum(OPS[e.op].cost if e.op in OPS else 1.0 for e in applied) >= LONG


def is_repeatable(loop: For) -> bool:
    """Whether an iteration may run twice: it changes nothing that iterations read."""
    inside = {s.variable for s in statements(loop.body) if isinstance(s, Let)}
    stored = set()
    for statement in statements(loop.body):
        match statement:
            case Call() | Allocate() | Extern():
                return False
            case Accumulate(target, _, _) if target not in inside:
                return False
            case Assign(variable, _) if variable not in inside:
                return False
            case Store(buffer, _, _):
                stored.add(buffer)
    return not any(isinstance(e, Load) and e.buffer in stored for e in _subexpressions(loop))
