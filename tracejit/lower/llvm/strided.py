"""Vectors of elements a fixed step apart, without gather and scatter instructions.

Those take several cycles a lane on many cores. Elements that lie close together are shuffled out
of the vectors they lie in; others are loaded and stored one by one.
"""

from __future__ import annotations

from ..tensor.cost import CLOSE
from .builder import Builder, Value


def load_strided(b: Builder, pointer: Value, kind: str, step: int, count: int) -> Value:
    """`count` lanes, `step` elements apart; reads nothing beyond the last."""
    if 2 <= step <= CLOSE and count >= 4:
        return _shuffled(b, pointer, kind, step, count)
    value = None
    for lane in range(count):
        element = b.load(b.offset(pointer, b.const(lane * step, "i64"), kind), kind)
        value = b.insert(value, element, lane, count)
    return value


def _shuffled(b: Builder, pointer: Value, kind: str, step: int, count: int) -> Value:
    # The last vector is moved back, so that it ends with the last element.
    starts = [*[k * count for k in range(step - 1)], (step - 1) * (count - 1)]
    vectors = [
        b.load(b.offset(pointer, b.const(start, "i64"), kind), kind, count) for start in starts
    ]
    places = [lane * step for lane in range(count)]
    result = vectors[0]
    for number in range(1, step):
        # Lanes that are right already stay; those that start in this vector come from it.
        lanes = [
            count + place - starts[number]
            if min(place // count, step - 1) == number
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
