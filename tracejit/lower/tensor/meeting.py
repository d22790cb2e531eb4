"""A loop that reads one element throughout, which one of its own iterations changes, is split there.

    for j: d[i, j] = min(d[i, j], d[i, k] + d[k, j])
                                      ->   through = d[i, k]
                                           for j in range(0, k): d[i, j] = min(..., through + d[k, j])
                                           the iteration k, as it is
                                           through = d[i, k]
                                           for j in range(k + 1, n): ...

Every iteration of the parts writes elements of its own and reads none that another one writes, so they
may run in lanes. Where bounds show that no iteration comes to the element, it is read before and
there is one part.
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
    Expression,
    For,
    If,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    has_control,
    loads_of,
    statements,
)
from .hold import is_inside
from .independent import is_independent
from .rename import FreshNames, Renaming
from .substitute import substitute
from .walk import exchange_bounded_loops


def split_at_reads(module: Module) -> Module:
    """Split the innermost ordered loops of every Kernel that are independent before and after."""
    return map_kernels(module, lambda k: _Splitter(k).run() if has_control(k.body) else k)


class _Meeting(NamedTuple):
    """What a loop reads in all of its iterations, and in which one it is changed."""

    loads: tuple[Load, ...]
    iteration: Expression


class _Splitter:
    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)

    def run(self) -> Kernel:
        bounds = Bounds((), unknowns=unknowns_of(self.kernel))
        body = exchange_bounded_loops(self.kernel.body, bounds, self.loop)
        return self.kernel.replace(body=body)

    def loop(self, loop: For, bounds: Bounds) -> tuple[Statement, ...]:
        """The loop, or its parts; of nests the innermost ones."""
        if any(isinstance(s, For) for s in statements(loop.body)):
            inside = exchange_bounded_loops(loop.body, bounds.inside(loop), self.loop)
            return (loop.replace(body=inside),)
        if loop.mark != "ordered" or loop.stop is expressions.ENDLESS:
            return (loop,)
        meeting = _meeting(loop, bounds)
        if meeting is None or is_independent(loop):
            return (loop,)
        first = self.part(loop, meeting)
        if not is_independent(first[-1]):
            return (loop,)
        at = meeting.iteration
        before = expressions.subtract(expressions.subtract(loop.start, at), ONE)
        if bounds.is_nonnegative(before) or bounds.is_nonnegative(
            expressions.subtract(at, loop.stop)
        ):
            return first
        *lets, part = first
        ends, later = expressions.minimum(at, loop.stop), expressions.add(at, ONE)
        if bounds.is_nonnegative(expressions.subtract(loop.stop, at)):
            ends = at
        if not bounds.is_nonnegative(expressions.subtract(later, loop.start)):
            later = expressions.maximum(later, loop.start)
        return (
            *lets,
            part.replace(stop=ends),
            *self.iteration(loop, at, bounds),
            *self.part(loop.replace(start=later), meeting),
        )

    def iteration(self, loop: For, at: Expression, bounds: Bounds) -> tuple[Statement, ...]:
        """One iteration as it is, if it is one of the loop's."""
        same = substitute(loop.body, {loop.index: at})
        body: tuple[Statement, ...] = Renaming(self.names.of_body(same)).body(same)
        last = expressions.subtract(loop.stop, ONE)
        for low, high in ((loop.start, at), (at, last)):
            if not bounds.is_nonnegative(expressions.subtract(high, low)):
                body = (If(expressions.compare("less_equal", low, high), body, ()),)
        return body

    def part(self, loop: For, meeting: _Meeting) -> tuple[Statement, ...]:
        """The loop, with what is read in all iterations read before."""
        named = {
            load: Variable(self.names.pick("through"), load.buffer.type.dtype)
            for load in meeting.loads
        }
        body = substitute(loop.body, named)
        body = Renaming(self.names.of_body(body)).body(body)
        return (*[Let(v, load) for load, v in named.items()], loop.replace(body=body))


def _meeting(loop: For, bounds: Bounds) -> _Meeting | None:
    """The elements that are read in every iteration of a loop and changed in one, if that is the same for
    all of them; `bounds` are known around it."""
    places: dict[object, list[tuple[Expression, ...]]] = {}
    for statement in statements(loop.body):
        if isinstance(statement, Store):
            places.setdefault(statement.buffer, []).append(statement.indices)
    changed = changed_in((loop,))
    found: dict[Load, None] = {}
    iterations: set[tuple] = set()
    for load in loads_of(loop.body):
        free = frozenset().union(*[index.free for index in load.indices])
        if load.buffer not in places or load.buffer.space == "register":
            continue
        if not all(isinstance(term, Index) and term not in changed for term in free):
            continue
        if not is_inside(load.buffer, load.indices, bounds):
            return None
        for stored in places[load.buffer]:
            at = _iteration(loop, stored, load.indices)
            if at is None:
                return None
            atoms, constant = linear(at)
            iterations.add((frozenset(atoms.items()), constant))
        found[load] = None
    return _Meeting(tuple(found), at) if len(iterations) == 1 else None


def _iteration(
    loop: For, stored: tuple[Expression, ...], read: tuple[Expression, ...]
) -> Expression | None:
    """The one iteration that may store in a place that stays the same."""
    for own, other in zip(stored, read):
        atoms, constant = linear(own)
        scale = atoms.pop(loop.index, 0)
        if abs(scale) != 1 or any(loop.index in atom.free for atom in atoms):
            continue
        if not all(isinstance(term, Index) for term in own.free):
            continue
        difference = expressions.subtract(other, integer(constant))
        for atom, factor in atoms.items():
            moved = expressions.multiply(atom, integer(factor))
            difference = expressions.subtract(difference, moved)
        return difference if scale == 1 else expressions.multiply(difference, integer(-1))
    return None
