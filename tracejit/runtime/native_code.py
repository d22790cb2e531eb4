"""The runtime's own native code, native/*.ll: its text, and loading it, from disk where it can be.

LLVM takes some fifty milliseconds over the dispatcher, a good part of a first call, so the object
code is kept in the cache directory. The process that finds nothing there does with code made in a
fifth of the time, and meanwhile a thread makes the better one for those that come later, or for this
one, if nothing is to be kept and the code can be exchanged. A cached file is used only if it belongs to this user and its checksum holds; everything that decides what
the code is (text, target, LLVM) is in its name.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.util import source_hash
from pathlib import Path
from typing import TypeVar

from tracejit.config import config
from tracejit.deferred import module
from tracejit.errors import CompileError
from tracejit.runtime import engine, layout, tiers

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
    path = cached_file(f"{name}-", key, ".o")
    library = None
    if code := read_cached(path):
        with contextlib.suppress(CompileError):
            library = engine.load(code, exports, imports)
    if library is None:
        later = path is not None and is_writable(path.parent)
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


def cache_directory() -> Path | None:
    """Where object code is kept between processes; None when TRACEJIT_CACHE is ``off``."""
    if config.cache == "off":
        return None
    if config.cache:
        return Path(config.cache)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "tracejit"


def cached_file(name: str, key: object, suffix: str) -> Path | None:
    """Where something of this machine and compiler is kept, which `key` decides; None: nowhere."""
    directory = cache_directory()
    if directory is None:
        return None
    return (
        directory
        / f"{name}{_hash(repr((key, engine.target(), engine.compiler_version())))}{suffix}"
    )


def _hash(text: str) -> str:
    # Not hashlib, whose import loads OpenSSL: nobody is to be kept from anything here.
    return source_hash(text.encode()).hex()


def read_cached(path: Path | None) -> bytes | None:
    """What is in a cached file, or None if there is nothing to trust."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            content = file.read()
    except OSError:
        return None
    checksum, code = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
    return code if source_hash(code) == checksum else None


_CHECKSUM_BYTES = 8
# Seconds until the thread starts: the call that needed the code is done by then.
_DELAY = 0.02


def is_writable(directory: Path) -> bool:
    """Whether files can be put into the directory, which is made if need be."""
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.access(directory, os.W_OK)


def _make_later(path: Path, text: str) -> None:
    """Compile with full effort in a thread, which the interpreter's exit waits for."""

    def make() -> None:
        with contextlib.suppress(CompileError):
            write_cached(path, engine.compile_ir(text))

    with contextlib.suppress(RuntimeError):  # no new threads: the interpreter is ending
        threading.Timer(_DELAY, make).start()


def write_cached(path: Path, code: bytes) -> None:
    """Put something into the cache, whole or not at all; a cache that cannot be written is none."""
    with contextlib.suppress(OSError):
        file = module("tempfile").NamedTemporaryFile(dir=path.parent, delete=False)
        try:
            with file:
                file.write(source_hash(code) + code)
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
