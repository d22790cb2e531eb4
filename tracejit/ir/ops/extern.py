"""Calls of Python functions from inside a program."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tensor
from ..dims import bind
from ..host import HostFunction, call
from ..op import OPAQUE, Extern, Op, define
from ..syntax import symbol_names
from ..types import ArrayType, DType, TupleType, array_type

__all__ = ["host_call"]


def _host_type(
    *types: ArrayType, function: HostFunction, results: tuple[ArrayType, ...]
) -> ArrayType | TupleType:
    if len(types) != function.arity + function.is_ordered:
        raise TypeError(f"{function.name} takes {function.arity} operands, not {len(types)}")
    if len(results) != len(function.written):
        raise TypeError(f"{function.name} has {function.count} results, not {len(results)}")
    return results[0] if len(results) == 1 else TupleType(results)


def _host_reference(*arrays: Any, function: HostFunction, results: tuple[ArrayType, ...]) -> Any:
    assert not symbol_names(results), "results whose extents depend on the operands"
    made = [np.empty([bind(n, {}) for n in type.shape], type.dtype.numpy) for type in results]
    call(function, *map(np.asarray, arrays), *made)
    return made[0] if len(made) == 1 else tuple(made)


def _host_lowering(
    *buffers: tensor.Buffer, function: HostFunction, results: tuple[ArrayType, ...]
) -> tuple[tensor.Statement, ...]:
    """One foreign call, on whole buffers."""
    return (tensor.Extern(function, tuple([tensor.start_of(buffer) for buffer in buffers])),)


_sort = HostFunction("numpy.sort", lambda _, x: np.sort(x), lambda x: [x], 1, 1, False, False)


def _host_samples(dtype: DType) -> list:
    types = [array_type(shape, dtype) for shape in ((5,), (2, 3), (0,))]
    return [((type,), {"function": _sort, "results": (type,)}) for type in types]


host_call = define(
    Op(
        "host_call",
        OPAQUE,
        _host_type,
        _host_reference,
        Extern(_host_lowering),
        cost=1000.0,
        samples=_host_samples,
    )
)
