"""Operators of a user's that NumPy or Python computes: one node of their own name, then what they are."""

from __future__ import annotations

import numpy as np
import pytest
import test_laws
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_programs import check, kernels_of
from samples import Instance

import tracejit
from tracejit.errors import ShapeError, TraceError, UnsupportedError
from tracejit.ir.op import OPS
from tracejit.ir.types import DTYPES, array_type

X = np.linspace(-3, 3, 37)
MATRIX = np.random.default_rng(1).normal(size=(6, 5))
SCALE = 2.0
TABLE = np.array([1.0, 2.0, 4.0])


def gelu_of(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def text_of(function, *arrays):
    return str(tracejit.jit(function).trace(*arrays))


def test_a_function_is_one_node_and_fuses():
    gelu = tracejit.op(gelu_of, name="my_gelu_fuses")
    lowered = check(lambda x: np.sqrt(np.abs(gelu(x * 2))) + 1, X)
    assert kernels_of(lowered) == 1
    assert "gelu_fuses(t" in text_of(lambda x: gelu(x * 2), X)


def test_outside_it_is_the_function():
    gelu = tracejit.op(gelu_of, name="my_gelu_outside")
    np.testing.assert_array_equal(gelu(X), gelu_of(X))
    assert type(gelu(1.0)) is np.float64 and gelu.__name__ == "my_gelu_outside"


def test_python_numbers_promote_as_in_numpy():
    affine = tracejit.op(lambda x, a, b=1.5: x * a + b, name="my_affine")
    x = X.astype(np.float32)
    lowered = check(
        lambda x, a: (affine(x, 2.0), affine(x, a), affine(x, np.float64(2), 3.0)), x, 0.5
    )
    assert "scalars=('', 'float')" in str(lowered.stages[next(iter(lowered.stages))])
    check(lambda x: affine(x, x.sum()), x, rtol=1e-5)


def test_attributes_are_in_the_text():
    shifted = tracejit.op(
        lambda x, k, *, axis, mode="a": np.roll(x, k, axis=axis), name="my_shifted"
    )
    assert f"{shifted.name}(x, axis=1, k=2, mode='b')" in text_of(
        lambda x: shifted(x, 2, axis=1, mode="b"), MATRIX
    )
    check(lambda x: shifted(x, 2, axis=1), MATRIX)


def test_several_results_in_containers():
    def moments(x):
        mean = x.mean(axis=0)
        return {"mean": mean, "all": (x - mean, x.sum()), "name": "m"}

    moments = tracejit.op(moments, name="my_moments")

    def program(x):
        found = moments(np.exp(x))
        assert found["name"] == "m"
        return found["mean"], found["all"][0] * 2, found["all"][1]

    check(program, MATRIX)


def test_operators_in_operators_and_in_control_flow():
    inner = tracejit.op(lambda x: np.maximum(x, 0) * 2, name="my_inner_of")
    outer = tracejit.op(lambda x: inner(x + 1) - inner(x), name="my_outer_of")

    def program(x):
        total = np.zeros_like(x)
        for k in range(len(x)):
            total[k] = outer(x[k]) + k
        return total, outer(x)

    check(program, X)


def test_loops_over_arrays_are_an_operator():
    def smoothed(x, alpha):
        out = np.empty_like(x)
        out[0] = x[0]
        for k in range(1, len(x)):
            out[k] = alpha * x[k] + (1 - alpha) * out[k - 1]
        return out

    smoothed = tracejit.op(smoothed, name="my_smoothed")
    check(lambda x: smoothed(np.sin(x), 0.25) * 2, X)


def test_what_it_reads_outside_is_watched():
    global SCALE
    scaled = tracejit.op(lambda x: x * SCALE, name="my_scaled_by_global")
    compiled = tracejit.jit(lambda x: scaled(x) + 1)
    try:
        np.testing.assert_allclose(compiled(X), X * 2 + 1)
        SCALE = 5.0
        np.testing.assert_allclose(compiled(X), X * 5 + 1)
    finally:
        SCALE = 2.0


def test_small_arrays_from_outside_are_constants_and_watched():
    weigh = tracejit.op(lambda x: x[:, None] * TABLE, name="my_weigh")
    compiled = tracejit.jit(lambda x: weigh(x).sum(axis=1))
    np.testing.assert_allclose(compiled(X), X * 7)
    TABLE[0] = 3.0
    try:
        np.testing.assert_allclose(compiled(X), X * 9)
    finally:
        TABLE[0] = 1.0


def test_large_arrays_from_outside_are_refused():
    large = np.arange(5000.0)
    add_large = tracejit.op(lambda x: x + large, name="my_add_large")
    with pytest.raises(UnsupportedError, match="uses large, an array from outside"):
        tracejit.jit(lambda x: add_large(x))(np.ones(5000))


def test_a_name_never_changes_its_meaning():
    first = tracejit.op(lambda x: x + 1, name="my_again")
    before = tracejit.jit(lambda x: first(x)).trace(X)
    second = tracejit.op(lambda x: x * 10, name="my_again")
    after = tracejit.jit(lambda x: second(x)).trace(X)
    assert "again(x)" in str(before) and "again_2(x)" in str(after)
    for traced, wanted in ((before, X + 1), (after, X * 10)):
        module = tracejit.parse(str(traced))
        assert module is traced.module
        np.testing.assert_array_equal(tracejit.reference(module, X), wanted)
        np.testing.assert_array_equal(tracejit.build(module)(X), wanted)


def test_a_definition_that_is_exchanged_is_compiled_anew():
    space = {"tracejit": tracejit}
    exec("@tracejit.op\ndef my_cell(x): return x + 1\ndef f(x): return my_cell(x) * 2", space)
    compiled = tracejit.jit(space["f"])
    np.testing.assert_array_equal(compiled(X), (X + 1) * 2)
    exec("@tracejit.op\ndef my_cell(x): return x - 1", space)
    np.testing.assert_array_equal(compiled(X), (X - 1) * 2)


def test_names_that_the_text_uses_get_a_number():
    for name, wanted in (("range", "range_2"), ("f64", "f64_2"), ("exp", "exp_2"), ("a b", "a_b")):
        assert tracejit.op(lambda x: x, name=name).name.startswith(wanted)


def test_a_type_is_checked():
    same = tracejit.op(lambda x: x + 1, name="my_same", type=lambda x: x)
    check(lambda x: same(x), X)
    wrong = tracejit.op(lambda x: x.sum(), name="my_wrong_type", type=lambda x: x)
    with pytest.raises(ShapeError, match=r"gives f64\[\(\)\], and its type rule says f64\[37\]"):
        tracejit.jit(lambda x: wrong(x))(X)
    product = tracejit.op(lambda a, b: a @ b, name="my_product", type="(n,k),(k,m)->(n,m)")
    check(lambda a: product(a, a.T), MATRIX)
    first = tracejit.op(lambda a, b: a[0] + b[0], name="my_first", type="(n,k),(k,m)->(n,m)")
    with pytest.raises(ShapeError, match="k is 5, and 6 in"):
        tracejit.jit(lambda a: first(a, a))(MATRIX)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("(n)", "is no signature"),
        ("(n)->(m)", "no operand tells the extent m"),
        ("q32(n)->(n)", "no dtype 'q32'"),
        ("(n->(n)", "no"),
    ],
)
def test_signatures_that_are_none(text, problem):
    with pytest.raises(TypeError, match=problem):
        tracejit.op(lambda x: x, type=text)


def test_misuse_names_the_line():
    gelu = tracejit.op(gelu_of, name="my_gelu_misuse")
    attribute = tracejit.op(lambda x, *, k: x * k, name="my_attribute")
    view = tracejit.op(lambda x: x.T, name="my_view_of")
    writes = tracejit.op(lambda x: x.fill(1), name="my_writes")
    with pytest.raises(TypeError, match="too many positional"):
        tracejit.jit(lambda x: gelu(x, x))(X)
    with pytest.raises(TraceError, match=r"k is an attribute(?s:.*)test_operators.py"):
        tracejit.jit(lambda x: attribute(x, k=x[0]))(X)
    with pytest.raises(UnsupportedError, match=r"returns a view(?s:.*)test_operators.py"):
        tracejit.jit(lambda x: view(x))(MATRIX)
    with pytest.raises(ValueError, match="read-only"):
        tracejit.jit(lambda x: writes(x))(X)
    with pytest.raises(TypeError, match="'by'; rename"):
        tracejit.op(lambda x, by: x)


def test_what_a_definition_raises_passes():
    def strict(x, *, k):
        if k > 3:
            raise KeyError("too large")
        return x[:k]

    strict = tracejit.op(strict, name="my_strict")
    with pytest.raises(KeyError, match="too large"):
        tracejit.jit(lambda x: strict(x, k=4))(X)


# Python.


def test_a_python_function_with_a_type_is_a_node():
    calls = []

    @tracejit.op(python=True, type=lambda x, *, reverse=False: x, name="my_arranged")
    def arranged(x, *, reverse=False):
        calls.append(len(x))
        return np.sort(x)[:: -1 if reverse else 1].copy()

    lowered = check(lambda x: arranged(x * 2, reverse=True) + 1, X)
    assert calls and "extern(host('" in str(lowered)
    assert f"{arranged.name}(" in str(lowered.stages[next(iter(lowered.stages))])


def test_a_python_function_without_a_type_may_have_effects():
    seen = []

    @tracejit.op(python=True, name="my_noted")
    def noted(x):
        seen.append(float(x[0]))
        return x.sum()

    compiled = tracejit.jit(lambda x: noted(x) + noted(x + 1))
    for _ in range(2):
        seen.clear()
        assert compiled(X) == pytest.approx(2 * X.sum() + X.size)
        assert seen == [X[0], X[0] + 1]


def test_a_reference_of_its_own():
    calls = []

    def exact(x):
        calls.append(x.shape)
        return np.cumsum(x)

    def blocked(x):
        return x.cumsum()

    total = tracejit.op(blocked, name="my_total", reference=exact)
    lowered = check(lambda x: total(x) * 2, X)
    assert calls and len(lowered.stages) == 4
    calls.clear()
    np.testing.assert_allclose(tracejit.jit(lambda x: total(x))(X), np.cumsum(X), atol=1e-13)
    assert not calls


# Several implementations.


def test_which_implementation_is_taken_is_in_the_text():
    twice = tracejit.op(lambda x: x * 2, name="my_twice")

    @twice.implement(python=True)
    def _(x):
        return x + x

    assert list(twice.implementations) == ["generated", "python"]
    fast = twice.by("python")

    def program(x):
        return twice(x), fast(x + 1), twice.by("generated")(x)

    lowered = check(program, X)
    traced = str(lowered.stages[next(iter(lowered.stages))])
    assert "twice(x)" in traced and ", by='python')" in traced and ", by='generated')" in traced
    with pytest.raises(TypeError, match="no implementation 'other'; it has 'generated', 'python'"):
        twice.by("other")
    with pytest.raises(TypeError, match="has an implementation 'python' already"):
        twice.implement(lambda x: x, python=True)


def test_implementations_must_agree():
    half = tracejit.op(lambda x: x / 2, name="my_half")
    half.implement(lambda x: x.sum() / 2, name="wrong")
    with pytest.raises(
        ShapeError, match=r"'wrong' gives f64\[\(\)\], and 'generated' gives f64\[37\]"
    ):
        tracejit.jit(lambda x: half.by("wrong")(x))(X)


def test_products_by_a_library_or_generated():
    matmul = tracejit.op(np.matmul)
    lowered = check(
        lambda a: (matmul.by("library")(a, a.T) + 1, matmul.by("generated")(a, a.T)), MATRIX
    )
    assert str(lowered).count("cblas_dgemm") == 1
    assert "by='library'" in str(lowered.stages[next(iter(lowered.stages))])
    np.testing.assert_array_equal(matmul.by("library")(MATRIX, MATRIX.T), MATRIX @ MATRIX.T)
    with pytest.raises(UnsupportedError, match="cannot be left to a library"):
        tracejit.jit(lambda a: matmul.by("library")(a, a))(np.arange(2500).reshape(50, 50))
    with pytest.raises(UnsupportedError, match="no product of matrices"):
        tracejit.jit(lambda a: tracejit.op(np.dot).by("library")(a, 2.0))(MATRIX)
    with pytest.raises(TypeError, match="'generated' and 'library'"):
        matmul.by("foreign")


# Laws.


def samples(dtype):
    shapes = [(7,), (0,), (3, 4), ()]
    return [([array_type(shape, dtype)], {}) for shape in shapes if dtype.is_float]


def test_an_operator_obeys_the_laws():
    larger = tracejit.op(
        lambda x: np.where(x > 0, np.maximum(x, 1), -np.abs(x)), name="my_larger", samples=samples
    )
    record = OPS[larger.name]
    with np.errstate(all="ignore"):
        test_laws.test_type_rule_is_numpys(record)
        test_laws.test_every_stage_reads_back_and_means_the_same(record)
        test_laws.test_native_code_is_numpy(record)
    assert len(test_laws.few(record)) > 3
    assert Instance((array_type((7,), DTYPES["f64"]),), {}) in list(test_laws.instances(record))


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.sampled_from(["gelu", "norm", "roll", "scale"]), min_size=1, max_size=5),
    st.tuples(st.integers(1, 5), st.integers(1, 9)),
    st.sampled_from(["float32", "float64"]),
)
def test_programs_of_operators(names, shape, dtype):
    x = np.random.default_rng(3).normal(size=shape).astype(dtype)

    def program(x):
        for name in names:
            x = CHAIN[name](x)
        return x

    tolerance = 1e-10 if dtype == "float64" else 1e-3
    check(program, x, rtol=tolerance, atol=tolerance)


CHAIN = {}


@pytest.fixture(autouse=True, scope="module")
def chain():
    CHAIN.update(
        gelu=tracejit.op(gelu_of, name="my_chain_gelu"),
        norm=tracejit.op(
            lambda x: (x - x.mean(axis=-1, keepdims=True)) / (1 + x.std(axis=-1, keepdims=True)),
            name="my_chain_norm",
        ),
        roll=tracejit.op(lambda x: np.roll(x, 1, axis=0), name="my_chain_roll"),
        scale=tracejit.op(lambda x, a=0.5: x * a, name="my_chain_scale"),
    )
