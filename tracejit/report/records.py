"""The records of an explanation: plain values, for programs to read, and for pages to show."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .timeline import Memory

# Kinds of kernels.
LOOPS, LIBRARY, NUMPY, PYTHON = "loops", "library", "NumPy's code", "Python"
COPY, CONTROL, CHECK, ONCE = "copy", "control flow", "check", "done once"
# What deserves attention: work that is no arithmetic of the program's.
ALARMING = (PYTHON, COPY)


@dataclass(frozen=True)
class Line:
    """A line of the user's: the file's path, the number, and the text."""

    file: str
    number: int
    text: str

    @property
    def place(self) -> str:
        """`model.py:41`."""
        return f"{self.file.replace(chr(92), '/').rpartition('/')[2]}:{self.number}"


@dataclass(frozen=True)
class WhyNot:
    """Why a kernel is not one with the kernel `other` (its number): what, where, and the reason."""

    other: int
    name: str
    op: str
    lines: tuple[Line, ...]
    reason: str

    def __str__(self) -> str:
        where = f" ({', '.join(line.place for line in self.lines[:3])})" if self.lines else ""
        return f"not with {self.other} {self.name}: {self.op}{where}: {self.reason}"


@dataclass(frozen=True)
class ModelChoice:
    """What the model of the machine chose for a value: `chosen`, which takes so many `seconds`, instead of
    `other`, which would take `others`."""

    op: str
    lines: tuple[Line, ...]
    chosen: str
    seconds: float
    other: str
    others: float


@dataclass(frozen=True)
class KernelRecord:
    """One kernel call. Seconds and bytes are of one run.

    `operations` counts graph operations by name, `flops` arithmetic by dtype (None: inside foreign
    code, of which nothing is known); `predicted` are seconds, which are set by `limit` ("arithmetic",
    "memory: L2" or "threads"): `cycles` of a core, or the bytes `moved` from each level beyond the first; `roof` is the least time that the machine's limits allow, set by
    `bound` ("arithmetic", or "memory: L2"); None where something was not measured or is not known.
    `function` is its name in the machine code.
    """

    number: int
    name: str
    kind: str
    lines: tuple[Line, ...]
    operations: dict[str, int]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    threads: int
    lanes: tuple[int, ...]
    bytes_read: int
    bytes_written: int
    flops: dict[str, float] | None
    predicted: float
    cycles: float
    moved: dict[str, float]
    limit: str
    roof: float | None
    bound: str
    symbols: tuple[str, ...]
    loops: str = field(repr=False)
    function: str = field(repr=False)
    nodes: tuple[int, ...] = field(repr=False)
    measured: float | None = None
    why_not: tuple[WhyNot, ...] = ()
    choices: tuple[ModelChoice, ...] = ()

    @property
    def bytes(self) -> int:
        return self.bytes_read + self.bytes_written

    @property
    def flop_count(self) -> float | None:
        return None if self.flops is None else sum(self.flops.values())

    @property
    def intensity(self) -> float | None:
        """Operations for each byte; None where one of the two is unknown or nothing."""
        return self.flop_count / self.bytes if self.flop_count and self.bytes else None

    @property
    def of_roof(self) -> float | None:
        """Which part of the machine's limit was reached; more than 1 where the limit was measured on
        a busier machine, or data stayed in a nearer cache."""
        return self.roof / self.measured if self.roof and self.measured else None

    @property
    def is_alarming(self) -> bool:
        return self.kind in ALARMING


@dataclass(frozen=True)
class LineRecord:
    """A line of the user's with the numbers of the kernels it became, and how many other lines these
    are shared with."""

    line: Line
    kernels: tuple[int, ...]
    shared_with: tuple[int, ...]


@dataclass(frozen=True)
class PassRecord:
    """What a pass did: a diff of the text before and after, empty where it changed nothing."""

    name: str
    stage: str
    diff: str = field(repr=False)
    added: int
    removed: int


@dataclass(frozen=True)
class NodeRecord:
    """A node of a graph for a picture: what it is called, and what it reads."""

    label: str
    type: str
    operands: tuple[int, ...]
    kernels: tuple[int, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Graph:
    """A stage of the program as a picture is drawn of it."""

    stage: str
    nodes: tuple[NodeRecord, ...]


@dataclass(frozen=True)
class Data:
    """Everything that an Explanation shows. `copies` are what each call copies before it begins;
    `tuned` the kernels that `jit(tune=...)` found faster variants of."""

    name: str
    signature: str
    operations: int
    kernels: tuple[KernelRecord, ...]
    lines: tuple[LineRecord, ...]
    memory: Memory
    passes: tuple[PassRecord, ...]
    graphs: tuple[Graph, ...]
    python: tuple[str, ...]
    copies: tuple[str, ...]
    tuned: tuple[str, ...]
    unmeasured: str
    seconds: float | None
    machine: Any
    sources: dict[str, tuple[int, tuple[str, ...]]] = field(repr=False)
    stages: dict[str, str] = field(repr=False)
    assembly: dict[str, str] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Dicts, lists, numbers and text."""
        found = dataclasses.asdict(dataclasses.replace(self, machine=None))
        found["machine"] = None if self.machine is None else self.machine._asdict()
        found["memory"] = {
            **self.memory._asdict(),
            "lives": [l._asdict() for l in self.memory.lives],
        }
        for kernel, record in zip(found["kernels"], self.kernels):
            kernel.update(bytes=record.bytes, intensity=record.intensity, of_roof=record.of_roof)
        return found
