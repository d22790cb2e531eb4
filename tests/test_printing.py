"""`print` and text in jitted functions: printed by the program, or NumPy runs the call."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.errors import TraceError

X = np.arange(6.0)


def in_a_loop(a):
    for i in range(3):
        a = a * 0.5
        print(i, a.sum(), a)
    return a


def of_a_training(a, epochs=300):
    w = np.zeros_like(a)
    for epoch in range(epochs):
        g = w - a
        w -= 0.1 * g
        if epoch % 100 == 0:
            print(f"epoch {epoch:3d}: {np.sum(g**2):.3f} {{}} {w[0]!r:>10} {len(a):{3}}")
    return w


def by_percent(a):
    print("loss %.3f of %d" % (a.mean(), len(a)), "%.1f" % a[2], sep="-", end="!\n")  # noqa: UP031
    return a + 1


def by_format(a):
    print("start")
    print("{:.2f} and {k}".format(a.max(), k=a[:2]))
    return a + 1


def in_a_while(a):
    n = 0
    while a.max() > 0.01:
        a = a / 2
        n += 1
        print("step", n, a.max())
    return a


def on_one_path(a):
    if a[1] > 3:
        print("yes", a[0], [a[1], {"key": a[:2]}])
    else:
        print("no", a[0])
    return a * 2


def of_shapes(a):
    print(f"{a.shape=} {a.dtype} {a.ndim:02d}")
    return a * 2


PRINTED = [in_a_loop, of_a_training, by_percent, by_format, in_a_while, on_one_path, of_shapes]


@pytest.mark.parametrize("function", PRINTED, ids=lambda f: f.__name__)
def test_programs_print_when_they_run(function, capsys):
    jitted = tracejit.jit(function)
    for argument in (X, X + 3, X):
        expected = function(argument)
        wanted = capsys.readouterr().out
        np.testing.assert_allclose(jitted(argument), expected)
        assert capsys.readouterr().out == wanted != ""
    assert jitted.cache_info().hits == 2  # the same program


def test_tracing_prints_nothing(capsys):
    tracejit.jit(in_a_loop).lower(X)
    assert capsys.readouterr().out == ""


def test_without_calls_of_python_constants_are_printed_while_tracing(capsys):
    jitted = tracejit.jit(of_shapes, fallback="error")
    jitted(X)
    jitted(X)
    assert capsys.readouterr().out == "a.shape=(6,) float64 01\n"
    with pytest.raises(Exception, match=r"(?s)print.*test_printing"):
        tracejit.jit(in_a_loop, fallback="error")(X)


def joined(a):
    return ",".join(str(value) for value in a)


def counted(a):
    counts = {}
    for value in a:
        counts[value % 2] = counts.get(value % 2, 0) + 1
    return counts


def told(a):
    return f"{a.sum():.1f}", "%.2f" % a[1]  # noqa: UP031


def chosen(a):
    return "positive" if a.sum() > 0 else "negative"


def places(a):
    return [i for i, value in enumerate(a) if value > 2]


def is_contiguous(a):
    return a if a.flags.c_contiguous else a.copy()


def to_a_file(a):
    import sys

    print(a.sum(), file=sys.stdout)
    return a


TEXT = [joined, counted, told, chosen, places, is_contiguous, to_a_file]


@pytest.mark.parametrize("function", TEXT, ids=lambda f: f.__name__)
def test_numpy_runs_what_makes_text_keys_and_lists(function, capsys):
    jitted = tracejit.jit(function)
    for argument in (X, X - 7):
        expected, wanted = function(argument), capsys.readouterr().out
        for _ in range(2):
            got = jitted(argument)
            assert type(got) is type(expected)
            assert np.array_equal(got, expected) if got is argument else got == expected
            assert capsys.readouterr().out == wanted


@pytest.mark.parametrize("function", [joined, counted, told])
def test_it_says_so_where_numpy_may_not(function):
    with pytest.raises(TraceError, match="is needed"):
        tracejit.jit(function, fallback="error")(X)


def test_text_of_constants_is_theirs():
    def named(a):
        return {f"{np.float64(0.5):.2f}-{str(np.arange(2).sum())}": a + 1}

    np.testing.assert_array_equal(tracejit.jit(named)(X)["0.50-1"], X + 1)
