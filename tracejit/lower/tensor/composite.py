"""Groups as one kernel: several contractions and loop nests, with what is between them kept near.

A group's Function is fused by itself, into the kernels that it would be without the group. Then one
axis of its result is cut into strips, and each strip is computed from start to end before the next:
of the values between only the part that the strip reads is kept, in a small buffer, and what two
strips read is computed for both. How much is read follows from the index expressions of the reader.
Where no axis can be cut so, or not for little enough memory and work, the kernels' bodies follow one
another with whole arrays between them.

A group with a Kernel of its own is that Kernel; what follows it, element by element, is computed
where the Kernel stores, if it only stores. Where it also reads its result, or accumulates in it, what
follows is another kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ...errors import IRError
from ...ir import tensor
from ...ir.affine import coefficient, linear
from ...ir.bounds import Bounds
from ...ir.graph import Function, Kernel, Module, Node, call, item, map_module, substitute
from ...ir.op import CONTRACTION, CONTROL, OPAQUE, REDUCTION, SCAN, UPDATE, Loops
from ...ir.ops import reshape
from ...ir.tensor import (
    Address,
    Allocate,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Index,
    Load,
    Statement,
    Store,
    bodies_of,
    expressions_of,
    integer,
    is_scheduled,
    parts,
    statements,
)
from ...ir.term import Term, location_of, postorder
from ...ir.types import array_type
from ..elements import Composer
from ..graph.fuse import fuse
from .rename import FreshNames, Renaming
from .substitute import substitute as exchange
from .vectorize import vectorize
from .window import STRIP, Side, Window

Body = tuple[Statement, ...]
# How a Function that is one kernel is lowered; a window is the part of its result that is wanted.
Lower = Callable[..., Kernel]
STRIPS = (256, 128, 64, 32, 16, 8, 4)  # iterations of the axis that is cut
NEAR_BYTES = 1 << 20  # that values between may take for a strip: in the second-level cache
MOST_REPEATED = 1.5  # of what is between, computed over all strips, for each time it is needed
FEWEST_MULTIPLY_ADDS = 500_000  # that threads are worth


def is_composite(function: Function) -> bool:
    """Whether a Function is more than one nest of loops: a group of the user's."""
    products = sum(node.op.kind == CONTRACTION for node in function.nodes)
    calls = any(node.op is call for node in function.nodes)
    return calls or products > 1 or (products == 1 and _has_sweeps(function))


def _has_sweeps(function: Function) -> bool:
    return any(node.op.kind in (REDUCTION, SCAN) for node in function.nodes)


def lower_composite(function: Function, lower: Lower, vector_bytes: int) -> Kernel:
    """The one Kernel of a group."""
    kernels = [node for node in function.nodes if _calls_kernel(node)]
    if len(kernels) == 1 and all(_is_around(node, kernels[0]) for node in function.nodes):
        found = _with_epilogue(function, kernels[0])
        if found is not None:
            return found
    return _Composite(function, lower, vector_bytes).kernel()


def lower_called_functions(module: Module, lower: Lower, vector_bytes: int) -> Module:
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
        return _Composite(callee, lower, vector_bytes).kernel()

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
    if not same or not all(_base(o) in inputs for o in node.operands):
        return None
    outs = tuple(
        [
            Buffer(f"out{k}", array_type(r.type.shape, r.type.dtype), tensor.ARGUMENT)
            for k, r in enumerate(function.results)
        ]
    )
    parameters = (*inputs.values(), *outs)
    names = FreshNames(Kernel("", parameters, 0, ()))
    new: dict[Term, Term] = dict(zip(kernel.inputs, [inputs[_base(o)] for o in node.operands]))
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


class _Composite:
    def __init__(self, function: Function, lower: Lower, vector_bytes: int):
        self.function, self.lower, self.vector_bytes = function, lower, vector_bytes
        self.program = fuse(Module(inlined(function))).entry
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
        body = self.strips()
        if body is None:
            body = self.sequence()
        return Kernel(self.function.name, self.parameters, len(self.outs), body)

    # One after the other.

    def sequence(self) -> Body:
        names = FreshNames(Kernel("", self.parameters, 0, ()))
        memory: dict[Node, Buffer] = dict(self.inputs)
        for result, out in self.outs.items():
            memory[_base(result)] = out
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
            given = [memory[_base(operand)] for operand in node.operands]
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
        return vectorize(Module(kernel), vector_bytes=self.vector_bytes).entry

    # In strips.

    def strips(self) -> Body | None:
        """All strips of the axis that can be cut, for the longest that fit; None where none can."""
        if len(self.calls) < 2 or not all(map(_can_be_cut, self.calls)) or len(self.outs) > 1:
            return None
        (result,) = self.outs
        if _base(result) is not result or not all(isinstance(n, int) for n in result.type.shape):
            return None
        work = sum(_multiply_adds(node.attrs["callee"]) for node in self.calls)
        for axis, extent in enumerate(result.type.shape):
            for length in STRIPS:
                count, rest = divmod(extent, length)
                if count < 2:
                    continue
                body = self.strip(axis, length, Side(length, 0, length), count)
                if body is None:
                    continue
                mark = "parallel" if work >= FEWEST_MULTIPLY_ADDS else "serial"
                found: Body = (For(STRIP, tensor.ZERO, integer(count), body, mark, 1),)
                if rest:
                    first = integer(count * length)
                    tail = self.strip(axis, rest, Side(1, 0, rest), extent, count * length, False)
                    if tail is None:
                        continue
                    found += (For(STRIP, first, tensor.add(first, tensor.ONE), tail, "serial", 1),)
                return found
        return None

    def strip(
        self, axis: int, length: int, side: Side, count: int, first: int = 0, judge: bool = True
    ) -> Body | None:
        """The body of one strip; None where it cannot be, or, if that is judged, should not be."""
        (result,) = self.outs
        window = [Side(0, 0, n) for n in result.type.shape]
        window[axis] = side
        windows: dict[Node, Window] = {result: tuple(window)}
        kernels: dict[Node, Kernel] = {}
        last = count - 1 if first == 0 else first
        for node in reversed(self.calls):
            if node not in windows:
                return None
            part = self.lower(node.attrs["callee"], windows[node])
            if part is None:
                return None
            kernels[node] = _by_one_thread(self.scheduled(part))
            for operand, buffer in zip(node.operands, kernels[node].inputs):
                if _base(operand) in self.inputs:
                    continue
                if _base(operand) is not operand:
                    return None
                found = _region(kernels[node].body, buffer, windows.get(operand))
                if found is None or not _fits(found, operand.type.shape, first, last):
                    return None
                windows[operand] = found
        between = [node for node in self.calls if node is not result]
        if judge and not self.is_worth(between, windows, count):
            return None
        return self.assembled(between, windows, kernels)

    def is_worth(self, between: list[Node], windows: dict[Node, Window], count: int) -> bool:
        """Whether what is kept for a strip is near, and little of it is computed again."""
        sizes = {node: prod([side.extent for side in windows[node]]) for node in between}
        near = sum(size * node.type.dtype.itemsize for node, size in sizes.items())
        repeated = count * sum(sizes.values()) / sum(node.type.size for node in between)
        return near <= NEAR_BYTES and repeated <= MOST_REPEATED

    def assembled(
        self, between: list[Node], windows: dict[Node, Window], kernels: dict[Node, Kernel]
    ) -> Body:
        names = FreshNames(Kernel("", self.parameters, 0, (For(STRIP, *_NOTHING),)))
        near: dict[Node, Buffer] = {}
        body: list[Statement] = []
        for node in between:
            type = array_type([side.extent for side in windows[node]], node.type.dtype)
            near[node] = Buffer(names.pick("near"), type, "local")
        for node in self.calls:
            kernel = kernels[node]
            new: dict[Term, Term] = {}
            offsets: dict[Buffer, tuple[Expression, ...]] = {}
            for operand, buffer in zip(node.operands, kernel.inputs):
                if operand in near:
                    new[buffer] = near[operand]
                    minus = [tensor.multiply(s.start, integer(-1)) for s in windows[operand]]
                    offsets[buffer] = tuple(minus)
                else:
                    new[buffer] = self.inputs[_base(operand)]
            (own,) = kernel.fresh
            if node in near:
                body.append(Allocate(near[node]))
                new[own] = near[node]
            else:
                new[own] = self.outs[node]
                offsets[own] = tuple([side.start for side in windows[node]])
            moving = _Moving(new | names.of_body(kernel.body), offsets)
            body += moving.body(kernel.body)
        return tuple(body)


def _by_one_thread(kernel: Kernel) -> Kernel:
    """Threads take strips, so what is in one is for one of them."""

    def visit(body: Body) -> Body:
        found = [tensor.map_bodies(statement, visit) for statement in body]
        is_shared = lambda s: isinstance(s, For) and s.mark == "parallel"
        return tuple([s.replace(mark="serial") if is_shared(s) else s for s in found])

    return kernel.replace(body=visit(kernel.body))


_NOTHING = (tensor.ZERO, tensor.ZERO, (), "serial", 1)


class _Moving(Renaming):
    """Statements on other buffers, some of which begin elsewhere."""

    def __init__(self, names: dict[Term, Term], offsets: dict[Buffer, tuple[Expression, ...]]):
        super().__init__(names)
        self.offsets = offsets

    def place(self, buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
        if buffer in self.offsets:
            return tuple([_moved(i, by) for i, by in zip(indices, self.offsets[buffer])])
        return super().place(buffer, indices)


def _moved(index: Expression, by: Expression) -> Expression:
    """The sum of two, where what is taken away again is gone."""
    total = tensor.add(index, by)
    atoms, constant = linear(total)
    if STRIP in atoms or STRIP not in total.free:
        return total
    found: Expression = tensor.ZERO
    for atom, scale in atoms.items():
        found = tensor.add(found, tensor.multiply(atom, integer(scale)))
    return tensor.add(found, integer(constant))


def _base(node: Node) -> Node:
    """The value in whose memory `node` is."""
    while node.op is reshape:
        (node,) = node.operands
    return node


def _can_be_cut(node: Node) -> bool:
    """Whether a call's callee can be asked for a part of its one result."""
    callee = node.attrs["callee"]
    if isinstance(callee, Kernel) or len(callee.results) != 1 or callee.updated:
        return False
    for inner in callee.nodes:
        if inner.op.kind in (SCAN, UPDATE, OPAQUE) or isinstance(inner.op.lowering, Loops):
            return False
        if inner.attrs.get("by") == "library":
            return False
        if inner.op is call or not all(isinstance(n, int) for n in inner.type.shape):
            return False
    return True


def _multiply_adds(function: Function) -> int:
    total = 0
    for node in function.nodes:
        if node.op.kind == CONTRACTION:
            left, right, _ = node.attrs["spec"].replace("->", ",").split(",")
            extents = dict(zip(left, node.operands[0].type.shape))
            total += prod((extents | dict(zip(right, node.operands[1].type.shape))).values())
    return total


def _region(body: Body, buffer: Buffer, window: Window | None) -> Window | None:
    """The part of a buffer that statements read in a strip, and that of `window` besides."""
    found: list[Side] | None = list(window) if window is not None else None
    for load, loops in _loads(body, buffer, ()):
        sides = [_side(index, loops) for index in load.indices]
        if None in sides:
            return None
        joined = sides if found is None else [a.join(b) for a, b in zip(found, sides)]
        if None in joined:
            return None
        found = joined
    return None if found is None else tuple(found)


def _loads(body: Body, buffer: Buffer, loops: tuple[For, ...]) -> list[tuple[Load, tuple]]:
    found: list[tuple[Load, tuple]] = []
    for statement in body:
        roots = list(expressions_of(statement))
        for e in postorder(roots, parts):
            if isinstance(e, Load) and e.buffer is buffer:
                found.append((e, loops))
        if isinstance(statement, Call | Extern) and any(
            isinstance(a, Address) and a.buffer is buffer
            for a in getattr(statement, "arguments", ())
        ):
            return []
        inside = (*loops, statement) if isinstance(statement, For) else loops
        for inner in bodies_of(statement):
            found += _loads(inner, buffer, inside)
    return found


def _side(index: Expression, loops: tuple[For, ...]) -> Side | None:
    """Where an index is, over all iterations of the loops in a strip."""
    scale = coefficient(index, STRIP)
    if scale is None:
        return None
    still = tensor.replace_expressions((index,), {STRIP: tensor.ZERO})[index]
    low, high = Bounds(loops).interval(still)
    if type(low) is not int or type(high) is not int:
        return None
    return Side(scale, low, high - low + 1)


def _fits(window: Window, shape: tuple, first: int, last: int) -> bool:
    """Whether the window is inside the array, in the first strip and in the last."""
    return all(
        0 <= side.scale * strip + side.low and side.scale * strip + side.low + side.extent <= extent
        for side, extent in zip(window, shape)
        for strip in (first, last)
    )


def cut_nest(kernel: Kernel, window: Window) -> Kernel | None:
    """A nest of loops over its one result, for a part of that: stored from the beginning on."""
    (out,) = kernel.fresh
    small = out.replace(type=array_type([side.extent for side in window], out.type.dtype))
    stores = [s for s in statements(kernel.body) if isinstance(s, Store) and s.buffer is out]
    if len(stores) != 1:
        return None
    axes = dict(zip(stores[0].indices, window))
    if not all(isinstance(index, Index) for index in axes) or len(axes) < len(window):
        return None

    def visit(body: Body) -> Body:
        found: list[Statement] = []
        for statement in body:
            if isinstance(statement, For) and statement.index in axes:
                side = axes[statement.index]
                here = {statement.index: tensor.add(statement.index, side.start)}
                inner = exchange(visit(statement.body), here)
                stop = integer(side.extent)
                statement = For(statement.index, tensor.ZERO, stop, inner, statement.mark, 1)
            else:
                statement = tensor.map_bodies(statement, visit)
            found.append(statement)
        return tuple(found)

    offsets = {out: tuple([tensor.multiply(side.start, integer(-1)) for side in window])}
    body = _Moving({out: small}, offsets).body(visit(kernel.body))
    parameters = (*kernel.inputs, small)
    return kernel.replace(parameters=parameters, body=body)
