"""Passes by name: pipelines are edited, replaced and watched; what they leave unfinished is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.errors import IRError
from tracejit.ir.verify import Stage
from tracejit.lower.pipeline import PIPELINE, Options
from tracejit.lower.steps import Pipeline
from tracejit.lower.tensor import loops

X = np.linspace(0.1, 1.0, 60).reshape(6, 10)


def program(x):
    return np.exp(np.log(x)) + (x - x.mean(axis=1, keepdims=True)) * 1.0


def spy(seen):
    def look(module):
        seen.append(module)
        return module

    return look


def names(pipeline):
    return list(pipeline.names)


def test_every_built_in_pass_has_the_name_of_its_function():
    assert [n for n in PIPELINE.names if n.startswith("_")] == []
    for step in PIPELINE:
        numerics = {"contract": "default", "keep_order": "strict"}.get(step.name, "fast")
        bound = step.bind(Options(numerics=numerics))
        while hasattr(bound, "func"):
            bound = bound.func
        assert bound.__name__ == step.name
    assert PIPELINE.stages[Stage.LOOPS] == ("lower_called", "to_loops", "relax")
    assert "fuse" in str(PIPELINE) and "SCHEDULED" in str(PIPELINE)


def test_edits_give_another_pipeline():
    def mine(module):
        return module

    before = names(PIPELINE)
    place = before.index("fuse")
    assert names(PIPELINE.insert_before("fuse", mine)) == before[:place] + ["mine"] + before[place:]
    after = names(PIPELINE.insert_after("fuse", mine, mine))
    assert after == before[: place + 1] + ["mine", "mine"] + before[place + 1 :]
    assert names(PIPELINE.replace("fuse", mine))[place] == "mine"
    assert names(PIPELINE.wrap("fuse", lambda inner: inner)) == before
    assert "drop_checks" not in PIPELINE.drop("drop_checks").names  # both of them
    assert names(PIPELINE.prepend(mine)) == ["mine", *before]
    assert PIPELINE.prepend(mine)[0].stage is Stage.TRACED
    assert names(PIPELINE.append(mine)) == [*before, "mine"]
    assert (
        PIPELINE.insert_after("to_loops", mine)[before.index("to_loops") + 1].stage is Stage.LOOPS
    )
    assert names(PIPELINE) == before
    for edit in (PIPELINE.drop, lambda name: PIPELINE.insert_before(name, mine)):
        with pytest.raises(ValueError, match="no pass 'fuze'; it has .*fuse"):
            edit("fuze")
    with pytest.raises(TypeError, match="a pass is a function"):
        PIPELINE.prepend(3)


def test_a_tuple_replaces_the_pipeline():
    seen = []
    look = spy(seen)
    f = tracejit.jit(program, passes=(look, *tracejit.pipeline()))
    np.testing.assert_allclose(f(X), program(X))
    assert [m.entry.name for m in seen] == ["program"]
    # A function stands at the stage of what is before it.
    after = PIPELINE.names.index("to_loops") + 1
    mixed = Pipeline.of((look, *PIPELINE[:after], look, *PIPELINE[after:]))
    assert [s.stage for s in mixed if s.name == "look"] == [Stage.TRACED, Stage.LOOPS]
    lowered = tracejit.jit(program).trace(X)
    assert lowered.lower(passes=tuple(PIPELINE)).module is lowered.lower().module
    # Nothing is reordered, and what comes late leads to no earlier stage.
    first = PIPELINE[PIPELINE.names.index("canonicalize")]
    late = Pipeline.of((*PIPELINE, first))
    assert late[-1].name == "canonicalize" and late[-1].stage is Stage.SCHEDULED


def test_passes_in_place_of_built_in_ones_are_run():
    traced = tracejit.jit(program).trace(X)
    kernels = lambda lowered: len(lowered.stages[Stage.LOOPS].functions) - 1
    assert kernels(traced.lower()) == 1
    seen = []

    def around(inner):
        def wrapped(module):
            seen.append(inner.__name__)
            return inner(module)

        return wrapped

    wrapped = traced.lower(passes=PIPELINE.wrap("vectorize", around).wrap("fuse", around))
    assert seen == ["fuse", "vectorize"] and wrapped.module is traced.lower().module
    scalar = traced.lower(passes=PIPELINE.drop("vectorize", "parallelize"))
    assert "vector(" not in str(scalar) and "vector(" in str(traced.lower())
    np.testing.assert_allclose(scalar.compile()(X), program(X))
    # By keyword of `lower`, of `build`, of `jit`.
    f = tracejit.jit(program)
    assert f.lower(X, passes=PIPELINE.drop("vectorize", "parallelize")).module is scalar.module
    built = tracejit.build(traced.module, passes=PIPELINE.drop("vectorize"))
    assert "vector(" not in str(built.module)
    assert "vector(" not in str(tracejit.jit(program, passes=PIPELINE.drop("vectorize")).lower(X))


def test_a_parameter_called_passes_is_the_functions_own():
    f = tracejit.jit(lambda x, passes: x * passes)
    assert "multiply" in str(f.lower(X, passes=2.0).stages[Stage.TRACED])


def test_what_is_not_finished_is_refused_with_a_remedy():
    with pytest.raises(IRError, match=r"(?s)stage SCHEDULED.*\*tracejit.pipeline\(\)"):
        tracejit.jit(program, passes=(lambda module: module,))(X)
    with pytest.raises(TypeError, match="forgetful returned NoneType, not a Module"):

        def forgetful(module):
            pass

        tracejit.jit(program, passes=(forgetful, *tracejit.pipeline()))(X)


def test_instruments_see_every_pass():
    seen = []

    def watch(step, before, after):
        seen.append((step.__name__, before is after))

    f = tracejit.jit(program, instruments=[watch], threads=1)
    f(X)
    assert [name for name, _ in seen] == names(PIPELINE)
    assert ("parallelize", True) in seen and ("fuse", False) in seen
    count = len(seen)
    f.lower(X, instruments=[watch])
    assert len(seen) == 3 * count
    tracejit.build(f.trace(X).module, instruments=[watch])
    assert len(seen) == 4 * count


def layered(x, *weights):
    for w in weights:
        x = np.tanh(x @ w - x.max(axis=1, keepdims=True))
    return x


def test_layers_of_one_kind_become_kernels_once(monkeypatch):
    """However many there are: they have weights of their own, and the code in common."""
    lowered, lower = [], loops.lower_function
    monkeypatch.setattr(
        loops, "lower_function", lambda group, *how: lowered.append(group) or lower(group, *how)
    )
    x, *weights = np.random.default_rng(2).normal(0, 0.3, (9, 16, 16))
    compiled = tracejit.jit(layered).lower(x, *weights).compile()
    assert len(lowered) == len(set(lowered)) < len(weights)
    assert len(compiled.module.functions) == len(lowered) + 1
    np.testing.assert_allclose(compiled(x, *weights), layered(x, *weights), rtol=1e-12)
