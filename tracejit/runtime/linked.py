"""LLVM IR of others: one function of it, with all that it calls inlined, as text of its own."""

from __future__ import annotations

import re
from typing import NamedTuple

from tracejit.errors import CompileError
from tracejit.runtime import engine

# What would keep LLVM from inlining, as compilers write it for functions they want left alone;
# an attribute that means nothing takes its place, as a group of attributes has at least one.
_STANDING_ALONE = re.compile(r"\b(noinline|optnone)\b")
_HEADER = re.compile(r"^(target|source_filename|; ModuleID).*\n", re.MULTILINE)


class IRFunction(NamedTuple):
    """A function: its symbol, and the text of a module that defines it and what it needs."""

    symbol: str
    text: str


def read_function(source: str | bytes, symbol: str = "") -> IRFunction:
    """The function of this name in LLVM IR text or bitcode; without a name, the only one.

    Raises CompileError where the source is not legal, or where it is not clear which is meant.
    """
    with engine.reading(source) as module:
        text = _STANDING_ALONE.sub('"inlined"', _HEADER.sub("", str(module)))
    with engine.reading(text) as module:
        defined = [f for f in module.functions if not f.is_declaration]
        chosen = _chosen(defined, symbol)
        for function in defined:
            if function.name != chosen:
                function.linkage = "internal"
        engine.optimize(module)
        return IRFunction(chosen, _HEADER.sub("", str(module)))


def _chosen(functions: list, symbol: str) -> str:
    names = [f.name for f in functions]
    public = [f.name for f in functions if str(f.linkage) == "Linkage.external"] or names
    if symbol in names:
        return symbol
    if symbol or len(public) != 1:
        raise CompileError(
            f"the LLVM IR of an op defines {', '.join(names) or 'nothing'}"
            + (f", and not {symbol}" if symbol else ""),
            hint="say which function is meant: symbol=...",
        )
    return public[0]
