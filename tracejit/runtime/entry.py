"""A signature with its plan, in the memory that native/dispatch.ll reads."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from tracejit.runtime.plan_records import PlanEncoder
from tracejit.runtime.signature import (
    FILLED,
    ArrayLeaf,
    Leaf,
    Plan,
    ScalarLeaf,
    Signature,
    StaticLeaf,
)
from tracejit.runtime.signature_records import SignatureEncoder
from tracejit.runtime.structures import HEAD, NUMBERS, Frame, Memory, structure


class Entry:
    """One signature with its plan, in memory, for as long as this object lives.

    `pool` is the number of bytes from which on outputs are pooled and the address of the pool's
    memory handler. With ``check_static=False`` a static leaf takes any object. Raises Unsupported.
    """

    def __init__(
        self, signature: Signature, plan: Plan, pool: tuple[int, int], check_static: bool = True
    ):
        self.memory, self.frame = Memory(), Frame(NUMBERS["frame.slots"])
        self.memory.address((signature, plan))
        leaves = signature.leaves()
        slots = sum(not isinstance(leaf, StaticLeaf) for leaf in leaves)
        filled = sum(isinstance(output, FILLED) for output in plan.outputs)
        leaf_slots = self.frame.words(slots)
        output_slots = self.frame.words(filled)
        tail = self.frame.words(2)
        objects = self.frame.words(len(leaves))
        symbols = _symbol_count(leaves)
        checks = SignatureEncoder(self.memory, self.frame, leaf_slots, objects, check_static)
        results = PlanEncoder(
            self.memory, self.frame, output_slots, objects, len(leaves), symbols, pool
        )
        head = {
            **checks.encode(signature),
            "entry.symbols": self.frame.words(symbols),
            "entry.symbol_bytes": 8 * symbols,
            **results.encode(plan),
            "entry.tail": tail,
        }
        head["entry.frame_bytes"] = self.frame_bytes = self.frame.bytes
        self._words = self.memory.block(structure(HEAD, head))
        self.address = ctypes.addressof(self._words)
        self.has_symbols = symbols > 0
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


def _symbol_count(leaves: Sequence[Leaf]) -> int:
    shapes = [leaf.shape for leaf in leaves if isinstance(leaf, ArrayLeaf)]
    return max((0, *(-extent for shape in shapes for extent in shape)))
