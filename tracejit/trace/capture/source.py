"""The source of a function as a syntax tree, and a code object made of such a tree.

The code is compiled with the file name and line numbers of the original, over the same closure, so
that tracebacks, breakpoints and `inspect.getsource` stay the user's.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from types import CodeType
from typing import NamedTuple

from ...ir.syntax import AST_LOCK

Definition = ast.FunctionDef | ast.Lambda
_FACTORY = "@factory"
_FUTURES = 0x1FF0000  # the flags of `from __future__` imports in a code object


class Place(NamedTuple):
    """Where something stands in a file; columns are counted in bytes, as Python does."""

    line: int
    column: int
    last_line: int
    end: int


def definition_of(code: CodeType) -> Definition | None:
    """The syntax tree of the function that `code` is of, lines counted as in its file.

    None where the source cannot be had, or is not what the code was made of.
    """
    lines = linecache.getlines(code.co_filename)
    if not 0 < code.co_firstlineno <= len(lines):
        return None
    is_lambda = code.co_name == "<lambda>"
    try:
        with AST_LOCK:
            found = _lambda(code, lines) if is_lambda else _function(code, lines)
            is_current = found is not None and _is_source(found, code)
    except (SyntaxError, ValueError, RecursionError):
        return None
    return found if is_current else None


def _function(code: CodeType, lines: list[str]) -> ast.FunctionDef | None:
    first = code.co_firstlineno - 1
    block = inspect.getblock(lines[first:])
    is_indented = block[0][:1].isspace()
    tree = ast.parse("if 1:\n" * is_indented + "".join(block))
    ast.increment_lineno(tree, first - is_indented)
    (found,) = tree.body[0].body if is_indented else tree.body
    return found if isinstance(found, ast.FunctionDef) and found.name == code.co_name else None


def _lambda(code: CodeType, lines: list[str]) -> ast.Lambda | None:
    """The only lambda of its line, or the only one there that compiles to this very code."""
    places = _places_of_lambdas(code.co_filename, lines).get(code.co_firstlineno, ())
    found = [node for place in places if isinstance(node := _at(place, lines), ast.Lambda)]
    if len(found) > 1:
        found = [node for node in found if _instructions(node, code) == code.co_code]
    return found[0] if len(found) == 1 else None


# Of the files that were read last: their lines, and by line number where in them lambdas are. A file is long,
# and as many of its lambdas as there are tests in it may be traced.
_MOST_FILES = 8
_known: dict[str, tuple[list[str], dict[int, list[Place]]]] = {}


def _places_of_lambdas(name: str, lines: list[str]) -> dict[int, list[Place]]:
    """By line number, where lambdas are in a file."""
    known = _known.get(name)
    if known is not None and known[0] == lines:
        return known[1]
    found: dict[int, list[Place]] = {}
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, ast.Lambda):
            place = Place(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
            found.setdefault(node.lineno, []).append(place)
    _known.pop(name, None)
    while len(_known) >= _MOST_FILES:
        del _known[next(iter(_known))]
    _known[name] = lines, found
    return found


def _at(place: Place, lines: list[str]) -> ast.expr:
    """What stands at a place of a file, as a tree of its own, that may be changed; its lines and columns are the file's."""
    text = "".join(lines[place.line - 1 : place.last_line]).encode()
    behind = len(lines[place.last_line - 1].encode()) - place.end
    own = text[place.column : len(text) - behind].decode()
    tree = ast.parse(f"(\n{' ' * place.column}{own}\n)", mode="eval")
    ast.increment_lineno(tree, place.line - 2)
    return tree.body


def _instructions(node: ast.Lambda, code: CodeType) -> bytes | None:
    made = compiled(node, code)
    return None if made is None else made.co_code


def _is_source(found: Definition, code: CodeType) -> bool:
    """Whether the tree makes the same code; pytest, for one, adds to what it compiles."""
    made = compiled(found, code)
    if made is None or _arguments(made) != _arguments(code):
        return False
    return made.co_code == code.co_code or {*made.co_names} <= {*code.co_names}


def _arguments(code: CodeType) -> tuple:
    flags = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR
    count = code.co_argcount + code.co_kwonlyargcount
    return (
        code.co_varnames[:count],
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_flags & flags,
        {*code.co_freevars},
    )


def compiled(definition: Definition, code: CodeType) -> CodeType | None:
    """`definition` as the code object that would stand in for `code`; None if it cannot."""
    body: ast.stmt = ast.Expr(definition)
    if isinstance(definition, ast.FunctionDef):
        body = _without_header(definition)
    outer = ast.arguments([], [ast.arg(name) for name in code.co_freevars], None, [], [], None, [])
    # The function's own name is what it was to the function: a global, or a variable of a closure.
    known = [] if code.co_name in (*code.co_freevars, "<lambda>") else [ast.Global([code.co_name])]
    factory = ast.FunctionDef(_FACTORY, outer, [*known, body], [], None)
    owner = ast.ClassDef(_class_name(code), [], [], [factory], [])
    if hasattr(ast, "TypeAlias"):  # Python 3.12
        factory.type_params, owner.type_params = [], []
    module = ast.fix_missing_locations(ast.Module([owner], []))
    flags = code.co_flags & _FUTURES
    made = compile(module, code.co_filename, "exec", flags=flags, dont_inherit=True)
    for name in (owner.name, _FACTORY, code.co_name):
        inner = [c for c in made.co_consts if isinstance(c, CodeType) and c.co_name == name]
        if len(inner) != 1:
            return None
        (made,) = inner
    if {*made.co_freevars} != {*code.co_freevars}:
        return None
    names = {"co_qualname": code.co_qualname} if hasattr(code, "co_qualname") else {}
    # Its first line stays that of `def`, not of the decorators: other lines are counted from it.
    return made.replace(**names)


def _without_header(definition: ast.FunctionDef) -> ast.FunctionDef:
    """The same function without decorators and defaults, which belong to the enclosing scope."""
    given = definition.args
    bare = ast.arguments(
        [ast.arg(a.arg) for a in given.posonlyargs],
        [ast.arg(a.arg) for a in given.args],
        given.vararg and ast.arg(given.vararg.arg),
        [ast.arg(a.arg) for a in given.kwonlyargs],
        [None] * len(given.kwonlyargs),
        given.kwarg and ast.arg(given.kwarg.arg),
        [],
    )
    new = ast.FunctionDef(definition.name, bare, definition.body, [], None)
    if hasattr(definition, "type_params"):  # Python 3.12
        new.type_params = []
    return ast.copy_location(new, definition)


def _class_name(code: CodeType) -> str:
    """The class around the function, of which private names get the name."""
    parts = getattr(code, "co_qualname", code.co_name).split(".")[:-1]
    while parts and parts[-1] == "<locals>":
        parts = parts[:-2]
    return parts[-1] if parts else "_"
