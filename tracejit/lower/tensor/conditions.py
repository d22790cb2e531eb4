"""Conditions as they are meant: `and`, `or` and `not`, which a program has as choices.

t = p                        what Python's `p and q` evaluates, which looks at q only
if p: t = q          ->      where it must: p and q must both hold
"""

from __future__ import annotations

from ...ir.tensor import Apply, Expression, Literal
from ...ir.types import bool_


def conjuncts(condition: Expression, holds: bool = True) -> list[Expression]:
    """What all must hold for a condition to hold, or not to hold."""
    match condition:
        case Apply("logical_not", (inner,)):
            return conjuncts(inner, not holds)
        case Apply("logical_and", (p, q)) if holds:
            return [*conjuncts(p), *conjuncts(q)]
        case Apply("logical_or", (p, q)) if not holds:
            return [*conjuncts(p, False), *conjuncts(q, False)]
        case Apply("where", (p, a, b)) if condition.dtype is bool_:
            for arm, other, is_taken in ((a, b, True), (b, a, False)):
                # `arm` where p is `is_taken`; the other way is known not to do.
                if _fails(other, p, not is_taken, holds):
                    return [*conjuncts(p, is_taken), *conjuncts(arm, holds)]
    return [condition if holds else Apply("logical_not", (condition,), bool_)]


def _fails(arm: Expression, condition: Expression, given: bool, wanted: bool) -> bool:
    """Whether an arm, where a condition is as given, is certainly not as it is wanted."""
    while isinstance(condition, Apply) and condition.op == "logical_not":
        (condition,), given = condition.operands, not given
    while isinstance(arm, Apply) and arm.op == "logical_not":
        (arm,), wanted = arm.operands, not wanted
    if isinstance(arm, Literal):
        return arm.value is not wanted
    return arm is condition and given is not wanted
