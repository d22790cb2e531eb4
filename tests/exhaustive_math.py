"""Measure lower.llvm.math densely: `python tests/exhaustive_math.py [--stride n] [name ...]`.

Prints a Markdown table: the largest error of each function in ULP, and nanoseconds per element on
arrays that fit the second-level cache, beside NumPy's. In float every `stride`-th bit pattern of
the format is tried (1: all four billion); functions of two arguments and double are sampled, as in
test_math.py but 2 million times. `--peers` adds torch and JAX where they are installed.
"""

import argparse
import importlib
import time

import numpy as np
from math_kernels import (
    KINDS,
    TWO_ARGUMENTS,
    WIDTHS,
    evaluate,
    exact_reference,
    kernel,
    numpy_function,
    samples,
    ulp_errors,
    wide_reference,
)
from test_math import APPROXIMATE, EXACT_PAIRS, SUMS

CHUNK = 1 << 20
SLOW_REFERENCES = ("erf", "erfc", "sinc")
TIMED_DOMAINS = {
    "log": (0.01, 20),
    "log2": (0.01, 20),
    "log10": (0.01, 20),
    "log1p": (0.01, 20),
    "sqrt": (0.01, 20),
    "arccosh": (1, 20),
    "arcsin": (-1, 1),
    "arccos": (-1, 1),
    "arctanh": (-1, 1),
    "power": (0.01, 20),
}


def float_error(name: str, stride: int) -> tuple[float, int]:
    """The largest error over every stride-th float, and how many were tried."""
    if name in TWO_ARGUMENTS:
        return sampled_error(name, np.float32, 2_000_000)
    if name in SLOW_REFERENCES:
        stride = max(stride, 4001)
    worst = 0.0
    for start in range(0, 1 << 32, CHUNK * stride):
        patterns = np.arange(start, min(start + CHUNK * stride, 1 << 32), stride, dtype=np.int64)
        x = patterns.astype(np.uint32).view(np.float32)
        worst = max(worst, np.max(ulp_errors(evaluate(name, x), wide_reference(name, x))))
    return float(worst), (1 << 32) // stride


def sampled_error(name: str, dtype, size: int) -> tuple[float, int]:
    rng, worst = np.random.default_rng(11), 0.0
    exact = dtype == np.float64 and name in SLOW_REFERENCES
    size = 20_000 if exact else size
    for _ in range(0, size, CHUNK):
        arrays = samples(name, dtype, min(size, CHUNK), rng)
        found = evaluate(name, *arrays)
        if exact:
            kept = np.isfinite(arrays[0])
            reference = exact_reference(name, arrays[0][kept])
            errors = ulp_errors(found[kept], *reference)
        else:
            errors = ulp_errors(found, wide_reference(name, *arrays))
        worst = max(worst, np.max(errors))
    return float(worst), size


def timed_arrays(name: str, dtype) -> list[np.ndarray]:
    """128 KiB of arguments."""
    rng, size = np.random.default_rng(12), (128 << 10) // np.dtype(dtype).itemsize
    arrays = [rng.uniform(*TIMED_DOMAINS.get(name, (-5, 5)), size).astype(dtype)]
    if name in (*TWO_ARGUMENTS, *EXACT_PAIRS, *SUMS):
        arrays.append(rng.uniform(-8, 8, size).astype(dtype))
    return arrays


def best_time(call, elements: int) -> float:
    """Nanoseconds per element, the best of many short runs."""
    call()
    best = np.inf
    for _ in range(200):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best / elements * 1e9


def our_time(name: str, dtype, factor: int) -> float:
    arrays = timed_arrays(name, dtype)
    kind = KINDS[np.dtype(dtype)]
    out, size, repeats = np.empty_like(arrays[0]), len(arrays[0]), 5
    function, _ = kernel(name, (kind,) * len(arrays), WIDTHS[kind] * factor)
    addresses = [a.ctypes.data for a in (*arrays, out)]
    return best_time(lambda: function(*addresses, size, repeats), size * repeats)


def numpy_time(name: str, dtype) -> float:
    if not isinstance(function := numpy_function(name), np.ufunc):
        return float("nan")
    arrays = timed_arrays(name, dtype)
    out = np.empty_like(arrays[0])
    return best_time(lambda: function(*arrays, out=out), len(out))


TORCH_NAMES = {"power": "pow", "fmod": "fmod", "arctan2": "atan2"}


def torch_time(name: str, dtype) -> float:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    function = getattr(torch, TORCH_NAMES.get(name, name), None)
    if function is None:
        return float("nan")
    arrays = [torch.from_numpy(a) for a in timed_arrays(name, dtype)]
    out = torch.empty_like(arrays[0])
    return best_time(lambda: function(*arrays, out=out), len(out))


def jax_time(name: str, dtype) -> float:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    numpy, special = (
        importlib.import_module("jax.numpy"),
        importlib.import_module("jax.scipy.special"),
    )
    function = getattr(numpy, name, None) or getattr(special, name, None)
    if function is None:
        return float("nan")
    function = jax.jit(function)
    arrays = [jax.device_put(a) for a in timed_arrays(name, dtype)]
    return best_time(lambda: function(*arrays).block_until_ready(), len(arrays[0]))


def row(name: str, stride: int, peers: bool) -> str:
    cells = [f"`{name}`"]
    for dtype in (np.float32, np.float64):
        if name in APPROXIMATE:
            error, _ = (
                float_error(name, stride)
                if dtype == np.float32
                else sampled_error(name, dtype, 2_000_000)
            )
            cells.append(f"{error:.2f}")
        else:
            cells.append("exact" if name not in SUMS else "see below")
        times = [our_time(name, dtype, 1), our_time(name, dtype, 2), numpy_time(name, dtype)]
        if peers:
            times += [torch_time(name, dtype), jax_time(name, dtype)]
        cells += ["" if np.isnan(t) else f"{t:.2f}" for t in times]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stride", type=int, default=251)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    columns = ["function"]
    for kind in ("f32", "f64"):
        columns += [f"{kind} ULP", "ns", "ns, 2x wide", "NumPy ns"]
        columns += ["torch ns", "JAX ns"] if arguments.peers else []
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for name in arguments.names or (*APPROXIMATE, *EXACT_PAIRS, *SUMS):
        print(row(name, arguments.stride, arguments.peers), flush=True)


if __name__ == "__main__":
    main()
