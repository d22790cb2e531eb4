"""Objects whose call is native code: match the arguments, allocate, run, return, all without Python.

`JitBase` instances carry a table of entries, one per published signature. Calls that fit one run
natively; all others reach ``__call__`` of the class. The code (native/dispatch.ll) is compiled when
the first entry is published; where `layout.NATIVE` is False nothing is ever published and every
call goes through ``__call__``.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from tracejit.runtime import buffers, fallback, layout, native_code
from tracejit.runtime.records import NUMBERS, Entry, Unsupported
from tracejit.runtime.signature import Leaf, Plan, Signature

# Entries from which on the two-way cache beats trying one after the other.
_CACHE_FROM = 3


_TYPE_FLAGS = {"default": 1 << 18, "vectorcall": 1 << 11, "base": 1 << 10}
_TYPE_CALL, _TYPE_MEMBERS = 50, 72  # slot numbers (typeslots.h)
_MEMBER_SSIZE, _MEMBER_READONLY = 19, 1  # structmember.h


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("value", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    ]


_VECTORCALL = layout.HEADER  # an instance: the header, the vectorcall pointer, the table pointer
_TABLE = NUMBERS["native.table"]


def _make_native_type() -> type:
    """A type of objects with a vectorcall pointer and a table pointer, both null at first."""
    members = (_Member * 2)(
        _Member(b"__vectorcalloffset__", _MEMBER_SSIZE, _VECTORCALL, _MEMBER_READONLY, None)
    )
    slots = (_Slot * 3)(
        _Slot(_TYPE_CALL, layout.python_function("PyVectorcall_Call")),
        _Slot(_TYPE_MEMBERS, ctypes.addressof(members)),
    )
    name = b"tracejit.runtime.dispatch.NativeCallable"
    spec = _Spec(name, _TABLE + 8, 0, sum(_TYPE_FLAGS.values()), slots)
    from_spec = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(
        ("PyType_FromSpec", ctypes.pythonapi)
    )
    made = from_spec(ctypes.addressof(spec))
    # The type keeps pointing at its name (before 3.12) and its members' names.
    layout.make_immortal((members, slots, spec, name))
    return made


@functools.cache
def _type_flags_offset() -> int:
    """Where a type object keeps its flags."""
    words = (ctypes.c_uint64 * (type.__basicsize__ // 8)).from_address(id(_NativeCallable))
    return 8 * list(words).index(_NativeCallable.__flags__)


def _let_vectorcall(cls: type) -> None:
    """Give a Python subclass the flag it loses by not inheriting ``__call__``.

    CPython then calls instances through their vectorcall pointer or, while that is null, through
    the class's ``__call__``. Our native code calls ``__call__`` for whatever it does not know, so
    the two never disagree.
    """
    flags = ctypes.c_uint64.from_address(id(cls) + _type_flags_offset())
    flags.value |= _TYPE_FLAGS["vectorcall"]
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))


class _PlainCallable:
    """What stands in for the native type where there is none."""

    __slots__ = ()


_NativeCallable = _make_native_type() if layout.NATIVE else _PlainCallable


_PYTHON_FUNCTIONS = (
    "PyObject_CallFunctionObjArgs PyObject_RichCompareBool PyLong_AsLongLongAndOverflow "
    "PyLong_FromLongLong PyDict_Size PyDict_Next PyDict_GetItemWithError PyTuple_New PyErr_Clear "
    "PyErr_NoMemory PyErr_SetString PyMem_Malloc PyMem_Free Py_IncRef Py_DecRef "
    "PyEval_SaveThread PyEval_RestoreThread"
)


@native_code.once
def _call_address() -> int:
    """The address of the native call, compiled on first use."""
    objects = {
        "ndarray_type": np.ndarray,
        "list_type": list,
        "tuple_type": tuple,
        "dict_type": dict,
        "int_type": int,
        "bool_type": bool,
        "str_type": str,
        "true_object": True,
    }
    runtime_error = ctypes.c_void_p.in_dll(ctypes.pythonapi, "PyExc_RuntimeError")
    # Python 3.10 exports no general function for this, only the one for functions.
    general = hasattr(ctypes.pythonapi, "PyObject_Vectorcall")
    vectorcall = "PyObject_Vectorcall" if general else "_PyFunction_Vectorcall"
    imports = {
        "PyObject_Vectorcall": layout.python_function(vectorcall),
        **{name: layout.python_function(name) for name in _PYTHON_FUNCTIONS.split()},
        **layout.numpy_functions(),
        **buffers.addresses(),
        **{name: id(thing) for name, thing in objects.items()},
        "runtime_error": ctypes.addressof(runtime_error),
    }
    library = native_code.load("dispatch", NUMBERS, ["tj_call"], imports)
    return library.address("tj_call")


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
        """Put an entry first."""
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
        entry.set("next", self._get("entries"))
        self._set("frame_bytes", max(self._get("frame_bytes"), entry.frame_bytes))
        self._entries.append(entry)
        self._set("entries", entry.address)

    def _remove(self, entry: Entry) -> None:
        if entry not in self._entries:
            return
        position = self._entries.index(entry)
        # The native list runs from the latest to the first: the next one in ours points to us.
        if position + 1 < len(self._entries):
            self._entries[position + 1].set("next", entry.get("next"))
        else:
            self._set("entries", entry.get("next"))
        del self._entries[position]
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


class JitBase(_NativeCallable):
    """Base of objects that learn, signature by signature, to be called natively.

    A subclass defines ``__call__``: it takes every call no published signature fits.
    """

    __slots__ = ("_table",)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Take a call that no published signature fits."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if layout.NATIVE:
            _let_vectorcall(cls)

    def publish(self, signature: Signature, plan: Plan) -> Entry | None:
        """Serve calls of this signature with this plan from now on.

        Returns a handle, or None when such calls have to stay with ``__call__``: the signature
        holds something native code does not check, or this platform has no native dispatch.
        Of two signatures that both fit a call, either may serve it.
        """
        return self._publish(signature, plan, check_static=True)

    def _publish(self, signature: Signature, plan: Plan, check_static: bool) -> Entry | None:
        if not layout.NATIVE:
            return None
        try:
            entry = Entry(signature, plan, buffers.pooled_outputs(), check_static)
        except Unsupported:
            return None
        call = _call_address()
        pointer = ctypes.c_void_p.from_address(id(self) + _TABLE)
        if not pointer.value:
            self._table = _Table(type(self).__call__)
            pointer.value = self._table.address
        self._table.add(entry)
        ctypes.c_void_p.from_address(id(self) + _VECTORCALL).value = call
        return entry

    def retire(self, handle: Entry | None) -> None:
        """Stop serving a signature; calls that are running it finish undisturbed."""
        if handle is not None:
            self._table.remove(handle)

    def hits(self, handle: Entry | None) -> int:
        """How many calls this signature has served natively."""
        return 0 if handle is None else handle.get("hits")


class Executable(JitBase):
    """A plan, called with the leaf values in order; TypeError when one is not what its leaf says.

    Values of static leaves are passed as well, and not looked at.
    """

    __slots__ = ("__weakref__", "leaves", "plan")

    def __init__(self, plan: Plan, leaves: Sequence[Leaf]):
        self.plan, self.leaves = plan, tuple(leaves)
        self._publish(Signature(self.leaves), plan, check_static=False)

    def __call__(self, *values: Any) -> Any:
        return fallback.run(self.plan, self.leaves, values)
