"""Numbers that a program computes, as extents: the positions and bounds that slices are made of.

The index of a loop is an unknown, and so are sums and multiples of it: slices take them as they are.
Another number becomes an unknown with bounds of its own by being *bound*: what depends on it is, in
the end, put into a `scope`, which says what the unknown is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import TraceError
from ..ir import ops
from ..ir.dims import Dim, Symbol, highest, is_never_negative, symbol
from ..ir.graph import Function, Node, item, operands_of, parameter, substitute
from ..ir.op import CREATION
from ..ir.ops.control import unknown_of
from ..ir.syntax import symbol_names
from ..ir.term import location_of, postorder, terms_in
from ..ir.types import ArrayType, DType, TupleType, array_type, i64
from .broadcasting import AGREED, is_told_by_data
from .context import current_trace, failure
from .location import with_source
from .promotion import constant
from .value import extent_node


class Binding(NamedTuple):
    """An unknown, and the number that it is."""

    extent: Dim
    value: Node


def to_dim(node: Node, dtypes: tuple[DType, ...] = (i64,)) -> int | Dim | None:
    """The extent that a 0-d number of one of these dtypes is; None for one that is computed in another way."""
    if node.type.dtype not in dtypes or node.type.ndim:
        return None
    known: dict[Node, Any] = {}
    for found in postorder((node,), lambda n: n.operands if n.op in _ARITHMETIC else ()):
        parts = [known[operand] for operand in found.operands] if found.op in _ARITHMETIC else []
        if found.op is ops.extent or found.op is ops.constant and found.type.dtype in dtypes:
            value = found.attrs["value"]
            known[found] = int(value) if type(value) is float and value.is_integer() else value
        elif not parts or found.type.dtype not in dtypes:
            known[found] = None
        elif None in parts or float in map(type, parts):
            known[found] = None
        else:
            known[found] = _ARITHMETIC[found.op](*parts)
    return known[node]


_ARITHMETIC = {
    ops.add: lambda a, b: a + b,
    ops.subtract: lambda a, b: a - b,
    ops.multiply: lambda a, b: a * b,
    ops.negative: lambda a: -a,
    ops.cast: lambda a: a,
}


def is_computed(value: Any) -> bool:
    """Whether the extents in a type, or in attributes, have unknowns that the program computes."""
    if isinstance(value, ArrayType):
        value = value.shape
    if type(value) is tuple:
        return any(map(is_computed, value))
    return is_told_by_data(value)


def position_in(extent: int | Dim, index: int | Dim) -> int | Dim | None:
    """Where along an axis an index certainly is, counted from its start; None when that is not sure."""
    if is_never_negative(index) and is_never_negative(extent - 1 - index):
        return index
    if is_never_negative(-1 - index) and is_never_negative(index + extent):
        return index + extent
    return None


def bound(value: Node, least: int | Dim, most: int | Dim, name: str = "size") -> int | Dim:
    """The extent that is `value` at run time, a number that is certainly between two extents."""
    found = to_dim(value)
    if found is not None and is_never_negative(found - least) and is_never_negative(most - found):
        return found
    trace = current_trace()
    if trace is None or trace.lacks_ints:
        raise failure(
            TraceError,
            "a slice needs its bounds while tracing, but this one depends on the arguments",
            "name the argument in static_argnames, or select with np.where",
        )
    for binding in trace.bindings:
        unknown = unknown_of(binding.extent)
        if binding.value is value and (unknown.least, unknown.most) == (least, most):
            return binding.extent
    extent = symbol(trace.unique_name(f"{name}_"), least, most)
    trace.bindings.append(Binding(extent, value))
    return extent


def agreed(extents: Sequence[int | Dim], use: int) -> int | Dim:
    """The extent that all of these are when the program runs, which checks it."""
    trace = current_trace()
    assert trace is not None
    first, *rest = extents
    for other in rest:
        if not _equals(trace, first) & _equals(trace, other):
            value = ops.same_extent(extent_node(first), extent_node(other), constant(use, i64))
            trace.locate(value)
            first = bound(value, 0, other if type(other) is int else first, "common")
        elif first in _equals(trace, other):
            first = other
    return first


def _equals(trace: Any, extent: int | Dim) -> set[int | Dim]:
    """The extents that are known to be equal to one, as it was made of them."""
    found = {extent}
    for binding in trace.bindings:
        if binding.extent == extent and binding.value.op is ops.same_extent:
            for operand in binding.value.operands[:2]:
                known = to_dim(operand)
                found |= set() if known is None else _equals(trace, known)
    return found


AGREED.append(agreed)


def clamped(bound_: Node, extent: int | Dim) -> Node:
    """A bound of a slice as Python takes it: from the end where negative, and within the axis."""
    n, zero = extent_node(extent), constant(0, i64)
    from_end = ops.maximum(ops.add(bound_, n), zero)
    return ops.where(ops.less(bound_, zero), from_end, ops.minimum(bound_, n))


def window_of(start: Any, stop: Any, extent: int | Dim) -> tuple[int | Dim, int | Dim]:
    """The first position of `start:stop` along an axis, and the one after the last.

    The bounds are None, ints, Dims, or nodes.
    """
    if is_computed((extent,)):
        if type(start) is int and start > 0 and stop is None:
            count = _without(start, extent)
            return extent - count, extent
        if type(stop) is int and stop < 0 and (start is None or start == 0):
            return 0, _without(-stop, extent)
    low = 0 if start is None else _place(start, extent)
    high = extent if stop is None else _place(stop, extent)
    if not isinstance(low, Node) and not isinstance(high, Node) and is_never_negative(high - low):
        return low, high
    first = low if isinstance(low, Node) else extent_node(low)
    last = high if isinstance(high, Node) else extent_node(high)
    if isinstance(low, Node):
        low = bound(low, 0, extent, "start")
    count = ops.maximum(ops.subtract(last, first), constant(0, i64))
    return low, low + bound(count, 0, extent - low)


def _without(ends: int, extent: Dim) -> int | Dim:
    """How many elements are left without so many at an end, of as many as only data tells."""
    if is_never_negative(extent - ends):
        return extent - ends
    rest = ops.subtract(extent_node(extent), constant(ends, i64))
    return bound(ops.maximum(rest, constant(0, i64)), 0, extent)


def _place(bound_: Any, extent: int | Dim) -> int | Dim | Node:
    """A bound of a slice, within the axis: an extent where it is known to be, else a node."""
    dim = to_dim(bound_) if isinstance(bound_, Node) else bound_
    if dim is not None:
        if is_never_negative(dim):
            if is_never_negative(extent - dim):
                return dim
            if is_never_negative(dim - extent):
                return extent
        elif is_never_negative(-1 - dim):
            if is_never_negative(dim + extent):
                return dim + extent
            if is_never_negative(-dim - extent):
                return 0
    return clamped(bound_ if isinstance(bound_, Node) else extent_node(bound_), extent)


def filled_up(node: Node, number: int) -> tuple[Node, Node]:
    """An array of as many rows as `node` may have, the first of which are its own, and how many those
    are; `number` tells such arrays of a program apart."""
    own = node.type.shape[0]
    while _is_first_rows(node):  # the others are there already
        node = node.operands[0]
    count, *rest = node.type.shape
    if not is_computed((count,)):
        return node, extent_node(own)
    most = highest(count)
    if most is None or is_computed(tuple(rest)):
        raise failure_at(node)
    room = ops.unset(shape=(most, *rest), dtype=node.type.dtype, number=number)
    starts, steps = (0,) * node.type.ndim, (1,) * node.type.ndim
    filled = ops.update(room, node, start=starts, stop=node.type.shape, step=steps)
    return filled, extent_node(own)


def _is_first_rows(node: Node) -> bool:
    """Whether these are the first rows of an array, each of them whole."""
    if node.op is not ops.slice_ or node.type.ndim == 0:
        return False
    whole = node.operands[0].type.shape
    starts, stops, steps = [node.attrs[name] for name in ("start", "stop", "step")]
    return not any(starts) and set(steps) == {1} and stops[1:] == whole[1:]


def failure_at(node: Node) -> TraceError:
    """The error for a result whose shape only data tells."""
    return TraceError(
        f"the shape of a result, {node.type}, depends on the values of arguments",
        with_source(location_of(node)),
        "name the argument in static_argnames, or return an array of a known shape",
    )


# Scopes.


def scoped(results: Sequence[Node], bindings: Sequence[Binding]) -> tuple[Node, ...]:
    """The same results, where what depends on bound unknowns is computed in scopes that say what they are."""
    results, rest = tuple(results), list(bindings)
    while rest:
        group = [rest.pop()]
        while rest and not _mention(rest[-1], [binding.value for binding in group]):
            group.insert(0, rest.pop())
        results = _in_scope(results, group)
    return results


def _mention(binding: Binding, nodes: list[Node]) -> bool:
    return bool(_dependent(nodes, {unknown_of(binding.extent)}))


def _dependent(results: Sequence[Node], unknowns: set[Symbol]) -> set[Node]:
    """The nodes below `results` that depend on these unknowns."""
    names = {unknown.name for unknown in unknowns}
    found: set[Node] = set()
    for node in postorder(results, operands_of):
        if any(operand in found for operand in node.operands) or names & _mentioned(node):
            found.add(node)
    return found


def _mentioned(node: Node) -> set[str]:
    """The names of the unknowns that a node mentions, in its bodies too."""
    values = [value for _, value in node.attributes]
    found = symbol_names((node.type, *values))
    for function in [t for value in values for t in terms_in(value)]:
        if isinstance(function, Function):
            found |= {name for inner in function.nodes for name in _mentioned(inner)}
    return found


def _in_scope(results: tuple[Node, ...], group: list[Binding]) -> tuple[Node, ...]:
    inside = _dependent(results, {unknown_of(binding.extent) for binding in group})
    own = list(dict.fromkeys([result for result in results if result in inside]))
    if not own:
        return results
    extents = tuple([binding.extent for binding in group])
    unknowns = {unknown_of(extent).name for extent in extents}
    for result in own:
        if symbol_names(result.type) & unknowns:
            raise failure_at(result)
    reads: dict[Node, Node] = {}
    for node in postorder(own, operands_of):
        for operand in node.operands if node in inside else ():
            if operand not in inside and not _is_made_anywhere(operand):
                name = f"a{len(reads)}"
                reads.setdefault(operand, parameter(name, array_type_of(operand)))
    body = Function("sized", tuple(reads.values()), substitute(own, dict(reads)))
    values = [binding.value for binding in group]
    node = ops.scope(*values, *reads, extents=extents, body=body)
    new = (node,)
    if isinstance(node.type, TupleType):
        new = tuple([item(node, index=k) for k in range(len(own))])
    taken = dict(zip(own, new))
    return tuple([taken.get(result, result) for result in results])


def _is_made_anywhere(node: Node) -> bool:
    """Whether a scope makes a value itself: what needs no operands, and room that nobody else has seen."""
    return node.op.kind == CREATION or node.op is ops.unset


def array_type_of(node: Node) -> Any:
    """The type of a body's parameter for an operand."""
    return array_type(node.type.shape, node.type.dtype)
