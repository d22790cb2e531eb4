"""Other ways to lower a program, where the model of the machine may be wrong: to be measured.

A variant either assumes another machine (smaller caches, shorter vectors, a library), which may give other
loops to any kernel, or changes the scheduled loops themselves, as giving them to fewer threads does.
Kernels of several variants are put together (`grafted`), as their calls are the same; a variant
`of_program` changes which kernels there are, or the code of all of them, and stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..ir import expressions, tensor
from ..ir.expressions import integer
from ..ir.graph import Function, Kernel, Module, Node, call, each_program, parameter
from ..ir.op import CONTRACTION
from ..ir.tensor import Call, For, Index, Statement, is_shared, map_bodies, statements
from ..ir.term import postorder
from .machine import Machine
from .pipeline import PIPELINE, Options
from .steps import Pipeline
from .tensor.cost import trips


class Variant(NamedTuple):
    """`options` for lowering, or how scheduled `loops` change. Where it `is_exact` results are the same bits."""

    name: str
    options: Callable[[Options], Options | None] = lambda options: options
    loops: Callable[[Kernel], Kernel] | None = None
    is_exact: bool = False
    of_program: bool = False


def variants(options: Options) -> Iterator[Variant]:
    """What may be better than what the model chose, the most promising first."""
    yield Variant("one_thread", loops=on_one_thread, is_exact=True)
    if options.library is None:
        yield Variant("library", _by_library)
    yield Variant("static", loops=lambda k: in_shares(k, options.machine.cores), is_exact=True)
    if options.vector_bytes > 32:
        yield Variant("half_vectors", lambda o: o._replace(vector_bytes=o.vector_bytes // 2))
    yield Variant("small_cache", lambda o: _machine(o, l2_bytes=o.machine.l2_bytes // 4))
    yield Variant("large_cache", lambda o: _machine(o, l2_bytes=o.machine.l2_bytes * 4))
    count = 2
    while count < options.machine.cores:
        yield Variant(f"threads_{count}", loops=lambda k, n=count: in_shares(k, n), is_exact=True)
        count *= 2
    yield Variant("recomputed", lambda o: _machine(o, store_price=16.0))
    yield Variant("stored", lambda o: _machine(o, store_price=0.0))
    yield Variant("apart", _apart, is_exact=True, of_program=True)
    yield Variant("cached_stores", lambda o: o._replace(stream_bytes=0), None, True, True)
    yield Variant("streamed_stores", _streamed, None, True, True)


def _machine(options: Options, **parameters: float) -> Options:
    changed: Machine = options.machine._replace(**parameters)
    return options._replace(machine=changed)


def _by_library(options: Options) -> Options | None:
    library = options.blas()
    return None if library is None else options._replace(library=library)


def _streamed(options: Options) -> Options | None:
    """Stores past the caches from half of the last one on; none where the target has none."""
    if not options.stream_bytes:
        return None
    return options._replace(stream_bytes=options.machine.l3_bytes // 4)


def _apart(options: Options) -> Options | None:
    """What follows a product, in kernels of its own."""
    if options.passes is not None:
        return None  # a pipeline of the user's has groups of the user's
    passes = Pipeline.of(PIPELINE).insert_after("fuse", epilogues_apart)
    return options._replace(passes=passes)


@each_program
def epilogues_apart(module: Module) -> Module:
    """Each Function with a contraction that goes on computing becomes two: the product, and the rest."""
    entry = module.entry
    if not isinstance(entry, Function):
        return module
    new: dict[Node, Node] = {}
    for node in postorder(entry.results, lambda n: n.operands):
        operands = tuple([new[operand] for operand in node.operands])
        callee = node.attrs.get("callee") if node.op is call else None
        split = _split(callee) if isinstance(callee, Function) else None
        if split is None:
            same = operands == node.operands
            new[node] = node if same else Node(node.op, operands, node.attributes)
            continue
        first, rest = split
        given = dict(zip([p.attrs["name"] for p in callee.parameters], operands))
        made = call(*[given[p.attrs["name"]] for p in first.parameters], callee=first)
        given[rest.parameters[-1].attrs["name"]] = made
        new[node] = call(*[given[p.attrs["name"]] for p in rest.parameters], callee=rest)
    return Module(entry.replace(results=tuple([new[result] for result in entry.results])))


def _split(function: Function) -> tuple[Function, Function] | None:
    """The Function up to its one contraction, and the one from there; None where there is nothing behind."""
    products = [node for node in function.nodes if node.op.kind == CONTRACTION]
    if len(products) != 1 or products[0] in function.results:
        return None
    (product,) = products
    if any("updated" in p.attrs for p in function.parameters):
        return None
    before = {*postorder((product,), lambda node: node.operands)}
    first = [p for p in function.parameters if p in before]
    value = parameter("product", product.type)
    new: dict[Node, Node] = {product: value}
    for node in function.nodes:
        if node not in new:
            operands = tuple([new.get(operand, operand) for operand in node.operands])
            same = operands == node.operands
            new[node] = node if same else Node(node.op, operands, node.attributes)
    results = tuple([new[result] for result in function.results])
    used = {*postorder(results, lambda node: node.operands)}
    rest = [p for p in function.parameters if p in used]
    return (
        Function(f"{function.name}_product", tuple(first), (product,)),
        Function(f"{function.name}_rest", (*rest, value), results),
    )


# Threads of loops that are scheduled.


def on_one_thread(kernel: Kernel) -> Kernel:
    """The same loops, by the thread that calls; sums are in the same parts."""
    return _with_parallel_loops(kernel, lambda loop: (loop.replace(mark="serial"),))


def in_shares(kernel: Kernel, count: int) -> Kernel:
    """Parallel loops of `count` turns, each a range of what were turns: so many threads, at most."""

    def shared(loop: For) -> tuple[Statement, ...]:
        total = trips(loop)
        if total is None or total <= count or loop.start is not tensor.ZERO:
            return (loop,)
        size = -(-total // count)
        share = Index(f"{loop.index.name}_share")
        first = expressions.multiply(share, integer(size))
        last = expressions.minimum(expressions.add(first, integer(size)), integer(total))
        inner = loop.replace(start=first, stop=last, mark="serial")
        shares = integer(-(-total // size))
        return (For(share, tensor.ZERO, shares, (inner,), "parallel", 1),)

    return _with_parallel_loops(kernel, shared)


def _with_parallel_loops(kernel: Kernel, change: Callable[[For], tuple[Statement, ...]]) -> Kernel:
    if not any(map(is_shared, statements(kernel.body))):
        return kernel

    def visit(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        found: list[Statement] = []
        for statement in body:
            if is_shared(statement):
                found += change(statement)
            else:
                found.append(map_bodies(statement, visit))
        return tuple(found)

    return kernel.replace(body=visit(kernel.body))


# Programs of kernels from several variants.


def calls_of(module: Module) -> list[Call]:
    """The calls of a scheduled program, in order."""
    return [s for s in module.entry.body if isinstance(s, Call)]


def alternatives(base: Module, other: Module) -> dict[int, Kernel]:
    """The kernels of `other` that differ, by the number of their call; none where the calls differ."""
    pairs = [*zip(calls_of(base), calls_of(other))]
    if len(calls_of(base)) != len(calls_of(other)):
        return {}
    if any(a.buffers != b.buffers or not _fits(a.kernel, b.kernel) for a, b in pairs):
        return {}
    return {k: b.kernel for k, (a, b) in enumerate(pairs) if a.kernel is not b.kernel}


def _fits(kernel: Kernel, other: Kernel) -> bool:
    """Whether a kernel can take the place of another."""
    sides = [[(p.type, p.space) for p in k.parameters] for k in (kernel, other)]
    return sides[0] == sides[1] and len(kernel.inputs) == len(other.inputs)


def grafted(base: Module, chosen: dict[int, Kernel]) -> Module:
    """The program with other kernels for some of its calls."""
    entry, number, body = base.entry, 0, []
    for statement in entry.body:
        if isinstance(statement, Call):
            kernel = chosen.get(number)
            statement = statement if kernel is None else Call(kernel, statement.buffers)
            number += 1
        body.append(statement)
    return Module(entry.replace(body=tuple(body)))
