"""Products whose rows are reduced: made a strip of rows at a time, without the matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracejit
from tracejit.lower.graph import row_ends, row_folds
from tracejit.lower.tensor import row_blocks

WITHOUT = tracejit.pipeline().drop("reduce_products")
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 1000, 5003)


def nearest(x, centres):
    return ((centres * centres).sum(1) - 2 * (x @ centres.T)).argmin(1)


def least_distance(x, centres):
    squares = (x * x).sum(1)[:, None] + (centres * centres).sum(1)
    return np.sqrt(np.maximum(squares - 2 * (x @ centres.T), 0).min(1))


def log_of_sum(x, centres):
    scores = x @ centres.T
    top = scores.max(1, keepdims=True)
    return np.log(np.exp(scores - top).sum(1)) + top[:, 0]


def cross_entropy(x, centres):
    scores = x @ centres.T
    label = LABELS[: len(x)] % len(centres)
    top = scores.max(1, keepdims=True)
    chosen = scores[np.arange(len(x)), label]
    return (np.log(np.exp(scores - top).sum(1)) + top[:, 0] - chosen).mean()


def picked(x, centres):
    scores = x @ centres.T
    label = (LABELS[: len(x)] % len(centres))[:, None]
    return np.take_along_axis(scores, label, 1)[:, 0] - scores.mean(1)


def second_moment(x, centres):
    return ((x @ centres.T) ** 2).sum(1, keepdims=True) + x[:, :1]


PROGRAMS = [nearest, least_distance, log_of_sum, cross_entropy, picked, second_moment]


def points(rows, columns, depth, dtype):
    return [RNG.standard_normal((n, depth)).astype(dtype) for n in (rows, columns)]


@pytest.mark.parametrize(
    "program,dtype", [*((f, "float32") for f in PROGRAMS), (cross_entropy, "float64")]
)
def test_the_matrix_is_not_stored(program, dtype):
    x, centres = points(5003, 611, 24, dtype)
    wanted = program(x.astype("float64"), centres.astype("float64"))
    size = 5003 * 611 * x.itemsize
    results = []
    for options in ({"threads": 1}, {"threads": 2}):
        f = tracejit.jit(program, **options)
        results.append(f(x, centres))
        assert f.memory(x, centres).workspace < size / 4
    np.testing.assert_array_equal(results[0], results[1])
    apart = tracejit.jit(program, passes=WITHOUT)
    results.append(apart(x, centres))
    assert apart.memory(x, centres).workspace >= size
    for got in results:
        if program is nearest:
            assert (got != wanted).mean() < 1e-3
        else:
            near = 2e-5 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(got, wanted, rtol=near, atol=near * abs(wanted).max())


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 40),
    st.sampled_from(PROGRAMS),
    st.sampled_from(["strict", "default"]),
    st.booleans(),
)
@settings(max_examples=5, deadline=None)
def test_every_size(rows, columns, depth, program, numerics, turned):
    x, centres = points(rows, columns, depth, "float64")
    if turned:
        x, centres = np.asfortranarray(x), centres[::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_ends, "LEAST_BYTES", 0)
        patch.setattr(row_ends, "saves_more", lambda function, **_: True)
        got = tracejit.jit(program, numerics=numerics)(x, centres)
    np.testing.assert_allclose(got, program(x, centres), rtol=1e-9, atol=1e-9)


def test_values_that_are_not_numbers():
    x, centres = points(5000, 600, 16, "float32")
    x[7, 3], x[8, 2] = np.nan, np.inf
    with np.errstate(all="ignore"):
        for program in (nearest, log_of_sum):
            np.testing.assert_allclose(
                tracejit.jit(program)(x, centres)[:20], program(x, centres)[:20], rtol=1e-4
            )


def test_what_else_reads_the_matrix_keeps_it():
    def both(x, centres):
        scores = x @ centres.T
        return scores.max(1), scores

    x, centres = points(5003, 611, 24, "float32")
    for got, wanted in zip(tracejit.jit(both)(x, centres), both(x, centres)):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_labels_outside_are_refused():
    def loss(x, centres, label):
        scores = x @ centres.T
        return scores.max(1) - scores[np.arange(len(x)), label]

    x, centres = points(5003, 611, 24, "float32")
    label = RNG.integers(-611, 611, 5003)
    f = tracejit.jit(loss)
    assert f.memory(x, centres, label).workspace < 5003 * 611
    np.testing.assert_allclose(f(x, centres, label), loss(x, centres, label), rtol=1e-4, atol=1e-4)
    label[4000] = 611
    with pytest.raises(IndexError):
        f(x, centres, label)


def test_short_rows_and_single_elements():
    """A row of few columns is in lanes already where its extremum is looked for; picked elements are no sweep."""
    x, centres = points(203, 32, 8, "float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_ends, "LEAST_BYTES", 0)
        patch.setattr(row_ends, "saves_more", lambda function, **_: True)
        for program in (
            nearest,
            lambda x, c: np.take_along_axis(x @ c.T, LABELS[:203, None] % 32, 1),
        ):
            got = tracejit.jit(program)(x, centres)
            np.testing.assert_allclose(got, program(x, centres), rtol=1e-4, atol=1e-5)


# Rows that are longer than a strip has room for: block by block.


def likelihoods(x, centres):
    scores = x @ centres.T * 0.5 + centres[:, 0]
    shifted = scores - scores.max(1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -np.take_along_axis(logarithms, LABELS[: len(x), None] % len(centres), 1)


def furthest(x, centres):
    scores = x @ centres.T
    return scores.argmax(1) - 1000 * scores.argmin(1)


def counted(x, centres):
    scores = x @ centres.T
    return (scores > 0).sum(1) + (scores * scores).sum(1) - scores.min(1) / (1 + abs(x[:, 0]))


def density(x, centres):
    squares = (x * x).sum(1)[:, None] + (centres * centres).sum(1) - 2 * (x @ centres.T)
    return np.exp(-squares / 8).sum(1)


@pytest.mark.parametrize(
    "program", [nearest, log_of_sum, cross_entropy, likelihoods, furthest, counted, density]
)
def test_blocks_of_long_rows(program, monkeypatch):
    monkeypatch.setattr(row_ends, "LEAST_BYTES", 0)
    monkeypatch.setattr(row_ends, "saves_more", lambda function, **_: True)
    monkeypatch.setattr(row_folds, "NEAR_BYTES", 0)
    for module in (row_folds, row_blocks):
        monkeypatch.setattr(module, "BLOCK_BYTES", 128)
    made = []
    of_blocks = row_blocks.RowBlocks.body
    monkeypatch.setattr(
        row_blocks.RowBlocks, "body", lambda self: made.append(of_blocks(self)) or made[-1]
    )
    f = tracejit.jit(program)
    given_ = points(203, 61, 8, "float64")
    for special in ((), (np.nan,), (np.inf, -np.inf), (-0.0, 1e300)):
        x, centres = [a.copy() for a in given_]
        for k, value in enumerate(special):
            x[3 + 2 * k], centres[17 + 9 * k, :2] = value, value
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(f(x, centres), program(x, centres), rtol=1e-9)
    assert made and made[0] is not None


def test_first_of_equals_in_blocks(monkeypatch):
    for module in (row_folds, row_blocks):
        monkeypatch.setattr(module, "BLOCK_BYTES", 128)
    for name, value in (("LEAST_BYTES", 0), ("saves_more", lambda function, **_: True)):
        monkeypatch.setattr(row_ends, name, value)
    monkeypatch.setattr(row_folds, "NEAR_BYTES", 0)
    f = tracejit.jit(furthest)
    x, centres = [RNG.integers(-1, 2, (n, 3)).astype("float64") for n in (90, 100)]
    x[5], centres[40] = 0, np.nan
    for by in (centres[:39], centres):
        np.testing.assert_array_equal(
            f(x, np.resize(by, (100, 3))), furthest(x, np.resize(by, (100, 3)))
        )
    x[:, 0], centres = -np.inf, np.ones((100, 3))
    np.testing.assert_array_equal(f(x, centres), furthest(x, centres))
