"""What is stored past the caches of a row is stored while the next row is computed.

Where a row is computed, kept near, and then stored by what was added up meanwhile, as in a softmax, arithmetic and memory wait
for each other in turns. Each row is stored a row later, beside the arithmetic of the next one:

    for i:                                               for i:
        for j: row[j] = exp(x[i, j]); s += row[j]            for j: out[i - 1, j] = row[j] / t
        for j: out[i, j] = row[j] / s              ->               row[j] = exp(x[i, j]); s += row[j]
                                                             t = s
                                                         for j: out[last, j] = row[j] / t

The first row's place is written twice: at first with what happens to be in `row`.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import tensor
from ...ir.expressions import compare, identity, maximum, replace_expressions, subtract
from ...ir.graph import Module, map_kernels
from ...ir.places import changed_in
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
    If,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    Variable,
    expressions_of,
    loads_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from .cost import trips
from .substitute import substitute


def store_behind(module: Module, far: int = 0) -> Module:
    """Store rows of outputs of `far` bytes and more, which are written past the caches, a row later; 0: of none."""
    if not far:
        return module
    return map_kernels(module, lambda kernel: kernel.replace(body=_body(kernel.body, far)))


def _body(body: tuple[Statement, ...], far: int) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        found = _found(statement, far) if isinstance(statement, For) else None
        if found is not None:
            new += _later(found)
        else:
            new.append(map_bodies(statement, lambda inner: _body(inner, far)))
    return tuple(new)


class _Rows(NamedTuple):
    """A loop over rows, the last two sweeps in it, and what the second one needs of a row: buffers and variables."""

    loop: For
    computing: For
    storing: For
    kept: tuple[Buffer, ...]
    values: tuple[Variable, ...]


def _found(loop: For, far: int) -> _Rows | None:
    if loop.mark != "serial" or len(loop.body) < 2 or (trips(loop) or 2) < 2:
        return None
    *_, computing, storing = loop.body
    if not (isinstance(computing, For) and isinstance(storing, For)):
        return None
    is_same_range = computing.start is storing.start and computing.stop is storing.stop
    if not (computing.mark == storing.mark == "vector" and is_same_range and trips(computing)):
        return None
    plain = all(isinstance(s, Let | Store | Accumulate) for s in computing.body)
    plain = plain and all(isinstance(s, Let | Store) for s in storing.body)
    if not plain or any(isinstance(s, Call | Extern) for s in statements(loop.body)):
        return None
    names = [
        {s.variable for s in sweep.body if isinstance(s, Let)} for sweep in (computing, storing)
    ]
    kept = _kept(loop, computing, storing)
    if not kept or not names[0].isdisjoint(names[1]):
        return None
    inside = [s for s in loop.body if s is not storing]
    written = [s.buffer for s in statements(inside) if isinstance(s, Store)]
    read = {load.buffer for load in loads_of(inside)}
    for store in storing.body:
        if isinstance(store, Store):
            own = loop.index in Load(store.buffer, store.indices).free
            if not own or not _is_streamed(store.buffer, far) or store.buffer in (*written, *read):
                return None
    if any(buffer in read or written.count(buffer) > 1 for buffer in kept):
        return None
    values = _used(storing) & changed_in((loop,)) - {loop.index, storing.index}
    own = {s.variable for s in loop.body if isinstance(s, Let)}
    if not all(isinstance(v, Variable) and v in own for v in values):
        return None
    return _Rows(loop, computing, storing, kept, tuple(sorted(values, key=lambda v: v.name)))


def _kept(loop: For, computing: For, storing: For) -> tuple[Buffer, ...]:
    """The buffers of a row that are all the storing sweep reads, each at the place where the other one has stored;
    none if it reads more."""
    own = {s.buffer for s in loop.body if isinstance(s, Allocate)}
    computed = {Load(s.buffer, s.indices) for s in computing.body if isinstance(s, Store)}
    read = replace_expressions(tuple(loads_of((storing,))), {storing.index: computing.index})
    here = [read[e] for e in loads_of((storing,))]
    kept = {e.buffer for e in here}
    # At first it computes with what happens to be in the row, which must not be a place or a divisor.
    is_safe = all(buffer.type.dtype.is_float for buffer in kept) and not _looks_up(storing)
    fits = is_safe and computed.issuperset(here) and own.issuperset(kept)
    return tuple(sorted(kept, key=lambda buffer: buffer.name)) if fits else ()


def _looks_up(sweep: For) -> bool:
    roots = [e for s in statements((sweep,)) for e in expressions_of(s)]
    places = postorder(roots, parts)
    return any(
        isinstance(e, Table) or isinstance(e, Apply) and e.op == "checked_index" for e in places
    )


def _used(sweep: For) -> set[Term]:
    """What it computes with, but for what it names itself."""
    own = {s.variable for s in sweep.body if isinstance(s, Let)}
    read = {term for s in statements((sweep,)) for e in expressions_of(s) for term in e.free}
    return {term for term in read if not isinstance(term, Buffer)} - own


def _is_streamed(buffer: Buffer, far: int) -> bool:
    type = buffer.type
    is_known = buffer.space == tensor.ARGUMENT and isinstance(type.size, int)
    return is_known and type.size * type.dtype.itemsize >= far


def _later(rows: _Rows) -> list[Statement]:
    loop, computing, storing, kept, values = rows
    before = {v: Variable(f"{v.name}_before", v.dtype) for v in values}

    def stored(row: Expression) -> tuple[Statement, ...]:
        return substitute(storing.body, {**before, loop.index: row})

    previous = maximum(subtract(loop.index, tensor.ONE), loop.start)
    beside = substitute(stored(previous), {storing.index: computing.index})
    allocations = [Allocate(buffer) for buffer in kept]
    inside = [s for s in loop.body[:-2] if s not in allocations]
    both = computing.replace(body=(*beside, *computing.body))
    keep = [Assign(before[v], v) for v in values]
    end: Statement = storing.replace(body=stored(subtract(loop.stop, tensor.ONE)))
    if trips(loop) is None:
        end = If(compare("less", loop.start, loop.stop), (end,), ())
    return [
        *allocations,
        *[Let(before[v], Literal(identity("multiply", v.dtype), v.dtype)) for v in values],
        loop.replace(body=(*inside, both, *keep)),
        end,
    ]
