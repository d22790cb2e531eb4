"""Running totals of the lanes of one vector.

Each lane is combined with all before it in as many steps as the vector has halves: the upper half of each pair of lanes
with the lower one, then of each four lanes, and so on, always with the last lane of the lower half,
which has the total of that half (Sklansky, "Conditional-sum addition logic", 1960).

    a b c d   ->   a ab c cd   ->   a ab abc abcd
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .builder import Builder, Value

# What picks lanes of a whole register by constants in another one, where LLVM would take two steps within registers.
_PICKS = {
    ("float", 16): "llvm.x86.avx512.permvar.sf.512",
    ("i32", 16): "llvm.x86.avx512.permvar.si.512",
    ("double", 8): "llvm.x86.avx512.permvar.df.512",
    ("i64", 8): "llvm.x86.avx512.permvar.di.512",
}
BLOCK_BYTES = 16  # lanes move inside of a block in one step
_BYTES = {"float": 4, "i32": 4, "double": 8, "i64": 8}


def upper_halves(b: Builder, lanes: int) -> list[Value]:
    """For each step which lanes are added to. To add to some lanes of a register is one instruction where there are
    masks, but LLVM adds to all and then blends if it knows which."""
    steps = range(lanes.bit_length() - 1)
    chosen = [[bool(lane >> step & 1) for lane in range(lanes)] for step in steps]
    if b.module.permutes != "avx512" or lanes < 8:
        return [b.vector(each, "i1") for each in chosen]
    bits = [sum(bit << lane for lane, bit in enumerate(each)) for each in chosen]
    hidden = [b.hidden(b.const(number, f"i{lanes}")) for number in bits]
    return [b.value(f"bitcast {h.type} {h.text} to <{lanes} x i1>", "i1", lanes) for h in hidden]


def running(b: Builder, value: Value, uppers: Sequence[Value], combine: Callable) -> Value:
    """Each lane combined with all before it; `combine` takes what comes before first."""
    for step, upper in enumerate(uppers):
        half = 1 << step
        ends = [lane // (2 * half) * 2 * half + half - 1 for lane in range(value.lanes)]
        value = b.select(upper, combine(_picked(b, value, ends), value), value)
    return value


def last(b: Builder, value: Value) -> Value:
    """The last lane in all lanes."""
    return _picked(b, value, [value.lanes - 1] * value.lanes) if value.lanes > 1 else value


def _picked(b: Builder, value: Value, lanes: list[int]) -> Value:
    name = _PICKS.get((value.kind, value.lanes))
    block = BLOCK_BYTES // _BYTES.get(value.kind, BLOCK_BYTES)
    crosses = any(lane // block != place // block for place, lane in enumerate(lanes))
    if name is None or b.module.permutes != "avx512" or not crosses:
        return b.shuffle(value, value, lanes)
    index = b.vector(lanes, "i32" if _BYTES[value.kind] == 4 else "i64")
    return b.call(name, value.kind, value.lanes, [value, index])
