"""What loops were found to carry, remembered while a program is traced.

A loop inside of others is traced in each of their passes, and took two passes or more of its own each
time: two to the power of the depth in all. What it carries follows from the kinds of what it finds. Where
it finds again what it has found before, its first pass begins with what it carried then; that pass
counts if it finds just that, from the kinds of before the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..array import Array
from ..tree import flatten
from ..value import Value, may_be_known
from .joins import Kind, kind_of
from .state import is_array

# Values that are equal where Python says so, once their types are.
_COMPARED = (int, bool, str, bytes, type(None))


class Carried(NamedTuple):
    """What a loop carries. Cells, and the memory of arrays, are numbered as they come before the loop.

    `kept` are objects that are known by their identity.
    """

    kinds: dict[int, dict[int, Kind]]
    storages: tuple[int, ...]
    has_token: bool
    kept: tuple[Any, ...]


class Surroundings:
    """What a loop finds when it begins: `look` is equal where the kinds of all values are.

    `values` are those of the loop's cells, in order.
    """

    def __init__(self, values: Iterable[Any]):
        self.storages: dict[Any, int] = {}
        self.kept: list[Any] = []
        self.look = tuple([self._look(value) for value in values])

    def _look(self, value: Any) -> Any:
        leaves, structure = flatten(value)
        return structure, tuple(map(self._look_of_leaf, leaves))

    def _look_of_leaf(self, leaf: Any) -> Any:
        kind = type(leaf)
        if kind in _COMPARED:
            return kind, leaf
        found = kind_of(leaf) if kind is Array else None
        if found is None or isinstance(leaf, Value) and leaf.mask is not None:
            self.kept.append(leaf)
            return kind, id(leaf)
        own = self.storages.setdefault(leaf.storage, len(self.storages)) if is_array(leaf) else -1
        # Python may ask for what is known.
        return (leaf.node if may_be_known(leaf.node) else None), found, own

    def carried(
        self, kinds: Mapping[int, Mapping[int, Any]], storages: Iterable[Any], has_token: bool
    ) -> Carried | None:
        """What a loop carries here; None where that is not told by numbers and kinds alone."""
        numbers = [self.storages.get(storage) for storage in storages]
        plain = all(type(k) is Kind for of_cell in kinds.values() for k in of_cell.values())
        if not plain or None in numbers:
            return None
        copies = {number: dict(of_cell) for number, of_cell in kinds.items()}
        return Carried(copies, tuple(numbers), has_token, tuple(self.kept))

    def storages_of(self, carried: Carried) -> list[Any]:
        """The memory that is carried, of those that are there now."""
        known = list(self.storages)
        return [known[number] for number in carried.storages]
