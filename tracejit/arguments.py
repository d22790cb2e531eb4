"""How a call's arguments are known again: keys, native signatures, and the values that are passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import NotNumbers, TraceError
from .ir.types import ArrayType
from .runtime.signature import (
    DictTree,
    ListTree,
    ObjectTree,
    ScalarLeaf,
    StaticLeaf,
    Tree,
    TupleTree,
)
from .stages import array_leaf, place
from .trace import tree
from .trace.constants import never_changes
from .trace.context import failure
from .trace.layout import is_plain, own_layout
from .trace.outside import draws_numbers
from .trace.program import Leaf, Program, Static, Traced
from .trace.tracing import abstract

MOST_LAYOUTS = 8


def leaf_key(value: Any, leaf: Leaf) -> Any:
    """A hashable key: equal for values the same program serves."""
    if isinstance(leaf, Traced):
        if not leaf.can_write or leaf.same_as is not None:
            return "array", (leaf.type, leaf.can_write, leaf.same_as)
        return (type(value) if leaf.is_scalar else "array", leaf.type)
    value = leaf.value
    if draws_numbers(value):  # each run gets those of its call
        return (type(value), None)
    if type(value) is float:
        return (float, value.hex())
    if isinstance(value, np.ndarray) and never_changes(value):
        return (np.ndarray, id(value))  # which the program holds
    try:
        hash(value)
    except (TypeError, ValueError):
        is_numpys = isinstance(value, np.generic)  # a timedelta64 without a unit, or bytes
        raise failure(
            NotNumbers if is_numpys else TraceError,
            f"an argument of type {type(value).__name__} is neither an array nor hashable",
            "pass arrays, numbers, or containers of them; an array that is static must be a "
            "tracejit.constant",
        ) from None
    return (type(value), value)


# Types of the scalars that are inputs, whatever their value.
_INPUTS = frozenset((float, complex, *(np.dtype(code).type for code in "?bBhHiIlLqQefdFD")))


def looks_of(structure: tree.Structure, leaves: Sequence[Any]) -> Any:
    """What a call looks like: calls that look the same are served by the same program.

    None when some leaf cannot be told from others. A shorter way to a program that served such a
    call before than `leaf_key` is.
    """
    looks: Any = [structure]
    for value in leaves:
        kind = type(value)
        if kind is np.ndarray:
            looks.append((value.dtype, value.shape, value.strides, value.flags.num))
        elif kind in _INPUTS or draws_numbers(value):
            looks.append(kind)
        else:
            looks.append((kind, value))
    looks = tuple(looks)
    try:
        hash(looks)
    except (TypeError, ValueError):  # a timedelta64 without a unit raises the latter
        return None
    return looks


def take(value: Any, symbolic: bool, layouts: bool) -> Leaf:
    """How a leaf is taken; arrays with strides of their own keep them when `layouts` allows."""
    leaf = abstract(value, symbolic)
    if layouts and isinstance(leaf, Traced) and not leaf.is_scalar:
        layout = own_layout(value) if is_plain(value) else None
        if layout is not None:
            type = ArrayType(leaf.type.shape, leaf.type.dtype, layout)
            return Traced(type)
    return leaf


def is_array(leaf: Leaf) -> bool:
    return isinstance(leaf, Traced) and not leaf.is_scalar


def native_leaf(leaf: Leaf, symbols: tuple[str, ...] = (), writeable: bool = False) -> Any:
    """What native code is to check of a leaf."""
    if isinstance(leaf, Static):
        return StaticLeaf(leaf.value)
    if leaf.is_scalar:
        return ScalarLeaf(leaf.weak or leaf.type.dtype.numpy.type)
    return array_leaf(leaf.type, symbols)._replace(writeable=writeable)


def native_trees(structure: tree.Structure, leaves: Sequence[Any]) -> tuple | None:
    """The positional and keyword trees of a call, or None when native code cannot take them."""
    rest = iter(leaves)
    try:
        positional, keywords = structure[2:]
        args = tuple([_tree(child, rest) for child in positional[2:]])
        names = keywords[1][-1] if keywords[1] else ()
        kwargs = tuple([(name, _tree(child, rest)) for name, child in zip(names, keywords[2:])])
    except _NoTree:
        return None
    return args, kwargs


class _NoTree(Exception):
    pass


def _tree(structure: tree.Structure, leaves: Any) -> Tree:
    if structure == tree.LEAF:
        return next(leaves)
    items = tuple([_tree(child, leaves) for child in structure[2:]])
    match tree.kind_of(structure):
        case "tuple":
            return TupleTree(items)
        case "list":
            return ListTree(items)
        case "dict":
            return DictTree(tree.keys_of(structure), items)
        case "namedtuple":
            return TupleTree(items, tree.class_of(structure))
        case "object":
            return ObjectTree(tree.class_of(structure), tree.keys_of(structure), items)
    raise _NoTree


def clashing(program: Program, leaves: Sequence[Any]) -> dict[int, dict[str, Any]] | None:
    """What is special about arrays that a program writes: by leaf, what is to be noted of it.

    Read-only arrays, and arrays that are another one. None where memory overlaps in another way.
    """
    found: dict[int, dict[str, Any]] = {}
    arrays = [k for k, leaf in enumerate(program.leaves) if is_array(leaf)]
    for k in program.written:
        if not leaves[k].flags.writeable:
            found[k] = {"can_write": False}
        for other in arrays:
            if other == k or program.leaves[other].same_as == k:
                continue
            if np.may_share_memory(leaves[k], leaves[other]):
                if not _is_same_memory(leaves[k], leaves[other]):
                    return None
                first, second = sorted((k, other))
                found.setdefault(second, {"same_as": first})
    for capture, is_written in program.captured:
        for k in arrays if is_written else program.written:
            if np.may_share_memory(leaves[k], capture):
                return None
    return found


def _is_same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    places = [(x.ctypes.data, x.dtype, x.shape, x.strides) for x in (a, b)]
    return places[0] == places[1]


def pass_value(value: Any, leaf: Leaf) -> Any:
    """What the executable is handed for a leaf."""
    if isinstance(leaf, Traced) and not leaf.is_scalar:
        return place(np.asarray(value), leaf.type)
    return value
