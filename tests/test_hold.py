"""Elements that a loop changes in one place wait in variables until it ends."""

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
from tracejit.lower.tensor.hold import hold_elements
from tracejit.stages import build

SIGNATURE = "a: f64[9, 9], n: i64[()], y: updated(f64[9]), z: updated(f64[9, 9])"


def program(body: str, columns: str = "0, 9"):
    lines = body.replace("\n", "\n            ")
    text = f"""
@kernel
def k({SIGNATURE}):
    m: index = n[()]
    for i in ordered(0, 9):
        for j in ordered({columns}):
            {lines}
"""
    return verify(parse(text), Stage.TRACED)


def check(module, size: int = 9) -> bool:
    """Compare before and after; whether something is held."""
    a = np.random.default_rng(0).integers(-4, 5, (9, 9)) / 4  # sums are exact in any order
    y, z = np.arange(9.0), np.arange(81.0).reshape(9, 9)
    done = verify(hold_elements(module), Stage.TRACED)
    expected = reference(module, a, np.int64(size), y.copy(), z.copy())
    memory = y.copy(), z.copy()
    build(module)(a, np.int64(size), *memory)
    for results in (reference(done, a, np.int64(size), y.copy(), z.copy()), memory):
        for ours, wanted in zip(results, expected):
            np.testing.assert_array_equal(ours, wanted, err_msg=show(done))
    return "_held" in show(done)


def test_a_sum_in_an_element():
    module = program("t: f64 = 0.0\nt = y[i] + a[i, j]\ny[i] = t", "0, m")
    assert check(module)
    expect(
        show(hold_elements(module)),
        """
        @kernel
        def k(a: f64[9, 9], n: i64[()], y: updated(f64[9]), z: updated(f64[9, 9])):
            m: index = n[()]
            for i in ordered(0, 9):
                if 0 < m:
                    y_held: f64 = y[i]
                    for j in ordered(0, m):
                        t: f64 = 0.0
                        y_held = y_held + a[i, j]
                    y[i] = y_held
        """,
    )


CASES = [
    ("y[i] = y[i] + a[i, j]", True),
    ("y[i] = y[i] + a[i, j]\nz[i, j] = y[i]", True),
    ("z[i, 3] = z[i, 3] * 0.5 + a[j, 0]", True),
    ("z[i, 3] = z[i, 3] * 0.5 + z[8 - i, 4]", True),
    ("y[2] = y[2] + a[i, j]\nif y[2] > 4.0: break", True),
    ("if a[i, j] > 0.0:\n    y[i] = y[i] + 1.0", True),
    # Only the condition makes it right.
    ("if i < 8:\n    y[i + 1] = y[i + 1] + a[i, j]", False),
    ("if m < 4:\n    y[m] = y[m] + a[i, j]", False),
    ("if a[i, j] > 0.0:\n    y[i] = y[i] + y[minimum(j, i)]", False),
    ("y[i] = y[i] + 1.0\nif a[i, j] > 0.0:\n    y[i] = y[i] * 0.5", True),
    ("z[i, 3] = z[i, 3] + z[i, j]", False),
    ("z[i, 3] = z[i, 3] + 1.0\nz[i, 4] = 2.0", False),
    ("z[i, j] = z[i, j] + 1.0", False),
    ("y[i64(a[i, 0] + 4.0) % 9] = 1.0", False),
    ("y[checked_index(i, 9, 0)] = y[i] + 1.0", False),
    ("y[i] = y[i] + a[i, checked_index(j, 9, 0)]", True),
    ("if a[i, j] > 0.0:\n    y[i] = y[i] + a[i, checked_index(j, 9, 0)]", True),
    ("if m > j:\n    y[checked_index(m - 1, 9, 0)] = 1.0", False),
]


@pytest.mark.parametrize("body, holds", CASES, ids=range(len(CASES)))
def test_what_is_held(body: str, holds: bool):
    assert check(program(body)) == holds


def test_what_is_refused_on_the_way_finds_the_element_as_it_was():
    @tracejit.jit
    def add(y, x, k):
        for j in range(len(k)):
            y[3] += x[k[j]]

    y, x, k = np.zeros(40), np.arange(1.0, 6.0), np.array([0, 4, 2, 0, 9, 1])
    assert "_held" in str(add.lower(y, x, k))
    wanted = y.copy()
    for function, memory in ((add, y), (add.__wrapped__, wanted)):
        with pytest.raises(IndexError):
            function(memory, x, k)
    np.testing.assert_array_equal(y, wanted)
    assert y[3] == 10.0


def test_empty_loops_leave_everything():
    for size in (0, 1, 5):
        assert check(program("y[i] = y[i] * 2.0 + a[i, j]", "0, m"), size)
        assert check(program("y[i] = y[i] * 2.0 + a[i, j]", "m, 5"), size)


def test_elements_before_the_one_that_is_changed():
    """A loop that ends before a place does not come to it."""
    assert check(program("if a[i, j] > y[j] + y[i]:\n    y[i] = y[j] + 1.0", "0, i"))
    assert check(program("if a[i, j] > y[j] + y[i]:\n    y[i] = y[j] + 1.0", "i + 1, 9"))
    assert not check(program("if a[i, j] > y[j] + y[i]:\n    y[i] = y[j] + 1.0", "0, i + 1"))


def test_random_loops():
    found = 0
    for seed in range(30):
        random = Random(seed)
        targets = ["y[i]", "y[3]", "z[i, 3]", "z[i, j]", "z[3, i]"]
        lines = []
        for _ in range(random.randint(1, 3)):
            target, source = random.choice(targets), random.choice([*targets, "a[i, j]"])
            line = f"{target} = {random.choice(targets)} * 0.5 + {source}"
            lines += [f"if a[i, j] > 0.0:\n    {line}" if random.random() < 0.3 else line]
        module = program("\n".join(lines))
        done = verify(hold_elements(module), Stage.TRACED)
        arrays = (np.eye(9) - 0.5, np.int64(9), np.arange(9.0), np.arange(81.0).reshape(9, 9))
        results = [reference(m, *[a.copy() for a in arrays]) for m in (module, done)]
        for ours, wanted in zip(*results):
            np.testing.assert_array_equal(ours, wanted, err_msg=show(done))
        found += done is not module
    assert found > 8
