"""Rewriting: `pattern >> replacement` rules, in tables, applied by one engine at both levels.

    x = wild("x")
    negative(negative(x)) >> x
    transpose(transpose(x, axes=p), axes=q) >> (lambda x, p, q: transpose(x, axes=...))

A replacement is a pattern or a function, which is given the wildcards it names, and the matched node
if it names `node`; it may return None to decline. The same rule rewrites graphs and the expressions
of kernels: a pass of rules changes what it finds in a Module, at whichever stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from ..errors import IRError
from .expressions import rebuild_apply
from .graph import Function, Kernel, Module, Node, map_module
from .pattern import RULE, TRAIL, Bindings, Pattern, any_use, wild
from .tensor import (
    Accumulate,
    Address,
    Apply,
    Expression,
    Extern,
    Literal,
    Load,
    Statement,
    Table,
    expressions_of,
    map_bodies,
    parts,
    statements,
)
from .term import Term, locate, location_of, postorder, with_children

__all__ = ["Pattern", "Rule", "any_use", "rewriter", "rewriting", "wild"]

NO_USES: Mapping[Any, int] = MappingProxyType({})


class Rule:
    """`pattern >> replacement`; called with a node, it gives the replacement or None."""

    __slots__ = ("conditions", "counts_uses", "pattern", "replacement", "wanted")

    def __init__(
        self,
        pattern: Pattern,
        replacement: Pattern | Callable[..., Any],
        conditions: tuple[Callable[..., bool], ...] = (),
    ):
        if pattern.op is None:
            raise ValueError(f"the pattern of a rule begins with an op; {pattern!r} has none")
        self.pattern, self.replacement, self.conditions = pattern, replacement, conditions
        self.counts_uses = any(part.uses is not None for part in pattern.parts())
        self.wanted = () if isinstance(replacement, Pattern) else _arguments(replacement)

    def when(self, condition: Callable[..., bool]) -> Rule:
        """The same rule where `condition` holds, which is given the wildcards it names."""
        return Rule(self.pattern, self.replacement, (*self.conditions, condition))

    def __call__(self, node: Any, uses: Mapping[Any, int] = NO_USES) -> Any:
        for bound in self.matches(node, uses):
            if isinstance(self.replacement, Pattern):
                new = self.replacement.build(bound)
            else:
                new = self.replacement(**_chosen(self.wanted, {**bound, "node": node}))
            if new is not None and new is not node:
                # A parameter with a layout of its own may stand for a computed value.
                if not _fits(new, node):
                    raise IRError(f"the rule {self!r} turns {_type(node)} into {_type(new)}")
                return new
        return None

    def may_match(self, operands: tuple[str, ...]) -> bool:
        """Whether it may match what has operands of these ops."""
        wanted = self.pattern.operands
        if wanted is None:
            return True
        if len(wanted) != len(operands):
            return False
        if all(map(_may_be, wanted, operands)):
            return True
        is_either_way = self.pattern.op.commutative and len(operands) == 2
        return is_either_way and all(map(_may_be, wanted, operands[::-1]))

    def matches(self, value: Any, uses: Mapping[Any, int] = NO_USES) -> Iterator[Bindings]:
        """The bindings of each match that has the uses, and passes the conditions, that it should."""
        for bound in self.pattern.matches(value, {TRAIL: ()} if self.counts_uses else {}):
            if self.counts_uses:
                noted = bound[TRAIL]
                if any(p.uses is not None and uses.get(v, 0) != p.uses for p, v in noted):
                    continue
                bound = {name: value for name, value in bound.items() if name != TRAIL}
            if not self.conditions or self._holds({**bound, "node": value}):
                yield bound

    def _holds(self, known: Bindings) -> bool:
        return all(c(**_chosen(_arguments(c), known)) for c in self.conditions)

    def __repr__(self) -> str:
        replacement = self.replacement
        name = getattr(replacement, "__name__", replacement)
        return f"{self.pattern!r} >> {name if name != '<lambda>' else '...'}"


RULE[:] = [Rule]


def _may_be(pattern: Any, op: str) -> bool:
    """Whether an operand of a pattern, which may be a number, can match what is of this op."""
    if isinstance(pattern, Pattern):
        return pattern.op is None or pattern.op.name == op
    return isinstance(pattern, Term) or op in ("constant", "broadcast")


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount]


def _chosen(names: tuple[str, ...], known: Bindings) -> Bindings:
    try:
        return {name: known[name] for name in names}
    except KeyError as missing:
        raise IRError(f"no wildcard is called {missing}; there are {', '.join(known)}") from None


def _type(value: Any) -> Any:
    return value.type if isinstance(value, Node) else getattr(value, "dtype", type(value).__name__)


def _fits(new: Any, old: Node | Expression) -> bool:
    if isinstance(old, Node) and isinstance(new, Node):
        return (new.type.shape, new.type.dtype) == (old.type.shape, old.type.dtype)
    return isinstance(old, Expression) and isinstance(new, Expression) and new.dtype is old.dtype


class RuleTable(dict):
    """Rules by the name of the op that they begin with."""

    def __init__(self, rules: Iterable[Rule]):
        for rule in rules:
            self.setdefault(rule.pattern.op.name, []).append(rule)
        self._known: dict[tuple[str, tuple[str, ...]], list[Rule]] = {}

    def rules(self, op: str, operands: tuple[str, ...]) -> list[Rule]:
        """The rules for an op that may match where its operands are of these ops: a few of them."""
        found = self._known.get((op, operands))
        if found is None:
            found = [rule for rule in self.get(op, ()) if rule.may_match(operands)]
            if len(operands) < 4:
                self._known[op, operands] = found
        return found


def rewriter(*rules: Rule, counts: Counter[Rule] | None = None) -> Callable[[Function], Function]:
    """A function that applies the rules, operands first, until none applies anywhere.

    At each node the first rule that matches wins. `counts`, if given, learns how often each rule
    was applied. Raises IRError when the rules do not come to an end.
    """
    table = RuleTable(rules)
    normalize = _in_rounds if any(rule.counts_uses for rule in rules) else _normalize

    def rewrite(function: Function) -> Function:
        known = Counter() if counts is None else counts
        if isinstance(function, Kernel):
            roots = _expressions_in(function)
            size = len(postorder(roots, parts))
            normal = normalize(roots, size, EXPRESSIONS, table, known)
            return function if normal == roots else _exchanging(function, dict(zip(roots, normal)))
        results = normalize(function.results, len(function.nodes), GRAPH, table, known)
        return function if results == function.results else function.replace(results=results)

    return rewrite


def rewriting(*rules: Rule, name: str = "rewrite") -> Callable[[Module], Module]:
    """A pass of rules: they are applied in every Function and Kernel of a Module until none applies.

    Graphs are rewritten while they are graphs, expressions of kernels once they are kernels. The
    pass is called `name` in pipelines. Raises IRError when the rules do not come to an end.
    """
    for rule in rules:
        if not isinstance(rule, Rule):
            raise TypeError(f"a rule is `pattern >> replacement`, not {rule!r}")
    change = rewriter(*rules)

    def rewrite(module: Module) -> Module:
        return map_module(module, change)

    rewrite.__name__ = name
    return rewrite


class Level(NamedTuple):
    """How terms of one level are taken apart and put together; `name` is that of a term's op."""

    name: Callable[[Any], str]
    parts: Callable[[Any], tuple]
    rebuilt: Callable[[Any, tuple], Any]


def _name_of(e: Expression) -> str:
    return e.op if isinstance(e, Apply) else "constant" if isinstance(e, Literal) else ""


def _rebuilt(e: Expression, operands: tuple[Expression, ...]) -> Expression:
    match e:
        case Apply():
            return rebuild_apply(e, operands)
        case Load(buffer):
            return Load(buffer, operands)
        case Table(data, _, dtype):
            return Table(data, *operands, dtype)
    return e


GRAPH = Level(
    attrgetter("op.name"),
    attrgetter("operands"),
    lambda node, new: Node(node.op, new, node.attributes),
)
EXPRESSIONS = Level(_name_of, parts, _rebuilt)


def _normalize(
    roots: tuple, size: int, level: Level, table: RuleTable, counts: Counter[Rule]
) -> tuple:
    """The roots, over `size` terms, in normal form.

    `normal` holds finished terms, `becomes` a step made and not yet finished; a term waits on the
    stack for what it depends on, its operands or what it became. Nothing is visited again, however
    deep in the graph a rule's new terms end up, so the work is linear in the steps made.
    """
    normal: dict[Term, Any] = {}
    becomes: dict[Term, Any] = {}
    budget = 10_000 + 100 * size
    stack = list(reversed(roots))
    waiting: set[Term] = set()
    while stack:
        term = stack[-1]
        if term in normal:
            stack.pop()
            waiting.discard(term)
            continue
        needs = [becomes[term]] if term in becomes else level.parts(term)
        needs = [need for need in needs if need not in normal]
        if needs:
            waiting.add(term)
            budget -= term in becomes
            if budget < 0 or any(need in waiting for need in needs):
                raise _endless(term, counts)
            stack.extend(reversed(needs))
        elif term in becomes:
            normal[term] = normal[becomes[term]]
        else:
            new = _step(term, normal, level, table, counts)
            if new is term:
                normal[term] = term
            else:
                becomes[term] = new
                _located(new, term)
    return tuple([normal[root] for root in roots])


def _endless(term: Term, counts: Counter[Rule]) -> IRError:
    applied = ", ".join(repr(rule) for rule, _ in counts.most_common(3))
    return IRError(f"rules do not come to an end at {term!r}, such as {applied}")


def _located(new: Term, old: Term) -> None:
    if (location := location_of(old)) is not None:
        locate(new, location)


def _step(term: Any, normal: dict, level: Level, table: RuleTable, counts: Counter[Rule]) -> Any:
    """The term on finished operands, else what the first rule makes of it, else itself."""
    old = level.parts(term)
    operands = tuple([normal[operand] for operand in old])
    if operands != old:
        return level.rebuilt(term, operands)
    for rule in table.rules(level.name(term), tuple(map(level.name, operands))):
        new = rule(term)
        if new is not None:
            counts[rule] += 1
            return new
    return term


def _in_rounds(
    roots: tuple, size: int, level: Level, table: RuleTable, counts: Counter[Rule]
) -> tuple:
    """The roots, over `size` terms, in normal form by rules that ask how often values are used.

    Each round counts the uses there are and applies rules side by side where these do not touch.
    """
    rounds = 100 + size
    while True:
        terms = postorder(roots, level.parts)
        uses = Counter([*roots, *[part for term in terms for part in level.parts(term)]])
        new: dict[Term, Any] = {}
        for term in terms:
            for rule in table.get(level.name(term), ()):
                if not new.keys().isdisjoint(level.parts(term)):
                    break
                found = rule(term, uses)
                if found is not None:
                    new[term] = found
                    counts[rule] += 1
                    _located(found, term)
                    break
        if not new:
            return roots
        rounds -= 1
        if rounds < 0:
            raise _endless(next(iter(new)), counts)
        roots = _exchanged(roots, level, new)


def _exchanged(roots: tuple, level: Level, new: dict[Term, Any]) -> tuple:
    done = dict(new)
    for term in postorder(roots, lambda t: () if t in new else level.parts(t)):
        if term not in done:
            old = level.parts(term)
            operands = tuple([done[operand] for operand in old])
            done[term] = term if operands == old else level.rebuilt(term, operands)
            if done[term] is not term:
                _located(done[term], term)
    return tuple([done[root] for root in roots])


def _expressions_in(kernel: Kernel) -> tuple[Expression, ...]:
    found = [e for statement in statements(kernel.body) for e in expressions_of(statement)]
    return tuple(dict.fromkeys(found))


def _exchanging(kernel: Kernel, new: dict[Expression, Expression]) -> Kernel:
    """The kernel with every expression of its statements exchanged."""

    def body(inner: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple([map_bodies(with_children(s, places(s)), body) for s in inner])

    def places(statement: Statement) -> dict[Term, Any]:
        """What is exchanged in a statement: its expressions, and those in the places it names."""
        own = {e: new[e] for e in expressions_of(statement)}
        match statement:
            case Accumulate(Load(buffer, indices) as target):
                own[target] = Load(buffer, tuple([new[i] for i in indices]))
            case Extern(_, arguments):
                for address in [a for a in arguments if isinstance(a, Address)]:
                    indices = tuple([new[i] for i in address.indices])
                    own[address] = Address(address.buffer, indices)
        return own

    return kernel.replace(body=body(kernel.body))
