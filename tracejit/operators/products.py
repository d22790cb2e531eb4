"""NumPy's products of matrices as operators: computed by loops of our own, or by the BLAS of NumPy.

Which one is decided by TRACEJIT_DOT where nothing else is said; where something is, the node says
so: `contract(a, b, by="library", spec=...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..ir import ops
from ..ir.graph import Node, rebuild_nodes
from ..registered import Applied
from ..trace.array import Array
from ..trace.context import current_trace, failure
from ..trace.scipy_objects import is_traced
from ..trace.tree import flatten
from ..trace.value import Value, node_of
from .implementation import GENERATED, LIBRARY

FUNCTIONS = (
    np.dot, np.matmul, np.inner, np.outer, np.tensordot, np.einsum, np.vdot, np.linalg.multi_dot,
)  # fmt: skip


def is_product(function: Any) -> bool:
    return any(function is known for known in FUNCTIONS)


class Product(Applied):
    """One of these functions, and how its products are computed; "" is as the configuration says."""

    implementations = (GENERATED, LIBRARY)

    def __init__(self, function: Callable[..., Any], by: str = ""):
        self.function, self._by = function, by
        self.__name__ = self.__qualname__ = function.__name__

    def by(self, implementation: str) -> Product:
        """The same, its products computed in this way: "generated" or "library"."""
        if implementation not in self.implementations:
            listed = " and ".join(map(repr, self.implementations))
            raise TypeError(
                f"{self.__name__} has the implementations {listed}, not {implementation!r}"
            )
        return Product(self.function, implementation)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.function(*args, **kwargs)
        if not self._by or current_trace() is None or not is_traced((args, kwargs)):
            return result
        leaves, _ = flatten((args, kwargs))
        inputs = {node_of(leaf): node_of(leaf) for leaf in leaves if isinstance(leaf, Value)}
        count = 0

        def visit(node: Node) -> Node:
            nonlocal count
            if node.op is not ops.contract:
                return node
            count += 1
            return Node(node.op, node.operands, (("by", self._by), *node.attributes))

        (node,) = rebuild_nodes((node_of(result),), visit, inputs)
        if not count:
            raise failure(
                UnsupportedError,
                f"{self.__name__} of these operands is no product of matrices",
                f"call np.{self.__name__} itself",
            )
        return Array(node, result.is_scalar, result.weak)

    def __repr__(self) -> str:
        return f"<op {self.__name__}{f' by {self._by}' if self._by else ''}>"
