"""How the arguments of a call are taken: as constants of the program, or as its inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from .arguments import leaf_key, take
from .trace.program import Leaf, Static
from .trace.tree import leaf_count

# Of the arguments that are written, none is read-only, and none is another one.
NO_CLASHES: Mapping[int, Any] = MappingProxyType({})
_EITHER_WAY = inspect.Parameter.POSITIONAL_OR_KEYWORD


class Signatures:
    """What one function's arguments were declared to be, and what its calls told of them."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]):
        self._static = _static_positions(function, options)
        self.has_static = any(self._static)
        # By structure and leaf number: ints that were seen, and those of which the value is needed.
        self._ints: dict[tuple, set[int]] = {}
        self._needed: set[tuple] = set()

    def take(
        self,
        structure: Any,
        leaves: list,
        positional: int,
        layouts: bool,
        clashes: Mapping[int, Any] = NO_CLASHES,
    ) -> tuple[list[Leaf], Any]:
        """How each leaf is taken, with what is noted of it in `clashes`; and the signature.

        The first `positional` arguments were given by place; `layouts`: whether a program may be made for the
        order in which an array lies in memory.
        """
        static = self._static_leaves(structure, positional)
        how = []
        for position, value in enumerate(leaves):
            if position in static:
                how.append(Static(value))
            else:
                symbolic = type(value) is int and self._is_symbolic(structure, position, value)
                noted = clashes.get(position, {})
                how.append(take(value, symbolic, layouts)._replace(**noted))
        return how, signature(structure, leaves, how)

    def _static_leaves(self, structure: Any, positional: int) -> set[int]:
        """Leaf numbers below the arguments that were declared static."""
        positions, names = self._static
        if not positions and not names:
            return set()
        found: set[int] = set()
        leaf = 0
        _, _, args, kwargs = structure
        keywords = kwargs[1][-1] if kwargs[1] else ()
        for place, child in enumerate((*args[2:], *kwargs[2:])):
            size = leaf_count(child)
            name = keywords[place - positional] if place >= positional else None
            if (name is None and place in positions) or name in names:
                found.update(range(leaf, leaf + size))
            leaf += size
        return found

    def _is_symbolic(self, structure: Any, position: int, value: int) -> bool:
        """An int that keeps changing becomes an input, unless the function needs its value."""
        place = (structure, position)
        if place in self._needed or not -(1 << 63) <= value < 1 << 63:
            return False
        seen = self._ints.setdefault(place, set())
        if len(seen) < 2:
            seen.add(value)
        return len(seen) > 1

    def need_values(self, structure: Any, positions: Iterable[int]) -> None:
        """Take these ints as constants from now on."""
        self._needed.update((structure, position) for position in positions)

    def clear(self) -> None:
        """Forget what calls told."""
        self._ints.clear()
        self._needed.clear()


def signature(structure: Any, leaves: Iterable[Any], how: Iterable[Leaf]) -> Any:
    """What the calls that one program serves have in common."""
    return structure, tuple([leaf_key(value, leaf) for value, leaf in zip(leaves, how)])


def _static_positions(function: Any, options: dict[str, Any]) -> tuple[set[int], set[str]]:
    """Static arguments by position and by name, each completed from the other."""
    numbers, names = options["static_argnums"], options["static_argnames"]
    if not numbers and not names:
        return set(), set()
    own_name = getattr(function, "__name__", type(function).__name__)
    found = inspect.signature(function).parameters.values()
    kinds = {item.kind for item in found}
    plain = [item.name for item in found if item.kind in (item.POSITIONAL_ONLY, _EITHER_WAY)]
    only_named = [item.name for item in found if item.kind is item.KEYWORD_ONLY]
    for name in names:
        if name not in (*plain, *only_named) and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise ValueError(f"{own_name} has no argument {name!r} to be static")
    for number in numbers:
        if type(number) is not int:
            raise TypeError(f"static_argnums has whole numbers, not {number!r}")
        is_plain = -len(plain) <= number < len(plain)
        if not is_plain and (number < 0 or inspect.Parameter.VAR_POSITIONAL not in kinds):
            raise ValueError(f"{own_name} has no argument number {number} to be static")
    positions = {number + len(plain) if number < 0 else number for number in numbers}
    positions |= {plain.index(name) for name in names if name in plain}
    return positions, {*names, *[plain[k] for k in positions if k < len(plain)]}
