"""What a compiled call accepts and what it returns, as plain immutable data.

A *tree* describes one argument: a leaf (array, scalar, static value) or a tuple, list or dict of
trees. Leaves are numbered in the order a depth-first walk meets them: positional arguments first,
then keywords in the order of the signature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


# The smallest extent a symbol can stand for; ir.dims.LEAST is the same number.
LEAST_SYMBOL = 8


@dataclass(frozen=True)
class ArrayLeaf:
    """A ``numpy.ndarray`` (no subclass), aligned and in native byte order, of this dtype and shape.

    An extent ``-1 - k`` stands for symbol ``k``, which is at least `LEAST_SYMBOL`: the first array
    that shows it binds it, every later one must agree. ``strides=None`` asks for C order, otherwise for these very byte strides.
    ``writeable=True`` refuses read-only arrays; ``False`` takes both.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    writeable: bool = False


@dataclass(frozen=True)
class ScalarLeaf:
    """A value of exactly this type: float, complex, int, bool or a numeric NumPy scalar type.

    The program receives a pointer to the value: a double, two doubles, an ``i64`` (an int outside
    its range does not match), an ``i8``, or the NumPy scalar's own bytes.
    """

    type: type


@dataclass(frozen=True, eq=False)
class StaticLeaf:
    """A value the program was compiled for: the same type, and equal; floats equal bit by bit.

    Tuples, lists and dicts compare item by item under the same rule. It has no slot.
    """

    value: Any


@dataclass(frozen=True)
class TupleTree:
    """A tuple (no subclass) of these."""

    items: tuple[Tree, ...]


@dataclass(frozen=True)
class ListTree:
    """A list (no subclass) of these."""

    items: tuple[Tree, ...]


@dataclass(frozen=True)
class DictTree:
    """A dict (no subclass) with exactly these keys, in whatever order."""

    keys: tuple[Any, ...]
    items: tuple[Tree, ...]


Leaf = ArrayLeaf | ScalarLeaf | StaticLeaf
Tree = Leaf | TupleTree | ListTree | DictTree


@dataclass(frozen=True)
class Signature:
    """The calls one executable serves; each guard ``(dict, key, object)`` must hold by identity."""

    positional: tuple[Tree, ...] = ()
    keywords: tuple[tuple[str, Tree], ...] = ()
    guards: tuple[tuple[dict, str, object], ...] = ()

    def leaves(self) -> tuple[Leaf, ...]:
        """Every leaf, in the order that numbers them."""
        trees = self.positional + tuple(tree for _, tree in self.keywords)
        return tuple(leaf for tree in trees for leaf in leaves_of(tree))


def leaves_of(tree: Tree) -> tuple[Leaf, ...]:
    """The leaves below a tree, depth first."""
    if isinstance(tree, (TupleTree, ListTree, DictTree)):
        return tuple(leaf for item in tree.items for leaf in leaves_of(item))
    return (tree,)


@dataclass(frozen=True)
class ArrayOutput:
    """A new C-ordered array; extents as in `ArrayLeaf`, or placeholders under `Plan.shapes`."""

    dtype: np.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ScalarOutput:
    """A NumPy scalar (``np.float64``, ``np.bool_``, ...) made from a stack slot."""

    dtype: np.dtype


@dataclass(frozen=True)
class ArgumentOutput:
    """The very object that came in as this leaf (static leaves count); no slot."""

    leaf: int


@dataclass(frozen=True, eq=False)
class ObjectOutput:
    """Always this object; no slot."""

    value: Any


Output = ArrayOutput | ScalarOutput | ArgumentOutput | ObjectOutput


@dataclass(frozen=True, eq=False)
class Plan:
    """How to run one executable and what to make of its results.

    entry            address of ``i64 entry(ptr args)``; args are pointers: leaves, outputs, the
                     workspace, the symbols. A nonzero status drops the outputs and calls `on_error`.
    outputs          what is returned, in order.
    result           "single": the only output; "tuple": a tuple of them; or a function that is
                     given that tuple and returns the result.
    workspace_bytes  scratch memory for the call, 64-byte aligned; 0: none.
    shapes           address of ``i64 shapes(ptr symbols, ptr extents)``, which writes the extents
                     of all array outputs one after the other and returns the workspace's bytes; 0:
                     the outputs' own shapes and `workspace_bytes` say it all.
    release_gil      let other Python threads run meanwhile; worth it from some microseconds on.
    on_error         given the status; raises.
    keep             whatever must live as long as the plan, such as the loaded code.
    """

    entry: int
    outputs: tuple[Output, ...]
    result: str | Callable[[tuple], object] = "single"
    workspace_bytes: int = 0
    shapes: int = 0
    release_gil: bool = False
    on_error: Callable[[int], None] | None = None
    keep: object = None
