"""Choices between values that are cheap to compute become selections, without a branch.

    if a[i] == b[j]: cost = 0                ->   cost = where(a[i] == b[j], 0, cost)
    if x[i] > 0: y[i] = x[i] else: y[i] = 0  ->   y[i] = where(x[i] > 0, x[i], 0)

A branch that data decides is often predicted wrong, which takes longer than both its arms, and it
keeps a loop out of vector lanes. Both arms are computed then, so nothing in them may fail: every
read is proved to stay inside its buffer without the condition.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.bounds import Bounds, unknowns_of
from ...ir.expressions import replace_expressions, select
from ...ir.graph import Module, map_kernels
from ...ir.op import OPS
from ...ir.tensor import (
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    If,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Table,
    Variable,
    has_control,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from .checks import is_refusing
from .rename import FreshNames

# What both arms together may cost, in cycles: in loops that stay as they are, where a branch that
# is predicted right takes less, and in those that may run in lanes then.
CHEAP, CHEAP_IN_LANES = 6.0, 60.0

# A variable, or an element as a Load.
Target = Variable | Load
# What an arm changes, and the values it gives.
Arm = dict[Target, Expression]


def select_values(module: Module) -> Module:
    """Replace choices in the loops of every Kernel by selections where that pays."""

    def change(kernel: Kernel) -> Kernel:
        if not has_control(kernel.body):
            return kernel
        bounds = Bounds((), unknowns=unknowns_of(kernel))
        selector = _Selector(FreshNames(kernel), _is_wanted)
        return kernel.replace(body=selector.body(kernel.body, bounds, None))

    return map_kernels(module, change)


def without_choices(loop: For, bounds: Bounds, names: FreshNames) -> For | None:
    """The loop with selections for all choices in it, as it may run in lanes; None where there are
    some for which that cannot be, or costs too much. `bounds` are known around it."""
    selector = _Selector(names, lambda then, orelse, _: _cost_of(then, orelse) <= CHEAP_IN_LANES)
    body = selector.body(loop.body, bounds.inside(loop), loop)
    return None if any(isinstance(s, If) for s in statements(body)) else loop.replace(body=body)


class _Selector:
    """Makes selections of the choices that are wanted so."""

    def __init__(self, names: FreshNames, is_wanted: Callable[[Arm, Arm, For], bool]):
        self.names, self.is_wanted = names, is_wanted

    def body(
        self, body: tuple[Statement, ...], bounds: Bounds, loop: For | None
    ) -> tuple[Statement, ...]:
        """The statements inside `loop`, with what is known there."""
        new: list[Statement] = []
        for statement in body:
            match statement:
                case For():
                    inner = self.body(statement.body, bounds.inside(statement), statement)
                    new.append(statement.replace(body=inner))
                case If(condition, then, orelse):
                    then = self.body(then, bounds.where(condition, True), loop)
                    orelse = self.body(orelse, bounds.where(condition, False), loop)
                    choice = If(condition, then, orelse)
                    new += self.selected(choice, bounds, loop) if loop is not None else [choice]
                case _:
                    if isinstance(statement, Let) and isinstance(statement.variable, Index):
                        bounds = bounds.naming(statement.variable, statement.value)
                    new.append(statement)
        return tuple(new)

    def selected(self, choice: If, bounds: Bounds, loop: For) -> list[Statement]:
        """What stands for a choice inside `loop`; itself, where that is better."""
        then, orelse = _outcome(choice.then), _outcome(choice.orelse)
        if then is None or orelse is None or not self.is_wanted(then, orelse, loop):
            return [choice]
        targets = list(dict.fromkeys((*then, *orelse)))
        places = [target for target in targets if isinstance(target, Load)]
        if len({place.buffer for place in places}) < len(places):
            return [choice]  # elements that may be one and the same
        if not all(_is_safe(e, bounds) for e in (*then.values(), *orelse.values(), *places)):
            return [choice]
        values = [
            select(choice.condition, then.get(target, target), orelse.get(target, target))
            for target in targets
        ]
        lets: list[Statement] = []
        if len(targets) > 1:  # all of them are computed before the first is changed
            new = [Variable(self.names.pick("chosen"), value.dtype) for value in values]
            lets, values = [Let(v, value) for v, value in zip(new, values)], new
        return [*lets, *[_changed(target, value) for target, value in zip(targets, values)]]


def _changed(target: Target, value: Expression) -> Statement:
    if isinstance(target, Variable):
        return Assign(target, value)
    return Store(target.buffer, target.indices, value)


def _outcome(body: tuple[Statement, ...]) -> Arm | None:
    """What an arm changes, to values in terms of what was before; None if it does more than that."""
    values: dict[Term, Expression] = {}
    own: set[Term] = set()
    stored: dict[Buffer, Load] = {}
    for statement in body:
        match statement:
            case Let(Variable() as target, value) | Assign(target, value):
                own |= {target} if isinstance(statement, Let) else set()
                indices: tuple[Expression, ...] = ()
            case Store(buffer, indices, value) if buffer.space != "register":
                target = buffer
            case _:
                return None
        variables = {v: e for v, e in values.items() if isinstance(v, Variable)}
        new = replace_expressions((*indices, value), variables)
        if any(not new[e].free.isdisjoint(stored) for e in (*indices, value)):
            return None  # read again after it was stored
        if isinstance(target, Buffer):
            place = Load(target, tuple([new[index] for index in indices]))
            if stored.setdefault(target, place) is not place:
                return None
            target = place
        values[target] = new[value]
    return {target: value for target, value in values.items() if target not in own}


def _cost_of(then: Arm, orelse: Arm) -> float:
    return sum(map(_cost, postorder([*then.values(), *orelse.values()], parts)))


def _is_wanted(then: Arm, orelse: Arm, loop: For) -> bool:
    """Whether selecting is better than a branch."""
    cost = _cost_of(then, orelse)
    if loop.mark == "serial":
        return cost <= CHEAP_IN_LANES
    # What the next iteration needs would wait for both arms, and a store for a read.
    own = _forgotten(loop)
    waits = any(isinstance(target, Variable) and target not in own for target in (*then, *orelse))
    stores = [{t for t in arm if isinstance(t, Load)} for arm in (then, orelse)]
    return cost <= CHEAP and not waits and stores[0] == stores[1]


def _forgotten(loop: For) -> set[Variable]:
    """The variables of an iteration that no variable of the next one is given."""
    inside = list(statements(loop.body))
    own = {s.variable for s in inside if isinstance(s, Let)}
    given = {
        t for s in inside if isinstance(s, Assign) and s.variable not in own for t in s.value.free
    }
    return own - given


def _cost(e: Expression) -> float:
    match e:
        case Apply(op):
            return OPS[op].cost if op in OPS else 1.0
        case Load() | Table():
            return 1.0
    return 0.0


def _is_safe(root: Expression, bounds: Bounds) -> bool:
    """Whether computing an expression cannot fail."""
    for e in postorder((root,), parts):
        match e:
            case Load(buffer, indices):
                pairs = zip(indices, buffer.type.shape)
                if not all(bounds.is_below(index, extent) for index, extent in pairs):
                    return False
            case Table(data, index):
                if not bounds.is_below(index, len(data)):
                    return False
        if is_refusing(e):
            return False
    return True
