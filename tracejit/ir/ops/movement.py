"""Movement ops: the same elements at other indices, so each lowers to an index map."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import expressions, tensor
from ..op import MOVEMENT, Element, Op, define
from ..types import ArrayType, array_type, row_major
from .samples import samples

Shape = tuple


def _broadcast_type(x: ArrayType, *, shape: Shape, axes: tuple[int, ...]) -> ArrayType:
    if len(axes) != x.ndim or list(axes) != sorted(set(axes)):
        raise ValueError(f"{x} needs {x.ndim} increasing axes, not {axes}")
    if any(shape[axis] != extent for axis, extent in zip(axes, x.shape)):
        raise ValueError(f"{x} does not fit on axes {axes} of {shape}")
    return array_type(shape, x.dtype)


def _broadcast_reference(x: Any, *, shape: Shape, axes: tuple[int, ...]) -> Any:
    aligned = [shape[axis] if axis in axes else 1 for axis in range(len(shape))]
    return np.broadcast_to(np.reshape(x, aligned), shape)


def _broadcast_element(index: tuple, x: Any, *, type: ArrayType, shape: Shape, axes: tuple) -> Any:
    return x(tuple([index[axis] for axis in axes]))


broadcast = define(
    Op(
        "broadcast",
        MOVEMENT,
        _broadcast_type,
        _broadcast_reference,
        Element(_broadcast_element),
        cost=0.0,
        samples=samples(
            ([(3, 5)], {"shape": (3, 4, 5), "axes": (0, 2)}),
            ([()], {"shape": (17,), "axes": ()}),
            ([(3,)], {"shape": (3, 33), "axes": (0,)}),
            ([(1,)], {"shape": (2, 1), "axes": (1,)}),
            ([(0,)], {"shape": (3, 0), "axes": (1,)}),
            ([(5,)], {"shape": (0, 5), "axes": (1,)}),
        ),
    )
)


def _transpose_type(x: ArrayType, *, axes: tuple[int, ...]) -> ArrayType:
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"{axes} does not permute the axes of {x}")
    return array_type(tuple([x.shape[axis] for axis in axes]), x.dtype)


def _transpose_element(index: tuple, x: Any, *, type: ArrayType, axes: tuple) -> Any:
    source: list = [None] * len(axes)
    for position, axis in enumerate(axes):
        source[axis] = index[position]
    return x(tuple(source))


def _transpose_reference(x: Any, *, axes: tuple) -> Any:
    return np.transpose(x, axes)


transpose = define(
    Op(
        "transpose",
        MOVEMENT,
        _transpose_type,
        _transpose_reference,
        Element(_transpose_element),
        cost=0.0,
        samples=samples(
            ([(2, 3, 4)], {"axes": (2, 0, 1)}),
            ([(2, 3, 4)], {"axes": (0, 2, 1)}),
            ([(17, 33)], {"axes": (1, 0)}),
            ([(0, 3)], {"axes": (1, 0)}),
            ([(1, 3)], {"axes": (0, 1)}),
            ([()], {"axes": ()}),
        ),
    )
)


def _reshape_type(x: ArrayType, *, shape: Shape) -> ArrayType:
    if prod(shape) != x.size:
        raise ValueError(f"cannot reshape {x} into {shape}")
    return array_type(shape, x.dtype)


def matched_axes(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Split both shapes into the smallest runs of axes with equal products, first to last.

    Where products of unknown extents cannot be compared, axes are taken from both sides in turn.
    Extents of 1 join the run they stand next to; a run that cannot be closed takes all the rest.
    """
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left: list[int] = []
        right: list[int] = []
        a = b = 1
        ahead = 0  # how many axes, other than of extent 1, `left` has more than `right`
        while True:
            is_single = i < len(old) and old[i] == 1, j < len(new) and new[j] == 1
            if a == b and (left or right) and not any(is_single):
                break
            if i == len(old) and j == len(new):
                break
            are_known = isinstance(a, int) and isinstance(b, int)
            is_behind = j == len(new) or (a <= b if are_known else ahead <= 0)
            if is_single[0] or not is_single[1] and i < len(old) and is_behind:
                a, ahead = a * old[i], ahead + (not is_single[0])
                left.append(i)
                i += 1
            else:
                b, ahead = b * new[j], ahead - (not is_single[1])
                right.append(j)
                j += 1
        groups.append((left, right))
    return groups


def _reshape_element(index: tuple, x: Any, *, type: ArrayType, shape: Shape) -> Any:
    """Group by group, flatten the index and split it again, so that unchanged axes stay affine."""
    old = x.type.shape
    source: list = [tensor.ZERO] * len(old)
    if prod(old) == 0:
        return x(tuple(source))
    for left, right in matched_axes(old, shape):
        strides = row_major(tuple(shape[axis] for axis in right))
        flat: tensor.Expression = tensor.ZERO
        for axis, stride in zip(right, strides):
            flat = expressions.add(
                flat, expressions.multiply(index[axis], expressions.extent(stride))
            )
        wide = [axis for axis in left if old[axis] != 1]
        if not wide and source and not all(isinstance(term, tensor.Index) for term in flat.free):
            # Nothing but 0, or an index that is refused: it must be asked for all the same.
            source[-1] = expressions.add(source[-1], flat)
        steps = row_major(tuple(old[axis] for axis in wide))
        for position, (axis, step) in enumerate(zip(wide, steps)):
            part = expressions.floor_divide(flat, expressions.extent(step))
            if position > 0:
                part = expressions.remainder(part, expressions.extent(old[axis]))
            source[axis] = expressions.add(source[axis], part)
    return x(tuple(source))


def _reshape_reference(x: Any, *, shape: Shape) -> Any:
    return np.reshape(x, shape)


reshape = define(
    Op(
        "reshape",
        MOVEMENT,
        _reshape_type,
        _reshape_reference,
        Element(_reshape_element),
        cost=0.0,
        samples=samples(
            ([(4, 6)], {"shape": (2, 12)}),
            ([(4, 6)], {"shape": (3, 2, 4)}),
            ([(7, 9)], {"shape": (9, 7)}),
            ([(2, 1, 3, 5)], {"shape": (6, 1, 5)}),
            ([(0, 3)], {"shape": (5, 0)}),
            ([()], {"shape": (1, 1)}),
            ([(1,)], {"shape": ()}),
        ),
    )
)


def _slice_extent(start: Any, stop: Any, step: int) -> Any:
    if step > 0:
        return (stop - start + (step - 1)) // step
    return (start - stop + (-step - 1)) // -step


def _slice_type(x: ArrayType, *, start: tuple, stop: tuple, step: tuple) -> ArrayType:
    if not len(start) == len(stop) == len(step) == x.ndim:
        raise ValueError(f"a slice of {x} needs {x.ndim} starts, stops and steps")
    shape = []
    for n, a, b, s in zip(x.shape, start, stop, step):
        extent = _slice_extent(a, b, s)
        if type(extent) is int and type(n) is int and extent > 0:
            last = a + (extent - 1) * s
            if not (0 <= a < n and 0 <= last < n):
                raise ValueError(f"range({a}, {b}, {s}) leaves an axis of extent {n}")
        shape.append(max(extent, 0) if type(extent) is int else extent)
    return array_type(tuple(shape), x.dtype)


def _slice_reference(x: Any, *, start: tuple, stop: tuple, step: tuple) -> Any:
    bounds = [
        slice(0, 0) if _slice_extent(a, b, s) <= 0 else slice(a, b if b >= 0 else None, s)
        for a, b, s in zip(start, stop, step)
    ]
    return np.asarray(x)[(*bounds, ...)]


def _slice_element(
    index: tuple, x: Any, *, type: ArrayType, start: tuple, stop: tuple, step: tuple
) -> Any:
    return x(sliced_index(index, start, step))


def sliced_index(index: tuple, start: tuple, step: tuple) -> tuple:
    """Where the element of a slice at `index` is in the whole."""
    return tuple(
        [
            expressions.add(expressions.multiply(i, expressions.integer(s)), expressions.extent(a))
            for i, a, s in zip(index, start, step)
        ]
    )


slice_ = define(
    Op(
        "slice",
        MOVEMENT,
        _slice_type,
        _slice_reference,
        Element(_slice_element),
        cost=0.0,
        samples=samples(
            ([(10,)], {"start": (9,), "stop": (-1,), "step": (-1,)}),
            ([(100,)], {"start": (97,), "stop": (1,), "step": (-3,)}),
            ([(17, 9)], {"start": (2, 8), "stop": (15, -1), "step": (3, -2)}),
            ([(5, 4, 3)], {"start": (1, 0, 2), "stop": (4, 4, 3), "step": (1, 2, 1)}),
            ([(5,)], {"start": (3,), "stop": (3,), "step": (1,)}),
            ([(0,)], {"start": (0,), "stop": (0,), "step": (1,)}),
            ([()], {"start": (), "stop": (), "step": ()}),
        ),
    )
)


def _windows_type(x: ArrayType, *, axis: int, width: int) -> ArrayType:
    extent = x.shape[axis] - width + 1
    if width < 0 or (type(extent) is int and extent < 0):
        raise ValueError(f"{x} has no windows of {width} along axis {axis}")
    return array_type((*x.shape[:axis], extent, *x.shape[axis + 1 :], width), x.dtype)


def _windows_reference(x: Any, *, axis: int, width: int) -> Any:
    x = np.asarray(x)
    shape = (*x.shape[:axis], x.shape[axis] - width + 1, *x.shape[axis + 1 :], width)
    strides = (*x.strides, x.strides[axis])
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def _windows_element(index: tuple, x: Any, *, type: ArrayType, axis: int, width: int) -> Any:
    *outer, inside = index
    outer[axis] = expressions.add(outer[axis], inside)
    return x(tuple(outer))


windows = define(
    Op(
        "windows",
        MOVEMENT,
        _windows_type,
        _windows_reference,
        Element(_windows_element),
        cost=0.0,
        samples=samples(
            ([(9,)], {"axis": 0, "width": 3}),
            ([(4, 17, 3)], {"axis": 1, "width": 5}),
            ([(5, 4)], {"axis": 1, "width": 4}),
            ([(5, 2)], {"axis": 0, "width": 1}),
            ([(3,)], {"axis": 0, "width": 4}),
            ([(3,)], {"axis": 0, "width": 0}),
        ),
    )
)


def _concatenate_type(*types: ArrayType, axis: int) -> ArrayType:
    first = types[0]
    for type in types:
        same = type.shape[:axis] == first.shape[:axis]
        if not (same and type.shape[axis + 1 :] == first.shape[axis + 1 :]):
            raise ValueError(f"{first} and {type} differ beside axis {axis}")
        if type.dtype is not first.dtype:
            raise ValueError("operand dtypes differ")
    total = sum(type.shape[axis] for type in types)
    return array_type((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


def _concatenate_element(index: tuple, *operands: Any, type: ArrayType, axis: int) -> Any:
    """Operands are read at clamped indices, so that every read is in bounds, and one is selected."""
    position = index[axis]
    if type_is_zero(type.size):
        return tensor.Literal(type.dtype(0).item(), type.dtype)
    chosen = None
    starts, total = [], 0
    for operand in operands:
        starts.append(total)
        total = total + operand.type.shape[axis]
    for operand, start in reversed(list(zip(operands, starts))):
        extent = operand.type.shape[axis]
        if type_is_zero(extent):
            continue
        local = expressions.subtract(position, expressions.extent(start))
        last = expressions.subtract(expressions.extent(extent), tensor.ONE)
        clamped = expressions.maximum(expressions.minimum(local, last), tensor.ZERO)
        value = operand((*index[:axis], clamped, *index[axis + 1 :]))
        if chosen is None:
            chosen, boundary = value, start
        else:
            inside = expressions.compare("less", position, expressions.extent(boundary))
            chosen, boundary = expressions.select(inside, value, chosen), start
    return chosen


def type_is_zero(extent: Any) -> bool:
    return type(extent) is int and extent == 0


def _concatenate_reference(*arrays: Any, axis: int) -> Any:
    return np.concatenate(arrays, axis)


concatenate = define(
    Op(
        "concatenate",
        MOVEMENT,
        _concatenate_type,
        _concatenate_reference,
        Element(_concatenate_element),
        cost=1.0,
        samples=samples(
            ([(2, 3), (0, 3), (5, 3)], {"axis": 0}),
            ([(3, 2), (3, 17), (3, 1)], {"axis": 1}),
            ([(7,)], {"axis": 0}),
            ([(0,), (0,)], {"axis": 0}),
        ),
    )
)


def _pad_type(x: ArrayType, value: ArrayType, *, low: tuple, high: tuple) -> ArrayType:
    if value.shape != () or value.dtype is not x.dtype:
        raise ValueError(f"the padding of {x} is a 0-d {x.dtype}, not {value}")
    if not len(low) == len(high) == x.ndim:
        raise ValueError(f"padding {x} needs {x.ndim} pairs")
    return array_type(tuple(a + n + b for n, a, b in zip(x.shape, low, high)), x.dtype)


def _pad_reference(x: Any, value: Any, *, low: tuple, high: tuple) -> Any:
    return np.pad(x, list(zip(low, high)) or 0, constant_values=value)


def _pad_element(
    index: tuple, x: Any, value: Any, *, type: ArrayType, low: tuple, high: tuple
) -> Any:
    fill = value(())
    if any(type_is_zero(extent) for extent in x.type.shape):
        return fill
    inside = None
    source = []
    for i, n, a, b in zip(index, x.type.shape, low, high):
        local = expressions.subtract(i, expressions.extent(a))
        last = expressions.subtract(expressions.extent(n), tensor.ONE)
        tests = []
        if not type_is_zero(a):
            tests.append(expressions.compare("greater_equal", local, tensor.ZERO))
            local = expressions.maximum(local, tensor.ZERO)
        if not type_is_zero(b):
            tests.append(
                expressions.compare(
                    "less_equal", expressions.subtract(i, expressions.extent(a)), last
                )
            )
            local = expressions.minimum(local, last)
        for test in tests:
            inside = test if inside is None else expressions.compare("logical_and", inside, test)
        source.append(local)
    element = x(tuple(source))
    return element if inside is None else expressions.select(inside, element, fill)


pad = define(
    Op(
        "pad",
        MOVEMENT,
        _pad_type,
        _pad_reference,
        Element(_pad_element),
        cost=1.0,
        samples=samples(
            ([(3, 4), ()], {"low": (1, 0), "high": (2, 3)}),
            ([(17,), ()], {"low": (9,), "high": (0,)}),
            ([(0, 2), ()], {"low": (2, 1), "high": (0, 1)}),
            ([(1, 3), ()], {"low": (0, 0), "high": (0, 0)}),
            ([(), ()], {"low": (), "high": ()}),
        ),
    )
)
