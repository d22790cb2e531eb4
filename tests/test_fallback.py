"""Functions without a rule are called through Python inside a program, and all is as with NumPy."""

import gc
import io
import os
import resource
import signal
import threading
import weakref
from contextlib import redirect_stderr

import numpy as np
import pytest
from children import run_in_child
from numpy.random import PCG64, Generator, RandomState, default_rng, ranf, sample
from numpy.random import seed as set_seed

import tracejit
import tracejit.stages
from tracejit.errors import TraceError, UnsupportedError
from tracejit.ir import numpy_code
from tracejit.ir.host import HostFunction
from tracejit.trace.numpy import small_matrices, stacked_matrices

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

RANDOM = np.random.default_rng(0)
A = RANDOM.normal(size=(4, 4))
SYMMETRIC = A @ A.T + np.eye(4)
BATCH = RANDOM.normal(size=(3, 4, 4))
TALL = RANDOM.normal(size=(6, 4))
B = RANDOM.normal(size=4)
X = RANDOM.normal(size=12)
COMPLEX = A + 1j * A.T


@pytest.fixture(autouse=True)
def no_code_of_numpys(monkeypatch):
    """As if NumPy's loops, by which many of these are compiled, were not where they are looked for."""
    monkeypatch.setattr(numpy_code, "IS_FOUND", [])
    monkeypatch.setattr(small_matrices, "LARGEST", 0)
    monkeypatch.setattr(stacked_matrices, "LONGEST_ALONE", {})


def same(expected, got):
    """Equal in structure, types, dtypes and shapes, and in values but for elementary functions."""
    assert type(expected) is type(got), (type(expected), type(got))
    if isinstance(expected, tuple | list):
        assert len(expected) == len(got)
        for a, b in zip(expected, got):
            same(a, b)
    elif isinstance(expected, np.ndarray):
        assert (expected.dtype, expected.shape) == (got.dtype, got.shape)
        np.testing.assert_allclose(got, expected, 1e-10, 1e-13)
    elif isinstance(expected, float | complex):
        np.testing.assert_allclose(got, expected, 1e-10)
    else:
        assert got == expected


def check(function, *args, **options):
    """The same as NumPy: when it is compiled, from native code, and by the reference."""
    jitted = tracejit.jit(function, **options)
    expected = function(*args)
    for _ in range(3):
        same(expected, jitted(*args))
    module = jitted.trace(*args).module
    assert tracejit.parse(tracejit.show(module)) is module
    lowered = jitted.lower(*args).module
    assert tracejit.parse(tracejit.show(lowered)) is lowered
    with tracejit.config.use(reference=True):
        same(expected, tracejit.jit(function, **options)(*args))
    assert jitted.cache_info().misses == 1
    return jitted


LINEAR = [
    (lambda a, b: np.linalg.solve(a + 1, b * 2) + 1, A, B),
    (lambda a, b: np.linalg.solve(a, b), BATCH, BATCH[:, :, :2]),
    (lambda a: np.linalg.inv(2 * a) @ a, A),
    (lambda a: np.linalg.inv(a), BATCH),
    (lambda a: np.linalg.inv(a), COMPLEX),
    (lambda a: np.linalg.det(a) * 2, A),
    (lambda a: np.linalg.det(a) + 1, BATCH.astype("f4")),
    (lambda a: np.linalg.cholesky(a + a), SYMMETRIC),
    (lambda a: np.linalg.qr(a - 1), TALL),
    (lambda a: np.linalg.qr(a, mode="r"), TALL),
    (lambda a: np.linalg.svd(a), TALL),
    (lambda a: np.linalg.svd(a, full_matrices=False), BATCH),
    (lambda a: np.linalg.svd(a, compute_uv=False).sum(), A),
    (lambda a: np.linalg.eig(a), SYMMETRIC),
    (lambda a: np.linalg.eig(a), A),
    (lambda a: np.linalg.eigvals(a), COMPLEX),
    (lambda a: np.linalg.eigh(a), SYMMETRIC),
    (lambda a: np.linalg.eigh(a, UPLO="U").eigenvectors, SYMMETRIC.astype("f4")),
    (lambda a, b: np.linalg.lstsq(a, a[:, 0]), TALL, B),
    (lambda a: np.linalg.lstsq(a, a[:, 0])[1:3], A),
    (lambda a: np.linalg.norm(a, "nuc") + np.linalg.norm(a, 2), A),
    (lambda a: np.linalg.matrix_power(a, -2), A),
    (lambda a: np.linalg.pinv(a).T, TALL),
    (lambda a: np.linalg.matrix_rank(a), TALL),
    (lambda a: np.linalg.slogdet(a), BATCH),
    (lambda a: np.linalg.slogdet(a).logabsdet + 1, A),
    (lambda a: np.linalg.cond(a), A),
    (lambda a: np.linalg.inv(a), A.T),
    (lambda a: np.linalg.inv(a[::-1, ::-1]), A),
    (lambda a: np.linalg.inv(a[None])[0], A),
]  # fmt: skip
FOURIER = [
    (lambda x: np.fft.fft(x) / 2, X),
    (lambda x: np.fft.ifft(np.fft.fft(x) * 2), X.astype("f4")),
    (lambda x: np.fft.rfft(x, n=16), X),
    (lambda x: np.abs(np.fft.rfft2(x)), A),
    (lambda x: np.fft.irfft(x + 1j), X),
    (lambda x: np.fft.fftn(x, axes=(0, 2)), BATCH),
    (lambda x: np.fft.hfft(x * 3), X),
    (lambda x: np.fft.hfft(x, norm="ortho"), COMPLEX),
]  # fmt: skip
OTHERS = [
    (lambda x: np.sort(x)[::2] + 1, X),
    (lambda x: np.argsort(-x), X),
    (lambda x: np.median(x) * 2, X),
    (lambda x: np.percentile(x, [10, 50], axis=0), A),
    (lambda x: np.unique(np.round(x)), X),
    (lambda x: np.unique(np.round(x), return_counts=True), X),
    (lambda x: np.roots(x + 0), X),
    (lambda x: np.polyfit(x, 2 * x, 1), X),
    (lambda x: np.apply_along_axis(lambda row: float(str(row.max())), 1, x), A),
    (lambda x: np.vectorize(lambda v: v * v if v > 0 else 0.0)(x) + 1, X),
    (lambda x: np.logaddexp.reduceat(x, [0, 3, 5]), X),
    (lambda x: np.arctan2.accumulate(x), X),
    (lambda x: np.hypot.reduce(np.tile(x, 2)), X),
    (lambda x: np.pad(x, 2, mode="median"), X),
    (lambda x: np.polynomial.polynomial.polyfit(x, 2 * x, 1), X),
    (lambda x: x.argpartition(3), X),
    (lambda x: x.astype(int).byteswap() + 1, 9 * X),
    (lambda x: np.lexsort([x, x > 0]), X),
    (lambda x: np.lexsort((x, x > 0), -1), X),
    (lambda x: np.union1d([x[0], 2.0], ()), X),
    (lambda x: (np.linalg.inv(x), np.linalg.inv(x) + np.linalg.inv(x)), A),
    (lambda x, k: np.sort(x)[k] + np.fft.fft(x, 8).real[0], X, 3),
    (lambda x, s: np.median(x) * s, X, 2.5),
    (lambda x, s: np.percentile(x, s), X, 2.5),
    (lambda x, s: np.percentile(x, s), X, np.float64(2.5)),
    (lambda x: np.linalg.inv(x).tolist(), A[:2, :2]),
    (lambda x: np.sort(x[np.nonzero(x > 0)]), A),
]  # fmt: skip


@pytest.mark.parametrize("program", [*LINEAR, *FOURIER, *OTHERS])
def test_a_function_without_a_rule_is_called(program):
    jitted = check(*program)
    is_stack = np.ndim(program[1]) == 3  # loops of our own do some of them
    assert is_stack or "through Python, not compiled: " in jitted.explain(*program[1:])


def test_empty_arrays():
    check(lambda a: np.linalg.det(a), np.zeros((0, 3, 3)))
    check(lambda a: np.linalg.inv(a) + 1, np.zeros((0, 0)))
    check(lambda a: np.sort(a) * 2, np.zeros((3, 0)))


def test_what_surrounds_a_call_is_fused():
    def program(a, b):
        c = np.exp(a) * 2 + 1
        d = np.linalg.solve(c, b - 1)
        return np.sin(d) ** 2 + d

    text = check(program, A, B).explain(A, B)
    assert "fuses" in text and "exp" in text and "numpy.linalg.solve at " in text
    assert "test_fallback.py" in text


def test_the_debug_line_lists_the_calls():
    errors = io.StringIO()
    with tracejit.config.use(debug=1), redirect_stderr(errors):
        tracejit.jit(lambda a: np.linalg.inv(a) + 1)(A)
    assert "through Python, not compiled: numpy.linalg.inv at " in errors.getvalue()


def test_calls_may_be_refused():
    jitted = tracejit.jit(lambda a: np.linalg.inv(a), fallback="error")
    with pytest.raises(UnsupportedError, match="no rule"):
        jitted(A)
    with pytest.raises(ValueError, match="fallback"):
        tracejit.jit(lambda a: a, fallback="maybe")


# Exceptions.


def test_errors_are_numpys():
    jitted = tracejit.jit(lambda a: np.linalg.inv(a) + np.linalg.cholesky(a))
    for _ in range(2):
        same(np.linalg.inv(SYMMETRIC) + np.linalg.cholesky(SYMMETRIC), jitted(SYMMETRIC))
        with pytest.raises(np.linalg.LinAlgError, match="Singular") as caught:
            jitted(np.zeros((4, 4)))
        assert any(entry.name == "<lambda>" for entry in caught.traceback)
        with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
            jitted(-SYMMETRIC)
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        jitted(TALL)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        tracejit.jit(lambda a: np.linalg.inv(a) + 1)(np.zeros((2, 2)))


def guarded(a):
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return np.zeros_like(a) - 1


@pytest.mark.parametrize("order", [(A, 0 * A, 2 * A, 0 * A), (0 * A, A, 0 * A, A)])
def test_a_function_that_handles_exceptions(order):
    jitted = tracejit.jit(guarded)
    for a in order:
        same(guarded(a), jitted(a))


def test_nothing_runs_after_a_failure():
    calls = []

    @tracejit.host
    def first(x):
        calls.append("first")
        if x[0] < 0:
            raise KeyError("negative")
        return x * 2

    @tracejit.host
    def second(x):
        calls.append("second")
        return x + 1

    jitted = tracejit.jit(lambda x: second(np.sin(first(x))))
    jitted(X * 0)
    jitted(X * 0)
    assert calls == ["first", "second"] * 2
    with pytest.raises(KeyError, match="negative"):
        jitted(X * 0 - 1)
    assert calls == ["first", "second"] * 2 + ["first"]
    jitted(X * 0)
    assert calls == ["first", "second"] * 2 + ["first", "first", "second"]


def test_interrupts():
    @tracejit.host
    def pressed(x):
        if x[0] > 0:
            raise KeyboardInterrupt
        if x[0] < 0:
            os.kill(os.getpid(), signal.SIGINT)
        return x

    jitted = tracejit.jit(lambda x: pressed(x) + 1)
    for value in (0.0, 1.0, 0.0, -1.0, 0.0):
        if value == 0:
            same(np.ones(3), jitted(np.zeros(3)))
        else:
            with pytest.raises(KeyboardInterrupt):
                jitted(np.full(3, value))


# Results that are not like the first ones.


def test_shapes_that_depend_on_values():
    def program(x):
        u = np.unique(x * 2)
        return u + u.size

    errors = io.StringIO()
    jitted = tracejit.jit(program)
    with tracejit.config.use(debug=1), redirect_stderr(errors):
        for k in range(1, 10):
            x = np.arange(12.0) % k
            same(program(x), jitted(x))
    assert jitted.cache_info().misses < 6
    assert "left to NumPy from now on" in errors.getvalue()


def _distinct(x):
    """The rows of `x` that differ, by way of longer ones, which are sorted by NumPy."""
    return np.unique(np.tile(x, 5), axis=0)[:, : x.shape[1]]


def _size_in_a_loop(x):
    for _ in range(3):
        x = x + _distinct(x).shape[0]
    return x


def _size_in_a_while_loop(x):
    while x.sum() < 300:
        x = x + _distinct(x).shape[0]
    return x


def _size_in_a_branch(x):
    if x[0, 0] < 100:
        return x + len(_distinct(x))
    return x


def _size_beside_a_write(x):
    y = x.copy()
    y[0] = _distinct(x).size
    return y


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x + _distinct(x).shape[0],
        lambda x: x + np.zeros_like(_distinct(x)).size,
        lambda x: x + np.unique(_distinct(x) * 2, axis=1).shape[1],
        lambda x: x + _distinct(x).shape[0] + np.linalg.matrix_power(x[:, :3].T, 2).size,
        lambda x: np.ones(_distinct(x).shape),
        _size_in_a_loop,
        _size_in_a_while_loop,
        _size_in_a_branch,
        _size_beside_a_write,
    ],
)
def test_shapes_alone_are_asked_for(program):
    jitted = tracejit.jit(program)
    distinct = np.arange(12.0).reshape(3, 4) - 5
    for x in (np.ones((3, 4)), distinct, np.ones((3, 4)), distinct[[0, 1, 0]]):
        same(program(x), jitted(x))


def test_a_call_for_its_shape_is_made_once():
    """And one whose result is read as well is no other, and adds no result."""
    alone = tracejit.jit(lambda x: x + _distinct(x).shape[0]).trace(A).module
    assert tracejit.show(alone).count("host_call") == 1
    read = tracejit.jit(lambda x: _distinct(x).sum() + _distinct(x).shape[0])
    module = read.trace(A).module
    assert tracejit.show(module).count("host_call") == 1 == len(module.entry.results)


def test_dtypes_that_depend_on_values():
    jitted = tracejit.jit(lambda a: np.linalg.eigvals(a) * 2)
    for a in (SYMMETRIC, A, SYMMETRIC, A):
        same(np.linalg.eigvals(a) * 2, jitted(a))


def test_a_result_that_changes_after_a_call_with_effects():
    calls, shapes = [], iter([3, 3, 4, 4, 4, 5])

    @tracejit.host
    def count(x):
        calls.append("count")
        return x + len(calls)

    @tracejit.host
    def vary(x):
        calls.append("vary")
        return np.full(next(shapes), x[0])

    jitted = tracejit.jit(lambda x: vary(count(x)) * 2)
    for size, first in ((3, 1), (3, 3), (4, 5), (4, 7), (4, 9), (5, 11)):
        same(np.full(size, 2.0 * first), jitted(np.zeros(2)))
    assert calls == ["count", "vary"] * 6


def test_what_is_no_array_is_looked_at_in_every_run():
    jitted = tracejit.jit(lambda x: (x.tobytes(), x + 1))
    for x in (X, X, 2 * X, X):
        same((x.tobytes(), x + 1), jitted(x))
    check(lambda x: np.testing.assert_allclose(np.linalg.inv(x).shape, (4, 4)), A)


# Registered functions.


def test_a_registered_function_is_called_once_for_each_call():
    calls = []

    @tracejit.host
    def note(x, *, scale=2.0):
        calls.append(x.copy())
        return x.sum() * scale

    def program(x):
        note(x)
        return note(x + 1) - note(x, scale=3.0)

    jitted = tracejit.jit(program)
    for k in range(4):
        x = X + k
        same((x + 1).sum() * 2.0 - x.sum() * 3.0, jitted(x))
        assert len(calls) == 3 * (k + 1)
        for before, after in zip(calls[-3:], (x, x + 1, x)):
            same(after, before)


def test_a_registered_function_without_arrays():
    state = {"calls": 0}

    @tracejit.host
    def reading():
        state["calls"] += 1
        return float(state["calls"])

    jitted = tracejit.jit(lambda x: x + reading())
    for k in range(1, 4):
        same(X + k, jitted(X))
    assert reading() == 4.0


def test_pure_functions_may_be_called_less_often():
    calls = []

    @tracejit.host(pure=True)
    def double(x):
        calls.append(1)
        return 2 * x

    jitted = tracejit.jit(lambda x: double(x) + double(x))
    jitted(X)
    calls.clear()
    same(4 * X, jitted(X))
    assert len(calls) == 1


def test_a_function_keeps_or_changes_its_arguments():
    kept = []

    @tracejit.host
    def keep(x):
        kept.append(x)
        return x

    jitted = tracejit.jit(lambda x: keep(x * 2) + 1)
    for k in range(4):
        same(X * 2 * k + 1, jitted(X * k))
    for k, x in enumerate(kept):
        same(X * 2 * k, x)

    memory = np.zeros(3)

    @tracejit.host
    def fill(value):
        memory[:] = value
        return memory

    jitted = tracejit.jit(lambda a, b: fill(a) - fill(b) * 2)
    for _ in range(3):
        same(np.full(3, -3.0), jitted(1.0, 2.0))

    @tracejit.host
    def change(x):
        x[0] = 7.0
        return x.sum()

    with pytest.raises(UnsupportedError, match="changed an argument"):
        tracejit.jit(lambda x: change(x) + 1)(X.copy())


def test_kinds_of_arguments_and_results():
    seen = []

    @tracejit.host
    def kinds(*values, **named):
        seen.append([type(v) for v in (*values, *named["more"])])
        return {"a": values[0], "b": [1.5, True, None, np.float32(2), np.arange(3)]}

    def program(x, s, g):
        return kinds(x[0], s, g, 3, "text", more=(x, x.sum(), s + 1))

    jitted = tracejit.jit(program)
    for _ in range(3):
        result = jitted(X, 2.5, np.float32(1))
        expected = [np.float64, float, np.float32, int, str, np.ndarray, np.float64, float]
        assert seen.pop() == expected
        assert list(result) == ["a", "b"] and type(result["a"]) is np.float64
        assert [type(v) for v in result["b"]] == [float, bool, type(None), np.float32, np.ndarray]


def test_what_cannot_be_a_result():
    @tracejit.host
    def odd(x):
        return object()

    with pytest.raises(UnsupportedError, match=r"(?s)gave a object.*test_fallback.*hint"):
        tracejit.jit(lambda x: odd(x))(X)  # which has been called, so that NumPy cannot take over
    jitted = tracejit.jit(lambda x: np.frompyfunc(abs, 1, 1)(x))
    with pytest.raises(UnsupportedError, match="array of object"):
        jitted.trace(X)
    np.testing.assert_array_equal(jitted(X), np.frompyfunc(abs, 1, 1)(X))
    with pytest.raises(TypeError, match="function"):
        tracejit.host(3)
    with pytest.raises(TraceError, match="value"):
        tracejit.jit(lambda x: x * hash(np.linalg.det(x))).trace(A)


# Random numbers.


def draws(rng):
    return rng.normal(size=3) - rng.normal(size=3) + rng.integers(0, 10, 3)


def test_a_generator_is_the_users_own():
    ours, numpys = np.random.default_rng(1), np.random.default_rng(1)
    jitted = tracejit.jit(lambda x: x + draws(ours))
    passed = tracejit.jit(lambda rng, x: x + draws(rng))
    for _ in range(3):
        same(B[:3] + draws(numpys), jitted(B[:3]))
        same(B[:3] + draws(numpys), passed(ours, B[:3]))
        same(draws(numpys), draws(ours))
    assert passed.cache_info().misses == 1
    assert str(jitted.explain(B[:3]))
    same(numpys.random(), ours.random())


def test_any_generator_may_be_passed():
    jitted = tracejit.jit(lambda rng, more, x: (x + draws(rng) - draws(more["rng"]), rng))
    for seed in range(6):
        rng, other = np.random.default_rng(seed), np.random.default_rng(-seed % 7)
        again, another = np.random.default_rng(seed), np.random.default_rng(-seed % 7)
        result, given = jitted(rng, {"rng": other}, B[:3])
        same(B[:3] + draws(again) - draws(another), result)
        assert given is rng and rng.random() == again.random()
        with tracejit.config.use(reference=True):
            jitted(rng, {"rng": other}, B[:3])
    assert jitted.cache_info().misses == 1
    compiled = tracejit.jit(lambda rng: rng.random(3)).lower(np.random.default_rng(5)).compile()
    assert compiled()[0].shape == (3,)


def test_generators_made_inside():
    def fresh(x):
        rng = np.random.default_rng(7)
        other = np.random.RandomState(3)
        return x + draws(rng) * other.rand(3) + rng.choice(x, 3)

    check(fresh, B[:3])

    def passes(x):
        rng = np.random.default_rng(7)
        return draws(np.random.default_rng(rng)) + draws(rng) * isinstance(rng, np.random.Generator)

    check(passes, B[:3])
    unseeded = tracejit.jit(lambda: np.random.default_rng().random(3) + 0)
    assert not np.array_equal(unseeded(), unseeded())


def test_the_global_generator():
    def program(x):
        np.random.seed(5)
        return x + np.random.rand(3) + np.random.standard_normal(3) * np.random.uniform(1, 2)

    check(program, B[:3])
    jitted = tracejit.jit(lambda x: x + np.random.rand(3))
    np.random.seed(1)
    expected = [B[:3] + np.random.rand(3) for _ in range(3)]
    np.random.seed(1)
    for value in expected:
        same(value, jitted(B[:3]))


def test_draws_are_neither_merged_nor_dropped():
    ours, numpys = np.random.default_rng(1), np.random.default_rng(1)

    def program(rng):
        rng.random(5)
        return rng.random(3) - rng.random(3)

    jitted = tracejit.jit(lambda: program(ours))
    for _ in range(3):
        same(program(numpys), jitted())


def test_draws_in_a_call_that_is_traced_again():
    ours, numpys = np.random.default_rng(1), np.random.default_rng(1)

    def program(x, rng):
        made = np.random.default_rng(3)
        first = made.random() + rng.random()
        u = np.unique(x)
        return u * first + rng.random() + made.random()

    jitted = tracejit.jit(lambda x: program(x, ours))
    for k in (2, 2, 3, 4, 2, 3, 4, 5, 6):
        x = np.arange(12.0) % k
        same(program(x, numpys), jitted(x))


def test_names_of_numpy_random():
    def program(x):
        set_seed(3)
        own = default_rng()
        assert isinstance(own, Generator) and not isinstance(x, RandomState)
        return ranf(3) + RandomState(2).rand(3) + default_rng(5).random(3) + sample()

    jitted = check(program, X)
    unseeded = tracejit.jit(lambda: default_rng().random(3) + RandomState().rand(3))
    assert not np.array_equal(unseeded(), unseeded())
    assert "default_rng" in jitted.explain(X)


def test_what_generators_cannot_do():
    rng = np.random.default_rng(0)
    for function in (
        lambda x: Generator(np.random.PCG64(3)).random(3),
        lambda x: np.random.Generator(PCG64()).random(3),
        lambda x: rng.random(out=x),
        lambda x: rng.bit_generator.state,
    ):
        with pytest.raises(UnsupportedError, match="numpy.random"):
            tracejit.jit(function)(X)


# Around a call.


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.sort(x)[::2] + np.argsort(x)[::2],
        lambda x: np.fft.irfft(np.fft.rfft(x * 2)),
        lambda x: np.linalg.solve(x[:, None] * x + np.eye(x.size), x),
        lambda x: np.median(x) + np.unique(np.sign(x)),
        lambda x: x + np.random.default_rng(0).normal(size=x.shape),
    ],
)
def test_one_program_for_every_size(function):
    jitted = tracejit.jit(function)
    for n in range(10, 40, 2):
        x = np.sin(np.arange(float(n)))
        same(function(x), jitted(x))
    assert jitted.cache_info().misses <= 4


def test_sizes_that_are_guessed_wrongly():
    jitted = tracejit.jit(lambda x: np.unique(np.floor(x)) * 2)
    for n in (5, 6, 7, 8, 9, 10, 11):
        x = np.arange(float(n)) % (3 if n > 8 else n)
        same(np.unique(x) * 2, jitted(x))


def test_rules_that_need_an_int_keep_it():
    jitted = tracejit.jit(lambda x, k: np.roll(np.repeat(x, k), k))
    for k in (2, 3, 4, 5):
        same(np.roll(np.repeat(X, k), k), jitted(X, k))
        assert "through Python" not in jitted.explain(X, k)


def test_ints_that_change():
    calls = []

    @tracejit.host
    def note(x):
        calls.append(1)
        return x

    jitted = tracejit.jit(lambda x, k: note(np.sort(x))[:k] * k)
    for count, k in enumerate((2, 3, 4, 5, 6, 7), 1):
        same(np.sort(X)[:k] * k, jitted(X, k))
        assert len(calls) == count


def test_other_libraries():
    linalg = pytest.importorskip("scipy.linalg")
    special = pytest.importorskip("scipy.special")
    ndimage = pytest.importorskip("scipy.ndimage")
    check(lambda a: linalg.expm(a) * 2, A)
    check(lambda a: linalg.lu_factor(a + 1), A)
    check(lambda a: special.gamma(a * a + 1) + special.logsumexp(a, axis=1), A)
    check(lambda a: ndimage.gaussian_filter(a - 1, 1.0), A)


def sorted_in_place(x):
    x.sort()
    x[2:6].partition(1)
    np.add.at(x, [0, 0, 3], x[:3] * 2)
    np.put(x, [1, 2], [7.0, 8.0])
    np.place(x, x > 1, [5.0, 6.0])
    np.put_along_axis(x, np.argsort(x)[:2], 9.0, 0)
    x[[1, 3]] = x[[3, 1]] * 2
    x[x > 6] = x[x > 6] - 1
    x[np.argsort(x)[:3]] += 1
    rng = np.random.default_rng(3)
    y = x.reshape(3, 4) * 1
    rng.shuffle(y)
    rng.shuffle(y, axis=1)
    return y


def test_functions_that_write_into_an_argument():
    jitted = tracejit.jit(sorted_in_place)
    for _ in range(3):
        ours, numpys = X.copy(), X.copy()
        same(sorted_in_place(numpys), jitted(ours))
        same(numpys, ours)


def written_before_and_after(x):
    b = np.zeros(4)
    b[:] = x[:4] * 2
    first = np.sort(b)
    b[0] = 100.0
    x[1] = -50.0
    second = np.sort(b) + np.sort(x)[:4]
    b[1:] += np.linalg.solve(np.eye(3) * 2, b[:3])
    x[:4] = np.random.default_rng(2).random(4)
    return first, second, b, np.sort(x[::2])


def test_calls_between_writes():
    jitted = tracejit.jit(written_before_and_after)
    for reference in (False, False, False, True):
        ours, numpys = X.copy(), X.copy()
        with tracejit.config.use(reference=reference):
            same(written_before_and_after(numpys), jitted(ours))
        same(numpys, ours)


def test_arguments_that_were_written_before_a_failure():
    def program(a, x):
        x += 1
        u = np.unique(x)
        x[0] = np.linalg.inv(a * 2)[0, 0]
        return u * 2

    jitted = tracejit.jit(program)
    cases = [(A, X), (A, X), (0 * A, X), (A, X % 1 > 0), (A, X), (0 * A, X % 1 > 0)]
    for a, x in cases:
        ours, numpys = x.astype(float), x.astype(float)
        outcomes = []
        for function, own in ((program, numpys), (jitted, ours)):
            try:
                outcomes.append(function(a, own))
            except np.linalg.LinAlgError as error:
                outcomes.append(str(error))
        same(*outcomes)
        same(numpys, ours)


def test_a_call_that_calls_jitted_functions():
    inner = tracejit.jit(lambda x: np.sort(x) + 1)
    calls = []

    @tracejit.host
    def again(x):
        calls.append(1)
        return outer(x - 1) if x[0] > 0 else inner(x)

    outer = tracejit.jit(lambda x: again(x) * 2)
    for depth in (0, 1, 3, 3):
        calls.clear()
        same((np.zeros(4) + 1) * 2.0 ** (depth + 1), outer(np.full(4, float(depth))))
        assert len(calls) == depth + 1


def test_threads():
    rng = np.random.default_rng(0)

    @tracejit.host
    def where(x):
        return np.full_like(x, threading.get_ident() % 1000003)

    @tracejit.jit
    def program(a, b):
        x = np.linalg.solve(a, b)
        return np.sort(x + where(x)) * 2, np.linalg.inv(a), rng.random()

    failed = []

    def work(seed):
        own = np.random.default_rng(seed)
        for k in range(100):
            a, b = own.normal(size=(5, 5)), own.normal(size=5)
            if k % 10 == 9:
                a[0] = 0
                try:
                    program(a, b)
                    failed.append("no error")
                except np.linalg.LinAlgError:
                    continue
            first, second, _ = program(a, b)
            ident = threading.get_ident() % 1000003
            if not np.array_equal(first, np.sort(np.linalg.solve(a, b) + ident) * 2):
                failed.append(first)
            if not np.array_equal(second, np.linalg.inv(a)):
                failed.append(second)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize("size", [64, 200_000])
def test_calls_with_and_without_the_python_lock(size):
    x = RANDOM.normal(size=size)
    check(lambda x: np.sort(np.sin(x) ** 2) * 2 + 1, x)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_fork():
    jitted = tracejit.jit(lambda a: np.linalg.inv(a) * 2)
    jitted(A)

    def child():
        same(np.linalg.inv(2 * A) * 2, jitted(2 * A))
        same(np.sort(X) + 1, tracejit.jit(lambda x: np.sort(x) + 1)(X))

    assert run_in_child(child) == 0


def test_compiled_by_hand():
    jitted = tracejit.jit(lambda a: np.linalg.inv(a) + 1)
    compiled = jitted.lower(A).compile()
    same(np.linalg.inv(A) + 1, compiled(A))
    with pytest.raises(np.linalg.LinAlgError):
        compiled(0 * A)
    same(np.linalg.inv(A) + 1, tracejit.reference(compiled.module, A))
    same(np.linalg.inv(A) + 1, tracejit.build(tracejit.parse(str(compiled)))(A))


def test_two_callables_never_share_code():
    functions = []
    for k in range(5):

        @tracejit.host
        def add(x, k=k):
            return x + k

        functions.append(tracejit.jit(lambda x, add=add: add(x) * 2))
    for _ in range(2):
        for k, function in enumerate(functions):
            same((X + k) * 2, function(X))


# Memory.


def test_callables_live_as_long_as_their_programs():
    class Scale:
        def __call__(self, row):
            return row.sum()

    def compiled():
        scale = Scale()
        jitted = tracejit.jit(lambda x: np.apply_along_axis(scale, 1, x) * 2)
        same(A.sum(axis=1) * 2, jitted(A))
        return weakref.ref(scale), jitted

    alive, jitted = compiled()
    gc.collect()
    assert alive() is not None
    same(A.sum(axis=1) * 2, jitted(A))
    del jitted
    gc.collect()
    assert alive() is None


def test_many_compiles_leave_nothing():
    def count():
        gc.collect()
        return sum(isinstance(found, HostFunction) for found in gc.get_objects())

    before = count()
    for k in range(30):
        tracejit.jit(lambda x, k=k: np.linalg.inv(x + k) + np.random.rand(4))(A)
    assert count() <= before + 2


def test_many_calls_keep_no_memory():
    def child():
        inverse = tracejit.jit(lambda a: (np.linalg.inv(a) * 2, np.random.rand(8)))
        singular = np.zeros((4, 4))
        for k in range(20_000):
            inverse(A)
            if k % 1000 == 0:
                try:
                    inverse(singular)
                except np.linalg.LinAlgError:
                    pass
            if k == 5_000:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4000

    assert run_in_child(child) == 0


def test_what_a_host_function_gives_of_its_argument_is_not_written():
    @tracejit.host
    def rest(x):
        return x[1:]

    def read(x):
        return rest(x) * 2

    def written(x):
        rest(x)[0] = 9
        return x

    x = np.arange(4.0)
    np.testing.assert_array_equal(tracejit.jit(read)(x), read(x))
    with pytest.raises(tracejit.UnsupportedError, match="share memory"):
        tracejit.jit(written)(x)
