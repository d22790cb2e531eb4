"""Dear operations that wait for one another are put in loops of their own, one after the other.

A core looks ahead as far as it has room for operations that wait (`cycles.WAITING`), which are those of three or four iterations
of one elementary function; a function of another's result takes twice as many cycles for each of twice as many
operations. In loops over so many elements as are near, each part has room:

    for i: y[i] = erf(log(x[i]) / s)     ->     for blocks: for i in block: t[i] = log(x[i]) / s
                                                            for i in block: y[i] = erf(t[i])

A loop of sines of cosines takes 0.65 to 0.7 of the time so, Black-Scholes 0.67, three in a chain half of it. An operation is in
the loop with as many before it as dear ones that it waits for, one after the other; what is cheap is computed as early as
it can be, and stores come last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir.expressions import (
    add,
    floor_divide,
    integer,
    minimum,
    multiply,
    replace_expressions,
    subtract,
)
from ...ir.graph import Module, map_kernels
from ...ir.op import OPS
from ...ir.tensor import (
    ZERO,
    Allocate,
    Apply,
    Buffer,
    Expression,
    For,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    loads_of,
    parts,
)
from ...ir.term import Term, postorder
from ...ir.types import array_type
from ..machine import USUAL, Machine
from .cost import trips
from .rename import FreshNames
from .substitute import substitute, with_expressions
from .walk import exchange_outer_loops

# The price of a dear operation, and of storing and loading what is handed on.
DEAR, HANDED = 10.0, 4.0
# What waits takes a third of the nearest cache; a block has so many vectors at least.
PART_OF_CACHE, LEAST_VECTORS = 3, 16


def cut_chains(module: Module, machine: Machine = USUAL) -> Module:
    """Cut the loops in lanes of every Kernel in which dear operations wait for dear ones."""
    return map_kernels(module, lambda kernel: _Cutter(kernel, machine).run())


class _Parts(NamedTuple):
    """The statements of each loop, and what is handed on from one of them to later ones."""

    bodies: list[list[Statement]]
    handed: list[Variable]


class _Cutter:
    def __init__(self, kernel: Kernel, machine: Machine):
        self.kernel, self.machine, self.names = kernel, machine, FreshNames(kernel)

    def run(self) -> Kernel:
        body = exchange_outer_loops(self.kernel.body, self.cut)
        return self.kernel if body == self.kernel.body else self.kernel.replace(body=body)

    def cut(self, loop: For) -> list[Statement] | None:
        if not _is_plain(loop) or not _is_long(loop.body):
            return None
        found = _parts_of(self.apart(loop.body))
        size = sum(v.dtype.itemsize for v in found.handed)
        most = self.machine.l1_bytes // PART_OF_CACHE // max(size, 1) // loop.lanes * loop.lanes
        count = trips(loop)
        if (
            most < LEAST_VECTORS * loop.lanes
            or count is not None
            and count < LEAST_VECTORS * loop.lanes
        ):
            return None
        price = sum(OPS[s.value.op].cost for body in found.bodies for s in body if _names_dear(s))
        if HANDED * len(found.handed) > price or not all(map(_is_exact, found.handed)):
            return None
        return self.in_blocks(loop, found, most, count)

    def apart(self, body: tuple[Statement, ...]) -> list[Statement]:
        """The statements with each dear operation named before it is used, and what it is computed from."""
        new: list[Statement] = []
        named: dict[Term, Expression] = {}

        def name(part: Expression, value: Expression) -> None:
            if part not in named and not isinstance(value, Variable):
                stem = value.op if isinstance(value, Apply) else "value"
                named[part] = Variable(self.names.pick(f"{stem}_"), part.dtype)
                new.append(Let(named[part], value))

        for statement in body:
            for part in postorder(expressions_of(statement), parts):
                if not _is_dear(part):
                    continue
                for operand in part.operands:
                    if any(_is_dear(p) for p in postorder((operand,), parts)):
                        name(operand, _renamed((operand,), named)[0])
                name(part, Apply(part.op, tuple(_renamed(part.operands, named)), part.dtype))
            new.append(with_expressions(statement, named))
        return new

    def in_blocks(self, loop: For, found: _Parts, most: int, count: int | None) -> list[Statement]:
        length = _block(count, most, loop.lanes)
        block = Index(self.names.pick(f"{loop.index.name}_block"))
        memory = {
            v: Buffer(self.names.pick(f"{v.name}_near"), array_type((length,), v.dtype), "local")
            for v in found.handed
        }
        first = multiply(block, integer(length))
        total = subtract(loop.stop, loop.start)
        is_even = count is not None and count % length == 0
        stop = integer(length) if is_even else minimum(integer(length), subtract(total, first))
        loops = []
        for body in found.bodies:
            place = Index(self.names.pick(f"{loop.index.name}_"))
            own = {s.variable for s in body if isinstance(s, Let)}
            reads = {v: Load(b, (place,)) for v, b in memory.items() if v not in own}
            here = {loop.index: add(add(loop.start, first), place)}
            stores = [Store(memory[v], (place,), v) for v in memory if v in own]
            inside = (*substitute(tuple(body), {**here, **reads}), *stores)
            loops.append(loop.replace(index=place, start=ZERO, stop=stop, body=inside))
        blocks = floor_divide(add(total, integer(length - 1)), integer(length))
        near = [Allocate(buffer) for buffer in memory.values()]
        return [*near, For(block, ZERO, blocks, tuple(loops), "serial", 1)]


def _block(count: int | None, most: int, lanes: int) -> int:
    """Elements of a block: if it can be, so many whole vectors that none are left, which would be code of their own."""
    fewest = -(-(count or 0) // most)
    even = [n for n in range(max(fewest, 1), 2 * fewest + 1) if count % (n * lanes) == 0]
    return count // even[0] if even else most


def _is_plain(loop: For) -> bool:
    """Whether it is in lanes, and computes and stores; what it stores is read at no other place, and before that."""
    if loop.mark != "vector" or not all(isinstance(s, Let | Store) for s in loop.body):
        return False
    if any(not isinstance(s.variable, Variable) for s in loop.body if isinstance(s, Let)):
        return False
    stores = [s for s in loop.body if isinstance(s, Store)]
    here, buffers = {Load(s.buffer, s.indices) for s in stores}, {s.buffer for s in stores}
    if any(b.space == "register" for b in buffers):
        return False
    done: set[Load] = set()
    for statement in loop.body:
        for load in loads_of((statement,)):
            if load in done or load.buffer in buffers and load not in here:
                return False
        if isinstance(statement, Store):
            done.add(Load(statement.buffer, statement.indices))
    return True


def _is_dear(part: Term) -> bool:
    return (
        isinstance(part, Apply)
        and part.dtype.kind == "f"
        and part.op in OPS
        and OPS[part.op].cost >= DEAR
    )


def _names_dear(statement: Statement) -> bool:
    return isinstance(statement, Let) and _is_dear(statement.value)


def _is_exact(variable: Variable) -> bool:
    """Whether memory keeps it as it is: narrower floats may be computed in wider ones."""
    return variable.dtype.kind != "f" or variable.dtype.itemsize >= 4


def _is_long(body: Iterable[Statement]) -> bool:
    """Whether a dear operation waits for another."""
    after: set[Term] = set()
    for statement in body:
        for part in postorder(expressions_of(statement), parts):
            waits = part in after or any(p in after for p in parts(part))
            if waits and _is_dear(part):
                return True
            if waits or _is_dear(part):
                after.add(part)
        if isinstance(statement, Let) and statement.value in after:
            after.add(statement.variable)
    return False


def _renamed(values: tuple[Expression, ...], named: dict) -> list[Expression]:
    done = replace_expressions(values, named)
    return [done[value] for value in values]


def _parts_of(body: list[Statement]) -> _Parts:
    """Statements by how many dear operations, one after the other, they wait for; stores last."""
    waits: dict[Term, int] = {}
    places: dict[Term, int] = {}
    used: list[tuple[int, set[Term]]] = []
    for statement in body:
        read = set().union(*[e.free for e in expressions_of(statement)])
        before = max([waits.get(term, 0) for term in read], default=0)
        if isinstance(statement, Store):
            place = -1
        else:
            place = before if _is_dear(statement.value) else max(before - 1, 0)
            waits[statement.variable] = before + _is_dear(statement.value)
            places[statement.variable] = place
        used.append((place, read))
    last = max(places.values())
    bodies: list[list[Statement]] = [[] for _ in range(last + 1)]
    handed: dict[Variable, None] = {}
    for statement, (place, read) in zip(body, used):
        bodies[place].append(statement)
        later = [v for v in read if v in places and places[v] < place % (last + 1)]
        handed |= dict.fromkeys(sorted(later, key=lambda v: v.name))
    return _Parts(bodies, [*handed])
