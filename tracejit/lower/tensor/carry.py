"""Carry in registers what one iteration stores and the next ones read.

    for i: y[i] = a * y[i - 1] + x[i]   ->   old = y[start - 1]
                                             for i: new = a * old + x[i]; y[i] = new; old = new

A processor takes longer to find in memory what was just stored there than to compute it, and each
iteration would wait for that.
"""

from __future__ import annotations

from ...ir import expressions
from ...ir.affine import linear
from ...ir.expressions import integer, replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Assign,
    Break,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    has_control,
    loads_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import postorder
from ...ir.types import bool_, f16
from .cost import trips
from .rename import FreshNames
from .substitute import substitute
from .walk import exchange_inner_loops

# The most iterations that a value is kept for.
MOST_STEPS = 4

Place = tuple[Expression, ...]


def carry_values(module: Module) -> Module:
    """Keep in variables what the ordered loops of every Kernel hand on through memory."""
    return map_kernels(module, lambda k: _Carrier(k).run() if has_control(k.body) else k)


class _Carrier:
    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)

    def run(self) -> Kernel:
        return self.kernel.replace(body=exchange_inner_loops(self.kernel.body, self.loop))

    def loop(self, loop: For) -> tuple[Statement, ...] | None:
        """The loop, after what it reads before its first iteration."""
        if loop.mark != "ordered":
            return None
        before: list[Statement] = []
        changed = loop
        for buffer, place in _places(loop).items():
            if steps := _handed_on(loop, buffer, place):
                lets, changed = self.carried(changed, buffer, steps)
                before += lets
        if not before:
            return None
        if (trips(loop) or 0) > 0:
            return (*before, changed)
        # Where the loop is empty nothing may be read.
        some = expressions.compare("less", loop.start, loop.stop)
        return (If(some, (*before, changed), ()),)

    def carried(
        self, loop: For, buffer: Buffer, steps: list[list[Load]]
    ) -> tuple[list[Statement], For]:
        """`steps[k]` read what was stored `k + 1` iterations before."""
        dtype = buffer.type.dtype
        new, *olds = [
            Variable(self.names.pick(f"{buffer.name}_{stem}"), dtype)
            for stem in ("new", *["old"] * len(steps))
        ]
        lets: list[Statement] = []
        for old, (load, *_) in zip(olds, steps):
            first = replace_expressions(load.indices, {loop.index: loop.start})
            lets.append(Let(old, Load(buffer, tuple([first[index] for index in load.indices]))))
        body = substitute(loop.body, {load: old for old, same in zip(olds, steps) for load in same})
        body = _kept(body, buffer, new)
        moves = [Assign(to, value) for value, to in reversed([*zip((new, *olds), olds)])]
        nothing = Let(new, Literal(expressions.identity("add", dtype), dtype))
        if isinstance(body[-1], Break):
            ends = Variable(self.names.pick("ends"), bool_)
            ending = (Let(ends, body[-1].condition), *moves, Break(ends))
            return lets, loop.replace(body=(nothing, *body[:-1], *ending))
        return lets, loop.replace(body=(nothing, *body, *moves))


def _kept(body: tuple[Statement, ...], buffer: Buffer, new: Variable) -> tuple[Statement, ...]:
    """The statements, in which what is stored in `buffer` is the value of `new` from there on."""
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Store) and statement.buffer is buffer:
            result += [Assign(new, statement.value), statement.replace(value=new)]
        else:
            result.append(map_bodies(statement, lambda inner: _kept(inner, buffer, new)))
    return tuple(result)


def _places(loop: For) -> dict[Buffer, Place]:
    """The buffers that each iteration writes one element of, and which it is."""
    places: dict[Buffer, Place] = {}
    others: set[Buffer] = set()
    inside: set[Index] = set()
    for statement in statements(loop.body):
        match statement:
            case Store(buffer, indices):
                if places.setdefault(buffer, indices) != indices or buffer.type.dtype is f16:
                    others.add(buffer)
            case Accumulate(Load(buffer)):
                others.add(buffer)
            case Call(_, buffers):
                others.update(buffers)
            case Extern():
                others.update(address.buffer for address in statement.addresses)
            case For(index) | Let(Index() as index):
                inside.add(index)
    return {
        buffer: place
        for buffer, place in places.items()
        if buffer not in others
        and buffer.space != "register"
        and _is_certain(loop.body, buffer)
        and all(isinstance(t, Index) and t not in inside for index in place for t in index.free)
        and any(linear(index)[0].get(loop.index) for index in place)
    }


def _is_certain(body: tuple[Statement, ...], buffer: Buffer) -> bool:
    """Whether the statements store in a buffer, whatever holds."""
    for statement in body:
        match statement:
            case Store(stored) if stored is buffer:
                return True
            case If(_, then, orelse) if _is_certain(then, buffer) and _is_certain(orelse, buffer):
                return True
    return False


def _handed_on(loop: For, buffer: Buffer, place: Place) -> list[list[Load]]:
    """What reads the value of one iteration before, of two, and so on, as long as each is read for
    certain: then it may be read before the loop."""
    roots = [e for statement in loop.body for e in expressions_of(statement)]
    certain = {e for e in postorder(roots, parts) if isinstance(e, Load)}
    loads = [load for load in loads_of(loop.body) if load.buffer is buffer]
    steps: list[list[Load]] = []
    for distance in range(1, MOST_STEPS + 1):
        earlier = expressions.subtract(loop.index, integer(distance))
        moved = replace_expressions(place, {loop.index: earlier})
        wanted = [linear(moved[index]) for index in place]
        same = [load for load in loads if [linear(index) for index in load.indices] == wanted]
        if certain.isdisjoint(same):
            break
        steps.append(sorted(same, key=lambda load: load not in certain))
    return steps
