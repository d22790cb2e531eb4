"""Jumps out of a region: noted instead of made, as only some iterations or arms make them.

A loop and a function have a record each of whether it was left, and with what value. The flags are
state like any other, so they join as names do: False, True, or a traced bool.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...ir import ops
from ...ir.graph import Node
from ...ir.types import bool_
from ..array import Array
from ..context import Trace
from ..promotion import constant
from .joins import UNSET


class Record:
    """Flags of the jumps that were noted, and the value of a `return`."""

    __slots__ = ("flags", "value")

    def __init__(self, *flags: str):
        self.flags: dict[str, Any] = dict.fromkeys(flags, False)
        self.value: dict[str, Any] = {"value": UNSET}

    def dicts(self) -> tuple[dict, dict]:
        """What holds its state, which changes as containers of the user's do."""
        return self.flags, self.value


class Alive:
    """The condition that none of some flags is set, which are so while it holds."""

    def __init__(self, flags: list[tuple[dict, str]]):
        self.flags = flags
        found = [record[name].node for record, name in flags]
        condition = found[0]
        for node in found[1:]:
            condition = ops.logical_or(condition, node)
        self.condition: Node = ops.logical_not(condition)

    def hold(self) -> None:
        """Let the flags be known where the condition holds."""
        for record, name in self.flags:
            record[name] = False


def alive(trace: Trace, records: Iterable[Record]) -> bool | Alive:
    """Whether no jump was made: certainly, certainly not, or by a condition."""
    flags = [(r.flags, name) for r in records for name in r.flags if r.flags[name] is not False]
    if trace.region.is_dead or any(record[name] is True for record, name in flags):
        return False
    return Alive(flags) if flags else True


def unless(trace: Trace, records: Iterable[Record]) -> Any:
    """Whether no jump was made, as a value: a bool, or a traced one."""
    found = alive(trace, records)
    return Array(found.condition, True, bool) if isinstance(found, Alive) else found


def is_flag_set(record: Record) -> bool:
    """Whether something is noted in a record."""
    return any(flag is not False for flag in record.flags.values())


def flag_node(value: Any) -> Node:
    """A flag as a node."""
    return value.node if isinstance(value, Array) else constant(value, bool_)
