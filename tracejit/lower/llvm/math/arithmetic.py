"""Formulas over values: Python's operators on vectors of numbers, and what every function shares.

The functions of this package are written on `Number`, so that they read like the formulas they
implement; the package's table turns each into a function of a Builder and Values. Nothing here
carries fast-math flags: rounding errors are computed, not assumed away. `fma` is assumed to be an
instruction (x86-64-v3, AArch64); elsewhere LLVM calls libm for it, which is correct but slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tracejit.lower.llvm.builder import FLOAT_BITS, Builder, Value


class Format(NamedTuple):
    """An IEEE binary format: `digits` after the leading one, integer kind of the same width."""

    bits: int
    digits: int
    bias: int
    integer: str

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)

    @property
    def one_bits(self) -> int:
        """1.0 as an integer."""
        return self.bias << self.digits

    @property
    def infinity_bits(self) -> int:
        return (2 * self.bias + 1) << self.digits

    @property
    def rounder(self) -> float:
        """Adding it rounds a small number to an integer, found in the sum's lowest bits."""
        return 1.5 * 2.0**self.digits


FORMATS = {"float": Format(32, 23, 127, "i32"), "double": Format(64, 52, 1023, "i64")}


class Number:
    """A Value with operators, bound to the builder that its instructions go to.

    `/` is for floats; `>>` keeps the sign; `&`, `|`, `^`, `~` also combine conditions;
    `==` and `<` compare lane by lane and are false for NaN, `!=` is true.
    """

    __slots__ = ("builder", "value")
    __hash__ = None

    def __init__(self, builder: Builder, value: Value):
        self.builder = builder
        self.value = value

    @property
    def kind(self) -> str:
        return self.value.kind

    @property
    def format(self) -> Format:
        return FORMATS[self.value.kind]

    def constant(self, number: float) -> Number:
        return Number(self.builder, self.builder.like(number, self.value))

    def operand(self, other) -> Value:
        return other.value if isinstance(other, Number) else self.builder.like(other, self.value)

    def _combine(self, float_opcode: str, integer_opcode: str, other) -> Number:
        opcode = float_opcode if self.kind in FLOAT_BITS else integer_opcode
        return Number(self.builder, self.builder.binary(opcode, self.value, self.operand(other)))

    def _compare(self, float_predicate: str, integer_predicate: str, other) -> Number:
        predicate = float_predicate if self.kind in FLOAT_BITS else integer_predicate
        value = self.builder.compare(predicate, self.value, self.operand(other))
        return Number(self.builder, value)

    def __add__(self, other) -> Number:
        return self._combine("fadd", "add", other)

    def __radd__(self, other) -> Number:
        return self.constant(other) + self

    def __sub__(self, other) -> Number:
        return self._combine("fsub", "sub", other)

    def __rsub__(self, other) -> Number:
        return self.constant(other) - self

    def __mul__(self, other) -> Number:
        return self._combine("fmul", "mul", other)

    def __rmul__(self, other) -> Number:
        return self.constant(other) * self

    def __truediv__(self, other) -> Number:
        return self._combine("fdiv", "sdiv", other)

    def __rtruediv__(self, other) -> Number:
        return self.constant(other) / self

    def __neg__(self) -> Number:
        if self.kind in FLOAT_BITS:
            return Number(self.builder, self.builder.unary("fneg", self.value))
        return self.constant(0) - self

    def __abs__(self) -> Number:
        return intrinsic("fabs", self)

    def __and__(self, other) -> Number:
        return self._combine("", "and", other)

    def __or__(self, other) -> Number:
        return self._combine("", "or", other)

    def __xor__(self, other) -> Number:
        return self._combine("", "xor", other)

    def __invert__(self) -> Number:
        return self ^ (True if self.kind == "i1" else -1)

    def __lshift__(self, count: int) -> Number:
        return self._combine("", "shl", count)

    def __rshift__(self, count: int) -> Number:
        return self._combine("", "ashr", count)

    def __lt__(self, other) -> Number:
        return self._compare("olt", "slt", other)

    def __le__(self, other) -> Number:
        return self._compare("ole", "sle", other)

    def __gt__(self, other) -> Number:
        return self._compare("ogt", "sgt", other)

    def __ge__(self, other) -> Number:
        return self._compare("oge", "sge", other)

    def __eq__(self, other) -> Number:
        return self._compare("oeq", "eq", other)

    def __ne__(self, other) -> Number:
        return self._compare("une", "ne", other)

    def not_below(self, other) -> Number:
        """`self >= other` or NaN; for integers, `>=` without sign."""
        return self._compare("uge", "uge", other)

    def cast(self, opcode: str, kind: str) -> Number:
        return Number(self.builder, self.builder.cast(opcode, self.value, kind))

    @property
    def bits(self) -> Number:
        """The same bits as an integer."""
        return self.cast("bitcast", self.format.integer)

    def from_bits(self, bits: Number) -> Number:
        """An integer's bits read in the format of `self`."""
        return bits.cast("bitcast", self.kind)

    def to_integer(self) -> Number:
        """Toward zero, to the integer kind of the same width; must fit."""
        return self.cast("fptosi", self.format.integer)

    def converted(self, integer: Number) -> Number:
        """An integer as a number of the kind of `self`."""
        return integer.cast("sitofp", self.kind)


def intrinsic(name: str, *arguments: Number) -> Number:
    builder = arguments[0].builder
    return Number(builder, builder.intrinsic(name, *(a.value for a in arguments)))


def fma(a, b, c) -> Number:
    """a * b + c rounded once; any of the three may be a Python number."""
    some = a if isinstance(a, Number) else b if isinstance(b, Number) else c
    value = some.builder.fma(some.operand(a), some.operand(b), some.operand(c))
    return Number(some.builder, value)


def select(condition: Number, a, b) -> Number:
    """`a` where the condition holds, else `b`; one of the two may be a Python number."""
    some = a if isinstance(a, Number) else b
    value = some.builder.select(condition.value, some.operand(a), some.operand(b))
    return Number(some.builder, value)


def where_any(mask: Number, common: Number, rare: Callable[[], Number]) -> Number:
    """`select(mask, rare(), common)`, with `rare` computed only when some lane asks for it."""
    b = mask.builder
    return Number(b, b.where_any(mask.value, common.value, lambda: rare().value))


def least(a, b) -> Number:
    """The smaller; where either is NaN, `b`: one instruction on x86."""
    some = a if isinstance(a, Number) else b
    a, b = (Number(some.builder, some.operand(x)) for x in (a, b))
    return select(a < b, a, b)


def greatest(a, b) -> Number:
    """The larger; where either is NaN, `b`: one instruction on x86."""
    some = a if isinstance(a, Number) else b
    a, b = (Number(some.builder, some.operand(x)) for x in (a, b))
    return select(a > b, a, b)


def copysign(magnitude, sign: Number) -> Number:
    if not isinstance(magnitude, Number):
        magnitude = sign.constant(magnitude)
    return intrinsic("copysign", magnitude, sign)


def horner(x: Number, coefficients: Sequence[float]) -> Number:
    """sum(c[i] * x**i) with the fewest instructions."""
    result = x.constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, c)
    return result


# From so many coefficients on, half the wait is worth two more instructions.
LONG_CHAIN = 10


def horner_in_two(x: Number, coefficients: Sequence[float]) -> Number:
    """The same, odd and even powers apart if there are many: less exact where these cancel."""
    if len(coefficients) < LONG_CHAIN:
        return horner(x, coefficients)
    z = x * x
    return fma(horner(z, coefficients[1::2]), x, horner(z, coefficients[::2]))


def horner_in_halves(x: Number, coefficients: Sequence[float]) -> Number:
    """The same, high powers apart if there are many: as exact where these are little beside the others."""
    if len(coefficients) < LONG_CHAIN:
        return horner(x, coefficients)
    half, power = 1, x
    while 4 * half <= len(coefficients):
        half, power = 2 * half, power * power
    return fma(horner(x, coefficients[half:]), power, horner(x, coefficients[:half]))


def power_of_two(x: Number, exponent: Number) -> Number:
    """2**exponent in the format of `x`, for an integer exponent of a normal result."""
    return x.from_bits((exponent << x.format.digits) + x.format.one_bits)


def scale_by_exponent(x: Number, exponent: Number) -> Number:
    """x * 2**exponent by integer addition: `x` and the result must be normal.

    Only the low bits of `exponent` matter, so it may be the bits of a number that `rounder` was
    added to.
    """
    return x.from_bits(x.bits + (exponent << x.format.digits))


def is_nan(x: Number) -> Number:
    return Number(x.builder, x.builder.compare("uno", x.value, x.value))


NAN, INF = math.nan, math.inf
