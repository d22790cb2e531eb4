"""Files that are kept between processes: of this user, whole, and named for all that decides what is in them.

A file is used only if it belongs to this user and its checksum holds.
"""

from __future__ import annotations

import contextlib
import os
from importlib.util import source_hash
from pathlib import Path

from tracejit.config import config
from tracejit.deferred import module
from tracejit.runtime import engine

_CHECKSUM_BYTES = 8


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
    # Of 64 bits each: both ways, as what is found by it is run.
    data = text.encode()
    return (source_hash(data) + source_hash(data[::-1])).hex()


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


def is_writable(directory: Path) -> bool:
    """Whether files can be put into the directory, which is made if need be."""
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.access(directory, os.W_OK)


def write_cached(path: Path, code: bytes) -> None:
    """Put something into the cache, whole or not at all; a cache that cannot be written is none."""
    with contextlib.suppress(OSError):
        file = module("tempfile").NamedTemporaryFile(
            dir=path.parent, prefix=path.name, delete=False
        )
        try:
            with file:
                file.write(source_hash(code) + code)
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
