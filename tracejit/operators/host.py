"""Operators that Python functions carry out, with real arrays: what `tracejit.host` does, with a name.

With a type the function is taken to be pure, and a call of it is a node as that of any operator.
Without one it is called while tracing, to see what it gives, and its calls stay in the order of the
program, as it may have effects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir import ops
from ..ir.graph import Node, item
from ..ir.host import HostFunction
from ..ir.types import ArrayType, TupleType
from ..trace.context import current_trace, tracing
from ..trace.host import Callee, call_through_python, name_of
from ..trace.tree import flatten
from .calls import Parameters, as_argument
from .implementation import PYTHON, Application, Implementation, to_types
from .signature import Signature


class _Always:
    """Finds one function, whatever the objects of a run are."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __call__(self, objects: dict) -> Callable[..., Any]:
        return self.function


class HostCall(Implementation):
    """A Python function; `type(*types, **attrs)` are the types of its results, if that is known.

    As one of several implementations it has the types of the first, which `alike` gives.
    """

    kind = PYTHON

    def __init__(self, name: str, function: Callable[..., Any], type: Any):
        self.name, self.function, self.type = name, function, type
        self.alike: Callable[[Application], tuple[ArrayType, ...]] | None = None
        self.parameters = Parameters.of(name, function)
        self._functions: dict[Application, HostFunction] = {}

    @property
    def has_effects(self) -> bool:
        """Whether nothing is known of it."""
        return self.type is None and self.alike is None

    def call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A call in the order of the program."""
        if current_trace() is None:
            return self.function(*args, **kwargs)
        callee = Callee(
            name_of(self.function), _Always(self.function), has_effects=True, is_known=False
        )
        return call_through_python(callee, args, kwargs)

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        return self.function(*args, **kwargs)

    def types(self, call: Application) -> tuple[ArrayType, ...]:
        if self.alike is not None:
            return self.alike(call)
        if self.type is None:
            raise TypeError(f"op {self.name} calls Python; give its type: op(..., type=...)")
        if isinstance(self.type, Signature):
            dtypes = [item.dtype for item in self.type.results]
            if None in dtypes:
                raise TypeError(
                    f"op {self.name}: {self.type.text} does not say of which dtypes results are"
                )
            return self.type.types(call.types, dtypes, f"op {self.name}")
        args, kwargs = self.parameters.join(call.types, call.attrs)
        return to_types(self.type(*args, **kwargs), f"the type rule of op {self.name}")

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        types = self.types(call)
        node = ops.host_call(*operands, function=self._function(call, len(types)), results=types)
        if isinstance(node.type, TupleType):
            return tuple([item(node, index=k) for k in range(len(types))])
        return (node,)

    def _function(self, call: Application, count: int) -> HostFunction:
        """What stands for equal calls, which are one."""
        found = self._functions.get(call)
        if found is None:

            def run(objects: dict, *arrays: np.ndarray) -> Any:
                given = [as_argument(a.copy(), call.scalar(k)) for k, a in enumerate(arrays)]
                args, kwargs = self.parameters.join(given, call.attrs)
                with tracing(None):
                    return self.function(*args, **kwargs)

            arity = len(call.types)
            name = f"{name_of(self.function)}"
            found = HostFunction(name, run, _leaves, arity, count, False, False)
            self._functions[call] = found
        return found


def _leaves(result: Any) -> list[Any]:
    return flatten(result)[0]
