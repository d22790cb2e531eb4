"""Loops that pack what masks select:

    for i: out[place] = x[i]; place = place + i64(mask[i])

As each place is stored to until something selected is, a vector of lanes may store what it selects
side by side, and whatever after that: as many elements as it has read are free from `place` on. One
loop may pack several parts, each into memory of its own, count others without storing them, and do more
that lanes may do. Where what comes after the last place is not free, as it is another thread's,

    for i: out[place] = where(mask[i], x[i], out[place]); place = place + i64(mask[i])

stores what is selected alone.
"""

from __future__ import annotations

from typing import NamedTuple

from .tensor import (
    Accumulate,
    Apply,
    Assign,
    Expression,
    For,
    Let,
    Load,
    Store,
    Variable,
    expressions_of,
)
from .types import DType, bool_

# Machines with vectors this wide have an instruction that moves selected lanes together.
PACKS = 64


def packs(dtype: DType, vector_bytes: int) -> bool:
    """Whether the machine has an instruction that packs such elements."""
    return vector_bytes >= PACKS and dtype.kind in "iuf" and dtype.itemsize in (4, 8)


class Packing(NamedTuple):
    """A store of such a loop, if there is one, its counter, what selects, and what is stored where it does; and
    whether that is `exact`: all that may be stored."""

    store: Store | None
    place: Variable
    selected: Expression
    value: Expression | None = None
    is_exact: bool = False


class PackingLoop(NamedTuple):
    """The parts of such a loop: what it computes first, what it packs, and what else it does."""

    lets: tuple[Let, ...]
    packings: tuple[Packing, ...]
    others: tuple[Store | Accumulate, ...]


def packing_of(loop: For) -> PackingLoop | None:
    """The parts of a loop that packs elements in memory; None if it does anything else."""
    lets: list[Let] = []
    packings: list[Packing] = []
    others: list[Store | Accumulate] = []
    store: Store | None = None
    for statement in loop.body:
        match statement:
            case Let() if not packings and not others and store is None:
                lets.append(statement)
            case Store() | Accumulate(Variable()):
                others += [store] if store is not None else []
                store = statement if isinstance(statement, Store) else None
                others += [statement] if store is None else []
            case Assign():
                packing = _packing(store, statement)
                if packing is None:
                    return None
                packings.append(packing)
                store = None
            case _:
                return None
    others += [store] if store is not None else []
    return _independent(loop, PackingLoop(tuple(lets), tuple(packings), tuple(others)))


def _packing(store: Store | None, step: Assign) -> Packing | None:
    match step.value:
        case Apply("add", (Variable() as place, Apply("cast", (selected,), _)), _) if (
            place is step.variable and selected.dtype is bool_
        ):
            if store is None:
                return Packing(store, place, selected)
            if not _is_packed(store, place):
                return None
            match store.value:
                case Apply("where", (condition, value, Load(buffer, indices)), _) if (
                    condition is selected and buffer is store.buffer and indices == store.indices
                ):
                    return Packing(store, place, selected, value, True)
            return Packing(store, place, selected, store.value)
    return None


def _is_packed(store: Store, place: Variable) -> bool:
    *others, last = store.indices
    is_row = last is place and all(place not in index.free for index in others)
    return is_row and store.buffer.type.strides[-1] == 1


def _independent(loop: For, found: PackingLoop) -> PackingLoop | None:
    """Its parts, where nothing that is computed depends on what was packed before."""
    stores = [packing.store for packing in found.packings if packing.store is not None]
    if not stores:
        return None
    places = {packing.place for packing in found.packings}
    buffers = {store.buffer for store in stores}
    values = [let.value for let in found.lets] + [packing.selected for packing in found.packings]
    values += [packing.value for packing in found.packings if packing.value is not None]
    values += [e for s in found.others for e in expressions_of(s)]
    changed = [s.target if isinstance(s, Accumulate) else s.buffer for s in found.others]
    read = frozenset().union(*[value.free for value in values])
    if not read.isdisjoint((*places, *buffers, *changed)) or not buffers.isdisjoint(changed):
        return None
    if len(places) < len(found.packings) or len(buffers) < len(stores):
        return None
    return found
