"""Trees come apart and together again, and equal structures are equal."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracejit.trace.tree import (
    LEAF,
    flatten,
    is_plain_object,
    leaf_count,
    leaf_paths,
    unflatten,
)

Pair = namedtuple("Pair", "left right")


@dataclass(frozen=True)
class Frozen:
    x: object
    y: object = field(default=2)


@dataclass
class Slotted:
    __slots__ = ("x",)
    x: object


class Plain:
    def __init__(self, **attributes):
        vars(self).update(attributes)


leaves = st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
trees = st.recursive(
    leaves,
    lambda children: (
        st.lists(children, max_size=3)
        | st.tuples(children, children)
        | st.dictionaries(st.text(max_size=2) | st.integers(0, 3), children, max_size=3)
        | st.builds(Pair, children, children)
        | st.builds(Frozen, children, children)
    ),
    max_leaves=12,
)


@given(trees)
def test_round_trip(tree):
    found, structure = flatten(tree)
    again = unflatten(structure, found)
    assert again == tree and type(again) is type(tree)
    assert leaf_count(structure) == len(found) == len(leaf_paths(structure, "x"))
    assert flatten(again)[1] == structure
    assert hash(flatten(again)[1]) == hash(structure)


@pytest.mark.parametrize(
    "tree",
    [
        OrderedDict(b=1, a=2),
        defaultdict(list, a=1),
        Slotted(3),
        {"a": (), "b": [], "c": {}},
        Pair([1], None),
    ],
)
def test_other_containers(tree):
    found, structure = flatten(tree)
    again = unflatten(structure, found)
    assert again == tree and type(again) is type(tree)


def test_structures_tell_trees_apart():
    different = [
        1,
        (1,),
        [1],
        {"a": 1},
        {"b": 1},
        {1: 1},
        {True: 1},
        {1.0: 1},
        OrderedDict(a=1),
        (1, 2),
        ((1,), 2),
        (1, (2,)),
        (),
        [],
        Pair(1, 2),
        Frozen(1, 2),
    ]
    structures = [flatten(tree)[1] for tree in different]
    assert len(set(structures)) == len(different)
    assert flatten({"a": 1, "b": 2})[1] != flatten({"b": 2, "a": 1})[1]


def test_leaves_and_their_order():
    array = np.ones(3)
    found, structure = flatten(({"b": array, "a": None}, [1, (2.0,)]))
    assert found[0] is array and found[1:] == [None, 1, 2.0]
    assert leaf_paths(structure, "x") == ["x_0_b", "x_0_a", "x_1_0", "x_1_1_0"]
    assert flatten(array) == ([array], LEAF)


def test_objects_come_apart_on_request():
    value = Plain(w=np.ones(2), inner=Plain(k=1))
    assert flatten(value)[1] == LEAF
    found, structure = flatten(value, is_plain_object)
    again = unflatten(structure, found)
    assert type(again) is Plain and again is not value
    assert again.w is value.w and again.inner.k == 1
    assert leaf_paths(structure, "self") == ["self_w", "self_inner_k"]


@pytest.mark.parametrize("value", [3, "s", np.ones(2), int, np, ValueError(), {1}, lambda: 0])
def test_what_is_no_plain_object(value):
    assert not is_plain_object(value)


def test_a_container_in_itself_is_refused():
    tree: list = []
    tree.append(tree)
    with pytest.raises(ValueError, match="contains itself"):
        flatten(tree)
