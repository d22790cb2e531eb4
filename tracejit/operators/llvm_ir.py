"""A function of numbers in LLVM IR as an expression of the tensor IR: what is inlined into our loops.

An expression fuses with what is around it, runs in lanes and in threads, prints, and is known to the
cost model, where a call would be none of that. So that is what a function becomes that has no loops
and no memory: each instruction is the scalar op of the same meaning, calls of the C library's
elementary functions are ours (docs/math.md), and branches become choices between values, as nothing
in such a function has effects. What is not of this kind stays a call; `translated` says None.
"""

from __future__ import annotations

import re
import struct
from typing import Any, NamedTuple

from ..ir.expressions import cast
from ..ir.tensor import Apply, Expression, Literal, Variable
from ..ir.types import DTYPES, DType, bool_, f32, f64

# Kinds by their LLVM names; integers have no sign there, and ours are signed unless it is said.
KINDS = {"double": f64, "float": f32, "i1": bool_} | {
    f"i{bits}": DTYPES[f"i{bits}"] for bits in (8, 16, 32, 64)
}
_FLAGS = (
    r"(?:(?:fast|nnan|ninf|nsz|arcp|contract|afn|reassoc|nuw|nsw|exact|disjoint|samesign|nneg) )*"
)
_VALUE = r'(?:%"[^"]+"|%[-\w.$]+|[-\w.+]+)'
_LABEL = r'"[^"]+"|[-\w.$]+'
_TYPE = r"(?:double|float|i\d+)"
_DEFINED = r'(?:%"[^"]+"|%[-\w.$]+) = '
# fmt: off
_BINARY = {
    "fadd": "add", "fsub": "subtract", "fmul": "multiply", "fdiv": "divide", "frem": "fmod",
    "add": "add", "sub": "subtract", "mul": "multiply", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARE = {
    "oeq": "equal", "olt": "less", "ole": "less_equal", "ogt": "greater", "oge": "greater_equal",
    "une": "not_equal", "eq": "equal", "ne": "not_equal", "slt": "less", "sle": "less_equal",
    "sgt": "greater", "sge": "greater_equal",
}
# The opposite of these, which a NaN does not make true, is what holds for a NaN as well.
_UNORDERED = {"ult": "greater_equal", "ule": "greater", "ugt": "less_equal", "uge": "less"}
_CALLS = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
    "atan2": "arctan2", "atanh": "arctanh", "cbrt": "cbrt", "ceil": "ceil", "copysign": "copysign",
    "cos": "cos", "cosh": "cosh", "erf": "erf", "erfc": "erfc", "exp": "exp", "exp2": "exp2",
    "expm1": "expm1", "fabs": "absolute", "floor": "floor", "fmax": "fmax", "fmin": "fmin",
    "fmod": "fmod", "hypot": "hypot", "log": "log", "log10": "log10", "log1p": "log1p",
    "log2": "log2", "maximum": "maximum", "maxnum": "fmax", "minimum": "minimum",
    "minnum": "fmin", "nearbyint": "rint", "pow": "power", "rint": "rint", "roundeven": "rint",
    "sin": "sin", "sinh": "sinh", "smax": "maximum", "smin": "minimum", "sqrt": "sqrt",
    "tan": "tan", "tanh": "tanh", "trunc": "trunc",
}
# fmt: on
_SIGNED_CASTS = ("sitofp", "fptosi", "fpext", "fptrunc", "sext", "trunc")
_OF_BOOL = ("uitofp", "zext")


class _Unknown(Exception):
    """Something in the function that is no expression."""


class Definition(NamedTuple):
    """The header of a function, and its lines; `is_pure`: LLVM has found that it leaves memory alone."""

    result: str
    parameters: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    is_pure: bool


def read_definition(text: str, symbol: str) -> Definition | None:
    """The function in the text of a module; None where it is not one of numbers."""
    name = re.escape(symbol)
    header = re.search(
        rf'^define [^\n]*?({_TYPE}) @"?{name}"?\(([^\n]*)\)[^\n]*{{$', text, re.MULTILINE
    )
    if header is None:
        return None
    parameters = []
    for part in filter(None, map(str.strip, header[2].split(","))):
        found = re.fullmatch(rf"({_TYPE})(?: [\w()]+)* ({_VALUE})", part)
        if found is None:
            return None
        parameters.append((found[1], found[2]))
    body = text[header.end() :].split("\n}", 1)[0]
    lines = [line.split(";")[0].rstrip() for line in body.split("\n")]
    group = re.search(r"\) [^\n]*(#\d+) *{$", header[0])
    attributes = (
        re.search(rf"^attributes {group[1]} = (.*)$", text, re.MULTILINE) if group else None
    )
    return Definition(
        header[1],
        tuple(parameters),
        tuple([line for line in lines if line.strip()]),
        attributes is not None and "memory(none)" in attributes[1],
    )


def variables(dtypes: tuple[DType, ...]) -> tuple[Variable, ...]:
    """What stands for the operands in an expression."""
    return tuple([Variable(f"x{k}", dtype) for k, dtype in enumerate(dtypes)])


def translated(definition: Definition, dtypes: tuple[DType, ...]) -> Expression | None:
    """The function's value in terms of `variables`; None where it is no expression."""
    if any(KINDS.get(kind) is not own for (kind, _), own in zip(definition.parameters, dtypes)):
        return None  # of unsigned integers, which LLVM does not tell from signed ones
    try:
        return _Reader(definition, dtypes).value()
    except _Unknown:
        return None


class _Reader:
    """Follows the blocks of a function in their order, in which no branch may lead back."""

    def __init__(self, definition: Definition, dtypes: tuple[DType, ...]):
        names = [name for _, name in definition.parameters]
        self.known: dict[str, Expression] = dict(zip(names, variables(dtypes)))
        unnamed = str(sum(name[1:].isdecimal() for name in names))
        self.blocks: list[tuple[str, list[str]]] = [(unnamed, [])]
        for line in definition.lines:
            label = re.fullmatch(r'("[^"]+"|[-\w.$]+):', line)
            if label is not None:
                self.blocks.append((label[1].strip('"'), []))
            else:
                self.blocks[-1][1].append(line.strip())
        if not self.blocks[0][1]:
            del self.blocks[0]
        self.at = ""
        # Under which condition a branch is taken, by where it comes from and where it leads.
        self.edges: dict[tuple[str, str], Expression] = {}
        self.results: list[tuple[Expression, Expression]] = []

    def value(self) -> Expression:
        """The result, of whichever return is reached."""
        done: set[str] = set()
        for position, (block, lines) in enumerate(self.blocks):
            entering = [c for (_, to), c in self.edges.items() if to == block]
            if position and not entering:
                raise _Unknown
            reached = entering[0] if entering else Literal(True, bool_)
            for condition in entering[1:]:
                reached = _either(reached, condition)
            self.at = block
            done.add(block)
            for line in lines:
                self.line(line, reached, done)
        if not self.results:
            raise _Unknown
        chosen, _ = self.results[-1]
        for value, condition in self.results[-2::-1]:
            chosen = Apply("where", (condition, value, chosen), value.dtype)
        return chosen

    def line(self, line: str, reached: Expression, done: set[str]) -> None:
        if found := re.fullmatch(rf"ret ({_TYPE}) ({_VALUE})", line):
            self.results.append((self.operand(found[1], found[2]), reached))
        elif found := re.fullmatch(rf"br label %({_LABEL})(, .*)?", line):
            self.branch(found[1], reached, done)
        elif found := re.fullmatch(
            rf"br i1 ({_VALUE}), label %({_LABEL}), label %({_LABEL})(, .*)?", line
        ):
            condition = self.operand("i1", found[1])
            self.branch(found[2], _both(reached, condition), done)
            self.branch(found[3], _both(reached, _negated(condition)), done)
        elif re.match(_DEFINED, line):
            name, instruction = line.split(" = ", 1)
            self.known[name] = self.instruction(instruction)
        else:
            raise _Unknown

    def branch(self, target: str, condition: Expression, done: set[str]) -> None:
        target = target.strip('"')
        if target in done or (self.at, target) in self.edges:
            raise _Unknown
        self.edges[self.at, target] = condition

    def instruction(self, line: str) -> Expression:
        for pattern, read in _INSTRUCTIONS:
            found = pattern.fullmatch(line)
            if found is not None:
                return read(self, *found.groups())
        raise _Unknown

    def operand(self, kind: str, text: str) -> Expression:
        """A value that is known, or a constant."""
        dtype = KINDS.get(kind)
        if dtype is None:
            raise _Unknown
        if text.startswith("%"):
            if text not in self.known:
                raise _Unknown
            return self.known[text]
        if dtype is bool_ and text in ("true", "false"):
            return Literal(text == "true", bool_)
        try:
            if text.startswith("0x"):
                bits = struct.pack(">Q", int(text, 16))
                return Literal(struct.unpack(">d", bits)[0], dtype)
            return Literal(float(text) if dtype.is_float else int(text), dtype)
        except ValueError:
            raise _Unknown from None  # undef, poison

    def binary(self, opcode: str, kind: str, a: str, b: str) -> Expression:
        op = _BINARY.get(opcode)
        left, right = self.operand(kind, a), self.operand(kind, b)
        if op is None or (left.dtype is bool_ and not op.startswith("bitwise")):
            raise _Unknown
        return Apply(op, (left, right), left.dtype)

    def negate(self, kind: str, a: str) -> Expression:
        value = self.operand(kind, a)
        return Apply("negative", (value,), value.dtype)

    def compare(self, predicate: str, kind: str, a: str, b: str) -> Expression:
        pair = self.operand(kind, a), self.operand(kind, b)
        if predicate in _COMPARE and not (pair[0].dtype is bool_ and predicate.startswith("s")):
            return Apply(_COMPARE[predicate], pair, bool_)
        if predicate in _UNORDERED and pair[0].dtype.is_float:
            return _negated(Apply(_UNORDERED[predicate], pair, bool_))
        if predicate in ("uno", "ord"):
            is_nan = _either(*[Apply("isnan", (value,), bool_) for value in pair])
            return is_nan if predicate == "uno" else _negated(is_nan)
        raise _Unknown

    def select(self, condition: str, kind: str, a: str, b: str) -> Expression:
        chosen = self.operand("i1", condition), self.operand(kind, a), self.operand(kind, b)
        return Apply("where", chosen, chosen[1].dtype)

    def convert(self, opcode: str, source: str, a: str, target: str) -> Expression:
        value = self.operand(source, a)
        is_bool = value.dtype is bool_
        if target not in KINDS or (target == "i1") or (opcode not in _SIGNED_CASTS + _OF_BOOL):
            raise _Unknown
        if (opcode in _OF_BOOL) != is_bool:
            raise _Unknown  # an unsigned integer, or the -1 that a bool is with a sign
        return cast(value, KINDS[target])

    def phi(self, kind: str, listed: str) -> Expression:
        pairs = re.findall(rf"\[ ({_VALUE}), %({_LABEL}) \]", listed)
        values = [(self.operand(kind, value), source.strip('"')) for value, source in pairs]
        (chosen, _), *rest = values
        for value, source in rest:
            conditions = [
                c for (own, to), c in self.edges.items() if own == source and to == self.at
            ]
            if len(conditions) != 1:
                raise _Unknown
            chosen = Apply("where", (conditions[0], value, chosen), value.dtype)
        return chosen

    def call(self, kind: str, name: str, listed: str) -> Expression:
        """A function of the C library, or an intrinsic, that is one of our ops."""
        operands = []
        for part in filter(None, map(str.strip, listed.split(","))):
            found = re.fullmatch(rf"({_TYPE})(?: [a-z_]\w*)* ({_VALUE})", part)
            if found is None:
                raise _Unknown
            operands.append(self.operand(found[1], found[2]))
        dtype = KINDS.get(kind)
        intrinsic = re.fullmatch(r"llvm\.(\w+)\.(f32|f64|i\d+)", name)
        stem = intrinsic[1] if intrinsic else name
        if not intrinsic and dtype is f32:
            stem = stem.removesuffix("f")
        if intrinsic and stem in ("fma", "fmuladd"):
            return self.multiply_add(stem, operands)
        if stem == "abs" and intrinsic:
            return Apply("absolute", (operands[0],), operands[0].dtype)
        op = _CALLS.get(stem)
        if op is None or dtype is None or any(operand.dtype is not dtype for operand in operands):
            raise _Unknown
        return Apply(op, tuple(operands), dtype)

    @staticmethod
    def multiply_add(stem: str, operands: list[Expression]) -> Expression:
        a, b, c = operands
        if stem == "fma":
            return Apply("fma", (a, b, c), a.dtype)
        return Apply("add", (Apply("multiply", (a, b), a.dtype), c), a.dtype)


def _negated(condition: Expression) -> Expression:
    if isinstance(condition, Literal):
        return Literal(not condition.value, bool_)
    return Apply("logical_not", (condition,), bool_)


def _both(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Literal):
        return b if a.value else a
    return Apply("logical_and", (a, b), bool_)


def _either(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Literal):
        return a if a.value else b
    return Apply("logical_or", (a, b), bool_)


_INSTRUCTIONS: tuple[tuple[re.Pattern, Any], ...] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (rf"fneg {_FLAGS}({_TYPE}) ({_VALUE})", _Reader.negate),
        (rf"(\w+) {_FLAGS}({_TYPE}) ({_VALUE}), ({_VALUE})", _Reader.binary),
        (rf"[fi]cmp {_FLAGS}(\w+) ({_TYPE}) ({_VALUE}), ({_VALUE})", _Reader.compare),
        (
            rf"select {_FLAGS}i1 ({_VALUE}), ({_TYPE}) ({_VALUE}), {_TYPE} ({_VALUE})",
            _Reader.select,
        ),
        (rf"(\w+) {_FLAGS}({_TYPE}) ({_VALUE}) to ({_TYPE})", _Reader.convert),
        (rf"phi {_FLAGS}({_TYPE}) (\[.*\])", _Reader.phi),
        (
            rf'(?:tail |musttail |notail )?call {_FLAGS}(?:noundef )?({_TYPE}) @"?([\w.]+)"?\((.*)\)(?: #\d+)?',
            _Reader.call,
        ),
    )
)
