"""An array that is copied or computed, and then exchanged in part, is put together in one go.

    new = u.copy();         new[1:-1] = f(u)       ->      new = concatenate(u[:1], f(u), u[-1:])
    new = 2 * u - before;   new[1:-1] += f(u)

As an update it would be written whole, and then once more in part, which is read besides: both are not one
kernel, as their loops run over other shapes. Put together, each element is written once, by the loops of its
part. That is right where the old value is needed nowhere else: a computed one that others read is stored
anyway, and only its part is written. Who reads the new value at other places wants it in memory, so for
them it stays an update; and so does the state of a loop, and what is left in an argument's memory: these are
exchanged in their place.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Function, Module, Node, is_updated
from ...ir.op import CREATION, ELEMENTWISE, MOVEMENT, OPS, REDUCTION
from ...ir.term import from_same_place

slice_ = OPS["slice"]
Users = dict[Node, list[Node | None]]


def assemble(module: Module) -> Module:
    """The same module, whose entry puts such arrays together."""
    entry = module.entry
    if not isinstance(entry, Function) or not any(n.op is ops.update for n in entry.nodes):
        return module
    users: Users = {}
    for node in entry.nodes:
        for operand in dict.fromkeys(node.operands):
            users.setdefault(operand, []).append(node)
    for result in entry.results:
        users.setdefault(result, []).append(None)
    in_place = set(entry.results[: len(entry.updated)])
    new: dict[Node, Node] = {}
    for node in entry.nodes:
        operands = tuple([new[operand] for operand in node.operands])
        made = node if operands == node.operands else Node(node.op, operands, node.attributes)
        is_free = node.op is ops.update and node not in in_place
        if is_free and _is_partial(node) and _is_apart(node, users):
            made = _put_together(made)
        new[node] = from_same_place(made, node)
    return Module(entry.replace(results=tuple([new[result] for result in entry.results])))


def _is_partial(node: Node) -> bool:
    """Whether a box of known bounds is exchanged for what is computed."""
    old, value = node.operands
    numbers = (*node.attrs["start"], *node.attrs["stop"], *old.shape)
    known = all(type(n) is int for n in numbers) and 0 not in value.shape
    kinds = (ELEMENTWISE, MOVEMENT, CREATION)
    return known and set(node.attrs["step"]) == {1} and value.op.kind in kinds


def _is_apart(node: Node, users: Users) -> bool:
    """Whether nothing but the new value needs the old one, which has to be written, and nobody reads the new
    one elsewhere than where it is made."""
    old, value = node.operands
    if any(u is not None and u.op.kind not in (ELEMENTWISE, REDUCTION) for u in users[node]):
        return False
    if old.op.name == "parameter":
        return not is_updated(old)
    if old.op.kind != ELEMENTWISE:
        return False
    part = slice_(old, **node.attrs)
    if set(users[old]) - {node, part}:
        return False
    return part not in users or _reads_in_place(value, part, users)


def _reads_in_place(value: Node, part: Node, users: Users) -> bool:
    """Whether `part` goes into `value` alone, element by element."""
    inside, pending = {part}, [part]
    while pending:
        for user in users[pending.pop()]:
            if user is None or user.op.kind != ELEMENTWISE:
                return False
            if user not in inside:
                inside.add(user)
                if user is not value:
                    pending.append(user)
    return value in inside


def _put_together(node: Node) -> Node:
    """The value between what is left of the old one, along one axis after the other, the last one first."""
    old, value = node.operands
    start, stop = list(node.attrs["start"]), list(node.attrs["stop"])
    for axis in reversed(range(old.type.ndim)):
        before = _box(old, start, stop, axis, 0, start[axis])
        after = _box(old, start, stop, axis, stop[axis], old.shape[axis])
        pieces = [*before, value, *after]
        value = ops.concatenate(*pieces, axis=axis) if len(pieces) > 1 else value
        start[axis], stop[axis] = 0, old.shape[axis]
    return value


def _box(old: Node, start: list, stop: list, axis: int, low: int, high: int) -> list[Node]:
    """What lies beside a box of `old`, from `low` to `high` along one axis; nothing where that is empty."""
    if low >= high:
        return []
    first, last = [*start], [*stop]
    first[axis], last[axis] = low, high
    return [slice_(old, start=tuple(first), stop=tuple(last), step=(1,) * old.type.ndim)]
