"""From where to where a `for` runs, and the op that it becomes: over numbers, or to an end that data tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...ir import ops
from ...ir.dims import plain, symbol, symbol_names
from ...ir.graph import Node, item
from ..array import Array
from ..context import Trace
from ..promotion import constant
from ..regions import Region
from ..value import Value, to_node
from .bodies import Bodies


class Span:
    """From where to where a loop runs; bounds that only data tells become extents of a scope."""

    def __init__(self, trace: Trace, start: Any, stop: Any, period: int):
        self.trace, self.period = trace, period
        self.start, self.stop = plain(start), plain(stop)
        self.first: Any = None
        self.last, self.extent = stop - 1, None
        if isinstance(start, Value) or isinstance(stop, Value):
            count = _at_least_zero(stop - start)
            self.first, self.count = start, count
            self.extent = symbol(trace.unique_name("m"), 0, None)
            self.start, self.stop = 0, self.extent
        elif period > 1:
            self.first, self.start, self.stop = start, 0, (stop - start) // period
        self.index = symbol(trace.unique_name("i"), self.start, self.stop - 1)
        if type(self.start) is int:
            trace.indices[symbol_names(self.index)[0]] = self.start

    def indices(self) -> Iterator[Array]:
        """The indices of the iterations of a pass, as the body sees them."""
        index = Array(ops.extent(value=self.index), True, int)
        if self.first is None:
            yield index
            return
        for number in range(self.period):
            yield self.first + number + index * self.period

    def loop(self, region: Region, bodies: Bodies, before: list[Node], breaks: bool) -> Node:
        (body,) = bodies.functions()
        more = {"breaks": True} if breaks else {}
        node = ops.for_loop(
            *before,
            *bodies.operands,
            index=self.index,
            start=self.start,
            stop=self.stop,
            body=body,
            carried=len(before),
            **more,
        )
        if self.extent is None:
            return node
        count = to_node(self.count)
        inside = Region(region.parent, region.start)
        around = Bodies(self.trace)
        parts = [node] if len(before) == 1 else [item(node, index=k) for k in range(len(before))]
        around.add("scoped", inside, parts)
        (scoped,) = around.functions()
        return ops.scope(count, *around.operands, extents=(self.extent,), body=scoped)


def _at_least_zero(count: Array) -> Array:
    node = to_node(count)
    return Array(ops.maximum(node, constant(0, node.type.dtype)), True, int)
