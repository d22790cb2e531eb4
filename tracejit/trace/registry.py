"""How NumPy's names are carried out on traced arrays: tables that are filled by the modules above."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any

# A NumPy callable that the two array protocols or an operator may bring us -> our implementation.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
# A NumPy callable no protocol shows us, such as `np.zeros` -> our implementation.
CREATIONS: dict[Any, Callable[..., Any]] = {}
# The name of an ndarray method -> a function that takes the Array first.
METHODS: dict[str, Callable[..., Any]] = {}
# The name of an attribute that is an object of its own -> what makes it of the Array.
ATTRIBUTES: dict[str, Callable[..., Any]] = {}
# `ufunc(...)` and `ufunc.reduce(...)` and their like, as "call" and "method".
APPLICATIONS: dict[str, Callable[..., Any]] = {}
# The name of a ufunc's method -> a function that takes the ufunc first, for those without a function.
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}
# `x[mask]` and `x[mask] = value`, as "get" and "set", for masks whose count only data can tell.
MASKS: dict[str, Callable[..., Any]] = {}
# Of arrays that are one memory in NumPy and two here (mirrors.py): to make them so, to find the index that
# one in a part has in the whole, whether it is assigned to itself, and the others.
MIRRORS: dict[str, Callable[..., Any]] = {}


def implements(*functions: Any, method: str | None = None) -> Callable:
    """Enter the decorated function for these NumPy callables, and as a method of Array."""

    def enter(implementation: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = implementation
        if method is not None:
            METHODS[method] = implementation
        return implementation

    return enter


def creates(*functions: Any) -> Callable:
    """Enter the decorated function for NumPy callables that make arrays from other things."""

    def enter(implementation: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            CREATIONS[function] = implementation
        return implementation

    return enter


def may_take(implementation: Callable[..., Any], name: str) -> bool:
    """False where a function has no parameter of this name for sure: `inspect.signature`, which knows
    the others, takes a hundred times as long."""
    code = getattr(unwrap(implementation), "__code__", None)
    return code is None or name in code.co_varnames
