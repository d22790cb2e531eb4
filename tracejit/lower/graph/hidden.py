"""Which scores of a softmax a mask hides, whatever the data are: blocks of keys may do without them.

A mask chooses, `where(mask, scores, -inf)`, or is added, `scores + where(mask, 0, -1e9)`. Of a hidden score
nothing is left where its exponential is 0 beside the largest one of its row. How large hidden scores are
at most, `bound`, is computed from the largest of what the scores are made of, when the program runs: a
product of queries and keys is no larger than that of their largest numbers, times the features. Where
something there is infinite, or no number, it comes out as no number, and nothing may be skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np

from ...ir.bounds import facts_of
from ...ir.graph import Node
from ...ir.op import OPS, Element
from ...ir.ops import broadcast, contract, reshape, transpose
from ...ir.ops.contract import label_roles, split_spec
from ...ir.ops.create import constant
from ...ir.tensor import Apply, Buffer, Expression, Literal, Load, parts
from ...ir.term import postorder
from ...ir.types import DType, array_type, bool_
from ..elements import Composer, axis_indices
from .softmax import Softmax
from .values import scalar_of, scalar_value

# A score that is lower than others in its row by so much has an exponential of 0, by bytes of the dtype.
UNDERFLOW = {4: 104.0, 8: 746.0}
ROUNDING = 1.01  # of a sum of many products, at most
MOVED = (broadcast, transpose, reshape, OPS["cast"])
LARGER = (OPS["maximum"], OPS["minimum"])
SAME_SIZE = (OPS["negative"], OPS["absolute"])


class Hidden(NamedTuple):
    """`facts` are at least 0 at the places of all scores that may be left, by the axes' indices; what is
    hidden is at most `bound`, a scalar node, which is -inf or no number if it `is_nothing`."""

    facts: tuple[Expression, ...]
    bound: Node
    is_nothing: bool


def hidden_by(softmax: Softmax) -> Hidden | None:
    """What masks hide in a softmax between two products; None where that cannot be told from places."""
    node, dtype = softmax.scores, softmax.scores.type.dtype
    index = axis_indices(node.type.ndim)
    facts: list[Expression] = []
    # What hidden scores may be: a number and what is added to it; so is what other masks put in their place.
    levels: list[_Level] = []
    other: list[_Level] = []
    outer: list[Node] = []  # what is added to all scores, hidden ones too
    while (mask := _chosen(node, index) or _added(node, index)) is not None:
        if mask.facts and mask.value <= -UNDERFLOW[dtype.itemsize]:
            facts += mask.facts
            levels += [*other, (mask.value, [*outer, *mask.around])]
            other = []
        elif mask.added is None:
            other.append((mask.value, [*outer]))
        if mask.added is not None:
            outer.append(mask.added)
        node = mask.scores
    bound = _bound(levels, softmax.values, dtype) if facts else None
    if bound is None:
        return None
    return Hidden(tuple(facts), bound, all(value == -inf for value, _ in levels))


def _bound(levels: list[_Level], values: Node, dtype: DType) -> Node | None:
    """What hidden scores are at most: no number where that, or one of the values, is not finite."""
    zero = constant(value=0.0, dtype=dtype)
    none = OPS["multiply"](values, broadcast(zero, axes=(), shape=values.type.shape))
    finite = OPS["sum"](none, axes=tuple(range(values.type.ndim)))
    most: Node | None = None
    for value, around in levels:
        total = constant(value=value, dtype=dtype)
        for node in around:
            above = _most(node, dtype)
            if above is None:
                return None
            total = OPS["add"](total, above)
        most = total if most is None else OPS["maximum"](most, total)
    return most and OPS["add"](most, finite)


# Masks.


class _Mask(NamedTuple):
    """A mask on `scores`: the value of what it hides, with what `around` is added to it, or may be; what it
    is that is `added` to all, if it is no choice; and `facts` of what is left, none where data decide."""

    scores: Node
    value: float
    facts: list[Expression]
    added: Node | None = None
    around: tuple[Node, ...] = ()


_Level = tuple[float, list[Node]]


def _chosen(node: Node, index: tuple) -> _Mask | None:
    """Of `where(mask, scores, value)`, or the other way round."""
    if node.op is not OPS["where"]:
        return None
    mask, *choices = node.operands
    values = [scalar_value(choice) for choice in choices]
    if (values[0] is None) == (values[1] is None):
        return None
    is_kept = values[1] is not None  # where the mask holds
    value = values[1] if is_kept else values[0]
    facts = facts_of(_value_at(mask, index), is_kept)
    return _Mask(choices[not is_kept], float(value), facts)


def _added(node: Node, index: tuple) -> _Mask | None:
    """Of `scores + mask`, or less it: what is added may depend on places through one condition alone."""
    masks = [side for side in _sides_of_sum(node) if not _has_product(side)]
    if len(masks) != 1:
        return None
    (added,) = masks
    (scores,) = [side for side in _sides_of_sum(node) if side is not added]
    value = _value_at(added, index)
    conditions = {part for part in postorder((value,), _unless_bool) if part.dtype is bool_}
    if len(conditions) == 1:
        (condition,) = conditions
        found = [_folded(value, condition, holds) for holds in (True, False)]
        if None not in found and found[0] != found[1]:
            facts = facts_of(condition, bool(found[0] > found[1]))
            return _Mask(scores, float(min(found)), facts, added, (scores,))
    return _Mask(scores, 0.0, [], added)


def _sides_of_sum(node: Node) -> tuple[Node, ...]:
    """The two values that a node is the sum of; none where it is no sum."""
    if node.op is OPS["add"]:
        return node.operands
    if node.op is OPS["subtract"]:
        return node.operands[0], OPS["negative"](node.operands[1])
    if node.op is OPS["fma"]:
        return OPS["multiply"](*node.operands[:2]), node.operands[2]
    return ()


def _unless_bool(part: Expression) -> Iterable[Expression]:
    return () if part.dtype is bool_ else parts(part)


def _value_at(node: Node, index: tuple) -> Expression:
    """A node's element as an expression of its indices, and of what is in memory."""

    def stored(node: Node, at: tuple) -> Expression | None:
        if isinstance(node.op.lowering, Element) and node.op.name != "parameter":
            return None
        return Load(Buffer("data", array_type(node.type.shape, node.type.dtype), "local"), at)

    return Composer(stored).value(node, index)


def _folded(value: Expression, condition: Expression, holds: bool) -> Any:
    """The number that an expression is where a condition holds, or does not; None where it is none."""
    known: dict[Expression, Any] = {condition: np.bool_(holds)}
    for part in postorder((value,), lambda e: () if e in known else parts(e)):
        if part in known:
            continue
        operands = [known.get(p) for p in parts(part)]
        if isinstance(part, Literal):
            known[part] = part.dtype(part.value)
        elif not isinstance(part, Apply) or None in operands:
            return None
        elif part.op == "cast":
            known[part] = part.dtype(operands[0])
        elif part.op in OPS:
            with np.errstate(all="ignore"):
                known[part] = OPS[part.op].reference(*operands)
        else:
            return None
    return known[value]


def _has_product(node: Node) -> bool:
    return any(n.op is contract for n in postorder((node,), lambda n: n.operands))


# Bounds.


def _most(node: Node, dtype: DType) -> Node | None:
    """A scalar that no element of a node is above; None where that is dear to know."""
    op, operands = node.op, node.operands
    if op in MOVED:
        return _most(operands[0], dtype)
    if op is OPS["where"] or op in LARGER:
        return _joined("maximum", [_most(operand, dtype) for operand in operands[-2:]])
    if sides := _sides_of_sum(node):
        return _joined("add", [_most(side, dtype) for side in sides])
    if scalar_of(node) is None and not _has_product(node):
        return _largest(node, dtype)
    return _size(node, dtype)


def _size(node: Node, dtype: DType) -> Node | None:
    """A scalar that no element of a node is further from 0 than."""
    op, operands = node.op, node.operands
    value = scalar_value(node)
    if value is not None:
        return constant(value=abs(float(value)), dtype=dtype)
    if op in MOVED or op in SAME_SIZE:
        return _size(operands[0], dtype)
    if op is OPS["tanh"]:  # of no number it is none
        return _joined("minimum", [_size(operands[0], dtype), constant(value=1.0, dtype=dtype)])
    if op is contract:
        times = constant(value=ROUNDING * _terms(node), dtype=dtype)
        return _joined("multiply", [*[_size(operand, dtype) for operand in operands], times])
    if op is OPS["multiply"]:
        return _joined("multiply", [_size(operand, dtype) for operand in operands])
    if op is OPS["divide"] and scalar_of(operands[1]) is not None:
        return _joined("divide", [_size(operand, dtype) for operand in operands])
    if sides := _sides_of_sum(node):
        return _joined("add", [_size(side, dtype) for side in sides])
    if op is OPS["where"] or op in LARGER:
        return _joined("maximum", [_size(operand, dtype) for operand in operands[-2:]])
    return None if _has_product(node) else _largest(OPS["absolute"](node), dtype)


def _terms(product: Node) -> int:
    left, right, _ = split_spec(product.attrs["spec"])
    a, b = product.operands
    extents = dict(zip(left + right, (*a.type.shape, *b.type.shape)))
    return prod(extents[label] for label in label_roles(product.attrs["spec"])[3])


def _largest(node: Node, dtype: DType) -> Node | None:
    if not node.type.dtype.is_float:
        return None
    found = OPS["max"](node, axes=tuple(range(node.type.ndim))) if node.type.shape else node
    return found if found.type.dtype is dtype else OPS["cast"](found, dtype=dtype)


def _joined(op: str, sides: list[Node | None]) -> Node | None:
    total, *others = sides
    for side in others:
        total = OPS[op](total, side) if total is not None and side is not None else None
    return total
