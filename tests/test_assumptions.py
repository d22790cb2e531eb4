"""Functions whose results are of other types for other values: as NumPy's, whatever the values are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tracejit
from tracejit.ir.op import OPS

RNG = np.random.default_rng(0)
GENERAL = RNG.random((4, 4))
SYMMETRIC = GENERAL + GENERAL.T
POLYNOMIALS = [
    np.array(p)
    for p in ([1.0, -6, 11, -6], [0, 0, 1.0, 2, 0, 0], [1.0, 0, 1], [0.0, 0], [2.0], [], [0, 1, 5],
              [1j, 2, 3], [0, 0, 3.0], [1.0, 2, 1])
]  # fmt: skip
FINITE = [p for p in POLYNOMIALS if p.size and p[0] != 0]
MATRICES = [
    SYMMETRIC, GENERAL, SYMMETRIC.astype("f4"), GENERAL.astype("f4"), GENERAL + 1j * SYMMETRIC,
    np.stack([SYMMETRIC, GENERAL]), np.array([[0.0, -1], [1, 0]]), np.zeros((0, 3, 3)),
    np.zeros((2, 0, 0)), np.arange(9).reshape(3, 3), np.full((2, 2), np.nan), np.ones((2, 3)),
    np.ones(3), (GENERAL + 1j).astype("F"),
]  # fmt: skip
SYSTEMS = [
    (RNG.random((6, 3)), RNG.random(6)), (RNG.random((6, 3)), RNG.random((6, 2))),
    (RNG.random((3, 6)), RNG.random(3)), (np.ones((5, 2)), RNG.random(5)),
    (RNG.random((6, 3)).astype("f4"), RNG.random(6).astype("f4")), (RNG.random((6, 3)) + 1j, np.ones(6)),
    (np.ones((5, 2)), RNG.random(4)), (np.arange(6).reshape(3, 2), np.arange(3)),
]  # fmt: skip
CALLS = [
    (lambda a: np.linalg.eig(a), [(m,) for m in MATRICES]),
    (lambda a: np.linalg.eigvals(a), [(m,) for m in MATRICES]),
    (lambda a, b: np.linalg.lstsq(a, b), SYSTEMS),
    (lambda p: np.roots(p), [(p,) for p in POLYNOMIALS]),
    (lambda p: np.poly(p), [(p,) for p in POLYNOMIALS] + [(GENERAL,), (SYMMETRIC,)]),
    (lambda p, q: np.polymul(p, q), [(p, q) for p in POLYNOMIALS for q in POLYNOMIALS[:5]]),
    (lambda p, q: np.polydiv(p, q), [(p, q) for p in FINITE for q in FINITE]),
    (lambda p: np.trim_zeros(p), [(p,) for p in POLYNOMIALS]),
    (lambda p: np.trim_zeros(p, "f"), [(p,) for p in POLYNOMIALS]),
    (lambda p: np.trim_zeros(p, trim="b"), [(p,) for p in POLYNOMIALS]),
    (lambda z: np.real_if_close(z), [(GENERAL * (1 + 1e-16j),), (GENERAL * 1j,), (GENERAL,)]),
    (lambda x: np.asarray_chkfinite(x) + 1, [(GENERAL,), (GENERAL * np.inf,), (GENERAL,)]),
    (lambda a: np.linalg.svd(a, hermitian=True), [(SYMMETRIC,), (MATRICES[4],), (np.ones((2, 3)),)]),
    (lambda a: np.linalg.svd(a, False, False, True), [(SYMMETRIC,), (-SYMMETRIC,)]),
    (lambda a: np.linalg.pinv(a, hermitian=True), [(SYMMETRIC,), (np.ones((3, 3)),)]),
    (lambda a: np.linalg.matrix_rank(a, hermitian=True), [(SYMMETRIC,), (np.ones((3, 3)),)]),
]  # fmt: skip


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def same(wanted, got):
    assert type(wanted) is type(got)
    if isinstance(wanted, tuple):
        for a, b in zip(wanted, got, strict=True):
            same(a, b)
        return
    wanted, got = np.asarray(wanted), np.asarray(got)
    assert (wanted.dtype, wanted.shape) == (got.dtype, got.shape)
    tolerance = 1e-4 if wanted.dtype.char in "fF" else 1e-9
    np.testing.assert_allclose(got, wanted, tolerance, tolerance)


def outcome(function, args):
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error


def check(function, jitted, args):
    wanted, got = outcome(function, args), outcome(jitted, args)
    if isinstance(wanted, Exception):
        assert type(got) is type(wanted) and str(got).startswith(str(wanted))
    else:
        same(wanted, got)


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_kinds_that_change_from_call_to_call(number):
    function, calls = CALLS[number]
    jitted = tracejit.jit(function)
    for args in calls:
        for _ in range(2):
            check(function, jitted, args)
    for args in calls[:3]:  # alone, so that each is what the program is made for
        check(function, tracejit.jit(function), args)


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_python_is_not_called(number):
    function, calls = CALLS[number]
    program = tracejit.jit(function).trace(*calls[0]).module.entry
    assert not any(node.op is OPS["host_call"] for node in program.nodes)


def test_assumptions_in_loops_and_branches():
    def f(a, n):
        total = 0.0
        for k in range(n):
            w = np.linalg.eigvals(a * (k + 1))
            if w[0] > 0:
                total += w.sum()
            a = a + np.eye(4)
        return total, np.roots(a[0])

    jitted = tracejit.jit(f)
    for a in (SYMMETRIC, GENERAL * 0 + np.diag([1.0, 2, 3, 4]), SYMMETRIC * 3):
        for _ in range(2):
            check(f, jitted, (a, 5))


def test_writes_are_undone_where_an_assumption_fails():
    def f(a, out):
        out += 1
        found = np.roots(a)
        out[: found.size] = found.real
        return found

    jitted = tracejit.jit(f)
    for p in ([1.0, 0, -1], [1.0, 0, 1], [0.0, 1, 1], [1.0, -3, 2]):
        ours, numpys = np.zeros(4), np.zeros(4)
        same(f(np.array(p), numpys), jitted(np.array(p), ours))
        same(numpys, ours)


def test_functions_that_must_not_run_twice():
    calls = []

    @tracejit.host
    def note(x):
        calls.append(float(x))
        return x

    jitted = tracejit.jit(lambda p: np.roots(p) * note(p.sum()))
    for p in ([1.0, 0, -1], [1.0, 0, 1], [1.0, 0, -4]):
        calls.clear()
        same(np.roots(p) * np.sum(p), jitted(np.array(p)))
        assert calls == [np.sum(p)]


def test_without_fallback_a_program_is_made_for_each_kind():
    jitted = tracejit.jit(lambda p: np.roots(p), fallback="error")
    for _ in range(3):
        for p in POLYNOMIALS:
            same(np.roots(p), jitted(p))
