"""Machine code of programs, kept on disk for the processes that come later.

A program's code follows from its text, the machine and the compiler, which are its name (`disk.cached_file`); a process
that makes a program which another has made before begins with the best code, and LLVM has nothing to do. Text in
which addresses of this process are written is nobody else's, and is not kept. What was not asked for longest goes
when there is too much.
"""

from __future__ import annotations

import contextlib
import marshal
import os
from collections.abc import Sequence
from pathlib import Path

from tracejit.config import config
from tracejit.runtime import disk

Pieces = Sequence[tuple[bytes, tuple[str, ...]]]  # object code, and the symbols that are exported

PREFIX = "program-"
# Bytes of programs on disk above which the oldest go, until a quarter of this is free.
MOST_BYTES = 256 << 20


def place(text: str, passes: str, exports: Sequence[str]) -> Path | None:
    """Where code of this text is kept; None where nothing is."""
    if not config.keep:
        return None
    return disk.cached_file(PREFIX, (text, passes, tuple(exports)), ".o")


def read(path: Path | None) -> Pieces | None:
    """What was kept, in the order in which it is to be linked; None where there is nothing to trust."""
    found = disk.read_cached(path)
    if found is None:
        return None
    assert path is not None
    with contextlib.suppress(OSError):
        os.utime(path)
    try:
        return marshal.loads(found)
    except (EOFError, TypeError, ValueError):  # another Python's
        return None


def write(path: Path | None, pieces: Pieces) -> None:
    """Keep code for others."""
    if path is not None and disk.is_writable(path.parent):
        disk.write_cached(path, marshal.dumps(tuple(pieces)))
        _make_room_once(path.parent)


_looked: set[Path] = set()


def _make_room_once(directory: Path) -> None:
    """The first time that this process keeps something."""
    if directory not in _looked:
        _looked.add(directory)
        make_room(directory)


def make_room(directory: Path, most: int = MOST_BYTES) -> None:
    """Remove what was not used longest, where there is more than `most`."""
    found = []
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    if total <= most:
        return
    for _, size, path in sorted(found):
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
        if total <= most * 3 // 4:
            return
