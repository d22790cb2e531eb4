"""`tracejit.nn`: each layer, compiled and through NumPy, against its definition written as loops."""

from itertools import product

import numpy as np
import pytest
from combinations import pairs

import tracejit
from tracejit import nn
from tracejit.ir.tensor import For, statements
from tracejit.runtime import engine

RNG = np.random.default_rng(3)


def both(function, *arrays, **options):
    """What `jit` makes of the call, once it is sure that NumPy gives the same."""
    plain = function(*arrays, **options)
    found = tracejit.jit(lambda *a: function(*a, **options))(*arrays)
    assert found.dtype == plain.dtype and found.shape == plain.shape
    np.testing.assert_allclose(found, plain, rtol=1e-9, atol=1e-9)
    return found


def arrays(*shapes):
    return [RNG.standard_normal(shape) for shape in shapes]


def taps_of(place, kernel, stride, padding, dilation, extents):
    """The positions in the input under a window that are no padding, with their taps."""
    for taps in np.ndindex(*kernel):
        parts = zip(place, stride, padding, taps, dilation)
        at = tuple([p * s - c + t * d for p, s, c, t, d in parts])
        if all(0 <= i < n for i, n in zip(at, extents)):
            yield at, taps


def conv_by_loops(x, w, stride, padding, dilation, groups):
    (batch, _, *extents), (out, inside, *kernel) = x.shape, w.shape
    each = out // groups
    size = [
        (n + 2 * p - (k - 1) * d - 1) // s + 1
        for n, p, k, d, s in zip(extents, padding, kernel, dilation, stride)
    ]
    y = np.zeros((batch, out, *size))
    for n, d, place in product(range(batch), range(out), np.ndindex(*size)):
        first = d // each * inside
        for at, taps in taps_of(place, kernel, stride, padding, dilation, extents):
            for c in range(inside):
                y[(n, d, *place)] += x[(n, first + c, *at)] * w[(d, c, *taps)]
    return y


def last(x):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def kernel_last(w):
    return np.ascontiguousarray(np.transpose(w, (*range(2, w.ndim), 1, 0)))


CASES = [
    ((6,), (3,), 1, 1, 1, 1),
    ((9,), (2,), 2, 0, 2, 2),
    ((7, 6), (3, 2), 1, 1, 1, 1),
    ((7, 6), (3, 3), (2, 1), (1, 0), (1, 2), 2),
    ((6, 5), (3, 3), 1, 1, 1, 4),
    ((4, 5, 3), (2, 3, 1), 1, 1, 1, 2),
    ((5, 5, 5), (2, 2, 2), 2, 0, 2, 1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv(case):
    extents, kernel, stride, padding, dilation, groups = case
    out = 4 if groups == 4 else 6
    x, w, b = arrays((2, 4, *extents), (out, 4 // groups, *kernel), (out,))
    count = len(extents)
    full = [v if isinstance(v, tuple) else (v,) * count for v in (stride, padding, dilation)]
    expected = conv_by_loops(x, w, *full, groups) + b.reshape(-1, *[1] * count)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    np.testing.assert_allclose(both(nn.conv, x, w, b, **options), expected, rtol=1e-9, atol=1e-9)
    options["data_format"] = "channels_last"
    found = both(nn.conv, last(x), kernel_last(w), b, **options)
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv_transpose_is_the_transpose_of_conv(case):
    extents, kernel, stride, padding, dilation, groups = case
    x, w = arrays((2, 4, *extents), (4, 4 // groups, *kernel))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    forward = nn.conv(x, w, **options)
    (y,) = arrays(forward.shape)
    steps = zip(
        *[v if isinstance(v, tuple) else (v,) * len(extents) for v in (stride, padding, dilation)]
    )
    more = [
        n - ((m - 1) * s - 2 * p + (k - 1) * d + 1)
        for n, m, k, (s, p, d) in zip(extents, forward.shape[2:], kernel, steps)
    ]
    back = both(nn.conv_transpose, y, w, output_padding=more, **options)
    assert back.shape == x.shape
    np.testing.assert_allclose((forward * y).sum(), (x * back).sum(), rtol=1e-9)
    options["data_format"] = "channels_last"
    found = both(nn.conv_transpose, last(y), kernel_last(w), output_padding=more, **options)
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), back, rtol=1e-9, atol=1e-9)


def test_same_padding_keeps_extents():
    x, w = arrays((1, 2, 7, 8), (3, 2, 3, 4))
    assert both(nn.conv, x, w, padding="same").shape == (1, 3, 7, 8)
    assert both(nn.conv, x, w, padding="same", stride=2).shape == (1, 3, 4, 4)
    valid = both(nn.conv, x, w, padding="valid")
    np.testing.assert_allclose(valid, nn.conv(x, w), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("data_format", nn.FORMATS)
@pytest.mark.parametrize(
    "window, stride, padding",
    [(2, None, 0), (3, 2, 1), ((3, 2), (1, 2), ((1, 0), (0, 1))), (3, 1, 1), (5, (1, 2), 2)],
)
def test_pooling(data_format, window, stride, padding):
    (x,) = arrays((2, 3, 7, 6))
    x[0, 0, 2, 2] = np.nan
    sizes = (window, window) if isinstance(window, int) else window
    steps = sizes if stride is None else (stride, stride) if isinstance(stride, int) else stride
    pads = padding if isinstance(padding, tuple) else ((padding, padding),) * 2
    wide = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=-np.inf)
    zero = np.pad(x, ((0, 0), (0, 0), *pads))
    counts = [(n - k) // s + 1 for n, k, s in zip(wide.shape[2:], sizes, steps)]
    most, mean = np.empty((2, 2, 3, *counts))
    for i, j in np.ndindex(*counts):
        rows = slice(i * steps[0], i * steps[0] + sizes[0])
        columns = slice(j * steps[1], j * steps[1] + sizes[1])
        most[..., i, j] = wide[:, :, rows, columns].max((2, 3))
        mean[..., i, j] = zero[:, :, rows, columns].mean((2, 3))
    for pool, expected in ((nn.max_pool, most), (nn.avg_pool, mean)):
        own = last(x) if data_format == "channels_last" else x
        options = {"stride": stride, "padding": padding, "data_format": data_format}
        found = both(pool, own, window, **options)
        found = np.moveaxis(found, -1, 1) if data_format == "channels_last" else found
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("data_format", nn.FORMATS)
def test_windows_that_overlap_much_are_pooled_axis_by_axis(data_format):
    x = RNG.standard_normal((2, 3, 9, 8, 7)).astype("f4")
    x = np.moveaxis(x, 1, -1) if data_format == "channels_last" else x
    axes = (1, 2, 3) if data_format == "channels_last" else (2, 3, 4)
    found = both(nn.max_pool, x, 3, stride=(1, 2, 1), dilation=(1, 1, 2), data_format=data_format)
    v = np.lib.stride_tricks.sliding_window_view(x, (3, 3, 5), axis=axes)
    v = v[tuple([slice(None, None, 2 if a == axes[1] else 1) for a in range(5)])][..., ::2]
    np.testing.assert_array_equal(found, v.max((-3, -2, -1)))


def test_max_pool_of_integers():
    x = np.arange(-12, 12, dtype="i2").reshape(1, 1, 4, 6)
    found = both(nn.max_pool, x, 2, padding=1)
    assert found.dtype == np.int16 and found[0, 0, 0, 0] == -12


def test_activations():
    from math import erf

    (x,) = arrays((5, 7))
    normal = np.vectorize(lambda v: 0.5 * (1 + erf(v / np.sqrt(2))))(x)
    np.testing.assert_allclose(both(nn.gelu, x), x * normal, rtol=1e-12)
    np.testing.assert_allclose(both(nn.gelu, x, approximate=True), x * normal, atol=2e-3)
    np.testing.assert_array_equal(both(nn.relu, x), np.where(x > 0, x, 0))
    np.testing.assert_allclose(both(nn.silu, x), x / (1 + np.exp(-x)), rtol=1e-12)


def test_activations_keep_float32():
    x = np.ones((3, 4), "f4")
    for function in (
        nn.relu,
        nn.silu,
        nn.gelu,
        nn.softmax,
        nn.log_softmax,
        nn.layer_norm,
        nn.rms_norm,
    ):
        assert both(function, x).dtype == np.float32


@pytest.mark.parametrize("axis", [-1, 0, (0, 1)])
def test_softmax_of_large_numbers(axis):
    x = arrays((4, 6))[0] * 1000
    e = np.exp((x - x.max(axis=axis, keepdims=True)).astype(np.longdouble))
    expected = (e / e.sum(axis=axis, keepdims=True)).astype(float)
    np.testing.assert_allclose(both(nn.softmax, x, axis=axis), expected, rtol=1e-12, atol=1e-300)
    logs = both(nn.log_softmax, x, axis=axis)
    np.testing.assert_allclose(np.exp(logs), expected, rtol=1e-9, atol=1e-300)


def test_norms():
    x, gain, shift = arrays((5, 33), (33,), (33,))
    y = both(nn.layer_norm, x, gain, shift)
    rows = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, rows * gain + shift, rtol=1e-9, atol=1e-12)
    z = both(nn.rms_norm, x, gain)
    np.testing.assert_allclose(
        z, x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6) * gain, rtol=1e-9
    )


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("kind", ["none", "bool", "added"])
def test_attention(kind, is_causal):
    q, k, v = arrays((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7))
    mask = {"none": None, "bool": RNG.standard_normal((5, 6)) > -0.5, "added": arrays((5, 6))[0]}[
        kind
    ]
    if kind == "bool":
        mask[:, 0] = True
    found = both(nn.attention, q, k, v, mask=mask, is_causal=is_causal)
    for place in np.ndindex(2, 3, 5):
        query = place[-1]
        scores = k[place[:-1]] @ q[place] / 2
        if kind == "added":
            scores = scores + mask[query]
        seen = np.arange(6) <= query if is_causal else np.ones(6, bool)
        if kind == "bool":
            seen &= mask[query]
        weights = np.where(seen, np.exp(scores - scores[seen].max()), 0)
        expected = weights @ v[place[:-1]] / weights.sum()
        np.testing.assert_allclose(found[place], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x, w: nn.conv(x, w, groups=3), "do not fit 3 groups"),
        (lambda x, w: nn.conv(x, w, stride=0), "stride is a number of at least 1"),
        (lambda x, w: nn.conv(x, w, stride=(1, 2, 3)), "or 2 of them"),
        (lambda x, w: nn.conv(x, w, padding="some"), '"valid" or "same"'),
        (lambda x, w: nn.conv(x, w, padding=-1), "at least 0"),
        (lambda x, w: nn.conv(x, w, data_format="NHWC"), "channels_first"),
        (lambda x, w: nn.conv(x, w[0]), "arrays of 3, 4 or 5 axes"),
        (lambda x, w: nn.conv(x, w, dilation=4), "does not fit an axis"),
        (lambda x, w: nn.conv(x[:, :3], w), "3 channels in"),
        (lambda x, w: nn.conv_transpose(x[:, :3], w), "3 channels"),
        (lambda x, w: nn.max_pool(x, 9), "does not fit an axis of 6"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, message):
    x, w = np.ones((1, 4, 6, 6)), np.ones((4, 4, 3, 3))
    for function in (call, tracejit.jit(call)):
        with pytest.raises(ValueError, match=message):
            function(x, w)


def test_a_layer_is_one_kernel():
    def layer(x, w, b):
        return nn.relu(nn.conv(x, w, b, data_format="channels_last"))

    x, w, b = np.ones((1, 8, 8, 16)), np.ones((3, 3, 16, 16)), np.ones(16)
    lowered = tracejit.jit(layer).lower(x, w, b)
    assert len(lowered.module.entry.body) == 1


@pytest.mark.parametrize("pool", [nn.max_pool, nn.avg_pool])
def test_lanes_of_windows_that_skip_elements_are_one_vector(pool):
    x = RNG.standard_normal((2, 3, 20, 112)).astype("f4")
    f = tracejit.jit(lambda x: pool(x, 2), threads=1)
    np.testing.assert_allclose(f(x), pool(x, 2), rtol=0, atol=1e-6)
    kernel = f.lower(x).module.functions[0]
    lanes = {s.lanes for s in statements(kernel.body) if isinstance(s, For) and s.mark == "vector"}
    assert lanes and max(lanes) * 4 <= engine.target().vector_bytes


TRANSPOSED = [
    ((4, 4), (2, 2), (1, 1), (1, 1), (0, 0)),
    ((3, 3), (2, 2), (1, 1), (1, 1), (1, 1)),
    ((2, 5), (3, 2), (0, 4), (1, 1), (2, 0)),
    ((3, 2), (4, 2), (0, 0), (2, 4), (1, 3)),
    ((1,), (3,), (0,), (1,), (2,)),
    ((2, 1, 3), (1, 2, 3), (1, 0, 0), (1, 1, 1), (0, 1, 1)),
]


@pytest.mark.parametrize("how, groups, data_format", pairs(TRANSPOSED, [1, 2], nn.FORMATS))
def test_conv_transpose_by_its_definition(how, groups, data_format):
    kernel, stride, padding, dilation, more = how
    spatial = (5, 4, 3)[: len(kernel)]
    x, w = arrays((2, 4, *spatial), (4, 3, *kernel))
    sides = list(zip(spatial, kernel, stride, padding, dilation, more))
    full = [(n - 1) * s + (k - 1) * d + 1 + extra for n, k, s, p, d, extra in sides]
    expected = np.zeros((2, 3 * groups, *full))
    for place in np.ndindex(*spatial):
        for taps in np.ndindex(*kernel):
            at = [n * s + t * d for n, t, s, d in zip(place, taps, stride, dilation)]
            for g in range(groups):
                inside, outside = (
                    slice(g * 4 // groups, (g + 1) * 4 // groups),
                    slice(3 * g, 3 * g + 3),
                )
                part = x[(slice(None), inside, *place)] @ w[(inside, slice(None), *taps)]
                expected[(slice(None), outside, *at)] += part
    kept = tuple([slice(p, n - p) for n, p in zip(full, padding)])
    expected = expected[(..., *kept)]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    options |= {"output_padding": more, "data_format": data_format}
    if data_format == "channels_last":
        found = np.moveaxis(both(nn.conv_transpose, last(x), kernel_last(w), **options), -1, 1)
    else:
        found = both(nn.conv_transpose, x, w, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_transposed_convolution_of_nothing_is_refused():
    x, w = np.ones((1, 2, 3)), np.ones((2, 2, 2))
    with pytest.raises(ValueError, match="leave 0 outputs"):
        nn.conv_transpose(x, w, padding=2)
