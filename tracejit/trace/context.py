"""The trace in progress on this thread, and errors that name the user's line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any
from weakref import ref

import numpy as np

from ..errors import NotNumbers, TraceError, TracejitError, UnsupportedError
from ..ir.graph import Node, is_constant, operands_of, parameter
from ..ir.host import Run
from ..ir.op import OPS
from ..ir.term import locate, postorder
from ..ir.types import ArrayType, DType, to_dtype
from .constants import never_changes
from .layout import is_plain, own_layout
from .location import user_line, with_source
from .regions import Region
from .views import Storage


@dataclass(eq=False)
class Capture:
    """An outside array the trace met, and the hidden parameter that stands for it.

    `bound` is what the parameter reads: the array itself, or, if compiled code cannot follow its
    elements, a copy, for which the program then holds only while the array does not change.
    `before` is a copy of its values, kept where somebody might change them unseen; `is_used` tells
    that the program was made for these very values.
    """

    array: np.ndarray
    bound: np.ndarray
    node: Node
    storage: Storage
    before: np.ndarray | None = None
    is_used: bool = False


class Trace:
    """One run of a function on Arrays; it owns them, and the outside arrays they met.

    Of functions that are called through Python (trace/host.py):
    calls_python   whether they may be
    recovers       whether a call that turns out to be unlike the first can be made in another way
    values         the values of nodes for the arguments at hand, as far as they were asked for
    extents        the values of unknown extents for these
    is_tentative   whether some extents or ints are unknown, and it can be tried without that
    lacks_ints     whether some ints are: they would be told by data, as well as what data does tell
    token          the last of the ordered calls
    shaped         the other calls, outside of bodies, that gave arrays
    asked          what the user's code read or wrote that there may not be, with the regions (unread.py)
    run            the calls with effects
    generators     how many generators of random numbers the function has made
    has_failed     whether some call raised
    attempts       functions of libraries that are being traced instead, innermost last (attempts.py)

    Of selections:
    packs          whether what masks select becomes an array whose extent only data tells
    has_packed     whether any has

    Of the contract for numbers:
    is_strict      whether sums are to be NumPy's to the last bit

    Of control flow (trace/capture):
    region         the body that is being traced; the whole program at first
    homes          the regions that nodes were made in
    births         how many arrays there have been
    consumers      the names of code that generators yield to, which goes on in their branches and loops: those
                   it changes, as a dict, and what others have
    driven         the frames of these generators
    records        what is noted of the jumps out of loops and functions that are being traced
    adopt          takes over what another trace's program depends on
    held           gives containers that traced code may change, of its globals and closures
    lists          by identity, lists that may become ones that grow, with where they are made
    growing        where lists are made that do, and what their items are
    guessed        by identity, lists that grow without a look at whether there is room
    unchanged      containers that may be one another, as traced values decide, and what they held then
    walking        what the loops go through that are being traced
    slotted        by identity, the attributes that objects keep in slots
    held_first     gives them with what they held when they were made
    outermost      the code that calls the traced function
    passes         the loops of whose bodies a pass is being traced; None where one cannot be unrolled
    indices        the first values of loops' indices, by name
    firsts         what the parameters of loops' bodies are in the first iteration
    repeated       how many iterations of the loops around are part of the program
    settled        what loops carried, by the loop and what it found when it began
    unrolled       the loops whose bodies need Python's values, so that they are not rolled
    rolled         the loops that are too long for Python to run them, though it can
    to_roll        one more of these, if that was found just now
    rolled_early   `while` loops that were rolled though Python could tell how often they run
    arguments      what the function is given, leaf by leaf
    writes         how often an array has been written
    returned       the storages that results of functions, which have not ended yet, may be
    blocks         how many `finally` and context managers are to follow what is being traced
    handles        whether the function may handle an exception that compiled code raises
    leaves_none    where a function returns None that returns a value elsewhere, NumPy is to run it
    wraps_ufuncs   whether ufuncs are given lists of arrays, and are stood in for (ufunc_objects.py)
    checks_late    whether a known index that is out of bounds is an error of the running program, as
                   it may be in an arm that never runs
    """

    def __init__(self) -> None:
        self.captures: dict[int, Capture] = {}
        self.hook: Callable[..., Any] = lambda value: value
        self.unhook: Callable[[Any], Any] = lambda value: value
        self.adopt: Callable[[Any], None] = lambda program: None
        self.hook_plain: Callable[[Any], Any] = lambda value: value
        self.hook_class: Callable[[Any], Any] = lambda value: value
        self.attempts: list[Any] = []
        self._names: dict[str, int] = {}
        self.calls_python = True
        self.recovers = True
        self.is_strict = False
        self.packs = True
        self.has_packed = False
        self.wraps_ufuncs = False
        self.values: dict[Node, Any] = {}
        self.extents: dict[str, int] = {}
        self.is_tentative = self.lacks_ints = False
        self.token: Node | None = None
        self.shaped: list[Node] = []
        self.asked: list[tuple[Node, Region]] = []
        self.run = Run()
        self.generators = 0
        self.has_failed = False
        self.region = Region(None, 0)
        self.homes: dict[Node, Region] = {}
        self.births = 0
        # Of nodes that were asked for: whether they depend on no argument, and their values then.
        self.can_be_known: dict[Node, bool] = {}
        self.known: dict[Node, Any] = {}
        self.records: list[Any] = []
        self.consumers: list[tuple] = []
        self.driven: set[Any] = set()
        self.held: Callable[[], list[Any]] = list
        self.slotted: dict[int, Any] = {}
        self.lists: dict[int, tuple[Any, Any]] = {}
        self.growing: dict[Any, Any] = {}
        self.guessed: dict[int, Any] = {}
        self.walking: list[Any] = []
        self.unchanged: list[tuple[Any, Any]] = []
        self.held_first: Callable[[], list[Any]] = list
        self.outermost: CodeType | None = None
        self.unrolled: set[Any] = set()
        self.rolled: set[Any] = set()
        self.to_roll: Any = None
        self.rolled_early: set[Any] = set()
        self._doubts: list[tuple[ref, ref]] = []
        self.indices: dict[str, int] = {}
        self.firsts: dict[Node, Node] = {}
        self.repeated = 1
        self.passes: list[Any] = []
        self.settled: dict[Any, Any] = {}
        self.arguments: list[Any] = []
        self.writes = 0
        self.leaves_none = self.checks_late = self.handles = False
        self.blocks = 0
        self.returned: list[tuple[Storage, Storage]] = []

    @property
    def bindings(self) -> list[Any]:
        """The unknowns that are numbers the program computes, as far as the region knows of any
        (extents.py)."""
        return self.region.bindings

    def is_in_loops_alone(self) -> bool:
        """Whether what is traced now is done in every iteration of the loops around, and by no choice."""
        bodies = {id(loop.region) for loop in self.passes if loop is not None}
        region = self.region
        while region.parent is not None and id(region) in bodies:
            region = region.parent
        return region.parent is None

    def loop_at_fault(self, error: Exception) -> Any:
        """The loop to unroll, as its body raised `error` with an index that is not known.

        Where a value is needed, that is a loop on which it depends, if on nothing else.
        """
        if error is self.run.failure:
            return None
        node = getattr(error, "needed", None)
        loops = [found for found in self.passes if node is None or found.depends(node)]
        if node is not None and not self.is_counted(node):
            return None
        return next((loop.key for loop in reversed(loops) if loop.key is not None), None)

    def is_counted(self, node: Node) -> bool:
        """Whether a node is known but for which iterations of loops it is in."""
        own = {own for loop in self.passes for own in loop.parameters.values()}
        inputs = [
            n
            for n in postorder((node,), operands_of)
            if n.op in (OPS["parameter"], OPS["host_call"])
        ]
        return {*inputs} <= own and any(loop.depends(node) for loop in self.passes)

    def unique_name(self, name: str) -> str:
        """`name`, with a number when a parameter of this trace has it already."""
        name = "".join(c if c.isalnum() else "_" for c in name) or "x"
        name = name if not name[0].isdigit() else f"_{name}"
        candidate, count = name, self._names.get(name, 0)
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        # By name the last number it was given.
        self._names[candidate] = 1
        self._names[name] = max(count, 1)
        return candidate

    def locate(self, node: Node) -> None:
        """Note the user's line as the origin of `node`, and the region; the first ones stay."""
        locate(node, user_line() or "")
        if self.open_home(node) is None:
            self.homes[node] = self.region

    def open_home(self, node: Node) -> Region | None:
        """The region that computes a node, if it is still being traced."""
        home = self.homes.get(node)
        home = None if home is None else home.settled()
        return home if home is not None and home.is_open else None

    @property
    def whole(self) -> Region:
        """The region of the program itself."""
        region = self.region
        while region.parent is not None:
            region = region.parent
        return region

    def will_write(self, storage: Storage) -> None:
        """A storage is about to be written, in the region of the moment."""
        self.has_written(storage)
        for one, other in self._doubts:
            if storage in (one(), other()) and None not in (one(), other()):
                raise failure(
                    UnsupportedError,
                    "an array is written that may be the memory of another one, or not, as traced "
                    "values decide",
                    "make it a copy: x = x.copy()",
                )

    def has_written(self, storage: Storage) -> None:
        """A storage gets the value that was written in a region inside of the one of the moment."""
        self.writes += 1
        self.region.written.setdefault(storage, storage.node)
        for tried in self.attempts:
            tried.writes.append((storage, storage.node))

    def may_share(self, one: Storage, other: Storage) -> None:
        """Two storages may be one, so that neither may be written while the other one is in use."""
        self._doubts.append((ref(one), ref(other)))

    def doubts_of(self, storage: Storage) -> list[Storage]:
        """The storages that may be this one."""
        pairs = [(one(), other()) for one, other in self._doubts]
        found = [b if a is storage else a for a, b in pairs if storage in (a, b)]
        return [other for other in found if other is not None]

    def will_share(self, one: Storage, other: Storage) -> None:
        """The same once the function that is being traced has returned: what it does until then it
        does on other paths than the one that returns this value."""
        self.returned.append((one, other))

    def returns_later(self, count: int) -> list[Any]:
        """What follows is done before a function returns, on these paths too: what may be its results,
        of which there were so many, is in doubt as long; gives what is to end that."""
        known = len(self._doubts)
        for one, other in self.returned[count:]:
            self.may_share(one, other)
        return self._doubts[known:]

    def end_doubts(self, doubts: list[Any]) -> None:
        """Storages that were in doubt are not any more."""
        gone = {*map(id, doubts)}
        self._doubts[:] = [found for found in self._doubts if id(found) not in gone]

    def has_returned(self, count: int) -> None:
        """A function has returned, that began when there were so many of these."""
        for one, other in self.returned[count:]:
            self.may_share(one, other)
        del self.returned[count:]

    def capture(
        self, array: np.ndarray, name: str = "captured", is_hidden: bool = False
    ) -> Capture:
        """The hidden parameter bound to this very ndarray, and its memory.

        `is_hidden`: the traced code does not get the array itself, so it cannot change it.
        """
        found = self.captures.get(id(array))
        if found is None:
            dtype = supported_dtype(array.dtype)
            bound = array if is_plain(array) else np.array(array, dtype.numpy, order="C")
            type = ArrayType(array.shape, dtype, own_layout(bound))
            node = parameter(self.unique_name(name), type, constant=never_changes(array))
            self.homes[node] = self.whole
            can_write = array.flags.writeable and bound is array
            storage = Storage(node, node, can_write)
            found = Capture(array, bound, node, storage, is_used=bound is not array)
            found.before = None if bound is array else bound
            self.captures[id(array)] = found
        if found.before is None and not is_hidden:
            found.before = array.copy()
        return found

    def contents_of(self, node: Node) -> np.ndarray | None:
        """The values of a captured array, on which the program then depends."""
        found = self.captured_by(node)
        if found is None:
            return None
        found.is_used = True
        if found.before is None:
            found.before = found.array.copy()
        return found.before

    def captured_by(self, node: Node) -> Capture | None:
        """The captured array that a hidden parameter stands for."""
        return next((found for found in self.captures.values() if found.node is node), None)

    def contents(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The captured arrays whose values were used while tracing, each with those values."""
        return [
            (found.array, found.before)
            for found in self.captures.values()
            if found.is_used and found.before is not None and not is_constant(found.node)
        ]

    def check_captures(self) -> None:
        """Refuse a program that wrote to an outside array in a way the trace could not see."""
        for found in self.captures.values():
            before = found.before
            if before is not None and not is_same(found.array, before):
                raise TraceError(
                    f"the array {found.node.attrs['name']} of type {found.node.type} changed "
                    "while the function was traced, and it is not a traced array",
                    hint="create it inside the jitted function, or pass it as an argument",
                )


def is_same(array: np.ndarray, before: np.ndarray) -> bool:
    """Whether an array still holds the very values, bit by bit, of an earlier copy."""
    if array.shape != before.shape:
        return False
    return np.asarray(array, before.dtype, order="C").tobytes() == before.tobytes()


class _Current(threading.local):
    trace: Trace | None = None


_current = _Current()


def current_trace() -> Trace | None:
    """The trace this thread is in the middle of."""
    return _current.trace


@contextmanager
def tracing(trace: Trace | None) -> Iterator[Trace | None]:
    """Make `trace` the current one; with None, nothing is traced."""
    before, _current.trace = _current.trace, trace
    try:
        yield trace
    finally:
        _current.trace = before


def failure(kind: type[TracejitError], message: str, hint: str | None = None) -> Any:
    """The exception to raise: `message`, the user's line, what to do about it."""
    return kind(message, with_source(user_line()), hint)


def for_numpy(error: TracejitError) -> TracejitError:
    """An error about what no program computes, text or keys: NumPy may run the function instead."""
    error.is_about_kinds = True
    return error


def supported_dtype(dtype: Any) -> DType:
    """`to_dtype`, with the user's line in the refusal."""
    try:
        return to_dtype(dtype)
    except NotNumbers as error:
        raise failure(NotNumbers, error.message, error.hint) from None
