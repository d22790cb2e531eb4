"""Drawing random numbers: functions around NumPy's C functions, and calls of these.

`void draw_x(ptr source, ptr before, ptr after, ptr numbers, i64 count, ptr parameter, i64 step, ...)`;
ir/numpy_random.py says what these are. They are compiled apart from programs, once each. A single
number is drawn without them, where NumPy has a function that gives one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.numpy_random import Distribution
from .builder import Value
from .casts import KINDS

_FUNCTION = """\
{declarations}
define void @{symbol}(ptr %source.at, ptr %before, ptr %after, ptr %numbers, i64 %count{parameters}) nounwind {{
entry:
  %source = load ptr, ptr %source.at
  %token = load i64, ptr %before
  %next.token = add i64 %token, 1
  store i64 %next.token, ptr %after
{setup}
  %is.none = icmp slt i64 %count, 1
  br i1 %is.none, label %done, label %start
start:
{body}
done:
  ret void
}}
"""
# The generator's own functions lie behind its state: for integers of 64 and 32 bits, for doubles.
_DOUBLES_AT = 24
_DOUBLES = f"""\
  %state = load ptr, ptr {{bits}}
  %double.at = getelementptr i8, ptr {{bits}}, i64 {_DOUBLES_AT}
  %double = load ptr, ptr %double.at"""
_EACH = """\
  br label %loop
loop:
  %i = phi i64 [ 0, %start ], [ %next, %{last} ]
{loads}
{drawn}
  %to = getelementptr {kind}, ptr %numbers, i64 %i
  store {kind} %y, ptr %to
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done"""
# As Marsaglia: a point in the disc gives two numbers, of which one is kept.
_POLAR = """\
  %bits = load ptr, ptr %source
  %has.at = getelementptr i8, ptr %source, i64 8
  %kept.at = getelementptr i8, ptr %source, i64 16
""" + _DOUBLES.format(bits="%bits")
_POLAR_DRAWN = """\
  %has = load i32, ptr %has.at
  %is.kept = icmp ne i32 %has, 0
  br i1 %is.kept, label %kept, label %try
kept:
  %old = load double, ptr %kept.at
  store i32 0, ptr %has.at
  store double 0.0, ptr %kept.at
  br label %found
try:
  %u1 = call double %double(ptr %state)
  %u2 = call double %double(ptr %state)
  %v1 = fmul double %u1, 2.0
  %v2 = fmul double %u2, 2.0
  %d1 = fsub double %v1, 1.0
  %d2 = fsub double %v2, 1.0
  %s1 = fmul double %d1, %d1
  %s2 = fmul double %d2, %d2
  %r2 = fadd double %s1, %s2
  %is.out = fcmp oge double %r2, 1.0
  %is.zero = fcmp oeq double %r2, 0.0
  %again = or i1 %is.out, %is.zero
  br i1 %again, label %try, label %inside
inside:
  %log = call double @log(double %r2)
  %scaled = fmul double %log, -2.0
  %ratio = fdiv double %scaled, %r2
  %f = call double @llvm.sqrt.f64(double %ratio)
  %keep = fmul double %f, %d1
  store double %keep, ptr %kept.at
  store i32 1, ptr %has.at
  %new = fmul double %f, %d2
  br label %found
found:
  %z = phi double [ %old, %kept ], [ %new, %inside ]
{scaled}"""
_LOGARITHM = """\
  %u = call double %double(ptr %state)
  %rest = fsub double 1.0, %u
  %log = call double @log(double %rest)
  %z = fneg double %log
{scaled}"""
# What is made of a number of the standard distribution, by how many parameters there are.
_SCALED = (
    "  %y = fadd double %z, -0.0",  # that changes nothing
    "  %y = fmul double %x0, %z",
    "  %part = fmul double %x1, %z\n  %y = fadd double %x0, %part",
)
# One range for all numbers is drawn in one call; ranges of their own one by one.
_RANGE = """\
  %steps = or i64 %step0, %step1
  %is.one = icmp eq i64 %steps, 0
  br i1 %is.one, label %together, label %apart
together:
  %low.all = load {kind}, ptr %p0
  %high.all = load {kind}, ptr %p1
  %width.all = sub {kind} %high.all, %low.all
  call void @{routine}(ptr %source, {kind} %low.all, {kind} %width.all, i64 %count, i1 zeroext {masked}, ptr %numbers)
  br label %done
apart:
  br label %loop
loop:
  %i = phi i64 [ 0, %apart ], [ %next, %loop ]
{loads}
  %width = sub {kind} %x1, %x0
  %to = getelementptr {kind}, ptr %numbers, i64 %i
  call void @{routine}(ptr %source, {kind} %x0, {kind} %width, i64 1, i1 zeroext {masked}, ptr %to)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done"""
# From the last position down to the second, each exchanged with one at or before it.
_SHUFFLE = """\
  br label %fill
fill:
  %i = phi i64 [ 0, %start ], [ %next, %fill ]
  %to = getelementptr i64, ptr %numbers, i64 %i
  store i64 %i, ptr %to
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %fill, label %filled
filled:
  %top = sub i64 %count, 1
  %is.single = icmp slt i64 %top, 1
  br i1 %is.single, label %done, label %shuffle
shuffle:
  %k = phi i64 [ %top, %filled ], [ %below, %shuffle ]
  %j = call i64 @random_interval(ptr %source, i64 %k)
  %at.k = getelementptr i64, ptr %numbers, i64 %k
  %at.j = getelementptr i64, ptr %numbers, i64 %j
  %value.k = load i64, ptr %at.k
  %value.j = load i64, ptr %at.j
  store i64 %value.j, ptr %at.k
  store i64 %value.k, ptr %at.j
  %below = sub i64 %k, 1
  %goes.on = icmp sgt i64 %below, 0
  br i1 %goes.on, label %shuffle, label %done"""
# More than NumPy's `binomial_t`, where it keeps what depends on the parameters alone.
_BINOMIAL_BYTES = 256

_Parts = tuple[str, str, str]  # declarations, setup, body


def draw_text(distribution: Distribution) -> str:
    """The LLVM IR of the function that draws from a distribution."""
    declarations, setup, body = _FORMS[distribution.form](distribution)
    parameters = "".join(
        f", ptr %p{k}, i64 %step{k}" for k, _ in enumerate(distribution.parameters)
    )
    return _FUNCTION.format(
        symbol=distribution.symbol,
        declarations=declarations,
        parameters=parameters,
        setup=setup,
        body=body,
    )


def draws_one(distribution: Distribution) -> bool:
    """Whether a single number is drawn by `draw_one`."""
    return distribution.form in ("each", "uniform")


def draw_one(emitter: Any, distribution: Distribution, values: list[Value]) -> None:
    """Draw a number in place: `values` are what the function would be given."""
    b, module = emitter.b, emitter.program.module
    source_at, before, after, numbers, _, *rest = values
    source, kind = b.load(source_at, "ptr", align=8), KINDS[distribution.result.name]
    token = b.binary("add", b.load(before, "i64", align=8), b.const(1, "i64"))
    kinds = _kinds(distribution)
    given = [b.load(at, own, align=8) for at, own in zip(rest[::2], kinds)]
    if distribution.form == "uniform":
        doubles = b.offset(source, b.const(_DOUBLES_AT, "i64"), "i8")
        state = b.load(source, "ptr", align=8)
        y = b.value(f"call double {b.load(doubles, 'ptr', align=8).text}(ptr {state.text})", kind)
    else:
        routine = distribution.routine
        module.externals.add(routine)
        module.declare(kind, routine, ["ptr", *kinds])
        listed = "".join(f", {own} {x.text}" for own, x in zip(kinds, given))
        y = b.value(f"call {kind} @{routine}(ptr {source.text}{listed})", kind)
    b.store(y, numbers, 8)
    b.store(token, after, 8)


def _kinds(distribution: Distribution) -> list[str]:
    return [KINDS[dtype.name] for dtype in distribution.parameters]


def _loads(distribution: Distribution) -> str:
    return "\n".join(
        f"  %e{k} = mul i64 %i, %step{k}\n"
        f"  %a{k} = getelementptr {kind}, ptr %p{k}, i64 %e{k}\n"
        f"  %x{k} = load {kind}, ptr %a{k}"
        for k, kind in enumerate(_kinds(distribution))
    )


def _one_by_one(distribution: Distribution, drawn: str, last: str = "loop") -> str:
    kind = KINDS[distribution.result.name]
    return _EACH.format(kind=kind, loads=_loads(distribution), drawn=drawn, last=last)


def _fill(distribution: Distribution) -> _Parts:
    routine = distribution.routine
    call = f"  call void @{routine}(ptr %source, i64 %count, ptr %numbers)\n  br label %done"
    return f"declare void @{routine}(ptr, i64, ptr)", "", call


def _each(distribution: Distribution) -> _Parts:
    kinds, result = _kinds(distribution), KINDS[distribution.result.name]
    given = "".join(f", {kind} %x{k}" for k, kind in enumerate(kinds))
    declared = ", ".join(["ptr", *kinds])
    drawn = f"  %y = call {result} @{distribution.routine}(ptr %source{given})"
    declaration = f"declare {result} @{distribution.routine}({declared})"
    return declaration, "", _one_by_one(distribution, drawn)


def _binomial(distribution: Distribution) -> _Parts:
    drawn = "  %y = call i64 @random_binomial(ptr %source, double %x0, i64 %x1, ptr %known)"
    setup = f"  %known = alloca [{_BINOMIAL_BYTES} x i8], align 16\n  store i64 0, ptr %known"
    declaration = "declare i64 @random_binomial(ptr, double, i64, ptr)"
    return declaration, setup, _one_by_one(distribution, drawn)


def _uniform(distribution: Distribution) -> _Parts:
    drawn = "  %y = call double %double(ptr %state)"
    return "", _DOUBLES.format(bits="%source"), _one_by_one(distribution, drawn)


def _scaled(distribution: Distribution, drawn: str) -> str:
    return drawn.format(scaled=_SCALED[len(distribution.parameters)])


def _logarithm(distribution: Distribution) -> _Parts:
    setup = _DOUBLES.format(bits="%source")
    return (
        "declare double @log(double)",
        setup,
        _one_by_one(distribution, _scaled(distribution, _LOGARITHM)),
    )


def _polar(distribution: Distribution) -> _Parts:
    declarations = "declare double @log(double)\ndeclare double @llvm.sqrt.f64(double)"
    return (
        declarations,
        _POLAR,
        _one_by_one(distribution, _scaled(distribution, _POLAR_DRAWN), "found"),
    )


def _range(distribution: Distribution) -> _Parts:
    kind, routine = KINDS[distribution.result.name], distribution.routine
    masked = "true" if distribution.form.startswith("masked") else "false"
    body = _RANGE.format(kind=kind, routine=routine, masked=masked, loads=_loads(distribution))
    return f"declare void @{routine}(ptr, {kind}, {kind}, i64, i1 zeroext, ptr)", "", body


def _shuffle(distribution: Distribution) -> _Parts:
    return f"declare i64 @{distribution.routine}(ptr, i64)", "", _SHUFFLE


_FORMS: dict[str, Callable[[Distribution], _Parts]] = {
    "fill": _fill,
    "each": _each,
    "binomial": _binomial,
    "uniform": _uniform,
    "logarithm": _logarithm,
    "polar": _polar,
    "range": _range,
    "masked range": _range,
    "shuffle": _shuffle,
}
