"""Ordered loops that need no order are found, and no others."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tracejit.ir import expressions, ops, tensor  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.graph import Module
from tracejit.ir.reference import reference
from tracejit.ir.tensor import For, map_bodies, statements
from tracejit.ir.text import parse
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.independent import free_loops
from tracejit.lower.tensor.substitute import substitute
from tracejit.stages import build

SIGNATURE = "x: f64[12, 12], p: i64[13], z: updated(f64[12, 12]), w: updated(f64[150])"


def freed(body: str) -> list[str]:
    """The indices of the loops that need no order."""
    lines = "\n".join("    " + line for line in body.splitlines())
    module = verify(parse(f"@kernel\ndef k({SIGNATURE}):\n{lines}"), Stage.TRACED)
    loops = [s for s in statements(free_loops(module).entry.body) if isinstance(s, For)]
    return [loop.index.name for loop in loops if loop.mark == "serial"]


# Statements inside `for i in ordered(0, 12)`, and the loops that are free.
CASES = [
    ("w[i] = x[i, 0]", "i"),
    ("w[11 - i] = x[i, 0]", "i"),
    ("w[3] = x[i, 0]", ""),
    ("w[p[i]] = x[i, 0]", ""),
    ("z[i, p[i]] = z[i, p[0]]", "i"),
    ("w[i] = w[i] * 2.0", "i"),
    ("w[i] = w[i + 1]", ""),
    ("w[i] = w[i + 12]", ""),
    ("w[2 * i] = w[2 * i + 1]", "i"),
    ("w[2 * i] = w[2 * i + 2]", ""),
    ("w[3 * i + 2] = w[3 * i + 4] + w[3 * i]", "i"),
    ("w[3 * i] = 1.0\nw[3 * i + 3] = 2.0", ""),
    ("w[i // 2] = 1.0", ""),
    ("z[0, i] = z[1, i]", "i"),
    ("z[i, 0] = z[0, i]", ""),
    ("s: f64 = x[i, 0]\ns = s * s\nw[i] = s", "i"),
    ("t: f64[4] = local()\nt[0] = x[i, 0]\nw[i] = t[0]", "i"),
    ("for j in ordered(0, 12):\n    z[i, j] = x[j, i]", "ij"),
    ("for j in ordered(1, 12):\n    z[i, j] = z[i, j - 1]", "i"),
    ("for j in ordered(0, 12):\n    if i > 0:\n        z[i, j] = z[i - 1, j]", "j"),
    ("for j in ordered(0, 12):\n    w[12 * i + j] = x[i, j]", "ij"),
    ("for j in ordered(0, 13):\n    w[11 * i + j] = 1.0", "j"),
    ("for j in ordered(0, i):\n    w[j] = 1.0", "j"),
    ("for j in ordered(0, i):\n    z[i, j] = z[i, j] + 1.0", "ij"),
    ("for j in ordered(3 * i, 3 * i + 3):\n    w[j] = 1.0", "ij"),
    ("for j in ordered(3 * i, minimum(3 * i + 3, 31)):\n    w[j] = 1.0", "ij"),
    ("for j in ordered(3 * i, 3 * i + 3):\n    w[j - 3 * i] = 1.0", "j"),
    ("for j in ordered(3 * i, 3 * i + 4):\n    w[j] = 1.0", "j"),
    (
        "for j in ordered(3 * i + p[0], 3 * i + p[0] + 3):\n    w[checked_index(j, 150, 0)] = 1.0",
        "",
    ),
    (
        "for j in ordered(0, 2):\n    for t in ordered(i + j, i + j + 1):\n        w[t] = 1.0",
        "jt",
    ),
    ("for j in ordered(3 * i + p[0], 3 * i + p[0] + 3):\n    z[j, p[1]] = 1.0", "ij"),
    ("for j in ordered(p[i], p[i + 1]):\n    w[checked_index(j, 150, 0)] = 1.0", ""),
    ("for j in ordered(0, 5):\n    z[i, j] = 1.0\n    if x[i, j] > 0.0: break", "i"),
    ("z[i, 0] = 1.0\nif x[i, 0] > 0.0: break", ""),
    ("if x[i, 0] > 0.0:\n    z[i, 0] = 1.0\nelse:\n    z[i, 1] = 2.0", "i"),
    ("m: index = p[i]\nif m == 3:\n    z[i, 0] = f64(m)", "i"),
    ("m: index = p[i]\nz[m, 0] = 1.0", ""),
    ('extern("prefetch", x[i:, 0:])\nw[i] = 1.0', "i"),
]


@pytest.mark.parametrize("body, expected", CASES, ids=range(len(CASES)))
def test_loops_that_are_free(body, expected):
    lines = "\n".join("    " + line for line in body.splitlines())
    assert freed(f"for i in ordered(0, 12):\n{lines}") == list(expected)


def test_what_goes_on_to_the_next_iteration():
    assert freed("s: f64 = 0.0\nfor i in ordered(0, 12):\n    s = s + x[i, 0]\nw[0] = s") == []
    assert freed("s: f64 = 0.0\nfor i in ordered(0, 12):\n    s += x[i, 0]\nw[0] = s") == ["i"]
    mixed = "for i in ordered(0, 12):\n    s += x[i, 0]\n    s = accumulate(maximum, s, 0.5)"
    assert freed(f"s: f64 = 0.0\n{mixed}\nw[0] = s") == []
    assert freed("s: f64 = 0.0\nfor i in ordered(0, 12):\n    s += x[i, 0]\n    w[i] = s") == []
    assert freed("t: f64[2] = local()\nfor i in ordered(0, 12):\n    t[0] = x[i, 0]") == []


def test_free_loops_run_by_threads():
    """Those around a loop that ends early, whose cost the model cannot see, too."""
    text = """
@kernel
def k(x: f64[400, 400], *, out: i64[400, 400]):
    for i in ordered(0, 400):
        for j in ordered(0, 400):
            s: f64 = x[i, j]
            count: i64 = 0
            for t in ordered(0, 9223372036854775807):
                s = s * 0.5
                count = count + 1
                if s < 0.25: break
            out[i, j] = count
"""
    x = np.random.default_rng(0).uniform(0, 1000, (400, 400))
    built = build(parse(text))
    assert "parallel(" in str(built)
    expected = np.maximum(np.ceil(np.log2(x * 4) + 1e-12), 1)
    np.testing.assert_array_equal(built(x), expected)


def backwards(module: Module) -> Module:
    """The same with the free loops run from their ends."""

    def body(inside: tuple) -> tuple:
        return tuple([changed(statement) for statement in inside])

    def changed(statement: tensor.Statement) -> tensor.Statement:
        statement = map_bodies(statement, body)
        if isinstance(statement, For) and statement.mark == "serial":
            last = expressions.subtract(statement.stop, tensor.ONE)
            turned = expressions.subtract(expressions.add(statement.start, last), statement.index)
            return statement.replace(body=substitute(statement.body, {statement.index: turned}))
        return statement

    return Module(module.entry.replace(body=body(module.entry.body)))


def random_loops(seed: int) -> str:
    """Nests that store to and read from two buffers, at places that are often near each other."""
    random = Random(seed)

    def place(indices: str) -> str:
        i = random.choice(indices)
        others = [f"{random.choice((1, 2, 3))} * {i} + {random.randrange(4)}"]
        others += [f"{random.choice((2, 3, 4))} * {a} + {b}" for a in indices for b in indices]
        return random.choice([i, f"{i} + {random.randrange(3)}", str(random.randrange(5)), *others])

    def store(indices: str) -> str:
        target, source = random.choice("vw"), random.choice("vvwx")
        return (
            f"{target}[{place(indices)}] = {source}[{place(indices)}] * 0.5 + f64({place(indices)})"
        )

    lines = ["for i in ordered(0, 5):"]
    for _ in range(random.randint(1, 2)):
        lines.append("    " + store("i"))
    bounds = random.choice(("0, 4", "0, i", "3 * i, 3 * i + 3", "i, 5", "2 * i, 2 * i + 3"))
    lines.append(f"    for j in ordered({bounds}):")
    for _ in range(random.randint(1, 2)):
        lines.append("        " + store("ij"))
    text = "\n".join("    " + line for line in lines)
    return f"@kernel\ndef k(v: updated(f64[80]), w: updated(f64[80]), x: f64[80]):\n{text}"


def test_free_loops_run_in_any_order():
    count = 0
    for seed in range(300):
        text = random_loops(seed)
        module = parse(text)
        free = free_loops(module)
        if free is module:
            continue
        count += 1
        arrays = np.random.default_rng(seed).standard_normal((3, 80))
        for ours, numpys in zip(reference(backwards(free), *arrays), reference(module, *arrays)):
            np.testing.assert_array_equal(ours, numpys, err_msg=text)
    assert count > 50
