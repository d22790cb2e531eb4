"""Scalar functions, lane by lane, for arguments too rare to deserve vector code."""

from __future__ import annotations

from tracejit.lower.llvm.math.arithmetic import Number

# One loop per function and kind serves vectors of every width.
LOOP = """\
define internal void @{name}(ptr %result, {parameters}, i64 %count) nounwind noinline {{
entry:
  br label %lane
lane:
  %i = phi i64 [ 0, %entry ], [ %next, %lane ]
{loads}
  %y = call {kind} @{function}({arguments})
  %to = getelementptr {kind}, ptr %result, i64 %i
  store {kind} %y, ptr %to
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %lane, label %done
done:
  ret void
}}"""


def each_lane(name: str, *arguments: Number) -> Number:
    """`name` (in float, its namesake ending in f) of every lane, called out of line.

    A function of the C library, unless the module defines it.
    """
    builder, (kind, lanes) = arguments[0].builder, arguments[0].value[1:]
    function = name + "f" if kind == "float" else name
    module, count = builder.module, len(arguments)
    module.declare(kind, function, [kind] * count)
    if lanes == 1:
        value = builder.call(function, kind, 1, [a.value for a in arguments])
        return Number(builder, value)
    loop = f"each.{function}"
    module.declarations.setdefault(
        loop,
        LOOP.format(
            name=loop,
            function=function,
            kind=kind,
            parameters=", ".join(f"ptr %a{i}" for i in range(count)),
            loads="\n".join(
                f"  %p{i} = getelementptr {kind}, ptr %a{i}, i64 %i\n"
                f"  %x{i} = load {kind}, ptr %p{i}"
                for i in range(count)
            ),
            arguments=", ".join(f"{kind} %x{i}" for i in range(count)),
        ),
    )
    slots = [builder.stack(kind, lanes) for _ in range(count + 1)]
    for slot, argument in zip(slots[1:], arguments, strict=True):
        builder.store(argument.value, slot)
    listed = ", ".join(f"ptr {slot.text}" for slot in slots)
    builder.emit(f"call void @{loop}({listed}, i64 {lanes})")
    return Number(builder, builder.load(slots[0], kind, lanes))
