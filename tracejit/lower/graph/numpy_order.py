"""Sums and products in NumPy's order, for `numerics="strict"`.

What NumPy's order is depends on where elements lie in its memory: it goes along the axis with the
nearest elements. So the strides that each value would have in NumPy are found first: arguments have
their own, views those of what they look at, what is computed element by element, running sums, sorted
and joined arrays lie as their operands do, and others are row-major. Then a sum becomes one over an operand whose axes are brought into NumPy's order.

# limit: results of control flow, and of NumPy functions that are made of several ops and keep the
# order of an operand that is not row-major, are taken to be row-major.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ...ir import op as kinds
from ...ir import ops
from ...ir.graph import Function, Module, Node, each_program, rebuild_nodes
from ...ir.host import HostFunction
from ...ir.iteration import (
    Strides,
    dense_strides,
    iteration_order,
    reshaped_strides,
    sweep_of,
)
from ...ir.numpy_code import is_found
from ...ir.ops.ordered import ORDERED, ordered_loop
from ...ir.types import array_type, row_major

_UFUNCS = {"sum": np.add, "prod": np.multiply}


@each_program
def keep_order(module: Module) -> Module:
    """The same module, whose sums and products of rounded numbers are NumPy's to the last bit."""
    entry: Function = module.entry
    if not any(map(_rounds, entry.nodes)):
        return module
    strides: dict[Node, Strides] = {}

    def visit(node: Node) -> Node:
        own = _strides_of(node, strides)
        new = _in_order(node, strides[node.operands[0]]) if _rounds(node) else node
        strides[new] = own
        return new

    return Module(entry.replace(results=rebuild_nodes(entry.results, visit)))


def _rounds(node: Node) -> bool:
    return node.op.name in ORDERED and node.type.dtype.kind in "fc"


def _strides_of(node: Node, strides: dict[Node, Strides]) -> Strides:
    """The strides of a value in NumPy's memory, in elements."""
    shape = getattr(node.type, "shape", ())
    given = [strides[operand] for operand in node.operands]
    attrs = node.attrs
    match node.op.name:
        case "parameter":
            return node.type.strides
        case "transpose":
            return [given[0][axis] for axis in attrs["axes"]]
        case "slice":
            return [stride * by for stride, by in zip(given[0], attrs["step"])]
        case "windows":
            return [*given[0], given[0][attrs["axis"]]]
        case "broadcast":
            return [
                given[0][attrs["axes"].index(axis)] if axis in attrs["axes"] else 0
                for axis in range(len(shape))
            ]
        case "reshape":
            viewed = reshaped_strides(node.operands[0].type.shape, tuple(given[0]), shape)
            return row_major(shape) if viewed is None else viewed
        case "concatenate" if len(given) == 1:  # a copy in row-major order
            return row_major(shape)
        case "pad" if tuple(given[0]) == _columns(node.operands[0].type.shape):
            return _columns(shape)
        case "sort" | "partition" if shape == node.operands[0].type.shape:
            return dense_strides(shape, iteration_order(shape, given[:1]))
        case "concatenate":
            return dense_strides(shape, iteration_order(shape, given))
    match node.op.kind:
        case kinds.ELEMENTWISE:
            return dense_strides(shape, iteration_order(shape, given))
        case kinds.SCAN if len(given) == 1 and node.type.shape == node.operands[0].type.shape:
            return dense_strides(shape, iteration_order(shape, given))
        case kinds.UPDATE:
            return given[0]
        case kinds.REDUCTION:
            order = iteration_order(node.operands[0].type.shape, given)
            kept = [axis for axis in order if axis not in attrs["axes"]]
            return dense_strides(shape, [sorted(kept).index(axis) for axis in kept])
    return row_major(shape)


def _columns(shape: tuple) -> Strides:
    """The strides where the first axis is counted fastest."""
    return tuple(reversed(row_major(tuple(reversed(shape)))))


def _in_order(node: Node, strides: Strides) -> Node:
    """A sum or a product, carried out by NumPy's loops along the rows of its operand."""
    (x,), axes = node.operands, node.attrs["axes"]
    sweep = sweep_of(x.type.shape, strides, axes)
    if not any(sweep.reduced):  # there is one element to each result: it is combined with nothing
        sweep = sweep._replace(extents=(*sweep.extents, 1), reduced=(*sweep.reduced, True))
    ufunc, dtype = _UFUNCS[node.op.name], x.type.dtype
    kept = [axis for axis in sweep.order if axis not in axes]
    shape = tuple([x.type.shape[axis] for axis in kept])
    if sweep.is_one_row and is_found(ordered_loop(ufunc, dtype).symbol):
        rows = ops.reshape(_permuted(x, sweep.order), shape=sweep.extents)
        reduced = [axis for axis, is_reduced in enumerate(sweep.reduced) if is_reduced]
        total = ops.reshape(ORDERED[node.op.name](rows, axes=tuple(reduced)), shape=shape)
    else:
        function = _by_numpy(ufunc, sweep.order, axes, _gaps(x.type.shape, strides, sweep.order))
        total = ops.host_call(x, function=function, results=(array_type(shape, dtype),))
    return _permuted(total, [kept.index(axis) for axis in sorted(kept)])


def _gaps(shape: tuple, strides: Strides, order: tuple[int, ...]) -> tuple[bool, ...]:
    """For each axis in this order whether memory has something after the elements along it, and at
    last whether it has something between elements."""
    wide = [axis for axis in order if shape[axis] != 1]
    gaps = {
        inner: strides[inner] * shape[inner] != strides[outer]
        for outer, inner in zip(wide, wide[1:])
    }
    return (*[gaps.get(axis, False) for axis in order], bool(wide) and strides[wide[-1]] != 1)


@cache
def _by_numpy(
    ufunc: np.ufunc, order: tuple[int, ...], axes: tuple[int, ...], gaps: tuple[bool, ...]
) -> HostFunction:
    """NumPy's reduction itself, of an array that lies in memory as its own would."""
    reduced = tuple([place for place, axis in enumerate(order) if axis in axes])

    def run(_: dict, x: np.ndarray) -> np.ndarray:
        whole = (*[x.shape[axis] for axis in order], 1)
        room = np.empty([n + gap for n, gap in zip(whole, gaps)], x.dtype)
        own = room[tuple([slice(n) for n in whole[:-1]])][..., 0]
        own[...] = np.transpose(x, order)
        return ufunc.reduce(own, axis=reduced)

    name = f"numpy.{ufunc.__name__}.reduce"
    return HostFunction(name, run, lambda result: [result], 1, 1, False, False)


def _permuted(x: Node, order: Any) -> Node:
    return x if list(order) == sorted(order) else ops.transpose(x, axes=tuple(order))
