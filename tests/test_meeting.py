"""Loops that read an element which one of their iterations changes are split at that iteration."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import tracejit
from tests.golden import expect
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.meeting import split_at_reads
from tracejit.stages import build


def program(body: str, columns: str = "0, 9"):
    lines = body.replace("\n", "\n                ")
    text = f"""
@kernel
def f(n: i64[()], y: updated(f64[9]), z: updated(f64[9, 9])):
    m: index = n[()]
    for k in ordered(0, 9):
        for i in ordered(0, 9):
            for j in ordered({columns}):
                {lines}
"""
    return verify(parse(text), Stage.TRACED)


def check(module, size: int = 9) -> bool:
    """Compare before and after; whether something was split."""
    y, z = np.arange(9.0) / 8, np.random.default_rng(size).integers(-4, 5, (9, 9)) / 4
    done = verify(split_at_reads(module), Stage.TRACED)
    expected = reference(module, np.int64(size), y.copy(), z.copy())
    memory = y.copy(), z.copy()
    build(module)(np.int64(size), *memory)
    for results in (reference(done, np.int64(size), y.copy(), z.copy()), memory):
        for ours, wanted in zip(results, expected):
            np.testing.assert_array_equal(ours, wanted, err_msg=show(done))
    return "through" in show(done)


def test_before_and_after():
    module = program("z[i, j] = minimum(z[i, j], z[i, k] + z[k, j])")
    assert check(module)
    done = show(split_at_reads(module))
    expect(
        done[done.index("            through") :],
        """
        through: f64 = z[i, k]
                    for j in ordered(0, k):
                        z[i, j] = minimum(z[i, j], through + z[k, j])
                    z[i, k] = minimum(z[i, k], z[i, k] + z[k, k])
                    through_1: f64 = z[i, k]
                    for j in ordered(k + 1, 9):
                        z[i, j] = minimum(z[i, j], through_1 + z[k, j])
        """,
    )


CASES = [
    ("z[i, j] = z[i, j] - z[i, k] * 0.25", "0, 9", True),
    ("z[i, j] = z[i, j] - z[i, k] * z[k, j]", "k + 1, 9", True),  # none of them meets it
    ("z[i, j] = z[i, j] - z[i, k] * 0.25", "0, k", True),
    ("z[i, j] = z[i, j] - z[i, k] * 0.25", "0, m", True),
    ("z[i, j] = z[i, j] - z[i, k] * 0.25", "m, 9", True),
    ("z[i, 8 - j] = z[i, 8 - j] + 0.5 * z[i, k]", "0, 9", True),
    ("if z[i, k] > y[j]: y[j] = y[i] * 0.5", "0, 9", True),
    ("t: f64 = z[i, k]\nz[i, j] = z[i, j] + 0.5 * t + z[i, k]", "0, 9", True),
    ("z[i, j] = z[i, k] + 0.5 * z[i, i]", "0, 9", False),  # two of them
    ("z[i, j] = z[i, j - 1] + 0.5 * z[i, k]", "1, 9", False),
    ("z[i, j] = z[i, j] + z[i, k]\ny[i] = y[i] + z[i, j]", "0, 9", False),
    ("if k < m: z[i, j] = z[i, j] + z[i, m - 1]", "0, 9", False),  # that may be outside
    ("z[i, j] = z[i, j] + z[i, k]\nif z[i, j] > 2.0: break", "0, 9", False),
    ("z[i, j] = z[i, j] + z[i, checked_index(k + m, 9, 1)]", "9, m", False),
]


@pytest.mark.parametrize("body, columns, is_split", CASES, ids=range(len(CASES)))
def test_what_is_split(body: str, columns: str, is_split: bool):
    for size in (0, 1, 5, 9):
        assert check(program(body, columns), size) == is_split


def test_random_loops():
    found = 0
    for seed in range(40):
        random = Random(seed)
        read = ["z[i, k]", "z[k, j]", "z[k, i]", "y[k]", "y[j]", "z[i, j]"]
        lines = []
        for _ in range(random.randint(1, 2)):
            target = random.choice(["z[i, j]", "z[j, i]", "z[k, j]", "y[j]"])
            line = f"{target} = 0.5 * {random.choice(read)} + 0.25 * {random.choice(read)}"
            lines += [
                f"if {random.choice(read)} > 0.5:\n    {line}" if random.random() < 0.3 else line
            ]
        columns = random.choice(["0, 9", "0, k", "k, 9", "k + 1, 9", "i, 9", "0, m"])
        found += check(program("\n".join(lines), columns), random.choice([0, 3, 9]))
    assert found > 8


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_shortest_paths(n: int):
    @tracejit.jit
    def paths(d):
        for k in range(len(d)):
            for i in range(len(d)):
                for j in range(len(d)):
                    d[i, j] = min(d[i, j], d[i, k] + d[k, j])
        return d

    d = (
        np.random.default_rng(n).integers(-3, 40, (n, n)) / 4
    )  # some of the ways are circles that pay
    np.testing.assert_array_equal(paths(d.copy()), paths.__wrapped__(d.copy()))
    if n == 40:
        assert "vector(" in str(paths.lower(d))
