"""Loops as traced code runs them: iterations as Python makes them, or passes over a rolled body.

A `for` over something of known length that is short, or over what is plain Python, is run as it is;
any other is rolled: a pass runs the body once, with a traced index. A pass that finds the body to
be in need of Python's values is undone, and the loop is run as it is after all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from ...config import config
from ...errors import TraceError
from ...ir import ops
from ...ir.graph import Node
from ...ir.types import bool_
from ..array import Array
from ..context import Trace, failure
from ..location import user_frame
from ..promotion import constant
from ..regions import Region
from ..tree import flatten
from ..value import Value
from .bodies import Bodies
from .branches import Choice, Exchanged, chosen, close_down, truth_of
from .functions import is_to_be_driven
from .generators import Lazy
from .growing import MOST_LISTED, Regrow
from .iterables import Items, Placed, items_of
from .iterations import is_by_element, is_plain
from .joins import Pairs
from .ramps import Trips
from .records import Alive, Record, alive, flag_node, is_flag_set, unless
from .rolling import Rolling
from .spans import Span
from .state import UNBOUND, is_array, names_of

# How often a body is part of the program, at most, per iteration that a loop alone may have.
MOST_REPEATED = 16
# Operations on whole arrays that are unrolled to be fused: iterations times those of a body.
MOST_BY_ELEMENT = 1024
# Iterations that are run as they are before the rest is rolled.
MOST_PEELED = 2
# Iterations that are traced as one, where names exchange the arrays they are bound to.
MOST_ROTATED = 6
# Iterations of plain Python that may make arrays or numbers of the program; of more, a loop is made.
MOST_PLAIN = 500
# Operations that the iterations of a loop may be which is not rolled; more take minutes to compile.
MOST_NODES = 20_000
# Passes after which what a body carries should be settled.
MOST_PASSES = 12
from .unsettled import Plain, Rotated, Unsettled


class Site(NamedTuple):
    """What the rewriting knows of a loop; `head` and `after` have the names that are live there.

    `acts`: the test of a `while` may do something beside having a value.
    """

    name: str
    line: int
    names: tuple[str, ...]
    head: tuple[str, ...]
    after: tuple[str, ...]
    targets: tuple[str, ...]
    jumps: bool
    has_else: bool
    acts: bool


class Loop:
    """What a `for` and a `while` have in common: jumps, and where an iteration ends.

    `is_ahead`: `values` has what the names in the frame are to be, and are not yet. `is_python`: the body
    was found to be plain Python.

    Where names exchange arrays, a pass is of several iterations, after which they have theirs again:
    period     how many, `turn` the one that is being traced
    exits      by turn, what has another array where the loop ends there than at its head
    """

    # Flags that tell in which iteration of a pass the loop has ended.
    EXITS = tuple([f"exit{turn}" for turn in range(MOST_ROTATED)])

    def __init__(self, trace: Trace, site: Site, frame: FrameType):
        self.trace, self.site = trace, site
        self.key = (frame.f_code, site.name)
        self.record = Record("broken", "continued", *self.EXITS)
        self.depth = len(trace.records)
        trace.records.append(self.record)
        self.base = self.region = trace.region
        self.is_ahead = self.is_pass = self.is_python = False
        self.was_left = False
        self.live = frozenset({*site.head, *site.after})
        self.values: tuple = ()
        self.names_now: dict[str, Any] = {}
        self.rolling: Rolling | None = None
        self.period, self.turn = 1, 0
        self.exits: dict[int, list[Exchanged]] = {}

    # Asked by the rewritten code.

    def starts(self) -> bool:
        """An iteration begins; whether names have other values now."""
        is_ahead, self.is_ahead = self.is_ahead, False
        return is_ahead

    def breaks(self) -> bool:
        """Whether a `break` is to be made; else it is noted."""
        self.was_left = self._is_plain()
        if self.was_left:
            self.goes_plainly()
        else:
            self.record.flags["broken"] = True
        return self.was_left

    def continues(self) -> bool:
        """The same for `continue`."""
        is_plain = self._is_plain()
        if is_plain:
            self.goes_plainly()
        else:
            self.record.flags["continued"] = True
        return is_plain

    def goes_plainly(self) -> None:
        """An iteration turned out to be one that Python makes."""

    def _is_plain(self) -> bool:
        return self.trace.region is self.region and not self.is_pass

    def ends(self) -> bool:
        """The body has been run; whether names have other values now."""
        if self._is_plain() and not any(map(is_flag_set, self.trace.records)):
            return False
        frame = sys._getframe(1)
        self._give(close_down(self.trace, self.region, names_of(frame), frame, self.live))
        self.record.flags["continued"] = False
        self.region.is_dead = False
        return self.starts()

    def leaves(self) -> bool:
        """The loop is over; whether names have other values now."""
        if self.trace.region is not self.base:
            frame = sys._getframe(1)
            names = self.names_now if self.is_ahead else names_of(frame)
            self._give(close_down(self.trace, self.base, names, frame, self.live, self))
        del self.trace.records[self.depth :]
        self.record.flags.update(dict.fromkeys(self.EXITS, False))
        return self.starts()

    def completed(self) -> Any:
        """Whether the loop was not left by a `break`, and the function goes on."""
        if self.was_left:
            return False
        if self.record.flags["broken"] is False:  # as what follows, it depends on jumps out of it
            return alive(self.trace, self.trace.records)
        return unless(self.trace, (*self.trace.records, self.record))

    def _give(self, names: dict[str, Any]) -> None:
        """Let the frame have these names when it next asks."""
        self.names_now, self.is_ahead = names, True
        self.values = tuple([names.get(name, UNBOUND) for name in self.site.names])

    # Between iterations.

    def _goes_on(self) -> bool:
        """Whether there is another iteration; where traced values decide, it is in a choice."""
        found = alive(self.trace, self.trace.records)
        if isinstance(found, Alive):
            self._guard(found)
            return True
        return found

    def _guard(self, found: Alive) -> Choice:
        """The choice of what is only done while no jump was made, to the end of the loop or pass."""
        guard = Choice.guard(self.trace, found, self._frame(), self.live, self.site.names)
        guard.is_left_open, guard.keeper = True, self
        self.region = self.trace.region
        return guard

    @property
    def birth(self) -> int:
        """Arrays that are not older than this are those of one iteration."""
        assert self.rolling is not None
        return self.rolling.region.start

    def _turns(self, turn: int) -> bool:
        """Whether another iteration of a pass follows; where values decide, it is in a choice."""
        found = alive(self.trace, self.trace.records)
        self.turn = turn
        if isinstance(found, Alive):
            self._turn_on(Array(ops.logical_not(found.condition), True, bool))
        return found is not False

    def _turn_on(self, ends: Array) -> None:
        self.record.flags[self.EXITS[self.turn]] = ends
        found = alive(self.trace, self.trace.records)
        assert isinstance(found, Alive)
        guard = self._guard(found)
        if self.rolling is not None:
            guard.exchanged = self.exits.setdefault(self.turn, [])

    def _forget_exits(self) -> None:
        """Drop the flags of ends that nobody asks for, as everything has its own array there."""
        for turn, name in enumerate(self.EXITS):
            if not self.exits.get(turn):
                self.record.flags[name] = False

    def _at_exits(self, names: dict[str, Any]) -> dict[str, Any]:
        """The names after the loop, which may have ended in the midst of a pass."""
        trace, flags = self.trace, self.record.flags
        for turn, others in self.exits.items():
            flag = flags[self.EXITS[turn]]
            flags[self.EXITS[turn]] = False
            if not isinstance(flag, Array):
                continue
            pairs = Pairs(trace, trace.births, ({}, {}))
            arms = [Region(trace.region, trace.births), Region(trace.region, trace.births)]
            holders = [(names if e.container is None else e.container, e) for e in others]
            parts = [
                (holder, e.key, pairs.add(e.array, holder[e.key], f"{e.key}"))
                for holder, e in holders
                if e.container is not None or (e.key in self.live and e.key in names)
            ]
            pairs.chosen = chosen(trace, flag.node, arms, pairs.first, pairs.second)
            for holder, key, part in parts:
                holder[key] = part()
        return names

    @staticmethod
    def _frame() -> FrameType:
        """The frame with the loop."""
        frame = user_frame()
        assert frame is not None
        return frame

    def _rolling(
        self,
        frame: FrameType,
        key: Any = None,
        index: Any = None,
        trips: Trips | None = None,
        more: tuple[str, ...] = (),
    ) -> Rolling:
        """`more`: names that an iteration reads, beside those that its code does."""
        head, after = frozenset({*self.site.head, *more}), frozenset(self.site.after)
        now = self.names_now if self.is_ahead else names_of(frame)
        return Rolling(self.trace, frame, now, self.site.names, head, after, key, index, trips)

    def _stop_flag(self) -> Any:
        """Whether the body leaves the loop: False, True, or a node."""
        found = alive(self.trace, self.trace.records)
        if isinstance(found, Alive):
            return ops.logical_not(found.condition)
        return not found

    def unsettled(self, why: str) -> TraceError:
        return failure(
            TraceError,
            f"this loop cannot be compiled: {why}",
            "give what it carries from one iteration to the next one type and shape",
        )


class For(Loop):
    """A `for` loop: iterating over it gives the items, or those of passes."""

    def __init__(self, trace: Trace, iterable: Any, site: Site, frame: FrameType):
        super().__init__(trace, site, frame)
        if isinstance(iterable, Placed):
            self.key = (*self.key, iterable.place)
        self.iterable = iterable
        self.shapes: dict[
            str, tuple
        ] = {}  # of arrays, before the last iteration that was run ahead
        self.items = items_of(iterable)
        # Which items count, and what they stand for.
        self.keeps: Any = None
        self.value: Any = lambda item: item
        if isinstance(iterable, Lazy) and iterable.is_rolled and not iterable.is_nested:
            self.items, self.keeps, self.value = iterable.source, iterable.keeps, iterable.value
        self.regrow: BaseException | None = None  # what makes a list of its body one that grows

    def __iter__(self) -> Iterator[Any]:
        if self.items is None:
            iterator = iter(self.iterable)  # which may be a generator of the user's
            return self._driven(iterator) if is_to_be_driven(iterator) else self._plainly(iterator)
        start, stop = self.items.bounds
        if type(start) is int and type(stop) is int:
            return self._walking(self._counted(self.items, start, stop))
        return self._walking(self._rolled(self.items, start, stop))

    def _walking(self, iterator: Iterator[Any]) -> Iterator[Any]:
        depth = len(self.trace.walking)
        self.trace.walking.append(self.items)
        try:
            yield from iterator
        finally:
            del self.trace.walking[depth:]

    def _plainly(self, iterator: Iterator[Any]) -> Iterator[Any]:
        for value in iterator:
            yield value
            if not self._goes_on():
                break

    def _driven(self, generator: Any) -> Iterator[Any]:
        """The body runs where a generator yields: in its branches, and in passes over its loops, of which the names
        here are state, too."""
        trace, frame = self.trace, self._frame()
        now, depth = names_of(frame), len(trace.consumers)
        own = {name: now.get(name, UNBOUND) for name in self.site.names if name in self.live}
        trace.consumers.append((own, *now.values()))
        trace.driven.add(generator.gi_frame)
        try:
            for value in generator:
                self._give({**names_of(frame), **own})
                self.region, self.is_pass = trace.region, trace.region is not self.base
                yield value
                now = self.names_now if self.is_ahead else names_of(frame)
                own.update({name: now.get(name, UNBOUND) for name in own})
                if not self.is_pass and alive(trace, trace.records) is False:
                    break
        finally:
            del trace.consumers[depth:]
        self.region, self.is_pass = self.base, False
        self._give({**names_of(frame), **own})

    def _counted(self, items: Items, start: int, stop: int) -> Iterator[Any]:
        """A loop whose length is known."""
        count = max(0, stop - start)
        if self._is_unrolled(count):
            yield from self._run(items, start, stop)
            return
        yield from self._rolled(items, start, stop)

    def _is_unrolled(self, count: int) -> bool:
        if self.key in self.trace.unrolled or count == 0:
            return True
        most = config.unroll
        return count <= most and count * self.trace.repeated <= most * MOST_REPEATED

    def _run(self, items: Items, start: int, stop: int) -> Iterator[Any]:
        """Iterations as they are; those that compute with traced values are limited."""
        trace, count = self.trace, stop - start
        before, busy, known = trace.repeated, 0, len(trace.homes)
        trace.repeated *= max(count, 1)
        try:
            for index in range(start, stop):
                births = trace.births
                value = items.item(index)
                if self._skips(value):
                    continue
                yield self.value(value)
                busy += trace.births > births
                if self.is_python and busy > MOST_PLAIN:
                    trace.to_roll = self.key
                    raise Plain
                if busy > config.unroll_limit:
                    raise self.regrow or failure(
                        TraceError,
                        f"this loop runs {count} times, and each would be a part of the program: its "
                        "body needs the index as a Python number",
                        "use arrays for what the index selects, or set TRACEJIT_UNROLL_LIMIT",
                    )
                nodes = len(trace.homes) - known
                if nodes * count > MOST_LISTED * (index - start + 1) and self._grows_instead():
                    raise self.regrow.counted()
                if nodes > MOST_NODES and count > config.unroll:
                    raise self.regrow or failure(
                        TraceError,
                        f"this loop runs {count} times, and each is a part of the program, which "
                        f"has more than {MOST_NODES} operations after {index - start + 1} of them",
                        "give what it carries from one iteration to the next one type and shape",
                    )
                if not self._goes_on():
                    break
        finally:
            trace.repeated = before

    def _grows_instead(self) -> bool:
        """Whether the loop is long for the sake of a list that may be one that grows."""
        return isinstance(self.regrow, Regrow) and self.regrow.key not in self.trace.growing

    def _rolled(self, items: Items, start: Any, stop: Any) -> Iterator[Any]:
        """Passes over the body until it is settled, then the op."""
        is_known = type(start) is int and type(stop) is int
        period, peeled = 1, 0
        while True:
            failed: list[Exception] = []
            yield from self._passes(items, start, stop, period, failed)
            self.is_pass = False
            self.region = self.trace.region
            if not failed:
                return
            (error,) = failed
            self.is_python = isinstance(error, Plain)
            self.regrow = getattr(error, "regrow", None)
            if not is_known:
                raise self.regrow or self.unsettled(str(error))
            if isinstance(self.regrow, Regrow) and self.regrow.is_tried:
                raise self.regrow
            if isinstance(error, Rotated):
                period *= error.period
                count = (stop - start) % period
                if period > MOST_ROTATED:
                    break
            else:
                period, count, peeled = 1, 1, peeled + 1
                if peeled > MOST_PEELED or not error.can_peel:
                    break
                arrays = {n: v for n, v in self.names_now.items() if is_array(v)}
                self.shapes = {n: v.node.type.shape for n, v in arrays.items()}
            yield from self._run(items, start, start + count)
            start += count
            if self.was_left or start >= stop or not self._goes_on():
                return
        yield from self._run(items, start, stop)

    def _passes(
        self, items: Items, start: Any, stop: Any, period: int, failed: list
    ) -> Iterator[Any]:
        """Passes of `period` iterations each; an error in `failed` where they do not settle."""
        span = Span(self.trace, start, stop, period)
        self.period = period
        is_known = type(span.start) is int and type(span.stop) is int
        frame = self._frame()
        is_counted = is_known and period == 1
        trips = None
        if is_counted:
            trips = Trips(span.index, span.start, span.stop - span.start, self.shapes)
        # After items that do not count, names are still what they were.
        more = () if self.keeps is None else self.site.after
        rolling = self._rolling(frame, self.key if is_known else None, span.index, trips, more)
        self.rolling, self.is_pass = rolling, True
        rolling.observe((self.key, period, is_counted))
        rolling.guesses()
        try:
            for _ in range(MOST_PASSES):
                self.exits.clear()
                self._give(rolling.start())
                self.region = self.trace.region
                for turn, index in enumerate(span.indices()):
                    if turn and not self._turns(turn):
                        break
                    value = items.item(index)
                    self._skips(value)
                    yield self.value(value)
                self.turn = 0
                names = close_down(
                    self.trace, rolling.region, self.names_now, frame, self.live, self
                )
                stop_flag = self._stop_flag()
                self._forget_exits()
                if not self.site.has_else:
                    self.record.flags["broken"] = False  # nobody asks
                if rolling.finish(names):
                    break
            else:
                raise Unsettled("what it carries does not settle")
            if rolling.has_ramps and stop_flag is not False:
                raise Unsettled("how long an array is depends on when the loop is left")
            more = [stop_flag] if isinstance(stop_flag, Node) else []
            if is_known and self.key not in self.trace.rolled and is_plain(rolling, more):
                raise Plain
            count = stop - start if is_known else 0
            if is_known and is_by_element(rolling, MOST_BY_ELEMENT // count, count):
                raise Unsettled("its iterations fuse", can_peel=False)
        except (Unsettled, Rotated) as error:
            failed.append(error)
            self.exits.clear()
            self._give(rolling.begin.names)
        else:
            self._give(self._op(rolling, items, span, value, stop_flag))

    def _skips(self, value: Any) -> bool:
        """Whether an item certainly does not count; where values decide, the iteration is in a choice."""
        test = True if self.keeps is None else self.keeps(value)
        if not isinstance(test, Value) and not self.is_pass:
            return not test
        if test is not True:
            node = truth_of(test) if isinstance(test, Value) else constant(bool(test), bool_)
            self.record.flags["continued"] = Array(ops.logical_not(node), True, bool)
            found = alive(self.trace, self.trace.records)
            assert isinstance(found, Alive)
            now = self.names_now if self.is_ahead else None
            names = self.site.names
            guard = Choice.guard(self.trace, found, self._frame(), self.live, names, now)
            guard.is_left_open = True
        return False

    def _op(
        self, rolling: Rolling, items: Items, span: Span, value: Any, stop_flag: Any
    ) -> dict[str, Any]:
        """The loop as an op, and the names after it."""
        breaks = stop_flag is not False
        is_last = not breaks and self.keeps is None
        finals = self._targets(rolling, items, span, value) if is_last else {}
        more = [flag_node(stop_flag) if type(stop_flag) is bool else stop_flag] * breaks
        found = rolling.results()
        keys, before, parameters, after, more = rolling.pruned(found, more)
        node = None
        if keys:
            bodies = Bodies(self.trace, parameters)
            bodies.add("body", rolling.region, [*after, *more])
            node = span.loop(rolling.region, bodies, before, breaks)
            self.trace.locate(node)
        names = rolling.install(keys, node, type(span.last) is int and not breaks)
        return {**self._at_exits(names), **finals}

    def _targets(self, rolling: Rolling, items: Items, span: Span, value: Any) -> dict[str, Any]:
        """What the loop's own variables are after the last iteration, where that can be told."""
        if type(span.last) is not int:
            return {}
        leaves = flatten(value)[0]
        last: list[Any] | None = None
        found: dict[str, Any] = {}
        for name in self.site.targets:
            id_ = (id(rolling.begin.names), name)
            after = rolling.lasts.get(id_)
            position = next((k for k, leaf in enumerate(leaves) if leaf is after), None)
            if position is None or (isinstance(items, Items) and not _is_static(leaves[position])):
                continue
            if last is None:
                last = flatten(items.item(span.last))[0]
            rolling.lasts.pop(id_)
            rolling.end[id_] = after
            found[name] = last[position]
        return found


def _is_static(leaf: Any) -> bool:
    """Whether a loop variable is the index, or computed from it alone."""
    if not isinstance(leaf, Array):
        return True
    return not leaf.is_scalar or leaf.weak is int
