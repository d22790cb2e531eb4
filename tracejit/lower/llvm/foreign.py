"""Calls of NumPy's loops: what the loop is told lies in three small arrays in the caller's frame."""

from __future__ import annotations

from typing import Any

from ...ir.foreign import Foreign
from ...ir.numpy_code import FAILURES
from .builder import Value

# The statuses after a loop failed, in the order of FAILURES.
FIRST_FAILURE = 128
# C's FE_INVALID, and all the exceptions it is one of, on the processors that are supported.
INVALID, ALL_EXCEPTIONS = 1, 31


def call_loop(emitter: Any, symbol: str, known: Foreign, values: list[Value]) -> None:
    """Call the loop whose code and data lie at `symbol`; where it fails, report that."""
    b, module, loop = emitter.b, emitter.program.module, known.loop
    arrays, extents = loop.ufunc.nargs, 1 + len(loop.names)
    parts = values[:arrays], values[arrays : arrays + extents], values[arrays + extents :]
    lists = []
    for part in parts:
        memory = emitter.stack_slot(f"[{len(part)} x i64]", 8)
        for position, value in enumerate(part):
            b.store(value, b.offset(memory, b.const(position, "i64"), "i64"), 8)
        lists.append(memory)
    module.externals.add(symbol)
    module.declarations[symbol] = f"@{symbol} = external global [2 x ptr]"
    place = Value(f"@{symbol}", "ptr")
    code = b.load(place, "ptr", align=8)
    data = b.load(b.offset(place, b.const(1, "i64"), "ptr"), "ptr", align=8)
    if known.failure:
        # Nothing else shares the function, whose arithmetic could raise a flag between the calls.
        b.is_inlined = False
        module.declare("i32", "feclearexcept", ["i32"])
        b.emit(f"call i32 @feclearexcept(i32 {ALL_EXCEPTIONS})")
    listed = ", ".join(f"ptr {value.text}" for value in (*lists, data))
    b.emit(f"call void {code.text}({listed})")
    if known.failure:
        module.declare("i32", "fetestexcept", ["i32"])
        flag = b.value(f"call i32 @fetestexcept(i32 {INVALID})", "i32")
        status = FIRST_FAILURE + FAILURES.index(known.failure)
        emitter.note_refusal(b.compare("ne", flag, b.const(0, "i32")), status)
