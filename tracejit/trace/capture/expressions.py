"""The rewriting of expressions: what chooses among them, goes through things, or calls some builtins.

An expression is rewritten where that does not change when its parts are evaluated.
"""

from __future__ import annotations

import ast
from typing import Any

from .templates import HOOKS, expression

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SUSPENDS = (ast.Yield, ast.YieldFrom, ast.Await)
# Builtins that are asked for, by name, whether they are to see traced numbers.
BUILTINS = {
    "range", "enumerate", "zip", "reversed", "int", "float", "complex", "bool", "next", "type",
    "bin", "oct", "hex", "chr", "pow", "filter", "map", "list",
}  # fmt: skip
ITERATORS = {"ndindex", "ndenumerate"}
PRINT = "print"
# Builtins that go through what they are given.
REDUCERS = {"all", "any", "len", "list", "max", "min", "next", "sorted", "sum", "tuple"}


# Methods of lists that compare items, or are told a place.
METHODS = {"count", "index", "insert", "pop", "remove", "sort"}
# Indices that may be traced numbers.
_COMPUTED = (ast.Name, ast.BinOp, ast.Call, ast.Subscript, ast.Attribute, ast.UnaryOp, ast.IfExp)


class Names:
    """The names that the rewriting of a function adds, and of those inside."""

    def __init__(self) -> None:
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"@{kind}{self.count}"


def value_of(node: ast.expr, names: Names) -> ast.expr:
    """An expression rewritten."""
    if holds(node, SUSPENDS, ()) or _sets_by_chance(node):
        return node
    return _Expressions(names).visit(node)


def truth_of(node: ast.expr, names: Names) -> ast.expr:
    """An expression of which only the truth matters."""
    if holds(node, SUSPENDS, ()):
        return node
    if _sets_by_chance(node):
        return expression("TJ.truth(X)", node, TJ=HOOKS, X=node)
    return _Expressions(names).truth(node)


class _Expressions(ast.NodeTransformer):
    """Rewrites what chooses among expressions, and the calls of some builtins."""

    def __init__(self, names: Names):
        self.names = names

    def truth(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.BoolOp():
                node.values = [self.truth(value) for value in node.values]
                return self.chain(node)
            case ast.UnaryOp(op=ast.Not()):
                node.operand = self.truth(node.operand)
                return expression("TJ.negation(X)", node, TJ=HOOKS, X=node.operand)
        return expression("TJ.truth(X)", node, TJ=HOOKS, X=self.visit(node))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        node.values = [self.visit(value) for value in node.values]
        return self.chain(node)

    def chain(self, node: ast.BoolOp) -> ast.expr:
        """`a and b and c`, from the right: `b and c` is evaluated only where `a` is true."""
        result = node.values[-1]
        word = "all" if isinstance(node.op, ast.And) else "any"
        for value in reversed(node.values[:-1]):
            text = f"TJ.{word}_of((C := TJ.{word}_begin(A)), B if TJ.goes_on(C) else TJ.SKIPPED)"
            # The name that is set must be a name, not a copy of one.
            result = expression(text, value, TJ=HOOKS, C=self.names.name("b"), A=value, B=result)
        return result

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        text = "TJ.pick((C := TJ.either(TEST)), A if C.then() else None, B if C.orelse() else None)"
        parts = {"TEST": self.truth(node.test), "A": self.visit(node.body)}
        parts |= {"B": self.visit(node.orelse), "C": self.names.name("e")}
        return expression(text, node, TJ=HOOKS, **parts)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return self.truth(node) if isinstance(node.op, ast.Not) else self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) == 1:
            return self.membership(node)
        left, pairs = node.left, []
        for position, (op, right) in enumerate(zip(node.ops, node.comparators)):
            given, name = right, self.names.name("t")
            if position < len(node.ops) - 1:
                given = expression("(N := X)", right, N=name, X=right)
            pairs.append(self.membership(ast.copy_location(ast.Compare(left, [op], [given]), node)))
            left = ast.copy_location(ast.Name(name, ast.Load()), right)
        return self.chain(ast.copy_location(ast.BoolOp(ast.And(), pairs), node))

    def membership(self, node: ast.Compare) -> ast.expr:
        """A single comparison, where `in`, and `is None`, ask for a truth that may be traced."""
        (word,), (other,) = node.ops, node.comparators
        if isinstance(word, ast.Is | ast.IsNot) and isinstance(other, ast.Constant):
            if other.value is not None:
                return node
            self.names.count += 1
            text = "TJ.is_none(A)" if isinstance(word, ast.Is) else "TJ.is_some(A)"
            return expression(text, node, TJ=HOOKS, A=node.left)
        if not isinstance(word, ast.In | ast.NotIn):
            return node
        self.names.count += 1
        parts = {"TJ": HOOKS, "A": node.left, "B": node.comparators[0]}
        text = "TJ.contains(A, B)" if isinstance(node.ops[0], ast.In) else "TJ.lacks(A, B)"
        return expression(text, node, **parts)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """What is read at a computed place may be an item of a list, at a traced one."""
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Del) or not isinstance(node.slice, _COMPUTED):
            return node
        if isinstance(node.ctx, ast.Store):
            self.names.count += 1
            node.value = expression("TJ.places(A)", node, TJ=HOOKS, A=node.value)
            return node
        self.names.count += 1
        parts = {"TJ": HOOKS, "A": node.value, "B": node.slice}
        return expression("TJ.item(A, B)", node, **parts)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        is_reducer = isinstance(node.func, ast.Name) and node.func.id in REDUCERS
        if is_reducer and node.args and isinstance(node.args[0], ast.GeneratorExp):
            node.args[0] = self.lazy(node.args[0])
        if isinstance(node.func, ast.Name) and node.func.id == PRINT:
            node.args = [self.text(node.func, value) for value in node.args]
        self.generic_visit(node)
        match node.func:
            case ast.Name(id=name) if name in BUILTINS:
                pass
            case ast.Attribute(attr=name) if name in ITERATORS:
                pass
            case ast.Attribute(attr=name) if name in METHODS:
                self.names.count += 1
                of = node.func.value
                node.func.value = expression("TJ.methods(X)", of, TJ=HOOKS, X=of)
                return node
            case _:
                return node
        self.names.count += 1
        node.func = expression("TJ.seen(X)", node.func, TJ=HOOKS, X=node.func)
        return node

    def text(self, function: ast.Name, node: ast.expr) -> ast.expr:
        """An argument of `print`: where it is text that is made of values, its form and these."""
        parts: dict[str, Any] = {"PERCENT": ast.Constant(False), "NAMED": ast.Dict([], [])}
        match node:
            case ast.JoinedStr():
                values: list[ast.expr] = []
                form = _form_of(node, values)
                parts |= {"FORM": ast.Constant(form), "OPERANDS": ast.Tuple(values, ast.Load())}
            case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod()):
                parts |= {"FORM": node.left, "OPERANDS": node.right, "PERCENT": ast.Constant(True)}
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="format")):
                named = [ast.keyword(word.arg, word.value) for word in node.keywords]
                parts |= {"FORM": node.func.value, "OPERANDS": ast.Tuple(node.args, ast.Load())}
                parts |= {"NAMED": expression("dict()", node)}
                parts["NAMED"].keywords = named
            case _:
                return node
        self.names.count += 1
        call = "TJ.text(PRINT, PERCENT, FORM, OPERANDS, NAMED)"
        return expression(call, node, TJ=HOOKS, PRINT=function, **parts)

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        node.body = value_of(node.body, self.names)
        return node

    def lazy(self, node: ast.GeneratorExp | ast.ListComp) -> ast.expr:
        """What goes through a comprehension as its reader wants, in loops that may be rolled."""
        if any(generator.is_async for generator in node.generators) or _sets_by_chance(node):
            return node
        first, *rest = node.generators
        item = self.names.name("i")
        value: ast.expr = node.elt
        if rest:
            value = self.lazy(ast.copy_location(ast.GeneratorExp(node.elt, rest), node))
        conditions = first.ifs
        test: ast.expr = ast.copy_location(ast.Constant(None), node)
        if conditions:
            both = conditions[0]
            if len(conditions) > 1:
                both = ast.copy_location(ast.BoolOp(ast.And(), conditions), node)
            test = self._of_item(expression("TJ.truth(X)", node, TJ=HOOKS, X=both), first, item)
        return expression(
            "TJ.lazy(SOURCE, VALUE, TEST, NESTED)",
            node,
            TJ=HOOKS,
            SOURCE=first.iter,
            VALUE=self._of_item(value, first, item),
            TEST=test,
            NESTED=ast.Constant(bool(rest)),
        )

    @staticmethod
    def _of_item(value: ast.expr, generator: ast.comprehension, item: str) -> ast.expr:
        """`lambda item: value`, with the item taken apart as the comprehension does it."""
        target = ast.copy_location(ast.Name(item, ast.Load()), value)
        only = ast.copy_location(ast.Tuple([target], ast.Load()), value)
        parts = [ast.comprehension(generator.target, only, [], 0)]
        inside = ast.copy_location(ast.ListComp(value, parts), value)
        taken = expression("X[0]", value, X=inside)
        arguments = ast.arguments([], [ast.arg(item)], None, [], [], None, [])
        made = ast.Lambda(arguments, taken)
        return ast.fix_missing_locations(ast.copy_location(made, value))

    def visit_ListComp(self, node: Any) -> ast.expr:
        """A list whose items are chosen, by traced values maybe, or many."""
        first, *rest = node.generators
        is_display = isinstance(first.iter, ast.Tuple | ast.List) and not first.ifs
        # Of several loops without a condition Python makes the list.
        is_plain = bool(rest) and not any(generator.ifs for generator in node.generators)
        found = node if is_plain or is_display else self.lazy(node)
        if found is not node:
            place = ast.copy_location(ast.Constant((node.lineno, node.col_offset)), node)
            listed = expression("TJ.listed(X, PLACE)", node, TJ=HOOKS, X=found, PLACE=place)
            return self.visit(listed)
        return self.visit_Comprehension(node)

    def visit_Comprehension(self, node: Any) -> ast.expr:
        """A comprehension: in what it iterates over, no names can be set."""
        for part in ("elt", "key", "value"):
            if hasattr(node, part):
                setattr(node, part, self.visit(getattr(node, part)))
        for generator in node.generators:
            if not holds(generator.iter, (ast.IfExp, ast.BoolOp, ast.Compare), ()):
                generator.iter = self.visit(generator.iter)
        return node

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_Comprehension


def _form_of(node: ast.JoinedStr, values: list[ast.expr]) -> str:
    """An f-string as a form for `str.format`; adds what is put into it to `values`."""
    form = ""
    for part in node.values:
        match part:
            case ast.Constant():
                form += part.value.replace("{", "{{").replace("}", "}}")
            case ast.FormattedValue():
                values.append(part.value)
                how = f"!{chr(part.conversion)}" if part.conversion > 0 else ""
                spec = f":{_form_of(part.format_spec, values)}" if part.format_spec else ""
                form += f"{{{how}{spec}}}"
    return form


def holds(node: ast.AST, kinds: Any, outside: tuple) -> bool:
    """Whether there is a node of some kind in this one, not below one of the kinds `outside`."""
    pending = [node]
    while pending:
        found = pending.pop()
        if isinstance(found, kinds):
            return True
        if not isinstance(found, outside):
            pending.extend(ast.iter_child_nodes(found))
    return False


def _sets_by_chance(node: ast.AST) -> bool:
    """Whether there is a `:=` in a part of an expression that is not evaluated in any case."""
    chances: list[ast.AST] = []
    for found in ast.walk(node):
        match found:
            case ast.BoolOp(values=[_, *rest]) | ast.Compare(comparators=[_, *rest]):
                chances += rest
            case ast.IfExp(body=first, orelse=second):
                chances += first, second
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                chances.append(found)
    return any(holds(part, ast.NamedExpr, FUNCTIONS) for part in chances)
