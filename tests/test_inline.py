"""Bodies of loops and branches in the kernels that run them, whatever their size."""

from __future__ import annotations

import linecache

import numpy as np
import pytest

import tracejit
from tracejit.lower.tensor import inline

# Each writes an element, which the next one reads.
STEPS = [f"x[i] = (x[i] * {k}.5 + np.sqrt(y[i] + {k})) % 7" for k in range(4)]
SUMS = [f"x[k] = (x[k - 1] + x[:n].sum() + {k}) % 7" for k in range(3)]


def program(lines):
    text = "\n".join(["def program(x, y, n):", *[f"    {line}" for line in lines], "    return x"])
    name = f"<large body {len(lines)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    names = {"np": np}
    exec(compile(text, name, "exec"), names)
    return names["program"]


PROGRAMS = {
    "a large body reads the index": ["for i in range(len(x)):", *[f"    {s}" for s in STEPS]],
    "a large arm in a loop reads the index": [
        "for i in range(len(x)):",
        "    if y[i] > 3:",
        *[f"        {s}" for s in STEPS],
    ],
    "a large body reads an extent that data tells": [
        "n = 0",
        "for k in range(6):",
        "    if y[k] > 3: n += 1",
        "for k in range(1, len(x)):",
        *[f"    {s}" for s in SUMS],
    ],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_large_bodies_read_what_their_loops_declare(name, monkeypatch):
    monkeypatch.setattr(inline, "LARGEST", 2)
    function = program(PROGRAMS[name])
    x, y = np.arange(9.0), np.arange(9.0) + 1
    wanted = function(x.copy(), y, 0)
    found = tracejit.jit(function, numerics="strict")(x.copy(), y, 0)
    np.testing.assert_array_equal(found, wanted)


def test_a_large_loop_in_a_loop_may_count_by_the_same_name(monkeypatch):
    monkeypatch.setattr(inline, "LARGEST", 2)

    def function(x, y, n):
        while x[0] < 50:
            while y[1] > x[1]:
                x[1] = x[1] * 2 + 1
                x[2] = x[1] + y[2]
            x[0] = x[0] * 2 + 1
            y[1] = y[1] + x[2]
        return x

    x, y = np.arange(9.0), np.arange(9.0) + 1
    found = tracejit.jit(function)(x.copy(), y.copy(), 0)
    np.testing.assert_array_equal(found, function(x.copy(), y.copy(), 0))


def test_what_is_split_into_periods_has_names_of_its_own():
    def function(x, b):
        out = np.zeros(6)
        for i, j in np.ndindex(2, 3):
            total = 0.0
            for k in range(5):
                total += b[k] * b[k] % 5
            out[i * 3 + j] = total + x[: i + 1].sum() + j
        return out

    x, b = np.arange(5.0), np.arange(5.0) - 2
    np.testing.assert_array_equal(tracejit.jit(function)(x, b), function(x, b))
