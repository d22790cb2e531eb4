"""Code with holes: `build("if TEST:\n    BODY", TEST=expression, BODY=statements)`."""

from __future__ import annotations

import ast
import functools
from typing import Any

# What the hooks are called in rewritten code.
HOOKS = "@tj"


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _copied(tree: Any) -> Any:
    """A copy of a tree of code; by way of the copy module it would take ten times as long."""
    if isinstance(tree, list):
        return [_copied(part) for part in tree]
    if not isinstance(tree, ast.AST):
        return tree
    copy = type(tree)()
    vars(copy).update({name: _copied(part) for name, part in vars(tree).items()})
    return copy


class _Filling(ast.NodeTransformer):
    """Puts parts in place of names: strings are names, lists are statements."""

    def __init__(self, parts: dict[str, Any], place: ast.AST):
        self.parts, self.place = parts, place

    def visit(self, node: ast.AST) -> Any:
        if hasattr(node, "lineno"):
            ast.copy_location(node, self.place)
            # Python says of a call that it is where its name ends, which is here all of a statement.
            if node.end_lineno != node.lineno:
                node.end_lineno, node.end_col_offset = node.lineno, node.col_offset
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        part = self.parts.get(node.id)
        if part is None or isinstance(part, str):
            node.id = part or node.id
            return node
        return _copied(part) if isinstance(node.ctx, ast.Load) else part

    def visit_Expr(self, node: ast.Expr) -> Any:
        if isinstance(node.value, ast.Name) and isinstance(self.parts.get(node.value.id), list):
            return self.parts[node.value.id] or ast.copy_location(ast.Pass(), self.place)
        return self.generic_visit(node)


def build(text: str, place: ast.AST, **parts: Any) -> list[ast.stmt]:
    """The statements of `text` with its holes filled, all of them at the line of `place`."""
    tree = _copied(_parsed(text))
    return _Filling(parts, place).visit(tree).body


def expression(text: str, place: ast.AST, **parts: Any) -> ast.expr:
    """The same for one expression."""
    (line,) = build(text, place, **parts)
    assert isinstance(line, ast.Expr)
    return line.value
