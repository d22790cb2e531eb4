"""Small kernels that do not need each other run side by side, on different threads, as sections.

Each of many kernels may be too short for threads, and a parallel region for each would cost more than it
brings. Kernels that follow one another in the entry become one, of which the parallel loop

    for section in parallel(0, 4):
        if section == 0: first(...) ...

runs chains of those that do need each other, each in order, without waiting for others in between. Where
all is one chain, it is cut: where chains meet that were apart until then, or into steps, of kernels that need
nothing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.foreign import needs_one_thread
from ...ir.graph import Module
from ...ir.sections import sections_of
from ...ir.tensor import (
    ARGUMENT,
    UPDATED,
    Allocate,
    Buffer,
    Call,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Statement,
    expressions_of,
    is_shared,
    parts,
    statements,
)
from ...ir.term import postorder, remembered
from ..machine import USUAL, Machine
from .arena import STACK_LIMIT
from .checks import is_refusing
from .cost import seconds
from .cycles import cycles_on

SECTION = Index("section")
LEAST_FORKS = 4  # parallel regions that all kernels must take as long as
LEAST_GAIN = 0.2  # of the time that the kernels take one after the other
SECTIONS_OF_CORE = 4
LONG = 3  # times what threads are worth: of such a kernel its own regions are a small part


class _Short(NamedTuple):
    """A call of a kernel on one thread, what it reads and writes, and the seconds it takes."""

    call: Call
    reads: frozenset[Buffer]
    writes: frozenset[Buffer]
    seconds: float

    @property
    def buffers(self) -> frozenset[Buffer]:
        return self.reads | self.writes


def run_sections(module: Module, machine: Machine = USUAL) -> Module:
    """Make sections of the entry's short kernels, where that is faster by the model of the machine."""
    entry = module.entry
    if not isinstance(entry, Kernel) or sum(isinstance(s, Call) for s in entry.body) < 2:
        return module
    body: list[Statement] = []
    run: list[_Short] = []
    memory = [s for s in entry.body if isinstance(s, Allocate)]
    for statement in entry.body:
        if isinstance(statement, Allocate):
            continue
        short = _short(statement, machine)
        if short is not None:
            run.append(short)
            continue
        body += [*_scheduled(run, machine), statement]
        run = []
    body += _scheduled(run, machine)
    if not any(isinstance(s, Call) and is_sections(s.kernel) for s in body):
        return module
    return Module(entry.replace(body=(*_declared(memory, body),)))


def is_sections(kernel: Kernel) -> bool:
    """Whether a kernel does nothing but to call others side by side."""
    (first, *others) = kernel.body or (None,)
    return isinstance(first, For) and not others and bool(sections_of(first))


def calls_in(call: Call) -> list[Call]:
    """The calls that the sections of a call make, on its buffers; the call itself where it has none."""
    kernel = call.kernel
    if not is_sections(kernel):
        return [call]
    given = dict(zip(kernel.parameters, call.buffers))
    inner = [s for s in statements(kernel.body) if isinstance(s, Call)]
    return [Call(s.kernel, tuple([given[b] for b in s.buffers])) for s in inner]


def _declared(memory: list[Allocate], body: list[Statement]) -> Iterable[Statement]:
    """The statements, each buffer allocated before the first that uses it."""
    waiting = {s.buffer: s for s in memory}
    for statement in body:
        for buffer in getattr(statement, "buffers", ()):
            if buffer in waiting:
                yield waiting.pop(buffer)
        yield statement


def _short(statement: Statement, machine: Machine) -> _Short | None:
    """What may be a part of a section: a short kernel, of known size, that cannot fail.

    In a section its own parallel loops are for the thread that it runs on.
    """
    if not isinstance(statement, Call):
        return None
    kernel, buffers = statement.kernel, statement.buffers
    is_known = all([isinstance(buffer.type.size, int) for buffer in buffers])
    if not is_known or not _is_short(kernel, machine):
        return None
    pairs = [*zip(kernel.parameters, buffers)]
    outputs = {*kernel.outputs}
    return _Short(
        statement,
        frozenset(buffer for own, buffer in pairs if own in kernel.inputs),
        frozenset(buffer for own, buffer in pairs if own in outputs),
        _seconds(kernel, machine),
    )


@remembered
def _is_short(kernel: Kernel, machine: Machine) -> bool:
    for inner in statements(kernel.body):
        match inner:
            case Call() | Extern():
                return False
            case Allocate(buffer) if buffer.space != "register" and _is_large(buffer):
                return False
        if any(map(is_refusing, postorder(expressions_of(inner), parts))):
            return False
    if needs_one_thread(kernel.body):
        return False
    shares = any(map(is_shared, statements(kernel.body)))
    return not shares or _seconds(kernel, machine) <= LONG * machine.worthwhile_seconds


def _seconds(kernel: Kernel, machine: Machine) -> float:
    return seconds(cycles_on(kernel, machine))


def _is_large(buffer: Buffer) -> bool:
    """Whether memory of a kernel's own has no place on the stack of a thread."""
    size = prod(buffer.type.shape) * buffer.type.dtype.itemsize
    return not isinstance(size, int) or size > STACK_LIMIT


def _scheduled(run: list[_Short], machine: Machine) -> list[Statement]:
    """Short kernels that follow one another: as sections, one after the other, or as they were; the fastest."""
    run, needed = _from_where_it_lies(run, machine), _needed(run)
    phases = [[[run[n] for n in chain] for chain in phase] for phase in _phases(needed)]
    steps = [[[short] for short in step] for step in _steps(run, needed)]
    best: list[Statement] = [short.call for short in run]
    least = sum(short.seconds for short in run)
    for parts_of_run in ([_chains(run, needed)], phases, steps):
        found: list[Statement] = []
        taken = 0.0
        for chains in parts_of_run:
            together, price = _sections(chains, machine)
            found += (
                [short.call for chain in chains for short in chain]
                if together is None
                else [together]
            )
            taken += price
        if taken < least:
            best, least = found, taken
    return best


def _from_where_it_lies(run: list[_Short], machine: Machine) -> list[_Short]:
    """The kernels with the times that they take at least if all that they read and write is as near as
    there is room for."""
    rate = machine.byte_cycles(_bytes(frozenset().union(*[short.buffers for short in run])))
    return [
        short._replace(seconds=max(short.seconds, seconds(_bytes(short.buffers) * rate)))
        for short in run
    ]


def _bytes(buffers: Iterable[Buffer]) -> int:
    return sum(buffer.type.size * buffer.type.dtype.itemsize for buffer in buffers)


def _needed(run: list[_Short]) -> list[set[int]]:
    """For each kernel those before it that it must stay behind, by number; not all, where others are between."""
    writer: dict[Buffer, int] = {}
    readers: dict[Buffer, list[int]] = {}
    needed: list[set[int]] = []
    for number, short in enumerate(run):
        before = {writer[buffer] for buffer in short.reads | short.writes if buffer in writer}
        before.update(reader for buffer in short.writes for reader in readers.pop(buffer, ()))
        needed.append(before)
        writer.update(dict.fromkeys(short.writes, number))
        for buffer in short.reads - short.writes:
            readers.setdefault(buffer, []).append(number)
    return needed


def _chains(run: list[_Short], needed: list[set[int]]) -> list[list[_Short]]:
    """Those that need each other, directly or not, in order."""
    first = [*range(len(run))]

    def root(number: int) -> int:
        while first[number] != number:
            first[number] = first[first[number]]
            number = first[number]
        return number

    for number, before in enumerate(needed):
        for other in before:
            a, b = sorted((root(number), root(other)))
            first[b] = a
    chains: dict[int, list[_Short]] = {}
    for number, short in enumerate(run):
        chains.setdefault(root(number), []).append(short)
    return [*chains.values()]


def _phases(needed: list[set[int]]) -> list[list[list[int]]]:
    """Chains of kernels, by number, up to where some of them meet; and so on from there."""
    place: list[int] = []
    phases: list[list[list[int]]] = []
    chain_of: list[list[int]] = []
    for number, before in enumerate(needed):
        phase = max([place[other] for other in before], default=0)
        met = {id(chain_of[other]): chain_of[other] for other in before if place[other] == phase}
        if len(met) > 1:
            phase, met = phase + 1, {}
        if phase == len(phases):
            phases.append([])
        own = next(iter(met.values()), None)
        if own is None:
            own = []
            phases[phase].append(own)
        own.append(number)
        place.append(phase)
        chain_of.append(own)
    return phases


def _steps(run: list[_Short], needed: list[set[int]]) -> list[list[_Short]]:
    """Each kernel in the first step after all that it needs."""
    place: list[int] = []
    steps: list[list[_Short]] = []
    for short, before in zip(run, needed):
        place.append(max([place[other] for other in before], default=-1) + 1)
        if place[-1] == len(steps):
            steps.append([])
        steps[place[-1]].append(short)
    return steps


def _sections(chains: list[list[_Short]], machine: Machine) -> tuple[Call | None, float]:
    """The call of a kernel of which each section is one of the chains, or several short ones; None where
    one thread is as good. And the seconds that it takes, or that they do."""
    costs = [sum(short.seconds for short in chain) for chain in chains]
    total = sum(costs)
    if len(chains) < 2 or total < LEAST_FORKS * machine.region_seconds:
        return None, total
    share = max(total / (SECTIONS_OF_CORE * machine.cores), machine.region_seconds / 2)
    sections: list[list[_Short]] = []
    sizes: list[float] = []
    for chain, cost in zip(chains, costs):
        if sections and sizes[-1] + cost <= share:
            sections[-1] += chain
            sizes[-1] += cost
        else:
            sections.append([*chain])
            sizes.append(cost)
    longest = _longest_thread(sizes, machine.cores) + machine.region_seconds
    if len(sections) < 2 or longest > (1 - LEAST_GAIN) * total:
        return None, total
    return _call(sections), longest


def _longest_thread(sizes: list[float], threads: int) -> float:
    """When the last thread is done, if each takes the next section as soon as it can."""
    ends = [0.0] * threads
    for size in sizes:
        first = ends.index(min(ends))
        ends[first] += size
    return max(ends)


def _call(sections: list[list[_Short]]) -> Call:
    shorts = [short for section in sections for short in section]
    fresh = dict.fromkeys(
        buffer for s in shorts for buffer in s.call.buffers if buffer in s.writes - s.reads
    )
    updated = {buffer for s in shorts for buffer in s.writes & s.reads} - fresh.keys()
    given = dict.fromkeys(buffer for s in shorts for buffer in s.call.buffers)
    inputs = [buffer for buffer in given if buffer not in fresh]
    own = {
        buffer: Buffer(f"p{k}", buffer.type, UPDATED if buffer in updated else ARGUMENT)
        for k, buffer in enumerate((*inputs, *fresh))
    }
    body: tuple[Statement, ...] = ()
    for number, section in reversed([*enumerate(sections)]):
        calls = tuple(
            [Call(s.call.kernel, tuple([own[b] for b in s.call.buffers])) for s in section]
        )
        here = expressions.compare("equal", SECTION, integer(number))
        body = (If(here, calls, body),)
    loop = For(SECTION, tensor.ZERO, integer(len(sections)), body, "parallel", 1)
    kernel = Kernel("sections", tuple(own.values()), len(fresh), (loop,))
    return Call(kernel, tuple(own))
