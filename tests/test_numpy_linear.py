"""Products of arrays have NumPy's shapes, dtypes, values and errors."""

import numpy as np
import pytest
from numpy_calls import DTYPES, check, sample

SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 0), (0, 4)),
    ((0, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((1, 3), (3, 1)),
    ((2, 3), (2, 3)),
    ((5, 2, 3), (4, 3, 4)),
    ((), (3,)),
    ((3,), ()),
    ((), ()),
    ((2, 3), (1, 4)),
]


@pytest.mark.parametrize("left, right", SHAPES, ids=str)
def test_matrices(left, right):
    a, b = sample(left), sample(right, seed=3)
    for function in (np.matmul, np.dot, np.vdot, np.linalg.matmul, np.outer, np.kron):
        check(function, a, b)
    check(lambda a, b: a @ b, a, b)
    check(lambda a, b: a.dot(b), a, b)


@pytest.mark.parametrize("left, right", [*SHAPES, ((2, 3), (4, 3)), ((5, 2, 3), (3,))], ids=str)
def test_inner_and_vecdot(left, right):
    a, b = sample(left, "complex128"), sample(right, "complex128", seed=3)
    check(np.inner, a, b)
    check(np.vecdot, a, b)
    check(np.matvec, a, b)
    check(np.vecmat, a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype):
    a, b = sample((3, 4), dtype), sample((4, 2), dtype, seed=3)
    functions = (
        np.matmul,
        np.dot,
        lambda a, b: np.tensordot(a, b, 1),
        lambda a, b: np.inner(a, b.T),
    )
    for function in (*functions, np.kron, np.outer, lambda a, b: np.einsum("ij,jk", a, b)):
        check(function, a, b)
    check(lambda a: np.vdot(a, a), a)
    check(lambda a: np.vecdot(a, a), a)
    check(lambda a: np.vecdot(a, a, axis=0), a)
    check(lambda a: np.linalg.vecdot(a, a, axis=0), a)
    check(lambda a: np.trace(a), a)


def test_mixed_dtypes():
    check(np.matmul, sample((2, 3), "int8"), sample((3, 2), "float32"))
    check(np.dot, sample((2, 3), "int64"), sample((3, 2), "float32"))
    check(lambda a: np.dot(a, 2.0), sample((2, 3), "float32"))
    check(lambda a: np.matmul(a, [1, 2, 3]), sample((2, 3), "float32"))
    check(lambda a: np.matmul(a, a.T, dtype="float64"), sample((2, 3), "float32"))


@pytest.mark.parametrize(
    "axes",
    [0, 1, 2, ([0], [1]), ((0, 1), (1, 0)), (1, 0), ([], []), ([0, 1], [1]), (0, 0), 3],
    ids=str,
)
def test_tensordot(axes):
    check(lambda a, b: np.tensordot(a, b, axes), sample((3, 4)), sample((4, 3), seed=2))
    check(lambda a, b: np.linalg.tensordot(a, b, axes=axes), sample((3, 4)), sample((4, 3), seed=2))


EINSUMS = [
    ("i->", 1), ("i->i", 1), ("i", 1), ("ii", 2), ("ii->i", 2), ("iij->ij", 3), ("iii->i", 3),
    ("ij->ji", 2), ("ji", 2), ("ij->j", 2), ("ij->", 2), ("...ij->...ji", 4), ("i...->...", 3),
    ("...->...", 2), ("ii...->...i", 3),
    ("i,i", 1, 1), ("i,i->i", 1, 1), ("i,j->ij", 1, 1), ("i,j->ji", 1, 1), ("i,j", 1, 1),
    ("ij,jk", 2, 2), ("ij,jk->ki", 2, 2), ("ij,ij->", 2, 2), ("ij,ij->i", 2, 2), ("ij,kj->ik", 2, 2),
    ("ij,j->i", 2, 1), ("i,ij->j", 1, 2), ("bij,bjk->bik", 3, 3), ("bij,bjk->ibk", 3, 3),
    ("bhqd,bhkd->bhqk", 4, 4), ("...ij,...jk->...ik", 3, 4), ("...i,...i", 2, 1), ("i...,i...", 2, 2),
    ("ij...,jk...->ik...", 3, 3), (",i->i", 0, 1), (",", 0, 0), ("i,->i", 1, 0), ("ii,i->", 2, 1),
    ("ij,k->", 2, 1), ("ij,k->ik", 2, 1), ("ijk,ilm,njm,nlk,abc->", 3, 3, 3, 3, 3),
    ("ij,jk,kl->il", 2, 2, 2), ("ij,jk,kl,lm", 2, 2, 2, 2), ("i,i,i->i", 1, 1, 1), ("i,i,i", 1, 1, 1),
    ("ea,fb,abcd,gc,hd->efgh", 2, 2, 4, 2, 2), (" i j , j k -> i k ", 2, 2), ("iJ,Jk->ik", 2, 2),
    ("a,b,c,d->abcd", 1, 1, 1, 1), ("i,ij,j", 1, 2, 1),
    ("ij->ij->", 2), ("ij->k", 2), ("ij->ii", 2), ("i", 2), ("ijk", 2), ("i.j", 2), ("i,i", 1),
    ("i,i", 1, 1, 1), ("i1", 2), ("...->", 2),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: case[0])
def test_einsum(case):
    spec, *ranks = case
    arrays = [sample((3,) * rank, seed=k) for k, rank in enumerate(ranks)]
    check(lambda *xs: np.einsum(spec, *xs), *arrays)
    integers = [x.astype("int32") for x in arrays]
    check(lambda *xs: np.einsum(spec, *xs, optimize=True)[()], *integers)


def test_einsum_extents():
    check(lambda a, b: np.einsum("ij,jk->ik", a, b), sample((3, 1)), sample((4, 5)))
    check(lambda a, b: np.einsum("ij,jk->ik", a, b), sample((3, 2)), sample((4, 5)))
    check(lambda a, b: np.einsum("ij,jk->ik", a, b), sample((3, 4)), sample((4, 1)))
    check(lambda a, b: np.einsum("ij,jk->ik", a, b), sample((3, 0)), sample((0, 1)))
    check(lambda a: np.einsum("ii->i", a), sample((1, 1)))
    check(lambda a: np.einsum("ii->i", a), sample((2, 3)))
    check(lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [0, 2]), sample((3, 4)), sample((4, 5)))
    check(lambda a, b: np.einsum(a, [0, 1], b, [1, 2]), sample((3, 4)), sample((4, 5)))
    check(lambda a: np.einsum(a, [..., 0], [0, ...]), sample((3, 4, 2)))
    check(lambda a, b: np.einsum("...j,jk", a, b), sample((3, 1, 4)), sample((4, 5)))
    check(lambda a, b: np.einsum("...ij,...jk", a, b), sample((3, 1, 2, 4)), sample((5, 4, 2)))


@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "float32", "complex64"])
def test_einsum_dtypes(dtype):
    a, b = sample((3, 4), dtype), sample((4, 3), dtype, seed=4)
    for spec in ("ij,jk->ik", "ij,ji->i", "ij,ji->", "ij,kl->ijkl"):
        check(lambda a, b: np.einsum(spec, a, b), a, b)
    check(lambda a: np.einsum("ij->i", a), a)
    check(lambda a, b: np.einsum("ij,jk", a, b, dtype="complex128"), a, b)


def test_einsum_stays_small():
    program = check(
        lambda a, b: np.einsum("bij,bjk->bik", a, b), sample((2, 3, 4)), sample((2, 4, 3))
    )
    assert [node.op.name for node in program.function.nodes] == [
        "parameter",
        "parameter",
        "contract",
    ]
    program = check(lambda a, b: a @ b, sample((1, 3, 4)), sample((2, 4, 3)))
    names = [node.op.name for node in program.function.nodes]
    assert sorted(names) == ["contract", "parameter", "parameter", "reshape"]


@pytest.mark.parametrize("left, right", [(3, 3), (2, 2), (3, 2), (2, 3), (4, 3)])
def test_cross(left, right):
    a, b = sample((5, left)), sample((5, right), seed=2)
    check(np.cross, a, b)
    check(np.cross, a[0], b[0])
    check(np.linalg.cross, a, b)
    check(lambda a, b: np.cross(a.T, b, axisa=0, axisc=0), a, b)
    check(lambda a, b: np.cross(a.T, b.T, axis=0), a, b)
    check(lambda a, b: np.cross(a[0], b), a, b)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8])
def test_matrix_power(n):
    check(lambda a: np.linalg.matrix_power(a, n), sample((3, 3), "int64"))
    check(lambda a: np.linalg.matrix_power(a, n), sample((2, 3, 3), "float32") / 4)
    check(lambda a: np.linalg.matrix_power(a, n), sample((2, 3)))


def test_chains():
    a, b, c = sample((2, 3)), sample((3, 4), seed=1), sample((4, 5), seed=2)
    check(lambda a, b, c: np.linalg.multi_dot([a, b, c]), a, b, c)
    check(lambda a, b, c: np.linalg.multi_dot([a[0], b, c]), a, b, c)
    check(lambda a, b, c: np.linalg.multi_dot([a[0], b, c[:, 0]]), a, b, c)
    check(lambda a, b: np.linalg.multi_dot([a, b]), a, b)
    check(lambda a, b: np.linalg.multi_dot([b, a]), a, b)
    check(lambda a: np.linalg.multi_dot([a]), a)


@pytest.mark.parametrize(
    "order", [None, "fro", 1, -1, np.inf, -np.inf, 0, 3, 0.5, "nuc", 2], ids=str
)
def test_norms(order):
    for dtype in ("float32", "float64", "complex64", "int32"):
        x = sample((3, 4), dtype)
        if order not in ("nuc", 2):
            check(lambda x: np.linalg.norm(x, order), x)
            check(lambda x: np.linalg.norm(x, ord=order, axis=(1, 0), keepdims=True), x)
            check(lambda x: np.linalg.matrix_norm(x, ord=order or "fro"), x)
        check(lambda x: np.linalg.norm(x[0], order), x)
        check(lambda x: np.linalg.norm(x, order, axis=1), x)
        check(lambda x: np.linalg.norm(x, order, axis=-2, keepdims=True), x)
        if order not in (None, "fro", "nuc"):
            check(lambda x: np.linalg.vector_norm(x, ord=order), x)
            check(lambda x: np.linalg.vector_norm(x, axis=0, ord=order, keepdims=True), x)


def test_norm_of_everything():
    check(np.linalg.norm, sample((2, 3, 4)))
    check(lambda x: np.linalg.norm(x, keepdims=True), sample((2, 3, 4)))
    check(lambda x: np.linalg.norm(x, axis=(0, 2)), sample((2, 3, 4)))
    check(lambda x: np.linalg.norm(x, axis=(0, 1, 2)), sample((2, 3, 4)))
    check(lambda x: np.linalg.norm(x, 2), sample((2, 3, 4)))


DIAGONALS = [
    lambda x: np.diagonal(x),
    lambda x: np.diagonal(x, 1),
    lambda x: np.diagonal(x, -1),
    lambda x: np.diagonal(x, 9),
    lambda x: np.diagonal(x, -9),
    lambda x: np.diagonal(x[0]),
    lambda x: x.diagonal(1),
    lambda x: np.diag(x),
    lambda x: np.diag(x, 2),
    lambda x: np.diag(x[0]),
    lambda x: np.diag(x[0], 2),
    lambda x: np.diag(x[0], -1),
    lambda x: np.diag(x[0, 0]),
    lambda x: np.diag(x[0, :0]),
    lambda x: np.diagflat(x, 1),
    lambda x: np.trace(x),
    lambda x: np.trace(x, 1, dtype="float32"),
    lambda x: x.trace(-1),
    lambda x: np.linalg.trace(x),
    lambda x: np.linalg.diagonal(x, offset=1),
    lambda x: np.tril(x),
    lambda x: np.tril(x, 1),
    lambda x: np.triu(x, -1),
    lambda x: np.triu(x),
    lambda x: np.tril(x[0]),
    lambda x: np.triu(x[0], 1),
]


@pytest.mark.parametrize("function", DIAGONALS)
@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (3, 3)], ids=str)
def test_diagonals(function, shape):
    check(function, sample(shape))
    check(function, sample(shape, "int8"))


def test_diagonals_of_stacks():
    x = sample((2, 3, 4, 5))
    check(lambda x: np.diagonal(x, 1, 1, 3), x)
    check(lambda x: np.diagonal(x, 0, -1, 0), x)
    check(lambda x: np.diagonal(x, 0, 1, 1), x)
    check(lambda x: np.trace(x, 0, 2, 3), x)
    check(lambda x: np.tril(x, -1), x)
    check(lambda x: np.linalg.trace(x), x)
