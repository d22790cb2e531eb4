"""The part of an entry that says how a plan runs and what it returns."""

from __future__ import annotations

from typing import Any

from tracejit.runtime.signature import (
    CONTAINERS,
    NUMBERED,
    ArgumentOutput,
    ArrayOutput,
    CountOutput,
    DictTree,
    ListTree,
    ObjectOutput,
    Output,
    Plan,
    PythonScalarOutput,
    ScalarOutput,
    TupleTree,
)
from tracejit.runtime.structures import (
    BUILD,
    NUMBERS,
    OUTPUT,
    Frame,
    Memory,
    Unsupported,
    native_dtype,
    structure,
)


def no_error_expected(status: int, report: int) -> None:
    """The error callback of plans that name none."""
    raise RuntimeError(f"compiled code returned status {status}")


class PlanEncoder:
    """The part of an entry that says how to run and what to return."""

    def __init__(
        self,
        memory: Memory,
        frame: Frame,
        slots: int,
        objects: int,
        leaf_count: int,
        symbol_count: int,
        pool: tuple[int, int],
    ):
        self.memory, self.frame = memory, frame
        self._next_slot, self._objects, self._leaf_count = slots, objects, leaf_count
        self._symbol_count, self._pool = symbol_count, pool
        self._axes = 0
        self._values: dict[int, int] = {}

    def encode(self, plan: Plan) -> dict[str, int]:
        """The members of the entry's head that speak of the plan."""
        arrays = [output for output in plan.outputs if isinstance(output, ArrayOutput)]
        extents = [extent for output in arrays for extent in output.shape]
        if not plan.shapes and any(extent < -self._symbol_count for extent in extents):
            raise ValueError("an output's extent is a symbol that no argument binds")
        fixed = not plan.shapes and all(extent >= 0 for extent in extents)
        for number, output in enumerate(plan.outputs):
            if isinstance(output, NUMBERED):
                self._values[number] = self.frame.values(-(-output.dtype.itemsize // 16))
        outputs = [
            word
            for number, output in enumerate(plan.outputs)
            for word in self._output(number, output, fixed)
        ]
        return {
            "entry.entry": plan.entry,
            "entry.release_gil": int(plan.release_gil),
            "entry.shapes": plan.shapes,
            "entry.workspace_bytes": plan.workspace_bytes,
            "entry.outputs": self.memory.store(outputs),
            "entry.output_count": len(plan.outputs),
            "entry.extents": self.memory.store(extents),
            "entry.extent_count": len(extents),
            "entry.fixed_extents": int(fixed),
            "entry.extents_offset": self.frame.words(len(extents)),
            "entry.results": self.frame.words(len(plan.outputs)),
            "entry.result": _result_form(plan),
            **self._build(plan),
            "entry.function": id(plan.result),
            "entry.on_error": self.memory.address(plan.on_error or no_error_expected),
        }

    def _output(self, number: int, output: Output, fixed: bool) -> list[int]:
        if isinstance(output, ArgumentOutput):
            if not 0 <= output.leaf < self._leaf_count:
                raise ValueError(f"{output!r}, but the leaves are {self._leaf_count}")
            return _output("argument", value=self._objects + 8 * output.leaf)
        if isinstance(output, ObjectOutput):
            return _output("object", value=self.memory.address(output.value))
        dtype = native_dtype(output.dtype)
        slot, self._next_slot = self._next_slot, self._next_slot + 8
        placed = {"descr": self.memory.address(dtype), "slot": slot}
        match output:
            case PythonScalarOutput(python_type):
                return _output(python_type.__name__, value=self._values[number], slot=slot)
            case ScalarOutput():
                return _output("scalar", value=self._values[number], **placed)
            case CountOutput():
                nothing = self.memory.address(None)
                return _output("count", value=self._values[number], slot=slot, descr=nothing)
        count = 0 if output.count is None else self._values.get(output.count, 0)
        if output.count is not None and not (count and output.shape):
            raise ValueError(f"{output!r}, but no output counts rows")
        extents, self._axes = 8 * self._axes, self._axes + len(output.shape)
        size = dtype.itemsize
        for extent in output.shape:
            size *= extent
        return _output(
            "array",
            rank=len(output.shape),
            extents=extents,
            bytes=size if fixed and size < 1 << 62 else -1,
            itemsize=dtype.itemsize,
            threshold=self._pool[0],
            handler=self._pool[1],
            value=count,
            **placed,
        )

    def _build(self, plan: Plan) -> dict[str, int]:
        """The steps that build a tree of containers on a stack."""
        if not isinstance(plan.result, (int, *CONTAINERS)):
            return {}
        steps: list[list[int]] = []
        depth = self._steps(plan.result, len(plan.outputs), steps)
        steps.append(_step("end", 0))
        words = [word for step in steps for word in step]
        return {"entry.build": self.memory.store(words), "entry.stack": self.frame.words(depth)}

    def _steps(self, tree: Any, output_count: int, steps: list[list[int]]) -> int:
        """Add the steps for one tree; returns how much of the stack they need."""
        if not isinstance(tree, CONTAINERS):
            if not 0 <= tree < output_count:
                raise ValueError(f"output {tree} of a result, but the outputs are {output_count}")
            steps.append(_step("push", tree))
            return 1
        depths = [k + self._steps(t, output_count, steps) for k, t in enumerate(tree.items)]
        count = len(tree.items)
        match tree:
            case TupleTree(_, python_type):
                given = 0 if python_type is tuple else self.memory.address(python_type)
                steps.append(_step("tuple", count, given))
            case ListTree():
                steps.append(_step("list", count))
            case DictTree(keys, _):
                addresses = [self.memory.address(key) for key in keys]
                steps.append(_step("dict", count, self.memory.store(addresses)))
            case _:
                raise Unsupported(f"a result that is a {tree.type.__qualname__}")
        return max(depths, default=1)


def _step(kind: str, count: int, given: int = 0) -> list[int]:
    values = {"build.kind": NUMBERS[f"build.{kind}"], "build.count": count, "build.object": given}
    return structure(BUILD, values)


def _output(kind: str, **values: int) -> list[int]:
    named = {f"output.{name}": value for name, value in values.items()}
    return structure(OUTPUT, {"output.kind": NUMBERS[f"output.{kind}"], **named})


def _result_form(plan: Plan) -> int:
    result = plan.result
    if isinstance(result, (int, *CONTAINERS)):
        return NUMBERS["result.tree"]
    if result == "single" and len(plan.outputs) != 1:
        raise ValueError(f"a single result, but {len(plan.outputs)} outputs")
    if (
        isinstance(result, str)
        and result not in ("single", "tuple")
        or not (isinstance(result, str) or callable(result))
    ):
        raise ValueError(f"a plan's result is 'single', 'tuple' or a function, not {result!r}")
    return NUMBERS["result.function" if callable(result) else f"result.{result}"]
