"""What rewritten functions ask: `@tj` in their globals."""

from __future__ import annotations

import sys
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np

from ...errors import TraceError, UnsupportedError
from ...ir import ops
from ..array import Array
from ..context import Trace, current_trace, failure, for_numpy
from ..host import refuse_through_python
from ..location import user_line
from ..unread import check_value
from ..value import Value, known_value, node_of
from .branches import Choice, close_down, truth_of
from .comprehensions import listed
from .functions import is_apart
from .generators import Lazy
from .growing import Regrow
from .iterables import INSTEAD, Unsized
from .joins import UNSET, matched
from .loops import For, Site
from .optional import Maybe, is_none, of_some
from .printing import text
from .records import Alive, Record, alive
from .sequences import contains, item_of
from .state import UNBOUND, names_of
from .tables import grows, methods, places
from .whiles import While


def _truth(value: Any) -> Any:
    """The truth of a value: a bool, or a traced one."""
    if isinstance(value, Unsized):
        value = value.size > 0
    if type(value) is Maybe:
        return _truth(Array(of_some(value, truth_of(value.some)), True, bool))
    if not isinstance(value, Value):
        return bool(value)
    known = known_value(node_of(value))
    if known is not None:
        return bool(known)
    return Array(truth_of(value), True, bool)


def _bool(*value: Any) -> Any:
    """`bool`, of which a traced value makes a traced one."""
    return _truth(*value) if value and isinstance(value[0], Value) else bool(*value)


INSTEAD[id(bool)] = _bool


class _Pick(Choice):
    """A choice inside an expression: its arms are expressions, so there are no names."""

    def __init__(self, condition: Array, frame: Any):
        trace = current_trace()
        assert trace is not None
        super().__init__(trace, condition.node, frame, (), ())
        self.first: Any = None
        self.value: Any = None

    def then(self) -> bool:
        return True

    def orelse(self) -> bool:
        self.turn_in(sys._getframe(1))
        return True

    def pick(self, first: Any, second: Any, frame: Any) -> Any:
        self.begin.names.clear()
        self.begin.names[_VALUE] = None
        self.end_arm(1, frame)
        (one, two) = self.ends
        assert one is not None and two is not None
        one.state.names.clear()
        one.state.names[_VALUE] = first
        two.state.names.clear()
        two.state.names[_VALUE] = second
        return self.close(frame, frozenset({_VALUE}))[_VALUE]


_VALUE = "the expression"


class _Known:
    """A choice inside an expression that is no choice: plain Python."""

    def __init__(self, condition: bool):
        self.condition = condition

    def then(self) -> bool:
        return self.condition

    def orelse(self) -> bool:
        return not self.condition


_KNOWN = {truth: _Known(truth) for truth in (True, False)}


def _leave_to_numpy(trace: Trace, what: str) -> None:
    """Where the program comes here, NumPy is to run the function."""
    refuse_through_python(f"{user_line()}: {what}")
    trace.region.is_dead = True


class _Function:
    """A function that may return from inside a construct."""

    def __init__(self, frame: Any):
        trace = current_trace()
        assert trace is not None
        self.trace, self.region = trace, trace.region
        self.record = Record("returned")
        self.depth = len(trace.records)
        self.returned = len(trace.returned)
        trace.records.append(self.record)

    def returns(self, value: Any) -> bool:
        """Whether a `return` is to be made; else it is noted."""
        if self.trace.region is self.region:
            del self.trace.records[self.depth :]
            return True
        if value is None and self.trace.leaves_none:
            _leave_to_numpy(self.trace, "None, which is returned elsewhere than a value")
            return False
        self.record.flags["returned"] = True
        self.record.value["value"] = value
        return False

    def finish(self) -> Any:
        """The end of the function: the value that was returned, by whatever path."""
        trace, frame = self.trace, sys._getframe(1)
        flags, value = self.record.dicts()
        if flags["returned"] is not True and not trace.region.is_dead:
            if flags["returned"] is not False or trace.region is not self.region:
                self._fall_off(flags, value)
        close_down(trace, self.region, {}, frame)
        self.region.is_dead = False
        del trace.records[self.depth :]
        trace.has_returned(self.returned)
        found = value["value"]
        return None if found is UNSET else found

    def _fall_off(self, flags: dict, value: dict) -> None:
        """The end of the code is reached on this path, which returns None."""
        returned, found = flags["returned"], value["value"]
        one, _ = matched(found, None)
        if returned is False:
            flags["returned"], value["value"] = True, None
        elif type(one) is Maybe and isinstance(returned, Value):
            is_none = ops.logical_or(ops.logical_not(returned.node), one.is_none.node)
            value["value"] = Maybe(Array(is_none, True, bool), one.some)
        elif found is not None:
            if self.trace.leaves_none:
                _leave_to_numpy(self.trace, "the end of a function that returns a value elsewhere")
                return
            error = failure(
                TraceError,
                "the function returns a value or None, and traced values decide which",
                "return a value on every path",
            )
            error.is_about_none = True
            raise error


class _Block:
    """A block that jumps may lead out of, and at whose end something is done on every path."""

    def __init__(self, site: tuple):
        trace = current_trace()
        assert trace is not None
        self.trace, self.region = trace, trace.region
        _, _, self.names, self.live = site
        self.values: tuple = ()
        self.was_dead = False
        self.returned = len(trace.returned)
        self.doubts: list[Any] = []
        self.trace.blocks += 1

    def joins(self) -> bool:
        """The end of the block: whether paths met, so that names have other values now."""
        is_met = self.trace.region is not self.region
        if is_met:
            frame, live = sys._getframe(1), frozenset(self.live)
            names = close_down(self.trace, self.region, names_of(frame), frame, live)
            self.values = tuple([names.get(name, UNBOUND) for name in self.names])
            self.was_dead, self.region.is_dead = self.region.is_dead, False
        self.doubts = self.trace.returns_later(self.returned)
        return is_met

    def ends(self) -> None:
        """What is done on every path is done; the jumps go on."""
        self.region.is_dead |= self.was_dead
        self.trace.end_doubts(self.doubts)
        self.trace.blocks -= 1


def _is_of_tracing(error: BaseException | None) -> bool:
    """Whether an exception is none of the program's, but of tracing it."""
    is_ours = isinstance(error, TraceError | UnsupportedError | Regrow)
    return is_ours and current_trace() is not None


# Context managers that handle nothing.
_LETS_PASS = (np.errstate, warnings.catch_warnings, nullcontext)


class _Manager:
    """A context manager that is not asked whether an exception of tracing is handled."""

    def __init__(self, manager: Any):
        self.manager = manager

    def __enter__(self) -> Any:
        return type(self.manager).__enter__(self.manager)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> Any:
        is_handled = type(self.manager).__exit__(self.manager, kind, error, traceback)
        return False if _is_of_tracing(error) else is_handled


class _Skipped:
    """Stands for an operand of `and` or `or` that was not evaluated."""


class CaptureHooks:
    """The hooks; the names are those that rewrite.py writes."""

    UNBOUND = UNBOUND
    SKIPPED: Any = _Skipped()

    truth = staticmethod(_truth)

    @staticmethod
    def seen(function: Any) -> Any:
        """What to call instead of a builtin that cannot take traced values."""
        if current_trace() is None:
            return function
        return INSTEAD.get(id(function), function)

    # Statements.

    @staticmethod
    def choose(test: Any, site: tuple) -> Any:
        """Which arm of an `if` to run: True, False, or a Choice that runs both."""
        if type(test) is bool:
            return test
        trace = current_trace()
        if trace is None:
            return bool(test)
        _, _, names, live = site
        frame = sys._getframe(1)
        if is_apart(trace, frame):
            return _truth_of_python(test)
        if isinstance(test, Alive):
            return Choice.guard(trace, test, frame, live, names)
        return Choice(trace, test.node, frame, live, names)

    @staticmethod
    def alive(records: tuple) -> Any:
        """Whether code after a statement that may jump is reached."""
        trace = current_trace()
        return True if trace is None else alive(trace, [owner.record for owner in records])

    @staticmethod
    def resumed() -> Any:
        """Whether a generator goes on after it has yielded: no jump led out of where that went."""
        trace = current_trace()
        if trace is None or is_apart(trace, sys._getframe(1)):
            return True
        return alive(trace, trace.records)

    @staticmethod
    def for_(iterable: Any, site: tuple) -> Any:
        trace, frame = current_trace(), sys._getframe(1)
        if trace is None or is_apart(trace, frame):
            return _Plain(iterable)
        return For(trace, iterable, Site(*site), frame)

    @staticmethod
    def while_(site: tuple) -> Any:
        trace, frame = current_trace(), sys._getframe(1)
        if trace is None or is_apart(trace, frame):
            return _Plain(iter(int, 1))
        return While(trace, Site(*site), frame)

    @staticmethod
    def block(site: tuple) -> Any:
        return _PLAIN_BLOCK if current_trace() is None else _Block(site)

    @staticmethod
    def region() -> Any:
        """Where a `try` begins."""
        trace = current_trace()
        return None if trace is None else trace.region

    @staticmethod
    def raises(region: Any) -> bool:
        """Whether to raise now, in a `try` that began in this region, if it is in one; an exception that
        traced values decide about is raised when the program runs."""
        trace = current_trace()
        if trace is None or not trace.calls_python:
            return True
        if trace.region.parent is None or trace.region is region:
            return True
        _leave_to_numpy(trace, "an exception")
        return False

    @staticmethod
    def caught() -> None:
        """Raise what a handler has caught again where it is no error of the program's, but one of
        tracing it: with NumPy it would not be there."""
        error = sys.exc_info()[1]
        if _is_of_tracing(error):
            assert error is not None
            raise error

    @staticmethod
    def handles() -> None:
        """What follows is in a `try` that may handle what compiled code raises."""
        trace = current_trace()
        if trace is not None:
            trace.handles = True

    @staticmethod
    def fails(value: Any) -> Any:
        """Nobody asks for a value, which may fail: a program computes only what it needs."""
        trace = current_trace()
        if trace is not None and isinstance(value, Value) and value.mask is None:
            check_value(trace, node_of(value))
        return value

    @staticmethod
    def manager(value: Any) -> Any:
        """The context manager of a `with`, which handles what handlers do."""
        trace = current_trace()
        if trace is None or not hasattr(type(value), "__exit__"):
            return value
        trace.handles |= not isinstance(value, _LETS_PASS)
        return _Manager(value)

    @staticmethod
    def function() -> Any:
        trace, frame = current_trace(), sys._getframe(1)
        is_plain = trace is None or is_apart(trace, frame)
        return _PLAIN_FUNCTION if is_plain else _Function(frame)

    # Expressions.

    @staticmethod
    def lazy(source: Any, value: Any, condition: Any, is_nested: bool) -> Any:
        return Lazy(source, value, condition, is_nested)

    @staticmethod
    def grows(items: Any, place: tuple) -> Any:
        return grows(items, (sys._getframe(1).f_code.co_filename, *place))

    places = staticmethod(places)
    methods = staticmethod(methods)
    listed = staticmethod(listed)
    item = staticmethod(item_of)
    text = staticmethod(text)
    contains = staticmethod(contains)

    is_none = staticmethod(is_none)

    @staticmethod
    def is_some(value: Any) -> Any:
        found = is_none(value)
        return _not(found) if isinstance(found, Value) else not found

    @staticmethod
    def lacks(item: Any, container: Any) -> Any:
        found = contains(item, container)
        return _not(found) if isinstance(found, Value) else not found

    @staticmethod
    def negation(value: Any) -> Any:
        found = _truth(value)
        return not found if type(found) is bool else _not(found)

    @staticmethod
    def either(test: Any) -> Any:
        return _KNOWN[test] if type(test) is bool else _Pick(test, sys._getframe(1))

    @staticmethod
    def pick(choice: Any, first: Any, second: Any) -> Any:
        if isinstance(choice, _Known):
            return first if choice.condition else second
        return choice.pick(first, second, sys._getframe(1))

    @staticmethod
    def all_begin(value: Any) -> Any:
        return _begin(value, True, sys._getframe(1))

    @staticmethod
    def any_begin(value: Any) -> Any:
        return _begin(value, False, sys._getframe(1))

    @staticmethod
    def goes_on(choice: Any) -> bool:
        return choice.goes_on()

    @staticmethod
    def all_of(choice: Any, rest: Any) -> Any:
        return choice.finish(rest, sys._getframe(1))

    any_of = all_of


def _not(value: Any) -> Any:
    return Array(ops.logical_not(value.node), True, bool)


class _PlainOperand:
    """The left side of an `and` or `or` that Python can tell the truth of."""

    def __init__(self, value: Any, wanted: bool):
        self.value, self.is_decided = value, bool(_truth(value)) is not wanted

    def goes_on(self) -> bool:
        return not self.is_decided

    def finish(self, rest: Any, frame: Any) -> Any:
        return self.value if rest is CaptureHooks.SKIPPED else rest


class _TracedOperand:
    """One that traced values decide."""

    def __init__(self, value: Any, truth: Array, wanted: bool, frame: Any):
        self.value, self.wanted = value, wanted
        condition = truth if wanted else _not(truth)
        self.choice = _Pick(condition, frame)

    def goes_on(self) -> bool:
        return True

    def finish(self, rest: Any, frame: Any) -> Any:
        self.choice.turn_in(frame)
        picked = self.choice.pick(rest, self.value, frame)
        if type(rest) is bool and self.value.is_scalar and self.value.dtype.kind == "b":
            return self.value if rest is self.wanted else rest
        return picked


def _begin(value: Any, wanted: bool, frame: Any) -> Any:
    truth = _truth(value)
    if type(truth) is bool:
        return _PlainOperand(value, wanted)
    return _TracedOperand(value, truth, wanted, frame)


def _truth_of_python(test: Any) -> bool:
    """The truth of a test, in a generator that no loop goes through: where values decide, NumPy runs it all."""
    try:
        return bool(test)
    except TraceError as error:
        raise for_numpy(error) from None


class _Plain:
    """A loop outside of a trace."""

    was_left = False

    def __init__(self, iterable: Any):
        self.iterable = iterable

    def __iter__(self) -> Any:
        return iter(self.iterable)

    def breaks(self) -> bool:
        self.was_left = True
        return True

    def continues(self) -> bool:
        return True

    def ends(self) -> bool:
        return False

    starts = leaves = ends

    def stops(self, test: Any) -> bool:
        return not _truth_of_python(test)

    def completed(self) -> bool:
        return not self.was_left


class _PlainFunction:
    """A function outside of a trace."""

    record = Record()

    def returns(self, value: Any) -> bool:
        return True

    def finish(self) -> None:
        return None


_PLAIN_FUNCTION = _PlainFunction()


class _PlainBlock:
    """A block outside of a trace."""

    def joins(self) -> bool:
        return False

    def ends(self) -> None:
        pass


_PLAIN_BLOCK = _PlainBlock()
