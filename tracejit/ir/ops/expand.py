"""Elements over and over, each as often as a number beside it says: what `np.repeat` gives.

The result has room for so many; each element is stored a few times whether or not it is to be, where
the next one is stored over it, so that few repeats take no branch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions
from ..dims import Dim
from ..op import SCAN, Loops, Op, define
from ..tensor import (
    ZERO,
    Apply,
    Assign,
    Buffer,
    For,
    Index,
    Let,
    Load,
    Statement,
    Store,
    Variable,
)
from ..types import ArrayType, DType, array_type, i64

__all__ = ["EAGER", "expand"]

# How often each element is stored at least; the result has so much more room.
EAGER = 4


def _type(x: ArrayType, counts: ArrayType, *, room: int | Dim) -> ArrayType:
    if x.ndim != 1 or counts.dtype is not i64 or counts.shape != x.shape or room < 0:
        raise ValueError(f"{counts} does not say how often elements of {x} are repeated")
    return array_type((room + EAGER,), x.dtype)


def _reference(x: Any, counts: Any, *, room: int) -> Any:
    x = np.asarray(x)
    found = np.repeat(x, np.clip(counts, 0, room))[:room]
    result = np.full(room + EAGER, x[-1], x.dtype)
    result[: found.size] = found
    return result


def _loops(x: Buffer, counts: Buffer, out: Buffer, *, room: int | Dim) -> tuple[Statement, ...]:
    index, k, here, often = [Index(name) for name in ("i", "k", "here", "often")]
    place = Variable("place", i64)
    count = expressions.maximum(ZERO, Load(counts, (index,)))
    store = Store(out, (expressions.add(here, k),), Load(x, (index,)))
    most = expressions.extent(room)
    body = (
        # What comes next waits for a sum alone.
        Let(here, Apply("minimum", (place, most), i64)),
        Let(often, expressions.minimum(count, expressions.subtract(most, here))),
        For(k, ZERO, expressions.integer(EAGER), (store,), "serial", 1),
        For(k, expressions.integer(EAGER), often, (store,), "serial", 1),
        Assign(place, Apply("add", (place, count), i64)),
    )
    stop = expressions.extent(x.type.shape[0])
    return (Let(place, ZERO), For(index, ZERO, stop, body, "serial", 1))


def _samples(dtype: DType) -> list:
    cases = ((40, 20), (7, 3), (3, 2), (1, 0))
    return [([array_type((n,), dtype), array_type((n,), i64)], {"room": room}) for n, room in cases]


# The elements of `x`, each as often as `counts` says, as far as there is room; what follows them is
# unspecified.
expand = define(Op("expand", SCAN, _type, _reference, Loops(_loops), cost=3.0, samples=_samples))
