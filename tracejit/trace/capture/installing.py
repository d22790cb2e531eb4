"""What names, containers and memory hold after a rolled loop: parts of its op, or what they held before.

An array that a body has left in two places is one array after the loop, too; where the loop may not
have run, what is after it may be the memory of before.
"""

from __future__ import annotations

from typing import Any

from ...ir import ops
from ...ir.graph import Node, item
from ..array import Array
from ..registry import MIRRORS
from ..tree import flatten, unflatten
from .ramps import Ramp
from .state import UNBOUND, Cell, is_array, is_same


class Installation:
    """Gives everything its value after a `loop`, a Rolling that is settled.

    `surely`: every iteration is run to its end, and there is one. `made` are the arrays that leaves of cells have become,
    `made_of` the same by the array that an iteration left there.
    """

    def __init__(self, loop: Any, surely: bool):
        self.loop, self.trace, self.surely = loop, loop.trace, surely
        self.made: dict[Any, Array] = {}
        self.made_of: dict[int, Array] = {}

    def names(self, keys: list[Any], node: Node | None) -> dict[str, Any]:
        """The names after the loop, of which `node` is the op, with results for these keys."""
        trace, begin = self.trace, self.loop.begin
        items = {}
        if node is not None:
            parts = [node] if len(keys) == 1 else [item(node, index=k) for k in range(len(keys))]
            items = dict(zip(keys, parts))
        for part in items.values():
            trace.locate(part)
        for storage in self.loop.storages:
            if storage in items:
                trace.has_written(storage)
                storage.exchange(items[storage])
        if "token" in items:
            trace.token = items["token"]
        names = dict(begin.names)
        for cell, before in self.loop.cells():
            value = self._after(cell, before, items)
            if cell.holder is not begin.names:
                if value is not before:
                    cell.holder[cell.key] = value
            elif value is UNBOUND:
                names.pop(cell.key, None)
            else:
                names[cell.key] = value
        self.loop.kin.share(self.made)
        self.loop.kin.pairs.clear()
        return names

    def _make(self, key: Any, array: Array, last: Any) -> Array:
        """The array that a leaf is after the loop, and that all are which were `last` after an iteration,
        if there was one."""
        if self.surely and is_array(last):
            array = self.made_of.setdefault(id(last), array)
        self.made[key] = array
        return array

    def _counted(self, key: Any, first: Any, last: Any, made: Any) -> Any:
        """An int that every iteration adds the same to, as a number; of anything else, what it is."""
        own = self.loop.parameters.get(key)
        if self.loop.trips is None or type(first) is not int or not isinstance(last, Array):
            return made
        if last.weak is not int or last.node.op is not ops.add or own not in last.node.operands:
            return made
        (step,) = [node for node in last.node.operands if node is not own] or [own]
        if step.op is not ops.constant:
            return made
        return first + step.attrs["value"] * self.loop.trips.count

    def _after(self, cell: Cell, before: Any, items: dict[Any, Node]) -> Any:
        kinds = self.loop.kinds.get(cell.id)
        if kinds is not None:
            leaves, structure = flatten(before)
            for position, kind in kinds.items():
                if (cell.id, position) in items:
                    first = leaves[position]
                    part = items[cell.id, position]
                    made = kind.after(part) if isinstance(kind, Ramp) else kind.wrap(part)
                    last = flatten(self.loop.end[cell.id])[0][position]
                    if cell.holder is not self.loop.begin.names and self.surely:
                        made = self._counted((cell.id, position), first, last, made)
                    leaves[position] = self._make((cell.id, position), made, last)
                    if is_array(first) and not self.surely:
                        self.trace.may_share(leaves[position].storage, first.storage)
                    for other in self.loop.shares.get((cell.id, position), ()):
                        self.trace.may_share(leaves[position].storage, other)
            return unflatten(structure, leaves)
        if cell.id in self.loop.lasts:
            leaves, structure = flatten(self.loop.lasts[cell.id])
            befores = flatten(before)[0] if self.loop.key is None else ()
            for position, leaf in enumerate(leaves):
                kind = self.loop.last_kinds[cell.id][position]
                if kind is not None:
                    made = kind.wrap(items[cell.id, position])
                    leaves[position] = self._make((cell.id, position), made, leaf)
                    is_result = any(cell.holder is r.value for r in self.trace.records)
                    share = self.trace.will_share if is_result else self.trace.may_share
                    if self.loop.is_elsewhere(leaf):
                        share(leaves[position].storage, leaf.storage)
                    if is_array(leaf):  # of before the loop, if there is no iteration
                        for first in filter(is_array, befores):
                            share(leaves[position].storage, first.storage)
                    for partner in MIRRORS["partners"](leaf.storage) if is_array(leaf) else ():
                        share(leaves[position].storage, partner)
            return unflatten(structure, leaves)
        if not self.loop.is_wanted(cell) and not is_same(before, self.loop.end[cell.id]):
            return UNBOUND
        return before
