"""Several loop nests as one loop over strips: each strip is computed from start to end.

Of the values between the nests only the part that a strip reads is kept, in a small buffer; what two
strips read is computed for both. How much is read follows from the index expressions of the reader,
from the last nest to the first. What is the same for all strips, such as the packed weights of a
product, is made once before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import NamedTuple

from ...ir import tensor
from ...ir.affine import linear
from ...ir.bounds import Bounds
from ...ir.graph import Function, Kernel, Node, call
from ...ir.op import CONTRACTION, OPAQUE, SCAN, UPDATE, Loops
from ...ir.ops import reshape
from ...ir.places import changed_in
from ...ir.tensor import (
    Address,
    Allocate,
    Apply,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Index,
    Literal,
    Load,
    Statement,
    Store,
    bodies_of,
    expressions_of,
    integer,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from ...ir.types import array_type
from .rename import FreshNames, Renaming
from .substitute import substitute as exchange
from .window import STRIP, Side, Window

Body = tuple[Statement, ...]
LENGTHS = (256, 128, 64, 32, 16, 8, 4)  # iterations of the axis that is cut
MOST_REPEATED = 1.5  # of what is between, computed over all strips, for each time it is needed
FEWEST_MULTIPLY_ADDS = 500_000  # that threads are worth


class Plan(NamedTuple):
    """A strip: the part of each call's result that it needs, and the Kernel of that part."""

    windows: dict[Node, Window]
    kernels: dict[Node, Kernel]


class Strips:
    """Calls in order, as a loop over strips of the one result.

    `inputs` and `outs` are the memory of what is read from outside and of the result; `part` gives the
    Kernel of a window of a call's result, or None; `near_bytes` are what values between may take for a
    strip: those of the second-level cache.
    """

    def __init__(
        self,
        calls: list[Node],
        inputs: dict[Node, Buffer],
        outs: dict[Node, Buffer],
        part: Callable[[Node, Window], Kernel | None],
        near_bytes: int,
    ):
        self.calls, self.inputs, self.outs, self.part = calls, inputs, outs, part
        self.near_bytes = near_bytes
        self.between = [node for node in calls if node not in outs]
        loop = For(STRIP, tensor.ZERO, tensor.ZERO, (), "serial", 1)
        self.names = FreshNames(Kernel("", (*inputs.values(), *outs.values()), 0, (loop,)))

    def body(self) -> Body | None:
        """The strips of the first axis that can be cut, the longest that fit; None where none can."""
        if len(self.calls) < 2 or not all(map(_can_be_cut, self.calls)) or len(self.outs) > 1:
            return None
        (result,) = self.outs
        if base_of(result) is not result or not all(isinstance(n, int) for n in result.type.shape):
            return None
        for axis, extent in enumerate(result.type.shape):
            for length in LENGTHS:
                if extent // length >= 2:
                    found = self.cut(axis, length)
                    if found is not None:
                        return found
        return None

    def cut(self, axis: int, length: int) -> Body | None:
        """The loop over the strips of this length, and the shorter one at the end."""
        (result,) = self.outs
        count, rest = divmod(result.type.shape[axis], length)
        plan = self.plan(axis, Side(length, 0, length), 0, count - 1)
        if plan is None or not self.is_worth(plan, count):
            return None
        first = count * length
        last = self.plan(axis, Side(1, 0, rest), first, first) if rest else None
        if rest and last is None:
            return None
        work = sum(_multiply_adds(node.attrs["callee"]) for node in self.calls)
        mark = "parallel" if work >= FEWEST_MULTIPLY_ADDS else "serial"
        before, body = self.hoisted(self.assembled(plan))
        found = (*before, For(STRIP, tensor.ZERO, integer(count), _by_one_thread(body), mark, 1))
        if last is not None:
            tail = _by_one_thread(self.assembled(last))
            found += (For(STRIP, integer(first), integer(first + 1), tail, "serial", 1),)
        return found

    def plan(self, axis: int, side: Side, first: int, last: int) -> Plan | None:
        """The strips from number `first` to `last`; None where they cannot be."""
        (result,) = self.outs
        window = [Side(0, 0, n) for n in result.type.shape]
        window[axis] = side
        plan = Plan({result: tuple(window)}, {})
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
                sides = _region(kernel.body, buffer, (first, last))
                before = plan.windows.get(operand, sides)
                joined = [a.join(b) for a, b in zip(before, sides)] if sides else [None]
                if None in joined:
                    return None
                shape = operand.type.shape
                found = [side.inside(n, first, last) for side, n in zip(joined, shape)]
                plan.windows[operand] = tuple(found)
        return plan

    def is_worth(self, plan: Plan, count: int) -> bool:
        """Whether what is kept for a strip is near, and little of it is computed again."""
        sizes = {n: prod([side.extent for side in plan.windows[n]]) for n in self.between}
        near = sum(size * node.type.dtype.itemsize for node, size in sizes.items())
        repeated = count * sum(sizes.values()) / sum(node.type.size for node in self.between)
        return near <= self.near_bytes and repeated <= MOST_REPEATED

    def assembled(self, plan: Plan) -> Body:
        """The bodies of a strip, one after the other, on the memory that is theirs."""
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
                    minus = [tensor.multiply(s.start, integer(-1)) for s in plan.windows[operand]]
                    offsets[buffer] = tuple(minus)
                else:
                    new[buffer] = self.inputs[base_of(operand)]
            (own,) = kernel.fresh
            if node in near:
                body.append(Allocate(near[node]))
                new[own] = near[node]
            else:
                new[own] = self.outs[node]
                offsets[own] = tuple([side.start for side in window])
            names = self.names.of_body(kernel.body)
            body += _Moving(new | names, offsets).body(kernel.body)
        return tuple(body)

    def hoisted(self, body: Body) -> tuple[Body, Body]:
        """What is the same for all strips, to be done before them, and the rest."""
        same: list[Statement] = []
        made: set[Term] = set()
        outside = {*self.inputs.values()}
        for position, statement in enumerate(body):
            if isinstance(statement, Allocate):
                continue
            written = changed_in((statement,)) & _buffers(body)
            others = (*body[:position], *body[position + 1 :])
            free = {t for s in statements((statement,)) for e in expressions_of(s) for t in e.free}
            read = {t for t in free if isinstance(t, Buffer)} - written
            local = {s.buffer for s in body if isinstance(s, Allocate)}
            if (
                STRIP not in free
                and written <= local
                and read <= outside | made
                and written.isdisjoint(changed_in(s for s in others if not isinstance(s, Allocate)))
            ):
                same.append(statement)
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


def _by_one_thread(body: Body) -> Body:
    """Threads take strips, so what is in one is for one of them."""
    found = [tensor.map_bodies(statement, _by_one_thread) for statement in body]
    is_shared = lambda s: isinstance(s, For) and s.mark == "parallel"
    return tuple([s.replace(mark="serial") if is_shared(s) else s for s in found])


class _Moving(Renaming):
    """Statements on other buffers, some of which begin elsewhere."""

    def __init__(self, names: dict[Term, Term], offsets: dict[Buffer, tuple[Expression, ...]]):
        super().__init__(names)
        self.offsets = offsets

    def place(self, buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
        if buffer in self.offsets:
            return tuple([_moved(i, by) for i, by in zip(indices, self.offsets[buffer])])
        return super().place(buffer, indices)


def _moved(index: Expression, by: Expression) -> Expression:
    """The sum of two, where what is taken away again is gone."""
    total = tensor.add(index, by)
    atoms, constant = linear(total)
    if STRIP in atoms or STRIP not in total.free:
        return total
    found: Expression = tensor.ZERO
    for atom, scale in atoms.items():
        found = tensor.add(found, tensor.multiply(atom, integer(scale)))
    return tensor.add(found, integer(constant))


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
    return total


def _region(body: Body, buffer: Buffer, strips: tuple[int, int]) -> Window | None:
    """The part of a buffer that statements read in each of the strips, of which these are the ends."""
    found: list[Side] | None = None
    for load, loops in _loads(body, buffer, ()):
        sides = [_side(index, Bounds(loops), strips) for index in load.indices]
        if None in sides:
            return None
        joined = sides if found is None else [a.join(b) for a, b in zip(found, sides)]
        if None in joined:
            return None
        found = joined
    return None if found is None else tuple(found)


def _loads(body: Body, buffer: Buffer, loops: tuple[For, ...]) -> list[tuple[Load, tuple]]:
    found: list[tuple[Load, tuple]] = []
    for statement in body:
        roots = list(expressions_of(statement))
        for e in postorder(roots, parts):
            if isinstance(e, Load) and e.buffer is buffer:
                found.append((e, loops))
        if isinstance(statement, Call | Extern) and any(
            isinstance(a, Address) and a.buffer is buffer
            for a in getattr(statement, "arguments", ())
        ):
            return []
        inside = (*loops, statement) if isinstance(statement, For) else loops
        for inner in bodies_of(statement):
            found += _loads(inner, buffer, inside)
    return found


def _side(index: Expression, known: Bounds, strips: tuple[int, int]) -> Side | None:
    """Where an index is, over all iterations of the loops in a strip."""
    scale, low, high = 0, 0, 0
    atoms, constant = linear(index)
    for atom, factor in atoms.items():
        if atom is STRIP:
            scale += factor
            continue
        if STRIP in atom.free:
            side = _clamped(atom, known, strips)
            if side is None:
                return None
            scale += factor * side.scale
            ends = side.low, side.low + side.extent - 1
        else:
            ends = known.interval(atom)
        if not all(type(end) is int for end in ends):
            return None
        low += min(factor * end for end in ends)
        high += max(factor * end for end in ends)
    return Side(scale, constant + low, high - low + 1)


def _clamped(e: Expression, known: Bounds, strips: tuple[int, int]) -> Side | None:
    """Where the smaller or larger of an index and a number is."""
    match e:
        case Apply("minimum" | "maximum" as op, (Literal(limit), index) | (index, Literal(limit))):
            side = _side(index, known, strips)
            if side is None:
                return None
            low, high = side.low, side.low + side.extent - 1
            reached = [limit - side.scale * strip for strip in strips]
            low, high = (
                (min(low, *reached), high) if op == "minimum" else (low, max(high, *reached))
            )
            return Side(side.scale, low, high - low + 1)
    return None


def cut_nest(kernel: Kernel, window: Window) -> Kernel | None:
    """A nest of loops over its one result, for a part of that: stored from the beginning on."""
    (out,) = kernel.fresh
    small = out.replace(type=array_type([side.extent for side in window], out.type.dtype))
    stores = [s for s in statements(kernel.body) if isinstance(s, Store) and s.buffer is out]
    if len(stores) != 1:
        return None
    axes = dict(zip(stores[0].indices, window))
    if not all(isinstance(index, Index) for index in axes) or len(axes) < len(window):
        return None

    def visit(body: Body) -> Body:
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, For) and statement.index in axes:
                side = axes[statement.index]
                here = {statement.index: tensor.add(statement.index, side.start)}
                inner = exchange(visit(statement.body), here)
                stop = integer(side.extent)
                statement = For(statement.index, tensor.ZERO, stop, inner, statement.mark, 1)
            else:
                statement = tensor.map_bodies(statement, visit)
            found.append(statement)
        return tuple(found)

    offsets = {out: tuple([tensor.multiply(side.start, integer(-1)) for side in window])}
    body = _Moving({out: small}, offsets).body(visit(kernel.body))
    parameters = (*kernel.inputs, small)
    return kernel.replace(parameters=parameters, body=body)
