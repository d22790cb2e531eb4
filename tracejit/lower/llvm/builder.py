"""Write LLVM IR text: values with a kind and a lane count, straight-line regions, one function at a time.

A `Value` is the text that names it, its scalar kind (`double`, `i32`, ...) and its number of
lanes; one lane is a scalar. A `Region` is a stretch of code with one entry and one exit. Regions
of open loops stay open, so an invariant can still be appended to the preheader of an outer loop
while the body of an inner one is being written: that is all that loop-invariant code motion needs.
"""

from __future__ import annotations

import functools
import math
import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

FLOAT_BITS = {"half": 16, "float": 32, "double": 64}
INTEGER_BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64}
BITS = {**FLOAT_BITS, **INTEGER_BITS, "ptr": 64}
SUFFIX = {"half": "f16", "float": "f32", "double": "f64", **{k: k for k in INTEGER_BITS}}
# How much more often a condition holds that usually does.
USUALLY = 1000
SUFFIX["ptr"] = "p0"

# What the indices of inlined loops leave to compute.
_INDEX_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
}


def is_number(text: str) -> bool:
    return text.lstrip("-").isdecimal()


class Value(NamedTuple):
    """An SSA value or a constant: its text, scalar kind and lanes."""

    text: str
    kind: str
    lanes: int = 1

    @property
    def type(self) -> str:
        return type_text(self.kind, self.lanes)


@functools.cache
def type_text(kind: str, lanes: int) -> str:
    return kind if lanes == 1 else f"<{lanes} x {kind}>"


@functools.cache
def suffix(kind: str, lanes: int) -> str:
    """The overload suffix of an intrinsic, such as `v8f64`."""
    return SUFFIX[kind] if lanes == 1 else f"v{lanes}{SUFFIX[kind]}"


def literal(number: float | int | bool, kind: str) -> str:
    """The text of a scalar constant, exact to the last bit; a float kind rounds to nearest."""
    if kind == "double":
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    if kind == "float":
        try:
            rounded = struct.unpack("<f", struct.pack("<f", number))[0]
        except OverflowError:
            rounded = math.copysign(math.inf, number)
        return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"
    if kind == "half":
        try:
            bits = struct.unpack("<H", struct.pack("<e", number))[0]
        except OverflowError:
            bits = 0xFC00 if number < 0 else 0x7C00
        return f"0xH{bits:04X}"
    if kind == "i1":
        return "true" if number else "false"
    if kind == "ptr":
        return "null" if number == 0 else f"inttoptr (i64 {int(number)} to ptr)"
    return str(int(number))


def number_of(value: Value) -> float | None:
    """The number that a constant of a float kind is, in all lanes; None if it is no such constant."""
    text = value.text.removeprefix(f"splat ({value.kind} ").removesuffix(")")
    if value.kind not in ("float", "double") or not text.startswith("0x"):
        return None
    return struct.unpack("<d", struct.pack("<Q", int(text, 16)))[0]


class Region:
    """Lines of code from one entry to one exit; `label` is the basic block they end in."""

    __slots__ = ("lines", "label")

    def __init__(self, label: str):
        self.lines: list[str] = [f"{label}:"]
        self.label = label


class Module:
    """LLVM IR under construction: declarations, constants and finished functions.

    `externals` names declared functions that are neither intrinsics nor in the C library.
    `permutes` is the instruction set that picks lanes at run time: "avx512", "avx2" or none.
    `attributes` are those of all functions, which are the group `#0`. Names of tables begin with
    `prefix`. `dots` is as in `engine.Target`.
    """

    def __init__(
        self,
        permutes: str = "",
        attributes: str = "nounwind",
        prefix: str = "",
        dots: bool = False,
    ) -> None:
        self.permutes, self.attributes, self.prefix = permutes, attributes, prefix
        self.dots = dots
        self.declarations: dict[str, str] = {}
        self.definitions: list[str] = []
        self.tables: dict[str, str] = {}
        self.externals: set[str] = set()
        self.metadata: dict[int, str] = {}
        self.functions: dict[str, Definition] = {}

    def declare(self, result: str, name: str, parameters: Iterable[str]) -> None:
        if name not in self.declarations:
            self.declarations[name] = f"declare {result} @{name}({', '.join(parameters)})"

    def table(self, element: str, values: Sequence[str]) -> str:
        """The name of a constant table holding these literals; equal tables are one."""
        key = f"[{len(values)} x {element}] [" + ", ".join(f"{element} {v}" for v in values) + "]"
        if key not in self.tables:
            name = self.tables[key] = f"{self.prefix}table{len(self.tables)}"
            self.definitions.append(f"@{name} = internal unnamed_addr constant {key}, align 64")
        return self.tables[key]

    def text(self) -> str:
        """Everything, with the definitions of the functions that are called, to be inlined."""
        inlined = [
            f"define internal {f.head} alwaysinline {f.body}" for f in self.functions.values()
        ]
        return self._text(list(self.functions.values()), inlined)

    def calling_text(self) -> str:
        """The same with these functions declared only: their code is elsewhere."""
        return self._text([], [f.declaration for f in self.functions.values()])

    def _text(self, functions: Sequence[Definition], lines: Iterable[str]) -> str:
        declared = dict(self.declarations)
        for function in functions:
            declared |= function.module.declarations
        tables = [line for function in functions for line in function.module.definitions]
        own = [*self.definitions, *self.metadata.values()]
        attributes = f"attributes #0 = {{ {self.attributes} }}\n"
        return "\n".join([*declared.values(), *tables, *lines, *own, attributes])


class Definition(NamedTuple):
    """A function that depends on nothing but its arguments, for any Module to call.

    `head` is what follows `define`, up to the attributes, and `module` has what the body needs.
    """

    symbol: str
    declaration: str
    head: str
    body: str
    module: Module


def text_of(functions: Sequence[Definition], attributes: str) -> str:
    """Functions alone, for callers elsewhere."""
    lines = [f"define {f.head} {f.body}" for f in functions]
    return Module(attributes=attributes)._text(functions, lines)


class Builder:
    """Writes one function. Instructions go to `self.region`; finish with `finish()`."""

    def __init__(self, module: Module, signature: str):
        self.module = module
        self.signature = signature
        self.is_inlined = True
        self.on_refusal: Callable[..., None] | None = None
        self._count = 0
        self._regions: list[Region] = []
        self.region = self.open("entry")

    # Text.

    def fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def open(self, label: str) -> Region:
        """A new region; regions appear in the text in the order they were opened."""
        region = Region(label)
        self._regions.append(region)
        return region

    def emit(self, line: str) -> None:
        self.region.lines.append("  " + line)

    def value(self, text: str, kind: str, lanes: int = 1) -> Value:
        self._count += 1
        name = f"%v{self._count}"
        self.region.lines.append(f"  {name} = {text}")
        return Value(name, kind, lanes)

    def label(self, name: str) -> None:
        """Begin a new basic block inside the current region."""
        self.region.lines.append(f"{name}:")
        self.region.label = name

    def branch(self, label: str) -> None:
        self.emit(f"br label %{label}")

    def branch_if(self, condition: Value, then: str, otherwise: str, told: str = "") -> None:
        """`told`: what LLVM is told of how often it holds (`usually`)."""
        self.emit(f"br i1 {condition.text}, label %{then}, label %{otherwise}{told}")

    def usually(self, holds: bool) -> str:
        """What tells LLVM that a condition usually holds, or that it does not: code for what is seldom
        lies elsewhere, and registers are saved there alone."""
        number = 1 if holds else 2
        weights = (USUALLY, 1) if holds else (1, USUALLY)
        text = ", ".join(f"i32 {weight}" for weight in weights)
        self.module.metadata[number] = f'!{number} = !{{!"branch_weights", {text}}}'
        return f", !prof !{number}"

    @property
    def length(self) -> int:
        """How many lines there are so far."""
        return sum([len(region.lines) for region in self._regions])

    def body(self) -> str:
        """The attributes of the function, and its lines in braces."""
        lines = [line for region in self._regions for line in region.lines]
        return "\n".join(["#0 {", *lines, "}"])

    def finish(self) -> None:
        own = "" if self.is_inlined else " noinline"
        self.module.definitions.append(f"define {self.signature}{own} {self.body()}")

    # Constants and shapes of values.

    def const(self, number: float | int | bool, kind: str, lanes: int = 1) -> Value:
        text = literal(number, kind)
        if lanes != 1:
            text = f"splat ({kind} {text})"
        return Value(text, kind, lanes)

    def like(self, number: float | int | bool, value: Value) -> Value:
        """The constant `number` with the kind and lanes of `value`."""
        return self.const(number, value.kind, value.lanes)

    def vector(self, numbers: Iterable[float | int | bool], kind: str) -> Value:
        """A constant vector, lane by lane."""
        items = [f"{kind} {literal(number, kind)}" for number in numbers]
        return Value(f"<{', '.join(items)}>", kind, len(items))

    def splat(self, value: Value, lanes: int) -> Value:
        """`value` in every lane."""
        if value.lanes == lanes:
            return value
        if value.text[0] not in "%@":
            return Value(f"splat ({value.kind} {value.text})", value.kind, lanes)
        wide = type_text(value.kind, lanes)
        first = self.value(
            f"insertelement {wide} poison, {value.type} {value.text}, i64 0", value.kind, lanes
        )
        return self.shuffle(first, first, [0] * lanes)

    def shuffle(self, a: Value, b: Value, lanes: list[int]) -> Value:
        """Lanes picked from `a` and then `b`, counted through."""
        if len(lanes) == 1:
            lane = lanes[0]
            return self.extract(a, lane) if lane < a.lanes else self.extract(b, lane - a.lanes)
        if not any(lanes):
            mask = "zeroinitializer"
        else:
            mask = "<" + ", ".join(f"i32 {lane}" for lane in lanes) + ">"
        text = f"shufflevector {a.type} {a.text}, {b.type} {b.text}, <{len(lanes)} x i32> {mask}"
        return self.value(text, a.kind, len(lanes))

    def extract(self, a: Value, lane: int) -> Value:
        return self.value(f"extractelement {a.type} {a.text}, i64 {lane}", a.kind)

    def insert(self, a: Value | None, element: Value, lane: int, lanes: int) -> Value:
        """`a`, or a vector whose other lanes do not matter yet, with one lane replaced."""
        wide = type_text(element.kind, lanes)
        before = "poison" if a is None else a.text
        text = f"insertelement {wide} {before}, {element.type} {element.text}, i64 {lane}"
        return self.value(text, element.kind, lanes)

    def unify(self, *values: Value) -> tuple[Value, ...]:
        """Splat scalars so that all have the lanes of the widest."""
        lanes = max([value.lanes for value in values])
        if all([value.lanes == lanes for value in values]):
            return values
        return tuple([v if v.lanes == lanes else self.splat(v, lanes) for v in values])

    # Arithmetic.

    def binary(self, opcode: str, a: Value, b: Value) -> Value:
        """`opcode` may carry flags: `fadd`, `fadd reassoc`, `add nsw`, `shl`, `xor`, ..."""
        if a.lanes != b.lanes:
            a, b = self.unify(a, b)
        fold = _INDEX_ARITHMETIC.get(opcode) if a.kind == "i64" else None
        if fold and is_number(a.text) and is_number(b.text):
            number = fold(int(a.text), int(b.text))
            if -(1 << 63) <= number < 1 << 63:
                return self.const(number, "i64")
        return self.value(f"{opcode} {a.type} {a.text}, {b.text}", a.kind, a.lanes)

    def unary(self, opcode: str, a: Value) -> Value:
        return self.value(f"{opcode} {a.type} {a.text}", a.kind, a.lanes)

    def call(self, name: str, kind: str, lanes: int, arguments: Iterable[Value]) -> Value:
        """Call a declared function or an intrinsic by its full name."""
        arguments = list(arguments)
        result = type_text(kind, lanes)
        if name not in self.module.declarations:
            self.module.declare(result, name, [a.type for a in arguments])
        listed = ", ".join([f"{a.type} {a.text}" for a in arguments])
        return self.value(f"call {result} @{name}({listed})", kind, lanes)

    def hidden(self, a: Value) -> Value:
        """The same integer, which LLVM takes for one that is known at run time only."""
        return self.value(f'call {a.type} asm "", "=r,0"({a.type} {a.text})', a.kind)

    def call_defined(self, function: Definition, kind: str, arguments: Sequence[Value]) -> Value:
        """Call a function whose definition comes with the module; of the operands' lanes."""
        self.module.functions[function.symbol] = function
        lanes = arguments[0].lanes
        listed = ", ".join([f"{a.type} {a.text}" for a in arguments])
        text = f"call {type_text(kind, lanes)} @{function.symbol}({listed})"
        return self.value(text, kind, lanes)

    def intrinsic(self, name: str, *arguments: Value) -> Value:
        """An intrinsic overloaded on its operands' common type: `fma`, `sqrt`, `ctpop`, ..."""
        arguments = self.unify(*arguments)
        a = arguments[0]
        return self.call(f"llvm.{name}.{suffix(a.kind, a.lanes)}", a.kind, a.lanes, arguments)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.intrinsic("fma", a, b, c)

    def compare(self, predicate: str, a: Value, b: Value) -> Value:
        """`fcmp` for float kinds (`olt`, `uno`, ...), `icmp` for the rest (`slt`, `ult`, ...)."""
        if a.lanes != b.lanes:
            a, b = self.unify(a, b)
        opcode = "fcmp" if a.kind in FLOAT_BITS else "icmp"
        return self.value(f"{opcode} {predicate} {a.type} {a.text}, {b.text}", "i1", a.lanes)

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        if not (condition.lanes == a.lanes == b.lanes):
            condition, a, b = self.unify(condition, a, b)
        return self.value(
            f"select {condition.type} {condition.text}, {a.type} {a.text}, {b.type} {b.text}",
            a.kind,
            a.lanes,
        )

    def cast(self, opcode: str, a: Value, kind: str) -> Value:
        """`fpext`, `fptrunc`, `fptosi`, `sitofp`, `zext`, `sext`, `trunc`, `bitcast`, ..."""
        if a.kind == kind:
            return a
        return self.value(
            f"{opcode} {a.type} {a.text} to {type_text(kind, a.lanes)}", kind, a.lanes
        )

    def reduce(self, name: str, a: Value, start: Value | None = None) -> Value:
        """Combine the lanes of `a`: `add`, `mul`, `and`, `or`, `smax`, `fmax`, `fadd`, ..."""
        if a.lanes == 1:
            return a
        full = f"llvm.vector.reduce.{name}.{suffix(a.kind, a.lanes)}"
        if start is None:
            return self.call(full, a.kind, 1, [a])
        self.module.declare(a.kind, full, [a.kind, a.type])
        text = f"call reassoc {a.kind} @{full}({a.kind} {start.text}, {a.type} {a.text})"
        return self.value(text, a.kind)

    # Control inside a region.

    def refuse(self, mask: Value, status: int, *details: Value) -> None:
        """Note that some lane met a value that has no result, and what it was; `on_refusal` says how."""
        if self.on_refusal is not None:
            self.on_refusal(mask, status, *details)

    def any(self, mask: Value) -> Value:
        """True when some lane of an i1 value is."""
        return self.reduce("or", mask)

    def first(self, mask: Value) -> Value:
        """The first lane, an i64, in which a mask with such a lane holds."""
        if mask.lanes == 1:
            return self.const(0, "i64")
        bits = f"i{mask.lanes}"
        number = self.value(f"bitcast {mask.type} {mask.text} to {bits}", bits)
        self.module.declare(bits, f"llvm.cttz.{bits}", [bits, "i1"])
        lane = self.value(f"call {bits} @llvm.cttz.{bits}({bits} {number.text}, i1 true)", bits)
        return self.cast("trunc" if mask.lanes > 64 else "zext", lane, "i64")

    def count(self, mask: Value) -> Value:
        """How many lanes of a mask hold, an i64."""
        if mask.lanes == 1:
            return self.cast("zext", mask, "i64")
        bits = f"i{mask.lanes}"
        number = self.value(f"bitcast {mask.type} {mask.text} to {bits}", bits)
        self.module.declare(bits, f"llvm.ctpop.{bits}", [bits])
        total = self.value(f"call {bits} @llvm.ctpop.{bits}({bits} {number.text})", bits)
        return self.cast("zext", total, "i64")

    def packed(self, a: Value, mask: Value) -> Value:
        """The lanes of `a` where `mask` holds, side by side from the first; others do not matter."""
        if a.lanes == 1:
            return a
        name = f"llvm.experimental.vector.compress.{suffix(a.kind, a.lanes)}"
        self.module.declare(a.type, name, [a.type, mask.type, a.type])
        operands = f"{a.type} {a.text}, {mask.type} {mask.text}, {a.type} poison"
        return self.value(f"call {a.type} @{name}({operands})", a.kind, a.lanes)

    def extract_at(self, a: Value, lane: Value) -> Value:
        """The element of `a` in a lane that is known when the program runs; a scalar is in all."""
        if a.lanes == 1:
            return a
        return self.value(f"extractelement {a.type} {a.text}, i64 {lane.text}", a.kind)

    def where_any(self, mask: Value, common: Value, rare: Callable[[], Value]) -> Value:
        """`select(mask, rare(), common)`, with `rare` computed only when some lane asks for it."""
        rare_label, join_label = self.fresh("rare"), self.fresh("join")
        condition, before = self.any(mask), self.region.label
        self.branch_if(condition, rare_label, join_label)
        self.label(rare_label)
        chosen = self.select(mask, rare(), common)
        after = self.region.label
        self.branch(join_label)
        self.label(join_label)
        text = f"phi {common.type} [ {common.text}, %{before} ], [ {chosen.text}, %{after} ]"
        return self.value(text, common.kind, common.lanes)

    # Memory.

    def offset(self, pointer: Value, index: Value, element: str) -> Value:
        """The address of element `index` (an i64) past `pointer`."""
        if index.text == "0":
            return pointer
        return self.value(
            f"getelementptr inbounds {element}, ptr {pointer.text}, i64 {index.text}", "ptr"
        )

    def stack(self, kind: str, lanes: int) -> Value:
        """The address of a slot that lives as long as the function, made at its entry."""
        name = self.fresh("%slot")
        self._regions[0].lines.insert(1, f"  {name} = alloca {type_text(kind, lanes)}, align 64")
        return Value(name, "ptr")

    def load(self, pointer: Value, kind: str, lanes: int = 1, align: int | None = None) -> Value:
        align = align or max(1, BITS[kind] // 8)
        return self.value(
            f"load {type_text(kind, lanes)}, ptr {pointer.text}, align {align}", kind, lanes
        )

    def store(self, value: Value, pointer: Value, align: int | None = None, hint: str = "") -> None:
        align = align or max(1, BITS[value.kind] // 8)
        self.emit(f"store {value.type} {value.text}, ptr {pointer.text}, align {align}{hint}")

    def load_masked(self, pointer: Value, mask: Value, kind: str) -> Value:
        """Contiguous lanes where `mask`, zero elsewhere; masked-off memory is not touched."""
        if kind == "half":
            return self.cast("bitcast", self.load_masked(pointer, mask, "i16"), kind)
        wide, name = type_text(kind, mask.lanes), f"llvm.masked.load.{suffix(kind, mask.lanes)}.p0"
        return self._masked(name, wide, "ptr", pointer, mask, f", {wide} zeroinitializer", kind)

    def store_masked(self, value: Value, pointer: Value, mask: Value) -> None:
        name = f"llvm.masked.store.{suffix(value.kind, value.lanes)}.p0"
        self._masked_store(name, "ptr", value, pointer, mask)

    def gather(self, pointers: Value, mask: Value, kind: str) -> Value:
        if (
            kind == "half"
        ):  # of `optnone` code that gathers halves LLVM's fast selector makes nonsense
            return self.cast("bitcast", self.gather(pointers, mask, "i16"), kind)
        wide = type_text(kind, mask.lanes)
        name = f"llvm.masked.gather.{suffix(kind, mask.lanes)}.v{mask.lanes}p0"
        return self._masked(
            name, wide, pointers.type, pointers, mask, f", {wide} zeroinitializer", kind
        )

    def scatter(self, value: Value, pointers: Value, mask: Value) -> None:
        name = f"llvm.masked.scatter.{suffix(value.kind, value.lanes)}.v{value.lanes}p0"
        self._masked_store(name, pointers.type, value, pointers, mask)

    def _masked(self, name, wide, address, pointer, mask, rest, kind) -> Value:
        align = max(1, BITS[kind] // 8)
        self.module.declare(wide, name, [address, mask.type, wide])
        text = f"call {wide} @{name}({address} align {align} {pointer.text}, "
        return self.value(text + f"{mask.type} {mask.text}{rest})", kind, mask.lanes)

    def _masked_store(self, name, address, value, pointer, mask) -> None:
        align = max(1, BITS[value.kind] // 8)
        self.module.declare("void", name, [value.type, address, mask.type])
        self.emit(
            f"call void @{name}({value.type} {value.text}, {address} align {align} {pointer.text}, "
            f"{mask.type} {mask.text})"
        )
