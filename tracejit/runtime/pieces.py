"""A large program's LLVM IR in pieces, so that a thread that compiles it can let others in between.

LLVM does one thing at a time. A program of a thousand kernels is one text, which takes it seconds; its
kernels call nothing of each other, so several of them at a time are a text as good, and the functions
that the outside calls are the last, which finds the others by their addresses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

# Characters of IR: some hundredths of a second of LLVM's time.
PIECE = 48_000
_HEAD = re.compile(r"define (internal )?(.*?)@([\w.]+)\(([^)]*)\)(.*)")
_NAME = re.compile(r"@([\w.]+)")


class Piece(NamedTuple):
    """LLVM IR text, and the functions in it that others call."""

    text: str
    exports: tuple[str, ...]


class _Function(NamedTuple):
    head: str
    text: str
    uses: frozenset[str]


def pieces_of(text: str, exports: Sequence[str]) -> list[Piece]:
    """The text in pieces of a few kernels each, the one with the `exports` last; one, if it is not large."""
    if len(text) < 2 * PIECE:
        return [Piece(text, tuple(exports))]
    common, functions = _parts(text)
    called = dict.fromkeys(name for root in exports for name in functions[root].uses)
    kernels = [name for name in called if name not in exports and _is_kernel(functions[name])]
    pieces: list[Piece] = []
    some: list[str] = []
    size = 0
    for name in kernels:
        some.append(name)
        size += len(functions[name].text)
        if size >= PIECE or name is kernels[-1]:
            pieces.append(Piece(_text(common, functions, some), tuple(some)))
            some, size = [], 0
    declared = [f"declare void @{name}({_parameters(functions[name])})" for name in kernels]
    rest = {name: f for name, f in functions.items() if name not in kernels}
    pieces.append(Piece(_text([*common, *declared], rest, list(exports)), tuple(exports)))
    return pieces


def _parts(text: str) -> tuple[list[str], dict[str, _Function]]:
    """What all functions share, and these by name."""
    common: list[str] = []
    found: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        match = _HEAD.match(line)
        if match is not None:
            lines = found[match[3]] = [line]
        elif lines is not None:
            lines.append(line)
            if line == "}":
                lines = None
        else:
            common.append(line)
    names = found.keys()
    functions = {}
    for name, lines in found.items():
        whole = "\n".join(lines)
        uses = (frozenset(_NAME.findall(whole)) & names) - {name}
        functions[name] = _Function(lines[0], whole, uses)
    return common, functions


def _is_kernel(function: _Function) -> bool:
    """Whether it is called like a kernel: with pointers alone, and is not to be inlined."""
    match = _HEAD.match(function.head)
    assert match is not None
    pointers = all(part.startswith("ptr") for part in match[4].split(", "))
    return bool(match[1]) and match[2] == "void " and pointers and "alwaysinline" not in match[5]


def _parameters(function: _Function) -> str:
    match = _HEAD.match(function.head)
    assert match is not None
    return ", ".join(["ptr"] * len(match[4].split(", ")))


def _text(common: list[str], functions: dict[str, _Function], exports: list[str]) -> str:
    """Functions, for others to call, with all that they use."""
    wanted: set[str] = set()
    pending = [*exports]
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending += functions[name].uses & functions.keys()
    lines = []
    for name, function in functions.items():
        if name in wanted:
            is_own = name in exports
            text = function.text
            lines.append(text.replace("define internal ", "define ", 1) if is_own else text)
    return "\n".join([*common, *lines, ""])
