"""Sums, products, extremes and counts that a loop carries in scalars become Accumulates.

    s = s + x[i] * y[i]           ->   s += x[i] * y[i]
    n = where(x[i] > 0, n + 1, n) ->   n += where(x[i] > 0, 1, 0)

An Accumulate may come in any order, so that the loop may run in lanes and by threads. Integers, bits
and conditions come out the same; sums and extremes of floats (whose zeros have signs) only where
the caller says that they may be rounded in another order.

Choices that change what a loop carries become selections where the loop is a reduction then.

A running best is found in two steps, of which each may run in lanes: the best of all, and its place.

    if x[i] > best: best, k = x[i], i   ->   most = max(x); if most > best: first i where x[i] == most
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import expressions
from ...ir.bounds import Bounds, unknowns_of
from ...ir.expressions import replace_expressions, select
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Break,
    Expression,
    For,
    If,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Variable,
    expressions_of,
    has_control,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from ...ir.types import i64
from .checks import is_refusing
from .conditions import conjuncts
from .latency import as_extreme
from .rename import FreshNames
from .select import without_choices
from .walk import exchange_bounded_loops

EXACT = ("add", "multiply", "minimum", "maximum", "bitwise_or", "bitwise_xor")
LOGICAL = ("logical_or", "logical_and", "logical_xor")
# The most terms of a value of which the best is wanted: it is computed twice.
MOST_TERMS = 8


def find_reductions(module: Module, reorders: bool = True) -> Module:
    """The same module with the reductions of its ordered loops as Accumulates.

    `reorders`: sums and extremes of floats may come in another order.
    """

    def change(kernel: Kernel) -> Kernel:
        return _Finder(kernel, reorders).run() if has_control(kernel.body) else kernel

    return map_kernels(module, change)


class _Finder:
    def __init__(self, kernel: Kernel, reorders: bool):
        self.kernel, self.reorders = kernel, reorders
        self.names = FreshNames(kernel)

    def run(self) -> Kernel:
        bounds = Bounds((), unknowns=unknowns_of(self.kernel))
        body = exchange_bounded_loops(self.kernel.body, bounds, self.loop)
        return self.kernel.replace(body=body)

    def loop(self, loop: For, bounds: Bounds) -> list[Statement]:
        """What a loop becomes."""
        if _is_carrying(loop):
            loop = self.accumulating(loop)
            best = _best_of(loop)
            if best is not None:
                return self.searched(loop, best)
            selecting = self.without_choices(loop, bounds)
            if selecting is not None:
                best = _best_of(selecting)
                return [selecting] if best is None else self.searched(selecting, best)
        inside = exchange_bounded_loops(loop.body, bounds.inside(loop), self.loop)
        return [loop.replace(body=inside)]

    def without_choices(self, loop: For, bounds: Bounds) -> For | None:
        """A loop whose choices keep it from being no more than a reduction, as one."""
        inside = list(statements(loop.body))
        carried = set(carried_by(loop))
        decided = [_assigned(s) for s in inside if isinstance(s, If)]
        if any(isinstance(s, For) for s in inside) or all(map(carried.isdisjoint, decided)):
            return None
        roots = [e for s in inside for e in expressions_of(s)]
        if any(map(is_refusing, postorder(roots, parts))):
            return None
        selecting = without_choices(loop, bounds, self.names)
        final = None if selecting is None else _final_values(selecting)
        if not final:
            return None
        selecting = self.accumulating(selecting.replace(body=self.settled(selecting, final)))
        is_reduction = not carried_by(selecting) or _best_of(selecting) is not None
        return selecting if is_reduction else None

    def settled(self, loop: For, final: dict[Variable, Expression]) -> tuple[Statement, ...]:
        """The body of a loop that only computes values, which leaves these in what it carries."""
        sums = [s for s in loop.body if isinstance(s, Accumulate)]
        final = _plainly(final)
        if all(final.keys() & value.free <= {v} for v, value in final.items()):
            return (*sums, *[Assign(variable, value) for variable, value in final.items()])
        new = {v: Variable(self.names.pick(f"{v.name}_new"), v.dtype) for v in final}
        lets = [Let(new[v], value) for v, value in final.items()]
        return (*sums, *lets, *[Assign(v, new[v]) for v in final])

    def accumulating(self, loop: For) -> For:
        """The loop, outermost first, with Accumulates of what is only accumulated in it."""
        for variable in carried_by(loop):
            terms = {
                s: _term(variable, s.value)
                for s in statements(loop.body)
                if isinstance(s, Assign) and s.variable is variable
            }
            ops = {term.op if term else None for term in terms.values()}
            ops |= _accumulated(loop, variable)
            op = ops.pop()
            if ops or op is None or not self.is_allowed(op, variable):
                continue
            if is_read(loop, variable, besides=terms):
                continue
            new = {s: Accumulate(variable, op, term.value) for s, term in terms.items()}
            loop = loop.replace(body=_exchanged(loop.body, new))
        return loop

    def is_allowed(self, op: str, variable: Variable) -> bool:
        dtype = variable.dtype
        if dtype.is_integer or dtype.kind == "b":
            return op in EXACT + LOGICAL
        return self.reorders and op in EXACT

    def searched(self, loop: For, best: _Best) -> list[Statement]:
        """The best of all, and then where it was first."""
        value, dtype = best.value, best.variable.dtype
        op = "maximum" if best.comparison == "greater" else "minimum"
        nothing = Literal(expressions.identity(op, dtype), dtype)
        found = Variable(self.names.pick("found"), dtype)
        place = Variable(self.names.pick("place"), i64)
        is_better = expressions.compare(best.comparison, value, best.variable)
        sums = tuple([s for s in loop.body if isinstance(s, Accumulate)])
        first = Accumulate(found, op, select(is_better, value, nothing))
        here = select(expressions.compare("equal", value, found), loop.index, expressions.ENDLESS)
        second = Accumulate(place, "minimum", here)
        at = {loop.index: place}
        results = {best.variable: value, **best.others}
        moved = replace_expressions(results.values(), at)
        # What belongs to the best is changed last, as the others may not be told from it.
        changes = [Assign(v, moved[e]) for v, e in reversed(results.items())]
        improved = (
            Let(place, expressions.ENDLESS),
            loop.replace(body=(second,)),
            *changes,
        )
        return [
            Let(found, nothing),
            loop.replace(body=(first, *sums)),
            If(expressions.compare(best.comparison, found, best.variable), improved, ()),
        ]


def _assigned(choice: If) -> set[Variable]:
    inside = statements((*choice.then, *choice.orelse))
    return {s.variable for s in inside if isinstance(s, Assign)}


def _is_carrying(loop: For) -> bool:
    ends = bool(loop.body) and isinstance(loop.body[-1], Break)
    return loop.mark == "ordered" and not ends and bool(carried_by(loop))


def carried_by(loop: For) -> list[Variable]:
    """The variables that one iteration leaves to the next."""
    own = {s.variable for s in statements(loop.body) if isinstance(s, Let)}
    assigned = [s.variable for s in statements(loop.body) if isinstance(s, Assign)]
    return [v for v in dict.fromkeys(assigned) if v not in own]


def _accumulated(loop: For, variable: Variable) -> set[str]:
    """The ops by which a loop accumulates into a variable already."""
    found = [s for s in statements(loop.body) if isinstance(s, Accumulate)]
    return {s.op for s in found if s.target is variable}


def is_read(loop: For, variable: Variable, besides: object = ()) -> bool:
    """Whether statements in the loop, besides some, read a variable."""
    others = [s for s in statements(loop.body) if s not in besides]
    return any(variable in e.free for s in others for e in expressions_of(s))


def _exchanged(
    body: tuple[Statement, ...], new: dict[Statement, Statement]
) -> tuple[Statement, ...]:
    return tuple([map_bodies(new.get(s, s), lambda inner: _exchanged(inner, new)) for s in body])


class _Term(NamedTuple):
    """What is combined with a variable, and how."""

    op: str
    value: Expression


# What is known of the parts of a value that hold the variable.
_Terms = dict[Expression, _Term | None]


def _term(variable: Variable, value: Expression) -> _Term | None:
    """What a new value of a variable combines with the old one, if it is no more than that.

    Each part is looked at once, however many choices share it, those inside first.
    """
    known: _Terms = {}
    for e in postorder((value,), lambda e: [part for part in parts(e) if variable in part.free]):
        known[e] = _combined(variable, e, known)
    return known[value]


def _combined(variable: Variable, e: Expression, known: _Terms) -> _Term | None:
    """The same for one part of a value, whose own parts are known."""
    match as_extreme(e):
        case Apply("where", (condition, a, b)):
            return _chosen_term(variable, condition, a, b, known)
        case Apply("subtract", (a, b), dtype) if variable not in b.free:
            return _joined(variable, "add", a, Apply("negative", (b,), dtype), known)
        case Apply("fma", (x, y, rest), dtype):
            if variable not in x.free | y.free:
                return _joined(variable, "add", rest, Apply("multiply", (x, y), dtype), known)
        case Apply(op, (a, b)) if op in EXACT + LOGICAL:
            if variable not in b.free:
                return _joined(variable, op, a, b, known)
            if variable not in a.free:
                return _joined(variable, op, b, a, known)
    return None


def _joined(
    variable: Variable, op: str, old: Expression, value: Expression, known: _Terms
) -> _Term | None:
    """`old` is the variable, or it combined with more."""
    if old is variable:
        return _Term(op, value)
    term = known.get(old)
    if term is None or term.op != op:
        return None
    return _Term(op, Apply(op, (term.value, value), value.dtype))


def _chosen_term(
    variable: Variable, condition: Expression, a: Expression, b: Expression, known: _Terms
) -> _Term | None:
    """Where a condition holds `a`, else `b`: each the variable, or it combined with more."""
    is_logical = variable.dtype.kind == "b"
    if condition is variable and is_logical:
        if a is variable and variable not in b.free:
            return _Term("logical_or", b)
        if b is variable and variable not in a.free:
            return _Term("logical_and", a)
    if variable in condition.free:
        return None
    if is_logical:
        found = _set_or_cleared(variable, condition, a, b)
        if found is not None:
            return found
    terms = [None if arm is variable else known.get(arm) for arm in (a, b)]
    op = next((term.op for term in terms if term is not None), None)
    if op is None or any(t is None and arm is not variable for t, arm in zip(terms, (a, b))):
        return None
    if any(term is not None and term.op != op for term in terms):
        return None
    nothing = Literal(expressions.identity(op, variable.dtype), variable.dtype)
    values = [nothing if term is None else term.value for term in terms]
    return _Term(op, select(condition, *values))


def _set_or_cleared(
    variable: Variable, condition: Expression, a: Expression, b: Expression
) -> _Term | None:
    negated = Apply("logical_not", (condition,), condition.dtype)
    for arm, other, holds, fails in ((a, b, condition, negated), (b, a, negated, condition)):
        if other is variable and isinstance(arm, Literal):
            return _Term("logical_or", holds) if arm.value else _Term("logical_and", fails)
    return None


class _Best(NamedTuple):
    """A variable that becomes `value` where that compares so with it, and others that change then."""

    variable: Variable
    comparison: str
    value: Expression
    others: dict[Variable, Expression]


def _best_of(loop: For) -> _Best | None:
    """The running best that a loop looks for, if it does nothing else but accumulate."""
    final = _final_values(loop)
    if final is None or not final:
        return None
    carried = set(final)
    for variable, new in final.items():
        match new:
            case Apply("where", (condition, value, old)) if old is variable:
                comparison = _compared(condition, value, variable)
            case _:
                continue
        if comparison is None or not carried.isdisjoint(value.free):
            continue
        others = {v: _replacing(v, e, condition) for v, e in final.items() if v is not variable}
        found = [value, *[e for e in others.values() if e is not None]]
        free = {term for e in found for term in e.free}
        if len(found) == len(final) and carried.isdisjoint(free) and _is_simple(loop, value):
            return _Best(variable, comparison, value, others)
    return None


def _final_values(loop: For) -> dict[Variable, Expression] | None:
    """What an iteration leaves in what is carried, in terms of what was before it; None if it does
    more than to compute values."""
    values: dict[Term, Expression] = {}
    carried = carried_by(loop)
    for statement in loop.body:
        match statement:
            case Let(Variable() as target, value) | Assign(target, value):
                values[target] = replace_expressions((value,), values)[value]
            case Accumulate(Variable() as target, _, value) if target not in carried:
                if not value.free.isdisjoint((*carried, *values)):
                    return None
            case _:
                return None
    return {variable: values[variable] for variable in carried}


def _plainly(final: dict[Variable, Expression]) -> dict[Variable, Expression]:
    """What is left in carried variables, in which a best is one among all.

    Where something else must hold for a value to be the best, it is the worst of all if that fails.
    """
    decided = {variable: _decided(variable, value) for variable, value in final.items()}
    for variable, (needed, value) in decided.items():
        own = [c for c in needed if variable in c.free]
        comparison = _compared(own[0], value, variable) if len(own) == 1 else None
        if comparison is None or variable in value.free:
            continue
        op = "maximum" if comparison == "greater" else "minimum"
        worst = Literal(expressions.identity(op, variable.dtype), variable.dtype)
        for other in needed:
            value = value if other is own[0] else select(other, value, worst)
        is_better = expressions.compare(comparison, value, variable)
        new = {
            v: select(is_better, changed, v) if conditions == needed else final[v]
            for v, (conditions, changed) in decided.items()
        }
        return {**new, variable: select(is_better, value, variable)}
    return final


def _decided(variable: Variable, e: Expression) -> tuple[list[Expression], Expression]:
    """What all must hold for a variable to be changed, and what it is then."""
    needed: list[Expression] = []
    while True:
        match e:
            case Apply("where", (condition, a, b)) if variable in (a, b) and a is not b:
                needed += conjuncts(condition, b is variable)
                e = a if b is variable else b
            case _:
                return needed, e


def _compared(condition: Expression, value: Expression, variable: Variable) -> str | None:
    match condition:
        case Apply("less" | "greater" as op, (a, b)):
            if (a, b) == (value, variable):
                return op
            if (a, b) == (variable, value):
                return "less" if op == "greater" else "greater"
    return None


def _replacing(variable: Variable, e: Expression, condition: Expression) -> Expression | None:
    match e:
        case Apply("where", (own, value, old)) if own is condition and old is variable:
            return value
    return None


def _is_simple(loop: For, value: Expression) -> bool:
    """Whether a value is quickly computed once more, and where that is told by the index alone."""
    terms = postorder((value,), parts)
    reads = [e for e in terms if isinstance(e, Load) and loop.index in e.free]
    return bool(reads) and len(terms) <= MOST_TERMS
