"""What kernels cost by the model of the machine, before there are loops: for choosing which kernels there are.

A kernel takes as long as the larger of its arithmetic, in full vectors, and of the bytes that it reads and
writes, by where arrays of their size fit; and a little to begin. A kernel that sweeps columns several times
reads them as often. Only differences between two ways to compute the same are of use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import prod
from typing import NamedTuple

from ...ir.graph import Node
from ...ir.op import ELEMENTWISE, REDUCTION
from ..elements import domain_of
from ..machine import Machine

# Extents that are known only when the program runs are taken to be this.
UNKNOWN_EXTENT = 512
PASS_CYCLES = 300.0  # of starting a pass over memory
VECTORS = 1.0  # in a cycle, of operations of cost 1
WRITE = 2.0  # what a line that is written costs, as it is read before


class Choice(NamedTuple):
    """What was chosen for a value, and what not, each with its cycles."""

    value: Node
    chosen: str
    cycles: float
    other: str
    others: float


@lru_cache(1024)
def size_of(shape: tuple) -> int:
    return prod([extent if type(extent) is int else UNKNOWN_EXTENT for extent in shape])


def bytes_of(node: Node) -> int:
    return size_of(node.type.shape) * node.type.dtype.itemsize


def arithmetic(node: Node, machine: Machine) -> float:
    """Cycles of one element of a node."""
    if node.op.kind not in (ELEMENTWISE, REDUCTION):
        return 0.0
    return node.op.cost * node.type.dtype.itemsize / (VECTORS * machine.vector_bytes)


def passing(node: Node, machine: Machine) -> float:
    """Cycles of reading, or of writing, a node."""
    size = bytes_of(node)
    return size * machine.byte_cycles(size)


def storing(node: Node, machine: Machine, reads: int = 1) -> float:
    """Cycles of writing `node` and reading it back."""
    return machine.store_price * (PASS_CYCLES + (WRITE + reads) * passing(node, machine))


class Load(NamedTuple):
    """What a sweep over some values takes, in cycles: of arithmetic, and of what it reads and writes."""

    work: float
    read: float
    written: float

    @property
    def cycles(self) -> float:
        return max(self.work, self.read + self.written)

    @property
    def unstored(self) -> float:
        """The same if nothing of it is stored."""
        return max(self.work, self.read)


def load_of(
    outputs: Iterable[Node], is_read: Callable[[Node], bool], machine: Machine, sweeps: int = 1
) -> Load:
    """What computing `outputs` takes of values for which `is_read`, which so many sweeps read again."""
    outputs = list(outputs)
    work = read = 0.0
    pending, seen = list(outputs), set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if is_read(node) and node not in outputs:
            read += sweeps * passing(node, machine)
            continue
        work += size_of(domain_of(node)) * arithmetic(node, machine)
        pending += node.operands
    written = WRITE * sum([passing(node, machine) for node in outputs])
    return Load(work, read, machine.store_price * written)
