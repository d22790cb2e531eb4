"""Conversions between real dtypes, as NumPy's `astype` makes them."""

from __future__ import annotations

from ...ir.types import DType, f32
from .builder import BITS, Builder, Value

KINDS = {
    "bool": "i1", "i8": "i8", "u8": "i8", "i16": "i16", "u16": "i16", "i32": "i32", "u32": "i32",
    "i64": "i64", "u64": "i64", "f16": "half", "bf16": "i16", "f32": "float", "f64": "double",
}  # fmt: skip


def cast(b: Builder, x: Value, source: DType, target: DType) -> Value:
    """Convert as NumPy's `astype` does; out-of-range floats become what the hardware makes of them."""
    if source is target:
        return x
    if source.is_stored_only:
        return cast(b, _from_brain(b, x), f32, target)
    if target.is_stored_only:
        return _to_brain(b, cast(b, x, source, f32))
    kind = KINDS[target.name]
    if target.kind == "b":
        return nonzero(b, x, source)
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


def in_memory(number: object, dtype: DType) -> object:
    """A constant as memory has it: the bits of one that is stored only."""
    return int(dtype(number).view("i2")) if dtype.is_stored_only else number


def _from_brain(b: Builder, x: Value) -> Value:
    """The float whose upper half `x` is."""
    wide = b.cast("zext", x, "i32")
    return b.cast("bitcast", b.binary("shl", wide, b.like(16, wide)), "float")


def _to_brain(b: Builder, x: Value) -> Value:
    """The upper half, of a tie that which is even; the one nan of each sign."""
    bits = b.cast("bitcast", x, "i32")
    upper = b.binary("lshr", bits, b.like(16, bits))
    odd = b.binary("and", upper, b.like(1, bits))
    rounded = b.binary("add", bits, b.binary("add", odd, b.like(0x7FFF, bits)))
    nan = b.binary("or", b.binary("and", upper, b.like(0x8000, bits)), b.like(0x7FC0, bits))
    rounded = b.binary("lshr", rounded, b.like(16, bits))
    found = b.select(b.compare("uno", x, x), nan, rounded)
    return b.cast("trunc", found, "i16")


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


def nonzero(b: Builder, x: Value, dtype: DType) -> Value:
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
