"""The runtime's own native code, native/*.ll: its text, and loading it, from disk where it can be.

LLVM takes some fifty milliseconds over the dispatcher, a good part of a first call, so the object
code is kept in the cache directory. The process that finds nothing there does with code made in a
fifth of the time, and meanwhile a thread makes the better one for those that come later, or for this
one, if nothing is to be kept and the code can be exchanged.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tracejit.config import config
from tracejit.errors import CompileError
from tracejit.runtime import disk, engine, layout, tiers

Result = TypeVar("Result")
Exchange = Callable[[], Callable[[engine.Library], None]]


def once(function: Callable[[], Result]) -> Callable[[], Result]:
    """Remember the only result; threads that ask at the same time wait for the first of them."""
    results: list[Result] = []

    @functools.wraps(function)
    def get() -> Result:
        if not results:
            with engine.lock:
                if not results:
                    results.append(function())
        return results[0]

    return get


def load(
    name: str,
    numbers: Mapping[str, int],
    exports: Sequence[str],
    imports: Mapping[str, int],
    exchange: Exchange | None = None,
) -> engine.Library:
    """Compile and load ``native/<name>.ll`` for ever: its code outlives even the interpreter.

    With `exchange` it may be made quickly: that is called then, and what it returns is called with the
    better code once this is made.
    """
    template = (Path(__file__).parent / "native" / f"{name}.ll").read_text()
    key = (template, sorted(numbers.items()))
    return _load(name, key, lambda: expand(template, numbers), exports, imports, 2, exchange)


def load_text(
    name: str, text: str, exports: Sequence[str], imports: Mapping[str, int], effort: int = 2
) -> engine.Library:
    """Compile and load LLVM IR for ever, by way of the cache on disk; with `effort` without one."""
    return _load(name, text, lambda: text, exports, imports, effort, None)


def _load(
    name: str,
    key: object,
    text: Callable[[], str],
    exports: Sequence[str],
    imports: Mapping[str, int],
    effort: int,
    exchange: Exchange | None,
) -> engine.Library:
    """Load what `text()` compiles to; `key` decides what that is."""
    path = disk.cached_file(f"{name}-", key, ".o")
    library = None
    if code := disk.read_cached(path):
        with contextlib.suppress(CompileError):
            library = engine.load(code, exports, imports)
    if library is None:
        later = path is not None and disk.is_writable(path.parent)
        source = tiers.Source(text(), imports)
        if not later and exchange is not None and config.tiers:
            library, use = source.load(exports, level=0), exchange()
            tiers.add(lambda: use(_immortal(source.load(exports))))
        else:
            library = source.load(exports, level=0 if later else effort)
        if later:
            _make_later(path, source.text)
    return _immortal(library)


def _immortal(library: engine.Library) -> engine.Library:
    layout.make_immortal(library)
    return library


def expand(template: str, numbers: Mapping[str, int]) -> str:
    """The text of a template with its two extensions to LLVM IR spelled out.

    ``$name`` is a number; ``%p[name]`` is the address ``name`` bytes from ``%p``, where ``name`` is
    one of the numbers or a literal.
    """
    lines: list[str] = []
    plain = re.sub(r"[ \t]*;.*", "", template)
    for line in re.sub(r"\$([\w.]+)", lambda match: str(numbers[match[1]]), plain).splitlines():
        while "[" in line and (match := re.search(r"%([\w.]+)\[([\w.]+)\]", line)):
            address = f"%at.{len(lines)}"
            offset = int(match[2]) if match[2].isdigit() else numbers[match[2]]
            lines.append(f"  {address} = getelementptr i8, ptr %{match[1]}, i64 {offset}")
            line = line[: match.start()] + address + line[match.end() :]
        lines.append(line)
    return "\n".join(lines) + "\n"


# Seconds until the thread starts: the call that needed the code is done by then.
_DELAY = 0.02


def _make_later(path: Path, text: str) -> None:
    """Compile with full effort in a thread, which the interpreter's exit waits for."""

    def make() -> None:
        with contextlib.suppress(CompileError):
            disk.write_cached(path, engine.compile_ir(text))

    with contextlib.suppress(RuntimeError):  # no new threads: the interpreter is ending
        threading.Timer(_DELAY, make).start()
