"""Operands with a border of one value, as pictures have in convolutions.

Schedules read such an operand as if it lay in memory, border and all (`Padded.buffer`). What they do not
copy themselves, line by line (lines.py), is written as a whole before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.dims import Dim
from ....ir.expressions import integer
from ....ir.graph import Node
from ....ir.tensor import (
    Allocate,
    Buffer,
    Expression,
    For,
    Index,
    Literal,
    Load,
    Statement,
    Store,
    expressions_of,
    is_shared,
    parts,
    statements,
)
from ....ir.term import postorder
from ....ir.types import array_type
from ...elements import Composer, Position
from ...graph.groups import padded_part

Body = tuple[Statement, ...]

FEW = 4  # elements in line: too few for lanes
FEWEST_SHARED = 1 << 14  # elements that threads write together


class Padded(NamedTuple):
    """An operand that is a `pad`: the memory that it would be, and what is in it."""

    node: Node
    buffer: Buffer
    composer: Composer

    @property
    def fill(self) -> Expression:
        return self.composer.value(self.node.operands[1], ())

    def element(self, at: Position) -> Expression:
        """The element at an index, which may be in the border."""
        return self.composer.apply(self.node, at)

    def inner(self, at: Position) -> Expression:
        """The element at an index that is inside."""
        source, _ = self.node.operands
        low = self.node.attrs["low"]
        place = [expressions.subtract(i, integer(before)) for i, before in zip(at, low)]
        return self.composer.value(source, tuple(place))

    def inside(self, axis: int) -> tuple[int, int]:
        """The first index inside of the border, and the first behind."""
        low = self.node.attrs["low"][axis]
        return low, low + self.node.operands[0].type.shape[axis]


class Part(NamedTuple):
    """A stretch of an axis: where it begins, and its length, which may be unknown if that is all of it."""

    start: Expression
    extent: int | Dim


def padded_operands(operands: Iterable[Node], composer: Composer) -> dict[Node, Padded]:
    """The `pad`s that operands of a contraction are parts of, or windows on."""
    found: dict[Node, Padded] = {}
    for operand in operands:
        node = padded_part(operand)
        if node is not None and node not in found:
            type = array_type(node.type.shape, node.type.dtype)
            found[node] = Padded(node, Buffer(f"padded{len(found)}", type, "local"), composer)
    return found


def known_size(shape: Iterable[int | Dim]) -> int:
    """How many elements there are at least: an unknown extent counts as 1."""
    return prod(extent for extent in shape if isinstance(extent, int))


def with_padding(padded: Iterable[Padded], body: Body, lanes: int) -> Body:
    """`body`, and before it all that it reads of padded operands."""
    read = {
        e.buffer
        for statement in statements(body)
        for e in postorder(tuple(expressions_of(statement)), parts)
        if isinstance(e, Load)
    }
    before: Body = ()
    for one in padded:
        if one.buffer in read:
            whole = [Part(tensor.ZERO, extent) for extent in one.buffer.type.shape]
            large = known_size(one.buffer.type.shape) >= FEWEST_SHARED
            threads = large and any(map(is_shared, statements(body)))
            before += (Allocate(one.buffer), *written(one, one.buffer, whole, lanes, threads))
    return before + body


def written(
    padded: Padded, memory: Buffer, part: Sequence[Part], lanes: int, threads: bool = False
) -> Body:
    """Write a part of a padded operand to `memory`, from its beginning on.

    Along each axis there is what is before the inside, the inside, and what is behind: no element is
    tested. Threads share the inside of the widest axis.
    """
    places = [Index(f"at{axis}") for axis in range(len(part))]
    extents = [stretch.extent for stretch in part[:-1]]
    unknown = [axis for axis, extent in enumerate(extents) if not isinstance(extent, int)]
    shared = (
        max(range(len(extents)), key=extents.__getitem__, default=-1) if not unknown else unknown[0]
    )

    def loop(axis: int, start: Expression, stop: Expression, body: Body, mark: str) -> Body:
        if isinstance(start, Literal) and isinstance(stop, Literal) and start.value >= stop.value:
            return ()
        if axis == len(part) - 1 and part[axis].extent in range(FEW + 1):
            return (For(places[axis], start, stop, body, "unroll", 1),)
        if axis == len(part) - 1:
            return (For(places[axis], start, stop, body, "vector", lanes),)
        return (For(places[axis], start, stop, body, mark, 1),)

    def along(axis: int, is_inside: bool, mark: str) -> Body:
        if axis == len(part):
            at = [expressions.add(stretch.start, place) for stretch, place in zip(part, places)]
            value = padded.inner(tuple(at)) if is_inside else padded.fill
            return (Store(memory, tuple(places), value),)
        own, inner = ("serial", mark) if axis != shared else (mark, "serial")
        start, extent = part[axis]
        end = expressions.extent(extent)
        border = padded.inside(axis)
        if not is_inside or border == (0, padded.node.type.shape[axis]):
            return loop(axis, tensor.ZERO, end, along(axis + 1, is_inside, inner), own)
        # From one edge to the next, as far as they are in the part.
        edges = [expressions.subtract(integer(edge), start) for edge in border]
        starts = [expressions.maximum(edge, tensor.ZERO) for edge in edges]
        stops = [expressions.minimum(edge, end) for edge in edges]
        outside = along(axis + 1, False, "serial")
        return (
            *loop(axis, tensor.ZERO, stops[0], outside, "serial"),
            *loop(axis, starts[0], stops[1], along(axis + 1, True, inner), own),
            *loop(axis, starts[1], end, outside, "serial"),
        )

    return along(0, True, "parallel" if threads else "serial")
