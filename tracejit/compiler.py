"""THE FLOW: trace -> passes -> emit -> load -> cache -> call, for one jitted function.

leaves = flatten(arguments) -> how each is taken -> key -> entry, or:
trace -> lower -> compile -> publish to native code -> entry
"""

from __future__ import annotations

import inspect
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import RLock
from typing import Any, NamedTuple

from .arguments import MOST_LAYOUTS, leaf_key, native_leaf, native_trees, pass_value, take
from .config import config
from .dump import say
from .ir.graph import Module
from .ir.reference import reference
from .ir.text import show
from .ir.types import DType
from .lower.pipeline import Options
from .runtime.dispatch import Executable
from .runtime.signature import (
    ArgumentOutput,
    ArrayOutput,
    ObjectOutput,
    Plan,
    ScalarOutput,
    Signature,
)
from .sizes import Sizes
from .stages import Compiled, Lowered, coded, default_options
from .trace import numpy as _numpy_functions  # noqa: F401 - importing registers them
from .trace.context import current_trace
from .trace.tracing import ArgumentOutput as TracedArgument
from .trace.tracing import (
    Leaf,
    NodeOutput,
    Program,
    Static,
    Traced,
    flatten_arguments,
    inline,
    trace,
)
from .trace.tree import LEAF, leaf_count, unflatten


class CacheInfo(NamedTuple):
    """As `functools.lru_cache` reports it; a miss is a compile."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


class TracedProgram:
    """What tracing found: `.module`, printable, and `.lower()` for the next step."""

    def __init__(self, program: Program, options: Options):
        self.program, self.options = program, options

    @property
    def module(self) -> Module:
        return Module(self.program.function)

    def __str__(self) -> str:
        return show(self.module)

    def lower(self) -> Lowered:
        """Run the passes; nothing is compiled yet."""
        return Lowered(self.module, self.options)


class _Entry:
    """One signature's executable."""

    def __init__(self, program: Program, compiled: Compiled):
        self.program, self.compiled = program, compiled
        self.handle: Any = None
        self.python_hits = 0
        self.last_hits = 0
        self.outputs, self.finish = _results(program, compiled.code.symbols)
        self.plan = self.make_plan("tuple")
        leaves = [native_leaf(leaf, compiled.code.symbols) for leaf in program.leaves]
        self.executable = Executable(self.plan, leaves)

    def make_plan(self, result: Any) -> Plan:
        compiled = self.compiled
        return Plan(
            compiled.entry,
            self.outputs,
            result,
            compiled.code.workspace_bytes,
            compiled.shapes,
            release_gil=compiled.releases_gil,
            keep=compiled,
        )

    def run(self, leaves: list[Any]) -> Any:
        """Run on argument leaves of any layout and byte order."""
        if config.reference:
            return self.run_reference(leaves)
        taken = zip(leaves, self.program.leaves)
        outputs = self.executable(*[pass_value(value, leaf) for value, leaf in taken])
        return self.finish(self.originals(outputs, leaves))

    def run_reference(self, leaves: list[Any]) -> Any:
        taken = zip(leaves, self.program.leaves)
        arrays = [value for value, leaf in taken if isinstance(leaf, Traced)]
        results = reference(Module(self.program.function), *arrays, *self.program.captures)
        values = iter(results if isinstance(results, tuple) else (results,))
        outputs = []
        for output in self.outputs:
            match output:
                case ScalarOutput():
                    outputs.append(next(values)[()])
                case ArrayOutput():
                    outputs.append(next(values))
                case ObjectOutput(value):
                    outputs.append(value)
                case _:
                    outputs.append(None)
        return self.finish(self.originals(tuple(outputs), leaves))

    def originals(self, outputs: tuple, leaves: list[Any]) -> tuple:
        """Arguments that are returned are returned themselves, not a copy that was made for the call."""
        pairs = zip(outputs, self.outputs)
        return tuple([leaves[o.leaf] if isinstance(o, ArgumentOutput) else v for v, o in pairs])

    @property
    def hits(self) -> int:
        return self.python_hits + (self.handle.get("hits") if self.handle is not None else 0)


def _results(program: Program, symbols: tuple[str, ...]) -> tuple[tuple, Callable[[tuple], Any]]:
    """The native outputs, and what makes the function's result of the tuple of them."""
    outputs: list[Any] = []
    weak: dict[int, type] = {}
    order: list[int] = []
    results = program.function.results
    slots: dict[int, int] = {}
    wanted = {o.index: o for o in program.outputs if isinstance(o, NodeOutput)}
    for index in range(len(results)):
        own = wanted[index]
        dtype: DType = results[index].type.dtype
        slots[index] = len(outputs)
        if own.weak is not None:
            weak[len(outputs)] = own.weak
        kind = ScalarOutput(dtype.numpy) if own.is_scalar or own.weak else None
        outputs.append(kind or ArrayOutput(dtype.numpy, coded(results[index].type.shape, symbols)))
    for output in program.outputs:
        if isinstance(output, NodeOutput):
            order.append(slots[output.index])
            continue
        order.append(len(outputs))
        is_argument = isinstance(output, TracedArgument)
        outputs.append(ArgumentOutput(output.leaf) if is_argument else ObjectOutput(output.value))
    structure = program.structure

    def finish(values: tuple) -> Any:
        found = [values[slot] for slot in order]
        for position, slot in enumerate(order):
            if slot in weak:
                found[position] = weak[slot](found[position])
        return unflatten(structure, found)

    finish.is_plain = not weak and order == list(range(len(outputs)))
    return tuple(outputs), finish


def _native_result(entry: _Entry) -> Any:
    """How native code makes the result: itself where it can, through `finish` otherwise."""
    structure = entry.program.structure
    if entry.finish.is_plain:
        if structure == LEAF:
            return "single"
        if structure[0] is _TUPLE and all(child == LEAF for child in structure[2:]):
            return "tuple"
    return entry.finish


_TUPLE = flatten_arguments(((),), {})[1][0]


class Compiler:
    """The signatures of one jitted function, and how new ones are compiled."""

    def __init__(self, jitted: Any, function: Callable[..., Any], options: dict[str, Any]):
        self.jitted, self._function, self._options = jitted, function, options
        self.name = getattr(function, "__qualname__", type(function).__name__)
        self._entries: OrderedDict[Any, _Entry] = OrderedDict()
        self._lock = RLock()
        self._compiles = 0
        self._ended_hits = 0
        self._ints: dict[tuple, set[int]] = {}
        self._concrete: set[tuple] = set()
        self._static = _static_positions(function, options)
        self._sizes = Sizes()

    def call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A call that native code did not take: find or make its executable, and run it.

        While another function is traced, the call becomes part of that.
        """
        if current_trace() is not None:
            return inline(self._function, args, kwargs)
        leaves, structure = flatten_arguments(args, kwargs)
        how = self._take(leaves, structure, len(args))
        key = (structure, tuple([leaf_key(value, leaf) for value, leaf in zip(leaves, how)]))
        entry = self._entries.get(key)
        if entry is None:
            entry = self._sizes.entry_for(structure, leaves, how)
        if entry is None or not entry.program.is_current():
            entry = self._compile(key, args, kwargs, leaves, how)
        entry.python_hits += 1
        return entry.run(leaves)

    def _take(self, leaves: list[Any], structure: Any, positional: int) -> list[Leaf]:
        static = self._static_leaves(structure, positional)
        layouts = self._layouts_used() < MOST_LAYOUTS
        how = []
        for position, value in enumerate(leaves):
            if position in static:
                how.append(Static(value))
            else:
                symbolic = type(value) is int and self._is_symbolic(structure, position, value)
                how.append(take(value, symbolic, layouts))
        return how

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
        if place in self._concrete or not -(1 << 63) <= value < 1 << 63:
            return False
        seen = self._ints.setdefault(place, set())
        if len(seen) < 2:
            seen.add(value)
        return len(seen) > 1

    def _layouts_used(self) -> int:
        return sum(
            any(isinstance(l, Traced) and l.type.layout is not None for l in e.program.leaves)
            for e in self._entries.values()
        )

    # Compiling.

    def _compile(self, key: Any, args: tuple, kwargs: dict, leaves: list, how: list) -> _Entry:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                if entry.program.is_current():
                    return entry
                self._drop(key)
            started = time.perf_counter()
            why = self._why(key) if config.debug else ""
            program, lowered, sized = self._lowered(key, args, kwargs, leaves, how)
            done = time.perf_counter()
            first = len(program.function.parameters) - len(program.captures)
            captures = {first + k: a.ctypes.data for k, a in enumerate(program.captures)}
            entry = _Entry(program, Compiled(lowered, captures, program.captures))
            key = (key[0], tuple([leaf_key(v, leaf) for v, leaf in zip(leaves, program.leaves)]))
            self._entries[key] = entry
            if sized:
                self._sizes.add(key[0], leaves, how, entry)
            self._compiles += 1
            self._serve(entry, leaves, args, kwargs)
            self._evict()
            ended = time.perf_counter()
            say(1, lambda: (
                f"tracejit: compiled {self.name} for {_show_leaves(program)}: {why}; "
                f"trace and lower {1e3 * (done - started):.1f} ms, "
                f"code {1e3 * (ended - done):.1f} ms"
            ))  # fmt: skip
            return entry

    def _lowered(
        self, key: Any, args: tuple, kwargs: dict, leaves: list, how: list
    ) -> tuple[Program, Lowered, bool]:
        """The program, lowered, and whether extents in it are symbols."""
        sized = self._sizes.symbolic(key[0], leaves, how)
        if sized is not None:
            try:
                program = self._trace(key, args, kwargs, leaves, sized)
                return program, TracedProgram(program, self._lowering()).lower(), True
            except Exception:  # noqa: BLE001 - any failure means: it needs to know its sizes
                self._sizes.refuse(key[0], leaves, how)
        program = self._trace(key, args, kwargs, leaves, how)
        return program, TracedProgram(program, self._lowering()).lower(), False

    def _lowering(self) -> Options:
        return default_options(self._options["threads"], self._options["passes"])

    def _trace(self, key: Any, args: tuple, kwargs: dict, leaves: list, how: list) -> Program:
        symbolic = [
            k for k, leaf in enumerate(how) if isinstance(leaf, Traced) and leaf.weak is int
        ]
        if symbolic:
            try:
                return trace(self._function, args, kwargs, how)
            except Exception:  # noqa: BLE001 - any failure means: it needs the number after all
                self._concrete.update((key[0], position) for position in symbolic)
                how = [
                    Static(v) if k in symbolic else h for k, (v, h) in enumerate(zip(leaves, how))
                ]
        return trace(self._function, args, kwargs, how)

    def _serve(self, entry: _Entry, leaves: list, args: tuple, kwargs: dict) -> None:
        """Let native code serve this signature, where it can check all that matters."""
        program = entry.program
        if config.reference or not program.is_guarded_natively:
            return
        _, structure = flatten_arguments(args, kwargs)
        symbols = entry.compiled.code.symbols
        native = [native_leaf(leaf, symbols) for leaf in program.leaves]
        trees = native_trees(structure, native)
        if trees is not None:
            signature = Signature(*trees, program.guards)
            entry.handle = self.jitted.publish(signature, entry.make_plan(_native_result(entry)))

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
        self._ended_hits += entry.hits
        self._sizes.remove(entry)
        self.jitted.retire(entry.handle)
        entry.handle = None

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
            self._ints.clear()
            self._sizes.clear()
            self._concrete.clear()

    # Step by step.

    def trace(self, args: tuple, kwargs: dict[str, Any]) -> TracedProgram:
        """Trace for these arguments; nothing is lowered or compiled."""
        leaves, structure = flatten_arguments(args, kwargs)
        how = self._take(leaves, structure, len(args))
        key = (structure, ())
        return TracedProgram(self._trace(key, args, kwargs, leaves, how), self._lowering())


def _show_leaves(program: Program) -> str:
    shown = [
        str(leaf.type) if isinstance(leaf, Traced) else repr(leaf.value) for leaf in program.leaves
    ]
    return f"({', '.join(shown)})"


def _show_key(key: tuple) -> str:
    kind, value = key
    return str(value) if kind == "array" else f"{kind.__name__} {value}"


def _static_positions(function: Any, options: dict[str, Any]) -> tuple[set[int], set[str]]:
    """Static arguments by position and by name, each completed from the other."""
    numbers, names = options["static_argnums"], options["static_argnames"]
    if not numbers and not names:
        return set(), set()
    parameters = list(inspect.signature(function).parameters)
    for name in names:
        if name not in parameters:
            raise ValueError(f"{function.__name__} has no argument {name!r} to be static")
    for number in numbers:
        if not -len(parameters) <= number < len(parameters):
            raise ValueError(f"{function.__name__} has no argument number {number} to be static")
    positions = {number % len(parameters) for number in numbers}
    positions |= {parameters.index(name) for name in names}
    return positions, {parameters[k] for k in positions}
