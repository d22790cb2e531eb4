"""An element that a loop changes again and again is held in a variable while it runs.

    for j: y[i] = y[i] + a[i, j]   ->   held = y[i]
                                        for j: held = held + a[i, j]
                                        y[i] = held

Where something may be refused on the way, the element is written in every iteration, as whoever looks
at it then must see what it was, and is read no more.

Its place stays the same in the loop, where nothing else may lie, and is there: each iteration goes to
it, or it is proved to be inside the buffer. What such a variable is for is seen later: sums become
Accumulates (reductions.py).
"""

from __future__ import annotations

from functools import partial

from ...ir import expressions
from ...ir.bounds import Bounds, unknowns_of
from ...ir.expressions import integer
from ...ir.graph import Module, map_kernels
from ...ir.places import are_always_apart, changed_in
from ...ir.tensor import (
    Accumulate,
    Assign,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    has_control,
    loads_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import postorder
from ...ir.types import f16
from .checks import is_refusing
from .cost import trips
from .rename import FreshNames
from .substitute import substitute
from .walk import exchange_bounded_loops

Place = tuple[Expression, ...]


def hold_elements(module: Module) -> Module:
    """Hold in variables what the ordered loops of every Kernel change in one place."""
    return map_kernels(module, lambda k: _Holder(k).run() if has_control(k.body) else k)


class _Holder:
    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)

    def run(self) -> Kernel:
        bounds = Bounds((), unknowns=unknowns_of(self.kernel))
        body = exchange_bounded_loops(self.kernel.body, bounds, self.loop)
        return self.kernel.replace(body=body)

    def loop(self, loop: For, bounds: Bounds) -> tuple[Statement, ...]:
        """The loop, whose own are exchanged before, between what it reads first and what it leaves at last."""
        inside = exchange_bounded_loops(loop.body, bounds.inside(loop), self.loop)
        loop = loop.replace(body=inside)
        if loop.mark != "ordered":
            return (loop,)
        before: list[Statement] = []
        after: list[Statement] = []
        changed, may_refuse = loop, _may_refuse(loop)
        for buffer, place in _held(loop, bounds):
            held = Variable(self.names.pick(f"{buffer.name}_held"), buffer.type.dtype)
            kept = Store(buffer, place, held)
            before.append(Let(held, Load(buffer, place)))
            after += [] if may_refuse else [kept]
            body = substitute(changed.body, {Load(buffer, place): held})
            body = _direct(_assigning(body, held, kept, may_refuse))
            changed = changed.replace(body=body)
        if not before:
            return (loop,)
        if (trips(loop) or 0) > 0:
            return (*before, changed, *after)
        # Where the loop is empty nothing may be read.
        some = expressions.compare("less", loop.start, loop.stop)
        return (If(some, (*before, changed, *after), ()),)


def _may_refuse(loop: For) -> bool:
    roots = [e for s in statements(loop.body) for e in expressions_of(s)]
    return any(map(is_refusing, postorder(roots, parts)))


def _assigning(
    body: tuple[Statement, ...], held: Variable, kept: Store, is_kept: bool
) -> tuple[Statement, ...]:
    """The statements with a variable for what is stored, and where it is kept, the store after that."""
    new: list[Statement] = []
    for statement in body:
        if isinstance(statement, Store) and statement.buffer is kept.buffer:
            new += [Assign(held, statement.value), *[kept] * is_kept]
        else:
            inner = partial(_assigning, held=held, kept=kept, is_kept=is_kept)
            new.append(map_bodies(statement, inner))
    return tuple(new)


def _direct(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements without a variable that only waits for another one to be assigned."""
    new: list[Statement] = []
    for statement in body:
        match statement, new[-1:]:
            case Assign(target, Variable() as own), [Assign(other, value)] if own is other:
                reads = [e for s in statements(body) for e in expressions_of(s) if own in e.free]
                if len(reads) == 1 and any(isinstance(s, Let) and s.variable is own for s in body):
                    new[-1] = Assign(target, value)
                    continue
        new.append(map_bodies(statement, _direct))
    return tuple(new)


def _held(loop: For, bounds: Bounds) -> list[tuple[Buffer, Place]]:
    """The buffers of which a loop changes one element, and where; `bounds` are known around it."""
    changed = changed_in((loop,))
    places: dict[Buffer, Place] = {}
    others: set[Buffer] = set()
    for statement in statements(loop.body):
        match statement:
            case Store(buffer, indices):
                if places.setdefault(buffer, indices) != indices:
                    others.add(buffer)
            case Accumulate(Load(buffer)):
                others.add(buffer)
            case Call(_, buffers):
                others.update(buffers)
            case Extern():
                others.update(address.buffer for address in statement.addresses)
    # What is read or stored whatever holds is there.
    reached: set[Expression] = set()
    if not _may_refuse(loop):
        reached.update(postorder([e for s in loop.body for e in expressions_of(s)], parts))
        reached.update(Load(s.buffer, s.indices) for s in loop.body if isinstance(s, Store))
    return [
        (buffer, place)
        for buffer, place in places.items()
        if buffer not in others
        and buffer.space != "register"
        and buffer.type.dtype is not f16
        and all(isinstance(t, Index) and t not in changed for e in place for t in e.free)
        and (Load(buffer, place) in reached or is_inside(buffer, place, bounds))
        and all(
            load.indices == place or _are_apart(loop, place, load.indices, bounds)
            for load in loads_of(loop.body)
            if load.buffer is buffer
        )
    ]


def is_inside(buffer: Buffer, place: Place, bounds: Bounds) -> bool:
    """Whether a place is surely one of the buffer's, and not because it is checked."""
    if any(map(is_refusing, postorder(place, parts))):
        return False
    return all(bounds.is_below(index, extent) for index, extent in zip(place, buffer.type.shape))


def _are_apart(loop: For, place: Place, other: Place, bounds: Bounds) -> bool:
    """Whether a place that stays the same in a loop is certainly none that the loop comes to."""
    if are_always_apart((loop,), place, other):
        return True
    if any(
        isinstance(s, For) or isinstance(s, Let) and isinstance(s.variable, Index)
        for s in statements(loop.body)
    ):
        return False  # what is known of their indices holds inside of them alone
    inside = bounds.inside(loop)
    return any(
        inside.is_nonnegative(expressions.subtract(expressions.subtract(x, y), integer(1)))
        for a, b in zip(place, other)
        for x, y in ((a, b), (b, a))
    )
