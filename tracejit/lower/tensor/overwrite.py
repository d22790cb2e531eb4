"""What is stored, and stored over before anybody reads it, is not stored.

    out = np.empty((n, 3))                         # which holds zeros
    for t in range(n): out[t] = step(...)          # until all of it is written

A loop that stores every element, and reads none, need not find anything there. Where the first elements
are stored by other means, as the beginning of a recurrence is, the rest of them need not be filled:

    y[0] = x[0]                                    y[0] = x[0]
    for i in range(1, n): y[i] = 0            ->
    for i in ordered(1, n): y[i] = ...             for i in ordered(1, n): y[i] = ...
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cache, cached_property

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.dims import Dim
from ...ir.graph import Module, map_kernels
from ...ir.places import stores_alone
from ...ir.tensor import (
    Accumulate,
    Break,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    bodies_of,
    expressions_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder, remembered
from .checks import is_refusing
from .cost import trips

Interval = tuple[Expression, Expression]
Box = tuple[Interval, ...]
# `_needed_body`, once for each kernel and user.
Needed = Callable[..., tuple[Statement, ...] | None]


def drop_overwritten(module: Module) -> Module:
    """The same module without kernels that fill what a loop after them stores over."""
    return map_kernels(module, lambda k: k.replace(body=_body(k.body)))


def drop_overwritten_parts(module: Module) -> Module:
    """The same module, in which kernels do not fill the parts of results that a loop after them stores over."""
    needed = cache(
        _needed_body
    )  # layers of one kind are the same kernels, called in the same order
    return map_kernels(
        module, lambda k: k.replace(body=_trimmed(k.body, needed)) if k.callees else k
    )


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    body = tuple([map_bodies(statement, _body) for statement in body])
    users, kept = _Users(body), []
    for number, statement in enumerate(body):
        filled = _filled(statement)
        if filled is None or not _is_overwritten(users.next(filled, number), filled):
            kept.append(statement)
    return tuple(kept)


class _Users:
    """Which of the statements of a body have to do with a buffer."""

    def __init__(self, body: tuple[Statement, ...]):
        self.body = body

    @cached_property
    def places(self) -> dict[Buffer, list[int]]:
        """By buffer the numbers of the statements that store to it, read it or hand it on."""
        found: dict[Buffer, list[int]] = {}
        for number, statement in enumerate(self.body):
            for buffer in _touched(statement):
                found.setdefault(buffer, []).append(number)
        return found

    def next(self, buffer: Buffer, number: int) -> Statement | None:
        """The first after statement `number`; None where there is none."""
        places = self.places.get(buffer, [])
        later = bisect_right(places, number)
        return self.body[places[later]] if later < len(places) else None


def _filled(statement: Statement) -> Buffer | None:
    """The buffer that a call of a kernel stores to, if it does nothing else."""
    if not isinstance(statement, Call) or not isinstance(statement.kernel, Kernel):
        return None
    return statement.buffers[-1] if _only_fills(statement.kernel) else None


@remembered
def _only_fills(kernel: Kernel) -> bool:
    """Whether a kernel stores, and that is all there is to it."""
    if not stores_alone(kernel):
        return False
    roots = [e for s in statements(kernel.body) for e in expressions_of(s)]
    return not any(map(is_refusing, postorder(roots, parts)))


def _is_overwritten(user: Statement | None, buffer: Buffer) -> bool:
    """Whether the first statement that has to do with a buffer stores all of it, and reads nothing of it."""
    if not isinstance(user, Call) or user.buffers.count(buffer) > 1:
        return False
    kernel = user.kernel
    if not isinstance(kernel, Kernel):
        return False
    return _stores_all(kernel.body, kernel.parameters[user.buffers.index(buffer)])


def _trimmed(body: tuple[Statement, ...], needed: Needed) -> tuple[Statement, ...]:
    """The statements, with calls of kernels that fill less."""
    users, kept = _Users(body), []
    for number, statement in enumerate(body):
        if isinstance(statement, Call) and isinstance(statement.kernel, Kernel):
            for own, buffer in zip(statement.kernel.fresh, _fresh(statement)):
                user = users.next(buffer, number)
                statement = _fills_less(statement, own, buffer, user, needed)
        kept.append(statement)
    return tuple(kept)


def _fresh(call: Call) -> tuple[Buffer, ...]:
    """What a call gives for the results of its kernel."""
    return call.buffers[len(call.buffers) - call.kernel.results :]


def _fills_less(
    call: Call, own: Buffer, buffer: Buffer, user: Statement | None, needed: Needed
) -> Call:
    """A call of a kernel that leaves out of its result `own`, in `buffer`, what its next user stores over."""
    if not isinstance(user, Call) or not isinstance(user.kernel, Kernel):
        return call
    if user.buffers.count(buffer) > 1 or call.buffers.count(buffer) > 1:
        return call
    theirs = user.kernel.parameters[user.buffers.index(buffer)]
    if theirs not in user.kernel.outputs:
        return call
    body = needed(call.kernel, own, user.kernel.body, theirs)
    return call if body is None else call.replace(kernel=call.kernel.replace(body=body))


def _needed_body(
    kernel: Kernel, own: Buffer, user: tuple[Statement, ...], theirs: Buffer
) -> tuple[Statement, ...] | None:
    """What a kernel does without what its result's next user stores over, as `theirs`; None where that is all it does."""
    others = [s for s in statements(kernel.body) if not isinstance(s, Store)]
    if _is_read(kernel.body, own) or any(_names(s, own) for s in others):
        return None
    body = _without(kernel.body, own, lambda box: _stores_first(user, theirs, box), ())
    if body == kernel.body or not any(_names(s, own) for s in statements(body)):
        return None  # a kernel has to store something to each of its results
    return body


def _without(
    body: tuple[Statement, ...],
    buffer: Buffer,
    is_needless: Callable[[Box], bool],
    loops: tuple[For, ...],
) -> tuple[Statement, ...]:
    """The statements without the loops' stores to a buffer that reach a needless part of it."""
    new: list[Statement] = []
    for statement in body:
        match statement:
            case For(body=inner) if statement.mark == "serial":
                inner = _without(inner, buffer, is_needless, (*loops, statement))
                if not all(map(_is_name, inner)):
                    new.append(statement.replace(body=inner))
            case Store(target, indices, value) if target is buffer and loops:
                box = _box(indices, loops)
                refuses = any(map(is_refusing, postorder((*indices, value), parts)))
                if box is None or refuses or not is_needless(box):
                    new.append(statement)
            case _:
                new.append(statement)
    return tuple(new)


def _is_name(statement: Statement) -> bool:
    """Whether a statement declares something, which nobody needs if nothing else is left."""
    roots = expressions_of(statement)
    return isinstance(statement, Let) and not any(map(is_refusing, postorder(roots, parts)))


def _stores_first(body: Iterable[Statement], buffer: Buffer, box: Box) -> bool:
    """Whether a loop among the statements stores all of a part of a buffer before any of it is read."""
    for statement in body:
        if isinstance(statement, For) and _touches(statement, buffer):
            others = [s for s in statements((statement,)) if not isinstance(s, Store)]
            if _is_read((statement,), buffer) or any(_names(s, buffer) for s in others):
                return False
            return any(_is_inside(box, stored) for stored in _boxes((statement,), buffer, ()))
        if not isinstance(statement, Store) and _names(statement, buffer):
            return False
        if any(bodies_of(statement)) and _touches(statement, buffer):
            return False
        if not all(_is_outside(load.indices, box) for load in _loads(statement, buffer)):
            return False
    return False


def _loads(statement: Statement, buffer: Buffer) -> list[Load]:
    roots = expressions_of(statement)
    return [e for e in postorder(roots, parts) if isinstance(e, Load) and e.buffer is buffer]


def _is_inside(box: Box, other: Box) -> bool:
    return all(part == whole or _holds(whole, part) for part, whole in zip(box, other))


def _holds(whole: Interval, part: Interval) -> bool:
    numbers = [e.value for e in (whole[0], *part, whole[1]) if isinstance(e, Literal)]
    return len(numbers) == 4 and numbers[0] <= numbers[1] and numbers[2] <= numbers[3]


def _is_outside(place: Iterable[Expression], box: Box) -> bool:
    """Whether an element is known to lie in no part of a box."""
    for index, (start, stop) in zip(place, box):
        numbers = [e.value for e in (start, index, stop) if isinstance(e, Literal)]
        if len(numbers) == 3 and not numbers[0] <= numbers[1] < numbers[2]:
            return True
    return False


def _touched(statement: Statement) -> set[Term]:
    """What a statement has to do with: buffers that it names, and all that it reads."""
    found: set[Term] = set()
    for inner in statements((statement,)):
        found.update(_named(inner), *[e.free for e in expressions_of(inner)])
    return found


def _touches(statement: Statement, buffer: Buffer) -> bool:
    return buffer in _touched(statement)


def _named(statement: Statement) -> tuple[Buffer, ...]:
    """The buffers that a statement by itself stores to, accumulates in or hands on."""
    match statement:
        case Store(target) | Accumulate(Load(target)):
            return (target,)
        case Call(_, buffers):
            return buffers
        case Extern():
            return tuple([address.buffer for address in statement.addresses])
    return ()


def _names(statement: Statement, buffer: Buffer) -> bool:
    return buffer in _named(statement)


def _is_read(body: Iterable[Statement], buffer: Buffer) -> bool:
    return any(buffer in e.free for s in statements(body) for e in expressions_of(s))


def _stores_all(body: tuple[Statement, ...], buffer: Buffer) -> bool:
    """Whether statements store every element of a buffer, one way or several, and read none."""
    others = [s for s in statements(body) if not isinstance(s, Store)]
    if _is_read(body, buffer) or any(_names(s, buffer) for s in others):
        return False
    shape = buffer.type.shape
    boxes = _boxes(body, buffer, ())
    whole = [[_is_whole(interval, n) for interval, n in zip(box, shape)] for box in boxes]
    if any(map(all, whole)):
        return True
    return any(
        _cover([box[axis] for box, of in zip(boxes, whole) if all(of[:axis] + of[axis + 1 :])], n)
        for axis, n in enumerate(shape)
    )


def _boxes(body: Iterable[Statement], buffer: Buffer, loops: tuple[For, ...]) -> list[Box]:
    """The stretches of each axis that Stores certainly reach: those under an If may not run."""
    found = []
    for statement in body:
        match statement:
            case For(body=inner) if not (inner and isinstance(inner[-1], Break)):
                found += _boxes(inner, buffer, (*loops, statement))
            case Store(target, indices) if target is buffer:
                box = _box(indices, loops)
                found += [box] if box is not None else []
    return found


def _box(indices: tuple[Expression, ...], loops: tuple[For, ...]) -> Box | None:
    around = {loop.index: loop for loop in loops}
    box: list[Interval] = []
    for place in indices:
        atoms, constant = linear(place)
        match [*atoms.items()]:
            case []:
                box.append((expressions.integer(constant), expressions.integer(constant + 1)))
            case [(Index() as index, 1)] if index in around:
                loop = around.pop(index)
                ends = [
                    expressions.add(e, expressions.integer(constant))
                    for e in (loop.start, loop.stop)
                ]
                box.append((ends[0], ends[1]))
            case _:
                return None
    return tuple(box) if all(trips(loop) for loop in around.values()) else None


def _is_whole(interval: Interval, extent: int | Dim) -> bool:
    return interval == (tensor.ZERO, expressions.extent(extent))


def _cover(intervals: list[Interval], extent: int | Dim) -> bool:
    """Whether stretches of an axis leave nothing of it out."""
    known = [
        (a.value, b.value)
        for a, b in intervals
        if isinstance(a, Literal) and isinstance(b, Literal)
    ]
    reached = 0
    for start, stop in sorted(known):
        if start > reached:
            break
        reached = max(reached, stop)
    return reached == extent
