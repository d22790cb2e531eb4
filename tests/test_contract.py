"""Contractions against einsum: every schedule, dtype and layout, as text, interpreted and native."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each, pairs

import tracejit
from tracejit import stages
from tracejit.config import config
from tracejit.ir import ops
from tracejit.ir.dims import symbol
from tracejit.ir.graph import Function, Module, call_results, parameter
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Allocate, Extern, For, expressions_of, parts, statements
from tracejit.ir.term import postorder
from tracejit.ir.text import parse, show
from tracejit.ir.types import DTYPES, ArrayType, Layout, array_type, i32, i64
from tracejit.ir.verify_kernel import unproved
from tracejit.lower.machine import Machine
from tracejit.lower.tensor.contract import lower_contraction
from tracejit.lower.tensor.contract.library import Library
from tracejit.runtime import engine
from tracejit.runtime.libraries import blas_integer_bits
from tracejit.stages import build

# Small enough for the interpreter.
SMALL = [
    ("ik,kj->ij", {"i": 1, "j": 1, "k": 1}),
    ("ik,kj->ij", {"i": 2, "j": 2, "k": 2}),
    ("ik,kj->ij", {"i": 8, "j": 8, "k": 8}),
    ("ik,kj->ij", {"i": 7, "j": 19, "k": 13}),
    ("ik,kj->ij", {"i": 1, "j": 20, "k": 5}),
    ("ik,kj->ij", {"i": 20, "j": 1, "k": 5}),
    ("ik,kj->ij", {"i": 50, "j": 3, "k": 7}),
    ("ik,jk->ij", {"i": 9, "j": 11, "k": 6}),
    ("ki,kj->ij", {"i": 9, "j": 11, "k": 6}),
    ("ki,jk->ij", {"i": 9, "j": 11, "k": 6}),
    ("ik,kj->ji", {"i": 9, "j": 11, "k": 6}),
    ("ik,k->i", {"i": 13, "k": 21}),
    ("ki,k->i", {"i": 13, "k": 21}),
    ("k,kj->j", {"j": 23, "k": 11}),
    ("k,jk->j", {"j": 13, "k": 21}),
    ("k,k->", {"k": 3}),
    ("k,k->", {"k": 301}),
    ("i,j->ij", {"i": 5, "j": 7}),
    ("i,j->ij", {"i": 50, "j": 7}),
    ("i,i->i", {"i": 9}),
    (",i->i", {"i": 9}),
    (",->", {}),
    ("bik,bkj->bij", {"b": 3, "i": 4, "j": 4, "k": 4}),
    ("bik,bjk->bij", {"b": 2, "i": 3, "j": 5, "k": 20}),
    ("ikb,kjb->ijb", {"b": 6, "i": 3, "j": 4, "k": 5}),
    ("ib,bj->bij", {"b": 3, "i": 4, "j": 5}),
    ("bi,bi->b", {"b": 4, "i": 18}),
    ("bi,bi->bi", {"b": 4, "i": 5}),
    ("bi,bj->ibj", {"b": 3, "i": 4, "j": 5}),
    ("abik,abjk->abij", {"a": 2, "b": 2, "i": 3, "j": 4, "k": 5}),
    ("ijk,kl->ijl", {"i": 3, "j": 4, "k": 5, "l": 6}),
    ("ijk,jkl->il", {"i": 5, "j": 4, "k": 3, "l": 6}),
    ("ijk,kjl->il", {"i": 5, "j": 4, "k": 3, "l": 6}),
    ("iabk,kabj->ij", {"i": 4, "a": 2, "b": 3, "k": 4, "j": 5}),
    ("ik,kj->ij", {"i": 3, "j": 4, "k": 0}),
    ("ik,kj->ij", {"i": 0, "j": 4, "k": 3}),
    ("ik,kj->ij", {"i": 3, "j": 0, "k": 3}),
    ("k,k->", {"k": 0}),
    ("bik,bkj->bij", {"b": 0, "i": 3, "j": 4, "k": 5}),
]

# Blocks, panels, packing, threads, ranges of the depth; beyond the interpreter's patience.
LARGE = [
    ("ik,kj->ij", {"i": 64, "j": 64, "k": 64}),
    ("ik,kj->ij", {"i": 67, "j": 130, "k": 259}),
    ("ik,kj->ij", {"i": 8, "j": 700, "k": 300}),
    ("ik,kj->ij", {"i": 301, "j": 419, "k": 523}),
    ("ik,kj->ij", {"i": 128, "j": 1024, "k": 512}),
    ("ik,kj->ij", {"i": 127, "j": 511, "k": 253}),
    ("ik,kj->ij", {"i": 41, "j": 1031, "k": 700}),
    ("ik,jk->ij", {"i": 41, "j": 1031, "k": 700}),
    ("bik,bkj->bij", {"b": 3, "i": 29, "j": 777, "k": 300}),
    ("ik,jk->ij", {"i": 6, "j": 300, "k": 400}),
    ("ik,jk->ij", {"i": 101, "j": 210, "k": 307}),
    ("ki,kj->ij", {"i": 140, "j": 512, "k": 512}),
    ("kai,kj->iaj", {"a": 3, "i": 64, "k": 70, "j": 90}),
    ("jk,kai->iaj", {"a": 3, "i": 64, "k": 70, "j": 90}),
    ("ik,kj->ij", {"i": 64, "j": 64, "k": 4100}),
    ("aik,kaj->ij", {"a": 8, "i": 64, "j": 96, "k": 48}),
    ("ik,kj->ij", {"i": 203, "j": 3, "k": 300}),
    ("ik,kj->ij", {"i": 203, "j": 5, "k": 300}),
    ("ik,jk->ij", {"i": 203, "j": 7, "k": 301}),
    ("ki,jk->ij", {"i": 131, "j": 177, "k": 301}),
    ("ki,kj->ij", {"i": 5, "j": 10, "k": 20011}),
    ("k,kj->j", {"j": 16, "k": 20011}),
    ("k,kj->j", {"j": 1600, "k": 403}),
    ("ik,k->i", {"i": 1003, "k": 500}),
    ("ki,k->i", {"i": 1003, "k": 500}),
    ("k,k->", {"k": 300007}),
    ("bik,bkj->bij", {"b": 1000, "i": 4, "j": 4, "k": 4}),
    ("bik,bjk->bij", {"b": 40, "i": 50, "j": 60, "k": 70}),
    ("abik,abkj->abij", {"a": 2, "b": 3, "i": 60, "j": 70, "k": 80}),
]


def values(shape: tuple[int, ...], dtype, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.random(shape) < 0.2
    if dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        return rng.integers(limits.min, limits.max, shape, dtype.numpy, endpoint=True)
    if dtype.is_complex:
        parts = rng.standard_normal((*shape, 2))
        return (parts[..., 0] + 1j * parts[..., 1]).astype(dtype.numpy)
    return np.asarray(rng.standard_normal(shape)).astype(dtype.numpy)


def operands(spec: str, extents: dict, dtype) -> list[np.ndarray]:
    labels = spec.split("->")[0].split(",")
    return [values(tuple([extents[x] for x in l]), dtype, k) for k, l in enumerate(labels)]


def assert_is_product(result, spec: str, a: np.ndarray, b: np.ndarray) -> None:
    """Exact for integers and bools; otherwise within the bound on any order of summing."""
    result = np.asarray(result)
    if a.dtype.kind == "b":
        wanted = np.einsum(spec, a.astype(int), b.astype(int)) > 0
    elif a.dtype.kind in "iu":
        wanted = np.einsum(spec, a, b)
    else:
        wanted = np.einsum(spec, a.astype(np.complex128), b.astype(np.complex128))
    assert result.dtype == a.dtype and result.shape == wanted.shape
    if a.dtype.kind in "biu":
        np.testing.assert_array_equal(result, wanted)
        return
    depth = max(1, a.size * b.size // max(wanted.size, 1))
    sums = np.einsum(spec, abs(a).astype(float), abs(b).astype(float))
    working = np.float32 if a.dtype == np.float16 else a.dtype
    bound = 4 * np.sqrt(depth) * np.finfo(working).eps * sums
    bound = bound + np.finfo(a.dtype).eps * abs(wanted)
    assert (abs(result.astype(np.complex128) - wanted) <= bound).all()


def module_of(spec: str, extents: dict, dtype, layouts=(None, None)) -> Module:
    labels = spec.split("->")[0].split(",")
    inputs = tuple(
        parameter(f"x{k}", ArrayType(tuple([extents[x] for x in l]), dtype, layout))
        for k, (l, layout) in enumerate(zip(labels, layouts))
    )
    return Module(Function("product", inputs, (ops.contract(*inputs, spec=spec),)))


def kernel_of(module: Module, vector_bytes: int = 64):
    return lower_contraction(module.entry, module.entry.results[0], Machine(vector_bytes))


def callable_of(kernel):
    """The kernel as a program of its own."""
    inputs = tuple([parameter(b.name, b.type) for b in kernel.inputs])
    return build(Module(Function("program", inputs, call_results(kernel, *inputs))))


def named(value) -> str:
    return (
        value if isinstance(value, str) else f"{value[0]}:{'x'.join(map(str, value[1].values()))}"
    )


@pytest.mark.parametrize(
    "case, dtype", [*each(SMALL, ["f32", "c128"]), *each(SMALL, ["bool", "i8"])], ids=named
)
def test_small(case, dtype):
    (spec, extents), dtype = case, DTYPES[dtype]
    a, b = operands(spec, extents, dtype)
    module = module_of(spec, extents, dtype)
    lowered = Module(kernel_of(module))
    assert parse(show(lowered)) is lowered
    assert unproved(lowered.entry) == []
    assert_is_product(reference(lowered, a, b), spec, a, b)
    assert_is_product(build(module)(a, b), spec, a, b)


@pytest.mark.parametrize("case, dtype", each(LARGE, ["f32", "f64"]), ids=named)
def test_large(case, dtype):
    (spec, extents), dtype = case, DTYPES[dtype]
    a, b = operands(spec, extents, dtype)
    module = module_of(spec, extents, dtype)
    assert unproved(kernel_of(module)) == []
    assert_is_product(build(module)(a, b), spec, a, b)


OF_EVERY_DTYPE = [
    ("ik,kj->ij", {"i": 31, "j": 45, "k": 50}),
    ("ik,jk->ij", {"i": 31, "j": 45, "k": 50}),
    ("ik,k->i", {"i": 31, "k": 200}),
    ("k,kj->j", {"j": 700, "k": 70}),
    ("k,k->", {"k": 1000}),
    ("ik,kj->ij", {"i": 61, "j": 700, "k": 700}),
]


@pytest.mark.parametrize(
    "case, dtype",
    [*each(OF_EVERY_DTYPE[:1], DTYPES), *each(OF_EVERY_DTYPE[1:], DTYPES)],
    ids=named,
)
def test_every_dtype(case, dtype):
    (spec, extents), dtype = case, DTYPES[dtype]
    a, b = operands(spec, extents, dtype)
    assert_is_product(build(module_of(spec, extents, dtype))(a, b), spec, a, b)


@pytest.mark.parametrize("vector_bytes", [16, 32])
@pytest.mark.parametrize("case", [SMALL[3], SMALL[6], SMALL[7], SMALL[11], SMALL[13], SMALL[29]])
def test_narrower_registers(case, vector_bytes):
    spec, extents = case
    a, b = operands(spec, extents, DTYPES["f64"])
    kernel = kernel_of(module_of(spec, extents, DTYPES["f64"]), vector_bytes)
    assert_is_product(reference(Module(kernel), a, b), spec, a, b)
    assert_is_product(callable_of(kernel)(a, b), spec, a, b)


@pytest.mark.parametrize("shape", [(5, 6, 7), (70, 140, 600)])
@pytest.mark.parametrize("order", ["FC", "CF", "FF"])
def test_column_major_operands(shape, order):
    m, n, k = shape
    a, b = operands("ik,kj->ij", {"i": m, "j": n, "k": k}, DTYPES["f64"])
    arrays = [np.asarray(x, order=o) for x, o in zip((a, b), order)]
    layouts = [Layout(tuple(s // 8 for s in x.strides)) for x in arrays]
    module = module_of("ik,kj->ij", {"i": m, "j": n, "k": k}, DTYPES["f64"], layouts)
    assert_is_product(build(module)(*arrays), "ik,kj->ij", a, b)


def test_depth_in_two_strides():
    """Contracted axes that do not merge, beside rows that are far apart and backwards."""
    a = values((9, 10, 24), DTYPES["f64"], 0)[::-1, :, ::2]
    b = values((10, 12, 31), DTYPES["f64"], 1)
    extents = dict(zip("iabj", (9, 10, 12, 31)))
    layouts = (Layout((-240, 24, 2)), None)
    module = module_of("iab,abj->ij", extents, DTYPES["f64"], layouts)
    assert_is_product(build(module)(a, b), "iab,abj->ij", a, b)


@pytest.mark.parametrize("extents", [(33, 20, 17), (60, 300, 700)])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_computed_operands_and_result(extents, dtype):
    """Elementwise work on the way in and out needs no pass of its own."""
    m, n, k = extents
    f64 = DTYPES["f64"]
    x, w = parameter("x", array_type((m, k), f64)), parameter("w", array_type((n, k), f64))
    bias = parameter("bias", array_type((n,), f64))
    squared, turned = ops.square(x), ops.transpose(w, axes=(1, 0))
    product = ops.contract(squared, turned, spec="ik,kj->ij")
    total = ops.add(product, ops.broadcast(bias, shape=(m, n), axes=(1,)))
    result = ops.maximum(total, product)
    if dtype == "f32":
        result = ops.cast(result, dtype=DTYPES["f32"])
    kernel = lower_contraction(Function("layer", (x, w, bias), (result,)), product)
    assert not any(isinstance(s, Allocate) and s.buffer.type.shape == (m, n) for s in kernel.body)
    arrays = [values(p.type.shape, f64, seed) for seed, p in enumerate((x, w, bias))]
    product = arrays[0] ** 2 @ arrays[1].T
    wanted = np.maximum(product + arrays[2], product)
    actual = callable_of(kernel)(*arrays)
    assert actual.dtype == DTYPES[dtype].numpy
    np.testing.assert_allclose(actual, wanted, rtol=1e-6, atol=1e-5)


# Rows, columns and depth: tiles, single rows, whole, narrow and cut panels, blocks of the depth.
SIZES = [(8, 8, 8), (9, 11, 10), (33, 70, 21), (130, 99, 300), (13, 32, 513), (70, 9, 64)]


OF_UNKNOWN_EXTENTS = [
    ("ik,kj->ij", "f32"),
    ("ik,kj->ij", "i64"),
    ("ik,kj->ij", "bool"),
    ("ik,jk->ij", "f64"),
    ("ki,kj->ij", "c128"),
    ("ki,jk->ij", "f16"),
    ("ik,k->i", "f32"),
    ("bik,bkj->bij", "f64"),
    ("bik,kj->bij", "i8"),
    ("bik,bjk->ibj", "f32"),
]


@pytest.mark.parametrize(
    "case, unknown",
    [
        *each(OF_UNKNOWN_EXTENTS, ["bijk"]),
        *each(OF_UNKNOWN_EXTENTS[:1], ["i", "k", "ik", "j"]),
        *each(OF_UNKNOWN_EXTENTS[3:], ["k", "i", "j", "ik"]),
        *each(OF_UNKNOWN_EXTENTS[-3:], ["b", "ijk"]),
    ],
)
def test_symbolic_extents(case, unknown):
    spec, dtype = case
    known = {"b": 3, "i": 20, "j": 37, "k": 18}
    unknown = [label for label in unknown if label in spec]
    extents = known | {label: symbol(label) for label in unknown}
    module = module_of(spec, extents, DTYPES[dtype])
    lowered = Module(kernel_of(module))
    assert parse(show(lowered)) is lowered
    compiled = build(module)
    for number, sizes in enumerate(SIZES):
        actual = known | {x: n for x, n in zip("ijkb", (*sizes, 9)) if x in unknown}
        a, b = operands(spec, actual, DTYPES[dtype])
        if number == 1:
            assert_is_product(reference(lowered, a, b), spec, a, b)
        assert_is_product(compiled(a, b), spec, a, b)


@pytest.mark.parametrize("vector_bytes", [16, 32])
@pytest.mark.parametrize("spec", ["ik,kj->ij", "ki,jk->ij"])
def test_symbolic_extents_in_narrower_registers(spec, vector_bytes):
    module = module_of(spec, {label: symbol(label) for label in "ijk"}, DTYPES["f64"])
    compiled = callable_of(kernel_of(module, vector_bytes))
    for sizes in SIZES:
        a, b = operands(spec, dict(zip("ijk", sizes)), DTYPES["f64"])
        assert_is_product(compiled(a, b), spec, a, b)


@pytest.mark.parametrize("known", ["", "k", "ij"])
def test_symbolic_extents_of_computed_operands_and_result(known):
    """Also with several blocks of the depth, after the last of which the result is finished."""
    f64, some = DTYPES["f64"], {"i": 4, "j": 20, "k": 600}
    m, n, k = [some[x] if x in known else symbol(x) for x in "ijk"]
    x, w = parameter("x", array_type((m, k), f64)), parameter("w", array_type((n, k), f64))
    bias = parameter("bias", array_type((n,), f64))
    product = ops.contract(ops.square(x), ops.transpose(ops.exp(w), axes=(1, 0)), spec="ik,kj->ij")
    result = ops.maximum(ops.add(product, ops.broadcast(bias, shape=(m, n), axes=(1,))), product)
    compiled = callable_of(lower_contraction(Function("layer", (x, w, bias), (result,)), product))
    for sizes in SIZES:
        m, n, k = [some[x] if x in known else size for x, size in zip("ijk", sizes)]
        arrays = [values(s, f64, seed) for seed, s in enumerate([(m, k), (n, k), (n,)])]
        product = arrays[0] ** 2 @ np.exp(arrays[1]).T
        np.testing.assert_allclose(compiled(*arrays), np.maximum(product + arrays[2], product))


@pytest.mark.parametrize("part", [slice(8, None), slice(0, -8)])
def test_depth_that_turns_out_empty(part):
    jitted = tracejit.jit(lambda a, b: a[:, part] @ b[part])
    for n in (9, 10, 11, 12, 13, 8, 300):
        a, b = values((n, n), DTYPES["f64"], 0), values((n, n + 1), DTYPES["f64"], 1)
        np.testing.assert_allclose(jitted(a, b), a[:, part] @ b[part], atol=1e-12)


@pytest.mark.parametrize("dtype", ["f32", "i64"])
def test_products_of_many_shapes(dtype):
    dtype = DTYPES[dtype]
    jitted = tracejit.jit(lambda a, b, c: ((a @ b) @ c.T, a.T @ a, c @ b.T))
    for m, n, k in [(8, 9, 10), (11, 12, 13), (20, 17, 14), *SIZES, (96, 128, 64)]:
        a, b, c = (values(s, dtype, i) for i, s in enumerate([(m, k), (k, n), (m + 1, n)]))
        ab, aa, cb = jitted(a, b, c)
        assert_is_product(aa, "ki,kj->ij", a, a)
        assert_is_product(cb, "ik,jk->ij", c, b)
        if dtype.is_integer:
            np.testing.assert_array_equal(ab, (a @ b) @ c.T)
        else:
            scale = np.abs(a) @ np.abs(b) @ np.abs(c).T
            assert (abs(ab - (a @ b) @ c.T) <= 1e3 * np.finfo(dtype.numpy).eps * scale).all()
    assert jitted.cache_info().misses == 4


def calls_library(kernel) -> bool:
    return any(isinstance(s, Extern) for s in statements(kernel.body))


@pytest.mark.parametrize(
    "case, dtype", each(SMALL, ["f32", "c128", "f32", "c128", "i8"]), ids=named
)
def test_library(case, dtype):
    (spec, extents), dtype = case, DTYPES[dtype]
    a, b = operands(spec, extents, dtype)
    module = module_of(spec, extents, dtype)
    node = module.entry.results[0]
    lowered = Module(lower_contraction(module.entry, node, library=Library(i32)))
    assert parse(show(lowered)) is lowered
    assert unproved(lowered.entry) == []
    assert_is_product(reference(lowered, a, b), spec, a, b)
    with config.use(dot="library"):
        assert_is_product(build(module)(a, b), spec, a, b)


@pytest.mark.parametrize(
    "spec, fits",
    [
        ("ik,kj->ij", True),
        ("ik,jk->ij", True),
        ("ki,kj->ji", True),
        ("bik,bkj->bij", True),
        ("ijk,kl->ijl", True),
        ("ik,k->i", False),
        ("ikb,kjb->ijb", False),
        ("ijk,kjl->il", False),
    ],
)
def test_what_fits_the_library(spec, fits):
    extents = {label: 5 + k for k, label in enumerate("bijkl")}
    for dtype, known in (("f64", True), ("c64", True), ("f16", False), ("i64", False)):
        module = module_of(spec, extents, DTYPES[dtype])
        node = module.entry.results[0]
        kernel = lower_contraction(module.entry, node, library=Library(i64))
        assert calls_library(kernel) is (fits and known)


@pytest.mark.parametrize("unknown", ["ijk", "bk", "bijk"])
@pytest.mark.parametrize("spec", ["ik,kj->ij", "ik,jk->ij", "ki,kj->ij", "bik,bkj->bij"])
def test_library_of_symbolic_extents(spec, unknown):
    known = {"b": 3, "i": 20, "j": 37, "k": 18}
    extents = known | {label: symbol(label) for label in unknown if label in spec}
    module = module_of(spec, extents, DTYPES["c64"])
    lowered = Module(lower_contraction(module.entry, module.entry.results[0], library=Library(i64)))
    assert calls_library(lowered.entry)
    assert parse(show(lowered)) is lowered
    with config.use(dot="library"):
        compiled = build(module)
    for size in (8, 21):
        actual = known | dict.fromkeys(unknown, size)
        a, b = operands(spec, actual, DTYPES["c64"])
        assert_is_product(reference(lowered, a, b), spec, a, b)
        assert_is_product(compiled(a, b), spec, a, b)


@pytest.mark.parametrize("strides", [[(9, 1), (1, 11)], [(1, 5), (13, 1)], [(-8, 1), (7, 1)]])
def test_library_and_layouts(strides):
    layouts = [Layout(s) for s in strides]
    module = module_of("ik,kj->ij", {"i": 5, "j": 6, "k": 7}, DTYPES["f64"], layouts)
    kernel = lower_contraction(module.entry, module.entry.results[0], library=Library(i64))
    assert calls_library(kernel) is (strides[0][0] > 0)
    a, b = operands("ik,kj->ij", {"i": 5, "j": 6, "k": 7}, DTYPES["f64"])
    assert_is_product(reference(Module(kernel), a, b), "ik,kj->ij", a, b)
    with config.use(dot="library"):
        assert_is_product(build(module)(a, b), "ik,kj->ij", a, b)


def test_the_library_and_what_is_computed_around_it():
    f64 = DTYPES["f64"]
    x, w = (parameter(name, array_type((6, 6), f64)) for name in "xw")
    product = ops.contract(x, ops.transpose(w, axes=(1, 0)), spec="ik,kj->ij")
    function = Function("layer", (x, w), (ops.maximum(product, ops.negative(x)),))
    module = Module(lower_contraction(function, product, library=Library(i64)))
    a, b = values((6, 6), f64, 0), values((6, 6), f64, 1)
    assert calls_library(module.entry)
    np.testing.assert_allclose(reference(module, a, b), np.maximum(a @ b.T, -a))
    squared = ops.contract(ops.square(x), w, spec="ik,kj->ij")
    kernel = lower_contraction(
        Function("squared", (x, w), (squared,)), squared, library=Library(i64)
    )
    assert not calls_library(kernel)


def test_choice_of_the_library():
    module = module_of("ik,kj->ij", {"i": 5, "j": 6, "k": 7}, DTYPES["f64"])
    for dot in ("generated", "library"):
        with config.use(dot=dot):
            text = show(build(module).module)
        assert ("cblas_dgemm" in text) is (dot == "library" and blas_integer_bits() is not None)
    with config.use(dot="fast"), pytest.raises(ValueError, match="'fast'"):
        build(module)


def test_nan_and_infinity_pass_through():
    a, b = operands("ik,kj->ij", {"i": 20, "j": 37, "k": 20}, DTYPES["f32"])
    a[3, 5], b[7, 36] = np.nan, np.inf
    result = build(module_of("ik,kj->ij", {"i": 20, "j": 37, "k": 20}, DTYPES["f32"]))(a, b)
    with np.errstate(all="ignore"):
        wanted = a @ b
    np.testing.assert_array_equal(np.isfinite(result), np.isfinite(wanted))
    assert np.isnan(result[3]).all()


def test_results_do_not_depend_on_threads():
    extents = {"i": 150, "j": 260, "k": 600}
    a, b = operands("ik,kj->ij", extents, DTYPES["f64"])
    module = module_of("ik,kj->ij", extents, DTYPES["f64"])
    marks = {s.mark for s in statements(kernel_of(module).body) if isinstance(s, For)}
    assert "parallel" in marks
    together = build(module)(a, b)
    with config.use(threads=1):
        np.testing.assert_array_equal(build(module)(a, b), together)


def test_panels_of_one_thread_inside_of_chunks_of_batches():
    """Few rows and many columns in each of many products: loops of both kinds have names of their own."""
    a = np.random.default_rng(2).standard_normal((8, 64, 256)).astype("f4")
    b = np.random.default_rng(3).standard_normal((8, 256, 512)).astype("f4")
    np.testing.assert_allclose(tracejit.jit(np.matmul)(a, b), a @ b, rtol=1e-3, atol=1e-3)


SHORT = [("i1", "i1"), ("u1", "i1"), ("i1", "u1"), ("u1", "u1"), ("i2", "i2"), ("i2", "u1")]


@pytest.mark.parametrize(
    "dtypes, spec, sizes",
    pairs(
        SHORT,
        ["ik,kj->ij", "ik,jk->ij", "bki,bkj->bij"],
        [(80, 70, 64), (67, 129, 801), (9, 600, 1027)],
    ),
)
def test_short_whole_numbers_are_multiplied_several_at_a_time(dtypes, spec, sizes):
    """Their least and greatest values, odd and even depths: exact, as sums of 32 bits wrap around."""
    rng, (left, right) = np.random.default_rng(1), dtypes

    def function(a, b):
        return np.einsum(spec, a.astype("i4"), b.astype("i4"))

    in_quads = engine.target().dots and "i2" not in (left, right)
    extents = dict(zip("ijk", sizes)) | {"b": 2}
    a, b = (
        rng.choice(
            [np.iinfo(d).min, -1 % np.iinfo(d).max, np.iinfo(d).max], [extents[x] for x in s]
        ).astype(d)
        for s, d in zip(spec.split("->")[0].split(","), dtypes)
    )
    f = tracejit.jit(function)
    np.testing.assert_array_equal(f(a, b), function(a, b))
    lowered = f.lower(a, b)
    assert ("multiply_quads" if in_quads else "multiply_pairs") in str(lowered)
    for kernel in lowered.module.functions:
        assert unproved(kernel) == []
    small = [x[..., :20, :19] for x in (a, b)]
    if spec == "ik,kj->ij":
        small[1] = b[:19, :20]
    np.testing.assert_array_equal(reference(f.lower(*small).module, *small), function(*small))


def test_products_of_bytes_on_other_machines():
    """What is emitted where no instruction multiplies four bytes at a time."""
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-(2**31), 2**31, (3, 40)).astype("i4") for _ in range(2))
    x, y = (parameter(name, array_type(a.shape, i32)) for name in "xy")
    module = Module(Function("f", (x, y), (ops.sum_(ops.multiply_quads(x, y), axes=(1,)),)))
    wanted = (a.view("u1").astype("i4") * b.view("i1")).sum(1, dtype="i4")
    for dots in (False, engine.target().dots):
        options = stages.default_options()
        options = options._replace(machine=options.machine._replace(dots=dots))
        code = stages.Lowered(module, options).compile()
        np.testing.assert_array_equal(code(a, b), wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_follows_inner_products_is_computed_in_lanes(dtype):
    rng = np.random.default_rng(0)
    for n, d in ((1024, 32), (999, 40), (6, 64)):
        x, w, b = (rng.standard_normal(s).astype(dtype) for s in ((n, d), d, n))

        def chance(x, w, b):
            return 1 / (1 + np.exp(-(x @ w))) - b

        f = tracejit.jit(chance)
        loops = [s for k in f.lower(x, w, b).module.functions for s in statements(k.body)]
        vectors = [s for s in loops if isinstance(s, For) and s.mark == "vector"]
        roots = [e for loop in vectors for s in loop.body for e in expressions_of(s)]
        in_lanes = any(getattr(e, "op", "") == "exp" for e in postorder(roots, parts))
        assert in_lanes or n < 16
        near = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(f(x, w, b), chance(x, w, b), rtol=near, atol=near)


@pytest.mark.parametrize("spec", ["ij,ij->j", "bij,bij->j", "ijb,ijb->jb", "bij,bij->ij"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "c16"])
def test_columns_with_columns_are_added_up_row_by_row(spec, dtype):
    """Each column with its own: lanes are neighbours in a row, and no kernel goes down a column."""
    rng = np.random.default_rng(3)
    a, b = ((rng.random((19, 33, 21)[: spec.index(",")]) * 9).astype(dtype) for _ in range(2))
    jitted = tracejit.jit(lambda a, b: np.einsum(spec, a, b * 2))
    np.testing.assert_allclose(jitted(a, b), np.einsum(spec, a, b * 2), rtol=1e-5)
    assert jitted(a, b).dtype == a.dtype
    assert "contract" not in tracejit.show(jitted.lower(a, b).module)


@pytest.mark.parametrize("rows", [5, 30])
def test_computed_factors_with_loops_around_them(rows):
    a = np.random.default_rng(0).standard_normal((3, rows, 20))
    spec = "ik,jk,lk->ijl"
    f = tracejit.jit(lambda a, b, c: np.einsum(spec, a, b, c))
    np.testing.assert_allclose(f(*a), np.einsum(spec, *a), rtol=1e-12, atol=1e-12)


def test_a_part_that_a_loop_tells_is_read_where_it_is():
    def layers(x, weights):
        for i in range(len(weights)):
            x = np.tanh(x @ weights[i] + x @ weights[len(weights) - 1 - i].T)
        return x

    x, weights = (np.random.default_rng(0).standard_normal(s) / 6 for s in ((7, 40), (5, 40, 40)))
    f = tracejit.jit(layers)
    assert f.memory(x, weights).workspace < weights[0].nbytes
    np.testing.assert_allclose(f(x, weights), layers(x, weights), rtol=1e-10)
    np.testing.assert_allclose(f(x, weights[::-1]), layers(x, weights[::-1]), rtol=1e-10)
