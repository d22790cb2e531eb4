"""Whole programs, drawn at random: compiled code gives what NumPy gives."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from programs import DTYPES, examples, programs, small_numbers
from samples import ELEMENTARY_ULPS, compare

from tracejit import compiler, jit
from tracejit.config import config
from tracejit.lower import machine
from tracejit.lower.pipeline import Options
from tracejit.lower.tensor import parallelize
from tracejit.testing.layouts import Tagged


@pytest.fixture(autouse=True, scope="module")
def quietly():
    with warnings.catch_warnings(), np.errstate(all="ignore"), config.use(verify=2):
        warnings.simplefilter("ignore")
        yield


def agrees(program) -> None:
    """One call that compiles and one of the compiled code."""
    before = [np.array(argument) for argument in program.arguments]
    compiled = jit(program.function)
    # Of subclasses NumPy makes subclasses.
    plain = [a.view(np.ndarray) if isinstance(a, Tagged) else a for a in program.arguments]
    expected = program.function(*plain)
    for _ in range(2):
        results = compiled(*program.arguments)
        assert len(results) == len(expected)
        for actual, wanted in zip(results, expected):
            check_result(actual, wanted, program)
    for argument, copy in zip(program.arguments, before):
        np.testing.assert_array_equal(argument, copy, "an argument was written")


def check_result(actual, wanted, program) -> None:
    scalars = [isinstance(value, np.generic) for value in (actual, wanted)]
    assert scalars[0] == scalars[1], f"{type(actual)}, not {type(wanted)}\n{program}"
    actual, wanted = [x.astype(x.dtype.newbyteorder("="), copy=False) for x in (actual, wanted)]
    compare(actual, wanted, ELEMENTARY_ULPS, repr(program), either_zero=True)


@examples(120)
@given(programs())
def test_programs(program):
    agrees(program)


@pytest.mark.parametrize("argument", [True, 7, 2**62, "text", None], ids=repr)
def test_programs_that_compute_nothing(argument):
    """Arguments that are part of the signature, results known before the call."""
    for function in (lambda a: a, lambda a: (a, 3), lambda a: np.float32(3), lambda a: ()):
        for _ in range(2):
            assert jit(function)(argument) == function(argument)
    if isinstance(argument, int):
        assert jit(lambda a: (a + 1, a * 2))(argument) == (argument + 1, argument * 2)


@pytest.fixture
def eager_threads(monkeypatch):
    """Every loop that may be is split for threads, however short."""
    monkeypatch.setattr(machine, "WORTHWHILE", 0.0)
    monkeypatch.setattr(parallelize, "CHUNK", 1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_of_a_row_in_threads(eager_threads, dtype):
    """What a parallel loop reads from around it, of every dtype."""
    x = small_numbers((5, 300), np.dtype(dtype), 1)
    functions = [lambda x: x - x.sum(), lambda x: x == x.max(axis=1, keepdims=True)]
    for function in functions if dtype != "bool" else functions[1:]:
        if not dtype.startswith("complex") or function is functions[0]:
            compare(jit(function)(x), function(x), 0, dtype)


@examples(80)
@given(programs(lines=8))
def test_programs_in_threads(eager_threads, program):
    agrees(program)


@pytest.fixture(params=[16, 64])
def another_machine(monkeypatch, request):
    """Vectors of another width, every result stored past the cache, and fewer roundings."""

    def options(max_threads=0, passes=None, numerics="default", instruments=()):
        return Options(request.param, max_threads, 1, passes, numerics="fast")

    monkeypatch.setattr(compiler, "default_options", options)


@examples(25)
@given(programs(lines=8))
def test_programs_on_another_machine(another_machine, program):
    agrees(program)


def reshaped(arguments, old, new):
    """Other numbers, in arrays whose extents `old` are `new`."""
    return [
        np.array(small_numbers(tuple(new if n == old else n for n in a.shape), a.dtype, 4 * k + 1))
        for k, a in enumerate(arguments)
    ]


def is_exact(results) -> bool:
    """Whether no number is so large that rounding may depend on the order of operations."""
    for result in map(np.asarray, results):
        if result.dtype.kind in "fc" and np.any(np.abs(result[np.isfinite(result)]) > 1e3):
            return False
    return True


@pytest.mark.parametrize("threads", ["as they come", "eager"])
@examples(12)
@given(program=programs(lines=6))
def test_programs_of_changing_shapes(threads, program, request):
    """Extents that change become unknowns of the compiled code; 0 and 1 never do."""
    if threads == "eager":
        request.getfixturevalue("eager_threads")
    compiled, function = jit(program.function), program.function
    native = [np.asarray(a).astype(a.dtype.newbyteorder("=")) for a in program.arguments]
    for old in sorted({n for a in native for n in a.shape if n > 1})[:2]:
        for new in (old, old + 1, old + 3, 40, 2, 1, 0):
            arguments = reshaped(native, old, new)
            try:
                wanted = function(*arguments)
            except (ValueError, IndexError, np.exceptions.AxisError):
                continue
            if is_exact(wanted):
                for one, other in zip(compiled(*arguments), wanted, strict=True):
                    check_result(one, other, program)


@examples(20)
@given(programs(lines=30, limit=512))
def test_long_programs(program):
    agrees(program)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_of_columns(x):
    e = np.exp(x - x.max(axis=0))
    return e / e.sum(axis=0)


def normalised(x):
    return (x - x.mean(axis=-1, keepdims=True)) / (x.std(axis=-1, keepdims=True) + 0.1)


def moments(x):
    return x.mean(), x.var(axis=0), x.std(ddof=1), np.abs(x).max(), (x * x).sum(axis=1)


def heat(u):
    inner = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
    return u[1:-1, 1:-1] + 0.1 * inner


def distances(x):
    return np.sqrt(((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=-1))


def logarithm_of_sum(x):
    high = x.max()
    return high + np.log(np.exp(x - high).sum())


def network(x):
    w = np.cos(np.arange(x.shape[1] * 5).reshape(x.shape[1], 5)).astype(x.dtype)
    return np.tanh(x @ w) @ w.T + x


IDIOMS = [
    softmax,
    softmax_of_columns,
    normalised,
    moments,
    heat,
    distances,
    logarithm_of_sum,
    network,
]


@pytest.mark.parametrize("threads", ["as they come", "eager"])
@pytest.mark.parametrize("function", IDIOMS, ids=lambda f: f.__name__)
def test_idioms(function, threads, request):
    """Programs people write, rounding included."""
    if threads == "eager":
        request.getfixturevalue("eager_threads")
    rng = np.random.default_rng(1)
    compiled = jit(function)
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13), ("float16", 2e-2)):
        for shape in [(3, 3), (17, 9), (33, 100), (130, 31)][dtype != "float32" :]:
            x = rng.standard_normal(shape).astype(dtype)
            wanted, actual = function(x), compiled(x)
            if not isinstance(wanted, tuple):
                wanted, actual = (wanted,), (actual,)
            for one, other in zip(actual, wanted, strict=True):
                assert (one.shape, one.dtype) == (other.shape, other.dtype)
                scale = np.abs(other).max()
                np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)
