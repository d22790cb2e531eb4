"""Memory as the traced code sees it: storages, and views of them.

A storage is a cell of memory; its value is a node, and another one after each write. A view is a
storage and the steps that lead from the whole to the part: slices, transposes, reshapes. Reading a
view applies the steps to the value of the moment; writing through it makes a new value, in which
only the part differs. So all views of a storage see what is written through any of them, as NumPy's
do, and the graph stays pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..ir import ops
from ..ir.graph import Node
from ..ir.iteration import kept_axes, reshaped_strides
from ..ir.op import CONTRACTION, CREATION, MOVEMENT, Op
from ..ir.types import row_major

_PARTS = (ops.real, ops.imag, ops.bits, ops.signed_of_bits, ops.float_of_bits)


class Step(NamedTuple):
    """One movement op, with its attributes and the shape it starts from."""

    op: Op
    attributes: tuple[tuple[str, Any], ...]
    shape: tuple

    @property
    def attrs(self) -> dict[str, Any]:
        return dict(self.attributes)


Steps = tuple[Step, ...]


class Storage:
    """A cell of memory: the node that is its value now, how often it was written, where it is from.

    `source` is the parameter whose memory it is, None for memory of the program's own; `layout` has
    the strides of the whole in elements, None where they follow from the shape. `can_write`: NumPy
    allows to. `knows_order`: the elements certainly are in that order; `doubt`: what is, or may be, a
    view of it in NumPy and is none here, so that no write may matter. `mirrors`: what to do after a
    write, so that what is the same memory in NumPy and is not here changes too. `birth`: when it came
    to be, in arrays of its trace; memory from outside was always there.
    """

    __slots__ = (
        "__weakref__", "birth", "can_write", "doubt", "knows_order", "layout", "mirrors", "node",
        "source", "version",
    )  # fmt: skip

    def __init__(
        self, node: Node, source: Node | None = None, can_write: bool = True, birth: int = 0
    ):
        self.node, self.source, self.can_write, self.birth = node, source, can_write, birth
        self.layout = None if source is None or source.type.layout is None else source.type.strides
        self.version = 0
        self.mirrors: tuple[Callable[[], None], ...] = ()
        self.doubt, self.knows_order = "", source is not None

    @property
    def is_written(self) -> bool:
        """Whether memory from outside has another value than it came with."""
        return self.node is not self.source

    def exchange(self, node: Node) -> None:
        """Make `node` the value of the whole."""
        self.node = node
        self.version += 1


def is_in_order(storage: Storage) -> bool:
    """Whether it is certain that NumPy has the elements in the order that `layout` says.

    NumPy gives most results the memory order of their operands, so what comes from a transposed array
    may be in Fortran order.
    """
    if storage.knows_order or storage.node.type.ndim < 2:
        return True
    pending, seen = [storage.node], set()
    while pending:
        node = pending.pop()
        if node in seen or node.op.kind in (CREATION, CONTRACTION):
            continue
        seen.add(node)
        if node.op is ops.transpose or getattr(node.type, "layout", None) is not None:
            return False
        if node.op is ops.gather and 0 not in node.attrs["axes"]:
            return False  # `x[:, i]` lies as `x.T[i].T`
        pending.extend(node.operands)
    return True


def reorders(steps: Steps) -> bool:
    """Whether there is a reshape among the steps that does more than add or drop unit axes."""
    return any(
        step.op is ops.reshape and kept_axes(step.shape, step.attrs["shape"]) is None
        for step in steps
    )


def steps_between(node: Node, base: Node) -> Steps | None:
    """The movement that makes `node` of `base`; None when it is something else."""
    found: list[Step] = []
    while node is not base:
        if _unshaped(node) is _unshaped(base):  # of reshapes in a row, nodes have only the last
            found.append(Step(ops.reshape, (("shape", node.type.shape),), base.type.shape))
            break
        is_movement = node.op.kind == MOVEMENT and len(node.operands) == 1
        if not (is_movement and node.op is not ops.concatenate or node.op in _PARTS):
            return None
        (operand,) = node.operands
        found.append(Step(node.op, node.attributes, operand.type.shape))
        node = operand
    return tuple(reversed(found))


def _unshaped(node: Node) -> Node:
    while node.op is ops.reshape:
        (node,) = node.operands
    return node


def applied(node: Node, steps: Iterable[Step]) -> Node:
    """The part of `node` that the steps lead to."""
    for step in steps:
        node = step.op(node, **step.attrs)
    return node


def joined(steps: Steps, more: Iterable[Step]) -> Steps:
    """One movement after the other, with slices first where they can be, so that they are one."""
    found = list(steps)
    for step in more:
        found.append(step)
        position = len(found) - 1
        while found[position].op is ops.slice_ and position > 0:
            pair = _exchanged(found[position - 1], found[position])
            if pair is None:
                break
            found[position - 1 : position + 1] = pair
            position -= 1
    return tuple(found)


def _exchanged(first: Step, slice: Step) -> list[Step] | None:
    """`first`, then `slice`, as a slice that comes first; None when there is no such slice."""
    if first.op is ops.slice_:
        return [_one_slice(first, slice)]
    if first.op is ops.transpose:
        order = first.attrs["axes"]
        place = [order.index(axis) for axis in range(len(order))]
    elif first.op is ops.reshape:
        place = kept_axes(first.shape, slice.shape)
        after = _shape_after(slice)
        if place is None or any(n == 1 != m for n, m in zip(slice.shape, after)):
            return None
    else:
        return None
    attrs = slice.attrs
    starts, stops, steps = (attrs[key] for key in ("start", "stop", "step"))
    whole = [(0, extent, 1) for extent in first.shape]
    chosen = [
        whole[axis] if k is None else (starts[k], stops[k], steps[k])
        for axis, k in enumerate(place)
    ]
    early = _slice_step(chosen, first.shape)
    shape = _shape_after(early)
    if first.op is ops.transpose:
        return [early, first._replace(shape=shape)]
    final = _shape_after(slice)
    return [early, Step(ops.reshape, (("shape", final),), shape)]


def _one_slice(first: Step, second: Step) -> Step:
    a, b = first.attrs, second.attrs
    chosen = []
    for position, extent in enumerate(_shape_after(second)):
        start = a["start"][position] + a["step"][position] * b["start"][position]
        step = a["step"][position] * b["step"][position]
        if type(extent) is int and extent == 0:
            chosen.append((0, 0, 1))
        else:
            last = start + (extent - 1) * step
            chosen.append((start, last + (1 if step > 0 else -1), step))
    return _slice_step(chosen, first.shape)


def _slice_step(chosen: list[tuple], shape: tuple) -> Step:
    start, stop, step = (tuple(part) for part in zip(*chosen)) if chosen else ((), (), ())
    return Step(ops.slice_, (("start", start), ("step", step), ("stop", stop)), shape)


def _shape_after(step: Step) -> tuple:
    if step.op is not ops.slice_:
        return step.attrs["shape"]
    attrs = step.attrs
    return tuple(
        [
            max(0, extent) if type(extent) is int else extent
            for extent in map(_extent, attrs["start"], attrs["stop"], attrs["step"])
        ]
    )


def _extent(start: Any, stop: Any, step: int) -> Any:
    if step > 0:
        return (stop - start + (step - 1)) // step
    return (start - stop + (-step - 1)) // -step


def written(old: Node, steps: Steps, value: Node) -> Node:
    """`old` with the part the steps lead to exchanged for `value`, of that part's type."""
    stages = [old]
    for step in steps[:-1]:
        stages.append(step.op(stages[-1], **step.attrs))
    for step, whole in zip(reversed(steps), reversed(stages)):
        value = _UNDO[step.op](whole, value, step)
    return value


def _undo_slice(whole: Node, value: Node, step: Step) -> Node:
    return ops.update(whole, value, **step.attrs)


def _undo_transpose(whole: Node, value: Node, step: Step) -> Node:
    order = step.attrs["axes"]
    return ops.transpose(value, axes=tuple([order.index(axis) for axis in range(len(order))]))


def _undo_reshape(whole: Node, value: Node, step: Step) -> Node:
    return ops.reshape(value, shape=step.shape)


def _undo_real(whole: Node, value: Node, step: Step) -> Node:
    return ops.complex(value, ops.imag(whole))


def _undo_imag(whole: Node, value: Node, step: Step) -> Node:
    return ops.complex(ops.real(whole), value)


def _undo_bits(whole: Node, value: Node, step: Step) -> Node:
    return (ops.float_of_bits if whole.type.dtype.is_float else ops.signed_of_bits)(value)


def _undo_of_bits(whole: Node, value: Node, step: Step) -> Node:
    return ops.bits(value)


_UNDO: dict[Op, Callable[[Node, Node, Step], Node]] = {
    ops.slice_: _undo_slice,
    ops.transpose: _undo_transpose,
    ops.reshape: _undo_reshape,
    ops.real: _undo_real,
    ops.imag: _undo_imag,
    ops.bits: _undo_bits,
    ops.signed_of_bits: _undo_of_bits,
    ops.float_of_bits: _undo_of_bits,
}


def protected(steps: Steps, shape: tuple) -> Steps:
    """The same view, which cannot be written."""
    attributes = (("axes", tuple(range(len(shape)))), ("shape", shape))
    return (*steps, Step(ops.broadcast, attributes, shape))


def can_write(steps: Steps) -> bool:
    """Whether a view by these steps can be written: not where it repeats elements."""
    return all(step.op in _UNDO for step in steps)


def is_contiguous(shape: tuple, strides: tuple, order: str = "C") -> bool:
    """Whether elements with these strides lie side by side in that order."""
    if order == "F":
        shape, strides = shape[::-1], strides[::-1]
    pairs = zip(shape, strides, row_major(shape))
    return 0 in shape or all(n == 1 or stride == own for n, stride, own in pairs)


def strides_after(storage: Storage, steps: Steps) -> tuple | None:
    """The strides NumPy's view has, in elements; None when NumPy would have copied on the way.

    Memory of the program's own is taken to be in C order; `is_in_order` says when that is sure.
    """
    strides = storage.layout or row_major(storage.node.type.shape)
    for step in steps:
        attrs = step.attrs
        if step.op is ops.slice_:
            strides = tuple([stride * by for stride, by in zip(strides, attrs["step"])])
        elif step.op is ops.transpose:
            strides = tuple([strides[axis] for axis in attrs["axes"]])
        elif step.op is ops.reshape:
            strides = reshaped_strides(step.shape, strides, attrs["shape"])
        elif step.op is ops.windows:
            strides = (*strides, strides[attrs["axis"]])
        elif step.op is ops.broadcast:
            places = attrs["axes"]
            wide = range(len(attrs["shape"]))
            strides = tuple([strides[places.index(k)] if k in places else 0 for k in wide])
        if strides is None:
            return None
    return strides
