"""`op`: what a definition is, and the operator that it makes."""

from __future__ import annotations

from typing import Any

from .host import HostCall
from .implementation import Implementation
from .operator import Operator
from .traced import TracedFunction


def op(
    definition: Any = None,
    *,
    name: str = "",
    type: Any = None,
    python: bool = False,
    reference: Any = None,
    samples: Any = None,
) -> Any:
    """An operator."""
    if definition is None:
        return lambda d: op(d, name=name, type=type, python=python, reference=reference, samples=samples)
    name = name or getattr(definition, "__name__", "op")
    impl: Implementation = HostCall(name, definition, type) if python else TracedFunction(name, definition)
    return Operator(name, impl, impl.kind, type, reference, samples)
