"""maximum, minimum, fmax and fmin, with NumPy's rules for NaN and signed zeros."""

from __future__ import annotations

from tracejit.lower.llvm.math.arithmetic import Number, greatest, is_nan, least, select


def maximum(x: Number, y: Number) -> Number:
    """The larger; NaN where either is; the second where they are equal."""
    return select(is_nan(x), x, greatest(x, y))


def minimum(x: Number, y: Number) -> Number:
    """The smaller; NaN where either is; the second where they are equal."""
    return select(is_nan(x), x, least(x, y))


def fmax(x: Number, y: Number) -> Number:
    """The larger; NaN only where both are; the second where they are equal."""
    return select(is_nan(y), x, greatest(x, y))


def fmin(x: Number, y: Number) -> Number:
    """The smaller; NaN only where both are; the second where they are equal."""
    return select(is_nan(y), x, least(x, y))
