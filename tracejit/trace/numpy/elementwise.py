"""Functions of single elements that are no ufuncs: `where`, `clip`, `round`, `nan_to_num`, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ..application import apply
from ..array import Array, assign, to_weak, wrap
from ..masked import nonzero
from ..registry import implements
from ..value import Value, node_of
from .arguments import UNSET, option, refuse, refuse_out, static_int
from .building import (
    as_array,
    broadcast_together,
    choose,
    converted,
    copied,
    filled,
    number,
    promoted_dtype,
    scalar_like,
)
from .orders import in_c_order


@implements(np.where)
def where(condition, x=None, y=None, /):
    """`np.where`: with three arguments it promotes as NumPy does, Python numbers weakly."""
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    return choose(condition, x, y)


@implements(np.clip)
def clip(a, a_min=UNSET, a_max=UNSET, out=None, *, min=UNSET, max=UNSET, **kwargs):
    """`np.clip`: the smaller of the upper bound and the larger of the lower bound and `a`."""
    refuse_out("clip", out)
    refuse("clip", "use np.where(condition, result, other)", where=kwargs.pop("where", None))
    dtype = kwargs.pop("dtype", None)
    for ignored in ("casting", "order", "subok"):
        kwargs.pop(ignored, None)
    if kwargs:
        raise TypeError(f"clip() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if (a_min is UNSET) != (a_max is UNSET):
        missing = "a_min" if a_min is UNSET else "a_max"
        raise TypeError(f"clip() missing 1 required positional argument: '{missing}'")
    if a_min is not UNSET and (min is not UNSET or max is not UNSET):
        raise ValueError(
            "Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is "
            "forbidden."
        )
    low = option(min if a_min is UNSET else a_min, None)
    high = option(max if a_max is UNSET else a_max, None)
    return _clipped(as_array(a), low, high, {} if dtype is None else {"dtype": dtype})


@implements(method="clip")
def clip_method(a, min=None, max=None, out=None, **kwargs):
    """`x.clip(low, high)`."""
    return clip(a, min, max, out, **kwargs)


def _clipped(x: Array, low: Any, high: Any, options: dict) -> Array:
    if x.dtype.kind in "iu":  # Python ints beyond the dtype bound nothing
        limits = np.iinfo(x.dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
    if low is None and high is None:
        return apply(np.positive, x, **options)
    if x.dtype.kind == "V" and low is not None and high is not None:
        x = converted(x, np.float32)  # the loop of np.clip
    if low is None:
        return apply(np.minimum, x, high, **options)
    if high is None:
        return apply(np.maximum, x, low, **options)
    if not options:
        options = {"dtype": promoted_dtype(x, low, high)}
    if (
        np.dtype(options["dtype"]).char in "fd"
    ):  # of equal zeros these take the second, and `clip` has `x`
        return apply(np.minimum, high, apply(np.maximum, low, x, **options), **options)
    return apply(np.minimum, apply(np.maximum, x, low, **options), high, **options)


@implements(np.round, np.around)
def round(a, decimals=0, out=None):
    """`np.round`, halves to even: scale by a power of ten, `rint`, scale back."""
    refuse_out("round", out)
    x = as_array(a)
    decimals = static_int(decimals, "a number of decimals")
    if x.dtype.kind == "c":
        parts = [node_of(_rounded(part, decimals)) for part in (x.real, x.imag)]
        return scalar_like(wrap(ops.complex(*parts)))
    return _rounded(x, decimals)


@implements(method="round")
def round_method(a, decimals=0, out=None):
    """`x.round(decimals)`."""
    return round(a, decimals, out)


def _rounded(x: Array, decimals: int) -> Array:
    is_integer = x.dtype.kind in "iu"
    if decimals >= 0 and is_integer:
        return scalar_like(copied(x))
    if decimals == 0:
        return apply(np.rint, x)
    if x.dtype.kind == "b":
        raise TypeError("bools cannot be rounded to a number of decimals")
    scale = float(f"1e{abs(decimals)}")
    before, after = (np.multiply, np.true_divide) if decimals > 0 else (np.true_divide, np.multiply)
    work = converted(x, np.float64) if is_integer else x
    result = apply(after, apply(np.rint, apply(before, work, scale)), scale)
    return converted(result, x.dtype) if is_integer else result


@implements(np.fix)
def fix(x, out=None):
    """`np.fix`: round towards zero."""
    refuse_out("fix", out)
    return apply(np.trunc, as_array(x))


@implements(np.nan_to_num)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """`np.nan_to_num`; with `copy=False` into the array itself."""
    if not copy and isinstance(x, Array) and not x.is_scalar:
        if x.dtype.kind in "fc":
            assign(x, nan_to_num(x, True, nan, posinf, neginf))
        return x
    x = as_array(x)
    if x.dtype.kind not in "fc":
        return scalar_like(copied(x))
    if x.dtype.kind == "c":
        parts = [node_of(_finite(part, nan, posinf, neginf)) for part in (x.real, x.imag)]
        return scalar_like(wrap(ops.complex(*parts)))
    return scalar_like(_finite(x, nan, posinf, neginf))


def _finite(x: Array, nan: Any, posinf: Any, neginf: Any) -> Array:
    limits = np.finfo(x.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    result = x
    tests = (
        (apply(np.equal, x, -np.inf), low),
        (apply(np.equal, x, np.inf), high),
        (apply(np.isnan, x), nan),
    )
    for test, value in tests:
        result = choose(test, converted(as_array(value), x.dtype), result)
    return result


@implements(np.select)
def select(condlist, choicelist, default=0):
    """`np.select`: the first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    dtype = promoted_dtype(*choicelist, default)
    conditions = [as_array(condition) for condition in condlist]
    for position, condition in enumerate(conditions):
        if condition.dtype != bool:
            raise TypeError(f"invalid entry {position} in condlist: should be boolean ndarray")
    conditions = broadcast_together(*conditions)
    choices = broadcast_together(*[_as_number(value, dtype) for value in (*choicelist, default)])
    result = choices[-1]
    for condition, choice in reversed(list(zip(conditions, choices))):
        result = choose(condition, choice, result)
    return in_c_order(result)


def _as_number(value: Any, dtype: np.dtype) -> Array:
    plain = isinstance(value, int | float | complex) and not isinstance(value, np.generic)
    return number(value, dtype) if plain else as_array(value, dtype)


@implements(np.piecewise)
def piecewise(x, condlist, funclist, *args, **kw):
    """`np.piecewise`; every function sees all of `x`, and the last condition that holds counts."""
    x = as_array(x)
    conditions = [as_array(condition, bool) for condition in _conditions(x, condlist)]
    if len(funclist) == len(conditions) + 1:
        covered = conditions[0]
        for condition in conditions[1:]:
            covered = apply(np.logical_or, covered, condition)
        conditions.append(apply(np.logical_not, covered))
    elif len(funclist) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    result = _zeros_like(x)
    for condition, function in zip(conditions, funclist):
        value = function(x, *args, **kw) if callable(function) else function
        result = choose(condition, converted(_as_number(value, x.dtype), x.dtype), result)
    return result


def _conditions(x: Array, condlist: Any) -> list:
    """One condition or several, told apart as NumPy does."""
    if isinstance(condlist, bool | np.generic):
        return [condlist]
    is_several = isinstance(condlist[0], list | np.ndarray) or x.ndim == 0
    return list(condlist) if is_several else [condlist]


def _zeros_like(x: Array) -> Array:
    return filled(x.shape, 0, x.dtype)


@implements(np.angle)
def angle(z, deg=False):
    """`np.angle`."""
    z = as_array(z)
    is_complex = z.dtype.kind == "c"
    result = apply(np.arctan2, z.imag if is_complex else 0, z.real if is_complex else z)
    return result * (180 / np.pi) if deg else result


@implements(np.real)
def real(val):
    """`np.real`."""
    return val.real if isinstance(val, Value) else as_array(val).real


@implements(np.imag)
def imag(val):
    """`np.imag`."""
    return val.imag if isinstance(val, Value) else as_array(val).imag


@implements(method="conj")
@implements(method="conjugate")
def conjugate_method(a, /, **options):
    """`x.conj()`: itself when real."""
    if a.dtype.kind != "c":
        return a
    result = apply(np.conjugate, a, **options)
    return result if a.weak is None else to_weak(result)


@implements(np.isneginf)
def isneginf(x, out=None):
    """`np.isneginf`."""
    refuse_out("isneginf", out)
    return apply(np.logical_and, apply(np.isinf, _real(x)), apply(np.signbit, _real(x)))


@implements(np.isposinf)
def isposinf(x, out=None):
    """`np.isposinf`."""
    refuse_out("isposinf", out)
    not_negative = apply(np.logical_not, apply(np.signbit, _real(x)))
    return apply(np.logical_and, apply(np.isinf, _real(x)), not_negative)


def _real(x: Any) -> Array:
    x = as_array(x)
    if x.dtype.kind == "c":
        raise TypeError(
            "This operation is not supported for complex128 values because it would be ambiguous."
        )
    return x


@implements(np.iscomplex)
def iscomplex(x):
    """`np.iscomplex`: where the imaginary part is not zero."""
    x = as_array(x)
    if x.dtype.kind == "c":
        return apply(np.not_equal, x.imag, 0)
    return apply(np.not_equal, _zeros_like(x), 0)


@implements(np.isreal)
def isreal(x):
    """`np.isreal`: where the imaginary part is zero."""
    return apply(np.equal, as_array(x).imag, 0)
