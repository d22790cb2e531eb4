"""NumPy's random numbers in compiled code: the methods of generators that draw without Python.

What is drawn is what NumPy would draw, number by number (ir/numpy_random.py). Parameters that are
known while tracing are NumPy's to judge, by a trial; those that are not are looked at by the program,
which leaves the whole call to NumPy where one is not legal. Methods, and options of these, that are
not listed here are called through Python.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

from ..ir.dims import Dim
from ..ir.numpy_random import DISTRIBUTIONS
from .application import apply
from .array import Array
from .drawing import (
    ABOVE_ONE,
    ANY,
    ANY_WIDTH,
    COUNT,
    FINITE_WIDTH,
    NOT_NEGATIVE,
    OF_POISSON,
    POSITIVE,
    PROBABILITY,
    SURE,
    UNSURE,
    Draw,
    Legal,
    NotDrawn,
    Source,
    checked,
)
from .numpy.arguments import static_shape
from .numpy.building import as_array, converted
from .numpy.selection import take
from .numpy.tables import searchsorted
from .tree import flatten
from .value import Value, known_value, node_of

# By name: the parameters, with defaults, in NumPy's order.
_PLAIN: dict[str, tuple[tuple[str, Any, Legal], ...]] = {
    "normal": (("loc", 0.0, ANY), ("scale", 1.0, NOT_NEGATIVE)),
    "laplace": (("loc", 0.0, ANY), ("scale", 1.0, NOT_NEGATIVE)),
    "gumbel": (("loc", 0.0, ANY), ("scale", 1.0, NOT_NEGATIVE)),
    "logistic": (("loc", 0.0, ANY), ("scale", 1.0, NOT_NEGATIVE)),
    "lognormal": (("mean", 0.0, ANY), ("sigma", 1.0, NOT_NEGATIVE)),
    "vonmises": (("mu", None, ANY), ("kappa", None, NOT_NEGATIVE)),
    "wald": (("mean", None, POSITIVE), ("scale", None, POSITIVE)),
    "gamma": (("shape", None, NOT_NEGATIVE), ("scale", 1.0, NOT_NEGATIVE)),
    "beta": (("a", None, POSITIVE), ("b", None, POSITIVE)),
    "f": (("dfnum", None, POSITIVE), ("dfden", None, POSITIVE)),
    "noncentral_chisquare": (("df", None, POSITIVE), ("nonc", None, NOT_NEGATIVE)),
    "exponential": (("scale", 1.0, NOT_NEGATIVE),),
    "rayleigh": (("scale", 1.0, NOT_NEGATIVE),),
    "chisquare": (("df", None, POSITIVE),),
    "standard_t": (("df", None, POSITIVE),),
    "pareto": (("a", None, POSITIVE),),
    "weibull": (("a", None, NOT_NEGATIVE),),
    "power": (("a", None, POSITIVE),),
    "poisson": (("lam", 1.0, OF_POISSON),),
    "geometric": (("p", None, SURE),),
    "zipf": (("a", None, ABOVE_ONE),),
    "logseries": (("p", None, UNSURE),),
    "standard_cauchy": (),
}
# Those that RandomState draws in the same way.
_ALIKE = ("laplace", "gumbel", "logistic", "poisson")


# Methods, by class and name. Each takes the draw first, and then what NumPy's takes.
NEW: dict[str, Callable[..., Any]] = {}
OLD: dict[str, Callable[..., Any]] = {}


def draws_natively(is_old: bool, name: str) -> bool:
    """Whether a generator's method may be one of these."""
    return name in (OLD if is_old else NEW)


def draw(source: Source, is_old: bool, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What a method draws; raises NotDrawn where Python has to call it."""
    function = (OLD if is_old else NEW)[name]
    draw = Draw(source, name, args, kwargs)
    try:
        signature(function).bind(draw, *args, **kwargs)
    except TypeError:
        raise NotDrawn from None
    return function(draw, *args, **kwargs)


def _enter(tables: tuple[dict, ...]) -> Callable:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for table in tables:
            table[function.__name__] = function
        return function

    return enter


def _enter_old(name: str) -> Callable:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        OLD[name] = function
        return function

    return enter


def _plain(name: str) -> Callable[..., Any]:
    """A method whose parameters are those of its distribution."""
    rows = _PLAIN[name]
    names = [row[0] for row in rows]

    def run(draw: Draw, *args: Any, **kwargs: Any) -> Array:
        given = {**dict(zip([*names, "size"], args)), **kwargs}
        size = given.pop("size", None)
        values = [given.pop(own, default) for own, default, _ in rows]
        if given or len(args) > len(rows) + 1 or any(value is None for value in values):
            raise NotDrawn
        return draw(name, size, values, [legal for _, _, legal in rows])

    return run


NEW.update({name: _plain(name) for name in _PLAIN})
OLD.update({name: _plain(name) for name in _ALIKE})


def _of_dtype(name: str, dtype: Any) -> str:
    found = np.dtype(dtype)
    if found == np.float64:
        return name
    if found == np.float32:
        return f"{name}_f32"
    raise NotDrawn


@_enter((NEW,))
def random(draw, size=None, dtype=np.float64, out=None):
    if out is not None:
        raise NotDrawn
    return draw(_of_dtype("random", dtype), size)


@_enter((NEW,))
def standard_normal(draw, size=None, dtype=np.float64, out=None):
    if out is not None:
        raise NotDrawn
    return draw(_of_dtype("standard_normal", dtype), size)


@_enter((NEW,))
def standard_exponential(draw, size=None, dtype=np.float64, method="zig", out=None):
    if out is not None or method != "zig":
        raise NotDrawn
    return draw(_of_dtype("standard_exponential", dtype), size)


@_enter((NEW,))
def standard_gamma(draw, shape, size=None, dtype=np.float64, out=None):
    if out is not None or np.dtype(dtype) != np.float64:
        raise NotDrawn
    return draw("standard_gamma", size, [shape], [NOT_NEGATIVE])


def _uniform(draw: Draw, low: Any, high: Any, size: Any, legal: Legal) -> Array:
    low, high = [as_array(x) for x in (low, high)]
    if any(x.dtype.kind not in "biuf" for x in (low, high)):
        raise NotDrawn
    low, high = [converted(x, np.float64) for x in (low, high)]
    return draw("uniform", size, [low, apply(np.subtract, high, low)], [ANY, legal])


@_enter((NEW,))
def uniform(draw, low=0.0, high=1.0, size=None):
    return _uniform(draw, low, high, size, FINITE_WIDTH)


@_enter((NEW, OLD))
def binomial(draw, n, p, size=None):
    return draw("binomial", size, [p, n], [PROBABILITY, COUNT])


def _numbers(*values: Any, kinds: str = "biuf") -> list[Array]:
    """Parameters of which each is legal or not beside the others."""
    found = [as_array(x) for x in values]
    if any(x.dtype.kind not in kinds or x.dtype == np.uint64 for x in found):
        raise NotDrawn
    return [converted(x, np.float64 if "f" in kinds else np.int64) for x in found]


@_enter((NEW, OLD))
def triangular(draw, left, mode, right, size=None):
    left, mode, right = _numbers(left, mode, right)
    fits = ~(left > mode) & ~(mode > right) & ~(left == right)
    return draw("triangular", size, [left, checked(mode, fits, 0.0), right], [ANY] * 3)


@_enter((NEW,))
def negative_binomial(draw, n, p, size=None):
    n, p = _numbers(n, p)
    # So that the numbers' mean is one that Poisson's distribution may have.
    fits = (n > 0.0) & (p > 0.0) & (p <= 1.0) & ((n + 10.0 * np.sqrt(n)) * (1.0 - p) <= 9.0e18 * p)
    return draw("negative_binomial", size, [n, checked(p, fits, 0.5)], [ANY] * 2)


@_enter((NEW,))
def hypergeometric(draw, ngood, nbad, nsample, size=None):
    good, bad, sample = _numbers(ngood, nbad, nsample, kinds="biu")
    fits = (good >= 0) & (bad >= 0) & (sample >= 0) & (good < 10**9) & (bad < 10**9)
    sample = checked(sample, fits & (good + bad >= sample), 0)
    return draw("hypergeometric", size, [good, bad, sample], [ANY] * 3)


def _between(low: Any, high: Any, endpoint: bool, dtype: Any) -> tuple[Array, Array]:
    """The first and the last integer, in a dtype that holds them."""
    if high is None:
        low, high = 0, low
    bounds = [as_array(x) for x in (low, high)]
    if any(x.dtype.kind not in "bi" for x in bounds) and any(
        known_value(node_of(x)) is None for x in bounds
    ):
        raise NotDrawn
    first, last = [converted(x, np.int64) for x in bounds]
    if not endpoint:
        last = apply(np.subtract, last, 1)
    limits, condition = np.iinfo(dtype), first <= last
    if dtype != np.int64:
        condition = condition & (first >= int(limits.min)) & (last <= int(limits.max))
    last = checked(last, condition, int(limits.max))
    return converted(first, dtype), converted(last, dtype)


_RANGES = {np.dtype(np.int64): "integers", np.dtype(np.int32): "integers_i32"}


def _integers(
    draw: Draw,
    name: str,
    bounds: tuple,
    size: Any,
    dtype: Any,
    endpoint: Any = False,
    trial: Any = None,
) -> Array:
    if isinstance(endpoint, Value):
        raise NotDrawn
    found = DISTRIBUTIONS[name].result.numpy
    first, last = _between(*bounds, bool(endpoint), found)
    if found != np.int64 and (first.ndim or last.ndim):
        raise NotDrawn  # of several ranges NumPy draws in another way
    drawn = draw(name, size, [first, last], [ANY, ANY], trial=trial)
    # NumPy gives a scalar of its own, unless Python's class was asked for.
    return Array(drawn.node, drawn.is_scalar, drawn.weak if dtype is int else None)


@_enter((NEW,))
def integers(draw, low, high=None, size=None, dtype=np.int64, endpoint=False):
    found = np.dtype(dtype)
    if found not in (np.int64, np.int32):
        raise NotDrawn
    name = "integers" if found == np.int64 else "integers_i32"
    return _integers(draw, name, (low, high), size, dtype, endpoint)


def _permuted(draw: Draw, x: Any, axis: int = 0) -> Array:
    """`x` in an order by chance, or the numbers below it."""
    if _is_count(x):
        return draw("permutation", static_shape(x))
    x = _with_axis(x, axis)
    extent = x.shape[axis]
    positions = draw("permutation", (extent,), trial=("permutation", (extent,)))
    return take(x, positions, axis=axis)


def _is_count(x: Any) -> bool:
    return isinstance(x, int | np.integer | Dim) or (isinstance(x, Array) and x.is_scalar)


def _with_axis(x: Any, axis: Any) -> Array:
    x = as_array(x)
    if type(axis) is not int or not -x.ndim <= axis < x.ndim:
        raise NotDrawn
    return x


@_enter((NEW,))
def permutation(draw, x, axis=0):
    return _permuted(draw, x, axis)


@_enter_old("permutation")
def _old_permutation(draw, x):
    return _permuted(draw, x)


@_enter((NEW,))
def shuffle(draw, x, axis=0):
    if not isinstance(x, Array) or x.is_scalar:
        raise NotDrawn
    x[...] = _permuted(draw, x, axis)


@_enter_old("shuffle")
def _old_shuffle(draw, x):
    shuffle(draw, x)


def _chosen(draw: Draw, name: str, a: Any, size: Any, axis: int = 0) -> Any:
    """Some of `a`, or of the numbers below it, each perhaps several times."""
    if _is_count(a):
        return _integers(draw, name, (0, a), size, int)
    a = _with_axis(a, axis)
    extent = a.shape[axis]
    method = "integers" if name == "integers" else "randint"
    trial = (method, (0, extent, size))
    return take(a, _integers(draw, name, (0, extent), size, np.int64, trial=trial), axis=axis)


def _chosen_with(draw: Draw, a: Any, size: Any, p: Any, axis: int = 0) -> Any:
    """Some of `a`, or of the numbers below it, each as often as its probability says.

    Probabilities are to be Python's numbers: where their sums lie, which decides, is NumPy's to the last
    bit then.
    """
    extent = a if _is_count(a) else _with_axis(a, axis).shape[axis]
    leaves, _ = flatten(p)
    if type(extent) is not int or not all(type(leaf) in (int, float) for leaf in leaves):
        raise NotDrawn
    weights = np.asarray(p, np.float64)
    try:  # NumPy says what is wrong
        np.random.default_rng(0).choice(extent, p=weights)
    except ValueError:
        raise NotDrawn from None
    sums = weights.cumsum()
    drawn = draw("random", size, trial=("random", (size,)))
    found = searchsorted(sums / sums[-1], drawn, side="right")
    if _is_count(a):
        return Array(node_of(found), drawn.is_scalar, int if drawn.is_scalar else None)
    return take(a, found, axis=axis)


@_enter((NEW,))
def choice(draw, a, size=None, replace=True, p=None, axis=0, shuffle=True):
    if isinstance(replace, Value) or not replace:
        raise NotDrawn
    if p is not None:
        return _chosen_with(draw, a, size, p, axis)
    return _chosen(draw, "integers", a, size, axis)


# RandomState.


@_enter_old("random")
@_enter_old("random_sample")
def _old_random(draw, size=None):
    return draw("random", size)


@_enter_old("rand")
def _old_rand(draw, *args):
    return draw("random", args or None)


@_enter_old("uniform")
def _old_uniform(draw, low=0.0, high=1.0, size=None):
    return _uniform(draw, low, high, size, ANY_WIDTH)


@_enter_old("standard_normal")
def _old_standard_normal(draw, size=None):
    return draw("old_standard_normal", size, in_pairs=True)


@_enter_old("randn")
def _old_randn(draw, *args):
    return draw("old_standard_normal", args or None, in_pairs=True)


@_enter_old("normal")
def _old_normal(draw, loc=0.0, scale=1.0, size=None):
    return draw("old_normal", size, [loc, scale], [ANY, NOT_NEGATIVE], in_pairs=True)


@_enter_old("standard_exponential")
def _old_standard_exponential(draw, size=None):
    return draw("old_standard_exponential", size)


@_enter_old("exponential")
def _old_exponential(draw, scale=1.0, size=None):
    return draw("old_exponential", size, [scale], [NOT_NEGATIVE])


@_enter_old("randint")
def _randint(draw, low, high=None, size=None, dtype=int):
    if np.dtype(dtype) != np.int64:
        raise NotDrawn
    return _integers(draw, "old_integers", (low, high), size, dtype)


@_enter_old("choice")
def _old_choice(draw, a, size=None, replace=True, p=None):
    if isinstance(replace, Value) or not replace:
        raise NotDrawn
    if p is not None:
        return _chosen_with(draw, a, size, p)
    return _chosen(draw, "old_integers", a, size)
