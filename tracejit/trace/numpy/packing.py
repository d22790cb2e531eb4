"""Bits in bytes: `packbits`, `unpackbits`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..application import apply
from ..array import Array
from ..host import no_rule
from ..registry import implements
from .arguments import one_axis, static_int
from .building import (
    as_array,
    broadcast,
    concatenated,
    converted,
    filled,
    permuted,
    reshaped,
    taken,
    window,
)
from .shapes import moveaxis

_BITS = 8


def _places(bitorder: str) -> np.ndarray:
    """By how much each bit of a byte is shifted, the first one first."""
    if bitorder not in ("big", "little"):
        raise ValueError(f"'order' must be either 'little' or 'big' (got {bitorder!r})")
    rising = np.arange(_BITS, dtype=np.uint8)
    return rising if bitorder == "little" else rising[::-1].copy()


def _along_last(a: Any, axis: Any, name: str) -> tuple[Array, int, int]:
    """The array with the axis last, where that was, and its extent."""
    x = as_array(a)
    if axis is None or x.ndim == 0:
        x, axis = reshaped(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    x = permuted(x, (*[k for k in range(x.ndim) if k != axis], axis))
    extent = static_int(x.shape[-1], "an extent")
    if type(extent) is not int:
        raise no_rule(f"np.{name} of an unknown extent")
    return x, axis, extent


@implements(np.packbits)
def packbits(a, /, axis=None, bitorder="big"):
    """`np.packbits`: what is not zero is a bit that is set; the last byte is filled up with zeros."""
    places = _places(bitorder)
    if as_array(a).dtype.kind not in "biu":
        raise TypeError("Expected an input array of integer or boolean data type")
    x, axis, extent = _along_last(a, axis, "packbits")
    bits = converted(x if x.dtype.kind == "b" else apply(np.not_equal, x, 0), np.uint8)
    missing = -extent % _BITS
    if missing:
        bits = concatenated([bits, filled((*bits.shape[:-1], missing), 0, np.uint8)], bits.ndim - 1)
    bits = reshaped(bits, (*bits.shape[:-1], (extent + missing) // _BITS, _BITS))
    each = [apply(np.left_shift, taken(bits, bits.ndim - 1, k), places[k]) for k in range(_BITS)]
    return moveaxis(functools.reduce(functools.partial(apply, np.bitwise_or), each), -1, axis)


@implements(np.unpackbits)
def unpackbits(a, /, axis=None, count=None, bitorder="big"):
    """`np.unpackbits`; `count` bits of each row, those that are not there being zeros."""
    places = _places(bitorder)
    if as_array(a).dtype != np.uint8:
        raise TypeError("Expected an input array of unsigned byte data type")
    x, axis, extent = _along_last(a, axis, "unpackbits")
    wide = broadcast(reshaped(x, (*x.shape, 1)), (*x.shape, _BITS))
    bits = apply(np.bitwise_and, apply(np.right_shift, wide, places), np.uint8(1))
    bits, given = reshaped(bits, (*x.shape[:-1], extent * _BITS)), extent * _BITS
    if count is not None:
        wanted = static_int(count, "a number of bits").__index__()
        if wanted < 0:
            wanted = given + wanted
            if wanted < 0:
                raise ValueError(f"-count larger than number of elements ({given})")
        if wanted > given:
            more = filled((*bits.shape[:-1], wanted - given), 0, np.uint8)
            bits = concatenated([bits, more], bits.ndim - 1)
        bits = window(bits, bits.ndim - 1, 0, wanted)
    return moveaxis(bits, -1, axis)
