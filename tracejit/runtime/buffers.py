"""The pool of memory blocks that large results and workspaces come from (native/buffers.ll).

A result made from a pooled block is an ordinary array: it owns its data, can be resized, and gives
the block back to the pool when NumPy frees it, because its memory handler is the pool's own.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from typing import NamedTuple

from tracejit.config import config
from tracejit.runtime import engine, layout, native_code

# From this many bytes on outputs are pooled. A single result that is dropped before the next call
# costs the same either way, but as soon as a few live at a time malloc gives memory back to the
# system and takes it again: eight arrays of 64 KB cost 9 us each from malloc, 1 us from the pool.
POOL_FROM = 16 << 10

# From this many bytes on blocks are mapped, page by page, instead of coming from malloc.
MAP_FROM = 128 << 10

# From this many bytes on they begin with a huge page, and ask for such pages, as large arrays of NumPy's do. `x * 1.5 + 1`
# into 8 MB that were never written took 1.64 ms with small pages, 0.26 ms with huge ones; into 64 MB, 65 and 2.8 ms.
HUGE_FROM = 2 << 20

_NEVER = 1 << 62
_HEADER = {"next": 0, "list": 8, "capacity": 16, "base": 24, "total": 32}
_EXPORTS = (
    *(f"tj_{name}" for name in ("acquire", "release", "pool_clear", "pool_limit", "pool_info")),
    "tj_pool_after_fork",
    *(f"tj_numpy_{name}" for name in ("malloc", "calloc", "realloc", "free")),
)


class PoolInfo(NamedTuple):
    """Bytes idle in the pool, the most it may keep, blocks handed out, how many were reused."""

    idle_bytes: int
    limit_bytes: int
    acquired: int
    reused: int


def pool_info() -> PoolInfo:
    """What the pool holds and how it has served."""
    numbers = (ctypes.c_int64 * 4)()
    _function("tj_pool_info", None, ctypes.c_void_p)(ctypes.addressof(numbers))
    return PoolInfo(*numbers)


def pool_clear() -> None:
    """Give all idle blocks back to the system."""
    _function("tj_pool_clear", None)()


def set_pool_limit(idle_bytes: int) -> None:
    """Set the most idle bytes the pool may keep; what is above that goes back to the system."""
    _function("tj_pool_limit", None, ctypes.c_int64)(idle_bytes)


def addresses() -> dict[str, int]:
    """Native ``ptr tj_acquire(i64 bytes)`` and ``void tj_release(ptr, i64 bytes)``, by name."""
    library = _library()
    return {name: library.address(name) for name in ("tj_acquire", "tj_release")}


@native_code.once
def pooled_outputs() -> tuple[int, int]:
    """From how many bytes on outputs are pooled, and the address of the handler they need."""
    if default_limit() == 0 or not layout.HANDLER:
        return _NEVER, 0
    return POOL_FROM, _handler()


def default_limit() -> int:
    """The idle bytes the pool may keep: TRACEJIT_POOL, or an eighth of the memory up to 1 GiB."""
    if config.pool >= 0:
        return config.pool
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(memory // 8, 1 << 30)


def _function(name: str, result: type | None, *parameters: type) -> Callable:
    return ctypes.CFUNCTYPE(result, *parameters)(_library().address(name))


@native_code.once
def _library() -> engine.Library:
    numbers = {
        **{f"header.{name}": offset for name, offset in _HEADER.items()},
        "header.size": 64,
        "header.before": -64,
        "line": 64,
        "least_bytes": 1 << 10,
        "most_bytes": 1 << 46,
        "map_from": MAP_FROM,
        "huge_from": HUGE_FROM if config.huge_pages else _NEVER,
        "page": mmap.PAGESIZE,
        "huge_page": 2 << 20,
        "map.protection": mmap.PROT_READ | mmap.PROT_WRITE,
        "map.flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        # -1 is no advice anywhere: the call fails, which is harmless.
        "madvise.huge": getattr(mmap, "MADV_HUGEPAGE", -1),
    }
    library = native_code.load("buffers", numbers, _EXPORTS, {})
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(library.address("tj_pool_limit"))(default_limit())
    after_fork = ctypes.CFUNCTYPE(None)(library.address("tj_pool_after_fork"))
    os.register_at_fork(after_in_child=after_fork)
    return library


class _Handler(ctypes.Structure):
    """PyDataMem_Handler, version 1 (numpy/ndarraytypes.h)."""

    _fields_ = [
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in ("malloc", "calloc", "realloc", "free")),
    ]


def _handler() -> int:
    """The address of a capsule, for ever alive, that holds the pool as a NumPy memory handler."""
    library = _library()
    functions = {
        name: library.address(f"tj_numpy_{name}")
        for name in ("malloc", "calloc", "realloc", "free")
    }
    handler = _Handler(name=b"tracejit_pool", version=1, **functions)
    layout.make_immortal(handler)
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
        ("PyCapsule_New", ctypes.pythonapi)
    )
    name = ctypes.create_string_buffer(b"mem_handler")
    layout.make_immortal(name)
    capsule = new(ctypes.addressof(handler), ctypes.addressof(name), None)
    layout.make_immortal(capsule)
    return id(capsule)
