"""Groups as one kernel: several contractions and loop nests, with what is between them kept near.

A group's Function is fused by itself, into the kernels that it would be without the group. Their bodies
become one loop over strips of the result (strips_of_groups.py). Where no axis can be cut so, or not
for little enough memory and work, they follow one another with whole arrays between them.

A group with a Kernel of its own is that Kernel; what follows it, element by element, is computed
where the Kernel stores, if it only stores. Where it also reads its result, or accumulates in it, what
follows is another kernel.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import IRError
from ...ir import tensor
from ...ir.graph import (
    Function,
    Kernel,
    Module,
    Node,
    call,
    item,
    map_module,
    rebuild_nodes,
    substitute,
)
from ...ir.op import CONTRACTION, CONTROL, OPAQUE, REDUCTION, SCAN, UPDATE
from ...ir.tensor import (
    Allocate,
    Buffer,
    Call,
    Load,
    Statement,
    Store,
    is_scheduled,
)
from ...ir.term import Term, location_of, postorder
from ...ir.types import array_type
from ..elements import Composer
from ..graph.fuse import fuse
from ..graph.row_folds import folds_in_blocks
from ..graph.rows import free_axes
from ..graph.softmax import softmax_of
from ..machine import Machine
from .blocks import Lowering
from .key_blocks import KeyBlocks
from .rename import FreshNames, Renaming
from .row_blocks import RowBlocks
from .split import split_domains
from .strips_of_groups import Strips, base_of
from .vectorize import vectorize
from .window import Side, Window

Body = tuple[Statement, ...]
# How a Function that is one kernel is lowered; a window is the part of its result that is wanted.
Lower = Callable[..., Kernel]


def is_composite(function: Function) -> bool:
    """Whether a Function is more than one nest of loops: a group of the user's."""
    products = sum(node.op.kind == CONTRACTION for node in function.nodes)
    calls = any(node.op is call for node in function.nodes)
    return calls or products > 1 or (products == 1 and _has_sweeps(function))


def _has_sweeps(function: Function) -> bool:
    return any(node.op.kind in (REDUCTION, SCAN) for node in function.nodes)


def lower_composite(function: Function, lower: Lower, machine: Machine) -> Kernel:
    """The one Kernel of a group."""
    kernels = [node for node in function.nodes if _calls_kernel(node)]
    if len(kernels) == 1 and all(_is_around(node, kernels[0]) for node in function.nodes):
        found = _with_epilogue(function, kernels[0])
        if found is not None:
            return found
    return _Composite(function, lower, machine).kernel()


def lower_called_functions(module: Module, lower: Lower, machine: Machine) -> Module:
    """The graph Functions that Kernels call become Kernels, each a single one."""
    kernels = [f for f in module.functions if isinstance(f, Kernel)]
    if not any(isinstance(callee, Function) for kernel in kernels for callee in kernel.callees):
        return module

    def one(callee: Function) -> Kernel:
        for node in callee.nodes:
            if node.op.kind in (OPAQUE, UPDATE) or node.op.kind == CONTROL and node.op is not call:
                if node.op.name != "parameter":
                    raise IRError(
                        f"{callee.name}, which a kernel calls, has a {node.op.name}",
                        location_of(node),
                        "call it from a graph function",
                    )
        return _Composite(callee, lower, machine).kernel()

    def visit(body: Body) -> Body:
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, Call) and isinstance(statement.kernel, Function):
                statement = Call(one(statement.kernel), statement.buffers)
            found.append(tensor.map_bodies(statement, visit))
        return tuple(found)

    def change(function: Function | Kernel) -> Function | Kernel:
        if isinstance(function, Function):
            return function
        return function.replace(body=visit(function.body))

    return map_module(module, change)


def _calls_kernel(node: Node) -> bool:
    return node.op is call and isinstance(node.attrs["callee"], Kernel)


# A Kernel of the user's, and what follows it.


def _is_around(node: Node, kernel: Node) -> bool:
    alone = node.op.kind in (CONTRACTION, REDUCTION, SCAN, UPDATE, OPAQUE)
    return not alone and (node is kernel or node.op not in (call, item))


def _with_epilogue(function: Function, node: Node) -> Kernel | None:
    """The Kernel that `node` calls, storing what is computed from its elements instead of these."""
    kernel = node.attrs["callee"]
    inputs = {p: Buffer(p.attrs["name"], p.type, tensor.ARGUMENT) for p in function.parameters}
    same = all(result.type.shape == node.type.shape for result in function.results)
    if not same or not all(base_of(o) in inputs for o in node.operands):
        return None
    outs = tuple(
        [
            Buffer(f"out{k}", array_type(r.type.shape, r.type.dtype), tensor.ARGUMENT)
            for k, r in enumerate(function.results)
        ]
    )
    parameters = (*inputs.values(), *outs)
    names = FreshNames(Kernel("", parameters, 0, ()))
    new: dict[Term, Term] = dict(zip(kernel.inputs, [inputs[base_of(o)] for o in node.operands]))
    body = Renaming(new | names.of_body(kernel.body)).body(kernel.body)
    (own,) = kernel.fresh

    def finish(store: Store) -> Body:
        element = tensor.Variable(names.pick("element"), store.value.dtype)
        known = lambda n, at: (
            (element if at == store.indices else None)
            if n is node
            else Load(inputs[n], at)
            if n in inputs
            else None
        )
        values = [Composer(known).value(result, store.indices) for result in function.results]
        stores = [Store(out, store.indices, value) for out, value in zip(outs, values)]
        return (tensor.Let(element, store.value), *stores)

    def visit(inner: Body) -> Body:
        found: list[Statement] = []
        for statement in inner:
            if isinstance(statement, Store) and statement.buffer is own:
                found += finish(statement)
            else:
                found.append(tensor.map_bodies(statement, visit))
        return tuple(found)

    try:
        return Kernel(function.name, parameters, len(outs), visit(body))
    except TypeError as error:
        problem = f"{function.name}: elements of {kernel.name} are read beside those it stores"
        raise IRError(problem) from error


# Groups without one.


def inlined(function: Function) -> Function:
    """The Function with the graph Functions that it calls in their places."""

    def results_of(node: Node) -> tuple[Node, ...]:
        callee = inlined(node.attrs["callee"])
        return substitute(callee.results, dict(zip(callee.parameters, node.operands)))

    results = function.results
    while True:
        nodes = function.replace(results=results).nodes
        calls = [n for n in nodes if n.op is call and isinstance(n.attrs["callee"], Function)]
        if not calls:
            return function.replace(results=results)
        node = calls[0]
        made = results_of(node)
        new = {node: made[0]} if len(made) == 1 else {}
        new |= {n: made[n.attrs["index"]] for n in nodes if n.op is item and n.operands[0] is node}
        results = substitute(results, new)


def one_result_each(program: Function) -> Function:
    """The same program, whose calls have one result: what several need is computed for each, strip by strip."""

    def visit(node: Node) -> Node:
        if node.op is not item or node.operands[0].op is not call:
            return node
        (made,) = node.operands
        callee = made.attrs["callee"]
        if isinstance(callee, Kernel) or callee.updated:
            return node
        result = callee.results[node.attrs["index"]]
        used = {*postorder((result,), lambda n: n.operands)}
        given = [(p, o) for p, o in zip(callee.parameters, made.operands) if p in used]
        name = f"{callee.name}_{node.attrs['index']}"
        own = Function(name, tuple([p for p, _ in given]), (result,))
        return call(*[o for _, o in given], callee=own)

    results = rebuild_nodes(program.results, visit)
    return program if results == program.results else program.replace(results=results)


class _Composite:
    def __init__(self, function: Function, lower: Lower, machine: Machine):
        self.function, self.lower, self.machine = function, lower, machine
        self.whole = inlined(function)
        self.free = free_axes(self.whole) if len(self.whole.results) == 1 else ()
        self.program = fuse(Module(self.whole)).entry
        self.calls = [node for node in self.program.nodes if node.op is call]
        self.inputs = {
            p: Buffer(p.attrs["name"], p.type, tensor.ARGUMENT) for p in self.program.parameters
        }
        self.outs = {
            r: Buffer(f"out{k}", array_type(r.type.shape, r.type.dtype), tensor.ARGUMENT)
            for k, r in enumerate(self.program.results)
        }
        self.parameters = (*self.inputs.values(), *self.outs.values())

    def kernel(self) -> Kernel:
        if len(self.outs) < len(self.program.results):
            raise IRError(f"{self.function.name}: one value is two of its results")
        body = self.blocks()
        if body is None:
            apart = one_result_each(self.program)
            near_bytes = self.machine.l2_bytes
            calls = [n for n in apart.nodes if n.op is call]
            outs = dict(zip(apart.results, self.outs.values()))
            body = Strips(calls, self.inputs, outs, self.part, near_bytes, self.free).body()
        if body is None:
            body = self.sequence()
        return Kernel(self.function.name, self.parameters, len(self.outs), body)

    def blocks(self) -> Body | None:
        """The strips of a softmax between two products, or of a product whose rows are reduced, block by block."""
        whole = self.whole
        complete = lambda node: self.scheduled(self.lower_callee(node))
        lowering = Lowering(self.part, complete, self.scheduled)
        given = (self.inputs, self.outs, lowering, self.machine.l2_bytes, self.free)
        softmax = softmax_of(whole.results[0], whole.nodes) if len(whole.results) == 1 else None
        if softmax is not None:
            return KeyBlocks(whole, softmax, *given).body() if softmax.is_in_blocks else None
        found = folds_in_blocks(whole)
        return found and RowBlocks(found, *given).body()

    # One after the other.

    def sequence(self) -> Body:
        names = FreshNames(Kernel("", self.parameters, 0, ()))
        memory: dict[Node, Buffer] = dict(self.inputs)
        for result, out in self.outs.items():
            memory[base_of(result)] = out
        body: list[Statement] = []
        for node in self.calls:
            kernel = self.scheduled(self.lower_callee(node))
            made = [n for n in self.program.nodes if n.op is item and n.operands[0] is node]
            made = sorted(made, key=lambda n: n.attrs["index"]) or [node]
            for position, value in enumerate(made):
                if value not in memory:
                    type = kernel.fresh[position].type
                    memory[value] = Buffer(names.pick("between"), type, "local")
                    body.append(Allocate(memory[value]))
            given = [memory[base_of(operand)] for operand in node.operands]
            buffers = dict(zip(kernel.parameters, [*given, *[memory[value] for value in made]]))
            body += Renaming(buffers | names.of_body(kernel.body)).body(kernel.body)
        return tuple(body)

    def lower_callee(self, node: Node) -> Kernel:
        callee = node.attrs["callee"]
        return callee if isinstance(callee, Kernel) else self.lower(callee)

    def scheduled(self, kernel: Kernel) -> Kernel:
        """A nest of loops in lanes, as it would be if it were a kernel by itself."""
        if is_scheduled(kernel.body):
            return kernel
        module = split_domains(Module(kernel))
        return vectorize(module, vector_bytes=self.machine.vector_bytes).entry

    def part(self, node: Node, window: Window, along: Side | None = None) -> Kernel | None:
        """The Kernel of a part of a call's result."""
        kernel = self.lower(node.attrs["callee"], window, along)
        return kernel and self.scheduled(kernel)
