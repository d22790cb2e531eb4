"""Loops that pack what masks select:

    for i: out[place] = x[i]; place = place + i64(mask[i])

As each place is stored to until something selected is, a vector of lanes may store what it selects
side by side, and whatever after that: as many elements as it has read are free from `place` on. One
loop may pack several parts, each into memory of its own, and count others without storing them.
"""

from __future__ import annotations

from typing import NamedTuple

from .tensor import Apply, Assign, Expression, For, Let, Store, Variable, loads_of
from .types import bool_


class Packing(NamedTuple):
    """A store of such a loop, if there is one, its counter, and what selects."""

    store: Store | None
    place: Variable
    selected: Expression


class PackingLoop(NamedTuple):
    """The parts of such a loop: what it computes first, and what it packs."""

    lets: tuple[Let, ...]
    packings: tuple[Packing, ...]


def packing_of(loop: For) -> PackingLoop | None:
    """The parts of a loop that packs elements in memory; None if it does anything else."""
    lets: list[Let] = []
    packings: list[Packing] = []
    store: Store | None = None
    for statement in loop.body:
        match statement:
            case Let() if not packings and store is None:
                lets.append(statement)
            case Store() if store is None:
                store = statement
            case Assign():
                packing = _packing(store, statement)
                if packing is None:
                    return None
                packings.append(packing)
                store = None
            case _:
                return None
    return _independent(loop, lets, packings) if packings and store is None else None


def _packing(store: Store | None, step: Assign) -> Packing | None:
    match step.value:
        case Apply("add", (Variable() as place, Apply("cast", (selected,), _)), _) if (
            place is step.variable and selected.dtype is bool_
        ):
            if store is None or _is_packed(store, place):
                return Packing(store, place, selected)
    return None


def _is_packed(store: Store, place: Variable) -> bool:
    *others, last = store.indices
    is_row = last is place and all(place not in index.free for index in others)
    return is_row and store.buffer.type.strides[-1] == 1


def _independent(loop: For, lets: list[Let], packings: list[Packing]) -> PackingLoop | None:
    """Its parts, where nothing that is computed depends on what was packed before."""
    stores = [packing.store for packing in packings if packing.store is not None]
    if not stores:
        return None
    places = {packing.place for packing in packings}
    buffers = {store.buffer for store in stores}
    values = [let.value for let in lets] + [store.value for store in stores]
    values += [packing.selected for packing in packings]
    if any(not places.isdisjoint(value.free) for value in values):
        return None
    if any(load.buffer in buffers for load in loads_of(loop.body)):
        return None
    if len(places) < len(packings) or len(buffers) < len(stores):
        return None
    return PackingLoop(tuple(lets), tuple(packings))
