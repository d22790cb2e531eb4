"""Functions that keep something from call to call, called in loops and branches of other functions."""

from __future__ import annotations

import ast
import functools
import linecache
from types import CodeType

import numpy as np
import pytest

from tracejit import jit
from tracejit.trace.capture.source import definition_of


def counter():
    n = 0

    def tick():
        nonlocal n
        n += 1
        return n

    return tick


def listed_counter():
    counts = [0]

    def tick():
        counts[0] += 1
        return counts[0]

    return tick


def running():
    total = 0.0

    def add(v):
        nonlocal total
        total = total + v
        return total

    return add


class Holder:
    def __init__(self, function):
        self.function = function


def each(function, x):
    for i in range(len(x)):
        function(x[i])


def either(function, x):
    if x[0] > 100:
        function(x[1])
    else:
        function(x[2])


def weighted(x, tick):
    total = 0.0
    for i in range(len(x)):
        total += x[i] * tick()
    return total, tick()


def of_a_counter(x):
    return weighted(x, counter())


def of_a_list(x):
    return weighted(x, listed_counter())


def of_a_partial(x):
    return weighted(x, functools.partial(counter()))


def of_a_total(x):
    add, total = running(), 0.0
    for i in range(len(x)):
        total += add(x[i])
    return total, add(0.0)


def of_two(x):
    one, other = [running() for _ in range(2)]
    total = 0.0
    for v in x:
        total += one(v) * other(2 * v)
    return total


def of_an_attribute(x):
    holder, total = Holder(running()), 0.0
    for v in x:
        total += holder.function(v)
    return total, holder.function(0.0)


def of_the_caller(x):
    total = 0.0

    def add(v):
        nonlocal total
        total += v

    each(add, x)
    either(add, x)
    return total


def in_a_branch(x):
    add = running()
    either(add, x)
    return add(0.0)


def in_a_while(x):
    add, i = running(), 0
    while add(x[i]) < 50:
        i += 1
    return add(0.0), i


def of_siblings(x):
    n, total = 0, 0.0

    def first(v):
        nonlocal n
        n += 1
        return v * n

    def second(v):
        nonlocal n, total
        for _ in range(3):
            n += 2
            total += first(v)

    for v in x:
        second(v)
    return n, total


def of_the_same_name(x):
    n, tick, total = 0, counter(), 0.0

    def own():
        nonlocal n
        n += 10
        return n

    for v in x:
        total += v * own() + tick()
    return total, n, tick()


PROGRAMS = [
    of_a_counter, of_a_list, of_a_partial, of_a_total, of_two, of_an_attribute, of_the_caller, in_a_branch,
    in_a_while, of_siblings, of_the_same_name,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("n", [5, 60])
def test_what_functions_keep(program, n):
    x = np.arange(1.0, n + 1) * (1 if n > 10 else 60)
    compiled = jit(program)
    for _ in range(2):
        np.testing.assert_allclose(np.hstack([compiled(x)]), np.hstack([program(x)]))


LAMBDAS = '''
def where(é): return [(lambda n: [é * i for i in range(n)]), lambda n: "é" if n else (
    n + 1
)]
g = (
lambda n:
  n and """
an empty line

""")
'''


def test_sources_of_lambdas():
    """They are read where they stand, whatever is before them in the line; a file is parsed once for all."""
    name, tree = "<lambdas>", ast.parse(LAMBDAS)
    linecache.cache[name] = (len(LAMBDAS), None, LAMBDAS.splitlines(True), name)
    inside = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    wanted = sorted(inside, key=lambda node: (node.lineno, node.col_offset))
    outer = [c for c in compile(tree, name, "exec").co_consts if isinstance(c, CodeType)]
    codes = [c for c in outer[0].co_consts if isinstance(c, CodeType)] + outer[1:]
    for code, node in zip(codes, wanted, strict=True):
        for _ in range(2):  # the tree that was given may have been changed
            found = definition_of(code)
            assert ast.dump(found, include_attributes=True) == ast.dump(
                node, include_attributes=True
            )
            found.body = None
