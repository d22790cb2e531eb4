"""What each scalar operation means for integers and bools: `rule(builder, dtype, *operands)`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ir.refusal import NEGATIVE_POWER
from ...ir.types import DType
from .builder import BITS, Builder, Value, is_number, suffix
from .casts import nonzero

Rule = Callable[..., Value]
# Bits more of a number than of another that are dearer one by one than a remainder.
FAR_BITS = 6


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
    """The number a divisor is known to be, in all lanes, if that is above 0; otherwise 0."""
    text = y.text.removeprefix(f"splat ({y.kind} ").removesuffix(")")
    return max(0, int(text)) if is_number(text) else 0


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
        b.refuse(b.compare("slt", y, b.like(0, y)), NEGATIVE_POWER.status)
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
    """The binary algorithm, as a loop over all lanes until every difference is zero.

    Of two odd numbers the smaller one is kept, and their difference without its factors of two: a
    few cycles a step, where a remainder takes ten, and lanes have none.
    """
    x, y = b.unify(_integer_absolute(b, dtype, x), _integer_absolute(b, dtype, y))
    zero = b.like(0, x)
    none = b.compare("eq", x, zero)
    odd, rest = _without_twos(b, b.select(none, y, x)), b.select(none, zero, y)
    before, head, done = b.region.label, b.fresh("gcd"), b.fresh("gcd_done")
    b.branch_if(b.any(b.compare("ne", rest, zero)), head, done)
    b.label(head)
    left, right, region, phi = b.fresh("%x"), b.fresh("%y"), b.region, len(b.region.lines)
    region.lines += ["", ""]
    kept, other = Value(left, x.kind, x.lanes), Value(right, x.kind, x.lanes)
    other = _without_twos(b, other)
    least, most = b.intrinsic("umin", kept, other), b.intrinsic("umax", kept, other)
    difference = b.binary("sub", most, least)
    if x.lanes > 1:  # those that are done stay as they are
        over = b.compare("eq", other, zero)
        least, difference = b.select(over, kept, least), b.select(over, zero, difference)
    region.lines[phi] = (
        f"  {left} = phi {x.type} [ {odd.text}, %{before} ], [ {least.text}, %{head} ]"
    )
    region.lines[phi + 1] = (
        f"  {right} = phi {x.type} [ {rest.text}, %{before} ], [ {difference.text}, %{head} ]"
    )
    b.branch_if(b.any(b.compare("ne", difference, zero)), head, done)
    b.label(done)
    ways = f"[ {odd.text}, %{before} ], [ {least.text}, %{head} ]"
    found = b.value(f"phi {x.type} {ways}", x.kind, x.lanes)
    return b.binary("shl", found, _twos(b, b.binary("or", x, y)))


def _brought_near(b: Builder, x: Value, y: Value) -> tuple[Value, Value]:
    """Numbers with the same divisors: of one that is much larger, what the smaller one leaves of it."""
    least, most = b.intrinsic("umin", x, y), b.intrinsic("umax", x, y)
    is_far = b.compare("ugt", b.binary("lshr", most, b.like(FAR_BITS, x)), least)
    is_some = b.compare("ne", least, b.like(0, least))
    before, far, near = b.region.label, b.fresh("far"), b.fresh("near")
    b.branch_if(b.binary("and", is_far, is_some), far, near)
    b.label(far)
    rest = b.binary("urem", most, least)
    b.branch(near)
    b.label(near)
    found = []
    for here, there in ((most, rest), (least, least)):
        ways = f"[ {here.text}, %{before} ], [ {there.text}, %{far} ]"
        found.append(b.value(f"phi {x.type} {ways}", x.kind))
    return found[0], found[1]


def _twos(b: Builder, x: Value) -> Value:
    """How many factors of two there are; none in zero."""
    count = f"call {x.type} @llvm.cttz.{suffix(x.kind, x.lanes)}({x.type} {x.text}, i1 false)"
    b.module.declare(x.type, f"llvm.cttz.{suffix(x.kind, x.lanes)}", [x.type, "i1"])
    return b.binary("and", b.value(count, x.kind, x.lanes), b.like(BITS[x.kind] - 1, x))


def _without_twos(b: Builder, x: Value) -> Value:
    return b.binary("lshr", x, _twos(b, x))


def _lcm(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    common = _gcd(b, dtype, x, y)
    x, y = b.unify(_integer_absolute(b, dtype, x), _integer_absolute(b, dtype, y))
    safe = b.select(b.compare("eq", common, b.like(0, common)), b.like(1, common), common)
    return b.binary("mul", b.binary("udiv", x, safe), y)


def _integer_logical(opcode: str) -> Rule:
    def rule(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
        return b.binary(opcode, nonzero(b, x, dtype), nonzero(b, y, dtype))

    return rule


def _bitwise_count(b: Builder, dtype: DType, x: Value) -> Value:
    """Bits set in the absolute value, a u8."""
    count = b.intrinsic("ctpop", _integer_absolute(b, dtype, x))
    return b.cast("trunc", count, "i8") if count.kind != "i8" else count


# What multiplies pairs of i16 in vectors of so many i32, by the instruction set that has it.
_PAIRS = {
    16: ("llvm.x86.avx512.pmaddw.d.512", ("avx512",)),
    8: ("llvm.x86.avx2.pmadd.wd", ("avx512", "avx2")),
}


def _multiply_pairs(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    """The products of the low and of the high halves, added up."""
    x, y = b.unify(x, y)
    name, sets = _PAIRS.get(x.lanes, ("", ()))
    if b.module.permutes in sets:
        halves = f"<{2 * x.lanes} x i16>"
        pairs = [
            b.value(f"bitcast {v.type} {v.text} to {halves}", "i16", 2 * v.lanes) for v in (x, y)
        ]
        return b.call(name, "i32", x.lanes, pairs)
    half = b.like(16, x)
    high = [b.binary("ashr", v, half) for v in (x, y)]
    low = [b.binary("ashr", b.binary("shl", v, half), half) for v in (x, y)]
    return b.binary("add", b.binary("mul", *low), b.binary("mul", *high))


# What adds the products of four bytes without and four with a sign to each of so many i32.
_QUADS = {lanes: f"llvm.x86.avx512.vpdpbusd.{32 * lanes}" for lanes in (4, 8, 16)}


def add_quads(b: Builder, x: Value, y: Value, total: Value) -> Value:
    """`total` and the products of the bytes of `x`, which have no sign, and of `y`."""
    x, y, total = b.unify(x, y, total)
    if b.module.dots and x.lanes in _QUADS:
        quarters = f"<{4 * x.lanes} x i8>"
        bytes_of = [
            b.value(f"bitcast {v.type} {v.text} to {quarters}", "i8", 4 * v.lanes) for v in (x, y)
        ]
        return b.call(_QUADS[x.lanes], "i32", x.lanes, [total, *bytes_of])
    high = b.like(24, x)
    for place in (24, 16, 8, 0):
        up = b.like(place, x)
        one, other = [b.binary("shl", v, up) if place else v for v in (x, y)]
        product = b.binary("mul", b.binary("lshr", one, high), b.binary("ashr", other, high))
        total = b.binary("add", total, product)
    return total


def _multiply_quads(b: Builder, dtype: DType, x: Value, y: Value) -> Value:
    x, y = b.unify(x, y)
    return add_quads(b, x, y, b.like(0, x))


_FLOATS = {"i16": "half", "i32": "float", "i64": "double"}

# fmt: off
INTEGER: dict[str, Rule] = {
    "add":           _integer_opcode("add"),
    "subtract":      _integer_opcode("sub"),
    "multiply":      _integer_opcode("mul"),
    "multiply_pairs": _multiply_pairs,
    "multiply_quads": _multiply_quads,
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
    "bits":          lambda b, dtype, x: x,
    "signed_of_bits": lambda b, dtype, x: x,
    "float_of_bits": lambda b, dtype, x: b.cast("bitcast", x, _FLOATS[x.kind]),
}

BOOL: dict[str, Rule] = {
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
    "seldom":        lambda b, dtype, x: x,
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
