"""What branches and loops may change beside names: attributes of objects of all kinds, views of arrays."""

import argparse
import collections
import dataclasses
import types

import numpy as np
import pytest

import tracejit


class Slotted:
    __slots__ = ("x",)


class Elusive:
    def __getattr__(self, name):
        raise AttributeError(name)


exec("class Unregistered: pass", {"__name__": "a module that nobody knows"}, UNREGISTERED := {})


@pytest.mark.parametrize(
    "kind",
    [
        Slotted,
        Elusive,
        UNREGISTERED["Unregistered"],
        types.SimpleNamespace,
        argparse.Namespace,
        dataclasses.make_dataclass("Data", [("x", float, 0.0)], slots=True),
        dataclasses.make_dataclass("Plain", [("x", float, 0.0)]),
    ],
)
def test_attributes_of_all_kinds_of_objects_are_state(kind):
    def program(x):
        o = kind()
        o.x = 1.0
        if x[0] > 0:
            o.x = 5.0
        first = o.x
        for i in range(7):
            if x[i % 3] > 1:
                o.x += x[i % 3]
        return first, o.x

    for x in (np.array([-1.0, 2, 3]), np.array([2.0, 0, 3])):
        assert tracejit.jit(program)(x) == program(x)


def test_containers_of_the_library_are_state():
    def program(x):
        words, items = collections.UserDict(k=1.0), collections.UserList([1.0, 2.0])
        if x > 0:
            words["k"] = 5.0
            items[1] = 7.0
        return words["k"], items[1]

    for x in (-1.0, 1.0):
        assert tracejit.jit(program)(x) == program(x)


def test_what_the_else_of_a_loop_reads_is_live():
    def program(a, g):
        n = 0
        for v in a:
            n = v % 3
        else:
            g[n] = 1.0
        n = 5
        return g, n

    a, g = np.arange(8), np.zeros(3)
    wanted = program(a, g.copy())[0]
    np.testing.assert_array_equal(tracejit.jit(program)(a, g.copy())[0], wanted)


def test_what_is_returned_is_written_on_the_way_out():
    def program(g, w):
        try:
            if w != 1:
                return w, g
        finally:
            g[0] = 5
        return w * 0, g

    for w in (1.0, 2.0):
        g = np.arange(3.0)
        wanted = program(g.copy(), w)
        found = tracejit.jit(program)(g, w)
        assert found[0] == wanted[0] and found[1] is g
        np.testing.assert_array_equal(g, wanted[1])
