"""Short loops whose indices all lie inside run without checks of these, and without asking for signals.

    for i in ordered(0, m):                   if seldom(not (m <= 25000 and 0 <= k and k + m - 1 < n)):
        s = s + x[checked_index(k + i, n)]        for i in ordered(0, m): s = s + x[checked_index(k + i, n)]
                                       ->     else:
                                                  for i in ordered(0, m): s = s + x[k + i]

An index that is a sum of the loop's and of what stays the same is inside all the time if it is in the first
iteration and in the last. The loop is there twice; which one runs is asked once. What the first one stands
for, a loop that is long or leaves an array, is done as slowly as before.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import expressions
from ...ir.affine import linear
from ...ir.bounds import Bounds, unknowns_of
from ...ir.expressions import integer
from ...ir.graph import Module, map_kernels
from ...ir.places import changed_in
from ...ir.tensor import (
    ONE,
    ZERO,
    Allocate,
    Apply,
    Expression,
    Extern,
    For,
    If,
    Index,
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
from ...ir.term import postorder
from ...ir.types import bool_
from .checks import is_check, is_refusing
from .interrupt import Polls
from .substitute import substitute

# The most terms of a body that is there twice, and the most comparisons that tell which one runs.
MOST_TERMS, MOST_QUESTIONS = 100, 8


def version_loops(module: Module, vector_bytes: int = 32) -> Module:
    """Give the innermost loops of every Kernel a version without checks that may be needless."""

    def change(kernel: Kernel) -> Kernel:
        if not has_control(kernel.body):
            return kernel
        bounds = Bounds((), unknowns=unknowns_of(kernel))
        return kernel.replace(body=_Versions(Polls(kernel, vector_bytes)).body(kernel.body, bounds))

    return map_kernels(module, change)


class _Check(NamedTuple):
    """A check of an index that is `scale` times the loop's and something else."""

    check: Expression
    index: Expression
    extent: Expression
    scale: int


class _Versions:
    def __init__(self, polls: Polls):
        self.polls = polls

    def body(self, body: tuple[Statement, ...], bounds: Bounds) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            match statement:
                case For() if statement.mark in ("vector", "unroll"):
                    pass
                case For() if any(isinstance(s, For | Extern) for s in statements(statement.body)):
                    inside = self.body(statement.body, bounds.inside(statement))
                    statement = statement.replace(body=inside)
                case For() if statement.mark in ("serial", "ordered"):
                    statement = self.loop(statement, bounds)
                case Let(Index() as index, value):
                    bounds = bounds.naming(index, value)
                case _:
                    statement = map_bodies(statement, lambda inner: self.body(inner, bounds))
            new.append(statement)
        return tuple(new)

    def loop(self, loop: For, bounds: Bounds) -> Statement:
        """The loop, or a choice between it and one without checks."""
        if not isinstance(loop.start, Literal) or loop.stop is expressions.ENDLESS:
            return loop
        roots = [e for s in statements(loop.body) for e in expressions_of(s)]
        terms = postorder(roots, parts)
        is_short, most = self.polls.shortness(loop, bounds)
        checks = _checks(loop, terms) if any(map(is_check, terms)) else []
        if len(terms) > MOST_TERMS or most < 2 or is_short and not checks:
            return loop
        asked = [] if is_short else [expressions.compare("less_equal", loop.stop, integer(most))]
        asked += _questions(loop, checks, bounds)
        if not asked or len(asked) > MOST_QUESTIONS:
            return loop
        fast = loop.replace(body=substitute(loop.body, {c.check: c.index for c in checks}))
        condition = asked[0]
        for question in asked[1:]:
            condition = Apply("logical_and", (condition, question), bool_)
        is_other = expressions.seldom(Apply("logical_not", (condition,), bool_))
        return If(is_other, (loop,), (fast,))


def _checks(loop: For, terms: list[Expression]) -> list[_Check]:
    """The checks in a loop that the first and the last iteration decide."""
    changed = changed_in(loop.body)
    changed |= {s.variable for s in statements(loop.body) if isinstance(s, Let)}
    changed |= {s.buffer for s in statements(loop.body) if isinstance(s, Allocate)}
    found = []
    for e in terms:
        if (
            not is_check(e)
            or e.op != "checked_index"
            or any(map(is_refusing, postorder(e.operands, parts)))
        ):
            continue
        index, extent = e.operands[:2]
        atoms, _ = linear(index)
        scale = atoms.pop(loop.index, 0)
        stays = all(isinstance(atom, Index | Variable) for atom in atoms)
        free = frozenset().union(extent.free, *[atom.free for atom in atoms])
        if stays and abs(scale) <= 1 and free.isdisjoint(changed) and loop.index not in free:
            found.append(_Check(e, index, extent, scale))
    return found


def _questions(loop: For, checks: list[_Check], bounds: Bounds) -> list[Expression]:
    """What must hold for all of these to be needless, of what is not certain.

    A sum that wraps around on the way from the least index to the greatest, which is not far, ends below zero.
    """
    asked: dict[Expression, None] = {}
    inside, last = bounds.inside(loop), expressions.subtract(loop.stop, ONE)
    for check in checks:
        first, end = [_substituted(check.index, loop.index, at) for at in (loop.start, last)]
        least, most = (first, end) if check.scale >= 0 else (end, first)
        highest = expressions.subtract(check.extent, ONE)
        if not inside.is_nonnegative(check.index):
            asked[expressions.compare("greater_equal", least, ZERO)] = None
            asked[expressions.compare("greater_equal", most, ZERO)] = None
        if not inside.is_nonnegative(expressions.subtract(highest, check.index)):
            asked[expressions.compare("less_equal", most, highest)] = None
    return list(asked)


def _substituted(e: Expression, index: Index, value: Expression) -> Expression:
    return expressions.replace_expressions((e,), {index: value})[e]
