"""Random programs with all that control flow is made of, as Python text, and arguments for them.

All numbers are whole, or whole halves, and are kept small, so that results can be compared exactly, in
whatever order they were computed. Programs end: loops run over what has an end, and a `while` counts as
well. A program that raises is a program like any other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

PREAMBLE = '''
class Pair:
    """What carries two numbers, one of which its method changes."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def push(self, value):
        if value > self.y:
            self.y = value
        else:
            self.x = (self.x + value) % 7
        return self.x


def clipped(value, low, high):
    if value < low:
        return low
    if value > high:
        return high
    return value


def position(values, wanted):
    for i in range(len(values)):
        if values[i] >= wanted:
            return i
    return 4


def add_to(values, amount):
    for i, value in enumerate(values):
        if value > 2:
            continue
        values[i] = value + amount


def halvings(value):
    count = 0
    while value >= 1 and count < 9:
        value = value // 2
        count += 1
    return count

'''
START = [
    "s, t, u, n, m, f = x, 1, 0.5, 0, 1, False",
    "p, d, l, o, w = (x, 2), {'k': 1, 'q': (0.5, 3)}, [1, x, 2.5], Pair(1, x), z[0]",
    "q = [x, 1.0]",
]
END = "s, t, u, n, m, f, p, d['k'], d['q'], l[0], l[2], o.x, o.y, w, len(q), q[0], q[-1], a, b, k, g, z"

NUMBERS = [
    "s", "t", "u", "n", "m", "1", "2", "-1", "0.5", "p[0]", "p[1]", "d['k']", "d['q'][1]", "l[0]", "l[2]",
    "o.x", "o.y", "a[n % 5]", "b[-1]", "k[m % 5]", "g[n % 3, 1]", "a.sum()", "k.max()", "b[1:].min()",
    "len(a)", "w.real", "np.abs(s)", "a[: n % 5].sum()", "g[:, m % 4].sum()",
]  # fmt: skip
INTEGERS = ["n", "m", "3", "1", "k[n % 5]", "k[2]", "int(f)", "k.argmax()", "position(a, 1)"]
ARRAYS = ["a", "b"]


def arguments() -> list[Any]:
    """a, b: f64[5], k: i64[5], g: f64[3, 4], z: c128[3], x."""
    rng = np.random.default_rng(7)
    return [
        rng.integers(-4, 5, 5).astype(float),
        rng.integers(-3, 6, 5) * 0.5,
        rng.integers(0, 9, 5),
        rng.integers(-3, 4, (3, 4)).astype(float),
        rng.integers(-3, 4, 3) + 1j,
        1.5,
    ]


class Writer:
    """Draws statements; `loops` are the indices of the loops around, whether numbers or items."""

    def __init__(self, draw: Any):
        self.draw, self.count = draw, 0

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def chance(self, one_in: int) -> bool:
        return self.draw(st.integers(0, one_in - 1)) == one_in - 1

    # Expressions.

    def number(self, depth: int = 1) -> str:
        if depth == 0 or self.chance(2):
            return self.pick(*NUMBERS)
        one, other = self.number(depth - 1), self.number(depth - 1)
        kind = self.draw(st.integers(0, 6))
        if kind == 0:
            return f"({one} if {self.test(0)} else {other})"
        if kind == 1:
            return f"clipped({one}, -3, {other})"
        if kind == 2:
            return f"{self.pick('min', 'max')}({one} * 1.0, {other} * 1.0)"
        if kind == 3:
            return f"{self.pick('sum', 'max')}(v * v % 5 for v in {self.pick(*ARRAYS, 'k')})"
        if kind == 4:
            return f"o.push({one})"
        return f"({one} {self.pick('+', '-', '*')} {other})"

    def small(self) -> str:
        return f"({self.number()}) % {self.pick('5', '4.0', '3')}"

    def integer(self) -> str:
        one, other = self.pick(*INTEGERS), self.pick(*INTEGERS)
        if self.chance(3):
            return f"halvings({one})"
        return f"({one} {self.pick('+', '*', '-', '^', '//')} {self.pick('2', '3') if self.chance(2) else f'({other} % 3 + 1)'})"

    def test(self, depth: int = 1) -> str:
        kind = self.draw(st.integers(0, 7 if depth else 2))
        one, other = self.number(0), self.number(0)
        compared = f"{one} {self.pick('<', '>', '<=', '>=', '==', '!=')} {other}"
        if kind <= 1:
            return compared
        if kind == 2:
            return self.pick("f", f"n % 2 == {self.pick('0', '1')}")
        if kind == 3:
            return f"({self.test(0)} {self.pick('and', 'or')} {self.test(0)})"
        if kind == 4:
            return f"not ({self.test(0)})"
        if kind == 5:
            return f"{one} < {other} <= {self.number(0)}"
        if kind == 6:
            return f"{self.pick('any', 'all')}(v > {one} for v in {self.pick(*ARRAYS)})"
        return f"{self.pick('n', 'm', 'k[0]')} in (1, 3, {self.pick('n', '4')})"

    # Statements, as lists of lines.

    def simple(self) -> list[str]:
        array, other = self.pick(*ARRAYS), self.pick(*ARRAYS)
        number, small = self.pick("s", "t", "u"), self.small()
        kinds = [
            f"{number} = {small}",
            f"{number} = ({number} + {small}) % 7",
            f"n = abs({self.integer()}) % 9",
            f"m = (m + {self.integer()}) % 6",
            f"f = {self.test()}",
            f"w = (w + {small}) * 1j if abs(w) < 9 else z[m % 3]",
            f"z[n % 3] = {small}",
            f"{array}[n % 5] = {small}",
            f"{array}[m % 5] = ({array}[m % 5] + {small}) % 7",
            f"{array}[1:] = ({array}[1:] + {other}[:-1]) % 7",
            f"{array} = ({other} + {small}) % 5",
            f"{array}[{array} > {self.pick('1', 's')}] = {self.pick('0', 't')}",
            f"{array}[m % 3 : m % 3 + 2] = {small}",
            f"k[n % 5] = {self.integer()}",
            f"v = {array}[1:4]; v[n % 3] = {small}",
            f"v = {array}[::-1]; v[:2] = {other}[1:3]",
            f"g[n % 3] = {array}[1:]",
            f"g[:, m % 4] = {small}",
            f"g[n % 3, : m % 4] = {small}",
            "row = g[m % 3]; row[1:] = row[:-1]",
            f"p = ({small}, p[0])",
            f"d['k'] = {small}",
            f"d['q'] = (d['q'][1], {small})",
            f"l[{self.pick('0', '2')}] = {small}",
            f"o.x = {small}",
            f"o.push({small})",
            "a, b = b, a",
            "s, t = t, s",
            f"q.append({small})",
            f"q.append({small}) if len(q) < 7 else None",
            f"s = q.pop() if len(q) > 2 else {small}",
            f"q[-1] = {small}",
            "u = q[n % len(q)]",
            f"add_to({array}, {self.pick('1', '0.5')})",
            f"n = position({array}, {self.number(0)})",
        ]
        return [self.pick(*kinds)]

    def block(self, depth: int, in_loop: bool) -> list[str]:
        count = self.draw(st.integers(1, 3))
        return [line for _ in range(count) for line in self.statement(depth, in_loop)]

    def inner(self, depth: int, in_loop: bool) -> list[str]:
        return ["    " + line for line in self.block(depth - 1, in_loop)]

    def statement(self, depth: int, in_loop: bool) -> list[str]:
        kind = self.draw(st.integers(0, 9)) if depth else 0
        if kind <= 3:
            return self.simple()
        if kind == 4:
            return self.jump(in_loop)
        if kind <= 6:
            return self.branch(depth, in_loop)
        if kind == 7:
            return self.loop_while(depth)
        if kind == 8 and self.chance(3):
            finish = ["    " + line for line in self.simple()]
            return ["try:", *self.inner(depth, in_loop), "finally:", *finish]
        return self.loop_for(depth)

    def jump(self, in_loop: bool) -> list[str]:
        if self.chance(6):
            return [f"assert {self.number(0)} < 60, 'too much'"]
        jumps = [f"return {END}"] + ["break", "continue"] * (2 * in_loop)
        if self.chance(6):
            jumps = ["raise ValueError('enough')"]
        return [f"if {self.test()}:", "    " + self.pick(*jumps)]

    def branch(self, depth: int, in_loop: bool) -> list[str]:
        lines = [f"if {self.test()}:", *self.inner(depth, in_loop)]
        if self.chance(3):
            lines += [f"elif {self.test()}:", *self.inner(depth, in_loop)]
        if self.chance(2):
            lines += ["else:", *self.inner(depth, in_loop)]
        return lines

    def loop_for(self, depth: int) -> list[str]:
        self.count += 1
        i, v = f"i{self.count}", f"v{self.count}"
        use = [
            f"s = (s + {v}) % 7", f"a[{i} % 5] = {v}", f"u = {v} if {v} > u else {i}",
            f"t = (a[: {i} % 5 + 1] + {v}).sum() % 9", f"b[{i} % 5 :] = {v}", f"n = {i} % 5",
        ]  # fmt: skip
        spans = [
            "range(6)", "range(5, -1, -2)", "range(n % 4)", "range(m % 3, 5)", "range(1, k[1] % 6, 2)",
            "range(40)", "reversed(range(4))", "range(len(a) - 1)",
        ]  # fmt: skip
        heads = [
            (f"for {i} in {self.pick(*spans)}:", f"{v} = {i}"),
            (f"for {i}, {v} in enumerate({self.pick('a', 'b', 'k', 'g[1]', 'a[::2]')}):", None),
            (
                f"for {i}, {v} in zip({self.pick('range(5)', 'k')}, {self.pick('a', 'b[::-1]')}):",
                None,
            ),
            (f"for {v} in {self.pick('a', 'reversed(b)', 'g[:, 0]', 'l')}:", f"{i} = n"),
            (f"for {i}, {v} in np.ndindex(2, 3):", None),
            (f"for {v} in g:", f"{i}, {v} = m, {v}[n % 4]"),
        ]
        head, first = self.pick(*heads)
        lines = [head, *([f"    {first}"] if first else []), f"    {self.pick(*use)}"]
        lines += self.inner(depth, True)
        return lines + (["else:", *self.inner(depth, False)] if self.chance(4) else [])

    def loop_while(self, depth: int) -> list[str]:
        self.count += 1
        c = f"c{self.count}"
        lines = [
            f"{c} = 0",
            f"while {c} < {self.pick('5', 'm % 6', '50')} and {self.test()}:",
            f"    {c} += 1",
            *self.inner(depth, True),
        ]
        return lines + (["else:", *self.inner(depth, False)] if self.chance(4) else [])


@st.composite
def programs(draw: Any, depth: int = 3) -> str:
    """The text of a function of the `arguments`."""
    lines = Writer(draw).block(depth, False)
    header = "def program(a, b, k, g, z, x):"
    return (
        "\n".join([PREAMBLE, header, *["    " + s for s in [*START, *lines, f"return {END}"]]])
        + "\n"
    )
