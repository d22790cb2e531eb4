"""Ops that NumPy's generalized ufuncs carry out: linear algebra and Fourier transforms.

Each takes stacks: the axes before the core ones are equal for all operands, or missing where one
serves for all. Operands have the dtypes of the very loop that runs; the tracer casts first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
from numpy.fft import _pocketfft_umath
from numpy.linalg import _umath_linalg

from .. import expressions, tensor
from ..numpy_code import LOOPS, Loop, loop_for
from ..op import OPAQUE, Extern, Op, define
from ..refusal import FAILED, NEGATIVE_POWER, Refusal
from ..tensor import Address, Buffer, For, Index, Load, Statement, Store
from ..types import ArrayType, DType, TupleType, array_type, to_dtype
from .checks import CHECKS

__all__ = ["FOURIER", "LINALG", "loop_of", "refusals_of"]

Extents = dict[str, Any]


def _ufuncs(module: ModuleType) -> list[np.ufunc]:
    found = [value for value in vars(module).values() if isinstance(value, np.ufunc)]
    return [ufunc for ufunc in found if _loops_of(ufunc)]


def _loops_of(ufunc: np.ufunc) -> list[tuple[Loop, tuple[DType, ...]]]:
    """Its loops, each with the dtypes of its arrays."""
    loops = [loop for loop in LOOPS.values() if loop.ufunc is ufunc]
    return [(loop, tuple([to_dtype(dtype) for dtype in loop.dtypes])) for loop in loops]


def loop_of(op: Op, *types: ArrayType) -> Loop:
    """The loop that carries out one of these ops for operands of these types."""
    return _loop_of(_UFUNC_OF[op.name], types)


def refusals_of(node: Any) -> tuple[Refusal, ...]:
    """What may be reported instead of this node's value, but for positions it reads or writes at."""
    if node.op.name in CHECKS:
        return tuple([report for report, _ in CHECKS[node.op.name].failures])
    if node.op.name == "power":
        return (NEGATIVE_POWER,) if node.dtype.is_signed else ()
    if node.op.name not in _UFUNC_OF:
        return ()
    failure = loop_of(node.op, *[operand.type for operand in node.operands]).failure
    return (FAILED[failure],) if failure else ()


def _type_of(array: Any) -> ArrayType:
    return array_type(np.shape(array), to_dtype(np.asarray(array).dtype))


def _loop_of(ufunc: np.ufunc, types: tuple[ArrayType, ...]) -> Loop:
    return loop_for(ufunc, tuple([type.dtype.numpy for type in types]))


def _stacked(loop: Loop, types: tuple[ArrayType, ...]) -> tuple[tuple, Extents]:
    """The axes before the core ones, and the extents of these by name; ValueError if they disagree."""
    outer: tuple = ()
    extents: Extents = {}
    for type, core in zip(types, loop.cores):
        if type.ndim < len(core):
            raise ValueError(f"{type} has fewer than {len(core)} axes")
        split = type.ndim - len(core)
        own = type.shape[:split]
        if own and outer and own != outer:
            raise ValueError(f"stacks of shapes {outer} and {own}")
        outer = own or outer
        for name, extent in zip(core, type.shape[split:]):
            if extents.setdefault(name, extent) != extent:
                raise ValueError(f"axis {name} is {extents[name]} and {extent}")
    return outer, extents


def _result_type(
    ufunc: np.ufunc, types: tuple[ArrayType, ...], extents_of: Callable[[Extents], Extents]
) -> ArrayType | TupleType:
    loop = _loop_of(ufunc, types)
    if len(types) != ufunc.nin:
        raise TypeError(f"{ufunc.__name__} takes {ufunc.nin} operands, not {len(types)}")
    outer, extents = _stacked(loop, types)
    if not extents.keys() >= set(loop.names):
        extents |= extents_of(extents)
    results = [] if not loop.is_in_place else [array_type(types[0].shape, types[0].dtype)]
    for core, dtype in list(zip(loop.cores, loop.dtypes))[ufunc.nin :]:
        shape = (*outer, *[extents[name] for name in core])
        results.append(array_type(shape, to_dtype(dtype)))
    return results[0] if len(results) == 1 else TupleType(tuple(results))


def _reference(ufunc: np.ufunc, type: ArrayType | TupleType, arrays: tuple) -> Any:
    types = type.items if isinstance(type, TupleType) else (type,)
    results = [np.empty(item.shape, item.dtype.numpy) for item in types]
    operands = [np.asarray(array) for array in arrays]
    loop = loop_for(ufunc, tuple([operand.dtype for operand in operands]))
    if loop.is_in_place:
        results[0][...] = operands[0]
        loop.call([results[0], *operands[1:]], results[1:])
    else:
        loop.call(operands, results)
    return results[0] if len(results) == 1 else tuple(results)


def _statements(ufunc: np.ufunc, *buffers: Buffer) -> tuple[Statement, ...]:
    """One call for all that is stacked as evenly as the loop needs it, in loops over the rest."""
    loop = _loop_of(ufunc, tuple([buffer.type for buffer in buffers[: ufunc.nin]]))
    copy: tuple[Statement, ...] = ()
    if loop.is_in_place:
        copy = copied(buffers[0], buffers[ufunc.nin])
        buffers = (buffers[ufunc.nin], *buffers[1 : ufunc.nin], *buffers[ufunc.nin + 1 :])
    splits = [buffer.type.ndim - len(core) for buffer, core in zip(buffers, loop.cores)]
    most = max(splits)
    stacked = next(b for b, split in zip(buffers, splits) if split == most)
    outer = stacked.type.shape[:most]
    steps = [b.type.strides[:split] or (0,) * most for b, split in zip(buffers, splits)]
    apart = _axes_apart(outer, steps)
    index = tuple([Index(f"b{axis}") for axis in range(apart)])
    addresses = []
    for buffer, split in zip(buffers, splits):
        own = index if split else ()
        addresses.append(Address(buffer, (*own, *[tensor.ZERO] * (buffer.type.ndim - len(own)))))
    extents: Extents = {}
    for buffer, core, split in zip(buffers, loop.cores, splits):
        extents |= dict(zip(core, buffer.type.shape[split:]))
    numbers = [prod(outer[apart:]), *[extents[name] for name in loop.names]]
    sizes = [buffer.type.dtype.itemsize for buffer in buffers]
    numbers += [step[-1] * size if most > apart else 0 for step, size in zip(steps, sizes)]
    for buffer, split, size in zip(buffers, splits, sizes):
        numbers += [stride * size for stride in buffer.type.strides[split:]]
    call = tensor.Extern(loop.symbol, (*addresses, *[expressions.extent(n) for n in numbers]))
    return copy + nested(index, outer[:apart], (call,))


def _axes_apart(outer: tuple, steps: list[tuple]) -> int:
    """How many of the first axes do not count as one with those that follow, in all arrays."""
    for axis in range(len(outer) - 1, 0, -1):
        if any(step[axis - 1] != step[axis] * outer[axis] for step in steps):
            return axis
    return 0


def nested(index: tuple[Index, ...], shape: tuple, body: tuple) -> tuple[Statement, ...]:
    """Serial loops, the first outermost."""
    for position, extent in zip(reversed(index), reversed(shape)):
        body = (For(position, tensor.ZERO, expressions.extent(extent), body, "serial", 1),)
    return body


def copied(source: Buffer, target: Buffer) -> tuple[Statement, ...]:
    """The same elements in other memory."""
    index = tuple([Index(f"i{axis}") for axis in range(source.type.ndim)])
    store = Store(target, index, Load(source, index))
    return nested(index, source.type.shape, (store,))


# Linear algebra.


def _least(extents: Extents) -> Extents:
    """`p`, the lesser of both extents of a matrix, where it is not told by an operand."""
    m, n = extents.get("m"), extents.get("n", extents.get("m"))
    if m == n:
        return {"p": m}
    if isinstance(m, int) and isinstance(n, int):
        return {"p": min(m, n)}
    raise ValueError(f"the lesser of {m} and {n} is not known")


def _linear(ufunc: np.ufunc) -> Op:
    loops = _loops_of(ufunc)

    def type_rule(*types: ArrayType) -> ArrayType | TupleType:
        return _result_type(ufunc, types, _least)

    def reference(*arrays: Any) -> Any:
        return _reference(ufunc, type_rule(*map(_type_of, arrays)), arrays)

    def samples(dtype: DType) -> list:
        return [
            (
                [
                    array_type((*outer, *shape), own)
                    for shape, own in zip(shapes, dtypes[: ufunc.nin])
                ],
                {},
            )
            for loop, dtypes in loops
            if dtypes[0] is dtype
            for outer in ((), (4,), (2, 3), (0,))
            for shapes in [[[_SAMPLE[name] for name in core] for core in loop.cores]]
        ]

    rule = partial(_statements, ufunc)
    name = f"linalg_{ufunc.__name__}"
    return define(
        Op(name, OPAQUE, type_rule, reference, Extern(rule), cost=1000.0, samples=samples)
    )


_SAMPLE = {"m": 3, "n": 2, "p": 2, "k": 2, "nrhs": 2}

# By NumPy's own names: `solve`, `inv`, `eigh_lo`, ... The results are in NumPy's order; of
# `qr_r_raw`, which works in place, the new value of its operand comes first.
LINALG = {ufunc.__name__: _linear(ufunc) for ufunc in _ufuncs(_umath_linalg)}


# Fourier transforms: along the last axis, times a factor; the result has `extent` elements there.


def _fourier(ufunc: np.ufunc) -> Op:
    loops = _loops_of(ufunc)
    ((result,),) = [core for core in loops[0][0].cores[2:]]

    def type_rule(x: ArrayType, factor: ArrayType, *, extent: Any) -> ArrayType:
        return _result_type(ufunc, (x, factor), lambda extents: {result: extent})

    def reference(x: Any, factor: Any, *, extent: Any) -> Any:
        return _reference(
            ufunc, type_rule(_type_of(x), _type_of(factor), extent=extent), (x, factor)
        )

    def rule(*buffers: Buffer, extent: Any) -> tuple[Statement, ...]:
        return _statements(ufunc, *buffers)

    def samples(dtype: DType) -> list:
        return [
            ([array_type(shape, own), array_type((), factor)], {"extent": extent})
            for _, (own, factor, _) in loops
            if own is dtype
            for shape, extent in (((8,), 8), ((3, 5), 4), ((2, 2, 7), 9), ((0, 4), 4))
        ]

    name = f"fourier_{ufunc.__name__}"
    return define(
        Op(name, OPAQUE, type_rule, reference, Extern(rule), cost=1000.0, samples=samples)
    )


# By NumPy's own names: `fft`, `ifft`, `rfft_n_even`, `rfft_n_odd`, `irfft`.
FOURIER = {ufunc.__name__: _fourier(ufunc) for ufunc in _ufuncs(_pocketfft_umath)}

_UFUNC_OF = {
    op.name: getattr(module, name)
    for ops, module in ((LINALG, _umath_linalg), (FOURIER, _pocketfft_umath))
    for name, op in ops.items()
}
