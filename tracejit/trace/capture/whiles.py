"""`while` loops: run as they are until the test is traced, and rolled from there.

Where the test does something beside having a value, as `:=` and functions that write do, it is part
of the body: an iteration tests, and notes that the loop ends as it would note a `break`. So it is in
an iteration that is made apart, before the loop, and in those of a pass of several but the first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ...ir import ops
from ...ir.graph import Node, parameter
from ...ir.types import array_type, bool_
from ..array import Array
from ..context import Trace
from ..promotion import constant
from ..regions import Region
from ..value import known_value, literal
from .bodies import Bodies
from .branches import chosen, close_down, is_over
from .loops import MOST_PASSES, MOST_PEELED, MOST_ROTATED, Loop, Site
from .records import flag_node, is_flag_set
from .rolling import Rolling
from .state import State, flat, is_array, names_of, state_of

# So many iterations that Python makes may become parts of the program before the rest is rolled, if
# that can be done, and so many arrays and numbers they may make; what is computed from constants alone
# would take for ever otherwise.
MOST_BUSY, MOST_MADE = 32, 64
# The elements of arrays below which these are folded.
FOLDED = 1 << 10
from .unsettled import Rotated, Unsettled


class While(Loop):
    """A `while` loop: iterating over it gives nothing, once for each time the code is to run.

    `is_inside`: the test is part of the body.
    """

    def __init__(self, trace: Trace, site: Site, frame: FrameType):
        super().__init__(trace, site, frame)
        self.test: Node | None = None
        self.test_region: Region | None = None
        self.is_trial = self.is_inside = self.is_guarded = self.has_acted = False
        self.peeled = self.apart = 0
        # Iterations that were made by Python and computed something, and how much.
        self.busy, self.made, self.births = 0, 0, trace.births
        self.before: tuple[State, int] | None = None

    def __iter__(self) -> Iterator[None]:
        if self._begins_as_before():
            yield None
        while True:
            while self.rolling is None:
                if self.is_inside:
                    self._start()
                self._note_before()
                yield None
                if (
                    self.is_trial
                    and any(map(is_flag_set, self.trace.records))
                    and not is_over(self.trace)
                ):
                    self.is_trial, self.is_pass = False, True
                elif self.rolling is None or self.is_trial:
                    self.goes_plainly()
                    if not self._goes_on():
                        return
            if (yield from self._passes(self.rolling)):
                return

    def stops(self, test: Any) -> bool:
        """Whether the loop is over, where Python can tell; from a traced test on, it is rolled.

        An iteration that Python makes is made on trial where it may end in a traced `break`: then it
        is the first pass.
        """
        has_acted = self._acts(sys._getframe(1))
        if self.rolling is None:
            if type(test) is bool and (not (test and self._is_to_roll()) or has_acted):
                return not test
            if type(test) is not bool and (has_acted or self.apart):
                self.apart, self.is_inside = 0, has_acted
                self.is_guarded = True
                self._exit(test)
                return False
            self.is_trial = type(test) is bool and not self._is_too_much()
            self.is_pass = not self.is_trial
            self._start()
        elif self.turn or self.is_inside:
            self._exit(test)
            return False
        elif self.test_region is not None:
            self.has_acted = has_acted
            self.test_region.is_open = False
            self.region.written |= self.test_region.written
            self.region.bindings += self.test_region.own_bindings
            self.trace.region = self.region
        self.test = test.node if isinstance(test, Array) else constant(test, bool_)
        return False

    def _is_to_roll(self) -> bool:
        """Whether an iteration whose test Python can tell is not simply made: it may end in a traced
        jump, or too many before have become parts of the program."""
        births, self.births = self.births, self.trace.births
        self.made += self.births - births
        if self.births > births:
            self.busy += 1
            self._fold()
        return self.site.jumps or self._is_too_much()

    def _fold(self) -> None:
        """Let arrays that depend on no argument be what they are, not how they were computed."""
        for value in names_of(self._frame()).values():
            if not is_array(value) or value.storage.node.op in (ops.array, ops.broadcast):
                continue
            size = value.storage.node.type.size
            known = known_value(value.storage.node) if size in range(FOLDED) else None
            if known is not None:
                value.storage.exchange(literal(known))

    def _is_too_much(self) -> bool:
        is_busy = self.busy > MOST_BUSY or self.made > MOST_MADE
        is_too_much = is_busy and self.key not in self.trace.unrolled
        if is_too_much:
            self.trace.rolled_early.add(self.key)
        return is_too_much

    def goes_plainly(self) -> None:
        """An iteration on trial is over, and Python makes it."""
        if self.is_trial:
            assert self.rolling is not None
            self.trace.passes.pop()
            self.rolling.region.dissolve()
            self.region = self.trace.region = self.rolling.parent
            self.rolling, self.is_trial = None, False

    def _is_plain(self) -> bool:
        return super()._is_plain() and not self.is_guarded

    def _note_before(self) -> None:
        """Keep what there is before the test, if that may do something."""
        if self.site.acts:
            frame = self._frame()
            names = self.names_now if self.is_ahead else names_of(frame)
            self.before = state_of(self.trace, names, frame), self.trace.writes

    def _acts(self, frame: FrameType) -> bool:
        """Whether the test has done something."""
        if self.before is None:
            return False
        (before, writes), self.before = self.before, None
        now = state_of(self.trace, names_of(frame), frame)
        if writes != self.trace.writes or now.token is not before.token:
            return True
        held = {id(container): items for container, items in now.held}
        pairs = [(items, held.get(id(container), items)) for container, items in before.held]
        return any(
            len(one) != len(other) or any(a is not b for a, b in zip(flat(one), flat(other)))
            for one, other in [(before.names, now.names), *pairs]
        )

    def _begins_as_before(self) -> bool:
        """Begin with a whole pass where the loop was found to carry something before, from what is here."""
        if self.site.acts or not self.trace.passes:
            return False
        rolling = self._rolling(self._frame())
        rolling.observe(self.key)
        if not rolling.guesses():
            return False
        self.rolling, self.is_pass = rolling, True
        self._begin_pass(rolling)
        return True

    def _start(self) -> None:
        """Begin the first pass, where the code is now.

        Where the test is inside, the last iteration is but a test: what is wanted after the loop comes
        from the one before.
        """
        more = self.site.after if self.is_inside else ()
        self.rolling = self._rolling(self._frame(), more=more)
        if not (self.is_inside or self.peeled):
            self.rolling.observe(self.key)
        names = self.rolling.start()
        self.region = self.trace.region
        if self.is_inside:
            self._give(names)
            self.test, self.is_pass = constant(True, bool_), True

    def _exit(self, test: Any) -> None:
        """Note that the loop is over where the test does not hold; the body runs elsewhere."""
        node = test.node if isinstance(test, Array) else constant(test, bool_)
        self._turn_on(Array(ops.logical_not(node), True, bool))

    def _passes(self, rolling: Rolling) -> Iterator[None]:
        """The passes, the first of which began as an iteration; True if that made the loop, False if
        it is to begin again in another way."""
        for _ in range(MOST_PASSES):
            yield from self._further(rolling)
            stop_flag = self._stop_flag()
            is_left = self.record.flags["broken"] is not False
            self._forget_exits()
            if not self.site.has_else:
                self.record.flags["broken"] = False  # nobody asks
            try:
                if self.has_acted:
                    self.is_inside = True
                    raise rolling.undone("its test does something")
                if rolling.finish(self.names_now):
                    break
            except (Unsettled, Rotated) as error:
                self._begin_again(rolling, error)
                return False
            self.exits.clear()
            self._begin_pass(rolling)
            yield None
        else:
            raise self.unsettled("what it carries does not settle")
        self.is_pass = False
        self.region = self.trace.region
        self._give(self._op(rolling, stop_flag, is_left))
        return True

    def _begin_pass(self, rolling: Rolling) -> None:
        """Begin a pass that is no iteration which Python makes: with the test."""
        self._give(rolling.start())
        self.region = self.trace.region
        if not self.is_inside:
            self.test_region = self.trace.region = Region(self.region, self.trace.births)
        self._note_before()

    def _further(self, rolling: Rolling) -> Iterator[None]:
        """The iterations of a pass after its first one, and the end of the pass."""
        for turn in range(1, self.period):
            if not self._turns(turn):
                break
            yield None
        self.turn = 0
        frame = self._frame()
        names = close_down(self.trace, rolling.region, self.names_now, frame, self.live, self)
        self.region = rolling.region
        self.region.is_dead = False
        self._give(names)

    def _begin_again(self, rolling: Rolling, error: Exception) -> None:
        """Leave a pass that did not settle: for one of more iterations, with the test inside, or after
        an iteration that is made apart."""
        if self.has_acted:
            self.has_acted = False
        elif isinstance(error, Rotated):
            self.period *= error.period
            if self.period > MOST_ROTATED:
                raise self.unsettled("its variables exchange their arrays")
        else:
            self.peeled, self.apart, self.period = self.peeled + 1, 1, 1
            if self.peeled > MOST_PEELED or not error.can_peel or self.is_inside:
                raise getattr(error, "regrow", None) or self.unsettled(str(error)) from None
        self.exits.clear()
        self.rolling = self.test_region = None
        self.is_pass = False
        self.region = self.trace.region
        self._give(rolling.begin.names)

    def _op(self, rolling: Rolling, stop_flag: Any, is_left: bool) -> dict[str, Any]:
        assert self.test is not None
        keys, before, parameters, after = rolling.results()
        more = [self.test]
        if stop_flag is not False:
            keys.append("stopped")
            before.append(constant(False, bool_))
            parameters.append(parameter(self.trace.unique_name("stopped"), array_type((), bool_)))
            after.append(flag_node(stop_flag) if type(stop_flag) is bool else stop_flag)
        keys, before, parameters, after, (test,) = rolling.pruned(
            (keys, before, parameters, after), more
        )
        bodies = Bodies(self.trace, parameters)
        if stop_flag is not False:
            test = self._unless(parameters[-1], test, rolling.region)
        bodies.add("condition", rolling.region, [test])
        bodies.add("body", rolling.region, after)
        condition, body = bodies.functions()
        node = None
        if keys:
            node = ops.while_loop(
                *before, *bodies.operands, condition=condition, body=body, carried=len(before)
            )
            self.trace.locate(node)
        names = rolling.install(keys, node, surely=False)
        if self.test is constant(True, bool_) and not (is_left or self.is_inside):
            self._note_return()
        return self._at_exits(names)

    def _note_return(self) -> None:
        """The loop only ends by jumps to places outside: if there is but one of these, that was it."""
        flags = [record.flags for record in self.trace.records if record is not self.record]
        found = [(f, name) for f in flags for name, flag in f.items() if flag is not False]
        if len(found) == 1:
            ((record, name),) = found
            record[name] = True

    def _unless(self, stopped: Node, test: Node, region: Region) -> Node:
        """The test, which is not evaluated after a `break`."""
        trace, before = self.trace, self.trace.region
        region.is_open, trace.region = True, region
        arms = [self.test_region or Region(region, region.start), Region(region, region.start)]
        running = ops.logical_not(stopped)
        (found,) = chosen(trace, running, arms, [test], [constant(False, bool_)])
        region.is_open, trace.region = False, before
        return found
