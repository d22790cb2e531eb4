"""SciPy's objects in traced code: distributions, interpolators, sparse matrices.

Their methods are called through Python where traced values are among the arguments. An object that
is itself made of traced values, as in `CubicSpline(x, y)(z)`, does not exist while tracing: its
stand-in keeps what it is made of, and each call of a method makes it anew, which for objects that
compute and keep nothing is the same. Those that a function makes that is traced itself are traced too.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir.dims import Dim
from .context import current_trace
from .host import Callee, call_through_python, name_of
from .tree import flatten
from .value import Value

_NO_OBJECTS = (
    type, np.ndarray, np.generic, np.ufunc, BaseException, tuple, dict, types.ModuleType,
    types.FunctionType, types.MethodType, types.BuiltinFunctionType,
)  # fmt: skip
_DRAWING = ("rvs", "resample")


def is_scipys(cls: type) -> bool:
    module = cls.__module__  # a descriptor where instances have one of their own
    return isinstance(module, str) and module.partition(".")[0] == "scipy"


def scipy_stand_in(value: Any) -> Any:
    """What the traced code gets instead of an object or class of SciPy's; None for other things."""
    if isinstance(value, type):
        is_made = is_scipys(value) and not issubclass(value, _NO_OBJECTS)
        return _Class(value) if is_made else None
    if not is_scipys(type(value)) or isinstance(value, _NO_OBJECTS):
        return None
    return _Object(_Found(value), (), {}, type(value))


@dataclass(frozen=True)
class _Found:
    """Gives an object that there is."""

    value: Any

    def __call__(self) -> Any:
        return self.value


@dataclass(frozen=True)
class _Method:
    """A method, or an attribute, as a function of what the object is made of and its arguments."""

    make: Callable[..., Any]
    name: str

    def __call__(self, made_of: tuple, options: dict, *args: Any, **kwargs: Any) -> Any:
        found = getattr(self.make(*made_of, **options), self.name)
        return found(*args, **kwargs) if callable(found) else found


@dataclass(frozen=True)
class _Always:
    """Finds one function, whatever a run has made."""

    function: Callable[..., Any]

    def __call__(self, objects: dict) -> Any:
        return self.function


def is_traced(values: Any) -> bool:
    """Whether there are traced values among these, or in their containers."""
    return any(isinstance(leaf, Value | Dim) for leaf in flatten(values)[0])


class _Class:
    """A class that makes objects of traced values, too."""

    def __init__(self, cls: type):
        self._class = cls

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, self._class)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._class, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        trace = current_trace()
        if trace is not None and trace.attempts:
            return trace.hook_class(self._class)(*args, **kwargs)
        if is_traced((args, kwargs)):
            return _Object(self._class, args, kwargs, self._class)
        return _hooked(self._class(*args, **kwargs))


class _Object:
    """An object that `make(*args, **kwargs)` gives."""

    def __init__(self, make: Callable[..., Any], args: tuple, kwargs: dict, cls: type):
        self._make, self._args, self._kwargs, self._class = make, args, kwargs, cls

    @property
    def __class__(self) -> type:
        return self._class

    def __getattr__(self, name: str) -> Any:
        if not is_traced((self._args, self._kwargs)):
            found = getattr(self._make(*self._args, **self._kwargs), name)
            return self._method(name) if callable(found) else _hooked(found)
        is_method = callable(getattr(self._class, name, None))
        return self._method(name) if is_method else self._method(name)()

    def _method(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            method = _Method(self._make, name)
            draws = name in _DRAWING
            whole = (self._args, self._kwargs, *args)
            if current_trace() is None or not (draws or is_traced((whole, kwargs))):
                return _hooked(method(*whole, **kwargs))
            label = f"{name_of(self._class)}.{name}"
            callee = Callee(label, _Always(method), has_effects=draws, is_known=False)
            return call_through_python(callee, whole, kwargs)

        return call


def _operator(name: str) -> Callable[..., Any]:
    def run(self: _Object, *args: Any) -> Any:
        return self._method(name)(*args)

    return run


for _name in (
    "call", "matmul", "rmatmul", "mul", "rmul", "add", "radd", "sub", "rsub", "truediv", "getitem",
    "neg", "abs", "pow",
):  # fmt: skip
    setattr(_Object, f"__{_name}__", _operator(f"__{_name}__"))


def _hooked(value: Any) -> Any:
    """A result that is known while tracing, as traced code gets it."""
    trace = current_trace()
    is_object = scipy_stand_in(value) is not None
    return trace.hook(value) if is_object and trace is not None else value
