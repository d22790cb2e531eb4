"""Layers of neural networks under the field's names, as plain NumPy that `jit` compiles.

Each function is the array program its docstring gives: under `jit` it is traced with what stands
around it, so that a bias, an activation or a residual is computed in the loops of the convolution
or product before; outside, it is NumPy.

Arrays of pictures and signals are `(batch, channels, *spatial)` with weights
`(out, in / groups, *kernel)`, as in PyTorch; with `data_format="channels_last"` they are
`(batch, *spatial, channels)` with weights `(*kernel, in / groups, out)`, as in JAX and TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

from numpy.lib.stride_tricks import sliding_window_view

from . import numpy as np
from .special import erf

Sizes = int | Sequence[int]
Padding = str | int | Sequence[int] | Sequence[tuple[int, int]]

FORMATS = ("channels_first", "channels_last")
STORED = 2  # steps of a maximum, in the time of which a value is stored and read again
_SPATIAL, _KERNEL = "hwt", "ijk"


def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    data_format: str = "channels_first",
) -> Any:
    """Cross-correlation over one, two or three spatial axes.

    `out[n, d, p] = bias[d] + sum over c, i of x[n, c, p * stride + i * dilation] * weight[d, c, i]`,
    where channels `c` and `d` are of the same one of `groups`.

    stride, dilation   a number, or one for each spatial axis
    padding            zeros on both sides: a number, one for each axis, a pair for each axis,
                       "valid" (none) or "same" (as many outputs as inputs divided by the stride)
    groups             groups of channels; as many as channels: a depthwise convolution

    Raises ValueError where shapes or options do not fit together.
    """
    axes, count, kernel = _geometry(x, weight, data_format)
    stride, dilation = _each(stride, count, "stride"), _each(dilation, count, "dilation")
    last = data_format == "channels_last"
    channels, inside, out = _channels(x, weight, last)
    if groups < 1 or channels != inside * groups or out % groups:
        raise ValueError(
            f"{channels} channels in and {out} out, with weights for {inside}, "
            f"do not fit {groups} groups"
        )
    wide = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    x = _padded(x, axes, _pads(padding, wide, stride, [x.shape[a] for a in axes]), 0)
    v = _windows(x, axes, wide, stride, dilation)
    s, k = _SPATIAL[:count], _KERNEL[:count]
    if groups == 1:
        spec = f"n{s}c{k},{k}cd->n{s}d" if last else f"nc{s}{k},dc{k}->nd{s}"
    elif inside == out // groups == 1:
        weight = weight.reshape(*kernel, groups) if last else weight.reshape(groups, *kernel)
        spec = f"n{s}c{k},{k}c->n{s}c" if last else f"nc{s}{k},c{k}->nc{s}"
    else:
        v = v.reshape(_split(v.shape, axes[-1] + 1 if last else 1, groups))
        if last:
            weight = weight.reshape(*kernel, inside, groups, out // groups)
            spec = f"n{s}gc{k},{k}cgd->n{s}gd"
        else:
            weight = weight.reshape(groups, out // groups, inside, *kernel)
            spec = f"ngc{s}{k},gdc{k}->ngd{s}"
    y = np.einsum(spec, v, weight)
    if y.ndim > count + 2:
        y = y.reshape((*y.shape[:-2], out) if last else (y.shape[0], out, *y.shape[3:]))
    return y if bias is None else y + _on_channels(bias, count, last)


def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    data_format: str = "channels_first",
) -> Any:
    """The transpose of `conv` as a linear map: every input is added to a window of outputs.

    Weights are `(in, out / groups, *kernel)` or `(*kernel, out / groups, in)`. `padding` outputs are
    cut off on both sides, `output_padding` are added at the end; the extent of a spatial axis is
    `(n - 1) * stride - 2 * padding + (kernel - 1) * dilation + output_padding + 1`.

    Raises ValueError where shapes or options do not fit together.
    """
    axes, count, kernel = _geometry(x, weight, data_format)
    last = data_format == "channels_last"
    stride, dilation = _each(stride, count, "stride"), _each(dilation, count, "dilation")
    padding, more = _each(padding, count, "padding"), _each(output_padding, count, "output_padding")
    channels = x.shape[-1 if last else 1]
    inside, each = (weight.shape[-1], weight.shape[-2]) if last else weight.shape[:2]
    if groups < 1 or channels != inside or channels % groups:
        raise ValueError(
            f"{channels} channels, with weights for {inside}, do not fit {groups} groups"
        )
    split = channels // groups
    x = x.reshape(_split(x.shape, x.ndim - 1 if last else 1, groups))
    if last:
        weight = weight.reshape(*kernel, each, groups, split)
    else:
        weight = weight.reshape(groups, split, each, *kernel)
    sides = [
        _phases(*sizes)
        for sizes in zip(
            [x.shape[a + (not last)] for a in axes], kernel, stride, padding, dilation, more
        )
    ]
    full = [extent for extent, _ in sides]
    shape = (x.shape[0], *full, groups * each) if last else (x.shape[0], groups * each, *full)
    if prod(stride) == 1:
        out = _phase(x, weight, [phases[0] for _, phases in sides], last)
        out = out.reshape(shape)
    else:
        out = np.zeros(shape, np.result_type(x, weight))
        for one in product(*[phases for _, phases in sides]):
            place = [slice(None)] * out.ndim
            for axis, phase, step in zip(axes, one, stride):
                place[axis] = slice(phase.start, None, step)
            part = out[tuple(place)]
            if 0 not in part.shape and all(phase.taps for phase in one):
                out[tuple(place)] = _phase(x, weight, one, last).reshape(part.shape)
    return out if bias is None else out + _on_channels(bias, count, last)


class _Phase(NamedTuple):
    """Every `stride`-th output along an axis, from `start` on: a convolution with some of the weights.

    `around` are the inputs to add before and after, fewer than none where some are left out; `taps`
    the weights, `dilation` how far apart the inputs are for these.
    """

    start: int
    around: tuple[int, int]
    taps: range
    dilation: int


def _phases(
    extent: int, kernel: int, stride: int, padding: int, dilation: int, more: int
) -> tuple[int, list[_Phase]]:
    """The outputs along an axis of a transposed convolution, and the phases that they are made of.

    Input `n` and weight `t` are for output `n * stride + t * dilation - padding`, so that in a phase all
    weights a certain step apart meet neighbouring inputs, or such that lie equally far apart.
    """
    fixed = (kernel - 1) * dilation - 2 * padding + more + 1
    outputs = (extent - 1) * stride + fixed
    if outputs < 1 or extent < 1:
        raise ValueError(f"{extent} inputs and {kernel} weights leave {outputs} outputs")
    unit = gcd(stride, dilation)
    phases = []
    for start in range(stride):
        shift = [(t * dilation - padding - start) / stride for t in range(kernel)]
        met = [t for t in range(kernel) if shift[t].is_integer()]
        taps = range(met[0], kernel, stride // unit) if met else range(0)
        # Output `start + stride * q` is a sum over inputs `q - shift`, and there are so many more of them.
        shifts = [int(shift[t]) for t in taps] or [0]
        count = -(-(fixed - start) // stride) - 1
        around = max(shifts), count - min(shifts)
        phases.append(_Phase(start, around, taps, dilation // unit))
    return outputs, phases


def _phase(x: Any, weight: Any, phases: Sequence[_Phase], last: bool) -> Any:
    """The outputs of one phase along each axis; inputs and weights have an axis of groups."""
    count = len(phases)
    axes = range(1, count + 1) if last else range(3, count + 3)
    taken = [slice(None)] * x.ndim
    pads = []
    for axis, phase in zip(axes, phases):
        before, after = phase.around
        taken[axis] = slice(max(-before, 0), x.shape[axis] + min(after, 0))
        pads.append((max(before, 0), max(after, 0)))
    x = _padded(x[tuple(taken)], tuple(axes), pads, 0)
    wide = [(len(phase.taps) - 1) * phase.dilation + 1 for phase in phases]
    v = _windows(x, tuple(axes), wide, [1] * count, [phase.dilation for phase in phases])
    # Inputs are walked forwards, and weights therefore backwards.
    chosen = tuple([slice(t[0], t[-1] + 1, t.step) for t in (phase.taps for phase in phases)])
    back = (slice(None, None, -1),) * count
    s, k = _SPATIAL[:count], _KERNEL[:count]
    if last:
        return np.einsum(f"n{s}gc{k},{k}dgc->n{s}gd", v, weight[chosen][back])
    weight = weight[(slice(None),) * 3 + chosen][(slice(None),) * 3 + back]
    return np.einsum(f"ngc{s}{k},gcd{k}->ngd{s}", v, weight)


def max_pool(
    x: Any,
    window: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    data_format: str = "channels_first",
) -> Any:
    """The greatest element of each window; a nan in a window is its maximum. `stride` is `window` by default."""
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    x, axes, sides = _pooled(x, window, stride, padding, dilation, data_format, least)
    return _over_windows(np.max, x, axes, sides)


def avg_pool(
    x: Any,
    window: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    data_format: str = "channels_first",
) -> Any:
    """The mean of each window, padding included. `stride` is `window` by default."""
    x, axes, sides = _pooled(x, window, stride, padding, dilation, data_format, 0)
    return _over_windows(np.sum, x, axes, sides) / prod(count for count, *_ in sides)


def relu(x: Any) -> Any:
    """`max(x, 0)`; nan stays nan."""
    return np.maximum(x, 0)


def silu(x: Any) -> Any:
    """`x / (1 + exp(-x))`, also called swish."""
    return x / (1 + np.exp(-x))


def gelu(x: Any, approximate: bool = False) -> Any:
    """`x` times the normal distribution function of `x`; or its approximation by `tanh`.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
    """
    if approximate:
        return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + erf(x * 0.7071067811865476))


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """`exp(x) / sum(exp(x))` along `axis`, without overflow."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """The logarithm of `softmax`, without underflow."""
    centred = x - x.max(axis=axis, keepdims=True)
    return centred - np.log(np.exp(centred).sum(axis=axis, keepdims=True))


def layer_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Rows of mean 0 and variance 1 along the last axis, times `weight`, plus `bias`.

    Ba, Kiros and Hinton, "Layer Normalization", 2016.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    y = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rms_norm(x: Any, weight: Any = None, eps: float = 1e-6) -> Any:
    """Rows of root mean square 1 along the last axis, times `weight`.

    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
    """
    y = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    return y if weight is None else y * weight


def attention(
    query: Any,
    key: Any,
    value: Any,
    *,
    mask: Any = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """`softmax(query @ key.T * scale + mask) @ value` over the last two axes.

    query `(..., n, d)`, key `(..., m, d)`, value `(..., m, e)` -> `(..., n, e)`. A bool `mask` says
    which keys a query sees, any other is added; with `is_causal`, query i sees keys 0 to i. The
    default of `scale` is `1 / sqrt(d)`. A query that sees no key gives nan.

    Vaswani et al., "Attention Is All You Need", 2017.
    """
    scale = float(query.shape[-1]) ** -0.5 if scale is None else scale
    scores = (query * scale) @ key.swapaxes(-1, -2)
    if is_causal:
        seen = np.arange(query.shape[-2])[:, None] >= np.arange(key.shape[-2])
        if mask is None or mask.dtype == bool:
            mask = seen if mask is None else mask & seen
        else:
            mask = np.where(seen, mask, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return softmax(scores) @ value


def _geometry(x: Any, weight: Any, data_format: str) -> tuple[tuple[int, ...], int, tuple]:
    """The spatial axes of `x`, how many, and the kernel's extents along them."""
    count = x.ndim - 2
    if weight.ndim != x.ndim or not 1 <= count <= 3:
        raise ValueError(
            f"arrays of 3, 4 or 5 axes and weights of as many are convolved, not {x.ndim} and {weight.ndim}"
        )
    axes = _spatial(x, data_format)
    return axes, count, weight.shape[:-2] if data_format == "channels_last" else weight.shape[2:]


def _spatial(x: Any, data_format: str) -> tuple[int, ...]:
    if data_format not in FORMATS:
        raise ValueError(f"data_format is one of {FORMATS}, not {data_format!r}")
    return tuple(range(1, x.ndim - 1) if data_format == "channels_last" else range(2, x.ndim))


def _channels(x: Any, weight: Any, last: bool) -> tuple[int, int, int]:
    """The channels of `x`, those that a weight is for, and those that come out."""
    if last:
        return x.shape[-1], weight.shape[-2], weight.shape[-1]
    return x.shape[1], weight.shape[1], weight.shape[0]


def _each(value: Sizes, count: int, what: str) -> tuple[int, ...]:
    values = (value,) * count if isinstance(value, int) else tuple(value)
    least = 0 if "padding" in what else 1
    if len(values) != count or min(values) < least:
        raise ValueError(f"{what} is a number of at least {least}, or {count} of them, not {value}")
    return values


def _pads(padding: Padding, wide: Sequence, stride: Sequence, extents: Sequence) -> list:
    """The zeros before and after each axis."""
    if padding == "valid":
        return [(0, 0)] * len(wide)
    if padding == "same":
        pads = []
        for width, step, extent in zip(wide, stride, extents):
            total = max((-(-extent // step) - 1) * step + width - extent, 0)
            pads.append((total // 2, total - total // 2))
        return pads
    if isinstance(padding, str):
        raise ValueError(f'padding is numbers, "valid" or "same", not {padding!r}')
    if not isinstance(padding, int) and any(not isinstance(item, int) for item in padding):
        pads = [(int(before), int(after)) for before, after in padding]
    else:
        pads = [(n, n) for n in _each(padding, len(wide), "padding")]
    if len(pads) != len(wide) or min(min(pair) for pair in pads) < 0:
        raise ValueError(f"padding is {len(wide)} pairs of numbers of at least 0, not {padding}")
    return pads


def _padded(x: Any, axes: tuple[int, ...], pads: list, fill: Any) -> Any:
    if not any(map(any, pads)):
        return x
    around = dict(zip(axes, pads))
    widths = [around.get(axis, (0, 0)) for axis in range(x.ndim)]
    return np.pad(x, widths, constant_values=fill)


def _windows(x: Any, axes: tuple[int, ...], wide: Sequence, stride: Sequence, dilation: Sequence):
    """The windows of `x`, every `stride`; where in a window are the last axes, every `dilation`."""
    for axis, width in zip(axes, wide):
        if width > x.shape[axis]:
            raise ValueError(f"a window of {width} does not fit an axis of {x.shape[axis]}")
    v = sliding_window_view(x, tuple(wide), axis=axes)
    steps = dict(zip(axes, stride)) | dict(zip(range(x.ndim, v.ndim), dilation))
    return v[tuple([slice(None, None, steps.get(axis, 1)) for axis in range(v.ndim)])]


def _pooled(
    x: Any,
    window: Sizes,
    stride: Sizes | None,
    padding: Padding,
    dilation: Sizes,
    data_format: str,
    fill: Any,
) -> tuple[Any, tuple[int, ...], list[tuple[int, int, int, int]]]:
    """What is pooled with its border, its spatial axes, and of the windows along each of these how many
    elements they have, how wide they are, how far apart, and how far apart their elements are."""
    axes = _spatial(x, data_format)
    window = _each(window, len(axes), "window")
    stride = window if stride is None else _each(stride, len(axes), "stride")
    dilation = _each(dilation, len(axes), "dilation")
    wide = [(n - 1) * d + 1 for n, d in zip(window, dilation)]
    x = _padded(x, axes, _pads(padding, wide, stride, [x.shape[a] for a in axes]), fill)
    return x, axes, list(zip(window, wide, stride, dilation))


def _over_windows(reduce: Any, x: Any, axes: tuple[int, ...], sides: Sequence[tuple]) -> Any:
    """The maximum or the sum of each window."""
    if _is_axis_by_axis(sides):
        for axis, side in zip(axes, sides):
            x = reduce(_windows(x, (axis,), *[(n,) for n in side[1:]]), axis=-1)
        return x
    _, *sides = zip(*sides)
    return reduce(_windows(x, axes, *sides), axis=tuple(range(-len(axes), 0)))


def _is_axis_by_axis(sides: Sequence[tuple[int, int, int, int]]) -> bool:
    """Whether it is less work to pool along one axis after the other, as windows overlap.

    What comes of an axis is computed for all places along the next ones, stored and read again.
    """
    steps, apart = 0, 1
    for count, _, stride, _ in reversed(sides):
        steps += count * apart + STORED
        apart *= stride
    return prod(count for count, *_ in sides) > steps - STORED


def _split(shape: tuple, axis: int, groups: int) -> tuple:
    """`shape` with one axis as groups and what is in them."""
    return (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def _on_channels(bias: Any, count: int, last: bool) -> Any:
    return bias if last else bias.reshape(-1, *[1] * count)
