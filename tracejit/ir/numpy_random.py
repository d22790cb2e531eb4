"""NumPy's distributions of random numbers, which programs draw from without entering Python.

A generator's bits come from functions of its own, in a struct whose address NumPy gives to whoever
wants to draw. Most distributions are C functions that NumPy exports; they take this address, and a
program that calls them gets the very numbers that NumPy's methods would have given, and leaves the
generator as these do. `RandomState`, the older class, keeps its own ways for some.

A program calls `symbol(source, before, after, numbers, count, parameter, step, ...)`: the address of
the struct, the token of the draw before and the one it makes, and for each parameter where the first
value is and how many elements the next one is further, 0 or 1.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import host
from .types import DType, f32, f64, i32, i64

# Estimates for one number, in cycles.
_CYCLES = 40.0


class Distribution(NamedTuple):
    """A distribution: its parameters' dtypes, and `draw(generator, size, *parameters)`, NumPy's way.

    `routine` is NumPy's C function, where there is one; `form` says how it is called, or what is done
    instead (lower/llvm/draws.py).
    """

    name: str
    result: DType
    parameters: tuple[DType, ...]
    routine: str
    form: str
    draw: Callable[..., Any]

    @property
    def symbol(self) -> str:
        return f"draw_{self.name}"

    def cycles(self, *arguments: int | None) -> float:
        """An estimate, from the arguments of a call where they are numbers."""
        count = arguments[4]
        return 20.0 + _CYCLES * (64 if count is None else count)

    def run(self, *arguments: Any) -> None:
        """A call, as NumPy makes it."""
        source, before, after, numbers, count, *rest = arguments
        pairs = list(zip(rest[::2], rest[1::2]))
        shape = (int(count),)
        given = [
            np.lib.stride_tricks.as_strided(x, shape, (x.itemsize * int(step),))
            for x, step in pairs
        ]
        results = np.lib.stride_tricks.as_strided(numbers, shape, (numbers.itemsize,))
        after[...] = before + 1
        results[...] = self.drawn(source, shape, given)

    def drawn(self, source: Any, shape: tuple[int, ...], parameters: list[Any]) -> Any:
        """What the generator at an address draws; it must be one that this run has asked for."""
        generator = host.objects_of_run()[_AT, int(source)]
        fixed = [x.flat[0] if _is_same_throughout(x) else x for x in map(np.asarray, parameters)]
        return self.draw(generator, shape, *fixed)


_AT = "at"


def _is_same_throughout(x: np.ndarray) -> bool:
    return x.ndim == 0 or (x.size > 0 and not any(x.strides))


def _by_method(method: str) -> Callable[..., Any]:
    return lambda generator, size, *parameters: getattr(generator, method)(*parameters, size=size)


def _each(name: str, count: int, result: DType = f64, routine: str = "") -> Distribution:
    routine = routine or f"random_{name}"
    return Distribution(name, result, (f64,) * count, routine, "each", _by_method(name))


def _single(method: str) -> Callable[..., Any]:
    return lambda generator, size: getattr(generator, method)(size, np.float32)


def _range(name: str, dtype: DType) -> Distribution:
    bits = 8 * dtype.itemsize

    def draw(generator: Any, size: tuple, low: Any, high: Any) -> Any:
        return generator.integers(low, high, size, dtype.numpy, endpoint=True)

    routine = f"random_bounded_uint{bits}_fill"
    return Distribution(name, dtype, (dtype, dtype), routine, "range", draw)


_RANDOM, _NORMAL, _EXPONENTIAL = "standard_uniform", "standard_normal", "standard_exponential"

_ALL = [
    Distribution("random", f64, (), "", "uniform", _by_method("random")),
    Distribution("random_f32", f32, (), f"random_{_RANDOM}_fill_f", "fill", _single("random")),
    Distribution(_NORMAL, f64, (), f"random_{_NORMAL}_fill", "fill", _by_method(_NORMAL)),
    Distribution(
        f"{_NORMAL}_f32", f32, (), f"random_{_NORMAL}_fill_f", "fill", _single(_NORMAL)
    ),
    Distribution(_EXPONENTIAL, f64, (), f"random_{_EXPONENTIAL}_fill", "fill",
                 _by_method(_EXPONENTIAL)),
    Distribution(
        f"{_EXPONENTIAL}_f32", f32, (), f"random_{_EXPONENTIAL}_fill_f", "fill",
        _single(_EXPONENTIAL),
    ),
    # Its parameters are the lower end and the width.
    Distribution("uniform", f64, (f64, f64), "random_uniform", "each",
                 lambda generator, size, low, width: low + width * generator.random(size)),
    *[_each(name, 2) for name in (
        "normal", "gamma", "beta", "f", "laplace", "gumbel", "logistic", "lognormal", "wald",
        "vonmises", "noncentral_chisquare",
    )],
    *[_each(name, 1) for name in (
        "exponential", "chisquare", "pareto", "weibull", "power", "rayleigh", "standard_t",
        "standard_gamma",
    )],
    _each("standard_cauchy", 0),
    *[_each(name, 1, i64) for name in ("poisson", "geometric", "zipf", "logseries")],
    _each("triangular", 3),
    _each("negative_binomial", 2, i64),
    Distribution("hypergeometric", i64, (i64, i64, i64), "random_hypergeometric", "each",
                 _by_method("hypergeometric")),
    Distribution("binomial", i64, (f64, i64), "random_binomial", "binomial",
                 lambda generator, size, p, n: generator.binomial(n, p, size)),
    _range("integers", i64),
    _range("integers_i32", i32),
    Distribution("permutation", i64, (), "random_interval", "shuffle",
                 lambda generator, size: generator.permutation(*size)),
    # Of RandomState. The source of normal numbers is another one, as every second is kept for later.
    Distribution("old_integers", i64, (i64, i64), "random_bounded_uint64_fill", "masked range",
                 lambda generator, size, low, high: generator.randint(low, high + 1, size)),
    Distribution("old_standard_normal", f64, (), "", "polar", _by_method(_NORMAL)),
    Distribution("old_normal", f64, (f64, f64), "", "polar", _by_method("normal")),
    Distribution("old_standard_exponential", f64, (), "", "logarithm", _by_method(_EXPONENTIAL)),
    Distribution("old_exponential", f64, (f64,), "", "logarithm", _by_method("exponential")),
]  # fmt: skip
DISTRIBUTIONS = {distribution.name: distribution for distribution in _ALL}
BY_SYMBOL = {distribution.symbol: distribution for distribution in _ALL}
ROUTINES = {distribution.routine for distribution in _ALL} - {""}


# Where things are.


@functools.cache
def routine_address(name: str) -> int | None:
    """NumPy's C function of this name; None where it is not exported."""
    try:
        library = ctypes.CDLL(sys.modules["numpy.random._generator"].__file__)
        return ctypes.cast(library[name], ctypes.c_void_p).value
    except (AttributeError, KeyError, OSError):
        return None


def can_draw(name: str) -> bool:
    """Whether programs can draw from a distribution."""
    routine = DISTRIBUTIONS[name].routine
    return not routine or routine_address(routine) is not None


class _Pairs(ctypes.Structure):
    """What RandomState keeps for numbers that come in pairs (numpy's `aug_bitgen_t`)."""

    _fields_ = (
        ("bits", ctypes.c_void_p),
        ("has_gauss", ctypes.c_int),
        ("gauss", ctypes.c_double),
    )


@functools.cache
def pairs_offset() -> int | None:
    """Where in an object of RandomState it keeps these; None if they are not found."""
    random = sys.modules.get("numpy.random")
    if random is None or sys.implementation.name != "cpython":
        return None
    state = random.RandomState(1)
    wanted = 0.8125 + 2.0**-40
    state.set_state({**state.get_state(legacy=False), "has_gauss": 1, "gauss": wanted})
    begin, size = id(state), random.RandomState.__basicsize__
    found = []
    for offset in range(0, size - ctypes.sizeof(_Pairs) + 1, 8):
        pairs = _Pairs.from_address(begin + offset)
        if pairs.gauss == wanted and pairs.has_gauss == 1:
            is_inside = pairs.bits is not None and begin <= pairs.bits < begin + size
            found += [offset] if is_inside else []
    if len(found) != 1:
        return None
    bits = ctypes.c_void_p.from_address(_Pairs.from_address(begin + found[0]).bits).value
    return found[0] if bits == _bits(state).state_address else None


def _bits(generator: Any) -> Any:
    held = getattr(generator, "bit_generator", None)
    return (generator._bit_generator if held is None else held).ctypes


def source_address(generator: Any, in_pairs: bool) -> int:
    """The address that distributions draw from."""
    if in_pairs:
        return id(generator) + (pairs_offset() or 0)
    return _bits(generator).bit_generator.value


def begin_drawing(objects: dict, generator: Any, in_pairs: bool) -> int:
    """The address to draw from, for a run that made these objects; its lock is held until the run ends."""
    address = source_address(generator, in_pairs)
    objects[_AT, address] = generator
    host.hold(objects, _lock_of(generator))
    return address


def _lock_of(generator: Any) -> Any:
    return (
        generator._bit_generator.lock if in_old_class(generator) else generator.bit_generator.lock
    )


def in_old_class(generator: Any) -> bool:
    """Whether a generator is a RandomState."""
    return hasattr(generator, "set_state")
