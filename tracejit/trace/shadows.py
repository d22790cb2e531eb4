"""Stand-ins for the user's containers, objects and classes, whose contents are hooked.

A global `PARAMS["w"]` or `MODEL.w` must be an input of the program like any captured array, and
`MODEL.forward` must see traced creation functions. So the traced code gets a copy of the container
or object, made of hooked contents; objects are instances of a subclass whose methods are hooked.
The contents are guarded as globals are, and changes are carried back.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from enum import Enum
from typing import Any

from .tree import is_plain_object

# limit: what larger containers hold is taken as it is, and unguarded.
LARGEST = 1000


class _Copy(type):
    """Class of the hooked subclasses: what is an instance of the original is one of the copy."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


class _AbstractCopy(_Copy, ABCMeta):
    """The same for abstract classes."""


class Shadows:
    """The stand-ins of one trace.

    `hook(value, name)` hooks contents, `guard(dict, key, value)` remembers that they were read;
    `snapshots` holds `(list, items)` for what guards cannot express.
    """

    def __init__(self, hook: Callable[..., Any], guard: Callable[..., None]):
        self.hook, self.guard = hook, guard
        self.snapshots: list[tuple[list, list]] = []
        self.originals: dict[type, type] = {}
        self._copies: dict[type, type] = {}
        self._made: list[tuple[Any, Any, Any]] = []

    def container(self, value: Any, remember: Callable[[Any, Any], None], name: str) -> Any:
        """The stand-in of a tuple, list or dict."""
        if len(value) > LARGEST:
            return value
        if isinstance(value, tuple):
            items = [self.hook(item, name) for item in value]
            if all(a is b for a, b in zip(items, value)):
                return value
            return tuple(items) if type(value) is tuple else type(value)._make(items)
        new = type(value)()
        remember(value, new)
        if isinstance(value, list):
            self.snapshots.append((value, list(value)))
            new.extend(self.hook(item, name) for item in value)
            self._made.append((value, new, list(new)))
        else:
            for key, item in value.items():
                self.guard(value, key, item)
                new[key] = self.hook(item, f"{name}_{key}")
            self._made.append((value, new, dict(new)))
        return new

    def object(self, value: Any, remember: Callable[[Any, Any], None], name: str) -> Any:
        """The stand-in of a plain object."""
        new = object.__new__(self.class_(type(value)))
        remember(value, new)
        attributes = vars(value)
        for key, item in attributes.items():
            self.guard(attributes, key, item)
            vars(new)[key] = self.hook(item, f"{name}_{key}")
        self._made.append((attributes, vars(new), dict(vars(new))))
        return new

    def class_(self, cls: type) -> type:
        """A subclass of `cls` with hooked methods; `cls` itself where that is not possible."""
        found = self._copies.get(cls)
        if found is not None:
            return found
        self._copies[cls] = cls
        if not _is_copyable(cls):
            return cls
        members: dict[str, Any] = {}
        for base in reversed(cls.__mro__[:-1]):
            for name, member in vars(base).items():
                hooked = self._member(member)
                if hooked is not member:
                    members[name] = hooked
                else:
                    members.pop(name, None)
        if members:
            described = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
            described |= {"__doc__": cls.__doc__, **({} if _has_dict(cls) else {"__slots__": ()})}
            meta = _Copy if type(cls) is type else _AbstractCopy
            self._copies[cls] = new = meta(cls.__name__, (cls,), {**described, **members})
            self._copies[new] = new
            self.originals[new] = cls
        return self._copies[cls]

    def _member(self, member: Any) -> Any:
        if isinstance(member, staticmethod | classmethod):
            function = self.hook(member.__func__)
            return member if function is member.__func__ else type(member)(function)
        if type(member) is property:
            parts = (member.fget, member.fset, member.fdel)
            hooked = [self.hook(part) for part in parts]
            same = all(a is b for a, b in zip(parts, hooked))
            return member if same else property(*hooked, member.__doc__)
        return self.hook(member) if callable(member) and not isinstance(member, type) else member

    def write_back(self, outlived: Callable[[Any, str], Any]) -> None:
        """Carry changes of the stand-ins over to the originals."""
        for original, new, before in self._made:
            if isinstance(new, list):
                if len(new) != len(before) or any(a is not b for a, b in zip(new, before)):
                    original[:] = [outlived(item, "a list") for item in new]
                continue
            for key in before.keys() - new.keys():
                del original[key]
            for key, item in new.items():
                if key not in before or before[key] is not item:
                    original[key] = outlived(item, str(key))


def is_container(value: Any) -> bool:
    """Whether `value` is its items and nothing else."""
    kind = type(value)
    return kind in (dict, list, tuple) or (isinstance(value, tuple) and hasattr(kind, "_make"))


def is_object(value: Any) -> bool:
    """Whether `value` can have a stand-in."""
    return is_plain_object(value) and _is_copyable(type(value))


def _is_copyable(cls: type) -> bool:
    return (
        type(cls) in (type, ABCMeta)
        and cls.__new__ is object.__new__
        and not any("__init_subclass__" in vars(base) for base in cls.__mro__[:-1])
        and not issubclass(cls, BaseException | Enum)
    )


def _has_dict(cls: type) -> bool:
    return cls.__dictoffset__ != 0
