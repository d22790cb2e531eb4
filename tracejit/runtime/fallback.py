"""Run a plan without native dispatch: the same allocation and results, spelled in Python.

It serves where native dispatch is unavailable, and says what exactly is wrong with an argument
when an `Executable` refuses it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.runtime.signature import (
    CONTAINERS,
    FILLED,
    ArgumentOutput,
    ArrayLeaf,
    ArrayOutput,
    CountOutput,
    DictTree,
    Leaf,
    ListTree,
    ObjectOutput,
    Plan,
    PythonScalarOutput,
    ScalarLeaf,
    StaticLeaf,
)


def bind(leaves: Sequence[Leaf], values: Sequence[Any]) -> dict[int, int]:
    """The symbols these leaf values bind; TypeError or OverflowError when they do not fit."""
    if len(leaves) != len(values):
        raise TypeError(f"{len(leaves)} leaf values expected, not {len(values)}")
    symbols: dict[int, int] = {}
    for number, (leaf, value) in enumerate(zip(leaves, values, strict=True)):
        if isinstance(leaf, ArrayLeaf):
            problem = _array_problem(leaf, value, symbols)
        elif isinstance(leaf, ScalarLeaf):
            problem = None if type(value) is leaf.type else f"not of type {leaf.type.__name__}"
            if leaf.type is int and problem is None and not -(1 << 63) <= value < 1 << 63:
                raise OverflowError(f"leaf {number} does not fit in 64 bits: {value}")
        else:
            problem = None
        if problem:
            raise TypeError(f"leaf {number} is {problem}: {leaf}")
    return symbols


def _array_problem(leaf: ArrayLeaf, value: Any, symbols: dict[int, int]) -> str | None:
    if type(value) is not np.ndarray:
        return f"not a numpy.ndarray but {type(value).__name__}"
    if value.dtype != leaf.dtype or not value.dtype.isnative:
        return f"of dtype {value.dtype!r}"
    if value.ndim != len(leaf.shape):
        return f"of {value.ndim} dimensions"
    if not value.flags.aligned:
        return "misaligned"
    if leaf.writeable and not value.flags.writeable:
        return "read-only"
    if leaf.strides is None and not value.flags.c_contiguous:
        return "not contiguous"
    if leaf.strides is not None and value.strides != leaf.strides:
        return f"of strides {value.strides}"
    for wanted, extent in zip(leaf.shape, value.shape, strict=True):
        if wanted < 0 and extent >= leaf.least:
            wanted = symbols.setdefault(wanted, extent)
        if wanted != extent:
            return f"of shape {value.shape}"
    return None


def run(plan: Plan, leaves: Sequence[Leaf], values: Sequence[Any]) -> Any:
    """Check, allocate, call the entry through ctypes, build the result."""
    bound = bind(leaves, values)
    count = max((-symbol for symbol in bound), default=0)
    symbols = (ctypes.c_int64 * max(count, 1))(*(bound.get(-1 - k, -1) for k in range(count)))
    arguments = [_argument(leaf, value) for leaf, value in zip(leaves, values, strict=True)]
    made, workspace_bytes = _allocate(plan, bound, symbols)
    # Room to align: the workspace starts at a multiple of 64.
    workspace = np.empty(workspace_bytes + 64, np.uint8)
    pointers = [_address(array) for array in (*arguments, *made) if array is not None]
    pointers.append(-(-_address(workspace) // 64) * 64 if workspace_bytes else 0)
    pointers.append(ctypes.addressof(symbols))
    prototype = ctypes.CFUNCTYPE if plan.release_gil else ctypes.PYFUNCTYPE
    code = ctypes.c_void_p.from_address(plan.entry).value
    entry = prototype(ctypes.c_int64, ctypes.c_void_p)(code)
    status = entry((ctypes.c_void_p * len(pointers))(*pointers))
    if status:
        if plan.on_error is not None:
            plan.on_error(status, pointers[-2])
        raise RuntimeError(f"compiled code returned status {status}")
    made = [
        array[: made[output.count][()]].copy()
        if isinstance(output, ArrayOutput) and output.count is not None
        else array
        for output, array in zip(plan.outputs, made, strict=True)
    ]
    results = tuple(
        _result(output, array, values) for output, array in zip(plan.outputs, made, strict=True)
    )
    if plan.result == "single":
        return results[0]
    if isinstance(plan.result, (int, *CONTAINERS)):
        return _build(plan.result, results)
    return results if plan.result == "tuple" else plan.result(results)


def _build(tree: Any, results: tuple) -> Any:
    """The containers of a result tree, filled."""
    if not isinstance(tree, CONTAINERS):
        return results[tree]
    items = [_build(item, results) for item in tree.items]
    if isinstance(tree, DictTree):
        return dict(zip(tree.keys, items, strict=True))
    return items if isinstance(tree, ListTree) else tuple.__new__(tree.type, items)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _argument(leaf: Leaf, value: Any) -> np.ndarray | None:
    """An array over the leaf's payload; None for a static leaf."""
    if isinstance(leaf, StaticLeaf):
        return None
    if isinstance(leaf, ScalarLeaf):
        dtypes = {int: np.int64, bool: np.int8, float: np.float64, complex: np.complex128}
        return np.array(value, dtypes.get(leaf.type, leaf.type))
    return value


def _allocate(
    plan: Plan, bound: dict[int, int], symbols: ctypes.Array
) -> tuple[list[np.ndarray | None], int]:
    """An array per output that needs memory, and how much workspace is wanted."""
    arrays = [output for output in plan.outputs if isinstance(output, ArrayOutput)]
    extents = [bound.get(e, e) for output in arrays for e in output.shape]
    workspace_bytes = plan.workspace_bytes
    if plan.shapes:
        block = (ctypes.c_int64 * max(len(extents), 1))()
        function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(plan.shapes)
        workspace_bytes = function(ctypes.addressof(symbols), ctypes.addressof(block))
        extents = list(block)
    made: list[np.ndarray | None] = []
    axes = 0
    for output in plan.outputs:
        shape: tuple[int, ...] = ()
        if isinstance(output, ArrayOutput):
            shape, axes = tuple(extents[axes : axes + len(output.shape)]), axes + len(output.shape)
        needs_memory = isinstance(output, FILLED)
        made.append(np.empty(shape, output.dtype) if needs_memory else None)
    return made, workspace_bytes


def _result(output: Any, made: np.ndarray | None, values: Sequence[Any]) -> Any:
    if isinstance(output, ArgumentOutput):
        return values[output.leaf]
    if isinstance(output, ObjectOutput):
        return output.value
    if isinstance(output, CountOutput):
        return None
    if isinstance(output, PythonScalarOutput):
        return made.item()
    return made if isinstance(output, ArrayOutput) else made[()]
