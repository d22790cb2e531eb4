"""Scalar operations in LLVM: what each name in an `Apply` means for real dtypes, NumPy's rules kept.

`bool` values are i1 in registers; f16 is computed in f32 and rounded after each operation, as NumPy
does. Rules work for any number of lanes.
"""

from __future__ import annotations

from functools import partial

from ...errors import UnsupportedError
from ...ir.types import DType
from .builder import Builder, Value
from .floats import FLOAT, HALF, HALF_EXACT, Rule
from .integers import BOOL, INTEGER
from .math import MATH, functions


def apply_real(b: Builder, op: str, dtype: DType, operands: tuple[Value, ...]) -> Value:
    """`op` on operands of real dtype `dtype`."""
    if dtype.name == "f16" and op in HALF:
        return HALF[op](b, *operands)
    if dtype.name == "f16" and op not in HALF_EXACT:
        wide = tuple([b.cast("fpext", x, "float") if x.kind == "half" else x for x in operands])
        result = _float_rule(op)(b, *wide)
        return b.cast("fptrunc", result, "half") if result.kind == "float" else result
    if dtype.is_float:
        return _float_rule(op)(b, *operands)
    table = BOOL if dtype.kind == "b" else INTEGER
    rule = table.get(op)
    if rule is None:
        raise UnsupportedError(f"{op} of {dtype} is not compiled yet")
    return rule(b, dtype, *operands)


def compare_signed_with_unsigned(
    b: Builder, op: str, dtypes: tuple[DType, DType], x: Value, y: Value
) -> Value:
    """Compare an i64 with a u64, in either order: a negative number is below every unsigned one."""
    x, y = b.unify(x, y)
    left_is_signed = dtypes[0].is_signed
    signed = x if left_is_signed else y
    predicate, of_negative_left, of_negative_right = _MIXED_COMPARISONS[op]
    answer = b.const(of_negative_left if left_is_signed else of_negative_right, "i1", x.lanes)
    negative = b.compare("slt", signed, b.like(0, signed))
    return b.select(negative, answer, b.compare(predicate, x, y))


# The predicate where nothing is negative; the answer where the left one is, and the right one.
_MIXED_COMPARISONS = {
    "equal": ("eq", False, False),
    "not_equal": ("ne", True, True),
    "less": ("ult", True, False),
    "less_equal": ("ule", True, False),
    "greater": ("ugt", False, True),
    "greater_equal": ("uge", False, True),
}


def _float_rule(op: str) -> Rule:
    rule = FLOAT.get(op)
    if rule is None and op not in MATH:
        raise UnsupportedError(f"{op} of floats is not compiled yet")
    return rule or partial(functions.apply, op)
