"""Ufuncs on nodes: pick NumPy's loop, cast, broadcast, apply the op of the same name."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..errors import TraceError, UnsupportedError
from ..ir import ops
from ..ir.graph import Node
from ..ir.op import OPS, Op
from ..ir.types import DType
from .broadcasting import broadcast_shapes, broadcast_to_shape
from .context import failure, supported_dtype
from .promotion import (
    COMPARISONS,
    DEFAULT_DTYPES,
    Kind,
    cast,
    cast_weak,
    comparison_out_of_range,
    computed,
    filled,
    loop_of,
)
from .registry import FUNCTIONS

# Ufuncs with two results, as two ops.
_PAIRS = {
    np.divmod: ("floor_divide", "remainder"),
    np.frexp: ("frexp_mantissa", "frexp_exponent"),
    np.modf: ("modf_fraction", "modf_integer"),
}
# What depends on how many digits a dtype has, or, of zeros, on who made it.
_OF_DIGITS = (np.nextafter, np.spacing, np.sign)
# The exponents ndarray's own `**` replaces by another ufunc, for floating point and complex.
_FAST_POWERS = {2: np.square, 1: np.positive, -1: np.reciprocal, 0.5: np.sqrt}


def apply_to_nodes(
    ufunc: np.ufunc,
    operands: list[tuple[Any, Kind]],
    signature: Any = None,
    casting: str = "same_kind",
) -> tuple[Node, ...]:
    """The results of `ufunc`; operands are as `value.to_operand` gives them.

    Raises what NumPy raises: TypeError without a loop, OverflowError for Python ints that do not
    fit; ShapeError when shapes do not; UnsupportedError for ufuncs that are not ops.
    """
    found = _ops_of(ufunc)
    if found is None:
        raise failure(
            UnsupportedError,
            f"the ufunc {ufunc.__name__} cannot be compiled",
            "compute it outside the jitted function",
        )
    if ufunc in COMPARISONS:  # which takes any int, whether or not it fits
        operands = (
            [
                (value, np.dtype(np.int64))
                if kind is int and isinstance(value, Node)
                else (value, kind)
                for value, kind in operands
            ]
            if any(isinstance(kind, np.dtype) and kind.kind in "iu" for _, kind in operands)
            else operands
        )
    kinds = tuple([kind for _, kind in operands])
    loop = loop_of(ufunc, kinds, signature, casting)
    fixed = _fixed_comparison(ufunc, operands, loop)
    if fixed is not None:
        return (fixed,)
    nodes = _fitted(ufunc, operands, loop)
    if ufunc not in _OF_DIGITS:
        nodes = list(map(computed, nodes))
    _check_power(ufunc, operands, loop)
    results = [op(*nodes) for op in found]
    outputs = loop[ufunc.nin :]
    return tuple([cast(node, dtype) for node, dtype in zip(results, outputs)])


def is_compiled(ufunc: np.ufunc) -> bool:
    """Whether a ufunc is made of ops, or has an implementation of its own."""
    return ufunc in FUNCTIONS or _ops_of(ufunc) is not None


@cache
def _ops_of(ufunc: np.ufunc) -> tuple[Op, ...] | None:
    """The op for each result of a ufunc; None when it is not in the vocabulary."""
    names = _PAIRS.get(ufunc) or (ufunc.__name__,)
    if ufunc.signature is not None or any(name not in OPS for name in names):
        return None
    if getattr(np, ufunc.__name__, None) is not ufunc:  # someone else's ufunc of the same name
        return None
    return tuple(OPS[name] for name in names)


def _fitted(
    ufunc: np.ufunc, operands: list[tuple[Any, Kind]], loop: tuple[DType, ...]
) -> list[Node]:
    """The operands with the loop's dtypes and one shape."""
    nodes = [
        (cast(value, dtype) if isinstance(kind, np.dtype) else cast_weak(value, kind, dtype))
        if isinstance(value, Node)
        else value
        for (value, kind), dtype in zip(operands, loop)
    ]
    shapes = [node.type.shape for node in nodes if isinstance(node, Node)]
    shape = shapes[0] if shapes else ()
    if any(other != shape for other in shapes):
        try:
            shape = broadcast_shapes(*shapes)
        except ValueError:
            listed = ", ".join(str(node.type) for node in nodes if isinstance(node, Node))
            broadcast_shapes(*shapes, what=f"{ufunc.__name__}({listed})")
    return [
        broadcast_to_shape(node, shape) if isinstance(node, Node) else filled(node, dtype, shape)
        for node, dtype in zip(nodes, loop)
    ]


def _fixed_comparison(
    ufunc: np.ufunc, operands: list[tuple[Any, Kind]], loop: tuple[DType, ...]
) -> Node | None:
    """Comparisons alone accept Python ints out of range; their result is the same everywhere."""
    if ufunc not in COMPARISONS:
        return None
    for position in (0, 1):
        value, _ = operands[position]
        other, kind = operands[1 - position]
        if type(value) is int and isinstance(kind, np.dtype) and kind.kind in "iu":
            fixed = comparison_out_of_range(ufunc, value, loop[position], is_left=position == 0)
            if fixed is not None:
                node = ops.constant(value=fixed, dtype=DEFAULT_DTYPES[bool])
                return broadcast_to_shape(node, other.type.shape)
    return None


def _check_power(
    ufunc: np.ufunc, operands: list[tuple[Any, Kind]], loop: tuple[DType, ...]
) -> None:
    if ufunc is np.power and loop[0].is_integer:
        base, exponent = operands[0][0], operands[1][0]
        if isinstance(exponent, Node) and operands[1][1] is int:
            raise failure(
                TraceError,
                "an integer is raised to a Python int, which NumPy allows only if it is not negative",
                "name the argument in static_argnames, or raise a float",
            )
        if type(exponent) is int and exponent < 0:
            if not isinstance(base, Node) or base.type.size != 0:
                raise ValueError("Integers to negative integer powers are not allowed.")


def fast_power(kind: Kind, exponent: Any) -> np.ufunc | None:
    """The ufunc ndarray's `x ** exponent` runs instead of power, for a Python number exponent."""
    if type(exponent) not in (int, float) or not isinstance(kind, np.dtype):
        return None
    if kind.kind in "fc":
        return _FAST_POWERS.get(exponent)
    return np.square if kind.kind in "biu" and type(exponent) is int and exponent == 2 else None


def signature_of(ufunc: np.ufunc, dtype: Any, signature: Any) -> Any:
    """What `resolve_dtypes` takes for the `dtype=` and `signature=` of a ufunc call."""
    if dtype is not None:
        supported_dtype(dtype)
        return (*[None] * ufunc.nin, *[np.dtype(dtype)] * ufunc.nout)
    if isinstance(signature, str):
        inputs, _, outputs = signature.partition("->")
        return tuple(np.dtype(c) for c in (inputs + outputs)) if outputs else signature
    return signature
