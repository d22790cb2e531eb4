"""Random graphs that match a pattern, and their values: what the laws of rewrite rules are tested on."""

from __future__ import annotations

import itertools
from functools import cache
from math import prod

import numpy as np

from tracejit.errors import TracejitError
from tracejit.ir import ops
from tracejit.ir.graph import Node, operands_of, parameter
from tracejit.ir.op import ELEMENTWISE, OPS, Op
from tracejit.ir.ops.expand import EAGER
from tracejit.ir.rewrite import Pattern
from tracejit.ir.term import postorder
from tracejit.ir.types import DTYPES, ArrayType, DType, array_type

SPECIAL = {
    "f": [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-7, -7.5, 100.25],
    "i": [0, 1, -1, 2, -2, 7, 100, -100],
    "u": [0, 1, 2, 7, 100, 255],
    "b": [False, True],
}
CONSTANTS = [0, 1, -0.0, 2, True, False, -1, 0.5, 3, -4.0]


class Refused(Exception):
    """This random choice leads nowhere; another may."""


SCALARS = {dtype: array_type((), dtype) for dtype in DTYPES.values()}


@cache
def operand_dtypes(op: Op, counts: tuple[int, ...]) -> dict[DType, list[tuple[DType, ...]]]:
    """By result dtype, the operand dtypes an elementwise op takes; all alike, but for one."""
    candidates = {
        dtypes: None
        for count, dtype, odd in itertools.product(counts, SCALARS, SCALARS)
        for dtypes in ((odd, *(dtype,) * (count - 1)), (*(dtype,) * (count - 1), odd))
    }
    found: dict[DType, list[tuple[DType, ...]]] = {}
    for dtypes in candidates:
        if op is ops.cast:
            for result in SCALARS if len(dtypes) == 1 else ():
                found.setdefault(result, []).append(dtypes)
            continue
        try:
            given = op.type_rule(*[SCALARS[dtype] for dtype in dtypes])
        except (TypeError, ValueError, AttributeError):
            continue
        found.setdefault(given.dtype, []).append(dtypes)
    return found


def result_dtypes(op: Op) -> list[DType]:
    """The dtypes an op can give, as far as this is worth knowing."""
    return [*operand_dtypes(op, (1, 2, 3))] if op.kind == ELEMENTWISE else [*SCALARS]


class Maker:
    """Makes nodes of wanted types that match patterns; choices come from `rng`.

    All broadcasts and transposes one maker invents are alike, so that rules about several equal
    ones have something to find.
    """

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.order = tuple(int(axis) for axis in rng.permutation(3))
        self.axes = [(), (0,), (1,), (0, 2), (1, 2)][rng.integers(5)]
        self.style = str(rng.choice(["plain", "broadcast", "transpose", "constant"]))
        self.count = 0

    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def shuffled(self, choices):
        choices = list(choices)
        return [choices[k] for k in self.rng.permutation(len(choices))]

    def fresh(self, type: ArrayType) -> Node:
        self.count += 1
        return parameter(f"x{self.count}", type)

    def leaf(self, type: ArrayType, guard) -> Node:
        shape, dtype = type.shape, type.dtype
        leaves = [self.fresh(type)]
        for value in self.shuffled(CONSTANTS):
            if not (dtype.kind == "u" and value < 0):
                scalar = ops.constant(value=dtype(value).item(), dtype=dtype)
                leaves.append(ops.broadcast(scalar, shape=shape, axes=()) if shape else scalar)
        if self.style == "constant":
            leaves.append(leaves.pop(0))
        if len(shape) == 3:
            source = tuple(shape[axis] for axis in self.axes)
            repeated = ops.broadcast(
                self.fresh(array_type(source, dtype)), shape=shape, axes=self.axes
            )
            source = tuple(shape[self.order.index(axis)] for axis in range(3))
            turned = ops.transpose(self.fresh(array_type(source, dtype)), axes=self.order)
            first = {
                "plain": [],
                "broadcast": [repeated, leaves[1]],
                "transpose": [turned, turned, leaves[1]],
            }
            chosen = first.get(self.style, [])
            leaves = [*self.shuffled(chosen)[:1], *leaves, repeated, turned]
        for leaf in leaves:
            if guard is None or guard(leaf):
                return leaf
        raise Refused

    def make(self, pattern, type: ArrayType, bound: dict) -> Node:
        if isinstance(pattern, Node):
            return pattern
        if pattern.op is None:
            if pattern.name not in bound:
                bound[pattern.name] = self.leaf(type, pattern.guard)
            if bound[pattern.name].type is not type:
                raise Refused
            return bound[pattern.name]
        types, attrs = self.split(pattern, type, bound)
        patterns = pattern.operands
        if patterns is None:
            patterns = [Pattern(None, name=f"any{self.count}.{k}") for k in range(len(types))]
        if len(patterns) != len(types):
            raise Refused
        operands = [self.make(inner, t, bound) for inner, t in zip(patterns, types)]
        try:
            node = Node.apply(pattern.op, tuple(operands), attrs)
        except TracejitError:
            raise Refused from None
        if node.type is not type:
            raise Refused
        return node

    def split(self, pattern: Pattern, type: ArrayType, bound: dict):
        """Operand types and attributes that may give `type`."""
        op, attrs = pattern.op, {}
        if op.kind == ELEMENTWISE:
            if op is ops.cast:
                attrs = {"dtype": type.dtype}
            types = self.elementwise_types(op, type, pattern.operands)
        else:
            types, attrs = getattr(self, f"split_{op.name}", self.split_reduction)(type, op)
        for key, wanted in pattern.attrs.items():
            if not isinstance(wanted, Pattern):
                attrs[key] = wanted
            elif bound.setdefault(wanted.name, attrs[key]) != attrs[key]:
                raise Refused
        return types, attrs

    def elementwise_types(self, op: Op, type: ArrayType, operands) -> list[ArrayType]:
        counts = (1, 2, 3) if operands is None else (len(operands),)
        found = operand_dtypes(op, counts).get(type.dtype)
        if found is None:
            raise Refused
        alike = [dtypes for dtypes in found if set(dtypes) == {type.dtype}]
        chosen = self.pick(alike if alike and self.rng.integers(2) else found)
        return [array_type(type.shape, dtype) for dtype in chosen]

    def split_cumsum(self, type, op):
        if not type.shape:
            raise Refused
        return [type], {"axis": int(self.rng.integers(len(type.shape)))}

    split_cumprod = split_cummax = split_cummin = split_cumsum
    split_cumlogaddexp = split_cumlogaddexp2 = split_cumsum

    def split_transpose(self, type, op):
        axes = tuple(int(axis) for axis in self.rng.permutation(len(type.shape)))
        if self.rng.integers(4) == 0:
            axes = tuple(range(len(axes)))
        source = tuple(type.shape[axes.index(axis)] for axis in range(len(axes)))
        return [array_type(source, type.dtype)], {"axes": axes}

    def split_broadcast(self, type, op):
        axes = tuple(axis for axis in range(len(type.shape)) if self.rng.integers(3))
        axes = self.pick([axes, (), tuple(range(len(type.shape)))])
        source = tuple(type.shape[axis] for axis in axes)
        return [array_type(source, type.dtype)], {"axes": axes, "shape": type.shape}

    def split_reshape(self, type, op):
        size = prod(type.shape)
        shapes = [type.shape, (size,), (1, size), type.shape[::-1], (*type.shape, 1), (size, 1, 1)]
        return [array_type(self.pick(shapes), type.dtype)], {"shape": type.shape}

    def split_slice(self, type, op):
        shape, start, stop, step = [], [], [], []
        for extent in type.shape:
            by = int(self.pick([1, 1, 1, 2, -1, -3]))
            low, more = (int(self.rng.integers(3)) * int(self.rng.integers(2)) for _ in range(2))
            first = low if by > 0 else low + (extent - 1) * -by
            reach = (extent - 1) * abs(by) + 1 if extent else 0
            shape.append(low + reach + more)
            start.append(first if extent else 0)
            step.append(by if extent else 1)
            stop.append((first + (extent - 1) * by + (1 if by > 0 else -1)) if extent else 0)
        attrs = {"start": tuple(start), "stop": tuple(stop), "step": tuple(step)}
        return [array_type(tuple(shape), type.dtype)], attrs

    def split_update(self, type, op):
        shape, start, stop, step = [], [], [], []
        for extent in type.shape:
            by = int(self.pick([1, 1, 2, -1]))
            count = int(self.rng.integers(1 + (extent + abs(by) - 1) // abs(by)))
            first = 0 if by > 0 else max(extent - 1, 0)
            shape.append(count)
            start.append(first if count else 0)
            step.append(by if count else 1)
            stop.append(first + (count - 1) * by + (1 if by > 0 else -1) if count else 0)
        attrs = {"start": tuple(start), "stop": tuple(stop), "step": tuple(step)}
        return [type, array_type(tuple(shape), type.dtype)], attrs

    def split_windows(self, type, op):
        if len(type.shape) < 2:
            raise Refused
        *shape, width = type.shape
        axis = int(self.rng.integers(len(shape)))
        shape[axis] += width - 1
        if shape[axis] < 0:
            raise Refused
        return [array_type(tuple(shape), type.dtype)], {"axis": axis, "width": width}

    def split_concatenate(self, type, op):
        return [type], {"axis": 0}

    def split_pad(self, type, op):
        low, high = (tuple(int(k) for k in self.rng.integers(0, 2, len(type.shape))) for _ in "ab")
        if self.rng.integers(2):
            low = high = (0,) * len(type.shape)
        source = tuple(n - a - b for n, a, b in zip(type.shape, low, high))
        return [array_type(source, type.dtype), array_type((), type.dtype)], {
            "low": low,
            "high": high,
        }

    def split_relayout(self, type, op):
        if not type.shape:
            raise Refused
        names = "abc"[: len(type.shape)]
        order = "".join(self.shuffled(list(names)))
        shape = tuple(type.shape[order.index(name)] for name in names)
        return [array_type(shape, type.dtype)], {
            "layout": f"{' '.join(names)} -> {' '.join(order)}"
        }

    def split_gather(self, type, op):
        if not type.shape:
            raise Refused
        index = array_type(type.shape[:1], DTYPES["i64"])
        return [array_type((5, *type.shape[1:]), type.dtype), index], {"axes": (0,)}

    def split_scatter(self, type, op):
        if not type.shape:
            raise Refused
        value = array_type((2, *type.shape[1:]), type.dtype)
        types = [type, value, array_type((2,), DTYPES["i64"])]
        return types, {"axes": (0,), "combine": None}

    def split_take_along(self, type, op):
        if not type.shape:
            raise Refused
        index = array_type(type.shape, DTYPES["i64"])
        return [array_type((5, *type.shape[1:]), type.dtype), index], {"axis": 0}

    def split_expand(self, type, op):
        room = type.size - EAGER
        if len(type.shape) != 1 or room < 0:
            raise Refused
        return [array_type((3,), type.dtype), array_type((3,), DTYPES["i64"])], {"room": room}

    def split_search_sorted(self, type, op):
        dtype = self.pick([DTYPES["i64"], DTYPES["f32"]])
        types = [array_type((4,), dtype), array_type(type.shape, dtype)]
        return types, {"side": str(self.pick(["left", "right"]))}

    def split_contract(self, type, op):
        labels = "abc"[: len(type.shape)]
        extents = dict(zip(labels, type.shape), k=2)
        where = {label: self.pick(["left", "right", "both"]) for label in labels}
        sides = [
            "".join(self.shuffled([*[c for c in labels if where[c] in (side, "both")], "k"]))
            for side in ("left", "right")
        ]
        types = [array_type(tuple(extents[c] for c in side), type.dtype) for side in sides]
        return types, {"spec": f"{sides[0]},{sides[1]}->{labels}"}

    def split_reduction(self, type, op):
        if op.name in ("all", "any") and type.dtype.kind != "b":
            raise Refused
        shape, axes = list(type.shape), []
        for extent in (2, 5)[: self.rng.integers(3)]:
            shape.insert(int(self.rng.integers(len(shape) + 1)), extent)
        for axis, extent in enumerate(shape):
            if extent in (2, 5):
                axes.append(axis)
        return [array_type(tuple(shape), type.dtype)], {"axes": tuple(axes)}


def values_of(type: ArrayType, rng: np.random.Generator, special: bool = True) -> np.ndarray:
    """An array of the type, with all that is special about its dtype."""
    dtype: DType = type.dtype
    kind = dtype.kind if dtype.kind != "c" else "f"
    real = dtype.real.numpy
    pool = list(SPECIAL[kind])
    if kind in "iu":
        pool += [np.iinfo(real).min, np.iinfo(real).max]
        pool = [value for value in pool if np.iinfo(real).min <= value <= np.iinfo(real).max]
    if kind == "f":
        pool += [np.finfo(real).max, np.finfo(real).tiny, np.finfo(real).smallest_subnormal]
        if not special:
            pool = [0.5, 1.25, -2.0, 3.5, -0.75]
    pool = np.array(pool, real)
    array = pool[rng.integers(len(pool), size=type.shape)]
    if dtype.is_complex:
        out = np.empty(type.shape, dtype.numpy)
        out.real, out.imag = array, pool[rng.integers(len(pool), size=type.shape)]
        return out
    return np.asarray(array, dtype.numpy)


def evaluate(results: list[Node], given: dict[Node, np.ndarray]) -> list[np.ndarray]:
    """The values of nodes, by each op's own reference."""
    values = dict(given)
    with np.errstate(all="ignore"):
        for node in postorder(results, operands_of):
            if node not in values:
                operands = [values[operand] for operand in node.operands]
                values[node] = node.op.reference(*operands, **node.attrs)
    return [np.asarray(values[result]) for result in results]


def parameters_of(results: list[Node]) -> list[Node]:
    return [node for node in postorder(results, operands_of) if node.op is OPS["parameter"]]


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal dtype, shape and bits; NaNs are all alike."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind == "c":
        return same_bits(a.real.copy(), b.real.copy()) and same_bits(a.imag.copy(), b.imag.copy())
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    equal = (a == b) & (np.signbit(a) == np.signbit(b))
    return bool(np.all(equal | (np.isnan(a) & np.isnan(b))))
