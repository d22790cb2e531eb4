"""Kernels with ordered loops, choices, breaks and named extents: as text, by NumPy and natively."""

from __future__ import annotations

import numpy as np
import pytest
from control_programs import Writer

from tracejit.errors import IRError
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.graph import Module
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, unproved, verify
from tracejit.lower import machine
from tracejit.lower.tensor import parallelize
from tracejit.stages import build


def kernel(text: str) -> Module:
    """The program of a text; it is legal, and its text is that of the same program."""
    module = parse(text)
    assert parse(show(module)) is module
    return verify(module, Stage.SCHEDULED)


def run(text: str, *arrays: np.ndarray):
    """What the native code computes, which is what NumPy computes by the text."""
    module = kernel(text)
    expected = reference(module, *arrays)
    found = build(module)(*[array.copy() for array in arrays])
    for ours, numpys in zip(*[r if type(r) is tuple else (r,) for r in (found, expected)]):
        np.testing.assert_array_equal(ours, numpys, strict=True)
    return found


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


RECURRENCE = """
@kernel
def k(a: f64[()], x: f64[n], *, y: f64[n]):
    s: f64 = 0.0
    for i in ordered(0, n):
        s = a[()] * s + x[i]
        y[i] = s
"""


@pytest.mark.parametrize("size", [8, 9, 100])
def test_recurrence(size):
    a, x = np.array(0.9), numbers(size)
    y, s = np.empty(size), 0.0
    for i in range(size):
        y[i] = s = 0.9 * s + x[i]
    np.testing.assert_array_equal(run(RECURRENCE, a, x), y)


def test_recurrence_through_memory():
    text = """
    @kernel
    def k(x: updated(f64[50])):
        for i in ordered(1, 50):
            x[i] = 0.5 * x[i - 1] + x[i]
    """
    x = numbers(50)
    found = x.copy()
    for i in range(1, 50):
        found[i] = 0.5 * found[i - 1] + found[i]
    module = kernel(dedent(text))
    np.testing.assert_array_equal(reference(module, x), found)
    build(module)(x)
    np.testing.assert_array_equal(x, found)


def dedent(text: str) -> str:
    lines = text.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines)


MANDELBROT = """
@kernel
def k(re: f64[20], im: f64[30], *, out: i64[20, 30]):
    for i in ordered(0, 20):
        for j in ordered(0, 30):
            c: c128 = complex(re[i], im[j])
            z: c128 = c128(0.0, 0.0)
            count: i64 = 0
            if 0 < 100:
                for t in ordered(0, 9223372036854775807):
                    z = z * z + c
                    count = count + 1
                    if real(z) * real(z) + imag(z) * imag(z) > 4.0 | count >= 100: break
            out[i, j] = count
"""


def test_mandelbrot():
    re, im = np.linspace(-2, 1, 20), np.linspace(-1.5, 1.5, 30)
    expected = np.zeros((20, 30), int)
    for i, j in np.ndindex(20, 30):
        c, z = complex(re[i], im[j]), 0j
        while True:
            z = z * z + c
            expected[i, j] += 1
            if z.real**2 + z.imag**2 > 4 or expected[i, j] >= 100:
                break
    text = MANDELBROT.replace(" > 4.0 | count >= 100", " > 4.0")
    text = text.replace("if real(z) * real(z) + imag(z) * imag(z) > 4.0:", CONDITION)
    np.testing.assert_array_equal(run(text, re, im), expected)


CONDITION = "if logical_or(real(z) * real(z) + imag(z) * imag(z) > 4.0, count >= 100):"


def test_edit_distance():
    text = """
    @kernel
    def k(a: i64[13], b: i64[17], *, d: i64[14, 18]):
        for i in ordered(0, 14):
            d[i, 0] = i
        for j in ordered(0, 18):
            d[0, j] = j
        for i in ordered(1, 14):
            for j in ordered(1, 18):
                if a[i - 1] == b[j - 1]:
                    d[i, j] = d[i - 1, j - 1]
                else:
                    d[i, j] = minimum(minimum(d[i - 1, j], d[i, j - 1]), d[i - 1, j - 1]) + 1
    """
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, 13), rng.integers(0, 4, 17)
    d = np.zeros((14, 18), int)
    d[:, 0], d[0] = np.arange(14), np.arange(18)
    for i in range(1, 14):
        for j in range(1, 18):
            least = min(d[i - 1, j], d[i, j - 1], d[i - 1, j - 1]) + 1
            d[i, j] = d[i - 1, j - 1] if a[i - 1] == b[j - 1] else least
    np.testing.assert_array_equal(run(dedent(text), a, b), d)


def test_inner_loops_in_lanes():
    text = """
    @kernel
    def k(x: updated(f64[1000])):
        y: f64[1000] = local()
        for t in ordered(0, 10):
            for i in range(1, 999):
                y[i] = (x[i - 1] + x[i] + x[i + 1]) * 0.25
            for i in range(1, 999):
                x[i] = y[i]
    """
    module = kernel(dedent(text))
    x = numbers(1000)
    expected = x.copy()
    for _ in range(10):
        expected[1:-1] = (expected[:-2] + expected[1:-1] + expected[2:]) * 0.25
    built = build(module)
    assert "vector(" in str(built)
    built(x)
    np.testing.assert_array_equal(x, expected)


def test_ways_meet():
    """Variables, buffers and registers that are changed on one way, on both, or on none."""
    text = """
    @kernel
    def k(x: f64[40], *, out: f64[40, 3]):
        s: f64 = 0.0
        t: i64 = 0
        r: f64[2] = register()
        r[0] = 1.0
        for i in ordered(0, 40):
            if x[i] > 0.0:
                s = s + x[i]
                r[1] = s
                if x[i] > 1.0:
                    t = t + 1
                    r[0] = r[0] * 0.5
            else:
                r[1] = x[i]
                if t > 5:
                    t = 0
                    s += 2.0 * x[i]
                else:
                    out[i, 0] = 7.0
            out[i, 1] = s + r[0] + r[1]
            if t == 2:
                pass
            else:
                out[i, 2] = f64(t)
    """
    x = numbers(40)
    module = kernel(dedent(text))
    out, expected = build(module)(x), reference(module, x)
    seen = ~np.isnan(expected)
    np.testing.assert_array_equal(out[seen], expected[seen])
    assert 60 < np.count_nonzero(seen) < 120


def test_breaks_of_nested_loops():
    text = """
    @kernel
    def k(x: f64[9, 12], *, out: i64[9], last: i64[()]):
        seen: i64 = 0
        for i in ordered(0, 9):
            place: i64 = -1
            for j in ordered(0, 12):
                if x[i, j] > 1.0:
                    place = j
                if x[i, j] > 1.0: break
            out[i] = place
            seen = seen + 1
            if place == 0: break
        last[()] = seen
    """
    x = np.zeros((9, 12))
    x[np.arange(8), [3, 11, 0, 4, 5, 6, 7, 8]] = 2
    out, last = run_partly(dedent(text), x, 3)
    assert out[:3].tolist() == [3, 11, 0] and last == 3


def run_partly(text: str, x: np.ndarray, rows: int):
    """As `run`, of results whose first rows alone are written."""
    module = kernel(text)
    (out, last), (expected, expected_last) = build(module)(x), reference(module, x)
    np.testing.assert_array_equal(out[:rows], expected[:rows])
    assert last == expected_last
    return out, last


def test_ranges_that_data_says():
    text = """
    @kernel
    def k(data: f64[30], columns: i64[30], rows: i64[11], x: f64[10], *, y: f64[10]):
        for i in ordered(0, 10):
            s: f64 = 0.0
            for k in ordered(checked_index(rows[i], 31, 0), checked_index(rows[i + 1], 31, 0)):
                s = s + data[checked_index(k, 30, 0)] * x[checked_index(columns[checked_index(k, 30, 0)], 10, 0)]
            y[i] = s
    """
    rng = np.random.default_rng(1)
    rows = np.sort(rng.integers(0, 31, 11))
    rows[5] = rows[6]  # an empty row
    data, columns, x = rng.standard_normal(30), rng.integers(0, 10, 30), rng.standard_normal(10)
    y = run(dedent(text), data, columns, rows, x)
    expected = [data[a:b] @ x[columns[a:b]] for a, b in zip(rows, rows[1:])]
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_named_extents():
    text = """
    m = bounded(0, 20)

    @kernel
    def k(x: f64[20], count: i64[()], *, out: f64[20]):
        for i in range(0, 20):
            out[i] = 0.0
        m: index = minimum(maximum(count[()], 0), 20)
        t: f64[m] = local()
        for i in range(0, m):
            t[i] = x[i] * 2.0
        for i in range(0, m):
            out[m - 1 - i] = t[i]
    """
    module = kernel(dedent(text))
    assert unproved(module.entry) == []
    x = numbers(20)
    for count in (0, 1, 13, 20):
        out = reference(module, x, np.array(count))
        np.testing.assert_array_equal(out, np.pad(2 * x[:count][::-1], (0, 20 - count)))


def test_reads_stay_behind_their_conditions():
    """What may fail is not computed ahead of the condition that makes it right."""
    text = """
    @kernel
    def k(x: f64[8], at: i64[()], n: i64[()], *, out: f64[8]):
        v: i64 = at[()]
        for i in ordered(0, 8):
            out[i] = 0.0
            if v < 8:
                if v >= 0:
                    out[i] = x[checked_index(v, 8, 0)] + 1.0
            if n[()] > 0:
                for j in ordered(0, n[()]):
                    out[i] = out[i] + x[checked_index(v, 8, 0)]
    """
    x = numbers(8)
    for at, n in ((3, 2), (1 << 40, 0), (-5, 0), (7, 1)):
        run(dedent(text), x, np.array(at), np.array(n))


FACTS = [
    ("if i > 0:\n    s = s + x[i - 1]", True),
    ("if i >= 0:\n    s = s + x[i - 1]", False),
    ("if i < 1:\n    pass\nelse:\n    s = s + x[i - 1]", True),
    ("if logical_and(0 < i, i < 11):\n    s = s + x[i - 1] + x[i + 1]", True),
    ("if logical_or(i == 0, i == 11):\n    pass\nelse:\n    s = s + x[i - 1]", False),
    ("if logical_not(i <= 0):\n    s = s + x[i - 1]", True),
    ("m: index = minimum(maximum(i64(x[0]), 0), 11)\ns = s + x[m]", True),
    ("m: index = i64(x[0])\ns = s + x[m]", False),
    ("m: index = i64(x[0])\nif logical_and(m >= 0, m < 12):\n    s = s + x[m]", True),
    ("v: i64 = i64(x[0])\nfor k in ordered(v, v + 2):\n    v = 5\n    s = s + x[k - v]", False),
]


@pytest.mark.parametrize("body, is_proved", FACTS, ids=range(len(FACTS)))
def test_conditions_are_facts(body, is_proved):
    lines = "\n".join("        " + line for line in body.splitlines())
    text = f"""
@kernel
def k(x: f64[12], *, out: f64[()]):
    s: f64 = 0.0
    for i in ordered(0, 12):
{lines}
    out[()] = s
"""
    assert (unproved(kernel(text).entry) == []) == is_proved


ILLEGAL = [
    ("if x[0] > 0.0: break", "a break ends the body of an ordered loop"),
    ("for i in range(0, 12):\n    out[i] = 1.0\n    if x[i] > 0.0: break", "a break ends"),
    (
        "for i in ordered(0, 12):\n    if x[i] > 0.0: break\n    out[i] = 1.0\n"
        "    if x[i] > 0.0: break",
        "a break ends",
    ),
    (
        "for i in ordered(0, 12):\n    if x[i] > 1.0:\n        out[i] = 1.0\n"
        "        if x[i] > 0.0: break\n    if x[i] > 0.0: break",
        "a break ends",
    ),
    ("if x[0]:\n    out[0] = 1.0", "f64 where bool is wanted"),
    ("for i in ordered(0, 12):\n    out[i] = 1.0\n    if i: break", "i64 where bool is wanted"),
    ("m: index = x[0]\nout[0] = 1.0", "f64 where i64 is wanted"),
    ("if x[0] > 0.0:\n    m: index = 3\nout[m] = 1.0", "the index m is not bound here"),
    ("m: index = 3\nm: index = 4\nout[m] = 1.0", "m is already bound"),
    ("m: index = 3\nfor m in range(0, 12):\n    out[m] = 1.0", "m is already bound"),
    ("for i in ordered(0, 3):\n    pass\nout[i] = 1.0", "the index i is not bound here"),
    ("if x[0] > 0.0:\n    t: f64[4] = local()\nt[0] = 1.0", "not a buffer: t|not declared here"),
    ("if x[0] > 0.0:\n    s: f64 = 1.0\nout[0] = s", "not bound here|not declared here"),
    ("t: f64[m] = local()\nout[0] = 1.0", "the extents .'m'. are unknown here"),
    (
        "for i in vector(0, 12, 4):\n    if x[i] > 0.0:\n        out[i] = 1.0",
        "lanes store that have no part in it",
    ),
    (
        "for i in vector(0, 12, 4):\n    for j in ordered(0, 3):\n        out[i] = 1.0\n"
        "        if x[i] > 0.0: break",
        "lanes store that have no part in it",
    ),
    (
        "for i in vector(0, 12, 4):\n    s: f64 = 1.0\n    if x[i] > 0.0:\n        s = 2.0\n"
        "    else:\n        s = 3.0\n    out[i] = s",
        "lanes go two ways",
    ),
    (
        "for i in vector(0, 12, 4):\n    for j in range(0, i):\n        out[i] = x[j]",
        "lanes run a loop inside differently often",
    ),
]


@pytest.mark.parametrize("body, message", ILLEGAL, ids=range(len(ILLEGAL)))
def test_illegal_kernels(body, message):
    lines = "\n".join("    " + line for line in body.splitlines())
    with pytest.raises(IRError, match=message):
        verify(parse(f"@kernel\ndef k(x: f64[12], *, out: f64[12]):\n{lines}"), Stage.TRACED)


def test_names_of_expressions_end_with_the_arm_that_writes_them():
    text = """
    @kernel
    def k(x: updated(f64[8]), *, out: f64[8]):
        for i in ordered(0, 8):
            out[i] = minimum(x[i] * 0.5, 1.0) + minimum(x[i] * 0.5, 1.0)
            if x[0] > 0.0:
                x[i] = 2.0
                out[i] = minimum(x[i] * 0.5, 1.0) - minimum(x[i] * 0.5, 1.0) * 0.5
            else:
                out[i] = minimum(x[i] * 0.5, 1.0)
    """
    kernel(dedent(text))


@pytest.mark.parametrize("seed", [*range(2000, 2020), 2047, 2134, 3119])
def test_random_kernels_by_threads(seed, monkeypatch):
    """Every loop that may is run by threads, however short it is."""
    monkeypatch.setattr(machine, "WORTHWHILE", 0.0)
    monkeypatch.setattr(parallelize, "CHUNK", 1e-9)
    test_random_kernels(seed)


@pytest.mark.parametrize("seed", range(40))
def test_random_kernels(seed):
    module = kernel(Writer(seed).text())
    rng = np.random.default_rng(seed)
    x, p, z = rng.standard_normal(6), rng.integers(0, 6, 6), rng.standard_normal((6, 6))
    expected_z, expected_out = reference(module, x, p, z)
    np.testing.assert_array_equal(build(module)(x, p, z), expected_out)
    np.testing.assert_array_equal(z, expected_z)
