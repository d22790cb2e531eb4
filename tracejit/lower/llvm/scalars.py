"""Scalar operations in LLVM: what each name in an `Apply` means for real dtypes, NumPy's rules kept.

A rule is `rule(builder, dtype, *operands) -> Value`, where `dtype` is that of the operands. It
works for any number of lanes. `bool` values are i1 in registers; f16 is computed in f32 and
rounded after each operation, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...errors import UnsupportedError
from ...ir.types import DType
from .builder import BITS, Builder, Value, is_number
from .math import MATH

KINDS = {
    "bool": "i1", "i8": "i8", "u8": "i8", "i16": "i16", "u16": "i16", "i32": "i32", "u32": "i32",
    "i64": "i64", "u64": "i64", "f16": "half", "f32": "float", "f64": "double",
}  # fmt: skip

Rule = Callable[..., Value]

# What a program can report instead of a result, by status.
NEGATIVE_POWER = 1
REFUSALS = {NEGATIVE_POWER: "Integers to negative integer powers are not allowed."}


def apply_real(b: Builder, op: str, dtype: DType, operands: tuple[Value, ...]) -> Value:
    """`op` on operands of real dtype `dtype`."""
    if dtype.name == "f16" and op in _HALF:
        return _HALF[op](b, *operands)
    if dtype.name == "f16" and op not in _HALF_EXACT:
        wide = tuple([b.cast("fpext", x, "float") if x.kind == "half" else x for x in operands])
        result = _float_rule(op)(b, *wide)
        return b.cast("fptrunc", result, "half") if result.kind == "float" else result
    if dtype.is_float:
        return _float_rule(op)(b, *operands)
    table = _BOOL if dtype.kind == "b" else _INTEGER
    rule = table.get(op)
    if rule is None:
        raise UnsupportedError(f"{op} of {dtype} is not compiled yet")
    return rule(b, dtype, *operands)


def compare_signed_with_unsigned(
    b: Builder, op: str, dtypes: tuple[DType, DType], x: Value, y: Value
) -> Value:
    """Compare an i64 with a u64, in either order: a negative number is below every unsigned one."""
    x, y = b.unify(x, y)
    left_is_signed = dtypes[0].is_signed
    signed = x if left_is_signed else y
    predicate, of_negative_left, of_negative_right = _MIXED_COMPARISONS[op]
    answer = b.const(of_negative_left if left_is_signed else of_negative_right, "i1", x.lanes)
    negative = b.compare("slt", signed, b.like(0, signed))
    return b.select(negative, answer, b.compare(predicate, x, y))


# The predicate where nothing is negative; the answer where the left one is, and the right one.
_MIXED_COMPARISONS = {
    "equal": ("eq", False, False),
    "not_equal": ("ne", True, True),
    "less": ("ult", True, False),
    "less_equal": ("ule", True, False),
    "greater": ("ugt", False, True),
    "greater_equal": ("uge", False, True),
}


def _float_rule(op: str) -> Rule:
    rule = _FLOAT.get(op) or MATH.get(op)
    if rule is None:
        raise UnsupportedError(f"{op} of floats is not compiled yet")
    return rule


# Casts.


def cast(b: Builder, x: Value, source: DType, target: DType) -> Value:
    """Convert as NumPy's `astype` does; out-of-range floats become what the hardware makes of them."""
    if source is target:
        return x
    kind = KINDS[target.name]
    if target.kind == "b":
        return _nonzero(b, x, source)
    if source.kind == "b":
        if target.is_float:
            return b.select(x, b.const(1.0, kind, x.lanes), b.const(0.0, kind, x.lanes))
        return b.cast("zext", x, kind)
    if source.is_float:
        if target.is_float:
            if source.name == "f64" and target.name == "f16":
                return _double_to_half(b, x)
            wider = BITS[kind] > BITS[x.kind]
            return b.cast("fpext" if wider else "fptrunc", x, kind)
        return _float_to_integer(b, x, target)
    if target.is_float:
        opcode = "sitofp" if source.is_signed else "uitofp"
        if target.name == "f16":
            return b.cast("fptrunc", b.cast(opcode, x, "float"), kind)
        return b.cast(opcode, x, kind)
    if BITS[kind] > BITS[x.kind]:
        return b.cast("sext" if source.is_signed else "zext", x, kind)
    return b.cast("trunc", x, kind) if BITS[kind] < BITS[x.kind] else x


def _double_to_half(b: Builder, x: Value) -> Value:
    """Rounded once, by way of a float rounded to odd; no machine has one instruction for it.

    Where the float is inexact its last bit is made 1, so that it lies strictly between halves and
    between the points halfway between them, on the side of `x`.
    """
    near = b.cast("fptrunc", x, "float")
    back = b.cast("fpext", near, "double")
    bits = b.cast("bitcast", near, "i32")
    even = b.compare("eq", b.binary("and", bits, b.like(1, bits)), b.like(0, bits))
    moves = b.binary("and", even, b.compare("one", x, back))
    outward = b.compare("ogt", b.intrinsic("fabs", x), b.intrinsic("fabs", back))
    moved = b.binary("add", bits, b.select(outward, b.like(1, bits), b.like(-1, bits)))
    odd = b.cast("bitcast", b.select(moves, moved, bits), "float")
    return b.cast("fptrunc", odd, "half")


def _nonzero(b: Builder, x: Value, dtype: DType) -> Value:
    return b.compare("une" if dtype.is_float else "ne", x, b.like(0, x))


def _float_to_integer(b: Builder, x: Value, target: DType) -> Value:
    """Truncate. Small targets go through a wider integer and wrap, so that values NumPy's C casts
    keep modulo 2**bits come out the same; NaN and values beyond the wide integer give its minimum.
    """
    if x.kind == "half":
        x = b.cast("fpext", x, "float")
    kind = KINDS[target.name]
    if target.name == "u64":
        return _float_to_u64(b, x)
    wide = "i32" if BITS[kind] < 32 else "i64"
    if BITS[kind] == 32 and target.is_signed:
        wide = "i32"
    lowest = -(2.0 ** (BITS[wide] - 1))
    inside = b.compare("olt", x, b.like(-lowest, x))
    inside = b.binary("and", inside, b.compare("oge", x, b.like(lowest, x)))
    safe = b.select(inside, x, b.like(lowest, x))
    whole = b.cast("fptosi", safe, wide)
    return b.cast("trunc", whole, kind) if kind != wide else whole


def _float_to_u64(b: Builder, x: Value) -> Value:
    """Values of 2**63 and more are moved down, converted, and moved back up by the top bit."""
    half = b.like(2.0**63, x)
    large = b.compare("oge", x, half)
    moved = b.select(large, b.binary("fsub", x, half), x)
    inside = b.compare("olt", moved, half)
    inside = b.binary("and", inside, b.compare("oge", moved, b.like(-(2.0**63), x)))
    safe = b.select(inside, moved, b.like(-(2.0**63), x))
    whole = b.cast("fptosi", safe, "i64")
    top = b.binary("xor", whole, b.like(-(2**63), whole))
    return b.select(b.binary("and", large, inside), top, whole)


# Floats.


def _compare(predicate: str) -> Rule:
    return lambda b, x, y: b.compare(predicate, x, y)


def _opcode(opcode: str) -> Rule:
    return lambda b, x, y: b.binary(opcode, x, y)


def _intrinsic(name: str) -> Rule:
    return lambda b, *operands: b.intrinsic(name, *operands)


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
_FLOAT: dict[str, Rule] = {
    "add":           _opcode("fadd"),
    "subtract":      _opcode("fsub"),
    "multiply":      _opcode("fmul"),
    "divide":        _opcode("fdiv"),
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
    "float_power":   lambda b, x, y: MATH["power"](b, x, y),
    "ldexp":         _ldexp,
}
# fmt: on
_HALF_EXACT = {
    "where",
    "negative",
    "absolute",
    "positive",
    "conjugate",
    "signbit",
    "copysign",
    "real",
}
_HALF_EXACT |= {"fabs", "isnan", "isinf", "isfinite"}


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


def _half_nextafter(b: Builder, x: Value, y: Value) -> Value:
    x, y = b.unify(x, y)
    moved = _half_neighbour(b, x, b.compare("olt", x, y))
    found = b.select(b.compare("oeq", x, y), x, moved)
    return b.select(b.compare("uno", x, y), b.like(np.nan, x), found)


def _half_spacing(b: Builder, x: Value) -> Value:
    """The distance to the next number above: NumPy's f16 loop, unlike f32's, always looks up."""
    above = _half_neighbour(b, x, b.const(True, "i1", x.lanes))
    wide = b.binary("fsub", b.cast("fpext", above, "float"), b.cast("fpext", x, "float"))
    found = b.cast("fptrunc", wide, "half")
    return b.select(_isfinite(b, x), found, b.like(np.nan, x))


# Where a number's digits matter, f32 will not do for f16.
_HALF: dict[str, Rule] = {"nextafter": _half_nextafter, "spacing": _half_spacing}


# Integers.


def _integer_compare(signed: str, unsigned: str) -> Rule:
    return lambda b, dtype, x, y: b.compare(signed if dtype.is_signed else unsigned, x, y)


def _integer_opcode(opcode: str) -> Rule:
    return lambda b, dtype, x, y: b.binary(opcode, x, y)


def _integer_extreme(signed: str, unsigned: str) -> Rule:
    return lambda b, dtype, x, y: b.intrinsic(signed if dtype.is_signed else unsigned, x, y)


def _safe_divisor(b: Builder, dtype: DType, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """A divisor that cannot trap, and whether `y` is zero or (lowest / -1) overflows."""
    x, y = b.unify(x, y)
    zero = b.compare("eq", y, b.like(0, y))
    overflow = b.const(False, "i1", y.lanes)
    if dtype.is_signed:
        lowest = b.like(int(np.iinfo(dtype.numpy).min), x)
        minus_one = b.compare("eq", y, b.like(-1, y))
        overflow = b.binary("and", minus_one, b.compare("eq", x, lowest))
    trap = b.binary("or", zero, overflow)
    return b.select(trap, b.like(1, y), y), zero, overflow


def _positive(y: Value) -> int:
    """The number a divisor is known to be, if that is above 0; otherwise 0."""
    return max(0, int(y.text)) if y.lanes == 1 and is_number(y.text) else 0


def _floor_divide_by(b: Builder, dtype: DType, x: Value, number: int) -> Value:
    """Index arithmetic divides by constants nearly always, which neither trap nor need many lines."""
    if number & (number - 1) == 0:
        opcode = "ashr" if dtype.is_signed else "lshr"
        return b.binary(opcode, x, b.like(number.bit_length() - 1, x))
    y = b.like(number, x)
    if not dtype.is_signed:
        return b.binary("udiv", x, y)
    quotient = b.binary("sdiv", x, y)
    rest = b.binary("sub", x, b.binary("mul", quotient, y))
    down = b.binary("ashr", rest, b.like(BITS[x.kind] - 1, x))
    return b.binary("add", quotient, down)


def _remainder_by(b: Builder, dtype: DType, x: Value, number: int) -> Value:
    if number & (number - 1) == 0:
        return b.binary("and", x, b.like(number - 1, x))
    y = b.like(number, x)
    if not dtype.is_signed:
        return b.binary("urem", x, y)
    rest = b.binary("srem", x, y)
    negative = b.binary("ashr", rest, b.like(BITS[x.kind] - 1, x))
    return b.binary("add", rest, b.binary("and", negative, y))


def _floor_divide(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    if number := _positive(y):
        return _floor_divide_by(b, dtype, x, number)
    safe, zero, _ = _safe_divisor(b, dtype, x, y)
    if not dtype.is_signed:
        return b.select(zero, b.like(0, x), b.binary("udiv", x, safe))
    quotient = b.binary("sdiv", x, safe)
    rest = b.binary("sub", x, b.binary("mul", quotient, safe))
    different = b.compare("slt", b.binary("xor", x, safe), b.like(0, x))
    inexact = b.compare("ne", rest, b.like(0, rest))
    down = b.cast("zext", b.binary("and", different, inexact), quotient.kind)
    return b.select(zero, b.like(0, x), b.binary("sub", quotient, down))


def _remainder(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    if number := _positive(y):
        return _remainder_by(b, dtype, x, number)
    safe, zero, overflow = _safe_divisor(b, dtype, x, y)
    if not dtype.is_signed:
        return b.select(zero, b.like(0, x), b.binary("urem", x, safe))
    rest = b.binary("srem", x, safe)
    different = b.compare("slt", b.binary("xor", rest, safe), b.like(0, x))
    inexact = b.compare("ne", rest, b.like(0, rest))
    moved = b.select(b.binary("and", different, inexact), b.binary("add", rest, safe), rest)
    return b.select(b.binary("or", zero, overflow), b.like(0, x), moved)


def _fmod(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    safe, zero, overflow = _safe_divisor(b, dtype, x, y)
    rest = b.binary("srem" if dtype.is_signed else "urem", x, safe)
    return b.select(b.binary("or", zero, overflow), b.like(0, x), rest)


def _integer_power(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    """Square and multiply over the bits of the exponent; negative exponents are refused."""
    if dtype.is_signed and not is_number(y.text):
        b.refuse(b.compare("slt", y, b.like(0, y)), NEGATIVE_POWER)
    x, y = b.unify(x, y)
    result, bits = b.like(1, x), BITS[x.kind]
    for position in range(bits):
        selected = b.binary("and", b.binary("lshr", y, b.like(position, y)), b.like(1, y))
        factor = b.select(b.compare("ne", selected, b.like(0, y)), x, b.like(1, x))
        result = b.binary("mul", result, factor)
        if position < bits - 1:
            x = b.binary("mul", x, x)
    return result


def _shift(opcode: str, signed_opcode: str) -> Rule:
    """Shifts by the width or more give zero (or the sign), as NumPy defines them."""

    def rule(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
        x, y = b.unify(x, y)
        width = BITS[x.kind]
        inside = b.compare("ult", y, b.like(width, y))
        chosen = signed_opcode if dtype.is_signed else opcode
        if chosen == "ashr":
            return b.binary("ashr", x, b.select(inside, y, b.like(width - 1, y)))
        return b.select(
            inside, b.binary(chosen, x, b.select(inside, y, b.like(0, y))), b.like(0, x)
        )

    return rule


def _integer_absolute(b: Builder, dtype: DType, x: Value) -> Value:
    if not dtype.is_signed:
        return x
    return b.select(b.compare("slt", x, b.like(0, x)), b.binary("sub", b.like(0, x), x), x)


def _integer_sign(b: Builder, dtype: DType, x: Value) -> Value:
    positive = b.cast("zext", b.compare("ne", x, b.like(0, x)), x.kind)
    if not dtype.is_signed:
        return positive
    return b.select(b.compare("slt", x, b.like(0, x)), b.like(-1, x), positive)


def _integer_reciprocal(b: Builder, dtype: DType, x: Value) -> Value:
    """1 / x truncated: 1 and -1 stay; 1 / 0 is what NumPy's loop returns, the lowest value."""
    one = b.compare("eq", x, b.like(1, x))
    value = b.select(one, b.like(1, x), b.like(0, x))
    if dtype.is_signed:
        value = b.select(b.compare("eq", x, b.like(-1, x)), b.like(-1, x), value)
    zero = b.compare("eq", x, b.like(0, x))
    return b.select(zero, b.like(int(_RECIPROCAL_OF_ZERO[dtype.name]), x), value)


def _reciprocal_of_zero() -> dict[str, int]:
    with np.errstate(all="ignore"):
        return {
            name: int(np.reciprocal(np.zeros(1, np.dtype(name.replace("i", "int", 1).replace("u", "uint", 1))))[0])
            for name in ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
        }  # fmt: skip


_RECIPROCAL_OF_ZERO = _reciprocal_of_zero()


def _gcd(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    """Euclid's algorithm, as a loop over all lanes until every remainder is zero."""
    x, y = b.unify(_integer_absolute(b, dtype, x), _integer_absolute(b, dtype, y))
    before, head, done = b.region.label, b.fresh("gcd"), b.fresh("gcd_done")
    b.branch(head)
    b.label(head)
    left, right, phi = b.fresh("%x"), b.fresh("%y"), len(b.region.lines)
    region = b.region
    region.lines += ["", ""]
    larger, smaller = Value(left, x.kind, x.lanes), Value(right, x.kind, x.lanes)
    zero = b.compare("eq", smaller, b.like(0, smaller))
    rest = b.binary("urem", larger, b.select(zero, b.like(1, smaller), smaller))
    next_larger = b.select(zero, larger, smaller)
    next_smaller = b.select(zero, b.like(0, rest), rest)
    more = b.any(b.compare("ne", next_smaller, b.like(0, next_smaller)))
    region.lines[phi] = (
        f"  {left} = phi {x.type} [ {x.text}, %{before} ], [ {next_larger.text}, %{head} ]"
    )
    region.lines[phi + 1] = (
        f"  {right} = phi {x.type} [ {y.text}, %{before} ], [ {next_smaller.text}, %{head} ]"
    )
    b.branch_if(more, head, done)
    b.label(done)
    return next_larger


def _lcm(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    common = _gcd(b, dtype, x, y)
    x, y = b.unify(_integer_absolute(b, dtype, x), _integer_absolute(b, dtype, y))
    safe = b.select(b.compare("eq", common, b.like(0, common)), b.like(1, common), common)
    return b.binary("mul", b.binary("udiv", x, safe), y)


def _integer_logical(opcode: str) -> Rule:
    def rule(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
        return b.binary(opcode, _nonzero(b, x, dtype), _nonzero(b, y, dtype))

    return rule


def _bitwise_count(b: Builder, dtype: DType, x: Value) -> Value:
    """Bits set in the absolute value, a u8."""
    count = b.intrinsic("ctpop", _integer_absolute(b, dtype, x))
    return b.cast("trunc", count, "i8") if count.kind != "i8" else count


# fmt: off
_INTEGER: dict[str, Rule] = {
    "add":           _integer_opcode("add"),
    "subtract":      _integer_opcode("sub"),
    "multiply":      _integer_opcode("mul"),
    "floor_divide":  _floor_divide,
    "remainder":     _remainder,
    "fmod":          _fmod,
    "power":         _integer_power,
    "negative":      lambda b, dtype, x: b.binary("sub", b.like(0, x), x),
    "positive":      lambda b, dtype, x: x,
    "conjugate":     lambda b, dtype, x: x,
    "absolute":      _integer_absolute,
    "sign":          _integer_sign,
    "square":        lambda b, dtype, x: b.binary("mul", x, x),
    "reciprocal":    _integer_reciprocal,
    "floor":         lambda b, dtype, x: x,
    "ceil":          lambda b, dtype, x: x,
    "trunc":         lambda b, dtype, x: x,
    "rint":          lambda b, dtype, x: x,
    "maximum":       _integer_extreme("smax", "umax"),
    "minimum":       _integer_extreme("smin", "umin"),
    "fmax":          _integer_extreme("smax", "umax"),
    "fmin":          _integer_extreme("smin", "umin"),
    "equal":         _integer_compare("eq", "eq"),
    "not_equal":     _integer_compare("ne", "ne"),
    "less":          _integer_compare("slt", "ult"),
    "less_equal":    _integer_compare("sle", "ule"),
    "greater":       _integer_compare("sgt", "ugt"),
    "greater_equal": _integer_compare("sge", "uge"),
    "logical_and":   _integer_logical("and"),
    "logical_or":    _integer_logical("or"),
    "logical_xor":   _integer_logical("xor"),
    "logical_not":   lambda b, dtype, x: b.compare("eq", x, b.like(0, x)),
    "isnan":         lambda b, dtype, x: b.const(False, "i1", x.lanes),
    "isinf":         lambda b, dtype, x: b.const(False, "i1", x.lanes),
    "isfinite":      lambda b, dtype, x: b.const(True, "i1", x.lanes),
    "bitwise_and":   _integer_opcode("and"),
    "bitwise_or":    _integer_opcode("or"),
    "bitwise_xor":   _integer_opcode("xor"),
    "invert":        lambda b, dtype, x: b.binary("xor", x, b.like(-1, x)),
    "left_shift":    _shift("shl", "shl"),
    "right_shift":   _shift("lshr", "ashr"),
    "bitwise_count": _bitwise_count,
    "gcd":           _gcd,
    "lcm":           _lcm,
    "real":          lambda b, dtype, x: x,
    "imag":          lambda b, dtype, x: b.like(0, x),
    "where":         lambda b, dtype, c, x, y: b.select(c, x, y),
}

_BOOL: dict[str, Rule] = {
    "add":           _integer_opcode("or"),
    "multiply":      _integer_opcode("and"),
    "maximum":       _integer_opcode("or"),
    "minimum":       _integer_opcode("and"),
    "fmax":          _integer_opcode("or"),
    "fmin":          _integer_opcode("and"),
    "logical_and":   _integer_opcode("and"),
    "logical_or":    _integer_opcode("or"),
    "logical_xor":   _integer_opcode("xor"),
    "bitwise_and":   _integer_opcode("and"),
    "bitwise_or":    _integer_opcode("or"),
    "bitwise_xor":   _integer_opcode("xor"),
    "invert":        lambda b, dtype, x: b.binary("xor", x, b.like(True, x)),
    "logical_not":   lambda b, dtype, x: b.binary("xor", x, b.like(True, x)),
    "absolute":      lambda b, dtype, x: x,
    "conjugate":     lambda b, dtype, x: x,
    "positive":      lambda b, dtype, x: x,
    "floor":         lambda b, dtype, x: x,
    "ceil":          lambda b, dtype, x: x,
    "trunc":         lambda b, dtype, x: x,
    "rint":          lambda b, dtype, x: x,
    "equal":         _integer_compare("eq", "eq"),
    "not_equal":     _integer_compare("ne", "ne"),
    "less":          _integer_compare("ult", "ult"),
    "less_equal":    _integer_compare("ule", "ule"),
    "greater":       _integer_compare("ugt", "ugt"),
    "greater_equal": _integer_compare("uge", "uge"),
    "isnan":         lambda b, dtype, x: b.const(False, "i1", x.lanes),
    "isinf":         lambda b, dtype, x: b.const(False, "i1", x.lanes),
    "isfinite":      lambda b, dtype, x: b.const(True, "i1", x.lanes),
    "real":          lambda b, dtype, x: x,
    "imag":          lambda b, dtype, x: b.like(False, x),
    "where":         lambda b, dtype, c, x, y: b.select(c, x, y),
}
# fmt: on
