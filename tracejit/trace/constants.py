"""Arrays that never change: what is computed from them alone is computed once, when a program is compiled.

Whoever holds an ndarray may write to it, through a view if not through itself: a flag that says it is
read-only can be set again, and says nothing of other views. So no array that comes along is taken to
stay the same. One made by `constant` is: its memory belongs to an object that gives NumPy no other
access than to read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .layout import is_unlike_arrays
from .tree import flatten, unflatten

ALIGNMENT = 64


class _Memory:
    """Elements that NumPy can read and nobody can write; arrays over it have it as their `base`."""

    __slots__ = ("__array_interface__", "_array")

    def __init__(self, array: np.ndarray):
        self._array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, True)}


def constant(tree: Any) -> Any:
    """A copy of an array that can never be written; of a list, tuple, dict or dataclass of them, each.

    A jitted function that uses it from outside (a global, a closure, a default, an attribute, a static
    argument) computes once, when it is compiled, what depends on it alone: weights are packed for
    their product then, transposed, converted. As an argument that is not static it is an array as any other.

    Everything in the tree that is no array stays as it is. Raises TypeError for arrays of objects,
    and for subclasses of ndarray with a meaning of their own.

    >>> weights = tracejit.constant(weights)
    >>> layer = tracejit.jit(lambda x: np.maximum(x @ weights["w"] + weights["b"], 0))
    """
    leaves, structure = flatten(tree)
    return unflatten(structure, [_settled(leaf) for leaf in leaves])


def _settled(leaf: Any) -> Any:
    if not isinstance(leaf, np.ndarray) or never_changes(leaf):
        return leaf
    if leaf.dtype.hasobject or is_unlike_arrays(leaf):
        raise TypeError(
            f"an array of class {type(leaf).__name__} and dtype {leaf.dtype} is no constant"
        )
    # A little more memory than needed, to begin where vectors are loaded best.
    memory = np.empty(leaf.nbytes + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    own = memory[first : first + leaf.nbytes].view(leaf.dtype).reshape(leaf.shape)
    own[...] = leaf
    return np.asarray(_Memory(own))


def never_changes(array: np.ndarray) -> bool:
    """Whether an array is a view of what `constant` made."""
    base: Any = array
    while issubclass(type(base), np.ndarray):  # which a traced array, of another trace, is not
        base = base.base
    return type(base) is _Memory
