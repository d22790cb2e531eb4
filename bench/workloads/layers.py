"""Layers of neural networks and other programs around products, with one thread and with all.

Each is plain NumPy, or `tracejit.nn`; JAX and torch run the library functions that an expert calls.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracejit import nn

from .. import peers
from ..harness import Case, Variant, collect
from ..probes import memory_of
from .arrays import DTYPES, Settings

TOLERANCE = {"float32": 2e-4, "float64": 1e-10}


@dataclass(frozen=True)
class Layer:
    """`function` is what tracejit compiles and NumPy runs; `jax(jax, *arrays)` and `torch(torch, *tensors)`
    do the same. `shapes` are those of its arguments, `flops` the multiply-adds times two. The last
    `stay` arguments are the same in all calls: they are bound to the function, not passed."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    flops: int
    jax: Callable[..., Any]
    torch: Callable[..., Any]
    quick: bool = True
    stay: int = 0

    def split(self, arguments: tuple) -> tuple[tuple, tuple]:
        """The arguments that are passed, and those that stay."""
        count = len(arguments) - self.stay
        return arguments[:count], arguments[count:]


def dense(x, w, b):
    return nn.gelu(x @ w + b, approximate=True)


def dense_jax(jax, x, w, b):
    return jax.nn.gelu(x @ w + b, approximate=True)


def dense_torch(torch, x, w, b):
    return torch.nn.functional.gelu(torch.addmm(b, x, w), approximate="tanh")


def mlp(x, w1, b1, w2, b2, w3, b3):
    h = nn.relu(x @ w1 + b1)
    h = nn.relu(h @ w2 + b2)
    return nn.softmax(h @ w3 + b3)


def mlp_jax(jax, x, w1, b1, w2, b2, w3, b3):
    h = jax.nn.relu(x @ w1 + b1)
    h = jax.nn.relu(h @ w2 + b2)
    return jax.nn.softmax(h @ w3 + b3)


def mlp_torch(torch, x, w1, b1, w2, b2, w3, b3):
    h = torch.relu(torch.addmm(b1, x, w1))
    h = torch.relu(torch.addmm(b2, h, w2))
    return torch.softmax(torch.addmm(b3, h, w3), -1)


def small_products(a, b):
    return a @ b


def conv_last(x, w, b):
    return nn.relu(nn.conv(x, w, b, padding=1, data_format="channels_last"))


def conv_last_jax(jax, x, w, b):
    numbers = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)
    return jax.nn.relu(y + b)


def conv_last_torch(torch, x, w, b):
    # The arrays of PyTorch's channels_last memory format, which is the same memory.
    y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, padding=1)
    return torch.relu_(y).permute(0, 2, 3, 1)


def conv_first(x, w, b):
    return nn.relu(nn.conv(x, w, b, padding=1))


def conv_first_jax(jax, x, w, b):
    y = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME")
    return jax.nn.relu(y + b[:, None, None])


def conv_first_torch(torch, x, w, b):
    return torch.relu_(torch.nn.functional.conv2d(x, w, b, padding=1))


def depthwise(x, w):
    return nn.conv(x, w, padding=1, groups=x.shape[-1], data_format="channels_last")


def depthwise_jax(jax, x, w):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=x.shape[-1]
    )


def depthwise_torch(torch, x, w):
    x, w = x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1)
    y = torch.nn.functional.conv2d(x, w, padding=1, groups=x.shape[1])
    return y.permute(0, 2, 3, 1)


def bottleneck(x, w1, w2, w3):
    conv = functools.partial(nn.conv, data_format="channels_last")
    h = nn.relu(conv(x, w1))
    h = nn.relu(conv(h, w2, padding=1))
    return nn.relu(conv(h, w3) + x)


def bottleneck_jax(jax, x, w1, w2, w3):
    def conv(x, w):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)

    return jax.nn.relu(conv(jax.nn.relu(conv(jax.nn.relu(conv(x, w1)), w2)), w3) + x)


def bottleneck_torch(torch, x, w1, w2, w3):
    conv = torch.nn.functional.conv2d
    w1, w2, w3 = (w.permute(3, 2, 0, 1) for w in (w1, w2, w3))
    x = x.permute(0, 3, 1, 2)
    h = torch.relu_(conv(x, w1))
    h = torch.relu_(conv(h, w2, padding=1))
    return torch.relu_(conv(h, w3) + x).permute(0, 2, 3, 1)


def max_pool(x):
    return nn.max_pool(x, 3, stride=2, padding=1, data_format="channels_last")


def max_pool_jax(jax, x):
    window, steps, pads = (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))
    return jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, steps, pads)


def max_pool_torch(torch, x):
    y = torch.nn.functional.max_pool2d(x.permute(0, 3, 1, 2), 3, 2, 1)
    return y.permute(0, 2, 3, 1)


def attention(q, k, v):
    return nn.attention(q, k, v)


def attention_jax(jax, q, k, v):
    scores = q @ k.swapaxes(-1, -2) * float(q.shape[-1]) ** -0.5
    return jax.nn.softmax(scores) @ v


def attention_torch(torch, q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


HEADS = 8


def block(x, qkv, out, up, down):
    """A transformer block: attention and two dense layers, each after a norm, with residuals."""
    n, d = x.shape
    q, k, v = (nn.rms_norm(x) @ qkv).reshape(n, 3, HEADS, d // HEADS).transpose(1, 2, 0, 3)
    x = x + nn.attention(q, k, v).transpose(1, 0, 2).reshape(n, d) @ out
    return x + nn.gelu(nn.rms_norm(x) @ up, approximate=True) @ down


def block_jax(jax, x, qkv, out, up, down):
    def norm(x):
        return x / jax.numpy.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)

    n, d = x.shape
    q, k, v = (norm(x) @ qkv).reshape(n, 3, HEADS, d // HEADS).transpose(1, 2, 0, 3)
    x = x + attention_jax(jax, q, k, v).transpose(1, 0, 2).reshape(n, d) @ out
    return x + jax.nn.gelu(norm(x) @ up, approximate=True) @ down


def block_torch(torch, x, qkv, out, up, down):
    def norm(x):
        return torch.nn.functional.rms_norm(x, x.shape[-1:], eps=1e-6)

    n, d = x.shape
    q, k, v = (norm(x) @ qkv).reshape(n, 3, HEADS, d // HEADS).permute(1, 2, 0, 3)
    x = x + attention_torch(torch, q, k, v).permute(1, 0, 2).reshape(n, d) @ out
    return x + torch.nn.functional.gelu(norm(x) @ up, approximate="tanh") @ down


def distances(x, y):
    """All distances, by the products of the vectors."""
    squares = (x * x).sum(1)[:, None] + (y * y).sum(1)
    return np.sqrt(np.maximum(squares - 2 * (x @ y.T), 0))


def distances_jax(jax, x, y):
    squares = (x * x).sum(1)[:, None] + (y * y).sum(1)
    return jax.numpy.sqrt(jax.numpy.maximum(squares - 2 * (x @ y.T), 0))


def distances_torch(torch, x, y):
    return torch.cdist(x, y, compute_mode="use_mm_for_euclid_dist")


def differences(x, y):
    """All distances, by the differences of the coordinates."""
    d = x[:, None, :] - y[None, :, :]
    return np.sqrt((d * d).sum(-1))


def differences_jax(jax, x, y):
    d = x[:, None, :] - y[None, :, :]
    return jax.numpy.sqrt((d * d).sum(-1))


def differences_torch(torch, x, y):
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def nearest(x, centres):
    """A step of k-means: the means of the points nearest to each centre."""
    score = (centres * centres).sum(1) - 2 * (x @ centres.T)
    label = score.argmin(1)
    total = np.zeros_like(centres)
    np.add.at(total, label, x)
    return total / np.maximum(np.bincount(label, minlength=len(centres)), 1)[:, None].astype(
        x.dtype
    )


def nearest_jax(jax, x, centres):
    score = (centres * centres).sum(1) - 2 * (x @ centres.T)
    label = score.argmin(1)
    total = jax.ops.segment_sum(x, label, len(centres))
    count = jax.numpy.bincount(label, length=len(centres))
    return total / jax.numpy.maximum(count, 1)[:, None].astype(x.dtype)


def nearest_torch(torch, x, centres):
    score = torch.addmm((centres * centres).sum(1), x, centres.T, alpha=-2)
    label = score.argmin(1)
    total = torch.zeros_like(centres).index_add_(0, label, x)
    count = torch.bincount(label, minlength=len(centres)).clamp_(min=1)
    return total / count[:, None]


def _conv_flops(batch: int, side: int, channels: int, out: int, kernel: int = 3) -> int:
    return 2 * batch * side * side * channels * out * kernel * kernel


# fmt: off
LAYERS = (
    Layer("matmul + bias + gelu 512x768x3072", dense, ((512, 768), (768, 3072), (3072,)), 2 * 512 * 768 * 3072, dense_jax, dense_torch),
    Layer("MLP 256x784x512x256x10", mlp, ((256, 784), (784, 512), (512,), (512, 256), (256,), (256, 10), (10,)), 2 * 256 * (784 * 512 + 512 * 256 + 2560), mlp_jax, mlp_torch),
    Layer("batched matmul 1000x16x16x16", small_products, ((1000, 16, 16), (1000, 16, 16)), 2 * 1000 * 16**3, lambda jax, a, b: a @ b, lambda torch, a, b: a @ b),
    Layer("conv 3x3 56x56x64 last", conv_last, ((1, 56, 56, 64), (3, 3, 64, 64), (64,)), _conv_flops(1, 56, 64, 64), conv_last_jax, conv_last_torch),
    Layer("conv 3x3 14x14x256 last", conv_last, ((4, 14, 14, 256), (3, 3, 256, 256), (256,)), _conv_flops(4, 14, 256, 256), conv_last_jax, conv_last_torch),
    Layer("conv 3x3 56x56x64 first", conv_first, ((1, 64, 56, 56), (64, 64, 3, 3), (64,)), _conv_flops(1, 56, 64, 64), conv_first_jax, conv_first_torch),
    Layer("conv 3x3 14x14x256 first", conv_first, ((4, 256, 14, 14), (256, 256, 3, 3), (256,)), _conv_flops(4, 14, 256, 256), conv_first_jax, conv_first_torch),
    Layer("depthwise 3x3 56x56x128", depthwise, ((1, 56, 56, 128), (3, 3, 1, 128)), _conv_flops(1, 56, 1, 128), depthwise_jax, depthwise_torch),
    Layer("ResNet bottleneck 56x56x256", bottleneck, ((1, 56, 56, 256), (1, 1, 256, 64), (3, 3, 64, 64), (1, 1, 64, 256)), _conv_flops(1, 56, 64, 64) + 2 * _conv_flops(1, 56, 256, 64, 1), bottleneck_jax, bottleneck_torch),
    Layer("max pool 3x3 112x112x64", max_pool, ((1, 112, 112, 64),), 0, max_pool_jax, max_pool_torch),
    Layer("attention 8x512x64", attention, ((8, 512, 64),) * 3, 4 * 8 * 512 * 512 * 64, attention_jax, attention_torch),
    Layer("attention 4x2048x64", attention, ((4, 2048, 64),) * 3, 4 * 4 * 2048 * 2048 * 64, attention_jax, attention_torch, quick=False),
    Layer("transformer block 256x512", block, ((256, 512), (512, 1536), (512, 512), (512, 2048), (2048, 512)), 2 * 256 * 512 * (1536 + 512 + 4096 + 512), block_jax, block_torch),
    Layer("distances 1000x1000x64 by products", distances, ((1000, 64), (1000, 64)), 2 * 1000 * 1000 * 64, distances_jax, distances_torch),
    Layer("distances 1000x1000x3 by differences", differences, ((1000, 3), (1000, 3)), 0, differences_jax, differences_torch),
    Layer("k-means step 20000x16, 32 centres", nearest, ((20000, 16), (32, 16)), 2 * 20000 * 16 * 32, nearest_jax, nearest_torch),
)
# fmt: on


def layer_cases(section: str, layers: tuple[Layer, ...], settings: Settings) -> Iterator[Case]:
    """Every layer in every dtype; the limit is the multiply-add peak."""
    for layer in layers:
        if not settings.wants(layer.name) or settings.quick and not layer.quick:
            continue
        for dtype in DTYPES:
            generator = np.random.default_rng(0)
            scales = [shape[-2] ** -0.5 if len(shape) > 1 else 1.0 for shape in layer.shapes[1:]]
            arguments = tuple(
                (generator.normal(size=shape) * scale).astype(dtype)
                for shape, scale in zip(layer.shapes, (1.0, *scales))
            )
            for threads in sorted({1, peers.THREADS}):
                variants, missing = collect(BUILDERS, settings.subjects, layer, arguments, threads)
                yield Case(
                    section,
                    layer.name,
                    "1 thread" if threads == 1 else f"{threads} threads",
                    dtype,
                    variants,
                    flops=layer.flops,
                    threads=threads,
                    tolerance=TOLERANCE[dtype],
                    missing=missing,
                    **memory_of(arguments, 0, threads),
                )


def _numpy(layer: Layer, arguments: tuple, threads: int) -> list[Variant]:
    context = functools.partial(peers.blas_threads, threads)
    return [peers.call_variant("numpy", layer.function, arguments, context=context)]


def _tracejit(layer: Layer, arguments: tuple, threads: int, numerics: str = "default") -> list:
    tracejit = peers.loaded("tracejit")
    passed, staying = layer.split(arguments)
    function: Callable = layer.function
    if staying:
        constants = tracejit.constant(staying)
        function = lambda *passed: layer.function(*passed, *constants)
    function = tracejit.jit(function, threads=threads, numerics=numerics)
    return [peers.call_variant(peers.our_name(numerics), function, passed)]


def _jax(layer: Layer, arguments: tuple, threads: int) -> list[Variant]:
    if threads != peers.THREADS:
        raise NotImplementedError("the number of threads is fixed when the process starts")
    jax = peers.loaded("jax")
    on_device, staying = layer.split(tuple(map(jax.numpy.asarray, arguments)))
    function = jax.jit(lambda *passed: layer.jax(jax, *passed, *staying))
    return [
        peers.call_variant(
            "jax",
            function,
            on_device,
            template="{call}.block_until_ready()",
            result=lambda: np.asarray(function(*on_device)),
        )
    ]


def _torch(layer: Layer, arguments: tuple, threads: int) -> list[Variant]:
    """As written, and compiled; with what stays as frozen parameters of a module."""
    torch = peers.loaded("torch")
    tensors, staying = layer.split(tuple(map(torch.from_numpy, arguments)))
    context = functools.partial(peers.torch_threads, threads)

    def variant(function: Callable, label: str) -> Variant:
        def result() -> np.ndarray:
            with context(), torch.no_grad():
                return function(*tensors).numpy()

        return peers.call_variant(
            "torch", torch.no_grad()(function), tensors, result=result, label=label, context=context
        )

    def source(*tensors: Any) -> Any:
        return layer.torch(torch, *tensors, *staying)

    compiled = torch.compile(source, dynamic=False)
    if staying:
        module = _torch_module(torch, layer, staying)
        compiled = torch.compile(module, dynamic=False, options={"freezing": True})
    return [variant(source, "eager"), variant(compiled, "compiled")]


def _torch_module(torch: Any, layer: Layer, staying: tuple) -> Any:
    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parameters = [torch.nn.Parameter(t, requires_grad=False) for t in staying]
            self.staying = torch.nn.ParameterList(parameters)

        def forward(self, *tensors: Any) -> Any:
            return layer.torch(torch, *tensors, *self.staying)

    return Module().eval()


BUILDERS: dict[str, Callable[..., list[Variant]]] = {
    "numpy": _numpy,
    "tracejit": _tracejit,
    "tracejit-fast": functools.partial(_tracejit, numerics="fast"),
    "jax": _jax,
    "torch": _torch,
}

cases = functools.partial(layer_cases, "layers", LAYERS)
