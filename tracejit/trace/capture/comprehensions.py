"""List comprehensions: the lists that Python makes, or loops that are rolled, where that is shorter."""

from __future__ import annotations

import sys
from typing import Any

from ...config import config
from ...errors import TraceError
from ..context import Trace, current_trace
from ..tree import LEAF
from ..value import Value
from . import folds, stacks
from .functions import is_to_be_driven
from .generators import Lazy, Selected, room_for, selected
from .growing import MOST_LISTED, UNKNOWN, Growing, Note, Regrow, grows, note_of
from .iterables import Placed
from .joins import kind_of


def listed(found: Lazy, place: tuple) -> Any:
    """`[*found]`, of the comprehension at a place of the user's code."""
    trace = current_trace()
    if trace is not None and found.is_nested:
        return _of_loops(trace, found, (sys._getframe(1).f_code.co_filename, *place))
    if trace is not None and is_to_be_driven(found.source):
        items = grows([], (sys._getframe(1).f_code.co_filename, *place))
        trace.hook(folds.append_all)(items, found)
        return items
    if trace is None or not found.is_rolled:
        return list(found)
    first, stop = found.source.bounds
    is_known = type(first) is int and type(stop) is int
    if is_known and found.condition is None:
        key = (sys._getframe(1).f_code.co_filename, *place)
        is_long = stop - first > config.unroll
        return _of_all(trace, found, stop - first, key) if is_long else list(found)
    if is_known and first >= stop:
        return []
    sample = found.source.item(first)
    if is_known and not isinstance(found.keeps(sample), Value):
        return list(found)
    value = found.value(sample)
    note, key = note_of([value]), (sys._getframe(1).f_code.co_filename, *place)
    if note is None or note.has_arrays:
        return selected(trace, found, stop - first, value)
    if kind_of(value) is None or key in trace.growing:
        return _grown(trace, found, key, note)
    items = selected(trace, found, stop - first, value)
    items.regrow = Regrow(key, note._replace(room=UNKNOWN))
    return items


def _of_loops(trace: Trace, found: Lazy, key: tuple) -> Any:
    """The values of several loops, one inside the other: a list that grows where traced values decide."""
    note = trace.growing.get(key)
    if note is None:
        try:
            return list(found)
        except TraceError:
            note = note_of([_sample(found)])
            if note is None or note.has_arrays or key in trace.growing:
                raise
            raise Regrow(key, note) from None
    return _grown(trace, found, key, note)


def _grown(trace: Trace, found: Lazy, key: tuple, note: Note) -> Growing:
    """The values as a list that grows."""
    items = Growing(key, trace.growing.get(key, note), ())
    trace.hook(stacks.gather)(items, found)
    return items


def _sample(found: Lazy) -> Any:
    """A value as it would have."""
    source = found.source
    x = source.item(source.bounds[0]) if found.is_rolled else next(iter(source), None)
    value = found.value(x)
    return _sample(value) if found.is_nested else value


def _of_all(trace: Trace, found: Lazy, count: int, key: tuple) -> Any:
    """The values of all items: one by one, or by a loop, if that was found to be too much before."""
    note = trace.growing.get(key)
    if note is not None:
        return _by_loop(trace, found, count, key, note)
    items: list[Any] = []
    known, before = len(trace.homes), trace.repeated
    trace.repeated *= count
    try:
        for value in found:
            items.append(value)
            nodes = (len(trace.homes) - known) // 2
            if (
                len(items) == 2
                and nodes * trace.repeated > MOST_LISTED
                and key not in trace.growing
            ):
                note = note_of(items)
                if note is not None:
                    raise Regrow(key, note, is_tried=True)
    finally:
        trace.repeated = before
    return items


def _by_loop(trace: Trace, found: Lazy, count: int, key: tuple, note: Note) -> Any:
    source = Placed(found.source, key)
    if note.structure == LEAF:
        (kind,) = note.kinds
        room = room_for(count, kind)
        trace.hook(folds.fill)(room, source, found.value)
        return Selected(room, kind)
    items = Growing(key, note._replace(room=count), ())
    trace.hook(stacks.fill)(items, source, found.value)
    items.end = count
    return items
