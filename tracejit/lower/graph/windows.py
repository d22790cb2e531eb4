"""Factors of products that are windows, however they are written.

Windows side by side in rows (im2col) hold each element as often as they overlap. A product does not need
them in memory: where a reshape joins their axes, each of these gets a label of its own in the product. Slices
that lie side by side, a step further each, and elements at sums of counters, are windows first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from string import ascii_letters
from typing import NamedTuple

from ...ir import ops
from ...ir.affine import linear
from ...ir.graph import Node
from ...ir.op import CONTRACTION, ELEMENTWISE, OPS
from ...ir.ops.contract import split_spec
from ...ir.ops.movement import matched_axes
from ...ir.rewrite import any_use
from ...ir.tensor import Index
from ...ir.term import postorder
from ..elements import Composer
from .movement import ELEMENTWISE_OPS, transposed

slice_ = OPS["slice"]
MOVED = (ops.reshape, ops.transpose, slice_)
# What sums of counters are made of.
COUNTED = (ops.iota, ops.constant, ops.broadcast, ops.add, ops.multiply, ops.reshape, ops.transpose)


def contracted_windows(node: Node) -> Node | None:
    """The same product of windows that have all their axes; a library wants factors that lie in memory."""
    if node.attrs.get("by") == "library":
        return None
    operands = [as_windows(operand) for operand in node.operands]
    for number, operand in enumerate(operands):
        if operand.op is ops.reshape and _repeats(operand.operands[0]):
            found = _apart(node, operands, number)
            if found is not None:
                return found
    return None if operands == [*node.operands] else ops.contract(*operands, **node.attrs)


def lifted_join(node: Node) -> Node | None:
    """What follows such a product has all axes, too, up to where these are joined."""
    for joined in node.operands:
        if joined.op is ops.reshape and _is_of_windows(joined.operands[0]):
            (source,) = joined.operands
            axes = _axes_joined(source.type.shape, joined.type.shape)
            if axes is not None:
                operands = [_split(operand, source.type.shape, axes) for operand in node.operands]
                return _shaped(node.op(*operands, **node.attrs), node.type.shape)
    return None


def _is_of_windows(node: Node) -> bool:
    """Whether a value is computed, element by element, from a product of windows."""
    while node.op.kind == ELEMENTWISE:
        node = max(node.operands, key=lambda operand: operand.op.kind in (ELEMENTWISE, CONTRACTION))
    return node.op is ops.contract and any(map(_repeats, node.operands))


def _axes_joined(old: tuple, new: tuple) -> list[list[int]] | None:
    """For each axis of a reshaped value those that it joins; None where it splits some, or joins none.

    Those of extent 1 that none has are with a neighbour.
    """
    found: list[list[int]] = []
    dropped: list[int] = []
    if 0 in old:
        return None  # anything of nothing is nothing
    for left, right in matched_axes(old, new):
        if len(right) > 1:
            return None
        if right:
            found.append(dropped + left)
        dropped = [] if right else dropped + left
    if dropped and found:
        found[-1] += dropped
    joins = any(sum(old[axis] != 1 for axis in part) > 1 for part in found)
    return found if joins else None


def _split(node: Node, shape: tuple, axes: list[list[int]]) -> Node:
    """A value of the joined shape in the other one."""
    if node.op is not ops.broadcast:
        return _shaped(node, shape)
    (source,) = node.operands
    own = [axis for one in node.attrs["axes"] for axis in axes[one]]
    part = _shaped(source, tuple([shape[axis] for axis in own]))
    return part if part.type.shape == shape else ops.broadcast(part, shape=shape, axes=tuple(own))


def as_windows(node: Node) -> Node:
    """The same value as windows of another, if it is that; else itself."""
    if node.op in MOVED:
        (source,) = node.operands
        found = as_windows(source)
        return node if found is source else Node(node.op, (found,), node.attributes)
    found = None
    if node.op is ops.concatenate:
        found = _beside(node.operands, node.attrs["axis"], node.type.shape)
    elif node.op is ops.update:
        found = _of_updates(node)
    elif node.op is ops.gather:
        found = _of_counters(node)
    return node if found is None else found


def _repeats(node: Node) -> bool:
    """Whether a value has elements of another several times."""
    while node.op in MOVED:
        (node,) = node.operands
    return node.op is ops.windows


def _apart(node: Node, operands: list[Node], number: int) -> Node | None:
    """The product with a label for each axis that a reshape of one factor joins."""
    joined = operands[number]
    (source,) = joined.operands
    own, other, result = split_spec(node.attrs["spec"])
    if number:
        own, other = other, own
    free = iter([label for label in ascii_letters if label not in own + other + result])
    axes = _axes_joined(source.type.shape, joined.type.shape)
    new = "".join([next(free, "") for _ in source.type.shape])
    if axes is None or len(new) < source.type.ndim:
        return None
    groups = {label: "".join([new[axis] for axis in part]) for label, part in zip(own, axes)}
    extents: dict[str, object] = dict(zip(new, source.type.shape))

    def apart(labels: str) -> str:
        return "".join([groups.get(label, label) for label in labels])

    split = operands[1 - number]
    extents.update(zip(other, split.type.shape))
    factors = [source, _shaped(split, tuple([extents[label] for label in apart(other)]))]
    specs = [apart(own), apart(other)]
    if number:
        factors, specs = factors[::-1], specs[::-1]
    spec = f"{specs[0]},{specs[1]}->{apart(result)}"
    return _shaped(ops.contract(*factors, **{**node.attrs, "spec": spec}), node.type.shape)


def _shaped(node: Node, shape: tuple) -> Node:
    return node if node.type.shape == shape else ops.reshape(node, shape=shape)


class Level(NamedTuple):
    """So many slices, each so much further along an axis than the one before."""

    count: int
    axis: int
    step: int


def _of_updates(node: Node) -> Node | None:
    """An array that slices of another one fill, each at its place along some neighbouring axes."""
    pieces: dict[tuple, Node] = {}
    last = node
    while last.op is ops.update and {*last.attrs["step"]} == {1}:
        if pieces.setdefault(last.attrs["start"], last.operands[1]) is not last.operands[1]:
            return None
        last = last.operands[0]
    if last.op is ops.pad and min(last.attrs["low"]) >= 0:  # what was written to a constant
        pieces.setdefault(last.attrs["low"], last.operands[0])
    shape = node.type.shape
    part = next(iter(pieces.values())).type.shape if pieces else ()
    axes = [axis for axis, (n, own) in enumerate(zip(shape, part)) if n != own]
    if not axes or axes != [*range(axes[0], axes[-1] + 1)] or any(part[axis] != 1 for axis in axes):
        return None
    places = [tuple(range(n)) if axis in axes else (0,) for axis, n in enumerate(shape)]
    if [*product(*places)] != sorted(pieces):
        return None
    return _beside([pieces[place] for place in sorted(pieces)], axes[0], shape)


def _beside(pieces: Sequence[Node], across: int, shape: tuple) -> Node | None:
    """Slices of one array, in this order along the axis `across` of what has this shape, as windows on it."""
    slices = [piece.operands[0] if piece.op is ops.reshape else piece for piece in pieces]
    first, each = slices[0], pieces[0].type.shape
    if len(slices) < 2 or any(s.op is not slice_ for s in slices):
        return None
    (source,), steps = first.operands, first.attrs["step"]
    starts = [s.attrs["start"] for s in slices]
    if any(piece.type.shape != each for piece in pieces) or any(
        s.operands != first.operands or s.type != first.type or s.attrs["step"] != steps
        for s in slices
    ):
        return None
    wide = [[n for n in part if n != 1] for part in (each, first.type.shape)]
    known = all(type(n) is int for n in (*source.type.shape, *sum(starts, ())))
    levels = _levels(starts) if known and min(steps, default=1) > 0 and wide[0] == wide[1] else None
    if levels is None:
        return None
    extents, ndim = first.type.shape, first.type.ndim
    ends = [start + (n - 1) * step + 1 for start, n, step in zip(starts[0], extents, steps)]
    for count, axis, step in levels:
        ends[axis] += (count - 1) * step
    view = _stepped(source, starts[0], ends, (1,) * ndim)
    for count, axis, step in levels:
        view = ops.windows(view, axis=axis, width=(count - 1) * step + 1)
    steps = (*steps, *[level.step for level in levels])
    view = _stepped(view, (0,) * len(steps), view.type.shape, steps)
    # The counters of slices stand before the axis along which these lie side by side.
    before, place = sum(n != 1 for n in each[:across]), 0
    while place < ndim and (before or extents[place] == 1 and place < across):
        before -= extents[place] != 1
        place += 1
    counters = range(ndim, ndim + len(levels))
    view = transposed(view, (*range(place), *counters, *range(place, ndim)))
    return _shaped(view, shape)


def _stepped(node: Node, start: Sequence, stop: Sequence, step: Sequence) -> Node:
    whole = [*start] == [0] * len(start) and (*stop,) == node.type.shape and {*step} <= {1}
    return node if whole else slice_(node, start=(*start,), stop=(*stop,), step=(*step,))


def _levels(starts: list[tuple[int, ...]]) -> list[Level] | None:
    """How slices that begin at these places move, the slowest counter first; None where in no such order."""
    if len(starts) == 1:
        return []
    moved = [b - a for a, b in zip(*starts[:2])]
    (axis, *more) = [axis for axis, step in enumerate(moved) if step] or [0, 0]
    if more or moved[axis] < 1:
        return None

    def along(start: tuple[int, ...], count: int) -> tuple[int, ...]:
        return (*start[:axis], start[axis] + count * moved[axis], *start[axis + 1 :])

    run = 2
    while run < len(starts) and starts[run] == along(starts[0], run):
        run += 1
    heads = starts[::run]
    if starts != [along(head, count) for head in heads for count in range(run)]:
        return None
    outer = _levels(heads)
    return None if outer is None else [*outer, Level(run, axis, moved[axis])]


def _of_counters(node: Node) -> Node | None:
    """Elements at sums of two counters (`x[i[:, None] + j]`) as windows."""
    source, *indices = node.operands
    axes, ndim = node.attrs["axes"], indices[0].type.ndim
    if not all(type(n) is int for n in (*source.type.shape, *node.type.shape)):
        return None
    if any(n.op not in COUNTED for n in postorder(indices, lambda n: n.operands)):
        return None
    places = [Index(f"place{k}") for k in range(ndim)]
    view, labels = source, [-1] * source.type.ndim
    for axis, index in zip(axes, indices):
        atoms, start = linear(Composer(lambda n, at: None).value(index, tuple(places)))
        if not 1 <= len(atoms) <= 2 or not all(a in places and s > 0 for a, s in atoms.items()):
            return None
        counters = [(places.index(atom), step) for atom, step in atoms.items()]
        spans = [step * (index.type.shape[k] - 1) for k, step in counters]
        end = start + sum(spans) + 1
        if min(start, *spans) < 0 or end > source.type.shape[axis]:
            return None
        view = _windows_along(view, axis, (start, end), counters, spans)
        labels[axis] = counters[0][0]
        labels += [k for k, _ in counters[1:]]
    if sorted(k for k in labels if k >= 0) != [*range(ndim)] or len(labels) == source.type.ndim:
        return None
    others = [axis for axis, label in enumerate(labels) if label < 0]
    own = [labels.index(k) for k in range(ndim)]
    return transposed(view, (*others[: axes[0]], *own, *others[axes[0] :]))


def _windows_along(
    view: Node, axis: int, part: tuple[int, int], counters: list[tuple[int, int]], spans: list[int]
) -> Node:
    """What counters go over, of an axis of an array; the second of them is a new axis, the last."""
    ndim = view.type.ndim
    start, stop, step = [0] * ndim, [*view.type.shape], [1] * ndim
    start[axis], stop[axis] = part
    view = _stepped(view, start, stop, step)
    step[axis] = counters[0][1]
    if len(counters) > 1:
        view = ops.windows(view, axis=axis, width=spans[1] + 1)
        step.append(counters[1][1])
    return _stepped(view, [0] * len(step), view.type.shape, step)


WINDOW_RULES = [
    any_use(ops.contract) >> contracted_windows,
    *[any_use(op) >> lifted_join for op in ELEMENTWISE_OPS],
]
