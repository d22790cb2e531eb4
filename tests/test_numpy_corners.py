"""Functions that write, ask for memory, or give scalars where one would not expect it."""

import re

import numpy as np
import pytest

import tracejit

X = np.array([2.5, -1.5, np.nan, 0.5, np.inf, 3.0])
M = X.reshape(2, 3)


def flat_writes(m):
    m.flat[1] = 7
    m.flat[::2] = m.flat[1] * 2
    m.flat[3:] = [1, 2]
    return m.flat[-1], len(m.flat), m.flat.copy()


def flat_of_a_view(m):
    m.T.flat[1:3] = [8, 9]
    m[:, 1:].flat = 5
    return [e + 1 for e in m.flat]


def nan_to_num_of_a_view(m):
    row = np.nan_to_num(m[0], copy=False, posinf=1)
    whole = np.nan_to_num(m, copy=True)
    row += 1
    return whole


def a_view(m):
    other = m.view()
    other[0] = 5
    other.shape = (3, 2)
    m[1] += 1
    return other, m.view(np.float64), m.T.view(np.ndarray)


def placed_in_other_dtypes(m):
    whole, mask = np.zeros(m.shape, int), m > 0
    np.place(whole, mask, [1.5, 2.5])
    np.place(mask, mask, [7, 0])
    return whole, mask


PROGRAMS = [
    a_view,
    placed_in_other_dtypes,
    flat_writes,
    flat_of_a_view,
    nan_to_num_of_a_view,
    lambda m: np.unstack(m[0]),
    lambda m: np.unstack(m, axis=1),
    lambda m: (m.strides, m.T.strides, m[:, ::2].strides, m[:0].strides),
    lambda m: (np.isfortran(m), np.isfortran(m.T), np.isfortran(m[:1].T)),
    lambda m: np.require(m.T, np.float32, ["C"]),
    lambda m: np.require(m, requirements="F") + 1,
    lambda m: np.fft.fftshift(m, axes=1),
    lambda m: np.fft.ifftshift(np.fft.fftshift(m[:, :2])),
    lambda m: np.polyadd(m[0], m.ravel()),
    lambda m: np.polysub(m[0], 2),
    lambda m: (
        np.polyder(m[0, :2]),
        np.polyder(m[0, :2], 2),
        np.polyder(m[0, :2], 5),
        np.polyder(m[0, :2], 0),
    ),
    lambda m: (np.polyint(m[0]), np.polyint(m[0], 2, k=[3, 4]), np.polyint(m[0], 3, k=2)),
    lambda m: np.kaiser(6, m[0, 0]),
    lambda m: m[np.tril_indices_from(m)],
    lambda m: np.einsum_path("ij,kj->ik", m, m),
    lambda m: np.asarray_chkfinite(m[0, :2]),
    lambda m: np.real_if_close(m[0] + 0j),
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_as_numpy(program):
    expected_m, m = M.copy(), M.copy()
    expected = program(expected_m)
    for _ in range(2):
        m[...] = M
        same(expected, tracejit.jit(program)(m))
        same(expected_m, m)


def same(expected, got):
    assert type(expected) is type(got)
    if isinstance(expected, tuple | list):
        assert len(expected) == len(got)
        for a, b in zip(expected, got):
            same(a, b)
    elif isinstance(expected, np.ndarray | np.generic):
        assert (expected.dtype, expected.shape) == (got.dtype, got.shape)
        np.testing.assert_allclose(got, expected, 1e-12)
    else:
        assert expected == got


@pytest.mark.parametrize(
    "program", [lambda m: np.polyder(m[0, :2], -1), lambda m: np.polyint(m[0], 3, k=[1, 2])]
)
def test_errors_are_numpys(program):
    with pytest.raises(ValueError) as expected:
        program(M)
    with pytest.raises(ValueError) as error:
        tracejit.jit(program)(M)
    assert str(expected.value) in str(error.value)


def test_infinite_values_are_numpys_error():
    with pytest.raises(ValueError, match="infs or NaNs"):
        tracejit.jit(lambda m: np.asarray_chkfinite(m))(M)
    with pytest.raises(tracejit.errors.UnsupportedError):
        tracejit.jit(lambda m: np.asarray_chkfinite(m), fallback="error")(M)


def test_histograms_of_complex_numbers_are_counted_through_python():
    z = np.array([2.5, -1.5, 0.5]) + 1j
    with pytest.warns(np.exceptions.ComplexWarning):
        expected = np.histogram(z)
        same(expected, tracejit.jit(lambda z: np.histogram(z))(z))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.repeat(x, 2, axis=0),
        lambda x: np.take(x, 0, axis=-1),
        lambda x: np.compress([True], x, axis=0),
        lambda x: np.squeeze(x, axis=0),
    ],
)
def test_scalars_have_an_axis_to_go_along(function):
    for x in (np.array(3.5), np.float32(2)):
        wanted, found = function(x), tracejit.jit(function)(x)
        assert type(found) is type(wanted) and found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
        with pytest.raises((TypeError, ValueError)):
            tracejit.jit(lambda x: np.repeat(x, 2, axis=()))(x)


def test_putmask_casts_numbers_as_assignment_does():
    def put(a, mask, values):
        np.putmask(a, mask, values)
        return a

    mask = np.array([True, False, True])
    arrays = [np.zeros(3, dtype) for dtype in ("?", "i1", "u1", "i8", "f4", "f8")]
    for a in arrays:
        for values in (5, 500, -1, 1.5, np.float64(2.5), np.int64(3), 1j, np.array([1.5])):
            try:
                wanted = put(a.copy(), mask, values)
            except (TypeError, ValueError, OverflowError):
                with pytest.raises((TypeError, ValueError, OverflowError)):
                    tracejit.jit(lambda a, m: put(a, m, values))(a.copy(), mask)  # noqa: B023
            else:
                found = tracejit.jit(lambda a, m: put(a, m, values))(a.copy(), mask)  # noqa: B023
                np.testing.assert_array_equal(found, wanted)


def test_what_is_gathered_along_a_later_axis_lies_otherwise():
    def gathered(x, i):
        y = x[:, i]
        y.ravel()[1:] += 1
        return y

    def taken(x, i):
        y = np.take(x, i, axis=1)
        y.ravel()[1:] += 1
        return y

    x, i = np.arange(12.0).reshape(3, 4), np.array([2, 0])
    with pytest.raises(tracejit.UnsupportedError, match="memory"):
        tracejit.jit(gathered)(x, i)
    np.testing.assert_array_equal(tracejit.jit(taken)(x, i), taken(x, i))


REFUSED = {
    "a scalar has nothing to accumulate": lambda x: np.add.accumulate(x[0, 0]),
    "no array without axes either": lambda x: np.maximum.accumulate(x[0, 0].reshape(())),
    "accumulate goes along one axis": lambda x: np.multiply.accumulate(x, axis=None),
    "positions are signed": lambda x: np.put(x, x[0].astype("u8"), 1),
    "at has an operand of no more axes": lambda x: np.add.at(x, 0, x[:1]),
    "nor where a mask selects": lambda x: np.add.at(x[0], x[0] > 0, x[:1]),
    "masks are bools": lambda x: np.sum(x, where=x[0] * 1j),
    "masks are no numbers": lambda x: np.max(x, axis=0, initial=0, where=x),
    "no axis is rolled": lambda x: np.roll(x[0, 0], 1, ()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_numpy_refuses_is_refused(name):
    function = REFUSED[name]
    with pytest.raises(Exception) as wanted:
        function(np.arange(12.0).reshape(3, 4))
    with pytest.raises(wanted.type, match=re.escape(str(wanted.value))):
        tracejit.jit(function)(np.arange(12.0).reshape(3, 4))


@pytest.mark.parametrize("name", ["argmax", "argmin", "nanargmax"])
def test_a_position_without_axes_has_none_to_keep(name):
    position = getattr(np, name)
    found = tracejit.jit(lambda x: position(x, axis=None, keepdims=True))(np.array(3.0))
    assert type(found) is np.int64 and found == 0


def test_an_empty_list_along_an_axis_is_of_positions():
    def indices(x):
        return np.ix_(x, x[:0], [])

    x = np.arange(3.0)
    for found, wanted in zip(tracejit.jit(indices)(x), indices(x)):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_of_equal_half_zeros_the_first_is_taken(name):
    extreme = getattr(np, name)
    x, y = np.float16([0.0, -0.0, np.nan, 1.0] * 9), np.float16([-0.0, 0.0, 2.0, np.nan] * 9)
    found, wanted = tracejit.jit(lambda x, y: extreme(x, y))(x, y), extreme(x, y)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_clip_leaves_zeros_their_signs(dtype):
    x = np.array([-0.0, 0.0, -1.0, 3.0, np.nan, -np.inf] * 5, dtype)
    for low, high in ((0, 2), (-0.0, 0.0), (-3, -0.0), (0.0, -0.0)):
        found = tracejit.jit(lambda x, a=low, b=high: np.clip(x, a, b))(x)
        wanted = np.clip(x, low, high)
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def diagonal_of_a_symmetric(x):
    d = (x + x.T) / 2  # in which order NumPy has its elements is not said
    np.fill_diagonal(d, np.inf)
    return d


def diagonal_of_a_transpose(x):
    np.fill_diagonal(x.T, [1.0, 2.0, 3.0])
    return x


def diagonal_of_a_part(x):
    np.fill_diagonal(x[::2, 1:], 7.0, wrap=True)
    return x


def diagonal_of_three_axes(x):
    d = np.stack([x] * x.shape[0]) * 1.0
    np.fill_diagonal(np.moveaxis(d, 0, 2), x[0])
    return d


@pytest.mark.parametrize(
    "function, shape",
    [
        (diagonal_of_a_symmetric, (5, 5)),
        (diagonal_of_a_transpose, (4, 6)),
        (diagonal_of_a_transpose, (6, 4)),
        (diagonal_of_a_part, (20, 4)),
        (diagonal_of_a_part, (1, 4)),
        (diagonal_of_a_part, (0, 3)),
        (diagonal_of_three_axes, (3, 3)),
    ],
)
def test_diagonals_in_any_order(function, shape):
    x = np.random.default_rng(0).random(shape)
    ours, numpys = x.copy(), x.copy()
    actual = tracejit.jit(function, fallback="error")(ours)
    np.testing.assert_array_equal(actual, function(numpys))
    np.testing.assert_array_equal(ours, numpys)


@pytest.mark.parametrize("exponent", [0, 1, 62, 63, 70, -1, -3])
def test_a_power_of_two_numbers_of_pythons(exponent):
    """It is an int, or a float below 0, as Python says."""

    def power(x):
        n = int(x)
        return 2**n, x / 2**n

    compiled = tracejit.jit(power)
    compiled(3.0)
    for _ in range(3):
        actual, wanted = compiled(float(exponent)), power(float(exponent))
        assert actual == wanted
        assert [type(x) for x in actual] == [type(x) for x in wanted]
