"""Make a Module small that a pass gets wrong: what does not matter for the failure is taken away.

Each step proposes smaller programs and keeps one that still fails: fewer results; a result that comes
earlier; a value in the middle that is handed in as an argument; a called function by itself; fewer
statements; shorter axes. The steps are repeated until none helps, or the budget of tries is spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .errors import TracejitError
from .ir.graph import Function, Kernel, Module, Node, call, parameter, substitute
from .ir.reference import reference
from .ir.tensor import For, If, Literal, Statement, statements
from .ir.term import rebuild
from .ir.types import ArrayType, TupleType, i64
from .ir.verify import Stage, verify

Arrays = tuple[np.ndarray, ...]
Fails = Callable[[Module, Arrays], bool]
Candidate = tuple[Module, Arrays]
# Of tries, and of seconds.
MOST_TRIES, MOST_SECONDS = 400, 20.0
SMALL_EXTENTS = (1, 2, 3, 4)


def shrink(module: Module, arrays: Arrays, fails: Fails) -> Candidate:
    """The smallest program found that still fails, with its arguments."""
    return _Shrinker(module, arrays, fails).run()


class _Shrinker:
    def __init__(self, module: Module, arrays: Arrays, fails: Fails):
        self.module, self.arrays, self.fails = module, arrays, fails
        self.tries, self.end = MOST_TRIES, time.monotonic() + MOST_SECONDS

    def run(self) -> Candidate:
        steps = (one_result, earlier_results, cut_values, callees, fewer_statements, shorter_axes)
        while any([self.exhaust(step) for step in steps]) and self.tries > 0:
            pass
        return self.module, self.arrays

    def exhaust(self, propose: Callable[[Module, Arrays], Iterator[Candidate]]) -> bool:
        """Take the first proposal that fails, as long as there is one; whether there was any."""
        helped = False
        while (found := self.first(propose)) is not None:
            self.module, self.arrays = found
            helped = True
        return helped

    def first(self, propose: Callable[[Module, Arrays], Iterator[Candidate]]) -> Candidate | None:
        proposals = propose(self.module, self.arrays)
        while self.tries > 0 and time.monotonic() < self.end:
            try:
                candidate = next(proposals, None)
                if candidate is None:
                    return None
                self.tries -= 1
                module, arrays = without_unused(*candidate)
                # A program that was wrong before the pass says nothing about it.
                verify(module, Stage.TRACED)
                if module is not self.module and self.fails(module, arrays):
                    return module, arrays
            except (TracejitError, ArithmeticError, LookupError, TypeError, ValueError):
                continue  # no program, or not one that runs
            except (AssertionError, AttributeError, NameError, SyntaxError):
                continue  # what nobody would have handed to the pass
        return None


def _graph(module: Module) -> Function | None:
    entry = module.entry
    return entry if isinstance(entry, Function) and not entry.updated else None


def without_unused(module: Module, arrays: Arrays) -> Candidate:
    """The program without the parameters that nothing reads."""
    entry = _graph(module)
    if entry is None:
        return module, arrays
    used = set(substituted_nodes(entry))
    kept = [k for k, p in enumerate(entry.parameters) if p in used]
    parameters = tuple([entry.parameters[k] for k in kept])
    return Module(entry.replace(parameters=parameters)), tuple([arrays[k] for k in kept])


def substituted_nodes(function: Function) -> list[Node]:
    """The nodes that results depend on."""
    return function.replace(parameters=()).nodes


def one_result(module: Module, arrays: Arrays) -> Iterator[Candidate]:
    entry = _graph(module)
    if entry is not None and len(entry.results) > 1:
        for result in entry.results:
            yield Module(entry.replace(results=(result,))), arrays


def earlier_results(module: Module, arrays: Arrays) -> Iterator[Candidate]:
    """The first value that comes out wrong is the result."""
    entry = _graph(module)
    if entry is None:
        return
    for node in entry.nodes:
        if node not in entry.results and node.op.name != "parameter" and is_array(node):
            yield Module(entry.replace(results=(node,))), arrays


def cut_values(module: Module, arrays: Arrays) -> Iterator[Candidate]:
    """A value, nearest to the results first, becomes a parameter that holds it."""
    entry = _graph(module)
    if entry is None:
        return
    taken = {p.attrs["name"] for p in entry.parameters}
    for node in reversed(entry.nodes):
        if node in entry.results or node.op.name in ("parameter", "constant") or not is_array(node):
            continue
        value = reference(Module(entry.replace(results=(node,))), *arrays)
        name = next(f"v{k}" for k in range(len(taken) + 1) if f"v{k}" not in taken)
        formal = parameter(name, node.type)
        results = substitute(entry.results, {node: formal})
        cut = Function(entry.name, (*entry.parameters, formal), results)
        yield Module(cut), (*arrays, np.asarray(value))


def is_array(node: Node) -> bool:
    return isinstance(node.type, ArrayType) and not isinstance(node.type, TupleType)


def callees(module: Module, arrays: Arrays) -> Iterator[Candidate]:
    """A function that is called, by itself: with its arguments where a graph calls it."""
    entry = module.entry
    if isinstance(entry, Function):
        for node in entry.nodes:
            if node.op is call and node.operands:
                given = reference(Module(entry.replace(results=node.operands)), *arrays)
                given = given if isinstance(given, tuple) else (given,)
                yield Module(node.attrs["callee"]), tuple(map(np.asarray, given))
        return
    rng = np.random.default_rng(0)
    for kernel in entry.callees:
        shapes = [(b.type.shape, b.type.dtype.numpy) for b in kernel.inputs]
        if all(isinstance(n, int) for shape, _ in shapes for n in shape):
            values = [rng.standard_normal(shape) for shape, _ in shapes]
            yield Module(kernel), tuple([np.asarray(v, d) for v, (_, d) in zip(values, shapes)])


def fewer_statements(module: Module, arrays: Arrays) -> Iterator[Candidate]:
    """A kernel without one of its statements, outer ones first, or with what is inside one instead."""
    entry = module.entry
    if not isinstance(entry, Kernel):
        return
    for position, target in enumerate(statements(entry.body)):
        for instead in ((), *_inside(target)):
            yield Module(entry.replace(body=_without(entry.body, position, instead))), arrays


def _inside(statement: Statement) -> list[tuple[Statement, ...]]:
    match statement:
        case For(index, start, _, body):
            new = rebuild(body, lambda term: start if term is index else term)
            return [tuple([new[inner] for inner in body])]
        case If(_, then, orelse):
            return [then, orelse]
    return []


def _without(body: tuple, position: int, instead: tuple) -> tuple[Statement, ...]:
    """The body with the statement of this number, outer before inner, exchanged."""
    count = -1

    def visit(inner: tuple[Statement, ...]) -> tuple[Statement, ...]:
        nonlocal count
        new: list[Statement] = []
        for statement in inner:
            count += 1
            if count == position:
                new += instead
                count += sum(1 for _ in statements((statement,))) - 1
            elif isinstance(statement, For):
                new.append(statement.replace(body=visit(statement.body)))
            elif isinstance(statement, If):
                then = visit(statement.then)
                new.append(If(statement.condition, then, visit(statement.orelse)))
            else:
                new.append(statement)
        return tuple(new)

    return visit(body)


def shorter_axes(module: Module, arrays: Arrays) -> Iterator[Candidate]:
    """One extent made small wherever it is written: in types, in attributes, in the ends of loops."""
    extents = {n for array in arrays for n in array.shape}
    for extent in sorted(extents, reverse=True):
        for small in SMALL_EXTENTS:
            if small >= extent:
                break
            resized = _resized(module, extent, small)
            given = tuple(
                [a[tuple([slice(small if n == extent else n) for n in a.shape])] for a in arrays]
            )
            yield resized, given


def _resized(module: Module, old: int, new: int) -> Module:
    def extents(value: Any) -> Any:
        if type(value) is tuple:
            return tuple([extents(item) for item in value])
        return new if type(value) is int and value == old else value

    def visit(term: Any) -> Any:
        match term:
            case ArrayType(shape, dtype, None):
                return ArrayType(extents(shape), dtype, None)
            case Literal(value, dtype) if dtype is i64 and value == old:
                return Literal(new, i64)
            case Node(op, operands, attributes) if op.name != "constant":
                shapes = [(k, extents(v) if k in ("shape", "stop") else v) for k, v in attributes]
                return Node(op, operands, tuple(shapes))
        return term

    return rebuild((module,), visit)[module]
