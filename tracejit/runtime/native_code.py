"""The runtime's own native code, native/*.ll: its text, and loading it, from disk where it can be.

LLVM takes some forty milliseconds over the dispatcher, a good part of a first call, so the object
code is kept in the cache directory. A cached file is used only if it belongs to this user and its
checksum holds; everything that decides what the code is (text, target, LLVM) is in its name.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import source_hash
from pathlib import Path
from typing import TypeVar

from tracejit.config import config
from tracejit.errors import CompileError
from tracejit.runtime import engine, layout

Result = TypeVar("Result")


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
    name: str, numbers: Mapping[str, int], exports: Sequence[str], imports: Mapping[str, int]
) -> engine.Library:
    """Compile and load ``native/<name>.ll`` for ever: its code outlives even the interpreter."""
    template = (Path(__file__).parent / "native" / f"{name}.ll").read_text()
    key = (template, sorted(numbers.items()))
    return _load(name, key, lambda: expand(template, numbers), exports, imports)


def load_text(
    name: str, text: str, exports: Sequence[str], imports: Mapping[str, int]
) -> engine.Library:
    """Compile and load LLVM IR for ever, by way of the cache on disk."""
    return _load(name, text, lambda: text, exports, imports)


def _load(
    name: str,
    key: object,
    text: Callable[[], str],
    exports: Sequence[str],
    imports: Mapping[str, int],
) -> engine.Library:
    """Load what `text()` compiles to; `key` decides what that is."""
    path = _cached_file(name, key)
    library = None
    if code := _read(path):
        with contextlib.suppress(CompileError):
            library = engine.load(code, exports, imports)
    if library is None:
        code = engine.compile_ir(text())
        _write(path, code)
        library = engine.load(code, exports, imports)
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


def _cached_file(name: str, key: object) -> Path | None:
    directory = cache_directory()
    if directory is None:
        return None
    return directory / f"{name}-{_hash(repr((key, engine.target(), engine.compiler_version())))}.o"


def _hash(text: str) -> str:
    # Not hashlib, whose import loads OpenSSL: nobody is to be kept from anything here.
    return source_hash(text.encode()).hex()


def _read(path: Path | None) -> bytes | None:
    """The object code in a cached file, or None if there is none to trust."""
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


def _write(path: Path | None, code: bytes) -> None:
    """Put object code into the cache, whole or not at all; a cache that cannot be written is none."""
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(source_hash(code) + code)
        os.replace(file.name, path)
