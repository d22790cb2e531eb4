"""Loops that pack what masks select:

    for i: out[place] = x[i]; place = place + i64(mask[i])

As each place is stored to until something selected is, a vector of lanes may store what it selects
side by side, and whatever after that: as many elements as it has read are free from `place` on. One
loop may pack several parts, each into memory of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from .tensor import Apply, Assign, Expression, For, Let, Statement, Store, Variable, loads_of
from .types import bool_


class Packing(NamedTuple):
    """A store of such a loop, its counter, and what selects."""

    store: Store
    place: Variable
    selected: Expression


class PackingLoop(NamedTuple):
    """The parts of such a loop: what it computes first, and what it packs."""

    lets: tuple[Let, ...]
    packings: tuple[Packing, ...]


def packing_of(loop: For) -> PackingLoop | None:
    """The parts of a loop that packs elements in memory; None if it does anything else."""
    lets: list[Let] = []
    body = list(loop.body)
    while body and isinstance(body[0], Let):
        lets.append(body.pop(0))
    packings = [_packing(store, step) for store, step in zip(body[::2], body[1::2])]
    if not packings or len(body) % 2 or None in packings:
        return None
    places = {packing.place for packing in packings}
    buffers = {packing.store.buffer for packing in packings}
    values = [let.value for let in lets]
    values += [part for packing in packings for part in (packing.store.value, packing.selected)]
    counts = any(not places.isdisjoint(value.free) for value in values)
    is_read = any(load.buffer in buffers for load in loads_of(loop.body))
    if counts or is_read or not len(places) == len(buffers) == len(packings):
        return None
    return PackingLoop(tuple(lets), tuple(packings))


def _packing(store: Statement, step: Statement) -> Packing | None:
    match store, step:
        case (
            Store(_, (*_, Variable() as place), _),
            Assign(variable, Apply("add", (again, Apply("cast", (selected,), _)), _)),
        ) if place is variable is again and selected.dtype is bool_:
            fixed = all(place not in index.free for index in store.indices[:-1])
            is_dense = store.buffer.type.strides[-1] == 1
            return Packing(store, place, selected) if fixed and is_dense else None
    return None
