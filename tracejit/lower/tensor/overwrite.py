"""What is stored, and stored over before anybody reads it, is not stored.

    out = np.empty((n, 3))                         # which holds zeros
    for t in range(n): out[t] = step(...)          # until all of it is written

A loop that stores every element, and reads none, need not find anything there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

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
    Literal,
    Load,
    Statement,
    Store,
    expressions_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import postorder, remembered
from .checks import is_refusing
from .cost import trips

Interval = tuple[Expression, Expression]


def drop_overwritten(module: Module) -> Module:
    """The same module without kernels that fill what a loop after them stores over."""
    return map_kernels(module, lambda k: k.replace(body=_body(k.body)))


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    body = tuple([map_bodies(statement, _body) for statement in body])
    kept = []
    for number, statement in enumerate(body):
        filled = _filled(statement)
        if filled is None or not _is_overwritten(body[number + 1 :], filled):
            kept.append(statement)
    return tuple(kept)


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


def _is_overwritten(later: Iterable[Statement], buffer: Buffer) -> bool:
    """Whether the first that has to do with a buffer stores all of it, and reads nothing of it."""
    for statement in later:
        if not isinstance(statement, Call):
            if _touches(statement, buffer):
                return False
        elif buffer in statement.buffers:
            kernel = statement.kernel
            if statement.buffers.count(buffer) > 1 or not isinstance(kernel, Kernel):
                return False
            return _stores_all(kernel.body, kernel.parameters[statement.buffers.index(buffer)])
    return False


def _touches(statement: Statement, buffer: Buffer) -> bool:
    return any(map(partial(_names, buffer=buffer), statements((statement,)))) or _is_read(
        (statement,), buffer
    )


def _names(statement: Statement, buffer: Buffer) -> bool:
    """Whether the buffer is what a statement by itself stores to, accumulates in or hands on."""
    match statement:
        case Store(target) | Accumulate(Load(target)):
            return target is buffer
        case Call(_, buffers):
            return buffer in buffers
        case Extern():
            return any(address.buffer is buffer for address in statement.addresses)
    return False


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


def _boxes(
    body: Iterable[Statement], buffer: Buffer, loops: tuple[For, ...]
) -> list[tuple[Interval, ...]]:
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


def _box(indices: tuple[Expression, ...], loops: tuple[For, ...]) -> tuple[Interval, ...] | None:
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
