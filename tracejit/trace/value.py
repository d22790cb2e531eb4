"""What a traced value is, before it can do anything; and how other values become nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NotNumbers, ShapeError, TraceError
from ..ir import ops
from ..ir.dims import Dim, bind, symbols_of
from ..ir.graph import Function, Module, Node, item, operands_of, parameter
from ..ir.op import OPS
from ..ir.ops.create import ARRAY_LIMIT
from ..ir.reference import reference
from ..ir.term import postorder, terms_in
from ..ir.types import DType, TupleType, i64
from .broadcasting import shape_text
from .context import Trace, current_trace, failure, supported_dtype
from .layout import is_unlike_arrays
from .promotion import DEFAULT_DTYPES, Kind, cast, constant, result_dtype

# Larger values are not computed while tracing.
KNOWN_LIMIT = 1 << 16
# Up to so many elements they are kept.
KEPT_LIMIT = 1 << 10
# Ops whose results are not asked for then.
_NEVER_KNOWN = {"host_call", "draw", "for_loop", "while_loop", "branch", "scope"}


class ListOfValues:
    """What stands for a list whose length traced values decide: `array` has its items side by side."""

    array: Any


class Value:
    """A node of one trace. `is_scalar`: NumPy would have a scalar here, not an array of no axes.

    `weak` is float, complex, int or bool when plain Python would have a number of that type, which
    promotes weakly; then `is_scalar` is true as well.
    """

    __slots__ = ("__weakref__", "is_scalar", "owner", "weak")
    node: Node  # its value now; what is written changes it
    owner: Trace
    is_scalar: bool
    weak: type | None
    mask: Node | None = None  # by which a selection was made that is not an array yet

    @property
    def kind(self) -> Kind:
        """What promotion sees: a dtype, or a Python type when weak."""
        weak = self.weak
        return self.node.type.dtype.numpy if weak is None or weak is bool else weak


def node_of(value: Value) -> Node:
    """The node of `value`, which must belong to the trace in progress."""
    if value.owner is not current_trace():
        raise failure(
            TraceError,
            f"a traced value of type {value.node.type} is used outside the trace it belongs to",
            "return it from the jitted function instead of storing it somewhere",
        )
    return value.node


def to_operand(value: Any) -> tuple[Any, Kind] | None:
    """`(node, kind)`, or `(Python number, type)` when weak; None for what is not array-like."""
    if isinstance(value, Value):
        return node_of(value), value.kind
    kind = type(value)
    if kind is float or kind is int or kind is complex:
        return value, kind
    if isinstance(value, Dim):
        return extent_node(value), int
    if isinstance(value, bool | np.bool_):
        return ops.constant(value=bool(value), dtype=DEFAULT_DTYPES[bool]), _BOOL
    if isinstance(value, int | float | complex) and not isinstance(value, np.generic):
        base = next(base for base in (int, float, complex) if isinstance(value, base))
        return base(value), base
    if isinstance(value, np.generic | np.ndarray | list | tuple):
        node = to_node(value)
        return node, node.type.dtype.numpy
    return None


_BOOL = np.dtype(bool)


def to_node(value: Any, dtype: DType | None = None) -> Node:
    """What `np.asarray(value)` would hold, as a node; converted to `dtype` when that is given.

    Raises UnsupportedError for values that are no arrays of numbers.
    """
    node = _to_node(value, dtype)
    return node if dtype is None else cast(node, dtype)


def _to_node(value: Any, dtype: DType | None) -> Node:
    if isinstance(value, Value):
        return node_of(value)
    if isinstance(value, np.ndarray):
        return captured(value)
    if isinstance(value, np.generic):
        return ops.constant(value=value.item(), dtype=supported_dtype(value.dtype))
    if isinstance(value, Dim):
        return extent_node(value)
    if isinstance(value, bool | int | float | complex):
        if dtype is None:
            dtype = supported_dtype(np.asarray(value).dtype)
        return constant(value, dtype)
    if isinstance(value, list | tuple | range):
        if _has_values(value):
            return _stack([to_node(item) for item in value])
        return literal(np.asarray(value) if dtype is None else np.asarray(value, dtype.numpy))
    raise failure(
        NotNumbers,
        f"a {type(value).__name__} cannot be made an array of numbers",
        "pass arrays, numbers, or nested lists of numbers",
    )


def captured(array: np.ndarray) -> Node:
    """The hidden parameter for an ndarray that is not an argument."""
    if is_unlike_arrays(array):
        raise failure(
            NotNumbers,
            f"a {type(array).__name__} does not behave as plain arrays do",
            "convert it with np.asarray before the jitted function sees it",
        )
    trace = current_trace()
    if trace is None:
        raise failure(TraceError, "an array can be captured only while a function is traced")
    return trace.capture(array).storage.node


def literal(array: np.ndarray) -> Node:
    """An array made while tracing: part of the program while small, a hidden parameter beyond."""
    dtype = supported_dtype(array.dtype)
    if array.size > ARRAY_LIMIT:
        return captured(array)
    if array.ndim == 0:
        return ops.constant(value=array.item(), dtype=dtype)
    return ops.array(data=tuple(array.ravel().tolist()), shape=array.shape, dtype=dtype)


def extent_node(extent: int | Dim) -> Node:
    """The number an extent is at run time."""
    return constant(extent, i64) if type(extent) is int else ops.extent(value=extent)


def _has_values(items: Any) -> bool:
    return any(
        isinstance(item, Value | Dim) or (isinstance(item, list | tuple) and _has_values(item))
        for item in items
    )


def _stack(nodes: list[Node]) -> Node:
    """Equal shapes side by side along a new first axis, in their common dtype."""
    dtype = result_dtype(*[node.type.dtype.numpy for node in nodes])
    shapes = {node.type.shape for node in nodes}
    if len(shapes) > 1:
        listed = " ".join(shape_text(node.type.shape) for node in nodes)
        raise failure(
            ShapeError,
            f"setting an array element with a sequence: the parts have shapes {listed}",
            "make them equal, or use np.concatenate",
        )
    shape = (1, *shapes.pop())
    rows = [ops.reshape(cast(node, dtype), shape=shape) for node in nodes]
    return ops.concatenate(*rows, axis=0) if len(rows) > 1 else rows[0]


def known_value(node: Node) -> Any:
    """The NumPy value of a node that depends on no argument; None when it does, or is large.

    Captured arrays are known too; the trace remembers that their values were used. What was found
    out about a node is kept: a program that Python runs asks again and again.
    """
    if not may_be_known(node):
        return None
    trace = current_trace()
    kept: dict[Node, Any] = {} if trace is None else trace.known
    values: dict[Node, Any] = {}
    for found in postorder((node,), lambda n: () if n in kept else operands_of(n)):
        if found in kept:
            values[found] = kept[found]
        elif found.op is OPS["parameter"]:
            values[found] = trace.contents_of(found)
        else:
            operands = [values[operand] for operand in found.operands]
            with np.errstate(all="ignore"):
                values[found] = found.op.reference(*operands, **found.attrs)
            if np.size(values[found]) <= KEPT_LIMIT:
                kept[found] = values[found]
    return values[node]


def may_be_known(node: Node) -> bool:
    """Whether a node is small and depends on no argument."""
    trace = current_trace()
    can_be: dict[Node, bool] = {} if trace is None else trace.can_be_known
    for found in postorder((node,), lambda n: () if n in can_be else operands_of(n)):
        if found not in can_be:
            can_be[found] = _can_be_known(found, can_be)
    return can_be[node]


def _can_be_known(node: Node, can_be: dict[Node, bool]) -> bool:
    size = getattr(node.type, "size", 0)
    if type(size) is not int or size > KNOWN_LIMIT or node.op.name in _NEVER_KNOWN:
        return False
    if any(_has_dims(value) for _, value in node.attributes):
        return False
    if node.op is OPS["parameter"]:
        trace = current_trace()
        return trace is not None and trace.captured_by(node) is not None
    return all(can_be[operand] for operand in node.operands)


def _has_dims(attribute: Any) -> bool:
    if type(attribute) is tuple:
        return any(map(_has_dims, attribute))
    return isinstance(attribute, Dim)


def value_at_hand(node: Node) -> np.ndarray:
    """The value of any node for the arguments that are being traced, which the trace knows.

    In a loop's body, that of its first iteration.
    """
    trace = current_trace()
    assert trace is not None
    extents = trace.extents | trace.indices
    for binding in trace.bindings:  # each may be made of those before it
        found = _value_of(trace, binding.value, extents)
        extents[symbols_of(binding.extent)[0].name] = int(found)
    return np.asarray(_value_of(trace, node, extents))


def _value_of(trace: Trace, node: Node, extents: dict[str, int]) -> Any:
    """The value of a node where extents are these numbers."""
    values, firsts = trace.values, trace.firsts

    def below(found: Node) -> tuple[Node, ...]:
        if found in values:
            return ()
        return (firsts[found],) if found in firsts else found.operands

    for found in postorder((node,), below):
        if found in values:
            continue
        if found in firsts:
            values[found] = values[firsts[found]]
        elif found.op is OPS["parameter"]:
            capture = trace.captured_by(found)
            assert capture is not None
            values[found] = capture.bound
        else:
            operands = [values[operand] for operand in found.operands]
            values[found] = _computed(found, operands, extents)
    return values[node]


def _computed(node: Node, operands: list[Any], extents: dict[str, int]) -> Any:
    """The value of a node with these operands."""
    if _calls_out(node):  # which is not done for the sake of a value: any one will do
        return _anything(node.type, extents)
    if node.op.name in _NEVER_KNOWN:  # what runs Functions is left to what runs Functions
        inputs = tuple(
            [parameter(f"x{k}", operand.type) for k, operand in enumerate(node.operands)]
        )
        made = Node(node.op, inputs, node.attributes)
        is_tuple = isinstance(node.type, TupleType)
        parts = [item(made, index=k) for k in range(len(node.type.items))] if is_tuple else [made]
        module = Module(Function("at_hand", inputs, tuple(parts)))
        return reference(module, *operands, extents=extents)
    attrs = {key: _with_extents(value, extents) for key, value in node.attributes}
    with np.errstate(all="ignore"):
        return node.op.reference(*operands, **attrs)


def _calls_out(node: Node) -> bool:
    """Whether bodies of a node call functions with effects."""
    functions = [t for _, value in node.attributes for t in terms_in(value)]
    reached = [f for t in functions if isinstance(t, Function) for f in Module(t).functions]
    inner = [found for function in reached for found in getattr(function, "nodes", ())]
    return any(map(ops.has_effects, inner))


def _anything(type: Any, extents: dict[str, int]) -> Any:
    """Some value of a type."""
    if isinstance(type, TupleType):
        return tuple([_anything(part, extents) for part in type.items])
    return np.zeros(_with_extents(type.shape, extents), type.dtype.numpy)


def _with_extents(attribute: Any, extents: dict[str, int]) -> Any:
    """An attribute with numbers for unknown extents."""
    if isinstance(attribute, Dim):
        return bind(attribute, extents)
    if type(attribute) is tuple:
        return tuple([_with_extents(item, extents) for item in attribute])
    return attribute
