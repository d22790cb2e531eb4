"""Points in space, `(n, 3)`, that the program computes itself: the coordinates in rows of their own, `(3, n)`.

NumPy programs keep points as the rows of an array. Memory has their coordinates side by side then, and
vector lanes, which want many points of one coordinate, take them apart at every use and put them together at
every store: for a norm along the short axis, for what is the same for all coordinates of a point, for one of the
coordinates. Where a loop carries points, these have their axes exchanged, and so has what is computed from points element by
element; arrays of the caller are read as they are, and results put together in the end.

The gain of that and its price are counted in elements per call, each as often as the loops around it run.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...ir import ops
from ...ir.graph import Function, Kernel, Module, Node, item, parameter
from ...ir.op import ELEMENTWISE, REDUCTION
from ...ir.types import array_type
from .choose_layouts import iterations

LONGEST, FEWEST = 8, 64  # coordinates, and points
BACK = (1, 0)
# Gains for each element: of a short axis in the way, and of a coordinate that is taken out or put in, which
# is cheap where few fit into a vector.
CROSSED = 1.0
TAKEN = {4: 0.7, 8: 0.1}
PUT = {4: 0.5, 8: -0.2}
# Prices: of what is put together for others, and of what is read from arrays of the caller.
GIVEN, READ = 1.5, 0.5


def lay_out_points(module: Module) -> Module:
    """The same module; points that it computes lie coordinate by coordinate, where that is less work."""
    entry = module.entry
    # Without a loop that carries points, one kernel with a point in each lane is as good.
    if isinstance(entry, Kernel) or not any(map(carried_points, entry.nodes)):
        return module
    if _gain(entry, 1.0, set()) <= 0.0:
        return module
    return Module(_Exchange(entry, {}).run())


def is_points(node: Node) -> bool:
    shape = getattr(node.type, "shape", ())
    if len(shape) != 2 or not all(type(n) is int for n in shape):
        return False
    return 2 <= shape[1] <= LONGEST and shape[0] >= FEWEST and node.dtype.itemsize in TAKEN


def is_computed(node: Node) -> bool:
    """Whether a node gives points that can as well be computed the other way round."""
    is_put = node.op is ops.concatenate and node.attrs["axis"] == 1
    return is_points(node) and (node.op.kind == ELEMENTWISE or is_put)


def carried_points(loop: Node) -> set[int]:
    """Which of the values that a loop carries are points that every iteration computes anew, or leaves alone."""
    if loop.op is not ops.for_loop:
        return set()
    body = loop.attrs["body"]
    pairs = zip(body.parameters, body.results[: loop.attrs["carried"]])
    return {k for k, (p, r) in enumerate(pairs) if is_points(p) and (is_computed(r) or r is p)}


def _gain(function: Function, times: float, exchanged: set[Node]) -> float:
    """What the exchange saves, in elements; `exchanged` are parameters that are points the other way round."""
    gain = 0.0
    values = {node for node in function.nodes if is_computed(node)} | exchanged
    for node in function.nodes:
        found = carried_points(node)
        if found:
            body = node.attrs["body"]
            inner = {body.parameters[k] for k in found}
            gain += _gain(body, times * iterations(node), inner)
            values |= _items(function, node, found)
    for node in function.nodes:
        gain += times * sum([_of_use(node, operand, values) for operand in node.operands])
    kept = values & {*function.results} if not exchanged else set()
    return gain - times * sum([GIVEN * node.type.size for node in kept])


def _items(function: Function, loop: Node, found: set[int]) -> set[Node]:
    """What a loop gives that is points the other way round."""
    if hasattr(loop.type, "shape"):
        return {loop}
    given = [n for n in function.nodes if n.op is item and n.operands[0] is loop]
    return {n for n in given if n.attrs["index"] in found}


def _of_use(node: Node, operand: Node, values: set[Node]) -> float:
    """What a node saves that has this operand, if the points among `values` are the other way round."""
    size = operand.type.size if hasattr(operand.type, "size") else 0
    if not isinstance(size, int) or node.op is ops.for_loop:
        return 0.0
    if node in values:
        if node.op is ops.concatenate:
            return PUT[node.dtype.itemsize] * size
        if operand.op is ops.broadcast and operand.attrs["axes"] == (0,):
            return CROSSED * size
        is_read = operand.op.name == "parameter" and operand not in values
        return -READ * size if is_read and is_points(operand) else 0.0
    if operand not in values:
        return 0.0
    if node.op.kind == REDUCTION and node.attrs["axes"] == (1,):
        return CROSSED * size
    if node.op is ops.slice_ and node.type.shape[1] == 1:
        return TAKEN[node.dtype.itemsize] * node.type.size
    return 0.0 if node.op in (ops.broadcast, ops.slice_) else -GIVEN * size


class _Exchange:
    """One program, in which points are computed with the axes exchanged."""

    def __init__(self, function: Function, exchanged: dict[Node, Node]):
        self.function = function
        # What is computed the other way round, by what it was; of loops with several results, by these.
        self.turned: dict[Any, Node] = dict(exchanged)
        self.new: dict[Node, Node] = {
            p: ops.transpose(other, axes=BACK) for p, other in exchanged.items()
        }

    def run(self, carried: Collection[int] = ()) -> Function:
        """The program; results that are `carried` stay the other way round."""
        for node in self.function.nodes:
            if node not in self.new:
                self.new[node] = self.rebuilt(node)
        results = [
            self.turn(r) if k in carried else self.new[r]
            for k, r in enumerate(self.function.results)
        ]
        parameters = [self.turned.get(p, p) for p in self.function.parameters]
        return Function(self.function.name, tuple(parameters), tuple(results))

    def rebuilt(self, node: Node) -> Node:
        if is_computed(node):
            attributes = dict(node.attributes)
            if node.op is ops.concatenate:
                attributes["axis"] = 0
            operands = tuple([self.turn(operand) for operand in node.operands])
            return self.seen(node, Node(node.op, operands, tuple(attributes.items())))
        if node.op.kind == REDUCTION and node.operands[0] in self.turned:
            if node.attrs["axes"] == (1,):
                return node.op(self.turned[node.operands[0]], **{**node.attrs, "axes": (0,)})
        if node.op is item and (node.operands[0], node.attrs["index"]) in self.turned:
            made = item(self.new[node.operands[0]], index=node.attrs["index"])
            return self.seen(node, made)
        found = carried_points(node)
        if found:
            return self.loop(node, found)
        return Node(node.op, tuple([self.new[o] for o in node.operands]), node.attributes)

    def seen(self, node: Node, turned: Node) -> Node:
        """A value that is computed the other way round, as its readers see it."""
        self.turned[node] = turned
        return ops.transpose(turned, axes=BACK)

    def turn(self, node: Node) -> Node:
        """An operand the other way round: what is the same along an axis stays so."""
        found = self.turned.get(node)
        if found is not None:
            return found
        if node.op is ops.broadcast:
            axes = tuple([1 - axis for axis in node.attrs["axes"]])
            source, shape = self.new[node.operands[0]], node.type.shape[::-1]
            if len(axes) < 2:
                return ops.broadcast(source, axes=axes, shape=shape)
        return ops.transpose(self.new[node], axes=BACK)

    def loop(self, node: Node, found: set[int]) -> Node:
        attrs = dict(node.attributes)
        body = attrs["body"]
        inner = {}
        for old in [body.parameters[k] for k in found]:
            type = array_type(old.type.shape[::-1], old.type.dtype)
            inner[old] = parameter(old.attrs["name"], type)
        attrs["body"] = _Exchange(body, inner).run(found)
        operands = [
            self.turn(o) if k in found else self.new[o] for k, o in enumerate(node.operands)
        ]
        made = Node(node.op, tuple(operands), tuple(attrs.items()))
        if hasattr(made.type, "shape"):
            return self.seen(node, made)
        self.turned.update({(node, k): made for k in found})
        return made
