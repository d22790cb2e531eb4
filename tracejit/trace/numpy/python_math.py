"""Python's `math` on traced numbers: NumPy's functions, with Python's types of results.

limit: where `math` raises ValueError or OverflowError, the result is nan or inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.graph import Node
from ...ir.types import c128, f64, i64
from ..application import apply
from ..array import Array, to_weak
from ..promotion import cast
from ..registry import creates
from ..value import Value, to_node

_UFUNCS = {
    np.sqrt: "sqrt",
    np.exp: "exp",
    np.expm1: "expm1",
    np.log2: "log2",
    np.log10: "log10",
    np.log1p: "log1p",
    np.sin: "sin",
    np.cos: "cos",
    np.tan: "tan",
    np.arcsin: "asin",
    np.arccos: "acos",
    np.arctan: "atan",
    np.arctan2: "atan2",
    np.sinh: "sinh",
    np.cosh: "cosh",
    np.tanh: "tanh",
    np.arcsinh: "asinh",
    np.arccosh: "acosh",
    np.arctanh: "atanh",
    np.power: "pow",
    np.fabs: "fabs",
    np.fmod: "fmod",
    np.copysign: "copysign",
    np.degrees: "degrees",
    np.radians: "radians",
    np.isnan: "isnan",
    np.isinf: "isinf",
    np.isfinite: "isfinite",
    np.cbrt: "cbrt",
    np.exp2: "exp2",
}
_TO_INT = {np.floor: "floor", np.ceil: "ceil", np.trunc: "trunc"}


def _numbers(args: tuple) -> list[Array]:
    """The arguments as float64 scalars, as `math` takes them."""
    nodes = [to_node(value) for value in args]
    if any(node.type.shape for node in nodes):
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
    return [Array(cast(node, f64), True) for node in nodes]


def _traced(original: Callable[..., Any], compute: Callable[..., Any]) -> None:
    @creates(original)
    def chosen(*args: Any) -> Any:
        if not any(isinstance(value, Value) for value in args):
            return original(*args)
        return compute(*_numbers(args))


def _as_number(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda *args: to_weak(apply(ufunc, *args))


def _as_int(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda x: Array(cast(ops.convertible(apply(ufunc, x).node), i64), True, int)


def to_int(*args: Any) -> Any:
    """`int`, which for a traced number is one, too."""
    if len(args) != 1 or not isinstance(args[0], Value):
        return int(*args)
    (x,) = args
    node = real_part(x, int)
    if node.type.dtype.is_float:
        node = ops.convertible(cast(node, f64))
    return Array(cast(node, i64), True, int)


def to_float(*args: Any) -> Any:
    """`float`, which for a traced number is one, too."""
    if len(args) != 1 or not isinstance(args[0], Value):
        return float(*args)
    return Array(cast(real_part(args[0], float), f64), True, float)


def to_complex(*args: Any) -> Any:
    """`complex`, which for traced numbers is one, too."""
    if not 0 < len(args) < 3 or not any(isinstance(value, Value) for value in args):
        return complex(*args)
    nodes = [single(value) for value in args]
    if len(nodes) == 1:
        return Array(cast(nodes[0], c128), True, complex)
    if any(node.type.dtype.is_complex for node in nodes):
        first, second = [Array(cast(node, c128), True, complex) for node in nodes]
        return first + second * 1j
    return Array(ops.complex(*[cast(node, f64) for node in nodes]), True, complex)


def real_part(x: Value, kind: type) -> Node:
    """The node of a real number; of NumPy's complex ones the real part, as NumPy takes it."""
    node = single(x)
    if not node.type.dtype.is_complex:
        return node
    return ops.real(node) if x.weak is None else kind(0j)  # raises Python's TypeError


def single(x: Any) -> Node:
    """The node of a number, or of an array that NumPy lets be one."""
    node = to_node(x)
    if node.type.shape:
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
    return node


def _error_function(op: Any) -> Callable[..., Any]:
    return lambda x: to_weak(Array(op(x.node), True))


def _log(x: Array, base: Array | None = None) -> Array:
    result = apply(np.log, x)
    return to_weak(result if base is None else apply(np.divide, result, apply(np.log, base)))


def _hypot(*args: Array) -> Array:
    result = apply(np.fabs, args[0])
    for value in args[1:]:
        result = apply(np.hypot, result, value)
    return to_weak(result)


for _ufunc, _name in _UFUNCS.items():
    if hasattr(math, _name):  # cbrt and exp2 are new in Python 3.11
        _traced(getattr(math, _name), _as_number(_ufunc))
for _ufunc, _name in _TO_INT.items():
    _traced(getattr(math, _name), _as_int(_ufunc))
_traced(math.erf, _error_function(ops.erf))
_traced(math.erfc, _error_function(ops.erfc))
_traced(math.log, _log)
_traced(math.hypot, _hypot)
