"""Strips of a group of which one axis that each row is made of is gone through in blocks.

Of the longest values of a strip, the scores of a softmax or the rows of a product that are reduced, only a
block is kept; what has been seen of a row so far is in small buffers. So a strip takes the same memory
however long a row is, and may be of many rows, all of which use what is read for a block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.graph import Function, Kernel, Node, call
from ...ir.tensor import (
    Allocate,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Literal,
    Statement,
    by_one_thread,
)
from ...ir.term import postorder
from ...ir.types import array_type
from .regions import Moving, region
from .rename import Renaming
from .strips_of_groups import Body, Strips
from .substitute import substitute
from .window import BLOCK, STRIP, Window

ROWS = 192  # of a strip: what a block is made of is packed, and read, once for so many


class Lowering(NamedTuple):
    """How calls become Kernels in lanes: a part of one, one as a whole; and plain loops."""

    part: Callable[..., Kernel | None]
    whole: Callable[[Node], Kernel]
    in_lanes: Callable[[Kernel], Kernel]


class BlocksOfRows(Strips):
    """Strips whose rows are made block by block; how calls become Kernels is told by `lowering`."""

    lowering: Lowering
    count: int  # of whole blocks

    def most_rows(self, rows: int) -> int:
        return ROWS

    def is_worth(self, plan: Any, count: int) -> bool:
        return True

    def read(
        self, node: Node, kernel: Kernel, operand: Node, strips: Mapping[Index, tuple[int, int]]
    ) -> Window | None:
        """The part of an operand of a call that its Kernel reads in a strip."""
        buffer = kernel.inputs[node.operands.index(operand)]
        sides = region(kernel.body, buffer, strips)
        if not sides:
            return None
        return tuple([side.inside(n, strips) for side, n in zip(sides, operand.type.shape)])

    def of_blocks(self, inner: Body) -> tuple[Body, Body]:
        """What is the same for all strips, such as packed keys, made for all blocks at once; and the rest."""
        before, inner = self.hoisted(inner, STRIP)
        made = [s.buffer for s in before if isinstance(s, Allocate)]
        if not made:
            return (), inner
        extents = {b: array_type((self.count, *b.type.shape), b.type.dtype) for b in made}
        stacked = _Stacked({b: Buffer(b.name, type, "local") for b, type in extents.items()})
        work = stacked.body(s for s in before if not isinstance(s, Allocate))
        own = by_one_thread(work)
        loop = For(
            BLOCK, tensor.ZERO, integer(self.count), own, "serial" if own == work else "parallel", 1
        )
        return (*map(Allocate, stacked.names.values()), loop), stacked.body(inner)

    def of_strip(self, inner: Body) -> tuple[Body, Body]:
        """What is the same for all blocks of a strip, such as its copied rows; and the rest."""
        return self.hoisted(_unwrapped(inner), BLOCK)

    def placed(
        self,
        node: Node,
        kernel: Kernel,
        near: Mapping[Node, tuple[Buffer, Window]],
        out: Buffer,
        window: Window | None = None,
    ) -> Body:
        """The statements of a part of a call: of what is `near` there is only a part, of `out` all or that."""
        new: dict[Any, Any] = {}
        offsets: dict[Buffer, tuple[Expression, ...]] = {}
        for operand, buffer in zip(node.operands, kernel.inputs):
            if operand in near:
                new[buffer], part = near[operand]
                offsets[buffer] = tuple([expressions.multiply(s.start, integer(-1)) for s in part])
            else:
                new[buffer] = self.inputs[operand]
        (own,) = kernel.fresh
        new[own] = out
        if window is not None:
            offsets[own] = tuple([side.start for side in window])
        return Moving(new | self.names.of_body(kernel.body), offsets).body(kernel.body)

    def near_loops(self, body: Body, *near: Buffer) -> Body:
        """Plain loops over these buffers, in lanes."""
        given = {buffer: Buffer(buffer.name, buffer.type, tensor.UPDATED) for buffer in near}
        kernel = Kernel("near", tuple(given.values()), 0, Renaming(given).body(body))
        kernel = self.lowering.in_lanes(kernel)
        back = {own: buffer for buffer, own in given.items()}
        return Renaming(back | self.names.of_body(kernel.body)).body(kernel.body)


def _unwrapped(body: Body) -> Body:
    """What is in loops of one iteration, in their places, where it declares nothing that is there already."""
    found: list[Statement] = []
    declared = {s for s in body if isinstance(s, Allocate | Let)}
    for statement in body:
        match statement:
            case For(index, tensor.ZERO, tensor.ONE, _, "serial"):
                inner = _unwrapped(substitute(statement.body, {index: tensor.ZERO}))
                own = {s for s in inner if isinstance(s, Allocate | Let)}
                if declared.isdisjoint(own):
                    declared |= own
                    found += inner
                    continue
        found.append(statement)
    return tuple(found)


class _Stacked(Renaming):
    """Statements on buffers of which there is one for each block."""

    def place(self, buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
        return (BLOCK, *indices) if buffer in self.names else super().place(buffer, indices)


def nest(index: tuple, shape: tuple, body: Body) -> Body:
    """Loops around a body, the first outermost."""
    for i, extent in zip(reversed(index), reversed(shape)):
        body = (For(i, tensor.ZERO, integer(extent), body, "serial", 1),)
    return body


def top_or_zero(top: Expression) -> Expression:
    """What exponentials are less by: the largest number of a row so far; -inf less -inf would be no number."""
    is_none = expressions.compare("equal", top, Literal(-inf, top.dtype))
    return expressions.select(is_none, Literal(0.0, top.dtype), top)


def called(name: str, result: Node) -> Node:
    """A call of a Function with this result, on its own parameters."""
    nodes = postorder((result,), lambda node: node.operands)
    parameters = tuple([node for node in nodes if node.op.name == "parameter"])
    return call(*parameters, callee=Function(name, parameters, (result,)))
