"""What a call costs when there is almost nothing to compute."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import peers
from ..harness import Case, Variant, collect
from ..program import rebind
from .arrays import Settings

SIGNATURES = 8


def add_one(x):
    return x + 1


def add_ten(a, b, c, d, e, f, g, h, i, j):
    return a + b + c + d + e + f + g + h + i + j


def scalars(a, b):
    return a * b + 1.0


def keywords(x, scale=1.0, shift=0.0):
    return x * scale + shift


def dictionary(parameters):
    return parameters["weight"] * parameters["x"] + parameters["bias"]


# Name, function, the call, the same in plain NumPy where that is an expression, what the call names.
CALLS: tuple[tuple[str, Callable, str, str, Callable[[], dict]], ...] = (
    (
        "x + 1, 8 doubles",
        add_one,
        "f(x)",
        "x + 1",
        lambda: {"x": np.arange(8.0)},
    ),
    (
        f"x + 1, {SIGNATURES} signatures in turn",
        add_one,
        ";".join(f"f(x{k})" for k in range(SIGNATURES)),
        ";".join(f"x{k} + 1" for k in range(SIGNATURES)),
        lambda: {f"x{k}": np.arange(8.0 + k) for k in range(SIGNATURES)},
    ),
    (
        "ten array arguments",
        add_ten,
        "f(a, b, c, d, e, g, h, i, j, k)",
        "a + b + c + d + e + g + h + i + j + k",
        lambda: {name: np.arange(8.0) for name in "abcdeghijk"},
    ),
    ("scalars only", scalars, "f(a, b)", "", lambda: {"a": 1.5, "b": 2.5}),
    (
        "keywords",
        keywords,
        "f(x, scale=s, shift=t)",
        "x * s + t",
        lambda: {"x": np.arange(8.0), "s": 1.5, "t": 2.5},
    ),
    (
        "dict of arrays",
        dictionary,
        "f(p)",
        'p["weight"] * p["x"] + p["bias"]',
        lambda: {"p": {name: np.arange(8.0) for name in ("weight", "x", "bias")}},
    ),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every kind of call; the numpy column is the bare expression, without a function around it."""
    for name, function, call, expression, arguments in CALLS:
        if not settings.wants(name):
            continue
        made, missing = collect(
            BUILDERS, settings.subjects, function, call, expression, arguments()
        )
        yield Case("latency", name, "", "float64", made, tolerance=1e-12, missing=missing)


def _variant(
    subject: str, function: Callable, statement: str, call: str, namespace: dict
) -> list[Variant]:
    """`statement` may hold several calls; the last one's value, that of `call`, is compared."""
    names = {"f": function, **namespace}
    last = compile(call.split(";")[-1], "<call>", "eval")

    def result() -> Any:
        return np.asarray(eval(last, names))

    return [Variant(subject, statement, names, result, calls=call.count(";") + 1)]


def _numpy(function: Callable, call: str, expression: str, namespace: dict) -> list[Variant]:
    return _variant("numpy", function, expression or call, call, namespace)


def _tracejit(function: Callable, call: str, expression: str, namespace: dict) -> list[Variant]:
    return _variant("tracejit", peers.loaded("tracejit").jit(function), call, call, namespace)


def _jax(function: Callable, call: str, expression: str, namespace: dict) -> list[Variant]:
    jax = peers.loaded("jax")
    namespace = jax.tree.map(jax.numpy.asarray, namespace)
    waiting = ";".join(f"{part}.block_until_ready()" for part in call.split(";"))
    return _variant("jax", jax.jit(rebind(function, np=jax.numpy)), waiting, call, namespace)


def _numba(function: Callable, call: str, expression: str, namespace: dict) -> list[Variant]:
    return _variant("numba", peers.loaded("numba").njit(function), call, call, namespace)


def _torch(function: Callable, call: str, expression: str, namespace: dict) -> list[Variant]:
    torch = peers.loaded("torch")

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: convert(item) for name, item in value.items()}
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else value

    compiled = torch.compile(rebind(function), dynamic=False)
    return _variant("torch", compiled, call, call, convert(namespace))


BUILDERS: dict[str, Callable[[Callable, str, str, dict], list[Variant]]] = {
    "numpy": _numpy,
    "tracejit": _tracejit,
    "jax": _jax,
    "numba": _numba,
    "torch": _torch,
}
