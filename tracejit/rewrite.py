"""Rules of one's own: `pattern >> replacement` over graphs and over the expressions of kernels.

>>> from tracejit.rewrite import ops, rewriting, wild
>>> x = wild("x")
>>> cancel = rewriting(ops.exp(ops.log(x)) >> x, name="cancel")
>>> tracejit.jit(f, passes=tracejit.pipeline().prepend(cancel))
"""

from typing import Any

from .ir import ops as _vocabulary  # noqa: F401 - importing defines them
from .ir.group import grouping
from .ir.op import OPS, Op
from .ir.ops.elementwise import fma
from .ir.pattern import Pattern, any_use, wild
from .ir.rewrite import Rule, rewriting

__all__ = ["Pattern", "Rule", "any_use", "fma", "grouping", "ops", "rewriting", "wild"]


class _Ops:
    """Every op of the vocabulary, as an attribute of the name that the text has."""

    def __getattr__(self, name: str) -> Op:
        if name not in OPS:
            raise AttributeError(f"there is no op {name!r}")
        return OPS[name]

    def __dir__(self) -> list[str]:
        return sorted(OPS)


ops: Any = _Ops()
