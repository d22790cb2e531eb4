"""Loops and branches as functions, with JAX's conventions; captured like any code of a user's.

On concrete values, outside of a jitted function, they are the plain Python that is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .trace.tree import flatten, unflatten


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """`value = body_fun(i, value)` for each `i` from `lower` to before `upper`; the last value."""
    value = init_val
    for index in range(lower, upper):
        value = body_fun(index, value)
    return value


def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """`value = body_fun(value)` while `cond_fun(value)` holds; the last value."""
    value = init_val
    while cond_fun(value):
        value = body_fun(value)
    return value


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """`true_fun(*operands)` where `pred` holds, `false_fun(*operands)` elsewhere."""
    if pred:
        result = true_fun(*operands)
    else:
        result = false_fun(*operands)
    return result


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`; an index that is too small or large is the first or the last."""
    if len(branches) == 1 or index <= 0:
        result = branches[0](*operands)
    else:
        result = switch(index - 1, branches[1:], *operands)
    return result


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """`carry, y = f(carry, x)` for the rows `x` of the arrays in `xs`, from the last one if
    `reverse`; the last carry, and the ys stacked, each in the place of its x.

    `length` is how often where there are no `xs`. Raises ValueError where that is never.
    """
    inputs, structure = flatten(xs)
    arrays = [] if xs is None else inputs
    count = length if length is not None else len(arrays[0])
    if count == 0:
        raise ValueError("scan over nothing: it is not known what f would give")
    carry, stacks, made = init, None, ()
    for step in range(count):
        k = count - 1 - step if reverse else step
        x = unflatten(structure, [array[k] for array in arrays]) if arrays else None
        carry, y = f(carry, x)
        leaves, made = flatten(y)
        if stacks is None:
            stacks = [_room(count, leaf) for leaf in leaves]
        for stack, leaf in zip(stacks, leaves):
            stack[k] = leaf
    return carry, unflatten(made, stacks)


def _room(count: int, leaf: Any) -> Any:
    """An array for so many values like this one."""
    value = np.asarray(leaf)
    return np.zeros((count, *value.shape), value.dtype)
