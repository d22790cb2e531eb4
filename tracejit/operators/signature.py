"""Types of operators written down: `"f64, f64 -> f64"`, `"(n,k),(k,m)->(n,m)"`, `"f32(n) -> f32(n-1)"`.

Each operand and result is a dtype, the names of its last axes, or both. The axes before these are
batches, for which operands broadcast as those of NumPy's generalized ufuncs do; where no axes are
named an operator works on numbers, so that all axes are batches. An extent of a result may be
computed from those of operands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import ShapeError
from ..ir.types import DTYPES, ArrayType, DType, array_type, to_dtype
from ..trace.broadcasting import broadcast_shapes

Extents = dict[str, Any]


class Item(NamedTuple):
    """An operand or result: its dtype, if that is said, and its last axes."""

    dtype: DType | None
    axes: tuple[ast.expr, ...]


class Signature:
    """The types of operands and results. Called with types it gives those of the results."""

    def __init__(self, text: str):
        self.text = text
        sides = text.split("->")
        if len(sides) != 2 or not sides[1].strip():
            raise TypeError(
                f'{text!r} is no signature; one is "(n,k),(k,m)->(n,m)" or "f64 -> f64"'
            )
        self.operands = tuple([self._item(part) for part in _parts(sides[0])])
        self.results = tuple([self._item(part) for part in _parts(sides[1])])
        self.names = tuple(dict.fromkeys(
            [axis.id for item in self.operands for axis in item.axes if isinstance(axis, ast.Name)]
        ))  # fmt: skip
        free = {
            node.id
            for item in (*self.operands, *self.results)
            for axis in item.axes
            for node in ast.walk(axis)
            if isinstance(node, ast.Name)
        }
        if unknown := sorted(free - set(self.names)):
            raise TypeError(f"{text!r}: no operand tells the extent {', '.join(unknown)}")

    @property
    def has_axes(self) -> bool:
        """Whether it is of arrays, not of numbers."""
        return any(item.axes for item in (*self.operands, *self.results))

    def __repr__(self) -> str:
        return f"Signature({self.text!r})"

    def _item(self, text: str) -> Item:
        found = re.fullmatch(r"(\w*)(?:\((.*)\))?", text)
        if found is None:
            raise TypeError(f"{self.text!r}: {text!r} is no dtype with axes, such as f64(n, m)")
        dtype = None
        if found[1]:
            try:
                dtype = DTYPES.get(found[1]) or to_dtype(found[1])
            except TypeError:
                raise TypeError(f"{self.text!r}: there is no dtype {found[1]!r}") from None
        try:
            axes = [ast.parse(part, mode="eval").body for part in _parts(found[2] or "")]
        except SyntaxError:
            raise TypeError(f"{self.text!r}: {text!r} has no axes that can be read") from None
        return Item(dtype, tuple(axes))

    def solve(self, types: Sequence[ArrayType], what: str) -> tuple[tuple, Extents]:
        """The common batch shape of operands, and the extents by name.

        Raises ShapeError where the operands do not fit.
        """
        if len(types) != len(self.operands):
            raise TypeError(f"{what} takes {len(self.operands)} operands, not {len(types)}")
        extents: Extents = {}
        batches = []
        for type, item in zip(types, self.operands):
            count = len(item.axes)
            if type.ndim < count:
                raise ShapeError(f"{what}: {type} has fewer axes than {self.text} says")
            split = type.ndim - count
            batches.append(type.shape[:split])
            for axis, extent in zip(item.axes, type.shape[split:]):
                if isinstance(axis, ast.Name):
                    extents.setdefault(axis.id, extent)
        for type, item in zip(types, self.operands):
            for axis, extent in zip(item.axes, type.shape[type.ndim - len(item.axes) :]):
                if extent_of(axis, extents) != extent:
                    shown = ast.unparse(axis)
                    raise ShapeError(
                        f"{what}: {shown} is {extent_of(axis, extents)}, and {extent} in {type}"
                    )
        return broadcast_shapes(*batches, what=what), extents

    def types(
        self, types: Sequence[ArrayType], dtypes: Sequence[DType | None], what: str
    ) -> tuple[ArrayType, ...]:
        """The types of the results; `dtypes` are those that the signature does not say."""
        batch, extents = self.solve(types, what)
        if len(dtypes) != len(self.results):
            raise TypeError(
                f"{what} has {len(dtypes)} results, and {self.text} says {len(self.results)}"
            )
        return tuple(
            [
                array_type(
                    (*batch, *[extent_of(a, extents) for a in item.axes]), item.dtype or other
                )
                for item, other in zip(self.results, dtypes)
            ]
        )


def extent_of(axis: ast.expr, extents: Extents) -> Any:
    """An extent, computed from those that have names."""
    match axis:
        case ast.Name(name):
            return extents[name]
        case ast.Constant(int() as value):
            return value
        case ast.BinOp(left, ast.Add(), right):
            return extent_of(left, extents) + extent_of(right, extents)
        case ast.BinOp(left, ast.Sub(), right):
            return extent_of(left, extents) - extent_of(right, extents)
        case ast.BinOp(left, ast.Mult(), right):
            return extent_of(left, extents) * extent_of(right, extents)
        case ast.BinOp(left, ast.FloorDiv(), right):
            return extent_of(left, extents) // extent_of(right, extents)
    raise TypeError(f"{ast.unparse(axis)} is no extent: names, whole numbers and + - * // make one")


def _parts(text: str) -> list[str]:
    """What stands between commas that are in no parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]
