"""`match` as a chain of `if`s, where its patterns are values, alternatives, names and `_`.

Such a chain means the same for any subject; patterns that take a subject apart are left to Python.
"""

from __future__ import annotations

import ast

from .templates import build, expression


def chain_of(node: ast.Match, subject: str) -> list[ast.stmt] | None:
    """The statements for a `match` over what the name `subject` gets; None where it is left alone."""
    if not all(_is_simple(case) for case in node.cases):
        return None
    begin = build("S = X", node, S=subject, X=node.subject)
    return [*begin, *_cases(node, node.cases, subject)]


def _cases(node: ast.Match, cases: list[ast.match_case], subject: str) -> list[ast.stmt]:
    if not cases:
        return []
    case, *others = cases
    name, pattern = _name_of(case.pattern)
    taken = build("N = S", pattern, N=name, S=subject) if name else []
    test = None if _is_any(pattern) else _test(pattern, subject)
    if case.guard is None:
        body = [*taken, *case.body]
        return body if test is None else [_if(case, test, body, _cases(node, others, subject))]
    rest = _cases(node, others, subject)
    if test is None:
        return [*taken, _if(case, case.guard, case.body, rest)]
    both = ast.copy_location(ast.BoolOp(ast.And(), [test, case.guard]), case.guard)
    return [_if(case, both, case.body, rest)]


def _if(
    case: ast.match_case, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]
) -> ast.stmt:
    made = ast.copy_location(ast.If(test, body, orelse), case.pattern)
    return ast.fix_missing_locations(made)


def _is_simple(case: ast.match_case) -> bool:
    name, pattern = _name_of(case.pattern)
    if name and case.guard is not None and not _is_any(pattern):
        return False  # the name would be set before the guard, and stay so where that fails
    return _is_any(pattern) or _is_value(pattern)


def _is_value(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return all(map(_is_value, pattern.patterns))
    return isinstance(pattern, ast.MatchValue | ast.MatchSingleton)


def _is_any(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None


def _name_of(pattern: ast.pattern) -> tuple[str | None, ast.pattern]:
    """The name that a pattern sets, and what the subject must be otherwise."""
    if isinstance(pattern, ast.MatchAs):
        inner = pattern.pattern
        if inner is None or not isinstance(inner, ast.MatchAs):
            return pattern.name, inner or ast.copy_location(ast.MatchAs(None, None), pattern)
    return None, pattern


def _test(pattern: ast.pattern, subject: str) -> ast.expr:
    match pattern:
        case ast.MatchOr(patterns):
            tests = [_test(each, subject) for each in patterns]
            return ast.copy_location(ast.BoolOp(ast.Or(), tests), pattern)
        case ast.MatchSingleton(value):
            constant = ast.copy_location(ast.Constant(value), pattern)
            return expression("S is X", pattern, S=subject, X=constant)
        case ast.MatchValue(value):
            return expression("S == X", pattern, S=subject, X=value)
    raise AssertionError(pattern)
