"""Objects whose call can become native code: their type, made by hand for CPython.

An instance carries a vectorcall pointer and the address of a table (runtime/dispatch.py), both null
until a signature is published. Decorating a function takes no more than this file, so that what
compiles and serves calls is imported when the first one comes.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from tracejit.deferred import module
from tracejit.runtime import layout

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


# An instance: the header, the vectorcall pointer, the table pointer.
VECTORCALL = layout.HEADER
TABLE = VECTORCALL + 8


def _make_native_type() -> type:
    """A type of objects with a vectorcall pointer and a table pointer, both null at first."""
    members = (_Member * 2)(
        _Member(b"__vectorcalloffset__", _MEMBER_SSIZE, VECTORCALL, _MEMBER_READONLY, None)
    )
    slots = (_Slot * 3)(
        _Slot(_TYPE_CALL, layout.python_function("PyVectorcall_Call")),
        _Slot(_TYPE_MEMBERS, ctypes.addressof(members)),
    )
    name = b"tracejit.runtime.callable.NativeCallable"
    spec = _Spec(name, TABLE + 8, 0, sum(_TYPE_FLAGS.values()), slots)
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

    def publish(self, signature: Any, plan: Any) -> Any:
        """Serve calls of this `Signature` with this `Plan` from now on.

        Returns a handle, or None when such calls have to stay with ``__call__``: the signature
        holds something native code does not check, or this platform has no native dispatch.
        Of two signatures that both fit a call, either may serve it.
        """
        return module("tracejit.runtime.dispatch").publish(self, signature, plan)

    def retire(self, handle: Any) -> None:
        """Stop serving a signature; calls that are running it finish undisturbed."""
        if handle is not None:
            self._table.remove(handle)

    def hits(self, handle: Any) -> int:
        """How many calls this signature has served natively."""
        return 0 if handle is None else handle.get("hits")
