"""`numpy.fft`: Fourier transforms by NumPy's own loops, one axis after the other.

A transform in single precision is computed in single precision, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.fft import _pocketfft_umath

from ...errors import TraceError
from ...ir import ops
from ...ir.dims import Dim
from ...ir.graph import Function, parameter
from ..application import apply
from ..array import Array, wrap
from ..host import no_rule
from ..registry import implements
from ..value import node_of
from . import transforms
from .arguments import one_axis, refuse_out, static, static_int
from .building import as_array, converted, filled, permuted
from .gufuncs import run

_OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _refused(transform: Any, norm: Any) -> ValueError:
    """The error of NumPy's own transform, whose words differ between versions."""
    try:
        transform((1.0, 1.0), norm=norm)
    except ValueError as error:
        return error
    raise AssertionError(f"NumPy knows the norm {norm!r}")


def _opposite(norm: str | None) -> str:
    if norm not in _OPPOSITE:
        raise _refused(np.fft.hfft, norm)
    return _OPPOSITE[norm]


def _factor(norm: str | None, n: Any, real: np.dtype) -> Any:
    """What a forward transform of `n` points is multiplied by, in the dtype of real parts."""
    call = (lambda ufunc, x: ufunc(x, dtype=real)) if type(n) is int else apply
    n = n if type(n) is int else converted(as_array(n), real)
    match norm:
        case None | "backward":
            return 1
        case "ortho":
            return call(np.reciprocal, call(np.sqrt, n))
        case "forward":
            return call(np.reciprocal, n)
    raise _refused(np.fft.fft, norm)


def _points(x: Array, n: Any, axis: Any) -> int:
    """How many points a transform has; by default all along the axis."""
    return x.shape[axis] if n is None else static_int(n, "a number of points")


def _transform(
    name: str, x: Array, n: Any, axis: Any, norm: str | None, *, forward: bool, length: Any
) -> Array:
    """One transform of `n` points along an axis, which then has `length` elements."""
    try:
        has_points = n >= 1
    except TraceError:
        raise no_rule("np.fft of an unknown number of points") from None
    if not has_points:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    real = np.result_type(x.real.dtype, 1.0)
    factor = _factor(norm if forward else _opposite(norm), n, real)
    axis = one_axis(axis, x.ndim)
    if type(x.shape[axis]) is int and x.shape[axis] == 0:  # of which NumPy's loop would read one
        x = filled((*x.shape[:axis], 1, *x.shape[axis + 1 :]), 0, x.dtype)
    ufunc = getattr(_pocketfft_umath, name)
    result = real if name == "irfft" else np.result_type(x.dtype, 1j)
    given = type(factor) if type(factor) is int else factor.dtype
    own, scale, _ = ufunc.resolve_dtypes((x.dtype, given, result))
    if type(n) is type(x.shape[axis]) is int:
        found = _in_lanes(name, x, result, n, axis, float(factor))
        if found is not None:
            return converted(found, result)
    order = (*[k for k in range(x.ndim) if k != axis], axis)
    back = tuple(int(k) for k in np.argsort(order))
    operands = converted(permuted(x, order), own), converted(as_array(factor), scale)
    (found,) = run(ops.FOURIER[name], (1, 0), *operands, extent=length)
    return converted(permuted(found, back), result)


def _in_lanes(
    name: str, x: Array, result: np.dtype, n: int, axis: int, scale: float
) -> Array | None:
    """The same, of many elements side by side; None where it is for NumPy's loops."""
    real = np.empty(0, result).real.dtype
    if name in ("fft", "ifft"):
        x = converted(x, result if x.dtype.kind == "c" else real)
        return transforms.fft(x, n, axis, name == "ifft", scale)
    if name == "irfft":
        return transforms.irfft(converted(x, np.result_type(real, 1j)), n, axis, scale)
    return transforms.rfft(converted(x, real), n, axis, scale)


@implements(np.fft.fft)
def fft(a, n=None, axis=-1, norm=None, out=None):
    """`np.fft.fft`."""
    refuse_out("fft.fft", out)
    x = as_array(a)
    n = _points(x, n, axis)
    return _transform("fft", x, n, axis, norm, forward=True, length=n)


@implements(np.fft.ifft)
def ifft(a, n=None, axis=-1, norm=None, out=None):
    """`np.fft.ifft`."""
    refuse_out("fft.ifft", out)
    x = as_array(a)
    n = _points(x, n, axis)
    return _transform("ifft", x, n, axis, norm, forward=False, length=n)


@implements(np.fft.rfft)
def rfft(a, n=None, axis=-1, norm=None, out=None):
    """`np.fft.rfft`."""
    refuse_out("fft.rfft", out)
    x = as_array(a)
    n = _points(x, n, axis)
    if isinstance(n, Dim):  # the loops of even and odd numbers of points are two
        return _by_parity(x, n, axis, norm)
    name = "rfft_n_odd" if n % 2 else "rfft_n_even"
    return _transform(name, x, n, axis, norm, forward=True, length=n // 2 + 1)


def _by_parity(x: Array, n: Dim, axis: Any, norm: str | None) -> Array:
    """`np.fft.rfft` of a number of points that turns out to be even or odd."""
    here = parameter("x", node_of(x).type)
    branches = []
    for name in ("rfft_n_even", "rfft_n_odd"):
        found = _transform(name, wrap(here), n, axis, norm, forward=True, length=n // 2 + 1)
        branches.append(Function(name, (here,), (node_of(found),)))
    is_odd = node_of(apply(np.remainder, as_array(n), 2))
    return wrap(ops.branch(is_odd, node_of(x), branches=tuple(branches)))


@implements(np.fft.irfft)
def irfft(a, n=None, axis=-1, norm=None, out=None):
    """`np.fft.irfft`."""
    refuse_out("fft.irfft", out)
    x = as_array(a)
    n = (x.shape[axis] - 1) * 2 if n is None else _points(x, n, axis)
    return _transform("irfft", x, n, axis, norm, forward=False, length=n)


@implements(np.fft.hfft)
def hfft(a, n=None, axis=-1, norm=None, out=None):
    """`np.fft.hfft`."""
    x = as_array(a)
    n = (x.shape[axis] - 1) * 2 if n is None else n
    return irfft(apply(np.conjugate, x), n, axis, _opposite(norm), out)


@implements(np.fft.ihfft)
def ihfft(a, n=None, axis=-1, norm=None, out=None):
    """`np.fft.ihfft`."""
    x = as_array(a)
    n = x.shape[axis] if n is None else n
    return apply(np.conjugate, rfft(x, n, axis, _opposite(norm), out))


# Several axes: the last one first.


def _axes(x: Array, s: Any, axes: Any, is_real_inverse: bool = False) -> list[tuple[Any, int]]:
    """The numbers of points and the axes of a transform along several axes, in their order."""
    shape = static(s, "a shape") if s is not None else None
    if shape is None:
        own = range(x.ndim) if axes is None else axes
        for axis in own:
            if not -x.ndim <= axis < x.ndim:
                raise IndexError(f"index {axis} is out of bounds for axis 0 with size {x.ndim}")
        shape = [x.shape[axis] for axis in own]
    else:
        shape = list(shape)
        own = range(-len(shape), 0) if axes is None else axes
        if len(shape) != len(list(own)):
            raise ValueError("Shape and axes have different lengths.")
        if None in shape:
            raise no_rule("np.fft with None in s")
    own = list(own)
    if is_real_inverse and s is None:
        shape[-1] = (x.shape[own[-1]] - 1) * 2
    shape = [x.shape[axis] if n == -1 else n for n, axis in zip(shape, own)]
    return list(zip(shape, own))


def _along(function: Callable[..., Array], x: Array, pairs: list, norm: str | None) -> Array:
    for n, axis in reversed(pairs):
        x = function(x, n, axis, norm)
    return x


@implements(np.fft.fftn)
def fftn(a, s=None, axes=None, norm=None, out=None):
    """`np.fft.fftn`."""
    refuse_out("fft.fftn", out)
    x = as_array(a)
    return _along(fft, x, _axes(x, s, axes), norm)


@implements(np.fft.ifftn)
def ifftn(a, s=None, axes=None, norm=None, out=None):
    """`np.fft.ifftn`."""
    refuse_out("fft.ifftn", out)
    x = as_array(a)
    return _along(ifft, x, _axes(x, s, axes), norm)


@implements(np.fft.fft2)
def fft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """`np.fft.fft2`."""
    return fftn(a, s, axes, norm, out)


@implements(np.fft.ifft2)
def ifft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """`np.fft.ifft2`."""
    return ifftn(a, s, axes, norm, out)


@implements(np.fft.rfftn)
def rfftn(a, s=None, axes=None, norm=None, out=None):
    """`np.fft.rfftn`: the last axis by `rfft`, the others by `fft`."""
    refuse_out("fft.rfftn", out)
    x = as_array(a)
    *others, last = _axes(x, s, axes)
    return _along(fft, rfft(x, *last, norm), others, norm)


@implements(np.fft.rfft2)
def rfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """`np.fft.rfft2`."""
    return rfftn(a, s, axes, norm, out)


@implements(np.fft.irfftn)
def irfftn(a, s=None, axes=None, norm=None, out=None):
    """`np.fft.irfftn`: the last axis by `irfft`, after the others by `ifft`."""
    refuse_out("fft.irfftn", out)
    x = as_array(a)
    *others, last = _axes(x, s, axes, is_real_inverse=True)
    for n, axis in others:
        x = ifft(x, n, axis, norm)
    return irfft(x, *last, norm)


@implements(np.fft.irfft2)
def irfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """`np.fft.irfft2`."""
    return irfftn(a, s, axes, norm, out)
