"""Sample applications of an op, for records whose kind does not tell how they may be applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..types import ArrayType, DType, array_type

Shapes = Sequence[tuple[int, ...]]
Samples = Callable[[DType], list[tuple[list[ArrayType], dict[str, Any]]]]


def samples(*cases: tuple[Shapes, dict[str, Any]]) -> Samples:
    """The given shapes of the operands with attributes, for operands of any one dtype."""

    def of(dtype: DType) -> list[tuple[list[ArrayType], dict[str, Any]]]:
        return [([array_type(shape, dtype) for shape in shapes], attrs) for shapes, attrs in cases]

    return of
