"""Blocks of machine code: how they are read, how often they ran, and what they take by themselves."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.errors import UnsupportedError
from tracejit.report.blocks import Block, blocks_of, counted
from tracejit.report.replay import WAITING, replay
from tracejit.report.traces import LONGEST, traces
from tracejit.runtime import engine

pytestmark = pytest.mark.skipif(
    not engine.target().triple.startswith("x86_64"), reason="reads x86-64 code"
)

NEST = """\
	.section	.rodata.cst4,"aM",@progbits,4
.LCPI0_0:
	.long	0x7f800000
	.text
	.globl	walk
	.type	walk,@function
walk:
	pushq	%rbx
	xorl	%eax, %eax
.LBB0_1:
	vxorps	%xmm0, %xmm0, %xmm0
	movl	$3, %ecx
.LBB0_2:
	vaddps	(%rdi,%rax), %zmm0, %zmm0
	decq	%rcx
	jne	.LBB0_2
	vmovups	%zmm0, (%rsi,%rax)
	addq	$64, %rax
	cmpq	%rdx, %rax
	jb	.LBB0_1
	popq	%rbx
	vzeroupper
	retq
"""


def _kinds(block: Block) -> list[str]:
    return [instruction.kind for instruction in block.instructions]


def test_blocks_begin_where_is_jumped_to_and_end_with_jumps():
    first, head, loop, tail, end = blocks_of(NEST)
    assert [b.label for b in (first, head, loop, tail, end)] == ["", ".LBB0_1", ".LBB0_2", "", ""]
    assert {b.function for b in (first, end)} == {"walk"}
    assert (loop.target, tail.target, end.ends) == (".LBB0_2", ".LBB0_1", True)
    assert _kinds(loop) == ["additions", "scalar", "branches"]
    assert _kinds(tail) == ["stores", "scalar", "scalar", "branches"]
    assert loop.instructions[0].loads and not loop.instructions[0].stores
    assert tail.instructions[0].stores and not tail.instructions[0].loads
    assert end.instructions[0].is_frame and end.instructions[1].is_frame


@pytest.mark.parametrize(
    ("line", "kind", "written", "read"),
    [
        ("vfmadd231ps\t(%rcx,%rdi,2){1to16}, %zmm16, %zmm0", "multiply-adds", "zmm0", {"rcx", "rdi", "zmm16", "zmm0"}),
        ("vsubps\t%ymm1, %ymm2, %ymm3", "additions", "zmm3", {"zmm1", "zmm2"}),
        ("vmovaps\t%ymm11, %ymm10 {%k1}", "integers and bits", "zmm10", {"zmm11", "zmm10", "k1"}),
        ("vmovaps\t%ymm11, %ymm10 {%k1} {z}", "integers and bits", "zmm10", {"zmm11", "k1"}),
        ("vxorps\t%xmm3, %xmm3, %xmm3", "integers and bits", "zmm3", set()),
        ("addq\t$32, %r8", "scalar", "r8", {"r8"}),
        ("movl\t%eax, %r9d", "scalar", "r9", {"rax"}),
        ("cmpq\t$16, %r9", "scalar", "", {"r9"}),
        ("leaq\t8(%rsi,%rcx,4), %rdx", "scalar", "rdx", {"rsi", "rcx"}),
        ("movzbl\t(%rsi), %eax", "loads", "rax", {"rsi"}),
        ("vextractps\t$1, %xmm1, 64(%r8)", "shuffles", "", {"zmm1", "r8"}),
        ("korb\t%k0, %k1, %k1", "masks", "k1", {"k0", "k1"}),
        ("vcmpltps\t%ymm10, %ymm11, %k1", "additions", "k1", {"zmm10", "zmm11"}),
        ("vdivps\t%ymm2, %ymm1, %ymm1", "divisions", "zmm1", {"zmm1", "zmm2"}),
    ],
)  # fmt: skip
def test_instructions_tell_what_they_read_and_write(line, kind, written, read):
    (block,) = blocks_of(f"\t.text\nf:\n\t{line}\n")
    (instruction,) = block.instructions
    assert (instruction.kind, instruction.written, instruction.read) == (kind, written, read)


def test_short_loops_are_one_trace_with_the_turn_of_the_loop_around_them():
    found = traces(blocks_of(NEST), [1, 50, 150, 50, 1])
    assert [(len(t.work), t.turns, t.is_loop) for t in found] == [(1, 1, False), (15, 50, True)]
    assert not found[1].carried, "too few instructions to wait for one another"
    many = traces(blocks_of(NEST), [1, 100, 100 * LONGEST, 100, 1])
    assert [(t.label, t.turns) for t in many[1:]] == [(".LBB0_1", 100), (".LBB0_2", 100 * LONGEST), ("", 100)]  # fmt: skip
    assert many[2].carried
    uneven = traces(blocks_of(NEST), [1, 100, 150, 100, 1])
    assert len(uneven) == 4, "no turn is like the others"


def test_what_never_ran_is_no_trace():
    assert traces(blocks_of(NEST), [0, 0, 0, 0, 0]) == []


def test_counters_are_exact_and_change_nothing():
    x = np.random.default_rng(0).normal(size=(37, 101))

    def step(x):
        out = np.zeros(101)
        for k in range(len(x)):
            if x[k, 0] > 0:
                out += np.exp(x[k])
        return out, np.cumsum(x, axis=1)

    found = tracejit.jit(step).bottlenecks(x)
    assert found.hot and found.seconds > 0 and found.clock > 1e8
    assert all(hot.trace.turns > 0 and hot.threads >= 1 for hot in found.hot)
    assert "cycles for" in str(found)


def test_each_block_has_one_counter():
    text = counted(NEST)
    assert text.count("counts+") == 2 * len(blocks_of(NEST))
    assert blocks_of(NEST)[2].instructions[0] in blocks_of(text)[2].instructions


def test_replays_know_what_turns_wait_for():
    lines = "\t.text\nf:\n\tvaddps\t(%rdi), %zmm0, %zmm0\n"
    chain = blocks_of(lines)[0].instructions
    free = blocks_of(lines.replace("(%rdi), %zmm0", "(%rdi), %zmm1"))[0].instructions
    if engine.target().permutes != "avx512":
        pytest.skip("512 bits")
    waits, runs = replay([chain, free])
    assert waits.counts == {"additions": 1, "loads": 1}
    assert waits.seconds > waits.apart > 0 and runs.seconds > 0
    assert waits.bound_of(waits.seconds) == WAITING


def test_vectors_that_cross_lines_are_told():
    if engine.target().permutes != "avx512":
        pytest.skip("512 bits")
    lines = ["vmovups\t(%rdi), %zmm1", "vaddps\t64(%rdi), %zmm1, %zmm2", "vmaxps\t128(%rdi), %zmm1, %zmm3"]  # fmt: skip
    within = ["vmovaps\t(%rdi), %zmm1", "vaddps\t.LCPI0_0(%rip), %zmm1, %zmm2", "vaddss\t(%rdi), %xmm1, %xmm2",
              "vbroadcastss\t(%rdi), %zmm1", "vmulps\t(%rdi){1to16}, %zmm0, %zmm1", "vmovups\t%zmm1, (%rdi)"]  # fmt: skip

    def work(lines):
        return blocks_of("\t.text\nf:\n\t" + "\n\t".join(lines))[0].instructions

    assert all(i.may_cross for i in work(lines)) and not any(i.may_cross for i in work(within))
    one, other = replay([work(lines), work(within)])
    assert one.crossing > one.apart > 0 and other.crossing > 0


def test_all_kinds_of_instructions_can_be_replayed():
    lines = [
        "movq\t(%rdi,%rax,8), %rcx", "movq\t%rcx, 8(%rsi)", "addq\t$1, (%rsi,%rcx)",
        "idivq\t%rcx", "divl\t(%rdi)", "cqto", "leaq\tlist(%rip), %rdx", "prefetcht0\t(%rdi,%rax)",
        "vmovntps\t%xmm0, (%rsi)", "movntiq\t%rax, (%rdi)", "cmpq\t%rdx, %rcx", "cmovbq\t%r10, %r9",
        "setb\t%al", "vmovsd\t(%rdi), %xmm1", "vpgatherdd\t%ymm2, (%rdi,%ymm1,4), %ymm3", "jne\t.LBB0_9",
        "vcvttsd2si\t%xmm1, %rax", "popcntq\t%rax, %rcx", "vdivsd\t.LCPI0_1(%rip), %xmm1, %xmm1",
    ]  # fmt: skip
    if engine.target().permutes == "avx512":
        lines += ["vgatherdps\t(%rax,%zmm1,4), %zmm0 {%k1}", "vscatterdps\t%zmm0, (%rax,%zmm1,4) {%k1}",
                  "vcompressps\t%zmm0, (%rdi) {%k2}", "kmovw\t%k1, (%rdi)", "kortestb\t%k1, %k1"]  # fmt: skip
    work = tuple([i for line in lines for b in blocks_of(f"\t.text\nf:\n\t{line}\n") for i in b.instructions])  # fmt: skip
    (found,) = replay([work])
    assert found.seconds > 0 and found.alone.keys() >= {"divisions", "loads", "stores", "gathers"}


def test_arguments_stay_as_they_are():
    def twice(x):
        x *= 2
        return x.sum()

    x = np.ones(1000)
    assert tracejit.jit(twice).bottlenecks(x).hot
    assert (x == 1).all()


def test_python_functions_are_not_counted():
    @tracejit.host
    def outside(x):
        return x

    with pytest.raises(UnsupportedError, match="Python"):
        tracejit.jit(lambda x: outside(x) + 1).bottlenecks(np.ones(3))
