"""Drawing random numbers in compiled code.

A draw changes a generator, so draws are ordered as calls of Python functions with effects are: each
takes the token of what is done before it, and gives one to what is done after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions, tensor
from ..dims import bind
from ..numpy_random import DISTRIBUTIONS
from ..op import OPAQUE, Extern, Op, define
from ..syntax import symbol_names
from ..tensor import Allocate, Buffer, start_of
from ..types import ArrayType, TupleType, array_type, i64
from .extern import host_call
from .gufunc import copied

__all__ = ["draw", "has_effects"]


def _draw_type(
    source: ArrayType,
    token: ArrayType,
    *parameters: ArrayType,
    distribution: str,
    shape: tuple[Any, ...],
) -> TupleType:
    known = DISTRIBUTIONS[distribution]
    if tuple([p.dtype for p in parameters]) != known.parameters:
        raise TypeError(f"{distribution} does not take {', '.join(map(str, parameters))}")
    if any(p.shape not in ((), shape) for p in parameters):
        raise ValueError(f"{distribution} of {shape} with {', '.join(map(str, parameters))}")
    return TupleType((array_type(shape, known.result), array_type((), i64)))


def _draw_reference(
    source: Any, token: Any, *parameters: Any, distribution: str, shape: tuple[Any, ...]
) -> Any:
    assert not symbol_names(shape), "results whose extents depend on the operands"
    known = DISTRIBUTIONS[distribution]
    size = tuple([bind(n, {}) for n in shape])
    return np.asarray(known.drawn(source, size, list(parameters)), known.result.numpy), token + 1


def _draw_statements(
    *buffers: Buffer, distribution: str, shape: tuple[Any, ...]
) -> tuple[tensor.Statement, ...]:
    source, before, *parameters, numbers, after = buffers
    body: tuple[tensor.Statement, ...] = ()
    arguments: list[Any] = []
    for position, parameter in enumerate(parameters):
        if parameter.type.layout is not None:  # the next value has to be the next element
            type = array_type(parameter.type.shape, parameter.type.dtype)
            own = Buffer(f"p{position}", type, "local")
            body += (Allocate(own), *copied(parameter, own))
            parameter = own
        arguments += [start_of(parameter), expressions.integer(int(parameter.type.ndim > 0))]
    begins = [start_of(buffer) for buffer in (source, before, after, numbers)]
    count = expressions.extent(numbers.type.size)
    symbol = DISTRIBUTIONS[distribution].symbol
    return (*body, tensor.Extern(symbol, (*begins, count, *arguments)))


# Numbers of a distribution, and a token. `source` is where the generator's bits come from; a
# parameter is one number, or as many as are drawn.
# limit: there is no sample of it, as a source is an address.
draw = define(
    Op(
        "draw",
        OPAQUE,
        _draw_type,
        _draw_reference,
        Extern(_draw_statements),
        cost=1000.0,
        samples=lambda dtype: [],
    )
)


def has_effects(node: Any) -> bool:
    """Whether a node may do more than give a result."""
    return node.op is draw or (node.op is host_call and node.attrs["function"].has_effects)
