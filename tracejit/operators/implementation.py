"""What every way to compute an operator has in common, and how types are written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..ir.graph import Node, parameter
from ..ir.term import Term
from ..ir.types import ArrayType, array_type, to_dtype
from .calls import Parameters, traced_result

GENERATED, FOREIGN, LIBRARY, PYTHON = "generated", "foreign", "library", "python"


class Application(Term):
    """Types of operands, which of them are scalars, and attributes: one use of an operator."""

    __slots__ = ("attributes", "scalars", "types")
    types: tuple[ArrayType, ...]
    scalars: tuple[str, ...]
    attributes: tuple[tuple[str, Any], ...]

    @property
    def attrs(self) -> dict[str, Any]:
        return dict(self.attributes)

    def scalar(self, position: int) -> str:
        """What an operand is where it is no array (calls.Operand)."""
        return self.scalars[position] if self.scalars else ""


class Implementation:
    """One way to compute an operator.

    `kind` names it where its author does not; `parameters` are those of a call, None where the
    operator's own serve; `nodes` is its meaning, as what it is made of.
    """

    kind: ClassVar[str] = GENERATED
    parameters: Parameters | None = None

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        """The results, as nodes over the operands. Raises what the definition raises for them."""
        raise NotImplementedError

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The results for NumPy's arrays."""
        raise NotImplementedError

    def types(self, call: Application) -> tuple[ArrayType, ...]:
        """The types of the results."""
        inputs = tuple([parameter(f"x{k}", type) for k, type in enumerate(call.types)])
        return tuple([node.type for node in self.nodes(inputs, call)])

    def built(self, given: list[Any], nodes: tuple[Node, ...], call: Application) -> Any:
        """What a call in a trace returns, of its results; `given` are the operands."""
        results = [traced_result(node) for node in nodes]
        return results[0] if len(results) == 1 else tuple(results)

    def results_of(self, returned: Any, call: Application) -> Any:
        """The results among what a call of the definition returned."""
        return returned


def contiguous(type: ArrayType) -> ArrayType:
    """The type of a value, wherever it lies."""
    return array_type(type.shape, type.dtype)


def type_of(array: Any) -> ArrayType:
    """The type of a value of NumPy's."""
    array = np.asarray(array)
    return array_type(array.shape, to_dtype(array.dtype))


def applied_to(operands: list[Any], attrs: dict[str, Any]) -> tuple[list[np.ndarray], Application]:
    """Operands outside of programs as arrays, and what use of an operator that is."""
    weak = (float, complex, int, bool)
    scalars = tuple([type(x).__name__ if type(x) in weak else "" for x in operands])
    arrays = [np.asarray(x) for x in operands]
    scalars = scalars if any(scalars) else ()
    types = tuple(map(type_of, arrays))
    return arrays, Application(types, scalars, tuple(sorted(attrs.items())))


def unique_name(wanted: str, is_taken: Callable[[str], bool]) -> str:
    """The name, or the first of `name_2`, `name_3`, ... that is free: names never change meaning."""
    stem = "".join(c if f"_{c}".isidentifier() else "_" for c in wanted).strip("_") or "op"
    stem = stem if stem.isidentifier() else f"op_{stem}"
    name, count = stem, 1
    while is_taken(name):
        count += 1
        name = f"{stem}_{count}"
    return name


def to_types(given: Any, what: str) -> tuple[ArrayType, ...]:
    """Types as a type rule gives them: an ArrayType, `(shape, dtype)`, or a list of these."""
    if isinstance(given, list):
        return tuple([one for item in given for one in to_types(item, what)])
    match given:
        case ArrayType():
            return (contiguous(given),)
        case (tuple() as shape, dtype):
            return (array_type(shape, to_dtype(getattr(dtype, "numpy", dtype))),)
    raise TypeError(
        f"{what} gave {given!r:.80}; a type is x.type of an operand, (shape, dtype), or a list of types"
    )


def as_results(values: list[np.ndarray]) -> Any:
    """Results as a function of NumPy's returns them."""
    found = [value[()] if value.ndim == 0 else value for value in values]
    return found[0] if len(found) == 1 else tuple(found)
