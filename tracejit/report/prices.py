"""What one operation takes of a core: counted in the LLVM IR that the emitter writes for it.

Exceptional arguments branch to code of their own (blocks named `rare`), which is not counted.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, partial
from typing import Any

from ..ir.expressions import integer
from ..ir.graph import Kernel, Module
from ..ir.op import OPS
from ..ir.tensor import ARGUMENT, ZERO, Apply, Buffer, For, Index, Load, Store
from ..ir.types import DType, array_type
from ..lower.pipeline import Options, emit
from ..lower.tensor.cycles import Core, Price
from ..lower.tensor.cycles import cycles_of as counted_cycles

# What has a unit of its own, which is busy for several cycles, by its instruction.
RARE = {"fdiv": "divide", "sqrt": "sqrt"}
SCALAR_DIVISION = 10.0  # of integers, of each lane
# Cycles until the next can use what one gives: of a product, of another operation on floats, of the rare units, else.
PRODUCT, SUM, LONG, SHORT = 4.0, 3.0, 13.0, 1.0
# Instructions that are no work: names for the same bits, addresses, the loop itself.
FREE = frozenset(["bitcast", "getelementptr", "phi", "br", "ret", "load", "store", "icmp_loop"])
# Truth values in memory, which the probe has and most programs have not.
_FLAGS = re.compile(r"= (zext <?\d* ?x? ?i1|trunc .* i1|icmp ne .*i8)")
_HEAVY = re.compile(r"= (fmul|mul|call .*llvm\.fma)")
_FUNCTION = re.compile(r"^define [^@]*@([\w.]+)\(.*?\n(.*?)^}", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"call [^@]*@([\w.]+)\(")
_RESULT = re.compile(r"\s+(%[\w.]+) = ")
_NAME = re.compile(r"%[\w.]+")
_LINE = re.compile(r"\s+(?:%[\w.]+ = )?(?:tail )?(\w+)(.*)")


def cycles_of(kernel: Kernel, options: Options, machine: Any) -> float:
    """Cycles of one run of a kernel, on one thread of a `runtime.machine.Machine`."""
    rare = {name: machine.clock / rate for name, rate in machine.rare.items()}
    emitted = partial(price, options=options)
    return counted_cycles(kernel, Core(options.vector_bytes, emitted, machine.light, rare))


@cache
def price(
    op: str, operands: tuple[DType, ...], dtype: DType, lanes: int, options: Options
) -> Price:
    """The price of `op` on vectors of so many lanes; on scalars that of one lane."""
    try:
        text = emit(Module(_probe(op, operands, dtype, lanes)), options).text
    except Exception:  # noqa: BLE001 - what cannot be emitted by itself has the price of its record
        cost = OPS[op].cost if op in OPS else 1.0
        return Price(cost * max(1.0, lanes * dtype.itemsize / options.vector_bytes))
    return _counted(text, options.vector_bytes)


def _probe(op: str, operands: tuple[DType, ...], dtype: DType, lanes: int) -> Kernel:
    """`out[i] = op(x0[i], ...)` over a few vectors."""
    count, i = 8 * lanes, Index("i")
    inputs = [Buffer(f"x{k}", array_type((count,), t), ARGUMENT) for k, t in enumerate(operands)]
    out = Buffer("out", array_type((count,), dtype), ARGUMENT)
    value = Apply(op, tuple([Load(buffer, (i,)) for buffer in inputs]), dtype)
    mark = "vector" if lanes > 1 else "serial"
    body = (For(i, ZERO, integer(count), (Store(out, (i,), value),), mark, lanes),)
    return Kernel("probe", (*inputs, out), 1, body)


def _counted(text: str, vector_bytes: int) -> Price:
    """Of the loop of the probe, with the functions that are put in place of their calls."""
    functions = {name: body for name, body in _FUNCTION.findall(text)}
    probe = next(body for name, body in functions.items() if name.startswith("probe"))
    rare: Counter[str] = Counter()

    def count(body: str) -> tuple[float, float, float]:
        instructions = light = cycles = 0.0
        is_rare = False
        for line in body.splitlines():
            if line.endswith(":"):
                is_rare = line.startswith("rare")
                continue
            match = _LINE.match(line)
            if is_rare or match is None or match[1] in FREE or _FLAGS.search(line):
                continue
            called = _CALL.search(line)
            if called is not None and called[1] in functions:
                more = count(functions[called[1]])
                instructions, light, cycles = (
                    a + b for a, b in zip((instructions, light, cycles), more)
                )
                continue
            registers = _registers(match[2], vector_bytes)
            unit = "sqrt" if "llvm.sqrt" in match[2] else match[1]
            if unit in RARE:
                dtype = "float64" if "double" in match[2] else "float32"
                rare[f"{RARE[unit]} {dtype}"] += max(registers, 1.0)
            elif unit in ("sdiv", "udiv", "srem", "urem"):
                lanes = re.search(r"<(\d+) x", match[2])
                cycles += SCALAR_DIVISION * (int(lanes[1]) if lanes else 1)
            elif registers or "i64" not in match[2]:
                instructions += max(registers, 1.0)
                light += 0.0 if _HEAVY.search(line) else max(registers, 1.0)
        return instructions, light, cycles

    instructions, light, cycles = count(probe[probe.index("loop") :].partition("\nafter")[0])
    waits = _chain(probe[probe.index("loop") :].partition("\nafter")[0], functions)
    return Price(instructions, light, tuple(rare.items()), cycles, waits)


def _chain(body: str, functions: dict[str, str]) -> float:
    """Cycles of the longest chain of operations on floats, of which each waits for the one before."""
    known: dict[str, float] = {}
    is_rare = False
    for line in body.splitlines():
        if line.endswith(":"):
            is_rare = line.startswith("rare")
        result = _RESULT.match(line)
        if is_rare or result is None:
            continue
        called, rest = _CALL.search(line), line[result.end() :]
        before = max([known.get(name, 0.0) for name in _NAME.findall(rest)], default=0.0)
        if called is not None and called[1] in functions:
            own = _chain(functions[called[1]], functions)
        else:
            own = _latency(line, rest)
        known[result[1]] = before + own
    return max(known.values(), default=0.0)


def _latency(line: str, rest: str) -> float:
    name = rest.split(" ", 1)[0]
    if name in FREE:
        return 0.0
    if name == "fdiv" or "llvm.sqrt" in rest:
        return LONG
    if _HEAVY.search(line):
        return PRODUCT
    return SUM if name.startswith("f") else SHORT


def _registers(text: str, vector_bytes: int) -> float:
    """How many vector registers an instruction works on; 0: scalars."""
    widest = 0.0
    for count, kind in re.findall(r"<(\d+) x (\w+)>", text):
        bits = {"float": 32, "double": 64, "half": 16}.get(kind) or (
            int(kind[1:]) if kind[1:].isdigit() else 64
        )
        widest = max(widest, int(count) * max(bits, 8) / 8 / vector_bytes)
    return widest if widest == 0 else max(1.0, widest)
