"""Vectors of elements a fixed step apart, without gather and scatter instructions.

Those take several cycles a lane on many cores. Elements that lie close together are shuffled out
of the vectors they lie in; others are loaded and stored one by one.
"""

from __future__ import annotations

from ..tensor.cost import CLOSE
from .builder import Builder, Value


def is_close(step: int, count: int) -> bool:
    """Whether elements are shuffled out of whole vectors."""
    return 2 <= step <= CLOSE and count >= 4


def load_strided(b: Builder, pointer: Value, kind: str, step: int, count: int, used: int) -> Value:
    """`count` lanes, `step` elements apart, of which the first that are `used` count; reads nothing
    beyond the last of these. Where not all are used they are more than half, and close."""
    if is_close(step, count):
        return _shuffled(b, pointer, kind, step, count, used)
    value = None
    for lane in range(count):
        element = b.load(b.offset(pointer, b.const(lane * step, "i64"), kind), kind)
        value = b.insert(value, element, lane, count)
    return value


def _shuffled(b: Builder, pointer: Value, kind: str, step: int, count: int, used: int) -> Value:
    # The last vector is moved back, so that it ends with the last element. There are two at least.
    last = (used - 1) * step + 1 - count
    starts = [*range(0, last, count), last]
    vectors = [
        b.load(b.offset(pointer, b.const(start, "i64"), kind), kind, count) for start in starts
    ]
    places = [lane * step if lane < used else 0 for lane in range(count)]
    result = vectors[0]
    for number in range(1, len(starts)):
        # Lanes that are right already stay; those that start in this vector come from it.
        lanes = [
            count + place - starts[number]
            if min(place // count, len(starts) - 1) == number
            else (lane if number > 1 else min(place, count - 1))
            for lane, place in enumerate(places)
        ]
        result = b.shuffle(result, vectors[number], lanes)
    return result


def store_strided(b: Builder, value: Value, pointer: Value, step: int) -> None:
    """The lanes of `value`, `step` elements apart."""
    for lane in range(value.lanes):
        place = b.offset(pointer, b.const(lane * step, "i64"), value.kind)
        b.store(b.extract(value, lane), place)
