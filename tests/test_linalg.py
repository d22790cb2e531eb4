"""numpy.linalg compiled: NumPy's own loops, so its very bits, shapes, dtypes and errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import test_fallback
from combinations import each, pairs
from numpy.linalg import LinAlgError
from samples import assert_same_bits

from tracejit import jit
from tracejit.config import config
from tracejit.ir import numpy_code


@pytest.fixture(autouse=True)
def strict():
    """NumPy's bits; small matrices have code of their own otherwise."""
    with config.use(numerics="strict"):
        yield


DTYPES = ["f4", "f8", "c8", "c16", "i4", "?"]
SHAPES = [(4, 4), (2, 3, 2, 2), (2, 0, 3, 3), (0, 0), (1, 1)]


def matrices(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, (2, *shape))
    kind = np.dtype(dtype).kind
    return np.asarray(x[0] + 1j * x[1] if kind == "c" else x[0]).astype(dtype)


def definite(shape, dtype):
    """A stack of Hermitian positive definite matrices."""
    kind = np.dtype(dtype).kind
    if kind not in "fc":
        return np.asarray(np.broadcast_to(3 * np.eye(shape[-1]), shape)).astype(dtype)
    x = matrices(shape, dtype)
    return x @ np.swapaxes(x, -1, -2).conj() + np.eye(shape[-1], dtype=dtype)


def check(function, *args):
    """Equal results, or equal exceptions; the program calls no Python."""
    try:
        wanted = function(*args)
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises
        with pytest.raises(type(error)) as caught:
            jit(function)(*args)
        assert str(caught.value) == str(error)
        return None
    compiled = jit(function)
    for _ in range(2):  # by Python, and natively
        agree(compiled(*args), wanted)
    assert not calls_of_python(compiled, *args)
    return wanted


def agree(actual, wanted):
    assert type(actual) is type(wanted)
    if not isinstance(wanted, tuple):
        actual, wanted = (actual,), (wanted,)
    for one, other in zip(actual, wanted, strict=True):
        assert type(one) is type(other)
        assert_same_bits(one, other)


def calls_of_python(compiled, *args):
    nodes = compiled.trace(*args).module.entry.nodes
    return [node for node in nodes if node.op.name == "host_call"]


L = np.linalg
SQUARE = {
    "inv": L.inv,
    "det": L.det,
    "slogdet": L.slogdet,
    "cholesky": L.cholesky,
    "cholesky upper": lambda a: L.cholesky(a, upper=True),
    "eigh": L.eigh,
    "eigh U": lambda a: L.eigh(a, "U"),
    "eigvalsh": L.eigvalsh,
    "eigvalsh u": lambda a: L.eigvalsh(a, "u"),
    "power -1": lambda a: L.matrix_power(a, -1),
    "power 0": lambda a: L.matrix_power(a, 0),
    "solve": lambda a: L.solve(a, a[..., :1] + 1),
    "solve1": lambda a: L.solve(a, np.ones(a.shape[-1], a.dtype)),
}
ANY = {
    "qr": L.qr,
    "qr complete": lambda a: L.qr(a, "complete"),
    "qr r": lambda a: L.qr(a, "r"),
    "qr raw": lambda a: L.qr(a, mode="raw"),
    "svd": L.svd,
    "svd reduced": lambda a: L.svd(a, full_matrices=False),
    "svd values": lambda a: L.svd(a, compute_uv=False),
    "svdvals": L.svdvals,
    "rank": L.matrix_rank,
    "rank tol": lambda a: L.matrix_rank(a, 0.5),
    "rank rtol": lambda a: L.matrix_rank(a, rtol=0.1),
    "cond": L.cond,
    "cond -2": lambda a: L.cond(a, -2),
    "norm 2": lambda a: L.norm(a, 2, axis=(-2, -1)),
    "norm -2": lambda a: L.norm(a, -2, axis=(-1, -2)),
    "matrix_norm": lambda a: L.matrix_norm(a, ord=2, keepdims=True),
}


@pytest.mark.parametrize("name, dtype, shape", pairs(SQUARE, DTYPES, SHAPES))
def test_of_square_matrices(name, dtype, shape):
    check(SQUARE[name], definite(shape, dtype))


@pytest.mark.parametrize(
    "name, dtype, shape",
    pairs(ANY, DTYPES, [(3, 5), (5, 3), (2, 3, 2), (2, 0, 3, 2), (0, 2), (2, 0)]),
)
def test_of_any_matrices(name, dtype, shape):
    check(ANY[name], matrices(shape, dtype))


VIEWS = [
    lambda a: a.swapaxes(-1, -2),
    lambda a: a[::2, ::-1],
    lambda a: a.transpose(1, 0, 3, 2),
    np.asfortranarray,
    lambda a: a[0, 0, ::-1, ::-1],
    lambda a: a.astype(">f8"),
]


@pytest.mark.parametrize(
    "name, view", [*each([*SQUARE, *ANY], VIEWS), *each([*ANY, *SQUARE], VIEWS)]
)
def test_of_memory_of_any_layout(name, view):
    x = view(definite((4, 6, 3, 3), "f8"))
    if name == "power 0":  # which is of the matrix's own byte order
        x = x.astype("f8", copy=False)
    check((SQUARE | ANY)[name], x)


@pytest.mark.parametrize("name", [*SQUARE, *ANY])
def test_of_computed_matrices(name):
    function = (SQUARE | ANY)[name]
    check(lambda x: function(x + x.swapaxes(0, 1)[:1]), definite((1, 1, 3, 3), "f8"))


@pytest.mark.parametrize(
    "left, right, dtypes",
    pairs(
        [(3, 3), (4, 3, 3), (2, 1, 3, 3), (0, 3, 3)],
        [(3,), (3, 2), (4, 3, 2), (2, 4, 3, 1), (3, 0)],
        ["dd", "df", "fD", "ld"],
    ),
)
def test_solve_broadcasts_stacks(left, right, dtypes):
    a, b = definite(left, dtypes[0]), matrices(right, dtypes[1])
    if 0 in left and 4 in right:
        with pytest.raises(ValueError, match="broadcast"):
            jit(L.solve)(a, b)
    else:
        check(L.solve, a, b)


@pytest.mark.parametrize(
    "function, shapes",
    [
        (L.solve, [(3, 3), (4,)]),
        (L.solve, [(3, 3), (4, 2)]),
        (L.solve, [(3, 3), ()]),
        (L.solve, [(3, 4), (3,)]),
        (L.inv, [(3,)]),
        (L.inv, [()]),
        (L.inv, [(2, 3)]),
        (L.cholesky, [(2, 3)]),
        (L.qr, [(3,)]),
        (L.svd, [(3,)]),
        (lambda a: L.eigh(a, "X"), [(3, 3)]),
        (L.cond, [(0, 0)]),
        (L.det, [(4, 3)]),
        (L.slogdet, [(4,)]),
        (lambda a: L.matrix_power(a, 1.5), [(3, 3)]),
        (L.tensorinv, [(4, 6, 8, 2)]),
        (lambda a: L.tensorinv(a, 0), [(2, 2)]),
        (L.tensorsolve, [(2, 3, 5), (2, 3)]),
    ],
)
def test_what_numpy_refuses(function, shapes):
    assert check(function, *[matrices(shape, "f8") for shape in shapes]) is None


def test_half_precision_is_refused():
    check(L.inv, np.eye(2, dtype="f2"))
    check(L.svdvals, np.eye(2, dtype="f2"))


def test_compositions():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((2, 3, 6))
    check(L.tensorsolve, a, rng.standard_normal((2, 3)))
    check(lambda a, b: L.tensorsolve(a, b, axes=(0,)), a.transpose(1, 2, 0)[None][0].reshape(3, 6, 2)
          .transpose(2, 0, 1), rng.standard_normal((3, 2)).T.copy())  # fmt: skip
    check(L.tensorinv, rng.standard_normal((4, 6, 8, 3)))
    check(lambda a: L.tensorinv(a, 1), rng.standard_normal((24, 8, 3)))


@pytest.mark.parametrize(
    "shape, dtype, options",
    pairs(
        [(4, 3), (3, 4), (2, 5, 3), (0, 3), (3, 0)],
        ["f4", "f8", "c16"],
        [{}, {"rcond": 0.1}, {"rtol": None}],
    ),
)
def test_pinv(shape, dtype, options):
    """Its products round as ours do; so does the rest."""
    a, function = matrices(shape, dtype), lambda a: L.pinv(a, **options)
    wanted, actual = function(a), jit(function)(a)
    assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_allclose(actual, wanted, atol=1e-4 if dtype == "f4" else 1e-12)


@pytest.mark.parametrize("power", [-3, -2, 1, 2, 3, 5, 8])
def test_matrix_power(power):
    a = definite((2, 3, 3), "f8")
    wanted, actual = L.matrix_power(a, power), jit(lambda a: L.matrix_power(a, power))(a)
    np.testing.assert_allclose(actual, wanted, rtol=1e-10)


# Matrices without a result.

FAILING = {
    "inv": (L.inv, np.zeros((3, 3))),
    "inv of one in a stack": (L.inv, np.stack([np.eye(2)] * 5000 + [np.ones((2, 2))])),
    "solve": (lambda a: L.solve(a, np.ones(3)), np.ones((3, 3))),
    "cholesky": (L.cholesky, -np.eye(3)),
    "cholesky of nan": (L.cholesky, np.full((2, 2), np.nan)),
    "eigh of nan": (L.eigh, np.full((3, 3), np.nan)),
    "svd of nan": (L.svd, np.full((3, 3), np.nan)),
    "power": (lambda a: L.matrix_power(a, -2), np.zeros((2, 2))),
}


def outcome(function, a):
    try:
        return function(a)
    except LinAlgError as error:
        return error


@pytest.mark.parametrize("name", FAILING)
def test_failures_are_numpys(name):
    function, bad = FAILING[name]
    good = np.asarray(np.broadcast_to(np.eye(bad.shape[-1]), bad.shape)).copy()
    compiled = jit(function)
    for _ in range(3):
        agree(compiled(good), function(good))
        wanted, actual = outcome(function, bad), outcome(compiled, bad)
        if isinstance(wanted, LinAlgError):
            assert type(actual) is LinAlgError and actual.__context__ is None
            assert str(actual) == str(wanted)
        else:
            agree(actual, wanted)


def test_nan_is_no_failure_where_it_is_none_for_numpy():
    a = np.eye(3)
    a[0, 1] = np.nan
    for function in (L.inv, L.det, L.slogdet, lambda a: L.solve(a, a)):
        check(function, a)


def test_an_ahead_of_time_program_names_the_line():
    compiled = jit(lambda a: L.inv(a) * 2).lower(np.eye(2)).compile()
    with pytest.raises(LinAlgError, match="Singular matrix") as caught:
        compiled(np.zeros((2, 2)))
    if hasattr(caught.value, "__notes__"):
        assert "test_linalg.py" in caught.value.__notes__[0]


def test_the_functions_own_handler_runs():
    def guarded(a):
        try:
            return L.cholesky(a) * 2
        except LinAlgError:
            return np.full_like(a, 7.0)

    compiled, good = jit(guarded), np.eye(3)
    for a in (good, good, -good, good, -good):
        assert_same_bits(compiled(a), guarded(a))


def test_what_was_written_before_a_failure_is_as_numpy_leaves_it():
    def caught(a, out):
        out[0] += 5
        try:
            out[1:] = L.inv(a)[0]
        except LinAlgError:
            out[1:] -= 1
        return out.sum()

    def raising(a, out):
        out[0] += 5
        out[1:] = L.inv(a)[0]

    for function in (caught, raising):
        compiled, good = jit(function), np.eye(3)
        for a in (good, good, good * 0, good, good * 0):
            wanted, actual = np.ones(4), np.ones(4)
            errors = []
            for run, out in ((function, wanted), (compiled, actual)):
                try:
                    run(a, out)
                except LinAlgError as error:
                    errors.append(str(error))
            assert len(errors) in (0, 2)
            assert_same_bits(actual, wanted)


def test_a_flag_that_was_up_before_is_no_failure():
    """Invalid operations of the program's own leave the processor's flag up."""

    def function(x, a):
        return np.sqrt(x) - np.inf + np.inf, L.inv(a)

    check(function, np.full(5, -1.0), np.eye(2) * 3)


# The machinery.


def test_sizes_that_change_compile_once():
    compiled = jit(lambda a, b: L.solve(a, b) + 1)
    for n in range(20, 29):
        a, b = definite((n, n), "f8"), matrices((n, 2), "f8")
        assert_same_bits(compiled(a, b), L.solve(a, b) + 1)
    assert compiled.cache_info().misses == 4


def test_fuses_around():
    def function(a, b):
        return np.sin(L.solve(a * 2 + 1, np.cos(b)))

    a, b = definite((3, 3), "f8"), matrices((3, 2), "f8")
    np.testing.assert_allclose(jit(function)(a, b), function(a, b), rtol=1e-12)


@pytest.mark.parametrize("program", [*test_fallback.LINEAR, *test_fallback.FOURIER])
def test_programs_of_the_fallback_are_as_they_are_there(program):
    """What is compiled and what is called through Python come to the same, at every stage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test_fallback.check(*program)


def test_without_numpys_code_it_calls_python(monkeypatch):
    monkeypatch.setattr(numpy_code, "IS_FOUND", [lambda symbol: False])
    a = definite((3, 3), "f8")
    compiled = jit(lambda a: L.inv(a) + 1)
    assert_same_bits(compiled(a), L.inv(a) + 1)
    assert calls_of_python(compiled, a)


def test_data_dependent_dtypes_are_left_to_numpy():
    for a in (np.diag([1.0, 2.0]), np.array([[0.0, 1.0], [-1.0, 0.0]])):
        agree(jit(L.eig)(a), L.eig(a))
        agree(jit(L.eigvals)(a), L.eigvals(a))


def test_least_squares():
    a, b = matrices((5, 3), "f8"), matrices((5, 2), "f8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(jit(lambda a, b: L.lstsq(a, b))(a, b), L.lstsq(a, b))


FITS = [
    lambda x, y, n: np.polyfit(x, y, n),
    lambda x, y, n: np.polyfit(x, y, n, w=np.abs(y) + 1),
    lambda x, y, n: np.polyfit(x, np.stack([y, y * 2], 1), n),
]


@pytest.mark.parametrize(
    "size, dtype, fit", pairs([(50, 3), (1000, 2), (3, 5), (7, 0)], ["f8", "f4", "i4"], FITS)
)
def test_polyfit(size, dtype, fit):
    n, degree = size
    x = (np.linspace(-1, 1, n) * (50 if dtype == "i4" else 1)).astype(dtype)
    y = (np.random.default_rng(n).normal(size=n) * 9).astype(dtype)
    function = lambda x, y: fit(x, y, degree)
    compiled = jit(function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted, found = function(x, y), compiled(x, y)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    largest = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, 0, largest * (1e-3 if dtype == "f4" else 1e-9))
    assert not calls_of_python(compiled, x, y)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.polyfit(x, x[1:], 2),
        lambda x: np.polyfit(x, x, -1),
        lambda x: np.polyfit(x[:0], x[:0], 1),
        lambda x: np.polyfit(x[None], x, 1),
    ],
)
def test_what_polyfit_refuses(function):
    assert check(function, np.arange(5.0)) is None
