"""Signatures and plans as the words that native/dispatch.ll reads.

An `Entry` is a block of 64-bit words (the head), which points to one record per check and one per
output; it keeps every Python object whose address it holds. The *frame* is the scratch memory of
one call; an entry knows where in it everything goes: the slots of the executable's argument
vector, the leaf objects, vectors of items, ints and bools as bytes, symbols, extents, results.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.runtime import layout
from tracejit.runtime.callable import TABLE
from tracejit.runtime.signature import (
    CONTAINERS,
    ArgumentOutput,
    ArrayLeaf,
    ArrayOutput,
    DictTree,
    Leaf,
    ListTree,
    ObjectOutput,
    ObjectTree,
    Output,
    Plan,
    PythonScalarOutput,
    ScalarLeaf,
    ScalarOutput,
    Signature,
    StaticLeaf,
    Tree,
    TupleTree,
)


class Unsupported(Exception):
    """This signature or plan cannot be served natively; its calls go through Python."""


def _offsets(structure: str, names: str, first: int = 0) -> dict[str, int]:
    return {f"{structure}.{name}": first + 8 * i for i, name in enumerate(names.split())}


def _enumerate(structure: str, names: str) -> dict[str, int]:
    return {f"{structure}.{name}": i for i, name in enumerate(names.split())}


HEAD = _offsets(
    "entry",
    "next arguments keywords frame_bytes program dead hits symbols symbol_bytes copies "  # the signature
    "entry release_gil shapes workspace_bytes tail outputs output_count extents extent_count "
    "fixed_extents extents_offset results result function on_error build stack",  # the plan
)
RECORD = {
    **_offsets("record", "kind base item type object slot"),
    **_offsets("leaf", "descr rank flags shape strides least", first=48),
    **_offsets("leaf", "value last_word", first=48),
    **_offsets("container", "count keys copies", first=48),
    **_offsets("guard", "dict key value", first=48),
    **_offsets("watched", "object count value", first=48),
    **_offsets("pair", "first first_size second second_size fixed", first=48),
}
BUILD = _offsets("build", "kind count object")
OUTPUT = _offsets("output", "kind descr rank extents bytes itemsize threshold handler slot value")

# Every $name of native/dispatch.ll.
NUMBERS = {
    **layout.OFFSETS,
    "native.table": TABLE,
    **_offsets("table", "entries active frame_bytes sets hash_ints python"),
    **HEAD,
    **RECORD,
    "record.size": max(RECORD.values()) + 8,
    **OUTPUT,
    "output.size": max(OUTPUT.values()) + 8,
    **BUILD,
    "build.size": max(BUILD.values()) + 8,
    **_offsets("frame", "capacity owned positional keywords ignored slots"),
    "frame.fixed": 4096,  # bytes on the C stack; larger frames come from the heap
    **_offsets("way", "hash entry"),
    "way.size": 16,
    "set.size": 32,
    "set.count": 256,
    "set.shift": 56,  # the top eight bits of a hash choose its set
    "hash.factor": 0x9E3779B97F4A7C15 - (1 << 64),  # 2**64 over the golden ratio
    "hash.depth": 3,
    **_enumerate(
        "kind",
        "end guard names cell items size apart "  # about the call as a whole
        "array payload int bool identical equal bits tuple list dict instance any",
    ),
    "kind.last_whole": 6,
    **_enumerate("output", "array scalar float int complex bool argument object"),
    **_enumerate("result", "single tuple function tree"),
    **_enumerate("build", "end push tuple list dict"),
    "array.ours": layout.C_CONTIGUOUS | layout.ALIGNED | layout.WRITEABLE,
    "array.owndata": layout.OWNDATA,
}


def _structure(members: dict[str, int], values: dict[str, int]) -> list[int]:
    """The words of one structure; members that get no value are zero."""
    words = [0] * (max(members.values()) // 8 + 1)
    for name, value in values.items():
        words[members[name] // 8] = value
    return words


def _record(kind: str, values: dict[str, int]) -> list[int]:
    return _structure(RECORD, {"record.kind": NUMBERS[f"kind.{kind}"], **values})


def native_dtype(dtype: np.dtype) -> np.dtype:
    """NumPy's own object for a dtype of numbers or bools in native byte order, else Unsupported."""
    dtype = np.dtype(dtype)
    if dtype.type not in layout.SCALAR_TYPES or not dtype.isnative:
        raise Unsupported(f"arrays of dtype {dtype!r}")
    return np.dtype(dtype.type)


class _Frame:
    """Offsets handed out one after the other."""

    def __init__(self, first: int):
        self.bytes = first

    def words(self, count: int) -> int:
        """The offset of the next `count` words."""
        offset, self.bytes = self.bytes, self.bytes + 8 * count
        return offset

    def values(self, count: int) -> int:
        """The offset of the next `count` 16-byte values."""
        self.bytes = -(-self.bytes // 16) * 16
        return self.words(2 * count)


class _Memory:
    """Words at fixed addresses, and the objects they point to."""

    def __init__(self) -> None:
        self._keep: list[Any] = []

    def block(self, words: Sequence[int]) -> ctypes.Array:
        block = (ctypes.c_int64 * max(len(words), 1))(*words)
        self._keep.append(block)
        return block

    def store(self, words: Sequence[int]) -> int:
        """The address of these words."""
        return ctypes.addressof(self.block(words))

    def address(self, thing: Any) -> int:
        """The address of a Python object."""
        self._keep.append(thing)
        return id(thing)


class Entry:
    """One signature with its plan, in memory, for as long as this object lives.

    `pool` is the number of bytes from which on outputs are pooled and the address of the pool's
    memory handler. With ``check_static=False`` a static leaf takes any object. Raises Unsupported.
    """

    def __init__(
        self, signature: Signature, plan: Plan, pool: tuple[int, int], check_static: bool = True
    ):
        self.memory, self.frame = _Memory(), _Frame(NUMBERS["frame.slots"])
        self.memory.address((signature, plan))
        leaves = signature.leaves()
        slots = sum(not isinstance(leaf, StaticLeaf) for leaf in leaves)
        filled = sum(isinstance(output, FILLED) for output in plan.outputs)
        leaf_slots = self.frame.words(slots)
        output_slots = self.frame.words(filled)
        tail = self.frame.words(2)
        objects = self.frame.words(len(leaves))
        symbols = _symbol_count(leaves)
        encoder = _SignatureEncoder(self, leaf_slots, objects, check_static)
        head = {
            **encoder.encode(signature),
            "entry.symbols": self.frame.words(symbols),
            "entry.symbol_bytes": 8 * symbols,
            **_PlanEncoder(self, output_slots, objects, len(leaves), symbols, pool).encode(plan),
            "entry.tail": tail,
        }
        head["entry.frame_bytes"] = self.frame_bytes = self.frame.bytes
        self._words = self.memory.block(_structure(HEAD, head))
        self.address = ctypes.addressof(self._words)
        self.has_static_int = any(
            isinstance(k, StaticLeaf) and type(k.value) is int for k in leaves
        )
        self.has_traced_int = any(isinstance(k, ScalarLeaf) and k.type is int for k in leaves)

    def get(self, name: str) -> int:
        """A member of the head, such as ``"hits"``."""
        return self._words[HEAD[f"entry.{name}"] // 8]

    def set(self, name: str, value: int) -> None:
        """Set a member of the head, such as ``"next"``."""
        self._words[HEAD[f"entry.{name}"] // 8] = value


class _SignatureEncoder:
    """The records that check a signature and fill the frame."""

    def __init__(self, entry: Entry, slots: int, objects: int, check_static: bool):
        self.memory, self.frame = entry.memory, entry.frame
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
        records += [self._watched("cell", cell, 1, id(it)) for cell, it in signature.cells]
        records += [
            self._watched("items", kept, len(items), self.memory.store([*map(id, items)]))
            for kept, items in signature.lists
        ]
        records += [self._watched("size", held, count, 0) for held, count in signature.entries]
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

    def _watched(self, kind: str, watched: object, count: int, value: int) -> list[int]:
        members = {"watched.object": id(watched), "watched.count": count, "watched.value": value}
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


# Outputs that need memory for the executable to write to.
FILLED = (ArrayOutput, ScalarOutput, PythonScalarOutput)


def _symbol_count(leaves: Sequence[Leaf]) -> int:
    shapes = [leaf.shape for leaf in leaves if isinstance(leaf, ArrayLeaf)]
    return max((0, *(-extent for shape in shapes for extent in shape)))


def no_error_expected(status: int, report: int) -> None:
    """The error callback of plans that name none."""
    raise RuntimeError(f"compiled code returned status {status}")


class _PlanEncoder:
    """The part of an entry that says how to run and what to return."""

    def __init__(
        self,
        entry: Entry,
        slots: int,
        objects: int,
        leaf_count: int,
        symbol_count: int,
        pool: tuple[int, int],
    ):
        self.memory, self.frame = entry.memory, entry.frame
        self._next_slot, self._objects, self._leaf_count = slots, objects, leaf_count
        self._symbol_count, self._pool = symbol_count, pool
        self._axes = 0

    def encode(self, plan: Plan) -> dict[str, int]:
        """The members of the entry's head that speak of the plan."""
        arrays = [output for output in plan.outputs if isinstance(output, ArrayOutput)]
        extents = [extent for output in arrays for extent in output.shape]
        if not plan.shapes and any(extent < -self._symbol_count for extent in extents):
            raise ValueError("an output's extent is a symbol that no argument binds")
        fixed = not plan.shapes and all(extent >= 0 for extent in extents)
        outputs = [word for output in plan.outputs for word in self._output(output, fixed)]
        return {
            "entry.entry": plan.entry,
            "entry.release_gil": int(plan.release_gil),
            "entry.shapes": plan.shapes,
            "entry.workspace_bytes": plan.workspace_bytes,
            "entry.outputs": self.memory.store(outputs),
            "entry.output_count": len(plan.outputs),
            "entry.extents": self.memory.store(extents),
            "entry.extent_count": len(extents),
            "entry.fixed_extents": int(fixed),
            "entry.extents_offset": self.frame.words(len(extents)),
            "entry.results": self.frame.words(len(plan.outputs)),
            "entry.result": _result_form(plan),
            **self._build(plan),
            "entry.function": id(plan.result),
            "entry.on_error": self.memory.address(plan.on_error or no_error_expected),
        }

    def _output(self, output: Output, fixed: bool) -> list[int]:
        if isinstance(output, ArgumentOutput):
            if not 0 <= output.leaf < self._leaf_count:
                raise ValueError(f"{output!r}, but the leaves are {self._leaf_count}")
            return _output("argument", value=self._objects + 8 * output.leaf)
        if isinstance(output, ObjectOutput):
            return _output("object", value=self.memory.address(output.value))
        dtype = native_dtype(output.dtype)
        slot, self._next_slot = self._next_slot, self._next_slot + 8
        placed = {"descr": self.memory.address(dtype), "slot": slot}
        if isinstance(output, PythonScalarOutput):
            return _output(output.type.__name__, value=self.frame.values(1), slot=slot)
        if isinstance(output, ScalarOutput):
            value = self.frame.values(-(-dtype.itemsize // 16))
            return _output("scalar", value=value, **placed)
        extents, self._axes = 8 * self._axes, self._axes + len(output.shape)
        size = dtype.itemsize
        for extent in output.shape:
            size *= extent
        return _output(
            "array",
            rank=len(output.shape),
            extents=extents,
            bytes=size if fixed and size < 1 << 62 else -1,
            itemsize=dtype.itemsize,
            threshold=self._pool[0],
            handler=self._pool[1],
            **placed,
        )

    def _build(self, plan: Plan) -> dict[str, int]:
        """The steps that build a tree of containers on a stack."""
        if not isinstance(plan.result, CONTAINERS):
            return {}
        steps: list[list[int]] = []
        depth = self._steps(plan.result, len(plan.outputs), steps)
        steps.append(_step("end", 0))
        words = [word for step in steps for word in step]
        return {"entry.build": self.memory.store(words), "entry.stack": self.frame.words(depth)}

    def _steps(self, tree: Any, output_count: int, steps: list[list[int]]) -> int:
        """Add the steps for one tree; returns how much of the stack they need."""
        if not isinstance(tree, CONTAINERS):
            if not 0 <= tree < output_count:
                raise ValueError(f"output {tree} of a result, but the outputs are {output_count}")
            steps.append(_step("push", tree))
            return 1
        depths = [k + self._steps(t, output_count, steps) for k, t in enumerate(tree.items)]
        count = len(tree.items)
        match tree:
            case TupleTree(_, python_type):
                given = 0 if python_type is tuple else self.memory.address(python_type)
                steps.append(_step("tuple", count, given))
            case ListTree():
                steps.append(_step("list", count))
            case DictTree(keys, _):
                addresses = [self.memory.address(key) for key in keys]
                steps.append(_step("dict", count, self.memory.store(addresses)))
            case _:
                raise Unsupported(f"a result that is a {tree.type.__qualname__}")
        return max(depths, default=1)


def _step(kind: str, count: int, given: int = 0) -> list[int]:
    values = {"build.kind": NUMBERS[f"build.{kind}"], "build.count": count, "build.object": given}
    return _structure(BUILD, values)


def _output(kind: str, **values: int) -> list[int]:
    named = {f"output.{name}": value for name, value in values.items()}
    return _structure(OUTPUT, {"output.kind": NUMBERS[f"output.{kind}"], **named})


def _result_form(plan: Plan) -> int:
    result = plan.result
    if isinstance(result, CONTAINERS):
        return NUMBERS["result.tree"]
    if result == "single" and len(plan.outputs) != 1:
        raise ValueError(f"a single result, but {len(plan.outputs)} outputs")
    if (
        isinstance(result, str)
        and result not in ("single", "tuple")
        or not (isinstance(result, str) or callable(result))
    ):
        raise ValueError(f"a plan's result is 'single', 'tuple' or a function, not {result!r}")
    return NUMBERS["result.function" if callable(result) else f"result.{result}"]
