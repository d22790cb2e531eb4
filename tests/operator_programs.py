"""What the tests of operators share: every stage against NumPy, and C functions to be had anywhere."""

from __future__ import annotations

import ctypes
import ctypes.util

import numpy as np

import tracejit
from tracejit.config import config

LERP = """
define double @lerp(double %a, double %b, double %t) {
  %d = fsub double %b, %a
  %s = fmul double %d, %t
  %r = fadd double %a, %s
  ret double %r
}
"""

# Steps until the Collatz sequence of a number is at 1: a loop, which is no expression.
COLLATZ = """
define i64 @collatz(i64 %n) {
entry:
  br label %head
head:
  %x = phi i64 [ %n, %entry ], [ %next, %step ]
  %c = phi i64 [ 0, %entry ], [ %c1, %step ]
  %done = icmp sle i64 %x, 1
  br i1 %done, label %out, label %step
step:
  %bit = and i64 %x, 1
  %odd = icmp eq i64 %bit, 1
  %half = ashr i64 %x, 1
  %three = mul i64 %x, 3
  %up = add i64 %three, 1
  %next = select i1 %odd, i64 %up, i64 %half
  %c1 = add i64 %c, 1
  br label %head
out:
  ret i64 %c
}
"""


def collatz(n: int) -> int:
    count = 0
    while n > 1:
        n, count = (3 * n + 1 if n % 2 else n // 2), count + 1
    return count


def libm():
    """The C library's functions of numbers."""
    return ctypes.CDLL(ctypes.util.find_library("m"))


def c_function(name, result, *parameters, library=None):
    function = (library or libm())[name]
    function.restype, function.argtypes = result, list(parameters)
    return function


def several(value):
    return value if isinstance(value, tuple) else (value,)


def check(function, *arrays, rtol=1e-12, atol=1e-12):
    """A function compiled gives what it gives outside, at every stage and natively; its Module."""
    wanted = several(function(*arrays))
    jitted = tracejit.jit(function)
    with config.use(verify=2):
        lowered = jitted.trace(*arrays).lower()
        for stage, module in lowered.stages.items():
            assert tracejit.parse(tracejit.show(module)) is module, stage
            found = several(tracejit.reference(module, *arrays))
            for one, own in zip(found, wanted, strict=True):
                agree(one, own, rtol, atol, stage)
        for one, own in zip(several(jitted(*arrays)), wanted, strict=True):
            agree(one, own, rtol, atol, "native")
    return lowered


def agree(one, own, rtol, atol, context):
    one, own = np.asarray(one), np.asarray(own)
    assert (one.dtype, one.shape) == (own.dtype, own.shape), context
    np.testing.assert_allclose(one, own, rtol=rtol, atol=atol, err_msg=str(context))


def kernels_of(lowered):
    """How many kernels the program calls."""
    return len(lowered.module.entry.callees)
