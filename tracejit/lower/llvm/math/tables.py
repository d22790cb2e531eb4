"""Small constant tables, looked up lane by lane: in registers where lanes can be permuted."""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.lower.llvm.builder import Builder, Value, literal
from tracejit.lower.llvm.math.arithmetic import Number

# By instruction set and kind: the lanes of a register, and what picks lanes of one register and,
# where there is such a thing, of two.
PERMUTES = {
    ("avx512", "float"): (16, "x86.avx512.permvar.sf.512", "x86.avx512.vpermi2var.ps.512"),
    ("avx512", "double"): (8, "x86.avx512.permvar.df.512", "x86.avx512.vpermi2var.pd.512"),
    ("avx2", "float"): (8, "x86.avx2.permps", ""),
}


def lookup(index: Number, table: Sequence[float], kind: str) -> Number:
    """`table[index % len(table)]` in every lane; the length is a power of two.

    `index` is of the integer kind as wide as `kind`; what its higher bits hold does not matter.
    """
    b, lanes = index.builder, index.value.lanes
    permutes = PERMUTES.get((b.module.permutes, kind))
    if lanes == 1 or permutes is None:
        return Number(b, loaded(index & (len(table) - 1), table, kind))
    size = permutes[0]
    while size < lanes:
        size *= 2
    whole = picked(b, index.value, [i % lanes for i in range(size)])
    return Number(b, picked(b, permuted(b, whole, table, kind, *permutes), list(range(lanes))))


def picked(b: Builder, a: Value, lanes: list[int]) -> Value:
    return a if lanes == list(range(a.lanes)) else b.shuffle(a, a, lanes)


def loaded(index: Number, table: Sequence[float], kind: str) -> Value:
    """Each lane from memory: a gather where the machine has one, else as many loads."""
    b, lanes = index.builder, index.value.lanes
    name = b.module.table(kind, [literal(number, kind) for number in table])
    text = f"getelementptr inbounds {kind}, ptr @{name}, {index.value.type} {index.value.text}"
    address = b.value(text, "ptr", lanes)
    if lanes == 1:
        return b.load(address, kind)
    return b.gather(address, b.const(True, "i1", lanes), kind)


def permuted(
    b: Builder, index: Value, table: Sequence[float], kind: str, width: int, one: str, two: str
) -> Value:
    """The same by permuting registers of `width` lanes that hold the table."""
    if index.lanes > width:
        half = index.lanes // 2
        parts = [picked(b, index, list(range(at, at + half))) for at in (0, half)]
        halves = [permuted(b, part, table, kind, width, one, two) for part in parts]
        return b.shuffle(*halves, list(range(index.lanes)))
    if len(table) <= width:
        register = b.vector([table[i % len(table)] for i in range(width)], kind)
        return b.call(f"llvm.{one}", kind, width, [register, index])
    if len(table) == 2 * width and two:
        registers = [b.vector(table[at : at + width], kind) for at in (0, width)]
        return b.call(f"llvm.{two}", kind, width, [registers[0], index, registers[1]])
    half = len(table) // 2
    low, high = (
        permuted(b, index, part, kind, width, one, two) for part in (table[:half], table[half:])
    )
    # The bit that tells the halves apart, as the sign: a blend reads it there.
    bits = Number(b, index)
    sign = bits << (32 if kind == "float" else 64) - half.bit_length()
    return b.select((sign < 0).value, high, low)
