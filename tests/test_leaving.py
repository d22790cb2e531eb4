"""Programs with dates, text, objects, records and masked arrays among numbers: compiled, or NumPy's."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stderr
from fractions import Fraction

import numpy as np
import pytest

import tracejit
from tracejit import TraceError, UnsupportedError

R = np.random.default_rng(0)
X, M, I = R.random(8), R.random((4, 5)), np.arange(8)
B = X > 0.5
MA = np.ma.masked_array(X, mask=B)
ST = np.zeros(4, [("a", float), ("b", int)])
ST["a"], ST["b"] = X[:4], I[:4]
REC = np.rec.array([(1.0, 2), (3.0, 4)], dtype=[("x", float), ("y", int)])
DATES = np.array(["2020-01-01", "2020-02-03", "2021-05-05"], "datetime64[D]")
HOURS = np.array([1, 2, 3], "timedelta64[h]")
WORDS = np.array(["abc", "de", "fgh"])
THINGS = np.array([1, "a", 2.5], dtype=object)
NUMBERS = np.array([1, 2, 3], dtype=object)

PROGRAMS = {
    "ma1": (
        lambda a, x: np.ma.masked_array(x, mask=x > 0.5).mean(),
        (
            X,
            X,
        ),
    ),
    "ma2": (
        lambda a, x: a + x,
        (
            MA,
            X,
        ),
    ),
    "ma3": (
        lambda a, x: np.ma.filled(a, 0) * x,
        (
            MA,
            X,
        ),
    ),
    "ma4": (
        lambda a, x: (np.ma.masked_where(x > 0.3, x) * 2).sum(),
        (
            X,
            X,
        ),
    ),
    "ma5": (lambda a: a.mean(), (MA,)),
    "ma6": (
        lambda a, x: np.ma.median(a) + x.sum(),
        (
            MA,
            X,
        ),
    ),
    "ma7": (lambda x: np.ma.masked_invalid(x).filled(-1) + 1, (X,)),
    "ma8": (lambda x: np.ma.masked_less(x, 0.5).compressed() * 2, (X,)),
    "ma9": (lambda x: np.ma.array(x).std(), (X,)),
    "vec1": (lambda x: np.vectorize(lambda t: t * 2 if t > 0.5 else -t)(x) + 1, (X,)),
    "vec2": (
        lambda x, y: np.vectorize(lambda a, b: a + b, otypes=[float])(x, y),
        (
            X,
            I,
        ),
    ),
    "vec3": (lambda m: np.vectorize(lambda r: r.sum(), signature="(n)->()")(m) * 2, (M,)),
    "aal1": (lambda m: np.apply_along_axis(lambda r: r.sum() + r[0], 1, m) * 2, (M,)),
    "aal2": (lambda m: np.apply_along_axis(np.sort, 0, m), (M,)),
    "aal3": (
        lambda m, k: np.apply_along_axis(lambda r, k: r * k, 1, m, k),
        (
            M,
            3.0,
        ),
    ),
    "aoa": (lambda m: np.apply_over_axes(np.sum, m, [0, 1]), (M,)),
    "fpf1": (lambda x: np.frompyfunc(lambda t: t + 1, 1, 1)(x), (X,)),
    "fpf2": (lambda x: np.frompyfunc(lambda t: t + 1, 1, 1)(x).astype(float) * 2, (X,)),
    "fpf3": (lambda x: np.frompyfunc(min, 2, 1).reduce(x), (X,)),
    "nditer1": (lambda x: sum(float(v) for v in np.nditer(x)), (X,)),
    "nditer2": (lambda x: [v * 2 for v in np.nditer(x)][0] + x, (X,)),  # noqa: RUF015
    "ndenum": (lambda m: sum(v * (i + j) for (i, j), v in np.ndenumerate(m)), (M,)),
    "ndidx": (lambda m: sum(m[k] for k in np.ndindex(m.shape)), (M,)),
    "flatit": (lambda m: sum(v for v in m.flat), (M,)),
    "st1": (
        lambda s, x: s["a"] + x[:4],
        (
            ST,
            X,
        ),
    ),
    "st2": (lambda s: s["a"].sum() * s["b"].max(), (ST,)),
    "st3": (
        lambda s, x: np.sort(s, order="a")["b"] * x[0],
        (
            ST,
            X,
        ),
    ),
    "st4": (
        lambda s, x: s[["a", "b"]],
        (
            ST,
            X,
        ),
    ),
    "st5": (lambda x: np.array([(1.0, 2)], dtype=[("a", float), ("b", int)])["a"] + x, (X,)),
    "rec": (
        lambda s, x: s.x * x[:2],
        (
            REC,
            X,
        ),
    ),
    "dt1": (
        lambda d, x: (d - d[0]).astype(float) * x[:3],
        (
            DATES,
            X,
        ),
    ),
    "dt2": (lambda d: d + np.timedelta64(1, "D"), (DATES,)),
    "dt3": (lambda d: np.diff(d), (DATES,)),
    "dt4": (
        lambda d, x: x[:3][d > np.datetime64("2020-01-15")],
        (
            DATES,
            X,
        ),
    ),
    "dt5": (
        lambda t, x: t * 2,
        (
            HOURS,
            X,
        ),
    ),
    "dt6": (
        lambda d, x: np.searchsorted(d, np.datetime64("2020-03-01")) + x,
        (
            DATES,
            X,
        ),
    ),
    "dt7": (lambda x: np.arange("2020-01", "2020-05", dtype="datetime64[M]").size + x, (X,)),
    "str1": (
        lambda s, x: np.char.str_len(s) * x[:3],
        (
            WORDS,
            X,
        ),
    ),
    "str2": (lambda s: np.char.upper(s), (WORDS,)),
    "str3": (
        lambda s, x: x[:3][s == "de"],
        (
            WORDS,
            X,
        ),
    ),
    "str4": (
        lambda s, x: np.strings.find(s, "e") + x[:3],
        (
            WORDS,
            X,
        ),
    ),
    "str5": (lambda x: np.array2string(x), (X,)),
    "str6": (
        lambda s, x: np.unique(s, return_counts=True)[1] * x[:3],
        (
            WORDS,
            X,
        ),
    ),
    "obj1": (
        lambda o, x: o[2] * x,
        (
            THINGS,
            X,
        ),
    ),
    "obj2": (
        lambda o, x: (o * 2).astype(float) + x[:3],
        (
            NUMBERS,
            X,
        ),
    ),
    "obj3": (
        lambda o, x: o.sum() + x,
        (
            NUMBERS,
            X,
        ),
    ),
    "obj4": (
        lambda o, x: x + 1 if o[1] == "a" else x,
        (
            THINGS,
            X,
        ),
    ),
    "obj5": (
        lambda o, x: np.dot(o, o) + x,
        (
            NUMBERS,
            X,
        ),
    ),
    "obj6": (lambda x: np.array([x, x], dtype=object), (X,)),
    "poly1": (lambda x: np.polynomial.Polynomial([1, 2, 3])(x), (X,)),
    "poly2": (lambda x: np.polynomial.Polynomial.fit(x, x**2, 2).convert().coef, (X,)),
    "poly3": (lambda x: np.poly1d(x[:3])(2.0), (X,)),
    "poly4": (
        lambda x: (np.polynomial.Polynomial(x[:3]) * np.polynomial.Polynomial([1, 2])).coef,
        (X,),
    ),
    "poly5": (lambda x: np.polynomial.chebyshev.chebval(x, [1, 2, 3]), (X,)),
    "poly6": (lambda x: np.polynomial.Polynomial(x[:3]).deriv()(x), (X,)),
    "poly7": (lambda x: np.polynomial.polynomial.polyroots(x[:4]), (X,)),
    "poly8": (lambda x: np.polynomial.legendre.leggauss(5)[0] * x[0], (X,)),
    "mat": (lambda m: np.asmatrix(m) * np.asmatrix(m).T, (M,)),
    "packb": (lambda b: np.unpackbits(np.packbits(b))[:8], (B,)),
    "view1": (lambda x: x.view(np.int64) >> 3, (X,)),
    "view2": (lambda x: x.view(np.complex128) * 2, (X,)),
    "view3": (lambda x: x.astype("f4").view("i4"), (X,)),
    "bytes": (lambda x: x.tobytes(), (X,)),
    "tolist": (lambda x: x.tolist(), (X,)),
    "piece": (
        lambda x: np.piecewise(x, [x < 0.3, x >= 0.3], [lambda t: t * 2, lambda t: t - 1]),
        (X,),
    ),
    "setop": (
        lambda x, i: np.union1d(x, i).size + np.isin(i, [1, 2]).sum(),
        (
            X,
            I,
        ),
    ),
    "lexs": (
        lambda x, i: np.lexsort((x, i % 2)),
        (
            X,
            I,
        ),
    ),
    "emptyo": (lambda o: [type(v).__name__ for v in o], (THINGS,)),
    "clsarr": (lambda x: np.lib.stride_tricks.sliding_window_view(x, 3).mean(-1), (X,)),
    "longd": (lambda x: (x.astype(np.longdouble) * 2).astype(float), (X,)),
    "void": (lambda x: x.astype("S8"), (X,)),
    "half": (lambda x: np.isnat(np.array(["NaT"], "datetime64[D]"))[0] + x, (X,)),
}


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def same(a, b):
    """Equal in type, dtype and shape, and in value but for rounding."""
    assert type(a) is type(b)
    if isinstance(a, tuple | list):
        assert len(a) == len(b)
        for one, other in zip(a, b):
            same(one, other)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
        if a.dtype.kind in "fc":
            np.testing.assert_allclose(np.ma.filled(b, 0), np.ma.filled(a, 0), 1e-12)
        elif a.dtype.kind == "O":
            same(a.ravel().tolist(), b.ravel().tolist())
        else:
            np.testing.assert_array_equal(a, b)
    elif isinstance(a, float | np.inexact):
        np.testing.assert_allclose(b, a, 1e-12)
    else:
        assert a == b


@pytest.mark.parametrize("name", PROGRAMS)
def test_numpys_results(name):
    function, arguments = PROGRAMS[name]
    jitted = tracejit.jit(function)
    for _ in range(2):
        same(function(*arguments), jitted(*arguments))


def test_what_makes_text_or_arrays_of_single_numbers():
    """They run in NumPy, as formatting does; others of known numbers are compiled."""
    n = np.arange(65, 70)
    for function in (
        lambda n: [bin(n.sum()), hex(n[1]), oct(int(n[2])), chr(n[3]), bin(len(n)), n * 2],
        lambda n: [bin(n[k]) for k in range(n.shape[0])],
        lambda n: np.fromiter((k * 2 for k in n), float) + n,
        lambda n: np.fromiter([n[0] * 2, 3], dtype=np.float32, count=1),
        lambda n: np.fromiter((k for k in range(9)), np.float32, 5) + n,
    ):
        jitted = tracejit.jit(function)
        for _ in range(2):
            same(function(n), jitted(n))
    with pytest.raises(UnsupportedError, match="np.fromiter goes through traced values"):
        tracejit.jit(lambda x: np.fromiter(x, float), fallback="error")(X)
    with pytest.raises(
        TypeError, match="'numpy.float64' object cannot be interpreted|'float64' object"
    ):
        tracejit.jit(lambda x: chr(x[0]))(X)


def test_text_with_arrays_is_a_type_error_of_numpys():
    for function in (
        lambda x: x + "a", lambda x: "a" + x, lambda x: x.sum() - "a", lambda x: x * "a",
    ):  # fmt: skip
        with pytest.raises(TypeError) as wanted:
            function(X)
        with pytest.raises(type(wanted.value)) as info:
            tracejit.jit(function)(X)
        assert str(info.value) == str(wanted.value)


def test_it_is_said_and_can_be_refused():
    def shifted(days, x):
        return (days - days[0]).astype(float) * x

    errors = io.StringIO()
    with tracejit.config.use(debug=1), redirect_stderr(errors):
        tracejit.jit(shifted)(DATES, X[:3])
    assert "shifted runs in NumPy: arrays of dtype datetime64[D]" in errors.getvalue()
    with pytest.raises(UnsupportedError, match="datetime64"):
        tracejit.jit(shifted, fallback="error")(DATES, X[:3])
    with pytest.raises(UnsupportedError, match="datetime64"):
        tracejit.jit(shifted).lower(DATES, X[:3])


def test_other_calls_of_the_function_are_compiled():
    jitted = tracejit.jit(lambda x: x[1:] - x[:-1])
    same(np.diff(DATES), jitted(DATES))
    same(np.diff(X), jitted(X))
    same(np.diff(DATES), jitted(DATES))
    assert jitted.cache_info().currsize == 1


def test_the_functions_own_errors_are_its_own():
    jitted = tracejit.jit(lambda days, x: days + x)
    for _ in range(2):
        with pytest.raises(TypeError, match="ufunc 'add' cannot use operands") as info:
            jitted(DATES, X[:3])
        assert not isinstance(info.value, TraceError) and info.value.__context__ is None


def test_what_was_done_is_not_done_again():
    calls = []

    @tracejit.host
    def note(x):
        calls.append(float(x))
        return x

    jitted = tracejit.jit(lambda x: np.ma.masked_less(x * note(x[0]), 0.5).sum())
    with pytest.raises(TraceError, match="as an ndarray"):
        jitted(X)
    assert calls == [X[0]]


def test_what_raises_while_it_is_traced_is_not_traced_for_ever(monkeypatch):
    traced = []
    original = tracejit.compiler.trace

    def count(*args, **kwargs):
        traced.append(1)
        return original(*args, **kwargs)

    def writing(x):
        x[0] = 5.0
        return x.reshape(len(x) + 1)

    def perhaps(x):
        if x[1] > 0:
            x[0] = 5.0
            int("a")
        return x

    monkeypatch.setattr(tracejit.compiler, "trace", count)
    for function, message in ((writing, "cannot reshape"), (perhaps, "invalid literal")):
        traced.clear()
        jitted = tracejit.jit(function)
        for _ in range(6):
            x = np.arange(4.0)
            with pytest.raises(ValueError, match=message):
                jitted(x)
            assert x[0] == 5
        assert len(traced) <= 4  # sizes that are unknown are tried as well


def test_shapes_that_do_not_fit_are_an_error_only_where_the_program_comes_to_them():
    def function(x):
        if x[0] > 0:
            x = x.reshape(len(x) + 1)
        return x * 2

    jitted = tracejit.jit(function)
    x = np.array([-1.0, 2.0])
    np.testing.assert_array_equal(jitted(x), x * 2)
    with pytest.raises(ValueError, match="cannot reshape"):
        jitted(-x)


def test_objects_that_are_no_numbers_are_numpys_to_combine():
    half = Fraction(1, 2)
    x = np.arange(3.0)
    got = tracejit.jit(lambda a: a * half)(x)
    assert got.dtype == object and got.tolist() == (x * half).tolist()
    with pytest.raises(TypeError, match="NoneType"):
        tracejit.jit(lambda a: a + None)(x)
    with pytest.raises(UnsupportedError, match="objects"):
        tracejit.jit(lambda a: a + None, fallback="error")(x)
