"""NumPy 2's promotion: which loop a ufunc runs, and what a Python scalar becomes in it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..ir import ops
from ..ir.dims import highest, lowest
from ..ir.graph import Node
from ..ir.term import postorder
from ..ir.types import DType, bool_, c128, f32, f64, i64
from .broadcasting import broadcast_to_shape
from .context import supported_dtype

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


def computed(node: Node) -> Node:
    """`node` in the dtype that is computed in: what is stored only is a float32 then."""
    return cast(node, f32) if node.type.dtype.is_stored_only else node


def cast_weak(node: Node, weak: type, dtype: DType) -> Node:
    """A traced Python scalar converted as NumPy converts one; the program refuses an int that does
    not fit."""
    if weak is int and dtype.is_integer and dtype is not i64:
        limits = np.iinfo(dtype.numpy)
        ends = [int(limits.min), min(int(limits.max), MOST_INT)]
        bounds = range_of(node)
        if bounds is None or not ends[0] <= bounds[0] <= bounds[1] <= ends[1]:
            low, high = [broadcast_to_shape(constant(end, i64), node.type.shape) for end in ends]
            node = ops.fitting(cast(node, i64), low, high)
    return cast(node, dtype)


MOST_INT = (1 << 63) - 1


def range_of(node: Node) -> tuple[int, int] | None:
    """Two ints that the values of a node of ints are certainly between, if that is seen at once."""
    known: dict[Node, tuple[int, int] | None] = {}
    for found in postorder((node,), lambda n: n.operands if n.op in _RANGES else ()):
        if found.op in _RANGES:
            known[found] = _RANGES[found.op](*[known[operand] for operand in found.operands])
        elif found.op is ops.constant and type(found.attrs["value"]) is int:
            known[found] = found.attrs["value"], found.attrs["value"]
        elif found.op is ops.extent:
            low, high = lowest(found.attrs["value"]), highest(found.attrs["value"])
            known[found] = (low, high) if low is not None and type(high) is int else None
        elif found.type.dtype is bool_:
            known[found] = 0, 1
        elif found.type.dtype.is_integer and found.type.dtype.itemsize < i64.itemsize:
            limits = np.iinfo(found.type.dtype.numpy)
            known[found] = int(limits.min), int(limits.max)
        else:
            known[found] = None
    return known[node]


def _of_both(a: Any, b: Any) -> Any:
    return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))


def _of_remainder(x: Any, divisor: Any) -> Any:
    return None if divisor is None or divisor[0] <= 0 else (0, divisor[1] - 1)


def _of_common_bits(a: Any, b: Any) -> Any:
    most = [x[1] for x in (a, b) if x is not None and x[0] >= 0]
    return (0, min(most)) if most else None


# What ranges of results follow from those of operands.
_RANGES = {
    ops.where: lambda condition, a, b: _of_both(a, b),
    ops.maximum: _of_both,
    ops.minimum: _of_both,
    ops.cast: lambda x: x,
    ops.remainder: _of_remainder,
    ops.bitwise_and: _of_common_bits,
}


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
