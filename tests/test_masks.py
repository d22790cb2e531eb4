"""Loops around branches and `while` run in lanes, and every lane computes what its iteration does."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.golden import expect
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.vectorize import vectorize
from tracejit.stages import build

HALVINGS = """
@kernel
def k(x: f64[37], *, out: i64[37]):
    for i in range(0, 37):
        s: f64 = x[i]
        count: i64 = 0
        if s > 0.25:
            for t in ordered(0, 9223372036854775807):
                s = s * 0.5
                count = count + 1
                if s < 0.25: break
        out[i] = count
"""


def test_a_while_in_lanes():
    """`s` is computed on for those that are done, whom nobody asks for it; `count` is kept."""
    module = verify(vectorize(parse(HALVINGS), 64), Stage.SCHEDULED)
    expect(
        show(module),
        """
        @kernel
        def k(x: f64[37], *, out: i64[37]):
            for i in vector(0, 37, 32):
                s: f64 = x[i]
                count: i64 = 0
                asked: bool = s > 0.25
                if asked:
                    going: bool = asked
                    for t in ordered(0, 9223372036854775807):
                        s = s * 0.5
                        count = where(going, count + 1, count)
                        going = where(going, logical_not(s < 0.25), False)
                        if logical_not(going): break
                out[i] = count
        """,
    )
    x = np.random.default_rng(0).uniform(0, 1000, 37)
    expected = reference(parse(HALVINGS), x)
    np.testing.assert_array_equal(reference(module, x), expected)
    np.testing.assert_array_equal(build(module)(x), expected)


SIGNATURE = "x: f64[23], p: i64[23], z: updated(f64[23, 4]), w: updated(f64[23])"

# Statements in `for i in range(0, 23)`, after `s: f64 = x[i]`, and whether they run in lanes.
CASES = [
    ("if s > 0.0:\n    for t in range(0, 9):\n        s = s * 0.5 + 1.0\nw[i] = s", True),
    ("if s > 0.0:\n    w[i] = s\nelse:\n    w[i] = exp(s)\n    z[i, 0] = 2.0", True),
    ("for t in ordered(0, 9):\n    s = s + 1.0\n    w[i] = s\n    if s > 1.0: break", True),
    ("for t in ordered(0, p[i]):\n    s = s + 1.0\nw[i] = s", False),  # bounds of their own
    ("if p[i] > 0:\n    for t in range(0, 9):\n        s = s + x[p[i]]\nw[i] = s", False),
    ("if p[i] > 0:\n    for t in range(0, 9):\n        s = s + x[p[i] % 23]\nw[i] = s", True),
    (
        "if p[i] > 0:\n    for t in range(0, 9):\n        s = s + x[checked_index(p[i], 23, 0)]\nw[i] = s",
        False,
    ),
    (
        "m: index = p[i] % 4\nif s > 0.0:\n    for t in range(0, 9):\n        s = s + 1.0\nz[i, m] = s",
        False,
    ),
]


def arrays(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal(23),
        rng.integers(0, 23, 23),
        rng.standard_normal((23, 4)),
        rng.standard_normal(23),
    ]


def program(body: str):
    lines = "\n".join("        " + line for line in body.splitlines())
    return verify(
        parse(
            f"@kernel\ndef k({SIGNATURE}):\n    for i in range(0, 23):\n"
            f"        s: f64 = x[i]\n        n: i64 = p[i]\n{lines}"
        ),
        Stage.TRACED,
    )


def check(module, seed: int = 0) -> bool:
    """Compare with and without lanes; whether some loop runs in them."""
    done = verify(vectorize(module, 32), Stage.SCHEDULED)
    expected = reference(module, *arrays(seed))
    memory = arrays(seed)
    build(module, numerics="strict")(*memory)
    for ours, native, wanted in zip(reference(done, *arrays(seed)), memory[2:], expected):
        np.testing.assert_array_equal(ours, wanted, err_msg=show(module))
        np.testing.assert_allclose(native, wanted, rtol=1e-14, err_msg=show(done))
    return "vector(" in show(done)


@pytest.mark.parametrize("body, fits", CASES, ids=range(len(CASES)))
def test_what_fits(body: str, fits: bool):
    assert check(program(body)) == fits


class _Writer:
    """Random statements of one iteration, which end."""

    def __init__(self, seed: int):
        self.random, self.count = Random(seed), 0

    def number(self) -> str:
        values = ["s", "x[i]", "f64(n)", "1.5", "w[i]", "z[i, 1]", "-0.25"]
        a, b = self.random.choices(values, k=2)
        return self.random.choice([a, f"{a} + {b}", f"{a} * 0.5 - {b}", f"minimum({a}, {b})"])

    def test(self) -> str:
        return f"{self.number()} {self.random.choice(['<', '>', '<='])} {self.number()}"

    def block(self, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.random.randint(1, 3)):
            lines += self.statement(depth)
        return lines

    def statement(self, depth: int) -> list[str]:
        kinds = ["s", "n", "z", "w", *(["if", "else", "while", "for"] if depth else [])]
        self.count += 1
        match self.random.choice(kinds):
            case "s":
                return [f"s = {self.number()}"]
            case "n":
                return [self.random.choice(["n = n + 1", "n = n // 2", "n = n % 5"])]
            case "z":
                return [f"z[i, {self.random.randrange(4)}] = {self.number()}"]
            case "w":
                return [f"w[i] = {self.number()}"]
            case "if":
                return [f"if {self.test()}:", *self.indented(depth)]
            case "else":
                return [f"if {self.test()}:", *self.indented(depth), "else:", *self.indented(depth)]
            case "for":
                return [f"for t{self.count} in range(0, 3):", *self.indented(depth)]
        name, stop = f"t{self.count}", self.random.choice([f"{9}", "9223372036854775807"])
        steps = f"c{self.count}"
        return [
            f"{steps}: i64 = 0",
            f"for {name} in ordered(0, {stop}):",
            f"    {steps} = {steps} + 1",
            *self.indented(depth),
            f"    if logical_or({self.test()}, {steps} > 5): break",
        ]

    def indented(self, depth: int) -> list[str]:
        return ["    " + line for line in self.block(depth - 1)]


def test_random_iterations():
    in_lanes = 0
    for seed in range(60):
        body = [*_Writer(seed).block(3), "w[i] = s", "z[i, 3] = f64(n)"]
        in_lanes += check(program("\n".join(body)), seed)
    assert in_lanes > 30


def test_what_lanes_beyond_the_end_hold_does_not_count():
    """The sizes are not whole vectors: nobody waits for lanes that stand for no iteration."""
    for size in (1, 3, 8, 15, 33):
        text = HALVINGS.replace("37", str(size))
        x = np.random.default_rng(0).uniform(0, 1000, size)
        expected = np.maximum(np.ceil(np.log2(x * 4) + 1e-12), 0)
        np.testing.assert_array_equal(build(parse(text))(x), expected)
