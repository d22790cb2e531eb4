"""The rewriting of a function: every construct of control flow asks the hooks what to do.

The code of arms and bodies stays where it is, in the function's own frame, and runs there once, as
often as Python says, or as often as tracing it takes. So on concrete values nothing changes: `break`,
`return`, exceptions, closures are Python's own. Where a condition is traced, a jump is noted instead
of made, and what follows it is guarded. Names that the rewriting adds begin with `@`, which no
user's name does; hooks.py has what `@tj` offers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from .expressions import FUNCTIONS, Names, holds, truth_of, value_of
from .liveness import Liveness, declared, stored
from .matching import chain_of
from .source import Definition
from .templates import HOOKS, build, expression

# What an expression may do beside having a value.
_ACTS = (ast.Call, ast.NamedExpr)
_LOOPS = (ast.For, ast.While, ast.AsyncFor)
_JUMPS = (ast.Break, ast.Continue, ast.Return, ast.Raise, ast.Assert)
# Jumps out of the function, from anywhere in it.
_LEAVES = (ast.Return, ast.Raise, ast.Assert)
# What code may use to look at its own frame, which has more names now.
_SEES_FRAMES = {"locals", "vars", "dir", "exec", "eval"}
_IF = """
C = TJ.choose(TEST, SITE)
if C:
    BODY
if C is not True:
    if C is not False:
        C.turn()
        TAKE
    ORELSE
    if C is not False:
        C.join()
        TAKE
"""
_FOR = """
L = TJ.for_(ITER, SITE)
for ITEM in L:
    if L.starts():
        TAKE
    TARGET = ITEM
    BODY
    if L.ends():
        TAKE
if L.leaves():
    TAKE
"""
_WHILE = """
L = TJ.while_(SITE)
for ITEM in L:
    if L.starts():
        TAKE
    if L.stops(TEST):
        break
    BODY
    if L.ends():
        TAKE
if L.leaves():
    TAKE
"""
# What is done at the end of a block on every path, by `finally` or a context manager, is done where
# the paths have met.
_FINALLY = """
J = TJ.block(SITE)
try:
    BODY
    if J.joins():
        TAKE
finally:
    FINAL
    J.ends()
"""
_BREAK = "if L.breaks(): break"
_CONTINUE = "if L.continues(): continue"
_RAISE = """
if TJ.raises(REGION):
    RAISE
"""
# Where a `try` with handlers begins.
_TRY = "R = TJ.region()"
# First in a handler: what only tracing has raised is none of its business.
_CAUGHT = "E = TJ.caught()"
# First in what handlers are for: compiled code may raise there, too.
_HANDLES = "TJ.handles()"
# What compiled code never raises, by name.
_OF_PYTHON = {
    "AssertionError",
    "AttributeError",
    "ImportError",
    "KeyError",
    "ModuleNotFoundError",
    "NameError",
    "OSError",
    "RecursionError",
    "StopIteration",
    "TypeError",
}
_RETURN = """
V = VALUE
if F.returns(V):
    return V
"""
_WHOLE = """
F = TJ.function()
BODY
return F.finish()
"""


def rewritten(definition: Definition) -> bool:
    """Rewrite a function in place; whether there was anything to do."""
    names = Names()
    if isinstance(definition, ast.Lambda):
        definition.body = value_of(definition.body, names)
    else:
        definition.body = _Rewriter(definition.body, names).function(definition)
    return names.count > 0


class _Rewriter(ast.NodeTransformer):
    """Rewrites one function; functions inside get rewriters of their own."""

    def __init__(self, body: list[ast.stmt], own: Names):
        self.own = own
        self.live = Liveness(body)
        self.shared = declared(ast.Module(body, []))
        self.globals = declared(ast.Module(body, []), ast.Global)
        self.loops: list[str] = []
        self.record = ""
        self.tries: list[str] = []  # those around with handlers
        self.yields = any(holds(line, _YIELDS, FUNCTIONS) for line in body)

    # Statements.

    def function(self, definition: ast.FunctionDef) -> list[ast.stmt]:
        body = definition.body
        if _is_left_alone(definition):
            return body
        if any(holds(line, _LEAVES, FUNCTIONS) and not _is_return(line) for line in body):
            self.record = self.name("f")
        new = self.block(body)
        if self.record:
            docstring = new[:1] if ast.get_docstring(definition, clean=False) is not None else []
            parts = {"TJ": HOOKS, "F": self.record, "BODY": new[len(docstring) :]}
            new = docstring + build(_WHOLE, definition.body[-1], **parts)
        return new

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Statements, of which those after one that may jump depend on whether it did."""
        new: list[ast.stmt] = []
        for position, line in enumerate(body):
            found = self.visit(line)
            new += found if isinstance(found, list) else [found]
            rest = body[position + 1 :]
            if isinstance(line, ast.Break | ast.Continue | ast.Raise):
                break  # the rest is never reached
            if rest and self.jumps(line):
                flags = [ast.Name(name, ast.Load()) for name in (*self.loops, self.record) if name]
                text = "TJ.resumed()" if self.yields else "TJ.alive(FLAGS)"
                test = expression(text, line, TJ=HOOKS, FLAGS=ast.Tuple(flags, ast.Load()))
                live = self.live.after[body[-1]]
                return new + self.branch(line, test, rest, [], live)
        return new

    def jumps(self, line: ast.stmt) -> bool:
        """Whether a statement may jump to a place behind those that follow it."""
        leaves_loop = holds(line, ast.Break | ast.Continue, (*FUNCTIONS, *_LOOPS))
        leaves_loop |= self.yields and holds(line, _YIELDS, FUNCTIONS)
        return leaves_loop or (bool(self.record) and holds(line, _LEAVES, FUNCTIONS))

    def branch(
        self, place: ast.stmt, test: ast.expr, body: list, orelse: list, live: frozenset[str]
    ) -> list[ast.stmt]:
        names = self.names(*body, *orelse)
        choice = self.name("c")
        return build(
            _IF,
            place,
            TJ=HOOKS,
            C=choice,
            TEST=test,
            SITE=_site(choice, place, names, live),
            BODY=self.block(body),
            ORELSE=self.block(orelse),
            TAKE=_take(choice, names, place),
        )

    def visit_If(self, node: ast.If) -> list[ast.stmt]:
        return self.branch(
            node, self.test(node.test), node.body, node.orelse, self.live.after[node]
        )

    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        names = self.names(node.target, *node.body)
        parts = {"ITER": self.expression(node.iter), "TARGET": node.target}
        return self.loop(_FOR, node, names, tuple(sorted(stored(node.target))), parts)

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        names, acts = self.names(node.test, *node.body), holds(node.test, _ACTS, FUNCTIONS)
        return self.loop(_WHILE, node, names, (), {"TEST": self.test(node.test)}, acts)

    def names(self, *nodes: ast.AST) -> tuple[str, ...]:
        """The names in this function's frame that code may set."""
        return tuple(sorted((stored(*nodes) | self.shared) - self.globals))

    def loop(
        self, text: str, node: Any, names: tuple, targets: tuple, parts: dict, acts: bool = False
    ) -> list:
        name, item = self.name("l"), self.name("x")
        self.loops.append(name)
        body = self.block(node.body)
        self.loops.pop()
        live = (self.live.inside[node], self.live.after[node])
        jumps = any(holds(line, (*_JUMPS, *_YIELDS), FUNCTIONS) for line in node.body)
        site = _site(name, node, names, *live, targets, jumps, bool(node.orelse), acts)
        take = _take(name, names, node)
        new = build(
            text, node, TJ=HOOKS, L=name, ITEM=item, SITE=site, BODY=body, TAKE=take, **parts
        )
        if node.orelse:
            test = expression("L.completed()", node, L=name)
            new += self.branch(node, test, node.orelse, [], self.live.after[node])
        return new

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign) -> ast.stmt:
        """A list that is made may be one that grows, and what nobody asks for may fail."""
        is_tuple = isinstance(node.value, ast.Tuple)
        several = node.value.elts if is_tuple else [node.value]
        in_vain = [
            self.may_fail(part, ast.Call) and self.is_in_vain(node, goals)
            for part, goals in zip(several, _goals(node, several))
        ]
        grows = [_makes_list(part) for part in several]
        node = self.generic_visit(node)
        if any(in_vain) or any(grows):
            several = node.value.elts if is_tuple else [node.value]
            for k, part in enumerate(several):
                part = self.growing(part) if grows[k] else part
                several[k] = self.failing(part) if in_vain[k] else part
            if not is_tuple:
                (node.value,) = several
        return node

    visit_AnnAssign = visit_Assign

    def is_in_vain(self, node: ast.stmt, goals: Iterable[ast.expr]) -> bool:
        """Whether nobody asks for what a statement gives these goals."""
        known = self.live.after[node] | self.globals
        return all(isinstance(goal, ast.Name) and goal.id not in known for goal in goals)

    def may_fail(self, node: ast.expr | None, *more: type[ast.expr]) -> bool:
        """Whether an expression whose value nobody asks for may be there for its exceptions."""
        kinds = (ast.Subscript, ast.Call) if self.tries else (ast.Subscript, *more)
        is_value = node is not None and not isinstance(node, ast.Starred)
        return is_value and holds(node, kinds, FUNCTIONS)

    def failing(self, node: ast.expr) -> ast.expr:
        self.own.count += 1
        return expression("TJ.fails(X)", node, TJ=HOOKS, X=node)

    def growing(self, node: ast.expr) -> ast.expr:
        place = ast.copy_location(ast.Constant((node.lineno, node.col_offset, "=")), node)
        return expression("TJ.grows(X, PLACE)", node, TJ=HOOKS, X=node, PLACE=place)

    def visit_Expr(self, node: ast.Expr) -> Any:
        """What is computed in vain may fail all the same."""
        if isinstance(node.value, ast.Yield):
            self.own.count += 1
            if node.value.value is not None:
                node.value.value = self.expression(node.value.value)
            return node
        may_fail = self.may_fail(node.value)
        node.value = self.expression(node.value)
        if may_fail:
            node.value = self.failing(node.value)
        return node

    def visit_Break(self, node: ast.Break) -> list[ast.stmt]:
        return build(_BREAK, node, L=self.loops[-1])

    def visit_Continue(self, node: ast.Continue) -> list[ast.stmt]:
        return build(_CONTINUE, node, L=self.loops[-1])

    def visit_Raise(self, node: ast.Raise) -> list[ast.stmt]:
        for field in ("exc", "cause"):
            if getattr(node, field) is not None:
                setattr(node, field, self.expression(getattr(node, field)))
        region = ast.Name(self.tries[-1], ast.Load()) if self.tries else ast.Constant(None)
        return build(_RAISE, node, TJ=HOOKS, REGION=region, RAISE=[node])

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        """`assert` is `if not ...: raise`, where Python makes that of it."""
        arguments = [] if node.msg is None else [node.msg]
        error = ast.Call(ast.Name("AssertionError", ast.Load()), arguments, [])
        failed = ast.fix_missing_locations(ast.copy_location(ast.Raise(error, None), node))
        test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node)
        return self.branch(node, self.test(test), [failed], [], self.live.after[node])

    def visit_Try(self, node: ast.Try) -> Any:
        """An exception that is certain is raised, and caught here, while tracing."""
        inside = [*node.body, *node.orelse, *[line for h in node.handlers for line in h.body]]
        if node.finalbody and any(map(self.jumps, inside)):
            return self.finally_(node, inside)
        begin = self.begin_try(node)
        body = self.block(node.body)
        del self.tries[len(self.tries) - len(begin) :]
        noted = not all(map(_is_of_python, node.handlers))
        node.body = [*begin, *(build(_HANDLES, node, TJ=HOOKS) if noted else []), *body]
        for handler in node.handlers:
            caught = build(_CAUGHT, handler, E=self.name("e"), TJ=HOOKS)
            self.generic_visit(handler)
            handler.body = [*caught, *handler.body]
        node.orelse, node.finalbody = self.block(node.orelse), self.block(node.finalbody)
        return node

    def begin_try(self, node: ast.Try) -> list[ast.stmt]:
        if not node.handlers:
            return []
        self.tries.append(self.name("r"))
        return build(_TRY, node, R=self.tries[-1], TJ=HOOKS)

    def finally_(self, node: ast.Try, inside: list[ast.stmt]) -> list[ast.stmt]:
        live, body = self.live.after[(node.orelse or node.body)[-1]], node.body
        if node.handlers:
            within = ast.Try(node.body, node.handlers, node.orelse, [])
            body = [ast.copy_location(within, node)]
            self.live.after[within] = live
        name, names = self.name("j"), self.names(*inside)
        parts = {"BODY": self.block(body), "FINAL": self.block(node.finalbody)}
        parts |= {"J": name, "SITE": _site(name, node, names, live), "TJ": HOOKS}
        return build(_FINALLY, node, TAKE=_take(name, names, node), **parts)

    def visit_With(self, node: ast.With) -> Any:
        """The same as `try` and `finally`, where the body may jump."""
        if not any(map(self.jumps, node.body)):
            self.generic_visit(node)
            node.items = [self.managed(item) for item in node.items]
            return node
        live, name, names = self.live.after[node.body[-1]], self.name("j"), self.names(*node.body)
        site = _site(name, node, names, live)
        begin = build("J = TJ.block(SITE)", node, J=name, TJ=HOOKS, SITE=site)
        node.items = [self.managed(self.visit(item)) for item in node.items]
        node.body = self.block(node.body)
        node.body += build("if J.joins():\n    TAKE", node, J=name, TAKE=_take(name, names, node))
        return [*begin, node, *build("J.ends()", node, J=name)]

    def managed(self, item: ast.withitem) -> ast.withitem:
        """A context manager, which may handle what the body raises, but what only tracing has raised."""
        self.own.count += 1
        manager = item.context_expr
        item.context_expr = expression("TJ.manager(X)", manager, TJ=HOOKS, X=manager)
        return item

    def visit_Match(self, node: ast.Match) -> Any:
        live, name = self.live.after[node], self.name("m")
        lines = chain_of(node, name)
        if lines is None:
            return self.generic_visit(node)
        for made in [n for line in lines for n in ast.walk(line) if isinstance(n, ast.stmt)]:
            self.live.after.setdefault(made, live)
        return self.block(lines)

    def visit_Return(self, node: ast.Return) -> Any:
        value = ast.copy_location(ast.Constant(None), node)
        if node.value:
            value = self.expression(node.value)
        if self.record:
            return build(_RETURN, node, V=self.name("v"), F=self.record, VALUE=value)
        node.value = value if node.value else None
        return node

    def generic_visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr):
            return self.expression(node)
        for field, old in ast.iter_fields(node):
            if isinstance(old, list) and old and isinstance(old[0], ast.stmt):
                setattr(node, field, self.block(old))
            elif isinstance(old, list):
                setattr(node, field, [self.visit(n) if isinstance(n, ast.AST) else n for n in old])
            elif isinstance(old, ast.AST):
                setattr(node, field, self.visit(old))
        return node

    # Scopes inside.

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = _Rewriter(node.body, self.own).function(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for line in node.body:
            if isinstance(line, ast.FunctionDef):
                self.visit_FunctionDef(line)
        return node

    # Expressions.

    def expression(self, node: ast.expr) -> ast.expr:
        return value_of(node, self.own)

    def test(self, node: ast.expr) -> ast.expr:
        return truth_of(node, self.own)

    def name(self, kind: str) -> str:
        return self.own.name(kind)


def _is_of_python(handler: ast.ExceptHandler) -> bool:
    """Whether nothing that compiled code raises comes to a handler."""
    kind = handler.type
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return all(isinstance(k, ast.Name) and k.id in _OF_PYTHON for k in kinds)


def _site(name: str, place: ast.AST, *facts: Any) -> ast.Constant:
    """What the hooks are told of a construct: its name, the line it is at, the names it sets ..."""
    listed = tuple([tuple(sorted(x)) if isinstance(x, frozenset) else x for x in facts])
    return ast.copy_location(ast.Constant((name, place.lineno, *listed)), place)


def _take(owner: str, names: tuple[str, ...], place: ast.AST) -> list[ast.stmt]:
    """Give the names the values that the hook has for them, or none."""
    if not names:
        return []
    targets = ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())
    lines: list[ast.stmt] = [
        ast.Assign([targets], expression("O.values", place, O=owner)),
    ]
    for name in names:
        gone = ast.Delete([ast.Name(name, ast.Del())])
        lines += build("if N is TJ.UNBOUND:\n    GONE", place, N=name, TJ=HOOKS, GONE=[gone])
    return [ast.fix_missing_locations(ast.copy_location(line, place)) for line in lines]


def _goals(node: ast.Assign | ast.AnnAssign, several: list) -> list[Iterable[ast.expr]]:
    """What each part of a value is given to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    inside = [getattr(target, "elts", ()) for target in targets]
    if any(len(parts) != len(several) for parts in inside):
        return [targets] * len(several)
    return list(zip(*inside))


def _makes_list(node: ast.expr | None) -> bool:
    """Whether an expression makes a list or a deque that may become longer."""
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            return isinstance(left, ast.List) or isinstance(right, ast.List)
        case ast.ListComp():
            return True
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.List)
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    return name in ("deque", "list")


def _is_return(line: ast.stmt) -> bool:
    return isinstance(line, ast.Return)


def _is_left_alone(definition: ast.FunctionDef) -> bool:
    """Whether a function runs piece by piece, or looks at its frame."""
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    names = {n.id for n in ast.walk(definition) if isinstance(n, ast.Name)}
    suspends = any(holds(line, _SUSPENDS, inner) for line in definition.body)
    return suspends or not _only_yields(definition.body) or bool(names & _SEES_FRAMES)


def _only_yields(body: list[ast.stmt]) -> bool:
    """Whether nothing is asked of a `yield` but to hand a value on, and nothing is to be done when it is not
    come back to."""
    blocks = ast.Try | ast.With
    found = [
        n for line in body for n in _inside(line) if isinstance(n, ast.Expr | ast.Yield | blocks)
    ]
    alone = {id(n.value) for n in found if isinstance(n, ast.Expr)}
    is_alone = all(id(n) in alone for n in found if isinstance(n, ast.Yield))
    return is_alone and not any(
        isinstance(n, blocks) and holds(n, _YIELDS, FUNCTIONS) for n in found
    )


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """A node and those in it, but for functions."""
    yield node
    for inner in () if isinstance(node, FUNCTIONS) else ast.iter_child_nodes(node):
        yield from _inside(inner)


_YIELDS = (ast.Yield,)
_SUSPENDS = (ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith)
