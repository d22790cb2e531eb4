"""Cumulative sums and products: in lanes, by threads, by blocks of columns; the same whoever computes them."""

import numpy as np
import pytest
from combinations import each, pairs

import tracejit
from tracejit import stages
from tracejit.ir.tensor import Allocate, For, statements

SHAPES = [
    ((1,), 0), ((16,), 0), ((17,), 0), ((1000,), 0), ((70_001,), 0), ((300_000,), 0),
    ((7, 9), 1), ((40, 500), 1), ((40, 500), 0), ((300, 2000), 0), ((9, 20, 300), 1), ((9, 20, 300), 0),
]  # fmt: skip
DTYPES = ["float32", "float64", "float16", "complex64", "int64", "int32", "uint8", "bool"]


def _values(shape, dtype, choices):
    drawn = np.random.default_rng(1).choice(np.array(choices), size=shape)
    return drawn.astype(dtype)


@pytest.mark.parametrize(
    "case, dtype", [*pairs(SHAPES, ["float32", "int64"]), *each(SHAPES, DTYPES[1:4] + DTYPES[5:])]
)
def test_sums_of_whole_numbers_are_numpys(case, dtype):
    shape, axis = case
    x = _values(shape, dtype, [-1, 0, 1, 1])
    if dtype == "float16":
        x = x * (np.abs(x.astype(np.float32)).cumsum(axis) < 2000).astype(x.dtype)
    compiled = tracejit.jit(lambda x: np.cumsum(x, axis=axis))
    expected = np.cumsum(x, axis=axis)
    for _ in range(2):
        actual = compiled(x)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
        tracejit.wait()


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_products(dtype):
    x = _values((200_001,), dtype, [-1, 1])
    np.testing.assert_array_equal(tracejit.jit(lambda x: np.cumprod(x))(x), np.cumprod(x))


@pytest.mark.parametrize("shape, axis", [((300_000,), 0), ((20, 3000), 1), ((300, 2000), 0)])
def test_strict_adds_one_by_one(shape, axis):
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    compiled = tracejit.jit(lambda x: np.cumsum(x, axis=axis), numerics="strict")
    np.testing.assert_array_equal(compiled(x), np.cumsum(x, axis=axis))


@pytest.mark.parametrize("numerics", ["default", "fast"])
def test_other_orders_are_as_near_to_the_truth(numerics):
    x = np.random.default_rng(3).normal(size=300_000).astype(np.float32)
    exact = np.cumsum(x.astype(np.float64))
    actual = tracejit.jit(lambda x: np.cumsum(x), numerics=numerics)(x)
    assert np.abs(actual - exact).max() <= np.abs(np.cumsum(x) - exact).max()


def test_threads_do_not_matter():
    x = np.random.default_rng(4).normal(size=400_000)
    compiled = tracejit.jit(lambda x: np.cumsum(x))
    with tracejit.threads(1):
        one = compiled(x)
    with tracejit.threads(2):
        np.testing.assert_array_equal(compiled(x), one)


def test_zeros_keep_their_signs_and_infinities_stay():
    compiled = tracejit.jit(lambda x: np.cumsum(x))
    assert np.signbit(compiled(np.full(200_000, -0.0))).all()
    x = np.ones(200_000)
    x[100_000], x[150_000] = np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(compiled(x), np.cumsum(x))


def _marks(compiled, x):
    kernels = compiled.trace(x).lower().module.functions
    return [s.mark for k in kernels for s in statements(k.body) if isinstance(s, For)]


@pytest.fixture
def on(monkeypatch):
    """Lower for a machine of so many cores."""
    here = stages.schedule_parameters()

    def choose(cores, l3_bytes=32 << 20):
        machine = here._replace(cores=cores, l3_bytes=l3_bytes)
        monkeypatch.setattr(stages, "schedule_parameters", lambda: machine)
        tracejit.set_num_threads(cores)

    with tracejit.threads(2):
        yield choose


def test_lanes_and_threads_share_the_work_where_the_order_is_free(on):
    x = np.ones(300_000)
    for cores, regions in ((2, 1), (8, 2)):
        on(cores)
        assert _marks(tracejit.jit(lambda x: np.cumsum(x)), x).count("parallel") == regions
    assert _marks(tracejit.jit(lambda x: np.cumsum(x), numerics="strict"), x) == ["serial"]


@pytest.mark.parametrize("count", [1 << 20, (1 << 21) + 12_345])
def test_two_cores_take_turns_with_what_is_far(on, count):
    x = np.random.default_rng(5).normal(size=count)
    results = []
    for cores in (1, 2, 8):
        on(cores)
        compiled = tracejit.jit(lambda x: np.cumsum(x))
        results.append(compiled(x))
        is_far = x.nbytes > stages.schedule_parameters().far_bytes
        regions = 0 if cores == 1 else 2 if is_far or cores > 2 else 1
        assert _marks(compiled, x).count("parallel") == regions
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_allclose(results[0], np.cumsum(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "shape, l3_bytes", [((64, 8192), 32 << 20), ((128, 4096), 4 << 20), ((128, 20_000), 4 << 20)]
)
def test_each_thread_has_a_block_of_columns(on, shape, l3_bytes):
    """One that is alone reads whole rows, as long as its running values stay near."""
    x = np.random.default_rng(0).integers(-9, 9, shape).astype("float64")
    on(2, l3_bytes)
    both, alone = (tracejit.jit(lambda x: np.cumsum(x, axis=0), threads=n) for n in (0, 1))
    for compiled in (both, alone):
        np.testing.assert_array_equal(compiled(x), np.cumsum(x, axis=0))
    is_near = x.nbytes <= stages.schedule_parameters().far_bytes
    longest = (16 << 10 if is_near else 64 << 10) // x.itemsize
    assert max(_lengths(alone, x)) == min(shape[1], longest)
    assert max(_lengths(both, x)) == min(shape[1] // 2, longest)
    assert "parallel" in _marks(both, x) and "parallel" not in _marks(alone, x)


def _lengths(compiled, x):
    """Of the rows of running values."""
    kernels = compiled.trace(x).lower().module.functions
    inside = [s for k in kernels for s in statements(k.body) if isinstance(s, Allocate)]
    return [s.buffer.type.shape[0] for s in inside]


@pytest.mark.parametrize(
    "n, cores, dtype, program",
    pairs(
        [70_001, 131_072, 262_144, 262_145, 300_007, 700_000],
        [1, 2, 8],
        ["float32", "float64", "int64"],
        [
            lambda x, y: np.cumsum(x),
            lambda x, y: np.cumsum(x * y + x)[-1] + np.cumsum(x * y + x),
            lambda x, y: np.maximum.accumulate(x - y),
        ],
    ),
)
def test_however_many_cores_there_are(on, n, cores, dtype, program):
    """Also of what is computed first, and where the total is used afterwards."""
    on(cores)
    x, y = np.random.default_rng(n).integers(-2, 3, (2, n)).astype(dtype)
    np.testing.assert_array_equal(tracejit.jit(program)(x, y), program(x, y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [300_000, 524_293, 2_200_005])
def test_cores_do_not_matter(on, dtype, n):
    x = np.random.default_rng(n).normal(size=n).astype(dtype)
    found = []
    for cores in (1, 2, 8):
        on(cores)
        found.append(tracejit.jit(lambda x: np.cumsum(x * 2 + 1))(x))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_sizes_that_are_not_known():
    compiled = tracejit.jit(lambda x: np.cumsum(x, axis=0))
    for n in (3, 1000, 17, 33, 5000, 16):
        x = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(compiled(x), np.cumsum(x))


def test_a_total_of_each_lane_is_no_running_one():
    """Along an axis of one element, in a loop: every row has a total of its own, which begins anew."""

    def program(p, n):
        for _ in range(n):
            q = (p[:, None] * p[None]).sum(-1).sum(1)[:, None]
            p = np.sin(p + q * 0.1) + np.cumsum(p, 1) * 0.01
        return p

    x = np.random.default_rng(0).random((33, 1))
    np.testing.assert_allclose(tracejit.jit(program)(x, 9), program(x, 9), rtol=1e-9)
