"""Run traced programs with NumPy, and compare them with the plain functions."""

from __future__ import annotations

import math

import numpy as np

import tracejit.trace.numpy
from tracejit.ir.graph import Function, Module, is_updated, parameter
from tracejit.ir.reference import reference
from tracejit.trace.program import ArgumentOutput, FirstOutput, NodeOutput, Traced, ViewOutput
from tracejit.trace.tracing import flatten_arguments, trace
from tracejit.trace.tree import unflatten
from tracejit.trace.views import applied
from tracejit.viewing import viewed

assert tracejit.trace.numpy  # imported to fill the registry


def replay(program, args, kwargs):
    """Execute a traced program with NumPy, as the compiled function would."""
    leaves, _ = flatten_arguments(args, kwargs)
    return unflatten(program.structure, outputs_of(program, leaves))


def outputs_of(program, leaves):
    """The leaves of the result for these leaves of the arguments, which may be written to."""
    inputs = [leaf for leaf, how in zip(leaves, program.leaves) if isinstance(how, Traced)]
    inputs += program.captures
    function, results = program.function, ()
    if function.results:
        results = reference(Module(function), *inputs)
        results = results if type(results) is tuple else (results,)
    results = [np.copy(result) for result in results]  # they may be views of one another
    updated = [array for array, p in zip(inputs, function.parameters) if is_updated(p)]
    for array, value in zip(updated, results):
        array[...] = value
    results = results[len(updated) :]

    def made(output):
        if isinstance(output, ViewOutput):
            return seen(made(output.base), output)
        if isinstance(output, FirstOutput):
            return made(output.base)[: made(output.count)]
        if isinstance(output, NodeOutput):
            value = results[output.index]
            value = value[()] if output.is_scalar else np.asarray(value)
            return value if output.weak is None else output.weak(value)
        return leaves[output.leaf] if isinstance(output, ArgumentOutput) else output.value

    return [made(output) for output in program.outputs]


def seen(array, output):
    """A returned view, which must be what its steps, as a program, compute."""
    view = viewed(array, output.type, output.steps)
    whole = parameter("whole", output.type.replace(layout=None))
    part = Function("part", (whole,), (applied(whole, output.steps),))
    np.testing.assert_array_equal(reference(Module(part), array.astype(whole.dtype.numpy)), view)
    return view


def run(function, *args, **kwargs):
    return replay(trace(function, args, kwargs), args, kwargs)


def outcome(function, *args):
    """What a call gives, or the builtin exception it raises."""
    try:
        with np.errstate(all="ignore"):
            return function(*args)
    except Exception as error:
        return error


def assert_same(actual, expected):
    if isinstance(expected, Exception):
        assert isinstance(actual, Exception), f"NumPy raises {expected!r}, the trace {actual!r}"
        base = (
            type(expected) if type(expected).__module__ == "builtins" else type(expected).__mro__[1]
        )
        assert isinstance(actual, (base, TypeError)), f"{expected!r} became {actual!r}"
        return
    if isinstance(actual, Exception):
        raise actual
    if isinstance(expected, tuple):
        assert type(actual) is type(expected) and len(actual) == len(expected)
        for a, b in zip(actual, expected):
            assert_same(a, b)
        return
    assert type(actual) is type(expected), f"{type(actual)} instead of {type(expected)}"
    if isinstance(expected, np.ndarray | np.generic):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if isinstance(expected, float | complex | np.inexact):  # scalar code rounds in its own way
        np.testing.assert_allclose(actual, expected, rtol=_EPSILONS.get(type(expected), 2e-15))
    else:
        np.testing.assert_array_equal(actual, expected)


_EPSILONS = {np.float16: 2e-3, np.float32: 2e-7, np.complex64: 2e-7}


def check(function, *args):
    assert_same(outcome(run, function, *args), outcome(function, *args))


def sample(dtype, shape=(2, 3)):
    values = (np.arange(1, 1 + math.prod(shape)) * 7 % 5 + 1).reshape(shape)
    return values.astype(dtype)[()] if shape == () else values.astype(dtype)
