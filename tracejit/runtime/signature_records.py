"""The records that check the arguments of a call against a signature and fill the frame."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.runtime import layout
from tracejit.runtime.signature import (
    CONTAINERS,
    ArrayLeaf,
    DictTree,
    Leaf,
    ListTree,
    ObjectTree,
    ScalarLeaf,
    Signature,
    StaticLeaf,
    Tree,
)
from tracejit.runtime.structures import (
    NUMBERS,
    RECORD,
    Frame,
    Memory,
    Unsupported,
    native_dtype,
    structure,
)


class SignatureEncoder:
    """The records that check a signature and fill the frame."""

    def __init__(self, memory: Memory, frame: Frame, slots: int, objects: int, check_static: bool):
        self.memory, self.frame = memory, frame
        self._next_slot, self._next_object, self._check_static = slots, objects, check_static
        self._objects = objects
        self._copied = 0
        self._copies_at: list[tuple[list[int], int]] = []

    def encode(self, signature: Signature) -> dict[str, int]:
        """The members of the entry's head that speak of the signature."""
        records: list[list[int]] = []
        if signature.keywords:
            records.append(self._names([name for name, _ in signature.keywords]))
        for position, tree in enumerate(signature.positional):
            self._tree(tree, NUMBERS["frame.positional"], position, records)
        for position, (_, tree) in enumerate(signature.keywords):
            self._tree(tree, NUMBERS["frame.keywords"], position, records)
        records += map(self._guard, signature.guards)
        records += [self._watched("cell", id(cell), 1, id(it)) for cell, it in signature.cells]
        records += [
            self._watched("items", id(kept), len(items), self.memory.store([*map(id, items)]))
            for kept, items in signature.lists
        ]
        records += [self._watched("size", id(held), count, 0) for held, count in signature.entries]
        records += [self._watched("word", at, 0, value) for at, value in signature.words]
        leaves = signature.leaves()
        records += [self._apart(leaves, first, second) for first, second in signature.apart]
        records.append(_record("end", {}))
        copies = self.frame.words(self._copied)
        for record, first in self._copies_at:
            record[RECORD["container.copies"] // 8] = copies + 8 * first
        return {
            "entry.arguments": len(signature.positional),
            "entry.keywords": len(signature.keywords),
            "entry.copies": copies,
            "entry.program": self.memory.store([word for record in records for word in record]),
        }

    def _names(self, names: list[str]) -> list[int]:
        if len(set(names)) != len(names):
            raise ValueError(f"a keyword occurs twice in {names}")
        values = {
            "container.count": len(names),
            "container.keys": self._keys(names),
            "container.copies": self.frame.words(len(names)),
        }
        return _record("names", values)

    def _keys(self, keys: Sequence[Any]) -> int:
        keys = [sys.intern(key) if type(key) is str else key for key in keys]
        return self.memory.store([self.memory.address(key) for key in keys])

    def _guard(self, guard: tuple[dict, str, object]) -> list[int]:
        dictionary, key, _ = guard
        if type(dictionary) is not dict or type(key) is not str:
            raise Unsupported("a guard that does not look up a str in a dict")
        addresses = map(self.memory.address, guard)
        members = ("guard.dict", "guard.key", "guard.value")
        return _record("guard", dict(zip(members, addresses, strict=True)))

    def _apart(self, leaves: Sequence[Leaf], first: int, second: int | np.ndarray) -> list[int]:
        values = {"pair.first": self._objects + 8 * first}
        values["pair.first_size"] = leaves[first].dtype.itemsize
        if isinstance(second, np.ndarray):
            values["pair.fixed"] = self.memory.address(second)
            values["pair.second_size"] = second.itemsize
        else:
            values["pair.second"] = self._objects + 8 * second
            values["pair.second_size"] = leaves[second].dtype.itemsize
        return _record("apart", values)

    def _watched(self, kind: str, watched: int, count: int, value: int) -> list[int]:
        members = {"watched.object": watched, "watched.count": count, "watched.value": value}
        return _record(kind, members)

    def _tree(self, tree: Tree, base: int, position: int, records: list[list[int]]) -> None:
        """Add the records for item number `position` of the vector whose address is at `base`."""
        place = {"record.base": base, "record.item": 8 * position}
        if isinstance(tree, CONTAINERS):
            place["record.object"] = NUMBERS["frame.ignored"]
            items = self._tree_container(tree, place, records)
            for index, item in enumerate(tree.items):
                self._tree(item, items, index, records)
            return
        place["record.object"] = self._next_object
        self._next_object += 8
        if isinstance(tree, StaticLeaf):
            self._static(tree.value, place, records)
            return
        place["record.slot"] = self._next_slot
        self._next_slot += 8
        records.append(
            self._array(tree, place) if isinstance(tree, ArrayLeaf) else self._scalar(tree, place)
        )

    def _tree_container(self, tree: Tree, place: dict[str, int], records: list[list[int]]) -> int:
        kind, python_type, keys = "tuple", getattr(tree, "type", None), ()
        if isinstance(tree, ListTree):
            kind, python_type = "list", list
        elif isinstance(tree, DictTree):
            kind, python_type, keys = "dict", dict, tree.keys
        elif isinstance(tree, ObjectTree):
            kind, keys = "instance", tree.keys
        return self._container(kind, python_type, len(tree.items), keys, place, records)

    def _container(
        self,
        kind: str,
        python_type: type,
        count: int,
        keys: Sequence[Any],
        place: dict[str, int],
        records: list[list[int]],
    ) -> int:
        """Add the record of a container; returns where the frame has the address of its items."""
        items = self.frame.words(1)
        values = {"record.type": self.memory.address(python_type), "record.slot": items}
        values["container.count"] = count
        if kind in ("dict", "instance"):
            if len(set(keys)) != count:
                raise ValueError(f"a dict of {count} items cannot have the keys {keys}")
            values["container.keys"] = self._keys(keys)
        record = _record(kind, {**place, **values})
        if kind != "tuple":
            self._copies_at.append((record, self._copied))
            self._copied += count
        records.append(record)
        return items

    def _static(self, value: Any, place: dict[str, int], records: list[list[int]]) -> None:
        python_type = type(value)
        if not self._check_static:
            records.append(_record("any", place))
        elif python_type in (tuple, list, dict):
            keys, contents = ((), value) if python_type is not dict else (value, value.values())
            kind = python_type.__name__
            items = self._container(kind, python_type, len(value), tuple(keys), place, records)
            for index, item in enumerate(contents):
                inner = {"record.base": items, "record.item": 8 * index}
                self._static(item, {**inner, "record.object": NUMBERS["frame.ignored"]}, records)
        else:
            values = {
                "record.type": self.memory.address(python_type),
                "leaf.value": self.memory.address(value),
                "leaf.last_word": layout.OFFSETS["object.value"] + 8 * (python_type is complex),
            }
            records.append(_record(_comparison(python_type), {**place, **values}))

    def _array(self, leaf: ArrayLeaf, place: dict[str, int]) -> list[int]:
        strides = leaf.strides
        if strides is not None and len(strides) != len(leaf.shape):
            raise ValueError(f"{leaf!r} needs as many strides as extents")
        flags = layout.ALIGNED
        flags |= layout.C_CONTIGUOUS if strides is None else 0
        flags |= layout.WRITEABLE if leaf.writeable else 0
        values = {
            "record.type": id(np.ndarray),
            "leaf.descr": self.memory.address(native_dtype(leaf.dtype)),
            "leaf.rank": len(leaf.shape),
            "leaf.least": leaf.least,
            "leaf.flags": flags,
            "leaf.shape": self.memory.store(leaf.shape),
            "leaf.strides": 0 if strides is None else self.memory.store(strides),
        }
        return _record("array", {**place, **values})

    def _scalar(self, leaf: ScalarLeaf, place: dict[str, int]) -> list[int]:
        place = {**place, "record.type": self.memory.address(leaf.type)}
        if leaf.type in (int, bool):
            return _record(leaf.type.__name__, {**place, "leaf.value": self.frame.words(1)})
        if leaf.type in (float, complex) or leaf.type in layout.SCALAR_TYPES:
            return _record("payload", place)
        raise Unsupported(f"a scalar of type {leaf.type.__qualname__}")


def _comparison(python_type: type) -> str:
    """How a static value of this type is recognised."""
    if python_type in (float, complex):
        return "bits"
    # limit: a NumPy scalar or array that is static is recognised by identity only: == would call
    # 0.0 and -0.0 equal.
    by_identity = issubclass(python_type, (np.generic, np.ndarray, frozenset))
    return "identical" if by_identity or python_type.__eq__ is object.__eq__ else "equal"


def _record(kind: str, values: dict[str, int]) -> list[int]:
    return structure(RECORD, {"record.kind": NUMBERS[f"kind.{kind}"], **values})
