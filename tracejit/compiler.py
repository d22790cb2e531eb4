"""THE FLOW: trace -> passes -> emit -> load -> cache -> call, for one jitted function.

leaves = flatten(arguments) -> how each is taken -> key -> entry, or:
trace -> lower -> compile -> publish to native code -> entry
"""

from __future__ import annotations

import inspect
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from typing import Any, NamedTuple

from .arguments import MOST_LAYOUTS, clashing, looks_of, pass_value
from .collector import paused
from .config import config
from .deferred import module
from .dump import say
from .entry import Entry
from .errors import TracejitError
from .events import Compile, listeners
from .ir.dims import symbol_names
from .ir.graph import Module
from .ir.host import Run
from .ir.refusal import LEFT_TO_NUMPY, Unexpected
from .ir.text import show
from .leaving import Leaving
from .lower.pipeline import Options
from .lower.tensor.arena import Memory
from .recovery import Recovery
from .runtime import threads, tiers
from .signatures import NO_CLASHES, Signatures, signature
from .sizes import Sizes
from .stages import Compiled, Lowered, default_options
from .trace import numpy as _numpy_functions  # noqa: F401 - importing registers them
from .trace.context import current_trace
from .trace.program import Leaf, Program, Static, Traced
from .trace.tracing import flatten_arguments, inline, trace

# Of `f.lower(...)`, unless the function has a parameter of the same name.
LOWERING_KEYWORDS = ("passes", "instruments", "check")

# So often a kind of call is compiled again because a number was not among those that were expected.
MOST_UNEXPECTED = 16


class CacheInfo(NamedTuple):
    """As `functools.lru_cache` reports it; a miss is a compile."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


class TracedProgram:
    """What tracing found: `.module`, printable, and `.lower()` for the next step."""

    def __init__(self, program: Program, options: Options, leaves: Iterable[Any], check: bool):
        self.program, self.options = program, options
        self._leaves, self._check = tuple(leaves), check

    @property
    def module(self) -> Module:
        return Module(self.program.function)

    def __str__(self) -> str:
        return show(self.module)

    @property
    def arguments(self) -> tuple:
        """The arrays for the Module's parameters, from the arguments it was traced for."""
        pairs = zip(self._leaves, self.program.leaves)
        given = [pass_value(value, leaf) for value, leaf in pairs if isinstance(leaf, Traced)]
        return (*given, *self.program.captures)

    def lower(
        self,
        *,
        passes: Iterable[Callable] | None = None,
        instruments: Iterable[Callable] = (),
        check: bool | None = None,
    ) -> Lowered:
        """Run the passes; nothing is compiled yet. What is given is used instead of `jit`'s.

        `check`: NumPy runs the program after every pass, on the arguments (docs/passes.md).
        """
        options = self.options
        if self._check if check is None else check:
            instruments = (*instruments, module("tracejit.check").Checker(self.arguments))
        if passes is not None:
            options = options._replace(passes=tuple(passes))
        options = options._replace(instruments=(*options.instruments, *instruments))
        return Lowered(self.module, options)


class Compiler:
    """The signatures of one jitted function, and how new ones are compiled."""

    def __init__(self, jitted: Any, function: Callable[..., Any], options: dict[str, Any]):
        self.jitted, self._function, self._options = jitted, function, options
        self.name = getattr(function, "__qualname__", type(function).__name__)
        self._entries: OrderedDict[Any, Entry] = OrderedDict()
        # By what the arguments look like: the entry, and whether it takes them as they are.
        self._known: dict[Any, tuple[Entry, bool]] = {}
        self._lock = RLock()
        self._compiles = 0
        self._ended_hits = 0
        self._signatures = Signatures(function, options)
        self._sizes = Sizes(keeps_layouts=options["numerics"] == "strict")
        self._recovery = Recovery(self)
        self._unexpected: Counter[Any] = Counter()
        self._leaving = Leaving(self.name, self.calls_numpy)

    def call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A call that native code did not take: find or make its executable, and run it.

        While another function is traced, the call becomes part of that.
        """
        if current_trace() is not None:
            return inline(self._function, args, kwargs)
        leaves, structure = flatten_arguments(args, kwargs)
        looks = None if self._signatures.has_static else looks_of(structure, leaves)
        entry, direct = self._known.get(looks) or (None, False)
        if entry is None or not entry.program.is_current():
            entry = self._find_or_leave(structure, leaves, looks, args, kwargs)
            if entry is None:
                return self._function(*args, **kwargs)
            direct = entry.fits(leaves)
            if looks is not None:
                if len(self._known) >= 4 * self._options["cache_size"]:
                    self._known.clear()
                self._known[looks] = entry, direct
        if entry.program.writes:
            clashes = clashing(entry.program, leaves)
            if clashes is None:
                say(1, lambda: f"tracejit: {self.name} runs in NumPy: arguments overlap in part")
                return self._function(*args, **kwargs)
            if clashes:
                entry = self._find(structure, leaves, args, kwargs, clashes)
                direct = entry.fits(leaves)
        entry.python_hits += 1
        if not entry.is_for(threads.get_num_threads()):
            self._change_threads(entry, leaves)
        if entry.program.needs_recovery:
            return self._recovery.run(entry, leaves, args, kwargs)
        try:
            return entry.run_directly(*leaves) if direct else entry.run(leaves)
        except LEFT_TO_NUMPY as error:  # the function itself may handle it
            if entry.program.writes:
                raise
            if isinstance(error, Unexpected):
                self.forget_unexpected(entry)
            why = str(error)
            say(2, lambda: f"tracejit: {self.name} runs in NumPy: {why}")
        return self._function(*args, **kwargs)

    @property
    def calls_numpy(self) -> bool:
        """Whether NumPy may run what is not compiled."""
        return self._options["fallback"] == "python"

    def call_numpy(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The function itself, not compiled."""
        return self._function(*args, **kwargs)

    def compile_again(
        self, entry: Entry, run: Run, leaves: list, args: tuple, kwargs: dict
    ) -> Entry:
        """Another entry for a call that `entry` turned out not to serve; `run` has what it gave."""
        self.forget(entry)
        structure = flatten_arguments(args, kwargs)[1]
        clashes = clashing(entry.program, leaves) or {}
        how, key = self._take(structure, leaves, args, clashes)
        return self._compile(key, args, kwargs, leaves, how, run)

    def forget(self, entry: Entry) -> None:
        """Drop an entry, unless that is done."""
        with self._lock:
            if entry.program.host_calls:  # what Python gives has another shape for each size
                self._sizes.refuse_entry(entry)
            for key in [key for key, found in self._entries.items() if found is entry]:
                self._drop(key)

    def forget_unexpected(self, entry: Entry) -> None:
        """Drop an entry that was made for other numbers, unless that was in vain again and again: where
        each iteration of a loop has another one, no entry is for all."""
        self._unexpected[entry.kind] += 1
        if self._unexpected[entry.kind] <= MOST_UNEXPECTED:
            self.forget(entry)

    def _find_or_leave(
        self, structure: Any, leaves: list, looks: Any, args: tuple, kwargs: dict
    ) -> Entry | None:
        """The entry for a call, or None where NumPy is to run it."""
        if self._leaving.takes(structure, leaves, looks):
            return None
        try:
            return self._find(structure, leaves, args, kwargs)
        except Exception as error:
            # The function's own, of this very call: where it has written before, or where traced
            # values decide whether it is raised, NumPy does.
            if self.calls_numpy and getattr(error, "is_for_numpy", False):
                self._leaving.note_raised(looks)
            elif isinstance(error, TracejitError):
                self._leaving.note(structure, leaves, error)
            else:
                raise
        return None

    def _find(
        self,
        structure: Any,
        leaves: list,
        args: tuple,
        kwargs: dict,
        clashes: Mapping[int, Any] = NO_CLASHES,
    ) -> Entry:
        how, key = self._take(structure, leaves, args, clashes)
        entry = self._entries.get(key)
        if entry is None and not clashes:
            entry = self._sizes.entry_for(structure, leaves, how)
        if entry is None or not entry.program.is_current():
            entry = self._compile(key, args, kwargs, leaves, how)
            if self._options["tune"] is True:
                module("tracejit.tuning").wait()
        return entry

    def _take(
        self, structure: Any, leaves: list, args: tuple, clashes: Mapping[int, Any] = NO_CLASHES
    ) -> tuple[list[Leaf], Any]:
        layouts = self._layouts_used() < MOST_LAYOUTS
        return self._signatures.take(structure, leaves, len(args), layouts, clashes)

    def _layouts_used(self) -> int:
        return sum(
            any(isinstance(l, Traced) and l.type.layout is not None for l in e.program.leaves)
            for e in self._entries.values()
        )

    # Compiling.

    def _compile(
        self,
        key: Any,
        args: tuple,
        kwargs: dict,
        leaves: list,
        how: list,
        run: Run | None = None,
    ) -> Entry:
        with self._lock, tiers.foreground(), paused():
            entry = self._entries.get(key)
            if entry is not None:
                if entry.program.is_current():
                    return entry
                self._drop(key)
            started = time.perf_counter()
            why = self._why(key) if config.debug or listeners else ""
            program, lowered, sized = self._lowered(key, args, kwargs, leaves, how, run or Run())
            done = time.perf_counter()
            entry = Entry(program, _compiled(program, lowered))
            key = signature(key[0], leaves, program.leaves)
            self._entries[key] = entry
            entry.kind = key
            if sized:
                self._sizes.add(key[0], leaves, how, entry)
            self._compiles += 1
            entry.publish(self.jitted)
            self._evict()
            self._start_tuning(entry, lowered, leaves)
            ended = time.perf_counter()
            self._tell(program, why, ended - started)
            say(1, lambda: (
                f"tracejit: compiled {self.name} for {_show_leaves(program)}: {why}; "
                f"trace and lower {1e3 * (done - started):.1f} ms, "
                f"code {1e3 * (ended - done):.1f} ms"
                + "".join(f"\n  {line}" for line in module("tracejit.report.explain").python_calls(program.function))
            ))  # fmt: skip
            return entry

    def _tell(self, program: Program, why: str, seconds: float) -> None:
        """Tell who listens of a compile."""
        if listeners:
            calls = module("tracejit.report.explain").python_calls(program.function)
            told = Compile(self.name, _show_leaves(program), why, seconds, tuple(calls))
            for listen in [*listeners]:
                listen(told)

    def _lowered(
        self, key: Any, args: tuple, kwargs: dict, leaves: list, how: list, run: Run
    ) -> tuple[Program, Lowered, bool]:
        """The program, lowered, and whether extents in it are symbols."""
        sized = self._sizes.symbolic(key[0], leaves, how)
        if sized is not None:
            try:
                program = self._trace(key, args, kwargs, leaves, sized, run)
                return program, self._traced(program, leaves).lower(), True
            except Exception as error:  # noqa: BLE001 - mostly: it needs to know its sizes
                if error is run.failure:
                    raise
                self._say_fixed("size", error)
                run = run.again()
                self._sizes.refuse(key[0], leaves, how)
        program = self._trace(key, args, kwargs, leaves, how, run)
        return program, self._traced(program, leaves).lower(), False

    def _say_fixed(self, what: str, error: Exception) -> None:
        """Why no program serves all: what the function asks for, or a fault of ours."""
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
        say(1, lambda: f"tracejit: {self.name} is compiled for each {what}: {why}")

    def _traced(self, program: Program, leaves: list) -> TracedProgram:
        return TracedProgram(program, self._lowering(), leaves, self._options["check"])

    def _lowering(self) -> Options:
        options = self._options
        found = default_options(
            options["threads"], options["passes"], options["numerics"], options["instruments"]
        )
        return found._replace(tune=bool(options["tune"]), reproducible=options["reproducible"])

    def _start_tuning(self, entry: Entry, lowered: Lowered, leaves: list) -> None:
        chosen = self._options["tune"]
        if chosen:
            tuning = module("tracejit.tuning")
            seconds = tuning.SECONDS if isinstance(chosen, bool | str) else chosen
            tuning.start(self, entry, lowered, leaves, seconds)

    def exchange(self, entry: Entry, lowered: Lowered) -> None:
        """Let a program that was lowered in another way take the calls of an entry."""
        compiled = _compiled(entry.program, lowered)
        with self._lock:
            if any(found is entry for found in self._entries.values()):
                self._known.clear()
                entry.exchange(self.jitted, compiled)

    def _change_threads(self, entry: Entry, leaves: list) -> None:
        """Let a program serve calls with as many threads as there are now."""
        count = threads.get_num_threads()
        with self._lock, tiers.foreground():
            if not entry.change_threads(count):
                started = time.perf_counter()
                lowered = self._traced(entry.program, leaves).lower()
                self.exchange(entry, lowered)
                self._start_tuning(entry, lowered, leaves)
                seconds = time.perf_counter() - started
                say(1, lambda: f"tracejit: compiled {self.name} for {count} threads: {1e3 * seconds:.1f} ms")  # fmt: skip

    def _trace(
        self,
        key: Any,
        args: tuple,
        kwargs: dict,
        leaves: list,
        how: list,
        run: Run,
    ) -> Program:
        calls_python = self._options["fallback"] == "python"
        is_strict = self._options["numerics"] == "strict"
        symbolic = [
            k for k, leaf in enumerate(how) if isinstance(leaf, Traced) and leaf.weak is int
        ]
        if symbolic:
            try:
                return trace(self._function, args, kwargs, how, calls_python, run, is_strict, True)
            except Exception as error:  # noqa: BLE001 - mostly: it needs the number after all
                if error is run.failure:
                    raise
                self._say_fixed("number", error)
                run = run.again()
                self._signatures.need_values(key[0], symbolic)
                how = [
                    Static(v) if k in symbolic else h for k, (v, h) in enumerate(zip(leaves, how))
                ]
        return trace(self._function, args, kwargs, how, calls_python, run, is_strict, True)

    def _evict(self) -> None:
        """Drop what was used longest ago; native hits count as uses when they are next looked at."""
        for key, entry in list(self._entries.items()):
            if entry.hits != entry.last_hits:
                entry.last_hits = entry.hits
                self._entries.move_to_end(key)
        newest = next(reversed(self._entries))
        while len(self._entries) > self._options["cache_size"]:
            oldest = next(iter(self._entries))
            if oldest is newest:
                break
            self._drop(oldest)

    def _drop(self, key: Any) -> None:
        entry = self._entries.pop(key)
        self._known.clear()
        self._ended_hits += entry.hits
        self._sizes.remove(entry)
        entry.retire(self.jitted)

    def _why(self, key: Any) -> str:
        """Which argument made this call different from the calls it was compiled for."""
        if not self._entries:
            return "first call"
        alike = [k for k in self._entries if k[0] == key[0]]
        if not alike:
            return "arguments of another structure"
        nearest = min(alike, key=lambda k: sum(a != b for a, b in zip(k[1], key[1])))
        changed = [
            f"argument {number} is {_show_key(new)}, was {_show_key(old)}"
            for number, (old, new) in enumerate(zip(nearest[1], key[1]))
            if old != new
        ]
        return "; ".join(changed) or "a global variable it uses changed"

    # The cache.

    def cache_info(self) -> CacheInfo:
        """Hits, misses (compiles), the most signatures kept, and how many are."""
        with self._lock:
            calls = self._ended_hits + sum(entry.hits for entry in self._entries.values())
            return CacheInfo(
                max(calls - self._compiles, 0),
                self._compiles,
                self._options["cache_size"],
                len(self._entries),
            )

    def cache_clear(self) -> None:
        """Forget every signature, and the counts."""
        with self._lock:
            for key in list(self._entries):
                self._drop(key)
            self._compiles = self._ended_hits = 0
            self._signatures.clear()
            self._sizes.clear()
            self._recovery.clear()

    # Step by step.

    def lower(self, args: tuple, kwargs: dict[str, Any]) -> Lowered:
        """Trace and lower; what `lower` is told by keyword is taken from those of the call."""
        own = inspect.signature(self._function).parameters
        chosen = {k: kwargs.pop(k) for k in LOWERING_KEYWORDS if k in kwargs and k not in own}
        return self.trace(args, kwargs).lower(**chosen)

    def memory(self, args: tuple, kwargs: dict[str, Any]) -> Memory:
        """What a call needs: of the program that serves it, if there is one, or else would be made."""
        leaves, structure = flatten_arguments(args, kwargs)
        how, key = self._take(structure, leaves, args)
        entry = self._entries.get(key)
        entry = self._sizes.entry_for(structure, leaves, how) if entry is None else entry
        if entry is None or not entry.program.is_current():
            return self.lower(args, kwargs).memory
        found = entry.compiled.lowered.memory
        return found.at(_sizes_of(entry, leaves)) if entry.compiled.code.symbols else found

    def trace(self, args: tuple, kwargs: dict[str, Any]) -> TracedProgram:
        """Trace for these arguments; nothing is lowered or compiled."""
        leaves, structure = flatten_arguments(args, kwargs)
        how, key = self._take(structure, leaves, args)
        with tiers.foreground():
            program = self._trace(key, args, kwargs, leaves, how, Run())
        return self._traced(program, leaves)


def _compiled(program: Program, lowered: Lowered) -> Compiled:
    """Machine code that knows where the arrays are that the program captured."""
    first = len(program.function.parameters) - len(program.captures)
    captures = {first + k: a.ctypes.data for k, a in enumerate(program.captures)}
    return Compiled(lowered, captures, program.captures)


def _sizes_of(entry: Entry, leaves: list[Any]) -> dict[str, int]:
    """What the symbols of a program are for these arguments."""
    found: dict[str, int] = {}
    for value, leaf in zip(leaves, entry.program.leaves):
        if isinstance(leaf, Traced):
            for extent, number in zip(leaf.type.shape, getattr(value, "shape", ())):
                names = symbol_names(extent)
                if len(names) == 1 and names[0] not in found:
                    found[names[0]] = number
    return found


def _show_leaves(program: Program) -> str:
    shown = [
        str(leaf.type) if isinstance(leaf, Traced) else repr(leaf.value) for leaf in program.leaves
    ]
    return f"({', '.join(shown)})"


def _show_key(key: tuple) -> str:
    kind, value = key
    return str(value) if kind == "array" else f"{kind.__name__} {value}"
