"""Several loop nests as one loop over strips: each strip is computed from start to end.

Of the values between the nests only the part that a strip reads is kept, in a small buffer; what two
strips read is computed for both. How much is read follows from the index expressions of the reader,
from the last nest to the first. What is the same for all strips, such as the packed weights of a
product, is made once before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import groupby
from math import prod
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.graph import Function, Kernel, Node, call
from ...ir.op import CONTRACTION, ELEMENTWISE, OPAQUE, SCAN, UPDATE, Loops
from ...ir.ops import reshape
from ...ir.places import changed_in
from ...ir.tensor import (
    Allocate,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Statement,
    Store,
    by_one_thread,
    expressions_of,
    statements,
)
from ...ir.term import Term
from ...ir.types import array_type
from .in_place import may_take_place, with_buffer
from .regions import Moving, region
from .rename import FreshNames
from .window import BLOCK, OUTER_STRIPS, STRIP, Side, Window

Body = tuple[Statement, ...]
LENGTHS = (256, 128, 64, 32, 16, 8, 4)  # iterations of the axis that is cut
MOST_REPEATED = 1.5  # of what is between, computed over all strips, for each time it is needed
FEWEST_MULTIPLY_ADDS = 500_000  # that threads are worth
TILE_ROWS, MOST_ROWS = 4, 96  # of a strip along a free axis
FEWEST_ROWS = 12  # where threads share the strips
FEWEST_SHARES = 8  # strips, or indices of another axis, for threads to share evenly


class Plan(NamedTuple):
    """A strip: the part of each call's result that it needs, and the Kernel of that part."""

    windows: dict[Node, Window]
    kernels: dict[Node, Kernel]


class Strips:
    """Calls in order, as loops over strips of the one result.

    `inputs` and `outs` are the memory of what is read from outside and of the result; `part` gives the
    Kernel of a window of a call's result, or None; `near_bytes` are what values between may take for a
    strip: those of the second-level cache. Along the axes `free` of the result nothing is computed
    twice.
    """

    def __init__(
        self,
        calls: list[Node],
        inputs: dict[Node, Buffer],
        outs: dict[Node, Buffer],
        part: Callable[[Node, Window], Kernel | None],
        near_bytes: int,
        free: tuple[int, ...] = (),
    ):
        self.calls, self.inputs, self.outs, self.part, self.free = calls, inputs, outs, part, free
        self.near_bytes = near_bytes
        self.between = [node for node in calls if node not in outs]
        indices = (STRIP, BLOCK, *OUTER_STRIPS)
        loops = [For(i, tensor.ZERO, tensor.ZERO, (), "serial", 1) for i in indices]
        self.names = FreshNames(Kernel("", (*inputs.values(), *outs.values()), 0, tuple(loops)))

    def body(self) -> Body | None:
        """The strips of the first axis that can be cut, the longest that fit; None where none can."""
        if len(self.calls) < 2 or not all(map(_can_be_cut, self.calls)) or len(self.outs) > 1:
            return None
        (result,) = self.outs
        shape = result.type.shape
        if base_of(result) is not result or not all(isinstance(n, int) for n in shape):
            return None
        found = self.of_rows(shape) if self.free and 0 not in shape else None
        if found is not None:
            return found
        for axis, extent in enumerate(shape):
            for length in LENGTHS:
                if extent // length >= 2:
                    found = self.cut(axis, length)
                    if found is not None:
                        return found
        return None

    def of_rows(self, shape: tuple[int, ...]) -> Body | None:
        """Strips along the last of the free axes, for each index of the others.

        What does not depend on the last, such as the packed keys of an attention, is made once for each
        index of the others. Threads share the widest of these, or else the strips.
        """
        *outer, axis = self.free[-1 - len(OUTER_STRIPS) :]
        outer.sort(key=lambda a: -shape[a])
        most = self.most_rows(prod(shape[a] for a in self.free))
        each = self.work // prod(shape[a] for a in outer)
        is_wide = bool(outer) and (
            shape[outer[0]] >= FEWEST_SHARES or each < FEWEST_SHARES * FEWEST_MULTIPLY_ADDS
        )
        if not is_wide:
            most = min(most, max(FEWEST_ROWS, shape[axis] // FEWEST_SHARES))
        return self.cut(axis, _strip_length(shape[axis], most), tuple(outer), is_wide)

    def most_rows(self, rows: int) -> int:
        """Rows of a strip, of so many, for which what is between stays near."""
        # Values of one size take the place of each other.
        near = sum({n.type.size * n.type.dtype.itemsize for n in self.between}) / rows
        return min(MOST_ROWS, max(int(self.near_bytes / 2 / near), TILE_ROWS))

    @cached_property
    def work(self) -> int:
        return sum(_multiply_adds(node.attrs["callee"]) for node in self.calls)

    def cut(
        self, axis: int, length: int, outer: tuple[int, ...] = (), is_wide: bool = False
    ) -> Body | None:
        """The loop over the strips of this length, and the shorter one at the end.

        It is done for each index of the axes `outer`, which threads share if `is_wide`.
        """
        (result,) = self.outs
        shape = result.type.shape
        count, rest = divmod(shape[axis], length)
        around = dict(zip(outer, OUTER_STRIPS))
        whole = [
            Side(1, 0, 1, 0, around[a]) if a in around else Side(0, 0, n)
            for a, n in enumerate(shape)
        ]
        strips = {index: (0, shape[a] - 1) for a, index in around.items()}

        def planned(side: Side, first: int, last: int) -> Plan | None:
            window = (*whole[:axis], side, *whole[axis + 1 :])
            return self.plan(window, strips | {STRIP: (first, last)})

        plan = planned(Side(length, 0, length), 0, count - 1)
        if plan is None or not outer and not self.is_worth(plan, count):
            return None
        first = count * length
        last = planned(Side(1, 0, rest), first, first) if rest else None
        if rest and last is None:
            return None
        mark = "parallel" if self.work >= FEWEST_MULTIPLY_ADDS else "serial"
        before, body = self.hoisted(self.assembled(plan), STRIP)
        if not is_wide:
            body = by_one_thread(body)
        own = "serial" if is_wide else mark
        found = (*before, For(STRIP, tensor.ZERO, integer(count), body, own, 1))
        if last is not None:
            tail = by_one_thread(self.assembled(last))
            found += (For(STRIP, integer(first), integer(first + 1), tail, "serial", 1),)
        for number, (a, index) in reversed(list(enumerate(around.items()))):
            before, body = self.hoisted(found, index)
            shared = is_wide and number == 0
            body = by_one_thread(body) if shared else body
            stop = integer(shape[a])
            found = (*before, For(index, tensor.ZERO, stop, body, mark if shared else "serial", 1))
        return found

    def plan(self, window: Window, strips: Mapping[Index, tuple[int, int]]) -> Plan | None:
        """What is computed for this part of the result; None where that cannot be."""
        (result,) = self.outs
        plan = Plan({result: window}, {})
        for node in reversed(self.calls):
            kernel = self.part(node, plan.windows[node]) if node in plan.windows else None
            if kernel is None:
                return None
            plan.kernels[node] = kernel
            for operand, buffer in zip(node.operands, kernel.inputs):
                if base_of(operand) in self.inputs:
                    continue
                if base_of(operand) is not operand:
                    return None
                sides = region(kernel.body, buffer, strips)
                before = plan.windows.get(operand, sides)
                joined = [a.join(b) for a, b in zip(before, sides)] if sides else [None]
                if None in joined:
                    return None
                shape = operand.type.shape
                found = [side.inside(n, strips) for side, n in zip(joined, shape)]
                plan.windows[operand] = tuple(found)
        return plan

    def is_worth(self, plan: Plan, count: int) -> bool:
        """Whether what is kept for a strip is near, and little of it is computed again."""
        sizes = {n: prod([side.extent for side in plan.windows[n]]) for n in self.between}
        near = sum(size * node.type.dtype.itemsize for node, size in sizes.items())
        repeated = count * sum(sizes.values()) / sum(node.type.size for node in self.between)
        return near <= self.near_bytes and repeated <= MOST_REPEATED

    def assembled(self, plan: Plan) -> Body:
        """The bodies of a strip, one after the other, on the memory that is theirs.

        What is read for the last time gives way to what is made of it, where that can be.
        """
        near: dict[Node, Buffer] = {}
        body: list[Statement] = []
        for node in self.between:
            type = array_type([side.extent for side in plan.windows[node]], node.type.dtype)
            near[node] = Buffer(self.names.pick("near"), type, "local")
        for node in self.calls:
            kernel, window = plan.kernels[node], plan.windows[node]
            new: dict[Term, Term] = {}
            offsets: dict[Buffer, tuple[Expression, ...]] = {}
            for operand, buffer in zip(node.operands, kernel.inputs):
                if operand in near:
                    new[buffer] = near[operand]
                    minus = [
                        expressions.multiply(s.start, integer(-1)) for s in plan.windows[operand]
                    ]
                    offsets[buffer] = tuple(minus)
                else:
                    new[buffer] = self.inputs[base_of(operand)]
            (own,) = kernel.fresh
            new[own] = near.get(node) or self.outs[node]
            if node not in near:
                offsets[own] = tuple([side.start for side in window])
            names = self.names.of_body(kernel.body)
            found = Moving(new | names, offsets).body(kernel.body)
            if node in near:
                later = {
                    o for call in self.calls[self.calls.index(node) + 1 :] for o in call.operands
                }
                free = [near[o] for o in {*node.operands} & near.keys() - later]
                place = next((b for b in free if may_take_place(found, b, near[node])), None)
                if place is None:
                    body.append(Allocate(near[node]))
                else:
                    found = with_buffer(found, near[node], place)
                    near[node] = place
            body += found
        return tuple(body)

    def hoisted(self, body: Body, strip: Index) -> tuple[Body, Body]:
        """What is the same for all `strip`s, to be done before them, and the rest."""
        same: list[Statement] = []
        made: set[Term] = set()
        outside = {*self.inputs.values()}
        variables = {s.variable for s in body if isinstance(s, Let)}
        local = {s.buffer for s in body if isinstance(s, Allocate)}
        known = _buffers(body)
        # Neighbours that write the same buffer make it together.
        steps = [s for s in body if not isinstance(s, Allocate | Let)]
        for written, run in groupby(steps, key=lambda s: changed_in((s,)) & known):
            together = tuple(run)
            inside = {getattr(s, "target", None) for s in statements(together)}
            free = {t for s in statements(together) for e in expressions_of(s) for t in e.free}
            read = {t for t in free if isinstance(t, Buffer)} - written
            if (
                strip not in free
                # A variable belongs to what follows it, which may add to it.
                and variables.isdisjoint(free | inside)
                and written <= local
                and read <= outside | made
                and written.isdisjoint(changed_in(s for s in steps if s not in together))
            ):
                same += together
                made |= written
        before = [s for s in body if s in same or isinstance(s, Allocate) and s.buffer in made]
        return tuple(before), tuple([s for s in body if s not in before])


def _buffers(body: Iterable[Statement]) -> set[Term]:
    """The buffers that are declared outside of the statements they are used in."""
    found: set[Term] = set()
    for statement in statements(tuple(body)):
        for e in expressions_of(statement):
            found.update(t for t in e.free if isinstance(t, Buffer))
        if isinstance(statement, Store | Allocate):
            found.add(statement.buffer)
    return found


def _strip_length(extent: int, most: int) -> int:
    """At most so many rows, without a rest if that is possible."""
    if extent <= most:
        return extent
    even = [n for n in range(most, most // 2, -1) if extent % n == 0]
    return even[0] if even else most


def base_of(node: Node) -> Node:
    """The value in whose memory `node` is."""
    while node.op is reshape:
        (node,) = node.operands
    return node


def _can_be_cut(node: Node) -> bool:
    """Whether a call's callee can be asked for a part of its one result."""
    callee = node.attrs["callee"]
    if isinstance(callee, Kernel) or len(callee.results) != 1 or callee.updated:
        return False
    for inner in callee.nodes:
        if inner.op.kind in (SCAN, UPDATE, OPAQUE) or isinstance(inner.op.lowering, Loops):
            return False
        if inner.attrs.get("by") == "library":
            return False
        if inner.op is call or not all(isinstance(n, int) for n in inner.type.shape):
            return False
    return True


def _multiply_adds(function: Function) -> int:
    total = 0
    for node in function.nodes:
        if node.op.kind == CONTRACTION:
            left, right, _ = node.attrs["spec"].replace("->", ",").split(",")
            extents = dict(zip(left, node.operands[0].type.shape))
            total += prod((extents | dict(zip(right, node.operands[1].type.shape))).values())
        elif node.op.kind == ELEMENTWISE:
            total += int(node.type.size * node.op.cost) // 4
    return total
