"""Ufuncs applied to traced arrays: their calls, with `out=` and `where=`, and their methods."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..ir import ops
from ..ir.types import ArrayType, bool_
from .advanced import indexed
from .array import Array, agreeing, assign, assign_items, scatter, to_array, view
from .assigned import NO_OPERAND, assigned_node, is_mask, selects
from .broadcasting import broadcast_shapes, shape_text
from .context import failure
from .host import NoRule, call_through_python, known, name_of, no_rule
from .promotion import DEFAULT_DTYPES, loop_of
from .registry import APPLICATIONS, FUNCTIONS, UFUNC_METHODS
from .ufunc import apply_to_nodes, is_compiled, signature_of
from .unruled import write_through_python
from .value import Value, node_of, to_operand


def apply(ufunc: np.ufunc, *inputs: Any, **options: Any) -> Any:
    """`ufunc(*inputs, **options)` on anything array-like; a tuple for ufuncs with two results.

    Raises what NumPy raises; UnsupportedError for `where` without `out`, which leaves elements
    unset.
    """
    inputs, out = split_out(ufunc, inputs, options)
    where = options.pop("where", True)
    implementation = FUNCTIONS.get(ufunc)
    casting = options.get("casting", "same_kind")
    if implementation is not None:
        found = implementation(*inputs, **options)
    else:
        found = _applied(ufunc, inputs, options)
    results = found if type(found) is tuple else (found,)
    if out is None and where is not True:
        raise failure(
            UnsupportedError,
            f"{ufunc.__name__}(..., where=) without out= leaves elements unset",
            "use np.where(condition, result, other), or give out=",
        )
    if out is None:
        return found
    given = tuple(
        [
            result if target is None else _stored(ufunc, result, target, where, casting)
            for result, target in zip(results, out)
        ]
    )
    return given[0] if len(given) == 1 else given


def split_out(ufunc: np.ufunc, inputs: tuple, options: dict[str, Any]) -> tuple[tuple, Any]:
    """The inputs, and the arrays that are to take the results: one or None for each, or None."""
    out = options.pop("out", None)
    if len(inputs) > ufunc.nin:
        if out is not None:
            raise TypeError("cannot specify 'out' as both a positional and keyword argument")
        inputs, out = inputs[: ufunc.nin], inputs[ufunc.nin :]
    if out is None:
        return inputs, None
    out = out if type(out) is tuple else (out,)
    out = (*out, *(None,) * (ufunc.nout - len(out)))
    if len(out) > ufunc.nout:
        raise ValueError("The 'out' tuple must have exactly one entry per ufunc output")
    return inputs, None if all(item is None for item in out) else out


def _stored(ufunc: np.ufunc, result: Array, target: Any, where: Any, casting: str) -> Array:
    """`result` written to `target`, where `where` says so; returns `target`."""
    if not isinstance(target, Array) or target.is_scalar:
        if isinstance(target, np.ndarray):
            raise failure(
                UnsupportedError,
                f"{ufunc.__name__}(..., out=) writes to an array that is not traced",
                "make it inside the jitted function, or pass it as an argument",
            )
        raise TypeError("return arrays must be of ArrayType")
    source, own = result.dtype, target.dtype
    if not np.can_cast(source, own, casting):
        samples = [np.ones((), source)] * ufunc.nin
        ufunc(*samples, out=np.empty((), own), casting=casting)  # raises NumPy's own error
        raise TypeError(f"Cannot cast the result of {ufunc.__name__} from {source!r} to {own!r}")
    given, target = target, agreeing(target, result)
    if broadcast_shapes(result.shape, target.shape) != target.node.type.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {shape_text(target.shape)} doesn't "
            f"match the broadcast shape {shape_text(result.shape)}"
        )
    node = assigned_node(result, target.node.type)
    if where is not True:
        condition = assigned_node(where, ArrayType(target.node.type.shape, bool_, None), "safe")
        node = ops.where(condition, node, target.node)
    target.write(node)
    return given


def _applied(ufunc: np.ufunc, inputs: tuple, options: dict[str, Any]) -> Any:
    if not is_compiled(ufunc):
        return call_through_python(known(ufunc), inputs, options)
    signature, casting = _options(ufunc, options) if options else (None, "same_kind")
    operands = []
    for value in inputs:
        operand = to_operand(value)
        if operand is None:
            raise TypeError(
                f"ufunc '{ufunc.__name__}' did not contain a loop with signature matching types: "
                f"an operand is a {type(value).__name__}"
            )
        operands.append(operand)
    if len(operands) != ufunc.nin:
        raise TypeError(
            f"{ufunc.__name__}() takes from {ufunc.nin} to {ufunc.nargs} positional arguments "
            f"but {len(operands)} were given"
        )
    nodes = apply_to_nodes(ufunc, operands, signature, casting)
    results = [Array(node, not node.type.shape) for node in nodes]
    return results[0] if len(results) == 1 else tuple(results)


def _options(ufunc: np.ufunc, options: dict[str, Any]) -> tuple[Any, str]:
    dtype, signature = (
        options.pop("dtype", None),
        options.pop("signature", options.pop("sig", None)),
    )
    casting = options.pop("casting", "same_kind")
    options.pop("order", None)
    options.pop("subok", None)
    if options:
        raise TypeError(
            f"{ufunc.__name__}() got an unexpected keyword argument '{next(iter(options))}'"
        )
    return signature_of(ufunc, dtype, signature), casting


_REDUCTIONS = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}


_ACCUMULATIONS = {
    np.add: np.cumsum,
    np.multiply: np.cumprod,
    np.maximum: np.maximum.accumulate,
    np.minimum: np.minimum.accumulate,
}


def ufunc_method(ufunc: np.ufunc, method: str, inputs: tuple, options: dict[str, Any]) -> Any:
    if method == "outer":
        first, second = (to_array(value) for value in inputs)
        spread = first.shape + (1,) * second.ndim
        return apply(ufunc, Array(ops.reshape(first.node, shape=spread)), second, **options)
    if method == "at" and _combined_at(ufunc, *inputs):
        return None
    table = {"reduce": _REDUCTIONS, "accumulate": _ACCUMULATIONS}.get(method, {})
    implementation = FUNCTIONS.get(table.get(ufunc))
    if implementation is not None and not _has_options(table[ufunc], options):
        implementation = None
    if options.get("out", (None,))[0] is None:
        options.pop("out", None)
    if implementation is None:
        if "out" in options:
            raise no_rule(f"{ufunc.__name__}.{method}")
        if method in UFUNC_METHODS:
            with contextlib.suppress(NoRule):
                return UFUNC_METHODS[method](ufunc, *inputs, **options)
        called = known(getattr(ufunc, method), f"{name_of(ufunc)}.{method}")
        if method == "at":
            return write_through_python(called, inputs, options)
        return call_through_python(called, inputs, options)
    options.setdefault("axis", 0)
    if method == "accumulate" and (np.ndim(inputs[0]) == 0 or options["axis"] is None):
        sample = np.empty((1,) * np.ndim(inputs[0]))
        ufunc.accumulate(sample, options["axis"])  # raises NumPy's error
    return implementation(*inputs, **options)


# What NumPy's functions of the same sense as `ufunc.reduce` do not have.
_LACKING = {np.any: ("dtype", "initial"), np.all: ("dtype", "initial")}
_LACKING |= {np.max: ("dtype",), np.min: ("dtype",)}


def _has_options(function: Any, options: dict[str, Any]) -> bool:
    """Whether NumPy's function takes these; what is None says nothing, and goes."""
    for name in _LACKING.get(function, ()):
        if name in options and options[name] is None:
            del options[name]
    return not any(name in options for name in _LACKING.get(function, ()))


def _combined_at(ufunc: np.ufunc, target: Any, index: Any, value: Any = None) -> bool:
    """`ufunc.at(target, index, value)`: elements named several times are changed several times.

    False, and nothing is done, where the ufunc is no op of one dtype.
    """
    if type(value) in DEFAULT_DTYPES:
        value = np.asarray(value)[()]  # numbers have dtypes of their own here
    elif isinstance(value, Value) and value.weak is not None:
        value = Array(node_of(value), True)
    operand = to_operand(value)
    if operand is None or ufunc.nin != 2 or not isinstance(target, Array) or target.is_scalar:
        return False
    own = target.dtype
    *wanted, out = loop_of(ufunc, (own, operand[1]))
    if not np.can_cast(out.numpy, own, "same_kind"):
        ufunc.at(np.ones(1, own), [0], np.ones(1, wanted[1].numpy))  # raises NumPy's own error
    if not is_compiled(ufunc) or {*wanted, out} != {out}:
        return False
    rank = len(operand[0].type.shape)
    if selects(index) or is_mask(index):
        _check_rank(rank, target[index])
        assign_items(target, index, ufunc(target[index], value))
        return True
    node, _ = indexed(node_of(target), index)
    part = view(target, node)
    _check_rank(rank, part)
    if part.storage is target.storage:  # slices name nothing twice
        assign(part, apply(ufunc, part, value))
    else:
        scatter(target, node, value, (ufunc.__name__, out))
    return True


def _check_rank(rank: int, part: Array) -> None:
    """An operand of `ufunc.at` has no more axes than what it changes, though they be of one element."""
    if rank > part.ndim:
        raise ValueError(NO_OPERAND)


APPLICATIONS |= {"call": apply, "method": ufunc_method}
