"""Write a fused Function as a plain loop nest; how it runs is decided afterwards.

A Function without reductions is one nest over its results. With reductions over the axes `A` of a
domain `S`, the nest runs over the axes that are kept, and for each row sweeps the reduced ones as
often as values depend on each other: a softmax sweeps three times, for the maximum, the sum and
the quotient. What a later sweep needs again is computed again when that is cheap, and otherwise
kept in a buffer of the row's size.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import IRError
from ...ir import expressions, tensor
from ...ir.foreign import needs_one_thread
from ...ir.graph import (
    Function,
    Kernel,
    Module,
    Node,
    call,
    each_program,
    is_updated,
    rebuild_nodes,
)
from ...ir.op import CONTRACTION, ELEMENTWISE, REDUCTION, SCAN, UPDATE, Extern, Loops
from ...ir.tensor import (
    ARGUMENT,
    UPDATED,
    Accumulate,
    Allocate,
    Assign,
    Buffer,
    Expression,
    For,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    by_one_thread,
)
from ...ir.types import array_type, contiguous, i64
from ..elements import Composer, Position, axis_indices, domain_of
from ..graph.groups import is_packing
from ..machine import USUAL, Machine
from .composite import is_composite, lower_called_functions, lower_composite
from .contract import lower_contraction
from .contract.library import Library
from .extern import lower_extern
from .regions import cut_nest
from .scan import lower_scan
from .window import Side, Window

RECOMPUTE_COST = 6.0
# Rows shorter than this may be computed a row in each lane, so they have no memory of their own.
SHORT_ROW = 16


@each_program
def to_loops(
    module: Module,
    machine: Machine = USUAL,
    library: Library | None = None,
    plain_contractions: bool = False,
    blas: Callable[[], Library | None] = lambda: None,
) -> Module:
    """Every Function the entry calls becomes a Kernel; the entry stays a graph of calls."""
    entry = module.entry
    if isinstance(entry, Kernel):
        return module

    kernels: dict[Function, Kernel] = {}  # layers of one kind are called again and again

    def visit(node: Node) -> Node:
        callee = node.attrs.get("callee") if node.op is call else None
        if not isinstance(callee, Function):
            return node
        if callee not in kernels:
            kernel = lower_function(callee, machine, library, plain_contractions, blas)
            kernels[callee] = kernel = _on_one_thread(kernel)
            _origins[kernel] = callee
        return call(*node.operands, callee=kernels[callee])

    return Module(entry.replace(results=rebuild_nodes(entry.results, visit)))


def lower_called(module: Module, machine: Machine = USUAL) -> Module:
    """Every graph Function that a Kernel calls becomes a Kernel."""

    def lower(function: Function, window: Window | None = None) -> Kernel | None:
        return lower_function(function, machine, window=window)

    return lower_called_functions(module, lower, machine)


# What Kernels were made of: beside them, as the places of Nodes are, and never in the text.
_origins: WeakKeyDictionary[Kernel, Function] = WeakKeyDictionary()


def origin_of(kernel: Kernel) -> Function | None:
    """The Function that `to_loops` made a Kernel of, for as long as no other pass has changed it."""
    return _origins.get(kernel)


def plain_loops(module: Module) -> Module:
    """As `to_loops`, with a loop for each label of a contraction, for schedules by hand."""
    return to_loops(module, plain_contractions=True)


def lower_function(
    function: Function,
    machine: Machine = USUAL,
    library: Library | None = None,
    plain_contractions: bool = False,
    blas: Callable[[], Library | None] = lambda: None,
    window: Window | None = None,
    along: Side | None = None,
) -> Kernel | None:
    """The Kernel of one group; contractions are scheduled here, for `machine`.

    With a `window` it is the Kernel of this part of the one result, stored from its beginning on, of a
    part `along` what is contracted; None where that cannot be made.
    """
    if is_composite(function):

        def lower(inner: Function, *part: Any) -> Kernel:
            return lower_function(inner, machine, library, plain_contractions, blas, *part)

        return lower_composite(function, lower, machine)
    for node in function.nodes:
        if node.op.kind == CONTRACTION:
            scheduled = None if plain_contractions else machine
            return lower_contraction(function, node, scheduled, library, blas, window, along)
        if isinstance(node.op.lowering, Loops) and not is_packing(node):
            return _own_loops(function, node)
        if node.op.kind == SCAN and not is_packing(node):
            return lower_scan(function, node, machine)
        if isinstance(node.op.lowering, Extern):
            return lower_extern(function, node)
    kernel = _Nest(function).kernel()
    return kernel if window is None else cut_nest(kernel, window)


def _on_one_thread(kernel: Kernel) -> Kernel:
    """The same kernel, without parallel loops if it calls what one thread alone may call."""
    return (
        kernel.replace(body=by_one_thread(kernel.body)) if needs_one_thread(kernel.body) else kernel
    )


def _own_loops(function: Function, node: Node) -> Kernel:
    """The Kernel of an op that says itself how it loops."""
    inputs = {p: Buffer(p.attrs["name"], p.type, ARGUMENT) for p in function.parameters}
    out = Buffer("out0", contiguous(node.type), ARGUMENT)
    operands = [inputs[operand] for operand in node.operands]
    body = node.op.lowering.rule(*operands, out, **node.attrs)
    return Kernel(function.name, (*inputs.values(), out), 1, body)


def parameter_buffer(node: Node) -> Buffer:
    """The memory of a Function's parameter."""
    space = UPDATED if is_updated(node) else ARGUMENT
    return Buffer(node.attrs["name"], node.type, space)


class _Nest:
    def __init__(self, function: Function):
        self.function = function
        self.inputs = {p: parameter_buffer(p) for p in function.parameters}
        count = len(function.updated)
        self.fresh = {
            result: Buffer(f"out{position}", contiguous(result.type), ARGUMENT)
            for position, result in enumerate(function.results[count:])
        }
        updated = [self.inputs[p] for p in function.updated]
        self.outputs = {**dict(zip(function.results, updated)), **self.fresh}
        self.nodes = function.nodes
        self.reductions = [n for n in self.nodes if n.op.kind == REDUCTION]
        self.variables: dict[Node, Variable] = {}
        self.readable: dict[Node, tuple[Buffer, Position]] = {}

    def kernel(self) -> Kernel:
        if self.reductions:
            body = self.with_reductions()
        else:
            body = ()
            for shape in dict.fromkeys(domain_of(result) for result in self.outputs):
                body += self.plain(shape)
        parameters = (*self.inputs.values(), *self.fresh.values())
        return Kernel(self.function.name, parameters, len(self.fresh), body)

    def plain(self, shape: tuple) -> tuple[Statement, ...]:
        index = axis_indices(len(shape))
        composer = self.composer(index, ())
        results = [result for result in self.outputs if domain_of(result) == shape]
        # What is updated is read before: by all that is stored elsewhere, and by other updates.
        results.sort(key=lambda result: result.op.kind == UPDATE)
        stores: list[Any] = [
            self.store(result, composer, index) for result in results if not is_packing(result)
        ]
        lets: list[Statement] = []
        if sum(result.op.kind == UPDATE for result in results) > 1:
            for number, store in enumerate(stores):
                variable = Variable(f"new{number}", store.value.dtype)
                lets.append(Let(variable, store.value))
                stores[number] = store.replace(value=variable)
        places, packed = self.packed(results, composer, index)
        return (*places, *nest(index, shape, (*lets, *stores, *packed)))

    def packed(
        self, results: list[Node], composer: Composer, index: Position
    ) -> tuple[list[Statement], list[Statement]]:
        """What counts the places of packed results; and for each its element, which stays there until one comes
        that is selected, and the next place."""
        places: list[Statement] = []
        packed: list[Statement] = []
        for number, result in enumerate(filter(is_packing, results)):
            x, mask = result.operands
            place = Variable(f"place{number}", i64)
            selected = expressions.cast(composer.value(mask, index), i64)
            places.append(Let(place, tensor.ZERO))
            packed += [
                Store(self.outputs[result], (place,), composer.value(x, index)),
                Assign(place, tensor.Apply("add", (place, selected), i64)),
            ]
        return places, packed

    def store(self, result: Node, composer: Composer, index: Position) -> Store:
        """The element of a result at `index`, where it belongs; of an update, one that is new."""
        buffer = self.outputs[result]
        if result.op.kind != UPDATE:
            return Store(buffer, index, composer.value(result, index))
        old, value = result.operands[:2]
        if self.inputs.get(old) is not buffer:
            raise IRError(f"{self.function.name}: {result} does not update the parameter it should")
        place = composer.place(result, index)
        element = result.op.lowering.element
        new = element(Load(buffer, place), composer.value(value, index), **result.attrs)
        return Store(buffer, place, new)

    def composer(self, index: Position, row: Position) -> Composer:
        def stored(node: Node, at: Position) -> Expression | None:
            if node in self.inputs:
                return Load(self.inputs[node], at)
            variable = self.variables.get(node)
            if variable is not None:
                if at != row:
                    raise IRError(f"{self.function.name}: {node} is read beside its own row")
                return expressions.cast(variable, node.type.dtype)
            if at == index and node in self.readable:
                return Load(*self.readable[node])
            return None

        return Composer(stored)

    # Reductions.

    def with_reductions(self) -> tuple[Statement, ...]:
        first = self.reductions[0]
        shape, axes = first.operands[0].type.shape, first.attrs["axes"]
        for reduction in self.reductions:
            if (reduction.operands[0].type.shape, reduction.attrs["axes"]) != (shape, axes):
                raise IRError(f"{self.function.name}: its reductions run over different axes")
        index = axis_indices(len(shape))
        kept = [axis for axis in range(len(shape)) if axis not in axes]
        row = tuple([index[axis] for axis in kept])
        inner = tuple([index[axis] for axis in axes])
        inner_shape = tuple([shape[axis] for axis in axes])
        stages = self.stages()
        temporaries = self.choose_temporaries(stages, shape, inner_shape)
        body: list[Statement] = [Allocate(buffer) for buffer in temporaries.values()]
        last = max(stages[result] for result in self.outputs)
        for stage in range(last + 1):
            # Row results that are complete now, then the sweep of this stage.
            composer = self.composer(index, row)
            for result in self.outputs:
                if not self.is_element(result, shape) and stages[result] == stage:
                    body.append(self.store(result, composer, row))
            body += self.sweep(
                stage, stages, temporaries, composer, index, inner, inner_shape, shape
            )
        return nest(row, tuple([shape[axis] for axis in kept]), tuple(body))

    @staticmethod
    def is_element(result: Node, shape: tuple) -> bool:
        """Whether a result is of the elements of the sweeps over `shape`, not of their rows."""
        return result.op.kind != REDUCTION and domain_of(result) == shape

    def stages(self) -> dict[Node, int]:
        """How many sweeps must be over before a node can be computed."""
        stages: dict[Node, int] = {}
        for node in self.nodes:
            needed = max([stages[operand] for operand in node.operands], default=0)
            stages[node] = needed + (node.op.kind == REDUCTION)
        return stages

    def sweep(
        self, stage, stages, temporaries, composer, index, inner, inner_shape, shape
    ) -> list[Statement]:
        lets: list[Statement] = []
        work: list[Statement] = []
        kept_for_later: dict[Node, tuple[Buffer, Position]] = {}
        for node, buffer in temporaries.items():
            if stages[node] == stage:
                work.append(Store(buffer, inner, composer.value(node, index)))
                kept_for_later[node] = (buffer, inner)
        by_update = sorted(self.outputs.items(), key=lambda pair: pair[0].op.kind == UPDATE)
        for result, buffer in by_update:  # what is updated is read before
            if not self.is_element(result, shape) or stages[result] != stage:
                continue
            if is_packing(result):
                continue
            work.append(self.store(result, composer, index))
            if result.op.kind != UPDATE:
                kept_for_later[result] = (buffer, index)
        for number, reduction in enumerate(self.reductions):
            (operand,) = reduction.operands
            if stages[operand] != stage:
                continue
            fold = reduction.op.lowering
            dtype = fold.accumulate(reduction.type.dtype)
            variable = Variable(f"{reduction.op.name}{number}", dtype)
            start = Literal(expressions.identity(fold.combine, dtype), dtype)
            lets.append(Let(variable, start))
            value = expressions.cast(composer.value(operand, index), dtype)
            work.append(Accumulate(variable, fold.combine, value))
            self.variables[reduction] = variable
        self.readable.update(kept_for_later)
        own = [r for r in self.outputs if self.is_element(r, shape) and stages[r] == stage]
        places, packed = self.packed(own, composer, index)
        work += packed
        return [*lets, *places, *nest(inner, inner_shape, tuple(work))] if work else []

    def choose_temporaries(self, stages, shape, inner_shape) -> dict[Node, Buffer]:
        """Element values along a row that several sweeps need and that are dear to compute again."""
        sweeps: dict[Node, set[int]] = {}
        roots = [(r.operands[0], stages[r.operands[0]]) for r in self.reductions]
        roots += [(r, stages[r]) for r in self.outputs if self.is_element(r, shape)]
        for root, stage in roots:
            pending, seen = [root], set()
            while pending:
                node = pending.pop()
                if node in seen or node.op.kind == REDUCTION:
                    continue
                seen.add(node)
                if node.type.shape == shape and node.op.kind != UPDATE:
                    sweeps.setdefault(node, set()).add(stage)
                pending.extend(node.operands)
        needed_later = {
            operand
            for node, at in sweeps.items()
            for operand in node.operands
            if stages[operand] < stages[node] and operand in sweeps
        }
        chosen: dict[Node, Buffer] = {}
        size = prod(inner_shape)
        if inner_shape and (self.runs_across() or isinstance(size, int) and size < SHORT_ROW):
            return chosen
        for node in self.nodes:
            several = node in needed_later and len(sweeps.get(node, ())) > 1
            if several and node not in self.outputs and self.cost(node, shape) > RECOMPUTE_COST:
                type = array_type(inner_shape, node.type.dtype)
                chosen[node] = Buffer(f"row{len(chosen)}", type, "local")
        return chosen

    def runs_across(self) -> bool:
        """Whether lanes will run along an axis that is kept, with the sweeps inside of them.

        A buffer of one row would then need an element for each lane; and values read down a column
        come from further away than computing them again.
        """
        first = self.reductions[0]
        return first.operands[0].type.ndim - 1 not in first.attrs["axes"]

    @staticmethod
    def cost(node: Node, shape: tuple) -> float:
        """The price of one element of `node`, down to what is invariant in a row."""
        total, pending, seen = 0.0, [node], set()
        while pending:
            top = pending.pop()
            if top in seen or top.op.kind == REDUCTION:
                continue
            seen.add(top)
            if top.op.kind == ELEMENTWISE and top.type.shape == shape:
                total += top.op.cost
            pending.extend(top.operands)
        return total


def nest(index: Position, shape: tuple, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Loops over `shape`, outermost first, around `body`."""
    for position, extent in zip(reversed(index), reversed(shape)):
        body = (For(position, tensor.ZERO, expressions.extent(extent), body, "serial", 1),)
    return body
