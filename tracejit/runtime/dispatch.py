"""Objects whose call is native code: match the arguments, allocate, run, return, all without Python.

`JitBase` instances carry a table of entries, one per published signature. Calls that fit one run
natively; all others reach ``__call__`` of the class. The code (native/dispatch.ll) is compiled when
the first entry is published; where `layout.NATIVE` is False nothing is ever published and every
call goes through ``__call__``.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from tracejit.runtime import buffers, engine, fallback, layout, native_code
from tracejit.runtime.callable import TABLE, VECTORCALL, JitBase
from tracejit.runtime.entry import Entry
from tracejit.runtime.signature import Leaf, Plan, Signature
from tracejit.runtime.structures import NUMBERS, Unsupported

# Entries from which on the two-way cache beats trying one after the other.
_CACHE_FROM = 3


_PYTHON_FUNCTIONS = (
    "PyObject_CallFunctionObjArgs PyObject_RichCompareBool PyLong_AsLongLongAndOverflow "
    "PyLong_FromLongLong PyFloat_FromDouble PyComplex_FromDoubles PyObject_GenericGetDict "
    "PyType_GenericAlloc PyList_New PyDict_New PyDict_SetItem PyDict_Size PyDict_Next PyDict_GetItemWithError PyTuple_New PyErr_Clear "
    "PyErr_Occurred "
    "PyErr_NoMemory PyMem_Malloc PyMem_Free Py_IncRef Py_DecRef "
    "PyEval_SaveThread PyEval_RestoreThread"
)


class _Call:
    """The native call: where its code is, and the objects that run it as long as it is quick code."""

    address = 0
    quick: list[weakref.ref[JitBase]] | None = None

    @classmethod
    def exchange(cls) -> Callable[[engine.Library], None]:
        """The code was made quickly: objects are noted until there is better one."""
        cls.quick = []
        return cls.use

    @classmethod
    def use(cls, better: engine.Library) -> None:
        """Let every object call better code of the same."""
        with _lock:
            cls.address, noted, cls.quick = better.address("tj_call"), cls.quick, None
            for reference in noted or ():
                native = reference()
                if native is not None:
                    _set_call(native)


def _call_natively(native: JitBase) -> None:
    """Let calls of the object begin in native code, compiled on first use."""
    library = _library()
    with _lock:
        _Call.address = _Call.address or library.address("tj_call")
        if _Call.quick is not None:
            _Call.quick.append(weakref.ref(native))
        _set_call(native)


def _set_call(native: JitBase) -> None:
    ctypes.c_void_p.from_address(id(native) + VECTORCALL).value = _Call.address


@native_code.once
def _library() -> engine.Library:
    objects = {
        "ndarray_type": np.ndarray,
        "list_type": list,
        "tuple_type": tuple,
        "dict_type": dict,
        "int_type": int,
        "bool_type": bool,
        "str_type": str,
        "true_object": True,
        "false_object": False,
    }
    # Python 3.10 exports no general function for this, only the one for functions.
    general = hasattr(ctypes.pythonapi, "PyObject_Vectorcall")
    vectorcall = "PyObject_Vectorcall" if general else "_PyFunction_Vectorcall"
    imports = {
        "PyObject_Vectorcall": layout.python_function(vectorcall),
        **{name: layout.python_function(name) for name in _PYTHON_FUNCTIONS.split()},
        **layout.numpy_functions(),
        **buffers.addresses(),
        **{name: id(thing) for name, thing in objects.items()},
    }
    return native_code.load("dispatch", NUMBERS, ["tj_call"], imports, _Call.exchange)


_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def _as_function(call: Callable) -> FunctionType:
    """Some other callable, such as a ``__call__`` compiled by Cython, as a Python function."""

    def call_it(*arguments: Any, **keywords: Any) -> Any:
        return call(*arguments, **keywords)

    return call_it


class _Table:
    """The native table of one callable object, and the Python objects behind it."""

    def __init__(self, python: Callable):
        self._words = (ctypes.c_int64 * 6)()
        self.address = ctypes.addressof(self._words)
        if type(python) is not FunctionType:  # the only kind Python 3.10 can be asked to call
            python = _as_function(python)
        self._python = python
        self._set("python", id(python))
        self._sets: ctypes.Array | None = None
        self._entries: list[Entry] = []
        self._retired: list[Entry] = []
        self._wanted: deque[tuple[Callable[[Entry], None], Entry]] = deque()
        self._changing = False

    def _get(self, name: str) -> int:
        return self._words[NUMBERS[f"table.{name}"] // 8]

    def _set(self, name: str, value: int) -> None:
        self._words[NUMBERS[f"table.{name}"] // 8] = value

    def add(self, entry: Entry) -> None:
        """Put an entry first; one for every size behind those for the very sizes, whose code is better."""
        self._change(self._add, entry)

    def remove(self, entry: Entry) -> None:
        """Take an entry off; its memory stays until no call can be looking at it."""
        self._change(self._remove, entry)

    def _change(self, action: Callable[[Entry], None], entry: Entry) -> None:
        """One change at a time, also when a finalizer asks for another in the middle of one."""
        self._wanted.append((action, entry))
        with _lock:
            if self._changing:
                return
            self._changing = True
            try:
                while self._wanted:
                    action, entry = self._wanted.popleft()
                    action(entry)
                self._update()
            finally:
                self._changing = False

    def _add(self, entry: Entry) -> None:
        # The native list runs from the last of ours to the first.
        sized = sum(other.has_symbols for other in self._entries)
        position = sized if entry.has_symbols else len(self._entries)
        entry.set("next", self._entries[position - 1].address if position else 0)
        self._set("frame_bytes", max(self._get("frame_bytes"), entry.frame_bytes))
        self._point_to(entry.address, position)
        self._entries.insert(position, entry)

    def _point_to(self, address: int, position: int) -> None:
        """Let what comes before the entry at this position in the native list lead to that address."""
        if position < len(self._entries):
            self._entries[position].set("next", address)
        else:
            self._set("entries", address)

    def _remove(self, entry: Entry) -> None:
        if entry not in self._entries:
            return
        position = self._entries.index(entry)
        del self._entries[position]
        self._point_to(entry.get("next"), position)
        entry.set("dead", 1)
        if self._sets is not None:
            ctypes.memset(self._sets, 0, ctypes.sizeof(self._sets))
        self._retired.append(entry)

    def _update(self) -> None:
        """What depends on all entries, and freeing those that no call can be looking at."""
        static = any(entry.has_static_int for entry in self._entries)
        traced = any(entry.has_traced_int for entry in self._entries)
        self._set("hash_ints", int(static and not traced))
        if len(self._entries) >= _CACHE_FROM and self._sets is None:
            self._sets = (ctypes.c_int64 * (NUMBERS["set.count"] * NUMBERS["set.size"] // 8))()
            self._set("sets", ctypes.addressof(self._sets))
        if self._get("active") == 0:
            self._retired.clear()


def publish(
    native: JitBase, signature: Signature, plan: Plan, check_static: bool = True
) -> Entry | None:
    """`JitBase.publish`; with ``check_static=False`` static leaves take any object."""
    if not layout.NATIVE:
        return None
    try:
        entry = Entry(signature, plan, buffers.pooled_outputs(), check_static)
    except Unsupported:
        return None
    pointer = ctypes.c_void_p.from_address(id(native) + TABLE)
    if not pointer.value:
        native._table = _Table(type(native).__call__)
        pointer.value = native._table.address
    native._table.add(entry)
    _call_natively(native)
    return entry


class Executable(JitBase):
    """A plan, called with the leaf values in order; TypeError when one is not what its leaf says.

    Values of static leaves are passed as well, and not looked at.
    """

    __slots__ = ("__weakref__", "leaves", "plan")

    def __init__(self, plan: Plan, leaves: Sequence[Leaf]):
        self.plan, self.leaves = plan, tuple(leaves)
        publish(self, Signature(self.leaves), plan, check_static=False)

    def __call__(self, *values: Any) -> Any:
        return fallback.run(self.plan, self.leaves, values)
