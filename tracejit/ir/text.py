"""The text of programs, at every stage: Python that `ast` parses and NumPy can execute.

A graph function assigns one node a line; attributes are keywords. `item`s of a node of several
results are written by unpacking it.

    def main(x: f64[3, 4], b: f64[4]):
        t0 = broadcast(b, axes=(1,), shape=(3, 4))
        t1 = add(x, t0)
        t2, t3 = call(t1, callee=k0)
        return t2, t3

A kernel takes the buffers it reads, then, after `*`, those it writes.

    @kernel
    def k0(x: f64[n], *, out: f64[n], total: f64[()]):
        s: f64 = 0.0                              Let; later `s = ...` is Assign
        for i in parallel(0, n):                  For; also range, unroll, vector(0, n, 16)
            s += x[i]                             Accumulate
            s = accumulate(maximum, s, x[i])      Accumulate with an op that has no sign
            out[i] = f64(f32(x[i])) * 2.0         Store
        t: f64[1024] = local()                    Allocate; also register()
        k1(x, out=t)                              Call
        extern("cblas_dscal", n, 2.0, t[8:], 1)   Extern; `t[8:]` is the memory from there on

A literal alone has dtype f64, i64 or bool, as Python writes it; others are `f32(2.0)`, `u8(7)`,
`c64(1.0, -0.0)`. A call of a dtype on anything else casts. An operation has the dtype its op's
rule gives, or the one its keyword `dtype` says. A name given to an expression without a type, such
as `v0 = ...`, stands for the expression itself. `named("x.0", ...)` gives what it stands around,
or the function it decorates, a name Python could not write or already uses.
"""

from __future__ import annotations

from ..deferred import module
from .graph import Function, Module
from .parse import parse
from .show import show
from .tensor import Kernel

__all__ = ["diff", "parse", "show"]

Program = Module | Function | Kernel


def diff(before: Program, after: Program, names: tuple[str, str] = ("before", "after")) -> str:
    """What is different between two programs, as a unified diff of their texts; "" for equal ones."""
    old, new = show(before).splitlines(), show(after).splitlines()
    return "\n".join(module("difflib").unified_diff(old, new, *names, lineterm=""))
