"""Functions that are not Python's own, by where they are: C functions, and those of Numba.

What tells its signature (ctypes' argtypes, cffi's and SciPy's types, Numba's) need not be told it.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import TracejitError
from ..ir.types import DType, to_dtype
from ..runtime import engine
from ..runtime.linked import IRFunction, read_function
from .llvm_ir import KINDS, read_definition

PYTHON_LOCK = 4  # of ctypes' flags: a function that needs Python's lock


class Pointer(NamedTuple):
    """The memory of an array; of a dtype that is not said where that is None."""

    dtype: DType | None


Parameter = DType | Pointer


class Symbol(NamedTuple):
    """A C function: the types of its parameters and its result where they are known; where it is.

    `result` is None where it returns nothing. `keep` must not end before the function is used for
    the last time. `ir` is its definition, if that is at hand.
    """

    name: str
    parameters: tuple[Parameter, ...] | None
    result: DType | None
    address: int
    keep: object
    is_thread_safe: bool = False
    ir: IRFunction | None = None


def symbol_of(definition: Any, symbol: str = "") -> Symbol | None:
    """The function that a definition is; None where it is none of these."""
    if isinstance(definition, ctypes._CFuncPtr):
        return _of_ctypes(definition)
    if _is_instance(definition, "scipy._lib._ccallback", "LowLevelCallable"):
        return _of_scipy(definition)
    if _is_instance(definition, "numba.core.ccallback", "CFunc"):
        return _of_numba(definition)
    if type(definition).__module__ == "_cffi_backend":
        return _of_cffi(definition)
    if isinstance(definition, bytes) or (isinstance(definition, str) and "define " in definition):
        return _of_llvm(definition, symbol)
    match definition:
        case (str() as path, str() as name):
            return _of_ctypes(_in_library(path, name))
    return None


def is_numba_function(definition: Any) -> bool:
    """Whether a definition is what `numba.njit` makes."""
    return _is_instance(definition, "numba.core.registry", "CPUDispatcher")


def compiled_by_numba(dispatcher: Any, dtypes: Sequence[DType]) -> Symbol:
    """A Numba function compiled for numbers of these dtypes."""
    numba = sys.modules["numba"]
    types = tuple([numba.from_dtype(dtype.numpy) for dtype in dtypes])
    dispatcher.compile(types)
    result = dispatcher.overloads[types].signature.return_type
    options = {
        key: dispatcher.targetoptions[key]
        for key in ("fastmath",)
        if key in dispatcher.targetoptions
    }
    function = numba.cfunc(result(*types), error_model="numpy", **options)(dispatcher.py_func)
    return _of_numba(function)


def _is_instance(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class of a library's, which is not imported for that."""
    cls = getattr(sys.modules.get(module), name, None)
    return cls is not None and isinstance(value, cls)


def _of_ctypes(function: Any) -> Symbol:
    name = getattr(function, "__name__", None) or "function"
    if type(function)._flags_ & PYTHON_LOCK:
        raise TypeError(
            f"{name} needs Python's lock, which compiled programs let go; "
            "call it by op(..., python=True)"
        )
    address = ctypes.cast(function, ctypes.c_void_p).value
    if not address:
        raise ValueError(f"{name} is a null pointer")
    if function.argtypes is None:
        return Symbol(name, None, None, address, function)
    parameters = tuple([_parameter(name, kind) for kind in function.argtypes])
    restype = function.restype
    result = None if restype is None else _parameter(name, restype)
    if isinstance(result, Pointer):
        raise TypeError(f"{name} returns a pointer; an op returns numbers, or writes into arrays")
    return Symbol(name, parameters, result, address, function)


def _parameter(name: str, kind: Any) -> Parameter:
    """What a class of ctypes, or of numpy.ctypeslib, stands for."""
    if kind is ctypes.c_void_p:
        return Pointer(None)
    if isinstance(kind, type) and issubclass(kind, ctypes._Pointer):
        return Pointer(to_dtype(np.dtype(kind._type_)))
    if hasattr(kind, "_dtype_"):  # what numpy.ctypeslib.ndpointer makes
        return Pointer(None if kind._dtype_ is None else to_dtype(kind._dtype_))
    try:
        return to_dtype(np.dtype(kind))
    except (TypeError, TracejitError):
        raise TypeError(f"{name} takes or returns a {kind!r}, which is no number") from None


def _in_library(path: str, name: str) -> Any:
    try:
        return ctypes.CDLL(path)[name]
    except AttributeError:
        raise ValueError(f"{path} has no function {name}") from None


def _of_scipy(function: Any) -> Symbol:
    inner = function.function
    if isinstance(inner, ctypes._CFuncPtr):
        found = _of_ctypes(inner)
        return found._replace(keep=function)
    found = _of_text(function.signature)
    if function.user_data is not None or any(
        isinstance(p, Pointer) for p in found.parameters or ()
    ):
        raise TypeError(
            f"{function.signature}: an op passes no user_data; give a function of numbers"
        )
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = get(inner, function.signature.encode())
    return found._replace(address=address or 0, keep=function)


def _of_text(signature: str) -> Symbol:
    """The types in C's own notation, `double (double, int)`."""
    found = re.fullmatch(r"\s*(.+?)\s*\((.*)\)\s*", signature)
    if found is None:
        raise TypeError(f"{signature!r} is no signature of a C function")
    parts = [part for part in found[2].split(",") if part.strip() not in ("", "void")]
    parameters = tuple([_c_type(part, signature) for part in parts])
    result = None if found[1] == "void" else _c_type(found[1], signature)
    if isinstance(result, Pointer):
        raise TypeError(f"{signature} returns a pointer")
    return Symbol("function", parameters, result, 0, None)


# fmt: off
_C_TYPES = {
    "double": ctypes.c_double, "float": ctypes.c_float, "int": ctypes.c_int, "long": ctypes.c_long,
    "long long": ctypes.c_longlong, "unsigned int": ctypes.c_uint, "unsigned long": ctypes.c_ulong,
    "int64_t": ctypes.c_int64, "int32_t": ctypes.c_int32, "size_t": ctypes.c_size_t,
    "ssize_t": ctypes.c_ssize_t, "short": ctypes.c_short, "_Bool": ctypes.c_bool,
    "intptr_t": ctypes.c_ssize_t, "uint64_t": ctypes.c_uint64, "uint32_t": ctypes.c_uint32,
}
# fmt: on


def _c_type(text: str, signature: str) -> Parameter:
    words = [word for word in text.replace("*", " * ").split() if word != "const"]
    is_pointer = "*" in words
    words = words[: words.index("*")] if is_pointer else words
    for count in (len(words), len(words) - 1):  # the last may be the parameter's name
        kind = _C_TYPES.get(" ".join(words[:count]))
        if kind is not None:
            dtype = to_dtype(np.dtype(kind))
            return Pointer(dtype) if is_pointer else dtype
    if is_pointer and words[:1] == ["void"]:
        return Pointer(None)
    raise TypeError(f"{signature}: {text.strip()} is no number")


def _of_cffi(pointer: Any) -> Symbol:
    backend = sys.modules["_cffi_backend"]
    ffi = backend.FFI()
    kind = ffi.typeof(pointer)
    if kind.kind != "function":
        raise TypeError(f"{kind.cname} is no pointer to a function")
    listed = ", ".join(part.cname for part in kind.args)
    found = _of_text(f"{kind.result.cname} ({listed})")
    return found._replace(address=int(ffi.cast("intptr_t", pointer)), keep=pointer)


def _of_numba(function: Any) -> Symbol:
    found = _of_ctypes(function.ctypes)
    name = re.sub(r"\W", "_", function.__name__)
    text = function.inspect_llvm()
    ir = read_function(text, function._wrapper_name)
    if "numba_gil_ensure" in ir.text:
        raise TypeError(
            f"{name} may raise an exception, which compiled programs would not see; "
            "let it return nan, or call it by op(..., python=True)"
        )
    return found._replace(name=name, keep=function, is_thread_safe=True, ir=ir)


def _of_llvm(source: str | bytes, symbol: str) -> Symbol:
    ir = read_function(source, symbol)
    definition = read_definition(ir.text, ir.symbol)
    if definition is None:
        raise TypeError(
            f"{ir.symbol} takes or returns what is no number; give a function of numbers"
        )
    code = engine.load(engine.compile_ir(ir.text), [ir.symbol])
    parameters = tuple([KINDS[kind] for kind, _ in definition.parameters])
    return Symbol(
        ir.symbol,
        parameters,
        KINDS[definition.result],
        code.address(ir.symbol),
        code,
        definition.is_pure,
        ir,
    )
