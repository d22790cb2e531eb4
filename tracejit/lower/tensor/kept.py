"""What an entry does once, and what it does at every call, as two programs."""

from __future__ import annotations

from collections.abc import Collection

from ...ir.graph import Module
from ...ir.tensor import ARGUMENT, Allocate, Buffer, Call, Kernel
from ...ir.term import Term
from .rename import FreshNames, Renaming

KEPT = "kept"


def split_off_kept(module: Module, constants: Collection[int]) -> tuple[Module, Module | None]:
    """The scheduled program, and the one that gives its last inputs, where it has some that are kept.

    `constants` are the numbers of the inputs that are known before any call. Where what is kept depends on
    others, it is computed at every call.
    """
    entry = module.entry
    kept = [s.buffer for s in entry.body if isinstance(s, Allocate) and s.buffer.space == KEPT]
    if not kept:
        return module, None
    calls = [s for s in entry.body if isinstance(s, Call) and not {*s.written}.isdisjoint(kept)]
    read = dict.fromkeys([b for call in calls for b in call.buffers if b not in kept])
    known = [buffer for k, buffer in enumerate(entry.inputs) if k in constants]
    if not set(read) <= set(known):
        return Module(_with_spaces(entry, {b: b.replace(space="local") for b in kept})), None
    first = Kernel(f"{entry.name}_once", (*known, *kept), len(kept), tuple(calls))
    body = tuple(
        [s for s in entry.body if s not in calls and getattr(s, "buffer", None) not in kept]
    )
    inputs = (*entry.inputs, *kept)
    main = Kernel(entry.name, (*inputs, *entry.fresh), entry.results, body)
    names = FreshNames(entry)
    arguments = {b: Buffer(names.pick(b.name), b.type, ARGUMENT) for b in kept}
    return tuple([Module(_with_spaces(kernel, arguments)) for kernel in (main, first)])


def _with_spaces(kernel: Kernel, new: dict[Term, Term]) -> Kernel:
    parameters = tuple([new.get(buffer, buffer) for buffer in kernel.parameters])
    return kernel.replace(parameters=parameters, body=Renaming(new).body(kernel.body))
