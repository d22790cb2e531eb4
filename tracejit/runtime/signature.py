"""What a compiled call accepts and what it returns, as plain immutable data.

A *tree* describes one argument: a leaf (array, scalar, static value) or a tuple, list or dict of
trees. Leaves are numbered in the order a depth-first walk meets them: positional arguments first,
then keywords in the order of the signature.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CellType
from typing import Any, NamedTuple

import numpy as np


class ArrayLeaf(NamedTuple):
    """A ``numpy.ndarray`` (no subclass), aligned and in native byte order, of this dtype and shape.

    An extent ``-1 - k`` stands for symbol ``k``, which is at least `least`: the first array that
    shows it binds it, every later one must agree. ``strides=None`` asks for C order, otherwise for
    these very byte strides. ``writeable=True`` refuses read-only arrays; ``False`` takes both.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    writeable: bool = False
    least: int = 0


class ScalarLeaf(NamedTuple):
    """A value of exactly this type: float, complex, int, bool or a numeric NumPy scalar type.

    The program receives a pointer to the value: a double, two doubles, an ``i64`` (an int outside
    its range does not match), an ``i8``, or the NumPy scalar's own bytes.
    """

    type: type


class StaticLeaf(NamedTuple):
    """A value the program was compiled for: the same type, and equal; floats equal bit by bit.

    Tuples, lists and dicts compare item by item under the same rule. It has no slot.
    """

    value: Any


class TupleTree(NamedTuple):
    """A tuple of these: of exactly this type, `tuple` or a namedtuple."""

    items: tuple[Tree, ...]
    type: type = tuple


class ListTree(NamedTuple):
    """A list (no subclass) of these."""

    items: tuple[Tree, ...]


class DictTree(NamedTuple):
    """A dict (no subclass) with exactly these keys in this order."""

    keys: tuple[Any, ...]
    items: tuple[Tree, ...]


class ObjectTree(NamedTuple):
    """An instance of exactly this class, whose ``__dict__`` has exactly these names in this order."""

    type: type
    keys: tuple[str, ...]
    items: tuple[Tree, ...]


Leaf = ArrayLeaf | ScalarLeaf | StaticLeaf
Tree = Leaf | TupleTree | ListTree | DictTree | ObjectTree


class Signature(NamedTuple):
    """The calls one executable serves, while all that it relies on is still the very same object.

    guards   ``(dict, key, object)``: what the dict holds under the key.
    cells    ``(cell, object)``: what a closure's variable holds.
    lists    ``(list, objects)``: what a list holds, all of it.
    entries  ``(dict, count)``: how many keys a dict has.
    apart    ``(leaf, leaf)``: the numbers of arrays whose memory does not overlap; or, second, an
             array itself.
    words    ``(address, number)``: what a word in memory holds.
    """

    positional: tuple[Tree, ...] = ()
    keywords: tuple[tuple[str, Tree], ...] = ()
    guards: tuple[tuple[dict, str, object], ...] = ()
    cells: tuple[tuple[CellType, object], ...] = ()
    lists: tuple[tuple[list, list], ...] = ()
    entries: tuple[tuple[dict, int], ...] = ()
    apart: tuple[tuple[int, int | np.ndarray], ...] = ()
    words: tuple[tuple[int, int], ...] = ()

    def leaves(self) -> tuple[Leaf, ...]:
        """Every leaf, in the order that numbers them."""
        trees = self.positional + tuple(tree for _, tree in self.keywords)
        return tuple(leaf for tree in trees for leaf in leaves_of(tree))


CONTAINERS = (TupleTree, ListTree, DictTree, ObjectTree)


def leaves_of(tree: Tree) -> tuple[Leaf, ...]:
    """The leaves below a tree, depth first."""
    if isinstance(tree, CONTAINERS):
        return tuple(leaf for item in tree.items for leaf in leaves_of(item))
    return (tree,)


class ArrayOutput(NamedTuple):
    """A new C-ordered array; extents as in `ArrayLeaf`, or placeholders under `Plan.shapes`.

    `count` numbers the output that tells how many of its rows are returned, the first ones; None: all.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    count: int | None = None


class ScalarOutput(NamedTuple):
    """A NumPy scalar (``np.float64``, ``np.bool_``, ...) made from a stack slot."""

    dtype: np.dtype


class PythonScalarOutput(NamedTuple):
    """A float, complex, int or bool, made from a stack slot; ``dtype`` is what the slot holds."""

    type: type

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.type)


class CountOutput(NamedTuple):
    """An i64 in a stack slot, which tells how many rows other outputs have; as a result, None."""

    dtype: np.dtype = np.dtype(np.int64)


class ArgumentOutput(NamedTuple):
    """The very object that came in as this leaf (static leaves count); no slot."""

    leaf: int


class ObjectOutput(NamedTuple):
    """Always this object; no slot."""

    value: Any


Output = (
    ArrayOutput | ScalarOutput | PythonScalarOutput | CountOutput | ArgumentOutput | ObjectOutput
)

# Outputs that are numbers in a stack slot, and those that need memory for the executable to write to.
NUMBERED = (ScalarOutput, PythonScalarOutput, CountOutput)
FILLED = (ArrayOutput, *NUMBERED)


class Plan(NamedTuple):
    """How to run one executable and what to make of its results.

    entry            address of a word with the address of ``i64 entry(ptr args)``, where another
                     may be put at any time; args are pointers: leaves, outputs, the workspace, the
                     symbols. A nonzero status drops the outputs and calls `on_error`.
    outputs          what is returned, in order.
    result           "single": the only output; "tuple": a tuple of them; the number of an output, or
                     a tuple, list or dict tree of such; or a function that is given a tuple of the
                     outputs and returns the result.
    workspace_bytes  scratch memory for the call, 64-byte aligned; 0: none.
    shapes           address of ``i64 shapes(ptr symbols, ptr extents)``, which writes the extents
                     of all array outputs one after the other and returns the workspace's bytes; 0:
                     the outputs' own shapes and `workspace_bytes` say it all.
    release_gil      let other Python threads run meanwhile; worth it from some microseconds on.
    on_error         given the status and the address of the workspace, where code may have left
                     what it has to tell; raises, or returns to leave the call to Python.
    keep             whatever must live as long as the plan, such as the loaded code.
    """

    entry: int
    outputs: tuple[Output, ...]
    result: str | int | Tree | Callable[[tuple], object] = "single"
    workspace_bytes: int = 0
    shapes: int = 0
    release_gil: bool = False
    on_error: Callable[[int, int], None] | None = None
    keep: object = None
