"""Choices by a traced condition: both arms are traced, in regions of their own, one after the other.

Where an arm ends in a jump, what follows the statement belongs to the other arm alone. So that one is
left open, and the choice is closed where the jump leads: at the end of an enclosing arm, of the
loop's body, or of the function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NamedTuple

from ...errors import TraceError, UnsupportedError
from ...ir import ops
from ...ir.graph import Node, item
from ...ir.op import ELEMENTWISE
from ...ir.term import postorder
from ...ir.types import i64
from ..array import Array
from ..context import Trace, failure, for_numpy
from ..promotion import cast, constant
from ..regions import Region, encloses
from ..value import Value
from .bodies import Bodies
from .growing import growth
from .joins import RETURNED, Pairs
from .records import Alive
from .state import (
    UNBOUND,
    State,
    contents,
    is_array,
    is_same,
    names_of,
    rewind,
    slots_of,
    state_of,
    written_outside,
)

# Scalar work up to this cost, in multiply-adds, is done for both arms rather than branched around.
CHEAP = 16.0
# How often a function may be inside of itself where it branches by traced values.
MOST_DEEP = 40


class _End(NamedTuple):
    """How an arm ended: the state, the value of every storage it wrote, and of the arrays there;
    whether it jumped away, and whether out of the function, so that its names do not matter."""

    state: State
    written: dict[Any, Node]
    contents: dict[int, Node]
    is_dead: bool
    has_returned: bool = False


class Exchanged(NamedTuple):
    """What a name has, or a slot of a container, after an arm that ends in the midst of an exchange."""

    container: Any
    key: Any
    array: Any


class Choice:
    """An `if` on a traced condition. Its arms are numbered: 0 where it holds, 1 where it does not."""

    def __init__(
        self,
        trace: Trace,
        condition: Node,
        frame: FrameType,
        live: Iterable[str],
        names: tuple,
        now: dict[str, Any] | None = None,
    ):
        """`now`: what the names in the frame are to be, where they are not yet."""
        self.trace, self.condition, self.live, self.names = trace, condition, frozenset(live), names
        _check_depth(frame)
        self.begin = state_of(trace, names_of(frame) if now is None else now, frame)
        self.parent = trace.region
        start = trace.births
        self.arms = [Region(self.parent, start, self), Region(self.parent, start, self)]
        self.ends: list[_End | None] = [None, None]
        self.values: tuple = ()
        self.arms[1].is_open = False
        self.is_guard = self.is_left_open = False
        # The loop that closes it, as it holds the iterations that follow.
        self.keeper: Any = None
        # Where arrays are exchanged: what names and slots have in the second arm, those that have
        # other arrays in the first. A list of these, if it is wanted.
        self.exchanged: list[Exchanged] | None = None
        trace.region = self.arms[0]

    def __bool__(self) -> bool:
        return True

    @classmethod
    def guard(
        cls,
        trace: Trace,
        alive: Alive,
        frame: FrameType,
        live: Iterable[str],
        names: tuple,
        now: dict[str, Any] | None = None,
    ) -> Choice:
        """The choice of what only runs while no jump was made."""
        choice = cls(trace, alive.condition, frame, live, names, now)
        choice.is_guard = True
        choice.ends[1] = _End(choice.begin, {}, {}, True)
        alive.hold()
        return choice

    def turn(self) -> None:
        """The first arm has ended; the second one starts from where it did."""
        self.turn_in(sys._getframe(1))

    def turn_in(self, frame: FrameType) -> None:
        """The same, of a choice in this frame."""
        self.end_arm(0, frame)
        self.begin.restore(self.trace)
        self._open(1)
        self._give(self.begin.names)

    def join(self) -> None:
        """Both arms have ended."""
        frame = sys._getframe(1)
        self.end_arm(1, frame)
        first, second = self.ends
        assert first is not None and second is not None
        if first.is_dead == second.is_dead:
            self._give(self.close(frame, self.live))
        else:
            self._reopen(0 if second.is_dead else 1)

    def _give(self, names: dict[str, Any]) -> None:
        self.values = tuple([names.get(name, UNBOUND) for name in self.names])

    def end_arm(self, number: int, frame: FrameType) -> None:
        names = close_down(self.trace, self.arms[number], names_of(frame), frame, self.live)
        self._note_end(number, names, frame)

    def _note_end(self, number: int, names: dict[str, Any], frame: FrameType) -> None:
        """Keep how an arm ended, and undo what it wrote."""
        region = self.arms[number]
        written = {storage: storage.node for storage in region.written}
        is_dead = is_over(self.trace) or (number == 1 and self.is_guard)
        state = state_of(self.trace, names, frame)
        has_returned = is_dead and _has_returned(self.trace)
        self.ends[number] = _End(state, written, contents(region, state), is_dead, has_returned)
        rewind(region)
        region.is_open = False

    def _open(self, number: int) -> None:
        self.arms[number].is_open = True
        self.trace.region = self.arms[number]

    def _reopen(self, number: int) -> None:
        """Go on in an arm that had ended, as the other one leads elsewhere."""
        end = self.ends[number]
        assert end is not None
        end.state.restore(self.trace)
        for storage, node in end.written.items():
            storage.exchange(node)
        self.ends[number] = None
        self.is_left_open = True
        self._open(number)
        self._give(end.state.names)

    def close(
        self, frame: FrameType, live: frozenset[str], names: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Join the arms, the one that was left open included, where `names` are as they are now;
        gives the names after it, those that are still `live`."""
        trace = self.trace
        for number in (0, 1):
            if self.ends[number] is None:
                assert names is not None
                self._note_end(number, names, frame)
        first, second = self.ends
        assert first is not None and second is not None
        trace.region = self.parent
        self.parent.is_dead = first.is_dead and second.is_dead
        older = {id(container) for container, _ in self.begin.held}
        pairs = Pairs(trace, self.arms[0].start, (first.contents, second.contents), older)
        after = {
            name: self._name(name, pairs, first, second)
            for name in (*first.state.names, *second.state.names)
            if name in live or self._is_untouched(name, first, second)
        }
        slots = self._slots(first, second, pairs)
        storages = self._storages(first, second, pairs)
        token = self._token(first, second, pairs)
        pairs.chosen = chosen(trace, self.condition, self.arms, pairs.first, pairs.second)
        self.begin.restore(trace)
        for container, key, part in slots:
            container[key] = part()
        for storage, position in storages:
            trace.has_written(storage)
            storage.exchange(pairs.chosen[position] if type(position) is int else position)
        trace.token = pairs.chosen[token] if type(token) is int else token
        return {name: part() for name, part in after.items()}

    def _name(self, name: str, pairs: Pairs, first: _End, second: _End) -> Callable[[], Any]:
        """What to call for the value of a name, when that was chosen."""
        a, b = [end.state.names.get(name, UNBOUND) for end in (first, second)]
        if self._is_exchanged(a, b):
            self.exchanged.append(Exchanged(None, name, b))
            return lambda: a
        if first.has_returned != second.has_returned and self._are_older(a, b):
            return lambda: b if first.has_returned else a
        return pairs.add(a, b, f"the variable {name}")

    def _is_exchanged(self, a: Any, b: Any) -> bool:
        """Whether these are arrays of before a loop, which it exchanges, and is to be told."""
        if self.exchanged is None or not (is_array(a) and is_array(b)) or is_same(a, b):
            return False
        return max(a.storage.birth, b.storage.birth) <= self.keeper.birth

    def _are_older(self, *values: Any) -> bool:
        """Whether these are arrays of before the choice, so that both arms could have either."""
        return all(is_array(v) and v.storage.birth <= self.arms[0].start for v in values)

    def _is_untouched(self, name: str, first: _End, second: _End) -> bool:
        before = self.begin.names.get(name, UNBOUND)
        return first.state.names.get(name) is before is second.state.names.get(name)

    def _slots(self, first: _End, second: _End, pairs: Pairs) -> list[tuple]:
        """The slots of containers that an arm has changed."""
        found: list[tuple] = []
        ends = [{id(c): items for c, items in end.state.held} for end in (first, second)]
        for container, before in self.begin.held:
            a, b = [held.get(id(container), before) for held in ends]
            keys = slots_of(container, before)
            if keys != slots_of(container, a) or keys != slots_of(container, b):
                raise growth(self.trace, container, before, a, b) or _changed(container)
            if keys is None:
                if set(a) != set(b) or set(a) != set(before):
                    raise _changed(container)
                continue
            for key in keys:
                if not (a[key] is before[key] is b[key]):
                    what = f"the item {key!r} of a {_word(container)}"
                    if any(container is record.value for record in self.trace.records):
                        what = RETURNED
                    if self._is_exchanged(a[key], b[key]):
                        self.exchanged.append(Exchanged(container, key, b[key]))
                        found.append((container, key, lambda value=a[key]: value))
                        continue
                    part = pairs.add(a[key], b[key], what)
                    found.append((container, key, part))
        return found

    def _storages(self, first: _End, second: _End, pairs: Pairs) -> list[tuple[Any, Any]]:
        found: list[tuple[Any, Any]] = []
        storages = [s for region in self.arms for s in written_outside(region)]
        for storage in dict.fromkeys(storages):
            before = storage.node
            a, b = [end.written.get(storage, before) for end in (first, second)]
            if a is b:
                found.append((storage, a))
            else:
                found.append((storage, pairs.pair(a, b)))
        return found

    def _token(self, first: _End, second: _End, pairs: Pairs) -> Any:
        a, b = first.state.token, second.state.token
        if a is not None and b is not None:
            self._hoist(a, b)
        if a is b:
            return a
        none = constant(0, i64)
        return pairs.pair(a or none, b or none)

    def _hoist(self, first: Node, second: Node) -> None:
        """Let effects that both arms begin with, in the same order, come before the choice.

        The arms have the same nodes for them, and so has all that comes of them, after the choice too.
        """
        homes, arm = self.trace.homes, self.arms[0]

        def inside(token: Node) -> list[Node]:
            found = postorder((token,), lambda n: () if encloses(homes.get(n), arm) else n.operands)
            return [node for node in found if not encloses(homes.get(node), arm)]

        common = {*inside(first)} & {*inside(second)}
        homes.update(dict.fromkeys(common, self.parent))


def _word(container: Any) -> str:
    return type(container).__name__


def _changed(container: Any) -> TraceError:
    return failure(
        TraceError,
        f"a {_word(container)} gets other items where a traced condition holds than where it does not",
        "write [... for ... if ...], or fill an array that is large enough, and count",
    )


def _check_depth(frame: FrameType) -> None:
    """Refuse recursion that a traced value is to end, as both arms of that choice are traced."""
    code, depth, outer = frame.f_code, 0, frame.f_back
    while outer is not None and depth <= MOST_DEEP:
        depth += outer.f_code is code
        outer = outer.f_back
    if depth > MOST_DEEP:
        error = failure(
            TraceError,
            f"{code.co_name} calls itself, and traced values decide when that ends",
            "write it as a loop, or let a static argument end it",
        )
        raise for_numpy(error)


def _has_returned(trace: Trace) -> bool:
    """Whether the function has returned for certain, and does nothing more on its way out."""
    own = next((r for r in reversed(trace.records) if "returned" in r.flags), None)
    return own is not None and own.flags["returned"] is True and trace.blocks == 0


def is_over(trace: Trace) -> bool:
    """Whether the code that is being traced is never reached: there was a jump for certain."""
    if trace.region.is_dead:
        return True
    return any(flag is True for record in trace.records for flag in record.flags.values())


def close_down(
    trace: Trace,
    region: Region,
    names: dict[str, Any],
    frame: FrameType,
    live: frozenset[str] = frozenset(),
    keeper: Any = None,
) -> dict[str, Any]:
    """Close the choices that were left open inside `region`; gives the names after that, those
    that are still `live`. Those around the iterations of a loop are closed by the loop alone, which
    is then the `keeper`."""
    while trace.region is not region:
        inner = trace.region
        choice = inner.owner
        is_open = choice is not None and choice.is_left_open and choice.keeper in (None, keeper)
        if not is_open or not encloses(region, inner):
            raise failure(
                TraceError,
                "an exception was caught that left a branch or a loop that depends on traced values",
                "let it pass, or test for the condition instead",
            )
        names = choice.close(frame, live, names)
    return names


def chosen(
    trace: Trace, condition: Node, arms: list[Region], first: list[Node], second: list[Node]
) -> list[Node]:
    """The nodes of `first` where `condition` holds, those of `second` elsewhere."""
    if not first:
        return []
    if _is_cheap(trace, first, arms[0]) and _is_cheap(trace, second, arms[1]):
        found = [_selected(condition, a, b) for a, b in zip(first, second)]
    else:
        bodies = Bodies(trace)
        bodies.add("orelse", arms[1], second)
        bodies.add("then", arms[0], first)
        node = ops.branch(
            cast(condition, i64), *bodies.operands, branches=tuple(bodies.functions())
        )
        found = [node] if len(first) == 1 else [item(node, index=k) for k in range(len(first))]
    for node in found:
        trace.locate(node)
    return found


def _is_cheap(trace: Trace, results: list[Node], arm: Region) -> bool:
    """Whether an arm does little, and nothing that may fail, so that it may run for nothing."""
    cost = 0.0
    homes = trace.homes
    if arm.own_bindings:
        return False
    for node in postorder(
        results, lambda n: () if encloses(homes.get(n), arm) or not n.operands else n.operands
    ):
        if getattr(node.type, "shape", None) != ():  # an array, or several results
            return False
        if encloses(homes.get(node), arm) or not node.operands:
            continue
        if node.op.kind != ELEMENTWISE or _may_fail(node):
            return False
        cost += node.op.cost
    return cost <= CHEAP


def _may_fail(node: Node) -> bool:
    """Whether an elementwise op may not be computed where the program does not."""
    if node.op.name == "power":
        return not node.type.dtype.is_float
    if node.op in (ops.floor_divide, ops.remainder):
        divisor = node.operands[1]
        return divisor.op is not ops.constant or not divisor.attrs["value"] > 0
    return node.op.name in ops.CHECKS


def _selected(condition: Node, a: Node, b: Node) -> Node:
    """`where`, and simpler where it is about truths themselves."""
    truths = [n.attrs["value"] if n.op is ops.constant else None for n in (a, b)]
    if truths[0] is True and truths[1] is False:
        return condition
    if truths[0] is False and truths[1] is True:
        return ops.logical_not(condition)
    return ops.where(condition, a, b)


def truth_of(value: Value) -> Node:
    """The condition that a traced value is, where Python asks for its truth."""
    node = value.node
    size = node.type.size
    if type(size) is int and size > 1:
        raise ValueError(
            "The truth value of an array with more than one element is ambiguous. "
            "Use a.any() or a.all()"
        )
    if type(size) is int and size == 1 and node.type.shape:
        node = ops.reshape(node, shape=())
    if node.type.shape:
        raise failure(
            UnsupportedError,
            f"the truth value of {node.type}, which may have one element or more",
            "use a.any() or a.all()",
        )
    if node.type.dtype.kind != "b":
        node = (Array(node) != 0).node
    return node
