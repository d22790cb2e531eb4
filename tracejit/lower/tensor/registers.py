"""Keep scalars and small arrays of loops in registers, where an iteration finds them.

A kernel with loops in NumPy's order may read and write the same few elements at every iteration.
Memory of one element becomes a variable: it is read before everything else and written back at the
end. So does each element of a small array, where all of its indices are known once the short loops
around them are unrolled.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Address,
    Allocate,
    Assign,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    Variable,
    expressions_of,
    has_control,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from .checks import is_check
from .cost import trips
from .rename import FreshNames, Renaming
from .substitute import substitute
from .walk import exchange_inner_loops

# The most elements of an array in registers, and iterations of a loop that is unrolled for that.
MOST_ELEMENTS, MOST_TRIPS = 32, 8

Place = tuple[Buffer, tuple[Expression, ...]]


def keep_in_registers(module: Module) -> Module:
    """The same module, in which kernels with ordered loops hold small values in variables."""
    return map_kernels(module, lambda k: _Registers(k).run() if has_control(k.body) else k)


class _Registers:
    """One kernel, and which of its buffers become variables."""

    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)
        self.short = _short_loops(kernel.body)
        self.small = self.find_small()
        self.variables: dict[Place, Variable] = {}

    def find_small(self) -> set[Buffer]:
        """Buffers of few elements that are written, and where all positions are known in the end."""
        found = {b for b in (*self.kernel.outputs, *_local(self.kernel)) if _is_small(b)}
        written = set()
        for statement in statements(self.kernel.body):
            match statement:
                case Call(_, buffers):
                    found -= {*buffers}
                case Extern(_, arguments):
                    found -= {a.buffer for a in arguments if isinstance(a, Address)}
                case Store(buffer, indices, _):
                    written.add(buffer)
                    if not self.are_known(indices):
                        found.discard(buffer)
            for e in postorder(expressions_of(statement), parts):
                if isinstance(e, Load) and not self.are_known(e.indices):
                    found.discard(e.buffer)
        return found & written

    def are_known(self, indices: Iterable[Expression]) -> bool:
        """Whether all are numbers once short loops are written out: nothing is looked up, and no index
        is left that may be out of bounds."""
        unknown = any(isinstance(e, Table) or is_check(e) for e in postorder(indices, parts))
        return not unknown and all(index.free <= self.short.keys() for index in indices)

    def run(self) -> Kernel:
        if not self.small:
            return self.kernel
        body = self.body(exchange_inner_loops(self.kernel.body, self.unrolled))
        before: list[Statement] = []
        after: list[Statement] = []
        for buffer in self.kernel.outputs:
            for place in _places(buffer) if buffer in self.small else ():
                variable = self.variable(buffer, place)
                is_read = buffer in self.kernel.updated
                before.append(Let(variable, Load(buffer, place) if is_read else _nothing(buffer)))
                after.append(Store(buffer, place, variable))
        return self.kernel.replace(body=(*before, *body, *after))

    def variable(self, buffer: Buffer, place: tuple[Expression, ...]) -> Variable:
        found = self.variables.get((buffer, place))
        if found is None:
            at = "".join([f"_{index.value}" for index in place if buffer.type.size != 1])
            name = self.names.pick(f"{buffer.name}{at or '_value'}")
            found = self.variables[buffer, place] = Variable(name, buffer.type.dtype)
        return found

    def unrolled(self, loop: For) -> list[Statement] | None:
        """A short loop over small arrays, written out."""
        if not self.is_over_small(loop):
            return None
        new: list[Statement] = []
        for value in range(loop.start.value, loop.start.value + self.short[loop.index]):
            own = {loop.index: integer(value)} | self.names.of_body(loop.body)
            new += Renaming(own).body(loop.body)
        return new

    def is_over_small(self, loop: For) -> bool:
        if loop.index not in self.short:
            return False
        for statement in statements(loop.body):
            roots = expressions_of(statement)
            if isinstance(statement, Store) and statement.buffer in self.small:
                if any(loop.index in index.free for index in statement.indices):
                    return True
            for e in postorder(roots, parts):
                if isinstance(e, Load) and e.buffer in self.small and loop.index in e.free:
                    return True
        return False

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """The statements with variables in place of small buffers."""
        new: list[Statement] = []
        for statement in body:
            own = [e for e in postorder(expressions_of(statement), parts) if isinstance(e, Load)]
            held = {e: self.variable(e.buffer, e.indices) for e in own if e.buffer in self.small}
            alone = map_bodies(statement, lambda _: ())
            (changed,) = substitute((alone,), held) if held else (alone,)
            match changed:
                case Allocate(buffer) if buffer in self.small:
                    places = _places(buffer)
                    new += [Let(self.variable(buffer, p), _nothing(buffer)) for p in places]
                    continue
                case Store(buffer, indices, value) if buffer in self.small:
                    changed = Assign(self.variable(buffer, indices), value)
                case For():
                    changed = changed.replace(body=self.body(statement.body))
                case tensor.If(condition):
                    inside = self.body(statement.then), self.body(statement.orelse)
                    changed = tensor.If(condition, *inside)
            new.append(changed)
        return tuple(new)


def _short_loops(body: Iterable[Statement]) -> dict[Term, int]:
    """The loops of few iterations, each a known number of times."""
    found: dict[Term, int] = {}
    for statement in statements(body):
        if isinstance(statement, For) and statement.mark in ("serial", "unroll"):
            count = trips(statement)
            if count is not None and count <= MOST_TRIPS and isinstance(statement.start, Literal):
                found[statement.index] = count
    return found


def _is_small(buffer: Buffer) -> bool:
    size = buffer.type.size
    return type(size) is int and 1 <= size <= MOST_ELEMENTS and buffer.space != "register"


def _local(kernel: Kernel) -> list[Buffer]:
    return [s.buffer for s in statements(kernel.body) if isinstance(s, Allocate)]


def _places(buffer: Buffer) -> list[tuple[Expression, ...]]:
    """The indices of every element."""
    shape = buffer.type.shape
    found = []
    for flat in range(prod(shape)):
        index: list[Expression] = []
        for extent in reversed(shape):
            flat, position = divmod(flat, extent)
            index.append(integer(position))
        found.append(tuple(reversed(index)))
    return found


def _nothing(buffer: Buffer) -> Literal:
    """What stands where nothing was written yet."""
    dtype = buffer.type.dtype
    return Literal(expressions.identity("add", dtype), dtype)
