"""What a loop leaves in variables where a Break ends it, and what it goes on with.

    ends = x[i] > most
    found = where(ends, i, found)
    if ends: break

The selection is made by the branch that the Break is: `found` is `i` where the loop is left there, and what
it was where it goes on, so that it need not be carried from one iteration to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...ir.tensor import Apply, Assign, Break, Expression, Statement, Variable, expressions_of
from ..tensor.nest import asked


class Tail(NamedTuple):
    """The assignments before a Break, from `start` on.

    `selected`: by number, what one gives where the loop ends and where it goes on. `flags`: what variables
    that say so are where it ends.
    """

    start: int
    selected: dict[int, tuple[Expression, Expression]]
    flags: dict[Variable, bool]


def choices_of_leaving(body: Sequence[Statement]) -> Tail | None:
    """What the last assignments of a loop's body select by the condition of its Break, if it has one."""
    if not body or not isinstance(body[-1], Break):
        return None
    condition, holds = asked(body[-1].condition)
    # What holds where the loop ends, or does not, at the place that is looked at.
    known = {condition: holds}
    selected: dict[int, tuple[Expression, Expression]] = {}
    later = {condition} if isinstance(condition, Variable) else set()
    flags = {condition: holds} if isinstance(condition, Variable) else {}
    number = len(body) - 1
    while number > 0 and isinstance(body[number - 1], Assign):
        statement = body[number - 1]
        variable, value = statement.variable, statement.value
        if any(variable in e.free and e is not variable for e in known):
            break  # the condition is made of it
        what, wanted = asked(value)
        if variable in known:
            holds = known.pop(variable)
            known[what] = holds is wanted
            if isinstance(what, Variable):
                flags.setdefault(what, holds is wanted)
        elif variable not in later and isinstance(value, Apply) and value.op == "where":
            which, wanted = asked(value.operands[0])
            if which in known:
                arms = value.operands[1:]
                selected[number - 1] = arms if known[which] is wanted else arms[::-1]
        later |= {variable, *[t for e in expressions_of(statement) for t in e.free]}
        number -= 1
    return Tail(number, selected, flags) if selected or flags else None
