"""What each scalar operation means for floats: `rule(builder, *operands)`, any number of lanes.

Elementary functions are in `math`; those here are an instruction or a few.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .builder import BITS, Builder, Value, number_of
from .math import MATH, functions
from .math.arithmetic import Number
from .math.quotient import divide_by

Rule = Callable[..., Value]


def _compare(predicate: str) -> Rule:
    return lambda b, x, y: b.compare(predicate, x, y)


def _opcode(opcode: str) -> Rule:
    return lambda b, x, y: b.binary(opcode, x, y)


def _intrinsic(name: str) -> Rule:
    return lambda b, *operands: b.intrinsic(name, *operands)


def _divide(b: Builder, x: Value, y: Value) -> Value:
    """By a constant without a division, which takes longer: but for vectors of f32, which are divided
    in the time it takes to see that all their lanes may do without."""
    divisor, narrow = number_of(y), x.kind == "float" and x.lanes > 1
    may_multiply = divisor is not None and number_of(x) is None and not narrow
    quotient = divide_by(Number(b, x), divisor) if may_multiply else None
    return b.binary("fdiv", x, y) if quotient is None else quotient.value


def _float_truth(b: Builder, x: Value) -> Value:
    return b.compare("une", x, b.like(0.0, x))


def _float_logical(opcode: str) -> Rule:
    return lambda b, x, y: b.binary(opcode, _float_truth(b, x), _float_truth(b, y))


def _bits(b: Builder, x: Value) -> Value:
    return b.cast("bitcast", x, f"i{BITS[x.kind]}")


def _signbit(b: Builder, x: Value) -> Value:
    bits = _bits(b, x)
    return b.compare("slt", bits, b.like(0, bits))


def _isinf(b: Builder, x: Value) -> Value:
    return b.compare("oeq", b.intrinsic("fabs", x), b.like(np.inf, x))


def _isfinite(b: Builder, x: Value) -> Value:
    return b.compare("olt", b.intrinsic("fabs", x), b.like(np.inf, x))


def _float_square(b: Builder, x: Value) -> Value:
    return b.binary("fmul", x, x)


def _scaled(factor: float) -> Rule:
    return lambda b, x: b.binary("fmul", x, b.like(factor, x))


def _integral(b: Builder, x: Value) -> Value:
    """The integer part; `modf` keeps the sign of zero and infinities."""
    return b.intrinsic("trunc", x)


def _fraction(b: Builder, x: Value) -> Value:
    difference = b.binary("fsub", x, b.intrinsic("trunc", x))
    whole = b.select(_isinf(b, x), b.like(0.0, x), difference)
    return b.intrinsic("copysign", whole, x)


def _extreme(predicate: str) -> Rule:
    """One max or min instruction, which yields `y` for a NaN, and a selection for a NaN in `x`."""

    def rule(b: Builder, x: Value, y: Value) -> Value:
        x, y = b.unify(x, y)
        chosen = b.select(b.compare(predicate, x, y), x, y)
        return b.select(b.compare("uno", x, x), x, chosen)

    return rule


def _ldexp(b: Builder, x: Value, exponent: Value) -> Value:
    """The exponent is an i32 or an i64; beyond an i32 it is as good as the largest or smallest."""
    if exponent.kind == "i64":
        limits = np.iinfo(np.int32)
        exponent = b.intrinsic("smin", exponent, b.like(int(limits.max), exponent))
        exponent = b.intrinsic("smax", exponent, b.like(int(limits.min), exponent))
        exponent = b.cast("trunc", exponent, "i32")
    return MATH["ldexp"](b, x, exponent)


# fmt: off
FLOAT: dict[str, Rule] = {
    "add":           _opcode("fadd"),
    "subtract":      _opcode("fsub"),
    "multiply":      _opcode("fmul"),
    "divide":        _divide,
    "fma":           _intrinsic("fma"),
    "negative":      lambda b, x: b.unary("fneg", x),
    "positive":      lambda b, x: x,
    "conjugate":     lambda b, x: x,
    "absolute":      _intrinsic("fabs"),
    "fabs":          _intrinsic("fabs"),
    "square":        _float_square,
    "reciprocal":    lambda b, x: b.binary("fdiv", b.like(1.0, x), x),
    "sqrt":          _intrinsic("sqrt"),
    "rint":          _intrinsic("roundeven"),
    "floor":         _intrinsic("floor"),
    "ceil":          _intrinsic("ceil"),
    "trunc":         _intrinsic("trunc"),
    "copysign":      _intrinsic("copysign"),
    "modf_integer":  _integral,
    "modf_fraction": _fraction,
    "deg2rad":       _scaled(np.pi / 180),
    "radians":       _scaled(np.pi / 180),
    "rad2deg":       _scaled(180 / np.pi),
    "degrees":       _scaled(180 / np.pi),
    "equal":         _compare("oeq"),
    "not_equal":     _compare("une"),
    "less":          _compare("olt"),
    "less_equal":    _compare("ole"),
    "greater":       _compare("ogt"),
    "greater_equal": _compare("oge"),
    "logical_and":   _float_logical("and"),
    "logical_or":    _float_logical("or"),
    "logical_xor":   _float_logical("xor"),
    "logical_not":   lambda b, x: b.compare("oeq", x, b.like(0.0, x)),
    "isnan":         lambda b, x: b.compare("uno", x, x),
    "isinf":         _isinf,
    "isfinite":      _isfinite,
    "signbit":       _signbit,
    "real":          lambda b, x: x,
    "imag":          lambda b, x: b.like(0.0, x),
    "where":         lambda b, c, x, y: b.select(c, x, y),
    "maximum":       _extreme("ogt"),
    "minimum":       _extreme("olt"),
    "float_power":   partial(functions.apply, "power"),
    "ldexp":         _ldexp,
    "bits":          _bits,
}
# fmt: on
HALF_EXACT = {
    "where",
    "negative",
    "absolute",
    "positive",
    "conjugate",
    "signbit",
    "copysign",
    "real",
}
HALF_EXACT |= {"fabs", "isnan", "isinf", "isfinite", "bits"}


def _half_from_bits(b: Builder, bits: Value) -> Value:
    return b.cast("bitcast", bits, "half")


def _half_neighbour(b: Builder, x: Value, upward: Value) -> Value:
    """The next number above where `upward`, else below; `x` is finite or steps inward."""
    bits = _bits(b, x)
    negative = b.compare("slt", bits, b.like(0, bits))
    grows = b.binary("xor", upward, negative)
    moved = b.binary("add", bits, b.select(grows, b.like(1, bits), b.like(-1, bits)))
    least = b.select(upward, b.like(1, bits), b.like(-(2**15) + 1, bits))
    zero = b.compare("oeq", x, b.like(0.0, x))
    return _half_from_bits(b, b.select(zero, least, moved))


# Of zeros of two signs NumPy 2.5 returns the second, as C does, and NumPy before it the first.
_OF_EQUALS_THE_SECOND = bool(np.signbit(np.nextafter(np.float16(0.0), np.float16(-0.0))))


def _half_nextafter(b: Builder, x: Value, y: Value) -> Value:
    x, y = b.unify(x, y)
    moved = _half_neighbour(b, x, b.compare("olt", x, y))
    found = b.select(b.compare("oeq", x, y), y if _OF_EQUALS_THE_SECOND else x, moved)
    return b.select(b.compare("uno", x, y), b.like(np.nan, x), found)


def _half_spacing(b: Builder, x: Value) -> Value:
    """The distance to the next number above: NumPy's f16 loop, unlike f32's, always looks up."""
    above = _half_neighbour(b, x, b.const(True, "i1", x.lanes))
    wide = b.binary("fsub", b.cast("fpext", above, "float"), b.cast("fpext", x, "float"))
    found = b.cast("fptrunc", wide, "half")
    return b.select(_isfinite(b, x), found, b.like(np.nan, x))


def _half_extreme(predicate: str, wants_nan: bool) -> Rule:
    """Of equal numbers, which zeros of two signs are, NumPy's f16 loop takes the first, f32's the second."""

    def rule(b: Builder, x: Value, y: Value) -> Value:
        x, y = b.unify(x, y)
        first, second = b.cast("fpext", x, "float"), b.cast("fpext", y, "float")
        chosen = b.select(b.compare(predicate, first, second), x, y)
        decides = first if wants_nan else second
        return b.select(b.compare("uno", decides, decides), x, chosen)

    return rule


# Where a number's digits matter, f32 will not do for f16, nor where its sign does.
HALF: dict[str, Rule] = {
    "nextafter": _half_nextafter,
    "spacing": _half_spacing,
    "maximum": _half_extreme("oge", True),
    "minimum": _half_extreme("ole", True),
    "fmax": _half_extreme("oge", False),
    "fmin": _half_extreme("ole", False),
}
