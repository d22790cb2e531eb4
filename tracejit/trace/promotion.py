"""NumPy 2's promotion: which loop a ufunc runs, and what a Python scalar becomes in it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir import ops
from ..ir.graph import Node
from ..ir.types import DType, bool_, c128, f64, i64
from .broadcasting import broadcast_to_shape
from .context import failure, supported_dtype

# The dtype of a Python scalar that meets no array.
DEFAULT_DTYPES: dict[type, DType] = {bool: bool_, int: i64, float: f64, complex: c128}
# What `x op k` gives for integers x: when k is above all that x can be, and when it is below.
COMPARISONS = {
    np.less: (True, False),
    np.less_equal: (True, False),
    np.greater: (False, True),
    np.greater_equal: (False, True),
    np.equal: (False, False),
    np.not_equal: (True, True),
}

# What an operand looks like to promotion: a dtype, or int, float or complex when it is weak.
Kind = Any


@lru_cache(maxsize=4096)
def loop_of(
    ufunc: np.ufunc, kinds: tuple[Kind, ...], signature: Any = None, casting: str = "same_kind"
) -> tuple[DType, ...]:
    """The dtypes of inputs, then outputs, of the loop NumPy picks; its TypeErrors pass through."""
    if not any(isinstance(kind, np.dtype) for kind in kinds):
        kinds = tuple(DEFAULT_DTYPES[kind].numpy for kind in kinds)
    wanted = (*kinds, *[None] * ufunc.nout)
    options = {} if signature is None else {"signature": signature}
    resolved = ufunc.resolve_dtypes(wanted, casting=casting, **options)
    return tuple(supported_dtype(dtype) for dtype in resolved)


def constant(value: Any, dtype: DType) -> Node:
    """A 0-d constant; a Python int that `dtype` cannot hold raises NumPy's OverflowError."""
    kind = dtype.kind
    if kind in "iu" and type(value) is not int:
        value = int(value)
    with np.errstate(all="ignore"):
        exact = np.asarray(value, dtype.numpy) if kind != "b" else np.asarray(bool(value))
    return ops.constant(value=exact[()].item(), dtype=dtype)


@lru_cache(maxsize=1024, typed=True)
def _filled(value: Any, dtype: DType, shape: tuple) -> Node:
    return broadcast_to_shape(constant(value, dtype), shape)


def filled(value: Any, dtype: DType, shape: tuple) -> Node:
    """A Python number everywhere in an array of this shape."""
    if value == 0 and type(value) is not int or type(value) is complex:  # 0.0 == -0.0
        return _filled.__wrapped__(value, dtype, shape)
    return _filled(value, dtype, shape)


def cast(node: Node, dtype: DType) -> Node:
    """`node` converted to `dtype`; constants are converted at once."""
    if node.type.dtype is dtype:
        return node
    if node.op is ops.constant:
        return ops.constant(value=dtype(node.type.dtype(node.attrs["value"])).item(), dtype=dtype)
    return ops.cast(node, dtype=dtype)


def cast_weak(node: Node, weak: type, dtype: DType) -> Node:
    """A traced Python scalar converted as NumPy converts one; ints must fit for certain."""
    if weak is int and dtype.is_integer and dtype is not i64:
        raise failure(
            TraceError,
            f"a Python int becomes {dtype.numpy} here, which NumPy allows only if it fits",
            "name the argument in static_argnames, or pass a NumPy integer",
        )
    return cast(node, dtype)


def result_dtype(*kinds: Kind) -> DType:
    """`np.result_type`, for dtypes and weak Python types."""
    samples = [kind if isinstance(kind, np.dtype) else kind(0) for kind in kinds]
    if all(not isinstance(kind, np.dtype) for kind in kinds):
        samples = [DEFAULT_DTYPES[kind].numpy for kind in kinds]
    return supported_dtype(np.result_type(*samples))


def comparison_out_of_range(
    ufunc: np.ufunc, value: int, dtype: DType, is_left: bool
) -> bool | None:
    """What comparing integers of `dtype` with an int beyond their range always gives, else None."""
    limits = np.iinfo(dtype.numpy)
    if limits.min <= value <= limits.max:
        return None
    return COMPARISONS[ufunc][(value < 0) != is_left]
