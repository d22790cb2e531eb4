"""Any order of reads, writes, views and reshapes of arrays that share memory, against NumPy.

A machine of states draws a program line by line; NumPy runs each line as it is drawn, and lines
that NumPy refuses are left out. At the end the whole program is compiled, and called with fresh
arguments: what it returns, which memory that is, and what its arguments hold then must be NumPy's.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule
from in_place import quietly, same  # noqa: F401  a fixture
from programs import examples

import tracejit
from tracejit.errors import UnsupportedError


def numbers(*shape: int, dtype: str) -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) % 7).astype(dtype)


def apart(dtype: str) -> tuple:
    return numbers(4, 6, dtype=dtype), numbers(6, dtype=dtype), numbers(4, 6, dtype=dtype)


def the_same(dtype: str) -> tuple:
    a, b, _ = apart(dtype)
    return a, b, a


def overlapping(dtype: str) -> tuple:
    a, b, _ = apart(dtype)
    return a, b, a[1:]


def strided(dtype: str) -> tuple:
    a, b, c = numbers(6, 4, dtype=dtype), numbers(12, dtype=dtype), numbers(8, 6, dtype=dtype)
    return a.T, b[::-2], c[::2]


VIEWS = [
    "[1:]", "[::2]", "[::-1]", "[..., :3]", "[..., ::-2]", "[None]", "[0]", "[-1:]", "[:, 1]", "[...]",
    ".T", ".reshape(-1)", ".reshape(2, -1)", ".reshape(-1, 3)", ".ravel()", ".squeeze()",
    ".swapaxes(0, -1)", ".view()", ".real", ".copy()", ".astype('f8')", ".flatten()", "[[0, -1]]",
    " + 1",
]  # fmt: skip
WRITES = [
    "{x}[...] = {k}", "{x}[1:] = {k}", "{x}[..., 0] = {k}", "{x} += {k}", "{x}[...] = {y}",
    "{x} -= {y}", "{x}[1:] += {x}[:-1]", "{x}[...] = {x}[::-1]", "{x}[::2] = {y}[::-2]",
    "{x}[{x} > {k}] = {k}", "{x}[{y} > {k}] = {x}[{y} > {k}] - 1", "{x}[[0, -1]] = {y}[:2]",
    "np.add({x}, {y}, out={x})", "np.negative({x}[:1], out={x}[-1:])", "{x}.fill({k})",
    "{x}.flat[1:3] = {k}", "np.copyto({x}, {y}, where={x} < {k})", "np.add.at({x}, [0, 0], {k})",
    "{x}[...] = {y}.sum() % 5",
]  # fmt: skip
READS = ["{x}.sum()", "{x} * 2", "{x}.min(initial=9)", "{x}.shape", "{x}[..., 0]", "{x}"]
SOME = st.integers(-2, 2)


class Memory(RuleBasedStateMachine):
    """The lines so far, and the arrays that NumPy has after them."""

    names: Bundle = Bundle("names")

    @initialize(
        target=names,
        make=st.sampled_from([apart, the_same, overlapping, strided]),
        dtype=st.sampled_from(["f8", "f4", "i8", "u1"]),
    )
    def arguments(self, make: Callable[[str], tuple], dtype: str) -> Any:
        self.make, self.dtype = make, dtype
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {"np": np, "read": [], **dict(zip("abc", make(dtype)))}
        self.last = "a"
        return multiple("a", "b", "c")

    def runs(self, line: str) -> bool:
        """Whether NumPy could run a line, which then belongs to the program."""
        try:
            exec(line, self.scope)  # noqa: S102  our own text
        except (ValueError, IndexError, TypeError, OverflowError, AttributeError):
            return False
        self.lines.append(line)
        return True

    @rule(target=names, x=names, view=st.sampled_from(VIEWS))
    def view(self, x: str, view: str) -> Any:
        name = f"v{len(self.lines)}"
        if not self.runs(f"{name} = {x}{view.format(x=x)}"):
            return multiple()
        self.last = name
        return name

    @rule(x=names, y=names, k=SOME, write=st.sampled_from(WRITES))
    def write(self, x: str, y: str, k: int, write: str) -> None:
        self.runs(write.format(x=x, y=y, k=k))

    @rule(x=names, read=st.sampled_from(READS))
    def read(self, x: str, read: str) -> None:
        self.runs(f"read.append({read.format(x=x)})")

    @rule(x=names, y=names)
    def exchange(self, x: str, y: str) -> None:
        self.runs(f"{x}, {y} = {y}, {x}")

    def teardown(self) -> None:
        if not self.lines:
            return
        function = self.function()
        jitted = tracejit.jit(function)
        for _ in range(2):
            ours, numpys = self.make(self.dtype), self.make(self.dtype)
            wanted = function(*numpys)
            try:
                found = jitted(*ours)
            except UnsupportedError as error:
                assert any(text in str(error) for text in REFUSED), error  # noqa: PT017
                return
            same(found[0], wanted[0])
            same(found[1:], wanted[1:])
            same(ours, numpys)
            assert shared(found, ours) == shared(wanted, numpys)

    def function(self) -> Callable[..., tuple]:
        """The program, whose lines a traceback can show."""
        body = ["read = []", *self.lines, f"return read, {self.last}, a, c[:1]"]
        text = "def program(a, b, c):\n" + "".join(f"    {line}\n" for line in body)
        name = f"<program {abs(hash(text))}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        made: dict[str, Any] = {"np": np}
        exec(compile(text, name, "exec"), made)  # noqa: S102  our own text
        return made["program"]


# docs/memory.md: whether a reshape is a view can depend on an order that is not certain.
REFUSED = ("share memory depends on the order in which NumPy",)


def shared(results: tuple, arguments: tuple) -> list[bool]:
    """Which of the results are memory of which arguments, and of one another."""
    arrays = [array for array in results[1:] if isinstance(array, np.ndarray)]
    return [np.shares_memory(x, y) for x in arrays for y in (*arguments, *arrays)]


TestMemory = Memory.TestCase
TestMemory.settings = settings(examples(100), stateful_step_count=14, phases=[Phase.generate])
