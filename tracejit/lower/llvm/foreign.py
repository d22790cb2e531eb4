"""Calls of foreign functions.

What one of NumPy's loops is told lies in three small arrays in the caller's frame. A function of
numbers is called for each lane, out of line, through memory: the call leaves no register alone.
"""

from __future__ import annotations

from typing import Any

from ...ir.foreign import Foreign, ScalarFunction
from ...ir.refusal import FAILED
from ...ir.types import DType
from .builder import Builder, Value
from .casts import KINDS

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
        failed = b.compare("ne", flag, b.const(0, "i32"))
        emitter.note_refusal(failed, FAILED[known.failure].status)


_EACH_LANE = """\
define internal void @{each}(ptr %result, {parameters}, ptr %mask, i64 %count) nounwind noinline {{
entry:
  br label %lane
lane:
  %i = phi i64 [ 0, %entry ], [ %next, %after ]
  %m = getelementptr i8, ptr %mask, i64 %i
  %on = load i8, ptr %m
  %counts = icmp ne i8 %on, 0
  br i1 %counts, label %called, label %after
called:
{loads}
  %y = call {result} @{name}({arguments})
  %to = getelementptr {kind}, ptr %result, i64 %i
  store {kind} %y, ptr %to
  br label %after
after:
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %lane, label %done
done:
  ret void
}}"""


def call_scalar(
    b: Builder, name: str, function: ScalarFunction, values: list[Value], mask: Value | None
) -> Value:
    """The result of a function of numbers, in every lane that counts: it is called for no other,
    as it may not be made for what stands there."""
    module = b.module
    module.externals.add(name)
    passed = [_passed(dtype) for dtype in function.operands]
    returned = " ".join(reversed(_passed(function.result).split()))
    module.declare(returned, name, passed)
    lanes = max([value.lanes for value in values], default=1)
    values = [_as_memory(b, value, dtype) for value, dtype in zip(values, function.operands)]
    kind = _memory_kind(function.result)
    if lanes == 1:
        listed = ", ".join(f"{how} {value.text}" for how, value in zip(passed, values))
        made = b.value(f"call {returned} @{name}({listed})", kind)
        return _as_register(b, made, function.result)
    each, kinds = f"each.{name}", [_memory_kind(dtype) for dtype in function.operands]
    if each not in module.declarations:
        module.declarations[each] = _EACH_LANE.format(
            each=each,
            name=name,
            kind=kind,
            result=returned,
            parameters=", ".join(f"ptr %a{k}" for k in range(len(kinds))),
            loads="\n".join(
                f"  %p{k} = getelementptr {own}, ptr %a{k}, i64 %i\n  %x{k} = load {own}, ptr %p{k}"
                for k, own in enumerate(kinds)
            ),
            arguments=", ".join(f"{how} %x{k}" for k, how in enumerate(passed)),
        )
    slots = [b.stack(own, lanes) for own in (kind, *kinds, "i8")]
    if mask is None or mask.lanes != lanes:
        mask = b.const(True, "i1", lanes)
    for slot, value in zip(slots, (b.const(0, kind, lanes), *values, b.cast("zext", mask, "i8"))):
        b.store(b.splat(value, lanes), slot)
    listed = ", ".join(f"ptr {slot.text}" for slot in slots)
    b.emit(f"call void @{each}({listed}, i64 {lanes})")
    return _as_register(b, b.load(slots[0], kind, lanes), function.result)


def _memory_kind(dtype: DType) -> str:
    return "i8" if dtype.kind == "b" else KINDS[dtype.name]


def _passed(dtype: DType) -> str:
    """A parameter's type, and how C extends what is shorter than a register."""
    kind = _memory_kind(dtype)
    if dtype.is_float or dtype.itemsize > 4:
        return kind
    return f"{kind} signext" if dtype.is_signed else f"{kind} zeroext"


def _as_memory(b: Builder, value: Value, dtype: DType) -> Value:
    return b.cast("zext", value, "i8") if dtype.kind == "b" else value


def _as_register(b: Builder, value: Value, dtype: DType) -> Value:
    if dtype.kind != "b":
        return value
    return b.compare("ne", value, b.like(0, value))
