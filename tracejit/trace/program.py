"""What a trace found: the graph, how arguments are taken and results made, what it depends on."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..ir import ops
from ..ir.graph import Function, Module, Node, is_updated
from ..ir.op import OPS
from ..ir.refusal import LEFT_TO_NUMPY
from ..ir.types import ArrayType
from .context import is_same
from .shadows import items_of
from .tree import Structure
from .unread import AT_POSITIONS
from .views import Steps


class Traced(NamedTuple):
    """An argument leaf that is an input of the program: a parameter of this type.

    `is_scalar`: it came as a NumPy scalar; `weak`: as a Python number of that type. `can_write`: an
    array that NumPy lets be written; `same_as`: the leaf whose memory it is, element for element.
    """

    type: ArrayType
    is_scalar: bool = False
    weak: type | None = None
    can_write: bool = True
    same_as: int | None = None


class Static(NamedTuple):
    """An argument leaf the program is made for."""

    value: Any


class NodeOutput(NamedTuple):
    """A result: an array, a NumPy scalar, or a Python number of type `weak`.

    `index` counts the function's results without the values of its updated parameters.
    """

    index: int
    is_scalar: bool = False
    weak: type | None = None


class ArgumentOutput(NamedTuple):
    """The very object that came in as leaf number `leaf`."""

    leaf: int


class ObjectOutput(NamedTuple):
    """Always this object."""

    value: Any


class ViewOutput(NamedTuple):
    """A view of another output's array, whose type is `type`, by these steps."""

    base: NodeOutput | ArgumentOutput | ObjectOutput
    type: ArrayType
    steps: Steps


Leaf = Traced | Static


class FirstOutput(NamedTuple):
    """The first rows of another output's array, as many as a third one says."""

    base: NodeOutput
    count: NodeOutput


Output = NodeOutput | ArgumentOutput | ObjectOutput | ViewOutput | FirstOutput


@dataclass(frozen=True, eq=False)
class Program:
    """What a trace found.

    function    the graph: one parameter per traced leaf, in order, then one per capture.
    leaves      how each argument leaf was taken, in `flatten_arguments`' order.
    written     the numbers of the leaves that are arrays the function writes to.
    captures    the arrays behind the hidden parameters, by identity, each laid out as the type
                of its parameter says.
    structure   of the result, and `outputs`, its leaves.
    guards      `(dict, key, object)`: the program holds while `dict[key] is object`.
    cells       `(cell, object)`: and while `cell.cell_contents is object`.
    snapshots   `(list, items)`: and while the list holds these very objects.
    slots       `(object, name, value)`: and while the object's attribute is that very object.
    others      `(container, items)`: and while another kind of container holds these very objects.
    entries     `(dict, count)`: and while the dict has so many keys.
    contents    `(array, copy)`: and while this captured array still holds these very values.
    made        what calls of Python functions gave while tracing, for the first run (ir/host.py).
    has_failed  such a call raised, and the function went on: it is so for these arguments only.
    handles     the function may handle what compiled code raises.
    """

    function: Function
    leaves: tuple[Leaf, ...]
    written: tuple[int, ...]
    captures: tuple[np.ndarray, ...]
    structure: Structure
    outputs: tuple[Output, ...]
    guards: tuple[tuple[dict, str, Any], ...] = field(repr=False)
    cells: tuple[tuple[types.CellType, Any], ...] = field(repr=False)
    snapshots: tuple[tuple[list, list], ...] = field(repr=False)
    slots: tuple[tuple[Any, str, Any], ...] = field(repr=False)
    others: tuple[tuple[Any, list], ...] = field(repr=False)
    entries: tuple[tuple[dict, int], ...] = field(repr=False)
    contents: tuple[tuple[np.ndarray, np.ndarray], ...] = field(repr=False)
    made: list = field(default_factory=list, repr=False)
    has_failed: bool = False
    handles: bool = False

    @cached_property
    def host_calls(self) -> tuple[Node, ...]:
        """Where the program calls Python."""
        functions = Module(self.function).functions
        nodes = [node for function in functions for node in function.nodes]
        return tuple([node for node in nodes if node.op is OPS["host_call"]])

    def targets(self, leaves: Sequence[Any]) -> list[np.ndarray]:
        """The arrays that a call with these leaves writes to: arguments, and captured ones."""
        return [*[leaves[k] for k in self.written], *[a for a, written in self.captured if written]]

    @cached_property
    def captured(self) -> tuple[tuple[np.ndarray, bool], ...]:
        """The captured arrays, each with whether the function writes to it."""
        inputs = self.function.parameters[len(self.function.parameters) - len(self.captures) :]
        return tuple([(a, is_updated(node)) for a, node in zip(self.captures, inputs)])

    @property
    def writes(self) -> bool:
        """Whether the function writes to arrays from outside, arguments or captured ones."""
        return bool(self.function.updated)

    @property
    def calls_python(self) -> bool:
        """Whether what it does may turn out to be for other arguments only."""
        return self.has_failed or bool(self.host_calls) or self.assumes

    @cached_property
    def assumes(self) -> bool:
        """Whether the types of results depend on values, and it was made for those at hand."""
        functions = [f for f in Module(self.function).functions if isinstance(f, Function)]
        return any(node.op is OPS["assumed"] for f in functions for node in f.nodes)

    @cached_property
    def may_fail(self) -> bool:
        """Whether there is no result for some matrices, where NumPy raises LinAlgError, or numbers."""
        functions = [f for f in Module(self.function).functions if isinstance(f, Function)]
        return any(_may_fail(node) for function in functions for node in function.nodes)

    @cached_property
    def is_handled(self) -> bool:
        """Whether it may raise what the function handles."""
        functions = [f for f in Module(self.function).functions if isinstance(f, Function)]
        return self.handles and any(
            map(_may_raise, chain.from_iterable(f.nodes for f in functions))
        )

    @property
    def needs_recovery(self) -> bool:
        """Whether the function itself may have to run after all, and find its arguments unchanged."""
        return self.calls_python or self.is_handled or (self.may_fail and self.writes)

    @property
    def is_guarded_natively(self) -> bool:
        """Whether the guards say it all, so that code can check what the program depends on."""
        arrays = [leaf for leaf in self.leaves if isinstance(leaf, Traced)]
        if any(not leaf.can_write or leaf.same_as is not None for leaf in arrays):
            return False
        named = all(type(key) is str for _, key, _ in self.guards)
        return named and not (self.slots or self.others or self.contents or self.needs_recovery)

    def is_current(self) -> bool:
        """Whether everything the trace has seen outside is still what it was."""
        return (
            all(names.get(key, _MISSING) is value for names, key, value in self.guards)
            and all(_contents_of(cell) is value for cell, value in self.cells)
            and all(_is_unchanged(kept, items) for kept, items in self.snapshots)
            and all(getattr(held, name, _MISSING) is value for held, name, value in self.slots)
            and all(_is_unchanged(items_of(kept), items) for kept, items in self.others)
            and all(len(names) == count for names, count in self.entries)
            and all(is_same(array, before) for array, before in self.contents)
        )


def _may_raise(node: Node) -> bool:
    return node.op in AT_POSITIONS or bool(ops.refusals_of(node))


def _may_fail(node: Node) -> bool:
    return any(issubclass(report.kind, LEFT_TO_NUMPY) for report in ops.refusals_of(node))


_MISSING = object()


def _contents_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the variable was deleted
        return _MISSING


def _is_unchanged(kept: list, items: list) -> bool:
    return len(kept) == len(items) and all(a is b for a, b in zip(kept, items))
