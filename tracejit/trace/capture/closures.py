"""What functions keep from call to call: the variables of the functions around them, which they assign."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator, MutableMapping
from typing import Any

from ..context import Trace
from ..location import is_internal

# What reaches others when it is called.
CALLED = (types.FunctionType, types.MethodType, functools.partial)
_STORES = ("STORE_DEREF", "DELETE_DEREF")


class Closed(MutableMapping[str, Any]):
    """A variable of an enclosing function, as a dict of one item, or of none while it is unbound."""

    def __init__(self, name: str, cell: types.CellType):
        self._name, self._cell = name, cell

    def __getitem__(self, key: str) -> Any:
        if key in self:
            return self._cell.cell_contents
        raise KeyError(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._cell.cell_contents = value

    def __delitem__(self, key: str) -> None:
        del self._cell.cell_contents

    def __contains__(self, key: object) -> bool:
        return key == self._name and len(self) == 1

    def __iter__(self) -> Iterator[str]:
        return iter((self._name,) if len(self) else ())

    def __len__(self) -> int:
        try:
            self._cell.cell_contents  # noqa: B018
        except ValueError:
            return 0
        return 1


def reached_by(function: Any) -> list[Any]:
    """What a function may call, or find in the variables of the functions around it."""
    match function:
        case types.MethodType():
            return [function.__self__, function.__func__]
        case functools.partial():
            return [function.func, *function.args, *function.keywords.values()]
    if is_internal(function.__code__.co_filename):
        return []
    cells = [Closed("", cell) for cell in function.__closure__ or ()]
    return [cell._cell.cell_contents for cell in cells if len(cell)]


def assigned_by(
    trace: Trace, function: Any, names: dict[str, Any], frame: types.CodeType
) -> Iterator[Closed]:
    """The variables that a function assigns, but those of the frame itself, of which `names` are told apart."""
    if not isinstance(function, types.FunctionType) or not function.__closure__:
        return
    code = function.__code__
    if is_internal(code.co_filename):
        return
    assigned = _assigned(code)
    for name, cell in zip(code.co_freevars, function.__closure__):
        if name not in assigned:
            continue
        found = trace.slotted.setdefault(id(cell), Closed(name, cell))
        if name in frame.co_cellvars:
            is_own = _place(code) in _defined_in(frame)
        else:
            is_own = name in frame.co_freevars and names.get(name, found) is found.get(name, found)
        if not is_own:
            yield found


@functools.lru_cache(4096)
def _assigned(code: types.CodeType) -> frozenset[str]:
    """Of the variables of functions around it, those that a function assigns, or one inside of it."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in _STORES}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= _assigned(inner)
    return frozenset(found & {*code.co_freevars})


@functools.lru_cache(4096)
def _defined_in(code: types.CodeType) -> frozenset[tuple]:
    """The functions that are defined in one, and in those."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return frozenset([_place(c) for c in inner]).union(*map(_defined_in, inner))


def _place(code: types.CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_name
