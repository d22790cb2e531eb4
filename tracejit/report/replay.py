"""Blocks of machine code run by themselves, again and again, with all of their memory in the nearest cache.

What a block reads and writes is in lines of its own, which change from copy to copy; addresses come from no
register. So it waits for no cache, but for what its turns hand on to one another in registers, and takes as long as its
instructions do. Which of them set that is measured, too: the block without what its turns hand on, and each
class of its instructions alone. Numbers that come of other numbers than the program's are never below the least normal
one, of which some processors take a hundred cycles to make anything.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple

from ..runtime import engine
from .blocks import BRANCH, LOAD, STORE, Instruction, registers

GENERAL = [*[f"r{x}x" for x in "abcd"], "rsi", "rdi", "rbp", *[f"r{n}" for n in range(8, 16)]]
KEPT = ["rbx", "rbp", "r12", "r13", "r14", "r15"]
# Lines of memory that are read, and that are written: of one page, as a processor takes places that are whole pages
# apart for the same at first.
READ, WRITTEN, LINE = 47, 16, 64
# Copies of a block until there are so many instructions.
LONG_ENOUGH, MOST_COPIES = 160, 32
TRIES, SECONDS = 10, 0.0002
# The control word of floating point in which numbers below the least normal one are zero; no exception is raised.
FLUSHING = 0x9FC0
# Ways in which whole blocks are run.
CHAINED, APART, CROSSING = WHOLE = "chained", "apart", "crossing"
# A class sets the time of a block if it takes so much of it by itself; turns wait for one another where
# they take less than that otherwise.
MOST = 0.85
WAITING, ISSUE = "waiting for the turn before", "all instructions together"
_MEMORY = re.compile(r"[^\s,(]*\([^)]*\)")
_INDEX = re.compile(r"%[xyz]mm\d+(?=[,)])")
_GATHER, _DIVISION = re.compile(r"vp?(gather|scatter)"), re.compile(r"i?div[lqwb]?$")
# What touches memory by itself, or makes other cores wait: left out.
_OTHER = re.compile(r"rep|lock|xchg|cmpxchg|[lms]fence|movs[bwlq]$|stos|cpuid|rdtsc|f?xsave")
_UNSTREAMED = re.compile(r"movnt(ps|pd|dq)a?")


class Replay(NamedTuple):
    """Seconds of a turn of a block; of one that needs nothing from the turn before; of one whose vectors all cross
    lines of the cache when they are loaded; of each class of its instructions alone; and how many of each it has."""

    seconds: float
    apart: float
    crossing: float
    alone: dict[str, float]
    counts: dict[str, int]

    def bound_of(self, seconds: float) -> str:
        """What sets the time, if a turn takes so long."""
        if self.apart < MOST * seconds:
            return WAITING
        longest = max(self.alone, key=self.alone.__getitem__, default=ISSUE)
        return longest if self.alone and self.alone[longest] >= MOST * seconds else ISSUE


def replay(blocks: Iterable[tuple[Instruction, ...]]) -> list[Replay]:
    """Measure blocks; their instructions are those of `Trace.work`."""
    text, parts = [_memory()], []
    names = (f"replay{number}" for number in count())
    for block in blocks:
        kinds = Counter([i.kind for i in block])
        kinds[LOAD] += sum(i.loads for i in block if i.kind != LOAD)
        kinds[STORE] += sum(i.stores for i in block if i.kind != STORE)
        kinds = +kinds
        found = {kind: block for kind in WHOLE}
        found |= {kind: _only(block, kind) for kind in kinds if kind != BRANCH}
        copies = min(max(LONG_ENOUGH // max(len(block), 1), 1), MOST_COPIES)
        labels = {}
        for kind, chosen in found.items():
            labels[kind] = next(names)
            text.append(_loop(labels[kind], chosen, copies, kind))
        parts.append((labels, kinds, copies))
    exports = [label for labels, *_ in parts for label in labels.values()]
    library = engine.load(engine.assemble("\n".join([*text, ""])), exports)
    made = []
    for labels, kinds, copies in parts:
        times = {kind: _seconds(library.address(label)) / copies for kind, label in labels.items()}
        made.append(Replay(*[times.pop(kind) for kind in WHOLE], times, dict(kinds)))
    return made


def _seconds(address: int) -> float:
    """The least time of a turn of a loop."""
    loop = ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)
    turns, seconds = 8, 0.0
    while seconds < SECONDS:
        turns *= 4
        start = time.perf_counter()
        loop(turns)
        seconds = time.perf_counter() - start
    found = []
    for _ in range(TRIES):
        start = time.perf_counter()
        loop(turns)
        found.append(time.perf_counter() - start)
    return min(found) / turns


def _only(block: tuple[Instruction, ...], kind: str) -> tuple[Instruction, ...]:
    """The instructions of a class; loads as such, into registers that nobody reads."""
    if kind == STORE:
        return tuple([i for i in block if i.stores])
    if kind != LOAD:
        return tuple([i for i in block if i.kind == kind])
    return tuple([_plain_load(i, k) for k, i in enumerate(block) if i.loads])


def _plain_load(instruction: Instruction, number: int) -> Instruction:
    widths = re.findall(r"%([xyz])mm", " ".join(instruction.operands))
    if not widths:
        return Instruction("movq", ("(%rsp)", f"%{GENERAL[number % len(GENERAL)]}"))
    width = "x" if "ss" in instruction.name[-2:] or "sd" in instruction.name[-2:] else widths[-1]
    return Instruction("vmovups", ("(%rsp)", f"%{width}mm{number % 16}"))


def _loop(name: str, block: tuple[Instruction, ...], copies: int, kind: str) -> str:
    """`void name(i64 turns)`, of so many copies a turn."""
    lines = [f"\t.globl\t{name}", "\t.text", "\t.p2align\t4", f"{name}:"]
    lines += [f"\tpushq\t%{register}" for register in KEPT]
    lines += ["\tstmxcsr\tmode(%rip)", "\tldmxcsr\tflushing(%rip)"]
    lines += ["\tmovq\t%rdi, turns(%rip)", *map(_zero, GENERAL)]
    is_wide = engine.target().permutes == "avx512"
    if is_wide:
        lines += [f"\tkxnorw\t%k{n}, %k{n}, %k{n}" for n in range(1, 8)]
    width, vectors = ("z", 32) if is_wide else ("y", 16)
    lines += [f"\tvbroadcastss\tslots(%rip), %{width}mm{n}" for n in range(vectors)]
    lines += ["\t.p2align\t6", f".Lagain.{name}:"]
    slots = Slots(count(), count())
    broken = list(map(_zero, _handed_on(block))) if kind != CHAINED else []
    for _ in range(copies):
        lines += broken
        for instruction in block:
            lines += _in_place(instruction, slots, kind == CROSSING)
    lines += ["\tsubq\t$1, turns(%rip)", f"\tjne\t.Lagain.{name}"]
    lines.append("\tldmxcsr\tmode(%rip)")
    lines += [f"\tpopq\t%{register}" for register in reversed(KEPT)]
    return "\n".join([*lines, "\tvzeroupper", "\tretq"])


class Slots(NamedTuple):
    """The lines that are read and written next."""

    read: Iterator[int]
    written: Iterator[int]

    def place(self, instruction: Instruction, crosses: bool) -> str:
        """A line, or in the middle of two."""
        if instruction.stores:
            line = READ + 1 + next(self.written) % WRITTEN
        else:
            line = next(self.read) % READ
        first = LINE - 4 if crosses and instruction.may_cross else 0
        return f"slots+{LINE * line + first}(%rip)"


def _in_place(instruction: Instruction, slots: Slots, crosses: bool) -> list[str]:
    """The instruction on memory of its own, which lies in one line, or in two; nothing of a jump."""
    name, operands = instruction.name, instruction.operands
    if instruction.is_jump or _OTHER.match(name):
        return []
    if _GATHER.match(name):  # places are computed: all the same
        place = next(o for o in operands if "(" in o)
        vector = _INDEX.search(place)[0]
        there = [_MEMORY.sub(f"-128(%rsp,{vector},1)", o) for o in operands]
        return [_zero(registers(vector)[0]), str(Instruction(name, tuple(there)))]
    if _DIVISION.match(name):  # of what never overflows
        return [_zero("rax"), _zero("rdx"), f"\t{name}\tone(%rip)"]
    if name.startswith(("movnt", "vmovnt")):  # past a cache they take no instruction more
        name = "movq" if name == "movntiq" else _UNSTREAMED.sub("mova\\1", name)
    if name.startswith(("lea", "nop")) and not any("%rip" in o for o in operands):
        return [str(instruction)]
    slot = slots.place(instruction, crosses)
    return [str(Instruction(name, tuple([_MEMORY.sub(slot, o) for o in operands])))]


def _handed_on(block: tuple[Instruction, ...]) -> list[str]:
    """The registers that a turn reads before it writes them, and writes."""
    written: dict[str, None] = {}
    early: set[str] = set()
    for instruction in block:
        early |= instruction.read - written.keys()
        if instruction.written:
            written[instruction.written] = None
    return [register for register in written if register in early]


def _zero(register: str) -> str:
    """An instruction that makes a register zero, and waits for nothing."""
    if register.startswith("zmm"):
        short = register.replace("zmm", "xmm")
        return f"\t{'vpxord' if int(short[3:]) > 15 else 'vxorps'}\t%{short}, %{short}, %{short}"
    if register.startswith("k"):
        return f"\tkxorw\t%{register}, %{register}, %{register}"
    half = f"{register}d" if register[1].isdigit() else f"e{register[1:]}"
    return f"\txorl\t%{half}, %{half}"


def _memory() -> str:
    """What the loops read, write and count in."""
    words = f"\t.rept\t{(READ + 1 + WRITTEN) * LINE // 4}\n\t.long\t0x3f800000\n\t.endr"
    after = (
        f"turns:\n\t.quad\t0\none:\n\t.quad\t1\nmode:\n\t.long\t0\nflushing:\n\t.long\t{FLUSHING}"
    )
    return f"\t.data\n\t.p2align\t12\nslots:\n{words}\n{after}\n\t.text"
