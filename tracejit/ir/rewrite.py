"""Rewriting: `pattern >> replacement` rules, in tables, applied by one engine.

A pattern is built by calling ops on wildcards, as a node is built by calling them on nodes:

    x, p, q = wild("x"), wild("p"), wild("q")
    negative(negative(x)) >> x
    transpose(transpose(x, axes=p), axes=q) >> (lambda x, p, q: transpose(x, axes=...))

A wildcard that occurs twice matches the same value twice. Operands of a commutative op match in
either order. Attributes the pattern does not mention may be anything. A replacement is a pattern
or a function, which is given the wildcards it names, and the matched node if it names `node`; it
may return None to decline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import IRError
from .graph import Function, Node
from .op import Op
from .term import Term, locate, location_of

Guard = Callable[[Any], bool]
Bindings = dict[str, Any]


class Pattern:
    """A shape of graph: an op on patterns, or, where `op` is None, a named wildcard.

    `operands` of None matches any operands.
    """

    __slots__ = ("attrs", "guard", "name", "op", "operands")

    def __init__(
        self,
        op: Op | None,
        operands: tuple[Any, ...] | None = (),
        attrs: Bindings | None = None,
        name: str = "",
        guard: Guard | None = None,
    ):
        self.op, self.operands, self.attrs = op, operands, attrs or {}
        self.name, self.guard = name, guard

    @staticmethod
    def apply(op: Op, operands: tuple, attrs: Bindings) -> Pattern:
        """What calling an op on patterns builds; nodes among the operands match themselves."""
        return Pattern(op, operands, attrs)

    def __rshift__(self, replacement: Pattern | Callable[..., Any]) -> Rule:
        return Rule(self, replacement)

    def __repr__(self) -> str:
        if self.op is None:
            return self.name
        operands = ["..."] if self.operands is None else map(repr, self.operands)
        attrs = [f"{key}={value!r}" for key, value in self.attrs.items()]
        return f"{self.op.name}({', '.join([*operands, *attrs])})"

    def matches(self, value: Any, bound: Bindings) -> Iterator[Bindings]:
        """Every way `value` fits, as what the wildcards then stand for."""
        if self.op is None:
            if self.name in bound:
                if _same(bound[self.name], value):
                    yield bound
            elif self.guard is None or self.guard(value):
                yield {**bound, self.name: value}
            return
        if not isinstance(value, Node) or value.op is not self.op:
            return
        attrs = value.attrs if self.attrs else {}
        for key, wanted in self.attrs.items():
            found = next(_match(wanted, attrs[key], bound), None)
            if found is None:
                return
            bound = found
        if self.operands is None:
            yield bound
        elif len(self.operands) == len(value.operands):
            yield from _match_all(self.operands, value.operands, bound)
            if self.op.commutative and len(value.operands) == 2:
                yield from _match_all(self.operands, value.operands[::-1], bound)

    def build(self, bound: Bindings) -> Any:
        """The graph the pattern describes, given what its wildcards stand for."""
        if self.op is None:
            return bound[self.name]
        operands = tuple([_build(operand, bound) for operand in self.operands or ()])
        return Node.apply(self.op, operands, {k: _build(v, bound) for k, v in self.attrs.items()})


def wild(name: str, guard: Guard | None = None) -> Pattern:
    """A wildcard: any node, or attribute, that `guard` accepts."""
    return Pattern(None, name=name, guard=guard)


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


class Rule:
    """`pattern >> replacement`; called with a node, it gives the replacement or None."""

    __slots__ = ("needed", "pattern", "replacement", "wanted")

    def __init__(self, pattern: Pattern, replacement: Pattern | Callable[..., Any]):
        self.pattern, self.replacement = pattern, replacement
        # The ops some operands must have.
        inner = [p.op for p in pattern.operands or () if isinstance(p, Pattern)]
        self.needed = frozenset(op for op in inner if op is not None)
        self.wanted: tuple[str, ...] = ()
        if not isinstance(replacement, Pattern):
            code = replacement.__code__
            self.wanted = code.co_varnames[: code.co_argcount]

    def __call__(self, node: Node) -> Node | None:
        for bound in self.pattern.matches(node, {}):
            if isinstance(self.replacement, Pattern):
                new = self.replacement.build(bound)
            else:
                known = {**bound, "node": node}
                new = self.replacement(**{name: known[name] for name in self.wanted})
            if new is not None and new is not node:
                # A parameter with a layout of its own may stand for a computed value.
                if (new.type.shape, new.type.dtype) != (node.type.shape, node.type.dtype):
                    raise IRError(f"the rule {self!r} turns {node.type} into {new.type}")
                return new
        return None

    def __repr__(self) -> str:
        replacement = self.replacement
        name = getattr(replacement, "__name__", replacement)
        return f"{self.pattern!r} >> {name if name != '<lambda>' else '...'}"


def rewriter(*rules: Rule, counts: Counter[Rule] | None = None) -> Callable[[Function], Function]:
    """A function that applies the rules, operands first, until none applies anywhere.

    At each node the first rule that matches wins. `counts`, if given, learns how often each rule
    was applied. Raises IRError when the rules do not come to an end.
    """
    table: dict[Op, list[Rule]] = {}
    for rule in rules:
        assert rule.pattern.op is not None, "a rule's pattern starts with an op"
        table.setdefault(rule.pattern.op, []).append(rule)

    def rewrite(function: Function) -> Function:
        results = _normalize(function, table, Counter() if counts is None else counts)
        return function if results == function.results else function.replace(results=results)

    return rewrite


def _normalize(
    function: Function, table: dict[Op, list[Rule]], counts: Counter[Rule]
) -> tuple[Node, ...]:
    """The results in normal form.

    `normal` holds finished nodes, `becomes` a step made and not yet finished; a node waits on the
    stack for what it depends on, its operands or what it became. Nothing is visited again, however
    deep in the graph a rule's new nodes end up, so the work is linear in the steps made.
    """
    normal: dict[Node, Node] = {}
    becomes: dict[Node, Node] = {}
    budget = 10_000 + 100 * len(function.nodes)
    stack = list(reversed(function.results))
    waiting: set[Node] = set()
    while stack:
        node = stack[-1]
        if node in normal:
            stack.pop()
            waiting.discard(node)
            continue
        needs = [becomes[node]] if node in becomes else [*node.operands]
        needs = [need for need in needs if need not in normal]
        if needs:
            waiting.add(node)
            budget -= node in becomes
            if budget < 0 or any(need in waiting for need in needs):
                applied = ", ".join(repr(rule) for rule, _ in counts.most_common(3))
                raise IRError(f"rules do not come to an end at {node!r}, such as {applied}")
            stack.extend(reversed(needs))
        elif node in becomes:
            normal[node] = normal[becomes[node]]
        else:
            new = _step(node, normal, table, counts)
            if new is node:
                normal[node] = node
            else:
                becomes[node] = new
                if (location := location_of(node)) is not None:
                    locate(new, location)
    return tuple([normal[result] for result in function.results])


def _step(
    node: Node, normal: dict[Node, Node], table: dict[Op, list[Rule]], counts: Counter[Rule]
) -> Node:
    """The node on finished operands, else what the first rule makes of it, else itself."""
    operands = tuple([normal[operand] for operand in node.operands])
    if operands != node.operands:
        return Node(node.op, operands, node.attributes)
    present = {operand.op for operand in operands}
    for rule in table.get(node.op, ()):
        # Looking at the operands' ops first rejects most rules at once.
        new = rule(node) if rule.needed <= present else None
        if new is not None:
            counts[rule] += 1
            return new
    return node
