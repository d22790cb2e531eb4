"""A contraction as a matrix product: which labels are rows, columns and depth, and how they lie in memory.

Labels that lie next to each other in every array that has them merge into one index. What cannot
merge stays a loop of its own around the product, or, when it is contracted, inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.affine import coefficient
from ....ir.dims import Dim, symbol_names
from ....ir.graph import Function, Node
from ....ir.op import ELEMENTWISE
from ....ir.ops.contract import label_roles, split_spec
from ....ir.tensor import (
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
    parts,
)
from ....ir.term import postorder
from ....ir.types import DType, bool_, f16, f32, u8
from ...elements import Composer, Position
from ..cost import stride
from ..window import STRIP, Side
from .padded import Padded, padded_operands

Body = tuple[Statement, ...]

IN_LINE = 6.0  # the price of an epilogue for which a loop of its own would be too much ado


class Operand:
    """One factor: its value at an index (`plain`: each label at the Index of its name), and its strides."""

    _in_panels: tuple[str, int] | None = None

    def __init__(self, labels: str, value: Callable[[Position], Expression], wide: DType):
        self.labels, self._value, self.wide = labels, value, wide
        index = tuple([Index(label) for label in labels])
        plain = value(index)
        self._in_panels = _in_panels(plain, labels)
        loads = [e for e in postorder((plain,), parts) if isinstance(e, Load)]
        self.plain = plain = _without_casts(plain)
        self.is_memory = isinstance(plain, Load)
        self.dtype, self.itemsize = plain.dtype, plain.dtype.itemsize
        # What is computed moves as the arrays do that it is computed from, if these agree.
        self.strides: dict[str, int | None] = {}
        for label, position in zip(labels, index):
            steps = {stride(load.buffer.type, load.indices, position) for load in loads} - {0}
            self.strides[label] = steps.pop() if len(steps) == 1 else None if steps else 0
        # What is memory has distances even where these are known at run time only.
        self.distances: dict[str, int | Dim | None] = dict(self.strides)
        if isinstance(plain, Load):
            self.distances = {i.name: _distance(plain, i) for i in index}

    def at(self, places: dict[str, Expression]) -> Expression:
        """The element where each label is where `places` says, in the accumulator's dtype."""
        value = self._value(tuple([places[label] for label in self.labels]))
        return expressions.cast(value, self.wide)

    def changed(self, change: Callable[[Expression], Expression]) -> Operand:
        """The operand whose value at an index is changed so."""
        return Operand(self.labels, lambda index: change(self._value(index)), self.wide)

    def panel_width(self, label: str) -> int:
        """How many neighbours along `label` are together in memory, where such panels are what it is
        made of (`relayout`); else 0."""
        return self._in_panels[1] if self._in_panels and self._in_panels[0] == label else 0

    def in_panel(
        self, places: dict[str, Expression], panel: Expression, inside: Expression
    ) -> Expression:
        """The element of a panel, where the other labels are as `places` says."""
        label, width = self._in_panels
        index = Index(label)
        load = _without_casts(
            self._value(tuple([{**places, label: index}[x] for x in self.labels]))
        )
        new = dict(zip(_panel_and_place(index, width), (panel, inside)))
        return expressions.cast(
            load.replace(indices=tuple([new.get(i, i) for i in load.indices])), self.wide
        )


def _in_panels(plain: Expression, labels: str) -> tuple[str, int] | None:
    """The label, if any, along which an array is read a panel after another, and how wide they are."""
    load = _without_casts(plain)
    if not isinstance(load, Load) or load.buffer.type.layout is not None:
        return None
    last = load.indices[-1] if load.indices else None
    for label in labels:
        match last:
            case Apply("remainder", (Index(name), Literal(width))) if name == label:
                panel, place = _panel_and_place(last.operands[0], width)
                others = [i for i in load.indices if i not in (panel, place)]
                if panel in load.indices and not any(last.operands[0] in i.free for i in others):
                    return label, width
    return None


def _panel_and_place(index: Index, width: int) -> tuple[Expression, Expression]:
    extent = expressions.integer(width)
    return expressions.floor_divide(index, extent), expressions.remainder(index, extent)


def _without_casts(value: Expression) -> Expression:
    while isinstance(value, Apply) and value.op == "cast":
        (value,) = value.operands
    return value


def _distance(load: Load, index: Index) -> int | Dim | None:
    """Elements between neighbours along `index`; None when that varies."""
    steps = [coefficient(position, index) for position in load.indices]
    if None in steps:
        return None
    return sum(step * size for step, size in zip(steps, load.buffer.type.strides) if step)


class Group(NamedTuple):
    """Labels that act as one index, slowest first; `extent` is the product of their extents.

    A part of them may begin at some `start`, whole lines of all labels but the slowest.
    """

    labels: str
    extents: tuple[int, ...]
    start: Expression = tensor.ZERO

    @property
    def extent(self) -> int:
        return prod(self.extents)

    def places(self, position: Expression) -> dict[str, Expression]:
        """Where each label is when the one index is at `position`."""
        found = {}
        position = expressions.add(self.start, position)
        for label, extent in zip(self.labels[:0:-1], self.extents[:0:-1]):
            found[label] = expressions.remainder(position, expressions.integer(extent))
            position = expressions.floor_divide(position, expressions.integer(extent))
        return {**found, self.labels[0]: position} if self.labels else found


@dataclass(frozen=True)
class Problem:
    """`out[outer, rows, columns] = sum over depth of left * right`; lanes run along the columns.

    `sums` are contracted labels beside the depth, `single` those of extent 1, whatever they do.
    Every one of `outs` is computed from the product, element by element, by `finish`, at a price of
    `epilogue` for all of them. Partial sums may be kept in `out`, the first that has their dtype.
    Where the problem is one of many parts of a product, `moving` are the labels in which these differ.
    Factors may be parts of, or windows on, what is `padded`. The multiplication may want the right
    element first (`flips`). Sums begin at `starts`, one for each column, rather than at 0.
    """

    left: Operand
    right: Operand
    out: Buffer
    result: str
    extents: dict
    wide: DType
    combine: str
    times: str
    outer: str
    rows: Group
    columns: Group
    depth: Group
    sums: str
    single: str
    outs: tuple[Buffer, ...]
    finish: Callable[[Position, Expression], tuple[Expression, ...]]
    epilogue: float
    is_bare: bool
    moving: str | None = None
    padded: tuple[Padded, ...] = ()
    flips: bool = False
    starts: Buffer | None = None

    @property
    def is_part(self) -> bool:
        return self.moving is not None

    @property
    def shares_right(self) -> bool:
        """Whether all parts have the same right factor: what is made of it is made once."""
        return bool(self.moving) and not {*self.moving} & {*self.right.labels}

    @property
    def work(self) -> int:
        """Multiply-adds of one product, without the outer loops."""
        return self.rows.extent * self.columns.extent * self.depth.extent * self.repeats

    @property
    def repeats(self) -> int:
        return prod(self.extents[label] for label in self.sums)

    @property
    def batches(self) -> int:
        """How many products there are; an unknown extent counts as 1."""
        extents = [self.extents[label] for label in self.outer]
        return prod(n for n in extents if isinstance(n, int))

    @property
    def in_place(self) -> bool:
        """Whether partial sums may be kept in the result."""
        return self.out.type.dtype is self.wide

    @property
    def finishes_in_registers(self) -> bool:
        """Whether results are computed from sums that are in registers yet, in line for each of them.

        Dear epilogues are loops over a finished tile, which is near, or their code would be long.
        """
        return self.epilogue <= IN_LINE or not self.in_place

    @property
    def parts(self) -> int:
        """Registers a lane takes: complex numbers are kept as two."""
        return 2 if self.wide.is_complex else 1

    @property
    def turn(self) -> Expression:
        """Which of the `repeats` the indices of `sums` are at."""
        found: Expression = tensor.ZERO
        for label in self.sums:
            found = expressions.multiply(found, expressions.integer(self.extents[label]))
            found = expressions.add(found, self.index(label))
        return found

    def index(self, label: str) -> Index:
        """The loop index of a label; an unknown extent may have the label's own name."""
        unknown = {name for extent in self.extents.values() for name in symbol_names(extent)}
        return Index(label + "_" if label in unknown else label)

    def step(self, operand: Operand, group: Group) -> int | None:
        """How far apart neighbours of the group lie in `operand`; None when that is not known."""
        return operand.strides.get(group.labels[-1], 0) if group.labels else 0

    def factor(self, operand: Operand, row, column, k) -> Expression:
        """An element of `operand` for a row, a column and a depth; the others are Indexes in scope."""
        places = self.others(self.outer + self.sums)
        for group, position in ((self.rows, row), (self.columns, column), (self.depth, k)):
            if position is not None:
                places |= group.places(position)
        return operand.at(places)

    @property
    def panel_width(self) -> int:
        """Columns of a panel, where the right factor lies in memory as tiles read it; else 0."""
        if self.is_part or len(self.columns.labels) != 1:
            return 0
        return self.right.panel_width(self.columns.labels)

    def in_panel(self, panel: Expression, column: Expression, k: Expression) -> Expression:
        """An element of such a panel of the right factor."""
        places = self.others(self.outer + self.sums) | self.depth.places(k)
        return self.right.in_panel(places, panel, column)

    def others(self, labels: str) -> dict[str, Expression]:
        """Where labels are that have loops of their own, or need none."""
        places: dict[str, Expression] = {label: self.index(label) for label in labels}
        return {**places, **dict.fromkeys(self.single, tensor.ZERO)}

    def product(self, left: Expression, right: Expression) -> Expression:
        return Apply(self.times, (right, left) if self.flips else (left, right), self.wide)

    def join(self, a: Expression, b: Expression) -> Expression:
        """The sum of two partial sums."""
        return Apply(self.combine, (a, b), self.wide)

    def zero(self) -> Expression:
        return tensor.Literal(expressions.identity(self.combine, self.wide), self.wide)

    def start(self, column: Expression) -> Expression:
        """What the sums of a column begin at."""
        return Load(self.starts, (column,)) if self.starts else self.zero()

    def position(self, row: Expression, column: Expression) -> Position:
        """The element of the result for a row and a column."""
        places = self.others(self.outer)
        places |= self.rows.places(row) | self.columns.places(column)
        return tuple([places[label] for label in self.result])

    def store(self, row: Expression, column: Expression, value: Expression) -> Body:
        """Write a finished element."""
        return self.finished(self.position(row, column), value)

    def finished(self, position: Position, value: Expression) -> Body:
        """Write what the results have where the product is `value`."""
        found = self.finish(position, value)
        return tuple([Store(out, position, own) for out, own in zip(self.outs, found)])

    def refined(self, position: Position) -> Body:
        """Write what the results have where the product is in `out`, which may be one of them."""
        total = Variable("product", self.wide)
        return (Let(total, Load(self.out, position)), *self.finished(position, total))

    def after_last(self, body: Body, block: Expression, blocks: Expression) -> Body:
        """`body` once, after the last of so many blocks of the depth.

        What it computes with takes registers; where it is dear, it must not take them from the tile.
        """
        mark = "serial" if self.epilogue <= IN_LINE else "apart"
        last, stop = expressions.subtract(blocks, tensor.ONE), expressions.add(block, tensor.ONE)
        return (For(Index("last"), last, stop, body, mark, 1),)

    def loops(self, labels: str, body: Body) -> Body:
        """Serial loops over labels, first outermost."""
        for label in reversed(labels):
            stop = expressions.extent(self.extents[label])
            body = (For(self.index(label), tensor.ZERO, stop, body, "serial", 1),)
        return body

    def swapped(self) -> Problem:
        """The same product with lanes along the rows."""
        return replace(self, left=self.right, right=self.left, rows=self.columns, columns=self.rows)


def read_problem(
    function: Function,
    node: Node,
    inputs: dict[Node, Buffer],
    outs: tuple[Buffer, ...],
    window: Sequence[Side] | None = None,
    along: Side | None = None,
) -> Problem:
    """The product that `node` is in `function`; operands and results may be computed around it.

    With a `window` the problem is this part of it; the `outs` have its shape. `along`: the part of what
    is contracted, one label, that is summed up.
    """
    composer = Composer(lambda n, at: Load(memory[n], at) if n in memory else None)
    # In a part of a product what is padded is computed, element by element.
    padded = padded_operands(node.operands, composer) if window is None else {}
    memory = inputs | {n: one.buffer for n, one in padded.items()}
    spec = node.attrs["spec"]
    left, right, result = split_spec(spec)
    dtype = node.type.dtype
    wide = {f16: f32, bool_: u8}.get(dtype, dtype)
    sides = dict(zip(result, window or ()))
    if along is not None:
        sides[label_roles(spec)[3]] = along
    starts = {label: side.start for label, side in sides.items()}

    def moved(labels: str, at: Position) -> Position:
        """Where in the whole an element of the window is."""
        return tuple([expressions.add(i, starts.get(x, tensor.ZERO)) for x, i in zip(labels, at)])

    operands = []
    for operand, labels in zip(node.operands, (left, right)):
        value = lambda at, operand=operand, labels=labels: composer.value(
            operand, moved(labels, at)
        )
        operands.append(Operand(labels, value, wide))
    a, b = operands
    extents = {
        **dict(zip(left, node.operands[0].type.shape)),
        **dict(zip(right, node.operands[1].type.shape)),
        **{label: side.extent for label, side in sides.items()},
    }
    single = "".join(label for label, extent in extents.items() if extent == 1)
    batch, rows, columns, depth = [
        "".join(label for label in labels if label not in single) for labels in label_roles(spec)
    ]

    def finish(position: Position, value: Expression) -> tuple[Expression, ...]:
        value, position = expressions.cast(value, dtype), moved(result, position)
        known = lambda n, at: value if n is node else Load(inputs[n], at) if n in inputs else None
        composer = Composer(known)
        return tuple([composer.value(each, position) for each in function.results])

    after = postorder(function.results, lambda n: () if n is node else n.operands)
    epilogue = sum([n.op.cost for n in after if n.op.kind == ELEMENTWISE])
    is_bare = function.results == (node,) and wide is dtype
    out = next((buffer for buffer in outs if buffer.type.dtype is wide), outs[0])
    strides = [a.strides, b.strides, dict(zip(result, out.type.strides))]
    inner = "".join(label for label in result if label not in single)[-1:]
    is_turned = inner and inner in rows or not columns
    if is_turned:
        columns = neighbours_last(columns, b.strides)
    else:
        rows = neighbours_last(rows, a.strides)
    more_rows, rows = merged(rows, extents, strides)
    more_columns, columns = merged(columns, extents, strides)
    more_depth, depth = merged(slowest_first(depth, a.strides), extents, strides)
    outer = "".join(label for label in result if label in batch + more_rows + more_columns)
    groups = [
        Group(labels, tuple([extents[x] for x in labels])) for labels in (rows, columns, depth)
    ]
    combine, times = ("bitwise_or", "bitwise_and") if dtype is bool_ else ("add", "multiply")
    moving = None
    if window is not None:
        moving = "".join(x for x, s in zip(result, window) if s.scale and s.strip is STRIP)
    problem = Problem(
        a,
        b,
        out,
        result,
        extents,
        wide,
        combine,
        times,
        outer,
        *groups,
        more_depth,
        single,
        outs,
        finish,
        epilogue,
        is_bare,
        moving,
        tuple(padded.values()),
    )
    return problem.swapped() if is_turned else problem


def neighbours_last(labels: str, strides: dict[str, int | None]) -> str:
    """The labels of rows, those last that lie side by side where the factor's rows do not run along the depth."""
    is_side_by_side = any(strides[label] == 1 for label in labels)
    return slowest_first(labels, strides) if is_side_by_side else labels


def slowest_first(labels: str, strides: dict[str, int | None]) -> str:
    """The labels in the order in which memory is walked; unknown strides are taken to be long."""
    far = float("inf")
    steps = {label: far if strides[label] is None else abs(strides[label]) for label in labels}
    return "".join(sorted(labels, key=lambda label: -steps[label]))


def merged(labels: str, extents: dict, strides: Sequence[dict]) -> tuple[str, str]:
    """The labels that stay apart, and those, the innermost among them, that act as one."""
    first = len(labels) - 1
    while first > 0:
        slow, fast = labels[first - 1], labels[first]
        for steps in strides:
            if slow not in steps:
                continue
            if None in (steps[slow], steps[fast]) or steps[slow] != steps[fast] * extents[fast]:
                return labels[:first], labels[first:]
        first -= 1
    return "", labels
