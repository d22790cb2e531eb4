"""Cumulative ops as loops: a running value along one axis, stored at every step.

Along the last axis that value is a variable, which lanes may share (ir/running.py). Along another
axis of a large array there is one for each of a block of columns, in a row of their own that stays
in the nearest cache, so that memory is read and written row by row:

    for b: total[:] = neutral; for i: for j: total[j] += x[i, b + j]; out[i, b + j] = total[j]
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.graph import Function, Kernel, Node
from ...ir.running import OPS, neutral
from ...ir.tensor import (
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
)
from ...ir.types import array_type
from ..elements import axis_indices
from ..machine import USUAL, Machine

# A smaller array is in the nearest cache, where it does not matter how its columns are walked down.
LARGE_BYTES = 32 << 10
# Of a block's row: long enough to be read in one go, and short enough for its running values to stay in the
# nearest cache, or in the second one while what is added to them comes from memory.
LEAST_BLOCK, MOST_BLOCK, MOST_FROM_MEMORY = 512, 16 << 10, 64 << 10


def lower_scan(function: Function, node: Node, machine: Machine = USUAL) -> Kernel:
    """`out[.., k, ..] = x[.., 0, ..] combined with ... x[.., k, ..]`, in order."""
    (source,) = node.operands
    inputs = {p: Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters}
    out = Buffer("out0", node.type, "argument")
    body: tuple[Statement, ...] = ()
    if node.type.shape[node.attrs["axis"]] != 0:
        body = _Scan(node, inputs[source], out, machine).body()
    return Kernel(function.name, (*inputs.values(), out), 1, body)


class _Scan:
    """The loops of one scan."""

    def __init__(self, node: Node, source: Buffer, out: Buffer, machine: Machine):
        self.source, self.out, self.type, self.machine = source, out, node.type, machine
        self.axis, self.op = node.attrs["axis"], node.op.lowering.combine
        self.index = axis_indices(node.type.ndim)

    def body(self) -> tuple[Statement, ...]:
        width = self.block_width()
        if width:
            return self.around(self.of_columns(width), self.axis, self.type.ndim - 1)
        return self.around(self.of_one(), self.axis)

    def around(self, body: tuple[Statement, ...], *inside: int) -> tuple[Statement, ...]:
        """`body` in loops over all axes that it does not go along itself."""
        for position in reversed(range(self.type.ndim)):
            if position not in inside:
                body = (self.loop(position, body),)
        return body

    def loop(self, axis: int, body: tuple[Statement, ...], start: int = 0) -> For:
        stop = expressions.extent(self.type.shape[axis])
        return For(self.index[axis], expressions.integer(start), stop, body, "serial", 1)

    def next(self, total: Expression, place: tuple[Expression, ...]) -> Expression:
        return Apply(self.op, (total, Load(self.source, place)), self.type.dtype)

    def of_one(self) -> tuple[Statement, ...]:
        """One running value."""
        dtype, place = self.type.dtype, self.index
        total = Variable("total", dtype)
        step = (Assign(total, self.next(total, place)), Store(self.out, place, total))
        if self.has_neutral():
            nothing = Literal(neutral(self.op, dtype), dtype)
            return (Let(total, nothing), self.loop(self.axis, step))
        # From the first element on: complex infinities times one are not whole.
        first = (*place[: self.axis], tensor.ZERO, *place[self.axis + 1 :])
        begin = Let(total, Load(self.source, first)), Store(self.out, first, total)
        return (*begin, self.loop(self.axis, step, start=1))

    def has_neutral(self) -> bool:
        return self.op in OPS and self.type.dtype.kind in "iuf"

    def block_width(self) -> int:
        """Columns of a block; 0 where the values of an array, or of a column, are near each other."""
        type, last = self.type, self.type.shape[-1]
        if self.axis == type.ndim - 1 or not self.has_neutral() or not isinstance(last, int):
            return 0
        itemsize = type.dtype.itemsize
        size = type.size * itemsize if isinstance(type.size, int) else 0
        if size < LARGE_BYTES:
            return 0
        row = last * itemsize // self.count_of_blocks(size)
        most = MOST_FROM_MEMORY if size > self.machine.far_bytes else MOST_BLOCK
        width = min(max(row, LEAST_BLOCK), most) // LEAST_BLOCK * LEAST_BLOCK // itemsize
        return width if last * itemsize >= LEAST_BLOCK else 0

    def count_of_blocks(self, size: int) -> int:
        """How many are wanted. Of what little there is to do a core makes one, whose rows are whole; else each has
        one, or two where a core that comes late would have none left to do."""
        if size <= self.machine.near_bytes:
            return 1
        is_alone = self.machine.cores == 1
        return self.machine.cores * (1 if is_alone or size > self.machine.far_bytes else 2)

    def of_columns(self, width: int) -> tuple[Statement, ...]:
        """Blocks of columns, with a row of running values each."""
        last, dtype = self.type.shape[-1], self.type.dtype
        block, column = Index("block"), self.index[-1]
        total = Buffer("total", array_type((width,), dtype), "local")
        first = expressions.multiply(block, expressions.integer(width))
        stop: Expression = expressions.integer(width)
        if last % width:
            stop = expressions.minimum(stop, expressions.subtract(expressions.integer(last), first))

        def columns(*body: Statement) -> For:
            return For(column, tensor.ZERO, stop, body, "serial", 1)

        place = (*self.index[:-1], expressions.add(first, column))
        new = Variable("new", dtype)
        step = (
            Let(new, self.next(Load(total, (column,)), place)),
            Store(total, (column,), new),
            Store(self.out, place, new),
        )
        body = (
            Allocate(total),
            columns(Store(total, (column,), Literal(neutral(self.op, dtype), dtype))),
            self.loop(self.axis, (columns(*step),)),
        )
        blocks = expressions.integer(-(-last // width))
        return (For(block, tensor.ZERO, blocks, body, "serial", 1),)
