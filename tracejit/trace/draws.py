"""NumPy's random numbers in compiled code: the methods of generators that draw without Python.

What is drawn is what NumPy would draw, number by number (ir/numpy_random.py). Parameters that are
known while tracing are NumPy's to judge, by a trial; those that are not are looked at by the program,
which leaves the whole call to NumPy where one is not legal. Methods, and options of these, that are
not listed here are called through Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, Protocol

import numpy as np

from ..ir import ops
from ..ir.dims import Dim
from ..ir.graph import Node, item
from ..ir.numpy_random import DISTRIBUTIONS, can_draw, pairs_offset
from ..ir.types import DType, f64, i64
from .application import apply
from .array import Array, wrap
from .broadcasting import broadcast_shapes
from .context import Trace, current_trace, tracing
from .numpy.arguments import static_shape
from .numpy.building import as_array, broadcast, choose, converted, number
from .numpy.selection import take
from .numpy.tables import searchsorted
from .promotion import constant
from .tree import flatten, unflatten
from .value import Value, known_value, node_of, value_at_hand


class Source(Protocol):
    """A generator in traced code."""

    trial: Any

    def address(self, in_pairs: bool) -> Node: ...


class NotDrawn(Exception):
    """The numbers are to be drawn through Python; nothing has been done."""


# For each kind of parameter: when it is legal, and one that is.
_Legal = tuple[Callable[[Array], Any], float]
_ANY: _Legal = (lambda x: None, 0.0)
_NOT_NEGATIVE: _Legal = (lambda x: ~(np.signbit(x) & ~np.isnan(x)), 1.0)
_POSITIVE: _Legal = (lambda x: ~(x <= 0.0), 1.0)
_FINITE_WIDTH: _Legal = (lambda x: np.isfinite(x) & ~np.signbit(x), 1.0)
_ANY_WIDTH: _Legal = (lambda x: np.isfinite(x), 1.0)
_OF_POISSON: _Legal = (lambda x: (x >= 0.0) & (x <= 9.0e18), 1.0)
_ABOVE_ONE: _Legal = (lambda x: x > 1.0, 2.0)
_PROBABILITY: _Legal = (lambda x: (x >= 0.0) & (x <= 1.0), 0.5)
_SURE: _Legal = (lambda x: (x > 0.0) & (x <= 1.0), 0.5)
_UNSURE: _Legal = (lambda x: (x >= 0.0) & (x < 1.0), 0.5)
_COUNT: _Legal = (lambda x: x >= 0, 1)

# By name: the parameters, with defaults, in NumPy's order.
_PLAIN: dict[str, tuple[tuple[str, Any, _Legal], ...]] = {
    "normal": (("loc", 0.0, _ANY), ("scale", 1.0, _NOT_NEGATIVE)),
    "laplace": (("loc", 0.0, _ANY), ("scale", 1.0, _NOT_NEGATIVE)),
    "gumbel": (("loc", 0.0, _ANY), ("scale", 1.0, _NOT_NEGATIVE)),
    "logistic": (("loc", 0.0, _ANY), ("scale", 1.0, _NOT_NEGATIVE)),
    "lognormal": (("mean", 0.0, _ANY), ("sigma", 1.0, _NOT_NEGATIVE)),
    "vonmises": (("mu", None, _ANY), ("kappa", None, _NOT_NEGATIVE)),
    "wald": (("mean", None, _POSITIVE), ("scale", None, _POSITIVE)),
    "gamma": (("shape", None, _NOT_NEGATIVE), ("scale", 1.0, _NOT_NEGATIVE)),
    "beta": (("a", None, _POSITIVE), ("b", None, _POSITIVE)),
    "f": (("dfnum", None, _POSITIVE), ("dfden", None, _POSITIVE)),
    "noncentral_chisquare": (("df", None, _POSITIVE), ("nonc", None, _NOT_NEGATIVE)),
    "exponential": (("scale", 1.0, _NOT_NEGATIVE),),
    "rayleigh": (("scale", 1.0, _NOT_NEGATIVE),),
    "chisquare": (("df", None, _POSITIVE),),
    "standard_t": (("df", None, _POSITIVE),),
    "pareto": (("a", None, _POSITIVE),),
    "weibull": (("a", None, _NOT_NEGATIVE),),
    "power": (("a", None, _POSITIVE),),
    "poisson": (("lam", 1.0, _OF_POISSON),),
    "geometric": (("p", None, _SURE),),
    "zipf": (("a", None, _ABOVE_ONE),),
    "logseries": (("p", None, _UNSURE),),
    "standard_cauchy": (),
}
# Those that RandomState draws in the same way.
_ALIKE = ("laplace", "gumbel", "logistic", "poisson")


class _Draw:
    """A draw in the making: of a source, for arguments of NumPy's method of this name."""

    def __init__(self, source: Source, method: str, args: tuple, kwargs: dict[str, Any]):
        self.source, self.method, self.args, self.kwargs = source, method, args, kwargs
        trace = current_trace()
        assert trace is not None
        self.trace: Trace = trace

    def __call__(
        self,
        name: str,
        size: Any,
        parameters: Sequence[Any] = (),
        legal: Sequence[_Legal] = (),
        in_pairs: bool = False,
        trial: tuple[str, tuple] | None = None,
    ) -> Array:
        """Numbers of the distribution `name`; of `size`, or as many as the parameters are.

        `trial`: the method and the arguments that give these numbers, if not those of the call.
        """
        known = DISTRIBUTIONS[name]
        if not can_draw(name) or (in_pairs and pairs_offset() is None):
            raise NotDrawn
        values = [
            _as_parameter(p, dtype, own)
            for p, dtype, own in zip(parameters, known.parameters, legal)
        ]
        shape = _shape(size, [x.shape for x in values])
        fitted = [x if x.ndim == 0 else broadcast(x, shape) for x in values]
        trace = self.trace
        found = self._at_hand(known.result.numpy, shape, trial)
        token = constant(0, i64) if trace.token is None else trace.token
        operands = [self.source.address(in_pairs), token, *map(node_of, fitted)]
        node = ops.draw(*operands, distribution=name, shape=shape)
        trace.locate(node)
        numbers, trace.token = item(node, index=0), item(node, index=1)
        for part in (numbers, trace.token):
            trace.locate(part)
        trace.values[numbers], trace.values[trace.token] = found, np.zeros((), np.int64)
        is_scalar = shape == () and size is None
        weak = {"f": float, "i": int}[known.result.kind] if is_scalar else None
        return Array(numbers, is_scalar, weak)

    def _at_hand(self, dtype: np.dtype, shape: tuple, trial: Any) -> np.ndarray:
        """What the method gives for the arguments at hand, by a generator that is the trace's own.

        Raises what it raises where no argument is traced: else it may be where the program never
        comes to.
        """
        method, *arguments = (*trial, {}) if trial else (self.method, self.args, self.kwargs)
        leaves, structure = flatten(tuple(arguments))
        is_traced = [isinstance(leaf, Value | Dim) for leaf in leaves]
        given = [_number_at_hand(leaf) if own else leaf for leaf, own in zip(leaves, is_traced)]
        args, kwargs = unflatten(structure, given)
        try:
            with tracing(None):
                return np.asarray(getattr(self.source.trial, method)(*args, **kwargs), dtype)
        except Exception as error:
            if not any(is_traced):
                self.trace.has_failed, self.trace.run.failure = True, error
                raise
            return np.zeros([n if type(n) is int else 1 for n in shape], dtype)


def _shape(size: Any, shapes: list[tuple]) -> tuple:
    """The shape of what is drawn, which NumPy judges where it does not fit the parameters."""
    try:
        shape = broadcast_shapes((), *shapes) if size is None else static_shape(size)
        if broadcast_shapes(shape, *shapes) == shape:
            return shape
    except ValueError:
        pass
    raise NotDrawn


def _number_at_hand(leaf: Any) -> Any:
    value = value_at_hand(as_array(leaf).node)
    return value[()] if isinstance(leaf, Dim) or leaf.is_scalar else value


def _as_parameter(value: Any, dtype: DType, legal: _Legal) -> Array:
    """A parameter, which the program looks at where the trace cannot."""
    x = as_array(value)
    if x.dtype.kind not in ("biuf" if dtype is f64 else "biu") or x.dtype == np.uint64:
        raise NotDrawn
    x = converted(x, dtype.numpy)
    is_legal, replacement = legal
    return _checked(x, is_legal(x), replacement)


def _checked(x: Array, condition: Any, replacement: float) -> Array:
    """`x` where the condition holds; where it does not, the program ends."""
    if condition is None:
        return x
    condition = node_of(as_array(condition))
    known = known_value(condition)
    if known is None:
        return choose(wrap(ops.legal(condition)), x, number(replacement, x.dtype))
    if not np.all(known):
        raise NotDrawn  # NumPy says what is wrong
    return x


# Methods, by class and name. Each takes the draw first, and then what NumPy's takes.
NEW: dict[str, Callable[..., Any]] = {}
OLD: dict[str, Callable[..., Any]] = {}


def draws_natively(is_old: bool, name: str) -> bool:
    """Whether a generator's method may be one of these."""
    return name in (OLD if is_old else NEW)


def draw(source: Source, is_old: bool, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What a method draws; raises NotDrawn where Python has to call it."""
    function = (OLD if is_old else NEW)[name]
    draw = _Draw(source, name, args, kwargs)
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

    def run(draw: _Draw, *args: Any, **kwargs: Any) -> Array:
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
    return draw("standard_gamma", size, [shape], [_NOT_NEGATIVE])


def _uniform(draw: _Draw, low: Any, high: Any, size: Any, legal: _Legal) -> Array:
    low, high = [as_array(x) for x in (low, high)]
    if any(x.dtype.kind not in "biuf" for x in (low, high)):
        raise NotDrawn
    low, high = [converted(x, np.float64) for x in (low, high)]
    return draw("uniform", size, [low, apply(np.subtract, high, low)], [_ANY, legal])


@_enter((NEW,))
def uniform(draw, low=0.0, high=1.0, size=None):
    return _uniform(draw, low, high, size, _FINITE_WIDTH)


@_enter((NEW, OLD))
def binomial(draw, n, p, size=None):
    return draw("binomial", size, [p, n], [_PROBABILITY, _COUNT])


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
    return draw("triangular", size, [left, _checked(mode, fits, 0.0), right], [_ANY] * 3)


@_enter((NEW,))
def negative_binomial(draw, n, p, size=None):
    n, p = _numbers(n, p)
    # So that the numbers' mean is one that Poisson's distribution may have.
    fits = (n > 0.0) & (p > 0.0) & (p <= 1.0) & ((n + 10.0 * np.sqrt(n)) * (1.0 - p) <= 9.0e18 * p)
    return draw("negative_binomial", size, [n, _checked(p, fits, 0.5)], [_ANY] * 2)


@_enter((NEW,))
def hypergeometric(draw, ngood, nbad, nsample, size=None):
    good, bad, sample = _numbers(ngood, nbad, nsample, kinds="biu")
    fits = (good >= 0) & (bad >= 0) & (sample >= 0) & (good < 10**9) & (bad < 10**9)
    sample = _checked(sample, fits & (good + bad >= sample), 0)
    return draw("hypergeometric", size, [good, bad, sample], [_ANY] * 3)


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
    last = _checked(last, condition, int(limits.max))
    return converted(first, dtype), converted(last, dtype)


_RANGES = {np.dtype(np.int64): "integers", np.dtype(np.int32): "integers_i32"}


def _integers(
    draw: _Draw,
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
    drawn = draw(name, size, [first, last], [_ANY, _ANY], trial=trial)
    # NumPy gives a scalar of its own, unless Python's class was asked for.
    return Array(drawn.node, drawn.is_scalar, drawn.weak if dtype is int else None)


@_enter((NEW,))
def integers(draw, low, high=None, size=None, dtype=np.int64, endpoint=False):
    found = np.dtype(dtype)
    if found not in (np.int64, np.int32):
        raise NotDrawn
    name = "integers" if found == np.int64 else "integers_i32"
    return _integers(draw, name, (low, high), size, dtype, endpoint)


def _permuted(draw: _Draw, x: Any, axis: int = 0) -> Array:
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


def _chosen(draw: _Draw, name: str, a: Any, size: Any, axis: int = 0) -> Any:
    """Some of `a`, or of the numbers below it, each perhaps several times."""
    if _is_count(a):
        return _integers(draw, name, (0, a), size, int)
    a = _with_axis(a, axis)
    extent = a.shape[axis]
    method = "integers" if name == "integers" else "randint"
    trial = (method, (0, extent, size))
    return take(a, _integers(draw, name, (0, extent), size, np.int64, trial=trial), axis=axis)


def _chosen_with(draw: _Draw, a: Any, size: Any, p: Any, axis: int = 0) -> Any:
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
    return _uniform(draw, low, high, size, _ANY_WIDTH)


@_enter_old("standard_normal")
def _old_standard_normal(draw, size=None):
    return draw("old_standard_normal", size, in_pairs=True)


@_enter_old("randn")
def _old_randn(draw, *args):
    return draw("old_standard_normal", args or None, in_pairs=True)


@_enter_old("normal")
def _old_normal(draw, loc=0.0, scale=1.0, size=None):
    return draw("old_normal", size, [loc, scale], [_ANY, _NOT_NEGATIVE], in_pairs=True)


@_enter_old("standard_exponential")
def _old_standard_exponential(draw, size=None):
    return draw("old_standard_exponential", size)


@_enter_old("exponential")
def _old_exponential(draw, scale=1.0, size=None):
    return draw("old_exponential", size, [scale], [_NOT_NEGATIVE])


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
