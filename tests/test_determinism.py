"""The same bits from call to call and whatever the number of threads: chunks depend on sizes alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from programs import examples
from samples import EXHAUSTIVE, LAWFUL_OPS, assert_same_bits, instances, operands_of

import tracejit
from tracejit.config import config
from tracejit.ir.graph import Function, Module, Node, item, parameter
from tracejit.ir.op import ELEMENTWISE
from tracejit.ir.types import TupleType
from tracejit.lower import machine
from tracejit.lower.tensor import parallelize
from tracejit.lower.tensor.contract import chunks
from tracejit.stages import build, schedule_parameters
from tracejit.testing.programs import programs

THREADS = (1, 2, 3, 4, 8)
# Elementwise ops have no order.
REORDERED = [op for op in LAWFUL_OPS if op.kind != ELEMENTWISE]

PROGRAMS = {
    "sum": lambda x: x.sum(),
    "means of columns": lambda x: x.mean(axis=0),
    "deviations of rows": lambda x: x.std(axis=1),
    "dot": lambda x: x.ravel() @ x.ravel(),
    "matrix and vector": lambda x: x @ x[0],
    "few results of a long depth": lambda x: x.T[:40] @ x,
    "softmax": lambda x: (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)).sum(axis=0),
    "norm": lambda x: np.linalg.norm(x),
    "running sums": lambda x: np.cumsum(x),
    "running products of rows": lambda x: np.cumprod(1 + x / 1000, axis=1),
    "products": lambda x: np.prod(1 + x / 1000, axis=0),
    "weights of bins": lambda x: np.bincount(np.abs(x.ravel() * 5).astype(int), x.ravel()),
    "table": lambda x: _added(np.zeros(50, x.dtype), (np.abs(x) * 9).astype(int) % 50, x),
    "einsum": lambda x: np.einsum("ij,ij->", x, x),
    "correlation": lambda x: np.corrcoef(x[:3]),
    "loop": lambda x: _looped(x.ravel()),
}


def _added(table, places, values):
    np.add.at(table, places, values)
    return table


def _looped(x):
    total = 0.0
    for k in range(len(x)):
        total += x[k] * x[k]
    return total


@pytest.mark.parametrize(
    ("shape", "dtype"), [((700, 900), "f8"), ((40, 20000), "f4"), ((20000, 50), "f4")]
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_threads_do_not_change_results(name, shape, dtype):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    function = tracejit.jit(PROGRAMS[name])
    results = []
    for count in (*THREADS, 2):
        with tracejit.threads(count):
            results.append(function(x))
    results.append(tracejit.jit(PROGRAMS[name], threads=1, reproducible=True)(x))
    results.append(tracejit.jit(PROGRAMS[name], threads=2)(x))
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_one_thread_may_add_up_in_longer_pieces():
    """What the option is for."""
    x = np.random.default_rng(0).standard_normal(1 << 20)
    several, one = tracejit.jit(np.cumsum)(x), tracejit.jit(np.cumsum, threads=1)(x)
    assert not np.array_equal(several, one)
    with config.use(reproducible=True):
        function = tracejit.jit(np.cumsum, threads=1)
    assert_same_bits(function(x), several)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("cores", [1, 64])
def test_cores_do_not_change_results(name, cores, monkeypatch):
    """Nor how long threads take to wake, which is measured anew on every machine."""
    x = np.random.default_rng(0).standard_normal((3, 60_000))
    expected = tracejit.jit(PROGRAMS[name])(x)
    here = schedule_parameters()._replace(cores=cores, fork_seconds=cores * 1e-6)
    monkeypatch.setattr("tracejit.stages.schedule_parameters", lambda: here)
    with tracejit.threads(cores):
        assert_same_bits(tracejit.jit(PROGRAMS[name])(x), expected)


@pytest.fixture
def eager_threads(monkeypatch):
    """Every loop that may be is split for threads, however short."""
    monkeypatch.setattr(machine, "WORTHWHILE", 0.0)
    monkeypatch.setattr(machine, "LEAST_FORK", 0.0)
    monkeypatch.setattr(parallelize, "CHUNK", 1e-9)
    monkeypatch.setattr(chunks, "WORTHWHILE", 0.0)
    monkeypatch.setattr(chunks, "CHUNK_SECONDS", 1e-9)


def several(result) -> tuple:
    return result if isinstance(result, tuple) else (result,)


def same_bits_by_any_threads(function, alone, arrays):
    """`alone` is what one thread is compiled for."""
    results = []
    for count in THREADS:
        with tracejit.threads(count):
            results.append(several(outcome(function, arrays)))
    results.append(several(outcome(alone, arrays)))
    for result in results[1:]:
        for found, expected in zip(result, results[0], strict=True):
            assert_same_bits(found, expected)


def outcome(function, arrays):
    """Results, or the error that is raised."""
    try:
        return function(*map(np.copy, arrays))
    except (ValueError, ArithmeticError, IndexError) as error:
        return str(error)


def rounded(op) -> list:
    """The largest of the instances that compute with floats."""
    found = [x for x in instances(op) if any(t.dtype.numpy.kind in "fc" for t in x.types)]
    found.sort(key=lambda x: sum(type.size for type in x.types))
    return found if EXHAUSTIVE else found[-3:]


@pytest.mark.parametrize("op", REORDERED, ids=lambda op: op.name)
def test_no_op_depends_on_threads(op, eager_threads):
    for instance in rounded(op):
        inputs = tuple([parameter(f"x{k}", type) for k, type in enumerate(instance.types)])
        node = Node.apply(op, inputs, instance.attrs)
        is_tuple = isinstance(node.type, TupleType)
        found = [item(node, index=k) for k in range(len(node.type.items))] if is_tuple else [node]
        module = Module(Function("f", inputs, tuple(found)))
        function, alone = build(module), build(module, max_threads=1, reproducible=True)
        with np.errstate(all="ignore"):
            same_bits_by_any_threads(function, alone, operands_of(op, instance))


@examples(25)
@given(programs(lines=8))
def test_no_program_depends_on_threads(eager_threads, program):
    """Programs are drawn with whole numbers, of which all sums are exact: others are added here."""
    generator = np.random.default_rng(1)
    arguments = [
        x + generator.uniform(0, 1, x.shape).astype(x.dtype) if x.dtype.kind in "fc" else x
        for x in program.arguments
    ]
    function = tracejit.jit(program.function)
    alone = tracejit.jit(program.function, threads=1, reproducible=True)
    same_bits_by_any_threads(function, alone, arguments)
