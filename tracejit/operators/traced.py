"""Operators written with NumPy: traced for the types of the operands, and expanded in their place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedError
from ..ir import ops
from ..ir.dims import bind
from ..ir.graph import Node, substitute
from ..ir.ops.create import ARRAY_LIMIT
from ..ir.syntax import symbol_names
from ..ir.types import ArrayType, to_dtype
from ..trace.array import Array
from ..trace.context import current_trace, failure, is_same
from ..trace.program import ArgumentOutput, NodeOutput, ObjectOutput, Program, Static, Traced
from ..trace.tracing import flatten_arguments, trace
from ..trace.tree import flatten, unflatten
from .calls import Parameters, weak_type
from .implementation import Application, Implementation

# An unknown extent, in values that nobody looks at.
TYPICAL = 8


class Body(NamedTuple):
    """What a trace found: the program, and the small arrays from outside that are part of it."""

    program: Program
    constants: tuple[tuple[np.ndarray, np.ndarray], ...]

    def is_current(self) -> bool:
        same = all(is_same(array, before) for array, before in self.constants)
        return same and self.program.is_current()


class TracedFunction(Implementation):
    """A function over NumPy's, whose results are computed by what it calls."""

    def __init__(self, name: str, function: Callable[..., Any]):
        self.name, self.function = name, function
        self.parameters = Parameters.of(name, function)
        self._bodies: dict[Application, Body] = {}
        self._lock = threading.RLock()

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        return self.function(*args, **kwargs)

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        function = self.program(call).function
        return substitute(function.results, dict(zip(function.parameters, operands)))

    def types(self, call: Application) -> tuple[ArrayType, ...]:
        return self.program(call).function.types

    def built(self, given: list[Any], nodes: tuple[Node, ...], call: Application) -> Any:
        program = self.program(call)
        leaves: list[Any] = []
        for output in program.outputs:
            match output:
                case NodeOutput(index, is_scalar, weak):
                    leaves.append(Array(nodes[index], is_scalar, weak))
                case ArgumentOutput(leaf):
                    before = [own for own in program.leaves[:leaf] if isinstance(own, Traced)]
                    leaves.append(given[len(before)])
                case ObjectOutput(value):
                    leaves.append(value)
        return unflatten(program.structure, leaves)

    def results_of(self, returned: Any, call: Application) -> Any:
        program = self.program(call)
        leaves, _ = flatten(returned)
        found = {
            output.index: leaf
            for output, leaf in zip(program.outputs, leaves)
            if isinstance(output, NodeOutput)
        }
        results = [np.asarray(found[k]) for k in range(len(program.function.results))]
        return results[0] if len(results) == 1 else tuple(results)

    def program(self, call: Application) -> Program:
        """The function traced for these operands; a trace in progress then depends on what it read.

        Raises what the function raises.
        """
        with self._lock:
            body = self._bodies.get(call)
            if body is None or not body.is_current():
                body = self._bodies[call] = self._traced(call)
        outer = current_trace()
        if outer is not None:
            outer.adopt(body.program)
            for array, _ in body.constants:
                outer.contents_of(outer.capture(array).node)
        return body.program

    def _traced(self, call: Application) -> Body:
        # What stands for the operands has their types; its values are never looked at.
        stand_ins = [_stand_in(type) for type in call.types]
        args, kwargs = self.parameters.join(stand_ins, call.attrs)
        leaves, _ = flatten_arguments(args, kwargs)
        how: list[Traced | Static] = []
        for leaf in leaves:
            k = next((k for k, own in enumerate(stand_ins) if own is leaf), None)
            if k is None:
                how.append(Static(leaf))
            else:
                weak = weak_type(call.scalar(k))
                how.append(Traced(call.types[k], bool(call.scalar(k)), weak, can_write=False))
        program = trace(self.function, args, kwargs, how, calls_python=False)
        self._check(program)
        constants = (*[(a, a.copy()) for a in program.captures], *program.contents)
        return Body(self._closed(program), constants)

    def _check(self, program: Program) -> None:
        for output in program.outputs:
            if not isinstance(output, NodeOutput | ArgumentOutput | ObjectOutput):
                raise failure(
                    UnsupportedError,
                    f"op {self.name} returns a view of an operand, or rows that only data counts",
                    "return a copy: x.T.copy()",
                )

    def _closed(self, program: Program) -> Program:
        """The program with small arrays from outside as constants."""
        function = program.function
        count = len(function.parameters) - len(program.captures)
        inside: dict[Node, Node] = {}
        for node, array in zip(function.parameters[count:], program.captures):
            if array.size > ARRAY_LIMIT or node in function.updated:
                raise failure(
                    UnsupportedError,
                    f"op {self.name} uses {node.attrs['name']}, an array from outside",
                    "pass it as an operand",
                )
            inside[node] = _constant(array)
        closed = function.replace(
            parameters=function.parameters[:count], results=substitute(function.results, inside)
        )
        return replace(program, function=closed, captures=())


def _stand_in(type: ArrayType) -> np.ndarray:
    shape = [bind(n, dict.fromkeys(symbol_names(n), TYPICAL)) for n in type.shape]
    return np.broadcast_to(np.zeros((), type.dtype.numpy), [max(n, 0) for n in shape])


def _constant(array: np.ndarray) -> Node:
    dtype = to_dtype(array.dtype)
    if array.ndim == 0:
        return ops.constant(value=array.item(), dtype=dtype)
    return ops.array(data=tuple(array.ravel().tolist()), shape=array.shape, dtype=dtype)
