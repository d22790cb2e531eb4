"""How an operator is called: which arguments are operands, and which are attributes.

Arrays, floats and complex numbers are operands, whatever the parameter; everything that is passed
by a keyword-only parameter, and ints, bools, strings and None wherever they are, are attributes:
known while tracing, and part of the text by the parameter's name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import TraceError, UnsupportedError
from ..ir.dims import Dim
from ..ir.graph import Node
from ..trace.array import Array
from ..trace.context import failure
from ..trace.value import Value, to_node

# What attributes of ours are called; no parameter may be.
RESERVED = ("by", "scalars", "type", "index")
_WEAK = {"float": float, "int": int, "complex": complex, "bool": bool}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Operand(NamedTuple):
    """An array operand: its node, and what it is where it is no array: a kind of scalar.

    "float", "int", "complex" and "bool" are Python's own numbers, which promote weakly, and "numpy"
    a scalar of NumPy's; "" is an array.
    """

    node: Node
    scalar: str


def is_operand(value: Any) -> bool:
    """Whether an argument is an input of the program."""
    if isinstance(value, Value | Dim):
        return True
    return isinstance(value, np.ndarray | np.generic | float | complex)


def to_operand(value: Any) -> Operand:
    """An argument of a call that is being traced."""
    if isinstance(value, Value):
        weak = value.weak
        scalar = weak.__name__ if weak is not None else "numpy" if value.is_scalar else ""
        return Operand(to_node(value), scalar)
    if isinstance(value, Dim):
        return Operand(to_node(value), "int")
    if isinstance(value, np.generic) and not isinstance(value, float | complex):
        return Operand(to_node(value), "numpy")
    if type(value) in (float, complex, int, bool):
        return Operand(to_node(value), type(value).__name__)
    return Operand(to_node(value), "numpy" if isinstance(value, np.generic) else "")


def as_argument(array: Any, scalar: str) -> Any:
    """What the definition gets for an operand, of a value that NumPy has."""
    if not scalar:
        return np.asarray(array)
    value = np.asarray(array)[()]
    return value if scalar == "numpy" else _WEAK[scalar](value)


def weak_type(scalar: str) -> type | None:
    """Python's type of a number that promotes weakly."""
    return _WEAK.get(scalar)


def traced_result(node: Node) -> Array:
    """A result as NumPy has it: what has no axes is a scalar."""
    return Array(node, not node.type.shape)


class Parameters:
    """The parameters of a definition; `takes_numbers`: ints and bools are operands too."""

    def __init__(self, name: str, signature: inspect.Signature, takes_numbers: bool = False):
        self.name, self.signature, self.takes_numbers = name, signature, takes_numbers
        for given in RESERVED:
            if given in signature.parameters:
                raise TypeError(f"op {name}: a parameter cannot be called {given!r}; rename it")

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], takes_numbers: bool = False) -> Parameters:
        """Those of a Python function."""
        try:
            return cls(name, inspect.signature(function), takes_numbers)
        except ValueError:  # a builtin that does not tell
            return cls.numbered(name, None)

    @classmethod
    def numbered(cls, name: str, count: int | None) -> Parameters:
        """So many operands without names of their own; None: any number."""
        if count is None:
            parts = [inspect.Parameter("operands", inspect.Parameter.VAR_POSITIONAL)]
        else:
            kind = inspect.Parameter.POSITIONAL_ONLY
            parts = [inspect.Parameter(f"x{k}", kind) for k in range(count)]
        return cls(name, inspect.Signature(parts), count is not None)

    def split(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The operands of a call, in order, and its attributes by name."""
        bound = self.signature.bind(*args, **kwargs)
        bound.arguments = self._without_gaps(bound.arguments)
        operands: list[Any] = []
        attrs: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = self.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                operands += [self._checked(name, item) for item in value]
            elif kind is inspect.Parameter.VAR_KEYWORD:
                attrs |= {key: self._attribute(key, item) for key, item in value.items()}
            elif kind in _POSITIONAL and self._is_operand(value):
                operands.append(value)
            else:
                attrs[name] = self._attribute(name, value)
        return operands, attrs

    def _without_gaps(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Defaults of positional parameters that stand before one that was passed are passed too."""
        names = [n for n, p in self.signature.parameters.items() if p.kind in _POSITIONAL]
        last = max([k for k, name in enumerate(names) if name in arguments], default=-1)
        missing = {n: self.signature.parameters[n].default for n in names[: last + 1]}
        return {**missing, **arguments}

    def _is_operand(self, value: Any) -> bool:
        return is_operand(value) or (self.takes_numbers and isinstance(value, int))

    def _checked(self, name: str, value: Any) -> Any:
        if not self._is_operand(value):
            raise TypeError(f"{self.name}: {name} are arrays or floats, not {value!r:.60}")
        return value

    def _attribute(self, name: str, value: Any) -> Any:
        if isinstance(value, Value):
            raise failure(
                TraceError,
                f"{self.name}: {name} is an attribute, which must be known while tracing",
                "make it a positional parameter, or pass a number that is no traced value",
            )
        if isinstance(value, np.generic):
            value = value.item()
        try:
            hash(value)
        except TypeError:
            raise failure(
                UnsupportedError,
                f"{self.name}: {name} is a {type(value).__name__}, which is no array and could "
                "change unnoticed",
                "pass an array, or a tuple of numbers",
            ) from None
        return value

    def join(self, operands: Sequence[Any], attrs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments of the call that `split` takes apart so."""
        rest, args, kwargs = list(operands), [], dict(attrs)
        for name, parameter in self.signature.parameters.items():
            if parameter.kind in _POSITIONAL:
                if name in kwargs:
                    args.append(kwargs.pop(name))
                elif rest:
                    args.append(rest.pop(0))
                else:
                    break
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args += rest
                rest = []
        if rest:
            raise TypeError(f"{self.name} takes fewer than {len(operands)} operands")
        return tuple(args), kwargs
