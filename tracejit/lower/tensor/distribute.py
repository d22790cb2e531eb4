"""What iterations do by themselves is taken out of a loop that carries something else.

    for i: steps = f(i)               ->   for i in a block: t[i] = f(i)
           if steps > most:                for i in a block: if t[i] > most: most, best = t[i], i
               most, best = steps, i

The first loop may run in lanes and by threads then, the second one is short. What goes from one to
the other waits in memory, for a block of iterations at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Assign,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    has_control,
    statements,
)
from ...ir.term import Term
from ...ir.types import array_type
from .cost import body_cost, trips
from .independent import is_independent
from .reductions import carried_by
from .rename import FreshNames
from .substitute import substitute
from .walk import exchange_outer_loops

# Iterations of a block, and the cycles in each from which they are worth a loop of their own.
BLOCK, WORTHWHILE = 8192, 40.0


def distribute_loops(module: Module) -> Module:
    """Split the ordered loops of every Kernel into what needs no order and what does."""
    return map_kernels(module, lambda k: _Distributor(k).run() if has_control(k.body) else k)


class _Parts(NamedTuple):
    """The statements of a loop that need no order and those that do, which read `handed` on."""

    alone: tuple[Statement, ...]
    ordered: tuple[Statement, ...]
    handed: tuple[Variable, ...]


class _Distributor:
    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)

    def run(self) -> Kernel:
        return self.kernel.replace(body=exchange_outer_loops(self.kernel.body, self.distributed))

    def distributed(self, loop: For) -> list[Statement] | None:
        """Memory for what is handed on, and the two loops, for a block of iterations at a time."""
        found = _parts_of(loop)
        if found is None:
            return None
        count = trips(loop)
        if is_whole := count is not None and count <= BLOCK:
            first, last = loop.start, loop.stop
        else:
            block = Index(self.names.pick(f"{loop.index.name}_block"))
            first = expressions.add(loop.start, expressions.multiply(block, integer(BLOCK)))
            last = expressions.minimum(expressions.add(first, integer(BLOCK)), loop.stop)
        length = max(count, 1) if is_whole else BLOCK
        memory = {v: self.memory(v, length) for v in found.handed}
        place = (expressions.subtract(loop.index, first),)
        stores = [Store(buffer, place, v) for v, buffer in memory.items()]
        reads: dict[Term, Expression] = {v: Load(b, place) for v, b in memory.items()}
        loops = (
            For(loop.index, first, last, (*found.alone, *stores), "ordered", 1),
            For(loop.index, first, last, substitute(found.ordered, reads), "ordered", 1),
        )
        new: list[Statement] = [Allocate(buffer) for buffer in memory.values()]
        if is_whole:
            return [*new, *loops]
        all_blocks = expressions.add(
            expressions.subtract(loop.stop, loop.start), integer(BLOCK - 1)
        )
        blocks = expressions.floor_divide(all_blocks, integer(BLOCK))
        return [*new, For(block, tensor.ZERO, blocks, loops, "ordered", 1)]

    def memory(self, variable: Variable, length: int) -> Buffer:
        name = self.names.pick(f"{variable.name}_all")
        return Buffer(name, array_type((length,), variable.dtype), "local")


def _parts_of(loop: For) -> _Parts | None:
    """How a loop is split; None where it stays as it is."""
    if loop.mark != "ordered" or not carried_by(loop):
        return None
    numbers = _ordered_part(loop)
    if numbers is None:
        return None
    ordered = tuple([loop.body[k] for k in sorted(numbers)])
    alone = tuple([s for k, s in enumerate(loop.body) if k not in numbers])
    if _price(alone) < WORTHWHILE:
        return None
    own = {s.variable for s in alone if isinstance(s, Let)}
    read = _read(ordered)
    if any(isinstance(v, Index) for v in own & read) or not _written(alone).isdisjoint(read):
        return None
    handed = tuple(sorted(own & read, key=lambda v: v.name))
    if any(_is_changed_later(loop, numbers, v) for v in handed):
        return None
    return _Parts(alone, ordered, handed) if is_independent(loop.replace(body=alone)) else None


def _ordered_part(loop: For) -> set[int] | None:
    """The numbers of the statements that have to do with what is carried, all of them plain."""
    ordered: set[Term] = set(carried_by(loop))
    accumulated = [s.target for s in statements(loop.body) if isinstance(s, Accumulate)]
    found: set[int] = set()
    changes = True
    while changes:
        changes = False
        for number, statement in enumerate(loop.body):
            touched = _read((statement,)) | _named((statement,))
            if number in found or ordered.isdisjoint(touched):
                continue
            if not all(isinstance(s, Let | Assign | If) for s in statements((statement,))):
                return None
            changes = True
            found.add(number)
            ordered |= _named((statement,))
    own = {s.variable for s in statements(loop.body) if isinstance(s, Let)}
    running = {v for v in accumulated if v not in own}  # which nothing in the loop may read
    return found if running.isdisjoint(ordered | _read(loop.body)) else None


def _read(body: Iterable[Statement]) -> set[Term]:
    return {t for s in statements(body) for e in expressions_of(s) for t in e.free}


def _named(body: Iterable[Statement]) -> set[Term]:
    """The variables that the statements declare or change."""
    found: set[Term] = set()
    for statement in statements(body):
        match statement:
            case Let(variable) | Assign(variable) | Accumulate(Variable() as variable):
                found.add(variable)
    return found


def _written(body: Iterable[Statement]) -> set[Term]:
    """The buffers that the statements write."""
    found: set[Term] = set()
    for statement in statements(body):
        match statement:
            case Store(buffer) | Allocate(buffer):
                found.add(buffer)
            case Call(_, buffers):
                found.update(buffers)
            case Extern():
                found.update(address.buffer for address in statement.addresses)
    return found


def _is_changed_later(loop: For, numbers: set[int], variable: Variable) -> bool:
    """Whether a variable changes after the first statement that reads it for the ordered part."""
    first = min(k for k in numbers if variable in _read((loop.body[k],)))
    later = [s for k, s in enumerate(loop.body) if k > first and k not in numbers]
    return variable in _named(later)


def _price(body: tuple[Statement, ...]) -> float:
    return body_cost(body, frozenset(), None, 1, 32)
