"""Bytes that a kernel's loops move between the levels of memory: which of them a cache of some size keeps.

A loop whose body touches no more than the cache holds moves each line that it touches once, however
often its iterations come back to it; a loop whose body touches more moves in every iteration what the body
does. Lines are counted from the strides of the index expressions; accesses that data places are lines of
their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from ..ir import expressions
from ..ir.affine import coefficient, linear
from ..ir.expressions import is_seldom, replace_expressions
from ..ir.tensor import (
    ZERO,
    Accumulate,
    Address,
    Apply,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Load,
    Statement,
    Store,
    Variable,
    bodies_of,
    parts,
)
from ..ir.term import postorder
from ..lower.tensor.turns import average_trips, values_of
from .work import size_of

# Bytes of a line; and from one place to another where data decides.
LINE, FAR = 64, 1 << 40
INFINITE = float("inf")


class Access(NamedTuple):
    """Elements of a buffer at `indices`, whether they are written, and the loops around, each with its
    trips; those of lanes are iterations of a whole vector, with the lanes in `lanes`."""

    place: Load
    is_write: bool
    loops: tuple[tuple[For, float], ...]
    lanes: tuple[tuple[For, float], ...]


def accesses_of(kernel: Kernel) -> list[Access]:
    """All places of memory in a kernel; whole buffers of kernels and foreign functions it calls.

    Their loops count from 0: an index of a loop that begins elsewhere is what it is more than that.
    """
    found: dict[Access, None] = {}
    moved: dict[Expression, Expression] = {}

    def rebased(expression: Expression) -> Expression:
        if moved.keys().isdisjoint(expression.free):
            return expression
        return replace_expressions((expression,), moved)[expression]

    def touch(place: Load, is_write: bool, loops: tuple) -> None:
        place = Load(place.buffer, tuple([rebased(index) for index in place.indices]))
        found[Access(place, is_write, *_in_vectors(loops))] = None

    def whole(buffer: Buffer, is_write: bool, loops: tuple) -> None:
        place = Load(buffer, (ZERO,) * buffer.type.ndim)
        found[Access(place, is_write, *_in_vectors(loops))] = None

    def visit(body: Iterable[Statement], loops: tuple[tuple[For, float], ...]) -> None:
        for statement in body:
            match statement:
                case For(index, start):
                    trips = average_trips(statement, [loop for loop, _ in loops])
                    moved[index] = expressions.add(_unclamped(rebased(start)), index)
                    visit(statement.body, (*loops, (statement, trips)))
                    del moved[index]
                    continue
                case Call(callee, buffers):
                    for own, buffer in zip(callee.parameters, buffers):
                        whole(buffer, own in callee.outputs, loops)
                case Extern(_, arguments):
                    for argument in arguments:
                        if isinstance(argument, Address):
                            whole(argument.buffer, False, loops)
                case Store(buffer, indices) if buffer.space != "register":
                    touch(Load(buffer, indices), True, loops)
                case Accumulate(Load() as target) if target.buffer.space != "register":
                    touch(target, True, loops)
            for part in postorder(values_of(statement), parts):
                if isinstance(part, Load) and part.buffer.space != "register":
                    touch(part, False, loops)
            for inner in _usual(statement):
                visit(inner, loops)

    visit(kernel.body, ())
    return [*found]


def _usual(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The bodies of a statement; what is seldom chosen moves next to nothing."""
    if isinstance(statement, If) and is_seldom(statement.condition):
        return (statement.orelse,)
    return bodies_of(statement)


def _in_vectors(loops: tuple[tuple[For, float], ...]) -> tuple[tuple, tuple]:
    """Loops with their trips, those of lanes as vectors; and the lanes, which are innermost in effect."""
    wide = [(loop, trips) for loop, trips in loops if loop.mark == "vector" and loop.lanes > 1]
    lanes = tuple([(loop, min(float(loop.lanes), trips)) for loop, trips in wide])
    whole = [
        (loop, max(1.0, trips / loop.lanes) if loop.mark == "vector" else trips)
        for loop, trips in loops
    ]
    return tuple(whole), lanes


def _unclamped(start: Expression) -> Expression:
    """Where a loop begins, but for what keeps it in a range: that operand which moves; of a choice that data makes
    the first, as `value_at` does."""
    while isinstance(start, Apply) and start.op in ("minimum", "maximum", "where"):
        if start.op == "where":
            start = start.operands[1]
        else:
            start = max(start.operands, key=lambda operand: len(operand.free))
    return start


class Touched:
    """What a kernel touches, from some depth of its loops inwards, and what a cache keeps of that."""

    def __init__(self, kernel: Kernel):
        self.accesses = accesses_of(kernel)
        self.nests = {access.loops for access in self.accesses}

    @cached_property
    def buffers(self) -> dict[Buffer, float]:
        """Bytes of the lines that one run touches, by buffer."""
        return self.footprint((), 0)

    @property
    def bytes(self) -> float:
        return sum(self.buffers.values())

    def moved_beyond(self, capacity: float) -> dict[Buffer, float]:
        """Bytes that one run, beginning with an empty cache of so many bytes, has to fetch or write back."""
        return self.moved((), 0, capacity, self.buffers)

    def moved(
        self, inside: tuple[For, ...], depth: int, capacity: float, touched: dict[Buffer, float]
    ) -> dict[Buffer, float]:
        """What one run of the loops at this depth moves; `touched` is their footprint."""
        if sum(touched.values()) <= capacity:
            return touched
        total: dict[Buffer, float] = {}
        for loop, trips in self.loops_in(inside, depth):
            body = self.footprint((*inside, loop), depth + 1)
            if sum(body.values()) <= capacity:
                part = self.footprint((*inside, loop), depth, capacity=capacity)
            else:
                inner = self.moved((*inside, loop), depth + 1, capacity, body)
                part = {buffer: trips * size for buffer, size in inner.items()}
            for buffer, size in part.items():
                total[buffer] = total.get(buffer, 0.0) + size
        own = self.footprint(inside, depth, direct=True)
        for buffer, size in own.items():
            total[buffer] = total.get(buffer, 0.0) + size
        return total

    def loops_in(self, inside: tuple[For, ...], depth: int) -> list[tuple[For, float]]:
        found = {
            nest[depth][0]: nest[depth][1]
            for nest in self.nests
            if len(nest) > depth and tuple([loop for loop, _ in nest[:depth]]) == inside
        }
        return [*found.items()]

    def footprint(
        self, inside: tuple[For, ...], depth: int, direct: bool = False, capacity: float = INFINITE
    ) -> dict[Buffer, float]:
        """Bytes of lines that are touched in `inside`, over all iterations of loops from `depth` on; what data
        comes back to counts again where a cache of that capacity does not keep it."""
        groups: dict[Buffer, list[Access]] = {}
        for access in self.accesses:
            around = tuple([loop for loop, _ in access.loops[: len(inside)]])
            if around == inside and (not direct or len(access.loops) == depth):
                groups.setdefault(access.place.buffer, []).append(access)
        return {buffer: _bytes(found, depth, capacity) for buffer, found in groups.items()}


def _bytes(accesses: list[Access], depth: int, capacity: float) -> float:
    """Bytes of the lines that accesses of one buffer touch, over all iterations from a depth on.

    Where data decides, a cache has as much of a larger array as it holds, and each line as often as others.
    """
    buffer = accesses[0].place.buffer
    alike: dict[tuple, list[int]] = {}
    for access in accesses:
        offset = _constant(access.place) * buffer.type.dtype.itemsize
        moves = _moves(access, depth)
        # What one list of places says tells nothing of another's.
        which = access.place.indices if any(step == FAR for step, _ in moves) else ()
        alike.setdefault((moves, which), []).append(offset)
    total = LINE * sum(_lines(moves, offsets, buffer) for (moves, _), offsets in alike.items())
    most = size_of(buffer)
    if not most or total <= most:
        return total
    if most <= capacity or not any(which for _, which in alike):
        return max(most, LINE)
    return most + (total - most) * (1 - capacity / most)


def _moves(access: Access, depth: int) -> tuple[tuple[int, float], ...]:
    """By how many bytes the loops from a depth on move an access, and how often, least first.

    Where places depend on data, they are far from one another; where on what loops count, or on indices in
    another way, each is a line of its own.
    """
    place, _, loops, lanes = access
    buffer = place.buffer
    steps = [(loop, trips, loop.lanes) for loop, trips in loops[depth:]]
    found, apart = [], 1.0
    for loop, trips, times in (*steps, *[(loop, trips, 1) for loop, trips in lanes]):
        step = _stride(place.indices, buffer.type.strides, loop.index)
        if step is None:
            apart *= trips
        elif step:
            found.append((abs(step) * times * buffer.type.dtype.itemsize, trips))
    if apart > 1:
        found.append((FAR if _are_data(place.indices) else LINE, apart))
    return tuple(sorted(found))


def _stride(indices: tuple[Expression, ...], steps: tuple, index: Index) -> int | None:
    total = 0
    for position, step in zip(indices, steps):
        factor = coefficient(position, index) if _is_simple(position) else None
        if factor is None and not _depends(position, index):
            continue
        if factor is None or factor and not isinstance(step, int):
            return None
        total += factor * step if factor else 0
    return total


def _depends(position: Expression, index: Index) -> bool:
    """Whether a place that data decides is another one for another index, as far as that is known."""
    return index in position.free or any(isinstance(term, Variable) for term in position.free)


def _are_data(indices: tuple[Expression, ...]) -> bool:
    return any(isinstance(part, Load) for part in postorder(indices, parts))


def _is_simple(index: Expression) -> bool:
    return all(isinstance(term, Index) for term in index.free)


def _constant(place: Load) -> int:
    """The constant part of a place: of accesses that differ in no more it tells how far they are apart."""
    pairs = zip(place.indices, place.buffer.type.strides)
    return sum(step * linear(index)[1] for index, step in pairs if isinstance(step, int))


def _lines(shape: tuple[tuple[int, float], ...], offsets: list[int], buffer: Buffer) -> float:
    """Lines of the union of pieces that begin at `offsets` and move by the strides of loops.

    From the shortest stride on: what lies next to each other grows together, what lies apart is
    counted; offsets that a loop's steps come to are the same pieces, moved on.
    """
    pieces = [(offset, buffer.type.dtype.itemsize, 1.0) for offset in sorted({*offsets})]
    pieces = _joined(pieces)
    for step, trips in shape:
        if not trips:
            return 0.0
        new = []
        for offset, length, count in pieces:
            if step <= max(length, LINE):
                new.append((offset, length + step * (trips - 1), count))
            else:
                new.append((offset, length, count * trips))
        pieces = _joined(new) if step <= LINE else _moved_on(_joined(new), step, trips)
    return sum(count * max(1.0, length / LINE) for _, length, count in pieces)


def _joined(pieces: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """Neighbours, closer than a line, as one."""
    found: list[tuple[int, float, float]] = []
    for offset, length, count in sorted(pieces):
        if found:
            first, before, repeated = found[-1]
            if offset - (first + before) < LINE and count == repeated:
                found[-1] = first, max(before, offset + length - first), count
                continue
        found.append((offset, length, count))
    return found


def _moved_on(
    pieces: list[tuple[int, float, float]], step: int, trips: float
) -> list[tuple[int, float, float]]:
    """Pieces that are whole steps apart, and no more than all of them, as one that makes a few steps more."""
    found: dict[tuple[int, float], list[tuple[int, int, float]]] = {}
    for offset, length, count in pieces:
        runs = found.setdefault((offset % step, count), [])
        if runs and offset - runs[-1][1] <= step * trips:
            first, _, longest = runs.pop()
            runs.append((first, offset, max(longest, length)))
        else:
            runs.append((offset, offset, length))
    return [
        (first, length, count * (1 + (last - first) / step / trips))
        for (_, count), runs in found.items()
        for first, last, length in runs
    ]
