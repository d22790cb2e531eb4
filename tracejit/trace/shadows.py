"""Stand-ins for the user's containers, objects and classes, whose contents are hooked.

A global `PARAMS["w"]` or `MODEL.w` must be an input of the program like any captured array, and
`MODEL.forward` must see traced creation functions. So the traced code gets a copy of the container
or object, made of hooked contents; objects are instances of a subclass whose methods are hooked.
The contents are guarded as globals are, those of classes too, and changes are carried back.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
from abc import ABCMeta
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Container
from enum import Enum
from typing import Any

import numpy as np

from .location import is_library, is_library_class
from .tree import is_plain_object, slots_of

# limit: what larger containers hold is taken as it is, and unguarded.
LARGEST = 1000


class Copy(type):
    """Class of the hooked subclasses: what is an instance of the original is one of the copy."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


class _AbstractCopy(Copy, ABCMeta):
    """The same for abstract classes, which ask their subclasses in turn, the copy among them."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        if cls in _asked.classes:
            return False
        _asked.classes.add(cls)
        try:
            return super().__subclasscheck__(subclass)
        finally:
            _asked.classes.discard(cls)


class _Asked(threading.local):
    """The abstract copies whose originals this thread is asking."""

    def __init__(self) -> None:
        self.classes: set[type] = set()


_asked = _Asked()


class Shadows:
    """The stand-ins of one trace.

    `hook(value, name)` hooks contents, `guard(dict, key, value)` remembers that they were read. For
    what guards cannot express, `snapshots` holds `(list, items)`, `slots` holds
    `(object, attribute, value)`, `others` holds `(container, items)` for other containers than
    lists, and `dicts` those whose keys matter, all of them.
    """

    def __init__(self, hook: Callable[..., Any], guard: Callable[..., None]):
        self.hook, self.guard = hook, guard
        self.snapshots: list[tuple[list, list]] = []
        self.slots: list[tuple[Any, str, Any]] = []
        self.others: list[tuple[Any, list]] = []
        self.dicts: list[dict] = []
        self._classes: dict[type, dict[str, Any]] = {}
        self._slotted: list[tuple[Any, Any, dict[str, Any]]] = []
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
        is_defaulting = type(value) is defaultdict
        new = defaultdict(value.default_factory) if is_defaulting else type(value)()
        remember(value, new)
        if isinstance(value, list):
            self.snapshots.append((value, list(value)))
            new.extend(self.hook(item, name) for item in value)
            self._made.append((value, new, list(new)))
        else:
            self.dicts.append(value)
            for key, item in value.items():
                self.guard(value, key, item)
                new[key] = self.hook(item, f"{name}_{key}")
            self._made.append((value, new, dict(new)))
        return new

    def object(self, value: Any, remember: Callable[[Any, Any], None], name: str) -> Any:
        """The stand-in of a plain object."""
        new = object.__new__(self.class_(type(value)))
        remember(value, new)
        if hasattr(value, "__dict__"):
            attributes = vars(value)
            self.dicts.append(attributes)
            for key, item in attributes.items():
                self.guard(attributes, key, item)
                vars(new)[key] = self.hook(item, f"{name}_{key}")
            self._made.append((attributes, vars(new), dict(vars(new))))
        slots = slots_of(value)
        if slots:
            for key, item in slots.items():
                self.slots.append((value, key, item))
                object.__setattr__(new, key, self.hook(item, f"{name}_{key}"))
            self._slotted.append((value, new, slots_of(new)))
        return new

    def adopt(self, program: Any) -> None:
        """Remember what another trace had to look at."""
        self.snapshots += program.snapshots
        self.slots += program.slots
        self.others += program.others
        self.dicts += [names for names, _ in program.entries]

    def attributes(self, original: dict, new: dict) -> None:
        """Carry what the stand-in of a function, which has none, gets for attributes over to it."""
        self._made.append((original, new, {}))

    def watch(self, value: Any) -> list[Any]:
        """Guard an object that has no stand-in, and give what the traced code may read of it."""
        seen: list[Any] = []
        if isinstance(value, list | dict | set | deque) and len(value) <= LARGEST:
            seen = items_of(value)
            self.others.append((value, seen))
        if not is_library_class(type(value)) or _is_namespace(value):
            attributes = getattr(value, "__dict__", None)
            if type(attributes) is dict:
                self.dicts.append(attributes)
                for key, item in attributes.items():
                    self.guard(attributes, key, item)
                    seen.append(item)
            for key, item in slots_of(value).items():
                self.slots.append((value, key, item))
                seen.append(item)
        return seen

    def class_(self, cls: type) -> type:
        """A subclass of `cls` with hooked methods; `cls` itself where that is not possible."""
        found = self._copies.get(cls)
        if found is not None:
            return found
        self._copies[cls] = cls
        bases = [base for base in cls.__mro__[:-1] if not is_library_class(base)]
        self._classes.update((base, dict(vars(base))) for base in bases)
        if not _is_copyable(cls):
            return cls
        members: dict[str, Any] = {}
        for base in reversed(cls.__mro__[:-1]):
            for name, member in vars(base).items():
                hooked = self._member(name, member)
                if hooked is not member:
                    members[name] = hooked
                else:
                    members.pop(name, None)
        if members:
            described = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
            described |= {"__doc__": cls.__doc__, **({} if _has_dict(cls) else {"__slots__": ()})}
            meta = Copy if type(cls) is type else _AbstractCopy
            self._copies[cls] = new = meta(cls.__name__, (cls,), {**described, **members})
            self._copies[new] = new
            self.originals[new] = cls
        return self._copies[cls]

    def _member(self, name: str, member: Any) -> Any:
        if name == "__repr__" and is_library(_file_of(member)):
            return member  # a dataclass's own, which watches for circles with a set
        if isinstance(member, staticmethod | classmethod):
            function = self.hook(member.__func__)
            return member if function is member.__func__ else type(member)(function)
        if type(member) is property:
            parts = (member.fget, member.fset, member.fdel)
            hooked = [self.hook(part) for part in parts]
            same = all(a is b for a, b in zip(parts, hooked))
            return member if same else property(*hooked, member.__doc__)
        if isinstance(member, type):
            return member
        is_data = is_container(member) or is_object(member) or isinstance(member, np.ndarray)
        if callable(member) or (is_data and not _is_special(name)):
            return self.hook(member, name)
        return member

    def guard_classes(self, names: Container[str]) -> None:
        """Guard the classes' attributes, and those of their methods that have one of these names."""
        for cls, members in self._classes.items():
            namespace = _namespace_of(cls)
            for name, member in members.items():
                is_method = isinstance(member, _METHODS)
                if (name in names or not is_method) and not _is_special(name):
                    self.guard(namespace, name, member)

    def stand_ins(self) -> list[Any]:
        """The stand-ins that are containers, and the attributes of those that are objects."""
        return [new for _, new, _ in self._made]

    def first_contents(self) -> list[tuple[Any, Any]]:
        """The same, each with what it held at first."""
        return [(new, before) for _, new, before in self._made]

    def write_back(self, outlived: Callable[[Any, str], Any]) -> None:
        """Carry changes of the stand-ins over to the originals."""
        for original, new, before in self._slotted:
            after = slots_of(new)
            for key in before.keys() - after.keys():
                delattr(original, key)
            for key, item in after.items():
                if before.get(key, _EMPTY) is not item:
                    setattr(original, key, outlived(item, key))
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


_EMPTY = object()
_METHODS = (types.FunctionType, staticmethod, classmethod, property)


def _is_special(name: str) -> bool:
    """Whether a member of a class belongs to Python: `__doc__`, but not `__call__`."""
    return name.startswith("__") and name.endswith("__") and name != "__call__"


def _file_of(member: Any) -> str:
    return member.__code__.co_filename if isinstance(member, types.FunctionType) else "<unknown>"


def _namespace_of(cls: type) -> dict[str, Any]:
    """The very dict that holds the members of a class; `vars(cls)` is a view of it."""
    (found,) = [held for held in gc.get_referents(vars(cls)) if isinstance(held, dict)]
    return found


def _is_namespace(value: Any) -> bool:
    """Whether `value` is of one of Python's own classes for attributes of any name."""
    argparse = sys.modules.get("argparse")
    parsed = argparse is not None and isinstance(value, argparse.Namespace)
    return parsed or isinstance(value, types.SimpleNamespace)


def items_of(container: Any) -> list[Any]:
    """Everything a container holds, keys too."""
    is_mapping = isinstance(container, dict)
    return [*container.keys(), *container.values()] if is_mapping else list(container)


_EXACT = (dict, list, tuple, OrderedDict, defaultdict)


def is_container(value: Any) -> bool:
    """Whether `value` is its items and nothing else."""
    kind = type(value)
    return kind in _EXACT or (isinstance(value, tuple) and hasattr(kind, "_make"))


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
