"""`expect(text, "...")`: golden text beside its test; `UPDATE=1 pytest` rewrites the literal."""

from __future__ import annotations

import ast
import difflib
import os
import sys
import textwrap
from pathlib import Path


def expect(actual: str, golden: str) -> None:
    """Fail with a diff unless the texts are equal, indentation and outer blank lines aside."""
    actual, wanted = actual.strip(), textwrap.dedent(golden).strip()
    if actual == wanted:
        return
    if os.environ.get("UPDATE"):
        frame = sys._getframe(1)
        _rewrite(Path(frame.f_code.co_filename), frame.f_lineno, actual)
        return
    lines = difflib.unified_diff(
        wanted.splitlines(), actual.splitlines(), "golden", "actual", lineterm="", n=100
    )
    raise AssertionError("UPDATE=1 rewrites the golden text\n" + "\n".join(lines))


# How many lines earlier updates in this run added to a file, by the line they were at.
_shifts: dict[Path, list[tuple[int, int]]] = {}


def _rewrite(path: Path, line: int, actual: str) -> None:
    source = path.read_text()
    shifts = _shifts.setdefault(path, [])
    original, line = line, line + sum(added for at, added in shifts if at < line)
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "expect"
        and node.lineno <= line <= node.end_lineno
    ]
    literal = max(calls, key=lambda node: node.lineno).args[1]
    lines = source.splitlines(keepends=True)
    first, last = lines[literal.lineno - 1], lines[literal.end_lineno - 1]
    margin = " " * (len(first) - len(first.lstrip()) + (0 if first.lstrip()[:1] in "'\"" else 4))
    body = textwrap.indent(actual.replace("\\", "\\\\"), margin)
    new = f'"""\n{body}\n{margin}"""'
    head = "".join(lines[: literal.lineno - 1]) + _columns(first, 0, literal.col_offset)
    tail = _columns(last, literal.end_col_offset, None) + "".join(lines[literal.end_lineno :])
    path.write_text(head + new + tail)
    grown = new.count("\n") - (literal.end_lineno - literal.lineno)
    shifts.append((original, grown))


def _columns(line: str, start: int, stop: int | None) -> str:
    """Part of a line by `ast`'s columns, which count bytes."""
    return line.encode()[start:stop].decode()
