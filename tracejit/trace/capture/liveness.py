"""Which names may still be read after a statement: the rest are nobody's business at a join.

A backward pass over the statements of one function, conservative wherever control may jump: what an
exception handler reads is live throughout its `try`, and what a nested function reads, always.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NamedTuple

Names = frozenset[str]
_NONE: Names = frozenset()
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)


class _Targets(NamedTuple):
    """What is live where `break`, `continue` and exceptions lead; `jumps`: at any loop around."""

    breaks: Names = _NONE
    continues: Names = _NONE
    raises: Names = _NONE
    jumps: Names = _NONE


class Liveness:
    """By statement: the names that are live `after` it, and, of loops, those whose values an
    iteration gets from the one before, `inside`."""

    def __init__(self, body: list[ast.stmt]):
        self.after: dict[ast.stmt, Names] = {}
        self.inside: dict[ast.stmt, Names] = {}
        self.always = _names_of_scopes(body) | declared(ast.Module(body, []))
        self._block(body, _NONE, _Targets())

    def _block(self, body: list[ast.stmt], live: Names, targets: _Targets) -> Names:
        for statement in reversed(body):
            self.after[statement] = live | self.always | targets.jumps
            live = self._before(statement, live, targets) | targets.raises
        return live

    def _before(self, node: ast.stmt, live: Names, targets: _Targets) -> Names:
        match node:
            case ast.If():
                arms = [self._block(arm, live, targets) for arm in (node.body, node.orelse)]
                return reads(node.test).union(*arms)
            case ast.For() | ast.AsyncFor():
                head = self._loop(node, live, targets, stored(node.target) - reads(node.target))
                return head | reads(node.iter)
            case ast.While():
                return self._loop(node, live, targets, _NONE)
            case ast.Try():
                return self._try(node, live, targets)
            case ast.With() | ast.AsyncWith():
                inner = self._block(node.body, live, targets)
                return inner.union(live, *[reads(item) for item in node.items])
            case ast.Match():
                arms = [self._block(case.body, live, targets) for case in node.cases]
                tests = [reads(case.guard) for case in node.cases if case.guard]
                return reads(node.subject).union(live, *arms, *tests)
            case ast.Break():
                return targets.breaks
            case ast.Continue():
                return targets.continues
            case ast.Return() | ast.Raise():
                return reads(node)
            case ast.Assign() | ast.AnnAssign() if node.value:
                goals = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = {t.id for goal in goals for t in _parts(goal) if isinstance(t, ast.Name)}
                return (live - names) | reads(node)
        return live | reads(node)

    def _loop(
        self, node: ast.For | ast.While, live: Names, targets: _Targets, sets: Names
    ) -> Names:
        test = reads(node.test) if isinstance(node, ast.While) else _NONE
        end = self._block(node.orelse, live, targets) | test
        self.after[node] |= end  # its `else` is run when it is over
        head: Names = end
        while True:
            jumps = targets.jumps | live | head
            inner = targets._replace(breaks=live, continues=head, jumps=jumps)
            inside = (self._block(node.body, head, inner) - sets) | test
            if inside <= head:
                break
            head |= inside
        self.inside[node] = inside | self.always
        return head

    def _try(self, node: ast.Try, live: Names, targets: _Targets) -> Names:
        after = self._block(node.finalbody, live, targets) if node.finalbody else live
        inside = targets._replace(raises=targets.raises | after, jumps=targets.jumps | after)
        handlers = [self._block(h.body, after, inside) for h in node.handlers]
        handled = _NONE.union(*handlers, *[reads(h.type) for h in node.handlers if h.type])
        orelse = self._block(node.orelse, after, inside)
        return self._block(node.body, orelse, inside._replace(raises=inside.raises | handled))


def _parts(target: ast.expr) -> Iterable[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            yield from _parts(item)
    else:
        yield target.value if isinstance(target, ast.Starred) else target


def reads(node: ast.AST) -> Names:
    """The names that `node` reads; an augmented assignment reads its target."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _reads(n)}
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        found.add(node.target.id)
    return frozenset(found)


def _reads(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load | ast.Del)


def _names_of_scopes(body: list[ast.stmt]) -> Names:
    """Names in functions and classes inside, which may run at any time."""
    inner = [n for line in body for n in ast.walk(line) if isinstance(n, _SCOPES)]
    return _NONE.union(*map(reads, inner), *map(declared, inner))


def declared(scope: ast.AST, kind: type = ast.Nonlocal) -> Names:
    """Names that a scope, or one inside it, declares as another scope's."""
    found = [n.names for n in ast.walk(scope) if isinstance(n, kind)]
    return frozenset(name for names in found for name in names)


def stored(*nodes: ast.AST) -> Names:
    """The names that statements bind in their own scope, or delete."""
    found: set[str] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
                continue
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                inner = [n for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
                found.update(n.target.id for n in inner)
                continue
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
                found.add(node.name)
            case ast.MatchMapping() if node.rest:
                found.add(node.rest)
            case ast.alias():
                found.add((node.asname or node.name).partition(".")[0])
        pending.extend(ast.iter_child_nodes(node))
    return frozenset(found)
