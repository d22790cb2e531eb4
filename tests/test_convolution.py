"""Convolutions written with windows and `einsum`: read where they are, tiled, finished in the kernel."""

import numpy as np
import pytest
from combinations import pairs
from numpy.lib.stride_tricks import sliding_window_view

import tracejit
from tracejit import nn, sizes
from tracejit.config import config
from tracejit.ir.tensor import Allocate, Call, For, Store, loads_of, statements
from tracejit.ir.verify_kernel import unproved

RNG = np.random.default_rng(7)
EPILOGUES = {
    "none": lambda y, b: y,
    "cheap": lambda y, b: np.maximum(y + b, 0),
    "dear": lambda y, b: np.tanh(y + b) * np.exp(-np.abs(y)),
}


def channels_last(x, w, b, step, pad, dilation, epilogue):
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    wide = [(n - 1) * dilation + 1 for n in w.shape[:2]]
    v = sliding_window_view(x, wide, axis=(1, 2))
    v = v[:, ::step, ::step, :, ::dilation, ::dilation]
    return EPILOGUES[epilogue](np.einsum("nhwcij,ijcd->nhwd", v, w), b)


def channels_first(x, w, b, step, pad, dilation, epilogue):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    wide = [(n - 1) * dilation + 1 for n in w.shape[2:]]
    v = sliding_window_view(x, wide, axis=(2, 3))
    v = v[:, :, ::step, ::step, ::dilation, ::dilation]
    return EPILOGUES[epilogue](np.einsum("nchwij,dcij->ndhw", v, w), b[:, None, None])


SIZES = [(1, 9, 8, 3, 5, 3), (2, 17, 20, 16, 33, 3), (1, 12, 12, 300, 70, 3), (3, 7, 7, 64, 64, 1)]
TOLERANCE = {"f4": 1e-5, "f8": 1e-13, "c8": 1e-5, "i4": 0}


def compiled(function, **options):
    static = ("step", "pad", "dilation", "epilogue")
    return tracejit.jit(function, static_argnames=static, **options)


def run(function, *arrays, threads=2):
    """The result, and the last kernel, which is proved to stay within its arrays."""
    lowered = tracejit.jit(function, threads=threads).lower(*arrays)
    kernel = calls_of(lowered.module)[-1].kernel
    assert unproved(kernel) == []
    return lowered.compile()(*arrays), kernel


def assert_near(found, expected, tolerance):
    """But for so much of the largest."""
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.fixture
def at_the_second_size(monkeypatch):
    """Extents become symbols when they are others for the first time."""
    monkeypatch.setattr(sizes, "CONCRETE_SHAPES", 1)


@pytest.mark.parametrize(
    "function, size, dtype, how, epilogue, threads",
    pairs(
        [channels_last, channels_first],
        SIZES,
        TOLERANCE,
        [(1, 0, 1), (2, 1, 1), (1, 2, 2)],
        EPILOGUES,
        [1, 2],
    ),
)
def test_every_stride_padding_and_dilation(function, size, dtype, how, epilogue, threads):
    if dtype in ("i4", "c8"):  # which have no order, or no exponential function
        epilogue = {"cheap": "cheap" if dtype == "i4" else "none"}.get(epilogue, "none")
    n, height, width, c, d, k = size
    last = function is channels_last
    x = RNG.standard_normal((n, height, width, c) if last else (n, c, height, width))
    w = RNG.standard_normal((k, k, c, d) if last else (d, c, k, k))
    scale = 3 if dtype == "i4" else 1
    w *= 3 if dtype == "i4" else (w.size // d) ** -0.5
    x, w, b = [a.astype(dtype) for a in (x * scale, w, RNG.standard_normal(d) * scale)]
    expected = function(x, w, b, *how, epilogue)
    found = compiled(function, threads=threads)(x, w, b, *how, epilogue)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert_near(found, expected, TOLERANCE[dtype])


def calls_of(module):
    return [s for s in module.entry.body if isinstance(s, Call)]


def test_windows_and_epilogue_are_one_kernel_without_memory_for_windows():
    x = np.ones((1, 30, 30, 32), "f4")
    w, b = np.ones((3, 3, 32, 48), "f4"), np.ones(48, "f4")
    lowered = compiled(channels_last).lower(x, w, b, 1, 0, 1, "cheap")
    (call,) = calls_of(lowered.module)
    local = [s.buffer for s in statements(call.kernel.body) if isinstance(s, Allocate)]
    assert sum(np.prod(b.type.shape) for b in local if b.space == "local") <= w.size


def test_weights_that_outgrow_the_cache_are_packed_once_for_all_lines():
    x, w = np.ones((2, 16, 16, 256), "f4"), np.ones((3, 3, 256, 256), "f4")
    lowered = compiled(channels_last).lower(x, w, np.ones(256, "f4"), 1, 0, 1, "none")
    (call,) = calls_of(lowered.module)
    copies = [s for s in statements(call.kernel.body) if isinstance(s, Store) and "right" in str(s)]
    loops = [s.index.name for s in statements(call.kernel.body) if isinstance(s, For)]
    assert len(copies) == 1 and loops.index("k_right") < loops.index("b")
    (right,) = {s.buffer for s in copies}
    assert 4 * np.prod(right.type.shape) <= 1 << 20


# Pictures, kernel, stride, the zeros before and after lines and columns: chunks of lines with some left over,
# few channels, borders wider than a window, none before or none behind, few pictures of many channels.
PADDED = [
    ((1, 61, 50, 16), (3, 3, 16, 40), 1, ((1, 1), (1, 1))),
    ((1, 75, 66, 3), (7, 7, 3, 32), 2, ((3, 3), (3, 2))),
    ((2, 40, 33, 20), (3, 2, 20, 24), 1, ((0, 5), (3, 0))),
    ((3, 9, 9, 130), (3, 3, 130, 96), 1, ((2, 0), (0, 1))),
    ((33, 12, 10, 8), (3, 3, 8, 48), 1, ((1, 1), (1, 1))),
    ((1, 50, 40, 33), (3, 3, 1, 33), 1, ((1, 1), (1, 1))),
    ((2, 31, 20, 40), (5, 3, 1, 40), 2, ((2, 3), (0, 2))),
    ((1, 4, 3, 64), (3, 3, 1, 64), 1, ((2, 3), (3, 4))),
]


@pytest.mark.parametrize("case, format, threads", pairs(PADDED, nn.FORMATS, [1, 2]))
def test_borders_are_made_where_they_are_read(case, format, threads):
    (n, *spatial, c), (*kernel, inside, d), stride, padding = case
    last = format == "channels_last"
    x = RNG.standard_normal((n, *spatial, c)).astype("f4")
    w = RNG.standard_normal((*kernel, inside, d)).astype("f4")
    if not last:
        x, w = (
            np.ascontiguousarray(np.moveaxis(x, -1, 1)),
            np.ascontiguousarray(w.transpose(3, 2, 0, 1)),
        )
    how = {"stride": stride, "groups": c // inside, "data_format": format}
    layer = lambda x, w: nn.conv(x, w, padding=padding, **how)
    around = [(0, 0), *padding, (0, 0)] if last else [(0, 0), (0, 0), *padding]
    expected = nn.conv(np.pad(x, around).astype("f8"), w.astype("f8"), **how)
    lowered = tracejit.jit(layer, threads=threads).lower(x, w)
    (call,) = calls_of(lowered.module)
    assert unproved(call.kernel) == []
    assert_near(lowered.compile()(x, w), expected, 1e-5)


def test_lines_of_padded_pictures_stay_near():
    x, w = np.ones((1, 64, 64, 32), "f4"), np.ones((3, 3, 32, 64), "f4")
    f = tracejit.jit(lambda x, w: nn.conv(x, w, padding=1, data_format="channels_last"), threads=2)
    assert f.memory(x, w).workspace < x.nbytes / 2
    x, w = np.ones((1, 64, 64, 64), "f4"), np.ones((3, 3, 1, 64), "f4")
    f = tracejit.jit(
        lambda x, w: nn.conv(x, w, padding=1, groups=64, data_format="channels_last"), threads=2
    )
    assert f.memory(x, w).workspace == 0


def test_borders_of_any_value_around_any_factor():
    def windows_of(x, w):
        around = np.pad(x, ((2, 1), (0, 3)), constant_values=-1.5)
        windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3))
        return np.einsum("hwij,ijd->hwd", windows, w), around.sum(0)

    def product(x, w):
        return np.pad(x, 1, constant_values=2.0)[1:] @ np.pad(w, ((0, 2), (3, 0)))

    def both(x, w):
        edge = np.pad(x, 1)
        return edge @ edge.T

    for function, shapes in (
        (windows_of, ((40, 37), (3, 3, 33))),
        (product, ((50, 60), (60, 70))),
        (both, ((70, 80), (1,))),
    ):
        x, w = (RNG.standard_normal(shape) for shape in shapes)
        for found, expected in zip(tracejit.jit(function)(x, w), function(x, w)):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


# Spatial extents (channels first), channels, outputs, kernel: whole pictures, chunks of lines with some
# left over, several blocks of the depth, long lines, few products for threads to share.
UNFOLDED = [
    (4, (14, 14), 40, 24, (3, 3)),
    (1, (23, 19), 6, 20, (3, 3)),
    (1, (9, 9), 130, 33, (3, 3)),
    (2, (5, 300), 4, 16, (2, 3)),
    (3, (70,), 50, 18, (5,)),
    (1, (6, 7, 8), 8, 17, (2, 3, 2)),
]


@pytest.mark.parametrize(
    "size, dtype, stride, padding",
    [(s, d, *h) for s, d, h in pairs(UNFOLDED, ["f4", "f8"], [(1, 1), (2, 0)])],
)
def test_channels_first_are_unfolded_a_block_at_a_time(size, dtype, stride, padding):
    n, spatial, c, d, kernel = size
    x = RNG.standard_normal((n, c, *spatial)).astype(dtype)
    w = RNG.standard_normal((d, c, *kernel)).astype(dtype)
    b = RNG.standard_normal(d).astype(dtype)

    def layer(x, w, b):
        return nn.relu(nn.conv(x, w, b, stride=stride, padding=padding))

    found, kernel = run(layer, x, w, b)
    assert_near(found, layer(x, w, b), TOLERANCE[dtype])
    assert any(
        isinstance(s, Allocate) and s.buffer.name == "windows" for s in statements(kernel.body)
    )


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_weights_across_the_depth_are_brought_into_rows(dtype, groups):
    def layer(x, w):
        n, _, *spatial = x.shape
        x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))).reshape(n, groups, -1, *np.add(spatial, 2))
        windows = sliding_window_view(x, (3, 3), axis=(3, 4))
        y = np.einsum("ngchwij,gcdij->ngdhw", windows, w[..., ::-1, ::2])
        return y.reshape(n, -1, *spatial)

    x = RNG.standard_normal((2, 24 * groups, 9, 10)).astype(dtype)
    w = (RNG.standard_normal((groups, 24, 20, 3, 6)) / 10).astype(dtype)
    found, kernel = run(layer, x, w)
    assert_near(found, layer(x.astype("f8"), w.astype("f8")), {"f4": 1e-5, "f2": 2e-2}[dtype])
    if dtype == "f4":
        names = {s.buffer.name for s in statements(kernel.body) if isinstance(s, Allocate)}
        assert {"rows", "windows"} <= names


@pytest.mark.parametrize("format", nn.FORMATS)
@pytest.mark.parametrize("inside", [4, 16])
def test_groups_of_channels_read_windows_where_they_are(inside, format):
    last, groups = format == "channels_last", 5
    x = RNG.standard_normal((2, 14, 12, groups * inside)).astype("f4")
    w = RNG.standard_normal((3, 3, inside, groups * 16)).astype("f4")
    if not last:
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
        w = np.ascontiguousarray(w.transpose(3, 2, 0, 1))
    layer = lambda x, w: nn.conv(x, w, padding=1, groups=groups, data_format=format)
    lowered = tracejit.jit(layer, threads=2).lower(x, w)
    (call,) = calls_of(lowered.module)
    assert unproved(call.kernel) == []
    assert_near(lowered.compile()(x, w), layer(x.astype("f8"), w.astype("f8")), 1e-5)


GROUPED = [
    (16, (11, 9), {"padding": 1}),
    (8, (30, 23), {"stride": 2}),
    (5, (12, 14), {"padding": (2, 1), "dilation": 2}),
    (48, (40, 38), {"padding": 1, "stride": (1, 2)}),
]


@pytest.mark.parametrize(
    "channels, dtype, case",
    pairs(
        [(4, 4), (2, 2), (8, 8), (2, 4), (3, 4), (4, 2), (1, 2)], ["f4", "f8", "i4", "c8"], GROUPED
    ),
)
def test_lanes_are_along_groups_of_few_channels(channels, dtype, case):
    (inside, out), (groups, spatial, how) = channels, case
    x = (RNG.standard_normal((2, *spatial, groups * inside)) * 4).astype(dtype)
    w = (RNG.standard_normal((3, 3, inside, groups * out)) * 4).astype(dtype)
    b = (RNG.standard_normal(groups * out) * 4).astype(dtype)

    def layer(x, w, b):
        y = nn.conv(x, w, b, groups=groups, data_format="channels_last", **how)
        return y if y.dtype.kind == "c" else nn.relu(y)

    assert_near(run(layer, x, w, b)[0], layer(x, w, b), TOLERANCE[dtype])


@pytest.mark.parametrize(
    "size, dtype, format",
    pairs(
        [((9, 13), (3, 3)), ((6, 5), (5, 6)), ((40,), (11,)), ((25, 31), (3, 2))],
        ["f4", "c16", "i2", "f2"],
        nn.FORMATS,
    ),
)
def test_depthwise_keeps_neighbours_in_registers(size, dtype, format):
    (spatial, kernel), channels = size, 21
    last = format == "channels_last"
    x = RNG.standard_normal((2, *spatial, channels) if last else (2, channels, *spatial)) * 4
    w = RNG.standard_normal((*kernel, 1, channels) if last else (channels, 1, *kernel)) * 4
    x, w = x.astype(dtype), w.astype(dtype)

    def layer(x, w):
        return nn.conv(x, w, stride=1, padding=1, groups=channels, data_format=format)

    wide = {"f2": "f4"}.get(dtype, dtype)
    expected = layer(x.astype(wide), w.astype(wide)).astype(dtype)
    found, kernel = run(layer, x, w)
    assert_near(found, expected, {"f4": 1e-5, "c16": 1e-13, "i2": 0, "f2": 2e-3}[dtype])
    # Of small pictures, and where lanes run along what is padded, there is a copy.
    copies = {"lines", "padded0"}
    local = {s.buffer for s in statements(kernel.body) if isinstance(s, Allocate)}
    assert {b.name for b in local if b.space != "register"} <= copies


@pytest.mark.parametrize(
    "skip, size, padding, format",
    pairs(
        [(2, 1), (3, 1), (1, 3), ((2, 4), 1), (2, 2), (2, 3)],
        [
            ("f4", (30, 23), (3, 3), 6),
            ("f8", (17, 61), (2, 5), 33),
            ("c8", (15, 18), (3, 4), 5),
        ],
        [0, 2],
        nn.FORMATS,
    ),
)
def test_depthwise_windows_that_skip_elements(skip, size, padding, format):
    (stride, dilation), (dtype, spatial, kernel, channels) = skip, size
    last = format == "channels_last"
    x = RNG.standard_normal((2, *spatial, channels) if last else (2, channels, *spatial))
    w = RNG.standard_normal((*kernel, 1, channels) if last else (channels, 1, *kernel))
    x, w = x.astype(dtype), w.astype(dtype)
    how = {"stride": stride, "dilation": dilation, "padding": padding, "data_format": format}
    layer = lambda x, w: nn.conv(x, w, groups=channels, **how)
    assert_near(run(layer, x, w)[0], layer(x, w), 1e-5)


def test_elements_of_depthwise_windows_are_read_once():
    x, w = np.ones((1, 60, 60, 64), "f4"), np.ones((3, 3, 1, 64), "f4")
    layer = lambda x, w: nn.conv(x, w, groups=64, data_format="channels_last")
    (call,) = calls_of(tracejit.jit(layer, threads=1).lower(x, w).module)
    (picture, *_) = call.kernel.inputs
    loops = [s for s in statements(call.kernel.body) if isinstance(s, For) and s.mark == "vector"]
    read = [load for load in loads_of(loops[0].body) if load.buffer is picture]
    assert len(read) == len(set(read)) == 4 * 6  # of a tile of 2 x 4 results


@pytest.mark.parametrize("dtype", ["f4", "c16"])
@pytest.mark.parametrize("channels", [48, 1024])
def test_depthwise_pictures_are_copied_a_few_vectors_at_a_time(channels, dtype):
    x = (RNG.standard_normal((3, 9, 6, channels)) * 4).astype(dtype)
    w = (RNG.standard_normal((5, 3, 1, channels)) * 4).astype(dtype)

    def layer(x, w):
        return nn.conv(x, w, stride=(1, 2), padding=2, groups=channels, data_format="channels_last")

    found, kernel = run(layer, x, w)
    assert_near(found, layer(x, w), {"f4": 1e-5, "c16": 1e-13}[dtype])
    (lines,) = [
        s.buffer
        for s in statements(kernel.body)
        if isinstance(s, Allocate) and s.buffer.space != "register"
    ]
    assert lines.name == "lines" and lines.type.shape[:-1] == (1, 13, 9)
    assert lines.type.shape[-1] * lines.type.dtype.itemsize <= 256 * (1 + (dtype == "c16"))


FEW_OUT = [
    ((1, 30, 41, 32), "f4", (1, 1, 1), 2),
    ((2, 9, 8, 24), "f8", (1, 0, 2), 1),
    ((1, 20, 19, 48), "f4", (2, 2, 1), 2),
    ((3, 60, 50, 64), "f8", (1, 1, 1), 2),
]


@pytest.mark.parametrize("out, epilogue, case", pairs([1, 2, 3, 5], EPILOGUES, FEW_OUT))
def test_few_channels_out_are_inner_products(out, epilogue, case):
    shape, dtype, how, threads = case
    x = RNG.standard_normal(shape).astype(dtype)
    w = (RNG.standard_normal((3, 3, shape[-1], out)) / 20).astype(dtype)
    b = RNG.standard_normal(out).astype(dtype)
    layer = lambda x, w, b: channels_last(x, w, b, *how, epilogue)
    found, kernel = run(layer, x, w, b, threads=threads)
    assert_near(found, layer(x, w, b), TOLERANCE[dtype])
    local = {s.buffer.name for s in statements(kernel.body) if isinstance(s, Allocate)}
    assert "rows" in local


def products(x, w, b):
    y = x @ w
    return y, y + b, (y + b) > 0


def softmax_of_product(x, w, b):
    z = np.exp(x @ w * 0.01 + b)
    return z / z.sum(-1, keepdims=True)


def product_of_product(x, w, b):
    y = x @ w
    return (y @ w.T) * y.sum() + np.exp(x)


def into_a_transposed(x, w, b):
    y = x @ w
    return (y + b).T, np.exp(y).reshape(-1)


@pytest.mark.parametrize(
    "function", [products, softmax_of_product, product_of_product, into_a_transposed]
)
@pytest.mark.parametrize("size", [(7, 5, 3), (1, 33, 40), (64, 48, 80), (300, 257, 1100)], ids=str)
def test_what_follows_a_product(function, size):
    n, m, k = size
    x, w = RNG.standard_normal((n, k)), RNG.standard_normal((k, m))
    b = RNG.standard_normal(m)
    expected, found = function(x, w, b), tracejit.jit(function)(x, w, b)
    pairs = zip(found, expected) if isinstance(expected, tuple) else [(found, expected)]
    for a, e in pairs:
        assert a.shape == e.shape and a.dtype == e.dtype
        np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-9 * np.abs(e).max())


def test_several_results_of_a_product_are_one_kernel():
    x, w, b = np.ones((64, 80)), np.ones((80, 48)), np.ones(48)
    lowered = tracejit.jit(products).lower(x, w, b)
    (call,) = calls_of(lowered.module)
    assert len(call.kernel.fresh) == 3


def test_unknown_sizes():
    f = compiled(channels_last)
    w, b = RNG.standard_normal((3, 3, 4, 6)), RNG.standard_normal(6)
    for height in range(5, 12):
        x = RNG.standard_normal((1, height, height + 1, 4))
        for epilogue in ("none", "dear"):
            expected = channels_last(x, w, b, 1, 1, 1, epilogue)
            np.testing.assert_allclose(
                f(x, w, b, 1, 1, 1, epilogue), expected, rtol=1e-9, atol=1e-9
            )


@pytest.mark.parametrize(
    "weights, dtype, format", pairs([(3, 5), (24, 40), (130, 19)], ["f4", "i4"], nn.FORMATS)
)
def test_unknown_sizes_of_pictures(weights, dtype, format, at_the_second_size):
    """One compile for all sizes, in tiles: rows, columns and windows that are cut included."""
    (channels, out), last = weights, format == "channels_last"
    scale = 1 if dtype == "f4" else 9
    w = RNG.standard_normal((3, 2, channels, out) if last else (out, channels, 3, 2)) * scale
    w, b = w.astype(dtype), (RNG.standard_normal(out) * scale).astype(dtype)

    def layer(x, w, b):
        return nn.relu(nn.conv(x, w, b, stride=(1, 2), padding=1, data_format=format))

    f = tracejit.jit(layer, threads=2)
    sizes = [(8, 8), (9, 10), (11, 9), (8, 31), (9, 131), (20, 8), (10, 33), (17, 12)]
    n = 2
    for height, width in sizes:
        x = RNG.standard_normal(
            (n, height, width, channels) if last else (n, channels, height, width)
        )
        x = (x * scale).astype(dtype)
        assert_near(f(x, w, b), layer(x, w, b), TOLERANCE[dtype])
    assert f.cache_info().misses == 2
    (*_, call) = calls_of(f.lower(x, w, b).module)
    assert any(
        isinstance(s, Allocate) and s.buffer.space == "register"
        for s in statements(call.kernel.body)
    )


@pytest.mark.parametrize(
    "growing, dtype, format",
    pairs(["channels", "lines and channels", "all"], ["f4", "f8"], nn.FORMATS),
)
def test_unknown_numbers_of_channels(growing, dtype, format, at_the_second_size):
    """One compile for all: blocks of windows and panels that are cut, weights packed once for all lines."""

    def layer(x, w, b, format=format):
        return nn.relu(nn.conv(x, w, b, padding=1, data_format=format))

    f = tracejit.jit(layer, threads=2)
    sizes = [(8, 10), (9, 20), (11, 9), (17, 41), (60, 18), (7, 70), (131, 33), (21, 16)]
    for number, (c, d) in enumerate(sizes):
        h = 22 if growing == "channels" else 18 + number
        n = 2 if growing != "all" else 12 + number
        x = RNG.standard_normal((n, h, h + 3, c)).astype(dtype)
        w = RNG.standard_normal((3, 3, c, d)).astype(dtype)
        b = RNG.standard_normal(d).astype(dtype)
        expected = layer(x.astype("f8"), w.astype("f8"), b.astype("f8"), "channels_last")
        if format == "channels_first":
            x, w = np.moveaxis(x, -1, 1).copy(), w.transpose(3, 2, 0, 1).copy()
            expected = np.moveaxis(expected, -1, 1)
        assert_near(f(x, w, b), expected, TOLERANCE[dtype])
    assert f.cache_info().misses <= 3
    spaces = {
        s.buffer.space
        for call in calls_of(f.lower(x, w, b).module)
        for s in statements(call.kernel.body)
        if isinstance(s, Allocate)
    }
    assert "register" in spaces


def test_windows_of_unknown_size_are_read_where_they_are():
    f = tracejit.jit(lambda x, w: nn.conv(x, w, data_format="channels_last"))
    w = np.ones((5, 5, 16, 32), "f4")
    for side in (20, 30, 40, 50):
        f(np.ones((1, side, side, 16), "f4"), w)
    x = np.ones((1, 200, 200, 16), "f4")
    f(x, w)
    assert f.cache_info().misses == 4
    assert f.memory(x, w).workspace < x.nbytes


@pytest.mark.parametrize("read_first", [True, False])
def test_windows_are_views(read_first):
    def function(x):
        v = sliding_window_view(x, 3)
        total = v.sum() if read_first else 0.0
        x[1] = 7
        return v.sum(1) + total, v

    x = np.arange(8.0)
    y = x.copy()
    expected, found = function(x), tracejit.jit(function)(y)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert np.shares_memory(found[1], y) and not found[1].flags.writeable


def test_parts_of_factors_that_begin_at_a_loops_index():
    def blocks(x, w):
        out = np.empty((x.shape[0], w.shape[1]))
        for i in range(x.shape[0] // 64):
            out[64 * i : 64 * i + 64] = np.exp(x[64 * i : 64 * i + 64] @ w)
        return out

    x, w = RNG.standard_normal((512, 64)), RNG.standard_normal((64, 300)) / 8
    np.testing.assert_allclose(tracejit.jit(blocks)(x, w), np.exp(x @ w), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["f2", "i2"])
@pytest.mark.parametrize(
    "choose",
    [
        lambda y: np.where(np.arange(6)[:, None] >= np.arange(6), y, -np.inf),
        np.tril,
        lambda y: np.triu(y, 1) * 2,
        lambda y: np.where(np.eye(6, dtype=bool), y + np.arange(6, dtype=y.dtype), 1),
    ],
)
def test_short_numbers_of_a_product_chosen_by_a_known_mask(choose, dtype):
    """Once an abort of the process, in LLVM's quick code: see `tiers.load`."""
    function = lambda a: choose(a @ a.T)
    a = (RNG.standard_normal((6, 8)) * 4).astype(dtype)
    with config.use(tiers=True):
        f = tracejit.jit(function)
        found = f(a)
    np.testing.assert_allclose(found, function(a), rtol=1e-2, atol=1e-2)
    assert len(calls_of(f.lower(a).module)) == 1


def test_depthwise_convolutions_of_bytes():
    """Once an abort of the process, in LLVM's quick code: see `tiers.load`."""
    x, w = np.ones((1, 16, 14, 14), "i1"), np.ones((16, 1, 3, 3), "i1")

    def layer(x, w):
        return nn.conv(x, w, groups=16, padding=1)

    with config.use(tiers=True):
        np.testing.assert_array_equal(tracejit.jit(layer, threads=1)(x, w), layer(x, w))


def test_halves_of_windows_that_are_summed_inside_of_tiles():
    x, w = RNG.standard_normal((1, 3, 20, 20)), RNG.standard_normal((64, 3, 3, 3))
    x, w = x.astype("f2"), w.astype("f2")
    expected = nn.conv(x.astype("f4"), w.astype("f4"))
    np.testing.assert_allclose(tracejit.jit(nn.conv)(x, w), expected, rtol=0, atol=2e-2)


def test_loops_over_the_taps_of_a_kernel_are_one_pass():
    def filtered(s, k):
        out = np.zeros(len(s) - 30)
        for i in range(31):
            out += k[i] * s[i : i + len(out)]
        return out

    def depthwise(x, w):
        n, height, width, c = x.shape
        out = np.zeros((n, height - 4, width - 4, c))
        for i in range(5):
            for j in range(5):
                out += x[:, i : i + height - 4, j : j + width - 4] * w[i, j]
        return out

    def shifting(s, k):  # what a tap reads is what the last one wrote
        for i in range(9):
            s = s[1:] * k[i] + s[:-1]
        return s

    def rows(x, w):  # nothing is read again
        total = np.zeros_like(x[0, 0])
        for i in range(9):
            total += x[0, i] * w[0, 0]
        return total

    s, k = RNG.standard_normal(3000), RNG.standard_normal(31)
    x, w = RNG.standard_normal((1, 20, 20, 24)), RNG.standard_normal((5, 5, 24))
    for function, arguments in (
        (filtered, (s, k)),
        (depthwise, (x, w)),
        (shifting, (s, k)),
        (rows, (x, w)),
    ):
        f = tracejit.jit(function)
        expected = function(*arguments)
        np.testing.assert_allclose(f(*arguments), expected, rtol=1e-9, atol=1e-12)
        if function in (filtered, depthwise):
            assert len(calls_of(f.lower(*arguments).module)) == 1
        if function is rows:
            assert "for_loop" in str(f.trace(*arguments))


def rows_of_windows(x, w, b):
    windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
    n, c, height, width = (windows := windows[:, :, ::2]).shape[:4]
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, c * 9)
    y = np.maximum(rows @ w.reshape(len(w), -1).T + b, 0)
    return y.reshape(n, height, width, len(w))


def columns_of_windows(x, w, b):
    windows = sliding_window_view(x, (3, 3), axis=(2, 3))
    n, c, height, width = windows.shape[:4]
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * 9, -1)
    return (w.reshape(len(w), -1) @ columns).reshape(n, len(w), height, width)


def slices_side_by_side(x, w, b):
    h, v = x.shape[2] - 4, x.shape[3] - 2
    parts = [x[:, :, 2 * i : 2 * i + h, j : j + v] for i in range(3) for j in range(3)]
    return (
        np.stack(parts, axis=2).transpose(0, 3, 4, 1, 2).reshape(-1, w[0].size)
        @ w.reshape(len(w), -1).T
    )


def slices_of_one_line(x, w, b):
    s = x[0, 0, 0]
    return np.concatenate([s[k : k + 8, None] for k in range(6)], axis=1) @ w.reshape(6, -1)


def places_of_windows(x, w, b):
    s = x.reshape(-1)
    return s[np.arange(0, 600, 3)[:, None] + 2 * np.arange(9) + 5] @ w.reshape(-1, 9).T


def places_of_patches(x, w, b):
    i = np.arange(7)[:, None, None, None] + np.arange(3)[:, None]
    j = 2 * np.arange(5)[:, None, None] + np.arange(3)
    i, j = np.broadcast_arrays(i, j)
    return np.tensordot(x[:, :, i, j], w, axes=([1, 4, 5], [1, 2, 3])) + b


def array_of_slices(x, w, b):
    n, c, height, width = x.shape
    columns = np.empty((n, c, 3, 3, height - 2, (width - 1) // 2))
    for i in range(3):
        for j in range(3):
            columns[:, :, i, j] = x[:, :, i : i + height - 2, j : j + width - 2 : 2]
    rows = columns.transpose(0, 4, 5, 1, 2, 3).reshape(-1, c * 9)
    return np.tanh(rows @ w.reshape(len(w), -1).T + b)


def array_of_many_slices(x, w, b):
    columns = np.zeros((len(x), 25, 10, 9))
    for i in range(5):
        for j in range(5):
            columns[:, 5 * i + j] = x[:, 1, i : i + 10, j : j + 9]
    return np.einsum("nkhw,dk->ndhw", columns, w.reshape(6, -1)[:, :25])


IM2COL = (
    rows_of_windows,
    columns_of_windows,
    slices_side_by_side,
    slices_of_one_line,
    places_of_windows,
    places_of_patches,
    array_of_slices,
    array_of_many_slices,
)


@pytest.mark.parametrize("function", IM2COL)
def test_windows_side_by_side_are_not_stored(function):
    x, w = RNG.standard_normal((2, 4, 14, 13)), RNG.standard_normal((6, 4, 3, 3))
    b = RNG.standard_normal(6)
    lowered = tracejit.jit(function, threads=1).lower(x, w, b)
    (call,) = calls_of(lowered.module)
    assert unproved(call.kernel) == []
    assert "windows" in tracejit.show(lowered.stages[tracejit.Stage.FUSED])
    np.testing.assert_allclose(
        lowered.compile()(x, w, b), function(x, w, b), rtol=1e-12, atol=1e-12
    )


def test_what_is_almost_windows():
    def backwards(x, y, w):
        return np.concatenate([x[4 - k : 12 - k, None] for k in range(5)], 1) @ w

    def of_two(x, y, w):
        return np.stack([x[:8], x[1:9], y[2:10], x[3:11], x[4:12]], axis=1) @ w

    def one_twice(x, y, w):
        columns = np.zeros((8, 5))
        for k in (0, 1, 2, 3, 4, 2):
            columns[:, k] = x[k : k + 8] if k != 2 else y[k : k + 8]
        return columns @ w

    def one_missing(x, y, w):
        columns = np.ones((8, 5))
        for k in (0, 1, 3, 4):
            columns[:, k] = x[k : k + 8]
        return columns @ w

    def uneven(x, y, w):
        return np.stack([x[k : k + 8] for k in (0, 1, 2, 4, 5)], axis=1) @ w

    def beyond(x, y, w):
        return x[np.arange(-2, 6)[:, None] + np.arange(5)] @ w

    def same_counter(x, y, w):
        return (x[np.arange(5) + np.arange(5)] + y[2 * np.arange(5)[::-1]]) @ w

    def of_nothing(x, y, w):
        windows = sliding_window_view(x[:0].reshape(0, 6, 6), (2, 5), axis=(1, 2))
        return windows.reshape(0, 10) @ np.concatenate([w, w])

    cases = backwards, of_nothing, of_two, one_twice, one_missing, uneven, beyond, same_counter
    every = lambda *arrays: [f(*arrays) for f in cases]
    arrays = RNG.standard_normal(13), RNG.standard_normal(13), RNG.standard_normal((5, 6))
    for found, expected in zip(tracejit.jit(every)(*arrays), every(*arrays)):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "format, inside", [("channels_last", 1), ("channels_first", 1), ("channels_last", 4)]
)
def test_groups_of_any_number_of_pictures(format, inside):
    """One compile for all numbers; borders are made where they are read."""
    last, c = format == "channels_last", 32
    w = RNG.standard_normal((3, 3, inside, c) if last else (c, inside, 3, 3))
    layer = lambda x, w: nn.conv(x, w, padding=1, groups=c // inside, data_format=format)
    f = tracejit.jit(layer, threads=2)
    for n in (8, 9, 10, 11, 13):
        x = RNG.standard_normal((n, 20, 19, c) if last else (n, c, 20, 19))
        assert_near(f(x, w), layer(x, w), 1e-12)
    assert f.cache_info().misses == 4
    assert f.memory(x, w).workspace < x.nbytes
    (*_, call) = calls_of(f.lower(x, w).module)
    assert unproved(call.kernel) == []
