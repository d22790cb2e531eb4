"""One signature's executable: the program, its machine code, and how results come out of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from threading import get_ident
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from .arguments import is_array, native_leaf, native_trees, pass_value
from .config import config
from .deferred import module
from .errors import IRError
from .ir.graph import Module, is_updated
from .ir.refusal import LEFT_TO_NUMPY, IllegalParameter
from .ir.verify import Stage
from .refusals import leaving_to_numpy, refusals
from .runtime import threads
from .runtime.dispatch import Executable
from .runtime.signature import (
    ArgumentOutput,
    ArrayOutput,
    CountOutput,
    DictTree,
    ListTree,
    ObjectOutput,
    Plan,
    PythonScalarOutput,
    ScalarOutput,
    Signature,
    TupleTree,
)
from .stages import Compiled, coded
from .trace.program import ArgumentOutput as TracedArgument
from .trace.program import FirstOutput, NodeOutput, Program, Traced, ViewOutput
from .trace.tree import LEAF, Structure, class_of, keys_of, kind_of, unflatten
from .viewing import viewed

# Numbers of threads for which the code of one program is kept.
MOST_CODES = 4


class Entry:
    """What a jitted function keeps for a signature."""

    def __init__(self, program: Program, compiled: Compiled):
        self.program, self.compiled = program, compiled
        # By how many threads calls have: the code for them, and its place in native code, if it has one.
        self._codes: dict[int, Compiled] = {compiled.lowered.options.threads: compiled}
        self._handles: dict[int, Any] = {}
        self.python_hits = 0
        self.last_hits = 0
        self.kind: Any = None  # what calls it is for, as the compiler knows them
        functions = [node.attrs["function"] for node in program.host_calls]
        self.has_effects = any(function.lasts for function in functions)
        # A function that was seen to handle a failure of one it calls: NumPy runs it.
        self.runs_in_numpy = program.has_failed
        self._made: tuple | None = tuple(program.made)
        program.made.clear()
        self._maker = get_ident()
        self.outputs, self._order = _outputs(program, compiled.code.symbols)
        self._views = {
            k: (output.type, output.steps)
            for k, output in enumerate(program.outputs)
            if isinstance(output, ViewOutput)
        }
        self._returns_arguments = any(isinstance(o, ArgumentOutput) for o in self.outputs)
        self._result = self._native_result()

    def take_made(self) -> tuple | None:
        """What the functions with effects gave while tracing: for the call that was traced, once."""
        if self._maker != get_ident():
            return None
        made, self._made = self._made, None
        return made

    def _plan(self, result: Any) -> Plan:
        compiled = self.compiled
        return Plan(
            compiled.entry,
            self.outputs,
            result,
            compiled.code.workspace_bytes,
            compiled.shapes,
            release_gil=compiled.releases_gil,
            on_error=refusals(compiled.stages[Stage.TRACED]),
            keep=compiled,
        )

    def _native_result(self) -> Any:
        """How native code makes the result: itself where it can, through `_finish` otherwise."""
        structure = self.program.structure
        if self._views:
            return self._finish
        if structure == LEAF and self._order == [0] and len(self.outputs) == 1:
            return "single"
        try:
            tree = _result_tree(structure, iter(self._order))
        except _NoTree:
            return self._finish
        return "tuple" if tree == TupleTree(tuple(range(len(self.outputs)))) else tree

    def _finish(self, values: tuple) -> Any:
        leaves = [values[slot] for slot in self._order]
        for position, (type, steps) in self._views.items():
            leaves[position] = viewed(leaves[position], type, steps)
        return unflatten(self.program.structure, leaves)

    def _executable_with(self, result: Any) -> Executable:
        symbols = self.compiled.code.symbols
        leaves = [native_leaf(leaf, symbols) for leaf in self.program.leaves]
        return Executable(self._plan(result), leaves)

    @cached_property
    def run_directly(self) -> Executable:
        """Called with leaves of exactly the parameters' types and layouts."""
        return self._executable_with(self._result)

    @cached_property
    def _run_for_tuple(self) -> Executable:
        return self._executable_with("tuple")

    def publish(self, native: Any) -> None:
        """Let native code serve this signature, where it can check all that matters."""
        program, structure = self.program, self.kind[0]
        if config.reference or not program.is_guarded_natively:
            return
        symbols = self.compiled.code.symbols
        leaves = [
            native_leaf(leaf, symbols, writeable=k in program.written)
            for k, leaf in enumerate(program.leaves)
        ]
        trees = native_trees(structure, leaves)
        if trees is not None:
            outside = (program.guards, program.cells, program.snapshots, program.entries)
            count = self.compiled.threads
            words = ((threads.LIMIT_ADDRESS, count),) if count else ()
            signature = Signature(*trees, *outside, apart=pairs_apart(program), words=words)
            plan = self._plan(self._result)
            left = (LinAlgError, IllegalParameter) if program.writes else LEFT_TO_NUMPY
            plan = plan._replace(on_error=leaving_to_numpy(plan.on_error, left))
            self._handles[self.compiled.lowered.options.threads] = native.publish(signature, plan)

    def exchange(self, native: Any, compiled: Compiled) -> None:
        """Let other code of the same program take the calls with as many threads; those that run finish where
        they are."""
        count = compiled.lowered.options.threads
        for other in (count, *[*self._codes][: 1 - MOST_CODES]):
            self._codes.pop(other, None)
            self._retire(native, self._handles.pop(other, None))
        self._codes[count] = compiled
        self._use(compiled)
        self.publish(native)

    def is_for(self, count: int) -> bool:
        """Whether its code is meant for so many threads."""
        return self.compiled.threads in (0, count)

    def change_threads(self, count: int) -> bool:
        """Use the code for so many threads, if there is any."""
        found = self._codes.get(count)
        if found is not None and found is not self.compiled:
            self._use(found)
        return found is not None

    def retire(self, native: Any) -> None:
        """Let native code serve the signature no more."""
        while self._handles:
            self._retire(native, self._handles.popitem()[1])

    def _retire(self, native: Any, handle: Any) -> None:
        if handle is not None:
            self.python_hits += handle.get("hits")
            native.retire(handle)

    def _use(self, compiled: Compiled) -> None:
        self.compiled = compiled
        for made in ("run_directly", "_run_for_tuple"):
            vars(self).pop(made, None)

    def fits(self, leaves: list[Any]) -> bool:
        """Whether these leaves can be handed over as they are."""
        pairs = zip(leaves, self.program.leaves)
        return not config.reference and all(
            pass_value(value, leaf) is value for value, leaf in pairs
        )

    def run(self, leaves: list[Any]) -> Any:
        """Run on argument leaves of any layout and byte order."""
        if config.reference:
            return self._run_reference(leaves)
        program = self.program
        values = [pass_value(value, leaf) for value, leaf in zip(leaves, program.leaves)]
        copied = [k for k in program.written if values[k] is not leaves[k]]
        try:
            if not self._returns_arguments:
                return self.run_directly(*values)
            results = self._run_for_tuple(*values)
        finally:
            for k in copied:
                leaves[k][...] = values[k]
        return self._finish(self._originals(results, leaves))

    def _run_reference(self, leaves: list[Any]) -> Any:
        taken = zip(leaves, self.program.leaves)
        arrays = [value for value, leaf in taken if isinstance(leaf, Traced)]
        reference = module("tracejit.ir.reference").reference
        function = self.program.function
        results = reference(Module(function), *arrays, *self.program.captures)
        values = iter(results if isinstance(results, tuple) else (results,))
        given = (*arrays, *self.program.captures)
        for target in [a for a, p in zip(given, function.parameters) if is_updated(p)]:
            target[...] = next(values)
        outputs = []
        for output in self.outputs:
            match output:
                case PythonScalarOutput():
                    outputs.append(np.asarray(next(values)).item())
                case ScalarOutput():
                    outputs.append(next(values)[()])
                case CountOutput():
                    outputs.append(int(next(values)))
                case ArrayOutput():
                    outputs.append(next(values))
                case ObjectOutput(value):
                    outputs.append(value)
                case _:
                    outputs.append(None)
        for number, output in enumerate(self.outputs):
            if isinstance(output, ArrayOutput) and output.count is not None:
                outputs[number] = outputs[number][: outputs[output.count]].copy()
        return self._finish(self._originals(tuple(outputs), leaves))

    def _originals(self, outputs: tuple, leaves: list[Any]) -> tuple:
        """Arguments that are returned are returned themselves, not a copy that was made for the call."""
        pairs = zip(outputs, self.outputs)
        return tuple([leaves[o.leaf] if isinstance(o, ArgumentOutput) else v for v, o in pairs])

    @property
    def hits(self) -> int:
        native = [handle.get("hits") for handle in self._handles.values() if handle is not None]
        return self.python_hits + sum(native)


def _outputs(program: Program, symbols: tuple[str, ...]) -> tuple[tuple, list[int]]:
    """The native outputs, and for each leaf of the function's result which of them it is."""
    results = program.function.results[len(program.function.updated) :]
    bases = [getattr(output, "base", output) for output in program.outputs]
    firsts = [output for output in program.outputs if isinstance(output, FirstOutput)]
    counts = {output.base.index: output.count.index for output in firsts}
    kinds = {o.index: o for o in bases if isinstance(o, NodeOutput)}
    outputs: list[Any] = []
    for index, node in enumerate(results):
        # A result that is not returned counts others, or is the last token of ordered calls.
        kind = kinds.get(index, NodeOutput(index, True))
        output = _node_output(kind, node.type, symbols)
        if index in counts:
            output = output._replace(count=counts[index])
        elif index in counts.values() and index not in kinds:
            output = CountOutput()
        outputs.append(output)
    order: list[int] = []
    for output in bases:
        if isinstance(output, NodeOutput):
            order.append(output.index)
            continue
        order.append(len(outputs))
        is_argument = isinstance(output, TracedArgument)
        outputs.append(ArgumentOutput(output.leaf) if is_argument else ObjectOutput(output.value))
    return tuple(outputs), order


def _node_output(output: NodeOutput, type: Any, symbols: tuple[str, ...]) -> Any:
    dtype = type.dtype.numpy
    if output.weak is not None:
        if np.dtype(output.weak) != dtype:
            raise IRError(f"a result of dtype {dtype} is to be a Python {output.weak.__name__}")
        return PythonScalarOutput(output.weak)
    return (
        ScalarOutput(dtype) if output.is_scalar else ArrayOutput(dtype, coded(type.shape, symbols))
    )


def pairs_apart(program: Program) -> tuple[tuple[int, Any], ...]:
    """The arrays whose memory must not overlap, one of which is written: leaves, or captured ones."""
    arrays = [k for k, leaf in enumerate(program.leaves) if is_array(leaf)]
    leaves = [
        (k, other)
        for k in program.written
        for other in arrays
        if other > k or (other < k and other not in program.written)
    ]
    outside = [
        (k, capture)
        for capture, is_written in program.captured
        for k in (arrays if is_written else program.written)
    ]
    return (*leaves, *outside)


class _NoTree(Exception):
    pass


def _result_tree(structure: Structure, numbers: Iterator[int]) -> Any:
    """The result's containers with output numbers for leaves, where native code can build them."""
    if structure == LEAF:
        return next(numbers)
    items = tuple([_result_tree(child, numbers) for child in structure[2:]])
    match kind_of(structure):
        case "tuple":
            return TupleTree(items)
        case "list":
            return ListTree(items)
        case "dict":
            return DictTree(keys_of(structure), items)
        case "namedtuple":
            return TupleTree(items, class_of(structure))
    raise _NoTree
