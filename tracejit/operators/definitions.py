"""`op`: what a definition is, and the operator that it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .elements import ElementFunction
from .foreign_scalars import ForeignScalars, Loop
from .host import HostCall
from .implementation import Implementation
from .kernels import KernelText
from .operator import Operator
from .signature import Signature
from .symbols import Symbol, is_numba_function, symbol_of
from .traced import TracedFunction


def op(
    definition: Any = None,
    *,
    name: str = "",
    type: Any = None,
    element: int | None = None,
    python: bool = False,
    symbol: str = "",
    thread_safe: bool = False,
    reference: Callable[..., Any] | None = None,
    samples: Callable[..., Any] | None = None,
) -> Any:
    """An operator."""
    options = {
        "name": name, "type": type, "element": element, "python": python, "symbol": symbol,
        "thread_safe": thread_safe, "reference": reference, "samples": samples,
    }  # fmt: skip
    if definition is None:
        return lambda given: op(given, **options)
    rule = Signature(type) if isinstance(type, str) else type
    name = name or _name_of(definition)
    made = _implementation(definition, name, rule, element, python, symbol, thread_safe)
    return Operator(name, made, made.kind, rule, reference, samples)


def _implementation(definition, name, rule, element, python, symbol, thread_safe) -> Implementation:
    if python:
        return HostCall(name, definition, rule)
    if element is not None:
        return ElementFunction(name, definition, element, rule)
    if isinstance(definition, str) and "@kernel" in definition:
        return KernelText(name, definition)
    if is_numba_function(definition):
        return ForeignScalars.by_numba(name, definition)
    listed = definition if isinstance(definition, list) else [definition]
    symbols = [symbol_of(one, symbol) for one in listed]
    if all(isinstance(found, Symbol) for found in symbols):
        signature = rule if isinstance(rule, Signature) else None
        return ForeignScalars(name, [Loop(name, s, signature, thread_safe) for s in symbols])
    return TracedFunction(name, definition)


def _name_of(definition: Any) -> str:
    first = definition[0] if isinstance(definition, list) else definition
    found = symbol_of(first) if not hasattr(first, "__name__") else None
    return getattr(first, "__name__", None) or (found.name if found else "op")
