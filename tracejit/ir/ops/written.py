"""Ops whose loops are written as text: a kernel for any extent of the outermost axis, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import expressions
from ..graph import Module
from ..op import OPAQUE, Loops, Op, define
from ..reference import reference
from ..tensor import ARGUMENT, Buffer, Index, Kernel, Statement
from ..term import Term, rebuild
from ..types import ArrayType, DType, array_type, f64, to_dtype

__all__ = ["fitted", "interpreted", "matrix_op"]


def fitted(kernel: Kernel, buffers: tuple[Buffer, ...], outermost: str) -> tuple[Statement, ...]:
    """The kernel's statements on these buffers, whose first one's outermost extent has that name in the text."""
    new: dict[Term, Term] = dict(zip(kernel.parameters, buffers))
    new[Index(outermost)] = expressions.extent(buffers[0].type.shape[0])
    done = rebuild(kernel.body, lambda term: new.get(term, term))
    return tuple([done[statement] for statement in kernel.body])


def interpreted(
    name: str,
    type: Callable[..., ArrayType],
    statements: Callable[..., tuple[Statement, ...]],
    *arrays: Any,
) -> Any:
    """The same steps as the machine's, one by one."""
    types = [array_type(np.shape(array), to_dtype(np.asarray(array).dtype)) for array in arrays]
    inputs = [Buffer(f"x{k}", type, ARGUMENT) for k, type in enumerate(types)]
    buffers = (*inputs, Buffer("out", type(*types), ARGUMENT))
    return reference(Module(Kernel(name, buffers, 1, statements(*buffers))), *arrays)


def matrix_op(
    name: str,
    type: Callable[..., ArrayType],
    statements: Callable[..., tuple[Statement, ...]],
    samples: Callable[[], list],
) -> Op:
    """An op of stacks of float64 matrices. Its reference takes its own steps, as NumPy's results are rounded otherwise."""

    def samples_of(dtype: DType) -> list:
        return samples() if dtype is f64 else []

    return define(
        Op(
            name,
            OPAQUE,
            type,
            partial(interpreted, name, type, statements),
            Loops(statements),
            cost=100.0,
            samples=samples_of,
        )
    )
