"""The Python array API standard: every name of it, under jit and outside, gives what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest
from test_user_programs import same

import tracejit
import tracejit.numpy as namespace

# The names of the standard's version 2024.12 by its chapters, and calls of those that need arguments
# of their own; `x` and `y` are vectors of numbers, `m` is a matrix, `s` symmetric, `i` and `j` are ints,
# `b` bools, `c` complex.
STANDARD = {
    "elementwise": """
        abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert
        bitwise_or bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp
        expm1 floor floor_divide greater greater_equal hypot imag isfinite isinf isnan less less_equal
        log log1p log2 log10 logaddexp logical_and logical_not logical_or logical_xor maximum minimum
        multiply negative nextafter not_equal positive pow real reciprocal remainder round sign signbit
        sin sinh square sqrt subtract tan tanh trunc""",
    "creation": """
        arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like
        tril triu zeros zeros_like""",
    "data types": "astype can_cast finfo iinfo isdtype result_type",
    "indexing": "take take_along_axis",
    "linear algebra": "matmul matrix_transpose tensordot vecdot",
    "manipulation": """
        broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll
        squeeze stack tile unstack""",
    "searching": "argmax argmin count_nonzero nonzero searchsorted where",
    "sets": "unique_all unique_counts unique_inverse unique_values",
    "sorting": "argsort sort",
    "statistics": "cumulative_prod cumulative_sum max mean min prod std sum var",
    "utilities": "all any diff",
    "linalg": """
        linalg.cholesky linalg.cross linalg.det linalg.diagonal linalg.eigh linalg.eigvalsh linalg.inv
        linalg.matmul linalg.matrix_norm linalg.matrix_power linalg.matrix_rank
        linalg.matrix_transpose linalg.outer linalg.pinv linalg.qr linalg.slogdet linalg.solve
        linalg.svd linalg.svdvals linalg.tensordot linalg.trace linalg.vecdot linalg.vector_norm""",
    "fft": """
        fft.fft fft.ifft fft.fftn fft.ifftn fft.rfft fft.irfft fft.rfftn fft.irfftn fft.hfft fft.ihfft
        fft.fftfreq fft.rfftfreq fft.fftshift fft.ifftshift""",
}
TWO = """
    add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide
    equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or
    logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract"""
CALLS = """
    acosh: xp.acosh(x + 1)
    bitwise_invert: xp.bitwise_invert(i); xp.bitwise_invert(b)
    clip: xp.clip(x, 0.2, 0.5); xp.clip(x, min=0.3); xp.clip(x, max=y)
    conj: xp.conj(c); xp.conj(x)
    imag: xp.imag(c)
    real: xp.real(c); xp.real(x)
    logical_not: xp.logical_not(b)
    round: xp.round(x * 7); xp.round(c)
    arange: xp.arange(5); xp.arange(1, 8, 2, dtype=xp.float32); xp.arange(0.0, 1.0, 0.25)
    asarray: xp.asarray([1, 2]); xp.asarray(x, dtype=xp.float32); xp.asarray(x, copy=True); xp.asarray([x[0], 1.0])
    empty: xp.empty((2, 3)).shape; xp.empty(2, dtype=xp.int8).dtype
    empty_like: xp.empty_like(m).shape; xp.empty_like(m, dtype=xp.int32).dtype
    eye: xp.eye(3); xp.eye(2, 4, k=1, dtype=xp.int64)
    from_dlpack: xp.from_dlpack(x) + 1; xp.from_dlpack(x, copy=True)
    full: xp.full((2, 2), 3.5); xp.full(3, x[0])
    full_like: xp.full_like(m, 2)
    linspace: xp.linspace(0.0, 1.0, 5); xp.linspace(x[0], x[1], 4, endpoint=False)
    meshgrid: xp.meshgrid(x, y); xp.meshgrid(x, y, indexing="ij")
    ones: xp.ones((2, 3)); xp.ones(3, dtype=xp.bool)
    ones_like: xp.ones_like(m)
    tril: xp.tril(m); xp.tril(m, k=-1)
    triu: xp.triu(m); xp.triu(m, k=1)
    zeros: xp.zeros((2, 3)); xp.zeros(3, dtype=xp.complex64)
    zeros_like: xp.zeros_like(m, dtype=xp.uint8)
    astype: xp.astype(x, xp.float32); xp.astype(x * 9, xp.int16, copy=False); xp.astype(b, xp.int8)
    can_cast: xp.can_cast(x.dtype, xp.float32); xp.can_cast(xp.int8, xp.int64)
    finfo: xp.finfo(x.dtype).eps; xp.finfo(xp.float32).max
    iinfo: xp.iinfo(i.dtype).max; xp.iinfo(xp.uint8).min
    isdtype: xp.isdtype(x.dtype, "real floating"); xp.isdtype(x.dtype, (xp.float32, "integral"))
    result_type: xp.result_type(x, xp.float32); xp.result_type(i, 1.0)
    take: xp.take(x, j); xp.take(m, j, axis=1)
    take_along_axis: xp.take_along_axis(m, xp.argsort(m, axis=1), axis=1)
    matmul: xp.matmul(m, s); m @ x
    matrix_transpose: xp.matrix_transpose(m)
    tensordot: xp.tensordot(m, s, axes=1); xp.tensordot(m, s, axes=((0, 1), (1, 0)))
    vecdot: xp.vecdot(x, y); xp.vecdot(m, s, axis=0); xp.vecdot(c, c)
    broadcast_arrays: xp.broadcast_arrays(x, m)
    broadcast_to: xp.broadcast_to(x, (2, 4))
    concat: xp.concat([x, y]); xp.concat((m, s), axis=1); xp.concat([m, s], axis=None)
    expand_dims: xp.expand_dims(x, axis=0); xp.expand_dims(x, axis=-1)
    flip: xp.flip(m); xp.flip(m, axis=1)
    moveaxis: xp.moveaxis(m, 0, 1)
    permute_dims: xp.permute_dims(m, (1, 0))
    repeat: xp.repeat(x, 3); xp.repeat(m, 2, axis=1)
    reshape: xp.reshape(m, (2, -1)); xp.reshape(m, (16,), copy=True)
    roll: xp.roll(x, 1); xp.roll(m, (1, 2), axis=(0, 1))
    squeeze: xp.squeeze(m[:1], axis=0)
    stack: xp.stack([x, y]); xp.stack([x, y], axis=-1)
    tile: xp.tile(x, (2, 2))
    unstack: xp.unstack(m); xp.unstack(m, axis=1)
    argmax: xp.argmax(x); xp.argmax(m, axis=0, keepdims=True)
    argmin: xp.argmin(m, axis=1)
    count_nonzero: xp.count_nonzero(i); xp.count_nonzero(m > 0.5, axis=1, keepdims=True)
    nonzero: xp.nonzero(m > 0.5)
    searchsorted: xp.searchsorted(xp.sort(x), y); xp.searchsorted(xp.sort(x), y, side="right")
    where: xp.where(x > y, x, y); xp.where(b, x, 0.0)
    diff: xp.diff(x); xp.diff(m, axis=0, n=2); xp.diff(x, prepend=y[:1])
    cumulative_prod: xp.cumulative_prod(x); xp.cumulative_prod(m, axis=1, include_initial=True)
    cumulative_sum: xp.cumulative_sum(x, include_initial=True); xp.cumulative_sum(m, axis=0)
    sort: xp.sort(m, axis=0); xp.sort(x)
    std: xp.std(x, correction=1.0); xp.std(m, axis=0, keepdims=True)
    var: xp.var(x, correction=1); xp.var(m, axis=(0, 1))
    sum: xp.sum(m, axis=0, dtype=xp.float32); xp.sum(i)
    linalg.cholesky: xp.linalg.cholesky(s); xp.linalg.cholesky(s, upper=True)
    linalg.cross: xp.linalg.cross(x[:3], y[:3])
    linalg.matmul: xp.linalg.matmul(m, s)
    linalg.matrix_norm: xp.linalg.matrix_norm(m); xp.linalg.matrix_norm(m, ord=1, keepdims=True)
    linalg.matrix_power: xp.linalg.matrix_power(m, 3)
    linalg.outer: xp.linalg.outer(x, y)
    linalg.solve: xp.linalg.solve(s, x)
    linalg.tensordot: xp.linalg.tensordot(m, s)
    linalg.trace: xp.linalg.trace(m); xp.linalg.trace(m, offset=1)
    linalg.vecdot: xp.linalg.vecdot(m, s, axis=-1)
    linalg.vector_norm: xp.linalg.vector_norm(x); xp.linalg.vector_norm(m, axis=0, ord=1, keepdims=True)
    fft.fftfreq: xp.fft.fftfreq(8, d=0.5)
    fft.rfftfreq: xp.fft.rfftfreq(8)
    fft.fftn: xp.fft.fftn(c.reshape((2, 2)), axes=(0, 1))
    fft.irfftn: xp.fft.irfftn(c.reshape((2, 2)))
"""
ARRAYS = """
    abs(x - 1); x + y; i & j; x == y; x // y; x >= y; x > y; ~i; x <= y; i << j; x < y
    m @ s; x % y; x * y; x != y; -x; i | j; +x; x ** y; i >> j; x - y; x / y; i ^ j
    1 + x; 3 & i; 2.0 // x; 1 << j; 2 % x; 2 * x; 1 | i; 2 ** x; 9 >> j; 1 - x; 1 / x; 5 ^ i
    x.dtype; x.device; m.mT; x.ndim; m.shape; m.size; m.T; x.to_device(x.device) + 1
    m[0]; m[1:, ::2]; m[..., 0]; x[None, :]; x[x > 0.3]; m[j, i]; len(x)
    xp.e + x; xp.inf * x; xp.nan + x; xp.pi * x; x[xp.newaxis]
    xp.__array_namespace_info__().default_device(); sorted(xp.__array_namespace_info__().dtypes())
    xp.__array_namespace_info__().devices(); xp.__array_namespace_info__().capabilities()["boolean indexing"]
"""
RNG = np.random.default_rng(11)
M = RNG.uniform(0.05, 0.95, (4, 4))
VALUES = {
    "x": RNG.uniform(0.05, 0.95, 4),
    "y": RNG.uniform(0.05, 0.95, 4),
    "m": M,
    "s": M @ M.T + np.eye(4),
    "i": np.array([3, 1, 2, 0]),
    "j": np.array([0, 2, 1, 3]),
    "b": np.array([True, False, True, True]),
    "c": RNG.uniform(0.05, 0.95, 4) + 1j * RNG.uniform(0.05, 0.95, 4),
}
WHOLE = """bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor"""


def calls() -> dict[str, list[str]]:
    written = dict(line.strip().split(": ", 1) for line in CALLS.strip().splitlines())
    found = {}
    for chapter, names in STANDARD.items():
        for name in names.split():
            if name in written:
                found[name] = written[name].split("; ")
            elif name in WHOLE.split():
                found[name] = [f"xp.{name}(i, j)"]
            elif name in TWO.split():
                found[name] = [f"xp.{name}(x, y)", f"xp.{name}(m, y)"]
            elif chapter in ("linalg", "statistics", "utilities"):
                found[name] = [f"xp.{name}(m)"]
            elif name.startswith("fft."):
                found[name] = [f"xp.{name}(c)" if "fft.rfft" not in name else f"xp.{name}(x)"]
                if name == "fft.ihfft":
                    found[name] = ["xp.fft.ihfft(x)"]
            else:
                found[name] = [f"xp.{name}(x)"]
    return found


CALLED = calls()


def program(call: str):
    """A function that takes the arrays by name, and the namespace from one of them."""
    lines = f"def run({', '.join(VALUES)}):\n    xp = x.__array_namespace__()\n    return {call}\n"
    made: dict = {}
    exec(compile(lines, f"<{call}>", "exec"), made)  # noqa: S102  our own text
    return made["run"]


def plain(found):
    """Tuples of any class as tuples, and dtypes as text, which `same` compares."""
    if isinstance(found, tuple):
        return tuple(map(plain, found))
    return str(found) if isinstance(found, np.dtype) else found


def check(call: str) -> None:
    run = program(call)
    wanted, jitted = run(**VALUES), tracejit.jit(run)
    for _ in range(2):
        found = jitted(**VALUES)
        assert type(found) is type(wanted)
        same(plain(found), plain(wanted))


@pytest.mark.parametrize("name", CALLED)
def test_name(name):
    for call in CALLED[name]:
        check(call)


@pytest.mark.parametrize("call", ARRAYS.replace("\n", ";").split(";"))
def test_array(call):
    if call.strip():
        check(call.strip())


@pytest.mark.parametrize("name", CALLED)
def test_outside_jit_it_is_numpy(name):
    ours, numpys = namespace, np
    for part in name.split("."):
        ours, numpys = getattr(ours, part), getattr(numpys, part)
    assert ours is numpys


def test_the_list_is_whole():
    strict = pytest.importorskip("array_api_strict")
    listed = {name.partition(".")[0] for name in CALLED}
    beside = {"annotations", "get_array_api_strict_flags", "set_array_api_strict_flags", "Device"}
    beside |= {"reset_array_api_strict_flags", "ArrayAPIStrictFlags", "broadcast_shapes", "isin"}
    functions = {name for name in strict.__all__ if callable(getattr(strict, name))}
    dtypes = {name for name in functions if isinstance(getattr(strict, name), type(strict.int8))}
    assert functions - dtypes - beside - {"__array_namespace_info__"} <= listed


def test_the_module_in_traced_code():
    def function(x):
        return namespace.zeros(3) + namespace.linalg.vector_norm(x) + tracejit.numpy.ones(3)

    same(tracejit.jit(function)(VALUES["x"]), function(VALUES["x"]))
    assert "zeros" in dir(namespace)
    with pytest.raises(AttributeError):
        namespace.no_such_function  # noqa: B018


def test_versions_and_devices():
    found = tracejit.jit(lambda x: x.__array_namespace__(api_version="2023.12").max(x))(M)
    assert found == M.max()
    with pytest.raises(ValueError, match="not supported"):
        tracejit.jit(lambda x: x.__array_namespace__(api_version="1999.12"))(M)
    with pytest.raises(ValueError, match="device"):
        tracejit.jit(lambda x: x.to_device("gpu"))(M)
    assert tracejit.jit(lambda x: x[x > 0.5].device)(M) == "cpu"


def softmax(x, axis=-1):
    xp = x.__array_namespace__()
    powers = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return powers / xp.sum(powers, axis=axis, keepdims=True)


def whiten(x):
    xp = x.__array_namespace__()
    centred = x - xp.mean(x, axis=0)
    values, vectors = xp.linalg.eigh(xp.matmul(centred.mT, centred) / (x.shape[0] - 1))
    return xp.matmul(centred, vectors) / xp.sqrt(values + xp.finfo(x.dtype).eps)


def one_hot(labels):
    xp = labels.__array_namespace__()
    return xp.astype(labels[:, None] == xp.arange(4)[None, :], xp.float32)


@pytest.mark.parametrize("function, name", [(softmax, "m"), (whiten, "s"), (one_hot, "i")])
def test_programs_of_the_standard_alone(function, name):
    """They run on the strictest implementation, and with ours give the same."""
    strict = pytest.importorskip("array_api_strict")
    wanted = np.asarray(function(strict.asarray(VALUES[name])))
    same(tracejit.jit(function)(VALUES[name]), wanted)


def test_the_namespace_that_compat_finds():
    compat = pytest.importorskip("array_api_compat")

    def function(x):
        xp = compat.array_namespace(x)
        return xp.concat([xp.zeros(2), x]), compat.size(x), compat.device(x)

    same(tracejit.jit(function)(VALUES["x"]), (np.concat([np.zeros(2), VALUES["x"]]), 4, "cpu"))
