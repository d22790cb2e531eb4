"""Parallel loops each iteration of which does something else: `if section == 0: ... else: ...`."""

from __future__ import annotations

from .tensor import (
    Accumulate,
    Apply,
    Buffer,
    Call,
    Extern,
    For,
    If,
    Literal,
    Load,
    Statement,
    Store,
    expressions_of,
    parts,
    statements,
)
from .term import postorder


def sections_of(loop: For) -> list[tuple[Statement, ...]]:
    """What the iterations of a loop do, if each is a section of its own; none if they are alike."""
    found: list[tuple[Statement, ...]] = []
    body = loop.body
    while body:
        match body:
            case (If(Apply("equal", (index, Literal(number))), then, orelse),) if (
                loop.mark == "parallel" and index is loop.index and number == len(found)
            ):
                found.append(then)
                body = orelse
            case _:
                return []
    return found


def shared_by(sections: list[tuple[Statement, ...]]) -> Buffer | None:
    """A buffer that one section writes and another reads or writes."""
    used = [_buffers(section) for section in sections]
    for number, (_, written) in enumerate(used):
        for other, (read, also) in enumerate(used):
            if other != number and (both := written & (read | also)):
                return min(both, key=lambda buffer: buffer.name)
    return None


def _buffers(body: tuple[Statement, ...]) -> tuple[set[Buffer], set[Buffer]]:
    """The buffers that statements read, and those that they write."""
    read: set[Buffer] = set()
    written: set[Buffer] = set()
    for statement in statements(body):
        match statement:
            case Call(_, buffers):
                written.update(statement.written)
                read.update(buffers)
            case Store(buffer) | Accumulate(Load(buffer)):
                written.add(buffer)
            case Extern():
                written.update(address.buffer for address in statement.addresses)
        roots = expressions_of(statement)
        read.update(e.buffer for e in postorder(roots, parts) if isinstance(e, Load))
    return read, written
