"""Vectorised elementary functions, correct to 2 ULP: `MATH["sin"](builder, x)`, by NumPy's names.

Every function takes Values of kind `float` or `double` with any number of lanes, all operands of
one kind and one width (the exponent of `ldexp` is i32, so is the result of `frexp_exponent`), and
writes straight-line vector code; exceptional arguments branch to code of their own. Measured
errors and the rules for special values: docs/math.md.
"""

from __future__ import annotations

from collections.abc import Callable

from tracejit.lower.llvm.builder import Builder, Value
from tracejit.lower.llvm.math import (
    addition,
    arithmetic,
    division,
    exponential,
    extremes,
    hyperbolic,
    inverse,
    logarithm,
    power,
    representation,
    roots,
    special,
    trigonometric,
)
from tracejit.lower.llvm.math.arithmetic import Number

FUNCTIONS = (
    exponential.exp,
    exponential.exp2,
    exponential.expm1,
    logarithm.log,
    logarithm.log2,
    logarithm.log10,
    logarithm.log1p,
    trigonometric.sin,
    trigonometric.cos,
    trigonometric.tan,
    trigonometric.deg2rad,
    trigonometric.rad2deg,
    hyperbolic.sinh,
    hyperbolic.cosh,
    hyperbolic.tanh,
    inverse.arcsin,
    inverse.arccos,
    inverse.arctan,
    inverse.arctan2,
    inverse.arcsinh,
    inverse.arccosh,
    inverse.arctanh,
    power.power,
    roots.sqrt,
    roots.cbrt,
    roots.hypot,
    roots.reciprocal,
    special.erf,
    special.erfc,
    special.sinc,
    addition.logaddexp,
    addition.logaddexp2,
    division.fmod,
    division.remainder,
    division.floor_divide,
    representation.rint,
    representation.trunc,
    representation.floor,
    representation.ceil,
    representation.nextafter,
    representation.spacing,
    representation.ldexp,
    representation.frexp_mantissa,
    representation.frexp_exponent,
    representation.sign,
    representation.heaviside,
    arithmetic.copysign,
    extremes.maximum,
    extremes.minimum,
    extremes.fmax,
    extremes.fmin,
)


def on_values(function: Callable[..., Number]) -> Callable[..., Value]:
    """A formula on Numbers as a function of a Builder and Values."""

    def write(b: Builder, *values: Value) -> Value:
        return function(*(Number(b, value) for value in values)).value

    write.__name__ = write.__qualname__ = function.__name__
    write.__doc__ = function.__doc__
    return write


MATH: dict[str, Callable[..., Value]] = {f.__name__: on_values(f) for f in FUNCTIONS}
