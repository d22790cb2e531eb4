"""A function's code with its control flow captured: rewritten once, and kept."""

from __future__ import annotations

import dis
from inspect import CO_GENERATOR, GEN_CREATED, getgeneratorstate
from itertools import pairwise
from types import CodeType, FrameType, GeneratorType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from .expressions import BUILTINS, ITERATORS, METHODS, PRINT, REDUCERS
from .rewrite import rewritten
from .source import compiled, definition_of

_made: WeakKeyDictionary[CodeType, CodeType] = WeakKeyDictionary()
_without_source: WeakSet[CodeType] = WeakSet()
_generators: WeakSet[CodeType] = WeakSet()
_CHOICES = {
    op
    for name, op in dis.opmap.items()
    if ("JUMP" in name and "_IF_" in name)
    or name in ("FOR_ITER", "UNARY_NOT", "CONTAINS_OP")
    or name in ("PUSH_EXC_INFO", "SETUP_FINALLY")  # `except`, perhaps
}
# What reads an item, and what comes before it where the index is no number that is computed.
_ITEM = dis.opmap.get("BINARY_SUBSCR")
_PLAIN = {dis.opmap.get(name) for name in ("LOAD_CONST", "BUILD_SLICE", "BUILD_TUPLE")}
# Builtins that may be given traced numbers where nothing else is captured.
_CALLS = BUILTINS | ITERATORS | METHODS | REDUCERS | {PRINT}


def captured(code: CodeType) -> CodeType:
    """The code to run instead of `code` while it is traced: itself, where nothing is captured."""
    found = _made.get(code)
    if found is None:
        found = _made[code] = (_rewritten(code) if _chooses(code) else None) or code
    return found


def _rewritten(code: CodeType) -> CodeType | None:
    definition = definition_of(code)
    if definition is None:
        _without_source.add(code)
        return None
    if not rewritten(definition):
        return None
    try:
        made = compiled(definition, code)
    except (SyntaxError, RecursionError):  # too deeply nested for Python
        return None
    if made is not None and made.co_flags & CO_GENERATOR:
        _generators.add(made)
    return made


def is_to_be_driven(iterable: Any) -> bool:
    """Whether it is a generator whose control flow is captured, and that has not begun."""
    if type(iterable) is not GeneratorType or iterable.gi_code not in _generators:
        return False
    return getgeneratorstate(iterable) == GEN_CREATED


def is_apart(trace: Any, frame: FrameType) -> bool:
    """Whether code is that of a generator which no loop goes through: as Python runs it."""
    return bool(frame.f_code.co_flags & CO_GENERATOR) and frame not in trace.driven


def has_source(code: CodeType) -> bool:
    """Whether the branches and loops of a function that is traced could be captured, if it has any."""
    return code not in _without_source


def _chooses(code: CodeType) -> bool:
    """Whether code, or functions in it, have loops, branches, handlers, calls that may be of `range`, or read
    items at computed places."""
    if code.co_flags & CO_GENERATOR:  # what it yields to may leave it
        return True
    ops = code.co_code[::2]
    if _CHOICES.intersection(ops) or _CALLS.intersection(code.co_names):
        return True
    if any(op == _ITEM and before not in _PLAIN for before, op in pairwise(ops)):
        return True
    return any(_chooses(inner) for inner in code.co_consts if isinstance(inner, CodeType))
