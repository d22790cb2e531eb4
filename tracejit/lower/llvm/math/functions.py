"""Elementary functions as LLVM functions: written once per process, called wherever they are used.

A program's text has the definitions it needs, which LLVM writes into the loops before all else. Code
that is made quickly does without: it calls machine code of them that all programs share. Functions of
a few instructions are not worth a call and written where they are used.
"""

from __future__ import annotations

import functools

from tracejit.lower.llvm.builder import Builder, Definition, Module, Value, suffix
from tracejit.lower.llvm.math import MATH

# More instructions than these are a function.
SHORT = 8


def apply(name: str, b: Builder, *operands: Value) -> Value:
    """The elementary function `name` of Values: a call, or its instructions if they are few."""
    operands = b.unify(*operands)
    kinds = tuple([operand.kind for operand in operands])
    function, kind = definition(name, kinds, operands[0].lanes, b.module.permutes)
    if function is None:
        return MATH[name](b, *operands)
    return b.call_defined(function, kind, operands)


@functools.cache
def definition(
    name: str, kinds: tuple[str, ...], lanes: int, permutes: str
) -> tuple[Definition | None, str]:
    """The function, or None if it is a short one, and the kind of its result."""
    symbol = ".".join([name, *dict.fromkeys([suffix(kind, lanes) for kind in kinds])])
    operands = [Value(f"%x{k}", kind, lanes) for k, kind in enumerate(kinds)]
    b = Builder(Module(permutes, prefix=f"{symbol}."), "")
    result = MATH[name](b, *operands)
    b.emit(f"ret {result.type} {result.text}")
    if b.length <= SHORT:
        return None, result.kind
    types = ", ".join([x.type for x in operands])
    listed = ", ".join([f"{x.type} {x.text}" for x in operands])
    declaration = f"declare {result.type} @{symbol}({types})"
    head = f"{result.type} @{symbol}({listed})"
    return Definition(symbol, declaration, head, b.body(), b.module), result.kind
