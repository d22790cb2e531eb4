"""When shapes keep changing: which extents become symbols, and which executable serves a shape.

The first few shapes are compiled as they are, which gives the best code. After that, the extents
that have been changing become symbols, one for all extents that have always been equal, and one
executable serves every size. Extents below `LEAST` are never symbols.
"""

from __future__ import annotations

from typing import Any

from .arguments import leaf_key
from .ir.dims import LEAST, Dim, symbol
from .ir.types import ArrayType
from .trace.program import Leaf, Traced

CONCRETE_SHAPES = 3
NAMES = "nmkpqrstuvw"

Shapes = tuple[tuple[int, ...], ...]


class Sizes:
    """What one function has seen of shapes, by everything else about its arguments.

    Symbols stand for extents of row-major arrays, so others are copied, unless `keeps_layouts`: then
    they have programs of their own at every size.
    """

    def __init__(self, keeps_layouts: bool = False) -> None:
        self._keeps_layouts = keeps_layouts
        self._seen: dict[Any, list[Shapes]] = {}
        self._entries: dict[Any, list[Any]] = {}
        self._refused: set[Any] = set()

    def clear(self) -> None:
        self.__init__(self._keeps_layouts)

    def entry_for(self, structure: Any, leaves: list[Any], how: list[Leaf]) -> Any:
        """The entry with symbolic extents that serves these arguments, if there is one."""
        if not self._entries:
            return None
        for entry in self._entries.get(self._kind(structure, leaves, how), ()):
            if serves(
                [leaf.type for leaf in entry.program.leaves if _is_array(leaf)], _shapes(how)
            ):
                return entry
        return None

    def symbolic(self, structure: Any, leaves: list[Any], how: list[Leaf]) -> list[Leaf] | None:
        """These leaves with the extents that keep changing as symbols; None: take them as they are."""
        arrays = [leaf for leaf in how if _is_array(leaf)]
        if any(not leaf.can_write or leaf.same_as is not None for leaf in arrays):
            return None  # programs for arrays that clash are for those very arguments
        if self._keeps_layouts and any(leaf.type.layout is not None for leaf in arrays):
            return None
        kind, shapes = self._kind(structure, leaves, how), _shapes(how)
        seen = self._seen.setdefault(kind, [])
        if shapes not in seen and len(seen) <= CONCRETE_SHAPES:
            seen.append(shapes)
        if len(seen) <= CONCRETE_SHAPES or kind in self._refused or shapes not in [*seen, shapes]:
            return None
        history = [*seen, shapes]
        symbols: dict[tuple[int, ...], Dim] = {}
        new: list[Leaf] = []
        number = 0
        for leaf in how:
            if not _is_array(leaf):
                new.append(leaf)
                continue
            extents: list[int | Dim] = []
            for axis, extent in enumerate(leaf.type.shape):
                values = tuple([past[number][axis] for past in history])
                if len(set(values)) > 1 and extent >= LEAST:
                    name = NAMES[len(symbols)] if len(symbols) < len(NAMES) else f"n{len(symbols)}"
                    extents.append(symbols.setdefault(values, symbol(name)))
                else:
                    extents.append(extent)
            new.append(Traced(ArrayType(tuple(extents), leaf.type.dtype, None)))
            number += 1
        return new if symbols else None

    def refuse(self, structure: Any, leaves: list[Any], how: list[Leaf]) -> None:
        """The function needs to know its sizes: always compile for the shapes that come."""
        self._refused.add(self._kind(structure, leaves, how))

    def refuse_entry(self, entry: Any) -> None:
        """The same where an entry, if it is one of ours, turned out not to serve every size."""
        for kind, entries in self._entries.items():
            if entry in entries:
                self._refused.add(kind)

    def add(self, structure: Any, leaves: list[Any], how: list[Leaf], entry: Any) -> None:
        self._entries.setdefault(self._kind(structure, leaves, how), []).append(entry)

    def remove(self, entry: Any) -> None:
        for entries in self._entries.values():
            if entry in entries:
                entries.remove(entry)

    def _kind(self, structure: Any, leaves: list[Any], how: list[Leaf]) -> Any:
        """Everything about the arguments but the extents and, mostly, the layouts of arrays."""
        parts = []
        for value, leaf in zip(leaves, how):
            if not _is_array(leaf):
                parts.append(leaf_key(value, leaf))
                continue
            layout = leaf.type.layout if self._keeps_layouts else None
            parts.append(("array", leaf.type.dtype, leaf.type.ndim, layout))
        return (structure, tuple(parts))


def serves(types: list[ArrayType], shapes: Shapes) -> bool:
    """Whether some values of the symbols, each at least `LEAST`, make the types have these shapes."""
    bound: dict[Dim, int] = {}
    for type, shape in zip(types, shapes):
        for own, extent in zip(type.shape, shape):
            if isinstance(own, Dim):
                if extent < LEAST or bound.setdefault(own, extent) != extent:
                    return False
            elif own != extent:
                return False
    return True


def _is_array(leaf: Leaf) -> bool:
    return isinstance(leaf, Traced) and not leaf.is_scalar


def _shapes(how: list[Leaf]) -> Shapes:
    return tuple([leaf.type.shape for leaf in how if _is_array(leaf)])
