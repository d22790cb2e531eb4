"""Put the Kernels that a loop calls into the loop, so that an iteration calls nothing.

A body's local buffers, variables and loop indices get names of their own where they are put. What
schedules itself, or is large, stays a Kernel that is called, unless it reads an index of its caller's,
which cannot be passed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.graph import Module
from ...ir.syntax import symbol_names
from ...ir.tensor import (
    Allocate,
    Buffer,
    Call,
    For,
    If,
    Index,
    Kernel,
    Let,
    Statement,
    change_kernels,
    expressions_of,
    is_shared,
    statements,
)
from .rename import FreshNames, Renaming

# More statements than this are not put into another kernel.
LARGEST = 400


def inline_bodies(module: Module) -> Module:
    """The same module, in which kernels of control flow call only what is large or scheduled."""
    entry = module.entry
    if not isinstance(entry, Kernel) or not any(kernel.callees for kernel in entry.callees):
        return module
    symbols = {name for buffer in entry.parameters for name in symbol_names(buffer.type)}

    def change(kernel: Kernel) -> Kernel:
        return kernel if not kernel.callees else kernel.replace(body=_Body(kernel, symbols).run())

    # The entry's own calls follow one another, and each is a kernel of its own.
    done = {callee: change_kernels(callee, change) for callee in entry.callees}
    body = [Call(done[s.kernel], s.buffers) if isinstance(s, Call) else s for s in entry.body]
    return Module(entry.replace(body=tuple(body)))


def _is_inlined(kernel: Kernel, symbols: set[str]) -> bool:
    found = list(statements(kernel.body))
    scheduled = any(map(is_shared, found))
    return len(found) <= LARGEST and not scheduled or _reads_outside(kernel, found, symbols)


def _reads_outside(kernel: Kernel, body: list[Statement], symbols: set[str]) -> bool:
    """Whether a kernel reads an index that neither it nor the whole program declares."""
    buffers = [*kernel.parameters, *[s.buffer for s in body if isinstance(s, Allocate)]]
    read = {name for buffer in buffers for name in symbol_names(buffer.type.strides)}
    own = set(symbols)
    for statement in body:
        match statement:
            case For(index) | Let(Index() as index):
                own.add(index.name)
        for expression in expressions_of(statement):
            read |= {term.name for term in expression.free if isinstance(term, Index)}
    return not read <= own


class _Body:
    """The body of a kernel with those of its callees in place of the calls."""

    def __init__(self, kernel: Kernel, symbols: set[str]):
        self.kernel, self.symbols, self.names = kernel, symbols, FreshNames(kernel)

    def run(self) -> tuple[Statement, ...]:
        return self.body(self.kernel.body)

    def body(self, body: Iterable[Statement]) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            match statement:
                case Call(kernel, buffers) if _is_inlined(kernel, self.symbols):
                    new += self.called(kernel, buffers)
                case For(_, _, _, inner):
                    new.append(statement.replace(body=self.body(inner)))
                case If(condition, then, orelse):
                    new.append(If(condition, self.body(then), self.body(orelse)))
                case _:
                    new.append(statement)
        return tuple(new)

    def called(self, kernel: Kernel, buffers: tuple[Buffer, ...]) -> tuple[Statement, ...]:
        new = dict(zip(kernel.parameters, buffers)) | self.names.of_body(kernel.body)
        return self.body(Renaming(new).body(kernel.body))
