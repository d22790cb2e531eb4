"""Loops that follow each other and read the same become one.

    for j: w[j] = f(x[j])          ->    for j: v = f(x[j])
    for j: s += w[j] * x[j]                     s += v * x[j]
    for j: t += w[j] * y[j]                     t += v * y[j]

The graph fuses what has one shape; the loops around kernels tell, when they have been put together,
what else runs over the same range. What one of them hands to the next stays in a register then.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.graph import Module, map_kernels
from ...ir.places import are_always_apart, are_apart, changed_in
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Assign,
    Buffer,
    For,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    bodies_of,
    expressions_of,
    has_control,
    loads_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from .checks import is_refusing
from .cost import trips
from .rename import FreshNames
from .substitute import substitute

# The most terms of expressions in a loop, and iterations of loops inside it.
MOST_TERMS, MOST_TRIPS = 64, 8


def merge_loops(module: Module) -> Module:
    """Merge neighbouring loops in every Kernel with control flow."""
    return map_kernels(module, lambda k: _Merger(k).run() if has_control(k.body) else k)


class _Merger:
    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)

    def run(self) -> Kernel:
        return without_unread(self.kernel.replace(body=self.body(self.kernel.body)))

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            statement = map_bodies(statement, self.body)
            merged = self.merged(new, statement) if isinstance(statement, For) else None
            new = [*new, statement] if merged is None else merged
        return tuple(new)

    def merged(self, before: list[Statement], loop: For) -> list[Statement] | None:
        """What comes before a loop, and it, with its statements in the loop before it."""
        places = [k for k, s in enumerate(before) if isinstance(s, For)]
        if not places:
            return None
        first, between = before[places[-1]], before[places[-1] + 1 :]
        if not _are_alike(first, loop):
            return None
        body = substitute(loop.body, {loop.index: first.index})
        loop = first.replace(body=body)
        sides = _moved(first, between, loop)
        if sides is None or not _may_join(first, loop):
            return None
        above, below = sides
        joined = first.replace(body=self.handed_on(first.body, body))
        return [*before[: places[-1]], *above, joined, *below]

    def handed_on(
        self, first: tuple[Statement, ...], second: tuple[Statement, ...]
    ) -> tuple[Statement, ...]:
        """Statements of two iterations, with what one stores for the other in a variable."""
        new: list[Statement] = []
        assigned = {s.variable for s in statements(first) if isinstance(s, Assign)}
        stored = [s.buffer for s in statements((*first, *second)) if isinstance(s, Store)]
        read = {load for load in loads_of(second) if stored.count(load.buffer) == 1}
        for statement in first:
            match statement:
                case Store(buffer, indices, value) if (place := Load(buffer, indices)) in read:
                    own = value
                    if not isinstance(value, Variable) or value in assigned:
                        own = Variable(self.names.pick(f"{buffer.name}_here"), value.dtype)
                        new.append(Let(own, value))
                    new.append(Store(buffer, indices, own))
                    second = substitute(second, {place: own})
                case _:
                    new.append(statement)
        return (*new, *second)


def _are_alike(first: For, second: For) -> bool:
    """Whether two loops run over one range, and are simple enough to be one."""
    if (first.start, first.stop) != (second.start, second.stop):
        return False
    if first.mark != "serial" or second.mark != "serial":
        return False
    declared = [_declared(loop.body) for loop in (first, second)]
    roots = [
        e for loop in (first, second) for s in statements(loop.body) for e in expressions_of(s)
    ]
    terms = postorder(roots, parts)
    return (
        declared[0].isdisjoint(declared[1])
        and all(map(_is_plain, (*first.body, *second.body)))
        and len(terms) <= MOST_TERMS
        and not any(map(is_refusing, terms))
    )


def _declared(body: Iterable[Statement]) -> set[str]:
    return {s.variable.name for s in statements(body) if isinstance(s, Let)}


def _is_plain(statement: Statement) -> bool:
    match statement:
        case For(_, _, _, body, "serial"):
            count = trips(statement)
            return count is not None and count <= MOST_TRIPS and all(map(_is_plain, body))
        case Let(Variable()) | Assign() | Accumulate(Variable()):
            return True
        case Store(buffer):
            return buffer.space != "register"
    return False


def _moved(
    first: For, between: list[Statement], second: For
) -> tuple[list[Statement], list[Statement]] | None:
    """The statements between two loops that may come before both, and after both."""
    above: list[Statement] = []
    below: list[Statement] = []
    for statement in between:
        if not isinstance(statement, Let | Assign | Allocate):
            return None
        if _commute(statement, (first, *below)):
            above.append(statement)
        elif _commute(statement, (second,)):
            below.append(statement)
        else:
            return None
    return above, below


def _commute(statement: Statement, others: Iterable[Statement]) -> bool:
    """Whether neither changes what the other one reads or changes."""
    others = tuple(others)
    own, theirs = changed_in((statement,)), changed_in(others)
    return own.isdisjoint(theirs | _read(others)) and theirs.isdisjoint(_read((statement,)))


def _read(body: Iterable[Statement]) -> set[Term]:
    return {t for s in statements(body) for e in expressions_of(s) for t in e.free}


def _may_join(first: For, second: For) -> bool:
    """Whether iterations may run in turn, and something is read once instead of twice then."""
    changed = [
        {t for t in changed_in(loop.body) if isinstance(t, Variable)} for loop in (first, second)
    ]
    if not (changed[0].isdisjoint(_read((second,))) and changed[1].isdisjoint(_read((first,)))):
        return False
    if not changed[0].isdisjoint(changed[1]):
        return False
    stores = [
        [_place(s) for s in statements(x.body) if isinstance(s, Store)] for x in (first, second)
    ]
    loads = [loads_of((x,)) for x in (first, second)]
    pairs = [
        *[(a, b) for a in stores[0] for b in (*stores[1], *loads[1])],
        *[(a, b) for a in stores[1] for b in loads[0]],
    ]
    for a, b in pairs:
        if a.buffer is b.buffer and not _is_in_turn(first, a, b):
            return False
    return not {*loads[1]}.isdisjoint((*loads[0], *stores[0]))


def _place(store: Store) -> Load:
    return Load(store.buffer, store.indices)


def _is_in_turn(loop: For, a: Load, b: Load) -> bool:
    """Whether no iteration uses as `a` what another one uses as `b`."""
    if a.indices == b.indices:
        return are_apart(loop, a.indices)
    return are_always_apart((loop,), a.indices, b.indices)


def without_unread(kernel: Kernel) -> Kernel:
    """The kernel without local memory that nobody reads, and what is stored there."""
    local = [s.buffer for s in statements(kernel.body) if isinstance(s, Allocate)]
    named: set[Term] = _read(kernel.body)
    for statement in statements(kernel.body):
        match statement:
            case Let() | Assign() | Allocate() | Store() | For():
                continue
        named |= changed_in((statement,))
    unread: set[Buffer] = {b for b in local if b.space == "local"} - named
    if not unread:
        return kernel

    def body(inside: tuple[Statement, ...]) -> tuple[Statement, ...]:
        kept = [s for s in inside if not (isinstance(s, Allocate | Store) and s.buffer in unread)]
        changed = [(s, map_bodies(s, body)) for s in kept]
        return tuple([new for s, new in changed if new is s or any(bodies_of(new))])

    return kernel.replace(body=body(kernel.body))
