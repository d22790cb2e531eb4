"""`int`, `float` and `round` of traced numbers: Python's, or the error Python raises."""

import numpy as np
import pytest

from tracejit import jit


def convert(x):
    total = 0
    for k in range(10):
        total += int(x[k])
    return total, int(x[0]) + 1, float(x[1]), round(x[2]), round(x[3], 2), int(x[0] > 0)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i4", "u8"])
def test_numbers_are_python_s(dtype):
    x = np.linspace(-9.7, 3.3, 10).round(2)
    x = np.abs(x).astype(dtype) if dtype == "u8" else x.astype(dtype)
    found, wanted = jit(convert)(x), convert(x)
    assert found == wanted
    assert [type(v) for v in found] == [type(v) for v in wanted]


def count(x):
    counts = np.zeros(10)
    for value in x:
        counts[int(value * 10)] += 1
    return counts


def test_an_int_is_an_index():
    x = np.random.default_rng(1).random(1000)
    np.testing.assert_array_equal(jit(count)(x), count(x))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_has_no_int_is_an_error(bad):
    x = np.linspace(-9.7, 3.3, 10)
    function = jit(convert)
    function(x)
    x[4] = bad
    with pytest.raises((ValueError, OverflowError)) as wanted:
        convert(x)
    with pytest.raises(wanted.type, match=str(wanted.value)) as found:
        function(x)
    assert "test_whole.py" in "".join(getattr(found.value, "__notes__", ["test_whole.py"]))


def test_large_ints_are_refused_not_wrapped():
    with pytest.raises(OverflowError, match="64 bits"):
        jit(convert)(np.full(10, 1e30))


def parts(x, z):
    return (
        complex(x[0]),
        complex(x[1], x[2]),
        complex(1.5, x[3]),
        complex(z[0]),
        int(z[1]),
        float(z[2]),
    )


@pytest.mark.filterwarnings("ignore:Casting complex")
def test_complex_numbers():
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=5), 10 * rng.normal(size=5) + 1j
    found, wanted = jit(parts)(x, z), parts(x, z)
    assert found == wanted
    assert [type(v) for v in found] == [type(v) for v in wanted]
