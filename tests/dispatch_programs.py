"""Signatures, programs and callables for the tests of native dispatch."""

from __future__ import annotations

import ctypes
import functools
import types

import numpy as np

from tracejit.runtime import engine
from tracejit.runtime.dispatch import JitBase
from tracejit.runtime.signature import (
    ArrayLeaf,
    ArrayOutput,
    ObjectOutput,
    Plan,
)

F8 = np.dtype("f8")
VECTOR = ArrayLeaf(F8, (8,))
X, Y, Z = np.arange(8.0), np.arange(8.0) * 2, np.arange(8.0) * 3


class Jitted(JitBase):
    """As the real one: a Python subclass whose ``__call__`` is the slow path."""

    def __init__(self):
        self.missed = []

    def __call__(self, *arguments, **keywords):
        self.missed.append((arguments, keywords))
        return "slow"

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)


class Program:
    """An executable entry point in Python: ``function(pointers)`` sees the argument vector."""

    def __init__(self, function, pointers):
        def entry(vector):
            status = function(list((ctypes.c_void_p * pointers).from_address(vector)))
            return status or 0

        self._entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(entry)
        self._code = ctypes.cast(self._entry, ctypes.c_void_p)
        self.cell = ctypes.addressof(self._code)


def plan_of(function, pointers, outputs, result="single", **options):
    program = Program(function, pointers)
    return Plan(program.cell, tuple(outputs), result, keep=program, **options)


def read(pointer, ctype, count=1):
    values = list((ctype * count).from_address(pointer))
    return values if count > 1 else values[0]


def write(pointer, ctype, *values):
    (ctype * len(values)).from_address(pointer)[:] = values


ADD = """
define i64 @add(ptr %arguments) {{
{loads}
  %place = getelementptr i8, ptr %arguments, i64 {end}
  %out = load ptr, ptr %place
  store <8 x double> %sum{count}, ptr %out, align 8
  ret i64 0
}}
"""


@functools.cache
def sum_library(count):
    """``out = 1 + a + b + ...`` over `count` vectors of eight doubles."""
    lines = ["  %sum0 = fadd <8 x double> zeroinitializer, splat (double 1.0)"]
    for i in range(count):
        lines.append(f"  %at{i} = getelementptr i8, ptr %arguments, i64 {8 * i}")
        lines.append(f"  %array{i} = load ptr, ptr %at{i}")
        lines.append(f"  %value{i} = load <8 x double>, ptr %array{i}, align 8")
        lines.append(f"  %sum{i + 1} = fadd <8 x double> %sum{i}, %value{i}")
    text = ADD.format(loads="\n".join(lines), end=8 * count, count=count)
    return engine.load(engine.compile_ir(text), ["add"])


def sum_plan(count, **options):
    library = sum_library(count)
    return Plan(library.cell("add"), (ArrayOutput(F8, (8,)),), keep=library, **options)


def constant_plan(value):
    """No memory is touched: the result says which entry ran."""
    return plan_of(lambda pointers: 0, 0, [ObjectOutput(value)])


def jitted(signature, plan):
    function = Jitted()
    assert function.publish(signature, plan) is not None
    return function


def matches(signature, *arguments, **keywords):
    return jitted(signature, constant_plan("fast"))(*arguments, **keywords) == "fast"


def misaligned(values):
    raw = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype)
    raw[:] = values
    return raw


def shapes_function(function, symbols, extents):
    def shapes(symbols_at, extents_at):
        values, workspace = function(*(read(symbols_at + 8 * i, ctypes.c_int64) for i in symbols))
        write(extents_at, ctypes.c_int64, *values)
        return workspace

    made = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(shapes)
    return made, ctypes.cast(made, ctypes.c_void_p).value


def text(value):
    """The same text in another object."""
    return value[:1] + value[1:]
