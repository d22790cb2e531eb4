"""Bring every graph Function to one normal form, changing no bit of any result.

Chains of movement are one op, elementwise ops run before their operands are repeated, constants
are second operands, and what computes nothing is gone. Equal subgraphs are one already, because
nodes are interned.
"""

from __future__ import annotations

from ...ir.graph import Module, map_functions
from ...ir.rewrite import Rule, rewriter
from .algebra import ALGEBRA_RULES
from .exchange import UPDATE_RULES
from .joining import JOINING_RULES
from .movement import ELEMENTWISE_OPS, MOVEMENT_RULES, REORDERING_RULES, lifting_rules
from .windows import WINDOW_RULES

LIFTING_RULES = [rule for op in ELEMENTWISE_OPS for rule in lifting_rules(op)]
RULES: tuple[Rule, ...] = (
    *ALGEBRA_RULES,
    *MOVEMENT_RULES,
    *JOINING_RULES,
    *UPDATE_RULES,
    *REORDERING_RULES,
    *WINDOW_RULES,
    *LIFTING_RULES,
)
_normalize = rewriter(*RULES)


def canonicalize(module: Module) -> Module:
    """The same module in normal form."""
    return map_functions(module, _normalize)
