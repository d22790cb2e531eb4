"""What the rows of a product are reduced to, found block by block of their columns.

Of each row a few numbers are kept while its blocks come and go (lower/tensor/row_blocks.py): sums, extrema, the
element at a label. Of what depends on the largest element, which is known in the end only, two kinds can be
mended when a larger one turns up: the sum of exponentials of what is less by it (online softmax), and the place
where it is. So cross entropies, logarithms of sums and nearest neighbours need no row as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir import ops
from ...ir.graph import Function, Node, parameter, substitute
from ...ir.op import CONTRACTION, ELEMENTWISE, OPS, REDUCTION
from ...ir.ops import broadcast, gather, iota, reshape, take_along
from ...ir.ops.checks import checked_index
from ...ir.ops.elementwise import equal, exp, isnan, subtract
from ...ir.term import postorder
from ...ir.types import array_type
from .softmax import BLOCK_BYTES, FEWEST_BLOCKS
from .values import constant_like, is_scalar_constant, scalar_value

PLAIN, EXPONENTIALS, PLACE = "plain", "exponentials", "place"
MAX, MIN = OPS["max"], OPS["min"]


class Fold(NamedTuple):
    """A number for each row: the `combine` of `element`s, which are made of those of the row.

    `value` is the parameter that stands for it. Exponentials and places depend on the fold `top`.
    """

    value: Node
    kind: str
    combine: str
    element: Node
    top: Node | None = None


class Pick(NamedTuple):
    """The element of each row at a `place`, an i64 for each row, which is inside."""

    value: Node
    place: Node


class RowFolds(NamedTuple):
    """`row` is the node whose rows are gone through in blocks; `end`, the result, is made of the parameters."""

    row: Node
    folds: tuple[Fold, ...]
    picks: tuple[Pick, ...]
    end: Node

    @property
    def rows(self) -> tuple[int, ...]:
        return self.row.type.shape[:-1]

    @property
    def columns(self) -> int:
        return self.row.type.shape[-1]


# Where rows are so short that so many fit near as a whole, blocks save nothing.
NEAR_BYTES, NEAR_ROWS = 512 << 10, 96


def folds_in_blocks(function: Function) -> RowFolds | None:
    """The same as `row_folds`, where rows are so long that blocks are better than rows as a whole."""
    found = row_folds(function)
    if found is None:
        return None
    size = found.columns * found.row.type.dtype.itemsize
    return found if size >= max(FEWEST_BLOCKS * BLOCK_BYTES, NEAR_BYTES // NEAR_ROWS) else None


def row_folds(function: Function) -> RowFolds | None:
    """What the one result is made of, where that is numbers of the rows of a product that blocks can give."""
    products = [node for node in function.nodes if node.op.kind == CONTRACTION]
    if len(products) != 1 or len(function.results) != 1 or products[0].type.ndim < 1:
        return None
    wide, after = _parted(function.nodes, products[0])
    ends = [node for node in wide if any(node in user.operands for user in after)]
    if not ends or not all(_is_made_of(node, ends[0], wide) for node in ends):
        return None
    return _Reader(ends[0], wide).read(function.results[0], after)


def _parted(nodes: Iterable[Node], product: Node) -> tuple[list[Node], list[Node]]:
    """What is made of a product element by element, and what is made of that otherwise or of its reductions."""
    wide, after = {product: None}, {}
    for node in nodes:
        if not after.keys().isdisjoint(node.operands):
            after[node] = None
        elif not wide.keys().isdisjoint(node.operands):
            same = node.op.kind == ELEMENTWISE and node.type.shape == product.type.shape
            (wide if same else after)[node] = None
    return list(wide), list(after)


def _is_made_of(node: Node, row: Node, wide: list[Node]) -> bool:
    """Whether each element is made of that of `row`, and of numbers that are known."""
    stack = [node]
    while stack:
        inner = stack.pop()
        if inner is not row:
            if inner not in wide and not is_scalar_constant(inner):
                return False
            stack += inner.operands if inner in wide else ()
            if inner.op.kind == CONTRACTION:
                return False
    return True


class _Reader:
    """Reads reductions of the rows of `row`."""

    def __init__(self, row: Node, wide: list[Node]):
        self.row, self.wide = row, {*wide}
        self.shape = row.type.shape[:-1]
        self.folds: dict[Node, Fold] = {}
        self.picks: dict[Node, Pick] = {}

    def read(self, result: Node, after: list[Node]) -> RowFolds | None:
        new: dict[Node, Node] = {}
        for node in after:
            found = self.fold(node)
            if found is not None:
                self.folds[node] = found
                new[node] = found.value
            elif node.op in (gather, take_along) and (picked := self.picked(node)) is not None:
                (new[node],) = substitute((picked,), new)
        (end,) = substitute((result,), new)
        left = postorder((end,), lambda node: node.operands)
        if self.row in left or not self.wide.isdisjoint(left):
            return None
        if end.type.shape[: len(self.shape)] != self.shape:
            return None
        return RowFolds(self.row, tuple(self.folds.values()), tuple(self.picks.values()), end)

    def formal(self, kind: str, dtype: object) -> Node:
        number = len(self.folds) + len(self.picks)
        return parameter(f"{kind}{number}", array_type(self.shape, dtype))

    # Reductions.

    def fold(self, node: Node) -> Fold | None:
        if node.op.kind != REDUCTION or node.attrs["axes"] != (len(self.shape),):
            return None
        (element,) = node.operands
        combine = node.op.lowering.combine
        make = lambda kind, e, top=None: Fold(
            self.formal(kind, node.type.dtype), kind, combine, e, top
        )
        if element in self.wide:
            return make(PLAIN, element)
        if node.op is OPS["sum"] and element.op is exp and element.operands[0].op is subtract:
            row, top = element.operands[0].operands
            top = self.top_in(top, MAX)
            if row is self.row and top is not None:
                return make(EXPONENTIALS, element, top)
        if node.op is MIN and element.op is ops.where:
            top = self.placed(*element.operands)
            if top is not None:
                return make(PLACE, element, top)
        return None

    def top_in(self, node: Node, *among: object) -> Node | None:
        """The parameter of the extremum of each row that this is, for each of its elements."""
        if node.op is not broadcast or node.attrs["axes"] != tuple(range(len(self.shape))):
            return None
        (top,) = node.operands
        known = top in self.folds and top.op in among and top.operands[0] is self.row
        return self.folds[top].value if known else None

    def placed(self, is_there: Node, place: Node, none: Node) -> Node | None:
        """The extremum whose place in a row is asked for; a nan is one wherever it is."""
        columns = self.row.type.shape[-1]
        is_place = place.op is broadcast and place.operands[0].op is iota
        if not is_place or place.attrs["axes"] != (len(self.shape),):
            return None
        if scalar_value(none) != columns or is_there.op is not OPS["bitwise_or"]:
            return None
        same, nan = is_there.operands
        if same.op is not equal or nan.op is not isnan or nan.operands[0] is not self.row:
            return None
        for row, top in (same.operands, same.operands[::-1]):
            if row is self.row and (found := self.top_in(top, MAX, MIN)) is not None:
                return found
        return None

    # Elements at labels.

    def picked(self, node: Node) -> Node | None:
        """What is read of each row at one place, made of the element of `row` there; None where that cannot be."""
        source, *indices = node.operands
        place = indices[-1]
        if node.op is take_along:
            if node.attrs["axis"] != len(self.shape) or place.type.shape[-1] != 1:
                return None
            place = reshape(place, shape=self.shape)
        elif len(self.shape) != 1 or len(indices) != 2 or indices[0].op is not iota:
            return None
        value = self.at(source, place)
        if value is None or node.type.shape == self.shape:
            return value
        return broadcast(value, axes=tuple(range(len(self.shape))), shape=node.type.shape)

    def at(self, source: Node, place: Node) -> Node | None:
        """`source`, with one element of each row: that at its place."""
        made: dict[Node, Node] = {}
        inner = lambda n: () if n is self.row or n.op.kind != ELEMENTWISE else n.operands
        for node in postorder((source,), inner):
            if node is self.row:
                made[node] = self.pick(place)
            elif is_scalar_constant(node):
                scalar = node.operands[0] if node.type.shape else node
                made[node] = broadcast(scalar, axes=(), shape=self.shape)
            elif node.op is broadcast and node.attrs["axes"] == tuple(range(len(self.shape))):
                made[node] = node.operands[0]
            elif node.op.kind == ELEMENTWISE and all(o in made for o in node.operands):
                made[node] = node.op(*[made[o] for o in node.operands], **node.attrs)
            else:
                return None
        return made[source]

    def pick(self, place: Node) -> Node:
        if place not in self.picks:
            number = lambda value: constant_like(place, value)
            inside = checked_index(place, number(self.row.type.shape[-1]), number(len(self.shape)))
            self.picks[place] = Pick(self.formal("picked", self.row.type.dtype), inside)
        return self.picks[place].value
