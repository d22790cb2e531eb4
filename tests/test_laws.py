"""What holds for every op because it is one: NumPy's types and values, at every stage and natively."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from samples import EITHER_ZERO, LAWFUL_OPS, Instance, compare, instances, operands_of, ulps_of

from tracejit.config import config
from tracejit.ir.graph import Function, Module, Node, parameter
from tracejit.ir.op import ELEMENTWISE, Op
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.lower import pipeline
from tracejit.lower.pipeline import Options
from tracejit.stages import build

BY_NAME = pytest.mark.parametrize("op", LAWFUL_OPS, ids=lambda op: op.name)


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings(), np.errstate(all="ignore"), config.use(verify=2):
        warnings.simplefilter("ignore")
        yield


def module_of(op: Op, instance: Instance) -> Module:
    """One application of the op, to parameters."""
    inputs = tuple([parameter(f"x{k}", type) for k, type in enumerate(instance.types)])
    return Module(Function("f", inputs, (Node.apply(op, inputs, instance.attrs),)))


def small(op: Op, instance: Instance) -> Instance:
    """An elementwise op on few elements is as good for the interpreter as on many."""
    if op.kind != ELEMENTWISE or len(instance.types[0].shape) != 1:
        return instance
    return Instance(tuple([type.replace(shape=(6,)) for type in instance.types]), instance.attrs)


@BY_NAME
def test_type_rule_is_numpys(op):
    for instance in instances(op):
        arrays = operands_of(op, instance)
        result = np.asarray(op.reference(*arrays, **instance.attrs))
        type = op.type_rule(*instance.types, **instance.attrs)
        assert (result.shape, result.dtype) == (type.shape, type.dtype.numpy), f"{op}{instance}"


@BY_NAME
def test_every_stage_reads_back_and_means_the_same(op):
    for instance in {small(op, instance): None for instance in instances(op)}:
        arrays = operands_of(op, instance)
        module = module_of(op, instance)
        wanted = op.reference(*arrays, **instance.attrs)
        check_text_and_meaning(module, arrays, wanted, f"{op}{instance} as traced")

        def watch(step, before, after):
            if before is not after:
                name = getattr(step, "func", step).__name__
                check_text_and_meaning(after, arrays, wanted, f"{op}{instance} after {name}")

        pipeline.run(module, Options(vector_bytes=16), [watch])


def check_text_and_meaning(module, arrays, wanted, context):
    assert parse(show(module)) is module, context
    compare(reference(module, *arrays), wanted, 0, context)


@BY_NAME
def test_native_code_is_numpy(op):
    for instance in instances(op):
        arrays = operands_of(op, instance)
        wanted = op.reference(*arrays, **instance.attrs)
        actual = build(module_of(op, instance))(*arrays)
        ulps = ulps_of(op, instance.types)
        compare(actual, wanted, ulps, f"{op}{instance}", either_zero=op.name in EITHER_ZERO)
