"""Nested containers taken apart into leaves and a structure, and put together again.

A structure is a plain nested tuple, so it hashes and compares at C speed: `LEAF`, or a builder
followed by what the builder needs and the structures of the children. Tuples, lists, dicts (their
order and keys belong to the structure), slices, namedtuples and dataclasses are containers;
everything else is a leaf, None included. `flatten` takes plain instances of classes apart on request.
"""

from __future__ import annotations

import dataclasses
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

Structure = Any
LEAF: Structure = ()


def flatten(tree: Any, is_opened: Callable[[Any], bool] | None = None) -> tuple[list, Structure]:
    """The leaves of `tree`, depth first, and its structure.

    `is_opened` tells which other objects to take apart, attribute by attribute. Raises ValueError
    for a container that contains itself.
    """
    leaves: list[Any] = []
    try:
        return leaves, _flatten(tree, leaves, is_opened)
    except RecursionError:
        raise ValueError("a container contains itself, or is nested too deeply") from None


def unflatten(structure: Structure, leaves: Any) -> Any:
    """The tree with this structure and these leaves; containers are new objects."""
    return _unflatten(structure, iter(leaves))


def kind_of(structure: Structure) -> str | None:
    """What a structure that is no leaf makes: a tuple, list, dict, namedtuple, object; else None."""
    return _KINDS.get(structure[0])


def keys_of(structure: Structure) -> tuple:
    """The keys of a dict, the names of a namedtuple or object."""
    return structure[1][-1]


def class_of(structure: Structure) -> type:
    """The class of a namedtuple or object."""
    return structure[1][0]


def grafted(
    structure: Structure, leaves: list, part_of: Callable[[Any], tuple[list, Structure] | None]
) -> tuple[list, Structure]:
    """The same tree with what `part_of` gives in the place of some leaves: leaves, and their structure."""
    given, new = iter(leaves), []

    def visit(structure: Structure) -> Structure:
        if structure != LEAF:
            builder, data, *children = structure
            return (builder, data, *map(visit, children))
        leaf = next(given)
        found, own = part_of(leaf) or ([leaf], LEAF)
        new.extend(found)
        return own

    structure = visit(structure)
    return new, structure


def items_structure(item: Structure, are_python: Iterable[bool]) -> Structure:
    """A list, of arrays that have the parts of its items side by side: as numbers of Python's or NumPy's."""
    return (_build_items, (item, tuple(are_python)), *[LEAF for _ in are_python])


def leaf_count(structure: Structure) -> int:
    return 1 if structure == LEAF else sum(map(leaf_count, structure[2:]))


def map_classes(structure: Structure, change: Callable[[type], type]) -> Structure:
    """The same structure with its objects made of other classes."""
    if structure == LEAF:
        return LEAF
    builder, data, *children = structure
    if builder in (_build_object, _build_slotted):
        data = (change(data[0]), *data[1:])
    return (builder, data, *[map_classes(child, change) for child in children])


def leaf_paths(structure: Structure, prefix: str = "") -> list[str]:
    """A name for each leaf: `params_w_0` for `params["w"][0]`."""
    if structure == LEAF:
        return [prefix]
    builder, data, *children = structure
    labels = data[-1] if builder in _LABELLED else range(len(children))
    joined = [f"{prefix}_{label}" if prefix else str(label) for label in labels]
    return [path for label, child in zip(joined, children) for path in leaf_paths(child, label)]


def _flatten(value: Any, leaves: list, is_opened: Callable[[Any], bool] | None) -> Structure:
    kind = type(value)
    if kind in _SIMPLE:
        leaves.append(value)
        return LEAF
    take_apart = _CONTAINERS.get(kind)
    if take_apart is None:
        take_apart = _container_kind(value, is_opened)
        if take_apart is None:
            leaves.append(value)
            return LEAF
    builder, data, children = take_apart(value)
    return (builder, data, *[_flatten(child, leaves, is_opened) for child in children])


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    if structure == LEAF:
        return next(leaves)
    builder, data, *children = structure
    return builder(data, [_unflatten(child, leaves) for child in children])


def _container_kind(value: Any, is_opened: Callable[[Any], bool] | None) -> Any:
    """How to take an instance of a less common class apart; None for a leaf."""
    cls = type(value)
    if cls not in _known_classes:
        _known_classes[cls] = _kind_of_class(cls)
    found = _known_classes[cls]
    if found is None and is_opened is not None and is_opened(value):
        return _apart_object
    return found


def _kind_of_class(cls: type) -> Any:
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _apart_namedtuple if hasattr(cls, "_make") else _apart_tuple_object
    return _apart_object if dataclasses.is_dataclass(cls) else None


# By class, how all its instances are taken apart.
_known_classes: WeakKeyDictionary[type, Any] = WeakKeyDictionary()


def is_plain_object(value: Any) -> bool:
    """Whether an object is its attributes and nothing else, so that a copy of them is a copy of it."""
    cls = type(value)
    return (
        (hasattr(value, "__dict__") or bool(slot_names(cls)))
        and cls.__reduce_ex__ is object.__reduce_ex__
        and cls.__flags__ & _HEAP_TYPE != 0
        and cls.__new__ is object.__new__
        and not callable(getattr(cls, "__getattr__", None))
        and not isinstance(value, type | types.ModuleType | Enum | BaseException)
    )


_HEAP_TYPE = 1 << 9


def slot_names(cls: type) -> tuple[str, ...]:
    """The attributes that instances of `cls` keep in slots."""
    found: list[str] = []
    for base in cls.__mro__[:-1]:
        members = vars(base)
        if "__slots__" in members:
            found += [name for name, item in members.items() if isinstance(item, _Slot)]
    return tuple(found)


def slots_of(value: Any) -> dict[str, Any]:
    """The attributes that `value` keeps in slots."""
    names = slot_names(type(value))
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


_Slot = types.MemberDescriptorType


def _labels(keys: tuple) -> tuple:
    """Keys with their types, because 1, 1.0 and True are equal as keys."""
    return (tuple(map(type, keys)), keys)


def _build_tuple(_: Any, children: list) -> tuple:
    return tuple(children)


def _build_list(_: Any, children: list) -> list:
    return children


def _build_items(data: Any, children: list) -> list:
    item, are_python = data
    columns = [c.tolist() if python else [*c] for c, python in zip(children, are_python)]
    if item == LEAF:
        return columns[0]
    if item == (_build_tuple, None, *[LEAF for _ in columns]):
        return [*zip(*columns)]
    return [unflatten(item, row) for row in zip(*columns)]


def _build_dict(data: Any, children: list) -> dict:
    return dict(zip(data[-1], children))


def _build_ordered(data: Any, children: list) -> OrderedDict:
    return OrderedDict(zip(data[-1], children))


def _build_default(data: Any, children: list) -> defaultdict:
    return defaultdict(data[0], zip(data[-1], children))


def _build_namedtuple(data: Any, children: list) -> Any:
    return data[0]._make(children)


def _build_object(data: Any, children: list) -> Any:
    new = object.__new__(data[0])
    for name, child in zip(data[-1], children):
        object.__setattr__(new, name, child)
    return new


def _build_slotted(data: Any, children: list) -> Any:
    return _build_object(data, children)


def _build_slice(_: Any, children: list) -> slice:
    return slice(*children)


def _apart_slice(value: slice) -> tuple:
    return _build_slice, None, (value.start, value.stop, value.step)


def _apart_tuple(value: tuple) -> tuple:
    return _build_tuple, None, value


def _apart_list(value: list) -> tuple:
    return _build_list, None, value


def _apart_dict(value: dict) -> tuple:
    return _build_dict, _labels(tuple(value)), value.values()


def _apart_ordered(value: OrderedDict) -> tuple:
    return _build_ordered, _labels(tuple(value)), value.values()


def _apart_default(value: defaultdict) -> tuple:
    return _build_default, (value.default_factory, *_labels(tuple(value))), value.values()


def _apart_namedtuple(value: Any) -> tuple:
    return _build_namedtuple, (type(value), type(value)._fields), value


def _build_tuple_object(data: Any, children: list) -> Any:
    cls, count, names = data[0], data[1], data[-1][data[1] :]
    new = tuple.__new__(cls, children[:count])
    new.__dict__.update(zip(names, children[count:]))
    return new


def _apart_tuple_object(value: Any) -> tuple:
    """A tuple with names for its items, and attributes beside them, as SciPy's results are."""
    labels = (*type(value)._fields, *value.__dict__)
    return (
        _build_tuple_object,
        (type(value), len(value), labels),
        (*value, *value.__dict__.values()),
    )


def _apart_object(value: Any) -> tuple:
    slots = slots_of(value)
    attributes = {**getattr(value, "__dict__", {}), **slots}
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in attributes and hasattr(value, field.name):
                attributes[field.name] = getattr(value, field.name)
    builder = _build_slotted if slots else _build_object
    return builder, (type(value), tuple(attributes)), attributes.values()


_CONTAINERS: dict[type, Callable[[Any], tuple]] = {
    tuple: _apart_tuple,
    list: _apart_list,
    dict: _apart_dict,
    slice: _apart_slice,
    OrderedDict: _apart_ordered,
    defaultdict: _apart_default,
}


def containers_are(kind: type, take_apart: Callable[[Any], tuple]) -> None:
    """Let instances of a class be containers: `take_apart` gives a builder, its data and the children."""
    _CONTAINERS[kind] = take_apart


# Leaves known at a glance; any other type is looked at more closely.
_SIMPLE = frozenset(
    (np.ndarray, np.float64, np.float32, float, int, bool, complex, str, type(None))
)
_KINDS: dict[Callable, str] = {
    _build_tuple: "tuple",
    _build_list: "list",
    _build_dict: "dict",
    _build_namedtuple: "namedtuple",
    _build_object: "object",
}
_LABELLED = (_build_dict, _build_ordered, _build_default, _build_namedtuple)
_LABELLED += (_build_object, _build_slotted, _build_tuple_object)
