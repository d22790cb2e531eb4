"""Sums, extremes and running bests of ordered loops become Accumulates, where that is all they are."""

from __future__ import annotations

import linecache
from random import Random

import numpy as np
import pytest

import tracejit
from tests.golden import expect
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Accumulate, statements
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.reductions import find_reductions
from tracejit.stages import build

SIGNATURE = "x: f64[53], y: f64[53], p: i64[53], *, out: f64[4], place: i64[4]"


def program(body: str):
    text = f"""
@kernel
def k({SIGNATURE}):
    s: f64 = 0.5
    t: f64 = -1.0
    n: i64 = 3
    m: i64 = -1
    ok: bool = False
    for i in ordered(0, 53):
        {body.replace(chr(10), chr(10) + "        ")}
    out[0] = s
    out[1] = t
    out[2] = f64(ok)
    out[3] = 0.0
    for k in range(0, 4):
        place[k] = where(k == 0, n, m)
"""
    return verify(parse(text), Stage.TRACED)


def arrays(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-9, 9, (2, 53)) / 4  # ties, and sums that are exact in any order
    return [x, y, rng.integers(-9, 9, 53)]


def check(module, *seeds: int, **options) -> int:
    """Compare before and after, and native; how many Accumulates there are."""
    done = verify(find_reductions(module, **options), Stage.TRACED)
    compiled = build(module)
    for seed in seeds or (0,):
        expected = reference(module, *arrays(seed))
        for results in (reference(done, *arrays(seed)), compiled(*arrays(seed))):
            for ours, wanted in zip(results, expected):
                np.testing.assert_array_equal(ours, wanted, err_msg=show(done))
    return sum(isinstance(s, Accumulate) for s in statements(done.entry.body))


# The body of the loop, and what it is then; None: the same.
CASES = [
    ("s = s + x[i] * y[i]", "s += x[i] * y[i]"),
    ("s = x[i] + s", "s += x[i]"),
    ("s = s + x[i] + y[i]", "s += x[i] + y[i]"),
    ("s = s - x[i]", "s += -x[i]"),
    ("s = fma(x[i], y[i], s)", "s += x[i] * y[i]"),
    ("n = n * p[i]", "n *= p[i]"),
    ("n = n ^ p[i]", "n ^= p[i]"),
    ("n = minimum(p[i], n)", "n = accumulate(minimum, n, p[i])"),
    ("n = where(p[i] < n, p[i], n)", "n = accumulate(minimum, n, p[i])"),
    ("n = where(x[i] > 0.0, n + 1, n)", "n += where(x[i] > 0.0, 1, 0)"),
    ("n = where(x[i] > 0.0, n + 1, n - p[i])", "n += where(x[i] > 0.0, 1, -p[i])"),
    ("if x[i] > 0.0:\n    n = n + 1", "n += 1"),
    ("ok = where(ok, ok, x[i] > 2.0)", "ok = accumulate(logical_or, ok, x[i] > 2.0)"),
    ("ok = where(x[i] > 2.0, True, ok)", "ok = accumulate(logical_or, ok, x[i] > 2.0)"),
    (
        "ok = where(x[i] > 2.0, False, ok)",
        "ok = accumulate(logical_and, ok, logical_not(x[i] > 2.0))",
    ),
    ("for j in ordered(0, 3):\n    s = s + x[i]\ns = s + y[i]", "s += y[i]"),
    ("for j in ordered(0, 3):\n    s = maximum(s, x[i])\ns = s + y[i]", "s = s + y[i]"),
    ("s = s * 0.5 + x[i]", None),
    ("s = x[i] - s", None),
    ("s = s + s * x[i]", None),
    ("s = s + x[i]\nt = s", None),
    ("s = s + x[i]\ns = s * y[i]", None),
    ("n = n // 2 + p[i]", None),
    ("n = where(n > 4, n + 1, n)", None),
    ("s = where(y[i] > 0.0, x[i], s)", None),
    ("s = s + x[i]\nif s > 3.0: break", None),
]


@pytest.mark.parametrize("body, expected", CASES, ids=range(len(CASES)))
def test_forms(body: str, expected: str | None):
    module = program(body)
    found = check(module)
    assert bool(found) == (expected is not None)
    assert (expected or body.splitlines()[0]) in show(find_reductions(module))


def test_strictly_floats_keep_their_order():
    for body, _ in CASES[:5]:
        assert check(program(body), reorders=False) == 0
    assert check(program("n = n + p[i]"), reorders=False) == 1


def test_a_running_best():
    module = program("v: f64 = x[i]\nm = where(v > s, i, m)\ns = where(v > s, v, s)")
    done = show(find_reductions(module, reorders=False))
    expect(
        done[done.index("    found") : done.index("    out")],
        """
        found: f64 = -inf
            for i in ordered(0, 53):
                found = accumulate(maximum, found, where(x[i] > s, x[i], -inf))
            if found > s:
                place_1: i64 = 9223372036854775807
                for i in ordered(0, 53):
                    place_1 = accumulate(minimum, place_1, where(x[i] == found, i, 9223372036854775807))
                m = place_1
                s = x[place_1]
        """,
    )
    assert check(module, reorders=False) == 2


BESTS = [
    "v: f64 = where(x[i] > s, x[i], s)\nm = where(x[i] > s, i, m)\ns = v",
    "m = where(x[i] < s, i + 1, m)\nt = where(x[i] < s, y[i], t)\ns = where(x[i] < s, x[i], s)",
    "m = where(s < x[i], i, m)\ns = where(s < x[i], x[i], s)\nn = n + p[i]",
    "s = where(x[i] > s, x[i], s)",
    "m = where(p[i] > n, i, m)\nn = where(p[i] > n, p[i], n)",
    # Where something else must hold as well.
    "if y[i] > 0.0:\n    if x[i] > s:\n        s = x[i]\n        m = i",
    "b: bool = False\nif y[i] > 0.0: b = x[i] > s\nif b:\n    m = i\n    s = x[i]",
    "b: bool = False\nif y[i] > 0.0: b = x[i] < s\nelse: b = False\nif b: s = x[i]",
    "b: bool = False\nb = logical_not(y[i] > 0.0)\nif b: b = x[i] > s\nif logical_not(b):\n    m = m\nelse:\n    m = i\n    s = x[i]",
    "if logical_and(x[i] > s, x[i] < t): s = x[i]",
    "if p[i] > 0:\n    if p[i] > n: n = p[i]\n    m = m + 1",
    # Not the first of the best, or more than that.
    "if logical_or(y[i] > 0.0, x[i] > s): s = x[i]",
    "m = where(x[i] >= s, i, m)\ns = where(x[i] >= s, x[i], s)",
    "m = where(x[i] > s, i, m)\nt = where(x[i] > s, s, t)\ns = where(x[i] > s, x[i], s)",
    "m = where(x[i] > s, i, m)\ns = where(x[i] > s, y[i], s)",
    "m = where(y[i] > s, i, m)\ns = where(x[i] > s, x[i], s)",
]


@pytest.mark.parametrize("body", BESTS, ids=range(len(BESTS)))
def test_bests(body: str):
    assert bool(check(program(body), *range(5), reorders=False)) == (body in BESTS[:11])


def test_choices_are_no_reduction_where_one_of_them_may_fail():
    module = program("if y[i] > 0.0:\n    if x[checked_index(p[i], 53, 0)] > s: s = x[p[i]]")
    assert "accumulate" not in show(find_reductions(module))


def test_a_best_under_a_condition_is_one_of_all():
    done = show(find_reductions(program("if y[i] > 0.0:\n    if p[i] > n: n = p[i]")))
    worst = -(2**63)
    assert f"n = accumulate(maximum, n, where(y[i] > 0.0, p[i], {worst}))" in done


def test_a_best_among_numbers_that_are_none():
    """A comparison with nan fails, and the first of two zeros stays."""
    module = program(BESTS[0].replace("> s", "< s"))
    done = find_reductions(module, reorders=False)
    for first in (0.5, np.nan):
        x, y, p = arrays()
        x[:] = np.nan
        x[[7, 9, 30]] = first, -0.0, 0.0
        expected = reference(module, x, y, p)
        for results in (reference(done, x, y, p), build(module, numerics="strict")(x, y, p)):
            for ours, wanted in zip(results, expected):
                np.testing.assert_array_equal(ours, wanted)
                if ours.dtype == float:
                    np.testing.assert_array_equal(np.signbit(ours), np.signbit(wanted))


def random_body(seed: int) -> str:
    random = Random(seed)
    values = ["x[i]", "y[i]", "s", "t", "0.5"]

    def value() -> str:
        return random.choice(values[:3] if random.random() < 0.8 else values)

    def line() -> str:
        v, w = random.choice("st"), random.choice(["x[i]", "y[i]", "2.0"])
        op = random.choice(["{v} + {w}", "{w} + {v}", "{v} - {w}", "maximum({v}, {w})"])
        changed = op.format(v=v, w=w)
        condition = f"{value()} {random.choice('<>')} {value()}"
        return random.choice(
            [
                f"{v} = {changed}",
                f"{v} = where({condition}, {changed}, {v})",
                f"{v} = where({condition}, {v}, {value()})",
                f"if {condition}:\n    {v} = {changed}",
                f"for j in ordered(0, 3):\n    {v} = {changed}",
                "n = where(" + condition + ", n + p[i], n)",
                f"m = where({condition}, i, m)",
                f"if {condition}:\n    if {w} > {v}:\n        {v} = {w}\n        m = i",
                f"if logical_and({w} < {v}, {condition}): {v} = {w}",
            ]
        )

    return "\n".join(line() for _ in range(random.randint(1, 3)))


def test_random_loops():
    found = [check(program(random_body(seed)), seed) for seed in range(40)]
    assert sum(map(bool, found)) > 15


def test_sums_of_rows_and_of_everything_run_in_lanes():
    text = """
@kernel
def k(x: f64[300, 300], *, out: f64[300], all: f64[1]):
    s: f64 = 0.0
    for i in ordered(0, 300):
        t: f64 = 0.0
        for j in ordered(0, 300):
            t = t + x[i, j] * x[i, j]
            s = s + x[i, j]
        out[i] = t
    all[0] = s
"""
    built = build(parse(text))
    assert "vector(" in str(built)
    assert "ordered(" not in str(built)
    assert "ordered(" in str(build(parse(text), numerics="strict"))
    x = np.random.default_rng(0).standard_normal((300, 300))
    rows, everything = built(x)
    np.testing.assert_allclose(rows, (x * x).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(everything[0], x.sum(), rtol=1e-11)


def total(x):
    s = 0.0
    for i in range(x.size):
        s += x[i] * x[i]
    return s


def test_a_strict_loop_gives_the_bits_of_python():
    x = np.random.default_rng(0).standard_normal(10_000)
    assert tracejit.jit(total, numerics="strict")(x) == total(x)
    assert tracejit.jit(total)(x) != total(x)
    np.testing.assert_allclose(tracejit.jit(total)(x), total(x), rtol=1e-12)


def test_many_choices_are_one_sum():
    """Each is looked at once: the ways through them are too many to follow."""
    count, name = 48, "<choices>"
    lines = [
        f"        if x[i] > {k / count}:\n            s += x[i] * {k}.5\n" for k in range(count)
    ]
    head = "def f(x):\n    s = 0.0\n    for i in range(x.shape[0]):\n"
    text = head + "".join(lines) + "    return s\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), space := {})  # noqa: S102  our own text
    x = np.linspace(0.0, 1.0, 57)
    np.testing.assert_allclose(tracejit.jit(space["f"])(x), space["f"](x), rtol=1e-12)
