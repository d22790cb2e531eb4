"""Rows of a product that are reduced, block by block of their columns.

For a strip of rows one block of the product is made at a time, and what has been found of each row is brought
up to date: sums and extrema, elements at labels, and, where `top` grows, what depends on it,

    new = maximum(top, max(block));  total = total * exp(top - new) + sum(exp(block - new))

for exponentials, and the place in this block for that of the largest element (graph/row_folds.py). The right
factor is packed once, and read once for each strip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, nan
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.graph import Kernel, Node
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Apply,
    Buffer,
    Expression,
    For,
    If,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
)
from ...ir.types import DType, array_type, bool_, i32
from ..elements import Composer, axis_indices
from ..graph.row_folds import EXPONENTIALS, PLACE, PLAIN, Fold, RowFolds
from ..graph.softmax import BLOCK_BYTES
from .blocks import BlocksOfRows, Lowering, called, nest, top_or_zero
from .strips_of_groups import Body
from .window import BLOCK, Side, Window


class _Block(NamedTuple):
    """A block of columns: where it is, and the product's part in it."""

    along: Side
    window: Window
    product: Kernel


class _Plan(NamedTuple):
    """A strip: its part of the result and of the rows; blocks, all alike and a shorter one."""

    window: Window
    rows: Window
    blocks: list[_Block]
    places: list[Kernel]
    end: Kernel


class RowBlocks(BlocksOfRows):
    """Strips of a group that is a product whose rows are reduced."""

    def __init__(
        self,
        found: RowFolds,
        inputs: dict[Node, Buffer],
        outs: dict[Node, Buffer],
        lowering: Lowering,
        near_bytes: int,
        free: tuple[int, ...],
    ):
        self.found, self.lowering = found, lowering
        self.row, self.end = called("row", found.row), called("end", found.end)
        self.places = [called("place", pick.place) for pick in found.picks]
        calls = [self.row, *self.places, self.end]
        super().__init__(calls, inputs, outs, lowering.part, near_bytes, free)
        self.size = BLOCK_BYTES // found.row.type.dtype.itemsize
        self.count, self.rest = divmod(found.columns, self.size)

    def body(self) -> Body | None:
        (result,) = self.outs
        shape = result.type.shape
        return self.of_rows(shape) if self.free and 0 not in shape else None

    def plan(self, window: Window, strips: Mapping[Index, tuple[int, int]]) -> _Plan | None:
        end = self.part(self.end, window)
        formals = {one.value for one in (*self.found.folds, *self.found.picks)}
        read = end and {
            self.read(self.end, end, operand, strips)
            for operand in self.end.operands
            if operand in formals
        }
        if not read or len(read) > 1 or None in read:
            return None
        (rows,) = read
        blocks = []
        whole = Side(self.size, 0, self.size, 0, BLOCK)
        for along in (whole, Side(0, self.count * self.size, self.rest)):
            if along.extent:
                part = (*rows, along)
                product = self.part(self.row, part)
                if product is None:
                    return None
                blocks.append(_Block(along, part, product))
        places = [self.part(place, rows) for place in self.places]
        return None if None in places else _Plan(window, rows, blocks, places, end)

    def assembled(self, plan: _Plan) -> Body:
        names, found = self.names, self.found
        extents = [side.extent for side in plan.rows]
        made = lambda name, dtype: Buffer(names.pick(name), array_type(extents, dtype), "local")
        near = {
            one.value: made("found", one.value.type.dtype) for one in (*found.folds, *found.picks)
        }
        places = [made("place", pick.place.type.dtype) for pick in found.picks]
        shrinking = [fold.top for fold in found.folds if fold.kind == EXPONENTIALS]
        tops = {top: made("before", top.type.dtype) for top in dict.fromkeys(shrinking)}
        own = (*near.values(), *places, *tops.values())
        body: list[Statement] = [Allocate(buffer) for buffer in own]
        for place, kernel, buffer in zip(self.places, plan.places, places):
            body += self.placed(place, kernel, {}, buffer)
        steps = _Steps(found, near, places, tops)
        body += self.near_loops(steps.begin(), *near.values())
        for block in plan.blocks:
            shape = [side.extent for side in block.window]
            values = Buffer(names.pick("row"), array_type(shape, found.row.type.dtype), "local")
            first = Index(names.pick("first"))
            inner = (
                *self.placed(self.row, block.product, {}, values),
                Let(first, block.along.start),
                *self.near_loops(steps.fold(values, first), values, *own),
            )
            if block.along.scale:
                before, inner = self.of_blocks(inner)
                copied, inner = self.of_strip(inner)
                loop = For(BLOCK, tensor.ZERO, integer(self.count), inner, "serial", 1)
                inner = (*before, *copied, Allocate(values), loop)
            body += inner if block.along.scale else (Allocate(values), *inner)
        body += self.near_loops(steps.finish(), *near.values())
        values = {value: (buffer, plan.rows) for value, buffer in near.items()}
        (result,) = self.outs.values()
        body += self.placed(self.end, plan.end, values, result, plan.window)
        return tuple(body)


class _Steps:
    """What is done for a strip besides the product: `near` are the numbers of its rows so far, `before`
    the extrema before the last block."""

    def __init__(
        self,
        found: RowFolds,
        near: dict[Node, Buffer],
        places: list[Buffer],
        before: dict[Node, Buffer],
    ):
        self.found, self.near, self.places, self.before = found, near, places, before
        self.index = axis_indices(len(found.rows))
        self.key = axis_indices(len(found.rows) + 1)[-1]
        self.shape = next(iter(near.values())).type.shape
        self.combines = {fold.value: fold.combine for fold in found.folds}

    def start(self, fold: Fold) -> Literal:
        """What is found of no elements."""
        dtype = fold.value.type.dtype
        if fold.kind == PLACE:
            return Literal(self.found.columns, dtype)
        return Literal(expressions.identity(fold.combine, dtype), dtype)

    def begin(self) -> Body:
        stores = [
            Store(self.near[fold.value], self.index, self.start(fold)) for fold in self.found.folds
        ]
        for pick in self.found.picks:
            buffer = self.near[pick.value]
            stores.append(Store(buffer, self.index, Literal(nan, buffer.type.dtype)))
        return nest(self.index, self.shape, tuple(stores))

    def fold(self, values: Buffer, first: Index) -> Body:
        """A block of `values` brought into what was found; `first` is the number of its first column."""
        columns = integer(values.type.shape[-1])
        element = Load(values, (*self.index, self.key))
        along = lambda *body: For(self.key, tensor.ZERO, columns, tuple(body), "serial", 1)
        composer = Composer(lambda node, at: element if node is self.found.row else None)
        plain = [fold for fold in self.found.folds if fold.kind == PLAIN]
        now = {f.value: Variable(f"now{k}", f.value.type.dtype) for k, f in enumerate(plain)}
        before = {value: Load(self.near[value], self.index) for value in now}
        body: list[Statement] = [Let(now[value], before[value]) for value in now]
        if plain:
            steps = [
                Accumulate(now[f.value], f.combine, composer.value(f.element, element.indices))
                for f in plain
            ]
            body.append(along(*steps))
        for number, fold in enumerate(self.found.folds):
            if fold.kind == PLACE:
                tops = before[fold.top], now[fold.top]
                body += self.place(fold, str(number), element, tops, first, along)
        for value, variable in now.items():
            if value in self.before:
                body.append(Store(self.before[value], self.index, before[value]))
            body.append(Store(self.near[value], self.index, variable))
        for pick, place in zip(self.found.picks, self.places):
            body += self.pick(self.near[pick.value], place, values, first)
        found = nest(self.index, self.shape, tuple(body))
        for fold in self.found.folds:
            if fold.kind == EXPONENTIALS:
                found += self.exponentials(fold, element, along)
        return found

    def exponentials(self, fold: Fold, element: Load, along: Callable[..., For]) -> Body:
        """The sums of exponentials of elements less by the largest one so far: those before are made less first,
        of many rows at a time."""
        dtype = element.dtype
        total, top = Load(self.near[fold.value], self.index), Load(self.near[fold.top], self.index)
        before = Load(self.before[fold.top], self.index)
        base, sum_ = Variable("base", dtype), Variable("sum", dtype)
        less = lambda value: Apply("exp", (Apply("subtract", (value, base), dtype),), dtype)
        based = Let(base, top_or_zero(top))
        shrunk = Store(total.buffer, self.index, Apply("multiply", (total, less(before)), dtype))
        sweep = along(Accumulate(sum_, "add", less(element)))
        summed = (based, Let(sum_, total), sweep, Store(total.buffer, self.index, sum_))
        rows = lambda body: nest(self.index, self.shape, body)
        return (*rows((based, shrunk)), *rows(summed))

    def place(
        self,
        fold: Fold,
        name: str,
        element: Load,
        tops: tuple[Load, Variable],
        first: Index,
        along: Callable[..., For],
    ) -> Body:
        """Where the first of the largest elements is, or the first that is no number."""
        before, top = tops
        is_nan = lambda value: expressions.compare("not_equal", value, value)
        either = lambda a, b: Apply("logical_or", (a, b), bool_)
        place, all_ = Load(self.near[fold.value], self.index), self.start(fold)
        none = Literal(element.buffer.type.shape[-1], i32)
        here = Variable(f"here{name}", i32)
        is_there = either(expressions.compare("equal", element, top), is_nan(element))
        number = expressions.select(is_there, expressions.cast(self.key, i32), none)
        found = expressions.add(first, expressions.cast(here, place.dtype))
        is_none = expressions.compare("equal", here, none)
        sweep = (
            Let(here, none),
            along(Accumulate(here, "minimum", number)),
            Store(place.buffer, self.index, expressions.select(is_none, place, found)),
        )
        larger = "greater" if self.combines[fold.top] == "maximum" else "less"
        is_first_nan = Apply(
            "logical_and", (is_nan(top), Apply("logical_not", (is_nan(before),), bool_)), bool_
        )
        grows = either(expressions.compare(larger, top, before), is_first_nan)
        return (If(either(grows, expressions.compare("equal", place, all_)), sweep, ()),)

    def pick(self, picked: Buffer, place: Buffer, values: Buffer, first: Index) -> Body:
        """The element at the place, for the rows whose place is in this block."""
        size = values.type.shape[-1]
        at = expressions.subtract(Load(place, self.index), first)
        last = integer(size - 1)
        inside = expressions.minimum(expressions.maximum(at, tensor.ZERO), last)
        value = expressions.select(
            expressions.compare("equal", at, inside),
            Load(values, (*self.index, inside)),
            Load(picked, self.index),
        )
        return (Store(picked, self.index, value),)

    def finish(self) -> Body:
        """Of a row of -inf alone NumPy finds no number: -inf less -inf."""
        stores = []
        for fold in self.found.folds:
            if fold.kind == EXPONENTIALS:
                total, top = (Load(self.near[v], self.index) for v in (fold.value, fold.top))
                value = expressions.select(
                    _is_least(top, total.dtype), Literal(nan, total.dtype), total
                )
                stores.append(Store(total.buffer, self.index, value))
        return nest(self.index, self.shape, tuple(stores)) if stores else ()


def _is_least(value: Expression, dtype: DType) -> Expression:
    return expressions.compare("equal", value, Literal(-inf, dtype))
