"""Operators whose implementation works on memory in another order than its operands are in.

The operator is one of values; its kernel or C function sees what `layouts` say: blocks, say, of so
many columns. Bringing values into that order and back is part of the program (`relayout`), where the
pass `carry_layouts` takes it apart from the neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..ir import ops
from ..ir.graph import Node
from ..ir.ops.relayout import parts_of
from ..trace.context import failure
from .calls import Parameters
from .implementation import Application, Implementation, as_results

Layouts = Sequence[str | None]


class LaidOut(Implementation):
    """Another implementation, between relayouts of its operands and of its results."""

    def __init__(self, name: str, inner: Implementation, layouts: Layouts):
        self.name, self.inner, self.layouts = name, inner, tuple(layouts)
        self.kind = inner.kind  # type: ignore[misc]
        self.parameters: Parameters | None = inner.parameters
        for layout in filter(None, self.layouts):
            parts_of(layout)

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        given, taken = self._split(len(operands))
        packed = tuple([self._packed(node, layout) for node, layout in zip(operands, given)])
        types = tuple([node.type for node in packed])
        results = self.inner.nodes(packed, Application(types, call.scalars, call.attributes))
        if len(results) != len(taken):
            raise self._wrong_count(len(operands), len(results))
        return tuple(
            [
                node if layout is None else ops.relayout(node, inverse=True, layout=layout)
                for node, layout in zip(results, taken)
            ]
        )

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        given, taken = self._split(len(args))
        packed = [
            x if layout is None else ops.relayout.reference(x, layout=layout)
            for x, layout in zip(args, given)
        ]
        found = self.inner.run(tuple(packed), kwargs)
        results = found if isinstance(found, tuple) else (found,)
        if len(results) != len(taken):
            raise self._wrong_count(len(args), len(results))
        return as_results(
            [
                np.asarray(x)
                if layout is None
                else ops.relayout.reference(x, layout=layout, inverse=True)
                for x, layout in zip(results, taken)
            ]
        )

    def _split(self, count: int) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
        return self.layouts[:count], self.layouts[count:]

    def _wrong_count(self, operands: int, results: int) -> TypeError:
        return TypeError(
            f"op {self.name} has {operands} operands and {results} results, and {len(self.layouts)} "
            "layouts; give one for each, or None"
        )

    def _packed(self, node: Node, layout: str | None) -> Node:
        if layout is None:
            return node
        _, parts = parts_of(layout)
        for part in parts:
            extent = node.type.shape[part.axis] if part.axis < node.type.ndim else 0
            if part.block and extent % part.block != 0:
                raise failure(
                    ShapeError,
                    f"op {self.name} works on blocks of {part.block}, which {node.type} is not made of",
                    f"pad axis {part.axis} to a multiple of {part.block}",
                )
        return ops.relayout(node, layout=layout)
