"""Functions NumPy lacks, for arrays anywhere and traced arrays in jitted functions."""

from __future__ import annotations

from typing import Any

from .ir import ops
from .ir.op import Op
from .jit import jit
from .trace.array import Array
from .trace.value import node_of


@jit
def erf(x: Any) -> Any:
    """The error function, 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x.

    Elementwise; the result has the shape of `x` and its floating dtype (float64 for integers).
    At most 2 ULP from the true value (docs/math.md).
    """
    return _apply(ops.erf, x)


@jit
def erfc(x: Any) -> Any:
    """1 - erf(x), without cancellation for large `x`.

    Elementwise; the result has the shape of `x` and its floating dtype (float64 for integers).
    At most 2 ULP from the true value (docs/math.md).
    """
    return _apply(ops.erfc, x)


def _apply(op: Op, x: Any) -> Any:
    floating = x * 1.0  # an exact way to NumPy's float dtype for whatever comes
    return Array(op(node_of(floating)), floating.is_scalar, floating.weak)
