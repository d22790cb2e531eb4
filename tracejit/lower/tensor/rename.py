"""Statements in other words: under names that nobody else has, on other buffers."""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import expressions, tensor
from ...ir.expressions import rebuild_apply
from ...ir.tensor import (
    Accumulate,
    Address,
    Allocate,
    Apply,
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
    Load,
    Statement,
    Store,
    Table,
    Variable,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from ...ir.types import row_major

# The index of loops that end by themselves.
TRIP = "trip"


class FreshNames:
    """Names for what is declared in a kernel, none of them twice."""

    def __init__(self, kernel: Kernel):
        self.taken = {buffer.name for buffer in kernel.parameters}
        for statement in statements(kernel.body):
            match statement:
                case For(term) | Let(term) | Allocate(term):
                    self.taken.add(term.name)

    def of_body(self, body: Iterable[Statement]) -> dict[Term, Term]:
        """New names for all that the statements declare, but for the unknowns of graphs.

        Extents mention these by their names, which are distinct in all of a Module.
        """
        new: dict[Term, Term] = {}
        for statement in statements(body):
            match statement:
                case Allocate(term) | Let(Variable() as term):
                    new[term] = self.of(term)
                case For(Index() as term, _, _, _, mark) if mark != "ordered" or _is_trip(term):
                    new[term] = self.of(term)
        return new

    def of(self, term: Term) -> Term:
        name = self.pick(term.name)
        return term if name == term.name else term.replace(name=name)

    def pick(self, stem: str) -> str:
        name, count = stem, 0
        while name in self.taken:
            count += 1
            name = f"{stem}_{count}"
        self.taken.add(name)
        return name


def _is_trip(index: Index) -> bool:
    """Whether it is the index of a loop that ends by itself, perhaps under a fresh name."""
    return index.name.split("_")[0] == TRIP


class Renaming:
    """Statements with other buffers, variables and indices; buffers may be of another shape."""

    def __init__(self, names: dict[Term, Term]):
        self.names = names

    def body(self, body: Iterable[Statement]) -> tuple[Statement, ...]:
        return tuple([self.statement(statement) for statement in body])

    def name(self, term: Term) -> Term:
        return self.names.get(term, term)

    def statement(self, statement: Statement) -> Statement:
        match statement:
            case For(index, start, stop, body, mark, lanes):
                start, stop = self.expressions((start, stop))
                return For(self.name(index), start, stop, self.body(body), mark, lanes)
            case If(condition, then, orelse):
                (condition,) = self.expressions((condition,))
                return If(condition, self.body(then), self.body(orelse))
            case Let(term, value) | Assign(term, value):
                return type(statement)(self.name(term), *self.expressions((value,)))
            case Break(condition):
                return Break(*self.expressions((condition,)))
            case Store(buffer, indices, value):
                *indices, value = self.expressions((*indices, value))
                return Store(self.name(buffer), self.place(buffer, tuple(indices)), value)
            case Accumulate(Load() as target, op, value) | Accumulate(target, op, value):
                target, value = self.expressions((target, value))
                return Accumulate(target, op, value)
            case Allocate(buffer):
                return Allocate(self.name(buffer))
            case Call(kernel, buffers):
                return Call(kernel, tuple([self.name(buffer) for buffer in buffers]))
            case Extern(symbol, arguments):
                return Extern(symbol, tuple([self.argument(a) for a in arguments]))
        raise TypeError(f"{statement!r} is not a statement")

    def argument(self, argument: Expression | Address) -> Expression | Address:
        if isinstance(argument, Address):
            indices = self.place(argument.buffer, tuple(self.expressions(argument.indices)))
            return Address(self.name(argument.buffer), indices)
        (argument,) = self.expressions((argument,))
        return argument

    def place(self, buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
        return reshaped(indices, buffer.type.shape, self.name(buffer).type.shape)

    def expressions(self, roots: tuple[Expression, ...]) -> list[Expression]:
        new: dict[Term, Expression] = {}
        for e in postorder(roots, parts):
            match e:
                case Index() | Variable():
                    new[e] = self.name(e)
                case Apply(_, operands, _):
                    changed = tuple([new[operand] for operand in operands])
                    new[e] = e if changed == operands else rebuild_apply(e, changed)
                case Load(buffer, indices):
                    indices = self.place(buffer, tuple([new[index] for index in indices]))
                    new[e] = Load(self.name(buffer), indices)
                case Table(data, index, dtype):
                    new[e] = Table(data, new[index], dtype)
                case _:
                    new[e] = e
        return [new[root] for root in roots]


def reshaped(indices: tuple[Expression, ...], old: tuple, new: tuple) -> tuple[Expression, ...]:
    """Where in memory of shape `new` the element is that has `indices` in shape `old`."""
    if old == new:
        return indices
    long = [axis for axis, extent in enumerate(new) if extent != 1]
    kept = [index for index, extent in zip(indices, old) if extent != 1]
    if [extent for extent in old if extent != 1] == [new[axis] for axis in long]:
        place = dict(zip(long, kept))
        return tuple([place.get(axis, tensor.ZERO) for axis in range(len(new))])
    flat: Expression = tensor.ZERO
    for index, stride in zip(indices, row_major(old)):
        flat = expressions.add(flat, expressions.multiply(index, expressions.extent(stride)))
    found = []
    for extent, stride in zip(new, row_major(new)):
        position = expressions.floor_divide(flat, expressions.extent(stride))
        found.append(expressions.remainder(position, expressions.extent(extent)))
    return tuple(found)
