"""Rows that wait for each other run side by side, and every cell is what it was."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.golden import expect
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor import interleave
from tracejit.lower.tensor.interleave import interleave_rows
from tracejit.stages import build

SIGNATURE = "f: f64[13, 44], n: i64[()], u: updated(f64[13, 44]), v: updated(f64[13, 44])"


def program(body: str, rows: str = "1, 12", columns: str = "3, 41", before: str = "u[i, 2]"):
    lines = body.replace("\n", "\n            ")
    text = f"""
@kernel
def k({SIGNATURE}):
    m: index = n[()]
    for i in ordered({rows}):
        left: f64 = {before}
        for j in ordered({columns}):
            {lines}
"""
    return verify(parse(text), Stage.TRACED)


def check(module, size: int = 12) -> bool:
    """Compare with and without rows side by side; whether there are any."""
    rng = np.random.default_rng(0)
    f, u, v = rng.standard_normal((3, 13, 44))
    done = verify(interleave_rows(module), Stage.SCHEDULED)
    expected = reference(module, f, np.int64(size), u.copy(), v.copy())
    memory = u.copy(), v.copy()
    build(module, numerics="strict")(f, np.int64(size), *memory)
    for results in (reference(done, f, np.int64(size), u.copy(), v.copy()), memory):
        for ours, wanted in zip(results, expected):
            np.testing.assert_array_equal(ours, wanted, err_msg=show(done))
    return done is not module


def test_a_sweep(monkeypatch):
    monkeypatch.setattr(interleave, "ROWS", 2)
    module = program("left = 0.5 * (left + u[i - 1, j]) + f[i, j]\nu[i, j] = left")
    assert check(module)
    expect(
        show(interleave_rows(module)),
        """
        @kernel
        def k(f: f64[13, 44], n: i64[()], u: updated(f64[13, 44]), v: updated(f64[13, 44])):
            m: index = n[()]
            for i_block in ordered(0, 5):
                left_1: f64 = u[i_block * 2 + 1, 2]
                for j in ordered(3, 4):
                    left_1 = 0.5 * (left_1 + u[i_block * 2 + 1 - 1, j]) + f[i_block * 2 + 1, j]
                    u[i_block * 2 + 1, j] = left_1
                left_2: f64 = u[i_block * 2 + 2, 2]
                for j in ordered(4, 41):
                    left_1 = 0.5 * (left_1 + u[i_block * 2 + 1 - 1, j]) + f[i_block * 2 + 1, j]
                    u[i_block * 2 + 1, j] = left_1
                    left_2 = 0.5 * (left_2 + u[i_block * 2 + 2 - 1, j + -1]) + f[i_block * 2 + 2, j + -1]
                    u[i_block * 2 + 2, j + -1] = left_2
                for j in ordered(40, 41):
                    left_2 = 0.5 * (left_2 + u[i_block * 2 + 2 - 1, j]) + f[i_block * 2 + 2, j]
                    u[i_block * 2 + 2, j] = left_2
            for i in ordered(11, 12):
                left: f64 = u[i, 2]
                for j in ordered(3, 41):
                    left = 0.5 * (left + u[i - 1, j]) + f[i, j]
                    u[i, j] = left
        """,
    )


KEEP = "\nu[i, j] = left"
# The body along a row, and how far behind the one above each row is; None: rows stay.
CASES = [
    (f"left = left * 0.5 + u[i - 1, j]{KEEP}", 1),
    (f"left = left * 0.5 + u[i - 1, j + 1]{KEEP}", 1),
    (f"left = left * 0.5 + u[i - 1, j + 2]{KEEP}", 2),
    (f"left = left * 0.5 + u[i + 1, j - 3]{KEEP}", 3),
    (f"left = left * 0.5 + u[i + 1, j + 3]{KEEP}", 1),
    (f"left = left * 0.5 + u[i - 1, j - 3]{KEEP}", 1),
    (f"if u[i - 1, j] > left:\n    left = u[i - 1, j] * 0.5{KEEP}", 1),
    (f"left = left * 0.5 + v[i, j]{KEEP}\nv[i - 1, j + 1] = left", 1),
    (f"left = left * 0.5 + v[i - 1, j]{KEEP}\nv[i, j + 2] = left", 1),
    (f"left = left * 0.5 + v[i - 1, j + 2]{KEEP}\nv[i, j - 2] = left", 4),
    (f"left = left * 0.5 + v[i - 1, j + 2]{KEEP}\nv[i, j - 3] = left", None),  # too far behind
    (f"left = left * 0.5 + u[i - 1, 5]{KEEP}", None),
    (f"left = left * 0.5 + u[0, j]{KEEP}", None),
    (f"left = left * 0.5 + u[i - 1, m + j]{KEEP}", None),
    ("left = left * 0.5 + f[i, j]\nu[j % 13, i] = left", None),
    ("u[i, j] = u[i - 1, j] + f[i, j]", None),  # nothing waits along a row
]


@pytest.mark.parametrize("body, skew", CASES, ids=range(len(CASES)))
def test_how_far_behind(body: str, skew: int | None):
    module = program(body)
    assert check(module, 0) == (skew is not None)
    if skew is not None:
        assert f"ordered({3 + 3 * skew}, 41)" in show(interleave_rows(module))


def test_what_comes_before_a_row():
    body = "left = left * 0.5 + u[i - 1, j]\nu[i, j] = left"
    assert check(program(body, before="f[i, 2] + u[i - 1, 2]"))
    assert not check(program(body, before="u[i - 1, 5]"))
    assert not check(program(body, columns="3, 20"))  # few columns


def test_any_number_of_rows():
    for rows in ("1, m", "m, 12", "0, 13", "5, 6"):
        module = program("left = left * 0.5 + f[i, j]\nu[i, j] = left + u[i, j]", rows)
        for size in (0, 1, 2, 5, 6, 12):
            assert check(module, size)


def test_random_sweeps():
    found = 0
    for seed in range(24):
        random = Random(seed)

        def place(buffers: str, random=random) -> str:
            row, column = random.choice([-1, 0, 0, 1]), random.choice([-2, -1, 0, 1, 2])
            return f"{random.choice(buffers)}[i + {row}, j + {column}]"

        lines = [f"left = left * 0.5 + {place('uvf')} - {place('uv')}"]
        if random.random() < 0.3:
            lines = [f"if {place('uv')} > left:", "    " + lines[0]]
        lines += [f"{place('uv')} = left" for _ in range(random.randint(1, 2))]
        found += check(program("\n".join(lines)))
    assert found > 8
