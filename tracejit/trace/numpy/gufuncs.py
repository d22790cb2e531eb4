"""NumPy's own loops over stacks: matrices are the last two axes, as all of `numpy.linalg` has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...ir import ops
from ...ir.graph import Node, item
from ...ir.numpy_code import is_found
from ...ir.op import Op
from ...ir.types import TupleType
from ..array import Array, wrap
from ..broadcasting import broadcast_shapes
from ..host import no_rule
from ..value import node_of
from .building import (
    as_array,
    broadcast,
    permuted,
)


def run(op: Op, cores: tuple[int, ...], *operands: Array, **attrs: Any) -> tuple[Array, ...]:
    """The results of a gufunc's op; before `cores` axes of each the operands broadcast.

    Raises UnsupportedError where the running NumPy does not have the code at hand.
    """
    outers = [x.shape[: x.ndim - core] for x, core in zip(operands, cores)]
    outer = broadcast_shapes(*outers)
    fitted = [
        x if own in ((), outer) else broadcast(x, (*outer, *x.shape[x.ndim - core :]))
        for x, own, core in zip(operands, outers, cores)
    ]
    node = op(*[node_of(x) for x in fitted], **attrs)
    if not is_found(ops.loop_of(op, *[x.type for x in node.operands]).symbol):
        raise no_rule(op.name)
    return tuple([wrap(result) for result in results_of(node)])


def results_of(node: Node) -> tuple[Node, ...]:
    if not isinstance(node.type, TupleType):
        return (node,)
    return tuple([item(node, index=k) for k in range(len(node.type.items))])


def linalg(name: str, cores: tuple[int, ...], *operands: Array) -> tuple[Array, ...]:
    return run(ops.LINALG[name], cores, *operands)


class Precision:
    """The dtype that matrices are computed in, and those of the results."""

    def __init__(self, *arrays: Array):
        inexact = [x.dtype for x in arrays if x.dtype.kind in "fc"]
        for dtype in inexact:
            if dtype.itemsize == 2:
                raise TypeError(f"array type {dtype.name} is unsupported in linalg")
        is_complex = any(dtype.kind == "c" for dtype in inexact)
        singles = [dtype for dtype in inexact if dtype in (np.float32, np.complex64)]
        is_single = len(singles) == len(arrays)
        self.wide = np.dtype(complex if is_complex else float)
        self.real = np.dtype(np.float32 if is_single else np.float64)
        self.result = np.dtype(np.complex64 if is_single else complex) if is_complex else self.real


def stacked(x: Any) -> Array:
    x = as_array(x)
    if x.ndim < 2:
        raise LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional"
        )
    return x


def square(x: Any) -> Array:
    x = stacked(x)
    if x.shape[-2] != x.shape[-1]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    return x


def transposed(x: Array) -> Array:
    """The last two axes exchanged."""
    return permuted(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
