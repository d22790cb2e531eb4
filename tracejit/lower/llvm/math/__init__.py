"""Vectorised elementary functions, correct to 2 ULP: `MATH["sin"](builder, x)`, by NumPy's names.

Every function takes Values of kind `float` or `double` with any number of lanes, all operands of
one kind and one width, and writes straight-line vector code; exceptional arguments branch to code
of their own. Measured errors and the rules for special values: docs/math.md.
"""

from __future__ import annotations

from collections.abc import Callable

from tracejit.lower.llvm.builder import Builder, Value
from tracejit.lower.llvm.math import (
    exponential,
    hyperbolic,
    logarithm,
    power,
    special,
    trigonometric,
)
from tracejit.lower.llvm.math.arithmetic import Number, intrinsic


def sqrt(x: Number) -> Number:
    return intrinsic("sqrt", x)


def on_values(function: Callable[..., Number]) -> Callable[..., Value]:
    """A formula on Numbers as a function of a Builder and Values."""

    def write(b: Builder, *values: Value) -> Value:
        return function(*(Number(b, value) for value in values)).value

    write.__name__ = write.__qualname__ = function.__name__
    write.__doc__ = function.__doc__
    return write


MATH: dict[str, Callable[..., Value]] = {
    function.__name__: on_values(function)
    for function in (
        sqrt,
        exponential.exp,
        exponential.exp2,
        exponential.expm1,
        logarithm.log,
        logarithm.log2,
        logarithm.log10,
        trigonometric.sin,
        trigonometric.cos,
        hyperbolic.tanh,
        power.power,
        special.erf,
    )
}
