"""Scalar functions, lane by lane, for arguments too rare to deserve vector code."""

from __future__ import annotations

from tracejit.lower.llvm.math.arithmetic import Number

# One loop per function and kind serves vectors of every width.
LOOP = """\
void @{name}(ptr %result, {parameters}, i64 %count) nounwind noinline {{
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


def each_lane(name: str, *arguments: Number, shared: bool = False) -> Number:
    """`name` (in float, its namesake ending in f) of every lane, called out of line.

    A function of the C library, or with `shared` one of the library that all programs share.
    """
    builder, (kind, lanes) = arguments[0].builder, arguments[0].value[1:]
    function = name + "f" if kind == "float" else name
    module, count = builder.module, len(arguments)
    if lanes == 1:
        if shared:
            module.externals.add(function)
        return Number(builder, builder.call(function, kind, 1, [a.value for a in arguments]))
    loop = f"each.{function}"
    if shared:
        module.externals.add(loop)
        module.declare("void", loop, ["ptr"] * (count + 1) + ["i64"])
    else:
        module.declare(kind, function, [kind] * count)
        module.declarations.setdefault(loop, "define internal " + loop_text(function, kind, count))
    slots = [builder.stack(kind, lanes) for _ in range(count + 1)]
    for slot, argument in zip(slots[1:], arguments, strict=True):
        builder.store(argument.value, slot)
    listed = ", ".join(f"ptr {slot.text}" for slot in slots)
    builder.emit(f"call void @{loop}({listed}, i64 {lanes})")
    return Number(builder, builder.load(slots[0], kind, lanes))


def loop_text(function: str, kind: str, count: int) -> str:
    """`void each.function(result, a0, ..., n)`, without the word `define`."""
    return LOOP.format(
        name=f"each.{function}",
        function=function,
        kind=kind,
        parameters=", ".join(f"ptr %a{i}" for i in range(count)),
        loads="\n".join(
            f"  %p{i} = getelementptr {kind}, ptr %a{i}, i64 %i\n  %x{i} = load {kind}, ptr %p{i}"
            for i in range(count)
        ),
        arguments=", ".join(f"{kind} %x{i}" for i in range(count)),
    )
