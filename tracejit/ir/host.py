"""Python functions that programs call with real arrays, and how a call of one is carried out.

A program's other operations are pure; a Python function may do more. So calls of one that is not
known to be pure are *ordered*: they are chained, each takes a token that the one before it gave, so
none is dropped, merged with another, or moved before it. What it gave while tracing, to show the
types of its results, is handed to the first run: a call of the program makes exactly one of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import TracejitError

# Stands for a result that no call was made for.
NOT_CALLED: Any = object()


class ResultChanged(TracejitError, RuntimeError):
    """A Python function gave another dtype or shape than the program was made for.

    Jitted functions recover from it; only a program that was compiled by hand raises it.
    """


@dataclass(eq=False)
class HostFunction:
    """A call of a Python function, everything of it but the array operands.

    `run(objects, *arrays)` makes the call, where `objects` holds what earlier calls of the same run
    have made for later ones; `unpack` gives the arrays and numbers in its result. A call has
    `arity` operands and `count` results, and an ordered one a token after each of these. Calls are
    ordered if they `has_effects`, which `lasts` if it cannot be undone, and if it must be made sure
    of what they give, or of its shape. One that `leaves` is no call: where the program comes to it,
    NumPy takes over. One that is no `is_fallback` asks for what compiled code needs to know. Two
    functions are equal only if they are one.
    """

    name: str
    run: Callable[..., Any] = field(repr=False)
    unpack: Callable[[Any], Sequence[Any]] = field(repr=False)
    arity: int
    count: int
    is_ordered: bool
    has_effects: bool
    lasts: bool = False
    leaves: bool = False
    is_fallback: bool = True

    def __post_init__(self) -> None:
        # What the text calls it by (ir/syntax.py).
        self.__module__, _, self.__qualname__ = self.name.rpartition(".")

    def ordered(self) -> HostFunction:
        """The same call as one that is ordered, so that it is made though nothing reads what it gives."""
        return replace(self, is_ordered=True)

    @property
    def written(self) -> tuple[int, ...]:
        """Which of the operands followed by the results are results."""
        inputs = self.arity + self.is_ordered
        return tuple(range(inputs, inputs + self.count + self.is_ordered))


class Run:
    """A run of a program, or a trace of one: results at hand of calls with effects, and what these
    gave.

    `made` has a result, or NOT_CALLED, for each of the first calls with effects, and `done` those of
    all so far; `objects` is what these have left behind. `is_repeated`: some are in loops or
    branches, so that it is not known how many there are.
    """

    def __init__(self, made: Sequence[Any] = (), objects: dict[Any, Any] | None = None):
        self.made: deque[Any] = deque(made)
        self.done: list[Any] = []
        self.objects = {} if objects is None else objects
        self.failure: BaseException | None = None
        self.is_repeated = False
        self.holds = False  # its locks, at the moment

    @property
    def is_untouched(self) -> bool:
        """Whether no call with effects has been made yet, and none is at hand."""
        return all(found is NOT_CALLED for found in (*self.done, *self.made))

    def next_result(self) -> Any:
        """What the next call with effects gave, if that is at hand, or NOT_CALLED."""
        return self.made.popleft() if self.made else NOT_CALLED

    def again(self) -> Run:
        """A run that finds at hand what this one has, and has found itself."""
        return Run([*self.done, *self.made], self.objects)


class _Current(threading.local):
    run: Run | None = None
    failure: BaseException | None = None


_current = _Current()


@contextmanager
def running(run: Run | None) -> Iterator[Run | None]:
    """Let the calls of this thread belong to `run`; those of a Run of their own with None.

    What the run holds is let go at its end.
    """
    before, _current.run = _current.run, run
    try:
        yield run
    finally:
        _current.run = before
        if run is not None and _HELD in run.objects:
            _let_go(run)
            del run.objects[_HELD]


def objects_of_run() -> dict[Any, Any]:
    """What the calls of the run in progress on this thread have left behind."""
    return _current.run.objects if _current.run is not None else {}


_HELD = "held"


def hold(objects: dict[Any, Any], lock: Any) -> None:
    """Have the run of these objects hold a lock, from the end of the call that asks for it to its own,
    but for the calls in between.

    All its locks are taken at once, in one order for all runs, so no two wait for each other.
    """
    locks = objects.setdefault(_HELD, {}) if _HELD not in objects else objects[_HELD]
    locks[id(lock)] = lock


def _let_go(run: Run) -> None:
    for lock in run.objects[_HELD].values() if run.holds else ():
        lock.release()
    run.holds = False


def _take(run: Run) -> None:
    for _, lock in sorted(run.objects[_HELD].items()):
        lock.acquire()
    run.holds = True


def call(function: HostFunction, *arguments: np.ndarray) -> None:
    """Call with operands, and write what it gives into the results.

    Raises what the function raises, and ResultChanged for a result that does not fit.
    """
    inputs = arguments[: function.arity]
    results = arguments[function.written[0] :] if function.written else ()
    before = _current.run
    run = before or Run()
    try:
        found = run.next_result() if function.has_effects else NOT_CALLED
        if found is NOT_CALLED:
            _current.run = None  # what the function calls in its turn is no part of this run
            if run.holds:
                _let_go(run)
            try:
                found = function.run(run.objects, *inputs)
            finally:
                _current.run = before
                if before is not None and _HELD in run.objects:
                    _take(run)
        if function.has_effects:  # what can be undone is done again, if there is another run
            run.done.append(found if function.lasts else NOT_CALLED)
        if function.is_ordered:
            results[-1][...] = arguments[function.arity] + 1
        for value, result in zip(function.unpack(found), results):
            fill(function, result, value)
    except BaseException as error:
        run.failure = error
        raise


def fill(function: HostFunction, result: np.ndarray, value: Any) -> None:
    """Write a value into the memory of a result, which it must fit exactly."""
    array = np.asarray(value)
    kind = (array.dtype.kind, array.dtype.itemsize)
    if kind != (result.dtype.kind, result.dtype.itemsize) or array.shape != result.shape:
        raise ResultChanged(
            f"{function.name} gave {array.dtype}{list(array.shape)} where the program was made "
            f"for {result.dtype}{list(result.shape)}",
        )
    result[...] = array


def attempt(function: HostFunction, *arguments: np.ndarray) -> bool:
    """`call` for native code: whether it succeeded; `failure` tells what went wrong."""
    try:
        call(function, *arguments)
    except BaseException as error:  # noqa: BLE001 - raised again when native code has returned
        _current.failure = error
        return False
    return True


def failure() -> BaseException:
    """What ended the last `attempt` of this thread; asked once."""
    error, _current.failure = _current.failure, None
    # A signal may arrive before `attempt` has begun: then there is nothing but the interrupt.
    return error if error is not None else KeyboardInterrupt()
