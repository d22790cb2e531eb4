"""Python's functions of whole numbers, on traced ones: loops of arithmetic.py, and NumPy's functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..application import apply
from ..context import current_trace
from ..numpy.python_math import to_int
from ..registry import creates
from ..value import Value
from . import arithmetic


def _on_traced(original: Callable[..., Any], implementation: Callable[..., Any]) -> Any:
    def chosen(*args: Any) -> Any:
        trace = current_trace()
        if trace is None or not any(isinstance(value, Value) for value in args):
            return original(*args)
        return trace.hook(implementation)(*[to_int(value) for value in args])

    return chosen


for _original, _implementation in (
    (math.isqrt, arithmetic.isqrt),
    (math.factorial, arithmetic.factorial),
    (math.comb, arithmetic.comb),
):
    creates(_original)(_on_traced(_original, _implementation))
_power_of = _on_traced(pow, arithmetic.power)


def power(*args: Any) -> Any:
    """`pow`, of three numbers too."""
    return _power_of(*args) if len(args) == 3 else pow(*args)


def _folding(original: Callable[..., Any], ufunc: np.ufunc) -> None:
    @creates(original)
    def chosen(*args: Any) -> Any:
        if not args or not any(isinstance(value, Value) for value in args):
            return original(*args)
        found, *others = [to_int(value) for value in args]
        for other in others:
            found = apply(ufunc, found, other)
        return to_int(abs(found))


_folding(math.gcd, np.gcd)
_folding(math.lcm, np.lcm)
