"""What the fuser says of itself: which values each kernel has, and why others are not in it."""

from __future__ import annotations

import numpy as np

import tracejit
from tracejit.lower import pipeline
from tracejit.lower.graph.fuse import grouping
from tracejit.stages import default_options


def reasons(function, *arguments):
    """The ops of each call, and `(op, reason)` for what could not join."""
    seen = {}

    def watch(step, before, after):
        if getattr(step, "__name__", "") == "fuse":
            seen["before"], seen["after"] = before, after

    module = tracejit.jit(function).trace(*arguments).module
    pipeline.run(module, default_options(), (watch,))
    found = grouping(seen["before"].entry)
    assert found.function is seen["after"].entry
    return found, {(node.op.name, why) for node, _, why in found.refused}


def one(function, *arguments):
    found, why = reasons(function, *arguments)
    assert len(found.calls) == 2
    ((_, reason),) = why
    return reason


X = np.arange(12.0).reshape(3, 4)


def test_a_chain_is_one_group_and_nothing_is_refused():
    found, why = reasons(lambda x: np.exp(x) * 2 + 1, X)
    assert len(found.calls) == 1 and not why


def test_other_shapes_have_loops_of_their_own():
    reason = one(lambda x: np.cumsum(x, axis=0) * 2, X)
    assert "stands alone" in reason
    reason = one(lambda x: np.tanh(x).sum(axis=0).sum() * 3, X)
    assert "3x4" in reason and "over 4" in reason


def test_other_axes_are_told():
    _, why = reasons(lambda x: (np.tanh(x).sum(axis=0), np.tanh(x).sum(axis=1)), X)
    assert any("reduces axes (1,), the kernel reduces (0,)" in reason for _, reason in why)


def test_values_of_other_rows_are_told():
    _, why = reasons(lambda x: np.tanh(x) - np.tanh(x).mean(axis=1)[::-1, None], X)
    assert any("elsewhere" in reason for _, reason in why)


def test_writes_in_place_wait_for_readers():
    def function(x):
        y = np.tanh(x)
        z = y.sum(axis=1)
        y[:, 0] = z
        return y, z

    _, why = reasons(function, X)
    assert any("write in place" in reason or "loops run over" in reason for _, reason in why)
