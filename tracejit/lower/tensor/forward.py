"""Values that wait in memory for the loop that uses them are computed there instead.

    for a in range(n): t[a] = x[a] * y[k]        ->   for b in range(n): x[b] = 1 + x[b] * y[k]
    for b in range(n): x[b] = 1 + t[b]

NumPy evaluates all of a right-hand side before it writes any of it, and so does a graph: where the
values read what is written, they are stored first. Inside a loop, indices tell what the graph could
not: that what is read is never written before, and the memory is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir.affine import linear
from ...ir.expressions import replace_expressions, with_parts
from ...ir.graph import Module, map_kernels
from ...ir.places import are_always_apart, changed_in, never_meet
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Index,
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
from .rename import Renaming
from .substitute import substitute


def forward_values(module: Module) -> Module:
    """The same module, in which kernels with control flow keep fewer values in memory."""
    return map_kernels(module, lambda k: _change(k) if has_control(k.body) else k)


def _change(kernel: Kernel) -> Kernel:
    return kernel.replace(body=_body(kernel.body))


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    body = _reusing(tuple([map_bodies(statement, _body) for statement in body]))
    for statement in body:
        if isinstance(statement, Allocate) and statement.buffer.space == "local":
            body = _without(body, statement.buffer) or body
    return body


def _reusing(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements with variables in place of what was computed for them already."""
    new, reuse = [], _Reuse()
    for statement in body:
        reuse.forget_changed(statement)
        statement = reuse.statement(statement) if reuse.known else statement
        new.append(statement)
        if isinstance(statement, Assign) and isinstance(statement.value, Apply):
            variable, value = statement.variable, statement.value
            if variable not in value.free and any(isinstance(t, Buffer) for t in value.free):
                reuse.known.setdefault(value, variable)
    return tuple(new)


class _Reuse(Renaming):
    """Statements with variables in place of the values that these are known to have."""

    def __init__(self) -> None:
        super().__init__({})
        self.known: dict[Term, Variable] = {}

    def forget_changed(self, statement: Statement) -> None:
        """Forget the values that a statement may change, and those of variables that it sets."""
        changed = changed_in((statement,))
        for value, variable in list(self.known.items()):
            # Most statements have nothing to do with a value, which is seen at once.
            if variable in changed or (
                not changed.isdisjoint(value.free) and _writes((statement,), value, (statement,))
            ):
                del self.known[value]

    def expressions(self, roots: tuple[Expression, ...]) -> list[Expression]:
        """All values at once: what is made of a variable may be the value of another one."""
        new: dict[Term, Expression] = {}
        for e in postorder(roots, parts):
            found = with_parts(e, new)
            new[e] = self.known.get(found, found)
        return [new[root] for root in roots]


class _Use(NamedTuple):
    """Where a buffer is read: the statement, its number in the body, and the loops around it there."""

    number: int
    statement: Statement
    load: Load
    loops: tuple[For, ...]


def _without(body: tuple[Statement, ...], buffer: Buffer) -> tuple[Statement, ...] | None:
    """The statements without this buffer in memory; None where it is needed."""
    made = [number for number, statement in enumerate(body) if _is_used(statement, buffer)]
    if not made:
        return None
    number = made[0]
    found = _producer(body[number], buffer)
    if found is None:
        return None
    loops, store, rest = found
    uses = _uses(body, number + 1, buffer)
    if uses is None or not _is_worth(store, uses):
        return None
    if any(map(is_refusing, postorder((store.value,), parts))):
        if not all(_is_all_computed(loops, store, use) for use in uses):
            return None
    new: dict[Term, Expression] = {}
    later = ((rest,) if rest else ()) + body[number + 1 :]
    for use in uses:
        places = dict(zip(store.indices, use.load.indices))
        new[use.load] = replace_expressions((store.value,), places)[store.value]
        before = later[: len(later) - len(body) + use.number]
        if not _is_safe(store.value, new[use.load], use, before, body[use.number]):
            return None
    kept = [s for s in body[:number] if not isinstance(s, Allocate) or s.buffer is not buffer]
    return (*kept, *substitute(later, new))


def _is_used(statement: Statement, buffer: Buffer) -> bool:
    for inner in statements((statement,)):
        match inner:
            case Store(target) if target is buffer:
                return True
            case Call(_, buffers) if buffer in buffers:
                return True
            case Extern() if any(a.buffer is buffer for a in inner.addresses):
                return True
    return any(load.buffer is buffer for load in loads_of((statement,)))


def _producer(
    statement: Statement, buffer: Buffer
) -> tuple[list[For], Store, Statement | None] | None:
    """A plain loop nest each iteration of which stores one element of the buffer: the loops, the
    Store, and the nest without it."""
    loops: list[For] = []
    inner = statement
    while isinstance(inner, For) and inner.mark == "serial":
        loops.append(inner)
        if len(inner.body) != 1 or isinstance(inner.body[0], Store):
            break
        (inner,) = inner.body
    stores = loops[-1].body if loops else ()
    if not all(isinstance(store, Store) for store in stores):
        return None
    own = [store for store in stores if store.buffer is buffer]
    if len(own) != 1 or any(load.buffer is buffer for load in loads_of((statement,))):
        return None
    if sorted(map(id, own[0].indices)) != sorted(id(loop.index) for loop in loops):
        return None
    rest: tuple[Statement, ...] = tuple([store for store in stores if store is not own[0]])
    for loop in reversed(loops):
        rest = (loop.replace(body=rest),) if rest else ()
    return loops, own[0], rest[0] if rest else None


def _uses(body: tuple[Statement, ...], first: int, buffer: Buffer) -> list[_Use] | None:
    """Every read of a buffer from a statement on; None where something else is done with it."""
    found: list[_Use] = []

    def visit(number: int, statement: Statement, loops: tuple[For, ...]) -> bool:
        own = postorder(expressions_of(statement), parts)
        loads = [e for e in own if isinstance(e, Load) and e.buffer is buffer]
        match statement:
            case Store(target) if target is buffer:
                return False
            case Call(_, buffers) if buffer in buffers:
                return False
            case Extern() if loads or any(a.buffer is buffer for a in statement.addresses):
                return False
            case For():
                loops = (*loops, statement)
        if loads and not isinstance(statement, Store | Accumulate | Assign | Let):
            return False
        found.extend([_Use(number, statement, load, loops) for load in loads])
        inner = [s for inside in bodies_of(statement) for s in inside]
        return all(visit(number, s, loops) for s in inner)

    for number in range(first, len(body)):
        if not visit(number, body[number], ()):
            return None
    return found


def _is_worth(store: Store, uses: list[_Use]) -> bool:
    """Whether computing the values where they are used is no more work than reading them."""
    if not uses:
        return False
    is_once = len(uses) == 1 and all(
        trips(loop) == 1 or any(loop.index in i.free for i in uses[0].load.indices)
        for loop in uses[0].loops
    )
    is_plain = all(loop.mark in ("serial", "ordered") for use in uses for loop in use.loops)
    return is_once and is_plain or _is_copy(store)


def _is_all_computed(loops: list[For], store: Store, use: _Use) -> bool:
    """Whether the use takes each element, so that what the value would refuse is still refused."""
    around = {loop.index: loop for loop in use.loops}
    for index, place in zip(store.indices, use.load.indices):
        loop = next(loop for loop in loops if loop.index is index)
        other = around.pop(place, None)
        if other is None or (other.start, other.stop) != (loop.start, loop.stop):
            return False
    return all(trips(loop) for loop in around.values())


def _is_copy(store: Store) -> bool:
    """Whether values lie side by side elsewhere as they do in the buffer."""
    match store.value:
        case Load(source, indices) if indices and store.indices:
            last = store.indices[-1]
            *others, own = indices
            return (
                source.type.strides[-1] == 1
                and linear(own)[0].get(last) == 1
                and not any(last in index.free for index in others)
                and all(isinstance(t, Index) for index in indices for t in index.free)
            )
    return False


def _is_safe(
    value: Expression,
    moved: Expression,
    use: _Use,
    before: Iterable[Statement],
    consumer: Statement,
) -> bool:
    """Whether a value is the same where it is used: nothing it reads is written until then.

    `moved` is the value at the place that is read, `before` what runs between.
    """
    around = (*before, consumer)
    own = use.statement
    if isinstance(own, Store):
        moved_reads = [e for e in postorder((moved,), parts) if isinstance(e, Load)]
        same = [load.indices for load in moved_reads if load.buffer is own.buffer]
        if not all(_keeps(own.indices, indices, use.loops, around) for indices in same):
            return False
    return not any(_writes(around, read, around, own) for read in (value, moved))


def _writes(
    body: Iterable[Statement], value: Expression, around: tuple, own: Statement | None = None
) -> bool:
    """Whether the statements, but for `own`, may change what a value is computed from."""
    if any(isinstance(t, Variable) for t in value.free & changed_in(body)):
        return True
    reads = [e for e in postorder((value,), parts) if isinstance(e, Load)]
    read = {load.buffer for load in reads}
    for statement in statements(body):
        match statement:
            case Call(_, buffers) if not read.isdisjoint(buffers):
                return True
            case Extern() if not read.isdisjoint([a.buffer for a in statement.addresses]):
                return True
            case Accumulate(Load(buffer)) if buffer in read:
                return True
            case Store(buffer, indices) if buffer in read and statement is not own:
                places = [load.indices for load in reads if load.buffer is buffer]
                if not all(are_always_apart(around, indices, place) for place in places):
                    return True
    return False


def _keeps(written: tuple, read: tuple, loops: tuple[For, ...], around: tuple) -> bool:
    """Whether no iteration writes what another one reads."""
    if are_always_apart(around, written, read):
        return True
    return all(never_meet(loop, written, read) for loop in loops)
