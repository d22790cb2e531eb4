"""Loops that pack what a mask selects:

    for i: out[place] = x[i]; place = place + i64(mask[i])

As each place is stored to until something selected is, a vector of lanes may store what it selects
side by side, and whatever after that: as many elements as it has read are free from `place` on.
"""

from __future__ import annotations

from typing import NamedTuple

from .tensor import Apply, Assign, Expression, For, Let, Store, Variable, loads_of
from .types import bool_


class Packing(NamedTuple):
    """The parts of such a loop: what it computes first, the store, the counter, and what selects."""

    lets: tuple[Let, ...]
    store: Store
    place: Variable
    selected: Expression


def packing_of(loop: For) -> Packing | None:
    """The parts of a loop that packs elements in memory; None if it does anything else."""
    if len(loop.body) < 2:
        return None
    *lets, store, step = loop.body
    match store, step:
        case (
            Store(buffer, (Variable() as place,), value),
            Assign(variable, Apply("add", (again, Apply("cast", (selected,), _)), _)),
        ) if place is variable is again and selected.dtype is bool_:
            is_read = any(load.buffer is buffer for load in loads_of(loop.body))
            counts = place in value.free or place in selected.free
            if is_read or counts or not all(_is_own(let, place) for let in lets):
                return None
            return Packing(tuple(lets), store, place, selected)
    return None


def _is_own(let: object, place: Variable) -> bool:
    return isinstance(let, Let) and place not in let.value.free
