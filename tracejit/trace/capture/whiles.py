"""`while` loops: run as they are until the test is traced, and rolled from there."""

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
from .bodies import Bodies
from .branches import chosen, is_over
from .loops import MOST_PASSES, Loop, Site
from .records import flag_node, is_flag_set
from .rolling import Rolling, Rotated, Unsettled


class While(Loop):
    """A `while` loop: iterating over it gives nothing, once for each time the code is to run."""

    def __init__(self, trace: Trace, site: Site, frame: FrameType):
        super().__init__(trace, site, frame)
        self.test: Node | None = None
        self.rolling: Rolling | None = None
        self.test_region: Region | None = None
        self.is_trial = False

    def __iter__(self) -> Iterator[None]:
        while self.rolling is None:
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
        yield from self._passes()

    def stops(self, test: Any) -> bool:
        """Whether the loop is over, where Python can tell; from a traced test on, it is rolled.

        An iteration that Python makes is made on trial where it may end in a traced `break`: then it
        is the first pass.
        """
        if self.rolling is None:
            if type(test) is bool and not (test and self.site.jumps):
                return not test
            self.is_trial = type(test) is bool
            self.is_pass = not self.is_trial
            self.rolling = self._rolling(sys._getframe(1))
            self.rolling.start()
            self.region = self.trace.region
        elif self.test_region is not None:
            self.test_region.is_open = False
            self.region.written |= self.test_region.written
            self.region.bindings += self.test_region.own_bindings
            self.trace.region = self.region
        self.test = test.node if isinstance(test, Array) else constant(test, bool_)
        return False

    def goes_plainly(self) -> None:
        """An iteration on trial is over, and Python makes it."""
        if self.is_trial:
            assert self.rolling is not None
            self.trace.passes.pop()
            self.rolling.region.dissolve()
            self.region = self.trace.region = self.rolling.parent
            self.rolling, self.is_trial = None, False

    def _passes(self) -> Iterator[None]:
        """The passes after the first one, which began as an iteration."""
        rolling = self.rolling
        assert rolling is not None
        for _ in range(MOST_PASSES):
            stop_flag = self._stop_flag()
            if not self.site.has_else:
                self.record.flags["broken"] = False  # nobody asks
            try:
                if rolling.finish(self.names_now):
                    break
            except Unsettled as error:
                raise self.unsettled(error.why) from None
            except Rotated:
                raise self.unsettled("its variables exchange their arrays") from None
            self._give(rolling.start())
            self.region = self.trace.region
            self.test_region = self.trace.region = Region(self.region, self.trace.births)
            yield None
        else:
            raise self.unsettled("what it carries does not settle")
        self.is_pass = False
        self.region = self.trace.region
        self._give(self._op(rolling, stop_flag))

    def _op(self, rolling: Rolling, stop_flag: Any) -> dict[str, Any]:
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
        self.rolling = None
        return rolling.install(keys, node, surely=False)

    def _unless(self, stopped: Node, test: Node, region: Region) -> Node:
        """The test, which is not evaluated after a `break`."""
        trace, before = self.trace, self.trace.region
        region.is_open, trace.region = True, region
        arms = [self.test_region or Region(region, region.start), Region(region, region.start)]
        running = ops.logical_not(stopped)
        (found,) = chosen(trace, running, arms, [test], [constant(False, bool_)])
        region.is_open, trace.region = False, before
        return found
