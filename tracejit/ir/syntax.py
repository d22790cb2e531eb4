"""The words and signs both directions of the text share."""

from __future__ import annotations

import ast
import keyword
import threading
from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

from ..errors import IRError, TracejitError
from .dims import Dim, Quotient, Symbol
from .op import OPS, Op
from .tensor import APPLY_OP, Apply, Expression, Literal
from .term import postorder
from .types import DTYPES, ArrayType, DType

# Python 3.11 keeps the depth of a syntax tree that it converts in one place for all threads, and
# gives up with a SystemError when two of them do so at once.
AST_LOCK = threading.Lock()

INFIX = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "bitwise_or": "|",
    "bitwise_xor": "^",
    "bitwise_and": "&",
    "left_shift": "<<",
    "right_shift": ">>",
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
}
PREFIX = {"negative": "-", "invert": "~"}
ATOM = 9
PRECEDENCE = {"|": 2, "^": 3, "&": 4, "<<": 5, ">>": 5, "+": 6, "-": 6, "*": 7, "/": 7}
PRECEDENCE |= {"//": 7, "%": 7, "==": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "~": 8}
AUGMENTED = ("add", "multiply", "bitwise_and", "bitwise_or", "bitwise_xor")

OPERATORS: dict[type, str] = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor",
    ast.BitAnd: "bitwise_and",
    ast.LShift: "left_shift",
    ast.RShift: "right_shift",
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.USub: "negative",
    ast.Invert: "invert",
}

# A loop's mark and the iterator that shows it; marks without an entry show as themselves.
LOOP_WORDS = {"serial": "range"}
LOOP_MARKS = {word: mark for mark, word in LOOP_WORDS.items()}
# What stands in the place of a dtype where an Index is named.
INDEX_WORD = "index"
WORDS = {
    "apart",
    "accumulate",
    "bounded",
    "extern",
    "host",
    INDEX_WORD,
    "inf",
    "kept",
    "kernel",
    "local",
    "named",
    "nan",
    "ordered",
    "parallel",
    "range",
    "register",
    "strides",
    "tuple_type",
    "unroll",
    "updated",
    "vector",
}


def scalar_dtype(op: str, dtypes: tuple[DType, ...]) -> DType | None:
    """The dtype the op's own type rule gives for scalars, or None where it gives none."""
    key = (op, dtypes)
    found = _scalar_dtypes.get(key)
    if found is None and op in OPS:
        try:
            result = OPS[op].type_rule(*[ArrayType((), dtype, None) for dtype in dtypes])
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError, TracejitError):
            return None
        found = _scalar_dtypes[key] = getattr(result, "dtype", None)
    return found


def _apply_op(op: Op, operands: tuple, attrs: dict[str, Any]) -> Expression:
    """An op on expressions; constants of graphs among the operands are literals."""
    dtype = attrs.pop("dtype", None)
    if attrs:
        raise IRError(f"scalar operations have no attributes: {op.name}({', '.join(attrs)})")
    found = tuple([e if isinstance(e, Expression) else Literal(*_constant(e)) for e in operands])
    if dtype is None:
        dtype = scalar_dtype(op.name, tuple([e.dtype for e in found]))
        if dtype is None:
            listed = ", ".join(str(e.dtype) for e in found)
            raise IRError(f"{op.name}({listed}) is no operation of kernels")
    return Apply(op.name, found, dtype)


def _constant(node: Any) -> tuple[Any, DType]:
    attrs = getattr(node, "attrs", {})
    if "value" not in attrs:
        raise IRError(f"{node!r} is no operand of a scalar operation")
    return attrs["value"], attrs["dtype"]


APPLY_OP[:] = [_apply_op]


_scalar_dtypes: dict[tuple[str, tuple[DType, ...]], DType | None] = {}


class Names:
    """Distinct Python identifiers: each as near to the name wanted as Python and the text allow."""

    def __init__(self, taken: Iterable[str] = ()):
        self.taken = {*taken}
        self.counts: dict[str, int] = {}

    def pick(self, wanted: str) -> str:
        name = wanted
        if not name.isidentifier():
            name = "".join(c if f"_{c}".isidentifier() else "_" for c in name)
            name = name if name.isidentifier() else f"_{name}"
        stem, count = name, 0
        while name in self.taken or is_reserved(name):
            count += 1
            name = f"{stem}_{count}"
        self.taken.add(name)
        return name

    def fresh(self, letter: str) -> str:
        """The next of `t0`, `t1`, ... that is free."""
        count = self.counts.get(letter, 0)
        while f"{letter}{count}" in self.taken:
            count += 1
        self.counts[letter] = count + 1
        self.taken.add(f"{letter}{count}")
        return f"{letter}{count}"


def is_reserved(name: str) -> bool:
    return name in WORDS or name in OPS or name in DTYPES or keyword.iskeyword(name)


def symbol_names(value: object) -> set[str]:
    """The unknowns in the extents of a type, an attribute, or a tuple of these."""
    found: set[str] = set()
    pending = [value]
    while pending:
        root = pending.pop()
        kind = type(root)
        if kind is ArrayType:
            pending += root.shape
        elif kind is int or kind is str:
            continue  # as nearly all of them are
        elif isinstance(root, tuple):
            pending += root
        elif isinstance(root, (Dim, Quotient)):
            found.update([t.name for t in postorder((root,)) if isinstance(t, Symbol)])
    return found


# Attributes that are no terms, such as Python callables, cannot be written down: the text names
# them and this table, which does not keep them alive, finds them again in the same process.
_hosted: WeakValueDictionary[str, object] = WeakValueDictionary()
_kept: dict[str, object] = {}


def host_name(value: object) -> str:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    stem = f"{module or 'numpy'}.{name or getattr(value, '__name__', type(value).__name__)}"
    candidate, count = stem, 0
    while (holder := hosted(candidate)) is not None and holder is not value:
        count += 1
        candidate = f"{stem}#{count}"
    try:
        _hosted[candidate] = value
    except TypeError:  # ufuncs and the like take no weak references; they are few and permanent
        _kept[candidate] = value
    return candidate


def hosted(name: str) -> object | None:
    return _hosted.get(name, _kept.get(name))
