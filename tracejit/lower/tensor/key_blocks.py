"""A softmax between two products, block by block of the keys: online softmax.

For a strip of rows (queries) the scores of one block of keys are made at a time. With `top` the largest
score of a row so far, `total` the sum of its exponentials and `mixed` their product with the values,

    new = maximum(top, max(scores));  shrink = exp(top - new);  weights = exp(scores - new)
    total = total * shrink + sum(weights);  mixed = mixed * shrink + weights @ values

and the result is `mixed / total` in the end (Milakov and Gimelshein, 2018; Dao et al., 2022). A strip and
a block are near whatever the length of a row, and keys and values are read once for each strip, of
many rows. Rows of which nothing was seen yet but -inf, masked, have exponentials of 0, and are 0 / 0
in the end, as in NumPy.

Blocks of which a mask leaves nothing to any row of a strip are skipped, where the mask compares the places
of keys and queries (graph/hidden.py). What it hides by a number, such as -1e9, is nothing only beside the
largest score of each row: the blocks that it leaves come first, then it is asked for, and where it is not
large enough, as in a row that is hidden as a whole, the others follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.expressions import integer
from ...ir.graph import Function, Kernel, Node, parameter, substitute
from ...ir.op import REDUCTION
from ...ir.ops import broadcast, transpose
from ...ir.ops.elementwise import divide
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Apply,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
)
from ...ir.term import postorder
from ...ir.types import array_type
from ..elements import axis_indices
from ..graph.hidden import UNDERFLOW, hidden_by
from ..graph.softmax import Softmax
from .blocks import BlocksOfRows, Lowering, called, nest, top_or_zero
from .strips_of_groups import Body
from .window import BLOCK, Side, Window


class _Products(NamedTuple):
    """What is computed of a block of keys: its part of the weights, and of the product with the values."""

    along: Side
    window: Window
    scores: Kernel
    mixed: Kernel


class _Plan(NamedTuple):
    """A strip: its part of the product and of its rows; blocks of keys, all alike and a shorter one."""

    window: Window
    mixed: Window
    rows: Window
    blocks: list[_Products]
    end: Kernel


class KeyBlocks(BlocksOfRows):
    """Strips of a group that is a softmax between two products; `part` makes a Kernel of a part."""

    def __init__(
        self,
        function: Function,
        softmax: Softmax,
        inputs: dict[Node, Buffer],
        outs: dict[Node, Buffer],
        lowering: Lowering,
        near_bytes: int,
        free: tuple[int, ...],
    ):
        self.softmax, self.lowering = softmax, lowering
        weights = parameter("weights", softmax.exponentials.type)
        (mixed,) = substitute((softmax.last,), {softmax.weights: weights})
        product = parameter("mixed", softmax.last.type)
        total = parameter("total", array_type(weights.type.shape[:-1], weights.type.dtype))
        labels, _, result = softmax.labels
        axes = tuple([result.index(label) for label in labels[:-1]])
        order = tuple(sorted(range(len(axes)), key=axes.__getitem__))
        sums = transpose(total, axes=order)
        sums = broadcast(sums, axes=tuple(sorted(axes)), shape=product.type.shape)
        ends = substitute(function.results, {softmax.end: divide(product, sums)})
        self.scores, self.mixed, self.end = [
            called(name, node)
            for name, node in (("scores", softmax.scores), ("mixed", mixed), ("end", ends[0]))
        ]
        calls = [self.scores, self.mixed, self.end]
        super().__init__(calls, inputs, outs, lowering.part, near_bytes, free)
        self.row_axes = axes
        self.weights, self.product, self.total = weights, product, total
        self.count, self.rest = divmod(softmax.keys, softmax.block)
        self.hidden = hidden_by(softmax)
        if self.hidden is not None:
            self.most = Buffer(self.names.pick("hidden"), self.hidden.bound.type, "local")

    def body(self) -> Body | None:
        (result,) = self.outs
        shape = result.type.shape
        found = self.of_rows(shape) if self.free and 0 not in shape else None
        if found is None or self.hidden is None:
            return found
        return (*self.bound_of_hidden(self.hidden.bound), *found)

    # What is computed for a strip.

    def plan(self, window: Window, strips: Mapping[Index, tuple[int, int]]) -> _Plan | None:
        end = self.part(self.end, window)
        if end is None:
            return None
        mixed = self.read(self.end, end, self.product, strips)
        rows = self.read(self.end, end, self.total, strips)
        if mixed is None or rows is None:
            return None
        size, blocks = self.softmax.block, []
        whole = Side(size, 0, size, 0, BLOCK)
        for along in (whole, Side(0, self.count * size, self.rest)):
            if along.extent:
                found = self.products(along, mixed, rows, strips)
                if found is None:
                    return None
                blocks.append(found)
        return _Plan(window, mixed, rows, blocks, end)

    def products(
        self, along: Side, mixed: Window, rows: Window, strips: Mapping[Index, tuple[int, int]]
    ) -> _Products | None:
        product = self.part(self.mixed, mixed, along)
        inside = {**strips, BLOCK: (0, max(self.count - 1, 0))}
        window = product and self.read(self.mixed, product, self.weights, inside)
        if window is None or window != (*rows, along):
            return None
        scores = self.part(self.scores, window)
        return scores and _Products(along, window, scores, product)

    def assembled(self, plan: _Plan) -> Body:
        names, dtype = self.names, self.softmax.scores.type.dtype
        near = {
            name: Buffer(names.pick(name), array_type([s.extent for s in window], dtype), "local")
            for name, window in (
                ("total", plan.rows),
                ("mixed", plan.mixed),
                ("product", plan.mixed),
                *((name, plan.rows) for name in ("top", "shrink") if self.softmax.has_top),
            )
        }
        steps = _Steps(near, self.row_axes, self.near_loops)
        body: list[Statement] = [Allocate(buffer) for buffer in near.values()]
        body += steps.begin()
        for number, block in enumerate(plan.blocks):
            extents = [side.extent for side in block.window]
            scores = Buffer(names.pick("scores"), array_type(extents, dtype), "local")
            inner = (
                *self.placed(self.scores, block.scores, {}, scores),
                *steps.weigh(scores),
                *self.placed(
                    self.mixed,
                    block.mixed,
                    {self.weights: (scores, block.window)},
                    near["product"],
                ),
                *steps.add(),
            )
            before: Body = ()
            if block.along.scale:
                before, inner = self.of_blocks(inner)
                own, inner = self.of_strip(inner)
                before += own
            index = BLOCK if block.along.scale else Index(names.pick("rest"))
            loop = lambda first, stop, index=index, inner=inner: For(
                index, first, stop, inner, "serial", 1
            )
            body += [*before, Allocate(scores), *self.needed(plan, block, loop, steps.lowest)]
        values = {self.product: (near["mixed"], plan.mixed), self.total: (near["total"], plan.rows)}
        (result,) = self.outs.values()
        body += self.placed(self.end, plan.end, values, result, plan.window)
        return tuple(body)

    # Which blocks are needed.

    def bound_of_hidden(self, bound: Node) -> Body:
        """What computes the bound: each of the reductions it is made of, over loops of its own, and the rest."""
        nodes = postorder((bound,), lambda node: node.operands)
        found = {
            node: parameter(f"part{number}", node.type)
            for number, node in enumerate(n for n in nodes if n.op.kind == REDUCTION)
        }
        near: dict[Node, tuple[Buffer, Window]] = {}
        body: list[Statement] = []
        for node, formal in found.items():
            buffer = Buffer(self.names.pick("part"), node.type, "local")
            body += self.whole(called("part", node), {}, buffer)
            near[formal] = buffer, ()
        (rest,) = substitute((bound,), found)
        return (*body, *self.whole(called("limit", rest), near, self.most))

    def whole(self, node: Node, near: Mapping[Node, tuple[Buffer, Window]], out: Buffer) -> Body:
        return (Allocate(out), *self.placed(node, self.lowering.whole(node), near, out))

    def needed(self, plan: _Plan, block: _Products, loop: Callable, lowest: Callable) -> Body:
        """The loops over the blocks of which a mask leaves something, and over others if they count."""
        count = self.count if block.along.scale else 1
        if self.hidden is None:
            return (loop(tensor.ZERO, integer(count)),)
        first, stop = self.left(plan, block, count)
        most, dtype = Load(self.most, ()), self.most.type.dtype
        underflow = UNDERFLOW[dtype.itemsize]
        if self.hidden.is_nothing or not self.softmax.has_top:
            limit = Literal(-inf if self.softmax.has_top else -underflow, dtype)
            skips = expressions.compare("less_equal", most, limit)
            all_ = integer(count)
            return (
                loop(
                    expressions.select(skips, first, tensor.ZERO),
                    expressions.select(skips, stop, all_),
                ),
            )
        # The largest score of each row is above what is hidden by so much, once others are seen.
        least = Variable(self.names.pick("least"), dtype)
        above = Apply("subtract", (least, most), dtype)
        skips = expressions.compare("greater_equal", above, Literal(underflow, dtype))
        part = Index(self.names.pick("part"))
        is_first, is_second = [
            expressions.compare("equal", part, integer(number)) for number in range(2)
        ]
        stop = expressions.maximum(first, stop)
        before_first = expressions.select(is_second, tensor.ZERO, stop)
        starts = expressions.select(skips, integer(count), before_first)
        stops = expressions.select(is_second, first, integer(count))
        inner = loop(
            expressions.select(is_first, first, starts), expressions.select(is_first, stop, stops)
        )
        body = (Let(least, Literal(inf, dtype)), *lowest(least), inner)
        return (For(part, tensor.ZERO, integer(3), body, "serial", 1),)

    def left(self, plan: _Plan, block: _Products, count: int) -> tuple[Expression, Expression]:
        """The first block that a mask leaves something of, and the one after the last."""
        size = block.along.extent
        first, stop = tensor.ZERO, integer(count)
        for is_first, key in self.limits(plan.rows):
            key = expressions.subtract(key, integer(0 if block.along.scale else block.along.low))
            number = expressions.floor_divide(key, integer(size))
            number = number if is_first else expressions.add(number, tensor.ONE)
            number = expressions.minimum(expressions.maximum(number, tensor.ZERO), integer(count))
            if is_first:
                first = expressions.maximum(first, number)
            else:
                stop = expressions.minimum(stop, number)
        return first, stop

    def limits(self, rows: Window) -> list[tuple[bool, Expression]]:
        """Of the keys that the mask leaves to some row of the strip: bounds, whether they are the first's."""
        found = []
        for fact in self.hidden.facts:
            atoms, constant = linear(fact)
            scale = atoms.pop(_key(rows), 0)
            if abs(scale) != 1 or not atoms.keys() <= {*axis_indices(len(rows))}:
                continue
            most: Expression = integer(constant)
            for axis, side in zip(axis_indices(len(rows)), rows):
                factor = atoms.get(axis, 0)
                far = side.start
                if factor > 0:
                    far = expressions.add(far, integer(side.extent - 1))
                most = expressions.add(most, expressions.multiply(far, integer(factor)))
            # scale * key + most >= 0
            found.append((scale > 0, expressions.multiply(most, integer(-scale))))
        return found


class _Steps:
    """What is done for a strip besides the products: with buffers for the rows so far."""

    def __init__(self, near: dict[str, Buffer], row_axes: tuple[int, ...], lanes: Callable):
        self.near, self.lanes = near, lanes
        self.mixed_index = axis_indices(near["mixed"].type.ndim)
        self.row_of = tuple([self.mixed_index[axis] for axis in row_axes])
        self.has_top = "top" in near

    def begin(self) -> Body:
        """Nothing seen: sums of 0, and nothing larger than -inf."""
        found: Body = ()
        for name in ("total", "mixed", *(("top",) if self.has_top else ())):
            buffer = self.near[name]
            index = axis_indices(buffer.type.ndim)
            start = Literal(-inf if name == "top" else 0.0, buffer.type.dtype)
            store = Store(buffer, index, start)
            found += self.lanes(nest(index, buffer.type.shape, (store,)), buffer)
        return found

    def weigh(self, scores: Buffer) -> Body:
        """The exponentials of a block of scores, in their place, and the sums of rows with them."""
        shape, dtype = scores.type.shape, scores.type.dtype
        *row, key = axis_indices(len(shape))
        row = tuple(row)
        place, sum_ = Load(scores, (*row, key)), Variable("sum", dtype)
        along = lambda *body: For(key, tensor.ZERO, integer(shape[-1]), body, "serial", 1)
        total, rows = Load(self.near["total"], row), lambda body: nest(row, shape[:-1], body)
        used, weight = [scores, total.buffer], place
        found: Body = ()
        before: Body = (Let(sum_, total),)
        if self.has_top:
            top, shrink = [Load(self.near[name], row) for name in ("top", "shrink")]
            most, factor = Variable("most", dtype), Variable("factor", dtype)
            base = Let(Variable("base", dtype), top_or_zero(top))
            less = lambda value: Apply("subtract", (value, base.variable), dtype)
            largest = along(Accumulate(most, "maximum", place))
            # What was the largest is kept where what all before shrink by takes its place, in lanes.
            kept = Store(shrink.buffer, row, top)
            found += rows((Let(most, top), largest, kept, Store(top.buffer, row, most)))
            shrunk = Let(factor, Apply("exp", (less(shrink),), dtype))
            smaller = Store(total.buffer, row, Apply("multiply", (total, factor), dtype))
            found += rows((base, shrunk, Store(shrink.buffer, row, factor), smaller))
            before, weight = (base, *before), less(place)
            used += [top.buffer, shrink.buffer]
        weight = Apply("exp", (weight,), dtype)
        sweep = along(Accumulate(sum_, "add", weight), Store(scores, place.indices, weight))
        found += rows((*before, sweep, Store(total.buffer, row, sum_)))
        return self.lanes(found, *used)

    def lowest(self, least: Variable) -> Body:
        """Of the largest scores of rows so far the lowest, in a variable."""
        top = self.near["top"]
        row = axis_indices(top.type.ndim)
        return nest(row, top.type.shape, (Accumulate(least, "minimum", Load(top, row)),))

    def add(self) -> Body:
        """The product with a block of values, added to that with those before."""
        mixed, product = [Load(self.near[name], self.mixed_index) for name in ("mixed", "product")]
        dtype, before, used = mixed.dtype, mixed, [mixed.buffer, product.buffer]
        if self.has_top:
            shrink = Load(self.near["shrink"], self.row_of)
            before = Apply("multiply", (mixed, shrink), dtype)
            used.append(shrink.buffer)
        value = Apply("add", (before, product), dtype)
        store = Store(mixed.buffer, self.mixed_index, value)
        return self.lanes(nest(self.mixed_index, mixed.buffer.type.shape, (store,)), *used)


def _key(rows: Window) -> Index:
    """The index of the keys' axis, which is the last of the scores."""
    return axis_indices(len(rows) + 1)[-1]
