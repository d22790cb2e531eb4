"""What of a loop's leaves are one memory after an iteration, or may be, and so are when the next one begins.

After `d = c` in a body, both names have one array. Carried from one iteration to the next they are two
values, so that a write to one of them would not be seen in the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..context import Trace
from ..views import Storage
from .state import is_array


class Kin:
    """Pairs of leaves, by their keys in Rolling; or of a leaf and memory of before the loop."""

    def __init__(self, trace: Trace):
        self.trace = trace
        self.pairs: dict[tuple[Any, Any], None] = {}

    def find(self, ends: Iterable[tuple[Any, Any]], birth: int) -> bool:
        """Note the pairs among leaves as an iteration has left them, in a loop that began at `birth`;
        whether they were known."""
        known = len(self.pairs)
        heirs: dict[Storage, list[Any]] = {}
        for key, leaf in ends:
            if not is_array(leaf):
                continue
            for storage in dict.fromkeys((leaf.storage, *self.trace.doubts_of(leaf.storage))):
                others = heirs.setdefault(storage, [])
                self.pairs.update(dict.fromkeys([(key, other) for other in others]))
                others.append(key)
                if storage.birth <= birth and storage is not leaf.storage:
                    self.pairs[key, storage] = None
        return len(self.pairs) == known

    def share(self, arrays: dict[Any, Any]) -> None:
        """Let the arrays that leaves are, by their keys, be one memory where they may be."""
        results = {id(record.value) for record in self.trace.records}
        for keys in self.pairs:
            found = [key if isinstance(key, Storage) else arrays.get(key) for key in keys]
            one, two = [x.storage if is_array(x) else x for x in found]
            if one is two or not (isinstance(one, Storage) and isinstance(two, Storage)):
                continue
            # What a function returns on one path does not matter on the others.
            is_result = any(type(key) is tuple and key[0][0] in results for key in keys)
            (self.trace.will_share if is_result else self.trace.may_share)(one, two)
