"""tracejit.testing: each assertion holds where it should, and fails with a message that helps."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import examples

import tracejit
from tracejit import jit
from tracejit.ir.types import ArrayType
from tracejit.testing import (
    LAYOUTS,
    arrays,
    assert_compiles_once,
    assert_kernels,
    assert_matches_numpy,
    assert_no_copy,
    assert_no_fallback,
    compiles,
    dtypes,
    programs,
    shapes,
    specials,
    types,
)


@tracejit.host(pure=True)
def lookup(x):
    """A function that programs call through Python."""
    return np.asarray(x) + 1


def two_kernels(x):
    y = np.cumsum(x, axis=0)
    return y * 2


FIRST = inspect.getsourcelines(two_kernels)[1]
X = np.linspace(0, 1, 12).reshape(3, 4)


def message(assertion, *arguments, **options):
    with pytest.raises(AssertionError) as caught:
        assertion(*arguments, **options)
    return str(caught.value)


def test_kernels_are_counted():
    assert_kernels(two_kernels, (X,), at_most=2)
    assert_kernels(jit(two_kernels), [X], exactly=2)
    assert_kernels(lambda x, scale: np.tanh(x) * scale, (X,), at_most=1, kwargs={"scale": 2.0})
    text = message(assert_kernels, two_kernels, (X,), at_most=1)
    assert "two_kernels(x: f64[3, 4]) runs 2 kernels, at most 1 allowed" in text
    assert f"fused_cumsum (loops) at test_testing.py:{FIRST + 1}: cumsum" in text
    assert "y = np.cumsum(x, axis=0)" in text and "not with 1 fused_cumsum: multiply" in text
    assert "not 3" in message(assert_kernels, two_kernels, (X,), exactly=3)
    for options in ({}, {"at_most": 1, "exactly": 1}):
        with pytest.raises(TypeError, match="one of at_most= and exactly="):
            assert_kernels(two_kernels, (X,), **options)
    with pytest.raises(TypeError, match=r"write \(x,\) for one"):
        assert_kernels(two_kernels, X, at_most=1)


def test_nothing_is_run_to_count_kernels():
    x = X.copy()

    def change(a):
        a += 1

    assert_kernels(change, (x,), exactly=1)
    assert (x == X).all()


def test_no_fallback():
    assert_no_fallback(lambda x: np.sort(x) + np.linalg.inv(x[:3, :3] + np.eye(3)).sum(), (X,))

    def falls_back(x):
        return lookup(x * 2)

    text = message(assert_no_fallback, falls_back, (X,))
    line = inspect.getsourcelines(falls_back)[1] + 1
    assert "calls Python" in text and "lookup" in text and f"test_testing.py:{line}" in text


def test_no_fallback_inside_loops():
    def loops(x):
        for _ in range(1000):
            x = x + lookup(x)
        return x

    assert "lookup" in message(assert_no_fallback, loops, (X,))


def test_no_copy():
    assert_no_copy(lambda x: x.T + 1, (X,))
    assert_no_copy(lambda x: np.zeros_like(x) + np.ones(4), (X,))
    text = message(assert_no_copy, lambda x: np.linalg.eigvalsh(x[:3, :3].T), (X,))
    assert "copies arrays" in text and "(copy) at test_testing.py" in text
    text = message(assert_no_copy, lambda x: x + 1, (X.astype(">f8"),))
    assert "argument x is byte-swapped" in text


def test_compiles_once():
    assert_compiles_once(two_kernels, [(X,), (X + 1,)])
    assert_compiles_once(lambda x, s: x * s, [(X, 1.0), {"x": X, "s": 2.0}], at_most=2)
    assert_compiles_once(lambda x, *, s: x * s, [((X,), {"s": 1.0}), ((X,), {"s": 2.0})])
    text = message(assert_compiles_once, jit(two_kernels), [(X,), (X,), (X[:2],)])
    assert "two_kernels was compiled 2 times, at most 1 allowed" in text
    assert "call 1: (f64[3, 4]): first call" in text
    assert "call 3: (f64[2, 4]): argument 0 is f64[2, 4], was f64[3, 4]" in text
    with pytest.raises(TypeError, match="a call is a tuple"):
        assert_compiles_once(two_kernels, [X])


def test_compiles_of_before_do_not_count():
    function = jit(two_kernels)
    function(X[:2])
    assert_compiles_once(function, [(X,), (X,)])
    assert function.cache_info().currsize == 1


def test_compiles_tell_of_each():
    with compiles() as found:
        jit(lambda x: lookup(x))(X)
    (compile,) = found
    assert (
        compile.why == "first call" and compile.seconds > 0 and "lookup" in compile.python_calls[0]
    )
    jit(lambda x: x)(X)
    assert len(found) == 1


# Comparing with NumPy.


def test_what_matches_numpy():
    def model(x, w, scale=1.0):
        x *= 2
        h = np.tanh(x @ w) * scale
        w[...] = 0
        return {"h": h, "sum": h.sum(), "first": x[0], "shape": x.shape}, x

    w = np.ones((4, 2))
    x = X.copy()
    assert_matches_numpy(model, (x, w), kwargs={"scale": 3.0})
    assert_matches_numpy(jit(model), (x.astype(np.float32), w))
    assert (x == X).all() and (w == 1).all()
    assert_matches_numpy(lambda n, x: x * n, (3, 2.5))
    assert_matches_numpy(lambda x: x[10], (X,))


class Wrong:
    """A function that is another one when it is compiled: what the assertion is there to find."""

    def __init__(self, numpy, compiled):
        self.numpy, self.compiled = numpy, compiled

    def pair(self):
        made = jit(self.compiled)
        made._compiler.name = "wrong"
        made._function = self.numpy
        return made


def test_layouts_are_tried_and_named():
    seen = set()

    def function(x):
        flags = x.flags
        seen.add((flags.c_contiguous, flags.writeable, x.dtype.isnative, flags.aligned))
        return x + 1

    assert_matches_numpy(Wrong(function, lambda x: x + 1).pair(), (X,))
    assert {(True, True, True, True), (True, False, True, True)} < seen
    assert any(not native for _, _, native, _ in seen) and any(not aligned for *_, aligned in seen)
    assert any(not contiguous for contiguous, *_ in seen)
    with pytest.raises(ValueError, match="unknown layouts"):
        assert_matches_numpy(function, (X,), layouts=["nothing"])


@pytest.mark.parametrize(
    "numpy, compiled, text",
    [
        (lambda x: x + 1, lambda x: x + 1.0001, "result 0 (float64[3, 4]) differs in 12 of 12 elements, first at [0, 0]"),
        (lambda x: x.sum(axis=0), lambda x: x.sum(axis=1), "has shape (3,), where NumPy has (4,)"),
        (lambda x: x, lambda x: x + 0, "should be argument 0 itself"),
        (lambda x: x + 1, lambda x: (x + 1).astype(np.float32), "has dtype float32, where NumPy has float64"),
        (lambda x: (x + 1, 2), lambda x: (x + 1,), "the result is"),
        (lambda x: x[7], lambda x: x + 1, "it returns, where NumPy raises IndexError"),
        (lambda x: x + 1, lambda x: x[7], "it raises IndexError"),
        (lambda x: x.sum(), lambda x: np.asarray(x.sum()), "is ndarray"),
        (lambda x: (x + 1, 2), lambda x: (x + 1, 3), "result 1 is 3, where NumPy has 2"),
    ],
)  # fmt: skip
def test_what_does_not_match_is_told(numpy, compiled, text):
    found = message(assert_matches_numpy, Wrong(numpy, compiled).pair(), (X,))
    assert text in found and "wrong, the first call with arrays laid out as 'C'" in found


def test_changes_of_arguments_are_compared():
    def change(x):
        x[0] = 5

    found = message(assert_matches_numpy, Wrong(change, lambda x: None).pair(), (X,))
    assert "argument 0 afterwards" in found and "first at [0, 0]" in found


def test_tolerances():
    pair = Wrong(lambda x: x * 1.0, lambda x: x * (1 + 1e-9)).pair()
    assert "rtol 1e-11" in message(assert_matches_numpy, pair, (X,))
    assert_matches_numpy(pair, (X,), rtol=1e-8)
    assert_matches_numpy(pair, (X,), rtol=0, atol=1e-8)
    signs = Wrong(lambda x: x * 0.0, lambda x: x * -0.0).pair()
    assert_matches_numpy(signs, (X,))
    assert "differs" in message(assert_matches_numpy, signs, (X,), rtol=0, atol=0)


# Strategies.


@given(st.data())
@examples(60)
def test_arrays_are_what_is_asked_for(data):
    x = data.draw(arrays())
    assert x.dtype.newbyteorder("=") in [t.numpy for t in tracejit.ir.types.DTYPES.values()]
    assert x.size <= 4096
    y = data.draw(arrays("float32", (3, 5), layouts=["reversed"], special=False, low=1, high=2))
    assert y.dtype == np.float32 and y.shape == (3, 5) and y.strides[0] < 0
    assert (y >= 1).all() and (y <= 2).all()
    z = data.draw(arrays(dtypes("iu"), shapes(least=1, most=2)))
    assert z.dtype.kind in "iu" and 1 <= z.ndim <= 2
    type = data.draw(types())
    assert isinstance(type, ArrayType)


def test_arrays_have_specials_and_every_layout():
    found, seen = set(), []

    @given(arrays("float64", (40,)))
    @examples(100)
    def draw(x):
        seen.append(x)
        found.update(np.asarray(x)[~np.isfinite(x)].tolist())

    draw()
    assert float("inf") in found and any(not x.dtype.isnative for x in seen)
    assert any(not x.flags.writeable for x in seen)
    assert np.isnan(specials("complex64")).any() and specials(bool).tolist() == [False, True]
    for name in LAYOUTS:
        assert LAYOUTS[name](X).shape == X.shape


@given(arrays(dtypes("f"), shapes(most=2), layouts=["C", "strided", "byte_swapped"]))
@examples(10)
def test_users_functions_with_drawn_arrays(x):
    assert_matches_numpy(lambda x: np.where(x > 0, x, -x) + 1, (x,), layouts=["C", "reversed"])


@given(programs(lines=4, limit=256))
@examples(5)
def test_drawn_programs_are_functions(program):
    assert_matches_numpy(program.function, program.arguments, layouts=["C"], rtol=0, atol=1e-6)


def test_wrong_use_of_strategies_is_told():
    with pytest.raises(ValueError, match="unknown layouts"):
        arrays(layouts=["nothing"])
    with pytest.raises(ValueError, match="no dtype is of the kinds 'O'"):
        dtypes("O")


def test_hypothesis_is_needed_by_strategies_alone():
    code = (
        "import sys; sys.modules['hypothesis'] = None; sys.modules['hypothesis.strategies'] = None\n"
        "import numpy as np; from tracejit.testing import arrays, assert_kernels\n"
        "assert_kernels(lambda x: x + 1, (np.ones(3),), exactly=1)\n"
        "try: arrays()\n"
        "except ImportError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "need hypothesis: pip install hypothesis" in found.stdout
