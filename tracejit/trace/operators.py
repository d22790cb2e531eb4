"""Python's operators on traced values: NumPy's between arrays, Python's own between numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import NotNumbers, TraceError, TracejitError
from ..ir import ops
from ..ir.refusal import BY_ZERO
from ..ir.types import i64
from .context import current_trace, failure
from .promotion import DEFAULT_DTYPES, cast, constant
from .ufunc import apply_to_nodes, fast_power
from .value import Value, node_of, to_node, to_operand

_RANK = (bool, int, float, complex)
_ORDERINGS = (np.less, np.less_equal, np.greater, np.greater_equal)
_COMPARISONS = (*_ORDERINGS, np.equal, np.not_equal)
_DIVISIONS = (np.divide, np.floor_divide, np.remainder, np.divmod)
_LOGIC = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)


# Of an int that is at least 2, a larger power has no place in 64 bits.
MOST_EXPONENT = 62

_CHOICE = "use np.where for a choice by value"


def needs_value(value: Value, use: str, remedy: str = _CHOICE) -> TracejitError:
    """The error for a place where Python wants the number itself."""
    error = failure(
        TraceError,
        f"the value of {value.node.type} is needed {use}, but it is not known while tracing",
        f"{remedy}, or name the argument in static_argnames to compile for each of its values",
    )
    error.needed = value.node
    return error


def _weak_type(value: Any) -> type | None:
    """The Python type of a number, traced or not; None for what NumPy computes with."""
    if isinstance(value, Value):
        return value.weak
    return type(value) if type(value) in _RANK else None


def _binary(ufunc: np.ufunc, self: Value, left: Any, right: Any, other: Any) -> Any:
    """`left ufunc right`, one of which is `self`, the other `other`."""
    weak = _weak_type(other)
    if weak is None:
        if isinstance(other, Value):
            if other.mask is not None and self.mask is None:
                return NotImplemented  # the selection knows how
        elif to_operand(other) is None:
            return _defer(ufunc, self, left, right, other)
    elif self.weak is not None:
        return _python_result(ufunc, type(self), left, right)
    elif ufunc is np.power and right is other and not isinstance(other, Value):
        fast = fast_power(self.kind, other)
        if fast is not None:
            return self.__array_ufunc__(fast, "__call__", self)
    return self.__array_ufunc__(ufunc, "__call__", left, right)


def _defer(ufunc: np.ufunc, self: Value, left: Any, right: Any, other: Any) -> Any:
    """Leave it to `other` where NumPy would; where NumPy would make an array of objects, refuse."""
    if isinstance(other, str | bytes) and self.weak is None and ufunc not in _COMPARISONS:
        number = np.zeros((), self.dtype)
        ufunc(*[number if value is self else value for value in (left, right)])  # raises TypeError
    opts_out = getattr(type(other), "__array_ufunc__", ...) is None
    if self.is_scalar or opts_out or isinstance(other, str | bytes):
        return NotImplemented
    raise failure(
        NotNumbers,
        f"{self.node.type} combined with a {type(other).__name__} is an array of objects",
        "compare with `is None`"
        if other is None
        else "put the array inside the object, or set __array_ufunc__ = None in its class",
    )


def _python_result(ufunc: np.ufunc, cls: Any, left: Any, right: Any) -> Any:
    """Python's own arithmetic on two numbers, at least one of them traced.

    limit: zero to a negative power gives inf, not ZeroDivisionError; ints wrap at 64 bits; a negative
    float to a fractional power is nan, not complex.
    """
    types = (_weak_type(left), _weak_type(right))
    wide = max(types, key=_RANK.index)
    if ufunc in _ORDERINGS and wide is complex:
        raise TypeError("complex numbers have no order")
    if ufunc in _COMPARISONS or (ufunc in _LOGIC and wide is bool):
        result = bool
    else:
        wide = int if wide is bool else wide
        if wide is int and ufunc is np.power and isinstance(right, Value):
            right = _whole_exponent(cls, right)
        if ufunc in _DIVISIONS:
            right = _divisor(cls, f"{ufunc.__name__}_{wide.__name__}", right)
        result = _python_type(ufunc, wide, right)
    dtype = DEFAULT_DTYPES[float if result is float else wide]
    nodes = [cast(to_node(value), dtype) for value in (left, right)]
    results = apply_to_nodes(ufunc, [(node, dtype.numpy) for node in nodes])
    found = [cls(cast(node, DEFAULT_DTYPES[result]), True, result) for node in results]
    return found[0] if len(found) == 1 else tuple(found)


def _divisor(cls: Any, division: str, right: Any) -> Any:
    """The right number of a division, which must not be zero.

    limit: in loops where nothing handles that it is not looked at, so that they stay what they are.
    """
    weak, node, trace = _weak_type(right), to_node(right), current_trace()
    is_known = node.op is ops.constant and node.attrs["value"]
    if is_known or division not in BY_ZERO or trace is None or trace.passes and not trace.handles:
        return right
    is_some = ops.not_equal(node, constant(0, node.type.dtype))
    node = ops.guarded(ops.sound[division](is_some), node)
    return cls(node, True, weak)


def _whole_exponent(cls: Any, exponent: Value) -> Value:
    """An exponent of an int that makes an int of it; of one that does not, NumPy runs the function."""
    trace = current_trace()
    if trace is None or not trace.calls_python:
        raise needs_value(exponent, "as the exponent of an int")
    node = cast(node_of(exponent), i64)
    node = ops.expected(node, constant(0, i64), constant(MOST_EXPONENT, i64))
    trace.locate(node)
    return cls(node, True, int)


def _python_type(ufunc: np.ufunc, wide: type, right: Any) -> type:
    """The type of `left ufunc right` for Python numbers, the wider of which is `wide`."""
    if wide is complex and ufunc in (np.floor_divide, np.remainder, np.divmod):
        raise TypeError("can't take floor or mod of complex number.")
    if wide is int and ufunc is np.divide:
        return float
    if wide is int and ufunc is np.power:
        return float if not isinstance(right, Value) and right < 0 else int
    return wide


def _forward(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    return lambda self, other: _binary(ufunc, self, self, other, other)


def _reflected(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    return lambda self, other: _binary(ufunc, self, other, self, other)


def _in_place(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operator(self: Value, other: Any) -> Any:
        if self.is_scalar:  # NumPy's and Python's scalars are immutable: the name is rebound
            return _binary(ufunc, self, self, other, other)
        if not isinstance(other, Value) and to_operand(other) is None:
            return _defer(ufunc, self, self, other, other)
        fast = fast_power(self.kind, other) if ufunc is np.power else None
        inputs = (self, other) if fast is None else (self,)
        return self.__array_ufunc__(fast or ufunc, "__call__", *inputs, out=(self,))

    return operator


def _unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    def operator(self: Any) -> Any:
        if self.weak is None:
            return self.__array_ufunc__(ufunc, "__call__", self)
        weak = int if self.weak is bool else self.weak
        dtype = DEFAULT_DTYPES[weak]
        (node,) = apply_to_nodes(ufunc, [(cast(node_of(self), dtype), dtype.numpy)])
        result = float if ufunc is np.absolute and weak is complex else weak
        return type(self)(node, True, result)

    return operator


class Operators(Value):
    """A Value with every operator of ndarray, carried out through `__array_ufunc__`."""

    __slots__ = ()

    # fmt: off
    __add__, __radd__, __iadd__ = _forward(np.add), _reflected(np.add), _in_place(np.add)
    __sub__, __rsub__, __isub__ = _forward(np.subtract), _reflected(np.subtract), _in_place(np.subtract)
    __mul__, __rmul__, __imul__ = _forward(np.multiply), _reflected(np.multiply), _in_place(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _forward(np.divide), _reflected(np.divide), _in_place(np.divide)
    __floordiv__, __rfloordiv__ = _forward(np.floor_divide), _reflected(np.floor_divide)
    __ifloordiv__ = _in_place(np.floor_divide)
    __mod__, __rmod__, __imod__ = _forward(np.remainder), _reflected(np.remainder), _in_place(np.remainder)
    __pow__, __rpow__, __ipow__ = _forward(np.power), _reflected(np.power), _in_place(np.power)
    __lshift__, __rlshift__ = _forward(np.left_shift), _reflected(np.left_shift)
    __ilshift__ = _in_place(np.left_shift)
    __rshift__, __rrshift__ = _forward(np.right_shift), _reflected(np.right_shift)
    __irshift__ = _in_place(np.right_shift)
    __and__, __rand__, __iand__ = _forward(np.bitwise_and), _reflected(np.bitwise_and), _in_place(np.bitwise_and)
    __or__, __ror__, __ior__ = _forward(np.bitwise_or), _reflected(np.bitwise_or), _in_place(np.bitwise_or)
    __xor__, __rxor__, __ixor__ = _forward(np.bitwise_xor), _reflected(np.bitwise_xor), _in_place(np.bitwise_xor)
    __matmul__, __rmatmul__, __imatmul__ = _forward(np.matmul), _reflected(np.matmul), _in_place(np.matmul)
    __divmod__, __rdivmod__ = _forward(np.divmod), _reflected(np.divmod)
    __lt__, __le__, __gt__, __ge__ = map(_forward, _ORDERINGS)
    __eq__, __ne__ = _forward(np.equal), _forward(np.not_equal)
    __neg__, __pos__, __abs__, __invert__ = map(_unary, (np.negative, np.positive, np.absolute, np.invert))
    # fmt: on
    __hash__ = None
