"""Machine code as its basic blocks: what instructions they have, and how often each ran.

x86-64 assembly as LLVM writes it. `counted` puts a counter before each block, which changes no register and no
flag; the counts are exact where one thread runs the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

COUNTS = "counts"
# The memory of the counters, which comes after what a leaf function keeps below its stack.
_COUNTER = """\
	leaq	-136(%rsp), %rsp
	pushq	%rax
	movq	{counts}+{place}(%rip), %rax
	leaq	1(%rax), %rax
	movq	%rax, {counts}+{place}(%rip)
	popq	%rax
	leaq	136(%rsp), %rsp"""
_END = re.compile(r"j\w+|ret\w*|ud2|hlt")
_OPERAND = re.compile(r"\s*((?:[^,(]|\([^)]*\))+)")
_REGISTER = re.compile(r"%(\w+)")
_VECTOR = re.compile(r"[xyz]mm(\d+)$")
_GENERAL = re.compile(r"[re]?([abcd])[xlh]$|[re]?([sd]i|[sb]p)l?$|(r\d+)[dwb]?$")
# Classes of instructions, the first that fits: those of one compete for the same units.
STORE, LOAD, SCALAR, BRANCH, SHUFFLE = "stores", "loads", "scalar", "branches", "shuffles"
_CLASSES = {
    "multiply-adds": r"vf[n]?m(add|sub)|vmul|vpmul|vpdp|vpmadd|mul[sp][sd]|vgf2p8",
    "divisions": r"vdiv|vsqrt|i?div[lqwb]?$|div[sp][sd]|sqrt[sp][sd]|vrcp|vrsqrt",
    SHUFFLE: r"vperm|vpperm|vshuf|vpshuf|vunpck|vpunpck|v?p?insert|v?extract|vpextr|vpinsr|valign|vpalign|vpack"
    r"|v?p?broadcast|vpbroadcast|vcompress|vexpand|vpcompress|vpexpand|vpmov[sz]x|vpmov[dqw][bwd]|vmov[sh]?[hl]|vmov[sd]+dup|vps[lr]ldq",
    "gathers": r"vp?gather|vp?scatter",
    "conversions": r"v?cvt|vrndscale|vround|vgetexp|vgetmant|vscalef|vfixup|vreduce",
    "additions": r"vadds?[sp]|vsub[sp]|vmax|vmin|vcmp|vu?comis|addsub|add[sp][sd]|sub[sp][sd]|vrange",
    "masks": r"k[a-z]+[bwdq]+$",
    "integers and bits": r"vp|vand|vor|vxor|vblend|vtest",
}  # fmt: skip
_KINDS = {name: re.compile(pattern) for name, pattern in _CLASSES.items()}
_MOVES = re.compile(r"v?mov|kmov")
# Loads of single elements, and those of places that must begin with a line.
_WITHIN = re.compile(
    r"vmova|vp?broadcast|vp?insert|vpinsr|vmov[dqs]|vp?gather|\w+s[sd](2\w+)?$|vcvtsi"
)
# No work of a loop's: what saves registers, and calls; marks.
_FRAME = re.compile(r"push|pop|call|ret|vzero|nop|endbr|ud2|data16|cs$")


class Instruction(NamedTuple):
    """A mnemonic, and its operands in AT&T's order: what is written comes last."""

    name: str
    operands: tuple[str, ...]

    def __str__(self) -> str:
        return f"\t{self.name}\t{', '.join(self.operands)}"

    @property
    def is_jump(self) -> bool:
        return self.name.startswith("j")

    @property
    def is_frame(self) -> bool:
        """Whether it belongs to calls, and not to what loops do."""
        last = self.operands[-1] if self.operands else ""
        return bool(_FRAME.match(self.name)) or last.split(" ")[0] == "%rsp"

    @property
    def memory(self) -> int | None:
        """Which operand is in memory; addresses that are only computed are not."""
        if self.name.startswith(("lea", "nop")):
            return None
        return next((k for k, o in enumerate(self.operands) if "(" in o), None)

    @property
    def loads(self) -> bool:
        place = self.memory
        if place is None or self.name.startswith("prefetch"):
            return False
        is_last = place == len(self.operands) - 1
        return not is_last or not self.stores or self.changes

    @property
    def may_cross(self) -> bool:
        """Whether it loads a vector of which nobody knows that it lies in one line of a cache."""
        place = self.memory
        if not self.loads or not self.name.startswith("v") or _WITHIN.match(self.name):
            return False
        where = self.operands[place]
        return "{1to" not in where and "%rip" not in where and "%rsp" not in where

    @property
    def stores(self) -> bool:
        place = self.memory
        if place is None or place != len(self.operands) - 1:
            return False
        return not re.match(r"cmp|test|vu?comis|prefetch|bt[lqw]?$|i?div|i?mul|mul|vptest|push|call|j", self.name)  # fmt: skip

    @property
    def changes(self) -> bool:
        """Whether what it writes is one of the values it computes that from."""
        if re.match(r"vf[n]?m|vpternlog|vpermi2|vpermt2|vpdp|vpmadd52", self.name):
            return True
        if self.operands and "{%k" in self.operands[-1] and "{z}" not in self.operands[-1]:
            return True
        return not self.name.startswith(("v", "k", "mov", "lea", "set", "cmp", "test", "j")) and (
            len(self.operands) <= 2
        )

    @property
    def kind(self) -> str:
        """The class of instructions it belongs to; of what only moves, by where that goes."""
        if self.is_jump:
            return BRANCH
        for name, pattern in _KINDS.items():
            if pattern.match(self.name):
                return name
        if self.name.startswith(("v", "mov", "kmov")) and _MOVES.match(self.name):
            if self.stores:
                return STORE
            if self.loads:
                return LOAD
        return SCALAR if not self.name.startswith("v") else "integers and bits"

    @property
    def written(self) -> str:
        """The register it writes, by a name that all its widths share; or empty."""
        if not self.operands or re.match(r"cmp|test|j|vu?comis|prefetch|vptest|bt[lqw]?$", self.name):  # fmt: skip
            return ""
        last = self.operands[-1]
        return "" if "(" in last else next(iter(registers(last)), "")

    @property
    def read(self) -> set[str]:
        """The registers it reads, flags not among them."""
        last = self.operands[-1] if self.operands else ""
        sources = list(self.operands[:-1])
        if not self.written or self.changes:
            sources.append(last)
        elif "{" in last:
            sources.append(last.partition("{")[2])
        if re.match(r"(vpxor|vxorp|xor|vpsub|vpcmpeq)", self.name) and len(set(self.operands)) == 1:
            return set()  # zero, whatever they hold
        return {name for source in sources for name in registers(source)}


class Block(NamedTuple):
    """Instructions that run one after the other; `label` is empty where nothing jumps to."""

    function: str
    label: str
    instructions: tuple[Instruction, ...]

    @property
    def target(self) -> str:
        """The label that its end may jump to."""
        last = self.instructions[-1]
        return last.operands[0] if last.is_jump and last.operands else ""

    @property
    def ends(self) -> bool:
        """Whether what follows in the text never follows when it runs."""
        return bool(re.match(r"jmp|ret|ud2|hlt", self.instructions[-1].name))


def registers(operand: str) -> list[str]:
    """The registers of an operand, by names that all their widths share."""
    found = []
    for name in _REGISTER.findall(operand):
        vector, general = _VECTOR.match(name), _GENERAL.match(name)
        if vector:
            found.append(f"zmm{vector[1]}")
        elif general:
            found.append(_wide(*general.groups()))
        elif name != "rip":
            found.append(name)
    return found


def _wide(letter: str | None, index: str | None, number: str | None) -> str:
    return number or f"r{letter}x" if letter or number else f"r{index}"


def blocks_of(assembly: str) -> list[Block]:
    """The blocks in the order of the text, which is that of their counters."""
    lines: dict[int, list[str]] = {}
    where: dict[int, tuple[str, str]] = {}
    for number, function, label, line in _walk(assembly):
        if number is not None:
            where.setdefault(number, (function, label))
            lines.setdefault(number, [])
            if _is_instruction(line):
                lines[number].append(line)
    found = []
    for number, (function, label) in where.items():
        found.append(Block(function, label, tuple(map(_parsed, lines[number]))))
    return found


def counted(assembly: str) -> str:
    """The same code with counters, words of 64 bits in the order of the blocks, at the symbol `COUNTS`."""
    found, last = [], -1
    for number, _, _, line in _walk(assembly):
        if number is not None and number != last and _is_instruction(line):
            found.append(_COUNTER.format(counts=COUNTS, place=8 * number))
            last = number
        found.append(line)
    size = 8 * (last + 1)
    memory = f"\t.globl\t{COUNTS}\n\t.bss\n\t.p2align\t6\n{COUNTS}:\n\t.zero\t{size + 8}"
    return "\n".join([*found, memory, ""])


def _walk(assembly: str) -> Iterator[tuple[int | None, str, str, str]]:
    """Each line with the number of its block (None outside of functions), its function and its label."""
    number, function, label, begins, inside = -1, "", "", True, False
    for line in assembly.splitlines():
        text = line.strip()
        if text.startswith((".section", ".data", ".bss")):
            inside = False
        elif text == ".text" or text.startswith(".text"):
            inside = True
        elif inside and text.endswith(":"):
            name = text[:-1].strip('"')
            if not name.startswith("."):
                function, label, begins = name, "", True
            elif name.startswith(".LBB"):
                label, begins = name, True
        elif inside and function and _is_instruction(line):
            if begins:
                number, begins = number + 1, False
            yield number, function, label, line
            if _END.match(text):
                label, begins = "", True
            continue
        yield None, function, label, line


def _is_instruction(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.startswith((".", "#")) and not text.endswith(":")


def _parsed(line: str) -> Instruction:
    name, _, rest = line.strip().partition("\t")
    if not rest and " " in name:  # a prefix: `rep movsq`, `lock xadd`
        name, _, rest = name.partition(" ")
    rest = rest.partition("#")[0]
    return Instruction(name, tuple([o.strip() for o in _OPERAND.findall(rest) if o.strip()]))
