"""What holds for every op: NumPy's types and values, at every stage and as native code."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from samples import (
    EITHER_ZERO,
    EXHAUSTIVE,
    FEW,
    LAWFUL_OPS,
    Instance,
    compare,
    instances,
    operands_of,
    ulps_of,
    wider,
)

from tracejit.config import config
from tracejit.ir.graph import Function, Module, Node, item, parameter
from tracejit.ir.op import ELEMENTWISE, OPS, REDUCTION, Op
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.types import DTYPES, TupleType, array_type
from tracejit.lower import pipeline
from tracejit.lower.pipeline import Options
from tracejit.stages import build

BY_NAME = pytest.mark.parametrize("op", LAWFUL_OPS, ids=lambda op: op.name)


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings(), np.errstate(all="ignore"), config.use(verify=1):
        warnings.simplefilter("ignore")
        yield


def module_of(op: Op, instance: Instance) -> Module:
    """One application of the op, to parameters."""
    inputs = tuple([parameter(f"x{k}", type) for k, type in enumerate(instance.types)])
    node = Node.apply(op, inputs, instance.attrs)
    results = (node,)
    if isinstance(node.type, TupleType):
        results = tuple([item(node, index=k) for k in range(len(node.type.items))])
    return Module(Function("f", inputs, results))


def several(value):
    """A result, or all of them."""
    return value if isinstance(value, tuple) else (value,)


def few(op: Op) -> list[Instance]:
    """Instances small enough to be interpreted; of elementwise ops one dtype for each kind of code."""
    chosen, found = {}, list(instances(op))
    if op.kind in (ELEMENTWISE, REDUCTION) and not EXHAUSTIVE:
        found = [i for i in found if all(type.dtype.name in FEW for type in i.types)] or found
    for types, attrs in found:
        if op.kind == ELEMENTWISE and types[0].ndim == 1:
            types = tuple([type.replace(shape=(6,)) for type in types])
        if all(type.size <= 100 for type in types):
            instance = Instance(types, attrs)
            chosen[str(instance)] = instance
    return list(chosen.values())


def without_nan(array: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(array), array.dtype.type(1), array)


@BY_NAME
def test_type_rule_is_numpys(op):
    for instance in instances(op):
        arrays = operands_of(op, instance)
        results = several(op.reference(*arrays, **instance.attrs))
        type = op.type_rule(*instance.types, **instance.attrs)
        types = type.items if isinstance(type, TupleType) else (type,)
        for result, own in zip(map(np.asarray, results), types, strict=True):
            assert (result.shape, result.dtype) == (own.shape, own.dtype.numpy), f"{op}{instance}"


@BY_NAME
def test_every_stage_reads_back_and_means_the_same(op):
    for instance in few(op):
        arrays = operands_of(op, instance)
        if op.name.startswith(("less", "greater")):  # NumPy's complex scalars order NaN otherwise
            arrays = [without_nan(array) if array.dtype.kind == "c" else array for array in arrays]
        module = module_of(op, instance)
        wanted = op.reference(*arrays, **instance.attrs)
        either_zero = op.name in EITHER_ZERO
        check_text_and_meaning(module, arrays, wanted, f"{op}{instance} as traced", either_zero)

        def watch(step, before, after):
            if before is not after:
                name = getattr(step, "func", step).__name__
                context = f"{op}{instance} after {name}"
                check_text_and_meaning(after, arrays, wanted, context, either_zero)

        with config.use(verify=2):
            pipeline.run(module, Options(vector_bytes=16), [watch])


def check_text_and_meaning(module, arrays, wanted, context, either_zero=False):
    assert parse(show(module)) is module, context
    for actual, own in zip(several(reference(module, *arrays)), several(wanted), strict=True):
        compare(actual, own, 0, context, either_zero=either_zero)


@BY_NAME
def test_native_code_is_numpy(op):
    for instance in instances(op):
        arrays = operands_of(op, instance)
        wanted = op.reference(*arrays, **instance.attrs)
        actual = build(module_of(op, instance))(*arrays)
        for one, own in zip(several(actual), several(wanted), strict=True):
            compare(
                one,
                own,
                ulps_of(op, arrays),
                f"{op}{instance}",
                exact=wider(op, instance, arrays),
                either_zero=op.name in EITHER_ZERO,
            )


@pytest.mark.parametrize("dtype", ["f16", "f32", "f64", "c64", "c128"])
@pytest.mark.parametrize("shape, axes", [((60, 50), (0,)), ((60, 50), (1,)), ((30011,), (0,))])
def test_sums_and_products_are_near_the_truth(dtype, shape, axes):
    """Of n elements: n / 16 + 8 roundings of the sum of their sizes; n roundings of a product."""
    type = array_type(shape, DTYPES[dtype])
    rng = np.random.default_rng(len(shape))
    x = rng.uniform(-1, 1, shape).astype(type.dtype.numpy)
    wide = x.astype(np.clongdouble if type.dtype.is_complex else np.longdouble)
    count = int(np.prod([shape[axis] for axis in axes]))
    unit = np.finfo(type.dtype.real.numpy).eps
    total = build(module_of(OPS["sum"], Instance((type,), {"axes": axes})))(x)
    limit = (count / 16 + 8) * unit * np.abs(wide).sum(axis=axes)
    assert np.all(np.abs(total - wide.sum(axis=axes)) <= limit)
    factors = 1 + (x / count)
    product = build(module_of(OPS["prod"], Instance((type,), {"axes": axes})))(factors)
    exact = factors.astype(wide.dtype).prod(axis=axes)
    assert np.all(np.abs(product - exact) <= 2 * (count + 8) * unit * np.abs(exact))
