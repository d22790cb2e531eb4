"""Algebraic rules that hold to the last bit, each for the dtypes where it does.

`x * 0` is not 0 where x may be NaN, `x + 0.0` is not x where x may be -0.0, and complex arithmetic,
whose products mix the parts, has almost no identities. NaNs count as equal whatever their payload.
"""

from __future__ import annotations

from collections.abc import Callable
from math import frexp, isfinite
from typing import Any

from ...ir import ops
from ...ir.graph import Node
from ...ir.op import OPS
from ...ir.rewrite import Pattern, wild
from ...ir.types import DType
from .values import (
    constant_like,
    has_kind,
    is_bool,
    is_exact,
    is_flag,
    is_float,
    is_integer,
    is_not_constant,
    is_real,
    is_scalar_constant,
    is_value,
    scalar_value,
)

a, b, c, z = (wild(name) for name in "abcz")
true, false = wild("true", is_flag(True)), wild("false", is_flag(False))


def real(name: str) -> Pattern:
    return wild(name, is_real)


def floating(name: str) -> Pattern:
    return wild(name, is_float)


def integer(name: str) -> Pattern:
    return wild(name, is_integer)


def boolean(name: str) -> Pattern:
    return wild(name, is_bool)


def of(value: Any) -> Pattern:
    """A constant with this value, of any dtype."""
    return wild(f"of({value!r})", is_value(value))


def always(value: Any) -> Callable[[Node], Node]:
    """The replacement that is `value` everywhere."""
    return lambda node: constant_like(node, value)


def reciprocal_of_power_of_two(node: Node, a: Node, c: Node) -> Node | None:
    """`a / 2**k` is `a * 2**-k`: both round the same number, provided 2**-k is one."""
    divisor = float(scalar_value(c))
    if not isfinite(divisor) or abs(frexp(divisor)[0]) != 0.5:
        return None
    inverse = 1.0 / divisor
    if not isfinite(inverse) or float(c.dtype(inverse)) != inverse:
        return None
    return ops.multiply(a, constant_like(node, inverse))


def is_lossless(source: DType, target: DType) -> bool:
    """Whether every value of `source` is one of `target`."""
    if source is target or source.kind == "b":
        return True
    if source.is_integer and target.is_integer:
        wider = target.itemsize - source.itemsize
        same = source.kind == target.kind
        return wider >= 0 if same else wider > 0 and source.kind == "u"
    real = target.real
    if source.is_integer and real.is_float:
        digits = {"f16": 11, "f32": 24, "f64": 53}[real.name]
        return source.itemsize * 8 - (source.kind == "i") <= digits and real.name != "f16"
    if source.is_stored_only:
        return real.name in ("f32", "f64")
    if source.is_float and real.is_float:
        return real.itemsize >= source.itemsize
    return source.is_complex and target.is_complex and target.itemsize >= source.itemsize


def two_casts(node: Node, a: Node, middle: DType) -> Node | None:
    """`cast(cast(a))` in one step, where the first loses nothing or both only drop high bits."""
    source, target = a.dtype, node.dtype
    wraps = all(dtype.is_integer for dtype in (source, middle, target))
    if wraps and target.itemsize <= middle.itemsize:
        return ops.cast(a, dtype=target)
    if not is_lossless(source, middle):
        return None
    # Out-of-range floats become integers in ways that depend on the very dtype.
    if target.is_integer and not (source.kind == "b" or source.is_integer and middle.is_integer):
        return a if source is target else None
    return ops.cast(a, dtype=target)


# fmt: off
ARITHMETIC = [
    ops.multiply(real("a"), of(1)) >> a,
    ops.divide(floating("a"), of(1)) >> a,
    ops.add(real("a"), of(-0.0)) >> a,
    ops.subtract(real("a"), of(0.0)) >> a,
    ops.negative(ops.negative(a)) >> a,
    ops.add(a, ops.negative(b)) >> ops.subtract(a, b),
    ops.subtract(a, ops.negative(b)) >> ops.add(a, b),
    ops.multiply(ops.negative(real("a")), ops.negative(b)) >> ops.multiply(a, b),
    ops.divide(ops.negative(real("a")), ops.negative(b)) >> ops.divide(a, b),
    ops.divide(floating("a"), wild("c", is_scalar_constant)) >> reciprocal_of_power_of_two,
    # NumPy multiplies when the exponent is one 2 for all elements.
    ops.power(wild("a", has_kind("iuf")), of(2)) >> ops.square(a),
    ops.square(ops.negative(real("a"))) >> ops.square(a),
    ops.square(ops.absolute(real("a"))) >> ops.square(a),
    ops.absolute(ops.negative(wild("a", has_kind("if")))) >> ops.absolute(a),
    ops.absolute(ops.absolute(real("a"))) >> ops.absolute(a),
    ops.absolute(wild("a", has_kind("bu"))) >> a,
    ops.positive(a) >> a,
    ops.maximum(a, a) >> a,
    ops.minimum(a, a) >> a,
    *[outer(inner(floating("a"))) >> inner(a)
      for outer in (ops.floor, ops.ceil, ops.trunc, ops.rint)
      for inner in (ops.floor, ops.ceil, ops.trunc, ops.rint)],
]

INTEGERS = [
    ops.add(ops.add(integer("a"), wild("b", is_scalar_constant)), wild("c", is_scalar_constant))
    >> ops.add(a, ops.add(b, c)),
    ops.multiply(ops.multiply(integer("a"), wild("b", is_scalar_constant)), wild("c", is_scalar_constant))
    >> ops.multiply(a, ops.multiply(b, c)),
    ops.multiply(integer("a"), wild("c", is_value(0))) >> c,
    ops.subtract(integer("a"), a) >> always(0),
    ops.floor_divide(integer("a"), of(1)) >> a,
    ops.remainder(integer("a"), of(1)) >> always(0),
    ops.bitwise_and(wild("a", is_exact), a) >> a,
    ops.bitwise_or(wild("a", is_exact), a) >> a,
    ops.bitwise_xor(integer("a"), a) >> always(0),
    ops.bitwise_and(integer("a"), wild("c", is_value(0))) >> c,
    ops.bitwise_or(integer("a"), of(0)) >> a,
    ops.bitwise_xor(integer("a"), of(0)) >> a,
    ops.left_shift(integer("a"), of(0)) >> a,
    ops.right_shift(integer("a"), of(0)) >> a,
    ops.invert(ops.invert(a)) >> a,
    ops.isnan(wild("a", is_exact)) >> always(False),
    ops.isinf(wild("a", is_exact)) >> always(False),
    ops.isfinite(wild("a", is_exact)) >> always(True),
    *[op(wild("a", is_exact), a) >> always(True) for op in (ops.equal, ops.less_equal, ops.greater_equal)],
    *[op(wild("a", is_exact), a) >> always(False) for op in (ops.not_equal, ops.less, ops.greater)],
    *[ops.logical_not(op(wild("a", is_exact), b)) >> negated(a, b)
      for op, negated in ((ops.less, ops.greater_equal), (ops.less_equal, ops.greater),
                          (ops.greater, ops.less_equal), (ops.greater_equal, ops.less))],
]

LOGIC = [
    ops.logical_not(ops.logical_not(boolean("a"))) >> a,
    ops.logical_not(ops.equal(a, b)) >> ops.not_equal(a, b),
    ops.logical_not(ops.not_equal(a, b)) >> ops.equal(a, b),
    ops.logical_and(boolean("a"), true) >> a,
    ops.logical_and(boolean("a"), false) >> always(False),
    ops.logical_and(boolean("a"), a) >> a,
    ops.logical_or(boolean("a"), false) >> a,
    ops.logical_or(boolean("a"), true) >> always(True),
    ops.logical_or(boolean("a"), a) >> a,
    ops.logical_xor(boolean("a"), false) >> a,
    ops.logical_xor(boolean("a"), true) >> ops.logical_not(a),
    ops.where(true, a, b) >> a,
    ops.where(false, a, b) >> b,
    ops.where(c, a, a) >> a,
    ops.where(ops.logical_not(boolean("c")), a, b) >> ops.where(c, b, a),
    ops.where(c, true, false) >> c,
    ops.where(c, false, true) >> ops.logical_not(c),
]

PARTS = [
    ops.real(ops.complex(a, b)) >> a,
    ops.imag(ops.complex(a, b)) >> b,
    ops.complex(ops.real(wild("z", has_kind("c"))), ops.imag(z)) >> z,
    ops.real(real("a")) >> a,
    ops.imag(floating("a")) >> always(0.0),
    ops.conjugate(ops.conjugate(a)) >> a,
    ops.conjugate(wild("a", has_kind("iuf"))) >> a,
]

CASTS = [
    ops.cast(a) >> (lambda node, a: a if a.dtype is node.dtype else None),
    ops.cast(ops.cast(a, dtype=wild("middle"))) >> two_casts,
]

# Constants come second; exchanging two NaNs may exchange their payloads, nothing else.
CONSTANTS_SECOND = [
    *[op(wild("c", is_scalar_constant), wild("a", is_not_constant)) >> op(a, c)
      for op in OPS.values() if op.commutative],
    *[op(wild("c", is_scalar_constant), wild("a", is_not_constant)) >> swapped(a, c)
      for op, swapped in ((ops.less, ops.greater), (ops.less_equal, ops.greater_equal),
                          (ops.greater, ops.less), (ops.greater_equal, ops.less_equal))],
]
# fmt: on

ALGEBRA_RULES = [*ARITHMETIC, *INTEGERS, *LOGIC, *PARTS, *CASTS, *CONSTANTS_SECOND]
