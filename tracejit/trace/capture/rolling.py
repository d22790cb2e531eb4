"""Rolled loops: the body is traced until what it carries from one iteration to the next is settled.

A *cell* is a name, or a slot of a container; its value is a tree of leaves. A leaf that the body
changes, and that the next iteration or the code after the loop reads, is carried: inside, it is a
parameter, of a kind that has the values of before the loop and of after the body alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

from ...ir.graph import Node, operands_of, parameter, substitute
from ...ir.ops.control import unknown_of
from ...ir.term import postorder
from ...ir.types import i64
from ..array import Array
from ..context import Trace
from ..promotion import cast, constant
from ..regions import Region
from ..tree import flatten, unflatten
from .growing import growth
from .installing import Installation
from .iterations import unknowns_in
from .joins import UNSET, Kind, holds_exactly, joined, kind_of, matched
from .kin import Kin
from .optional import Maybe
from .ramps import Ramp, Trips, ramp
from .settled import Carried, Surroundings
from .state import (
    UNBOUND,
    Cell,
    contents,
    is_array,
    is_same,
    rewind,
    slots_of,
    state_of,
)
from .unsettled import Rotated, Unsettled, place_of, rotation


class Rolling:
    """The passes over the body of one loop, and the op that comes of them."""

    def __init__(
        self,
        trace: Trace,
        frame: FrameType,
        now: dict[str, Any],
        names: tuple[str, ...],
        head: frozenset[str],
        after: frozenset[str],
        key: Any = None,
        index: Any = None,
        trips: Trips | None = None,
    ):
        self.trace, self.frame, self.trips = trace, frame, trips
        self.names, self.head, self.after = frozenset(names), head, after
        self.parent, self.key, self.index = trace.region, key, index
        self.begin = state_of(trace, now, frame)
        # By cell: the kinds of its carried leaves, by their numbers.
        self.kinds: dict[tuple[int, Any], dict[int, Kind | Ramp]] = {}
        # Cells of which only the last value is wanted: what it is made of.
        self.lasts: dict[tuple[int, Any], Any] = {}
        self.last_kinds: dict[tuple[int, Any], list[Kind | None]] = {}
        self.storages: dict[Any, None] = {}
        self.kin = Kin(trace)
        self.carries_token = False
        # By cell the kinds that a pass has found, from those of before the loop.
        self.seen: dict[tuple[int, Any], dict[int, Kind | None]] = {}
        self.surroundings: Surroundings | None = None
        self.guess: Carried | None = None

    # What it carried before, where it was traced in another pass of a loop around.

    def observe(self, key: Any) -> None:
        """Note what the loop of this key finds, if it may find the same again."""
        if self.trace.passes:
            self.surroundings = Surroundings([value for _, value in self.cells()])
            self.place = key, self.surroundings.look

    def guesses(self) -> bool:
        """Begin with what was carried where the same was found before, if it was."""
        if self.surroundings is None:
            return False
        self.guess = self.trace.settled.get(self.place)
        if self.guess is None:
            return False
        cells = [cell for cell, _ in self.cells()]
        self.kinds = {cells[n].id: dict(kinds) for n, kinds in self.guess.kinds.items()}
        self.storages = dict.fromkeys(self.surroundings.storages_of(self.guess))
        self.carries_token = self.guess.has_token
        return True

    def finish(self, names: dict[str, Any]) -> bool:
        """End a pass, after which the names are these; whether nothing new was found.

        Raises Unsettled, but not of a pass that began with a guess: that was wrong then.
        """
        if self.guess is None:
            is_settled = self._finish(names)
            if is_settled:
                self._remember()
            return is_settled
        try:
            is_settled = self._finish(names) and self._is_confirmed()
        except (Unsettled, Rotated):
            is_settled = False
        self.guess = None
        if not is_settled:
            self.kinds, self.storages, self.carries_token = {}, {}, False
            self.kin, self.lasts, self.last_kinds = Kin(self.trace), {}, {}
        return is_settled

    def _is_confirmed(self) -> bool:
        """Whether a pass that began with a guess has found all of that."""
        assert self.guess is not None
        found = {id_: kinds for id_, kinds in self.seen.items() if kinds}
        own = self.parameters.get("token")
        return (
            found == self.kinds
            and {*self.written} == {*self.storages}
            and self.carries_token == (self.end_token not in (own, self.begin.token))
        )

    def _remember(self) -> None:
        """Keep what is carried for when the same is found again."""
        if self.surroundings is None or self.kin.pairs:
            return
        cells = [cell.id for cell, _ in self.cells()]
        kinds = {cells.index(id_): kinds for id_, kinds in self.kinds.items()}
        carried = self.surroundings.carried(kinds, self.storages, self.carries_token)
        if carried is not None:
            self.trace.settled[self.place] = carried

    # A pass.

    def start(self) -> dict[str, Any]:
        """Begin a pass: a region, with parameters for what is carried; gives the names in it."""
        trace = self.trace
        trace.passes.append(self)
        self.region = trace.region = Region(self.parent, trace.births)
        self.parameters: dict[Any, Node] = {}
        for storage in self.storages:
            type_ = storage.node.type
            kind = Kind(type_.shape, type_.dtype, False)
            trace.will_write(storage)
            storage.exchange(self._parameter(storage, kind, storage.node))
            kind.wrap(storage.node)
        names = dict(self.begin.names)
        self.inside, arrays = {}, {}
        for cell, before in self.cells():
            kinds = self.kinds.get(cell.id)
            if kinds and cell.is_read:
                leaves, structure = flatten(before)
                for position, kind in kinds.items():
                    first = kind.node(leaves[position])
                    own = self._parameter((cell.id, position), kind, first)
                    begun = leaves[position]
                    leaves[position] = arrays[cell.id, position] = kind.wrap(own)
                    # In the first iteration it is the memory of before, which the loop may go through.
                    if is_array(begun) and is_array(leaves[position]):
                        trace.may_share(leaves[position].storage, begun.storage)
                value = unflatten(structure, leaves)
                self.inside[cell.id] = value
                if cell.holder is self.begin.names:
                    names[cell.key] = value
                else:
                    cell.holder[cell.key] = value
        self.kin.share(arrays)
        if self.carries_token:
            first = self.begin.token or constant(0, i64)
            trace.token = self._parameter("token", Kind((), i64, True), first)
            trace.locate(trace.token)
        return names

    def _parameter(self, key: Any, kind: Kind, first: Node | None = None) -> Node:
        hint = key[0][1] if type(key) is tuple else "state"
        name = self.trace.unique_name(hint if type(hint) is str else "state")
        self.parameters[key] = parameter(name, kind.type)
        if first is not None:
            self.trace.firsts[self.parameters[key]] = first
        return self.parameters[key]

    def cells(self) -> Iterator[tuple[Cell, Any]]:
        """Every cell, with its value before the loop."""
        records = {id(part) for record in self.trace.records for part in record.dicts()}
        for name in sorted({*self.begin.names, *self.names}):
            before = self.begin.names.get(name, UNBOUND)
            yield Cell(self.begin.names, name, name in self.head), before
        for container, items in self.begin.held:
            for key in slots_of(container, items) or ():
                yield Cell(container, key, id(container) not in records), items[key]

    def _finish(self, names: dict[str, Any]) -> bool:
        trace = self.trace
        end = state_of(trace, names, self.frame)
        self.end = {}
        held = {id(container): items for container, items in end.held}
        for container, items in self.begin.held:
            if _shape_of(container, held.get(id(container), items)) != _shape_of(container, items):
                error = self.undone(f"it changes which items a {type(container).__name__} has")
                error.regrow = growth(trace, container, items, held.get(id(container), items))
                raise error
        found = [storage for storage in self.region.written if storage.birth <= self.region.start]
        self.written = {storage: storage.node for storage in found}
        is_settled = {*found} <= {*self.storages}
        self.storages.update(dict.fromkeys(found))
        self.end_token = trace.token
        self.moved: dict[Any, Any] = {}
        self.seen = {}
        if trace.token is not self.begin.token and not self.carries_token:
            self.carries_token, is_settled = True, False
        for cell, before in self.cells():
            if cell.holder is self.begin.names:
                after = names.get(cell.key, UNBOUND)
            else:
                after = held.get(id(cell.holder), cell.holder)[cell.key]
            try:
                is_settled &= self._settle(cell, before, after)
            except Unsettled as error:
                raise self.undone(error.why, error.can_peel) from None
        is_settled &= self._drop_moves_by_value()
        self.shares = self._shares()
        is_settled &= self.kin.find(self._ends(), self.region.start)
        held_by = contents(self.region, end)
        self.nodes = dict(self._last_nodes(held_by)) if not self.moved else {}
        self._leave()
        if self.moved:
            raise rotation(self.moved)
        return is_settled

    def _shares(self) -> dict[Any, list[Any]]:
        """What the memory may be, beside its own, that is carried in leaves."""
        firsts: dict[Any, Any] = {}
        for cell, before in self.cells():
            insides = flatten(self.inside.get(cell.id, before))[0]
            pairs = zip(insides, flatten(before)[0])
            firsts |= {x.storage: y.storage for x, y in pairs if is_array(x) and is_array(y)}
        found: dict[Any, list[Any]] = {}
        for id_, kinds in self.kinds.items():
            leaves = flatten(self.end[id_])[0]
            for position in kinds:
                leaf = leaves[position]
                others = self.trace.doubts_of(leaf.storage) if is_array(leaf) else ()
                found[id_, position] = [firsts.get(other, other) for other in others]
        return found

    def _ends(self) -> Iterator[tuple[Any, Any]]:
        """The leaves that are carried, or wanted after the loop, at the end of an iteration, by their keys."""
        for id_, kinds in self.kinds.items():
            leaves = flatten(self.end[id_])[0]
            yield from [((id_, position), leaves[position]) for position in kinds]
        for id_, last in self.lasts.items():
            yield from [((id_, position), leaf) for position, leaf in enumerate(flatten(last)[0])]

    def _drop_moves_by_value(self) -> bool:
        """Forget of moves to arrays of before the loop that are carried as values, and are others in
        the next pass; whether there were none."""
        carried = {
            place_of(flatten(before)[0][position])
            for cell, before in self.cells()
            for position in self.kinds.get(cell.id, ())
        }
        kept = {place: goal for place, goal in self.moved.items() if goal not in carried}
        was_clean, self.moved = len(kept) == len(self.moved), kept
        return was_clean

    def undone(self, why: str, can_peel: bool = True) -> Unsettled:
        self._leave()
        return Unsettled(why, can_peel)

    def _leave(self) -> None:
        """Undo what the pass did."""
        self.trace.passes.pop()
        rewind(self.region)
        self.region.is_open = False
        self.trace.region = self.parent
        self.begin.restore(self.trace)

    def _settle(self, cell: Cell, before: Any, after: Any) -> bool:
        """Note what of a cell is carried; whether that was known."""
        inside = self.inside.get(cell.id, before)
        if is_same(inside, after) or not self.is_wanted(cell):
            self.end[cell.id] = after
            return True
        first, after = self._matched(before, after)
        if first is not before:  # None, as numbers are here that may be
            self._begin_as(cell, first)
            self.end[cell.id] = after
            return False
        if not cell.is_read:
            self.end[cell.id] = self.lasts[cell.id] = after
            self.last_kinds[cell.id] = self._kinds_after(before, after)
            return True
        if before is UNBOUND and self.key is None and (first := _unset(after)) is not None:
            self._begin_as(cell, first)
            self.end[cell.id] = after
            return False
        leaves, structure = flatten(after)
        befores, known = flatten(before)
        insides, _ = flatten(inside)
        what = cell.key if isinstance(cell.key, str) else "an item of a container"
        if structure != known:
            raise Unsettled(f"{what} changes its structure")
        kinds = self.kinds.setdefault(cell.id, {})
        is_known = True
        for position, (a, b, c) in enumerate(zip(befores, leaves, insides)):
            if is_same(b, c) and position not in kinds:
                continue
            if self.is_elsewhere(b):
                self.moved[place_of(a)] = place_of(b)
                continue
            if is_array(a) and a.storage in self.storages and self._is_known_elsewhere(a, cell):
                raise Unsettled(f"{what} is other memory in the first iteration than in the next")
            own, new = kind_of(a), kind_of(b)
            if own is None or new is None:
                raise Unsettled(f"{what} changes from {_short(a)} to {_short(b)}")
            kind = self._carried(cell.key, kinds.get(position, own), new)
            if kind is None or not isinstance(kind, Ramp) and not holds_exactly(kind, a):
                raise Unsettled(f"{what} changes from {_short(a)} to {_short(b)}")
            self.seen.setdefault(cell.id, {})[position] = joined(own, new)
            is_known &= kinds.get(position) == kind
            kinds[position] = kind
        self.end[cell.id] = after
        return is_known

    def _matched(self, before: Any, after: Any) -> tuple[Any, Any]:
        """The values of before and after an iteration, as Maybes where either is one; also where the first one
        is None, if no iteration can be made apart, as it is not known whether there is one."""
        is_one = any(type(value) is Maybe for value in (before, after))
        is_open = self.index is not None and self.key is None
        return matched(before, after) if is_one or is_open else (before, after)

    def _begin_as(self, cell: Cell, value: Any) -> None:
        """Let a cell have another value before the loop."""
        if cell.holder is self.begin.names:
            self.begin.names[cell.key] = value
        for container, items in self.begin.held:
            if container is cell.holder:
                items[cell.key] = value

    def _kinds_after(self, before: Any, after: Any) -> list[Kind | None]:
        """The kinds of the leaves of what is only wanted after the loop: where there may be no iteration,
        they have the values of before as well."""
        leaves, structure = flatten(after)
        befores, known = flatten(before)
        kinds = [kind_of(leaf) for leaf in leaves]
        if self.key is not None or structure != known:
            return kinds
        firsts = [kind_of(leaf) for leaf in befores]
        return [
            k if None in (k, first) else joined(k, first) or k for k, first in zip(kinds, firsts)
        ]

    def _carried(self, key: Any, known: Kind | Ramp, new: Kind) -> Kind | Ramp | None:
        """The kind of what is carried, which was thought to be `known`, and is `new` after an iteration; None
        where there is none."""
        if isinstance(known, Ramp):
            return known if known.fits(new) else None
        return joined(known, new) or ramp(key, known, new, self.trips)

    @property
    def has_ramps(self) -> bool:
        return any(isinstance(k, Ramp) for kinds in self.kinds.values() for k in kinds.values())

    def _last_nodes(self, held_by: dict[int, Node]) -> Iterator[tuple[Any, Node]]:
        """The values of carried leaves at the end of a pass."""

        def node(kind: Kind | Ramp, leaf: Any, key: Any) -> Node:
            held = held_by.get(id(leaf))
            if isinstance(kind, Ramp):
                value = cast(leaf.node if held is None else held, kind.dtype)
                room = self.parameters.get(key)  # none in the first pass, which settles nothing
                return value if room is None else kind.held(room, value)
            return kind.node(leaf) if held is None else cast(held, kind.dtype)

        for id_, kinds in self.kinds.items():
            leaves = flatten(self.end[id_])[0]
            for position, kind in kinds.items():
                key = (id_, position)
                yield key, node(kind, leaves[position], key)
        for id_, last in self.lasts.items():
            for position, leaf in enumerate(flatten(last)[0]):
                kind = self.last_kinds[id_][position]
                if kind is not None:
                    yield (id_, position), node(kind, leaf, (id_, position))

    def is_elsewhere(self, value: Any) -> bool:
        """Whether a value is memory from before the loop."""
        return is_array(value) and value.storage.birth <= self.region.start

    def _is_known_elsewhere(self, value: Array, own: Cell) -> bool:
        """Whether somebody else has the memory of an array, and may see what is written."""
        if value.storage.source is not None:
            return True
        others = [before for cell, before in self.cells() if cell.id != own.id]
        leaves = [leaf for before in others for leaf in flatten(before)[0]]
        return any(is_array(leaf) and leaf.storage is value.storage for leaf in leaves)

    def is_wanted(self, cell: Cell) -> bool:
        is_name = cell.holder is self.begin.names
        return not is_name or cell.key in self.head or cell.key in self.after

    def depends(self, node: Node) -> bool:
        """Whether a node is another one in another iteration."""
        own = set(self.parameters.values())
        index = unknown_of(self.index) if self.index is not None else None
        return any(
            found in own
            or index in {u for _, value in found.attributes for u in unknowns_in(value)}
            for found in postorder((node,), operands_of)
        )

    def firsts(self) -> Iterator[tuple[Kind, Any]]:
        for cell, value in self.cells():
            for position, kind in self.kinds.get(cell.id, {}).items():
                yield kind, flatten(value)[0][position]

    # The op.

    def results(self) -> tuple[list[Any], list[Node], list[Node], list[Node]]:
        """What is carried: keys, values before, parameters, values after an iteration."""
        keys: list[Any] = []
        before: list[Node] = []
        parameters: list[Node] = []
        after: list[Node] = []

        def carry(key: Any, first: Node, own: Node, last: Node) -> None:
            keys.append(key)
            before.append(first)
            parameters.append(own)
            after.append(last)

        for storage in self.storages:
            own = self.parameters[storage]
            carry(storage, storage.node, own, self.written.get(storage, own))
        for cell, value in self.cells():
            if cell.id in self.kinds:
                befores = flatten(value)[0]
                for position, kind in self.kinds[cell.id].items():
                    key = (cell.id, position)
                    first = kind.node(befores[position])
                    carry(key, first, self.parameters[key], self.nodes[key])
            elif cell.id in self.lasts:
                kinds = self.last_kinds[cell.id]
                firsts = _alike(value, self.lasts[cell.id], kinds)
                for position, kind in enumerate(kinds):
                    if kind is not None:
                        key = (cell.id, position)
                        own = self._parameter(key, kind)
                        carry(key, kind.node(firsts[position]), own, self.nodes[key])
        if self.carries_token:
            none = constant(0, i64)
            own = self.parameters["token"]
            carry("token", self.begin.token or none, own, self.end_token or none)
        return keys, before, parameters, after

    def pruned(self, found: tuple[list, list, list, list], more: list[Node]) -> tuple:
        """Without what comes out of an iteration as it went in, which is only read."""
        keys, before, parameters, after = found
        same = {own: first for own, first, last in zip(parameters, before, after) if own is last}
        kept = [k for k, own in enumerate(parameters) if own not in same]
        new = substitute([*[after[k] for k in kept], *more], same)
        lists = [[values[k] for k in kept] for values in (keys, before, parameters)]
        return *lists, list(new[: len(kept)]), list(new[len(kept) :])

    def install(self, keys: list[Any], node: Node | None, surely: bool) -> dict[str, Any]:
        """Give everything the value it has after the loop, which is `node`; gives the names.

        `surely`: every iteration is run to its end, and there is one.
        """
        return Installation(self, surely).names(keys, node)


def _unset(after: Any) -> Any:
    """Some value for a name that has none before a loop, like one that it has after an iteration; None where
    that is not numbers alone."""
    leaves, structure = flatten(after)
    kinds = [kind_of(leaf) for leaf in leaves]
    if not all(kind is not None and kind.is_scalar for kind in kinds):
        return None
    return unflatten(structure, [kind.wrap(kind.node(UNSET)) for kind in kinds])


def _alike(before: Any, last: Any, kinds: list[Kind | None]) -> list[Any]:
    """Values of these kinds for the leaves of `last` before the first iteration, which nobody reads if
    there is one: those that there are, if they can be of these kinds."""
    leaves, structure = flatten(last)
    befores, known = flatten(before)
    if structure != known:
        return [UNSET] * len(leaves)
    pairs = zip(befores, kinds)
    return [
        first
        if kind is not None and (own := kind_of(first)) and joined(own, kind) == kind
        else UNSET
        for first, kind in pairs
    ]


def _shape_of(container: Any, items: Any) -> Any:
    keys = slots_of(container, items)
    return set(items) if keys is None else keys


def _short(value: Any) -> str:
    kind = kind_of(value)
    if kind is None:
        return repr(value) if value is None or value is UNBOUND else f"a {type(value).__name__}"
    return str(kind)
