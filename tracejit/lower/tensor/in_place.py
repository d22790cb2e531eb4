"""Kernels whose result takes the place of what they read."""

from __future__ import annotations

from ...ir.graph import Kernel
from ...ir.tensor import (
    UPDATED,
    Allocate,
    Buffer,
    Call,
    Extern,
    For,
    Index,
    Load,
    Statement,
    Store,
    expressions_of,
    has_control,
    parts,
    statements,
)
from ...ir.term import postorder, rebuild


def merged_in_place(kernel: Kernel, position: int, output: Buffer) -> Kernel | None:
    """`kernel` with the input at `position` and `output` in one memory, updated in place.

    None unless each element of the input is read only by the statement that stores that of the output.
    """
    source = kernel.parameters[position]
    if source.type is not output.type or source.space == UPDATED:
        return None
    if not _reads_where_it_writes(kernel, source, output):
        return None
    own = Buffer(source.name, source.type, UPDATED)
    parameters = [own if b is source else b for b in kernel.parameters if b is not output]
    body = with_buffer(with_buffer(kernel.body, output, own), source, own)
    return Kernel(kernel.name, tuple(parameters), kernel.results - 1, body)


def _reads_where_it_writes(kernel: Kernel, source: Buffer, target: Buffer) -> bool:
    stores = [s for s in statements(kernel.body) if isinstance(s, Store) and s.buffer is target]
    if len(stores) != 1 or any(isinstance(s, Call) for s in statements(kernel.body)):
        return False
    if has_control(kernel.body):
        return False  # an element may be read again after it was stored
    externs = [s for s in statements(kernel.body) if isinstance(s, Extern)]
    if any(address.buffer in (source, target) for s in externs for address in s.addresses):
        return False  # foreign code reads and writes as it likes
    for statement in statements(kernel.body):
        for e in postorder(expressions_of(statement), parts):
            if isinstance(e, Load) and e.buffer is source:
                if statement is not stores[0] or e.indices != stores[0].indices:
                    return False
    return True


def may_take_place(body: tuple[Statement, ...], source: Buffer, target: Buffer) -> bool:
    """Whether a nest may store `target` in the memory of `source`, which nobody reads afterwards.

    Outer loops must be over the same axes of both; of what one iteration of these reads, nothing is
    read after it begins to store, but by the statement that stores this very element.
    """
    if source.type is not target.type or has_control(body):
        return False
    rows: list[Index] = []
    while True:
        work = [s for s in body if not isinstance(s, Allocate)]
        if len(work) != 1 or not isinstance(work[0], For):
            break
        rows.append(work[0].index)
        body = work[0].body
    is_stored, places = False, []
    for statement in work:
        inside = list(statements((statement,)))
        stores = [s for s in inside if isinstance(s, Store) and s.buffer is target]
        is_stored = is_stored or bool(stores)
        places += [s.indices for s in stores]
        for s in inside:
            if isinstance(s, Call | Extern):
                return False
            for e in postorder(expressions_of(s), parts):
                if isinstance(e, Load) and e.buffer is source:
                    is_own = isinstance(s, Store) and s.buffer is target and s.indices == e.indices
                    if is_stored and not is_own:
                        return False
                    places.append(e.indices)
    axes = {index: [at.index(index) if index in at else None for at in places] for index in rows}
    return all(len(set(found)) == 1 and None not in found for found in axes.values())


def with_buffer(body: tuple[Statement, ...], old: Buffer, new: Buffer) -> tuple[Statement, ...]:
    """The statements with one buffer exchanged for another."""
    done = rebuild(body, lambda term: new if term is old else term)
    return tuple([done[statement] for statement in body])
