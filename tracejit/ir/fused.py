"""`a * b + c` rounded once, in NumPy, for arrays of float32 or float64: the reference of the op `fma`.

float32 is computed in float64, where the product is exact; in float64 the rounding errors of the product and of
the sum are found (Dekker, A floating-point technique for extending the available precision, 1971; Knuth, The Art of
Computer Programming, vol. 2, 4.2.2). What this leaves in doubt (one element in many thousands, and those near the ends of
the range) is computed by exact fractions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..deferred import module

_SPLITTER = 2.0**27 + 1.0
# Where neither a product's error nor a splitting can leave the range.
_LARGE, _SMALL = 2.0**450, 2.0**-450


def fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    """`a * b + c` of arrays of one shape, float32 or float64, with one rounding."""
    a, b, c = map(np.asarray, (a, b, c))
    with np.errstate(all="ignore"):
        result, is_sure = _of_singles(a, b, c) if a.dtype == np.float32 else _of_doubles(a, b, c)
    result = np.atleast_1d(result)
    for place in zip(*np.nonzero(~np.atleast_1d(is_sure))):
        result[place] = _exact(*[np.atleast_1d(x)[place] for x in (a, b, c)])
    return result.reshape(a.shape)[()]


def _of_singles(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    total = a.astype(np.float64) * b + c
    low, high = [np.nextafter(total, end).astype(np.float32) for end in (-np.inf, np.inf)]
    return total.astype(np.float32), low == high


def _of_doubles(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    product = a * b
    (a0, a1), (b0, b1) = _halves(a), _halves(b)
    lost = ((a0 * b0 - product) + a0 * b1 + a1 * b0) + a1 * b1
    total = product + c
    part = total - product
    lost = lost + ((product - (total - part)) + (c - part))
    low, high = [total + np.nextafter(lost, end) for end in (-np.inf, np.inf)]
    sizes = [np.abs(x) for x in (a, b, product)]
    is_sure = (low == high) & (np.abs(c) < _LARGE) & (np.abs(total) > _SMALL)
    for size in sizes:
        is_sure &= (size < _LARGE) & (size > _SMALL)
    is_nothing = ((a == 0) | (b == 0)) & np.isfinite(a) & np.isfinite(b)
    return np.where(is_nothing, total, total + lost), is_sure | is_nothing


def _halves(x: Any) -> tuple[Any, Any]:
    """Two numbers of half as many digits whose sum is `x`."""
    shifted = x * _SPLITTER
    high = shifted - (shifted - x)
    return high, x - high


def _exact(a: Any, b: Any, c: Any) -> Any:
    with np.errstate(all="ignore"):
        if not (np.isfinite(a) and np.isfinite(b)):
            return a * b + c
        if not np.isfinite(c):
            return c
        Fraction = module("fractions").Fraction
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        if exact == 0:
            return a * b + c  # which knows the sign
        try:
            near = float(exact)
        except OverflowError:
            near = math.inf if exact > 0 else -math.inf
        if type(a) is np.float32 and near != exact and math.frexp(near)[0] * 2**53 % 2 == 0:
            # Of the two doubles around it the odd one, so that rounding again meets no false tie.
            near = math.nextafter(near, math.inf if exact > near else -math.inf)
        return type(a)(near)
