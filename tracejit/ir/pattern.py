"""Patterns: shapes of graphs, and of the expressions of kernels, with wildcards.

A pattern is built by calling ops on wildcards, as a node is built by calling them on nodes:

    x, p = wild("x"), wild("p")
    transpose(multiply(x, 2.0), axes=p)

A wildcard that occurs twice matches the same value twice. Operands of a commutative op match in
either order. Attributes that the pattern does not mention may be anything. A number matches a
constant of that value, also one that is broadcast. The same pattern matches nodes of a graph and
the scalar expressions of a kernel, whose operations are named like ops; there `cast` has a dtype and
`constant` a value and a dtype, and nothing else has attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .graph import Node
from .op import OPS, Op
from .tensor import Apply, Expression, Literal
from .term import Term
from .types import DType, to_dtype

Guard = Callable[[Any], bool]
Bindings = dict[str, Any]
# Where bindings keep the `(pattern, value)` pairs of a match, when whoever matches asks for them by
# putting an empty tuple there.
TRAIL = ""
NO_ATTRS: dict[str, Any] = {}


class Pattern:
    """A shape of graph: an op on patterns, or, where `op` is None, a named wildcard.

    `operands` of None matches any operands. What matches also passes `guard`, is used `uses` times,
    if that is a number, and is bound to `name`, if there is one.
    """

    __slots__ = ("attrs", "guard", "name", "op", "operands", "uses")

    def __init__(
        self,
        op: Op | None,
        operands: tuple[Any, ...] | None = (),
        attrs: Bindings | None = None,
        name: str = "",
        guard: Guard | None = None,
        uses: int | None = None,
    ):
        self.op, self.operands, self.attrs = op, operands, attrs or {}
        self.name, self.guard, self.uses = name, guard, uses

    @staticmethod
    def apply(op: Op, operands: tuple, attrs: Bindings) -> Pattern:
        """What calling an op on patterns builds; nodes among the operands match themselves."""
        return Pattern(op, operands, attrs)

    def __rshift__(self, replacement: Pattern | Callable[..., Any]) -> Any:
        return RULE[0](self, replacement)

    # Conditions: each gives another pattern.

    def where(self, guard: Guard) -> Pattern:
        """Only where `guard(value)` holds, besides what is asked already."""
        before = self.guard
        both = guard if before is None else lambda value: before(value) and guard(value)
        return self._with(guard=both)

    def used(self, times: int) -> Pattern:
        """Only what is used so many times, by operands and results of the whole function."""
        return self._with(uses=times)

    def named(self, name: str) -> Pattern:
        """Bind what matches, so that conditions and replacements may ask for it."""
        return self._with(name=name)

    def _with(self, **new: Any) -> Pattern:
        fields = {field: getattr(self, field) for field in self.__slots__}
        return Pattern(**{**fields, **new})

    def __repr__(self) -> str:
        if self.op is None:
            return self.name
        operands = ["..."] if self.operands is None else map(repr, self.operands)
        attrs = [f"{key}={value!r}" for key, value in self.attrs.items()]
        return f"{self.op.name}({', '.join([*operands, *attrs])})"

    def parts(self) -> Iterator[Pattern]:
        """The pattern and those inside it."""
        yield self
        for part in (*(self.operands or ()), *self.attrs.values()):
            if isinstance(part, Pattern):
                yield from part.parts()

    def matches(self, value: Any, bound: Bindings) -> Iterator[Bindings]:
        """Every way `value` fits, as what the wildcards then stand for."""
        if self.op is None:
            if self.name in bound:
                if _same(bound[self.name], value):
                    yield bound
            elif self.guard is None or self.guard(value):
                bound = {**bound, self.name: value}
                yield bound if self.uses is None else self._noted(value, bound)
            return
        if type(value) is Node:
            if value.op is not self.op:
                return
            attrs = value.attrs if self.attrs else NO_ATTRS
        else:
            attrs = self._attrs_of(value)
        if attrs is None or self.guard is not None and not self.guard(value):
            return
        for key, wanted in self.attrs.items():
            found = next(_match(wanted, attrs[key], bound), None) if key in attrs else None
            if found is None:
                return
            bound = found
        if self.name:
            bound = {**bound, self.name: value}
        if TRAIL in bound:
            bound = self._noted(value, bound)
        operands = value.operands if isinstance(value, Node | Apply) else ()
        if self.operands is None:
            yield bound
        elif len(self.operands) == len(operands):
            yield from _match_all(self.operands, operands, bound)
            if self.op.commutative and len(operands) == 2:
                yield from _match_all(self.operands, operands[::-1], bound)

    def _attrs_of(self, value: Any) -> Mapping[str, Any] | None:
        """The attributes of an expression of the pattern's op; None for any other."""
        match value:
            case Apply():
                if value.op == self.op.name:
                    return {"dtype": value.dtype} if value.op == "cast" else NO_ATTRS
            case Literal(number, dtype) if self.op.name == "constant":
                return {"value": number, "dtype": dtype}
        return None

    def _noted(self, value: Any, bound: Bindings) -> Bindings:
        return {**bound, TRAIL: (*bound.get(TRAIL, ()), (self, value))}

    def build(self, bound: Bindings) -> Any:
        """What the pattern describes, given what its wildcards stand for."""
        if self.op is None:
            return bound[self.name]
        operands = [_build(operand, bound) for operand in self.operands or ()]
        like = next((o for o in operands if isinstance(o, Term)), None)
        operands = [o if isinstance(o, Term) else constant_like(like, o) for o in operands]
        return self.op(*operands, **{k: _build(v, bound) for k, v in self.attrs.items()})


# What `pattern >> replacement` makes; set by ir.rewrite, which is above.
RULE: list[Callable[[Pattern, Any], Any]] = []


def wild(
    name: str,
    guard: Guard | None = None,
    *,
    dtype: Any = None,
    kind: str = "",
    ndim: int | None = None,
    shape: tuple | None = None,
    uses: int | None = None,
) -> Pattern:
    """A wildcard: any node, expression or attribute that passes all conditions.

    `guard` is called with it; `dtype` is one of ours or NumPy's, `kind` letters of NumPy's kinds, such
    as `"iu"`; `ndim` and `shape` are those of a node; `uses` is how many times it is used.
    """
    if not name:
        raise ValueError("a wildcard has a name")
    found = Pattern(None, name=name, guard=guard, uses=uses)
    if dtype is not None:
        wanted = dtype if isinstance(dtype, DType) else to_dtype(dtype)
        found = found.where(lambda value: value.dtype is wanted)
    if kind:
        found = found.where(lambda value: value.dtype.kind in kind)
    if ndim is not None:
        found = found.where(lambda node: node.type.ndim == ndim)
    if shape is not None:
        found = found.where(lambda node: node.type.shape == shape)
    return found


def any_use(op: Op) -> Pattern:
    """Any node of `op`, whatever its operands and attributes."""
    return Pattern(op, None)


def _same(a: Any, b: Any) -> bool:
    """Equality as terms have it: by type and bits. A term holds any attribute, so it can tell."""
    return a is b if isinstance(a, Node) else _Held((a,)) is _Held((b,))


class _Held(Term):
    """A term around an attribute, to compare it."""

    __slots__ = ("value",)
    value: Any


def _match(pattern: Any, value: Any, bound: Bindings) -> Iterator[Bindings]:
    if isinstance(pattern, Pattern):
        yield from pattern.matches(value, bound)
    elif isinstance(value, Node | Expression) and not isinstance(pattern, Term):
        if is_constant(value, pattern):
            yield bound
    elif _same(pattern, value):
        yield bound


def _match_all(patterns: tuple, values: tuple, bound: Bindings) -> Iterator[Bindings]:
    if not patterns:
        yield bound
        return
    for found in _match(patterns[0], values[0], bound):
        yield from _match_all(patterns[1:], values[1:], found)


def _build(part: Any, bound: Bindings) -> Any:
    return part.build(bound) if isinstance(part, Pattern) else part


def is_constant(value: Node | Expression, number: Any) -> bool:
    """Whether all elements are `number`, in their own dtype and to the last bit."""
    if isinstance(value, Node):
        if value.op.name == "broadcast" and not value.attrs["axes"]:
            (value,) = value.operands
        if value.op.name != "constant":
            return False
        found, dtype = value.attrs["value"], value.dtype
    elif isinstance(value, Literal):
        found, dtype = value.value, value.dtype
    else:
        return False
    return found == number and dtype(found).tobytes() == dtype(number).tobytes()


def constant_like(like: Node | Expression, number: Any) -> Any:
    """`number` in the dtype, and for a node the shape, of another value."""
    number = like.dtype(number).item()
    if isinstance(like, Expression):
        return Literal(number, like.dtype)
    scalar = OPS["constant"](value=number, dtype=like.dtype)
    if like.type.shape == ():
        return scalar
    return OPS["broadcast"](scalar, shape=like.type.shape, axes=())
